"""The share of the service's rate that polling may take: at most half, so that other calls get the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from workspaces_apps.clock import Clock

Rate: TypeAlias = Callable[[str], Awaitable[float | None]]
"""The rate of an operation, in calls a second, once it has stood the test; None while none has."""

SHARE: Final = 0.5


class RateShare:
    """Spaces the polls of each operation so that they take no more than their share of its rate.

    While no rate has been proven, polls go one after the other as the pacing lets them, which puts the rate to the
    test: in half of what it might be, nobody would ever find out what it is.
    """

    def __init__(self, clock: Clock, rate: Rate) -> None:
        """Nothing was called yet.

        Args:
            clock: Where time comes from.
            rate: The proven rate of an operation.
        """
        self._clock = clock
        self._rate = rate
        self._went: dict[str, float] = {}

    async def turn(self, operation: str) -> None:
        """Wait until a poll of this operation may go."""
        rate = await self._rate(operation)
        now = self._clock.monotonic()
        went = self._went.get(operation)
        turn = now if rate is None or went is None else max(now, went + 1 / (SHARE * rate))
        # Taken before the wait: whoever asks meanwhile comes after this one.
        self._went[operation] = turn
        if turn > now:
            await self._clock.sleep(turn - now)
