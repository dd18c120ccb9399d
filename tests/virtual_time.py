"""asyncio in virtual time: sleeping costs nothing, and every run is the same."""

import asyncio
import heapq
import itertools
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import TypeVar

T = TypeVar("T")

_START = datetime(2026, 1, 1, tzinfo=UTC)


class DeadlockError(AssertionError):
    """Every task waits, and none of them for the clock: in virtual time that is for ever."""


class VirtualClock:
    """A `Clock` that stands still while any task can run; `run_virtual` moves it to the next sleeper."""

    def __init__(self) -> None:
        self._now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        """The wall time: it begins with the year 2026."""
        return _START + timedelta(seconds=self._now)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._now

    async def sleep(self, seconds: float, /) -> None:
        """Wait until the clock has come that far; 0 lets the other tasks run once."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), future))
        await future

    def advance(self, seconds: float) -> None:
        """Move on by hand, and wake whom that concerns."""
        self._wake_until(self._now + seconds)

    def jump(self) -> bool:
        """Go to the next sleeper and wake it, with all of the same moment; False if nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        if not self._sleepers:
            return False
        self._wake_until(self._sleepers[0][0])
        return True

    @property
    def sleeping(self) -> int:
        """How many tasks wait for the clock."""
        return sum(not future.done() for _, _, future in self._sleepers)

    def _wake_until(self, moment: float) -> None:
        self._now = moment
        while self._sleepers and self._sleepers[0][0] <= moment:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)


class _VirtualSelector(selectors.DefaultSelector):
    """Where the loop would wait for the world, it moves the clock instead."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Look for I/O without waiting; if there is none and the loop is idle, jump."""
        ready = super().select(0)
        if not ready and (timeout is None or timeout > 0) and not self._clock.jump():
            if timeout is None:
                raise DeadlockError("every task waits, and none of them for the clock")
            return super().select(timeout)
        return ready


def run_virtual(main: Coroutine[object, object, T], clock: VirtualClock) -> T:
    """Run `main` to its end on a loop of its own, in no time.

    The clock moves exactly when the loop has nothing left to run. For tasks that wait for each other and for
    the clock; threads and sockets are not waited for.

    Raises:
        DeadlockError: Every task waits, and none of them for the clock.
    """
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_VirtualSelector(clock))) as runner:
        return runner.run(main)
