"""The gate between a wave that must be approved and whatever comes after it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workspaces_apps.rollout._errors import RolloutError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from workspaces_apps.rollout._journal.control import ControlRecord
    from workspaces_apps.rollout._log.events import ApprovalRequested


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDecision:
    """The word on a wave.

    Attributes:
        approve: Whether what comes after it may begin.
        who: Who gave it.
        reason: Why, in words.
        sequence: Its number in the control record; None where it was given to this process.
    """

    approve: bool
    who: str
    reason: str = ""
    sequence: int | None = None


class ApprovalGate:
    """Takes the word on the wave that waits for it, from this process or from the control record.

    Attributes:
        decided: Set once there is a decision on the wave that waits.
        look: Reads the control record once more; None where there is none.
    """

    def __init__(self) -> None:
        self.look: Callable[[], Awaitable[None]] | None = None
        self.decided: asyncio.Event = asyncio.Event()
        self._waiting: ApprovalRequested | None = None
        self._decision: ApprovalDecision | None = None
        self._consumed = 0
        self._records: Mapping[tuple[int, str], ControlRecord] = {}

    @property
    def wave(self) -> int | None:
        """The number of the wave that waits; None while none does."""
        return self._waiting.wave if self._waiting is not None else None

    def open(self, request: ApprovalRequested, consumed: int) -> None:
        """Begin to wait for the word on a wave.

        Args:
            request: The wave.
            consumed: The number of the last command that was acted upon; earlier ones are for other waves.
        """
        self._waiting, self._decision, self._consumed = request, None, consumed
        self.decided.clear()
        self._match()

    def close(self) -> ApprovalDecision | None:
        """End the wait, and return the decision; None if there was none."""
        self._waiting = None
        return self._decision

    def decide(self, decision: ApprovalDecision, wave: int | None = None) -> None:
        """Take the word on the wave that waits; the first one counts.

        Args:
            decision: The word.
            wave: The number of the wave that it is meant for; None for whichever waits.

        Raises:
            RolloutError: No wave waits, or another one.
        """
        waiting = self._waiting
        if waiting is None:
            raise RolloutError("no wave waits for approval: one that has not ended cannot be approved")
        if wave not in (None, waiting.wave):
            raise RolloutError(f"wave {waiting.wave} waits for approval, not wave {wave}")
        if self._decision is None:
            self._decision = decision
            self.decided.set()

    def take(self, records: Mapping[tuple[int, str], ControlRecord]) -> None:
        """Take in what the control record says, by wave and digest."""
        self._records = records
        self._match()

    def _match(self) -> None:
        waiting = self._waiting
        record = self._records.get((waiting.wave, waiting.digest)) if waiting is not None else None
        if record is not None and record.sequence > self._consumed:
            self.decide(
                ApprovalDecision(
                    approve=record.command == "approve",
                    who=record.who,
                    reason=record.reason,
                    sequence=record.sequence,
                )
            )
