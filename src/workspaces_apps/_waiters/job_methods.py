"""Installing and removing, as methods of the client; what they stand on is imported when they are first called."""

from __future__ import annotations

from workspaces_apps import types
from workspaces_apps._associations import Direction
from workspaces_apps._base.clock import Duration, to_seconds
from workspaces_apps._base.logs import FIELDS, log_scope
from workspaces_apps._model.operations import Many
from workspaces_apps._telemetry.port import Attributes, span
from workspaces_apps._waiters.base import HALF_HOUR, HOUR, MINUTE, Waiting, unique
from workspaces_apps._waiters.policy import PollPolicy


class JobMethods(Waiting):
    """Jobs: install and uninstall."""

    async def install_applications(
        self,
        workspace_id: str,
        application_ids: Many[str],
        *,
        include_staged: bool = False,
        retry_failed: bool = False,
        timeout: Duration = HOUR,
        start_grace: Duration = MINUTE,
        ready_timeout: Duration = HALF_HOUR,
        poll: PollPolicy | None = None,
        on_change: types.OnChange | None = None,
    ) -> types.DeploymentOutcome:
        """Install applications on a WorkSpace: stage what is missing, deploy, wait.

        It looks before it acts, does nothing that is done already, and may be called again after a crash at any
        point. Deploying ends the user's session, and commits everything staged on the WorkSpace. [doc] So it
        refuses where something else is staged; what somebody stages between its last look and Deploy is committed
        all the same. Where the service refuses a step, it takes back what it has staged; a note on the error tells.

        Args:
            workspace_id: The WorkSpace.
            application_ids: The applications.
            include_staged: Deploy even if that commits, or with `retry_failed` repeats, something else.
            retry_failed: Try again what is in ERROR: first by stating the direction anew, and where the service
                does not take that, by Force, which repeats whatever it was that failed.
            timeout: The time for everything, as a timedelta or in seconds.
            start_grace: As for `wait_until_deployed`.
            ready_timeout: How long to wait for a WorkSpace that is on its way, as one that reboots, within `timeout`.
            poll: How often to poll.
            on_change: As for `wait_until_deployed`.

        Returns:
            How it ended: `done` names what this call staged or deployed, `already` what was installed before.

        Raises:
            WorkspaceNotReadyError: The WorkSpace is in a state that somebody must see to.
            StagedChangesError: Something else is staged on the WorkSpace; nothing was deployed.
            DeploymentFailedError: An application is in ERROR: before, without `retry_failed`, or after.
            WaiterTimeoutError: It has not ended in time.
            WorkspaceNotReadyInTimeError: The WorkSpace was not ready within `ready_timeout`.
            RequestValidationError: A parameter breaks a rule; nothing was sent.
            WorkSpacesError: The service refused a step.

        Source: docs/service-facts.md, "The life of an association".
        """
        return await self._reconcile(
            "install",
            workspace_id,
            application_ids,
            include_staged=include_staged,
            retry_failed=retry_failed,
            timeout=timeout,
            start_grace=start_grace,
            ready_timeout=ready_timeout,
            poll=poll,
            on_change=on_change,
        )

    async def uninstall_applications(
        self,
        workspace_id: str,
        application_ids: Many[str],
        *,
        include_staged: bool = False,
        retry_failed: bool = False,
        timeout: Duration = HOUR,
        start_grace: Duration = MINUTE,
        ready_timeout: Duration = HALF_HOUR,
        poll: PollPolicy | None = None,
        on_change: types.OnChange | None = None,
    ) -> types.DeploymentOutcome:
        """Uninstall applications from a WorkSpace: stage what is there, deploy, wait.

        The counterpart of `install_applications`, with the same arguments, results and errors.

        Args:
            workspace_id: The WorkSpace.
            application_ids: The applications.
            include_staged: Deploy even if that commits, or with `retry_failed` repeats, something else.
            retry_failed: Try again what is in ERROR; see `install_applications`.
            timeout: The time for everything, as a timedelta or in seconds.
            start_grace: As for `wait_until_deployed`.
            ready_timeout: How long to wait for a WorkSpace that is on its way, as one that reboots, within `timeout`.
            poll: How often to poll.
            on_change: As for `wait_until_deployed`.

        Returns:
            How it ended: `done` names what this call staged or deployed, `already` what was absent before.

        Raises:
            WorkspaceNotReadyError: The WorkSpace is in a state that somebody must see to.
            StagedChangesError: Something else is staged on the WorkSpace; nothing was deployed.
            DeploymentFailedError: An application is in ERROR: before, without `retry_failed`, or after.
            WaiterTimeoutError: It has not ended in time.
            WorkspaceNotReadyInTimeError: The WorkSpace was not ready within `ready_timeout`.
            RequestValidationError: A parameter breaks a rule; nothing was sent.
            WorkSpacesError: The service refused a step.
        """
        return await self._reconcile(
            "uninstall",
            workspace_id,
            application_ids,
            include_staged=include_staged,
            retry_failed=retry_failed,
            timeout=timeout,
            start_grace=start_grace,
            ready_timeout=ready_timeout,
            poll=poll,
            on_change=on_change,
        )

    async def _reconcile(
        self,
        direction: Direction,
        workspace_id: str,
        application_ids: Many[str],
        *,
        include_staged: bool,
        retry_failed: bool,
        timeout: Duration,
        start_grace: Duration,
        ready_timeout: Duration,
        poll: PollPolicy | None,
        on_change: types.OnChange | None,
    ) -> types.DeploymentOutcome:
        from workspaces_apps._waiters.deployment import TARGETS
        from workspaces_apps._waiters.jobs import Job, JobOptions
        from workspaces_apps._waiters.policy import schedule_of

        applications = unique(application_ids, "application_ids")
        self._check_workspace(workspace_id)
        self._check_wanted(dict.fromkeys(applications, TARGETS[direction]), "application_ids")
        options = JobOptions(
            include_staged=include_staged,
            retry_failed=retry_failed,
            timeout=to_seconds(timeout, "timeout"),
            grace=to_seconds(start_grace, "start_grace"),
            ready_timeout=to_seconds(ready_timeout, "ready_timeout"),
            on_change=on_change,
        )
        context = self._reconcile_context(schedule_of(poll, strict=on_change is not None), self._audience())
        about: Attributes = {FIELDS["workspace_id"]: workspace_id}
        with (
            span(self._telemetry(), f"workspaces_apps.{direction}_applications", about),
            log_scope(workspace_id=workspace_id),
        ):
            return await Job(context, workspace_id, direction, tuple(applications), options).run()
