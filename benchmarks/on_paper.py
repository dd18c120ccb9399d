"""`python -m benchmarks.on_paper`: a very large roll-out by workers, as a model in virtual time.

Nothing of the library runs here. A target's calls, the processors of its workers, the appends to journals, the renewals of
leases and the one database are a few lines each, so that 5,000 targets with 1,000,000 WorkSpaces take some minutes.
What a call and a write cost is assumed, near what docs/distributed.md has measured; the page says so.
"""

import argparse
import heapq
import itertools
from collections import Counter
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.tables import put_section

HEADING: Final = "On paper: 5,000 targets, 1,000,000 WorkSpaces"
CALLS: Final = 6
"""Calls for each WorkSpace: a read, an Associate and a Deploy to begin, and three polls."""

EVENTS: Final = 8
EVENT_BYTES: Final = 250
LEASE_SECONDS: Final = 6.0
RENEWALS: Final = 3
TRUSTED: Final = 0.9
LINGER_SECONDS: Final = 1.0
CONCURRENCY: Final = 75
"""Targets that each worker holds at a time."""

WORKER_WRITES: Final = 2.0
"""Heartbeats, and polls of the queue, of the runs and of the clock, that each worker makes in a second."""

BUCKET: Final = 10
"""Seconds over which a peak is taken."""

Process: TypeAlias = Generator[float, None, None]
"""A process in virtual time: it yields when it is to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Size of a roll-out, its workers, and their costs.

    Attributes:
        targets: Targets.
        workspaces: WorkSpaces of each, with one change.
        workers: Workers, each a process on one core.
        concurrency: Targets that a worker holds at a time.
        rate: Calls a second of each operation.
        deployment: Seconds of a deployment.
        planning: Seconds of a plan.
        noticing: Seconds from a deployment's end to the poll that shows it.
        call: Seconds of a worker's processor for each call, with its reconciler and its record.
        write: Seconds of the database for each write.
    """

    targets: int = 5_000
    workspaces: int = 200
    workers: int
    concurrency: int
    rate: float = 2.0
    deployment: float = 900.0
    planning: float = 40.0
    noticing: float = 20.0
    call: float = 0.003
    write: float = 1 / 4500


@dataclass(slots=True)
class Server:
    """A processor, or the database: it serves one after the other.

    Attributes:
        free_at: When it is idle next.
        busy: Seconds that it has served.
        waited: The longest wait for it, in seconds.
    """

    free_at: float = 0.0
    busy: float = 0.0
    waited: float = 0.0

    def serve(self, now: float, seconds: float) -> float:
        """Serve somebody, and return when that is done."""
        begins = max(now, self.free_at)
        self.waited = max(self.waited, begins - now)
        self.busy += seconds
        self.free_at = begins + seconds
        return self.free_at


@dataclass(slots=True)
class Load:
    """Result of a model.

    Attributes:
        wall: Seconds until the last target had ended.
        target: Seconds of the target that was held longest.
        calls: Calls.
        segments: Segments of journals.
        renewals: Renewals of leases.
        suspended: Renewals that came late, so that the target began nothing for a moment.
        peaks: The most calls, segments and renewals a second.
        processors: The workers' processors.
        database: The database.
    """

    wall: float = 0.0
    target: float = 0.0
    calls: int = 0
    segments: int = 0
    renewals: int = 0
    suspended: int = 0
    peaks: dict[str, float] = field(default_factory=dict[str, float])
    processors: list[Server] = field(default_factory=list[Server])
    database: Server = field(default_factory=Server)

    @property
    def cores(self) -> float:
        """The cores that the workers keep busy, on average."""
        return sum(one.busy for one in self.processors) / self.wall

    @property
    def wait_for_core(self) -> float:
        """The longest wait of a call for its worker's core, in seconds."""
        return max(one.waited for one in self.processors)


class Model:
    """A roll-out in virtual time.

    Args:
        fleet: The fleet.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.now = 0.0
        self.load = Load(processors=[Server() for _ in range(fleet.workers)])
        self._queued = fleet.targets
        self._left = fleet.targets
        self._numbers = itertools.count()
        self._due: list[tuple[float, int, Process]] = []
        self._counts: dict[str, Counter[int]] = {
            name: Counter() for name in ("calls", "segments", "renewals")
        }

    def run(self) -> Load:
        """Let it run to its end."""
        fleet, load = self.fleet, self.load
        slots = [worker for _ in range(fleet.concurrency) for worker in load.processors]
        for number, worker in enumerate(slots):
            # Workers do not start in the same moment.
            self._start(self._slot(worker), number / len(slots))
        for number in range(fleet.workers):
            self._start(self._heartbeats(), number / fleet.workers)
        while self._due:
            self.now, _, process = heapq.heappop(self._due)
            at = next(process, None)
            if at is not None:
                self._start(process, at)
        load.calls, load.segments, load.renewals = (sum(one.values()) for one in self._counts.values())
        load.peaks = {name: max(counts.values()) / BUCKET for name, counts in self._counts.items()}
        return load

    def _start(self, process: Process, at: float) -> None:
        heapq.heappush(self._due, (at, next(self._numbers), process))

    def _calls(self, processor: Server, number: int) -> float:
        """Make calls, and return when a worker is done with them."""
        self._counts["calls"][int(self.now) // BUCKET] += number
        return processor.serve(self.now, number * self.fleet.call)

    def _write(self, name: str) -> float:
        """Write to the database, and return when that is done."""
        self._counts[name][int(self.now) // BUCKET] += 1
        return self.load.database.serve(self.now, self.fleet.write)

    def _heartbeats(self) -> Process:
        while self._left:
            self.load.database.serve(self.now, self.fleet.write)
            yield self.now + 1 / WORKER_WRITES

    def _slot(self, processor: Server) -> Process:
        """Carry targets out, one after the other, while there are any."""
        fleet = self.fleet
        while self._queued:
            self._queued -= 1
            since, held = self.now, _Held(fleet.workspaces)
            self._start(self._renewals(held), since + LEASE_SECONDS / RENEWALS)
            # The takeover.
            yield self._write("segments")
            yield self.now + fleet.planning
            # The intents of all Associates share a segment: their permits come later.
            yield self._write("segments")
            due = self.now
            for _ in range(fleet.workspaces):
                yield max(due, self.now)
                # A permit that is used late is not made up for.
                due = self.now + 1 / fleet.rate
                # A read and the Associate; the intent of the Deploy is to be written before it.
                yield self._calls(processor, 2)
                self._append(held, self._deploying(processor, held))
            while held.left:
                yield self.now + LINGER_SECONDS
            yield self._write("segments")
            held.released = True
            self._left -= 1
            self.load.target = max(self.load.target, self.now - since)
            self.load.wall = max(self.load.wall, self.now)

    def _deploying(self, processor: Server, held: "_Held") -> Process:
        """Deploy, and notice the end; the record of it lingers, to share a segment."""
        yield self._calls(processor, 1) + self.fleet.deployment + self.fleet.noticing
        yield self._calls(processor, CALLS - 3)
        held.left -= 1
        if not held.lingers:
            held.lingers = True
            yield self.now + LINGER_SECONDS
            if held.lingers:
                self._append(held, None)

    def _append(self, held: "_Held", then: Process | None) -> None:
        """Write to a target's journal with whatever else waits, and let a process go on after that."""
        held.waiting.append(then)
        if not held.writes:
            held.writes = True
            self._start(self._commit(held), self.now)

    def _commit(self, held: "_Held") -> Process:
        while held.waiting:
            group, held.waiting, held.lingers = held.waiting, [], False
            yield self._write("segments")
            for process in group:
                if process is not None:
                    self._start(process, self.now)
        held.writes = False

    def _renewals(self, held: "_Held") -> Process:
        renewed_at = self.now
        while not held.released:
            answered_at = self._write("renewals")
            self.load.suspended += answered_at - renewed_at > LEASE_SECONDS * TRUSTED
            renewed_at = self.now
            yield answered_at + LEASE_SECONDS / RENEWALS


@dataclass(slots=True)
class _Held:
    """A target that a worker holds.

    Attributes:
        left: WorkSpaces whose deployment was not seen to end yet.
        waiting: What goes on once the next segment is written; None for a record that nobody waits for.
        writes: Whether a segment is under way.
        lingers: Whether a record waits for others to share its segment.
        released: Whether it was given back.
    """

    left: int
    waiting: list[Process | None] = field(default_factory=list["Process | None"])
    writes: bool = False
    lingers: bool = False
    released: bool = False


ABOUT: Final = """\
`python -m benchmarks.on_paper --page docs/distributed.md` writes this section. It is a model in virtual time of the queue, the
workers' processors, the appends, the leases and the database; what it assumes: 200 WorkSpaces and one application for each
target, 2 calls/s of each operation, 15 minutes a deployment, 6 calls for each WorkSpace (4 polls, an Associate and a Deploy; see
[docs/benchmarks.md](benchmarks.md)), 3 ms of a core for each call with its reconciler and its record, 4,500 writes/s of the
database, and 75 targets for each worker.
"""

BREAKS: Final = """
**What breaks first** is the database. A Deploy waits for the segment with its intent, so that targets which all begin at once ask
for a segment for nearly every WorkSpace, twice a second each, besides their renewals. Once it is at its limit, the intents of a
target share segments, so that the whole takes hardly longer; but renewals come late, and a target whose lease is suspended begins
nothing until the next one (a moment, which the model leaves out). Next is the CPU of the workers: a worker is one process, and
its core is full while all of its targets begin or end. All of it is in proportion to the targets *held at a time*, so
`--concurrency` and the number of workers are the control. Autovacuum must keep up with the renewals, which are updates of the
same rows. The model counts each write by itself; in fact the targets of a worker share statements, so that the renewals of 75
targets are about three statements a second, and segments that are asked for at the same time are one. The rate limit of the
service, per account and Region, is never shared between targets.
"""


def rows(loads: Mapping[str, tuple[Fleet, Load]]) -> list[str]:
    """Return the table, a column for each roll-out."""

    def row(what: str, cells: list[str]) -> str:
        return f"| {what} | {' | '.join(cells)} |"

    found = loads.values()
    return [
        row("what", list(loads)),
        f"|---|{'---:|' * len(loads)}",
        row("workers", [f"{fleet.workers:,}" for fleet, _ in found]),
        row("wall, min", [f"{load.wall / 60:.0f}" for _, load in found]),
        row("the slowest target, min", [f"{load.target / 60:.1f}" for _, load in found]),
        row("calls", [f"{load.calls:,}" for _, load in found]),
        row(
            "calls/s, on average; at most",
            [pair(load.calls / load.wall, load.peaks["calls"]) for _, load in found],
        ),
        row("cores that the workers keep busy, on average", [f"{load.cores:.1f}" for _, load in found]),
        row(
            "longest wait of a call for its worker's core, s",
            [f"{load.wait_for_core:.1f}" for _, load in found],
        ),
        row("events (text)", [events(fleet) for fleet, _ in found]),
        row("segments", [f"{load.segments:,}" for _, load in found]),
        row(
            "segments/s, on average; at most",
            [pair(load.segments / load.wall, load.peaks["segments"]) for _, load in found],
        ),
        row("renewals of leases/s, at most", [f"{load.peaks['renewals']:,.0f}" for _, load in found]),
        row(
            "heartbeats and polls of workers/s",
            [f"{fleet.workers * WORKER_WRITES:,.0f}" for fleet, _ in found],
        ),
        row("the database is busy", [f"{load.database.busy / load.wall:.0%}" for _, load in found]),
        row("longest wait for the database, s", [f"{load.database.waited:.1f}" for _, load in found]),
        row("renewals that came late", [f"{load.suspended:,}" for _, load in found]),
    ]


def pair(average: float, most: float) -> str:
    """Return an average and a peak, as a cell has them."""
    return f"{average:,.0f}; {most:,.0f}"


def events(fleet: Fleet) -> str:
    """Return how many events there are, and their size."""
    count = fleet.targets * fleet.workspaces * EVENTS
    return f"{count:,} ({count * EVENT_BYTES / 1e9:.1g} GB)"


def main() -> None:
    """Let the models run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=5_000)
    parser.add_argument("--held", type=int, default=1_000, help="targets at a time, for the second column")
    parser.add_argument("--page", type=Path, help=f"the page whose section {HEADING!r} is written anew")
    asked = parser.parse_args()

    loads: dict[str, tuple[Fleet, Load]] = {}
    for name, held in ((f"{asked.held:,} at a time", asked.held), ("all at a time", asked.targets)):
        workers = max(1, round(held / CONCURRENCY))
        fleet = Fleet(targets=asked.targets, workers=workers, concurrency=-(-held // workers))
        loads[name] = fleet, Model(fleet).run()
    print("\n".join(rows(loads)))
    if asked.page is not None:
        put_section(asked.page, HEADING, [ABOUT, *rows(loads), BREAKS])


if __name__ == "__main__":
    main()
