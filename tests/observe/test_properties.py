"""Properties of the observer against the simulator, whatever happens to rows, pages and hints."""

import asyncio
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.waiters.world import World, world
from workspaces_apps._observe.schedule import DEPLOYMENT_SCHEDULE, Schedule
from workspaces_apps._observe.snapshot import Snapshot
from workspaces_apps.simulator import SimulatorSettings, Span

FLEET = 30
LONG = SimulatorSettings(pending_delay=Span(0, 0), install_duration=Span(300, 900))


@dataclass
class Heard:
    """The news of one subscription."""

    workspace_id: str
    news: list[Snapshot] = field(default_factory=list[Snapshot])

    def take(self, snapshot: Snapshot) -> None:
        """Keep a snapshot."""
        self.news.append(snapshot)


async def follow(
    here: World, ids: list[str], schedule: Schedule, *, until_ended: bool, seconds: float = 3600
) -> list[Heard]:
    """Subscribe to all of them, for so long or until each is COMPLETED."""
    observer, since = here.observer, here.sim.clock.monotonic()
    heard = [Heard(one) for one in ids]

    async def one(mine: Heard) -> None:
        with observer.subscribe(
            mine.workspace_id, {here.application}, schedule, since=since, tolerate_failures=20
        ) as subscription:
            while (news := await subscription.next(since + seconds)) is not None:
                mine.take(news)
                record = news.associations.get(here.application)
                if until_ended and record is not None and record.state == "COMPLETED":
                    return

    await asyncio.gather(*map(one, heard))
    return heard


@settings(max_examples=3, deadline=None)
@given(st.lists(st.tuples(st.integers(0, FLEET - 1), st.floats(1, 600)), max_size=8))
def test_rows_that_vanish_and_come_back_are_never_taken_for_removed(gone: list[tuple[int, float]]) -> None:
    """Records that leave a listing shift the others from page to page: no WorkSpace that kept its record is absent."""

    async def main() -> None:
        async with world(FLEET) as (here, ids):
            for one in ids:
                here.sim.fleet.set_association(one, here.application, "INSTALLING")
            disturbed = {ids[number] for number, _ in gone}

            async def disturb(workspace_id: str, after: float) -> None:
                await here.sim.clock.sleep(after)
                here.sim.fleet.set_association(workspace_id, here.application, None)
                await here.sim.clock.sleep(45)
                here.sim.fleet.set_association(workspace_id, here.application, "INSTALLING")

            strict = Schedule(strict=True)
            disturbing = [asyncio.create_task(disturb(ids[number], after)) for number, after in gone]
            heard = await follow(here, ids, strict, until_ended=False, seconds=900)
            await asyncio.gather(*disturbing)
            for mine in heard:
                if mine.workspace_id not in disturbed:
                    assert all(here.application not in news.absent for news in mine.news)
                    assert all(here.application in news.associations for news in mine.news if news.complete)

    asyncio.run(main())


@settings(max_examples=3, deadline=None)
@given(
    st.sampled_from([None, "AccessDeniedException", "InternalServerException"]),
    st.sampled_from([None, "AccessDeniedException"]),
    st.integers(1, 8),
)
def test_no_subscriber_waits_for_ever_or_hears_of_another(
    hints: str | None, listings: str | None, count: int
) -> None:
    """Whether hints are denied or fail, or listings are denied, each deployment's end is noticed, by its own subscriber alone."""

    async def main() -> None:
        async with world(count, settings=LONG) as (here, ids):
            for one in ids:
                await here.ws.associate_workspace_application(
                    workspace_id=one, application_id=here.application
                )
                await here.ws.deploy_workspace_applications(workspace_id=one)
            for operation, code in (
                ("DescribeWorkspaces", hints),
                ("DescribeApplicationAssociations", listings),
            ):
                if code is not None:
                    here.sim.faults.add("error", operation=operation, code=code)
            heard = await follow(here, ids, DEPLOYMENT_SCHEDULE, until_ended=True)
            for mine in heard:
                assert {news.workspace_id for news in mine.news} == {mine.workspace_id}
                assert mine.news[-1].associations[here.application].state == "COMPLETED"

    asyncio.run(main())
