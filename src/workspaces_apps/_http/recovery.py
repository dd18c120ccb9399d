"""Recovery of a request whose answer was lost: the read of the service that decides what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

from workspaces_apps._associations.states import IN_FLIGHT, NO_ASSOCIATION, STAGED, STATES, Phase
from workspaces_apps._model.models import Request, Result
from workspaces_apps._retry import Resolution, Resolved
from workspaces_apps.api.applications import (
    AssociateWorkspaceApplicationRequest,
    AssociateWorkspaceApplicationResult,
    DeployWorkspaceApplicationsRequest,
    DeployWorkspaceApplicationsResult,
    DescribeWorkspaceAssociationsRequest,
    DescribeWorkspaceAssociationsResult,
    DisassociateWorkspaceApplicationRequest,
    DisassociateWorkspaceApplicationResult,
    WorkSpaceApplicationDeployment,
    WorkspaceResourceAssociation,
)
from workspaces_apps.errors import WorkSpacesError

ResultT = TypeVar("ResultT", bound=Result)

_UNDER_WAY: Final = frozenset({Phase.STAGED, Phase.IN_FLIGHT})

ASSOCIATED: Final = frozenset(
    row.state for row in STATES if row.phase in _UNDER_WAY and row.direction == "install"
)
"""The states of an association once Associate has done its work.

Not COMPLETED: an installation takes minutes, so that it was there before the call began. ERROR tells no direction.
"""
DISASSOCIATED: Final = frozenset(
    row.state
    for row in STATES
    if row.direction == "uninstall" and (row.phase in _UNDER_WAY or row.state == NO_ASSOCIATION)
)
"""The states of an association, if there still is one, once Disassociate has done its work."""


class Ask(Protocol):
    """Calls an operation."""

    def __call__(self, request: Request, result_type: type[ResultT], /) -> Awaitable[ResultT]:
        """Return the result of the operation."""
        ...


async def resolve_outcome(
    request: Request, result_type: type[ResultT], ask: Ask
) -> Resolved[ResultT] | Resolution:
    """Ask the service what became of `request`, which failed after it may have arrived.

    Args:
        request: What was sent.
        result_type: What its answer would have been.
        ask: Calls an operation.

    Returns:
        The result that the request had, or whether to send it again.
    """
    read = _READERS.get(type(request))
    workspace_id = getattr(request, "workspace_id", None)
    if read is None or not isinstance(workspace_id, str):
        return Resolution.UNKNOWN
    question = DescribeWorkspaceAssociationsRequest(workspace_id=workspace_id)
    try:
        answer = await ask(question, DescribeWorkspaceAssociationsResult)
    except WorkSpacesError:
        # The failure that is being looked into stands, and is what the caller should see.
        return Resolution.UNKNOWN
    found = read(request, answer.associations)
    if isinstance(found, Resolution):
        return found
    if not isinstance(found, result_type):
        return Resolution.UNKNOWN
    return Resolved(found.with_meta(answer.meta))


def _read_associate(
    request: Request, associations: tuple[WorkspaceResourceAssociation, ...]
) -> Result | Resolution:
    for association in associations:
        wanted = association.associated_resource_id == getattr(request, "application_id", None)
        if wanted and association.state in ASSOCIATED:
            return AssociateWorkspaceApplicationResult(association=association)
    return Resolution.UNKNOWN


def _read_disassociate(
    request: Request, associations: tuple[WorkspaceResourceAssociation, ...]
) -> Result | Resolution:
    for association in associations:
        if association.associated_resource_id == getattr(request, "application_id", None):
            if association.state in DISASSOCIATED:
                return DisassociateWorkspaceApplicationResult(association=association)
            return Resolution.UNKNOWN
    return DisassociateWorkspaceApplicationResult()


def _read_deploy(_: Request, associations: tuple[WorkspaceResourceAssociation, ...]) -> Result | Resolution:
    staged = any(association.state in STAGED for association in associations)
    moving = tuple(association for association in associations if association.state in IN_FLIGHT)
    if staged and not moving:
        return Resolution.REPEAT
    if staged or not moving:
        # Both: whose deployment is under way, and who staged what is left, cannot be told.
        return Resolution.UNKNOWN
    return DeployWorkspaceApplicationsResult(deployment=WorkSpaceApplicationDeployment(associations=moving))


_READERS: Final[
    dict[type[Request], Callable[[Request, tuple[WorkspaceResourceAssociation, ...]], Result | Resolution]]
] = {
    AssociateWorkspaceApplicationRequest: _read_associate,
    DisassociateWorkspaceApplicationRequest: _read_disassociate,
    DeployWorkspaceApplicationsRequest: _read_deploy,
}
