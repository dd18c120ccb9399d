"""Calls and what comes of them: read by type checkers, never run.

A line with an ignore must be refused: an ignore that is not needed is an error itself.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true
# mypy: disable-error-code="unused-awaitable"

import asyncio
from typing import assert_type

from workspaces_apps import (
    AssociateWorkspaceApplicationResult,
    AssociationState,
    CreateWorkspacesRequest,
    CreateWorkspacesResult,
    DescribeApplicationsRequest,
    DescribeApplicationsResult,
    FailedCreateWorkspaceRequest,
    ItemIterator,
    PageIterator,
    Paginated,
    ResponseMeta,
    WorkSpaceApplication,
    WorkspaceResourceAssociation,
    WorkSpacesClient,
)
from workspaces_apps._model.models import PageResult
from workspaces_apps.api import (
    AssociateIpGroupsResult,
    ListAvailableManagementCidrRangesResult,
    Tag,
)


async def paging(ws: WorkSpacesClient) -> None:
    """An operation that pages gives a page or items, each with its own type."""
    call = ws.describe_applications(owner="AMAZON")
    assert_type(call, Paginated[DescribeApplicationsResult, WorkSpaceApplication])
    assert_type(await call, DescribeApplicationsResult)
    assert_type(await call.first_page(), DescribeApplicationsResult)
    assert_type(aiter(call), ItemIterator[WorkSpaceApplication])
    assert_type(call.pages(), PageIterator[DescribeApplicationsResult])
    async for item in call:
        assert_type(item, WorkSpaceApplication)
    async for page in call.pages():
        assert_type(page, DescribeApplicationsResult)
        assert_type(page.applications, tuple[WorkSpaceApplication, ...])
    assert_type([item async for item in call], list[WorkSpaceApplication])
    assert_type(await call.collect(max_items=5), list[WorkSpaceApplication])
    assert_type(call.resume_token, str | None)
    assert_type(call.pages().resume_token, str | None)


async def together(ws: WorkSpacesClient) -> None:
    """A call is awaitable, so it goes where awaitables go; tasks are made of the coroutine."""
    call = ws.describe_applications()
    both = await asyncio.gather(call, ws.describe_tags(resource_id="ws-12345678"))
    assert_type(both[0], DescribeApplicationsResult)
    assert_type(both[1].tag_list, tuple[Tag, ...])
    assert_type(await asyncio.wait_for(call, 5), DescribeApplicationsResult)
    assert_type(await asyncio.create_task(call.first_page()), DescribeApplicationsResult)
    asyncio.create_task(call)  # type: ignore[arg-type]  # noqa: RUF006


async def plain_items(ws: WorkSpacesClient) -> None:
    """The items of one operation are strings."""
    call = ws.list_available_management_cidr_ranges(management_cidr_range_constraint="10.0.0.0/8")
    assert_type(call, Paginated[ListAvailableManagementCidrRangesResult, str])
    assert_type(await call.collect(), list[str])


def covariant(
    call: Paginated[DescribeApplicationsResult, WorkSpaceApplication],
) -> Paginated[PageResult, object]:
    """A listing of something is a listing of whatever that is."""
    return call


async def calls(ws: WorkSpacesClient) -> None:
    """Other operations are coroutines; their results have meta, and batches have failures."""
    done = await ws.associate_workspace_application(workspace_id="ws-1", application_id="wsa-1")
    assert_type(done, AssociateWorkspaceApplicationResult)
    assert_type(done.association, WorkspaceResourceAssociation)
    assert_type(done.association.state, AssociationState)
    assert_type(done.meta, ResponseMeta)
    assert_type(await ws.associate_ip_groups(directory_id="d-1", group_ids=["a"]), AssociateIpGroupsResult)
    created = await ws.create_workspaces(workspaces=[])
    assert_type(created.failures, tuple[FailedCreateWorkspaceRequest, ...])
    assert_type(created.raise_for_failures(), CreateWorkspacesResult)
    await ws.associate_workspace_application("ws-1", "wsa-1")  # type: ignore[call-arg]
    await ws.associate_workspace_application(workspace_id="ws-1")  # type: ignore[call-arg]
    await ws.associate_workspace_application(workspace_id="ws-1", application_id=1)  # type: ignore[arg-type]
    await ws.describe_workspace_associations(workspace_id="ws-1", workspaceid="")  # type: ignore[call-arg]


async def requests(ws: WorkSpacesClient) -> None:
    """`execute` is typed by the request that it is given."""
    assert_type(await ws.execute(DescribeApplicationsRequest()), DescribeApplicationsResult)
    assert_type(await ws.execute(CreateWorkspacesRequest(workspaces=())), CreateWorkspacesResult)
    await ws.execute(DescribeApplicationsResult())  # type: ignore[arg-type]
    await ws.execute(DescribeApplicationsRequest)  # type: ignore[arg-type]
