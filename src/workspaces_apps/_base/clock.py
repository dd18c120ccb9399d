"""Time as a parameter: every wait, backoff, deadline and pace in this package goes through a `Clock`.

There is one way to bound a block, `timeout`, one to cut a sleep short, `sleep_or`, and one to start a task that outlives whoever
needs it first, `start_detached`.
"""

import asyncio
import contextvars
import math
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from types import BuiltinFunctionType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar, runtime_checkable

from workspaces_apps._base.public import public
from workspaces_apps.errors import ConfigurationError

T = TypeVar("T")

Duration: TypeAlias = timedelta | float
"""A length of time: a `timedelta`, or a number of seconds."""


@public("workspaces_apps")
@runtime_checkable
class Clock(Protocol):
    """The source of time of the whole package.

    `now` is wall time with a time zone, for what people read; `monotonic` is in seconds, never goes back,
    and is what every deadline is computed with; `sleep` waits for that many seconds of the same clock.
    """

    def now(self) -> datetime:
        """Return the wall time, with a time zone."""
        ...

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary start; never decreases."""
        ...

    async def sleep(self, seconds: float, /) -> None:
        """Return once `seconds` (0 or more) have passed on this clock."""
        ...


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread; None if none does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _time_of_the_loop() -> float:
    loop = running_loop()
    return time.monotonic() if loop is None else loop.time()


# freezegun replaces `time.monotonic` in each module that has it, and waits of frozen time would never end. Where this module
# is imported in such a time, only the event loop knows the real one.
_monotonic: Final[Callable[[], float]] = (
    partial(time.monotonic) if isinstance(time.monotonic, BuiltinFunctionType) else _time_of_the_loop
)


@public("workspaces_apps")
class SystemClock:
    """The machine's own time.

    Examples:
        >>> from workspaces_apps import SystemClock
        >>> clock = SystemClock()
        >>> began = clock.monotonic()
        >>> clock.monotonic() >= began
        True
    """

    def now(self) -> datetime:
        """Return the wall time in UTC."""
        return datetime.now(UTC)

    if TYPE_CHECKING:

        def monotonic(self) -> float:
            """Return the seconds of the system's monotonic clock, also where a test has frozen time."""
            ...

    else:
        # Not a method around it: a call asks four times, and each would cost as much again.
        monotonic = staticmethod(_monotonic)

    async def sleep(self, seconds: float, /) -> None:
        """Sleep on the running event loop."""
        await asyncio.sleep(seconds)


Signal: TypeAlias = asyncio.Event | asyncio.Future[Any]
"""A cause to end a sleep early: an event that is set, or a future or task that is done."""


def timeout(clock: Clock, seconds: float | None) -> "Timeout":
    """Bound a block by a clock: `asyncio.timeout` for clocks of every kind.

    ```python
    async with timeout(clock, 30):
        await something()
    ```

    The time runs from the moment the block is entered. Cancellation by others passes, also where it comes at the
    same instant, and so does a `TimeoutError` of the block's own. Leaving the block never suspends: its result is
    not lost to a cancellation on the way out.

    Args:
        clock: Where time comes from. `SystemClock` costs one handle of the event loop, other clocks a task.
        seconds: How long the block may take; None or infinity for no limit, 0 or less for no time at all.

    Raises:
        TimeoutError: On leaving the block, if it was ended because its time was up.
        Exception: In the same place, what the clock's `sleep` failed with: the block is ended then too, since
            its limit could not be kept.
    """
    return Timeout(clock, seconds)


async def sleep_or(clock: Clock, seconds: float | None, *signals: Signal) -> Signal | None:
    """Sleep until the time has passed, an event is set or a future is done.

    ```python
    if await sleep_or(clock, 30, stopping) is stopping:
        return
    ```

    A signal that is there already ends the sleep before it begins. Nothing is left behind in any event or
    future, no task is started, and the outcome of a future is left to whom it concerns.

    Args:
        clock: Where time comes from.
        seconds: How long; None or infinity for no limit, less than 0 for 0.
        signals: What cuts the sleep short.

    Returns:
        The first of the signals, in the order given, that is set or done, even if the time has passed at the same
        instant; None if only the time has passed.

    Raises:
        Exception: What the clock's `sleep` failed with, also while it was being cut short.
    """
    if (signal := _first_of(signals)) is not None:
        return signal
    interruption = _Interruption()
    first: Signal | None = None

    def watch(signal: Signal) -> Callable[[], object]:
        def wake(_: object) -> None:
            nonlocal first
            first = first or signal
            interruption.request()

        return _on(signal, wake)

    forget = [watch(signal) for signal in signals]
    try:
        await _sleep(clock, seconds)
    except asyncio.CancelledError:
        if not interruption.end():
            raise
    finally:
        interruption.end()
        for undo in forget:
            undo()
    # What woke it counts too: an event may have been cleared again since.
    return _first_of(signals) or first


class Timeout:
    """A block bounded by a clock, as `timeout` makes it."""

    __slots__ = ("_clock", "_handle", "_interruption", "_seconds", "_sleeper")

    def __init__(self, clock: Clock, seconds: float | None) -> None:
        """Make a block that has not been entered; see `timeout`."""
        self._clock = clock
        self._seconds = seconds
        self._interruption: _Interruption | None = None
        self._handle: asyncio.Handle | None = None
        self._sleeper: asyncio.Task[None] | None = None

    def expired(self) -> bool:
        """Return whether the block was ended, or is about to be, because its time was up."""
        return self._interruption is not None and self._interruption.requested

    def reschedule(self, seconds: float | None) -> None:
        """Let the block take so many seconds from now.

        Raises:
            RuntimeError: The block has expired, was left, or was never entered.
        """
        interruption = self._interruption
        if interruption is None or interruption.requested or interruption.over:
            raise RuntimeError("only a block that was entered and goes on can be rescheduled")
        self._stop()
        self._start(interruption, seconds)

    async def __aenter__(self) -> "Timeout":
        """Begin the block."""
        if self._interruption is not None:
            raise RuntimeError("a timeout is for one block")
        self._interruption = _Interruption()
        self._start(self._interruption, self._seconds)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the block; raise if that is because its time was up."""
        sleeper = self._sleeper
        self._stop()
        if self._interruption is None or not self._interruption.end():
            return
        if isinstance(error, asyncio.CancelledError):
            if sleeper is not None:
                # Raises what the clock has failed with. If that ended nothing, asyncio reports it.
                sleeper.result()
            raise TimeoutError from error

    def _start(self, interruption: "_Interruption", seconds: float | None) -> None:
        if seconds is None or seconds == math.inf:
            return
        loop = asyncio.get_running_loop()
        if seconds <= 0:
            self._handle = loop.call_soon(interruption.request)
        elif type(self._clock).sleep is SystemClock.sleep:
            self._handle = loop.call_later(seconds, interruption.request)
        else:
            # Not through the loop's task factory, which may do more than a timer needs.
            self._sleeper = asyncio.Task(
                _sleep(self._clock, seconds), loop=loop, name="workspaces-apps timeout"
            )
            self._sleeper.add_done_callback(interruption.request_unless_cancelled)

    def _stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._sleeper is not None:
            self._sleeper.cancel()
            self._sleeper = None


class _Interruption:
    """Our own request to break off what a task waits for, told apart from cancellation by others.

    Attributes:
        requested: Whether it was made.
        over: Whether what could be broken off has ended.
    """

    __slots__ = ("_cancelling", "_task", "over", "requested")

    def __init__(self) -> None:
        """Prepare to break off what the current task is going to wait for."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a timeout and a sleep that can be cut short need a task")
        self._task = task
        self._cancelling = task.cancelling()
        self.requested = False
        self.over = False

    def request(self) -> None:
        """Break it off, unless that has been done or it has ended."""
        if not self.requested and not self.over:
            self.requested = True
            self._task.cancel()

    def request_unless_cancelled(self, timer: asyncio.Future[None]) -> None:
        """Break it off if the timer came to its end."""
        if not timer.cancelled():
            self.request()

    def end(self) -> bool:
        """Withdraw the request; True if it was made, and nobody else has cancelled the task meanwhile."""
        if self.over:
            return False
        self.over = True
        return self.requested and self._task.uncancel() <= self._cancelling


async def _sleep(clock: Clock, seconds: float | None) -> None:
    if seconds is None or seconds == math.inf:
        # Not on the clock: a simulated one would go to the end of time.
        await asyncio.get_running_loop().create_future()
    else:
        await clock.sleep(max(0.0, seconds))


def _first_of(signals: tuple[Signal, ...]) -> Signal | None:
    for signal in signals:
        if signal.is_set() if isinstance(signal, asyncio.Event) else signal.done():
            return signal
    return None


def _on(signal: Signal, wake: Callable[[object], None]) -> Callable[[], object]:
    """Have `wake` called once the signal is there; return what takes that back."""
    if isinstance(signal, asyncio.Event):
        # An event takes no callbacks, and a task for every sleeper and event is dear. So its `wait` is run by hand
        # as far as the future that it waits for; closing it takes that future out of the event again.
        waiting = signal.wait()
        future: asyncio.Future[bool] = waiting.send(None)
        future.add_done_callback(wake)
        return waiting.close
    signal.add_done_callback(wake)
    return lambda: signal.remove_done_callback(wake)


LONGEST: Final = timedelta.max.total_seconds()
"""Seconds of the longest duration."""


def to_float(value: float) -> float:
    """Return a number as a float; infinity where it is an int that is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value > 0 or -1)


def to_seconds(value: Duration, name: str, *, positive: bool = False) -> float:
    """Return the duration in seconds.

    Args:
        value: A `timedelta`, or seconds as an int or float.
        name: What the caller called it, for the message.
        positive: Refuse zero too.

    Raises:
        ConfigurationError: It is not a duration, negative, or longer than any `timedelta`.
    """
    seconds = _number_of_seconds(value, name)
    # Negated, so that NaN is refused.
    if not 0 <= seconds <= LONGEST or (positive and seconds == 0):
        bound = "more than 0" if positive else "0 or more"
        raise ConfigurationError(
            f"{name} must be a finite number of seconds, {bound} and at most {LONGEST:.0f}, not {seconds:g}"
        )
    return seconds


def _number_of_seconds(value: object, name: str) -> float:
    """Return the seconds of what should be a duration, but may be anything if nobody checked types."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return to_float(value)
    raise ConfigurationError(f"{name} must be a timedelta or a number of seconds, not {type(value).__name__}")


def start_detached(work: Callable[[], Awaitable[T]], *, name: str) -> asyncio.Task[T]:
    """Start a task without the context of whoever happens to need it first.

    It sees no context variable of the caller's, and so no span, request id or tenant of it, and no segment of
    X-Ray's. The event loop's task factory is passed by: X-Ray's would hand on the caller's segment, and an eager
    one would run the beginning of the work here and now, maybe under a lock.

    Args:
        work: Called and awaited in the task.
        name: The task's.
    """
    loop = asyncio.get_running_loop()
    return asyncio.Task(_run(work), loop=loop, name=name, context=contextvars.Context())


async def _run(work: Callable[[], Awaitable[T]]) -> T:
    _leave_xray()
    return await work()


def _leave_xray() -> None:
    """Give this task a segment of X-Ray's that is never sent.

    Without one X-Ray logs an error, or raises, at each call of a client of aiobotocore's that it has patched.
    """
    # Where it was not imported nothing is patched. Nothing of it is typed.
    core: Any = sys.modules.get("aws_xray_sdk.core")
    contexts: Any = sys.modules.get("aws_xray_sdk.core.async_context")
    if core is None or contexts is None:
        return
    recorder = core.xray_recorder
    # Its other context is one for the whole thread, and what is put there others would see.
    if isinstance(recorder.context, contexts.AsyncContext):
        from aws_xray_sdk.core.models.dummy_entities import DummySegment

        recorder.set_trace_entity(DummySegment("workspaces-apps"))
