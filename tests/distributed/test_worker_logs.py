"""Output of the command `worker` on standard error: lines of its own, whatever the libraries beneath it say."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.process import COMMAND, PATIENCE, child_environment
from tests.distributed.places import postgresql
from tests.rollout.site import OFFICE
from workspaces_apps.rollout import Manifest

pytest.importorskip("procrastinate", reason="the extra distributed is not installed")

import psycopg

from workspaces_apps.distributed import RunStatus, status, submit


def unreachable() -> Manifest:
    """A manifest of a target whose profile does not exist."""
    return Manifest.from_data(
        {
            "name": "office",
            "targets": [{"name": "eu", "region": "eu-west-1", "profile": "nowhere"}],
            "rules": [{"select": {"everything": True}, "present": [OFFICE]}],
        }
    )


async def failed_at_last(database: str, run: str, worker: "subprocess.Popen[bytes]") -> RunStatus:
    """Let every try be due at once, until the run is over."""
    with psycopg.connect(database, autocommit=True) as connection:
        for _ in range(1200):
            connection.execute(
                "UPDATE procrastinate_jobs SET scheduled_at = '2000-01-01' WHERE status = 'todo'"
            )
            found = await status(database, run)
            if found.is_over:
                return found
            assert worker.poll() is None
            await asyncio.sleep(0.1)
    raise AssertionError("it is not over")


def started(database: str, form: str, log: Path) -> "subprocess.Popen[bytes]":
    """Start a worker that logs in this form."""
    with log.open("wb") as stderr:
        return subprocess.Popen(
            [*COMMAND, "--log-format", form, "worker", "--database", database],
            stderr=stderr,
            env=child_environment({"AWS_CONFIG_FILE": os.devnull}),
        )


@pytest.mark.parametrize("form", ["text", "json"])
async def test_a_worker_writes_lines_of_its_own(form: str, tmp_path: Path) -> None:
    """JSON where that is asked for, and no traceback, although targets fail for good and the database restarts."""
    log = tmp_path / "worker.log"
    with postgresql() as server:
        database = server.make("roll")
        run = await submit(unreachable(), database=database)
        worker = started(database, form, log)
        with worker:
            try:
                found = await failed_at_last(database, run, worker)
                await asyncio.to_thread(server.stop)
                for _ in range(1200):
                    if "psycopg.pool: " in log.read_text() and "procrastinate." in log.read_text():
                        break
                    await asyncio.sleep(0.1)
                await asyncio.to_thread(server.start)
                worker.terminate()
                code = await asyncio.to_thread(worker.wait, PATIENCE)
            finally:
                worker.kill()
    said = log.read_text()

    assert (found.info.state, code) == ("failed", 0)
    assert "waiting for targets" in said
    assert "handing over" in said
    assert "Traceback" not in said
    if form == "json":
        assert all(isinstance(json.loads(line), dict) for line in said.splitlines())
    else:
        assert all(
            line.startswith(("workspaces-apps: ", "worker ", "handing over")) for line in said.splitlines()
        )
