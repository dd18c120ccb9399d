"""Applies that are killed at arbitrary moments, and resumed: everything ends up in sync, nothing is done twice."""

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.rollout.dying import DyingStore
from tests.rollout.site import OFFICE, Site, connection_to, last_words, manifest, site
from workspaces_apps._telemetry.port import Hooks
from workspaces_apps.rollout import (
    Apply,
    ApplyOptions,
    ApprovalRequested,
    Approved,
    DeployNotice,
    Intent,
    JournalError,
    NoticeAnswer,
    Noticed,
    Planned,
    Policy,
    Postpone,
    Proceed,
    WaveBegan,
    read_journal,
)
from workspaces_apps.rollout._journal.stores import JournalLocation
from workspaces_apps.rollout._run_telemetry import CallMetrics
from workspaces_apps.simulator import ScaledClock, Simulator, SimulatorSettings, Span, Throttle

pytestmark = pytest.mark.campaign

KILLS = int(os.environ.get("WORKSPACES_APPS_CHAOS_KILLS", "3"))
WORKSPACES = int(os.environ.get("WORKSPACES_APPS_CHAOS_WORKSPACES", "30"))


async def run_until_killed(
    here: Site,
    path: Path,
    *,
    writes: int | None = None,
    tear: bool = False,
    seconds: float | None = None,
    options: ApplyOptions | None = None,
    policy: Mapping[str, Any] | None = None,
) -> bool:
    """One apply of a fresh plan, killed without a last word; whether it came to its end."""
    plan = await here.rollout.plan(manifest(failure_budget="100%", **(policy or {})), journal=path)
    store = DyingStore(path.parent, writes, tear)
    tallies = {"default": CallMetrics(here.client, Hooks())}
    apply = Apply(plan, tallies, here.clock, JournalLocation(store, path.name), options or ApplyOptions())
    killer: asyncio.Task[None] | None = None
    try:
        async with apply:
            if seconds is not None:
                killer = asyncio.create_task(kill_after(here, store, seconds))
            async for event in apply:
                if isinstance(event, ApprovalRequested):
                    apply.approve()
    except JournalError:
        return False
    finally:
        if killer is not None:
            killer.cancel()
            await asyncio.gather(killer, return_exceptions=True)
    return True


async def kill_after(here: Site, store: DyingStore, seconds: float) -> None:
    """After that much simulated time nothing reaches the journal any more."""
    await here.clock.sleep(seconds)
    assert store.opened is not None
    await store.opened.die()


def check_the_end(here: Site, ids: list[str], journal: Path) -> None:
    """Converged, each WorkSpace deployed once, and nothing planned without its last word."""
    events = read_journal(journal)
    planned = {
        (event.workspace_id, event.application_id)
        for event in events
        if isinstance(event, Planned) and event.action != "nothing"
    }
    words = last_words(events)
    assert here.states(OFFICE, ids) == {"COMPLETED": len(ids)}
    assert here.deployments() == dict.fromkeys(ids, 1)
    assert {key for key in planned if words.get(key) != "succeeded"} == set()


@pytest.mark.parametrize("seed", range(2))
async def test_killed_while_it_waits_it_resumes(seed: int, tmp_path: Path) -> None:
    """Waiting for users, for the time of a notice, and for approvals: nothing is lost."""
    source = random.Random(seed)
    journal = tmp_path / "journal"
    untold: list[DeployNotice] = []
    async with site(seed=seed) as here:
        ids = here.sim.fleet.add_workspaces(4)

        async def hook(notice: DeployNotice) -> NoticeAnswer:
            told = [
                (one.workspace_id, one.attempt) for one in read_journal(journal) if isinstance(one, Noticed)
            ]
            if (notice.workspace_id, notice.attempt) not in told:
                untold.append(notice)
            later = here.clock.now() + timedelta(minutes=5)
            answers: list[NoticeAnswer] = [Proceed(), Proceed(), Postpone(later)]
            return source.choice(answers)

        async def live(one: str) -> None:
            user = here.sim.fleet.workspace(one)
            while True:
                await here.clock.sleep(source.uniform(200, 1500))
                user.connected = user.state == "AVAILABLE" and not user.connected
                user.last_connection = here.clock.timestamp()

        lives = [asyncio.create_task(live(one)) for one in ids]
        options = ApplyOptions(before_deploy=hook)
        policy = {
            "when_connected": "wait",
            "idle_for": 60,
            "notice": 120,
            "canary": 2,
            "approval": "every-wave",
        }
        for _ in range(4):
            writes = source.randint(5, 60)
            await run_until_killed(here, journal, writes=writes, options=options, policy=policy)
        assert await run_until_killed(here, journal, options=options, policy=policy)
        for task in lives:
            task.cancel()
        check_the_end(here, ids, journal)

    assert not untold
    waits = False
    for event in read_journal(journal):
        waits = isinstance(event, ApprovalRequested) or (waits and not isinstance(event, Approved))
        assert not (waits and isinstance(event, Intent | WaveBegan))


@pytest.mark.parametrize("seed", range(3))
async def test_an_undo_that_is_killed_is_resumed(seed: int, tmp_path: Path) -> None:
    """Again and again, with a new plan each time: everything goes back once, and what was there before stays."""
    source = random.Random(seed)
    journal, undoing = tmp_path / "journal", tmp_path / "undo"
    async with site(seed=seed) as here:
        ids = here.sim.fleet.add_workspaces(8)
        office = here.sim.fleet.application(OFFICE)
        here.sim.fleet.set_association(ids[0], office, "COMPLETED")
        await here.carry_out(await here.rollout.plan(manifest(), journal=journal), journal)
        here.sim.requests.clear()
        killed = 0
        while True:
            # The last one is not killed.
            writes = source.randint(2, 25) if killed < 5 else None
            plan = await here.rollout.plan_undo(journal, policy=Policy(max_in_flight=4))
            store = DyingStore(tmp_path, writes, source.random() < 0.5)
            tallies = {"default": CallMetrics(here.client, Hooks())}
            apply = Apply(plan, tallies, here.clock, JournalLocation(store, undoing.name), ApplyOptions())
            try:
                async with apply:
                    assert (await apply.finished()).ending == "complete"
                break
            except JournalError:
                killed += 1
            await here.clock.sleep(source.uniform(0, 60))

        assert killed
        assert {one: here.sim.fleet.associations(one) for one in ids} == {ids[0]: {office: "COMPLETED"}} | {
            one: {} for one in ids[1:]
        }
        assert here.deployments() == dict.fromkeys(ids[1:], 1)


@pytest.mark.parametrize("seed", range(6))
async def test_killed_at_a_journal_write_it_resumes(seed: int, tmp_path: Path) -> None:
    """Killed again and again, at random writes, torn lines included."""
    source = random.Random(seed)
    journal = tmp_path / "journal"
    async with site(seed=seed) as here:
        ids = here.sim.fleet.add_workspaces(12)
        for _ in range(8):
            await run_until_killed(here, journal, writes=source.randint(1, 40), tear=source.random() < 0.5)
            await here.clock.sleep(source.uniform(0, 60))
        assert await run_until_killed(here, journal)
        check_the_end(here, ids, journal)


@pytest.mark.parametrize("seed", range(6))
async def test_killed_at_a_moment_it_resumes(seed: int, tmp_path: Path) -> None:
    """Killed again and again, at random moments of simulated time, under a throttle."""
    source = random.Random(seed)
    journal = tmp_path / "journal"
    async with site(seed=seed, throttle=Throttle()) as here:
        ids = here.sim.fleet.add_workspaces(16)
        for _ in range(4):
            await run_until_killed(here, journal, seconds=source.uniform(0, 20))
        assert await run_until_killed(here, journal)
        check_the_end(here, ids, journal)


async def test_a_broken_journal_ends_the_apply_before_the_write(tmp_path: Path) -> None:
    """When an intent cannot be written, the write it announces is not sent."""
    async with site() as here:
        here.sim.fleet.add_workspaces(2)
        # The first write is the beginning, the next one an intent.
        ended = await run_until_killed(here, tmp_path / "journal", writes=3)

        assert not ended
        assert here.sim.requests.count("AssociateWorkspaceApplication") == 0


_CHILD = """
import asyncio, json, sys
from pathlib import Path
from workspaces_apps import ClientConfig, Credentials, WorkSpacesClient
from workspaces_apps._pacing import Pacing
from workspaces_apps.rollout import Manifest, Rollout
from workspaces_apps.simulator import ScaledClock

async def main(given):
    clock = ScaledClock(given["factor"])
    client = WorkSpacesClient(
        region=given["region"], endpoint_url=given["url"], clock=clock,
        credentials=Credentials(*given["keys"]), config=ClientConfig(pacing=Pacing.off()),
    )
    async with client:
        rollout = Rollout(client, clock=clock)
        plan = await rollout.plan(Manifest.from_data(given["manifest"]), journal=given["journal"])
        async with rollout.apply(plan, journal=given["journal"]) as run:
            print("begun", flush=True)
            result = await run.finished()
    print(result.ending)

asyncio.run(main(json.loads(sys.argv[1])))
"""


def test_killed_by_signal_9_it_resumes(tmp_path: Path) -> None:
    """A process that applies is killed with SIGKILL and started again, until it ends by itself."""
    source = random.Random(WORKSPACES)
    journal = tmp_path / "journal"
    factor = 100.0
    settings = SimulatorSettings(pending_delay=Span(1, 5), install_duration=Span(60, 120))
    with Simulator.in_thread(
        workspaces=0, clock=ScaledClock(factor), settings=settings, throttle=None
    ) as sim:
        ids = sim.fleet.add_workspaces(WORKSPACES)
        keys = connection_to(sim)["credentials"]
        given = {
            "factor": factor,
            "region": sim.region,
            "url": sim.url,
            "keys": [keys.access_key_id, keys.secret_access_key],
            "journal": str(journal),
            "manifest": manifest(max_in_flight=1000).model_dump(mode="json"),
        }
        command = [sys.executable, "-c", _CHILD, json.dumps(given)]
        for _ in range(KILLS):
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
                assert child.stdout is not None
                with contextlib.suppress(ValueError):
                    child.stdout.readline()
                time.sleep(source.uniform(0, 0.8))
                child.send_signal(signal.SIGKILL)
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert ended.stdout.split() == ["begun", "complete"], ended.stderr
        taken = [
            str((request.parameters or {})["WorkspaceId"])
            for request in sim.requests
            if request.operation == "DeployWorkspaceApplications" and request.status == 200
        ]
        office = sim.fleet.application(OFFICE)

        assert sorted(taken) == sorted(ids)
        assert {sim.fleet.associations(one)[office] for one in ids} == {"COMPLETED"}
        assert set(last_words(read_journal(journal)).values()) == {"succeeded"}
        assert len(last_words(read_journal(journal))) == len(ids)
