"""How many requests a roll-out sends, counted attempt by attempt."""

from collections import Counter

from workspaces_apps.client import WorkSpacesClient
from workspaces_apps.hooks import AttemptRecord, Hooks, ThrottleRecord, notify


class Tally:
    """Counts the requests of one target through hooks on a view of its client.

    Args:
        client: The client.
        hooks: Who else is told; a view has one set of hooks, so they are passed on from here.
    """

    def __init__(self, client: WorkSpacesClient, hooks: Hooks) -> None:
        self._hooks = hooks
        self.calls: int = 0
        self.throttled: int = 0
        self.by_operation: Counter[str] = Counter()
        self.rates: dict[str, float] = {}
        """The rate learned for each operation that was throttled, in calls a second."""
        self.client: WorkSpacesClient = client.with_options(
            hooks=Hooks(on_attempt=self._attempt, on_retry=hooks.on_retry, on_throttle=self._throttle)
        )
        """The view whose requests are counted."""

    def _attempt(self, record: AttemptRecord) -> None:
        self.calls += 1
        self.by_operation[record.operation] += 1
        if record.outcome == "throttle":
            self.throttled += 1
        notify(self._hooks.on_attempt, record)

    def _throttle(self, record: ThrottleRecord) -> None:
        if record.rate is not None:
            self.rates[record.operation] = record.rate
        notify(self._hooks.on_throttle, record)
