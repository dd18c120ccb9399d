"""The schedule of polls: how often a subscription wants news, and when deployments are likely to end."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from typing import Final

TOLERATED_POLLS: Final = 10
"""Polls in a row that may fail before whoever follows a deployment or a resource gives up."""

AWRY_FIRST: Final = 10.0
"""Seconds until a WorkSpace is polled again that is not UPDATING although a deployment is in flight."""

_AWRY_GROWTH: Final = 1.3
_AWRY_LONGEST: Final = 60.0

_WIDE: Final = 2.0
_WIDER: Final = 4.0
_EARLY: Final = 1.5

_NEAR: Final = 0.95
_QUANTILE: Final = 0.02
_KEPT: Final = 500

_LEAST_CHANCE: Final = 0.05
_VAGUE: Final = 120.0

_FIRST_READ: Final = 1200.0
_LEAST_READ: Final = 600.0
_MOST_READ: Final = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The intervals at which a subscription is polled.

    Where little is known of how long deployments take, and long before one is likely to end, a poll costs more than
    it tells. So there are *optional* polls, which share one call among all subscriptions, and *required* ones.

    Attributes:
        shortest: Seconds to the next optional poll at the beginning and after a change.
        tick: Seconds to the next poll once the end is near; the longest between optional ones.
        growth: What the delay of optional polls is multiplied by after each that showed nothing new.
        jitter: The share of each delay that is left to chance.
        first: The age in seconds at which a required poll comes first; then at doubling ages.
        bound: Seconds between required polls at most.
        eager: Whether optional polls go on once it is known how long deployments take.
        strict: Whether every optional poll is required, and every poll reads associations: somebody wants each change.
        spacing: Seconds of a tick for each call in it, at least, so that large fleets are polled less often.
        grid: Seconds; required polls happen at multiples of it, so that they share calls. 0 for any moment.
        along: What is due within this share of a delay is polled along with what is due now.
    """

    shortest: float = 5.0
    tick: float = 30.0
    growth: float = 1.5
    jitter: float = 0.0
    first: float = 60.0
    bound: float = math.inf
    eager: bool = True
    strict: bool = False
    spacing: float = 0.0
    grid: float = 0.0
    along: float = 0.2

    def aligned(self, moment: float, parts: int = 1) -> float:
        """Return the first moment of the grid, or of a grid of so many parts of it, that is not before this one."""
        grid = self.grid / parts
        return math.ceil(moment / grid - 1e-9) * grid if grid else moment

    def next_age(self, age: float, *, known: bool) -> float:
        """Return the age of a deployment at which it is polled next while its end is not near.

        Args:
            age: The age of the last poll, which counts for an age that it came close to.
            known: Whether it is known how long deployments take; then fewer polls do.
        """
        following = self.first * (_WIDER if known else 1.0)
        while following <= _EARLY * age:
            following *= _WIDER if known else _WIDE
        return following


DEPLOYMENT_SCHEDULE: Final = Schedule(
    shortest=28.0, tick=28.0, growth=1.0, eager=False, spacing=1.0, grid=28.0, along=0.5
)
"""The schedule of roll-outs, tuned by simulation; `python -m benchmarks.rollout` shows what it achieves."""


def awry_delay(times: int) -> float:
    """Return the seconds until the next poll where the state of a WorkSpace has contradicted so many times in a row."""
    return min(_AWRY_LONGEST, AWRY_FIRST * _AWRY_GROWTH ** min(times, 20))


class Durations:
    """The durations of deployments as far as polls have seen them.

    A deployment that ended between two polls counts with the moment of the former where it matters not to be late,
    and with the middle where an expectation is wanted. What ended in ERROR does not count: it ended early.
    """

    def __init__(self) -> None:
        self._least: deque[float] = deque(maxlen=_KEPT)
        self._middle: deque[float] = deque(maxlen=_KEPT)
        self._sorted: tuple[list[float], list[float]] | None = None
        self._vague = True

    def __bool__(self) -> bool:
        return bool(self._least)

    def add(self, least: float, most: float) -> None:
        """Count a deployment that took more than `least` and at most `most` seconds.

        One that was polled too rarely to tell its end within a few minutes counts only while nothing better is known:
        the shortest of many such would be far too short.
        """
        vague = most - least > _VAGUE
        if vague and not self._vague:
            return
        if self._vague and not vague:
            self._least.clear()
            self._middle.clear()
            self._vague = False
        self._least.append(least)
        self._middle.append((least + most) / 2)
        self._sorted = None

    @property
    def near(self) -> float | None:
        """The age from which a deployment may end any moment; None while nothing is known."""
        if not self._least:
            return None
        least = self._in_order()[0]
        return _NEAR * least[int(_QUANTILE * len(least))]

    def all_within(self, seconds: float) -> bool:
        """Tell if every deployment that was seen has taken that long at most; False while none was."""
        return bool(self._middle) and self._in_order()[1][-1] <= seconds

    @property
    def read_after(self) -> float:
        """Seconds after which associations are read, whatever the state of the WorkSpace says."""
        if not self._middle:
            return _FIRST_READ
        middle = self._in_order()[1]
        # Bounded by constants too: ends that are noticed late would lengthen the durations, and those the bound.
        return min(_MOST_READ, max(_LEAST_READ, 1.5 * middle[len(middle) // 2]))

    def chance(self, before: float, now: float) -> float:
        """Return the chance that a deployment has ended by the age `now` which had not by `before`."""
        if not self._middle or now < _NEAR * self._in_order()[0][0]:
            return 0.0
        middle = self._in_order()[1]
        past = bisect_right(middle, before)
        # One more than were seen: some deployment takes longer than all before it. Those seen first are the short ones, so
        # that the chance is never taken for less than a twentieth.
        return max(_LEAST_CHANCE, (bisect_right(middle, now) - past) / (len(middle) - past + 1))

    def _in_order(self) -> tuple[list[float], list[float]]:
        if self._sorted is None:
            self._sorted = sorted(self._least), sorted(self._middle)
        return self._sorted
