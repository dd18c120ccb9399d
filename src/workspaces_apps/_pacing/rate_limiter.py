"""The rate limiter of one operation: first come, first served, at the pace that a rule allows."""

import asyncio
import heapq
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from workspaces_apps._base.clock import Clock
from workspaces_apps._base.detached import start_detached
from workspaces_apps._pacing.adaptive import AdaptiveRate
from workspaces_apps._pacing.permit import Outcome, Permit
from workspaces_apps._pacing.policy import Pacing
from workspaces_apps._pacing.rate import FixedRate, RateRule
from workspaces_apps.errors import DeadlineExceededError

_TINY: Final = 1e-9
"""Seconds; a turn that is nearer than this has come, whatever the rounding of clocks."""

POLL_SHARE: Final = 0.5
"""The share of a proven rate that polls may take, so that other calls get the rest."""

_SPARE_DEADLINES: Final = 64
"""How many deadlines of tasks that have left are kept before they are swept out."""


@dataclass(slots=True, eq=False)
class _Waiter:
    """One task in the line. `permit` and `error` are set under the pacer's lock, the future after it."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]
    deadline: float
    permit: Permit | None = None
    error: BaseException | None = None

    def __lt__(self, other: "_Waiter") -> bool:
        return self.deadline < other.deadline


@dataclass(slots=True, eq=False)
class _LoopTimer:
    """The timer of an event loop while tasks of its own wait.

    Attributes:
        clock: What its alarm sleeps with.
        waiting: How many of its tasks are in the line.
        alarm: A task that sleeps until the next thing is due.
        due: When that is.
    """

    clock: Clock
    waiting: int = 0
    alarm: asyncio.Task[None] | None = None
    due: float = math.inf


def rule_for(pacing: Pacing) -> RateRule:
    """The rule that a policy asks for."""
    if pacing.mode == "fixed" and pacing.rate is not None:
        return FixedRate(pacing.rate, pacing.burst)
    return AdaptiveRate() if pacing.mode == "adaptive" else RateRule()


class RateLimiter:
    """Lets the calls of one operation go at the pace that its rule allows, in the order they came.

    Safe between threads and event loops: all of them share one line and one rule. Nobody in the line watches
    the clock; each loop with tasks in it has one alarm, set to the next turn or deadline.
    """

    def __init__(self, pacing: Pacing, clock: Clock, rule: RateRule | None = None) -> None:
        """A pacer that nobody waits for.

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
        """A permit, if one is to be had at once and nobody waits for it; else None."""
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
            waiter = _Waiter(loop, loop.create_future(), limit)
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
        here = _running_loop()
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
            self._wake(waiter, _running_loop())

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

    def _released(self, outcome: Outcome, sent_at: float) -> None:
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


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


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
