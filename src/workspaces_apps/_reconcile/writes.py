"""The writes of a reconciler, Associate, Disassociate and Deploy, and what their answers show."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from workspaces_apps._base.clock import timeout
from workspaces_apps._observe.snapshot import AssociationRecord

if TYPE_CHECKING:
    from workspaces_apps._associations import Direction
    from workspaces_apps._base.clock import Clock
    from workspaces_apps._reconcile.guard import AttemptGuard
    from workspaces_apps._reconcile.intent_log import WriteOperation
    from workspaces_apps.api.operations import Operations

T = TypeVar("T")

STAGING: Final[Mapping[Direction, WriteOperation]] = {
    "install": "AssociateWorkspaceApplication",
    "uninstall": "DisassociateWorkspaceApplication",
}
"""The operation that stages a change in each direction."""

DEPLOYING: Final[WriteOperation] = "DeployWorkspaceApplications"

LAST_ANSWER: Final = 10.0
"""Seconds to wait, when a run is stopped, for the answer to a request that has left."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The service took a write.

    Attributes:
        shown: The associations that it is about, as the service then shows them; None for no association.
        request_id: The service's id of the answer.
    """

    shown: Mapping[str, AssociationRecord | None]
    request_id: str | None


async def stage(client: Operations, workspace_id: str, application_id: str, direction: Direction) -> Answer:
    """Send Associate or Disassociate.

    Raises:
        WorkSpacesError: The call failed.
    """
    if direction == "install":
        associated = await client.associate_workspace_application(
            workspace_id=workspace_id, application_id=application_id
        )
        return Answer(
            {application_id: AssociationRecord.of(associated.association)}, associated.meta.request_id
        )
    removed = await client.disassociate_workspace_application(
        workspace_id=workspace_id, application_id=application_id
    )
    row = removed.association
    shown = AssociationRecord.of(row) if row is not None else None
    return Answer({application_id: shown}, removed.meta.request_id)


async def deploy(client: Operations, workspace_id: str, *, force: bool) -> Answer:
    """Send Deploy.

    Raises:
        WorkSpacesError: The call failed.
    """
    done = await client.deploy_workspace_applications(
        workspace_id=workspace_id, force=True if force else None
    )
    rows = done.deployment.associations if done.deployment is not None else ()
    shown = {row.associated_resource_id: AssociationRecord.of(row) for row in rows}
    return Answer(shown, done.meta.request_id)


async def answered(
    call: Callable[[], Awaitable[Answer]],
    take_in: Callable[[Answer], Awaitable[None]],
    guard: AttemptGuard,
    clock: Clock,
) -> None:
    """Make a call and take its answer in, so that a cancellation does not come between the two.

    A cancellation before an attempt has left ends the call at once. After that the answer is waited for, some seconds
    at most, and taken in, before the cancellation goes on.
    """

    async def both() -> None:
        await take_in(await call())

    work = asyncio.ensure_future(both())
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        if guard.passed:
            try:
                async with timeout(clock, LAST_ANSWER):
                    await asyncio.wait((work,))
            except TimeoutError:
                pass
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        raise
