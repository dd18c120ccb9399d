"""Reading a target in as few calls as the service allows.

A page of DescribeWorkspaces has 25 WorkSpaces, a page of DescribeApplicationAssociations 25 associations of one
application; asking WorkSpace by WorkSpace would cost a call for each. The service counts the rate of each
operation by itself [assumed], so WorkSpaces and associations are read side by side.
"""

import asyncio
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Sequence,
)
from dataclasses import dataclass, field
from typing import Final, TypeVar

from workspaces_apps._client.client import WorkSpacesClient
from workspaces_apps._model.models import PageResult
from workspaces_apps._model.paginator import Paginated
from workspaces_apps._observe.reads import AssociationRecord
from workspaces_apps.api.errors import ResourceNotFoundException
from workspaces_apps.api.workspaces import Workspace
from workspaces_apps.errors import MalformedResponseError
from workspaces_apps.rollout._manifest.selectors import Scope, WorkspaceFacts
from workspaces_apps.rollout._plan.catalogue import Catalogue

PAGE: Final = 25
"""Items on a page, and ids in a request, at most [doc]."""

SIDE_BY_SIDE: Final = 16
"""Calls of one kind at the same time; the pacing decides how fast they go."""

_MALFORMED: Final = 3
"""Answers in a row that cannot be read, before a reading gives up."""

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

States = dict[str, dict[str, AssociationRecord]]
"""By WorkSpace and application: the association as it was seen."""


@dataclass(slots=True, kw_only=True)
class Fleet:
    """The reading of a target.

    Attributes:
        catalogue: Its applications.
        workspaces: The WorkSpaces in the scope, by id.
        states: Their associations, and perhaps those of others.
    """

    catalogue: Catalogue
    workspaces: dict[str, WorkspaceFacts]
    states: States = field(default_factory=States)


async def read_fleet(client: WorkSpacesClient, scope: Scope) -> Fleet:
    """Read the catalogue, the WorkSpaces of a scope, and their associations.

    Raises:
        WorkSpacesError: A call failed.
    """
    catalogue = Catalogue([one async for one in patiently(client.describe_applications(max_results=PAGE))])
    only_ids = not (scope.everything or scope.directory_ids or scope.bundle_ids)
    if only_ids and len(scope.workspace_ids) <= len(catalogue):
        # Each application costs a call at least, so this is the cheaper way.
        workspaces = await read_workspaces(client, scope)
        return Fleet(catalogue=catalogue, workspaces=workspaces, states=await read_each(client, workspaces))
    reading = asyncio.ensure_future(read_workspaces(client, scope))
    listing = asyncio.ensure_future(read_applications(client, catalogue.ids))
    try:
        workspaces, states = await asyncio.gather(reading, listing)
    finally:
        reading.cancel()
        listing.cancel()
        await asyncio.gather(reading, listing, return_exceptions=True)
    return Fleet(catalogue=catalogue, workspaces=workspaces, states=states)


async def read_workspaces(client: WorkSpacesClient, scope: Scope) -> dict[str, WorkspaceFacts]:
    """The WorkSpaces of a scope; ids that the service does not know are left out."""
    found: dict[str, WorkspaceFacts] = {}
    if scope.everything:
        async for workspace in patiently(client.describe_workspaces(limit=PAGE)):
            found[workspace.workspace_id] = facts_of(workspace)
        return found
    for directory_id in sorted(scope.directory_ids):
        async for workspace in patiently(client.describe_workspaces(directory_id=directory_id, limit=PAGE)):
            found[workspace.workspace_id] = facts_of(workspace)
    for bundle_id in sorted(scope.bundle_ids):
        async for workspace in patiently(client.describe_workspaces(bundle_id=bundle_id, limit=PAGE)):
            found[workspace.workspace_id] = facts_of(workspace)
    missing = sorted(scope.workspace_ids - found.keys())

    async def some(ids: Sequence[str]) -> None:
        async for workspace in patiently(client.describe_workspaces(workspace_ids=ids)):
            found[workspace.workspace_id] = facts_of(workspace)

    await side_by_side(some, pages_of(missing))
    return found


def facts_of(workspace: Workspace) -> WorkspaceFacts:
    """Return the facts about a WorkSpace that a roll-out keeps."""
    properties = workspace.workspace_properties
    return WorkspaceFacts(
        workspace_id=workspace.workspace_id,
        state=str(workspace.state),
        directory_id=workspace.directory_id,
        user_name=workspace.user_name,
        bundle_id=workspace.bundle_id,
        compute_type=properties.compute_type_name if properties is not None else None,
        operating_system=properties.operating_system_name if properties is not None else None,
        running_mode=properties.running_mode if properties is not None else None,
        root_volume_gib=properties.root_volume_size_gib if properties is not None else None,
    )


async def read_applications(client: WorkSpacesClient, application_ids: Collection[str]) -> States:
    """The associations of these applications with WorkSpaces, page by page."""
    states: States = {}

    async def one(application_id: str) -> None:
        async for row in patiently(
            client.describe_application_associations(
                application_id=application_id, associated_resource_types=["WORKSPACE"], max_results=PAGE
            )
        ):
            states.setdefault(row.associated_resource_id, {})[application_id] = AssociationRecord.of(row)

    await side_by_side(one, application_ids)
    return states


async def read_each(client: WorkSpacesClient, workspace_ids: Collection[str]) -> States:
    """The associations of these WorkSpaces, a call for each; one that is gone has none."""
    states: States = {}

    async def one(workspace_id: str) -> None:
        try:
            states[workspace_id] = await read_one(client, workspace_id)
        except ResourceNotFoundException:
            states[workspace_id] = {}

    await side_by_side(one, workspace_ids)
    return states


async def read_one(client: WorkSpacesClient, workspace_id: str) -> dict[str, AssociationRecord]:
    """The associations of one WorkSpace, by application.

    Raises:
        ResourceNotFoundException: There is no such WorkSpace.
    """
    answer = await client.describe_workspace_associations(workspace_id=workspace_id)
    return {row.associated_resource_id: AssociationRecord.of(row) for row in answer.associations}


async def read_tags(client: WorkSpacesClient, workspace_ids: Iterable[str]) -> dict[str, dict[str, str]]:
    """The tags of WorkSpaces, a call for each; one that is gone has none."""
    tags: dict[str, dict[str, str]] = {}

    async def one(workspace_id: str) -> None:
        try:
            answer = await client.describe_tags(resource_id=workspace_id)
        except ResourceNotFoundException:
            tags[workspace_id] = {}
        else:
            tags[workspace_id] = {tag.key: tag.value or "" for tag in answer.tag_list}

    await side_by_side(one, workspace_ids)
    return tags


async def patiently(listing: Paginated[PageResult, ItemT]) -> AsyncGenerator[ItemT, None]:
    """Every item of a listing; an answer that cannot be read is asked for again, page by page.

    The client repeats what fails on the way and not what came and is no answer. A reading of a thousand pages must not
    end with the first of those.
    """
    items = aiter(listing)
    failures = 0
    while True:
        try:
            item = await anext(items)
        except StopAsyncIteration:
            return
        except MalformedResponseError:
            failures += 1
            if failures > _MALFORMED:
                raise
        else:
            failures = 0
            yield item


def pages_of(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """The ids in portions that one request can take."""
    for start in range(0, len(ids), PAGE):
        yield ids[start : start + PAGE]


async def side_by_side(
    work: Callable[[ItemT], Awaitable[ResultT]], items: Iterable[ItemT], limit: int = SIDE_BY_SIDE
) -> None:
    """Do the work for each item, some at the same time; the first failure ends it, as it is and not in a group."""
    source = iter(items)

    async def worker() -> None:
        for item in source:
            await work(item)

    tasks = [asyncio.ensure_future(worker()) for _ in range(limit)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
