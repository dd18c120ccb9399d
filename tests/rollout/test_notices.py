"""Notice before a deployment: when the hook is called, what it may answer, and what a crash leaves."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.rollout.site import OFFICE, last_words, manifest, site
from workspaces_apps import ConfigurationError
from workspaces_apps.rollout import (
    BeforeDeploy,
    Deployed,
    DeployNotice,
    NoticeAnswer,
    Noticed,
    Postpone,
    Proceed,
    Skip,
    Skipped,
    read_journal,
)
from workspaces_apps.simulator import SimulatorSettings, Span

SLOW = SimulatorSettings(pending_delay=Span(1, 5), install_duration=Span(1800, 1800))
"""Deployments of half an hour."""


class Answers:
    """A hook that gives these answers in turn, the last one for ever, and keeps what it was told."""

    def __init__(self, *answers: NoticeAnswer | BaseException) -> None:
        self.heard: list[DeployNotice] = []
        self._answers = answers

    async def __call__(self, notice: DeployNotice) -> NoticeAnswer:
        """Answer."""
        answer = self._answers[min(len(self.heard), len(self._answers) - 1)]
        self.heard.append(notice)
        if isinstance(answer, BaseException):
            raise answer
        return answer


async def test_the_hook_is_called_before_deploy() -> None:
    """A quarter of an hour before, with all that a message needs; and Deploy comes at the planned time."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        office = here.sim.fleet.application(OFFICE)
        hook = Answers(Proceed())
        plan = await here.rollout.plan(manifest(notice="15m"))
        begun = here.clock.now()
        async with here.rollout.apply(plan, before_deploy=hook) as run:
            events = [event async for event in run]
        (deployed,) = [event for event in events if isinstance(event, Deployed)]
        (noticed,) = [event for event in events if isinstance(event, Noticed)]
        (notice,) = hook.heard

        assert notice == DeployNotice(
            target="default",
            workspace_id=one,
            user_name=here.sim.fleet.workspace(one).user_name,
            directions={office: "install"},
            application_names={office: OFFICE},
            planned_at=noticed.planned_at,
            attempt=1,
            run=deployed.run,
        )
        assert timedelta(minutes=15) <= notice.planned_at - begun <= timedelta(minutes=16)
        assert timedelta(0) <= deployed.at - notice.planned_at <= timedelta(minutes=1)


async def test_the_hook_may_postpone() -> None:
    """Nothing is sent before that moment; then the hook is asked again, as another attempt."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        plan = await here.rollout.plan(manifest())
        until = here.clock.now() + timedelta(hours=2)
        hook = Answers(Postpone(until), Proceed())
        async with here.rollout.apply(plan, before_deploy=hook) as run:
            deployed = [event.at async for event in run if isinstance(event, Deployed)]

        assert [notice.attempt for notice in hook.heard] == [1, 2]
        assert timedelta(0) <= deployed[0] - until <= timedelta(minutes=2)


async def test_nobody_postpones_for_ever() -> None:
    """The hook is asked once more when `connected_timeout` is up; then the WorkSpace is skipped as `postponed`."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        plan = await here.rollout.plan(manifest(connected_timeout="8h"))
        hook = Answers(Postpone(here.clock.now() + timedelta(days=9)))
        async with here.rollout.apply(plan, before_deploy=hook) as run:
            events = [event async for event in run]
        assert run.result is not None

        assert list(last_words(events).values()) == ["skipped: postponed"]
        assert len(hook.heard) == 2
        assert run.result.ending == "incomplete"
        assert 8 * 3600 <= run.result.elapsed <= 8 * 3600 + 60


@pytest.mark.parametrize("earlier", [timedelta(0), timedelta(days=9)])
async def test_a_moment_that_has_passed_is_a_minute_from_now(earlier: timedelta) -> None:
    """Such as 18:00, said at 18:30: the hook is not called again at once, and not for ever."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        plan = await here.rollout.plan(manifest(connected_timeout="10m"))
        heard: list[datetime] = []

        async def postpone(notice: DeployNotice) -> NoticeAnswer:
            heard.append(here.clock.now())
            if len(heard) > 100:
                run.stop()
            return Postpone(notice.planned_at - earlier)

        async with here.rollout.apply(plan, before_deploy=postpone) as run:
            events = [event async for event in run]

        assert list(last_words(events).values()) == ["skipped: postponed"]
        assert len(heard) == 11
        assert all(after - before >= timedelta(minutes=1) for before, after in pairwise(heard))


async def _other(_: DeployNotice) -> NoticeAnswer:
    return "yes"  # type: ignore[return-value]  # what a careless hook does


async def _endless(_: DeployNotice) -> NoticeAnswer:
    await asyncio.Event().wait()
    return Proceed()


@pytest.mark.parametrize(
    "hook, reason, message",
    [
        (Answers(Skip("on leave")), "on leave", "on leave"),
        (Answers(ValueError("no mail server")), "hook-failed", "ValueError: no mail server"),
        (_other, "hook-failed", "answered str"),
        (_endless, "hook-failed", "within 60 s"),
        (Answers(asyncio.CancelledError()), "hook-failed", "cancelled"),
    ],
)
async def test_what_the_hook_does_not_allow_is_skipped(hook: BeforeDeploy, reason: str, message: str) -> None:
    """With its own reason, or as `hook-failed`; nothing is staged."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        plan = await here.rollout.plan(manifest())
        async with here.rollout.apply(plan, before_deploy=hook) as run:
            (skipped,) = [event async for event in run if isinstance(event, Skipped)]

        assert skipped.reason == reason
        assert message in skipped.message
        assert here.sim.fleet.associations(one) == {}


async def test_a_notice_is_on_disk_before_the_hook_is_called(tmp_path: Path) -> None:
    """A run that ends in the hook leaves it; the next run calls again, as attempt 2, and waits for the new time."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        found: list[Sequence[Noticed]] = []
        asked = manifest(notice="15m")

        async def crash(notice: DeployNotice) -> NoticeAnswer:
            del notice
            found.append([one for one in read_journal(tmp_path / "j") if isinstance(one, Noticed)])
            run.stop()
            return Proceed()

        plan = await here.rollout.plan(asked)
        async with here.rollout.apply(plan, journal=tmp_path / "j", before_deploy=crash) as run:
            await run.finished()
        await here.clock.sleep(60)
        hook = Answers(Proceed())
        plan = await here.rollout.plan(asked, journal=tmp_path / "j")
        async with here.rollout.apply(plan, journal=tmp_path / "j", before_deploy=hook) as again:
            deployed = [event.at async for event in again if isinstance(event, Deployed)]

        assert [one.attempt for one in found[0]] == [1]
        assert [notice.attempt for notice in hook.heard] == [2]
        assert deployed[0] >= hook.heard[0].planned_at


async def test_the_notice_falls_into_the_hours() -> None:
    """Planned times are within the hours, so that nobody is told of a deployment that cannot be."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        # The simulated day begins at 08:00 UTC; the last 45 minutes of the hours are left to what has begun.
        hours = [{"time_zone": "UTC", "start": "07:00", "end": "08:55"}]
        hook = Answers(Proceed())
        plan = await here.rollout.plan(manifest(notice="15m", hours=hours))
        async with here.rollout.apply(plan, before_deploy=hook) as run:
            await run.finished()
        (notice,) = hook.heard

        assert (notice.planned_at.hour, notice.planned_at.minute) == (7, 15)
        assert notice.planned_at.day == plan.created.day + 1


async def test_who_comes_back_within_the_notice_is_waited_for() -> None:
    """A message may bring the user back: then Deploy waits, and is announced anew if that takes long."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        user = here.sim.fleet.workspace(one)
        user.connected = False
        plan = await here.rollout.plan(manifest(notice="15m", when_connected="wait"))

        async def come_back(notice: DeployNotice) -> NoticeAnswer:
            heard.append(notice.planned_at)
            user.connected = notice.attempt == 1
            return Proceed()

        async def leave() -> None:
            await here.clock.sleep(3 * 3600)
            user.connected = False

        heard: list[datetime] = []
        leaving = asyncio.create_task(leave())
        async with here.rollout.apply(plan, before_deploy=come_back) as run:
            deployed = [event.at async for event in run if isinstance(event, Deployed)]
        await leaving

        assert len(heard) == 2
        assert deployed[0] >= heard[1] >= plan.created + timedelta(hours=3)


async def test_who_comes_within_a_long_notice_is_waited_for() -> None:
    """A notice of a day is longer than users are waited for, and none of that time: whoever works then may go on."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        user = here.sim.fleet.workspace(one)
        user.connected = False
        plan = await here.rollout.plan(manifest(notice="24h", when_connected="wait", connected_timeout="2h"))

        async def work() -> None:
            await here.clock.sleep(23 * 3600)
            user.connected = True
            await here.clock.sleep(2 * 3600)
            user.connected = False

        hook, working = Answers(Proceed()), asyncio.create_task(work())
        async with here.rollout.apply(plan, before_deploy=hook) as run:
            events = [event async for event in run]
        await working
        (deployed,) = [event.at - plan.created for event in events if isinstance(event, Deployed)]

        assert timedelta(hours=25) <= deployed <= timedelta(hours=25, minutes=10)


@pytest.mark.parametrize("notice", [0, "15m", "12h"])
async def test_planned_times_are_spread_over_the_permits(notice: str | int) -> None:
    """With a permit for two at a time, everybody is told once, and of a time at which the deployment begins."""
    async with site(settings=SLOW) as here:
        here.sim.fleet.add_workspaces(10)
        hook = Answers(Proceed())
        plan = await here.rollout.plan(manifest(notice=notice, max_in_flight=2))
        _, events = await here.carry_out(plan, before_deploy=hook)
        planned = {one.workspace_id: one.planned_at for one in hook.heard}
        late = [one.at - planned[one.workspace_id] for one in events if isinstance(one, Deployed)]
        noticed = [one.planned_at - one.at for one in events if isinstance(one, Noticed)]

        assert len(hook.heard) == len(late) == 10
        assert all(timedelta(0) <= one <= timedelta(minutes=45) for one in late)
        assert max(noticed) - min(noticed) <= timedelta(minutes=1)


async def test_who_comes_before_the_notice_is_not_told() -> None:
    """The second hears of it when a permit can be expected; connected by then, its user is waited for first."""
    async with site(settings=SLOW) as here:
        users = [here.sim.fleet.workspace(one) for one in here.sim.fleet.add_workspaces(2)]
        for one in users:
            one.connected = False
        plan = await here.rollout.plan(manifest(when_connected="wait", max_in_flight=1))
        left: datetime | None = None

        async def work() -> None:
            nonlocal left
            await here.clock.sleep(1200)
            (second,) = [one for one in users if one.id != hook.heard[0].workspace_id]
            second.connected = True
            await here.clock.sleep(3600)
            second.connected = False
            left = here.clock.now()

        hook, working = Answers(Proceed()), asyncio.create_task(work())
        _, events = await here.carry_out(plan, before_deploy=hook)
        await working
        told = [event.at for event in events if isinstance(event, Noticed)]
        assert left is not None

        assert len(told) == 2
        assert told[1] - left >= timedelta(minutes=5)


async def test_nobody_is_told_once_nothing_more_starts() -> None:
    """A drain ends the queue for a planned time, and that for a call of the hook."""
    async with site(settings=SLOW) as here:
        here.sim.fleet.add_workspaces(30)
        plan = await here.rollout.plan(manifest(notice="15m", max_in_flight=20))

        async def drain(notice: DeployNotice) -> NoticeAnswer:
            heard.append(notice)
            await here.clock.sleep(30)
            run.drain()
            return Proceed()

        heard: list[DeployNotice] = []
        async with here.rollout.apply(plan, before_deploy=drain) as run:
            events = [event async for event in run]
        assert run.result is not None

        assert set(last_words(events).values()) == {"skipped: drained"}
        assert len(heard) == 16
        assert run.result.elapsed < 60


async def test_the_notice_is_as_long_for_those_whose_hook_is_called_late() -> None:
    """A hundred slow hooks take minutes, sixteen at a time; nobody is told of a time that is nearer than the notice."""
    async with site() as here:
        here.sim.fleet.add_workspaces(40)
        plan = await here.rollout.plan(manifest(notice="1m"))
        ahead: list[timedelta] = []

        async def slow(notice: DeployNotice) -> NoticeAnswer:
            ahead.append(notice.planned_at - here.clock.now())
            await here.clock.sleep(50)
            return Proceed()

        await here.carry_out(plan, before_deploy=slow)

        assert len(ahead) == 40
        assert min(ahead) >= timedelta(seconds=59)


async def test_a_notice_does_not_outlast_the_queue_for_a_permit() -> None:
    """A deployment takes longer than was expected: by the time of the permit the notice is too old, and another is given."""
    settings = SimulatorSettings(pending_delay=Span(1, 5), install_duration=Span(7000, 7000))
    async with site(settings=settings) as here:
        (first, second) = here.sim.fleet.add_workspaces(2)
        hook = Answers(Proceed())
        plan = await here.rollout.plan(manifest(notice="15m", max_in_flight=1, expected_deployment="5m"))
        _, events = await here.carry_out(plan, before_deploy=hook)
        planned = {one.workspace_id: one.planned_at for one in hook.heard}
        late = {
            one.workspace_id: one.at - planned[one.workspace_id]
            for one in events
            if isinstance(one, Deployed)
        }

        assert [one.workspace_id for one in hook.heard] == [first, second, second]
        assert late[second] <= timedelta(minutes=1)


def test_a_moment_without_a_zone_is_refused() -> None:
    """Nobody would know which one is meant."""
    with pytest.raises(ConfigurationError, match="time zone"):
        Postpone(datetime(2026, 1, 5, 8))  # noqa: DTZ001 - the mistake


async def test_no_more_than_sixteen_hooks_run_at_once() -> None:
    """Each may be a process: a wave of a hundred does not begin a hundred."""
    async with site() as here:
        here.sim.fleet.add_workspaces(40)
        running, most = 0, 0

        async def slow(_: DeployNotice) -> NoticeAnswer:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await here.clock.sleep(5)
            running -= 1
            return Skip("enough")

        plan = await here.rollout.plan(manifest())
        async with here.rollout.apply(plan, before_deploy=slow) as run:
            await run.finished()

        assert most == 16
