"""How many requests a roll-out sends, counted attempt by attempt."""

from collections import Counter
from typing import Final

from workspaces_apps.client import WorkSpacesClient
from workspaces_apps.hooks import AttemptRecord, Hooks, ThrottleRecord, notify

_FAULTS: Final = 500
"""The least HTTP status of answers that are none."""


class Tally:
    """Counts the requests of one target through hooks on a view of its client.

    Args:
        client: The client.
        hooks: Who else is told; a view has one set of hooks, so they are passed on from here.
    """

    def __init__(self, client: WorkSpacesClient, hooks: Hooks) -> None:
        self._hooks = hooks
        self._clock = client.clock
        self._silent_since: float | None = None
        self.calls: int = 0
        self.throttled: int = 0
        self.by_operation: Counter[str] = Counter()
        self.rates: dict[str, float] = {}
        """The rate learned for each operation that was throttled, in calls a second."""
        self.client: WorkSpacesClient = client.with_options(
            hooks=Hooks(on_attempt=self._attempt, on_retry=hooks.on_retry, on_throttle=self._throttle)
        )
        """The view whose requests are counted."""

    @property
    def silent_seconds(self) -> float:
        """For how long no attempt was answered, by a refusal at least; 0 if the last one was."""
        return 0.0 if self._silent_since is None else self._clock.monotonic() - self._silent_since

    def _attempt(self, record: AttemptRecord) -> None:
        self.calls += 1
        self.by_operation[record.operation] += 1
        if record.outcome == "throttle":
            self.throttled += 1
        if record.http_status is not None and record.http_status < _FAULTS:
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = self._clock.monotonic()
        notify(self._hooks.on_attempt, record)

    def _throttle(self, record: ThrottleRecord) -> None:
        if record.rate is not None:
            self.rates[record.operation] = record.rate
        notify(self._hooks.on_throttle, record)
