"""One wait for one deployment: its errors, its outcome, its changes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from workspaces_apps.errors import DeploymentFailedError, WaiterError, WorkSpacesError
from workspaces_apps.waiters.acceptors import Phase, association_row
from workspaces_apps.waiters.deployment import Deployment, Step
from workspaces_apps.waiters.poller import Wait, too_late
from workspaces_apps.waiters.records import AssociationChange, DeploymentOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workspaces_apps.api import AssociationState, AssociationStateReason
    from workspaces_apps.clock import Clock
    from workspaces_apps.waiters.policy import PollPolicy
    from workspaces_apps.waiters.records import Target


class DeploymentWait(Wait[DeploymentOutcome]):
    """A wait for one deployment."""

    __slots__ = ("_now", "deployment", "on_change", "timeout")

    def __init__(
        self,
        workspace_id: str,
        *,
        wanted: Mapping[str, Target | None] | None,
        policy: PollPolicy,
        clock: Clock,
        timeout: float,
        grace: float,
        on_change: Callable[[AssociationChange], None] | None = None,
    ) -> None:
        """A wait that begins now.

        Args:
            workspace_id: The WorkSpace.
            wanted: What is to end how, as far as that is known; None for what the first look shows.
            policy: How often to look.
            clock: Where time comes from.
            timeout: Seconds until it ends without success.
            grace: For how many seconds nothing need be under way.
            on_change: Is told of every change.
        """
        began = clock.monotonic()
        super().__init__(workspace_id, policy=policy, began=began, timeout=timeout)
        self.timeout: float = timeout
        self._now = clock.now
        self.on_change: Callable[[AssociationChange], None] | None = on_change
        listener = self._changed if on_change is not None else None
        self.deployment: Deployment = Deployment(wanted, began=began, grace=grace, listener=listener)

    def last(self) -> Mapping[str, object]:
        """The associations as they were seen last, by WorkSpace."""
        return {self.resource_id: self.deployment.statuses()}

    def late(self) -> WorkSpacesError:
        """Failed, if something is in ERROR and the rest terminal; else too late."""
        failed = self.deployment.failures(self.resource_id)
        now = self.began + self.timeout
        if failed and not self.deployment.pending(now):
            return self._failed()
        seen = ", ".join(
            f"{status.application_id} {status.state or 'absent'}" for status in self.deployment.statuses()
        )
        state = self.deployment.workspace_state
        where = f"; the WorkSpace is {state}" if state is not None else ""
        return too_late(
            f"{self.resource_id} was not deployed ({seen or 'nothing seen'}{where})", self.timeout
        )

    def settle(self, step: Step, now: float) -> None:
        """End it as `step` says."""
        self.counted()
        if step is Step.DONE:
            self.succeed(self.outcome(now))
        elif step is Step.FAILED:
            self.fail(self._failed(), now)
        elif step is Step.LOST:
            state = self.deployment.workspace_state or "absent"
            self.fail(WaiterError(f"the WorkSpace is {state}, and will not come back"), now)
        else:
            self.fail(WaiterError(self._unstaged()), now)

    def outcome(self, now: float, error: WorkSpacesError | None = None) -> DeploymentOutcome:
        """What is known so far."""
        return DeploymentOutcome(
            workspace_id=self.resource_id,
            associations=self.deployment.statuses(),
            changed=tuple(
                self._change(status.application_id, before, status.state, status.reason)
                for status, before in self.deployment.net_changes()
            ),
            failed=self.deployment.failures(self.resource_id),
            elapsed=timedelta(seconds=now - self.began),
            polls=self.polls,
            error=error,
        )

    def _failed(self) -> DeploymentFailedError:
        failed = self.deployment.failures(self.resource_id)
        listing = "; ".join(
            f"{one.application_id} ({one.wanted or 'direction unknown'}): {one.code or 'no code'},"
            f" {one.message or 'no message'}"
            for one in failed
        )
        error = DeploymentFailedError(f"{len(failed)} failed on {self.resource_id}: {listing}")
        error.failed = failed
        return error

    def _unstaged(self) -> str:
        parts: list[str] = []
        for status in self.deployment.statuses():
            phase = association_row(status.state).phase(status.wanted)
            name = f"{status.application_id} ({status.state or 'absent'})"
            if phase is Phase.STAGED:
                parts.append(f"{name} is still only staged: DeployWorkspaceApplications is missing")
            elif phase is Phase.IDLE:
                call = (
                    "AssociateWorkspaceApplication"
                    if status.wanted == "installed"
                    else "DisassociateWorkspaceApplication"
                )
                parts.append(f"{name} is not even staged: {call} and DeployWorkspaceApplications are missing")
        return f"after {self.deployment.grace:g} s, {'; '.join(parts)}"

    def _changed(
        self,
        application: str,
        before: AssociationState | None,
        after: AssociationState | None,
        reason: AssociationStateReason | None,
    ) -> None:
        if self.on_change is not None and not self.ended:
            self.on_change(self._change(application, before, after, reason))

    def _change(
        self,
        application: str,
        before: AssociationState | None,
        after: AssociationState | None,
        reason: AssociationStateReason | None,
    ) -> AssociationChange:
        return AssociationChange(
            workspace_id=self.resource_id,
            application_id=application,
            before=before,
            after=after,
            reason=reason,
            at=self._now(),
        )
