"""Workers as processes that are killed, paused and asked to end, and a database that restarts beneath them."""

import asyncio
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytest.importorskip("procrastinate", reason="the extra distributed is not installed")

from benchmarks.distributed_worker import WorkerSettings
from tests.distributed.places import Bucket, Postgresql, postgresql
from tests.rollout.site import OFFICE
from workspaces_apps.distributed import RunStatus, status, submit
from workspaces_apps.rollout import Manifest, Report
from workspaces_apps.simulator import ScaledClock, Simulator, SimulatorSettings, Span

PATIENCE = 120
"""Seconds that anything may take on a machine that is busy with other tests."""

pytestmark = pytest.mark.long

FACTOR = 40.0
"""Deployments of a minute or two take seconds; leases and heartbeats are real."""


@dataclass(slots=True)
class Crew:
    """Workers as processes."""

    settings: Path
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list["subprocess.Popen[bytes]"])

    def start(self) -> "subprocess.Popen[bytes]":
        """Start one more."""
        return self.run("benchmarks.distributed_worker")

    def run(self, module: str, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a module with the settings."""
        command = [sys.executable, "-m", module, str(self.settings), *arguments]
        self.processes.append(subprocess.Popen(command))
        return self.processes[-1]

    def end(self) -> None:
        """Kill what is left."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(60)


@contextmanager
def crew(database: str, folder: Path, *, workspaces: int = 8) -> Generator[tuple[Simulator, Crew]]:
    """A fleet on a scaled clock, and nobody working on it yet."""
    clock, since = ScaledClock(FACTOR), time.time()
    quick = SimulatorSettings(pending_delay=Span(1, 5), install_duration=Span(160, 200))
    with Simulator.in_thread(
        workspaces=workspaces, seed=7, clock=clock, settings=quick, throttle=None
    ) as sim:
        keys = sim.credentials
        target = sim.url, keys.access_key_id, keys.secret_access_key
        settings = WorkerSettings(
            database=database, factor=FACTOR, since=since, concurrency=5, targets={"only": target}
        )
        workers = Crew(settings.write(folder / "worker.json"))
        try:
            yield sim, workers
        finally:
            workers.end()


def office(region: str) -> Manifest:
    """A manifest of one target."""
    rule = {"select": {"everything": True}, "present": [OFFICE]}
    return Manifest.from_data(
        {"name": "office", "targets": [{"name": "only", "region": region}], "rules": [rule]}
    )


def deployments(sim: Simulator) -> Counter[str]:
    """Count the deployments that the service took and that committed something, by WorkSpace."""
    found: Counter[str] = Counter()
    for request in sim.requests:
        deployment = (request.answer or {}).get("Deployment")
        if request.operation == "DeployWorkspaceApplications" and request.status == 200:
            found[str((request.parameters or {})["WorkspaceId"])] += bool(
                isinstance(deployment, dict) and deployment.get("Associations")
            )
    return found


async def begun(sim: Simulator, at_least: int = 3) -> None:
    """Wait until some deployments have begun."""
    for _ in range(PATIENCE * 5):
        if len(deployments(sim)) >= at_least:
            return
        await asyncio.sleep(0.2)
    raise AssertionError("nothing was deployed")


async def over(database: str, run: str) -> RunStatus:
    """Wait until a run is over."""
    for _ in range(PATIENCE * 4):
        found = await status(database, run)
        if found.is_over:
            return found
        await asyncio.sleep(0.25)
    raise AssertionError(await status(database, run))


async def check(database: str, run: str, sim: Simulator) -> None:
    """See that everything was done, and nothing twice."""
    report = await Report.load(database, run=run)
    assert report.counts["succeeded"] > 0
    assert report.counts["failed"] == 0
    assert set(deployments(sim).values()) == {1}


async def test_a_worker_that_is_killed_is_replaced(database: str, tmp_path: Path) -> None:
    """Another goes on where its journal ended; nothing is deployed twice."""
    with crew(database, tmp_path) as (sim, workers):
        run = await submit(office(sim.region), database=database)
        first = workers.start()
        await begun(sim)
        workers.start()
        first.kill()
        found = await over(database, run)

        assert found.ending == "complete"
        await check(database, run, sim)


async def test_a_worker_that_is_asked_to_end_hands_over(database: str, tmp_path: Path) -> None:
    """At once: the other need not wait for its lease."""
    with crew(database, tmp_path) as (sim, workers):
        run = await submit(office(sim.region), database=database)
        first = workers.start()
        await begun(sim)
        first.terminate()
        assert await asyncio.to_thread(first.wait, PATIENCE) == 0
        assert (await status(database, run)).targets[0].message == "handed over"
        workers.start()

        assert (await over(database, run)).ending == "complete"
        await check(database, run, sim)


async def test_a_worker_paused_for_longer_than_its_lease_begins_nothing(
    database: str, tmp_path: Path
) -> None:
    """Neither does it append: the other's takeover stands in its way when it wakes."""
    with crew(database, tmp_path) as (sim, workers):
        run = await submit(office(sim.region), database=database)
        first = workers.start()
        await begun(sim)
        first.send_signal(signal.SIGSTOP)
        workers.start()
        for _ in range(PATIENCE * 10):
            if await _taken(database, run, first.pid):
                break
            await asyncio.sleep(0.1)
        first.send_signal(signal.SIGCONT)
        found = await over(database, run)

        assert found.ending == "complete"
        await check(database, run, sim)


async def _taken(database: str, run: str, pid: int) -> bool:
    """Tell if another worker has the target."""
    worker = (await status(database, run)).targets[0].worker
    return f"/{pid}/" not in worker


async def test_a_database_that_restarts_is_waited_for(tmp_path: Path) -> None:
    """Nothing begins that is not on record, and the run goes on when it is back."""
    with postgresql() as server:
        await _restart(server, tmp_path)


async def _restart(server: Postgresql, folder: Path) -> None:
    database = server.make("restarted")
    with crew(database, folder) as (sim, workers):
        run = await submit(office(sim.region), database=database)
        worker = workers.start()
        await begun(sim, 1)
        server.stop()
        await asyncio.sleep(3)
        before = deployments(sim)
        await asyncio.sleep(2)
        assert deployments(sim) == before
        server.start()

        assert (await over(database, run)).ending == "complete"
        assert worker.poll() is None
        await check(database, run, sim)


async def test_an_apply_that_is_killed_is_run_again_with_its_journal_in_s3(
    s3_bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Batch, Kubernetes or cron do it; nothing is deployed twice."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    journal = s3_bucket.url("killed")
    with crew("postgresql://nobody@nowhere/nothing", tmp_path) as (sim, workers):
        first = workers.run("tests.distributed.applying", journal)
        await begun(sim)
        first.kill()
        second = workers.run("tests.distributed.applying", journal)
        assert await asyncio.to_thread(second.wait, 120) == 0

        report = await Report.load(journal)
        assert [run.ending for run in report.runs] == [None, "complete"]
        assert report.runs[0].interrupted
        assert set(deployments(sim).values()) == {1}
