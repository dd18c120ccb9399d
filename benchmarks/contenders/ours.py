"""workspaces-apps with its defaults: checks, pacing, retries, models."""

from collections.abc import AsyncGenerator, AsyncIterator, Sized
from contextlib import asynccontextmanager

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
from workspaces_apps import Credentials, WorkSpacesClient


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Calls]:
    """An open client of the server at `url`."""
    credentials = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
    async with WorkSpacesClient(region=REGION, endpoint_url=url, credentials=credentials) as client:

        async def associations() -> Sized:
            page = await client.describe_application_associations(
                application_id=APPLICATION_ID, associated_resource_types=["WORKSPACE"], max_results=PAGE
            )
            return page.associations

        async def workspaces() -> Sized:
            return (await client.describe_workspaces(limit=PAGE)).workspaces

        async def associate() -> str:
            answer = await client.associate_workspace_application(
                workspace_id=WORKSPACE_ID, application_id=APPLICATION_ID
            )
            assert answer.association is not None
            return answer.association.state or ""

        def stream() -> AsyncIterator[object]:
            return aiter(
                client.describe_application_associations(
                    application_id=STREAMED_APPLICATION_ID,
                    associated_resource_types=["WORKSPACE"],
                    max_results=PAGE,
                )
            )

        yield Calls(associations=associations, workspaces=workspaces, associate=associate, stream=stream)
