"""Following many deployments: what the looks cost, and how they are shared."""

import asyncio

import pytest

from tests.rollout.site import OFFICE, site
from workspaces_apps.errors import ServiceError
from workspaces_apps.rollout.cadence import LAST_DELAY
from workspaces_apps.rollout.sight import Sight


async def test_many_waiters_share_a_round() -> None:
    """A hundred WorkSpaces of one application: four pages, not a hundred calls."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(100)
        office = here.sim.fleet.application(OFFICE)
        for one in ids:
            here.sim.fleet.set_association(one, office, "INSTALLING")
        sight = Sight(here.client, here.clock, [office])
        looks = await asyncio.gather(*map(sight.next_look, ids))
        await sight.close()

        assert {look[office].state for look in looks if look} == {"INSTALLING"}
        assert here.sim.requests.count("DescribeApplicationAssociations") == 4
        assert here.sim.requests.count("DescribeWorkspaceAssociations") == 0


async def test_few_waiters_are_looked_at_one_by_one() -> None:
    """Three of a hundred: three calls are fewer than four pages."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(100)
        office = here.sim.fleet.application(OFFICE)
        for one in ids:
            here.sim.fleet.set_association(one, office, "INSTALLING")
        sight = Sight(here.client, here.clock, [office])
        await sight.survey(ids)
        await asyncio.gather(*map(sight.next_look, ids[:3]))
        await sight.close()

        assert here.sim.requests.count("DescribeWorkspaceAssociations") == 3


async def test_dear_rounds_are_further_apart() -> None:
    """Looking takes no more than four fifths of a call a second, however large the fleet."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(2500)
        office = here.sim.fleet.application(OFFICE)
        for one in ids:
            here.sim.fleet.set_association(one, office, "INSTALLING")
        sight = Sight(here.client, here.clock, [office])
        began = here.clock.monotonic()
        for _ in range(2):
            await asyncio.gather(*map(sight.next_look, ids))
        waited = here.clock.monotonic() - began
        await sight.close()

        assert here.sim.requests.count("DescribeApplicationAssociations") == 200
        assert waited >= 200 * 1.25 > 2 * LAST_DELAY


async def test_a_round_that_fails_is_told_only_when_all_do() -> None:
    """One failed round is no news; after many in a row whoever waits gets the error."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        sight = Sight(here.client, here.clock, [here.sim.fleet.application(OFFICE)])
        fault = here.sim.faults.add("error", operation="DescribeWorkspaceAssociations", code="Odd", times=1)
        first, second = await sight.next_look(one), await sight.next_look(one)
        fault.remove()
        here.sim.faults.add("error", operation="DescribeWorkspaceAssociations", code="Odd")
        failed = [await sight.next_look(one) for _ in range(10)]
        with pytest.raises(ServiceError, match="Odd"):
            await sight.next_look(one)
        await sight.close()

        assert first is None
        assert failed == [None] * 10
        assert second == {}


async def test_a_fault_of_our_own_reaches_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not look like a roll-out that was stopped."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        sight = Sight(here.client, here.clock, [here.sim.fleet.application(OFFICE)])

        def broken(_: object) -> float:
            return 1 / 0

        monkeypatch.setattr(sight, "_read", broken)
        with pytest.raises(ZeroDivisionError):
            await sight.next_look(one)
        await sight.close()


async def test_without_the_permission_to_list_it_looks_one_by_one() -> None:
    """AccessDeniedException for the listing: the same answers for more calls."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(30)
        here.sim.faults.add(
            "error", operation="DescribeApplicationAssociations", code="AccessDeniedException"
        )
        sight = Sight(here.client, here.clock, [here.sim.fleet.application(OFFICE)])
        states = await sight.survey(ids)
        await sight.survey(ids)

        assert states.keys() == set(ids)
        assert here.sim.requests.count("DescribeApplicationAssociations") == 1


async def test_closing_ends_every_wait() -> None:
    """Whoever waits is cancelled; nothing goes on."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        sight = Sight(here.client, here.clock, [here.sim.fleet.application(OFFICE)])
        waiting = asyncio.create_task(sight.next_look(one))
        await asyncio.sleep(0)
        await sight.close()

        with pytest.raises(asyncio.CancelledError):
            await waiting
