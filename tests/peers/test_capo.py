"""capo-workspaces, another typed SDK with an HTTP stack and a signer of its own, against the simulator."""

from collections.abc import AsyncIterator
from importlib.metadata import version

import pytest
from capo_workspaces import AsyncWorkSpacesClient, Credentials

from tests.peers.conftest import Tried
from workspaces_apps.simulator import ManualClock, Simulator

PEER = f"capo-workspaces {version('capo-workspaces')}"


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """A fleet of 60."""
    async with Simulator(workspaces=60, throttle=None, clock=ManualClock()) as simulator:
        yield simulator


@pytest.fixture
async def client(sim: Simulator) -> AsyncIterator[AsyncWorkSpacesClient]:
    """Its client."""
    keys = Credentials(access_key=sim.credentials.access_key_id, secret_key=sim.credentials.secret_access_key)
    async with AsyncWorkSpacesClient(region=sim.region, endpoint=sim.url, credentials=keys) as made:
        yield made


async def test_it_stages_and_deploys(sim: Simulator, client: AsyncWorkSpacesClient, tried: Tried) -> None:
    """Signed by its own signer, read by its own types."""
    tried(PEER, "operations")
    app = sim.fleet.application("office 2021 professional")
    (ws,) = sim.fleet.compatible(app)

    staged = await client.associate_workspace_application(workspace_id=ws, application_id=app)
    deployed = await client.deploy_workspace_applications(workspace_id=ws)

    assert staged.get("association", {}).get("state") == "PENDING_INSTALL_DEPLOYMENT"
    assert len(deployed.get("deployment", {}).get("associations", [])) == 1
    assert sim.fleet.associations(ws) == {app: "PENDING_INSTALL"}


async def test_it_pages(sim: Simulator, client: AsyncWorkSpacesClient, tried: Tried) -> None:
    """Every WorkSpace once."""
    tried(PEER, "pages")
    found = [one.get("workspace_id") async for one in client.iter_describe_workspaces(limit=25)]

    assert found == sim.fleet.workspace_ids


async def test_its_errors(client: AsyncWorkSpacesClient, tried: Tried) -> None:
    """A refusal is an exception of its own."""
    tried(PEER, "errors")

    with pytest.raises(Exception, match=r"(?i)not.?found"):
        await client.describe_tags(resource_id="anything")
