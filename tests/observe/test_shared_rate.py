"""The share of a rate that polls may take: of one account all clients together, of several accounts each for itself."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from typing import Final

import pytest

from workspaces_apps import ClientConfig, Credentials, Pacing, PacingRegistry, WorkSpacesClient
from workspaces_apps._observe.schedule import Schedule
from workspaces_apps.simulator import ManualClock, Simulator, Throttle

READS: Final = "DescribeWorkspaceAssociations"

_OFTEN: Final = Schedule(shortest=1, tick=1, growth=1.0, strict=True)
"""More polls than any share allows: each subscription wants one a second."""

_SECONDS: Final = 300.0

_SHARE: Final = 300
"""Half of two calls a second, in that time."""


@asynccontextmanager
async def client_of(
    sim: Simulator, registry: PacingRegistry, pacing: Pacing, credentials: Credentials
) -> AsyncGenerator[WorkSpacesClient]:
    """A client that lives by the simulator's clock."""
    config = ClientConfig(pacing=pacing, pacing_registry=registry, random=lambda: 0.5, connect_timeout=60)
    async with WorkSpacesClient(
        region=sim.region, endpoint_url=sim.url, credentials=credentials, config=config, clock=sim.clock
    ) as ws:
        yield ws


async def polls_of(sim: Simulator, followed: Mapping[WorkSpacesClient, Sequence[str]]) -> int:
    """Count the reads of so many seconds in which clients follow WorkSpaces as often as they may."""
    before, since = sim.requests.count(READS), sim.clock.monotonic()
    with ExitStack() as stack:
        for client, ids in followed.items():
            observer = client._hub().observer  # pyright: ignore[reportPrivateUsage]  # the part under test
            for one in ids:
                stack.enter_context(observer.subscribe(one, None, _OFTEN, since=since))
        await sim.clock.sleep(_SECONDS)
        return sim.requests.count(READS) - before


@pytest.mark.parametrize("pacing", [Pacing.fixed(2.0, 1), Pacing.adaptive()], ids=["fixed", "adaptive"])
async def test_two_clients_of_one_account_poll_no_more_than_one(pacing: Pacing) -> None:
    """Half of the confirmed rate is for the polls of both, also where each has credentials of its own."""
    registry = PacingRegistry()
    async with Simulator(workspaces=0, clock=ManualClock(autojump=True), throttle=Throttle()) as sim:
        ids = sim.fleet.add_workspaces(12)
        others = sim.temporary_credentials(86400.0)
        async with (
            client_of(sim, registry, pacing, sim.credentials) as first,
            client_of(sim, registry, pacing, others) as second,
        ):
            # An adaptive rate has to be confirmed before anything is shared.
            await asyncio.gather(
                *(first.describe_workspace_associations(workspace_id=ids[0]) for _ in range(150))
            )
            alone = await polls_of(sim, {first: ids})
            together = await polls_of(sim, {first: ids, second: ids})

    assert 0.9 * _SHARE <= alone <= 1.1 * _SHARE
    assert 0.9 * _SHARE <= together <= 1.1 * _SHARE


@pytest.mark.parametrize("one_account", [False, True], ids=["two-accounts", "two-registries"])
async def test_clients_that_are_paced_apart_share_no_polls(one_account: bool) -> None:
    """With different pacing keys, or different registries, each has its half for itself."""
    pacing, registry = Pacing.fixed(2.0, 1), PacingRegistry()
    async with Simulator(workspaces=0, clock=ManualClock(autojump=True), throttle=None) as sim:
        ids = others = sim.fleet.add_workspaces(12)
        credentials, another = sim.credentials, PacingRegistry()
        if not one_account:
            credentials, another = sim.add_account("222222222222"), registry
            others = sim.fleet_of("222222222222", sim.region).add_workspaces(12)
        async with (
            client_of(sim, registry, pacing, sim.credentials) as first,
            client_of(sim, another, pacing, credentials) as second,
        ):
            together = await polls_of(sim, {first: ids, second: others})

    assert 1.9 * _SHARE <= together <= 2.1 * _SHARE
