"""`python -m benchmarks.distributed`: roll-outs by several workers, killed ones among them, and the stores of journals.

Fleets are simulated, leases and heartbeats are real: the clock of the services and of the clients runs `--scale` times as
fast as time. A killed worker is replaced at once. The limit of a target is what nobody can beat, with the durations that the
simulator drew for it: every write as soon as the throttle lets it, every end noticed at once. The last column is the share of the
seconds in which more than 80 % of the machine was in use.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Final

from benchmarks.distributed_worker import WorkerSettings
from benchmarks.fleet_rollout import shortest
from benchmarks.tables import put_section
from tests.distributed.memory import Content, MemoryStorage
from tests.distributed.places import postgresql
from workspaces_apps.distributed import status, submit
from workspaces_apps.rollout import Deployed, Event, Intent, Manifest, Policy, Report, Started, Succeeded
from workspaces_apps.rollout._journal.postgresql import open_database, store_in
from workspaces_apps.rollout._journal.segments import SegmentedStore, SegmentJournal, SegmentStorage
from workspaces_apps.rollout._journal.stores import parse_database
from workspaces_apps.simulator import ScaledClock, Simulator, SimulatorSettings, Span, Throttle

OFFICE: Final = "Microsoft Office LTSC Professional Plus 2021"
RECONCILERS: Final = 200
PUT_SECONDS: Final = 0.03
BUSY: Final = 0.8
HEADING: Final = "Measured"
ABOUT: Final = """\
`python -m benchmarks.distributed` starts a PostgreSQL, simulators and workers, and kills workers; `--help` tells of sizes.
`--page docs/distributed.md` writes this section and the next one. {cores} cores, shared with other work:
"""
FLEETS: Final = "Measured: whole fleets"
ABOUT_FLEETS: Final = """Leases and heartbeats are real; the services' clock runs {scale:g} times as fast as time. Workers, simulators and PostgreSQL share {cores}
cores. CPU is what all of them took, on average, and beside it the share of the seconds in which that was above {busy:.0%} of the machine,
so that it and not the throttle decided; CPU ms/call is the workers' own. A
killed worker (signal 9, one every {every:g} s) is replaced at once. The limit of a target is what nobody can beat: every write as soon as
the throttle lets it, 100 WorkSpaces in flight, every end noticed at once. Idle is the longest time without a call of a target that was
not done yet, and nothing need be called for while all deployments go on. Without a worker is the longest time from a kill to the first call
of another worker for a target that the killed one held.
"""
HEADINGS: Final[tuple[str, ...]] = (
    (
        "| roll-out | wall, s | ÷ limit of the slowest target | ÷ one target alone | ending | deployed twice | idle, s | kills | without a worker, s | changes | segments + renewals"
        " | CPU ms/call | MiB | CPU | time bound by this machine |"
    ),
    "|---|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of a roll-out.

    Attributes:
        wall: Seconds.
        limit: Seconds that the slowest target would have taken at least.
        changes: Changes that succeeded.
        twice: WorkSpaces that the service deployed on more than once.
        idle: The longest time in seconds without a call of a target that was not done yet.
        orphaned: The longest time in seconds from a kill to the first call of another worker for a target that the killed one held.
        busy: The share of the machine's CPUs that was in use.
        bound: The share of the time in which more than `BUSY` of them were.
        kills: Workers that were killed.
        segments: Segments that were written.
        beats: Renewals of leases, which are no segments.
        per_call: CPU milliseconds of the workers for each call, their start left out.
        memory: The largest memory of a worker, in MiB.
        ending: How it ended.
    """

    wall: float
    limit: float
    changes: int
    twice: int
    idle: float
    orphaned: float | None
    busy: float
    bound: float
    kills: int
    segments: int
    beats: int
    per_call: float
    memory: float
    ending: str | None

    def row(self, what: str, alone: float | None) -> str:
        """Return a line of the table."""
        ratio = f"{self.wall / self.limit:.2f} | {'–' if alone is None else f'{self.wall / alone:.2f}'}"
        # Nobody knows what a worker had used by the time that it was killed.
        per_call = "–" if self.kills else f"{self.per_call:.1f}"
        orphaned = "–" if self.orphaned is None else f"{self.orphaned:.1f}"
        return (
            f"| {what} | {self.wall:.0f} | {ratio} | {self.ending} | {self.twice} | {self.idle:.1f} | {self.kills} |"
            f" {orphaned} |"
            f" {self.changes} | {self.segments} + {self.beats} | {per_call} | {self.memory:.0f} |"
            f" {self.busy:.0%} | {self.bound:.0%}{', bound by this machine' if self.busy > BUSY else ''} |"
        )


def machine() -> tuple[float, float]:
    """Return the machine's CPU seconds in use and in all, since it began."""
    figures = [
        int(figure) for figure in Path("/proc/stat").read_text(encoding="ascii").split("\n")[0].split()[1:]
    ]
    return sum(figures) - figures[3] - figures[4], sum(figures)


def share(before: tuple[float, float], after: tuple[float, float]) -> float:
    """Return the share of the machine's CPUs that was in use between two readings of `machine`."""
    return (after[0] - before[0]) / max(1.0, after[1] - before[1])


def cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> float:
    """Return the largest memory that a process has had, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def manifest(targets: int) -> Manifest:
    """Return a manifest of so many targets."""
    return Manifest.from_data(
        {
            "name": "office",
            "targets": [{"name": f"t{number:03}", "region": "us-east-1"} for number in range(targets)],
            "rules": [{"select": {"everything": True}, "present": [OFFICE]}],
        }
    )


async def roll_out(
    database: str, *, targets: int, workspaces: int, workers: int, scale: float, kills: int, every: float
) -> Outcome:
    """Roll out over so many targets, and kill a worker now and then."""
    clock, since = ScaledClock(scale), time.time()
    settings = SimulatorSettings(install_duration=Span(240, 480))
    with (
        Simulator.in_thread(workspaces=0, clock=clock, settings=settings, throttle=Throttle()) as sim,
        tempfile.TemporaryDirectory() as folder,
    ):
        keys = [sim.add_account(f"{number + 1:012}", workspaces=workspaces) for number in range(targets)]
        told = WorkerSettings(
            database=database,
            factor=scale,
            since=since,
            concurrency=-(-targets // workers) + 5,
            targets={
                f"t{number:03}": (sim.url, key.access_key_id, key.secret_access_key)
                for number, key in enumerate(keys)
            },
        )
        path = told.write(Path(folder) / "worker.json")

        def start() -> "subprocess.Popen[bytes]":
            environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
            command = [sys.executable, "-m", "benchmarks.distributed_worker", str(path)]
            return subprocess.Popen(command, env=environment)

        running = [start() for _ in range(workers)]
        await asyncio.sleep(5)
        samples, began = [machine()], time.monotonic()
        killed: list[tuple[datetime, int]] = []
        idle_cpu = sum(cpu_of(process.pid) for process in running)
        run = await submit(manifest(targets), database=database)
        rng = random.Random(0)
        next_kill = began + every
        while not (found := await status(database, run)).is_over:
            await asyncio.sleep(1)
            samples.append(machine())
            if len(killed) < kills and time.monotonic() > next_kill:
                next_kill += every
                victim = rng.randrange(workers)
                running[victim].kill()
                killed.append((clock.now(), running[victim].pid))
                running[victim].wait()
                running[victim] = start()
        wall = time.monotonic() - began
        samples.append(machine())
        used = sum(cpu_of(process.pid) for process in running) - (idle_cpu if not kills else 0.0)
        memory = max(memory_of(process.pid) for process in running)
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(60)
        report = await Report.load(database, run=run)
        opened = await open_database(parse_database(database))
        store = store_in(opened)
        limit = max([shortest_of(await store.read(f"{run}/{name}") or ()) for name in told.targets])
        rows = await opened.rows(
            "SELECT count(*) FROM workspaces_apps.segment WHERE journal LIKE %s", f"{run}/%"
        )
        beats = await opened.rows(
            "SELECT coalesce(sum(beat), 0)::bigint FROM workspaces_apps.journal WHERE name LIKE %s",
            f"{run}/%",
        )
        await opened.close()
        return Outcome(
            wall=wall,
            limit=limit / scale,
            changes=report.counts["succeeded"],
            twice=sum(count > 1 for count in deployments(sim).values()),
            idle=longest_gap(sim) / scale,
            busy=share(samples[0], samples[-1]),
            bound=sum(share(*pair) > BUSY for pair in itertools.pairwise(samples)) / (len(samples) - 1),
            orphaned=longest_orphaned(sim, killed, scale),
            kills=len(killed),
            segments=rows[0][0],
            beats=beats[0][0],
            per_call=1000 * used / max(1, sim.requests.count()),
            memory=memory,
            ending=found.ending,
        )


def deployments(sim: Simulator) -> Counter[str]:
    """Return how many deployments the service took that committed something, by WorkSpace."""
    found: Counter[str] = Counter()
    for request in sim.requests:
        if request.operation == "DeployWorkspaceApplications" and request.status == 200:
            deployment = (request.answer or {}).get("Deployment")
            if isinstance(deployment, dict) and deployment.get("Associations"):
                found[str((request.parameters or {})["WorkspaceId"])] += 1
    return found


def shortest_of(events: Sequence[Event]) -> float:
    """Return the simulated seconds that a target would have taken at least, by its journal."""
    begun: dict[str, float] = {}
    ended: dict[str, float] = {}
    for event in events:
        if isinstance(event, Deployed):
            begun.setdefault(event.workspace_id, event.at.timestamp())
        elif isinstance(event, Succeeded) and event.updated_at is not None:
            ended[event.workspace_id] = event.updated_at.timestamp()
    # What was deployed when a worker was killed may not be on record, and is not counted.
    durations = [ended[one] - at for one, at in begun.items() if one in ended]
    return shortest(durations, Policy().max_in_flight, 1)


def longest_gap(sim: Simulator) -> float:
    """Return the longest time between two calls of one account, in simulated seconds."""
    times: defaultdict[str | None, list[float]] = defaultdict(list)
    for request in sim.requests:
        times[request.account_id].append(request.at.timestamp())
    return max(
        (later - one for row in times.values() for one, later in itertools.pairwise(sorted(row))), default=0.0
    )


def longest_orphaned(sim: Simulator, killed: Sequence[tuple[datetime, int]], scale: float) -> float | None:
    """Return the longest time in seconds from a kill to the next call of an account whose last one was the killed worker's.

    Args:
        sim: The services.
        killed: When by their clock workers were killed, and their process ids.
        scale: How many times as fast as time that clock runs.
    """
    calls: defaultdict[str | None, list[tuple[datetime, str]]] = defaultdict(list)
    for request in sim.requests:
        calls[request.account_id].append((request.at, str(request.user_agent)))
    lengths: list[float] = []
    for row in calls.values():
        row.sort()
        for at, pid in killed:
            following = bisect_right(row, at, key=itemgetter(0))
            if 0 < following < len(row) and f"worker/{pid}" in row[following - 1][1].split():
                lengths.append((row[following][0] - at).total_seconds() / scale)
    return max(lengths, default=None)


class SlowStorage(MemoryStorage):
    """A store whose every write takes as long as one of S3 does."""

    async def put(self, number: int, body: bytes, *, epoch: int) -> bool:
        """Write a segment."""
        await asyncio.sleep(PUT_SECONDS)
        return await super().put(number, body, epoch=epoch)


async def appends(store: SegmentedStore, seconds: float = 4.0) -> tuple[float, float]:
    """Let reconcilers append as fast as they can; returns durable events a second, and events per segment."""
    journal = await store.open("benchmark")
    assert isinstance(journal, SegmentJournal)
    now = datetime.now(UTC)
    await journal.append(Started(at=now, run="r", name="b", plan="p", workspaces=1, changes=1), durable=True)
    until, count = time.monotonic() + seconds, 0

    def intent(number: int) -> Event:
        return Intent(
            at=now,
            run="r",
            workspace_id=f"ws-{number:09}",
            application_id="wsa-123456789",
            operation="DeployWorkspaceApplications",
            direction="install",
        )

    async def reconcile(number: int) -> None:
        nonlocal count
        while time.monotonic() < until:
            await journal.append(intent(number), durable=True)
            count += 1

    segments, began = journal.segments, time.monotonic()
    await asyncio.gather(*map(reconcile, range(RECONCILERS)))
    passed, written = time.monotonic() - began, journal.segments - segments
    await journal.close()
    return count / passed, count / max(1, written)


async def stores(database: str) -> list[str]:
    """Measure what the stores take, as a table."""

    @asynccontextmanager
    async def connect(_name: str) -> AsyncGenerator[SegmentStorage, None]:
        yield SlowStorage(Content())

    lines = ["| store | durable events/s | events per write | goal |", "|---|---:|---:|---|"]
    rate, per = await appends(SegmentedStore(connect, where="memory://"))
    lines.append(f"| S3, 30 ms per PUT (simulated) | {rate:,.0f} | {per:.0f} | ≥ 2,000; ≥ 50 |")
    opened = await open_database(parse_database(database))
    rate, per = await appends(store_in(opened))
    await opened.close()
    lines.append(f"| PostgreSQL | {rate:,.0f} | {per:.0f} | ≥ 5,000 |")
    return lines


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=300)
    parser.add_argument("--workspaces", type=int, default=200, help="of each target")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument(
        "--scale", type=float, default=2.0, help="how many times as fast as time the services run"
    )
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--every", type=float, default=20.0, help="seconds from one kill to the next")
    parser.add_argument("--rows", default="stores,alone,fleet,kills")
    parser.add_argument("--database", help="a database of yours; one is started where it is left out")
    parser.add_argument(
        "--page",
        type=Path,
        help=f"the page whose sections {HEADING!r} and {FLEETS!r} are written anew",
    )
    asked = parser.parse_args()
    rows: list[str] = asked.rows.split(",")

    with contextlib.ExitStack() as stack:
        database: str = asked.database or stack.enter_context(own_database())
        if "stores" in rows:
            found = asyncio.run(stores(database))
            print("\n".join(found), flush=True)
            if asked.page is not None:
                put_section(asked.page, HEADING, [ABOUT.format(cores=os.cpu_count()), *found])
        size = {"workspaces": asked.workspaces, "scale": asked.scale, "every": asked.every}
        print("", *HEADINGS, sep="\n")
        lines: list[str] = [*HEADINGS]
        alone: float | None = None
        if "alone" in rows:
            one = asyncio.run(roll_out(database, targets=1, workers=1, kills=0, **size))
            alone = one.wall
            lines.append(one.row(f"1 × {asked.workspaces}, 1 worker", None))
            print(lines[-1], flush=True)
        for name, kills in (("fleet", 0), ("kills", asked.kills)):
            if name in rows:
                many = asyncio.run(
                    roll_out(database, targets=asked.targets, workers=asked.workers, kills=kills, **size)
                )
                what = f"{asked.targets} × {asked.workspaces}, {asked.workers} workers{', killed' if kills else ''}"
                lines.append(many.row(what, alone))
                print(lines[-1], flush=True)
        if asked.page is not None and len(lines) > len(HEADINGS):
            about = ABOUT_FLEETS.format(scale=asked.scale, cores=os.cpu_count(), busy=BUSY, every=asked.every)
            put_section(asked.page, FLEETS, [about, *lines])


@contextlib.contextmanager
def own_database() -> Generator[str]:
    """Start a PostgreSQL."""
    with postgresql() as server:
        yield server.make("benchmark")


if __name__ == "__main__":
    main()
