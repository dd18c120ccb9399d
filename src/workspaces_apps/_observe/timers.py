"""Moments at which something is to be called: one heap for all of them, and a sleep that can be cut short."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from workspaces_apps._base.clock import Clock

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


class Alarm:
    """A sleep that can be cut short."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung: asyncio.Event = asyncio.Event()

    def ring(self) -> None:
        """End the sleep, or the next one before it begins."""
        self._rung.set()

    async def sleep(self, seconds: float) -> None:
        """Sleep until the clock has come that far, which may be never, or `ring`."""
        if not self._rung.is_set():
            sleeper = None
            if seconds < math.inf:
                sleeper = asyncio.ensure_future(self._clock.sleep(seconds))
                sleeper.add_done_callback(self._over)
            try:
                await self._rung.wait()
            finally:
                if sleeper is not None:
                    sleeper.cancel()
            if sleeper is not None and sleeper.done() and not sleeper.cancelled():
                sleeper.result()
        self._rung.clear()

    def _over(self, sleeper: asyncio.Future[None]) -> None:
        # One that was cut short ends after the next one has begun, and must not end that too.
        if not sleeper.cancelled():
            self._rung.set()
