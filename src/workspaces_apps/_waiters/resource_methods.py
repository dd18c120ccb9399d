"""Waiting for WorkSpaces, images and directories, as methods of the client."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from workspaces_apps import api
from workspaces_apps._base.clock import Duration, to_seconds
from workspaces_apps._waiters.base import HOUR, MINUTE, Waiting
from workspaces_apps._waiters.policy import PollPolicy

if TYPE_CHECKING:
    from workspaces_apps._associations.acceptors import Waiter
    from workspaces_apps._observe.resources import ResourceObserver
    from workspaces_apps._waiters.resources import Judge

ResourceT = TypeVar("ResourceT")


class ResourceMethods(Waiting):
    """Waiting for WorkSpaces, images and directories."""

    async def wait_until_available(
        self, workspace_id: str, *, timeout: Duration = HOUR, poll: PollPolicy | None = None
    ) -> api.Workspace:
        """Wait until a WorkSpace is AVAILABLE; absent means "not yet", as right after CreateWorkspaces. [doc]

        Args:
            workspace_id: The WorkSpace.
            timeout: How long to wait, as a timedelta or in seconds; there is one last poll at the end.
            poll: How often to poll.

        Raises:
            WaiterTimeoutError: It is not in time.
            WaiterError: It is in ERROR, or is being terminated, or was there and has been absent for a minute.
            WorkSpacesError: Polls failed, ten in a row, or one in a way that does not pass.
        """
        return _there(await self._wait_for_workspace("available", "AVAILABLE", workspace_id, timeout, poll))

    async def wait_until_stopped(
        self, workspace_id: str, *, timeout: Duration = HOUR, poll: PollPolicy | None = None
    ) -> api.Workspace:
        """Wait until a WorkSpace is STOPPED.

        Args:
            workspace_id: The WorkSpace.
            timeout: How long to wait, as a timedelta or in seconds; there is one last poll at the end.
            poll: How often to poll.

        Raises:
            WaiterTimeoutError: It is not in time.
            WaiterError: It is in ERROR, or is being terminated, or was there and has been absent for a minute.
            WorkSpacesError: Polls failed, ten in a row, or one in a way that does not pass.
        """
        return _there(await self._wait_for_workspace("stopped", "STOPPED", workspace_id, timeout, poll))

    async def wait_until_terminated(
        self, workspace_id: str, *, timeout: Duration = HOUR, poll: PollPolicy | None = None
    ) -> None:
        """Wait until a WorkSpace is TERMINATED, or absent, which means the same here. [doc]

        Args:
            workspace_id: The WorkSpace.
            timeout: How long to wait, as a timedelta or in seconds; there is one last poll at the end.
            poll: How often to poll.

        Raises:
            WaiterTimeoutError: It is not in time.
            WorkSpacesError: Polls failed, ten in a row, or one in a way that does not pass.
        """
        await self._wait_for_workspace("terminated", "TERMINATED", workspace_id, timeout, poll)

    async def wait_until_modified(
        self,
        workspace_id: str,
        *,
        properties: api.WorkspaceProperties | None = None,
        timeout: Duration = HOUR,
        start_grace: Duration = MINUTE,
        poll: PollPolicy | None = None,
    ) -> api.Workspace:
        """Wait until a change of a WorkSpace's properties is through.

        The state of the WorkSpace does not show it; ModificationStates does, except for the running mode, which
        must be read back. [field]

        Args:
            workspace_id: The WorkSpace.
            properties: What was asked for: every property set here must be read back. None: until there is no
                entry in ModificationStates, which does not see a change of the running mode.
            timeout: How long to wait, as a timedelta or in seconds; there is one last poll at the end.
            start_grace: How long an entry may take to show up, without `properties`; and for how long an entry in
                UPDATE_FAILED that was there at the first poll may be left over from a change before.
            poll: How often to poll.

        Raises:
            WaiterTimeoutError: It is not in time.
            WaiterError: The change failed, or the WorkSpace did.
            WorkSpacesError: Polls failed, ten in a row, or one in a way that does not pass.
        """
        from workspaces_apps._waiters.resources import ModifiedJudge

        began = self._hub().clock.monotonic()
        judge = ModifiedJudge(properties, began, to_seconds(start_grace, "start_grace"))
        self._check_workspace(workspace_id)
        workspaces = self._hub().workspaces
        found = await self._wait_for(workspaces, judge, "modified", workspace_id, timeout, poll)
        return _there(found)

    async def wait_until_image_available(
        self, image_id: str, *, timeout: Duration = timedelta(hours=4), poll: PollPolicy | None = None
    ) -> api.WorkspaceImage:
        """Wait until an image is AVAILABLE; absent means "not yet". [assumed]

        Args:
            image_id: The image.
            timeout: How long to wait, as a timedelta or in seconds; there is one last poll at the end.
            poll: How often to poll.

        Raises:
            WaiterTimeoutError: It is not in time.
            WaiterError: It could not be made.
            WorkSpacesError: Polls failed, ten in a row, or one in a way that does not pass.
        """
        from workspaces_apps._waiters.resources import StateJudge

        self._checked(api.DescribeWorkspaceImagesRequest(image_ids=[image_id]))
        judge = StateJudge[api.WorkspaceImage]("image available", lambda image: image.state, "image")
        images = self._hub().images
        found = await self._wait_for(images, judge, "AVAILABLE", image_id, timeout, poll)
        return _there(found)

    async def wait_until_directory_registered(
        self, directory_id: str, *, timeout: Duration = HOUR, poll: PollPolicy | None = None
    ) -> api.WorkspaceDirectory:
        """Wait until a directory is REGISTERED.

        Args:
            directory_id: The directory.
            timeout: How long to wait, as a timedelta or in seconds; there is one last poll at the end.
            poll: How often to poll.

        Raises:
            WaiterTimeoutError: It is not in time.
            WaiterError: It is in ERROR.
            WorkSpacesError: Polls failed, ten in a row, or one in a way that does not pass.
        """
        return _there(
            await self._wait_for_directory("directory registered", "REGISTERED", directory_id, timeout, poll)
        )

    async def wait_until_directory_deregistered(
        self, directory_id: str, *, timeout: Duration = HOUR, poll: PollPolicy | None = None
    ) -> None:
        """Wait until a directory is DEREGISTERED, or absent, which means the same here. [assumed]

        Args:
            directory_id: The directory.
            timeout: How long to wait, as a timedelta or in seconds; there is one last poll at the end.
            poll: How often to poll.

        Raises:
            WaiterTimeoutError: It is not in time.
            WaiterError: It is in ERROR.
            WorkSpacesError: Polls failed, ten in a row, or one in a way that does not pass.
        """
        await self._wait_for_directory("directory deregistered", "DEREGISTERED", directory_id, timeout, poll)

    async def _wait_for(
        self,
        observer: ResourceObserver[ResourceT],
        judge: Judge[ResourceT],
        goal: str,
        resource_id: str,
        timeout: Duration,
        poll: PollPolicy | None,
    ) -> ResourceT | None:
        from workspaces_apps._waiters.resources import wait_for

        return await wait_for(
            observer,
            judge,
            goal,
            resource_id,
            timeout=timeout,
            poll=poll,
            audience=self._audience(),
            telemetry=self._telemetry(),
        )

    async def _wait_for_workspace(
        self, waiter: Waiter, goal: str, workspace_id: str, timeout: Duration, poll: PollPolicy | None
    ) -> api.Workspace | None:
        from workspaces_apps._waiters.resources import StateJudge

        self._check_workspace(workspace_id)
        judge = StateJudge[api.Workspace](waiter, lambda workspace: workspace.state)
        workspaces = self._hub().workspaces
        return await self._wait_for(workspaces, judge, goal, workspace_id, timeout, poll)

    async def _wait_for_directory(
        self, waiter: Waiter, goal: str, directory_id: str, timeout: Duration, poll: PollPolicy | None
    ) -> api.WorkspaceDirectory | None:
        from workspaces_apps._waiters.resources import StateJudge

        self._checked(api.DescribeWorkspaceDirectoriesRequest(directory_ids=[directory_id]))
        judge = StateJudge[api.WorkspaceDirectory](waiter, lambda directory: directory.state, "directory")
        directories = self._hub().directories
        return await self._wait_for(directories, judge, goal, directory_id, timeout, poll)


def _there(found: ResourceT | None) -> ResourceT:
    """Return what was found; none of the acceptors takes absence for success where this is used."""
    assert found is not None
    return found
