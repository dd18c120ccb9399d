"""Right values of reports from the field about two ways to install and two pollers."""

import asyncio
import contextvars
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Final, Literal

import pytest

from tests.reconcile.row import Row, Way
from tests.reconcile.scene import DEPLOYING, Happening, Scene, scene
from tests.reconcile.table import run_bounded
from tests.reconcile.ways import WAYS
from tests.rollout.site import VISIO, manifest, site
from workspaces_apps import AttemptRecord, Hooks, WaiterError, errors
from workspaces_apps.api import StartRequest
from workspaces_apps.rollout import Rollout
from workspaces_apps.simulator import SimulatorSettings

pytestmark = pytest.mark.campaign

_READS: Final = (
    "DescribeApplicationAssociations",
    "DescribeWorkspaceAssociations",
    "DescribeWorkspaces",
    "DescribeApplications",
)
_GUARDED: Final = timedelta(seconds=10)
_STAGED: Final = "PENDING_INSTALL_DEPLOYMENT"


def _reboots(*others: Happening) -> tuple[Happening, ...]:
    """Between plan and apply the WorkSpace reboots, for 100 s."""
    return (
        Happening(at="between", does=lambda here: here.workspace_is("REBOOTING")),
        *others,
        Happening(at="between", does=lambda here: here.workspace_is("AVAILABLE"), after=100),
    )


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_staged_while_the_workspace_reboots_is_never_committed(way: Way) -> None:
    """reconcile-two-installers: either way refuses after the reboot, fails nothing, and takes nothing else along."""
    somebody = Happening(at="between", does=partial(_stage_foreign, _STAGED), after=50)
    row = Row(
        name="two installers",
        source="CASES: StagedChangesError; apply waits until it is ready.",
        begins={"one": _STAGED},
        happenings=_reboots(somebody),
        comes_to={},
        ends={},
        deploys=(),
    )

    result = await run_bounded(row, way)

    assert result.outcomes == {"one": "skipped: foreign-staged"}
    assert (result.ends["foreign"], result.deploys) == (_STAGED, 0)


def _stage_foreign(state: str, here: Scene) -> None:
    here.association_is("foreign", state)


@pytest.mark.parametrize("way", WAYS)
async def test_the_read_before_deploy_is_fresh_however_long_the_reboot_took(way: Way) -> None:
    """reconcile-two-installers: when Deploy leaves, all associations of the WorkSpace were read at most 10 s ago."""
    ages: list[timedelta] = []
    row = Row(
        name="the age of the last read",
        source="One guard before every attempt of Deploy: associations read at most 10 s ago.",
        begins={"one": _STAGED},
        happenings=_reboots(),
        comes_to={},
        ends={},
        deploys=(),
        check=lambda here, _: ages.extend(_ages_of_reads(here)),
    )

    result = await run_bounded(row, way)

    assert result.outcomes == {"one": "succeeded"}
    assert len(ages) == 1
    assert ages[0] <= _GUARDED


def _ages_of_reads(here: Scene) -> list[timedelta]:
    ages: list[timedelta] = []
    latest = None
    for request in here.sim.requests:
        if request.operation == "DescribeWorkspaceAssociations" and request.status == 200:
            latest = request.at
        elif request.operation == DEPLOYING:
            assert latest is not None
            ages.append(request.at - latest)
    return ages


async def test_a_job_whose_workspace_ends_in_error_says_which_state() -> None:
    """reconcile-two-ends: WorkspaceNotReadyError, a WaiterError, with the state that needs somebody."""
    broken = Happening(at="deployed", does=lambda here: here.workspace_is("ERROR"), after=30)
    # By name: releases before this behaviour have no such class.
    not_ready = getattr(errors, "WorkspaceNotReadyError", None)
    async with scene((broken,)) as here:
        with pytest.raises(WaiterError) as caught:
            await here.client.install_applications(here.workspace_id, [here.applications["one"]])

        assert not_ready is not None
        assert type(caught.value) is not_ready
        assert getattr(caught.value, "workspace_state", None) == "ERROR"
        assert here.states() == {"one": "COMPLETED"}


@pytest.mark.parametrize("moment", ["before", "deployed"])
async def test_a_run_with_a_workspace_that_needs_somebody_is_incomplete(
    moment: Literal["before", "deployed"],
) -> None:
    """reconcile-two-ends: whether it is blocked by the plan or fails after Deploy, the run is not complete."""
    row = Row(
        name="two ends",
        source="A run with a workspace-state is incomplete.",
        happenings=(Happening(at=moment, does=lambda here: here.workspace_is("ERROR")),),
        comes_to={},
        ends={},
        deploys=(),
    )

    result = await run_bounded(row, "rollout")

    word = {"before": "blocked", "deployed": "failed"}[moment]
    assert (result.native["one"], result.ending) == (f"{word}: workspace-state", "incomplete")


async def test_a_wait_and_a_rollout_over_the_same_deployments_share_their_reads() -> None:
    """reconcile-two-pollers: together at most 1.1 times what the larger takes alone, for deployments of 8 to 20 minutes."""
    reads = {kind: await _reads_of(kind) for kind in ("wait", "apply", "both")}

    assert reads["both"] <= 1.1 * max(reads["wait"], reads["apply"]), reads


async def _reads_of(kind: str) -> int:
    async with site(settings=SimulatorSettings()) as here:
        ids = here.sim.fleet.add_workspaces(100)
        application = here.sim.fleet.application(VISIO)
        plan = await here.rollout.plan(manifest([application], max_in_flight=1000))
        for one in ids:
            await here.client.associate_workspace_application(workspace_id=one, application_id=application)
            await here.client.deploy_workspace_applications(workspace_id=one)
        here.sim.requests.clear()

        async def wait() -> None:
            await here.client.wait_until_all_deployed(ids)

        async def apply() -> None:
            result, _ = await here.carry_out(plan)
            assert (result.ending, result.succeeded) == ("complete", 100)

        ways = {"wait": [wait], "apply": [apply], "both": [wait, apply]}[kind]
        await asyncio.gather(*(way() for way in ways))

        assert here.states(VISIO, ids) == {"COMPLETED": 100}
        assert not here.deployments()
        return sum(here.sim.requests.count(operation) for operation in _READS)


_request: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="nobody")


@pytest.mark.parametrize("first", ["install", "wait", "apply"])
async def test_shared_polls_run_in_no_caller_s_context(first: str) -> None:
    """reconcile-poller-context: once a request has ended, nothing is logged or traced under it, whatever it began."""
    seen: Counter[str] = Counter()

    def on_attempt(record: AttemptRecord) -> None:
        seen[_request.get()] += record.attempt == 1

    async with scene(hooks=Hooks(on_attempt=on_attempt)) as here:
        client, application = here.client, here.applications["one"]
        other = here.sim.fleet.add_workspaces(1)[0]

        async def request(name: str) -> None:
            _request.set(name)
            if first == "install":
                await client.install_applications(here.workspace_id, [application])
                return
            await client.associate_workspace_application(
                workspace_id=here.workspace_id, application_id=application
            )
            await client.deploy_workspace_applications(workspace_id=here.workspace_id)
            if first == "wait":
                await client.wait_until_deployed(here.workspace_id)
                return
            rollout = Rollout(client, clock=here.clock, hooks=Hooks(on_attempt=on_attempt))
            wanted = manifest([application], select={"workspace_ids": [here.workspace_id]})
            async with rollout.apply(await rollout.plan(wanted)) as run:
                await run.finished()

        async def later() -> None:
            await here.clock.sleep(40)
            _request.set("second")
            await client.install_applications(other, [application])

        second = asyncio.create_task(later())
        await asyncio.create_task(request("first"))
        seen.clear()
        await second

    assert seen["first"] == 0, seen
    assert seen.total() > 0


@pytest.mark.parametrize("moment", ["before the plan", "between plan and apply"])
async def test_desktops_that_are_starting_are_planned_and_waited_for(moment: str) -> None:
    """rollout-autostop-in-motion: none is blocked or fails, and the run is complete with all of them."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(10, operating_system="WINDOWS_11", state="STOPPED")
        starts = [StartRequest(workspace_id=one) for one in ids[:3]]
        wanted = manifest(["office ltsc standard 2021"])
        if moment == "before the plan":
            await here.client.start_workspaces(start_workspace_requests=starts)
        plan = await here.rollout.plan(wanted)
        if moment != "before the plan":
            await here.client.start_workspaces(start_workspace_requests=starts)

        result, _ = await here.carry_out(plan)

        assert (result.ending, result.succeeded) == ("complete", 10)
        assert set(here.deployments().values()) == {1}
        assert len(here.deployments()) == 10
        assert here.states("office ltsc standard 2021", ids) == {"COMPLETED": 10}
