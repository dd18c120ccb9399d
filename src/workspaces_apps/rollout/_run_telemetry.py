"""Counts, spans and metrics of a roll-out: its requests, the plan, the apply, waves, WorkSpaces, changes and journal."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

from workspaces_apps._base.logs import FIELDS, log_scope, scope_attributes
from workspaces_apps._telemetry.port import (
    AttemptRecord,
    Attributes,
    Hooks,
    PollRecord,
    RetryRecord,
    Telemetry,
    ThrottleRecord,
    begin,
    notify,
    span,
)
from workspaces_apps.rollout._log.events import Event, Failed, Finished, Skipped, Started, Succeeded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

    from workspaces_apps._client.client import WorkSpacesClient
    from workspaces_apps._reconcile.reconciler import ReconcileResult
    from workspaces_apps._telemetry.port import MetricName

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


_CHANGES: Final = "workspaces_apps.rollout.changes"

_OUTCOMES: Final[tuple[Literal["succeeded", "failed", "skipped"], ...]] = ("succeeded", "failed", "skipped")
"""The outcomes of a change."""


class RunTelemetry:
    """The spans and metrics of one apply; a projection of its events.

    The span of the apply begins where it is made, under the caller's, and ends with `close`.

    Args:
        telemetry: Where they go; None for nowhere.
        run: The id of the apply.

    Attributes:
        waiting: Returns how many WorkSpaces wait, by reason; set by whoever knows.
    """

    def __init__(self, telemetry: Telemetry | None, run: str) -> None:
        self.waiting: Callable[[], Mapping[str, int]] = dict[str, int]
        self._telemetry = telemetry
        self._run = run
        self._span = begin(telemetry, "workspaces_apps.rollout.apply", {FIELDS["run"]: run})
        self._open = True
        if telemetry is not None:
            telemetry.watch(self)

    def gauges(self) -> Generator[tuple[MetricName, float, Attributes]]:
        """Return how many WorkSpaces wait at the moment, by reason."""
        for reason, number in self.waiting().items():
            yield "workspaces_apps.rollout.waiting", number, {"workspaces_apps.reason": reason}

    def apply(self, event: Event, *, changes: int) -> None:
        """Count the changes that have ended, and note how the run begins and ends.

        Args:
            event: What happened.
            changes: How many changes it is about, by the run's summary.
        """
        if isinstance(event, Succeeded):
            self._count(changes, "succeeded", None)
        elif (isinstance(event, Failed) and event.final) or isinstance(event, Skipped):
            self._count(changes, event.kind, event.reason)
        elif isinstance(event, Started):
            self._span.set(
                {
                    "workspaces_apps.rollout.name": event.name,
                    "workspaces_apps.rollout.workspaces": event.workspaces,
                    "workspaces_apps.rollout.changes": event.changes,
                    "workspaces_apps.rollout.resumed": event.resumed,
                }
            )
        elif isinstance(event, Finished):
            self._span.set(
                {
                    "workspaces_apps.rollout.ending": event.ending,
                    "workspaces_apps.rollout.calls": event.calls,
                    "workspaces_apps.rollout.throttled": event.throttled,
                    "workspaces_apps.rollout.succeeded": event.succeeded,
                    "workspaces_apps.rollout.failed": event.failed,
                    "workspaces_apps.rollout.skipped": event.skipped,
                }
            )

    async def run(self, controller: Callable[[], Awaitable[None]]) -> None:
        """Run the controller within the span of the apply."""
        with self._span.use(), log_scope(run=self._run):
            await controller()

    @contextmanager
    def wave(self, number: int, workspaces: int) -> Generator[None]:
        """Make a block a wave; WorkSpaces that are parked in it may outlive it."""
        with log_scope(wave=number):
            about = {**scope_attributes(), "workspaces_apps.rollout.workspaces": workspaces}
            with span(self._telemetry, "workspaces_apps.rollout.wave", about):
                yield

    async def workspace(
        self, target: str, workspace_id: str, reconcile: Callable[[], Awaitable[ReconcileResult]]
    ) -> ReconcileResult:
        """Run the reconciler of a WorkSpace within a span of its own, which fails where a change does."""
        with log_scope(target=target, workspace_id=workspace_id):
            about = scope_attributes()
            with span(self._telemetry, "workspaces_apps.rollout.workspace", about) as current:
                result = await reconcile()
                outcomes = [change.outcome for change in result.changes.values()]
                current.set({f"workspaces_apps.rollout.{one}": outcomes.count(one) for one in _OUTCOMES})
                for change in result.changes.values():
                    if change.outcome == "failed":
                        current.fail(change.reason or "failed", change.message)
                return result

    def appended(self, began: float, *, durable: bool) -> None:
        """Measure an append to the journal that is done.

        Args:
            began: When it began, by `time.perf_counter`.
            durable: Whether it is on disk now.
        """
        if self._telemetry is not None:
            elapsed = time.perf_counter() - began
            self._telemetry.measure(
                "workspaces_apps.rollout.journal.duration", elapsed, {"workspaces_apps.durable": durable}
            )

    def close(self, error: BaseException | None = None) -> None:
        """End the span of the apply; may be called again."""
        if self._open:
            self._open = False
            self.waiting = dict[str, int]
            self._span.end(error)

    def _count(self, changes: int, outcome: str, reason: str | None) -> None:
        if self._telemetry is not None:
            about = {"workspaces_apps.outcome": outcome}
            if reason is not None:
                about["workspaces_apps.reason"] = reason
            self._telemetry.measure(_CHANGES, changes, about)
