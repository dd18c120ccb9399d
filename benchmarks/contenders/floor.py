"""The least that a signed call can do: aiohttp, botocore's signature, `json.loads`; no retries, no types."""

import json
from collections.abc import AsyncGenerator, Sized
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks.answers import ACCESS_KEY_ID, APPLICATION_ID, PAGE, REGION, SECRET_ACCESS_KEY, WORKSPACE_ID
from benchmarks.contenders import Calls


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Calls]:
    """An open client of the server at `url`."""
    auth = SigV4Auth(Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY), "workspaces", REGION)
    async with aiohttp.ClientSession() as session:

        async def call(operation: str, members: dict[str, object]) -> dict[str, Any]:
            headers = {
                "X-Amz-Target": f"WorkspacesService.{operation}",
                "Content-Type": "application/x-amz-json-1.1",
            }
            request = AWSRequest(method="POST", url=url, data=json.dumps(members).encode(), headers=headers)
            auth.add_auth(request)
            async with session.post(url, data=request.data, headers=dict(request.headers)) as answer:
                document: dict[str, Any] = json.loads(await answer.read())
                return document

        async def associations() -> Sized:
            page = await call(
                "DescribeApplicationAssociations",
                {
                    "ApplicationId": APPLICATION_ID,
                    "AssociatedResourceTypes": ["WORKSPACE"],
                    "MaxResults": PAGE,
                },
            )
            found: Sized = page["Associations"]
            return found

        async def workspaces() -> Sized:
            found: Sized = (await call("DescribeWorkspaces", {"Limit": PAGE}))["Workspaces"]
            return found

        async def associate() -> str:
            answer = await call(
                "AssociateWorkspaceApplication",
                {"WorkspaceId": WORKSPACE_ID, "ApplicationId": APPLICATION_ID},
            )
            return str(answer["Association"]["State"])

        yield Calls(associations=associations, workspaces=workspaces, associate=associate)
