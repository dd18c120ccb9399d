"""Spans and metrics of a roll-out: the plan, the apply, its waves and WorkSpaces, its changes and its journal."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, Final, Literal, ParamSpec, Protocol, TypeVar

from workspaces_apps._base.logs import FIELDS, log_scope, scope_attributes
from workspaces_apps._telemetry.port import begin, span
from workspaces_apps.rollout._log.events import Failed, Finished, Skipped, Started, Succeeded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping

    from workspaces_apps._reconcile.reconciler import ReconcileResult
    from workspaces_apps._telemetry.metrics import MetricName
    from workspaces_apps._telemetry.port import Attributes, Telemetry
    from workspaces_apps.rollout._log.events import Event

P = ParamSpec("P")
T = TypeVar("T")

_CHANGES: Final = "workspaces_apps.rollout.changes"

_OUTCOMES: Final[tuple[Literal["succeeded", "failed", "skipped"], ...]] = ("succeeded", "failed", "skipped")
"""The outcomes of a change."""


def nobody_waits() -> Mapping[str, int]:
    """Return that nobody waits."""
    return {}


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
        self.waiting: Callable[[], Mapping[str, int]] = nobody_waits
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

    def apply(self, event: Event) -> None:
        """Count the changes that have ended, and note how the run begins and ends."""
        if isinstance(event, Succeeded):
            self._count("succeeded", None)
        elif (isinstance(event, Failed) and event.final) or isinstance(event, Skipped):
            self._count(event.kind, event.reason)
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

    @contextmanager
    def append(self, *, durable: bool) -> Generator[None]:
        """Time a block that appends to the journal."""
        began = time.perf_counter()
        yield
        if self._telemetry is not None:
            elapsed = time.perf_counter() - began
            self._telemetry.measure(
                "workspaces_apps.rollout.journal.duration", elapsed, {"workspaces_apps.durable": durable}
            )

    def close(self, error: BaseException | None = None) -> None:
        """End the span of the apply; may be called again."""
        if self._open:
            self._open = False
            self.waiting = nobody_waits
            self._span.end(error)

    def _count(self, outcome: str, reason: str | None) -> None:
        if self._telemetry is not None:
            about = {"workspaces_apps.outcome": outcome}
            if reason is not None:
                about["workspaces_apps.reason"] = reason
            self._telemetry.measure(_CHANGES, 1, about)


class _Traced(Protocol):
    """An object that has telemetry."""

    def _telemetry(self) -> Telemetry | None: ...


_TracedT = TypeVar("_TracedT", bound=_Traced)


def traced_plan(
    plan: Callable[Concatenate[_TracedT, P], Coroutine[object, object, T]],
) -> Callable[Concatenate[_TracedT, P], Coroutine[object, object, T]]:
    """Give each call of `Rollout.plan` a span."""

    @wraps(plan)
    async def traced(self: _TracedT, /, *arguments: P.args, **named: P.kwargs) -> T:
        telemetry = self._telemetry()  # pyright: ignore[reportPrivateUsage]  # its own method
        with span(telemetry, "workspaces_apps.rollout.plan", {}):
            return await plan(self, *arguments, **named)

    return traced
