"""Everything that a client waits for: one poller for each kind of thing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from workspaces_apps.errors import ClientStateError
from workspaces_apps.waiters.deployments import DeploymentPoller
from workspaces_apps.waiters.resources import Kind, ResourcePoller
from workspaces_apps.waiters.share import RateShare

if TYPE_CHECKING:
    from collections.abc import Callable

    from workspaces_apps.api import Workspace, WorkspaceDirectory, WorkspaceImage
    from workspaces_apps.api.operations import Operations
    from workspaces_apps.clock import Clock
    from workspaces_apps.waiters.share import Rate


class Hub:
    """The pollers of a client and its views.

    Polls are shared, so they go with the client's own options, whichever view asked for the wait.

    Attributes:
        clock: Where time comes from.
        deployments: Looks for deployments.
        workspaces: Looks for WorkSpaces.
        images: Looks for images.
        directories: Looks for directories.
    """

    def __init__(self, client: Operations, *, clock: Clock, random: Callable[[], float], rate: Rate) -> None:
        """Pollers for which nobody waits.

        Args:
            client: Whose calls they make.
            clock: Where time comes from.
            random: A number in [0, 1), for jitter.
            rate: The proven rate of an operation.
        """
        self.clock = clock
        share = RateShare(clock, rate)
        self.deployments: DeploymentPoller = DeploymentPoller(client, share, clock, random)

        async def workspaces(ids: list[str]) -> dict[str, Workspace]:
            return {one.workspace_id: one async for one in client.describe_workspaces(workspace_ids=ids)}

        async def images(ids: list[str]) -> dict[str, WorkspaceImage]:
            return {one.image_id: one async for one in client.describe_workspace_images(image_ids=ids)}

        async def directories(ids: list[str]) -> dict[str, WorkspaceDirectory]:
            return {
                one.directory_id: one
                async for one in client.describe_workspace_directories(directory_ids=ids)
            }

        self.workspaces: ResourcePoller[Workspace] = ResourcePoller(
            Kind(operation="DescribeWorkspaces", describe=workspaces), share, clock, random
        )
        self.images: ResourcePoller[WorkspaceImage] = ResourcePoller(
            Kind(operation="DescribeWorkspaceImages", describe=images), share, clock, random
        )
        self.directories: ResourcePoller[WorkspaceDirectory] = ResourcePoller(
            Kind(operation="DescribeWorkspaceDirectories", describe=directories), share, clock, random
        )

    async def close(self) -> None:
        """End every wait with a ClientStateError, and every task."""
        error = ClientStateError("the client was closed while this wait was under way")
        tasks: set[asyncio.Task[None]] = set()
        for poller in (self.deployments, self.workspaces, self.images, self.directories):
            tasks |= poller.tasks
            poller.close(error)
        if tasks:
            await asyncio.wait(tasks)
