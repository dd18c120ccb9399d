"""Properties of the observer against the simulator, whatever happens to rows, pages and hints."""

import asyncio
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.waiters.world import World, count_pages, world
from workspaces_apps._observe.reads import Snapshot
from workspaces_apps._observe.schedule import DEPLOYMENT_SCHEDULE, Schedule
from workspaces_apps.api.errors import AccessDeniedException
from workspaces_apps.simulator import FaultKind, SimulatorSettings, Span

FLEET = 60
LONG = SimulatorSettings(pending_delay=Span(0, 0), install_duration=Span(300, 900))
LISTING = 30.0
"""Seconds that a listing of all of them may take."""

PATIENCE = 3600.0
_SINGLE = "DescribeWorkspaceAssociations"


@dataclass
class Heard:
    """The news of one subscription."""

    workspace_id: str
    news: list[Snapshot] = field(default_factory=list[Snapshot])


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
                mine.news.append(news)
                record = news.associations.get(here.application)
                if until_ended and record is not None and record.state == "COMPLETED":
                    return

    await asyncio.gather(*map(one, heard))
    return heard


@settings(max_examples=8, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 60), st.integers(0, FLEET - 1), st.integers(1, 9)), min_size=6, max_size=30
    ),
    st.booleans(),
)
def test_rows_that_shift_vanish_and_come_back_are_never_taken_for_removed(
    gone: list[tuple[int, int, int]], singles_denied: bool
) -> None:
    """Pages are found by counting, so that a record which goes between two pages has others slip by unread.

    No news calls absent what was there all the time, and none what has been back for longer than a listing takes.
    """

    async def main() -> None:
        async with world(FLEET) as (here, ids):
            clock, fleet = here.sim.clock, here.sim.fleet
            pages, missing = 0, dict[str, int]()
            gone_at, back_at = dict[str, float](), dict[str, float]()
            for one in ids:
                fleet.set_association(one, here.application, "INSTALLING")
            if singles_denied:
                here.sim.faults.add("error", operation=_SINGLE, code="AccessDeniedException")

            def after_each() -> None:
                nonlocal pages
                pages += 1
                for one in [one for one, until in missing.items() if until <= pages]:
                    del missing[one]
                    fleet.set_association(one, here.application, "INSTALLING")
                    back_at[one] = clock.monotonic()
                for after, number, rest in gone:
                    if after == pages and ids[number] not in missing:
                        missing[ids[number]] = pages + rest
                        fleet.set_association(ids[number], here.application, None)
                        gone_at.setdefault(ids[number], clock.monotonic())

            count_pages(here, after_each=after_each)
            heard = await follow(here, ids, Schedule(strict=True), until_ended=False, seconds=600)
            for mine in heard:
                one = mine.workspace_id
                assert mine.news, "nobody is left without news"
                for news in mine.news:
                    absent = here.application in news.absent
                    if absent or (news.complete and here.application not in news.associations):
                        assert one in gone_at, "it was there all the time"
                        assert gone_at[one] <= news.at
                        assert one in missing or news.at <= back_at[one] + LISTING

    asyncio.run(main())


@dataclass(frozen=True)
class Wish:
    """A subscriber: its WorkSpace, the second at which it comes, the applications it names, its schedule, and its patience."""

    number: int
    comes: float
    names: bool
    schedule: Schedule
    leaves: float | None


wishes = st.builds(
    Wish,
    number=st.integers(0, 7),
    comes=st.floats(0, 400),
    names=st.booleans(),
    schedule=st.sampled_from([DEPLOYMENT_SCHEDULE, Schedule(), Schedule(strict=True), Schedule(bound=60.0)]),
    leaves=st.none() | st.floats(1, 300),
)
troubles = st.lists(
    st.tuples(
        st.sampled_from(["DescribeWorkspaces", "DescribeApplicationAssociations", _SINGLE]),
        st.sampled_from(["error", "internal_error", "truncated", "reset_after", "throttle"]),
        st.floats(0.1, 0.6),
    ),
    max_size=3,
)
denials = st.sampled_from(
    [
        (),
        ("DescribeWorkspaces",),
        ("DescribeApplicationAssociations",),
        (_SINGLE,),
        ("DescribeWorkspaces", _SINGLE),
    ]
)


@settings(max_examples=8, deadline=None)
@given(st.lists(wishes, min_size=1, max_size=8), troubles, denials)
def test_no_subscriber_waits_for_ever_or_hears_of_another(
    subscribers: list[Wish], faults: list[tuple[str, FaultKind, float]], denied: tuple[str, ...]
) -> None:
    """Whoever comes and goes when, whatever fails for a while and whatever is denied: each end is heard of, by its own.

    A subscriber that names no application cannot do without reads of its WorkSpace: it is told so at once.
    """

    async def main() -> None:
        async with world(8, settings=LONG) as (here, ids):
            clock = here.sim.clock
            for one in ids:
                await here.ws.associate_workspace_application(
                    workspace_id=one, application_id=here.application
                )
                await here.ws.deploy_workspace_applications(workspace_id=one)
            for operation, kind, probability in faults:
                code = "InternalServerException"
                here.sim.faults.add(kind, operation=operation, code=code, probability=probability, times=40)
            for operation in denied:
                here.sim.faults.add("error", operation=operation, code="AccessDeniedException")
            began = clock.monotonic()

            async def subscriber(wish: Wish) -> None:
                workspace_id = ids[wish.number]
                await clock.sleep(wish.comes)
                until = began + PATIENCE if wish.leaves is None else clock.monotonic() + wish.leaves
                applications = {here.application} if wish.names else None
                with here.observer.subscribe(
                    workspace_id, applications, wish.schedule, tolerate_failures=1000
                ) as subscription:
                    try:
                        while (news := await subscription.next(until)) is not None:
                            assert news.workspace_id == workspace_id
                            record = news.associations.get(here.application)
                            if record is not None and record.state == "COMPLETED":
                                assert clock.timestamp() >= here.ended_at(workspace_id)
                                return
                    except AccessDeniedException:
                        assert _SINGLE in denied
                        assert not wish.names
                        return
                assert wish.leaves is not None, f"{workspace_id} has ended, and {wish} has not heard of it"

            await asyncio.gather(*map(subscriber, subscribers))
            assert not here.observer.tasks

    asyncio.run(main())
