"""The circuit breaker of an apply: why nothing more starts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from workspaces_apps._base.clock import Signal, sleep_or
from workspaces_apps._reconcile.decisions import Reason
from workspaces_apps.errors import told

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workspaces_apps._base.clock import Clock
    from workspaces_apps.errors import WorkSpacesError


class CircuitBreaker:
    """Keeps what has not started from starting; what has started goes on. Nothing resets it.

    Args:
        clock: The time of rests.
        targets: Those that have something to do.
        budget: How many WorkSpaces may fail.

    Attributes:
        reason: Why nothing more starts anywhere; None while something may. The first reason stays.
    """

    def __init__(self, clock: Clock, targets: Iterable[str], budget: int) -> None:
        self.reason: tuple[Reason, str] | None = None
        self._clock = clock
        self._budget = budget
        self._failures = 0
        self._tripped = asyncio.Event()
        self._stops = {target: asyncio.Event() for target in targets}
        self._stopped: dict[str, tuple[Reason, str]] = {}

    def trip(self, reason: Reason, message: str) -> None:
        """Start nothing more anywhere."""
        if self.reason is None:
            self.reason = reason, message
            self._tripped.set()

    def trip_target(self, target: str, message: str, reason: Reason = Reason.BUDGET_SPENT) -> None:
        """Start nothing more in a target: nothing else would work there either. The others go on."""
        self._stopped.setdefault(target, (reason, message))
        self._stops[target].set()
        if self._stopped.keys() >= self._stops.keys():
            self.trip(reason, message)

    def lose_credentials(self, target: str, error: WorkSpacesError) -> None:
        """Start nothing more in a target whose credentials are lost."""
        self.trip_target(target, told(error), Reason.CREDENTIALS)

    @property
    def lost(self) -> str:
        """The targets that have lost their credentials, and how; empty if none has."""
        return self._told(Reason.CREDENTIALS)

    def count_failure(self) -> None:
        """Count a WorkSpace that failed."""
        self._failures += 1
        if self._failures > self._budget:
            self.trip(
                Reason.BUDGET_SPENT, f"{self._failures} WorkSpaces failed, and the budget is {self._budget}"
            )

    def reason_for(self, target: str) -> tuple[Reason, str] | None:
        """Return why nothing more starts in a target; None while something may."""
        lost = self._stopped.get(target)
        if lost is not None and (self.reason is None or lost[0] is Reason.CREDENTIALS):
            return lost
        return self.reason

    @property
    def stopped(self) -> str:
        """The targets that were stopped, and why; empty if none was."""
        return self._told(*Reason)

    def _told(self, *reasons: Reason) -> str:
        return "; ".join(
            f"{target}: {message}"
            for target, (reason, message) in sorted(self._stopped.items())
            if reason in reasons
        )

    async def rest(self, seconds: float, target: str | None = None, *others: Signal) -> None:
        """Sleep, until nothing more starts: in the target, where one is named, or anywhere; or another signal comes."""
        if seconds > 0:
            stops = [self._stops[target]] if target is not None else []
            await sleep_or(self._clock, seconds, self._tripped, *stops, *others)
