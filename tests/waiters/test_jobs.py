"""`install_applications` and `uninstall_applications`: from any state there, and nothing done twice."""

import asyncio
from typing import Final, Literal, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.waiters.world import World, world
from workspaces_apps import (
    AssociationChange,
    DeploymentFailedError,
    DeploymentOutcome,
    Pacing,
    RequestValidationError,
    ResourceNotFoundException,
    ServiceError,
    StagedChangesError,
    WaiterTimeoutError,
    WorkSpacesError,
)
from workspaces_apps.simulator import SimulatorSettings
from workspaces_apps.simulator._faults import FaultKind
from workspaces_apps.simulator._records import State

pytestmark = pytest.mark.campaign

WRITES: Final = (
    "AssociateWorkspaceApplication",
    "DisassociateWorkspaceApplication",
    "DeployWorkspaceApplications",
)
ARRIVES: dict[State | None, State | None] = {
    "PENDING_INSTALL": "COMPLETED",
    "INSTALLING": "COMPLETED",
    "PENDING_UNINSTALL": None,
    "UNINSTALLING": None,
}
STATES: Final[tuple[State | None, ...]] = (None, *get_args(State))


async def test_it_stages_deploys_and_waits() -> None:
    """The outcome says what was done, and what was so already."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.another, "COMPLETED")

        outcome = await here.ws.install_applications(workspace_id, [here.application, here.another])

        assert outcome.done == (here.application,)
        assert outcome.already == (here.another,)
        assert [(one.application_id, one.before, one.after) for one in outcome.changed] == [
            (here.application, None, "COMPLETED")
        ]
        assert [here.count(operation) for operation in WRITES] == [1, 0, 1]


async def test_what_is_there_already_costs_two_reads() -> None:
    """A second call only reads: the associations, and whether the WorkSpace is back."""
    async with world() as (here, [workspace_id]):
        await here.ws.install_applications(workspace_id, [here.application])
        calls = len(here.sim.requests)

        outcome = await here.ws.install_applications(workspace_id, [here.application])

        assert (outcome.done, outcome.already, outcome.changed) == ((), (here.application,), ())
        assert len(here.sim.requests) == calls + 2


def finish_later(here: World, workspace_id: str) -> asyncio.Task[None]:
    """Let changes on their way arrive two minutes from now, and the WorkSpace come back."""
    here.sim.fleet.set_state(workspace_id, "UPDATING")

    async def finish() -> None:
        await here.sim.clock.sleep(120)
        for application, state in here.sim.fleet.associations(workspace_id).items():
            here.sim.fleet.set_association(workspace_id, application, ARRIVES.get(state, state))
        here.sim.fleet.set_state(workspace_id, "AVAILABLE")

    return asyncio.create_task(finish())


@settings(max_examples=20)
@given(
    install=st.booleans(),
    state=st.sampled_from(STATES),
    other=st.sampled_from(STATES),
    direction=st.sampled_from(["install", "uninstall"]),
    error_record=st.sampled_from(["restate", "keep", "refuse"]),
    linger=st.booleans(),
    updating=st.booleans(),
)
async def test_it_gets_there_from_any_half_done_state(
    install: bool,
    state: State | None,
    other: State | None,
    direction: Literal["install", "uninstall"],
    error_record: Literal["restate", "keep", "refuse"],
    linger: bool,
    updating: bool,
) -> None:
    """Whatever a crash left behind, and whatever the service assumes: both applications end where they should."""
    options = SimulatorSettings(error_record=error_record, removed_rows_linger=linger)
    async with world(settings=options) as (here, [workspace_id]):
        found_at_first: dict[str, State | None] = {here.application: state, here.another: other}
        for application, initial in found_at_first.items():
            here.sim.fleet.set_association(workspace_id, application, initial, direction=direction)
        finishing = finish_later(here, workspace_id) if updating or {state, other} & set(ARRIVES) else None
        do = here.ws.install_applications if install else here.ws.uninstall_applications

        outcome = await do(workspace_id, [here.application, here.another], retry_failed=True)

        if finishing is not None:
            await finishing
        found = here.sim.fleet.associations(workspace_id)
        ended = {found.get(one) for one in (here.application, here.another)}
        assert ended <= ({"COMPLETED"} if install else {None, "REMOVED"})
        assert not outcome.failed
        calls = len(here.sim.requests)
        again = await do(workspace_id, [here.application, here.another])
        assert (again.done, len(here.sim.requests)) == ((), calls + 2)


@pytest.mark.parametrize("foreign", ["PENDING_INSTALL_DEPLOYMENT", "PENDING_UNINSTALL_DEPLOYMENT"])
async def test_it_refuses_to_commit_what_somebody_else_staged(foreign: State) -> None:
    """Nothing is staged or deployed beside a foreign staged change, unless that is allowed."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.another, foreign)

        with pytest.raises(StagedChangesError, match="include_staged") as caught:
            await here.ws.install_applications(workspace_id, [here.application])
        assert caught.value.staged == {here.another: foreign}
        assert [here.count(operation) for operation in WRITES] == [0, 0, 0]

        outcome = await here.ws.install_applications(workspace_id, [here.application], include_staged=True)
        assert outcome.done == (here.application,)
        assert here.sim.fleet.associations(workspace_id).get(here.another) in {None, "COMPLETED"}


async def test_taking_back_what_was_staged_needs_no_deploy() -> None:
    """A staged installation that is not wanted any more is reverted, whatever else is staged."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "PENDING_INSTALL_DEPLOYMENT")
        here.sim.fleet.set_association(workspace_id, here.another, "PENDING_INSTALL_DEPLOYMENT")

        outcome = await here.ws.uninstall_applications(workspace_id, [here.application])

        assert outcome.done == (here.application,)
        assert here.sim.fleet.associations(workspace_id) == {here.another: "PENDING_INSTALL_DEPLOYMENT"}
        assert [here.count(operation) for operation in WRITES] == [0, 1, 0]


async def test_what_is_in_error_is_retried_only_if_asked() -> None:
    """Without `retry_failed` it says what is in ERROR, and that nobody knows what had been tried."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "ERROR")

        with pytest.raises(DeploymentFailedError, match="retry_failed") as caught:
            await here.ws.install_applications(workspace_id, [here.application])

        assert [one.wanted for one in caught.value.failed] == [None]
        assert [here.count(operation) for operation in WRITES] == [0, 0, 0]


async def test_force_is_for_what_cannot_be_restated_and_only_once() -> None:
    """Where Associate does not take a failed record, Deploy repeats it with Force, and a second failure is the end."""
    options = SimulatorSettings(error_record="refuse", failure_rate=1)
    async with world(settings=options) as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "ERROR")

        with pytest.raises(DeploymentFailedError):
            await here.ws.install_applications(workspace_id, [here.application], retry_failed=True)

        deploys = here.sim.requests.select("DeployWorkspaceApplications")
        assert [(one.parameters or {}).get("Force") for one in deploys] == [True]


async def test_what_was_restated_is_not_forced_as_well() -> None:
    """One retry is one deployment: it takes the desktop away for a quarter of an hour."""
    options = SimulatorSettings(error_record="restate", failure_rate=1)
    async with world(settings=options) as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "ERROR")

        with pytest.raises(DeploymentFailedError):
            await here.ws.install_applications(workspace_id, [here.application], retry_failed=True)

        assert [here.count(operation) for operation in WRITES] == [1, 0, 1]


async def test_force_does_not_repeat_a_stranger_s_failure() -> None:
    """Force takes up everything in ERROR on the WorkSpace, so that it needs leave if there is more."""
    async with world(settings=SimulatorSettings(error_record="refuse")) as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "ERROR")
        here.sim.fleet.set_association(workspace_id, here.another, "ERROR")

        with pytest.raises(StagedChangesError):
            await here.ws.install_applications(workspace_id, [here.application], retry_failed=True)

        assert here.count("DeployWorkspaceApplications") == 0


async def test_a_failure_of_our_own_has_its_direction() -> None:
    """An association that this call staged and deployed is known to be an installation."""
    async with world(settings=SimulatorSettings(failure_rate=1)) as (here, [workspace_id]):
        with pytest.raises(DeploymentFailedError) as caught:
            await here.ws.install_applications(workspace_id, [here.application])

        assert [one.wanted for one in caught.value.failed] == ["installed"]


@pytest.mark.parametrize("install", [True, False])
async def test_a_failure_of_what_was_under_way_has_the_direction_it_showed(install: bool) -> None:
    """After a crash the job finds an installation under way; when that fails, it is known to be one."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "INSTALLING")
        do = here.ws.install_applications if install else here.ws.uninstall_applications
        doing = asyncio.create_task(do(workspace_id, [here.application]))
        await here.sim.clock.sleep(60)
        here.sim.fleet.set_association(workspace_id, here.application, "ERROR")

        with pytest.raises(DeploymentFailedError) as caught:
            await doing

        assert [one.wanted for one in caught.value.failed] == ["installed"]
        assert "repeat the installation" in caught.value.failed[0].force


async def test_the_timeout_is_for_the_whole_job() -> None:
    """Staging, deploying and waiting share the time."""
    async with world() as (here, [workspace_id]):
        with pytest.raises(WaiterTimeoutError):
            await here.ws.install_applications(workspace_id, [here.application], timeout=100)

        assert here.sim.clock.monotonic() == pytest.approx(100)


async def test_a_late_job_does_not_call_absent_what_it_never_read() -> None:
    """The words of the error say so, and what was seen last leaves it out."""
    async with world() as (here, [workspace_id]):
        here.sim.faults.add("unavailable", operation="DescribeWorkspaceAssociations")

        with pytest.raises(WaiterTimeoutError, match=f"{here.application} never read") as caught:
            await here.ws.install_applications(workspace_id, [here.application], timeout=10)

        assert caught.value.last == {workspace_id: ()}
        assert isinstance(caught.value.__cause__, ServiceError)


async def test_an_outage_of_polls_is_the_cause_of_a_late_job() -> None:
    """The error of the last poll that came back is told where the last read hangs."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "INSTALLING")
        reads = "DescribeWorkspaceAssociations"
        here.sim.faults.add("unavailable", operation=reads, skip=1, times=4)
        here.sim.faults.add("slow", operation=reads, skip=1, delay=3600)

        with pytest.raises(WaiterTimeoutError, match="INSTALLING") as caught:
            await here.ws.install_applications(workspace_id, [here.application], timeout=600)

        assert isinstance(caught.value.__cause__, ServiceError)


async def test_changes_are_told_while_it_works() -> None:
    """`on_change` sees each state, from staging on."""
    async with world() as (here, [workspace_id]):
        changes: list[AssociationChange] = []

        await here.ws.install_applications(workspace_id, [here.application], on_change=changes.append)

        assert [str(one.after) for one in changes] == [
            "PENDING_INSTALL_DEPLOYMENT",
            "PENDING_INSTALL",
            "INSTALLING",
            "COMPLETED",
        ]


async def test_a_workspace_that_stays_busy_is_waited_for_until_the_timeout() -> None:
    """It asks again every half a minute, and no longer than it was told."""
    async with world() as (here, [workspace_id]):
        here.sim.faults.add("error", operation=WRITES[0], code="ResourceInUseException")

        with pytest.raises(WaiterTimeoutError, match="absent"):
            await here.ws.install_applications(workspace_id, [here.application], timeout=600)

        assert here.count(WRITES[0]) == 20


@pytest.mark.parametrize("kind", ["throttle", "unavailable"])
async def test_what_an_outage_leaves_staged_is_told(kind: FaultKind) -> None:
    """It is not taken back: the Deploy may have arrived, and the service would not take that call either."""
    async with world() as (here, [workspace_id]):
        here.sim.faults.add(kind, operation=WRITES[2])

        with pytest.raises(ServiceError) as caught:
            await here.ws.install_applications(workspace_id, [here.application], timeout=3600)

        assert here.count(WRITES[1]) == 0
        assert here.application in "".join(getattr(caught.value, "__notes__", ()))


async def test_what_a_late_job_leaves_staged_is_told() -> None:
    """The next Deploy, whoever's, would commit it; there was no time to take it back."""
    async with world() as (here, [workspace_id]):
        here.sim.faults.add("error", operation=WRITES[2], code="ResourceInUseException")

        with pytest.raises(WaiterTimeoutError) as caught:
            await here.ws.install_applications(workspace_id, [here.application], timeout=600)

        assert here.sim.fleet.associations(workspace_id)[here.application] == "PENDING_INSTALL_DEPLOYMENT"
        (note,) = caught.value.__notes__
        assert f"may be staged still, and the next Deploy would commit it: {here.application}" in note


@pytest.mark.parametrize(
    "operation, kind, skip",
    [
        (WRITES[2], "slow", 0),
        (WRITES[0], "slow_after", 0),
        (WRITES[0], "slow_after", 1),
        ("DescribeWorkspaceAssociations", "slow", 1),
    ],
)
async def test_what_a_job_that_hangs_leaves_staged_is_told(
    operation: str, kind: FaultKind, skip: int
) -> None:
    """The note has all that it staged, or may have, whichever call hangs when its time is up."""
    async with world() as (here, [workspace_id]):
        here.sim.faults.add(kind, operation=operation, delay=5000, skip=skip)

        with pytest.raises(WaiterTimeoutError) as caught:
            await here.ws.install_applications(workspace_id, [here.application, here.another], timeout=600)

        staged = here.sim.fleet.associations(workspace_id)
        (note,) = caught.value.__notes__
        assert note.endswith(f"may be staged still, and the next Deploy would commit it: {', '.join(staged)}")


async def test_what_never_left_when_the_time_of_a_job_is_up_is_not_told() -> None:
    """A call that still waits for its permit has staged nothing."""
    async with world() as (here, [workspace_id]):
        slow = here.ws.with_options(pacing=Pacing.fixed(rate=0.001, burst=1))

        with pytest.raises(WaiterTimeoutError) as caught:
            await slow.install_applications(workspace_id, [here.application, here.another], timeout=600)

        assert here.count(WRITES[0]) == 1
        (note,) = caught.value.__notes__
        assert note.endswith(f"would commit it: {here.application}")


async def test_what_was_taken_back_before_a_job_hangs_is_not_left() -> None:
    """Each application is in one of the notes: taken back, or perhaps still staged."""
    async with world() as (here, [workspace_id]):
        third = here.sim.fleet.application("visual studio professional 2022")
        here.sim.faults.add("error", code="AccessDeniedException", operation=WRITES[0], skip=2)
        here.sim.faults.add("slow", operation=WRITES[1], delay=5000, skip=1)

        with pytest.raises(WaiterTimeoutError) as caught:
            await here.ws.install_applications(
                workspace_id, [here.application, here.another, third], timeout=600
            )

        taken_back, left = caught.value.__notes__
        assert taken_back.endswith(f"was taken back: {here.application}")
        assert left.endswith(f"would commit it: {here.another}")


@pytest.mark.parametrize("kind", ["reset_after", "unavailable"])
async def test_what_may_have_been_staged_and_cannot_be_read_is_told(kind: FaultKind) -> None:
    """An Associate whose answer was lost, in an outage of reads: nobody knows, so somebody should look."""
    async with world() as (here, [workspace_id]):
        here.sim.faults.add(kind, operation=WRITES[0])
        here.sim.faults.add("unavailable", operation="DescribeWorkspaceAssociations", skip=1)

        with pytest.raises(WorkSpacesError) as caught:
            await here.ws.install_applications(workspace_id, [here.application])

        (note,) = caught.value.__notes__
        assert note.endswith(f"would commit it: {here.application}")


async def test_other_refusals_are_passed_on() -> None:
    """An application that the WorkSpace cannot have is the service's to refuse."""
    async with world() as (here, [workspace_id]):
        wrong = here.sim.fleet.application("office professional 2016")

        with pytest.raises(ServiceError):
            await here.ws.install_applications(workspace_id, [wrong])
        with pytest.raises(RequestValidationError, match="several"):
            await here.ws.install_applications(workspace_id, wrong)  # type: ignore[arg-type]  # refused: the point
        with pytest.raises(RequestValidationError, match="at least one"):
            await here.ws.uninstall_applications(workspace_id, [])


async def test_a_deploy_that_comes_second_waits_for_the_first() -> None:
    """If another deployment is under way by then, it is waited for, and the rest is done after it."""
    async with world() as (here, [workspace_id]):
        here.sim.faults.add("error", operation=WRITES[2], code="ResourceInUseException", times=1)

        outcome = await here.ws.install_applications(workspace_id, [here.application])

        assert outcome.done == (here.application,)
        assert here.count(WRITES[2]) == 2


async def test_a_refused_deploy_is_passed_on() -> None:
    """A refusal for other reasons is the caller's to hear."""
    async with world() as (here, [workspace_id]):
        here.sim.faults.add("error", operation=WRITES[2], code="AccessDeniedException")

        with pytest.raises(ServiceError) as caught:
            await here.ws.install_applications(workspace_id, [here.application])

        assert caught.value.code == "AccessDeniedException"


async def test_a_refused_retry_is_passed_on() -> None:
    """Only refusals that may mean "not with a failed record" lead on to Force."""
    async with world() as (here, [workspace_id]):
        here.sim.fleet.set_association(workspace_id, here.application, "ERROR")
        here.sim.faults.add("error", operation=WRITES[0], code="AccessDeniedException")

        with pytest.raises(ServiceError):
            await here.ws.install_applications(workspace_id, [here.application], retry_failed=True)

        assert here.count(WRITES[2]) == 0


async def test_an_application_that_does_not_exist_is_refused_once() -> None:
    """The service's own error is passed on, with what was seen, and is no reason to try again."""
    async with world() as (here, [workspace_id]):
        with pytest.raises(ResourceNotFoundException) as caught:
            await here.ws.install_applications(workspace_id, ["wsa-000000000"])

        assert [here.count(operation) for operation in WRITES] == [1, 0, 0]
        assert caught.value.last is not None
        assert workspace_id in caught.value.last


@pytest.mark.parametrize("nothing", ["accept", "refuse"])
async def test_two_that_do_the_same_at_once_both_end_well(nothing: Literal["accept", "refuse"]) -> None:
    """Whoever comes second with Deploy finds nothing staged, and waits for the first one's deployment."""
    async with world(settings=SimulatorSettings(deploy_nothing=nothing)) as (here, [workspace_id]):
        outcomes = await asyncio.gather(
            *(here.ws.install_applications(workspace_id, [here.application]) for _ in range(2))
        )

        assert [[str(one.state) for one in outcome.associations] for outcome in outcomes] == [
            ["COMPLETED"]
        ] * 2


@pytest.mark.parametrize("operation", ["DescribeWorkspaceAssociations", "DescribeWorkspaces", *WRITES[::2]])
async def test_a_call_that_hangs_does_not_hold_up_the_job(operation: str) -> None:
    """Half a minute after its time the job has ended, whatever it is doing."""
    async with world() as (here, [workspace_id]):
        here.sim.faults.add("slow", operation=operation, delay=3600)

        with pytest.raises(WaiterTimeoutError, match="within 100 s"):
            await here.ws.install_applications(workspace_id, [here.application], timeout=100)

        assert 100 < here.sim.clock.monotonic() <= 130


@pytest.mark.parametrize("install", [True, False])
async def test_a_refused_job_leaves_nothing_staged(install: bool) -> None:
    """Associations staged before the refusal are taken back: the next Deploy, whoever's, would commit them."""
    async with world() as (here, [workspace_id]):
        do, state = here.ws.install_applications, None
        if not install:
            do, state = here.ws.uninstall_applications, "COMPLETED"
            for one in (here.application, here.another):
                here.sim.fleet.set_association(workspace_id, one, "COMPLETED")
        stage, _ = WRITES[:2] if install else WRITES[1::-1]
        refusal = "OperatingSystemNotCompatibleException" if install else "AccessDeniedException"
        here.sim.faults.add("error", code=refusal, operation=stage, skip=1, times=1)

        with pytest.raises(ServiceError) as caught:
            await do(workspace_id, [here.application, here.another])

        assert caught.value.code == refusal
        assert here.application in caught.value.__notes__[0]
        found = here.sim.fleet.associations(workspace_id)
        assert {found.get(one) for one in (here.application, here.another)} == {state}
        assert here.count("DeployWorkspaceApplications") == 0


async def test_what_cannot_be_taken_back_is_told() -> None:
    """Then the error says what the next Deploy would commit."""
    async with world() as (here, [workspace_id]):
        here.sim.faults.add("error", code="AccessDeniedException", operation=WRITES[0], skip=1)
        here.sim.faults.add("error", code="AccessDeniedException", operation=WRITES[1])

        with pytest.raises(ServiceError) as caught:
            await here.ws.install_applications(workspace_id, [here.application, here.another])

        assert "staged still" in caught.value.__notes__[0]
        assert here.sim.fleet.associations(workspace_id) == {here.application: "PENDING_INSTALL_DEPLOYMENT"}


async def test_two_jobs_that_meet_leave_nothing_staged() -> None:
    """Each refuses where it finds the other's staged application, or waits for its deployment; neither leaves anything."""
    async with world() as (here, [workspace_id]):
        ended = await asyncio.gather(
            here.ws.install_applications(workspace_id, [here.application]),
            here.ws.install_applications(workspace_id, [here.another]),
            return_exceptions=True,
        )

        staged = {"PENDING_INSTALL_DEPLOYMENT", "PENDING_UNINSTALL_DEPLOYMENT"}
        assert {type(one) for one in ended} <= {StagedChangesError, DeploymentOutcome}
        assert not staged & set(here.sim.fleet.associations(workspace_id).values())
