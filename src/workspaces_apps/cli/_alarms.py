"""Alarms of `watch`: a program that is told what has changed, and a file of metrics."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workspaces_apps.cli._console import complain
from workspaces_apps.cli._openmetrics import rendered, write_metrics
from workspaces_apps.cli._programs import run_program

if TYPE_CHECKING:
    from workspaces_apps.cli._drift import Standings
    from workspaces_apps.rollout import Status


class Alarms:
    """Whoever is told of a poll beside the screen. What fails here is told, and the watch goes on.

    Args:
        on_change: The program and its arguments; None for none.
        hook_timeout: Seconds of real time that it may take; then it is killed with all that it has started.
        metrics: The file of metrics; None for none.
    """

    def __init__(
        self,
        *,
        on_change: tuple[str, ...] | None = None,
        hook_timeout: float = 60.0,
        metrics: Path | None = None,
    ) -> None:
        self._on_change = on_change
        self._hook_timeout = hook_timeout
        self._metrics = metrics
        self._known: Standings | None = None
        self._status: Status | None = None

    async def tell(self, status: Status) -> None:
        """Tell of a poll that was answered."""
        self._status = status
        self._write(status.plan.name, status.plan.created, answered=True)
        if self._on_change is None:
            return
        from workspaces_apps.cli._drift import document, news

        changed, self._known = news(self._known, status)
        if not changed:
            return
        try:
            async with asyncio.timeout(self._hook_timeout):
                ended = await run_program(self._on_change, document(status, changed))
        except TimeoutError:
            complain(f"--on-change: killed, because it took longer than {self._hook_timeout:g} s")
        except OSError as error:
            complain(f"--on-change: cannot be run: {error.strerror or error}")
        else:
            if ended.code:
                complain(f"--on-change: {ended.failure}")

    def unanswered(self, name: str, at: datetime) -> None:
        """Tell of a poll that was not answered: the metrics keep what was known, and say so."""
        self._write(name, at, answered=False)

    def _write(self, name: str, at: datetime, *, answered: bool) -> None:
        if self._metrics is None:
            return
        try:
            write_metrics(self._metrics, rendered(name, self._status, at=at, answered=answered))
        except OSError as error:
            complain(f"--metrics: cannot write {self._metrics}: {error.strerror or error}")
