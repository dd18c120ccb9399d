"""The commands as processes against URLs: one applies, others tell it what to do, and journals move between stores."""

import asyncio
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.cli.fleet import write_manifest
from tests.cli.process import COMMAND, PATIENCE, child_environment, run_command
from tests.distributed.places import Bucket
from tests.distributed.test_lease import intent
from tests.distributed.test_outages import until
from tests.distributed.test_stores import started
from workspaces_apps.rollout import Deployed, Finished, Started, Succeeded, open_journal, read_events
from workspaces_apps.rollout._controller.control import POLL_SECONDS
from workspaces_apps.simulator import Simulator, SimulatorSettings, Span

pytest.importorskip("psycopg_pool", reason="the extra distributed is not installed")


async def say(*arguments: str) -> str:
    """Run a command to its end, and return what it prints."""
    ended = await asyncio.to_thread(run_command, *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def start(command: Sequence[str], environment: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    """Start a command whose standard error goes to a file."""
    with log.open("wb") as stderr:
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=stderr)


@pytest.mark.long
async def test_an_apply_elsewhere_is_paused_resumed_and_drained_by_its_url(
    s3_bucket: Bucket, s3_keys: None, tmp_path: Path
) -> None:
    """While it is paused nothing starts, although there is room; drained, it exits with 4 and says so."""
    del s3_keys
    url = s3_bucket.url("told")
    manifest = write_manifest(tmp_path, policy="max_in_flight = 1")
    settings = SimulatorSettings(pending_delay=Span(0, 1), install_duration=Span(1, 2))
    log = tmp_path / "apply.log"
    with Simulator.in_thread(workspaces=30, seed=7, settings=settings, throttle=None) as sim:
        keys = sim.credentials
        # moto takes any key.
        environment = child_environment(
            {"AWS_ACCESS_KEY_ID": keys.access_key_id, "AWS_SECRET_ACCESS_KEY": keys.secret_access_key}
        )
        where = ["--region", sim.region, "--endpoint-url", sim.url]
        command = [*COMMAND, "apply", str(manifest), "--yes", "--journal", url, *where]

        def deployments() -> int:
            return sim.requests.count("DeployWorkspaceApplications")

        applying = start(command, environment, log)
        try:
            await until(lambda: deployments() >= 1)
            said = await say("pause", url, "--reason", "the help desk is closed")
            assert "s3://journals/rollouts/told" in said
            await until(lambda: "the help desk is closed" in log.read_text("utf-8"))
            begun = deployments()
            for _ in range(600):
                events = await read_events(url)
                if sum(isinstance(event, Succeeded) for event in events) == begun:
                    break
            else:
                raise AssertionError("what had begun does not end")
            paused_at = time.monotonic()
            # Long enough to start the next one, were it allowed to.
            await until(lambda: time.monotonic() > paused_at + POLL_SECONDS)
            assert deployments() == begun

            await say("resume", url)
            await until(lambda: deployments() > begun)
            await say("drain", url)
            assert await asyncio.to_thread(applying.wait, PATIENCE) == 4
        finally:
            applying.kill()
            applying.wait()

        events = await read_events(url)
        ends = [event.ending for event in events if isinstance(event, Finished)]
        assert ends == ["drained"]
        assert sum(isinstance(event, Deployed) for event in events) == deployments()
        planned = next(event.workspaces for event in events if isinstance(event, Started))
        assert begun < deployments() < planned


async def test_journals_are_copied_between_s3_and_a_database_and_back(
    s3_bucket: Bucket, s3_keys: None, database: str
) -> None:
    """The events are the same in each, and a copy is never overwritten."""
    del s3_keys
    first, second = s3_bucket.url("copied"), f"{database}?name=copied"
    third, fourth = s3_bucket.url("copied-back"), f"{database}?name=copied-again"
    journal = await open_journal(first)
    await journal.append(started(), *(intent(number) for number in range(2500)), durable=True)
    await journal.close()

    for source, to in ((first, second), (second, third), (second, fourth)):
        assert "2,501 events copied from" in await say("journal", "copy", source, to)
    refused = await asyncio.to_thread(run_command, "journal", "copy", second, first)

    original = list(await read_events(first))
    assert original[:2] == [started(), intent(0)]
    assert len(original) == 2501
    for copy in (second, third, fourth):
        assert list(await read_events(copy)) == original
    assert refused.returncode == 1
    assert "is a journal already, with 2,501 events" in refused.stderr
    assert "hunter2" not in refused.stderr
