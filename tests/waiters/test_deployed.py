"""`wait_until_deployed` and its kin on the simulator, over real HTTP and in simulated time."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.waiters.world import deploy, world
from workspaces_apps import (
    AccessDeniedException,
    AssociationChange,
    ClientStateError,
    ConfigurationError,
    DeploymentFailedError,
    DeploymentOutcome,
    Hooks,
    PartialFailureError,
    PollPolicy,
    RequestValidationError,
    ResourceNotFoundException,
    ServiceError,
    WaiterError,
    WaiterTimeoutError,
    WorkspaceNotReadyError,
    WorkspaceNotReadyInTimeError,
    WorkSpacesError,
)
from workspaces_apps.api import RebootRequest
from workspaces_apps.simulator import FaultKind, SimulatorSettings


async def test_it_returns_when_the_deployment_has_ended() -> None:
    """The associations are COMPLETED, the WorkSpace is back, and little time has passed since."""
    async with world() as (here, [workspace_id]):
        await deploy(here, workspace_id)

        outcome = await here.ws.wait_until_deployed(workspace_id)

        assert [(one.application_id, one.state, one.wanted) for one in outcome.associations] == [
            (here.application, "COMPLETED", "installed")
        ]
        assert [(one.before, one.after) for one in outcome.changed] == [("PENDING_INSTALL", "COMPLETED")]
        assert here.sim.fleet.workspace(workspace_id).state == "AVAILABLE"
        assert here.sim.clock.timestamp() - here.ended_at(workspace_id) <= 30


async def test_nothing_pending_returns_at_once() -> None:
    """A read of the associations, one of the state, no waiting, nothing changed."""
    async with world() as (here, [workspace_id]):
        outcome = await here.ws.wait_until_deployed(workspace_id)

        assert (outcome.changed, outcome.polls, outcome.elapsed) == ((), 2, timedelta(0))
        assert here.count("DescribeWorkspaceAssociations") == 1
        assert here.count("DescribeWorkspaces") == 1


async def test_nothing_pending_on_a_workspace_on_its_way_is_waited_for() -> None:
    """Deployed means that the desktop is there, whoever made it reboot."""
    async with world() as (here, [workspace_id]):
        await here.ws.reboot_workspaces(reboot_workspace_requests=[RebootRequest(workspace_id=workspace_id)])

        outcome = await here.ws.wait_until_deployed(workspace_id)

        assert outcome.changed == ()
        assert outcome.elapsed > timedelta(seconds=30)
        assert here.sim.fleet.workspace(workspace_id).state == "AVAILABLE"


@pytest.mark.parametrize("state", ["SUSPENDED", "ERROR", "UNHEALTHY", "IMPAIRED", "ADMIN_MAINTENANCE"])
async def test_a_workspace_that_needs_somebody_is_told_after_a_second_read(state: str) -> None:
    """Two reads a minute apart agree; the associations are in sync, and that is not called a success."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "COMPLETED")
        here.sim.fleet.set_state(workspace_id, state)

        with pytest.raises(WorkspaceNotReadyError) as caught:
            await here.ws.wait_until_deployed(workspace_id, wanted={here.application: "installed"})

        assert caught.value.workspace_state == state
        assert caught.value.elapsed == timedelta(seconds=60)


async def test_a_failed_deployment_on_a_broken_workspace_is_a_failed_deployment() -> None:
    """The error names the failed application, and not only the WorkSpace."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "INSTALLING")
        here.sim.fleet.set_state(workspace_id, "UPDATING")
        waiting = asyncio.create_task(here.ws.wait_until_deployed(workspace_id))
        await here.sim.clock.sleep(20)
        here.sim.fleet.set_association(workspace_id, here.application, "ERROR")
        here.sim.fleet.set_state(workspace_id, "ERROR")

        with pytest.raises(DeploymentFailedError):
            await waiting


@pytest.mark.parametrize("way", ["wait", "job"])
async def test_a_workspace_that_stays_on_its_way_is_too_late(way: str) -> None:
    """`ready_timeout` bounds the wait for the desktop after everything else has ended, or before anything begins."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_state(workspace_id, "UPDATING")

        waiting = (
            here.ws.wait_until_deployed(workspace_id, ready_timeout=600)
            if way == "wait"
            else here.ws.install_applications(workspace_id, [here.application], ready_timeout=600)
        )

        with pytest.raises(WorkspaceNotReadyInTimeError, match="UPDATING") as caught:
            await waiting

        assert isinstance(caught.value, WaiterTimeoutError)
        assert (caught.value.elapsed, caught.value.workspace_state) == (timedelta(seconds=600), "UPDATING")


async def test_failed_polls_are_tolerated() -> None:
    """Some failed polls in a row are no end; a wait ends well once the service answers again."""
    async with world() as (here, [workspace_id]):
        await deploy(here, workspace_id)
        waiting = asyncio.create_task(here.ws.wait_until_deployed(workspace_id))
        await here.sim.clock.sleep(60)
        here.sim.faults.add("error", operation="DescribeWorkspaceAssociations", code="Odd", times=5)

        assert [one.after for one in (await waiting).changed] == ["COMPLETED"]


async def test_what_does_not_pass_ends_a_wait_at_once() -> None:
    """A denied read will be denied again."""
    async with world() as (here, [workspace_id]):
        here.sim.faults.add("error", operation="DescribeWorkspaceAssociations", code="AccessDeniedException")

        with pytest.raises(AccessDeniedException):
            await here.ws.wait_until_deployed(workspace_id)

        assert here.count("DescribeWorkspaceAssociations") == 1


async def test_the_hooks_of_a_view_hear_of_its_polls() -> None:
    """Every attempt that served its wait, and none of the calls that served another's alone."""
    async with world(2) as (here, ids):
        await deploy(here, *ids)
        mine: list[str] = []
        view = here.ws.with_options(hooks=Hooks(on_attempt=lambda record: mine.append(record.operation)))
        here.sim.requests.clear()
        other = asyncio.create_task(here.ws.wait_until_deployed(ids[1]))
        await here.sim.clock.sleep(5000)
        await other
        alone = len(list(here.sim.requests))
        await deploy(here, ids[0], application=here.another)
        here.sim.requests.clear()
        await view.wait_until_deployed(ids[0])

        assert alone > 0
        assert len(mine) == len(list(here.sim.requests)) > 0


async def test_a_failure_tells_what_and_why_and_what_force_would_do() -> None:
    """The error names the application, its direction, the service's reason, and Force."""
    async with world(settings=SimulatorSettings(failure_rate=1)) as (here, [workspace_id]):
        await deploy(here, workspace_id)

        with pytest.raises(DeploymentFailedError) as caught:
            await here.ws.wait_until_deployed(workspace_id)

        [failed] = caught.value.failed
        assert (failed.application_id, failed.wanted) == (here.application, "installed")
        assert failed.code is not None
        assert failed.code in str(caught.value)
        assert "force=True" in failed.force
        assert "installation" in failed.force
        assert caught.value.last is not None
        assert caught.value.polls > 1


async def test_a_failed_removal_is_told_from_a_failed_installation() -> None:
    """The record does not say which it was; `wanted` does."""
    async with world(settings=SimulatorSettings(failure_rate=1)) as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "COMPLETED")
        await here.ws.disassociate_workspace_application(
            workspace_id=workspace_id, application_id=here.application
        )
        await here.ws.deploy_workspace_applications(workspace_id=workspace_id)

        with pytest.raises(DeploymentFailedError) as caught:
            await here.ws.wait_until_deployed(workspace_id, wanted={here.application: "removed"})

        assert [one.wanted for one in caught.value.failed] == ["removed"]


@pytest.mark.parametrize("linger", [False, True])
async def test_removed_and_absent_are_the_same(linger: bool) -> None:
    """A removal ends well whether the record lingers or not."""
    async with world(settings=SimulatorSettings(removed_rows_linger=linger)) as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "COMPLETED")
        await here.ws.disassociate_workspace_application(
            workspace_id=workspace_id, application_id=here.application
        )
        await here.ws.deploy_workspace_applications(workspace_id=workspace_id)

        outcome = await here.ws.wait_until_deployed(workspace_id)

        assert [one.after for one in outcome.changed] == ["REMOVED" if linger else None]


async def test_staged_only_says_that_deploy_is_missing() -> None:
    """An association that is still only staged after the grace will not move by itself."""
    async with world() as (here, [workspace_id]):
        await here.ws.associate_workspace_application(
            workspace_id=workspace_id, application_id=here.application
        )

        with pytest.raises(WaiterError, match="DeployWorkspaceApplications is missing") as caught:
            await here.ws.wait_until_deployed(workspace_id, start_grace=60)

        assert not isinstance(caught.value, WaiterTimeoutError)
        assert caught.value.elapsed == timedelta(seconds=60)


async def test_a_late_deploy_is_waited_for() -> None:
    """Within the grace it may look as if nothing had been deployed."""
    async with world() as (here, [workspace_id]):
        await here.ws.associate_workspace_application(
            workspace_id=workspace_id, application_id=here.application
        )
        waiting = asyncio.create_task(here.ws.wait_until_deployed(workspace_id))
        await here.sim.clock.sleep(40)
        await here.ws.deploy_workspace_applications(workspace_id=workspace_id)

        assert [one.after for one in (await waiting).changed] == ["COMPLETED"]


async def test_it_looks_once_more_at_the_deadline() -> None:
    """The timeout is in time, not in attempts, and the error has the last observation."""
    async with world() as (here, [workspace_id]):
        await deploy(here, workspace_id)
        began = here.sim.clock.monotonic()

        with pytest.raises(WaiterTimeoutError, match="INSTALLING") as caught:
            await here.ws.wait_until_deployed(workspace_id, timeout=timedelta(seconds=100))

        assert here.sim.clock.monotonic() - began == pytest.approx(100)
        assert caught.value.elapsed == timedelta(seconds=100)
        last = max(record.at for record in here.sim.requests)
        assert last.timestamp() == pytest.approx(here.sim.clock.timestamp())


async def test_the_deadline_holds_while_a_look_hangs() -> None:
    """A service that does not answer cannot keep a wait beyond its time and half a minute."""
    async with world() as (here, [workspace_id]):
        await deploy(here, workspace_id)
        here.sim.faults.add("slow", operation="DescribeWorkspaceAssociations", delay=3600)

        with pytest.raises(WaiterTimeoutError):
            await here.ws.wait_until_deployed(workspace_id, timeout=100)

        assert here.sim.clock.monotonic() < 200


@pytest.mark.parametrize("operation", ["DescribeWorkspaceAssociations", "DescribeWorkspaces"])
@pytest.mark.parametrize("hangs", [False, True])
async def test_an_outage_that_outlasts_a_wait_is_its_cause(operation: str, hangs: bool) -> None:
    """The timeout tells the error of the last poll that came back, also where the very last one hangs."""
    async with world() as (here, [workspace_id]):
        here.sim.faults.add("unavailable", operation=operation, times=4 if hangs else None)
        if hangs:
            here.sim.faults.add("slow", operation=operation, delay=3600)

        with pytest.raises(WaiterTimeoutError) as caught:
            await here.ws.wait_until_deployed(workspace_id, timeout=60)

        assert isinstance(caught.value.__cause__, ServiceError)
        assert caught.value.__cause__.http_status == 503


async def test_what_was_never_read_is_not_called_absent() -> None:
    """The words of the error say so, and what was seen last leaves it out."""
    async with world() as (here, [workspace_id]):
        here.sim.faults.add("unavailable", operation="DescribeWorkspaceAssociations")

        with pytest.raises(WaiterTimeoutError, match=f"{here.application} never read") as caught:
            await here.ws.wait_until_deployed(
                workspace_id, wanted={here.application: "installed"}, timeout=60
            )

        assert caught.value.last == {workspace_id: ()}


async def test_a_workspace_that_does_not_exist_is_told_by_the_service() -> None:
    """The refusal is the cause, with its request id."""
    async with world() as (here, _):
        with pytest.raises(WaiterError, match="absent") as caught:
            await here.ws.wait_until_deployed("ws-000000000")

        assert isinstance(caught.value.__cause__, ResourceNotFoundException)
        assert caught.value.request_id == caught.value.__cause__.request_id is not None


async def test_a_workspace_that_vanishes_ends_the_wait_with_what_was_seen() -> None:
    """ResourceNotFoundException for its associations: it is gone, and the error says what was known by then."""
    async with world() as (here, [workspace_id]):
        await deploy(here, workspace_id)
        waiting = asyncio.create_task(here.ws.wait_until_deployed(workspace_id))
        await here.sim.clock.sleep(60)
        here.sim.fleet.store.workspaces.pop(workspace_id)

        with pytest.raises(WaiterError, match="absent") as caught:
            await waiting

        assert caught.value.last is not None
        assert workspace_id in caught.value.last


async def test_a_lost_workspace_ends_the_wait() -> None:
    """A WorkSpace that is being terminated does not come back."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "COMPLETED")
        here.sim.fleet.set_state(workspace_id, "TERMINATING")

        with pytest.raises(WaiterError, match="TERMINATING"):
            await here.ws.wait_until_deployed(workspace_id, wanted={here.application: "installed"})


async def test_it_waits_until_the_workspace_is_back() -> None:
    """Terminal associations are not enough: the desktop must be there again."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "COMPLETED")
        here.sim.fleet.set_state(workspace_id, "UPDATING")
        waiting = asyncio.create_task(
            here.ws.wait_until_deployed(workspace_id, wanted={here.application: "installed"})
        )
        await here.sim.clock.sleep(300)
        assert not waiting.done()
        here.sim.fleet.set_state(workspace_id, "STOPPED")

        assert (await waiting).elapsed >= timedelta(seconds=300)


async def test_a_state_from_the_future_keeps_it_waiting() -> None:
    """A state that this package does not know is no end."""
    async with world() as (here, [workspace_id]):
        await deploy(here, workspace_id)
        association = here.sim.fleet.workspace(workspace_id).associations[here.application]
        object.__setattr__(association, "state", "QUEUED_FOR_LATER")
        waiting = asyncio.create_task(here.ws.wait_until_deployed(workspace_id))
        await here.sim.clock.sleep(600)
        assert not waiting.done()
        here.sim.fleet.set_association(workspace_id, here.application, "COMPLETED")
        here.sim.fleet.set_state(workspace_id, "AVAILABLE")

        assert [one.before for one in (await waiting).changed] == ["QUEUED_FOR_LATER"]


async def test_hooks_are_told_of_every_change() -> None:
    """Functions and coroutine functions alike; what they raise changes nothing."""
    async with world() as (here, [workspace_id]):
        await deploy(here, workspace_id)
        plain: list[AssociationChange] = []
        later: list[AssociationChange] = []

        def remember(change: AssociationChange) -> None:
            plain.append(change)
            raise RuntimeError("a hook of somebody's")

        async def remember_later(change: AssociationChange) -> None:
            await here.sim.clock.sleep(1)
            later.append(change)

        await asyncio.gather(
            here.ws.wait_until_deployed(workspace_id, on_change=remember),
            here.ws.wait_until_deployed(workspace_id, on_change=remember_later),
        )

        assert [str(one.after) for one in plain] == ["INSTALLING", "COMPLETED"]
        assert plain == later


async def test_a_cancelled_wait_leaves_the_others_undisturbed() -> None:
    """The others still end well, and the last one out stops the poller."""
    async with world(2) as (here, ids):
        await deploy(here, *ids)
        first, second = (asyncio.create_task(here.ws.wait_until_deployed(one)) for one in ids)
        await here.sim.clock.sleep(60)

        first.cancel()
        assert (await second).workspace_id == ids[1]

        with pytest.raises(asyncio.CancelledError):
            await first
        calls = len(list(here.sim.requests))
        await here.sim.clock.sleep(600)
        assert len(list(here.sim.requests)) == calls


async def test_the_last_one_out_stops_the_poller() -> None:
    """After the last wait is cancelled no call is made and no task is left."""
    async with world() as (here, [workspace_id]):
        await deploy(here, workspace_id)
        before = asyncio.all_tasks()
        waiting = asyncio.create_task(here.ws.wait_until_deployed(workspace_id))
        await here.sim.clock.sleep(60)
        waiting.cancel()
        await asyncio.wait([waiting])
        calls = len(list(here.sim.requests))

        await here.sim.clock.sleep(600)

        assert len(list(here.sim.requests)) == calls
        assert {task for task in asyncio.all_tasks() - before if "waiters" in repr(task)} == set()


async def test_closing_the_client_ends_every_wait() -> None:
    """Waits end with a clear error, and later ones do not begin."""
    async with world(2) as (here, ids):
        await deploy(here, *ids)
        waits = [asyncio.create_task(here.ws.wait_until_deployed(one)) for one in ids]
        stopping = asyncio.create_task(here.ws.with_options(timeout=9).wait_until_stopped(ids[0]))
        await here.sim.clock.sleep(60)

        await here.ws.aclose()

        for waiting in waits:
            with pytest.raises(ClientStateError, match="closed"):
                await waiting
        with pytest.raises(ClientStateError, match="closed"):
            await stopping
        with pytest.raises(ClientStateError, match="closed"):
            await here.ws.wait_until_deployed(ids[0])


async def test_polls_that_somebody_cancels_end_the_waits() -> None:
    """A program that cancels every task but its own ends its waits with an error, and can wait anew on the same client."""
    async with world(2) as (here, [workspace_id, other]):
        await deploy(here, workspace_id)
        before = asyncio.all_tasks()
        deployed = asyncio.create_task(here.ws.wait_until_deployed(workspace_id))
        stopped = asyncio.create_task(here.ws.wait_until_stopped(other))
        await here.sim.clock.sleep(30)
        for observer in (here.observer, here.ws._hub().workspaces):  # pyright: ignore[reportPrivateUsage]  # the part under test
            for task in observer.tasks - before:
                task.cancel()

        for ended in await asyncio.gather(deployed, stopped, return_exceptions=True):
            assert isinstance(ended, ClientStateError)
            assert "wait again" in str(ended)
        assert (await here.ws.wait_until_deployed(workspace_id)).changed != ()
        assert (await here.ws.wait_until_available(other)).state == "AVAILABLE"


async def test_views_share_the_polls() -> None:
    """Two waits for one WorkSpace through two views cost what one costs."""
    async with world() as (here, [workspace_id]):
        await deploy(here, workspace_id)

        one, other = await asyncio.gather(
            here.ws.wait_until_deployed(workspace_id),
            here.ws.with_options(timeout=30).wait_until_deployed(workspace_id),
        )

        assert one.changed[0].after == other.changed[0].after
        assert here.count("DescribeWorkspaceAssociations") + here.count("DescribeWorkspaces") == one.polls


async def test_changes_can_be_iterated_over() -> None:
    """The iteration ends with the deployment, and the outcome is there."""
    async with world(settings=SimulatorSettings(failure_rate=1)) as (here, [workspace_id]):
        await deploy(here, workspace_id)

        async with here.ws.watch_deployment(workspace_id) as changes:
            at_first = changes.outcome
            seen = [change async for change in changes]
            outcome = changes.outcome

        assert at_first is None
        assert [str(change.after) for change in seen] == ["INSTALLING", "ERROR"]
        assert seen[-1].reason is not None
        assert outcome is not None
        assert [one.application_id for one in outcome.failed] == [here.application]


async def test_leaving_a_watch_early_stops_the_polling() -> None:
    """After the block nobody looks any more."""
    async with world() as (here, [workspace_id]):
        await deploy(here, workspace_id)
        watch = here.ws.watch_deployment(workspace_id)
        async with watch as changes:
            await anext(changes)
        calls = len(list(here.sim.requests))

        await here.sim.clock.sleep(600)

        assert len(list(here.sim.requests)) == calls
        assert watch.outcome is None


async def test_a_watch_tells_that_its_time_is_up() -> None:
    """A deployment that does not end is no silent end of the iteration."""
    async with world() as (here, [workspace_id]):
        await deploy(here, workspace_id)
        async with here.ws.watch_deployment(workspace_id, timeout=60) as changes:
            with pytest.raises(WaiterTimeoutError):
                assert len([change async for change in changes]) <= 1
            assert changes.outcome is None


async def test_a_watch_must_be_entered() -> None:
    """Iterating without `async with` says what to do."""
    async with world() as (here, [workspace_id]):
        with pytest.raises(ClientStateError, match="async with"):
            await anext(here.ws.watch_deployment(workspace_id))


async def test_a_watch_that_was_left_cancels_nobody() -> None:
    """A task that still iterates comes to the end, and `result` says that the block was left too early."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "INSTALLING")

        async def iterate(changes: AsyncIterator[AssociationChange]) -> int:
            return len([change async for change in changes])

        async with here.ws.watch_deployment(workspace_id) as changes:
            reader = asyncio.create_task(iterate(changes))
            await here.sim.clock.sleep(60)
            with pytest.raises(ClientStateError, match="not ended yet"):
                changes.result()

        assert await reader == await iterate(changes) == 0
        with pytest.raises(ClientStateError, match="left before"):
            changes.result()


async def test_a_watch_is_for_one_block() -> None:
    """A second entry is refused, and leaves the first one as it is."""
    async with world() as (here, [workspace_id]):
        await deploy(here, workspace_id)
        watch = here.ws.watch_deployment(workspace_id)

        async with watch as changes:
            with pytest.raises(ClientStateError, match="watch_deployment again"):
                await watch.__aenter__()
            assert [change.after async for change in changes][-1] == "COMPLETED"

        assert watch.result().failed == ()
        with pytest.raises(ClientStateError, match="watch_deployment again"):
            await watch.__aenter__()


async def test_many_come_as_they_end() -> None:
    """Each outcome is given when it is there, and one failure does not end the others."""
    async with world(6) as (here, ids):
        await deploy(here, *ids[:5])
        here.sim.fleet.set_association(ids[5], here.application, "PENDING_INSTALL_DEPLOYMENT")

        outcomes: list[DeploymentOutcome] = [
            outcome
            async for outcome in here.ws.wait_until_all_deployed(ids, wanted={here.application: "installed"})
        ]

        assert sorted(one.workspace_id for one in outcomes) == sorted(ids)
        assert outcomes[0].workspace_id == ids[5]
        assert isinstance(outcomes[0].error, WaiterError)
        assert [one.error for one in outcomes[1:]] == [None] * 5
        assert [one.elapsed for one in outcomes[1:]] == sorted(one.elapsed for one in outcomes[1:])


async def test_many_can_be_had_together() -> None:
    """Awaiting gives all of them in order; if one failed, the error has both kinds."""
    async with world(3) as (here, ids):
        await deploy(here, *ids)
        outcomes = await here.ws.wait_until_all_deployed([*ids, ids[0]])
        assert [one.workspace_id for one in outcomes] == ids

        here.sim.fleet.set_association(ids[1], here.application, "ERROR")
        with pytest.raises(PartialFailureError, match="1 of 3") as caught:
            await here.ws.wait_until_all_deployed(ids, wanted={here.application: "installed"})

        assert len(caught.value.succeeded) == 2
        [failed] = caught.value.failed
        assert isinstance(failed, DeploymentOutcome)
        assert isinstance(failed.error, DeploymentFailedError)


async def test_many_can_fail_fast() -> None:
    """The first error is raised as it is, and the polling stops."""
    async with world(2) as (here, ids):
        await deploy(here, ids[0])
        here.sim.fleet.set_association(ids[1], here.application, "ERROR")
        changes: list[AssociationChange] = []

        with pytest.raises(DeploymentFailedError):
            await here.ws.wait_until_all_deployed(
                ids, wanted={here.application: "installed"}, fail_fast=True, on_change=changes.append
            )

        assert {change.workspace_id for change in changes} <= {ids[0]}
        calls = len(list(here.sim.requests))
        await here.sim.clock.sleep(600)
        assert len(list(here.sim.requests)) == calls


async def test_bad_arguments_are_refused_before_anything_is_sent() -> None:
    """The message names the argument and the rule."""
    async with world() as (here, [workspace_id]):
        with pytest.raises(RequestValidationError, match="workspace_id"):
            await here.ws.wait_until_deployed("i-123")
        with pytest.raises(RequestValidationError, match="application_id"):
            await here.ws.wait_until_deployed(workspace_id, wanted={"office": "installed"})
        with pytest.raises(RequestValidationError, match="at least one"):
            await here.ws.wait_until_deployed(workspace_id, wanted={})
        with pytest.raises(RequestValidationError, match="several"):
            await here.ws.wait_until_all_deployed(workspace_id)  # type: ignore[arg-type]  # refused: the point
        with pytest.raises(RequestValidationError, match="several"):
            await here.ws.wait_until_all_deployed(None)  # type: ignore[arg-type]  # refused: the point
        with pytest.raises(RequestValidationError, match="mapping"):
            await here.ws.wait_until_deployed(workspace_id, wanted=[])  # type: ignore[arg-type]  # refused: the point
        wrong = {here.application: "there"}
        with pytest.raises(RequestValidationError, match="for each"):
            await here.ws.wait_until_deployed(workspace_id, wanted=wrong)  # type: ignore[arg-type]  # refused: the point
        with pytest.raises(ConfigurationError, match="timeout"):
            await here.ws.wait_until_deployed(workspace_id, timeout=-1)
        assert list(here.sim.requests) == []


@pytest.mark.parametrize(
    "policy",
    [
        {"min_delay": 0},
        {"min_delay": 40},
        {"growth": 0.5},
        {"jitter": 1.5},
        {"jitter": float("nan")},
        {"growth": True},
        {"growth": 10**400},
        {"jitter": -(10**5000)},
        {"max_delay": 10**400},
    ],
)
def test_a_poll_policy_is_checked(policy: dict[str, float]) -> None:
    """A policy that cannot be followed is refused where it is made."""
    with pytest.raises(ConfigurationError, match="PollPolicy"):
        PollPolicy(**policy)


async def test_what_was_never_staged_is_said_to_be_missing() -> None:
    """An application that is wanted and neither there nor on its way needs staging first, in the right direction."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.another, "COMPLETED")

        with pytest.raises(WaiterError) as caught:
            await here.ws.wait_until_deployed(
                workspace_id, wanted={here.application: "installed", here.another: "removed"}
            )

        assert f"{here.application} (absent) is not even staged: Associate" in str(caught.value)
        assert f"{here.another} (COMPLETED) is not even staged: Disassociate" in str(caught.value)


@pytest.mark.parametrize("state", ["AVAILABLE", "UPDATING"])
@pytest.mark.parametrize("told", [True, False])
async def test_an_old_failure_counts_after_the_grace(state: str, told: bool) -> None:
    """A record that was in ERROR before is read once more after the grace, whatever is done to the WorkSpace."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "ERROR")
        here.sim.fleet.set_state(workspace_id, state)
        changes: list[AssociationChange] = []

        with pytest.raises(DeploymentFailedError) as caught:
            await here.ws.wait_until_deployed(
                workspace_id,
                wanted={here.application: "installed"},
                start_grace=60,
                ready_timeout=300,
                on_change=changes.append if told else None,
            )

        assert caught.value.elapsed == timedelta(seconds=60 if state == "AVAILABLE" else 360)
        assert len(here.sim.requests) <= (10 if state == "AVAILABLE" else 40)
        assert changes == []


async def test_an_old_failure_that_cannot_be_read_again_is_still_one() -> None:
    """After the grace everything is terminal, as far as anybody knows, whether the service answers or not."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "ERROR")
        waiting = asyncio.create_task(
            here.ws.wait_until_deployed(workspace_id, wanted={here.application: "installed"}, timeout=300)
        )
        await here.sim.clock.sleep(50)
        here.sim.faults.add("slow", operation="DescribeWorkspaceAssociations", delay=3600)

        with pytest.raises(DeploymentFailedError):
            await waiting

        assert round(here.sim.clock.monotonic()) == 330


async def test_a_failure_is_no_timeout() -> None:
    """If everything is terminal at the deadline and only the WorkSpace is not back, the failure is what counts."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "ERROR")
        here.sim.fleet.set_state(workspace_id, "UPDATING")

        with pytest.raises(DeploymentFailedError):
            await here.ws.wait_until_deployed(
                workspace_id, wanted={here.application: "installed"}, timeout=300
            )


async def test_a_listing_that_fails_ends_no_wait() -> None:
    """Its associations are read WorkSpace by WorkSpace; waits for other applications go on as before."""
    async with world(30) as (here, ids):
        for one in ids:
            here.sim.fleet.set_association(one, here.application, "PENDING_INSTALL")
            here.sim.fleet.set_association(one, here.another, "PENDING_INSTALL")
        here.sim.faults.add(
            "error", operation="DescribeApplicationAssociations", application_id=here.application
        )

        failing = [
            asyncio.create_task(here.ws.wait_until_deployed(one, wanted={here.application: "installed"}))
            for one in ids
        ]
        going_on = [
            asyncio.create_task(here.ws.wait_until_deployed(one, wanted={here.another: "installed"}))
            for one in ids
        ]
        await here.sim.clock.sleep(660)
        assert not any(task.done() for task in (*failing, *going_on))
        for one in ids:
            here.sim.fleet.set_association(one, here.application, "COMPLETED")

        await asyncio.wait(failing)

        assert all(task.result().changed for task in failing)
        for task in going_on:
            task.cancel()
        await asyncio.wait(going_on)


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException"])
async def test_what_cannot_be_listed_is_asked_one_by_one(code: str) -> None:
    """An application may leave the catalogue while it is being installed; the WorkSpaces still tell."""
    async with world(30) as (here, ids):
        await deploy(here, *ids)
        here.sim.faults.add("error", operation="DescribeApplicationAssociations", code=code, skip=3)

        outcomes = await asyncio.gather(
            *(here.ws.wait_until_deployed(one, wanted={here.application: "installed"}) for one in ids)
        )

        assert {outcome.changed[0].after for outcome in outcomes} == {"COMPLETED"}
        assert here.count("DescribeApplicationAssociations") <= 6


async def test_a_listing_that_turns_out_long_is_left_for_single_looks() -> None:
    """Two waits on an application of six hundred WorkSpaces do not read all of its pages."""
    async with world(600) as (here, ids):
        for one in ids:
            here.sim.fleet.set_association(one, here.application, "COMPLETED")
        for one in ids[-3:]:
            here.sim.fleet.set_association(one, here.application, "PENDING_INSTALL")
        waits = [
            asyncio.create_task(here.ws.wait_until_deployed(one, wanted={here.application: "installed"}))
            for one in ids[-3:]
        ]
        await here.sim.clock.sleep(1)

        assert here.count("DescribeApplicationAssociations") <= 3
        assert here.count("DescribeWorkspaceAssociations") == 3
        for task in waits:
            task.cancel()
        await asyncio.wait(waits)


@pytest.mark.parametrize("kind", ["throttle", "error", "reset_before"])
async def test_a_state_that_cannot_be_had_ends_the_wait(kind: FaultKind) -> None:
    """An error of the look at WorkSpaces is passed on, and with it what was seen."""
    async with world(2) as (here, ids):
        for one in ids:
            here.sim.fleet.set_association(one, here.application, "COMPLETED")
        here.sim.faults.add(kind, operation="DescribeWorkspaces")

        results = await asyncio.gather(
            *(here.ws.wait_until_deployed(one, wanted={here.application: "installed"}) for one in ids),
            return_exceptions=True,
        )

        assert all(isinstance(one, WorkSpacesError) and one.last for one in results)


async def test_one_workspace_that_cannot_be_described_does_not_end_the_others() -> None:
    """If calls for several states keep failing, each is read by itself."""
    async with world(2) as (here, ids):
        for one in ids:
            here.sim.fleet.set_association(one, here.application, "COMPLETED")
        here.sim.faults.add("error", operation="DescribeWorkspaces", workspace_id=ids[1])

        results = await asyncio.gather(
            *(here.ws.wait_until_deployed(one, wanted={here.application: "installed"}) for one in ids),
            return_exceptions=True,
        )

        assert isinstance(results[0], DeploymentOutcome)
        assert isinstance(results[1], ServiceError)


async def test_a_removal_among_many_is_confirmed_before_it_is_believed() -> None:
    """A record that one of several pages does not show, and that nobody saw on its way, may have slipped by."""
    async with world(30) as (here, ids):
        for one in ids[:-1]:
            here.sim.fleet.set_association(one, here.application, "PENDING_UNINSTALL")
        waits = [
            asyncio.create_task(here.ws.wait_until_deployed(one, wanted={here.application: "removed"}))
            for one in ids
        ]
        await waits[-1]

        assert here.count("DescribeApplicationAssociations") == 2
        asked = here.sim.requests.select("DescribeWorkspaceAssociations")
        assert [(one.parameters or {}).get("WorkspaceId") for one in asked] == [ids[-1]]
        for task in waits[:-1]:
            task.cancel()
        await asyncio.wait(waits[:-1])


async def test_a_sweep_that_fails_leaves_the_first_looks_to_do() -> None:
    """It only saves calls: without it each WorkSpace is asked."""
    async with world(60) as (here, ids):
        here.sim.faults.add("error", operation="DescribeApplications")

        outcomes = await asyncio.gather(*(here.ws.wait_until_deployed(one) for one in ids))

        assert {outcome.changed for outcome in outcomes} == {()}
        assert here.count("DescribeWorkspaceAssociations") == 60
