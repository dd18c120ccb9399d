"""The handle of an apply: however often and late it is told to stop, its iteration and its block end."""

import asyncio

import pytest

from tests.rollout.site import last_words, manifest, site
from workspaces_apps.rollout import Deployed, Event, Finished, Started

pytestmark = pytest.mark.campaign


async def test_stopping_at_the_last_event_changes_nothing() -> None:
    """The result stands, and only tidying up is left: that is not cut short, and the iteration ends."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        plan = await here.rollout.plan(manifest())
        async with asyncio.timeout(60), here.rollout.apply(plan) as run:
            async for event in run:
                if isinstance(event, Finished):
                    run.stop()

        assert run.result is not None
        assert run.result.ending == "complete"


@pytest.mark.parametrize("moment", [Started, Deployed])
async def test_stopping_again_while_it_stops_keeps_the_last_words(moment: type[Event]) -> None:
    """Whoever presses Ctrl-C twice still learns what became of each WorkSpace."""
    async with site() as here:
        here.sim.fleet.add_workspaces(4)
        plan = await here.rollout.plan(manifest(max_in_flight=2))
        events: list[Event] = []
        async with here.rollout.apply(plan) as run:
            async for event in run:
                events.append(event)
                if isinstance(event, moment):
                    for _ in range(3):
                        run.stop()
                        await asyncio.sleep(0)

        assert run.result is not None
        assert run.result.ending == "stopped"
        assert len(last_words(events)) == 4
