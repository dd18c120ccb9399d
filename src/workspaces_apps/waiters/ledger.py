"""What a job has seen and done on a WorkSpace, and how it tells of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from workspaces_apps import api
from workspaces_apps.errors import DeploymentFailedError, WaiterError, WaiterTimeoutError
from workspaces_apps.waiters.acts import Act, act_for
from workspaces_apps.waiters.deployment import failure_of
from workspaces_apps.waiters.poller import too_late
from workspaces_apps.waiters.records import AssociationChange, AssociationStatus, DeploymentOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workspaces_apps.clock import Clock
    from workspaces_apps.waiters.records import Target

ErrorT = TypeVar("ErrorT", bound=WaiterError)


class Ledger:
    """What a job has seen and done.

    Attributes:
        workspace_id: The WorkSpace.
        found: By application, everything on the WorkSpace at the last look.
        done: The applications that the job itself has staged or deployed.
        headed: By application, whereto it was seen to go.
        polls: How many looks there were.
    """

    def __init__(
        self,
        workspace_id: str,
        target: Target,
        applications: tuple[str, ...],
        clock: Clock,
        *,
        timeout: float,
        retried: bool,
    ) -> None:
        """Nothing was seen yet.

        Args:
            workspace_id: The WorkSpace.
            target: Where the applications are wanted.
            applications: Their ids.
            clock: Where time comes from.
            timeout: Seconds for everything, from now on.
            retried: Whether what is in ERROR is tried again.
        """
        self.workspace_id = workspace_id
        self.found: dict[str, api.WorkspaceResourceAssociation] = {}
        self.done: dict[str, None] = {}
        self.headed: dict[str, Target] = {}
        self.polls: int = 0
        self._target: Target = target
        self._applications = applications
        self._clock = clock
        self._timeout = timeout
        self._retried = retried
        self._began = clock.monotonic()
        self._first: dict[str, api.WorkspaceResourceAssociation] = {}

    def saw(self, records: Iterable[api.WorkspaceResourceAssociation]) -> None:
        """Take in a look at the WorkSpace; the first one tells how it was before the job."""
        self.found = {record.associated_resource_id: record for record in records}
        if not self.polls:
            self._first = self.found
        self.polls += 1

    def failed(self) -> DeploymentFailedError:
        """The error for what is in ERROR."""
        failed = tuple(
            failure_of(self.workspace_id, status)
            for status in self.statuses()
            if status.state is not None and status.state == "ERROR"
        )
        names = ", ".join(f"{one.application_id} ({one.code or 'no code'})" for one in failed)
        advice = "" if self._retried else "; retry_failed=True tries again"
        error = DeploymentFailedError(f"{names} in ERROR on {self.workspace_id}{advice}")
        error.failed = failed
        return self.told(error)

    def outcome(self) -> DeploymentOutcome:
        """How the job ended, well."""
        at = self._clock.now()
        changed: list[AssociationChange] = []
        for status in self.statuses():
            before = self._first.get(status.application_id)
            state = before.state if before is not None else None
            if state != status.state and not {state, status.state} <= {None, api.AssociationState.REMOVED}:
                changed.append(
                    AssociationChange(
                        workspace_id=self.workspace_id,
                        application_id=status.application_id,
                        before=state,
                        after=status.state,
                        reason=status.reason,
                        at=at,
                    )
                )
        firsts = {one: self._first.get(one) for one in self._applications}
        return DeploymentOutcome(
            workspace_id=self.workspace_id,
            associations=self.statuses(),
            changed=tuple(changed),
            elapsed=timedelta(seconds=self._clock.monotonic() - self._began),
            polls=self.polls,
            done=tuple(self.done),
            already=tuple(
                one
                for one, record in firsts.items()
                if act_for(record.state if record is not None else None, self._target) is Act.NOTHING
            ),
        )

    def statuses(self) -> tuple[AssociationStatus, ...]:
        """The applications as they were seen last."""
        statuses: list[AssociationStatus] = []
        for application in self._applications:
            record = self.found.get(application)
            statuses.append(
                AssociationStatus(
                    application_id=application,
                    state=record.state if record is not None else None,
                    # A record in ERROR has the direction it was seen to take, if it was.
                    wanted=self.headed.get(application)
                    if self.state(application) == "ERROR"
                    else self._target,
                    reason=record.state_reason if record is not None else None,
                )
            )
        return tuple(statuses)

    def state(self, application: str) -> str | None:
        """The state of one of them; None for no record."""
        record = self.found.get(application)
        return record.state if record is not None else None

    def states(self) -> str:
        """All of them, in words."""
        return ", ".join(f"{one} {self.state(one) or 'absent'}" for one in self._applications)

    def late(self) -> WaiterTimeoutError:
        """The error for a job whose time is up."""
        late = too_late(f"{self.workspace_id} is not done ({self.states()})", self._timeout)
        return self.told(late)

    def left(self) -> float:
        """Seconds that are left."""
        return self._began + self._timeout - self._clock.monotonic()

    def told(self, error: ErrorT) -> ErrorT:
        """The error, with what was seen last and how long it took."""
        error.last = {self.workspace_id: self.statuses()}
        error.elapsed = timedelta(seconds=self._clock.monotonic() - self._began)
        error.polls = self.polls
        error.resource_id = self.workspace_id
        return error
