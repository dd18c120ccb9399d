"""The end of new work, by a drain or a spent budget: it reaches WorkSpaces that wait before anything was written to them."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.rollout.site import OFFICE, VISIO, Site, last_words, manifest, site
from workspaces_apps.rollout import Apply, Deployed, Event, Failed, Plan, Staged
from workspaces_apps.simulator import SimulatorSettings, Span

SLOW = SimulatorSettings(pending_delay=Span(1, 5), install_duration=Span(1800, 1800))
"""Deployments of half an hour."""


async def until_it_ends(here: Site, plan: Plan, ends: Callable[[Apply, Event], bool]) -> list[Event]:
    """Apply a plan; return the events that follow the first for which `ends` holds."""
    after: list[Event] = []
    ended = False
    async with here.rollout.apply(plan) as run:
        async for event in run:
            if ended:
                after.append(event)
            ended = ended or ends(run, event)
    return after


def drained(run: Apply, event: Event) -> bool:
    """Drain at the first deployment."""
    if isinstance(event, Deployed):
        run.drain()
    return isinstance(event, Deployed)


def spent(_: Apply, event: Event) -> bool:
    """Tell if a deployment has failed, which spends a budget of 0."""
    return isinstance(event, Failed)


@pytest.mark.parametrize("ends, reason", [(drained, "drained"), (spent, "budget-spent")])
async def test_it_reaches_those_who_queue_for_a_permit(
    ends: Callable[[Apply, Event], bool], reason: str
) -> None:
    """All users leave at once, and one permit serves them in turn: nobody is deployed after it."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(4)
        here.sim.faults.add("deployment_error", times=1)
        for one in ids:
            here.sim.fleet.workspace(one).connected = False
        policy = manifest(when_connected="wait", max_in_flight=1, failure_budget=0, retries=0)
        after = await until_it_ends(here, await here.rollout.plan(policy), ends)

        assert here.deployments().total() == 1
        assert not [event for event in after if isinstance(event, Staged | Deployed)]
        assert list(last_words(after).values()).count(f"skipped: {reason}") == 3


@pytest.mark.parametrize("ends, reason", [(drained, "drained"), (spent, "budget-spent")])
@pytest.mark.parametrize("other", ["REBOOTING", "deploying", "staged and REBOOTING"])
async def test_it_ends_waits_for_what_is_on_its_way(
    ends: Callable[[Apply, Event], bool], reason: str, other: str
) -> None:
    """For a WorkSpace to become ready, and for somebody else's deployment: nobody waits for what is not used."""
    async with site() as here:
        fleet = here.sim.fleet
        first, *ids = fleet.add_workspaces(4)
        here.sim.faults.add("deployment_error", workspace_id=first, times=1)
        office, visio = fleet.application(OFFICE), fleet.application(VISIO)
        if other == "staged and REBOOTING":
            for one in ids:
                fleet.set_association(one, office, "PENDING_INSTALL_DEPLOYMENT")
        policy = manifest(failure_budget=0, retries=0, allow_foreign_staged=True)
        plan = await here.rollout.plan(policy)
        for one in ids:
            if other == "deploying":
                fleet.set_association(one, visio, "INSTALLING")
            else:
                fleet.set_state(one, "REBOOTING")
        began = here.clock.now()
        after = await until_it_ends(here, plan, ends)

        assert here.deployments().total() == 1
        told = "left-staged" if other == "staged and REBOOTING" else reason
        assert list(last_words(after).values()).count(f"skipped: {told}") == 3
        assert after[-1].at - began < timedelta(minutes=10)


async def test_what_is_staged_when_the_permit_was_given_back_is_taken_back() -> None:
    """A user comes before Deploy, and has left again before another's deployment ends: too late to begin."""
    async with site(settings=SLOW) as here:
        ids = here.sim.fleet.add_workspaces(2)
        for one in ids:
            here.sim.fleet.workspace(one).connected = False
        plan = await here.rollout.plan(manifest(when_connected="wait", max_in_flight=1))
        late: str | None = None
        ending: asyncio.Task[None] | None = None

        async def end() -> None:
            await here.clock.sleep(1200)
            run.drain()

        async with here.rollout.apply(plan) as run:
            async for event in run:
                if isinstance(event, Staged) and late is None:
                    late = event.workspace_id
                    here.sim.fleet.workspace(late).connected = True
                elif isinstance(event, Deployed):
                    assert late is not None
                    here.sim.fleet.workspace(late).connected = False
                    ending = asyncio.create_task(end())
        assert ending is not None
        await ending
        assert run.result is not None
        assert late is not None

        assert run.result.ending == "drained"
        assert here.sim.fleet.associations(late) == {}
        assert here.deployments().total() == 1


async def test_an_earlier_deployment_that_still_goes_on_is_waited_for() -> None:
    """Nothing is written for it: it began before, and what runs may end."""
    async with site() as here:
        fleet = here.sim.fleet
        (going_on, _) = fleet.add_workspaces(2)
        plan = await here.rollout.plan(manifest())
        fleet.set_association(going_on, fleet.application(OFFICE), "INSTALLING")

        async def end() -> None:
            await here.clock.sleep(1800)
            fleet.set_association(going_on, fleet.application(OFFICE), "COMPLETED")

        ending = asyncio.create_task(end())
        after = await until_it_ends(here, plan, drained)
        await ending

        assert last_words(after)[going_on, fleet.application(OFFICE)] == "succeeded"
