"""A clock for calls over real HTTP, on which nobody waits."""

import asyncio

from workspaces_apps.simulator import ManualClock


async def sleepers(clock: ManualClock, count: int) -> None:
    """Return once that many tasks sleep on the clock."""
    while clock.sleeping < count:  # noqa: ASYNC110 - whoever sleeps tells nobody
        await asyncio.sleep(0.001)


class SkippingClock(ManualClock):
    """A manual clock on which every sleep is over at once.

    Attributes:
        slept: How long it was asked to sleep, each time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float, /) -> None:
        """Move on by that much and let the other tasks run once."""
        self.slept.append(seconds)
        self.jump(seconds)
        await asyncio.sleep(0)
