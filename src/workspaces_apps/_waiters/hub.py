"""The observers of a client: one for its WorkSpaces' associations, and one for each kind of resource."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from workspaces_apps._observe.observer import AssociationObserver
from workspaces_apps._observe.resources import Kind, ResourceObserver
from workspaces_apps._reconcile.context import DEPLOYING_AT_ONCE
from workspaces_apps.errors import ClientStateError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from workspaces_apps._base.clock import Clock
    from workspaces_apps._base.hooks import Hooks
    from workspaces_apps.api import Workspace, WorkspaceDirectory, WorkspaceImage
    from workspaces_apps.api.operations import Operations


class Hub:
    """The observers of a client and its views.

    Polls are shared, so they go with the client's own options, whichever view asked for the wait; the hooks of every
    view that they serve hear of them.

    Attributes:
        clock: The client's clock.
        deploy_gate: How many WorkSpaces may be between the last read and Deploy.
        observer: Observes associations and the states of WorkSpaces.
        workspaces: Observes WorkSpaces with all their properties.
        images: Observes images.
        directories: Observes directories.
    """

    def __init__(
        self,
        client: Operations,
        polling: Callable[[Hooks], Operations],
        *,
        clock: Clock,
        random: Callable[[], float],
        poll_delay: Callable[[str], Awaitable[float]],
    ) -> None:
        """Observers that nobody subscribes to.

        Args:
            client: The client's own view.
            polling: Returns the same with other hooks.
            clock: The client's clock.
            random: A number in [0, 1), for jitter.
            poll_delay: Reserves a poll's turn of an operation, and returns the seconds until it comes.
        """
        self.clock = clock
        self.deploy_gate: asyncio.Semaphore = asyncio.Semaphore(DEPLOYING_AT_ONCE)
        self.observer: AssociationObserver = AssociationObserver(
            client, polling, clock=clock, random=random, poll_delay=poll_delay
        )

        async def workspaces(view: Operations, ids: list[str]) -> dict[str, Workspace]:
            return {one.workspace_id: one async for one in view.describe_workspaces(workspace_ids=ids)}

        async def images(view: Operations, ids: list[str]) -> dict[str, WorkspaceImage]:
            return {one.image_id: one async for one in view.describe_workspace_images(image_ids=ids)}

        async def directories(view: Operations, ids: list[str]) -> dict[str, WorkspaceDirectory]:
            listing = view.describe_workspace_directories(directory_ids=ids)
            return {one.directory_id: one async for one in listing}

        self.workspaces: ResourceObserver[Workspace] = ResourceObserver(
            Kind(operation="DescribeWorkspaces", describe=workspaces),
            polling,
            clock=clock,
            random=random,
            poll_delay=poll_delay,
        )
        self.images: ResourceObserver[WorkspaceImage] = ResourceObserver(
            Kind(operation="DescribeWorkspaceImages", describe=images),
            polling,
            clock=clock,
            random=random,
            poll_delay=poll_delay,
        )
        self.directories: ResourceObserver[WorkspaceDirectory] = ResourceObserver(
            Kind(operation="DescribeWorkspaceDirectories", describe=directories),
            polling,
            clock=clock,
            random=random,
            poll_delay=poll_delay,
        )

    async def close(self) -> None:
        """End every wait with a ClientStateError, and every task."""
        error = ClientStateError("the client was closed while this wait was under way")
        observers = (self.observer, self.workspaces, self.images, self.directories)
        await asyncio.gather(*(one.close(error) for one in observers))
