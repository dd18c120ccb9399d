"""Why nothing more is begun in an apply: it was asked to end, a target halted, or the failure budget is spent."""

import asyncio
from collections.abc import Iterable

from workspaces_apps.clock import Clock
from workspaces_apps.rollout.reasons import Reason


class Brake:
    """Keeps what has not begun from beginning; what has begun goes on. Nothing releases it.

    Args:
        clock: The time of rests.
        targets: Those that have something to do.
        budget: How many WorkSpaces may fail.

    Attributes:
        why: Why nothing more is begun anywhere; None while something may be. The first reason stays.
    """

    def __init__(self, clock: Clock, targets: Iterable[str], budget: int) -> None:
        self.why: tuple[Reason, str] | None = None
        self._clock = clock
        self._budget = budget
        self._failures = 0
        self._pulled = asyncio.Event()
        self._halts = {target: asyncio.Event() for target in targets}
        self._halted: dict[str, str] = {}

    def pull(self, reason: Reason, message: str) -> None:
        """Begin nothing more anywhere."""
        if self.why is None:
            self.why = reason, message
            self._pulled.set()

    def halt(self, target: str, message: str) -> None:
        """Begin nothing more in a target: nothing else would work there either. The others go on."""
        self._halted.setdefault(target, message)
        self._halts[target].set()
        if self._halted.keys() >= self._halts.keys():
            self.pull(Reason.BUDGET_SPENT, message)

    def count_failure(self) -> None:
        """One more WorkSpace failed."""
        self._failures += 1
        if self._failures > self._budget:
            self.pull(
                Reason.BUDGET_SPENT, f"{self._failures} WorkSpaces failed, and the budget is {self._budget}"
            )

    def why_not(self, target: str) -> tuple[Reason, str] | None:
        """Why nothing more is begun in a target; None while something may be."""
        if self.why is None and target in self._halted:
            return Reason.BUDGET_SPENT, self._halted[target]
        return self.why

    @property
    def halted(self) -> str:
        """Which targets halted, and why; empty if none did."""
        return "; ".join(f"{target}: {message}" for target, message in sorted(self._halted.items()))

    async def rest(self, seconds: float, target: str | None = None) -> None:
        """Let so much time pass, unless nothing more is begun: in the target, where one is named, or anywhere."""
        if seconds <= 0:
            return
        ends = [self._pulled] if target is None else [self._pulled, self._halts[target]]
        waits = [asyncio.ensure_future(end.wait()) for end in ends]
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait((sleeping, *waits), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in (sleeping, *waits):
                wait.cancel()
            await asyncio.gather(sleeping, *waits, return_exceptions=True)
