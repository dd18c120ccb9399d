"""boto3, whose calls block, in threads."""

import asyncio
from collections.abc import AsyncGenerator, Sized
from contextlib import asynccontextmanager
from typing import Any

import boto3

from benchmarks.answers import (
    ACCESS_KEY_ID,
    APPLICATION_ID,
    PAGE,
    REGION,
    SECRET_ACCESS_KEY,
    WORKSPACE_ID,
)
from benchmarks.contenders import Calls


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Calls]:
    """An open client of the server at `url`."""
    session: Any = boto3.Session()
    client = session.client(
        "workspaces",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
    )

    async def associations() -> Sized:
        page: dict[str, Sized] = await asyncio.to_thread(
            client.describe_application_associations,
            ApplicationId=APPLICATION_ID,
            AssociatedResourceTypes=["WORKSPACE"],
            MaxResults=PAGE,
        )
        return page["Associations"]

    async def workspaces() -> Sized:
        page: dict[str, Sized] = await asyncio.to_thread(client.describe_workspaces, Limit=PAGE)
        return page["Workspaces"]

    async def associate() -> str:
        answer: dict[str, dict[str, str]] = await asyncio.to_thread(
            client.associate_workspace_application, WorkspaceId=WORKSPACE_ID, ApplicationId=APPLICATION_ID
        )
        return answer["Association"]["State"]

    try:
        yield Calls(associations=associations, workspaces=workspaces, associate=associate)
    finally:
        client.close()
