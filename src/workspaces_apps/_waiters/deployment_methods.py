"""Waiting for deployments, as methods of the client; what they stand on is imported when they are first called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from workspaces_apps import types
from workspaces_apps._base.clock import Duration, to_seconds
from workspaces_apps._model.operations import Many
from workspaces_apps._waiters.base import HALF_HOUR, HOUR, MINUTE, Waiting, unique
from workspaces_apps._waiters.policy import PollPolicy

if TYPE_CHECKING:
    from workspaces_apps._waiters.deployment_wait import DeploymentWait


class DeploymentMethods(Waiting):
    """Waiting for deployments."""

    async def wait_until_deployed(
        self,
        workspace_id: str,
        *,
        wanted: Mapping[str, types.Target] | None = None,
        timeout: Duration = HOUR,
        start_grace: Duration = MINUTE,
        ready_timeout: Duration = HALF_HOUR,
        poll: PollPolicy | None = None,
        on_change: types.OnChange | None = None,
    ) -> types.DeploymentOutcome:
        """Wait until a deployment on a WorkSpace has ended, and the WorkSpace is back.

        It has ended when every association followed is terminal and the WorkSpace is AVAILABLE or STOPPED. [doc] A record in REMOVED and no record mean the same. [assumed] States that this package does
        not know count as under way. All waits of a client share their polls.

        Args:
            workspace_id: The WorkSpace.
            wanted: By application id, how it is to end: `"installed"` or `"removed"`. None: what is staged or
                under way at the first poll, in the direction it shows; if that is nothing, it returns at once.
            timeout: How long to wait, as a timedelta or in seconds; there is one last poll at the end.
            start_grace: How long nothing need be under way after Deploy, as a timedelta or in seconds.
            ready_timeout: How long the WorkSpace may be on its way, such as rebooting, once nothing else is.
            poll: How often to poll.
            on_change: A function or coroutine function that is called with every change. What it raises is logged.

        Returns:
            How it ended; `changed` is empty if nothing was pending.

        Raises:
            DeploymentFailedError: Everything is terminal, and something is in ERROR.
            WaiterTimeoutError: It has not ended in time.
            WorkspaceNotReadyInTimeError: The WorkSpace was not ready within `ready_timeout`.
            WorkspaceNotReadyError: Everything is terminal, and somebody must see to the WorkSpace.
            WaiterError: What was wanted is still not under way after `start_grace`, such as when Deploy is
                missing; or the WorkSpace is gone.
            ClientStateError: The client was closed meanwhile.
            RequestValidationError: A parameter breaks a rule; nothing was sent.
            WorkSpacesError: Polls failed, ten in a row, or one in a way that does not pass; its `last` is what was seen
                before.

        Source: docs/service-facts.md, "The life of an association".
        """
        make_wait = self._deployment_waits(wanted, timeout, start_grace, ready_timeout, poll)
        if on_change is not None:
            from workspaces_apps._waiters.watch import DeploymentWatch, tell

            self._check_workspace(workspace_id)
            async with DeploymentWatch(lambda changed: make_wait(workspace_id, changed)) as changes:
                async for change in changes:
                    await tell(on_change, change)
                return changes.result()
        self._check_workspace(workspace_id)
        wait = make_wait(workspace_id, None)
        wait.begin()
        try:
            return await wait.future
        finally:
            wait.end()

    def wait_until_all_deployed(
        self,
        workspace_ids: Many[str],
        *,
        wanted: Mapping[str, types.Target] | None = None,
        timeout: Duration = HOUR,
        start_grace: Duration = MINUTE,
        ready_timeout: Duration = HALF_HOUR,
        poll: PollPolicy | None = None,
        on_change: types.OnChange | None = None,
        fail_fast: bool = False,
    ) -> types.AllDeployed:
        """Wait for deployments on many WorkSpaces.

        `async for` over what is returned gives each DeploymentOutcome as it comes, with its `error` if it did not
        end well; awaiting it gives all of them in order, or raises PartialFailureError after all have ended.

        Args:
            workspace_ids: The WorkSpaces, as many as you like; one that comes twice is waited for once.
            wanted: As for `wait_until_deployed`, for each WorkSpace.
            timeout: How long to wait for each.
            start_grace: As for `wait_until_deployed`.
            ready_timeout: As for `wait_until_deployed`.
            poll: How often to poll.
            on_change: Is called with every change on any of them.
            fail_fast: Raise the first error as it is, and wait no longer for the others.

        Raises:
            RequestValidationError: A parameter breaks a rule; nothing was sent.
        """
        from workspaces_apps._waiters.many import AllDeployed

        once = unique(workspace_ids, "workspace_ids")
        for workspace_id in once:
            self._check_workspace(workspace_id)
        return AllDeployed(
            self._deployment_waits(wanted, timeout, start_grace, ready_timeout, poll),
            once,
            fail_fast=fail_fast,
            on_change=on_change,
        )

    def watch_deployment(
        self,
        workspace_id: str,
        *,
        wanted: Mapping[str, types.Target] | None = None,
        timeout: Duration = HOUR,
        start_grace: Duration = MINUTE,
        ready_timeout: Duration = HALF_HOUR,
        poll: PollPolicy | None = None,
    ) -> types.DeploymentWatch:
        """Follow a deployment change by change: `async with ws.watch_deployment(…) as changes`.

        The iteration over `changes` gives an AssociationChange for each change and ends when the deployment ends,
        also if something failed: that is a change to ERROR, with the reason, and `changes.outcome` tells. Leaving
        the block early ends the polling.

        Args:
            workspace_id: The WorkSpace.
            wanted: As for `wait_until_deployed`.
            timeout: How long to follow it; then the iteration raises WaiterTimeoutError.
            start_grace: As for `wait_until_deployed`.
            ready_timeout: As for `wait_until_deployed`.
            poll: How often to poll.

        Raises:
            RequestValidationError: A parameter breaks a rule; nothing was sent.
        """
        from workspaces_apps._waiters.watch import DeploymentWatch

        self._check_workspace(workspace_id)
        make_wait = self._deployment_waits(wanted, timeout, start_grace, ready_timeout, poll)
        return DeploymentWatch(lambda changed: make_wait(workspace_id, changed))

    def _deployment_waits(
        self,
        wanted: Mapping[str, types.Target] | None,
        timeout: Duration,
        start_grace: Duration,
        ready_timeout: Duration,
        poll: PollPolicy | None,
    ) -> Callable[[str, Callable[[types.AssociationChange], None] | None], DeploymentWait]:
        """Checks the arguments, and gives what makes the wait for a WorkSpace."""
        from workspaces_apps._waiters.deployment_wait import DeploymentWait
        from workspaces_apps._waiters.policy import schedule_of

        if wanted is not None:
            self._check_wanted(wanted, "wanted")
        seconds, grace = to_seconds(timeout, "timeout"), to_seconds(start_grace, "start_grace")
        ready = to_seconds(ready_timeout, "ready_timeout")
        observer, audience, telemetry = self._hub().observer, self._audience(), self._telemetry()

        def make_wait(
            workspace_id: str, on_change: Callable[[types.AssociationChange], None] | None
        ) -> DeploymentWait:
            return DeploymentWait(
                observer,
                workspace_id,
                wanted=wanted,
                schedule=schedule_of(poll, strict=on_change is not None),
                timeout=seconds,
                grace=grace,
                ready_timeout=ready,
                audience=audience,
                on_change=on_change,
                telemetry=telemetry,
            )

        return make_wait
