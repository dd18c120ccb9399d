"""One wait for one deployment, on a subscription: its moments, its errors, its outcome, its changes."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from workspaces_apps._associations.states import NextAction
from workspaces_apps._base.logs import FIELDS
from workspaces_apps._observe.schedule import TOLERATED_POLLS
from workspaces_apps._observe.timers import TINY
from workspaces_apps._telemetry.port import Span, begin
from workspaces_apps._waiters.deployment import ENDS, Deployment, Step, change_of
from workspaces_apps._waiters.policy import LAST_READ
from workspaces_apps._waiters.records import DeploymentOutcome
from workspaces_apps.errors import (
    DeploymentFailedError,
    WaiterError,
    WaiterTimeoutError,
    WorkspaceNotReadyError,
    WorkspaceNotReadyInTimeError,
    WorkSpacesError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workspaces_apps._observe.audience import PollAudience
    from workspaces_apps._observe.observer import AssociationObserver
    from workspaces_apps._observe.schedule import Schedule
    from workspaces_apps._observe.snapshot import Snapshot
    from workspaces_apps._observe.subscription import Subscription
    from workspaces_apps._observe.timers import Timer
    from workspaces_apps._reconcile.observed_state import Change
    from workspaces_apps._telemetry.port import Telemetry
    from workspaces_apps._waiters.records import AssociationChange, Target


class DeploymentWait:
    """A wait for one deployment, from `begin` to `end`, whichever comes first: its future, or whoever waits leaves."""

    __slots__ = (
        "_audience",
        "_deadline",
        "_moment",
        "_observer",
        "_on_change",
        "_schedule",
        "_subscription",
        "_telemetry",
        "_timeout",
        "_timers",
        "began",
        "deployment",
        "future",
        "workspace_id",
    )

    def __init__(
        self,
        observer: AssociationObserver,
        workspace_id: str,
        *,
        wanted: Mapping[str, Target | None] | None,
        schedule: Schedule,
        timeout: float,
        grace: float,
        ready_timeout: float = math.inf,
        audience: PollAudience | None = None,
        on_change: Callable[[AssociationChange], None] | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """A wait whose time runs, and that nobody polls for yet.

        Args:
            observer: The client's observer.
            workspace_id: The WorkSpace.
            wanted: By application, how it is to end, as far as that is known; None for what the first read shows.
            schedule: How often to poll.
            timeout: Seconds until it ends without success.
            grace: Seconds for which nothing need be under way.
            ready_timeout: Seconds for which the WorkSpace may be on its way in the end.
            audience: The object that hears of its polls.
            on_change: Is called with every change.
            telemetry: Gets its span; None for none.
        """
        self.workspace_id: str = workspace_id
        self.began: float = observer.clock.monotonic()
        self.future: asyncio.Future[DeploymentOutcome] = asyncio.get_running_loop().create_future()
        self.deployment: Deployment = Deployment(
            wanted,
            clock=observer.clock,
            began=self.began,
            grace=grace,
            ready_timeout=ready_timeout,
            listener=self._changed if on_change is not None else None,
        )
        self._observer = observer
        self._schedule = schedule
        self._timeout = timeout
        self._deadline = self.began + timeout
        self._audience = audience
        self._on_change = on_change
        self._telemetry = telemetry
        self._subscription: Subscription | None = None
        self._timers: tuple[Timer, ...] = ()
        self._moment: Timer | None = None

    @property
    def ended(self) -> bool:
        """Tell if it has ended, or nobody waits any more."""
        return self.future.done()

    @property
    def polls(self) -> int:
        """The number of reads made for it."""
        return self._subscription.polls if self._subscription is not None else 0

    def begin(self) -> None:
        """Subscribe.

        Raises:
            ClientStateError: The client is closed, or waits on another event loop.
        """
        span = begin(
            self._telemetry,
            "workspaces_apps.wait_until_deployed",
            {FIELDS["workspace_id"]: self.workspace_id},
        )
        try:
            with span.use():
                subscription = self._observer.subscribe(
                    self.workspace_id,
                    self.deployment.interest(self.began),
                    self._schedule,
                    tolerate_failures=TOLERATED_POLLS,
                    audience=self._audience,
                )
        except BaseException as error:
            span.end(error)
            raise
        self.future.add_done_callback(partial(_end, span))
        self._subscription = subscription
        subscription.on_news = self._news
        subscription.on_error = self._failed_poll
        self._timers = (
            subscription.call_at(self._deadline, subscription.hurry),
            subscription.call_at(self._deadline + LAST_READ, self._late),
        )

    def end(self) -> None:
        """Leave; may be called again."""
        for timer in (*self._timers, *((self._moment,) if self._moment is not None else ())):
            timer.cancel()
        if self._subscription is not None:
            self._subscription.close()

    def outcome(
        self, error: WorkSpacesError | None = None, *, elapsed: timedelta | None = None
    ) -> DeploymentOutcome:
        """Return what is known so far."""
        return DeploymentOutcome(
            workspace_id=self.workspace_id,
            associations=self.deployment.statuses(),
            changed=tuple(map(self._change, self.deployment.net_changes())),
            failed=self.deployment.failures(self.workspace_id),
            elapsed=elapsed if elapsed is not None else self._elapsed(),
            polls=self.polls,
            error=error,
        )

    def _news(self, snapshot: Snapshot) -> None:
        now = self._observer.clock.monotonic()
        if now < self._deadline - TINY and self.deployment.goes_on(snapshot):
            # The most frequent news of all, which changes no moment either.
            self.deployment.observed.update(snapshot)
            return
        self.deployment.see(snapshot, now)
        step = self._advance(now)
        seen_at = (
            snapshot.state_at if step is Step.WORKSPACE and snapshot.state_at is not None else snapshot.at
        )
        if step not in ENDS and now >= self._deadline - TINY and seen_at >= self._deadline - TINY:
            self._late()

    def _advance(self, now: float) -> Step:
        step = self.deployment.step(now)
        if step in ENDS:
            self._settle(step)
        elif self._subscription is not None and not self._subscription.closed:
            self._subscription.applications = self.deployment.interest(now)
            moment = self.deployment.next_moment(now)
            if self._moment is None or self._moment.when != moment:
                if self._moment is not None:
                    self._moment.cancel()
                self._moment = (
                    self._subscription.call_at(moment, self._moment_has_come) if moment < math.inf else None
                )
        return step

    def _moment_has_come(self) -> None:
        """Read anew where time alone has changed what the last read means."""
        if self._subscription is not None and not self._subscription.closed:
            self._subscription.applications = self.deployment.interest(self._observer.clock.monotonic())
            self._subscription.hurry()

    def _settle(self, step: Step) -> None:
        found = self.deployment.observed.workspace_state
        state = found or "absent"
        if step is Step.DONE:
            self._finish(self.outcome())
        elif step is Step.FAILED:
            self._fail(self._failed())
        elif step is Step.UNSTAGED:
            self._fail(WaiterError(self._unstaged()))
        elif step is Step.GONE:
            self._fail(WaiterError(f"the WorkSpace is {state}, and will not come back"))
        elif step is Step.LATE:
            late = WorkspaceNotReadyInTimeError(
                f"{self.workspace_id} was {state} for {self.deployment.ready_timeout:g} s after everything else had ended"
            )
            late.workspace_state = found
            self._fail(late)
        else:
            error = WorkspaceNotReadyError(f"the WorkSpace is {state}, and needs manual attention")
            error.workspace_state = found
            self._fail(error)

    def _late(self) -> None:
        """Fail, because something is in ERROR and the rest terminal; else because it is too late."""
        failed = self.deployment.failures(self.workspace_id)
        if failed and self.deployment.interest(self._observer.clock.monotonic()) == frozenset():
            self._fail(self._failed())
            return
        seen = ", ".join(
            f"{one.application_id} {one.state or 'absent'}" for one in self.deployment.statuses()
        )
        state = self.deployment.observed.workspace_state
        where = f"; the WorkSpace is {state}" if state is not None else ""
        what = f"{self.workspace_id} was not deployed ({seen or 'nothing seen'}{where})"
        self._fail(WaiterTimeoutError(f"{what} within {self._timeout:g} s"))

    def _failed_poll(self, error: Exception) -> None:
        if isinstance(error, WorkSpacesError):
            self._fail(error)
        elif not self.future.done():
            self.future.set_exception(error)

    def _finish(self, outcome: DeploymentOutcome) -> None:
        if not self.future.done():
            self.future.set_result(outcome)
        self.end()

    def _fail(self, error: WorkSpacesError) -> None:
        """End it with an error, which is told what was seen last."""
        error.last = {self.workspace_id: self.deployment.statuses()}
        if isinstance(error, WaiterError):
            error.elapsed = self._elapsed()
            error.polls = self.polls
            error.resource_id = self.workspace_id
        if not self.future.done():
            self.future.set_exception(error)
        self.end()

    def _elapsed(self) -> timedelta:
        return timedelta(seconds=self._observer.clock.monotonic() - self.began)

    def _failed(self) -> DeploymentFailedError:
        failed = self.deployment.failures(self.workspace_id)
        listing = "; ".join(
            f"{one.application_id} ({one.wanted or 'direction unknown'}): {one.code or 'no code'},"
            f" {one.message or 'no message'}"
            for one in failed
        )
        error = DeploymentFailedError(f"{len(failed)} failed on {self.workspace_id}: {listing}")
        error.failed = failed
        return error

    def _unstaged(self) -> str:
        parts: list[str] = []
        for status in self.deployment.statuses():
            action = self.deployment.action(status)
            name = f"{status.application_id} ({status.state or 'absent'})"
            if action is NextAction.DEPLOY:
                parts.append(f"{name} is still only staged: DeployWorkspaceApplications is missing")
            elif action is NextAction.STAGE:
                call = (
                    "AssociateWorkspaceApplication"
                    if status.wanted == "installed"
                    else "DisassociateWorkspaceApplication"
                )
                parts.append(f"{name} is not even staged: {call} and DeployWorkspaceApplications are missing")
        return f"after {self.deployment.grace:g} s, {'; '.join(parts)}"

    def _changed(self, change: Change) -> None:
        if self._on_change is not None and not self.ended:
            self._on_change(self._change(change))

    def _change(self, change: Change) -> AssociationChange:
        return change_of(self.workspace_id, change, self._observer.clock.now())


def _end(span: Span, future: asyncio.Future[DeploymentOutcome]) -> None:
    """End the span of a wait, whose future is done."""
    span.end(asyncio.CancelledError() if future.cancelled() else future.exception())
