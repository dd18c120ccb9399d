"""Rate limiters: the policy `Pacing`, the rules of a rate, permits to send, and one limiter for each pacing key."""

import asyncio
import contextvars
import heapq
import math
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Final, Literal, NamedTuple, Self, TypeAlias
from weakref import ReferenceType, WeakSet, WeakValueDictionary, ref

from workspaces_apps._base.clock import (
    Clock,
    SystemClock,
    running_loop,
    start_detached,
    to_float,
    to_seconds,
)
from workspaces_apps._base.logs import rpc_method
from workspaces_apps._base.public import public
from workspaces_apps._telemetry.port import Attributes, MetricName
from workspaces_apps.errors import ConfigurationError, DeadlineExceededError

Mode: TypeAlias = Literal["adaptive", "fixed", "off"]


@public("workspaces_apps")
@dataclass(frozen=True, slots=True)
class Pacing:
    """The rate at which the calls of one operation may follow each other; made by `adaptive`, `fixed` or `off`.

    Examples:
        >>> from workspaces_apps import ClientConfig, Pacing
        >>> config = ClientConfig(pacing=Pacing.fixed(rate=2, burst=5))
        >>> config.pacing
        Pacing(mode='fixed', rate=2, burst=5)
    """

    mode: Mode = "adaptive"
    """``adaptive``, ``fixed`` or ``off``."""
    rate: float | None = None
    """Calls a second, where they are fixed."""
    burst: int = 1
    """The number of calls that may go at once after a pause, where the rate is fixed."""

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ConfigurationError: A field breaks its rule; the message names both.
        """
        if self.mode not in ("adaptive", "fixed", "off"):
            raise ConfigurationError(f"Pacing.mode must be adaptive, fixed or off, not {self.mode!r}")
        _require_burst(self.burst)
        if self.mode != "fixed":
            if self.rate is not None or self.burst != 1:
                raise ConfigurationError("Pacing.rate and Pacing.burst belong to Pacing.fixed only")
            return
        if (
            isinstance(self.rate, bool)
            or not isinstance(self.rate, int | float)
            or not 0 < to_float(self.rate) < math.inf
        ):
            rate = to_float(self.rate) if isinstance(self.rate, int | float) else self.rate
            raise ConfigurationError(
                f"Pacing.rate must be a finite number of calls a second, more than 0, not {rate!r}"
            )
        to_seconds(to_float(self.burst) / self.rate, "Pacing.burst divided by Pacing.rate")

    @classmethod
    def adaptive(cls) -> "Pacing":
        """Free until the service throttles, with a window that grows with success; then a learned rate."""
        return cls("adaptive")

    @classmethod
    def fixed(cls, rate: float, burst: int = 1) -> "Pacing":
        """Keep to a rate that is known, whatever the service answers.

        Args:
            rate: Calls a second.
            burst: How many calls may go at once after a pause.

        Raises:
            ConfigurationError: The rate is not a positive finite number, or the burst not a positive integer.
        """
        return cls("fixed", rate, burst)

    @classmethod
    def off(cls) -> "Pacing":
        """Return a policy without pacing."""
        return cls("off")


def _require_burst(burst: object) -> None:
    if isinstance(burst, bool) or not isinstance(burst, int) or burst < 1:
        raise ConfigurationError(f"Pacing.burst must be an integer, 1 or more, not {burst!r}")


class Tuning(NamedTuple):
    """The numbers of `AdaptiveRate`, found by simulation; `tests/pacing/test_bars.py` holds what they achieve.

    Growth is counted in answers and not in seconds: then a fraction of the answers, the same at any rate, is
    throttled in the search for the limit.

    Attributes:
        window: Calls in flight at most before the first throttle.
        window_growth: What each success adds to the window.
        start_rate: Calls a second after the first throttle.
        ramp: What each success adds to the rate until the next throttle.
        settle: What the rate is multiplied by at that throttle.
        cut: What the rate is multiplied by at every later one.
        recovery: Answers in which growth makes good for a cut, acceleration aside.
        acceleration: Answers since the last cut after which growth has doubled; it goes on quadratically.
        level_rate: Calls a second below which the rate grows faster than that, and above which slower. With
            growth in proportion, of two processes on one bucket the slower would stay slow.
        level_bound: How much faster or slower at most.
        slack: Seconds that a call may be late without loss of rate: timers are never punctual.
        proof: Answers at the full rate since the last cut after which the rate is proven. The throttle before the
            cut told that nothing was left over, so that a rate which lasts for so many calls is at most a
            twentieth too high.
        floor: The lowest rate in calls a second; below it, learning that more is possible would take minutes.
    """

    window: float = 8.0
    window_growth: float = 0.5
    start_rate: float = 2.0
    ramp: float = 0.7
    settle: float = 0.6
    cut: float = 0.8
    recovery: float = 120.0
    acceleration: float = 120.0
    level_rate: float = 8.0
    level_bound: float = 2.0
    slack: float = 0.05
    proof: int = 20
    floor: float = 0.1


DEFAULT_TUNING: Final = Tuning()


PermitOutcome: TypeAlias = Literal["succeeded", "throttled", "failed", "unused"]
"""The end of a request, as far as its rate is concerned."""

_LoopRef: TypeAlias = ReferenceType[asyncio.AbstractEventLoop]


class Permit:
    """The leave to send one request; say exactly once how it ended.

    The first of `succeeded`, `throttled`, `failed`, `cancelled`, `unused` and `close` counts; what follows does nothing.

    Attributes:
        sent_at: When the turn came, or was renewed, in seconds of the pacer's clock.
        loop: The event loop whose task it is for; None outside of any.
    """

    __slots__ = ("_on_release", "loop", "sent_at")

    def __init__(
        self, sent_at: float, loop: _LoopRef | None, on_release: Callable[["Permit", PermitOutcome], None]
    ) -> None:
        self.sent_at: float = sent_at
        self.loop: _LoopRef | None = loop
        self._on_release: Callable[[Permit, PermitOutcome], None] | None = on_release

    def release(self, outcome: PermitOutcome) -> None:
        """Give the slot back, and say how the request ended."""
        on_release, self._on_release = self._on_release, None
        if on_release is not None:
            on_release(self, outcome)

    def succeeded(self) -> None:
        """Note that the service did not object to the rate: it did what was asked, or refused for another reason."""
        self.release("succeeded")

    def throttled(self) -> None:
        """Note that the service objected to the rate."""
        self.release("throttled")

    def failed(self) -> None:
        """Note an end that says nothing of the rate."""
        self.release("failed")

    def unused(self) -> None:
        """Give the turn back: no request was sent with it."""
        self.release("unused")

    def close(self) -> None:
        """Give the slot back if nothing else has."""
        self.release("failed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RateRule:
    """Decides when calls may go; this one says: always.

    Times are seconds of one monotonic clock. Whoever uses a rule serialises the calls to it.
    """

    __slots__ = ()

    @property
    def rate(self) -> float | None:
        """The calls a second it allows at the moment; None if it sets no rate."""
        return None

    @property
    def proven(self) -> float | None:
        """The same once it has stood the test, None before."""
        return self.rate

    def delay(self, now: float, in_flight: int) -> float:  # noqa: ARG002 - what other rules need
        """Return the seconds until the next call may go: 0 for now, infinity for not before an answer comes."""
        return 0.0

    def eta(self, now: float, ahead: int) -> float:  # noqa: ARG002
        """Return the seconds until a call may go that has `ahead` calls waiting before it, at the soonest."""
        return 0.0

    def reserve(self, now: float, in_flight: int) -> None:
        """Count a call as gone, with `in_flight` others on the way."""

    def cancel(self) -> None:
        """Count a call as not gone after all: its task was cancelled in the last moment."""

    def succeeded(self) -> None:
        """Learn from a call that the service did not object to."""

    def throttled(self, now: float, sent_at: float) -> None:
        """Learn from a throttle of a call that went at `sent_at`."""


class FixedRate(RateRule):
    """A rate that is known: a bucket of `burst` calls that refills at `rate` a second."""

    __slots__ = ("_empty_at", "_rate", "_span")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        # The bucket as a point in time: `span` after `empty_at` it is full.
        self._span = burst / rate
        self._empty_at = -math.inf

    @property
    def rate(self) -> float | None:
        """The calls a second it allows."""
        return self._rate

    def delay(self, now: float, in_flight: int) -> float:  # noqa: ARG002
        """Return the seconds until the bucket holds a call."""
        return max(0.0, self._empty_at + 1.0 / self._rate - now)

    def eta(self, now: float, ahead: int) -> float:
        """Return the seconds until it has held one call more than `ahead`."""
        # From an empty bucket onwards; while it holds calls, the first few go at once.
        return max(0.0, max(self._empty_at, now - self._span) + (ahead + 1) / self._rate - now)

    def reserve(self, now: float, in_flight: int) -> None:  # noqa: ARG002
        """Take a call out of the bucket."""
        self._empty_at = max(self._empty_at, now - self._span) + 1.0 / self._rate

    def cancel(self) -> None:
        """Put a call back."""
        self._empty_at -= 1.0 / self._rate


class AdaptiveRate(RateRule):
    """Free while the service does not object, then a rate that is found by asking for more and cutting back.

    Free: as many calls in flight as the window, which grows with success. The first throttle sets a low rate,
    which grows fast until the second; that settles it. From then on a throttle cuts, and successes grow the
    rate slowly, faster the longer no cut was needed. Throttles of calls that went before the last cut say
    nothing new, and successes of calls that came slower than they might have say nothing of the limit.
    """

    __slots__ = ("_answers", "_cut_at", "_next_at", "_probing", "_rate", "_settled", "_tuning", "_window")

    def __init__(self, tuning: Tuning = DEFAULT_TUNING) -> None:
        self._tuning = tuning
        self._window = tuning.window
        self._rate: float | None = None
        self._settled = False
        self._answers = 0
        self._cut_at = -math.inf
        self._next_at = -math.inf
        self._probing = False

    @property
    def rate(self) -> float | None:
        """The learned rate in calls a second; None before the first throttle."""
        return self._rate

    @property
    def window(self) -> float:
        """Calls in flight at most while the rate is not learned."""
        return self._window

    @property
    def settled(self) -> bool:
        """Tell if the fast growth after the first throttle is over."""
        return self._settled

    @property
    def proven(self) -> float | None:
        """The learned rate, once enough calls have gone at it without a throttle; None before."""
        return self._rate if self._settled and self._answers >= self._tuning.proof else None

    def delay(self, now: float, in_flight: int) -> float:
        """Return the seconds until the rate allows a call; without one, 0 while the window is not full."""
        if self._rate is None:
            return 0.0 if in_flight < self._window else math.inf
        return max(0.0, self._next_at - now)

    def eta(self, now: float, ahead: int) -> float:
        """Return the seconds until a call may go that has `ahead` calls waiting before it, if none is throttled."""
        if self._rate is None:
            return 0.0
        first = max(0.0, self._next_at - now)
        if self._settled:
            return first + ahead / self._rate
        # Each call ahead may succeed and quicken the ones behind it, so the rate grows exponentially.
        return first + math.log1p(self._tuning.ramp * ahead / self._rate) / self._tuning.ramp

    def reserve(self, now: float, in_flight: int) -> None:
        """Move the next turn on by one interval, and note whether what is allowed is made use of."""
        if self._rate is None:
            self._probing = in_flight + 1 >= self._window / 2
            return
        interval = 1.0 / self._rate
        self._probing = now - self._next_at < max(interval, self._tuning.slack)
        late_from = now - min(self._tuning.slack, interval)
        self._next_at = max(self._next_at, late_from) + interval

    def cancel(self) -> None:
        """Move the next turn back by one interval."""
        if self._rate is not None:
            self._next_at -= 1.0 / self._rate

    def succeeded(self) -> None:
        """Grow the window, or the rate."""
        if not self._probing:
            return
        tuning = self._tuning
        self._answers += 1
        if self._rate is None:
            self._window += tuning.window_growth
        elif not self._settled:
            self._rate += tuning.ramp
        else:
            step = (1.0 - tuning.cut) / tuning.recovery
            quicker = 1.0 + (self._answers / tuning.acceleration) ** 2
            bound = tuning.level_bound
            level = min(bound, max(1.0 / bound, tuning.level_rate / self._rate))
            self._rate *= 1.0 + step * quicker * level

    def throttled(self, now: float, sent_at: float) -> None:
        """Set or cut the rate, unless a later cut has answered this throttle already."""
        tuning = self._tuning
        if sent_at <= self._cut_at:
            return
        if self._rate is None:
            self._rate = tuning.start_rate
        elif not self._settled:
            self._rate *= tuning.settle
            self._settled = True
        else:
            self._rate *= tuning.cut
        self._rate = max(self._rate, tuning.floor)
        self._answers = 0
        self._cut_at = now
        self._next_at = max(self._next_at, now + 1.0 / self._rate)


_TINY: Final = 1e-9
"""Seconds; a turn that is nearer than this has come, whatever the rounding of clocks."""

POLL_SHARE: Final = 0.5
"""The share of a proven rate that polls may take, so that other calls get the rest."""

_SPARE_DEADLINES: Final = 64
"""Deadlines of tasks that have left that are kept before they are swept out."""

_LOST_LOOPS: Final = 1.0
"""Seconds between two searches for event loops that were closed or lost with permits out, which tell nobody."""


class _LoopTimer:
    """The timer of an event loop while tasks of its own wait.

    Attributes:
        loop: The event loop.
        clock: What its alarm sleeps with.
        waiting: How many of its tasks are in the line.
        alarm: A task that sleeps until the next thing is due.
        due: When that is.
    """

    __slots__ = ("__weakref__", "alarm", "clock", "due", "loop", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self.loop = loop
        self.clock = clock
        self.waiting = 0
        self.alarm: asyncio.Task[None] | None = None
        self.due = math.inf


class _Waiter:
    """One task in the line. `permit` and `error` are set under the pacer's lock, the future after it."""

    __slots__ = ("__weakref__", "deadline", "error", "future", "number", "permit", "timer")

    def __init__(self, number: int, timer: _LoopTimer, deadline: float) -> None:
        self.number = number
        self.timer = timer
        self.future: asyncio.Future[None] = timer.loop.create_future()
        self.deadline = deadline
        self.permit: Permit | None = None
        self.error: BaseException | None = None


class _Section:
    """The lock of a pacer, within which a permit or a place in the line may end.

    The garbage collector closes the tasks of a lost event loop at any instruction, of a thread that holds the lock too,
    and waiting for it there would be for ever. So an end is only noted, and seen to as soon as the lock is free.
    """

    __slots__ = ("_lock", "_see_to", "ended")

    def __init__(self, see_to: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._see_to = see_to
        self.ended: deque[tuple[Permit, PermitOutcome] | _Waiter] = deque()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if self.ended:
            self.catch_up()

    def note(self, end: tuple[Permit, PermitOutcome] | _Waiter) -> None:
        """See to the end of a permit or of a place in the line, now or when the lock is free."""
        self.ended.append(end)
        self.catch_up()

    def catch_up(self) -> None:
        """See to what was noted; where the lock is held, its holder does so on leaving."""
        while self.ended and not self._lock.locked():
            self._see_to()


def rule_for(pacing: Pacing) -> RateRule:
    """Return the rule that a policy asks for."""
    if pacing.mode == "fixed" and pacing.rate is not None:
        return FixedRate(pacing.rate, pacing.burst)
    return AdaptiveRate() if pacing.mode == "adaptive" else RateRule()


class RateLimiter:
    """Lets the calls of one operation go at the pace that its rule allows, in the order they came.

    Safe between threads and event loops: all of them share one line and one rule. Nobody in the line watches
    the clock; each loop with tasks in it has one alarm, set to the next turn or deadline. A loop, its tasks and its
    timer are held by the tasks alone, so that what is lost can be collected.
    """

    def __init__(self, pacing: Pacing, clock: Clock, rule: RateRule | None = None) -> None:
        """Make a pacer that nobody waits for.

        Args:
            pacing: Which rule.
            clock: Where time comes from.
            rule: A rule to use instead of the one that `pacing` asks for.
        """
        self.pacing = pacing
        self._clock = clock
        self._rule = rule if rule is not None else rule_for(pacing)
        self._lock = _Section(self._turn)
        self._in_flight = 0
        self._in_flight_of: dict[_LoopRef | None, int] = {}
        self._numbers = count()
        self._line: OrderedDict[int, ReferenceType[_Waiter]] = OrderedDict()
        self._deadlines: list[tuple[float, int]] = []
        # By the id of the loop, which its timer holds.
        self._timers: WeakValueDictionary[int, _LoopTimer] = WeakValueDictionary()
        self._polled_at: float | None = None

    @property
    def rate(self) -> float | None:
        """Calls a second it lets go at the moment; None while it sets no rate."""
        return self._rule.rate

    def poll_delay(self) -> float:
        """Reserve the next poll's turn, and return the seconds until it comes.

        All polls of what this paces take half of the confirmed rate together, whichever clients make them. Until the rate
        is confirmed, poll sequentially without a further limit: limited to half of an unconfirmed rate, the limiter could
        never confirm it.
        """
        with self._lock:
            now, rate = self._clock.monotonic(), self._rule.proven
            before = self._polled_at
            turn = now if rate is None or before is None else max(now, before + 1 / (POLL_SHARE * rate))
            # Reserved before the wait: whoever asks meanwhile comes after this one.
            self._polled_at = turn
            return turn - now

    @property
    def in_flight(self) -> int:
        """The number of permits that are out."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """The number of tasks in the line."""
        return len(self._line)

    @property
    def idle(self) -> bool:
        """Tell if no permit is out and nobody waits."""
        return not self._in_flight and not self._line

    @property
    def adapts_to_throttling(self) -> bool:
        """Tell if a throttle makes it slower, so that the retry needs no other brake."""
        return self.pacing.mode == "adaptive"

    def try_acquire(self) -> Permit | None:
        """Take a permit, if one is to be had at once and nobody waits for it; else return None."""
        with self._lock:
            if self._line:
                return None
            now = self._clock.monotonic()
            if self._rule.delay(now, self._in_flight) > _TINY:
                return None
            try:
                # Here, not by `running_loop`: whoever follows a call opens a file less.
                loop = asyncio.get_running_loop()
            except RuntimeError:
                loop = None
            return self._grant(now, loop)

    async def acquire(self, *, clock: Clock | None = None, deadline: float | None = None) -> Permit:
        """Wait for a turn.

        Args:
            clock: What to wait with, if not with the pacer's own; it must tell the same time.
            deadline: When the turn must have come, in seconds of the clock's `monotonic`; None for never.

        Returns:
            A permit, which must be released.

        Raises:
            DeadlineExceededError: The turn cannot come in time, which is said at once if the rate tells, and
                at the deadline otherwise. No request was sent.
        """
        loop = asyncio.get_running_loop()
        limit = math.inf if deadline is None else deadline
        with self._lock:
            now = self._clock.monotonic()
            self._refuse_late(now, limit, 0)
            if not self._line and self._rule.delay(now, self._in_flight) <= _TINY:
                return self._grant(now, loop)
            waiter = self._join(loop, limit, clock if clock is not None else self._clock)
        try:
            self._turn()
            await waiter.future
        except BaseException:
            self._lock.note(waiter)
            raise
        if waiter.permit is None:
            raise waiter.error if waiter.error is not None else RuntimeError("woken without a turn")
        return waiter.permit

    def refuse_late(self, deadline: float, queued: int) -> None:
        """Refuse a turn that cannot come in time, where as many others wait before they even join the line.

        Raises:
            DeadlineExceededError: As for `acquire`.
        """
        with self._lock:
            self._refuse_late(self._clock.monotonic(), deadline, queued)

    def _refuse_late(self, now: float, limit: float, queued: int) -> None:
        ahead = queued + len(self._line)
        # At the soonest: a learned rate may still grow, and who waits ahead may leave.
        if limit < now or now + self._rule.eta(now, ahead) > limit + _TINY:
            raise _too_late(ahead, self._rule.rate)

    def renew(self, permit: Permit) -> None:
        """Count a call as gone now, whose turn came earlier: it had to wait for something else.

        Its earlier turn is lost rather than saved up, so that the rate is kept; only one permit at a time may wait.
        """
        with self._lock:
            self._rule.cancel()
            permit.sent_at = self._clock.monotonic()
            self._rule.reserve(permit.sent_at, self._in_flight - 1)

    def _grant(self, now: float, loop: asyncio.AbstractEventLoop | None) -> Permit:
        """Count a call as gone. Under the lock, like all that follows up to `_turn`."""
        self._rule.reserve(now, self._in_flight)
        where = None if loop is None else ref(loop)
        self._in_flight += 1
        self._in_flight_of[where] = self._in_flight_of.get(where, 0) + 1
        return Permit(now, where, self._released)

    def _join(self, loop: asyncio.AbstractEventLoop, deadline: float, clock: Clock) -> _Waiter:
        timer = self._timers.setdefault(id(loop), _LoopTimer(loop, clock))
        waiter = _Waiter(next(self._numbers), timer, deadline)
        self._line[waiter.number] = ref(waiter)
        timer.waiting += 1
        if deadline < math.inf:
            if len(self._deadlines) > _SPARE_DEADLINES + 2 * len(self._line):
                self._deadlines = [(when, number) for when, number in self._deadlines if number in self._line]
                heapq.heapify(self._deadlines)
            heapq.heappush(self._deadlines, (deadline, waiter.number))
        return waiter

    def _remove(self, waiter: _Waiter) -> bool:
        """Take a waiter out of the line; False if it was not in it any more."""
        if self._line.pop(waiter.number, None) is None:
            return False
        waiter.timer.waiting -= 1
        return True

    def _waiters(self) -> list[_Waiter]:
        return [waiter for reference in self._line.values() if (waiter := reference()) is not None]

    def _see_to_ends(self, now: float) -> None:
        """Take back the permits and the places in the line whose end was noted."""
        while self._lock.ended:
            end = self._lock.ended.popleft()
            if not isinstance(end, _Waiter):
                self._take_back(*end, now)
            elif not self._remove(end) and end.permit is not None:
                permit, end.permit = end.permit, None
                self._take_back(permit, "unused", now)

    def _take_back(self, permit: Permit, outcome: PermitOutcome, now: float) -> None:
        out = self._in_flight_of.pop(permit.loop, 0)
        if not out:
            # It was taken back with its loop.
            return
        if out > 1:
            self._in_flight_of[permit.loop] = out - 1
        self._in_flight -= 1
        if outcome == "succeeded":
            self._rule.succeeded()
        elif outcome == "throttled":
            self._rule.throttled(now, permit.sent_at)
        elif outcome == "unused":
            self._rule.cancel()

    def _drop_lost(self) -> None:
        """Drop what belongs to event loops that were closed, or lost: their tasks never go on."""
        for loop in [loop for loop in self._in_flight_of if loop is not None and _is_lost(loop())]:
            self._in_flight -= self._in_flight_of.pop(loop)
        for timer in list(self._timers.values()):
            if timer.waiting and timer.loop.is_closed():
                for waiter in self._waiters():
                    if waiter.timer is timer:
                        self._remove(waiter)

    def _let_go(self, now: float) -> list[_Waiter]:
        woken: list[_Waiter] = []
        while self._line:
            number, reference = next(iter(self._line.items()))
            waiter = reference()
            if waiter is None:
                del self._line[number]
                continue
            if waiter.deadline + _TINY < now:
                waiter.error = _too_late(0, self._rule.rate)
            elif self._rule.delay(now, self._in_flight) <= _TINY:
                waiter.permit = self._grant(now, waiter.timer.loop)
            else:
                break
            self._remove(waiter)
            woken.append(waiter)
        return woken

    def _give_up(self, now: float) -> list[_Waiter]:
        woken: list[_Waiter] = []
        while self._deadlines:
            deadline, number = self._deadlines[0]
            reference = self._line.get(number)
            if reference is not None and deadline > now:
                break
            heapq.heappop(self._deadlines)
            waiter = None if reference is None else reference()
            if waiter is not None:
                self._remove(waiter)
                waiter.error = _too_late(0, self._rule.rate)
                woken.append(waiter)
        return woken

    def _next_due(self, now: float) -> float:
        due = now + self._rule.delay(now, self._in_flight)
        if self._deadlines:
            due = min(due, self._deadlines[0][0])
        loops = {id(loop()) for loop in self._in_flight_of if loop is not None}
        return due if len(loops.union(list(self._timers))) <= 1 else min(due, now + _LOST_LOOPS)

    def _turn(self) -> None:
        """Let go whose turn it is, fail whose time is up, and see that every loop wakes for what is next."""
        with self._lock:
            now = self._clock.monotonic()
            self._see_to_ends(now)
            if not self._line and not self._timers:
                return
            here = running_loop()
            self._drop_lost()
            woken = self._let_go(now)
            woken += self._give_up(now)
            due = self._next_due(now) if self._line else math.inf
            elsewhere = [
                timer.loop for timer in list(self._timers.values()) if self._set_alarm(timer, due, here)
            ]
        reached = [self._wake(waiter, here) for waiter in woken]
        reached += [_call_in(loop, self._turn) for loop in elsewhere]
        if not all(reached):
            # What a loop had that was closed just now is dropped.
            self._turn()

    def _set_alarm(self, timer: _LoopTimer, due: float, here: object) -> bool:
        """Have the timer's loop wake at `due` at the latest; True if that must be done from within that loop."""
        alarm = timer.alarm
        if not timer.waiting:
            due = math.inf
            if alarm is None or timer.loop.is_closed():
                self._timers.pop(id(timer.loop), None)
                return False
        elif timer.due <= due:
            return False
        if timer.loop is not here:
            return True
        if alarm is not None:
            alarm.cancel()
        timer.alarm, timer.due = None, due
        if not timer.waiting:
            self._timers.pop(id(timer.loop), None)
        elif due < math.inf:
            # It serves all who wait.
            timer.alarm = start_detached(partial(self._on_timer, timer, due), name="workspaces-apps pacer")
            timer.alarm.add_done_callback(partial(self._alarm_ended, timer), context=contextvars.Context())
        return False

    async def _on_timer(self, timer: _LoopTimer, due: float) -> None:
        me = asyncio.current_task()
        try:
            await timer.clock.sleep(max(0.0, due - self._clock.monotonic()))
        except Exception as error:  # noqa: BLE001 - it is raised again, in the tasks that wait
            self._fail_all(error)
        self._put_away(timer, me)
        self._turn()

    def _alarm_ended(self, timer: _LoopTimer, alarm: asyncio.Task[None]) -> None:
        """Set another alarm where one was cancelled by others, such as a program that cancels all tasks but its own."""
        if alarm.cancelled() and self._put_away(timer, alarm):
            self._turn()

    def _put_away(self, timer: _LoopTimer, alarm: object) -> bool:
        """Note that an alarm has ended; False for one that was replaced, which must not take its successor for itself."""
        with self._lock:
            if timer.alarm is not alarm:
                return False
            timer.alarm, timer.due = None, math.inf
            return True

    def _fail_all(self, error: Exception) -> None:
        """Pass on the failure of a clock: whoever waits for it would wait for ever."""
        with self._lock:
            woken = self._waiters()
            for waiter in woken:
                waiter.error = error
                self._remove(waiter)
        for waiter in woken:
            self._wake(waiter, running_loop())

    def _wake(self, waiter: _Waiter, here: object) -> bool:
        """Have a task go on; False if its loop is closed."""
        loop = waiter.timer.loop
        if loop is not here:
            return _call_in(loop, lambda: _finish(waiter.future))
        _finish(waiter.future)
        return True

    def _released(self, permit: Permit, outcome: PermitOutcome) -> None:
        self._lock.note((permit, outcome))


def _is_lost(loop: asyncio.AbstractEventLoop | None) -> bool:
    return loop is None or loop.is_closed()


def _call_in(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> bool:
    """Run `callback` in another event loop; False if that loop is closed."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        return False
    return True


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _too_late(ahead: int, rate: float | None) -> DeadlineExceededError:
    pace = f" at {rate:.3g} calls a second" if rate is not None else ""
    queue = f" behind {ahead} other calls" if ahead else ""
    error = DeadlineExceededError(f"its turn{queue}{pace} cannot come before the deadline; nothing was sent")
    error.request_sent = False
    return error


class PacingKey(NamedTuple):
    """The calls that the service counts together [assumed]: one operation, one account, one Region.

    Attributes:
        endpoint: The URL that is called.
        region: The Region.
        account: The account id; the access key id where that is not known.
        operation: The API operation.
    """

    endpoint: str
    region: str
    account: str
    operation: str


_RegistryKey: TypeAlias = tuple[PacingKey, Pacing, int]


_registries: Final[WeakSet["PacingRegistry"]] = WeakSet()
"""All that there are."""


@public("workspaces_apps")
class PacingRegistry:
    """Pacers by key and policy; safe between threads.

    It is bounded: past `limit`, those that were not asked for the longest and are idle are dropped, and with
    them what they have learned.

    Examples:
        >>> from workspaces_apps import ClientConfig, PacingRegistry
        >>> alone = ClientConfig(pacing_registry=PacingRegistry())  # shares no rate with the rest of the process
    """

    def __init__(self, limit: int = 4096) -> None:
        """Make an empty registry.

        Args:
            limit: How many pacers it holds before it drops idle ones.
        """
        self._limit = limit
        self.forget()
        _registries.add(self)

    def forget(self) -> None:
        """Begin anew, with nothing learned; calls under way keep the pacers that they have."""
        self._pacers: OrderedDict[_RegistryKey, tuple[RateLimiter, Clock]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._pacers)

    def pacer(self, key: PacingKey, pacing: Pacing, clock: Clock) -> RateLimiter:
        """Return the pacer for what `key` names, made if there is none.

        Clients share one if they agree on key and policy, and on the clock: system clocks are all the same,
        any other is one of its own.

        Args:
            key: What is paced.
            pacing: How.
            clock: Where time comes from.
        """
        # Beside the pacer the clock itself is kept, so that its id is not given to another one.
        full_key = (key, pacing, 0 if type(clock) is SystemClock else id(clock))
        with self._lock:
            found = self._pacers.get(full_key)
            if found is not None:
                self._pacers.move_to_end(full_key)
                return found[0]
            pacer = RateLimiter(pacing, clock)
            self._pacers[full_key] = (pacer, clock)
            if len(self._pacers) > self._limit:
                self._drop_idle()
            return pacer

    def gauges(self) -> Iterator[tuple[MetricName, float, Attributes]]:
        """Return the present values that metrics show of the rate limiters: rates and requests in flight."""
        with self._lock:
            limiters = [(key, limiter) for (key, _, _), (limiter, _) in self._pacers.items()]
        for key, limiter in limiters:
            where = {"rpc.method": rpc_method(key.operation), "cloud.region": key.region}
            yield "workspaces_apps.client.in_flight", limiter.in_flight, where
            if limiter.rate is not None:
                yield "workspaces_apps.client.rate", limiter.rate, where

    def _drop_idle(self) -> None:
        surplus = len(self._pacers) - self._limit
        newest = next(reversed(self._pacers))
        idle = (key for key, (pacer, _) in self._pacers.items() if pacer.idle and key != newest)
        for key in [key for key, _ in zip(idle, range(surplus), strict=False)]:
            del self._pacers[key]


def _forget_all() -> None:
    for registry in list(_registries):
        registry.forget()


if hasattr(os, "register_at_fork"):
    # The calls under way are the parent's: in the child nobody would give back their slots and their locks.
    os.register_at_fork(after_in_child=_forget_all)


DEFAULT_REGISTRY: Final = PacingRegistry()
"""The one that every client of this process uses if it is given no other."""
