"""The schedule of polls: intervals and timers, and what an observer has learned of how long things take."""

from __future__ import annotations

import heapq
import itertools
import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workspaces_apps._base.logs import field_logger
from workspaces_apps._observe.reads import IDS, PageCounts, ReadPlan, make_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from workspaces_apps._observe.lanes import Watched
    from workspaces_apps.errors import WorkSpacesError


TINY: Final = 1e-6
"""Seconds; a moment that is nearer than this has come, whatever the rounding of clocks."""

_SPARE: Final = 64


class Timer:
    """A call that is due at a moment; `cancel` takes it back."""

    __slots__ = ("callback", "order", "when")

    def __init__(self, when: float, order: int, callback: Callable[[], None]) -> None:
        self.when: float = when
        self.order: int = order
        self.callback: Callable[[], None] | None = callback

    def __lt__(self, other: Timer) -> bool:
        return (self.when, self.order) < (other.when, other.order)

    def cancel(self) -> None:
        """Take it back; nothing happens if it was called already."""
        self.callback = None


class Timers:
    """Calls at moments, without a task for each."""

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._order = itertools.count()
        self._sweep_at = _SPARE

    def at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Have something called at a moment, in seconds of the clock's `monotonic`."""
        if len(self._heap) > self._sweep_at:
            self._heap = [timer for timer in self._heap if timer.callback is not None]
            heapq.heapify(self._heap)
            self._sweep_at = 2 * len(self._heap) + _SPARE
        timer = Timer(when, next(self._order), callback)
        heapq.heappush(self._heap, timer)
        return timer

    @property
    def soonest(self) -> float:
        """The moment of the next call; infinity if there is none."""
        while self._heap and self._heap[0].callback is None:
            heapq.heappop(self._heap)
        return self._heap[0].when if self._heap else math.inf

    def run(self, now: float) -> None:
        """Make the calls whose moment has come."""
        while self.soonest <= now + TINY:
            callback = heapq.heappop(self._heap).callback
            if callback is not None:
                callback()


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
_NEAR_SECONDS: Final = 15.0
"""The age at which the end is near: this share of the shortest durations, or so many seconds before they have passed, if
that is later."""

_QUANTILE: Final = 0.02
_KEPT: Final = 500

_LATENESS: Final = 0.05
"""The share of a step of the grid by which a moment counts as that of the step before."""

_ENOUGH: Final = 10
"""Deployments that must have been seen before they are taken to be alike."""

_MOST_OF_THEM: Final = 0.9
_ALIKE: Final = 90.0
"""Seconds within which most deployments end that are alike."""

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

    def aligned(self, moment: float, parts: float = 1) -> float:
        """Return the first moment of the grid, or of a grid of so many parts of it, that is not before this one.

        One that has only just passed counts: a round begins a little after its moment, and what is planned from there on
        would miss each next one.
        """
        grid = self.grid / parts
        return math.ceil(moment / grid - _LATENESS) * grid if grid else moment

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
        self._seen: deque[tuple[float, float]] = deque()
        # The same, each in order.
        self._least: list[float] = []
        self._middle: list[float] = []
        self._vague = True

    def __bool__(self) -> bool:
        return bool(self._seen)

    def add(self, least: float, most: float) -> None:
        """Count a deployment that took more than `least` and at most `most` seconds.

        One that was polled too rarely to tell its end within a few minutes counts only while nothing better is known:
        the shortest of many such would be far too short.
        """
        vague = most - least > _VAGUE
        if vague and not self._vague:
            return
        if self._vague and not vague:
            self._seen.clear()
            self._least.clear()
            self._middle.clear()
            self._vague = False
        if len(self._seen) == _KEPT:
            for kept, old in zip((self._least, self._middle), self._seen.popleft(), strict=True):
                del kept[bisect_left(kept, old)]
        middle = (least + most) / 2
        self._seen.append((least, middle))
        insort(self._least, least)
        insort(self._middle, middle)

    @property
    def near(self) -> float | None:
        """The age from which a deployment may end any moment; None while nothing is known."""
        if not self._least:
            return None
        short = self._least[int(_QUANTILE * len(self._least))]
        return max(_NEAR * short, short - _NEAR_SECONDS)

    def ends(self, count: int, seconds: float) -> float:
        """Return how many of so many deployments end within some seconds, where some begin as others end."""
        usual = self._middle[len(self._middle) // 2] if self._middle else 0.0
        return count * seconds / usual if usual else 0.0

    def all_within(self, seconds: float) -> bool:
        """Tell if every deployment that was seen has taken that long at most; False while none was."""
        return bool(self._middle) and self._middle[-1] <= seconds

    def are_alike(self, least: float) -> bool:
        """Tell if deployments take about as long as each other, so that few polls find the end of each.

        Args:
            least: Seconds that they take at least.
        """
        count = len(self._seen)
        if self._vague or count < _ENOUGH or self._middle[count // 2] < least:
            return False
        return self._middle[int(_MOST_OF_THEM * count)] - self._least[int(_QUANTILE * count)] <= _ALIKE

    @property
    def read_after(self) -> float:
        """Seconds after which associations are read, whatever the state of the WorkSpace says."""
        middle = self._middle
        if not middle:
            return _FIRST_READ
        # Bounded by constants too: ends that are noticed late would lengthen the durations, and those the bound.
        return min(_MOST_READ, max(_LEAST_READ, 1.5 * middle[len(middle) // 2]))

    def chance(self, before: float, now: float) -> float:
        """Return the chance that a deployment has ended by the age `now` which had not by `before`."""
        middle = self._middle
        if not middle or now < _NEAR * self._least[0]:
            return 0.0
        past = bisect_right(middle, before)
        # One more than were seen: some deployment takes longer than all before it. Those seen first are the short ones, so
        # that the chance is never taken for less than a twentieth.
        return max(_LEAST_CHANCE, (bisect_right(middle, now) - past) / (len(middle) - past + 1))


_log = field_logger("workspaces_apps.observe")

_NEVER_UPDATING: Final = 8
"""WorkSpaces that were never seen UPDATING during a deployment, after which the hint is not relied on."""

_REST: Final = 1.5
"""Ticks within which a deployment that may end any moment must have been polled to be left out of a round."""

_QUICK: Final = 30.0
"""Seconds within which every deployment has ended where they are quick, as those of a test."""

_WORTH_A_FINE_POLL: Final = 2.0
"""Deployments that will have ended, as far as can be foreseen, by the next poll at a finer grid."""

_WORTH_WAITING_FOR: Final = 0.1
"""The same for each WorkSpace that is left, where they are few."""

_YOUNG_REST: Final = 600.0
"""Seconds within which one that is too young to have ended must have been polled to be left out of a round."""


class Experience:
    """The durations and rates that an observer has learned.

    Attributes:
        durations: How long deployments take.
        lags: How long associations stay in flight after the WorkSpace has ceased to be UPDATING.
        counts: How long the listings are.
        rows: The WorkSpaces of each listing, in its order.
        unlisted: Applications that cannot be listed.
        hint_denied: Whether states may not be read.
        reads_denied: Whether WorkSpaces may not be read one by one.
        hint_seen: Whether any WorkSpace was seen UPDATING.
        never_updating: WorkSpaces that were not, although a deployment was in flight.
    """

    def __init__(self) -> None:
        self.durations: Durations = Durations()
        self.lags: Durations = Durations()
        self.counts: PageCounts = PageCounts()
        self.rows: dict[str, tuple[str, ...]] = {}
        self.unlisted: set[str] = set()
        self.hint_denied: bool = False
        self.reads_denied: bool = False
        self.hint_seen: bool = False
        self.never_updating: set[str] = set()

    def deny_hints(self, error: WorkSpacesError) -> None:
        """Note that states may not be read."""
        if not self.hint_denied:
            _log.warning(
                "DescribeWorkspaces is not allowed: the associations alone tell when a deployment ends: %s", error,
                extra={"operation": "DescribeWorkspaces", "request_id": error.request_id},
            )  # fmt: skip
        self.hint_denied = True

    @property
    def hints_off(self) -> bool:
        """Tell if polls do without the states of WorkSpaces."""
        return self.hint_denied or (not self.hint_seen and len(self.never_updating) >= _NEVER_UPDATING)

    def must_read(self, watched: Watched, now: float) -> bool:
        """Tell if the associations must be read, whatever a hint would say."""
        for one in watched.subscriptions:
            if one.unread or one.applications is None or one.schedule.strict:
                return True
        return now - watched.read_at >= self.durations.read_after - TINY or watched.hint_failures > 1

    def awry_until(self, watched: Watched, now: float) -> float:
        """Return when a WorkSpace is polled again that is not UPDATING although an association is in flight."""
        until = now + awry_delay(watched.awry - 1)
        lag = self.lags.near
        return until if lag is None else max(until, watched.awry_since + lag)

    def needs(self, reads: Iterable[Watched]) -> dict[str, frozenset[str]]:
        """Return by WorkSpace the applications to be read, where listings can show them."""
        found: dict[str, frozenset[str]] = {}
        for watched in reads:
            applications = watched.applications
            if applications and self.unlisted.isdisjoint(applications):
                found[watched.workspace_id] = applications
        return found

    def plan(self, reads: Iterable[Watched]) -> ReadPlan:
        """Return the cheapest reads; what may not be read by itself is listed."""
        needs = self.needs(reads)
        if self.reads_denied:
            return ReadPlan(listings=frozenset[str]().union(*needs.values()), singles=())
        return make_plan(needs, self.counts)

    def cost(self, reads: Sequence[Watched]) -> int:
        """Return the calls that the cheapest reads are expected to take."""
        needs = self.needs(reads)
        plan = self.plan(reads)
        followers = Counter(one for applications in needs.values() for one in applications)
        listed = sum(self.counts.pages(one, followers[one]) for one in plan.listings)
        return listed + len(plan.singles) + len(reads) - len(needs)

    def chance(self, watched: Watched, now: float) -> float:
        """Return the chance that a deployment has ended since it was last seen to go on."""
        if watched.awry:
            return 1.0
        return self.durations.chance(watched.moving_at - watched.since, now - watched.since)

    def is_fine(self, watched: Collection[Watched], now: float, tick: float) -> bool:
        """Tell if polls at a finer grid tell much: all deployments are quick, or those that are left fit in one call.

        Args:
            watched: Everything that is observed.
            now: The moment.
            tick: Seconds from poll to poll at that grid.
        """
        if self.durations.all_within(_QUICK):
            return True
        # The last of a fleet decide when all is over, the very last alone.
        worth = min(_WORTH_A_FINE_POLL, _WORTH_WAITING_FOR * len(watched))
        return len(watched) <= IDS and sum(self.chance(one, now + tick) for one in watched) >= worth

    def is_worth_it(self, count: int, tick: float) -> bool:
        """Tell if a call at each tick shows several ends, where so many deployments go on all the time."""
        return self.durations.ends(count, tick) >= _WORTH_A_FINE_POLL

    def can_wait(self, watched: Watched, now: float) -> bool:
        """Tell if a deployment may be left out of one round: nobody asked for polls at certain intervals."""
        near = self.durations.near
        if near is None or any(one.at_once or one.schedule.bound < math.inf for one in watched.subscriptions):
            return False
        tick = max(one.schedule.tick for one in watched.subscriptions)
        rest = _YOUNG_REST if now - watched.since < near else _REST * tick
        return now - watched.round_at < rest

    def reads_are_cheaper(
        self, hints: Sequence[Watched], states: Sequence[Watched], reads: Sequence[Watched], now: float
    ) -> bool:
        """Weigh a hint, and the reads it leads to, against reading at once and asking for states afterwards.

        Args:
            hints: The WorkSpaces that could do with a hint.
            states: Those whose states are read anyway.
            reads: Those whose associations are.
            now: The moment.
        """
        if len(hints) + len(states) + len(reads) == 1:
            return True
        ended = sum(self.chance(one, now) for one in hints)
        read = self.cost([*hints, *reads]) - self.cost(reads)
        hint = calls_for(len(hints) + len(states)) - calls_for(len(states))
        return read + ended / IDS < hint + min(ended, read)


def calls_for(ids: int) -> int:
    """Return the calls that show the states of so many WorkSpaces."""
    return -(-ids // IDS)
