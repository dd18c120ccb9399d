"""Waiting for WorkSpaces, images and directories on the simulator, in simulated time."""

import asyncio
import gc
from datetime import timedelta

import pytest

from tests.waiters.world import world
from workspaces_apps import (
    ResourceNotFoundException,
    ServiceError,
    ThrottlingException,
    WaiterError,
    WaiterTimeoutError,
    WorkspaceProperties,
)
from workspaces_apps._observe.schedule import Timer
from workspaces_apps.api import RunningMode, StartRequest, StopRequest, TerminateRequest, WorkspaceRequest


async def test_absent_after_a_create_means_not_yet() -> None:
    """A WorkSpace that was just ordered cannot be described at first, and is waited for all the same."""
    async with world() as (here, [model]):
        like = here.sim.fleet.workspace(model)
        answer = await here.ws.create_workspaces(
            workspaces=[
                WorkspaceRequest(
                    directory_id=like.directory_id, user_name="new.user", bundle_id=like.bundle_id
                )
            ]
        )
        new = answer.pending_requests[0].workspace_id
        assert new is not None
        assert await here.ws.describe_workspaces(workspace_ids=[new]).collect() == []

        workspace = await here.ws.wait_until_available(new)

        assert (workspace.workspace_id, workspace.state) == (new, "AVAILABLE")


async def test_stopping_and_starting_are_waited_for() -> None:
    """Right after the call nothing may have changed yet; that is no end."""
    async with world() as (here, [workspace_id]):
        await here.ws.stop_workspaces(stop_workspace_requests=[StopRequest(workspace_id=workspace_id)])
        assert (await here.ws.wait_until_stopped(workspace_id)).state == "STOPPED"

        waiting = asyncio.create_task(here.ws.wait_until_available(workspace_id))
        await here.sim.clock.sleep(60)
        await here.ws.start_workspaces(start_workspace_requests=[StartRequest(workspace_id=workspace_id)])
        assert (await waiting).state == "AVAILABLE"


async def test_absent_after_a_terminate_means_gone() -> None:
    """A terminated WorkSpace is not listed any more."""
    async with world() as (here, [workspace_id]):
        await here.ws.terminate_workspaces(
            terminate_workspace_requests=[TerminateRequest(workspace_id=workspace_id)]
        )

        await here.ws.wait_until_terminated(workspace_id)

        assert workspace_id not in here.sim.fleet.workspace_ids


def live_timers() -> int:
    """The number of timers in the process that are still to call something."""
    gc.collect()
    return sum(isinstance(one, Timer) and one.callback is not None for one in gc.get_objects())


async def test_a_wait_that_has_ended_leaves_nothing_behind() -> None:
    """No timer, and so no feed, lives on until its timeout would have passed, also while others wait."""
    async with world(2) as (here, [workspace_id, other]):
        waiting = asyncio.create_task(here.ws.wait_until_stopped(other))
        await here.sim.clock.sleep(1)
        before = live_timers()

        for _ in range(3):
            await here.ws.wait_until_available(workspace_id)

        assert live_timers() == before
        waiting.cancel()


async def test_what_cannot_come_any_more_is_an_error() -> None:
    """A WorkSpace in ERROR will not be AVAILABLE, and the error says what it is."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_state(workspace_id, "ERROR")

        with pytest.raises(WaiterError, match="AVAILABLE any more: it is ERROR") as caught:
            await here.ws.wait_until_available(workspace_id)

        assert not isinstance(caught.value, WaiterTimeoutError)
        assert caught.value.last is not None


async def test_a_wait_for_a_workspace_ends_in_time() -> None:
    """The timeout holds, with one last look."""
    async with world() as (here, [workspace_id]):
        with pytest.raises(WaiterTimeoutError, match="it is AVAILABLE") as caught:
            await here.ws.wait_until_stopped(workspace_id, timeout=100)

        assert caught.value.elapsed == timedelta(seconds=100)


async def test_an_outage_that_outlasts_a_wait_is_its_cause() -> None:
    """A WorkSpace that was never read is not called absent, and the error of the last poll is told."""
    async with world() as (here, [workspace_id]):
        here.sim.faults.add("unavailable", operation="DescribeWorkspaces")

        with pytest.raises(WaiterTimeoutError, match="it was never read") as caught:
            await here.ws.wait_until_stopped(workspace_id, timeout=60)

        assert isinstance(caught.value.__cause__, ServiceError)
        assert caught.value.__cause__.http_status == 503
        assert (caught.value.last, caught.value.polls) == ({}, 0)


async def test_an_outage_that_is_over_is_no_cause() -> None:
    """A WorkSpace that could be read again is late for reasons of its own."""
    async with world() as (here, [workspace_id]):
        here.sim.faults.add("error", operation="DescribeWorkspaces", code="Odd", times=2)

        with pytest.raises(WaiterTimeoutError, match="it is AVAILABLE") as caught:
            await here.ws.wait_until_stopped(workspace_id, timeout=60)

        assert caught.value.__cause__ is None


async def test_a_modification_is_read_back() -> None:
    """The state does not show it: ModificationStates does, and the property itself."""
    async with world() as (here, [workspace_id]):
        wanted = WorkspaceProperties(root_volume_size_gib=200)
        await here.ws.modify_workspace_properties(workspace_id=workspace_id, workspace_properties=wanted)
        assert (await here.ws.describe_workspaces(workspace_ids=[workspace_id])).workspaces[
            0
        ].state == "AVAILABLE"

        workspace = await here.ws.wait_until_modified(workspace_id)

        assert workspace.workspace_properties is not None
        assert workspace.workspace_properties.root_volume_size_gib == 200
        assert workspace.modification_states == ()


async def test_a_running_mode_is_read_back() -> None:
    """ModificationStates has no entry for it, so only reading it back tells."""
    async with world() as (here, [workspace_id]):
        wanted = WorkspaceProperties(running_mode=RunningMode.ALWAYS_ON)
        await here.ws.modify_workspace_properties(workspace_id=workspace_id, workspace_properties=wanted)

        workspace = await here.ws.wait_until_modified(workspace_id, properties=wanted, start_grace=0)

        assert workspace.workspace_properties is not None
        assert workspace.workspace_properties.running_mode == "ALWAYS_ON"


async def test_a_failed_modification_is_an_error() -> None:
    """UPDATE_FAILED is told apart from not yet, once it cannot be an old one any more."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.workspace(workspace_id).modifications = {"ROOT_VOLUME": "UPDATE_FAILED"}

        with pytest.raises(WaiterError, match="ROOT_VOLUME UPDATE_FAILED"):
            await here.ws.wait_until_modified(workspace_id)


async def test_a_failure_that_comes_meanwhile_counts_at_once() -> None:
    """An update under way that is now in UPDATE_FAILED is no old failure."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.workspace(workspace_id).modifications = {"ROOT_VOLUME": "UPDATE_IN_PROGRESS"}
        waiting = asyncio.create_task(here.ws.wait_until_modified(workspace_id))
        await here.sim.clock.sleep(7)
        here.sim.fleet.workspace(workspace_id).modifications = {"ROOT_VOLUME": "UPDATE_FAILED"}

        with pytest.raises(WaiterError, match="ROOT_VOLUME UPDATE_FAILED"):
            await waiting

        assert here.sim.clock.monotonic() < 20


@pytest.mark.parametrize("read_back", [False, True])
async def test_a_failure_left_over_from_before_is_not_the_new_change_s(read_back: bool) -> None:
    """Another property in UPDATE_FAILED from the beginning does not end the wait for what is under way."""
    async with world() as (here, [workspace_id]):
        workspace = here.sim.fleet.workspace(workspace_id)
        workspace.modifications = {"COMPUTE_TYPE": "UPDATE_FAILED", "ROOT_VOLUME": "UPDATE_IN_PROGRESS"}
        size = workspace.root_gib
        wanted = WorkspaceProperties(root_volume_size_gib=size) if read_back else None
        waiting = asyncio.create_task(here.ws.wait_until_modified(workspace_id, properties=wanted))
        await here.sim.clock.sleep(200)
        assert not waiting.done()
        workspace.modifications = {"COMPUTE_TYPE": "UPDATE_FAILED"}

        assert (await waiting).workspace_id == workspace_id


async def test_what_was_there_and_stays_absent_is_gone() -> None:
    """A WorkSpace that is terminated between two looks does not keep the wait for the rest of its hour."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_state(workspace_id, "STOPPED")
        waiting = asyncio.create_task(here.ws.wait_until_available(workspace_id))
        await here.sim.clock.sleep(60)
        here.sim.fleet.store.workspaces.pop(workspace_id)

        with pytest.raises(WaiterError, match="it is absent") as caught:
            await waiting

        assert caught.value.last == {workspace_id: None}
        assert not isinstance(caught.value, WaiterTimeoutError)
        assert 120 <= here.sim.clock.monotonic() < 200


async def test_unknown_states_are_waited_through_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the resource: a state newer than this package is no end, and is reported."""
    async with world(2) as (here, ids):
        directory, image = here.sim.fleet.directory_ids[0], here.sim.fleet.image_ids[0]
        for one in ids:
            here.sim.fleet.set_state(one, "FLOATING")
        here.sim.fleet.workspace(ids[0]).modifications = {"ROOT_VOLUME": "RETHINKING"}
        here.sim.fleet.store.directories[directory].state = "NAPPING"
        here.sim.fleet.store.images[image].state = "BAKING"

        ended = await asyncio.gather(
            *(here.ws.wait_until_stopped(one, timeout=100) for one in ids),
            here.ws.wait_until_modified(ids[0], timeout=100),
            here.ws.wait_until_directory_registered(directory, timeout=100),
            here.ws.wait_until_image_available(image, timeout=100),
            return_exceptions=True,
        )

        assert {type(one) for one in ended} == {WaiterTimeoutError}
        unknown = [record.getMessage().split(":")[0] for record in caplog.records]
        assert sorted(line for line in unknown if line.startswith("unknown")) == [
            "unknown WorkSpace state FLOATING",
            "unknown directory state NAPPING",
            "unknown image state BAKING",
            "unknown modification state RETHINKING",
        ]


async def test_no_entry_at_first_is_not_the_end() -> None:
    """Without properties to read back, an entry may take its time to show; after the grace there is none."""
    async with world() as (here, [workspace_id]):
        await here.ws.wait_until_modified(workspace_id, start_grace=45)

        assert 45 <= here.sim.clock.monotonic() <= 75
        here.sim.fleet.set_state(workspace_id, "TERMINATING")
        with pytest.raises(WaiterError, match="modified any more"):
            await here.ws.wait_until_modified(workspace_id)


async def test_an_image_is_waited_for() -> None:
    """PENDING until it is AVAILABLE."""
    async with world() as (here, [workspace_id]):
        answer = await here.ws.create_workspace_image(
            name="golden", description="An image.", workspace_id=workspace_id
        )
        assert answer.image_id is not None

        image = await here.ws.wait_until_image_available(answer.image_id)

        assert (image.image_id, image.state) == (answer.image_id, "AVAILABLE")


async def test_directories_are_waited_for_both_ways() -> None:
    """Deregistered means DEREGISTERED or absent; registered means REGISTERED."""
    async with world(0) as (here, _):
        directory = here.sim.fleet.directory_ids[-1]
        assert (await here.ws.wait_until_directory_registered(directory)).state == "REGISTERED"

        await here.ws.deregister_workspace_directory(directory_id=directory)
        await here.ws.wait_until_directory_deregistered(directory)


async def test_many_waits_share_calls_of_25() -> None:
    """Sixty WorkSpaces take three calls a round, not sixty."""
    async with world(60) as (here, ids):
        for start in range(0, 60, 20):
            requests = [StopRequest(workspace_id=one) for one in ids[start : start + 20]]
            await here.ws.stop_workspaces(stop_workspace_requests=requests)

        found = await asyncio.gather(*(here.ws.wait_until_stopped(one) for one in ids))

        assert {one.state for one in found} == {"STOPPED"}
        first = here.sim.requests.select("DescribeWorkspaces")[:3]
        named = [(one.parameters or {}).get("WorkspaceIds") for one in first]
        assert [len(one) for one in named if isinstance(one, list)] == [25, 25, 10]


async def test_one_bad_id_does_not_end_the_other_waits() -> None:
    """If a call for several is refused, each is asked about by itself."""
    async with world(2) as (here, [good, bad]):
        here.sim.faults.add("error", workspace_id=bad, code="InvalidParameterValuesException")
        here.sim.fleet.set_state(good, "STOPPED")

        results = await asyncio.gather(
            here.ws.wait_until_stopped(good), here.ws.wait_until_stopped(bad), return_exceptions=True
        )

        assert getattr(results[0], "state", None) == "STOPPED"
        assert isinstance(results[1], ServiceError)


@pytest.mark.parametrize("count", [1, 2])
async def test_a_throttle_that_retries_do_not_mend_is_passed_on(count: int) -> None:
    """Once it has lasted for ten polls more; reading one by one would only make it worse."""
    async with world(count) as (here, ids):
        here.sim.faults.add("throttle", operation="DescribeWorkspaces")

        results = await asyncio.gather(
            *(here.ws.wait_until_stopped(one) for one in ids), return_exceptions=True
        )

        assert {type(one) for one in results} == {ThrottlingException}
        assert here.count("DescribeWorkspaces") == 2 * 11
        assert not isinstance(results[0], ResourceNotFoundException)
