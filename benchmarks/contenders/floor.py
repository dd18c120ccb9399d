"""The least that a signed call can do: aiohttp, botocore's signature, `json.loads`; no retries, no types."""

import json
from collections.abc import AsyncGenerator, Sized
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks.answers import ACCESS_KEY_ID, APPLICATION_ID, PAGE, REGION, SECRET_ACCESS_KEY, WORKSPACE_ID
from benchmarks.contenders import Calls

_AUTH: Final = SigV4Auth(Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY), "workspaces", REGION)


def signed(url: str, operation: str, members: dict[str, object]) -> tuple[dict[str, str], bytes]:
    """The headers and the body of a request, signed by botocore."""
    headers = {
        "X-Amz-Target": f"WorkspacesService.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
    }
    body = json.dumps(members).encode()
    request = AWSRequest(method="POST", url=url, data=body, headers=headers)
    _AUTH.add_auth(request)
    return dict(request.headers), body


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Calls]:
    """An open client of the server at `url`."""
    async with aiohttp.ClientSession() as session:

        async def call(operation: str, members: dict[str, object]) -> dict[str, Any]:
            headers, body = signed(url, operation, members)
            async with session.post(url, data=body, headers=headers) as answer:
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
