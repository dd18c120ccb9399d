"""Waits and jobs whose credentials end: they end too, at once, with the error that says so."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from workspaces_apps import ClientConfig, ServiceError, WorkSpacesClient
from workspaces_apps._pacing import PacingRegistry
from workspaces_apps.simulator import ManualClock, Simulator


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """A fleet in simulated time."""
    async with Simulator(workspaces=2, throttle=None, clock=ManualClock(autojump=True)) as simulator:
        yield simulator


async def watch(ws: WorkSpacesClient, workspace_id: str) -> None:
    """Watch a deployment to its end."""
    async with ws.watch_deployment(workspace_id) as changes:
        async for _ in changes:
            pass


async def install(ws: WorkSpacesClient, workspace_id: str) -> None:
    """Install another application."""
    await ws.install_applications(workspace_id, ["wsa-000000002"])


@pytest.mark.parametrize(
    "work",
    [WorkSpacesClient.wait_until_deployed, watch, WorkSpacesClient.wait_until_terminated, install],
)
async def test_it_ends_at_once(
    sim: Simulator, work: Callable[[WorkSpacesClient, str], Awaitable[object]]
) -> None:
    """A few requests after the credentials have ended, the error of the service is raised, with its code."""
    application = sim.fleet.application("Microsoft Office LTSC Professional Plus 2021")
    (one, *_) = sim.fleet.compatible(application)
    config = ClientConfig(pacing_registry=PacingRegistry())
    async with WorkSpacesClient(
        region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, clock=sim.clock, config=config
    ) as ws:
        await ws.associate_workspace_application(workspace_id=one, application_id=application)
        await ws.deploy_workspace_applications(workspace_id=one)
        sim.faults.add("error", code="ExpiredTokenException")

        with pytest.raises(ServiceError, match="ExpiredToken") as caught:
            await work(ws, one)

    assert caught.value.code == "ExpiredTokenException"
    assert any("credentials" in note for note in caught.value.__notes__)
    assert len(sim.requests) < 10
