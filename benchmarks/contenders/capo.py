"""capo-workspaces, a typed async SDK with an HTTP stack of its own; its answers are TypedDicts, not validated."""

from collections.abc import AsyncGenerator, AsyncIterator, Sized
from contextlib import asynccontextmanager

from capo_workspaces import AsyncWorkSpacesClient, Credentials

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
    credentials = Credentials(access_key=ACCESS_KEY_ID, secret_key=SECRET_ACCESS_KEY)
    async with AsyncWorkSpacesClient(region=REGION, endpoint=url, credentials=credentials) as client:

        async def associations() -> Sized:
            page = await client.describe_application_associations(
                application_id=APPLICATION_ID, associated_resource_types=["WORKSPACE"], max_results=PAGE
            )
            return page.get("associations", [])

        async def workspaces() -> Sized:
            return (await client.describe_workspaces(limit=PAGE)).get("workspaces", [])

        async def associate() -> str:
            answer = await client.associate_workspace_application(
                workspace_id=WORKSPACE_ID, application_id=APPLICATION_ID
            )
            return answer.get("association", {}).get("state", "")

        async def stream() -> AsyncIterator[object]:
            async for page in client.iter_describe_application_associations(
                application_id=STREAMED_APPLICATION_ID,
                associated_resource_types=["WORKSPACE"],
                max_results=PAGE,
            ):
                for association in page.get("associations", []):
                    yield association

        yield Calls(associations=associations, workspaces=workspaces, associate=associate, stream=stream)
