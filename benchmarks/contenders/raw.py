"""aiobotocore as its documentation shows it: the default configuration, dicts."""

from collections.abc import AsyncGenerator, AsyncIterator, Sized
from contextlib import asynccontextmanager
from typing import Any

from aiobotocore.session import get_session

from benchmarks.answers import (
    ACCESS_KEY_ID,
    APPLICATION_ID,
    PAGE,
    REGION,
    SECRET_ACCESS_KEY,
    STREAMED_APPLICATION_ID,
    WORKSPACE_ID,
)
from benchmarks.contenders import Calls


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Calls]:
    """An open client of the server at `url`."""
    session: Any = get_session()
    async with session.create_client(
        "workspaces",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
    ) as client:

        async def associations() -> Sized:
            page: dict[str, Sized] = await client.describe_application_associations(
                ApplicationId=APPLICATION_ID, AssociatedResourceTypes=["WORKSPACE"], MaxResults=PAGE
            )
            return page["Associations"]

        async def workspaces() -> Sized:
            page: dict[str, Sized] = await client.describe_workspaces(Limit=PAGE)
            return page["Workspaces"]

        async def associate() -> str:
            answer: dict[str, dict[str, str]] = await client.associate_workspace_application(
                WorkspaceId=WORKSPACE_ID, ApplicationId=APPLICATION_ID
            )
            return answer["Association"]["State"]

        async def stream() -> AsyncIterator[object]:
            # By hand: botocore has no paginator for this operation.
            token: dict[str, str] = {}
            while True:
                page: dict[str, Any] = await client.describe_application_associations(
                    ApplicationId=STREAMED_APPLICATION_ID,
                    AssociatedResourceTypes=["WORKSPACE"],
                    MaxResults=PAGE,
                    **token,
                )
                for association in page["Associations"]:
                    yield association
                if "NextToken" not in page:
                    return
                token = {"NextToken": page["NextToken"]}

        yield Calls(associations=associations, workspaces=workspaces, associate=associate, stream=stream)
