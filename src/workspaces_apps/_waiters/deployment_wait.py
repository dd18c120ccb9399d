"""Waits for deployments on a subscription: one wait, its changes one by one, and many waits at once."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from workspaces_apps._associations.states import NextAction
from workspaces_apps._base.logs import FIELDS, field_logger
from workspaces_apps._base.public import public
from workspaces_apps._observe.schedule import TINY, TOLERATED_POLLS
from workspaces_apps._telemetry.port import TraceSpan, begin
from workspaces_apps._waiters.deployment import (
    ENDS,
    AssociationChange,
    Deployment,
    DeploymentOutcome,
    NextStep,
    OnChange,
    change_of,
    described,
    states_in_words,
)
from workspaces_apps._waiters.methods import LAST_READ
from workspaces_apps.errors import (
    ClientStateError,
    DeploymentFailedError,
    PartialFailureError,
    WaiterError,
    WaiterTimeoutError,
    WorkspaceNotReadyError,
    WorkspaceNotReadyInTimeError,
    WorkSpacesError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workspaces_apps._observe.observer import AssociationObserver
    from workspaces_apps._observe.reads import Snapshot
    from workspaces_apps._observe.schedule import Schedule, Timer
    from workspaces_apps._observe.subscription import PollAudience, Subscription
    from workspaces_apps._reconcile.observed_state import StateChange
    from workspaces_apps._telemetry.port import Telemetry
    from workspaces_apps._waiters.deployment import WantedState


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
        wanted: Mapping[str, WantedState | None] | None,
        schedule: Schedule,
        timeout: float,
        grace: float,
        ready_timeout: float = math.inf,
        audience: PollAudience | None = None,
        on_change: Callable[[AssociationChange], None] | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """Make a wait whose time runs, and that nobody polls for yet.

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
        # Retrieved, so that an error nobody waits for any more is not reported as lost.
        if not self.future.cancel() and not self.future.cancelled():
            self.future.exception()

    def outcome(
        self, error: WorkSpacesError | None = None, *, elapsed: timedelta | None = None
    ) -> DeploymentOutcome:
        """Return what is known so far."""
        return DeploymentOutcome(
            workspace_id=self.workspace_id,
            associations=self.deployment.statuses(),
            changed=tuple(map(self._change, self.deployment.net_changes())),
            failed=self.deployment.failures(self.workspace_id),
            elapsed=elapsed if elapsed is not None else timedelta(seconds=self._elapsed()),
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
            snapshot.state_at if step is NextStep.WORKSPACE and snapshot.state_at is not None else snapshot.at
        )
        if step not in ENDS and now >= self._deadline - TINY and seen_at >= self._deadline - TINY:
            self._late()

    def _advance(self, now: float) -> NextStep:
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
            self._subscription.hurry()

    def _settle(self, step: NextStep) -> None:
        found = self.deployment.observed.workspace_state
        state = found or "absent"
        if step is NextStep.DONE:
            self._finish(self.outcome())
        elif step is NextStep.FAILED:
            self._fail(self._failed())
        elif step is NextStep.UNSTAGED:
            self._fail(WaiterError(self._unstaged()))
        elif step is NextStep.GONE:
            refusal = self.deployment.observed.refusal
            gone = WaiterError(f"the WorkSpace is {state}, and will not come back")
            gone.request_id = refusal.request_id if refusal is not None else None
            self._fail(gone, refusal)
        elif step is NextStep.LATE:
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
        if failed and self.deployment.is_over(self._observer.clock.monotonic()):
            self._fail(self._failed())
            return
        followed, observed = self.deployment.followed, self.deployment.observed
        seen = "never read" if followed is None else states_in_words(followed, observed) or "nothing pending"
        state = observed.workspace_state
        where = f"; the WorkSpace is {state}" if state is not None else ""
        what = f"{self.workspace_id} was not deployed ({seen}{where})"
        trouble = self._subscription.trouble if self._subscription is not None else None
        self._fail(WaiterTimeoutError(f"{what} within {self._timeout:g} s"), trouble)

    def _failed_poll(self, error: Exception) -> None:
        if isinstance(error, WorkSpacesError):
            self._fail(error)
        elif not self.future.done():
            self.future.set_exception(error)

    def _finish(self, outcome: DeploymentOutcome) -> None:
        if not self.future.done():
            self.future.set_result(outcome)
        self.end()

    def _fail(self, error: WorkSpacesError, cause: WorkSpacesError | None = None) -> None:
        """End it with an error, which is told what was seen last."""
        if cause is not None:
            error.__cause__ = cause
        last = {self.workspace_id: self.deployment.statuses()}
        described(error, self.workspace_id, last=last, elapsed=self._elapsed(), polls=self.polls)
        if not self.future.done():
            self.future.set_exception(error)
        self.end()

    def _elapsed(self) -> float:
        return self._observer.clock.monotonic() - self.began

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

    def _changed(self, change: StateChange) -> None:
        if self._on_change is not None and not self.ended:
            self._on_change(self._change(change))

    def _change(self, change: StateChange) -> AssociationChange:
        return change_of(self.workspace_id, change, self._observer.clock.now())


def _end(span: TraceSpan, future: asyncio.Future[DeploymentOutcome]) -> None:
    """End the span of a wait, whose future is done."""
    span.end(asyncio.CancelledError() if future.cancelled() else future.exception())


_log = field_logger("workspaces_apps.waiters")


@public("workspaces_apps.types")
class DeploymentWatch(AsyncIterator[AssociationChange]):
    """The changes of a deployment, as they are seen; use it with `async with`.

    The iteration ends when the deployment ends, or the block is left, which ends the polling; a watch is for one block. A
    failed association is a change like another, with the reason; `outcome` tells how it all ended.
    """

    def __init__(self, make_wait: Callable[[Callable[[AssociationChange], None]], DeploymentWait]) -> None:
        """Make a watch that has not begun.

        Args:
            make_wait: Makes the wait, given what is called with every change.
        """
        self._make_wait = make_wait
        self._wait: DeploymentWait | None = None
        self._changes: deque[AssociationChange] = deque()
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        if self._wait is not None:
            raise ClientStateError("a watch is for one block: call watch_deployment again")
        wait = self._make_wait(self._changed)
        wait.future.add_done_callback(lambda _: self._news.set())
        wait.begin()
        self._wait = wait
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._wait is not None:
            self._wait.end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AssociationChange:
        wait = self._begun()
        while not self._changes:
            if wait.ended:
                error = wait.future.exception() if not wait.future.cancelled() else None
                if error is None or isinstance(error, DeploymentFailedError):
                    raise StopAsyncIteration
                raise error
            self._news.clear()
            await self._news.wait()
        return self._changes.popleft()

    @property
    def outcome(self) -> DeploymentOutcome | None:
        """The outcome, failed associations included; None while it goes on."""
        wait = self._begun()
        if not wait.ended or wait.future.cancelled():
            return None
        error = wait.future.exception()
        if error is None:
            return wait.future.result()
        if not isinstance(error, DeploymentFailedError) or error.elapsed is None:
            return None
        return wait.outcome(elapsed=error.elapsed)

    def result(self) -> DeploymentOutcome:
        """Return the outcome of a deployment that has ended.

        Raises:
            WaiterError: As `wait_until_deployed` does.
            ClientStateError: It has not ended yet, or had not when the block was left.
        """
        future = self._begun().future
        if not future.done():
            raise ClientStateError(
                "the deployment has not ended yet: iterate over its changes to the end first"
            )
        if future.cancelled():
            raise ClientStateError("the watch was left before the deployment had ended, so it has no result")
        return future.result()

    def _begun(self) -> DeploymentWait:
        if self._wait is None:
            raise ClientStateError("the watch has not begun: use it with `async with`")
        return self._wait

    def _changed(self, change: AssociationChange) -> None:
        self._changes.append(change)
        self._news.set()


async def tell(hook: OnChange, change: AssociationChange) -> None:
    """Call a hook, and await it if that is asked for; what it raises is logged and goes no further."""
    try:
        answer = hook(change)
        if inspect.isawaitable(answer):
            await answer
    except Exception:  # noqa: BLE001 - a hook is a stranger's code and may raise anything
        _log.exception(
            "on_change raised on a change of %s", change.application_id,
            extra={"workspace_id": change.workspace_id, "application_id": change.application_id},
        )  # fmt: skip


@public("workspaces_apps.types")
class AllDeployed(Awaitable["tuple[DeploymentOutcome, ...]"]):
    """Many deployments that are waited for.

    `async for` gives each outcome when it is there; one that did not end well has its `error`. Awaiting gives all
    of them, in the order of the WorkSpaces, and raises PartialFailureError, after all have ended, if any did not
    end well. Either begins to wait when it is used.
    """

    def __init__(
        self,
        make_wait: Callable[[str, Callable[[AssociationChange], None] | None], DeploymentWait],
        workspace_ids: Sequence[str],
        *,
        fail_fast: bool,
        on_change: OnChange | None,
    ) -> None:
        """Wait for nothing yet.

        Args:
            make_wait: Makes the wait for one WorkSpace, given what is called with every change.
            workspace_ids: The WorkSpaces, each once.
            fail_fast: Whether the first error ends all.
            on_change: Is called with every change.
        """
        self._make_wait = make_wait
        self._workspace_ids = tuple(workspace_ids)
        self._fail_fast = fail_fast
        self._on_change = on_change

    def __await__(self) -> Generator[Any, None, tuple[DeploymentOutcome, ...]]:
        return self._all().__await__()

    def __aiter__(self) -> AsyncIterator[DeploymentOutcome]:
        return self._as_they_come()

    async def _all(self) -> tuple[DeploymentOutcome, ...]:
        found = {outcome.workspace_id: outcome async for outcome in self._as_they_come()}
        outcomes = tuple(found[one] for one in self._workspace_ids)
        failed = [outcome for outcome in outcomes if outcome.error is not None]
        if failed:
            raise PartialFailureError(
                f"{len(failed)} of {len(outcomes)} deployments did not end well; the first: {failed[0].error}",
                failed=failed,
                succeeded=[outcome for outcome in outcomes if outcome.error is None],
            )
        return outcomes

    async def _as_they_come(self) -> AsyncIterator[DeploymentOutcome]:
        news: asyncio.Queue[DeploymentWait | AssociationChange] = asyncio.Queue()
        waits: dict[DeploymentWait, None] = {}
        try:
            for workspace_id in self._workspace_ids:
                wait = self._make_wait(workspace_id, news.put_nowait if self._on_change is not None else None)

                def ended(_: object, wait: DeploymentWait = wait) -> None:
                    news.put_nowait(wait)

                wait.future.add_done_callback(ended)
                waits[wait] = None
                wait.begin()
            while waits:
                item = await news.get()
                if isinstance(item, AssociationChange):
                    if self._on_change is not None:
                        await tell(self._on_change, item)
                    continue
                del waits[item]
                item.end()
                yield self._outcome(item)
        finally:
            for wait in waits:
                wait.end()

    def _outcome(self, wait: DeploymentWait) -> DeploymentOutcome:
        error = wait.future.exception()
        if error is None:
            return wait.future.result()
        if self._fail_fast or not isinstance(error, WorkSpacesError):
            raise error
        return wait.outcome(error, elapsed=error.elapsed if isinstance(error, WaiterError) else None)
