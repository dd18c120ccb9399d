"""Approvals in the terminal of an apply: a line that somebody types, or a program that checks the wave."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from workspaces_apps._base.clock import timeout
from workspaces_apps.cli._console import complain
from workspaces_apps.cli._programs import PROCEED, TRY_AGAIN, run_program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from workspaces_apps._base.clock import Clock
    from workspaces_apps._model.values import JsonObject
    from workspaces_apps.cli._board import Board
    from workspaces_apps.rollout import Apply, ApprovalRequested, Event

YES: Final = frozenset({"approve", "a", "yes", "y"})
NO: Final = frozenset({"reject", "r", "no", "n"})


class Approver:
    """Answers for the waves of an apply, within `async with`.

    Args:
        apply: The apply.
        board: How it stands; it has each event before this.
        clock: The time between checks.
        check: The program that decides, and its arguments; None for none.
        check_timeout: Seconds that it may take.
        asks: Whether a line that is typed here decides.
    """

    def __init__(
        self,
        apply: Apply,
        board: Board,
        clock: Clock,
        *,
        check: Sequence[str] | None,
        check_timeout: float,
        asks: bool,
    ) -> None:
        self._apply = apply
        self._board = board
        self._clock = clock
        self._check = check
        self._check_timeout = check_timeout
        self._asks = asks
        self._checking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End a check that goes on."""
        self._stop_listening()
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.gather(self._checking, return_exceptions=True)

    def hear(self, event: Event) -> None:
        """Take one more event in."""
        from workspaces_apps.rollout import ApprovalRequested, Approved, Rejected

        if isinstance(event, ApprovalRequested):
            if self._check is not None:
                self._checking = asyncio.create_task(self._decide(self._check, event))
            elif self._asks:
                complain(f"wave {event.wave} has ended: type approve or reject, and Enter")
                asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._listen)
        elif isinstance(event, Approved | Rejected):
            self._stop_listening()
            # Somebody else may have decided: what is checked still is of a wave that is over.
            if self._checking is not None:
                self._checking.cancel()

    async def _decide(self, words: Sequence[str], request: ApprovalRequested) -> None:
        while True:
            try:
                async with timeout(self._clock, self._check_timeout):
                    ended = await run_program(words, self._payload(request))
            except TimeoutError:
                self._answer(
                    wave=request.wave,
                    approve=False,
                    reason=f"the wave check took longer than {self._check_timeout:g} s",
                )
                return
            except OSError as error:
                self._answer(
                    wave=request.wave, approve=False, reason=f"the wave check cannot be run: {error.strerror}"
                )
                return
            if ended.code != TRY_AGAIN:
                approves = ended.code == PROCEED
                reason = ended.first_line or ("" if approves else f"the wave check: {ended.failure}")
                self._answer(wave=request.wave, approve=approves, reason=reason)
                return
            try:
                await self._clock.sleep(ended.seconds())
            except ValueError:
                self._answer(
                    wave=request.wave,
                    approve=False,
                    reason=f"the wave check printed {ended.first_line[:60]!r}, not seconds",
                )
                return

    def _payload(self, request: ApprovalRequested) -> JsonObject:
        counts = self._board.summary.counts
        return {
            "name": self._board.plan.name,
            "run": request.run,
            "wave": request.wave,
            "digest": request.digest,
            "workspaces": request.workspaces,
            "succeeded": counts["succeeded"],
            "failed": counts["failed"],
            "skipped": counts["skipped"],
            "retried": self._board.summary.retried,
        }

    def _listen(self) -> None:
        line = os.read(sys.stdin.fileno(), 4096).decode(errors="replace")
        word, _, reason = line.strip().partition(" ")
        if not line:
            self._stop_listening()
        elif word.lower() in YES | NO:
            self._answer(approve=word.lower() in YES, reason=reason)
        elif word:
            complain("type approve or reject, and Enter")

    def _answer(self, *, approve: bool, reason: str, wave: int | None = None) -> None:
        from workspaces_apps.rollout import RolloutError

        # Somebody else may have answered just then.
        with suppress(RolloutError):
            if approve:
                self._apply.approve(wave, reason=reason)
            else:
                self._apply.reject(reason)

    def _stop_listening(self) -> None:
        if self._asks:
            with suppress(ValueError, OSError):
                asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
