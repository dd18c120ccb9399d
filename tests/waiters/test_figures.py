"""The cost of polling and its delay, counted by the simulator in simulated time."""

import asyncio
from collections import Counter
from statistics import median

import pytest

from tests.waiters.world import World, deploy, world
from workspaces_apps import DeploymentOutcome
from workspaces_apps._waiters import WantedState
from workspaces_apps.simulator import Throttle

pytestmark = pytest.mark.campaign

MAX_DELAY = 30.0
RATE = 2.0


async def wait_for_all(
    here: World, ids: list[str], *, wanted: bool
) -> tuple[list[DeploymentOutcome], list[float]]:
    """Wait for each by a task of its own; the outcomes, and how long after its end each returned."""
    noticed: dict[str, float] = {}

    async def wait(workspace_id: str) -> DeploymentOutcome:
        wish: dict[str, WantedState] | None = {here.application: "installed"} if wanted else None
        outcome = await here.ws.wait_until_deployed(workspace_id, wanted=wish)
        noticed[workspace_id] = here.sim.clock.timestamp()
        return outcome

    outcomes = await asyncio.gather(*(wait(one) for one in ids))
    return outcomes, [noticed[one] - here.ended_at(one) for one in ids]


def usual_calls(here: World, ids: list[str], began: float, delay: float) -> int:
    """The calls of a loop for each WorkSpace that notices as soon: two calls every twice that delay."""
    return sum(2 * (1 + int((here.ended_at(one) - began) / (2 * delay))) for one in ids)


def polls(here: World) -> Counter[str]:
    """The describing calls by operation."""
    names = [record.operation or "" for record in here.sim.requests]
    return Counter(name for name in names if name.startswith("Describe"))


async def test_many_waits_cost_a_twentieth_of_as_many_loops() -> None:
    """And notice within half the longest delay; a round is a listing of 25 on a page."""
    async with world(400) as (here, ids):
        await deploy(here, *ids)
        began = here.sim.clock.timestamp()

        outcomes, delays = await wait_for_all(here, ids, wanted=True)

        assert all(outcome.changed[0].after == "COMPLETED" for outcome in outcomes)
        assert median(delays) <= MAX_DELAY / 2
        calls = polls(here)
        assert calls.total() <= 0.05 * usual_calls(here, ids, began, median(delays))
        listings = here.sim.requests.select("DescribeApplicationAssociations")
        by_round = Counter(record.at for record in listings)
        assert max(by_round.values()) <= 400 / 25 + 1


async def test_states_are_asked_25_in_a_call() -> None:
    """DescribeWorkspaces names as many WorkSpaces as one call takes, and none twice in it."""
    async with world(60) as (here, ids):
        await deploy(here, *ids)

        await wait_for_all(here, ids, wanted=True)

        for record in here.sim.requests.select("DescribeWorkspaces"):
            named = (record.parameters or {}).get("WorkspaceIds")
            assert isinstance(named, list)
            assert 1 <= len(named) == len(set(map(str, named))) <= 25


async def test_first_looks_at_many_are_a_sweep() -> None:
    """Without `wanted`, many waits that begin together list the catalogue, and do not ask each WorkSpace."""
    async with world(200) as (here, ids):
        await deploy(here, *ids)
        began = here.sim.clock.timestamp()

        await wait_for_all(here, ids, wanted=False)

        assert polls(here)["DescribeApplications"] == 1
        reads = here.sim.requests.select("DescribeWorkspaceAssociations")
        assert sum(record.at.timestamp() < began + 60 for record in reads) <= 20


async def test_a_sweep_that_does_not_pay_is_given_up() -> None:
    """In a fleet that is large beside the waits, each WorkSpace is asked after all."""
    async with world(600) as (here, ids):
        for one in ids:
            here.sim.fleet.set_association(one, here.application, "COMPLETED")
        waits = ids[-51:]
        await deploy(here, *waits, application=here.another)

        outcomes, _ = await wait_for_all(here, waits, wanted=False)

        assert all(outcome.changed for outcome in outcomes)
        assert polls(here)["DescribeApplicationAssociations"] < 26 + 1000


async def test_nothing_pending_on_many_is_confirmed_one_by_one() -> None:
    """A sweep that shows nothing decides nothing."""
    async with world(60) as (here, ids):
        outcomes, _ = await asyncio.gather(*(here.ws.wait_until_deployed(one) for one in ids)), None

        assert {outcome.changed for outcome in outcomes} == {()}
        assert polls(here)["DescribeWorkspaceAssociations"] == 60


async def test_throttled_to_two_calls_a_second_every_wait_ends() -> None:
    """Polling takes half of the rate of each operation at most, and notices within half a round of such calls."""
    async with world(400) as (here, ids):
        await deploy(here, *ids)
        here.sim.throttle = Throttle.at(RATE)
        began = here.sim.clock.monotonic()

        outcomes, delays = await wait_for_all(here, ids, wanted=True)

        assert all(outcome.changed for outcome in outcomes)
        taken = here.sim.clock.monotonic() - began
        assert max(polls(here).values()) <= 1.1 * RATE / 2 * taken
        # A round is 25 WorkSpaces a call. When in it a deployment ends is chance, so that the median of
        # four hundred scatters by five in a hundred.
        one_round = (400 / 25 + 1) / (RATE / 2)
        assert median(delays) <= 1.05 * max(MAX_DELAY, one_round) / 2


@pytest.mark.parametrize("rate", [RATE, 5.0])
async def test_other_calls_keep_their_half_of_the_rate(rate: float) -> None:
    """While many waits poll, another task's calls of the same operation still go at half the rate."""
    async with world(200) as (here, ids):
        await deploy(here, *ids)
        here.sim.throttle = Throttle.at(rate)
        waiting = asyncio.create_task(wait_for_all(here, ids, wanted=True))
        await here.sim.clock.sleep(60)
        began = here.sim.clock.monotonic()

        for _ in range(40):
            await here.ws.describe_application_associations(
                application_id=here.application, associated_resource_types=["WORKSPACE"]
            )

        assert 40 / (here.sim.clock.monotonic() - began) >= rate / 2
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_a_newcomer_is_not_kept_waiting_by_a_long_round() -> None:
    """While a listing of eight seconds goes on, one more wait has its first look between two pages."""
    async with world(201) as (here, ids):
        await deploy(here, *ids[1:])
        here.sim.throttle = Throttle.at(RATE)
        waiting = asyncio.create_task(wait_for_all(here, ids[1:], wanted=True))
        await here.sim.clock.sleep(120)

        outcome = await here.ws.wait_until_deployed(ids[0])

        # Two reads, its associations and its state, at half of the rate.
        assert outcome.elapsed.total_seconds() < 10
        waiting.cancel()
        await asyncio.wait([waiting])
