"""The requests of one target of a roll-out, counted attempt by attempt, polls that serve it included."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from workspaces_apps._base.hooks import AttemptRecord, Hooks, PollRecord, RetryRecord, ThrottleRecord, notify

if TYPE_CHECKING:
    from workspaces_apps._client.client import WorkSpacesClient

_FAULTS: Final = 500
"""The least HTTP status of answers that are none."""


class CallMetrics:
    """Counts the requests of one target: its own, through hooks on a view of its client, and polls that serve it.

    Args:
        client: The client.
        hooks: Who else is told; a view has one set of hooks, so they are passed on from here.

    Attributes:
        calls: Attempts, polls that others share included.
        shared_calls: Those of them that served somebody else too.
        throttled: Those of them that the service refused for their rate.
        rates: The rate learned for each operation that was throttled, in calls a second.
        client: The view whose requests are counted.
    """

    def __init__(self, client: WorkSpacesClient, hooks: Hooks) -> None:
        self._hooks = hooks
        self._clock = client.clock
        self._silent_since: float | None = None
        self.calls: int = 0
        self.shared_calls: int = 0
        self.throttled: int = 0
        self.by_operation: Counter[str] = Counter()
        self.rates: dict[str, float] = {}
        self.client: WorkSpacesClient = client.with_options(
            hooks=Hooks(on_attempt=self.attempt, on_retry=self.retry, on_throttle=self.throttle)
        )

    @property
    def silent_seconds(self) -> float:
        """Seconds since an attempt was answered, by a refusal at least; 0 if the last one was."""
        return 0.0 if self._silent_since is None else self._clock.monotonic() - self._silent_since

    def attempt(self, record: AttemptRecord, *, shared: bool = False) -> None:
        """Count an attempt, of a call of its own or of a poll that served it."""
        self.calls += 1
        self.shared_calls += shared
        self.by_operation[record.operation] += 1
        if record.outcome == "throttle":
            self.throttled += 1
        if record.http_status is not None and record.http_status < _FAULTS:
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = self._clock.monotonic()
        notify(self._hooks.on_attempt, record)

    def retry(self, record: RetryRecord, *, shared: bool = False) -> None:  # noqa: ARG002 - hooks do not tell it
        """Pass on a retry."""
        notify(self._hooks.on_retry, record)

    def throttle(self, record: ThrottleRecord, *, shared: bool = False) -> None:  # noqa: ARG002
        """Note the rate that a throttle has taught."""
        if record.rate is not None:
            self.rates[record.operation] = record.rate
        notify(self._hooks.on_throttle, record)

    def poll(self, record: PollRecord, *, shared: bool = False) -> None:  # noqa: ARG002
        """Pass on a poll."""
        notify(self._hooks.on_poll, record)
