"""Rate limiters: the rules of a rate, permits to send, and one limiter per operation, account, Region and endpoint."""

import asyncio
import heapq
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, Literal, NamedTuple, Self, TypeAlias
from weakref import WeakSet

from workspaces_apps._base.clock import Clock, SystemClock, running_loop
from workspaces_apps._base.logs import rpc_method
from workspaces_apps._base.public import public
from workspaces_apps._base.system import start_detached
from workspaces_apps._pacing.policy import DEFAULT_TUNING, Pacing, Tuning
from workspaces_apps._telemetry.metrics import MetricName
from workspaces_apps._telemetry.port import Attributes
from workspaces_apps.errors import DeadlineExceededError

PermitOutcome: TypeAlias = Literal["succeeded", "throttled", "failed", "unused"]
"""The end of a request, as far as its rate is concerned."""


class Permit:
    """The leave to send one request; say exactly once how it ended.

    The first of `succeeded`, `throttled`, `failed`, `cancelled`, `unused` and `close` counts; what follows does nothing.

    Attributes:
        sent_at: When the turn came, in seconds of the pacer's clock.
    """

    __slots__ = ("_on_release", "sent_at")

    def __init__(self, sent_at: float, on_release: Callable[[PermitOutcome, float], None]) -> None:
        self.sent_at: float = sent_at
        self._on_release: Callable[[PermitOutcome, float], None] | None = on_release

    def release(self, outcome: PermitOutcome) -> None:
        """Give the slot back, and say how the request ended."""
        on_release, self._on_release = self._on_release, None
        if on_release is not None:
            on_release(outcome, self.sent_at)

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


class _Waiter:
    """One task in the line. `permit` and `error` are set under the pacer's lock, the future after it."""

    __slots__ = ("deadline", "error", "future", "loop", "permit")

    def __init__(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        self.loop = loop
        self.future: asyncio.Future[None] = loop.create_future()
        self.deadline = deadline
        self.permit: Permit | None = None
        self.error: BaseException | None = None

    def __lt__(self, other: "_Waiter") -> bool:
        return self.deadline < other.deadline


class _LoopTimer:
    """The timer of an event loop while tasks of its own wait.

    Attributes:
        clock: What its alarm sleeps with.
        waiting: How many of its tasks are in the line.
        alarm: A task that sleeps until the next thing is due.
        due: When that is.
    """

    __slots__ = ("alarm", "clock", "due", "waiting")

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.waiting = 0
        self.alarm: asyncio.Task[None] | None = None
        self.due = math.inf


def rule_for(pacing: Pacing) -> RateRule:
    """Return the rule that a policy asks for."""
    if pacing.mode == "fixed" and pacing.rate is not None:
        return FixedRate(pacing.rate, pacing.burst)
    return AdaptiveRate() if pacing.mode == "adaptive" else RateRule()


class RateLimiter:
    """Lets the calls of one operation go at the pace that its rule allows, in the order they came.

    Safe between threads and event loops: all of them share one line and one rule. Nobody in the line watches
    the clock; each loop with tasks in it has one alarm, set to the next turn or deadline.
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
        self._lock = threading.Lock()
        self._in_flight = 0
        self._line: OrderedDict[int, _Waiter] = OrderedDict()
        self._deadlines: list[_Waiter] = []
        self._timers: dict[asyncio.AbstractEventLoop, _LoopTimer] = {}
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
            return self._grant(now)

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
            ahead = len(self._line)
            # At the soonest: a learned rate may still grow, and who waits ahead may leave.
            if limit < now or now + self._rule.eta(now, ahead) > limit + _TINY:
                raise _too_late(ahead, self._rule.rate)
            if not ahead and self._rule.delay(now, self._in_flight) <= _TINY:
                return self._grant(now)
            waiter = _Waiter(loop, limit)
            self._join(waiter, clock if clock is not None else self._clock)
        self._turn()
        try:
            await waiter.future
        except BaseException:
            self._leave(waiter)
            raise
        if waiter.permit is None:
            raise waiter.error if waiter.error is not None else RuntimeError("woken without a turn")
        return waiter.permit

    def _grant(self, now: float) -> Permit:
        """Count a call as gone. Under the lock, like all that follows up to `_turn`."""
        self._rule.reserve(now, self._in_flight)
        self._in_flight += 1
        return Permit(now, self._released)

    def _join(self, waiter: _Waiter, clock: Clock) -> None:
        self._line[id(waiter)] = waiter
        self._timers.setdefault(waiter.loop, _LoopTimer(clock)).waiting += 1
        if waiter.deadline < math.inf:
            if len(self._deadlines) > _SPARE_DEADLINES + 2 * len(self._line):
                self._deadlines = [other for other in self._deadlines if id(other) in self._line]
                heapq.heapify(self._deadlines)
            heapq.heappush(self._deadlines, waiter)

    def _remove(self, waiter: _Waiter) -> bool:
        """Take a waiter out of the line; False if it was not in it any more."""
        if self._line.pop(id(waiter), None) is None:
            return False
        self._timers[waiter.loop].waiting -= 1
        return True

    def _let_go(self, now: float) -> list[_Waiter]:
        woken: list[_Waiter] = []
        while self._line:
            waiter = next(iter(self._line.values()))
            if waiter.deadline + _TINY < now:
                waiter.error = _too_late(0, self._rule.rate)
            elif self._rule.delay(now, self._in_flight) <= _TINY:
                waiter.permit = self._grant(now)
            else:
                break
            self._remove(waiter)
            woken.append(waiter)
        return woken

    def _give_up(self, now: float) -> list[_Waiter]:
        woken: list[_Waiter] = []
        while self._deadlines:
            waiter = self._deadlines[0]
            waits = id(waiter) in self._line
            if waits and waiter.deadline > now:
                break
            heapq.heappop(self._deadlines)
            if waits:
                self._remove(waiter)
                waiter.error = _too_late(0, self._rule.rate)
                woken.append(waiter)
        return woken

    def _next_due(self, now: float) -> float:
        due = now + self._rule.delay(now, self._in_flight)
        return min(due, self._deadlines[0].deadline) if self._deadlines else due

    def _turn(self) -> None:
        """Let go whose turn it is, fail whose time is up, and see that every loop wakes for what is next."""
        here = running_loop()
        with self._lock:
            now = self._clock.monotonic()
            woken = self._let_go(now)
            woken += self._give_up(now)
            due = self._next_due(now) if self._line else math.inf
            elsewhere = [loop for loop in list(self._timers) if self._set_alarm(loop, due, here)]
        for waiter in woken:
            self._wake(waiter, here)
        for loop in elsewhere:
            if not _call_in(loop, self._turn):
                self._forget(loop)

    def _set_alarm(self, loop: asyncio.AbstractEventLoop, due: float, here: object) -> bool:
        """Have `loop` wake at `due` at the latest; True if that must be done from within that loop."""
        timer = self._timers[loop]
        alarm = timer.alarm
        if not timer.waiting:
            due = math.inf
            if alarm is None:
                del self._timers[loop]
                return False
        elif timer.due <= due:
            return False
        if loop is not here:
            return True
        if alarm is not None:
            alarm.cancel()
        timer.alarm, timer.due = None, due
        if not timer.waiting:
            del self._timers[loop]
        elif due < math.inf:
            # It serves all who wait.
            timer.alarm = start_detached(partial(self._on_timer, timer, due), name="workspaces-apps pacer")
        return False

    async def _on_timer(self, timer: _LoopTimer, due: float) -> None:
        me = asyncio.current_task()
        try:
            await timer.clock.sleep(max(0.0, due - self._clock.monotonic()))
        except Exception as error:  # noqa: BLE001 - it is raised again, in the tasks that wait
            self._fail_all(error)
        finally:
            with self._lock:
                # An alarm that was replaced must not take its successor for itself.
                if timer.alarm is me:
                    timer.alarm, timer.due = None, math.inf
        self._turn()

    def _fail_all(self, error: Exception) -> None:
        """Pass on the failure of a clock: whoever waits for it would wait for ever."""
        with self._lock:
            woken = list(self._line.values())
            for waiter in woken:
                waiter.error = error
                self._remove(waiter)
        for waiter in woken:
            self._wake(waiter, running_loop())

    def _wake(self, waiter: _Waiter, here: object) -> None:
        if waiter.loop is here:
            _finish(waiter.future)
        elif not _call_in(waiter.loop, lambda: _finish(waiter.future)):
            # Its loop is closed, and its task with it.
            self._leave(waiter)

    def _leave(self, waiter: _Waiter) -> None:
        """Step out of the line, or give back a turn that was not used."""
        with self._lock:
            if not self._remove(waiter) and waiter.permit is not None:
                waiter.permit = None
                self._in_flight -= 1
                self._rule.cancel()
        self._turn()

    def _forget(self, loop: asyncio.AbstractEventLoop) -> None:
        """Drop what belongs to an event loop that was closed with tasks in the line."""
        with self._lock:
            for waiter in [waiter for waiter in self._line.values() if waiter.loop is loop]:
                self._remove(waiter)
            self._timers.pop(loop, None)

    def _released(self, outcome: PermitOutcome, sent_at: float) -> None:
        with self._lock:
            self._in_flight -= 1
            if outcome == "succeeded":
                self._rule.succeeded()
            elif outcome == "throttled":
                self._rule.throttled(self._clock.monotonic(), sent_at)
            elif outcome == "unused":
                self._rule.cancel()
            if not self._line:
                return
        self._turn()


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
