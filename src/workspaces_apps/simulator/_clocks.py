"""Clocks of the simulator, real, scaled, or moved by hand; and an event loop in virtual time.

All three are `workspaces_apps._base.clock.Clock`s and can be the client's clock too.

The manual clock with ``autojump=True`` moves on its own, to the next sleeper, when nothing else can happen: no
request is being answered, no request has come or gone, nobody began or ended a sleep, and nothing else ran, over
a number of turns of the event loop. Where other threads are at work, which the loop cannot see, or the loop is not
asyncio's own, it takes checks a millisecond of real time apart in which no executor is in the middle of a job other
than reading from a socket (botocore loading its data, a name being looked up) and the process uses little processor
time. After a second that is disregarded, so that a job without an end does not stop time.

In virtual time a loop moves a manual clock instead of waiting, and every run is the same.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import heapq
import itertools
import selectors
import sys
import threading
import time
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Final, Protocol, TypeVar, runtime_checkable

from workspaces_apps._base.clock import Clock, Duration, SystemClock, running_loop, to_seconds
from workspaces_apps._base.public import public
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator._arguments import check_flag, check_kind, check_whole, is_number, unfit

EPOCH = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
"""The start of a manual clock: a Monday morning, always the same, so that runs can be compared."""

_CHECK_INTERVAL = 0.001
_QUIET_CHECKS = 4
_QUIET_TURNS = 30
_LONG_TURN = 0.0002
_TURNING_PATIENCE = 0.05
_BUSY_SHARE = 0.5
_BUSY_PATIENCE = 1.0
_SETTLE_PATIENCE = 5.0
_EXECUTORS = concurrent.futures.thread.__file__
_WAITING_FOR_AN_ANSWER = frozenset({"readinto", "recv", "recv_into"})


class Activity:
    """The activity of the simulator, as the manual clock needs to know it."""

    __slots__ = ("_asked", "_loop", "_told", "events", "in_flight")

    def __init__(self) -> None:
        self.in_flight: int = 0
        self.events: int = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked = 0
        self._told = 0

    def runs_on(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Say on which loop requests are answered."""
        self._loop = loop

    def has_looked(self) -> bool:
        """Tell if its loop, where that is another one, has looked at its sockets since this was asked last."""
        loop = self._loop
        if loop is None or loop is asyncio.get_running_loop() or loop.is_closed():
            return True
        if self._told < self._asked:
            return False
        self._asked += 1
        # What is called from outside runs before what the same look at the sockets finds: so twice round.
        loop.call_soon_threadsafe(lambda: loop.call_soon(lambda: loop.call_soon(self._tell)))
        return True

    def _tell(self) -> None:
        self._told = self._asked

    def begin(self) -> None:
        """Note that a request has come."""
        self.in_flight += 1
        self.events += 1

    def end(self) -> None:
        """Note that a request was answered, or only waits for simulated time."""
        self.in_flight -= 1
        self.events += 1


@public("workspaces_apps.simulator")
@runtime_checkable
class SimulatorClock(Clock, Protocol):
    """A `Clock` that a simulator can live by."""

    def timestamp(self) -> float:
        """Return `now` as epoch seconds."""
        ...

    def catch_up(self, timestamp: float) -> None:
        """Be no earlier than that: when a state that was saved comes back."""
        ...

    def attach(self, activity: Activity) -> None:
        """Tell the clock whose requests it must not jump over."""
        ...

    def detach(self, activity: Activity) -> None:
        """Undo `attach`."""
        ...


@public("workspaces_apps.simulator")
class RealClock(SystemClock):
    """The machine's own time.

    Examples:
        >>> from workspaces_apps.simulator import RealClock, Simulator
        >>> sim = Simulator(clock=RealClock())
    """

    def timestamp(self) -> float:
        """Return epoch seconds."""
        return time.time()

    def catch_up(self, timestamp: float) -> None:
        """Do nothing: what was saved is past."""

    def attach(self, activity: Activity) -> None:
        """Do nothing: real time waits for nobody."""

    def detach(self, activity: Activity) -> None:
        """Do nothing."""


@public("workspaces_apps.simulator")
class ScaledClock:
    """Time that runs `factor` times as fast as the machine's, from the moment it is made.

    Args:
        factor: More than 0; 60 makes a minute of a second.

    Examples:
        >>> from workspaces_apps.simulator import ScaledClock, Simulator
        >>> sim = Simulator(clock=ScaledClock(60))  # a minute takes a second
    """

    def __init__(self, factor: float) -> None:
        if not is_number(factor) or factor <= 0:
            raise unfit("a clock's factor", "a number above 0", factor)
        self.factor = factor
        self._start = time.time()
        self._origin = time.monotonic()

    def _elapsed(self) -> float:
        return (time.monotonic() - self._origin) * self.factor

    def now(self) -> datetime:
        """Return the scaled wall time in UTC."""
        return datetime.fromtimestamp(self.timestamp(), UTC)

    def timestamp(self) -> float:
        """Return the scaled wall time as epoch seconds."""
        return self._start + self._elapsed()

    def monotonic(self) -> float:
        """Return the scaled seconds since the clock was made."""
        return self._elapsed()

    async def sleep(self, seconds: float, /) -> None:
        """Sleep that many scaled seconds."""
        await asyncio.sleep(seconds / self.factor)

    def catch_up(self, timestamp: float) -> None:
        """Move the wall time forward if it is behind."""
        self._start += max(0.0, timestamp - self.timestamp())

    def attach(self, activity: Activity) -> None:
        """Do nothing."""

    def detach(self, activity: Activity) -> None:
        """Do nothing."""


class _Sleeper:
    """Somebody waiting for a moment, on the event loop where they wait."""

    __slots__ = ("future", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.future: asyncio.Future[None] = loop.create_future()

    def wake(self) -> None:
        """End the sleep, from whatever thread."""
        if running_loop() is self.loop:
            self._finish()
            return
        try:
            self.loop.call_soon_threadsafe(self._finish)
        except RuntimeError:
            # The loop is closed: whoever slept there is gone.
            return

    def _finish(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


@public("workspaces_apps.simulator")
class ManualClock:
    """Time that stands still until it is moved.

    Args:
        autojump: Go on to the next sleeper by itself whenever nothing else can happen (see the module).
        start: The wall time it begins at, with a time zone.
        quiet_checks: How many checks in a row must find nothing going on before a jump.

    Examples:
        >>> from workspaces_apps.simulator import ManualClock
        >>> clock = ManualClock()
        >>> began = clock.monotonic()
        >>> clock.jump(3_600)
        >>> clock.monotonic() - began
        3600.0
    """

    def __init__(
        self, *, autojump: bool = False, start: datetime = EPOCH, quiet_checks: int = _QUIET_CHECKS
    ) -> None:
        check_kind("start", start, datetime, "a datetime with a time zone")
        if start.tzinfo is None:
            raise ConfigurationError("a clock's start needs a time zone")
        check_flag("autojump", autojump)
        check_whole("quiet_checks", quiet_checks, least=1)
        self.autojump = autojump
        self._quiet_checks = quiet_checks
        self._start = start.timestamp()
        self._elapsed = 0.0
        self._lock = threading.Lock()
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, _Sleeper]] = []
        self._activities: list[Activity] = []
        self._events = 0
        self._watch: _Watch | None = None

    def now(self) -> datetime:
        """Return the wall time in UTC."""
        return datetime.fromtimestamp(self._start + self._elapsed, UTC)

    def timestamp(self) -> float:
        """Return the wall time as epoch seconds."""
        return self._start + self._elapsed

    def monotonic(self) -> float:
        """Return the seconds since the clock's start."""
        return self._elapsed

    def catch_up(self, timestamp: float) -> None:
        """Move the wall time forward if it is behind; nobody's sleep ends by that."""
        self._start += max(0.0, timestamp - self.timestamp())

    def attach(self, activity: Activity) -> None:
        """Count this simulator's requests among what must be over before a jump."""
        with self._lock:
            self._activities.append(activity)

    def detach(self, activity: Activity) -> None:
        """Forget a simulator that has stopped."""
        with self._lock:
            if activity in self._activities:
                self._activities.remove(activity)

    @property
    def sleeping(self) -> int:
        """The number of sleepers that wait for this clock."""
        with self._lock:
            return sum(1 for _, _, sleeper in self._sleepers if not sleeper.future.done())

    async def sleep(self, seconds: float, /) -> None:
        """Wait until the clock has been moved that far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper = _Sleeper(asyncio.get_running_loop())
        with self._lock:
            heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), sleeper))
            self._events += 1
        if self.autojump:
            self._watch_from(sleeper.loop)
        try:
            await sleeper.future
        finally:
            with self._lock:
                self._events += 1

    def jump(self, duration: Duration) -> None:
        """Move the clock at once, past every sleeper on the way; for synchronous tests."""
        self._move_to(self._elapsed + to_seconds(duration, "duration"))

    async def advance(
        self,
        duration: Duration | None = None,
        *,
        seconds: float = 0,
        minutes: float = 0,
        hours: float = 0,
        days: float = 0,
    ) -> None:
        """Move the clock, stopping at every sleeper on the way, and let what it wakes run its course.

        Args:
            duration: How far, as a timedelta or in seconds; the keywords are added to it.
            seconds: Further seconds.
            minutes: Further minutes.
            hours: Further hours.
            days: Further days.
        """
        far = to_seconds(duration, "duration") if duration is not None else 0.0
        far += to_seconds(timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days), "duration")
        goal = self._elapsed + far
        await self._settle()
        while (moment := self._next()) is not None and moment <= goal:
            self._move_to(moment)
            await self._settle()
        self._move_to(goal)
        await self._settle()

    def _next(self) -> float | None:
        with self._lock:
            while self._sleepers and self._sleepers[0][2].future.done():
                heapq.heappop(self._sleepers)
            return self._sleepers[0][0] if self._sleepers else None

    def _move_to(self, moment: float) -> None:
        due: list[_Sleeper] = []
        with self._lock:
            self._elapsed = max(self._elapsed, moment)
            self._events += 1
            while self._sleepers and self._sleepers[0][0] <= self._elapsed:
                due.append(heapq.heappop(self._sleepers)[2])
        for sleeper in due:
            sleeper.wake()

    def _idle(self) -> bool:
        return not any(activity.in_flight for activity in self._activities)

    def _pulse(self) -> int:
        return self._events + sum(activity.events for activity in self._activities)

    async def _settle(self) -> None:
        watch = _QuiescenceDetector(self)
        patience = time.monotonic() + _SETTLE_PATIENCE
        # Polling is the point: what is awaited is that nothing happens.
        while (after := watch.check()) is not None and time.monotonic() < patience:  # noqa: ASYNC110
            await asyncio.sleep(after)

    def _watch_from(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if self._watch is not None and self._watch.alive:
                return
            self._watch = _Watch(self, loop)
        self._watch.arm()

    def quiescence(self) -> _QuiescenceDetector:
        """Make a judge of whether anything still happens."""
        return _QuiescenceDetector(self)

    def jump_to_next(self, within: float | None = None) -> bool:
        """Wake the next sleeper; False if there is none.

        Args:
            within: Seconds after which to stop on the way to it, or without one; None for no such stop.
        """
        moment = self._next()
        if within is not None:
            stop = self._elapsed + within
            moment = stop if moment is None else min(moment, stop)
        if moment is None:
            return False
        self._move_to(moment)
        return True

    @property
    def quiet_checks(self) -> int:
        """The number of checks in a row that must find nothing going on."""
        return self._quiet_checks

    def all_loops_polled(self) -> bool:
        """Tell if what was sent to a simulator on another loop before the last check has been seen there."""
        # Each is asked, whatever the others say.
        looked = [activity.has_looked() for activity in self._activities]
        return all(looked)

    def observe(self) -> tuple[bool, int]:
        """Tell if no request is in flight, and a number that changes with everything that happens."""
        return self._idle(), self._pulse()


class _QuiescenceDetector:
    """Decides that nothing happens any more.

    As long as all other threads of the process are idle, whatever can happen happens on this event loop, and turns
    of the loop are counted: `_QUIET_TURNS` in a row without an event, none so long that something else ran in it.
    Otherwise, or if that leads nowhere, it counts checks a millisecond of real time apart; on loops that are not
    asyncio's own too: uvloop takes 0.1 ms for all the turns, and looks up names in threads that are not Python's.
    """

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._quiet = 0
        _, self._pulse = clock.observe()
        self._turning = isinstance(running_loop(), asyncio.BaseEventLoop) and not _threads_run()
        self._cpu = time.process_time()
        self._wall = self._since = time.monotonic()

    def check(self) -> float | None:
        """Look once: None if nothing happens any more, else in how many real seconds to look again."""
        idle, pulse = self._clock.observe()
        wall = time.monotonic()
        step, self._wall = wall - self._wall, wall
        if not idle or pulse != self._pulse:
            self._quiet, self._since, self._pulse = 0, wall, pulse
        elif self._turning:
            self._quiet = self._quiet + 1 if step < _LONG_TURN else 0
            if self._quiet >= _QUIET_TURNS and not _threads_run():
                return None
        elif self._check_threads(step, wall):
            return None
        if self._turning and (wall - self._since > _TURNING_PATIENCE or _threads_run()):
            self._turning, self._quiet, self._cpu = False, 0, time.process_time()
        return 0.0 if self._turning else _CHECK_INTERVAL

    def _check_threads(self, step: float, wall: float) -> bool:
        cpu = time.process_time()
        busy = cpu - self._cpu > _BUSY_SHARE * step or executors_work()
        self._cpu = cpu
        if busy and wall - self._since < _BUSY_PATIENCE:
            self._quiet = 0
        elif self._clock.all_loops_polled():
            self._quiet += 1
        return self._quiet >= self._clock.quiet_checks


def _threads_run() -> bool:
    return any(
        not _is_idle(frame) and not _is_remote_control(frame) for frame in _frames_of_others().values()
    )


def _frames_of_others() -> dict[int, FrameType]:
    """Return the frames that the other threads of the process are in, by the thread's identifier."""
    # Documented, for all its underscore.
    frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
    # A frame that holds itself, and with it the whole stack, would be garbage that only the collector finds.
    del frames[threading.get_ident()]
    return frames


def executors_work() -> bool:
    """Tell if a thread of an executor is in the middle of a job other than reading from a socket."""
    frames = _frames_of_others()
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        # Only frames on top are looked at: the callers of one may be gone while they are gone through, and CPython 3.11
        # was seen to give another object for such a caller.
        runs = getattr(thread, "_target", None)
        if frame is None or getattr(runs, "__module__", None) != concurrent.futures.thread.__name__:
            continue
        if frame.f_code.co_name not in _WAITING_FOR_AN_ANSWER and not _is_idle(frame):
            return True
    return False


def _is_executor(frame: FrameType) -> bool:
    return frame.f_code.co_name == "_worker" and frame.f_code.co_filename == _EXECUTORS


def _is_idle(frame: FrameType) -> bool:
    """Tell if a thread is an executor's that has no job: a busy machine may be long in waking it for one that waits."""
    if not _is_executor(frame):
        return False
    jobs = frame.f_locals.get("work_queue")
    return frame.f_locals.get("work_item") is None and (jobs is None or jobs.empty())


def _is_remote_control(frame: FrameType) -> bool:
    # The thread through which pytest-xdist speaks to its worker; it never calls the simulator.
    return str(frame.f_globals.get("__name__", "")).startswith("execnet.")


class _Watch:
    """The autojump: callbacks on a loop, not a task, so that nothing is left pending when the loop ends."""

    def __init__(self, clock: ManualClock, loop: asyncio.AbstractEventLoop) -> None:
        self._clock = clock
        self._loop = loop
        self._done = False
        self._stillness = clock.quiescence()

    @property
    def alive(self) -> bool:
        """Tell if it still looks."""
        return not self._done and not self._loop.is_closed() and self._loop.is_running()

    def arm(self, after: float = 0.0) -> None:
        """Look again after so many real seconds; at the next turn of the loop if 0."""
        if after:
            self._loop.call_later(after, self._look)
        else:
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        after = self._stillness.check()
        if after is None:
            if not self._clock.jump_to_next():
                self._done = True
                return
            self._stillness = self._clock.quiescence()
        self.arm(after or 0.0)


T = TypeVar("T")

_TICK: Final = 1e-9
"""Seconds by which a timer of the loop is late, so that time passes however short it is: botocore's adaptive mode
sleeps for the last bit of a float over and over."""

_PATIENCE: Final = 10.0
"""Real seconds to wait for sockets and threads when nobody waits for the clock."""

_JOB_PATIENCE: Final = 1.0
"""Real seconds for which executors at work keep the clock from moving."""

_JOB_INTERVAL: Final = 0.001


class DeadlockError(AssertionError):
    """The end of a run in which every task waits, and none of them for the clock."""


class _Selector(selectors.DefaultSelector):
    """A selector that never waits while somebody waits for the clock."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock
        self._busy_since: float | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; if nothing is, move the clock to the next sleeper or timer of the loop."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        ready = self._after_jobs()
        if ready:
            return ready
        if self._clock.jump_to_next(None if timeout is None else timeout + _TICK):
            return ready
        # The loop has one socket of its own, through which other threads wake it.
        if len(self.get_map()) > 1 or threading.active_count() > 1:
            ready = super().select(_PATIENCE)
        if not ready:
            raise DeadlockError("every task waits, and none of them for the clock")
        return ready

    def _after_jobs(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for what executors do, such as botocore's loading of data: in virtual time it takes none."""
        while threading.active_count() > 1 and executors_work():
            if self._busy_since is None:
                self._busy_since = time.monotonic()
            if time.monotonic() - self._busy_since >= _JOB_PATIENCE:
                # It may wait for the clock itself, and would otherwise cost as much at every move of it.
                return []
            ready = super().select(_JOB_INTERVAL)
            if ready:
                return ready
        self._busy_since = None
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers go by a `ManualClock`, as `asyncio.sleep` does on it.

    The clock moves exactly when the loop has nothing left to run and no socket has anything to read: what was sent
    over the loopback is there when the loop looks. The jobs of executors are waited for, for a second of real time at
    most; other threads are not.
    """

    def __init__(self, clock: ManualClock) -> None:
        """Make a loop that moves this clock, which must not move by itself."""
        self._clock = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        """Return the clock's `monotonic`."""
        return self._clock.monotonic()


def run_virtual(main: Coroutine[object, object, T], clock: ManualClock) -> T:
    """Run a coroutine to its end on a `VirtualLoop`, in no time.

    Args:
        main: What to run.
        clock: The clock that the loop moves; for whatever `main` waits with.

    Raises:
        ConfigurationError: The clock moves by itself.
        DeadlockError: Every task waits, and none of them for the clock.
    """
    if clock.autojump:
        main.close()
        raise ConfigurationError("a virtual loop moves its clock: autojump must be False")
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        return runner.run(main)
