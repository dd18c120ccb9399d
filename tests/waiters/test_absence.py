"""Listings whose pages shift while they are read: a row that slipped by is never taken for gone."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.waiters.world import count_pages, world
from workspaces_apps import AssociationChange, DeploymentFailedError
from workspaces_apps._observe.reads import ListingPlace, surely_absent
from workspaces_apps.simulator._wire import JsonObject


@given(
    st.integers(1, 4),
    st.lists(st.integers(0, 14), unique=True, max_size=12),
    st.lists(st.lists(st.integers(0, 14), max_size=4), max_size=15),
)
def test_what_is_there_all_the_time_is_never_surely_absent(
    size: int, gone: list[int], between: list[list[int]]
) -> None:
    """However rows go before and between the pages, which the service finds by counting."""
    before = [f"ws-{number}" for number in range(15)]
    rows = [row for row in before if row not in {f"ws-{number}" for number in gone}]
    found: dict[str, ListingPlace] = {}
    pages, more = 0, True
    while more:
        start, pages = pages * size, pages + 1
        for row in rows[start : start + size]:
            found.setdefault(row, (pages, len(found)))
        more = start + size < len(rows)
        if between and more:
            leaving = {f"ws-{number}" for number in between.pop()}
            rows = [row for row in rows if row not in leaving]

    assert surely_absent(before, found, pages).isdisjoint(rows)


def test_what_one_page_would_show_is_surely_absent() -> None:
    """Only at the edges of pages an absence proves nothing."""
    before = [f"ws-{number}" for number in range(9)]
    found = {"ws-1": (1, 0), "ws-3": (1, 1), "ws-5": (2, 2), "ws-7": (2, 3)}

    assert surely_absent(before, found, 2) == {"ws-0", "ws-2", "ws-6", "ws-8"}


async def test_a_failed_removal_that_slips_by_is_no_success() -> None:
    """A record that was on its way, and that a page then did not show, is looked at before it counts as removed."""
    async with world(30) as (here, ids):
        for one in ids:
            here.sim.fleet.set_association(one, here.application, "UNINSTALLING")
        waits = [
            asyncio.create_task(here.ws.wait_until_deployed(one, wanted={here.application: "removed"}))
            for one in ids
        ]
        await here.sim.clock.sleep(1)
        failing = here.sim.fleet.workspace(ids[25]).associations[here.application]
        failing.state = "ERROR"
        first = iter(ids)

        count_pages(here, lambda _: here.sim.fleet.set_association(next(first), here.application, None))

        with pytest.raises(DeploymentFailedError):
            await waits[25]
        for task in waits:
            task.cancel()
        await asyncio.wait(waits)


async def test_a_record_that_slips_by_is_no_change() -> None:
    """Nobody is told of an end, or a beginning, that has not been."""
    async with world(30) as (here, ids):
        for one in ids:
            here.sim.fleet.set_association(one, here.application, "INSTALLING")
        changes: list[AssociationChange] = []
        first = iter(ids)
        count_pages(here, lambda _: here.sim.fleet.set_association(next(first), here.application, None))

        async def follow() -> None:
            await here.ws.wait_until_all_deployed(
                ids[20:], wanted={here.application: "installed"}, on_change=changes.append
            )

        following = asyncio.create_task(follow())
        await here.sim.clock.sleep(120)

        assert changes == []
        assert not following.done()
        following.cancel()
        await asyncio.wait([following])


async def test_what_slipped_by_a_sweep_is_followed_once_it_is_seen() -> None:
    """A first look at many that missed one of two applications does not end in a success without it."""
    async with world(60) as (here, ids):
        for one in ids:
            here.sim.fleet.set_association(one, here.application, "INSTALLING")
            here.sim.fleet.set_association(one, here.another, "INSTALLING")

        def leave(request: JsonObject) -> None:
            if request.get("ApplicationId") == here.another:
                here.sim.fleet.set_association(ids[0], here.another, None)

        count_pages(here, leave)
        waits = [asyncio.create_task(here.ws.wait_until_deployed(one)) for one in ids]
        await here.sim.clock.sleep(100)
        for one in ids:
            here.sim.fleet.set_association(one, here.application, "COMPLETED")
            here.sim.fleet.set_association(one, here.another, "ERROR")

        ended = await asyncio.gather(*waits[1:], return_exceptions=True)

        assert {type(one) for one in ended} == {DeploymentFailedError}
        waits[0].cancel()
        await asyncio.wait([waits[0]])
