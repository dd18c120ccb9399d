"""Workers as processes that are killed, paused and asked to end, and a database that restarts beneath them."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

pytest.importorskip("procrastinate", reason="the extra distributed is not installed")

from benchmarks.distributed_worker import WorkerSettings
from tests.distributed.places import Bucket, Postgresql, postgresql
from tests.rollout.site import OFFICE
from workspaces_apps.distributed import RunStatus, status, submit
from workspaces_apps.rollout import Manifest, Report, open_journal
from workspaces_apps.rollout._journal.postgresql import open_database
from workspaces_apps.rollout._journal.segments import SegmentHeader, header_of
from workspaces_apps.rollout._journal.stores import parse_database
from workspaces_apps.simulator import ScaledClock, Simulator, SimulatorSettings, Span

PATIENCE = 120
"""Seconds that anything may take on a machine that is busy with other tests."""

pytestmark = pytest.mark.long

FACTOR = 40.0
"""Deployments of a minute or two take seconds; leases and heartbeats are real."""


@dataclass(slots=True)
class Crew:
    """Workers as processes."""

    settings: WorkerSettings
    folder: Path
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list["subprocess.Popen[bytes]"])

    def start(self, skew: int = 0) -> "subprocess.Popen[bytes]":
        """Start one more, whose wall clock is ahead by so many seconds."""
        return self.run("benchmarks.distributed_worker", skew=skew)

    def run(self, module: str, *arguments: str, skew: int = 0) -> "subprocess.Popen[bytes]":
        """Start a module with the settings."""
        number = len(self.processes)
        settings = replace(self.settings, skew=skew).write(self.folder / f"{number}.json")
        command = [sys.executable, "-m", module, str(settings), *arguments]
        with (self.folder / f"{number}.log").open("wb") as log:
            environment = skewed(self.folder, skew) if skew else None
            self.processes.append(subprocess.Popen(command, stderr=log, env=environment))
        return self.processes[-1]

    def log(self, process: "subprocess.Popen[bytes]") -> str:
        """Return what a process has logged."""
        number = self.processes.index(process)
        return (self.folder / f"{number}.log").read_text(encoding="utf-8")

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
        workers = Crew(settings, folder)
        try:
            yield sim, workers
        finally:
            workers.end()


def office(region: str, **policy: object) -> Manifest:
    """A manifest of one target."""
    rule = {"select": {"everything": True}, "present": [OFFICE]}
    return Manifest.from_data(
        {"name": "office", "targets": [{"name": "only", "region": region}], "rules": [rule], "policy": policy}
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
        run = await submit(office(sim.region, max_in_flight=2), database=database)
        first = workers.start()
        await begun(sim, 2)
        first.send_signal(signal.SIGSTOP)
        second = workers.start()
        await taken(database, run, first)
        asleep = writes_by(sim, first), await segments(database, run)
        first.send_signal(signal.SIGCONT)
        await logged(workers, first, "was taken over by another apply")
        found = await over(database, run)

        assert found.ending == "complete"
        await check(database, run, sim)
        assert writes_by(sim, first) == asleep[0] > 0
        assert writes_by(sim, second) > 0
        heads = await segments(database, run)
        assert heads[: len(asleep[1])] == asleep[1]
        former = heads[0].writer
        takeover = next(head for head in heads if head.writer != former)
        assert takeover.takeover
        assert [head.segment for head in heads if head.writer == former] == list(range(1, takeover.segment))
        assert {head.epoch for head in heads if head.segment < takeover.segment} == {1}
        assert {head.epoch for head in heads if head.segment >= takeover.segment} == {takeover.epoch}


def writes_by(sim: Simulator, process: "subprocess.Popen[bytes]") -> int:
    """Count the requests of a worker that change something, whatever was answered."""
    return sum(
        str(request.operation).startswith(("Associate", "Disassociate", "Deploy"))
        and f"worker/{process.pid}" in str(request.user_agent).split()
        for request in sim.requests
    )


async def segments(database: str, run: str) -> list[SegmentHeader]:
    """Return the headers of the journal's segments."""
    opened = await open_database(parse_database(database))
    try:
        rows = await opened.rows(
            "SELECT body, epoch FROM workspaces_apps.segment WHERE journal = %s ORDER BY number",
            f"{run}/only",
        )
    finally:
        await opened.close()
    heads = [header_of(bytes(body), "the journal") for body, _ in rows]
    assert [head.epoch for head in heads] == [epoch for _, epoch in rows]
    return heads


async def taken(database: str, run: str, former: "subprocess.Popen[bytes]") -> None:
    """Wait until another worker has the target; until then its job waits for nobody's clock."""
    opened = await open_database(parse_database(database))
    try:
        for _ in range(PATIENCE * 10):
            if f"/{former.pid}/" not in (await status(database, run)).targets[0].worker:
                return
            late = await opened.rows("SELECT scheduled_at FROM procrastinate_jobs WHERE scheduled_at > now()")
            assert late == []
            await asyncio.sleep(0.1)
    finally:
        await opened.close()
    raise AssertionError("nobody takes it over")


async def logged(workers: Crew, process: "subprocess.Popen[bytes]", words: str) -> None:
    """Wait until a worker has logged something."""
    for _ in range(PATIENCE * 10):
        if words in workers.log(process):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(workers.log(process))


SHIFT = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, at);
    if (!failed && clock == CLOCK_REALTIME) at->tv_sec += atol(getenv("SKEW_SECONDS"));
    return failed;
}

int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""
"""A library that moves the wall clock of a process; its other clocks stay."""


def skewed(folder: Path, seconds: int) -> dict[str, str]:
    """Return the environment of a process whose wall clock is ahead, or skip the test where none can be made."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("only Linux with a C compiler can move the clock of one process")
    library = folder / "shift.so"
    command = [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", str(library), "-ldl"]
    subprocess.run(command, input=SHIFT.encode(), check=True)
    environment = os.environ | {"LD_PRELOAD": str(library), "SKEW_SECONDS": str(seconds)}
    for ask in ("time.time()", "datetime.datetime.now().timestamp()"):
        asking = [sys.executable, "-c", f"import datetime, time; print({ask})"]
        shown = float(subprocess.run(asking, env=environment, check=True, capture_output=True).stdout)
        assert abs(shown - time.time() - seconds) < 10
    return environment


@pytest.mark.parametrize("skews", [(30, -30), (-30, 30)], ids=str)
async def test_workers_whose_clocks_differ_by_a_minute_take_over(
    database: str, tmp_path: Path, skews: tuple[int, int]
) -> None:
    """Whichever is ahead, and at once: a job that was given away is not due by one clock before it is by another."""
    with crew(database, tmp_path) as (sim, workers):
        run = await submit(office(sim.region, max_in_flight=2), database=database)
        first = workers.start(skews[0])
        await begun(sim, 2)
        workers.start(skews[1])
        first.kill()
        await taken(database, run, first)
        found = await over(database, run)

        assert found.ending == "complete"
        await check(database, run, sim)
        heads = await segments(database, run)
        assert [head.epoch for head in heads] == sorted(head.epoch for head in heads)
        assert [head.epoch for head in heads if head.takeover] == sorted({head.epoch for head in heads})


@pytest.mark.parametrize("skew", [30, -30])
async def test_a_job_is_retried_by_the_clock_of_the_database(
    database: str, tmp_path: Path, skew: int
) -> None:
    """A worker that finds a journal busy comes back after three seconds, neither at once nor half a minute later."""
    with crew(database, tmp_path) as (sim, workers):
        run = await submit(office(sim.region), database=database)
        other = await open_journal(f"{database}?name={run}/only")
        workers.start(skew)
        due = await retried_in(database)
        await other.close()

        assert -20 < due <= 3.5
        assert (await over(database, run)).ending == "complete"
        await check(database, run, sim)


async def retried_in(database: str) -> float:
    """Wait until a job is to be retried, and return in how many seconds it is, by the database's clock."""
    opened = await open_database(parse_database(database))
    try:
        for _ in range(PATIENCE * 20):
            rows = await opened.rows(
                "SELECT extract(epoch FROM scheduled_at - now())::float8 FROM procrastinate_jobs"
                " WHERE status = 'todo' AND scheduled_at IS NOT NULL"
            )
            if rows:
                return float(rows[0][0])
            await asyncio.sleep(0.05)
    finally:
        await opened.close()
    raise AssertionError("it is not retried")


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
