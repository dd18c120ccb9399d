"""Installing and uninstalling on one WorkSpace: a reconciler whose result is raised, or returned."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from workspaces_apps._associations.states import ERROR, NextAction, Readiness, next_action, readiness
from workspaces_apps._base.clock import timeout
from workspaces_apps._observe.reads import state_of
from workspaces_apps._reconcile.decisions import Reason
from workspaces_apps._reconcile.reconciler import DeadlinePassed, Reconciler
from workspaces_apps._reconcile.writes import (
    DEPLOYING,
    LAST_ANSWER,
    ReconcilePolicy,
    Slot,
    Tries,
    Unconditional,
)
from workspaces_apps._waiters.deployment import (
    DeploymentOutcome,
    change_of,
    described,
    failures_of,
    states_in_words,
    status_of,
)
from workspaces_apps._waiters.deployment_wait import tell
from workspaces_apps._waiters.methods import LAST_READ
from workspaces_apps.errors import (
    DeploymentFailedError,
    StagedChangesError,
    WaiterError,
    WaiterTimeoutError,
    WorkspaceNotReadyError,
    WorkspaceNotReadyInTimeError,
    WorkSpacesError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workspaces_apps._associations import Direction
    from workspaces_apps._base.clock import Clock
    from workspaces_apps._observe.reads import AssociationRecord
    from workspaces_apps._reconcile.observed_state import StateChange
    from workspaces_apps._reconcile.reconciler import ReconcileResult
    from workspaces_apps._reconcile.writes import Failure, TargetContext, WriteIntent
    from workspaces_apps._waiters.deployment import AssociationStatus, OnChange

ErrorT = TypeVar("ErrorT", bound=WaiterError)

_FOREIGN: Final = frozenset({Reason.FOREIGN_STAGED, Reason.FOREIGN_ERROR})


class _JobLog:
    """The memory of one call: an intent log that nobody else reads.

    Args:
        workspace_id: The WorkSpace.
        on_change: Called with every change.
        clock: The time of changes.
    """

    def __init__(self, workspace_id: str, on_change: OnChange | None, clock: Clock) -> None:
        self._workspace_id = workspace_id
        self._on_change = on_change
        self._clock = clock
        self._tries: defaultdict[str, Tries] = defaultdict(Tries)

    def failed_direction(self, application_id: str) -> Direction | None:
        """Return the direction of what this call deployed."""
        return self._tries[application_id].direction

    def retries(self, application_id: str) -> int:
        """Return how often this call retried it."""
        return self._tries[application_id].retries

    async def intend(self, intents: Sequence[WriteIntent]) -> None:
        """Remember what a Deploy is about to do."""
        for intent in intents:
            if intent.operation == DEPLOYING:
                self._tries[intent.application_id].intend(intent.direction, retry=intent.retry)

    async def withdraw(self, intents: Sequence[WriteIntent], reason: str) -> None:  # noqa: ARG002 - for journals
        """Forget a Deploy that was not started."""
        for intent in intents:
            if intent.operation == DEPLOYING:
                self._tries[intent.application_id].withdraw()

    async def changed(self, changes: Sequence[StateChange]) -> None:
        """Call `on_change`."""
        for change in changes:
            if self._on_change is not None:
                await tell(self._on_change, change_of(self._workspace_id, change, self._clock.now()))

    async def staged(self, application_id: str, direction: Direction, request_id: str | None) -> None:
        """Do nothing: the service remembers."""

    async def deployed(self, application_ids: Sequence[str], request_id: str | None, *, force: bool) -> None:
        """Do nothing: the service remembers."""

    async def succeeded(
        self,
        application_id: str,
        direction: Direction,
        record: AssociationRecord | None,
        elapsed: float | None,
    ) -> None:
        """Do nothing: the result tells."""

    async def failed(self, failure: Failure) -> None:
        """Do nothing: the result tells."""

    async def skipped(self, application_id: str, reason: str, message: str) -> None:
        """Do nothing: the result tells."""


class Job:
    """Applications that are to be installed on a WorkSpace, or uninstalled from it.

    Args:
        context: Whose calls it makes, and who polls for it.
        workspace_id: The WorkSpace.
        direction: The direction of all of them.
        applications: Their ids.
        policy: Its limits; the time for a deployment is that for everything.
        on_change: Called with every change.
    """

    def __init__(
        self,
        context: TargetContext,
        workspace_id: str,
        direction: Direction,
        applications: tuple[str, ...],
        policy: ReconcilePolicy,
        on_change: OnChange | None,
    ) -> None:
        self._clock = context.clock
        self._workspace_id = workspace_id
        self._direction: Direction = direction
        self._applications = applications
        self._policy = policy
        self._began = context.clock.monotonic()
        self._log = _JobLog(workspace_id, on_change, context.clock)
        self._reconciler = Reconciler(
            workspace_id,
            dict.fromkeys(applications, direction),
            context=context,
            policy=policy,
            log=self._log,
            conditions=Unconditional(),
            acting=Slot(None),
            in_flight=Slot(None),
            deadline=self._began + policy.deployment_timeout,
        )

    async def run(self) -> DeploymentOutcome:
        """Do it.

        Raises:
            WorkSpacesError: As `install_applications` says.
        """
        # The service may hang in the last call, even where it is a write whose answer is waited for; the deadline holds.
        scope = timeout(self._clock, self._policy.deployment_timeout + LAST_READ - LAST_ANSWER)
        try:
            async with scope:
                result = await self._reconciler.run()
        except DeadlinePassed as passed:
            raise self._late() from (passed.__cause__ or self._reconciler.refusal)
        except TimeoutError as error:
            if isinstance(error, WorkSpacesError) or not scope.expired():
                raise
            raise self._late() from self._reconciler.refusal
        self._raise_for(result)
        return self._outcome(result)

    def _raise_for(self, result: ReconcileResult) -> None:
        """Raise what the result is, if it is no success.

        Raises:
            WorkSpacesError: It is none.
        """
        changes = result.changes
        if all(change.outcome == "succeeded" for change in changes.values()):
            return
        for change in changes.values():
            if change.error is not None:
                raise self._noted(change.error, result) from change.error.__cause__
        reasons = {change.reason for change in changes.values()}
        message = next((change.message for change in changes.values() if change.outcome != "succeeded"), "")
        if reasons & _FOREIGN:
            raise self._noted(self._foreign(result), result)
        if Reason.WORKSPACE_STATE in reasons:
            raise self._noted(self._not_ready(message), result)
        if Reason.VANISHED in reasons:
            gone = WaiterError(f"the WorkSpace {self._workspace_id} does not exist, or not any more")
            refusal = self._reconciler.observed.refusal
            gone.request_id = refusal.request_id if refusal is not None else None
            raise self._noted(self._told(gone), result) from refusal
        if Reason.NOT_CONVERGING in reasons:
            restless = WaiterError(
                f"{self._workspace_id} does not come to rest: its applications are {self._states()}; {message}"
            )
            raise self._noted(self._told(restless), result)
        if Reason.TIMEOUT in reasons:
            raise self._late() from self._reconciler.refusal
        raise self._failed()

    def _not_ready(self, message: str) -> WorkspaceNotReadyError:
        """Return the error for a WorkSpace that somebody must see to, or that took longer than `ready_timeout`."""
        state = self._reconciler.observed.workspace_state
        text = f"{self._workspace_id} is not ready: {message}"
        needs_somebody = readiness(state) is Readiness.NEEDS_SOMEBODY
        error = (WorkspaceNotReadyError if needs_somebody else WorkspaceNotReadyInTimeError)(text)
        error.workspace_state = state
        return self._told(error)

    def _foreign(self, result: ReconcileResult) -> StagedChangesError:
        listing = ", ".join(f"{application} ({state})" for application, state in result.foreign.items())
        error = StagedChangesError(
            f"Deploy on {self._workspace_id} would also take up {listing}; include_staged=True allows that"
        )
        error.staged = dict(result.foreign)
        return self._told(error)

    def _failed(self) -> DeploymentFailedError:
        failed = failures_of(self._workspace_id, self._statuses())
        names = ", ".join(f"{one.application_id} ({one.code or 'no code'})" for one in failed)
        advice = "" if self._policy.retries else "; retry_failed=True retries it"
        error = DeploymentFailedError(f"{names} in ERROR on {self._workspace_id}{advice}")
        error.failed = failed
        return self._told(error)

    def _outcome(self, result: ReconcileResult) -> DeploymentOutcome:
        observed, now = self._reconciler.observed, self._clock.now()
        return DeploymentOutcome(
            workspace_id=self._workspace_id,
            associations=self._statuses(),
            changed=tuple(
                change_of(self._workspace_id, one, now) for one in observed.net_changes(self._applications)
            ),
            elapsed=timedelta(seconds=self._clock.monotonic() - self._began),
            polls=result.reads,
            done=result.acted,
            already=tuple(
                one
                for one in self._applications
                if next_action(state_of(observed.first.get(one)), self._direction) is NextAction.NOTHING
            ),
        )

    def _statuses(self) -> tuple[AssociationStatus, ...]:
        """Return the applications that were read, as they were read last."""
        records = self._reconciler.observed.records
        return tuple(
            status_of(one, records.get(one), self._direction_of(one))
            for one in self._applications
            if one in self._reconciler.observed.first
        )

    def _direction_of(self, application: str) -> Direction | None:
        # A record in ERROR has the direction that it was seen to take, if it was.
        failed = self._reconciler.observed.state(application) == ERROR
        return self._reconciler.failed_direction(application) if failed else self._direction

    def _states(self) -> str:
        return states_in_words(self._applications, self._reconciler.observed)

    def _late(self) -> WorkSpacesError:
        late = WaiterTimeoutError(
            f"{self._workspace_id} is not done ({self._states()}) within {self._policy.deployment_timeout:g} s"
        )
        return self._noted(self._told(late), self._reconciler.result())

    def _told(self, error: ErrorT) -> ErrorT:
        """Return the error, with what was read last and how long it took."""
        return described(
            error,
            self._workspace_id,
            last={self._workspace_id: self._statuses()},
            elapsed=self._clock.monotonic() - self._began,
            polls=self._reconciler.result().reads,
        )

    def _noted(self, error: WorkSpacesError, result: ReconcileResult) -> WorkSpacesError:
        """Return the error, with notes of what was taken back and what could not be."""
        if error.last is None and result.reads:
            error.last = {self._workspace_id: self._statuses()}
        if result.taken_back:
            error.add_note(
                f"What this call had staged on {self._workspace_id} was taken back: {', '.join(result.taken_back)}"
            )
        if result.left_staged:
            error.add_note(
                f"What this call staged on {self._workspace_id} may be staged still, and the next Deploy would commit"
                f" it: {', '.join(result.left_staged)}"
            )
        return error
