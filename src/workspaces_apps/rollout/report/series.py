"""How things stood over time, from the transitions of changes and the counters of runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from workspaces_apps.rollout.report.model import OUTCOMES, Counts, Outcome, ProgressPoint, TrafficPoint

POINTS: Final = 240
"""Points at most of a series; a screen has room for no more."""


class Transition(NamedTuple):
    """One change went from one outcome (None: it was not known) to another."""

    seconds: float
    before: Outcome | None
    after: Outcome


@dataclass(slots=True)
class ActiveTime:
    """Time spent in runs: the time between two runs is left out, and a clock that is set back stands still.

    Attributes:
        seconds: How much there was so far.
    """

    seconds: float = 0.0
    _run: str | None = None
    _last: datetime | None = None

    def note(self, run: str, at: datetime) -> float:
        """Take in that something happened; the time spent until then."""
        if run == self._run and self._last is not None:
            passed = (at - self._last).total_seconds()
            if passed > 0:
                self.seconds += passed
                self._last = at
        else:
            self._run, self._last = run, at
        return self.seconds


@dataclass(slots=True)
class Counters:
    """The requests that runs told of, added up over the runs.

    Attributes:
        points: How many there were, at each moment when a run told.
    """

    points: list[TrafficPoint] = field(default_factory=list[TrafficPoint])
    _told: dict[str, dict[str, tuple[int, int]]] = field(
        default_factory=dict[str, dict[str, tuple[int, int]]]
    )

    def begin(self, seconds: float) -> None:
        """Take in that a run begins: the next counters are counted from here."""
        self._put(seconds)

    def note(self, seconds: float, run: str, target: str, calls: int, throttled: int) -> None:
        """Take in the counters of a run, of one target or (``*``) of all."""
        told = self._told.setdefault(run, {})
        before = told.get(target, (0, 0))
        told[target] = max(before[0], calls), max(before[1], min(throttled, calls))
        self._put(seconds)

    def of(self, run: str) -> tuple[int, int] | None:
        """The requests that a run told of last, and how many were throttled; None if it told nothing."""
        told = self._told.get(run)
        if not told:
            return None
        # The entry for all targets covers those of single ones.
        parts = [told["*"]] if "*" in told else list(told.values())
        return sum(calls for calls, _ in parts), sum(throttled for _, throttled in parts)

    def _put(self, seconds: float) -> None:
        before = self.points[-1] if self.points else TrafficPoint(seconds=0.0, calls=0, throttled=0)
        sums = [self.of(run) or (0, 0) for run in self._told]
        # Counters only grow, whatever a journal says.
        self.points.append(
            TrafficPoint(
                seconds=seconds,
                calls=max(before.calls, sum(calls for calls, _ in sums)),
                throttled=max(before.throttled, sum(throttled for _, throttled in sums)),
            )
        )


def thinned(points: Sequence[TrafficPoint]) -> tuple[TrafficPoint, ...]:
    """At most about `POINTS` of the points, the first and the last among them."""
    if len(points) <= POINTS:
        return tuple(points)
    stride = -(-len(points) // POINTS)
    return (*points[:-1:stride], points[-1])


def progress(transitions: Sequence[Transition], seconds: float) -> tuple[ProgressPoint, ...]:
    """How many changes there were of each outcome, at moments evenly spread from 0 to `seconds`."""
    counts: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
    times = sorted({0.0, *(seconds * step / POINTS for step in range(1, POINTS)), seconds})
    points: list[ProgressPoint] = []
    position = 0
    for time in times:
        # At the last moment everything counts, however the times were rounded.
        while position < len(transitions) and (transitions[position].seconds <= time or time == seconds):
            _, before, after = transitions[position]
            if before is not None:
                counts[before] -= 1
            counts[after] += 1
            position += 1
        points.append(ProgressPoint(seconds=time, counts=frozen(counts)))
    return tuple(points)


def frozen(counts: Counts) -> Counts:
    """A copy with every outcome as a key, in the order of `OUTCOMES`."""
    return {outcome: counts.get(outcome, 0) for outcome in OUTCOMES}
