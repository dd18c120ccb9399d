"""The floor with validation: aiohttp, botocore's signature, and this package's models; no retries, no pacing."""

from collections.abc import AsyncGenerator, Sized
from contextlib import asynccontextmanager
from typing import TypeVar

import aiohttp

from benchmarks.answers import APPLICATION_ID, PAGE, WORKSPACE_ID
from benchmarks.contenders import Calls
from benchmarks.contenders.floor import signed
from workspaces_apps import api
from workspaces_apps._model.models import Result

ResultT = TypeVar("ResultT", bound=Result)


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Calls]:
    """An open client of the server at `url`."""
    async with aiohttp.ClientSession() as session:

        async def call(operation: str, members: dict[str, object], result: type[ResultT]) -> ResultT:
            headers, body = signed(url, operation, members)
            async with session.post(url, data=body, headers=headers) as answer:
                return result.from_wire(await answer.read())

        async def associations() -> Sized:
            members: dict[str, object] = {
                "ApplicationId": APPLICATION_ID,
                "AssociatedResourceTypes": ["WORKSPACE"],
                "MaxResults": PAGE,
            }
            page = await call(
                "DescribeApplicationAssociations", members, api.DescribeApplicationAssociationsResult
            )
            return page.associations

        async def workspaces() -> Sized:
            return (
                await call("DescribeWorkspaces", {"Limit": PAGE}, api.DescribeWorkspacesResult)
            ).workspaces

        async def associate() -> str:
            members: dict[str, object] = {"WorkspaceId": WORKSPACE_ID, "ApplicationId": APPLICATION_ID}
            answer = await call(
                "AssociateWorkspaceApplication", members, api.AssociateWorkspaceApplicationResult
            )
            assert answer.association is not None
            return answer.association.state or ""

        yield Calls(associations=associations, workspaces=workspaces, associate=associate)
