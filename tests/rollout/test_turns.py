"""Turns of WorkSpaces with different hours: whoever's hours are closed keeps nobody else waiting."""

from datetime import timedelta

import pytest

from tests.rollout.site import Site, manifest, site
from workspaces_apps.rollout import Deployed, Plan, Staged


async def begun(here: Site, plan: Plan) -> dict[str, timedelta]:
    """Apply a plan, and return when each WorkSpace was deployed."""
    _, events = await here.carry_out(plan)
    return {one.workspace_id: one.at - plan.created for one in events if isinstance(one, Deployed)}


def from_to(here: Site, start: timedelta, end: timedelta) -> dict[str, str]:
    """Hours of every day, from then to then as seen from now."""
    now = here.clock.now()
    return {"time_zone": "UTC", "start": f"{now + start:%H:%M}", "end": f"{now + end:%H:%M}"}


@pytest.mark.parametrize("outside", ["wait", "skip"])
async def test_who_is_too_late_lets_the_others_begin(outside: str) -> None:
    """Hours that close while a permit is waited for are waited for again, or not, after all whose hours are open."""
    async with site() as here:
        early, late, *others = here.sim.fleet.add_workspaces(5)
        night = from_to(here, timedelta(hours=-6), timedelta(minutes=1))
        hours = [
            night | {"select": {"workspace_ids": [early, late]}},
            from_to(here, *[timedelta(hours=6)] * 2),
        ]
        plan = await here.rollout.plan(
            manifest(max_in_flight=1, hours=hours, outside_hours=outside, finish_within_hours=False)
        )
        at = await begun(here, plan)

        assert [at.get(one, timedelta()) < timedelta(hours=1) for one in (early, *others)] == [True] * 4
        assert (late in at) is (outside == "wait")
        assert at.get(late, timedelta(hours=18)) >= timedelta(hours=18)


async def test_who_is_early_begins_as_soon_as_the_hours_open() -> None:
    """Others that still wait for a permit keep it from nothing: the hours would be over before all had one."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(20)
        evening = from_to(here, timedelta(minutes=5), timedelta(minutes=20))
        hours = [evening | {"select": {"workspace_ids": ids[:2]}}, from_to(here, *[timedelta(hours=6)] * 2)]
        plan = await here.rollout.plan(manifest(max_in_flight=1, hours=hours, finish_within_hours=False))
        at = await begun(here, plan)

        assert max(at.values()) > timedelta(minutes=20)
        assert all(timedelta(minutes=5) <= at[one] <= timedelta(minutes=12) for one in ids[:2])


async def test_nothing_is_staged_once_the_hours_have_closed_in_the_queue() -> None:
    """Two users leave at once, for one permit: the second has nothing staged until the hours open again."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(2)
        for one in ids:
            here.sim.fleet.workspace(one).connected = False
        hours = [from_to(here, timedelta(hours=-6), timedelta(minutes=6))]
        policy = manifest(when_connected="wait", max_in_flight=1, hours=hours, finish_within_hours=False)
        plan = await here.rollout.plan(policy)
        _, events = await here.carry_out(plan)
        staged = sorted(event.at - plan.created for event in events if isinstance(event, Staged))

        assert staged[0] < timedelta(minutes=6)
        assert staged[1] >= timedelta(hours=18)
