"""A FastAPI service whose bodies and responses are models of this package.

A body may have the API's names or Python's; unknown members of a request are refused with 422; answers and records such
as `DeploymentOutcome` are response models as they are, and the OpenAPI document describes both.

Run it as it is: `python examples/models_in_fastapi.py`. It needs fastapi and uvicorn, brings its own simulator, asks
itself three questions over HTTP, and ends.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from fastapi import FastAPI

from workspaces_apps import DeploymentOutcome, WorkSpaceApplication, WorkSpacesClient
from workspaces_apps.api import CreateTagsRequest, CreateTagsResult
from workspaces_apps.simulator import ManualClock, Simulator


def make_app(ws: WorkSpacesClient) -> FastAPI:
    """The service."""
    app = FastAPI(title="Desktops")

    @app.get("/applications")
    async def applications() -> list[WorkSpaceApplication]:
        return await ws.describe_applications().collect(max_items=3)

    @app.post("/tags")
    async def tag(body: CreateTagsRequest) -> CreateTagsResult:
        return await ws.execute(body)

    @app.post("/desktops/{workspace_id}/applications/{application_id}")
    async def install(workspace_id: str, application_id: str) -> DeploymentOutcome:
        return await ws.install_applications(workspace_id, [application_id])

    # Each is a route by now; nothing else calls them.
    del applications, tag, install
    return app


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncGenerator[str]:
    """The service on a free port, until the block is left; gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


async def main() -> None:
    """Start the service and ask it."""
    async with (
        Simulator(workspaces=3, clock=ManualClock(autojump=True)) as sim,
        WorkSpacesClient(
            region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, clock=sim.clock
        ) as ws,
        serving(make_app(ws)) as url,
        aiohttp.ClientSession(url) as session,
    ):
        office = sim.fleet.application("Office LTSC Professional 2021")
        first = sim.fleet.compatible(office)[0]
        async with session.get("/applications") as answer:
            print("applications:", answer.status, [one["Name"] for one in await answer.json()])
        for body in (
            {"ResourceId": first, "Tags": [{"Key": "Team", "Value": "Sales"}]},
            {"resource_id": first, "tags": [{"key": "Team", "value": "Sales"}]},
            {"ResourceId": first, "Tags": [{"Kye": "Team"}]},
        ):
            async with session.post("/tags", json=body) as answer:
                print("tags:", answer.status)
        async with session.post(f"/desktops/{first}/applications/{office}") as answer:
            outcome = await answer.json()
            print("installed:", answer.status, outcome["associations"][0]["state"])


if __name__ == "__main__":
    asyncio.run(main())
