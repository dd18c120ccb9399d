"""The requests of a command: their number, their rate, and the throttles."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from workspaces_apps._base.hooks import AttemptRecord, Hooks, ThrottleRecord
from workspaces_apps.cli._words import count

WINDOW: Final = 60.0
"""Seconds over which the rate of now is taken."""


class Traffic:
    """Counts requests, through hooks on the client.

    Args:
        monotonic: Seconds of the clock that the client lives by.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self.on_call: Callable[[], object] | None = None
        """Called after each request that was answered, or not."""
        self.rates: dict[str, float] = {}
        """The rate learned for each operation that was throttled, in calls a second."""
        self.hooks: Hooks = Hooks(on_attempt=self._attempt, on_throttle=self._throttle)
        self.begin()

    def begin(self) -> None:
        """Count from now on: something else begins, on the same connections and at the rates that were learned."""
        self._began = self._monotonic()
        self._recent: deque[float] = deque()
        self.calls: int = 0
        self.throttled: int = 0
        self.by_operation: Counter[str] = Counter()
        self.latest: str = ""
        """The operation that was called last."""

    @property
    def elapsed(self) -> timedelta:
        """The time since the beginning."""
        return timedelta(seconds=self._monotonic() - self._began)

    @property
    def per_second(self) -> float:
        """Calls a second, over the last minute or since the beginning."""
        now = self._monotonic()
        recent = sum(moment > now - WINDOW for moment in tuple(self._recent))
        return recent / max(1.0, min(WINDOW, now - self._began))

    @property
    def words(self) -> str:
        """All of it in a few words."""
        share = f" ({self.throttled / self.calls:.1%})" if self.throttled else ""
        return f"{count(self.calls, 'call')}, {self.per_second:.1f}/s, {self.throttled:,} throttled{share}"

    @property
    def slowest(self) -> str:
        """The operation that the service holds back most, in words; empty if none is."""
        if not self.rates:
            return ""
        operation, rate = min(self.rates.items(), key=lambda item: item[1])
        return f"rate-limited to {rate:.1f}/s: {operation}"

    def _attempt(self, record: AttemptRecord) -> None:
        now = self._monotonic()
        self.calls += 1
        self.throttled += record.outcome == "throttle"
        # A new one, because the screen is drawn in another thread.
        self.by_operation = self.by_operation + Counter({record.operation: 1})
        self.latest = record.operation
        self._recent.append(now)
        while self._recent[0] < now - WINDOW:
            self._recent.popleft()
        if self.on_call is not None:
            self.on_call()

    def _throttle(self, record: ThrottleRecord) -> None:
        if record.rate is not None:
            # For the same reason.
            self.rates = {**self.rates, record.operation: record.rate}
