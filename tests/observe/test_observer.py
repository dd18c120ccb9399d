"""The observer against the simulator: what it reads, for whom, and in how many calls."""

import asyncio
import contextvars
from collections.abc import Sequence
from contextlib import ExitStack

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.waiters.world import deploy, world
from workspaces_apps import ClientStateError
from workspaces_apps._observe import lanes
from workspaces_apps._observe.lanes import Watched
from workspaces_apps._observe.reads import Snapshot, read_states_apart
from workspaces_apps._observe.schedule import DEPLOYMENT_SCHEDULE, Durations, Experience, Schedule
from workspaces_apps._observe.subscription import Subscription
from workspaces_apps._telemetry.port import AttemptRecord, PollRecord, RetryRecord, ThrottleRecord
from workspaces_apps.api import WorkspaceState
from workspaces_apps.api.errors import AccessDeniedException
from workspaces_apps.api.operations import Operations
from workspaces_apps.errors import ServiceError
from workspaces_apps.simulator import SimulatorSettings, Span

READS = "DescribeWorkspaceAssociations"
LISTINGS = "DescribeApplicationAssociations"
HINTS = "DescribeWorkspaces"


class Listener:
    """An audience that counts."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bool]] = []

    def attempt(self, record: AttemptRecord, *, shared: bool) -> None:
        """Count an attempt."""
        self.heard.append((record.operation, shared))

    def retry(self, record: RetryRecord, *, shared: bool) -> None:
        """Hear of a retry."""

    def throttle(self, record: ThrottleRecord, *, shared: bool) -> None:
        """Hear of a throttle."""

    def poll(self, record: PollRecord, *, shared: bool) -> None:
        """Hear of a poll."""


async def until_ended(subscription: Subscription, application: str) -> Snapshot:
    """Wait until an application is installed, and hear of nothing more."""
    with subscription:
        while True:
            news = await subscription.next()
            assert news is not None
            record = news.associations.get(application)
            if record is not None and record.state == "COMPLETED":
                return news


async def test_a_read_is_one_call_and_joined_to_no_other() -> None:
    """Two reads at the same time are two calls: each begins after it was asked for."""
    async with world() as (here, (one,)):
        await deploy(here, one)
        first, second = await asyncio.gather(here.observer.read(one), here.observer.read(one))

        assert here.count(READS) == 2
        assert first.complete
        assert set(first.associations) == set(second.associations) == {here.application}


async def test_a_workspace_that_is_unknown_is_read_as_not_existing() -> None:
    """ResourceNotFoundException is an answer."""
    async with world() as (here, _):
        snapshot = await here.observer.read("ws-000000000")

        assert (snapshot.exists, snapshot.complete, dict(snapshot.associations)) == (False, True, {})


async def test_many_are_read_by_the_cheaper_way_with_their_states() -> None:
    """A hundred of one application: four pages and four calls for states, not a hundred reads."""
    async with world(100) as (here, ids):
        await deploy(here, *ids[:50])
        snapshots = await here.observer.read_many(ids, [here.application])

        assert snapshots.keys() == set(ids)
        assert {one.workspace_state for one in snapshots.values()} == {"UPDATING", "AVAILABLE"}
        assert snapshots[ids[99]].unconfirmed == {here.application}
        assert (here.count(LISTINGS), here.count(HINTS), here.count(READS)) == (2, 4, 0)


async def test_few_are_read_one_by_one() -> None:
    """Three of a hundred, whose listing takes four pages, are three calls."""
    async with world(100) as (here, ids):
        await deploy(here, *ids)
        await here.observer.read_many(ids, [here.application])
        here.sim.requests.clear()
        await here.observer.read_many(ids[:3], [here.application])

        assert (here.count(LISTINGS), here.count(READS)) == (0, 3)


@pytest.mark.parametrize("operation", [READS, HINTS])
async def test_one_that_cannot_be_read_is_left_out_of_many(operation: str) -> None:
    """Its associations: no snapshot. Its state: a snapshot that does not tell one. The others are read as ever."""
    async with world(100) as (here, ids):
        await deploy(here, *ids)
        await here.observer.read_many(ids, [here.application])
        here.sim.faults.add("error", operation=operation, workspace_id=ids[1], code="ValidationException")
        snapshots = await here.observer.read_many(ids[:3], [here.application])

        left = {one.workspace_id for one in snapshots.values() if one.state_at is not None}
        assert snapshots.keys() == {ids[0], ids[2]} | ({ids[1]} if operation == HINTS else set())
        assert left == {ids[0], ids[2]}


async def test_where_none_can_be_read_few_calls_are_tried() -> None:
    """An outage is an error of them all, and not met a hundred times."""
    async with world(100) as (here, ids):
        await deploy(here, *ids[:1])
        here.sim.faults.add("error", operation=READS, code="FaultException")
        with pytest.raises(ServiceError):
            await here.observer.read_many(ids, [f"wsa-{number:09}" for number in range(200)])

        assert here.count(READS) <= 2 * 16


async def test_a_listing_that_shows_all_before_its_end_is_known_to_be_no_shorter() -> None:
    """Four rows on the fourth page of six: as many reads do, and so the next time they are read one by one."""
    async with world(150) as (here, ids):
        for one in ids:
            here.sim.fleet.set_association(one, here.application, "COMPLETED")
        since = here.sim.clock.monotonic()
        schedule = Schedule(shortest=10, tick=10, growth=1.0, strict=True)
        with ExitStack() as stack:
            subscriptions = [
                stack.enter_context(here.observer.subscribe(one, {here.application}, schedule, since=since))
                for one in ids[80:84]
            ]
            await asyncio.gather(*(one.next() for one in subscriptions))
            first = here.count(LISTINGS), here.count(READS)
            await asyncio.gather(*(one.next() for one in subscriptions))

        assert first == (4, 0)
        assert (here.count(LISTINGS), here.count(READS)) == (4, 4)


async def test_a_deployment_is_followed_by_hints_and_confirmed_by_a_read() -> None:
    """While WorkSpaces are UPDATING their associations are not read, and nothing ends without a read."""
    async with world(210) as (here, everybody):
        for one in everybody[10:]:
            here.sim.fleet.set_association(one, here.application, "COMPLETED")
        ids = everybody[:10]
        await deploy(here, *ids)
        await here.observer.read_many(ids, [here.application])
        here.sim.requests.clear()
        since = here.sim.clock.monotonic()
        subscriptions = [
            here.observer.subscribe(one, {here.application}, DEPLOYMENT_SCHEDULE, since=since) for one in ids
        ]
        ended = await asyncio.gather(*(until_ended(one, here.application) for one in subscriptions))

        assert len(ended) == 10
        assert here.count(READS) + here.count(LISTINGS) <= 20
        assert here.count(HINTS) > 12
        assert not here.observer.tasks


async def test_news_that_tell_nothing_wake_nobody_and_count_as_polls() -> None:
    """`next` sleeps on through what `is_news` is not said of."""
    async with world() as (here, (one,)):
        await deploy(here, one)
        since, asked = here.sim.clock.monotonic(), 0

        def is_news(snapshot: Snapshot) -> bool:
            nonlocal asked
            asked += 1
            record = snapshot.associations.get(here.application)
            return record is not None and record.state == "COMPLETED"

        with here.observer.subscribe(one, {here.application}, DEPLOYMENT_SCHEDULE, since=since) as waits:
            waits.is_news = is_news
            news = await waits.next()

            assert news is not None
            assert is_news(news)
            assert asked - 1 == waits.polls > 2


@given(
    st.lists(
        st.tuples(st.floats(0, 3000), st.one_of(st.floats(0, 119), st.floats(121, 2000))),
        min_size=1,
        max_size=40,
    )
)
@example([(float(number % 97), 10.0) for number in range(1200)])
def test_durations_are_those_of_the_last_deployments(seen: list[tuple[float, float]]) -> None:
    """The bound, the expectation and the chance are as they would be with only the last 500 in mind, in order."""
    durations = Durations()
    for least, width in seen:
        durations.add(least, least + width)
    exact = [(one, width) for one, width in seen if width <= 120]
    kept = (exact or seen)[-500:]
    shortest = sorted(one for one, _ in kept)
    middle = sorted((one + (one + width)) / 2 for one, width in kept)

    short = shortest[int(0.02 * len(shortest))]
    assert durations.near == pytest.approx(max(0.95 * short, short - 15))
    assert durations.all_within(middle[-1])
    assert not durations.all_within(middle[-1] - 1)
    assert durations.read_after == min(1800, max(600, 1.5 * middle[len(middle) // 2]))


@pytest.mark.parametrize("age, fine", [(470.0, False), (600.0, False), (1180.0, True)])
def test_the_very_last_deployment_is_polled_often_once_it_is_likely_to_end(age: float, fine: bool) -> None:
    """It decides when everything is over; before that, polls at a finer grid would hardly tell anything."""
    experience = Experience()
    for seconds in range(480, 1201, 8):
        experience.durations.add(seconds - 10.0, float(seconds))
    last = Watched("ws-0123456789", now=0.0)
    last.begin(0.0, 0.0)
    last.moving_at = age - 28.0

    assert experience.is_fine([last], age, 7.0) is fine


@pytest.mark.parametrize(
    "seen, alike",
    [
        ([(890.0, 20.0)] * 10, True),
        ([(870.0, 28.0), (898.0, 28.0)] * 10, True),
        ([(890.0, 20.0)] * 9, False),
        ([(890.0, 20.0)] * 9 + [(980.0, 20.0)], False),
        ([(480.0 + 36 * number, 20.0) for number in range(20)], False),
        ([(480.0, 480.0)] * 20, False),
    ],
    ids=["all the same", "as seen by polls", "too few", "one outlier of ten", "anything", "hardly known"],
)
def test_deployments_are_alike_if_most_end_within_a_short_while(
    seen: list[tuple[float, float]], alike: bool
) -> None:
    """Enough were polled often enough to know, and none is so short that a tick's ends would take several calls."""
    durations = Durations()
    for least, width in seen:
        durations.add(least, least + width)

    assert durations.are_alike(800.0) is alike
    assert not durations.are_alike(2000.0)


@pytest.mark.parametrize("count, often", [(25, False), (250, False), (260, True), (800, True)])
def test_ends_are_polled_often_where_each_poll_shows_several(count: int, often: bool) -> None:
    """Of 260 deployments of 900 s, where one begins as another ends, two end in each 7 s."""
    experience = Experience()
    assert not experience.is_worth_it(count, 7.0)
    for _ in range(10):
        experience.durations.add(895.0, 905.0)

    assert experience.is_worth_it(count, 7.0) is often


@pytest.mark.parametrize("parts", [1, 4 / 3, 3, 4])
@pytest.mark.parametrize("late", [0.0, 0.0004, 0.05])
def test_a_round_that_begins_a_little_late_does_not_miss_the_next_one(parts: float, late: float) -> None:
    """On a clock that does not stop at each moment, the next poll is one step of the grid away, and not two."""
    schedule = DEPLOYMENT_SCHEDULE
    step = schedule.tick / parts
    began = 100 * step + late

    assert schedule.aligned(began + step, parts) == pytest.approx(101 * step)
    assert schedule.aligned(100.5 * step, parts) == pytest.approx(101 * step)


async def test_one_whose_state_contradicts_keeps_its_time_when_others_leave() -> None:
    """The last 25 are planned anew, to be polled sooner and never later."""
    async with world(26) as (here, ids):
        await deploy(here, *ids)
        here.sim.fleet.set_state(ids[0], "AVAILABLE")
        since = here.sim.clock.monotonic()
        with ExitStack() as stack:
            subscriptions = [
                stack.enter_context(
                    here.observer.subscribe(one, {here.application}, DEPLOYMENT_SCHEDULE, since=since)
                )
                for one in ids
            ]
            contradicting = subscriptions[0]
            contradicting.hurry()
            await contradicting.next()
            await contradicting.next()
            before = [(one.due, one.optional, one.delay) for one in subscriptions[:-1]]
            subscriptions[-1].close()
            after = [(one.due, one.optional, one.delay) for one in subscriptions[:-1]]

        assert after[0] == before[0]
        assert all(now[0] <= then[0] and now[1:] == then[1:] for now, then in zip(after, before, strict=True))


@pytest.mark.parametrize("answers, reads", [(1, 0), (2, 0), (3, 1)])
async def test_two_answers_may_leave_a_workspace_out(
    answers: int, reads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under deployment that is no hint; after the third its associations are read. At the end one listing shows all."""
    left = answers
    settings = SimulatorSettings(pending_delay=Span(0, 0), install_duration=Span(900, 900))
    async with world(5, settings=settings) as (here, ids):
        await deploy(here, *ids)
        here.sim.requests.clear()

        async def incomplete(client: Operations, asked: Sequence[str]) -> dict[str, WorkspaceState | None]:
            nonlocal left
            found = await read_states_apart(client, asked)
            if left and ids[0] in asked:
                left -= 1
                return {**found, ids[0]: None}
            return found

        monkeypatch.setattr(lanes, "read_states_apart", incomplete)
        since = here.sim.clock.monotonic()
        subscriptions = [
            here.observer.subscribe(one, {here.application}, DEPLOYMENT_SCHEDULE, since=since) for one in ids
        ]
        await asyncio.gather(*(until_ended(one, here.application) for one in subscriptions))
        found = [
            request
            for request in here.sim.requests
            if request.operation == READS and (request.parameters or {}).get("WorkspaceId") == ids[0]
        ]

        assert (left, len(found)) == (0, reads)


async def test_the_rest_of_a_fleet_is_polled_often_as_soon_as_it_fits_in_one_call() -> None:
    """Not only from the next poll on, which was planned while there were more: here 21 s after the last."""
    settings = SimulatorSettings(pending_delay=Span(0, 0), install_duration=Span(900, 900))
    async with world(42, settings=settings) as (here, ids):
        clock = here.sim.clock

        def subscribe(one: str) -> Subscription:
            since = clock.monotonic()
            return here.observer.subscribe(one, {here.application}, DEPLOYMENT_SCHEDULE, since=since)

        # A few tell how long it takes.
        for one in ids[:12]:
            await deploy(here, one)
        await asyncio.gather(*(until_ended(subscribe(one), here.application) for one in ids[:12]))
        await clock.sleep(-clock.monotonic() % 84)
        await deploy(here, *ids[12:])
        since = clock.monotonic()
        with ExitStack() as stack:
            subscriptions = [stack.enter_context(subscribe(one)) for one in ids[12:]]
            last = subscriptions[-1]
            while clock.monotonic() - since < 881:
                await last.next()
            polled = [clock.monotonic() - since]
            for leaving in subscriptions[:5]:
                leaving.close()
            await last.next()
            polled.append(clock.monotonic() - since)

        assert polled == [882, 889]


async def test_the_news_of_a_read_reach_subscribers_of_that_workspace_alone() -> None:
    """Somebody's read is everybody's news, if it is of their WorkSpace."""
    async with world(2) as (here, (one, other)):
        await deploy(here, one, other)
        now = here.sim.clock.monotonic()
        with (
            here.observer.subscribe(one, None, DEPLOYMENT_SCHEDULE, since=now) as mine,
            here.observer.subscribe(other, None, DEPLOYMENT_SCHEDULE, since=now) as foreign,
        ):
            await here.observer.read(one)
            news = await mine.next(until=now)

            assert news is not None
            assert news.workspace_id == one
            assert await foreign.next(until=now) is None


async def test_nothing_by_the_moment_is_none() -> None:
    """`next` returns at the moment, and not before."""
    async with world() as (here, (one,)):
        now = here.sim.clock.monotonic()
        with here.observer.subscribe(one, {here.application}, DEPLOYMENT_SCHEDULE, since=now) as subscription:
            assert await subscription.next(until=now + 4) is None
            assert here.sim.clock.monotonic() == pytest.approx(now + 4)


async def test_failed_polls_are_tolerated_as_often_as_was_said() -> None:
    """Two failures in a row are, a third is raised."""
    async with world() as (here, (one,)):
        here.sim.faults.add("error", operation=READS, code="Odd")
        with (
            here.observer.subscribe(one, None, DEPLOYMENT_SCHEDULE, tolerate_failures=2) as subscription,
            pytest.raises(ServiceError, match="Odd"),
        ):
            await subscription.next()

        assert here.count(READS) == 3


async def test_polls_run_in_a_context_of_their_own() -> None:
    """No context variable of whoever subscribed first is seen by a poll's hooks."""
    variable = contextvars.ContextVar("request", default="none")
    seen: list[str] = []

    class Curious(Listener):
        def attempt(self, record: AttemptRecord, *, shared: bool) -> None:  # noqa: ARG002
            seen.append(variable.get())

    async with world() as (here, (one,)):
        variable.set("a request that will have ended")
        with here.observer.subscribe(one, None, DEPLOYMENT_SCHEDULE, audience=Curious()) as subscription:
            await subscription.next()

    assert seen == ["none"]


async def test_an_audience_hears_of_the_polls_that_serve_it() -> None:
    """Each once, and told if it was shared with another audience; what serves others alone is not heard of."""
    async with world(3) as (here, (one, two, three)):
        mine, foreign, third = Listener(), Listener(), Listener()
        quick = Schedule(strict=True)
        subscriptions = [
            here.observer.subscribe(one, None, quick, audience=mine),
            here.observer.subscribe(two, None, quick, audience=foreign),
            here.observer.subscribe(two, None, quick, audience=third),
            here.observer.subscribe(three, None, quick, audience=mine),
        ]
        for subscription in subscriptions:
            await subscription.next()
            subscription.close()

        assert mine.heard == [(READS, False)] * 2
        assert foreign.heard == third.heard == [(READS, True)]


async def test_closing_the_client_ends_every_subscription() -> None:
    """With a ClientStateError, and no task is left."""
    async with world() as (here, (one,)):
        now = here.sim.clock.monotonic()
        subscription = here.observer.subscribe(one, {here.application}, DEPLOYMENT_SCHEDULE, since=now)
        waiting = asyncio.create_task(subscription.next())
        await asyncio.sleep(0)
        await here.ws.aclose()

        with pytest.raises(ClientStateError):
            await waiting
        assert not here.observer.tasks


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("started", [True, False])
async def test_a_task_that_somebody_cancels_ends_the_subscriptions(which: int, started: bool) -> None:
    """Each of the tasks, also before its first step; and whoever subscribes then is polled for again."""
    async with world() as (here, (one,)):
        subscription = here.observer.subscribe(one, {here.application}, DEPLOYMENT_SCHEDULE)
        if started:
            await subscription.next()
        tasks = sorted(here.observer.tasks, key=lambda task: task.get_name() + repr(task.get_coro()))
        tasks[which].cancel()

        with pytest.raises(ClientStateError, match="cancelled by other code"):
            await subscription.next(until=here.sim.clock.monotonic() + 3600)

        with here.observer.subscribe(one, {here.application}, DEPLOYMENT_SCHEDULE) as again:
            assert await again.next() is not None


async def test_what_may_not_be_read_by_itself_is_listed() -> None:
    """A wait that names its applications does without DescribeWorkspaceAssociations; one that does not is told why it fails."""
    async with world(2) as (here, (one, other)):
        await deploy(here, one, other)
        here.sim.faults.add("error", operation=READS, code="AccessDeniedException")

        outcome = await here.ws.wait_until_deployed(one, wanted={here.application: "installed"})

        assert [change.after for change in outcome.changed] == ["COMPLETED"]
        with pytest.raises(AccessDeniedException):
            await here.ws.wait_until_deployed(other)


@pytest.mark.parametrize("applications", [None, "the application", "the state alone"])
async def test_who_comes_while_a_call_for_who_left_is_under_way_is_polled(applications: str | None) -> None:
    """The calls of the one before are not taken for those of the one who comes: that one would hear of nothing more."""
    async with world(2) as (here, (one, other)):
        await deploy(here, one, other)
        followed = {None: None, "the application": [here.application], "the state alone": []}[applications]
        # Somebody keeps the tasks running.
        with here.observer.subscribe(other, [], Schedule()):
            await here.sim.clock.sleep(60)
            here.sim.faults.add(
                "slow", operation=(READS, LISTINGS, HINTS), workspace_id=one, delay=30.0, times=1
            )
            with here.observer.subscribe(one, followed, Schedule()):
                await here.sim.clock.sleep(10)
            with here.observer.subscribe(one, followed, Schedule()) as again:
                await here.sim.clock.sleep(40)
                before = again.polls
                await here.sim.clock.sleep(300)

                assert again.polls > before + 2


async def test_states_that_may_not_be_read_are_done_without() -> None:
    """The associations alone tell the end of a wait where DescribeWorkspaces is denied."""
    async with world(2) as (here, ids):
        await deploy(here, *ids)
        here.sim.faults.add("error", operation=HINTS, code="AccessDeniedException")
        outcomes = await asyncio.gather(*(here.ws.wait_until_deployed(one) for one in ids))
        snapshots = await here.observer.read_many(ids, [here.application])

        assert {one.state for outcome in outcomes for one in outcome.associations} == {"COMPLETED"}
        assert here.count(HINTS) == 1
        assert all(one.state_denied and one.workspace_state is None for one in snapshots.values())
