"""A clock for calls over real HTTP, which virtual time cannot carry."""

import asyncio
from datetime import UTC, datetime, timedelta

from tests.virtual_time import VirtualClock


async def sleepers(clock: VirtualClock, count: int) -> None:
    """Return once that many tasks sleep on the clock."""
    while clock.sleeping < count:  # noqa: ASYNC110 - whoever sleeps tells nobody
        await asyncio.sleep(0.001)


class SkippingClock:
    """A `Clock` on which every sleep is over at once.

    Attributes:
        slept: How long it was asked to sleep, each time.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        """The wall time: it begins with the year 2026."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._now)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._now

    async def sleep(self, seconds: float, /) -> None:
        """Move on by that much and let the other tasks run once."""
        self.slept.append(seconds)
        self._now += seconds
        await asyncio.sleep(0)
