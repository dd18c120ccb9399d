"""The calls that read: the associations of a WorkSpace, a listing page by page, the states of 25 WorkSpaces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from workspaces_apps._observe.read_plan import ROWS
from workspaces_apps._observe.snapshot import AssociationRecord, Snapshot
from workspaces_apps.api.errors import AccessDeniedException, ResourceNotFoundException
from workspaces_apps.errors import (
    ClientStateError,
    ConfigurationError,
    CredentialsError,
    MalformedResponseError,
    RequestValidationError,
    ServiceError,
    ThrottlingException,
    WorkSpacesError,
    lost_credentials,
)

if TYPE_CHECKING:
    from workspaces_apps.api import DescribeApplicationAssociationsResult, WorkspaceState
    from workspaces_apps.api.operations import Operations

IDS: Final = 25
"""Ids that one DescribeWorkspaces takes. [doc]"""

SIDE_BY_SIDE: Final = 16
"""Calls of one kind at the same time where many are work; the pacing decides how fast they go."""

LASTING: Final = (
    AccessDeniedException,
    ClientStateError,
    ConfigurationError,
    CredentialsError,
    RequestValidationError,
)
"""Errors that do not pass by themselves: no poll that fails so is tolerated."""


def is_lasting(error: WorkSpacesError) -> bool:
    """Tell if an error does not pass by itself."""
    return isinstance(error, LASTING) or lost_credentials(error)


_MALFORMED: Final = 3
"""Answers in a row that cannot be read, before a listing gives up."""

ItemT = TypeVar("ItemT")


async def read_workspace(client: Operations, workspace_id: str, at: float) -> Snapshot:
    """Read the associations of one WorkSpace; the snapshot of one that the service does not know has `exists` False.

    Args:
        client: Whose call it is.
        workspace_id: The WorkSpace.
        at: The moment, in seconds of the clock's `monotonic`.

    Raises:
        WorkSpacesError: The call failed.
    """
    try:
        answer = await client.describe_workspace_associations(workspace_id=workspace_id)
    except ResourceNotFoundException as error:
        return Snapshot(workspace_id=workspace_id, at=at, complete=True, refusal=error)
    rows = {row.associated_resource_id: AssociationRecord.of(row) for row in answer.associations}
    return Snapshot(workspace_id=workspace_id, at=at, associations=rows, complete=True)


async def list_pages(
    client: Operations, application_id: str
) -> AsyncGenerator[DescribeApplicationAssociationsResult]:
    """Read the associations of one application page by page.

    The client repeats what fails on the way, but not what came and is no answer: that is asked for again here, because
    a listing of a thousand pages must not end with the first of those.

    Raises:
        WorkSpacesError: A call failed.
    """
    pages = client.describe_application_associations(
        application_id=application_id, associated_resource_types=("WORKSPACE",), max_results=ROWS
    ).pages()
    failures = 0
    while True:
        try:
            page = await anext(pages)
        except StopAsyncIteration:
            return
        except MalformedResponseError:
            failures += 1
            if failures > _MALFORMED:
                raise
        else:
            failures = 0
            yield page


async def read_states(client: Operations, workspace_ids: Sequence[str]) -> dict[str, WorkspaceState | None]:
    """Read the states of at most 25 WorkSpaces; None for one that the service does not list.

    Raises:
        WorkSpacesError: The call failed.
    """
    states: dict[str, WorkspaceState | None] = dict.fromkeys(workspace_ids)
    failures = 0
    while True:
        try:
            found = await client.describe_workspaces(workspace_ids=workspace_ids).collect()
            break
        except MalformedResponseError:
            # As in a listing: what came and is no answer is asked for again.
            failures += 1
            if failures > _MALFORMED:
                raise
    # An answer is for who asked: what else it holds is nobody's.
    states.update({one.workspace_id: one.state for one in found if one.workspace_id in states})
    return states


async def read_states_apart(
    client: Operations, workspace_ids: Sequence[str]
) -> dict[str, WorkspaceState | None]:
    """Read the states of at most 25 WorkSpaces, one by one where one of the ids spoils the call for the others."""
    try:
        return await read_states(client, workspace_ids)
    except ThrottlingException:
        raise
    except ServiceError as error:
        if len(workspace_ids) == 1 or not is_spoilt(error):
            raise
    states: dict[str, WorkspaceState | None] = {}
    for one in workspace_ids:
        states |= await read_states(client, [one])
    return states


def is_spoilt(error: ServiceError) -> bool:
    """Tell if one id may be what the service refused a call of many for."""
    return error.code in {
        "InvalidParameterValuesException",
        "ResourceNotFoundException",
        "ValidationException",
    }


def portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Return the ids in portions that one request takes."""
    for start in range(0, len(ids), IDS):
        yield ids[start : start + IDS]


async def side_by_side(work: Callable[[ItemT], Awaitable[object]], items: Iterable[ItemT]) -> None:
    """Do the work for each item, some at the same time; the first failure ends it, as it is and not in a group."""
    source = iter(items)

    async def worker() -> None:
        for item in source:
            await work(item)

    tasks = [asyncio.ensure_future(worker()) for _ in range(SIDE_BY_SIDE)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
