"""Series over time, from the transitions of changes and the counters of runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from workspaces_apps.rollout._log.projections import Outcome
from workspaces_apps.rollout.report._model import OUTCOMES, Counts, ProgressPoint, TrafficPoint

POINTS: Final = 240
"""Points at most of a series; a screen has room for no more."""


class Transition(NamedTuple):
    """One change went from one outcome (None: it is not known) to another."""

    seconds: float
    before: Outcome | None
    after: Outcome | None


@dataclass
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


class UnitedTime(ActiveTime):
    """Time in which any of several runs went on, which may go on side by side.

    Args:
        spans: When each of them began and ended.
    """

    def __init__(self, spans: Iterable[tuple[datetime, datetime]]) -> None:
        super().__init__()
        self._united: list[tuple[datetime, datetime]] = []
        for began, ended in sorted(spans):
            if self._united and began <= self._united[-1][1]:
                self._united[-1] = self._united[-1][0], max(self._united[-1][1], ended)
            else:
                self._united.append((began, ended))

    def note(self, run: str, at: datetime) -> float:
        """Take in that something happened; the time spent until then."""
        del run  # whichever it was
        passed = sum((min(at, ended) - began).total_seconds() for began, ended in self._united if began < at)
        self.seconds: float = max(self.seconds, passed)
        return self.seconds


def thinned(points: Sequence[TrafficPoint]) -> tuple[TrafficPoint, ...]:
    """At most about `POINTS` of the points, the first and the last among them."""
    if len(points) <= POINTS:
        return tuple(points)
    stride = -(-len(points) // POINTS)
    return (*points[:-1:stride], points[-1])


def progress(transitions: Sequence[Transition], seconds: float) -> tuple[ProgressPoint, ...]:
    """Count the changes by outcome at moments evenly spread from 0 to `seconds`."""
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
            if after is not None:
                counts[after] += 1
            position += 1
        points.append(ProgressPoint(seconds=time, counts=frozen(counts)))
    return tuple(points)


def frozen(counts: Counts) -> Counts:
    """A copy with every outcome as a key, in the order of `OUTCOMES`."""
    return {outcome: counts.get(outcome, 0) for outcome in OUTCOMES}
