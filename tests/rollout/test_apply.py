"""Carrying plans out against the simulator, over real HTTP, in simulated time."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from tests.rollout.site import LARGE, OFFICE, OTHER_EDITION, VISIO, connection_to, last_words, manifest, site
from workspaces_apps._reconcile.reconciler import Reconciler
from workspaces_apps._telemetry.port import Hooks
from workspaces_apps.errors import ClientStateError
from workspaces_apps.rollout import (
    Deployed,
    Event,
    Failed,
    Intent,
    JournalBusyError,
    Manifest,
    Plan,
    Planned,
    Reason,
    Report,
    Rollout,
    Staged,
    WaveBegan,
    read_journal,
)
from workspaces_apps.rollout._log.events import TEXT_LIMIT
from workspaces_apps.simulator import FaultKind, SimulatorSettings, Throttle
from workspaces_apps.simulator._records import State

pytestmark = pytest.mark.campaign

FAULTS: tuple[FaultKind, ...] = (
    "throttle",
    "internal_error",
    "unavailable_html",
    "reset_before",
    "reset_after",
)


async def test_quick_deployments_are_noticed_quickly() -> None:
    """A run of two turns takes seconds and few calls if deployments take no time, as in somebody's tests."""
    async with site(settings=SimulatorSettings.instant()) as here:
        here.sim.fleet.add_workspaces(20)
        plan = await here.rollout.plan(manifest(max_in_flight=10))
        began, calls = here.clock.monotonic(), len(here.sim.requests)

        result, _ = await here.carry_out(plan)

        assert (result.ending, result.succeeded) == ("complete", 20)
        assert here.clock.monotonic() - began < 20
        assert len(here.sim.requests) - calls <= 4 * 20 + 15


async def test_what_is_missing_gets_installed(tmp_path: Path) -> None:
    """Every WorkSpace that lacks the application has it at the end, after one deployment each."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(12)
        plan = await here.rollout.plan(manifest())
        result, events = await here.carry_out(plan, tmp_path / "journal")

        assert result.ending == "complete"
        assert set(last_words(events).values()) == {"succeeded"}
        assert here.states(OFFICE, ids) == {"COMPLETED": 12}
        assert set(here.deployments().values()) == {1}
        assert (await here.rollout.plan(manifest())).exit_code == 0


async def test_installs_and_removals_go_in_one_deployment() -> None:
    """Removals are staged first, so that their replacements do not clash with them."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        here.sim.fleet.set_association(one, here.sim.fleet.application(OTHER_EDITION), "COMPLETED")
        plan = await here.rollout.plan(manifest(present=[OFFICE, VISIO], absent=[OTHER_EDITION]))
        result, events = await here.carry_out(plan)

        assert result.ending == "complete"
        assert result.succeeded == 3
        assert next(event.direction for event in events if isinstance(event, Staged)) == "uninstall"
        assert here.deployments() == {one: 1}


async def test_a_second_apply_does_nothing(tmp_path: Path) -> None:
    """The same plan again finds everything done, and writes nothing to the service."""
    async with site() as here:
        here.sim.fleet.add_workspaces(3)
        plan = await here.rollout.plan(manifest())
        await here.carry_out(plan, tmp_path / "journal")
        writes = here.sim.requests.count("DeployWorkspaceApplications")
        result, events = await here.carry_out(plan, tmp_path / "journal")

        assert result.ending == "complete"
        assert set(last_words(events).values()) == {"succeeded"}
        assert here.sim.requests.count("DeployWorkspaceApplications") == writes


async def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    """No call but what the plan made, no journal."""
    async with site() as here:
        here.sim.fleet.add_workspaces(3)
        plan = await here.rollout.plan(manifest())
        calls = len(here.sim.requests)
        result, _ = await here.carry_out(plan, tmp_path / "journal", dry_run=True)

        assert result.ending == "dry-run"
        assert len(here.sim.requests) == calls
        assert not (tmp_path / "journal").exists()


async def test_every_intent_is_in_the_journal_before_its_write(tmp_path: Path) -> None:
    """When the service sees a Deploy, the journal on disk already announces it."""
    async with site() as here:
        here.sim.fleet.add_workspaces(4)
        plan = await here.rollout.plan(manifest())
        async with here.rollout.apply(plan, journal=tmp_path / "journal") as run:
            async for event in run:
                if isinstance(event, Deployed):
                    break
            taken = here.deployments()
            announced = {
                event.workspace_id
                for event in read_journal(tmp_path / "journal")
                if isinstance(event, Intent) and event.operation == "DeployWorkspaceApplications"
            }

        assert taken
        assert taken.keys() <= announced


async def test_two_applies_on_one_journal_refuse_each_other(tmp_path: Path) -> None:
    """The second is told so, and the first goes on."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        plan = await here.rollout.plan(manifest())
        async with here.rollout.apply(plan, journal=tmp_path / "journal") as run:
            second = here.rollout.apply(plan, journal=tmp_path / "journal")
            with pytest.raises(JournalBusyError, match="another apply"):
                await second.__aenter__()
            assert (await run.finished()).ending == "complete"


async def test_waves_wait_for_each_other() -> None:
    """A wave begins when all of the one before has ended."""
    async with site() as here:
        here.sim.fleet.add_workspaces(7)
        plan = await here.rollout.plan(manifest(canary=1, growth=2.0))
        _, events = await here.carry_out(plan)
        waves = [event.workspaces for event in events if isinstance(event, WaveBegan)]
        open_changes = 0
        for event in events:
            match event:
                case WaveBegan():
                    assert open_changes == 0
                case Deployed():
                    open_changes += 1
                case _ if event.kind == "succeeded":
                    open_changes -= 1
                case _:
                    pass

        assert waves == [1, 2, 4]


async def test_the_ceiling_holds() -> None:
    """No more WorkSpaces are being changed at the same time than the policy allows."""
    async with site() as here:
        here.sim.fleet.add_workspaces(9)
        plan = await here.rollout.plan(manifest(max_in_flight=3))
        _, events = await here.carry_out(plan)
        busy: set[str] = set()
        most = 0
        for event in events:
            if isinstance(event, Staged):
                busy.add(event.workspace_id)
            elif event.kind == "succeeded":
                busy.discard(event.workspace_id)
            most = max(most, len(busy))

        assert most == 3


async def test_a_spent_budget_stops_new_work_and_lets_running_work_end() -> None:
    """One failure too many: what has begun ends, the rest is skipped with the reason."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(8)
        here.sim.faults.add("deployment_error", workspace_id=ids[0])
        here.sim.faults.add("deployment_error", workspace_id=ids[1])
        plan = await here.rollout.plan(manifest(max_in_flight=4, failure_budget=1, retries=0))
        result, events = await here.carry_out(plan)
        words = last_words(events)

        assert result.ending == "budget-spent"
        assert result.failed == 2
        assert len(words) == 8
        assert any(word == "skipped: budget-spent" for word in words.values())
        assert here.states(OFFICE, ids)["INSTALLING"] == 0


async def test_draining_lets_running_work_end() -> None:
    """After `drain()` nothing begins; every WorkSpace has its last word."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(6)
        plan = await here.rollout.plan(manifest(max_in_flight=2))
        events: list[Event] = []
        async with here.rollout.apply(plan) as run:
            async for event in run:
                events.append(event)
                if isinstance(event, Deployed):
                    run.drain()
        words = last_words(events)

        assert run.result is not None
        assert run.result.ending == "drained"
        assert len(words) == 6
        assert here.states(OFFICE, ids)["COMPLETED"] == list(words.values()).count("succeeded") >= 1


async def test_stopping_tells_what_was_going_on(tmp_path: Path) -> None:
    """After `stop()` the journal has a last word on each WorkSpace, and a new apply finishes the work."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(6)
        plan = await here.rollout.plan(manifest(max_in_flight=2))
        async with here.rollout.apply(plan, journal=tmp_path / "journal") as run:
            async for event in run:
                if isinstance(event, Deployed):
                    run.stop()
        stopped = read_journal(tmp_path / "journal")
        plan = await here.rollout.plan(manifest(), journal=tmp_path / "journal")
        result, _ = await here.carry_out(plan, tmp_path / "journal")

        assert run.result is not None
        assert run.result.ending == "stopped"
        assert len(last_words(stopped)) == 6
        assert any(
            "goes on" in event.message for event in stopped if event.kind == "skipped" and event.message
        )
        assert result.ending == "complete"
        assert set(here.deployments().values()) == {1}
        assert here.states(OFFICE, ids) == {"COMPLETED": 6}


async def test_leaving_the_block_stops_the_apply() -> None:
    """An exception of the consumer's ends the apply, and passes."""
    async with site() as here:
        here.sim.fleet.add_workspaces(2)
        plan = await here.rollout.plan(manifest())
        run = here.rollout.apply(plan)
        with pytest.raises(LookupError):
            async with run:
                raise LookupError

        assert run.result is not None
        assert run.result.ending == "stopped"


async def test_what_was_staged_by_somebody_else_is_not_deployed() -> None:
    """Staged between the plan and the read before Deploy: refused, and what was staged here is taken back."""
    async with site() as here:
        (one, other) = here.sim.fleet.add_workspaces(2)
        plan = await here.rollout.plan(manifest())
        here.sim.fleet.set_association(one, here.sim.fleet.application(LARGE), "PENDING_INSTALL_DEPLOYMENT")
        _, events = await here.carry_out(plan)
        office = here.sim.fleet.application(OFFICE)

        assert last_words(events)[one, office] == "skipped: foreign-staged"
        assert last_words(events)[other, office] == "succeeded"
        assert here.deployments() == {other: 1}
        assert here.sim.fleet.associations(one) == {
            here.sim.fleet.application(LARGE): "PENDING_INSTALL_DEPLOYMENT"
        }


async def test_what_the_plan_shows_may_be_allowed() -> None:
    """With `allow_foreign_staged` what the plan showed is deployed too; what came later is not."""
    async with site() as here:
        (one, other) = here.sim.fleet.add_workspaces(2)
        large = here.sim.fleet.application(LARGE)
        here.sim.fleet.set_association(one, large, "PENDING_INSTALL_DEPLOYMENT")
        plan = await here.rollout.plan(manifest(allow_foreign_staged=True))
        here.sim.fleet.set_association(other, large, "PENDING_INSTALL_DEPLOYMENT")
        _, events = await here.carry_out(plan)

        assert here.deployments() == {one: 1}
        assert here.sim.fleet.associations(one)[large] in ("COMPLETED", "INSTALLING")
        assert last_words(events)[other, here.sim.fleet.application(OFFICE)] == "skipped: foreign-staged"


async def test_connected_users_are_left_alone() -> None:
    """With `skip_connected` nobody loses a session, also who connected after the plan."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(3)
        for one in ids:
            here.sim.fleet.workspace(one).connected = one == ids[0]
        plan = await here.rollout.plan(manifest(skip_connected=True))
        here.sim.fleet.workspace(ids[1]).connected = True
        _, events = await here.carry_out(plan)

        assert here.deployments() == {ids[2]: 1}
        # Known before anything was staged, and asked again: nothing is left half done there.
        assert here.sim.fleet.associations(ids[0]) == {}
        assert sorted(last_words(events).values()) == ["skipped: connected"] * 2 + ["succeeded"]


async def test_hours_are_waited_for() -> None:
    """Deployments begin when the hours of the WorkSpace's time zone do."""
    async with site() as here:
        here.sim.fleet.add_workspaces(2)
        hours = [{"time_zone": "Asia/Tokyo", "start": "22:00", "end": "23:00"}]
        plan = await here.rollout.plan(manifest(hours=hours))
        result, events = await here.carry_out(plan)
        begun = [event.at for event in events if isinstance(event, Staged)]

        assert result.ending == "complete"
        # The simulated day begins at 08:00 UTC, which is 17:00 in Tokyo.
        assert {at.hour for at in begun} == {13}


async def test_outside_the_hours_can_be_skipped() -> None:
    """With `outside_hours = "skip"` the apply ends at once; a WorkSpace that no entry fits is never begun."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        fits = {"time_zone": "UTC", "start": "01:00", "end": "02:00"}
        never = {**fits, "end": "01:00", "select": {"user_names": "nobody"}}
        for hours, policy in (([fits], "skip"), ([never], "wait")):
            plan = await here.rollout.plan(manifest(hours=hours, outside_hours=policy))
            result, events = await here.carry_out(plan)
            assert last_words(events) == {(one, here.sim.fleet.application(OFFICE)): "skipped: outside-hours"}
            assert result.elapsed < 60
        assert not here.deployments()


async def test_an_error_is_tried_again_as_often_as_allowed(tmp_path: Path) -> None:
    """Force is used `retries` times over all runs, and then no more."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        here.sim.faults.add("deployment_error", workspace_id=one)
        asked = manifest(retries=2, failure_budget=5)
        plan = await here.rollout.plan(asked)
        result, events = await here.carry_out(plan, tmp_path / "journal")
        again = await here.rollout.plan(asked, journal=tmp_path / "journal")
        forced = [event for event in events if isinstance(event, Deployed) and event.force]

        assert result.failed == 1
        assert here.deployments() == {one: 3}
        assert len(forced) == 2
        assert [event.final for event in events if isinstance(event, Failed)] == [False, False, True]
        assert again.workspaces[0].changes[0].reason == Reason.RETRIES_EXHAUSTED


@pytest.mark.parametrize("lingering", [LARGE, None])
async def test_force_never_retries_what_is_not_in_the_plan(lingering: str | None) -> None:
    """With another application in ERROR, the failed one is staged anew instead of forced."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        office = here.sim.fleet.application(OFFICE)
        if lingering is not None:
            here.sim.fleet.set_association(one, here.sim.fleet.application(lingering), "ERROR")
        here.sim.faults.add("deployment_error", application_id=office, times=1)
        plan = await here.rollout.plan(manifest())
        result, events = await here.carry_out(plan)
        forced = [event for event in events if isinstance(event, Deployed) and event.force]

        assert result.succeeded == 1
        assert bool(forced) is (lingering is None)


@pytest.mark.parametrize(
    "error_record,assume,word",
    [
        ("restate", False, "succeeded"),
        ("keep", False, "skipped: direction-unknown"),
        ("refuse", False, "skipped: direction-unknown"),
        ("keep", True, "succeeded"),
    ],
)
async def test_the_direction_of_an_error_must_be_known(
    error_record: Literal["restate", "keep", "refuse"], assume: bool, word: str
) -> None:
    """From the journal, or because the service takes it anew; otherwise nothing is forced unless asked."""
    async with site(error_record=error_record) as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        office = here.sim.fleet.application(OFFICE)
        here.sim.fleet.set_association(one, office, "ERROR")
        plan = await here.rollout.plan(manifest())
        _, events = await here.carry_out(plan, assume_direction=assume)

        assert plan.counts == {"retry": 1}
        assert last_words(events) == {(one, office): word}


async def test_the_journal_remembers_the_direction_over_runs(tmp_path: Path) -> None:
    """A failed install that an earlier run saw is forced by the next, where the service would not restate it."""
    async with site(error_record="keep") as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        here.sim.faults.add("deployment_error", workspace_id=one, times=1)
        first = await here.rollout.plan(manifest(retries=0))
        await here.carry_out(first, tmp_path / "journal")
        second = await here.rollout.plan(manifest(retries=1), journal=tmp_path / "journal")
        result, events = await here.carry_out(second, tmp_path / "journal")

        assert result.succeeded == 1
        assert [event.force for event in events if isinstance(event, Deployed)] == [True]


async def test_a_failed_removal_is_never_forced_into_an_install(tmp_path: Path) -> None:
    """The journal knows that a removal failed; now the application is wanted, and Force would remove it."""
    async with site(error_record="keep") as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        office = here.sim.fleet.application(OFFICE)
        here.sim.fleet.set_association(one, office, "COMPLETED")
        here.sim.faults.add("deployment_error", workspace_id=one, times=1)
        gone = await here.rollout.plan(manifest(present=[], absent=[OFFICE], retries=0))
        await here.carry_out(gone, tmp_path / "journal")
        back = await here.rollout.plan(manifest(), journal=tmp_path / "journal")
        _, events = await here.carry_out(back, tmp_path / "journal", assume_direction=True)

        assert last_words(events) == {(one, office): "skipped: direction-opposite"}
        assert not any(event.force for event in events if isinstance(event, Deployed))


async def test_a_workspace_that_vanishes_is_told() -> None:
    """Terminated after the plan: skipped as vanished, the rest goes on."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(3)
        plan = await here.rollout.plan(manifest())
        here.sim.fleet.store.drop_workspace(here.sim.fleet.workspace(ids[1]))
        _, events = await here.carry_out(plan)
        words = last_words(events)

        assert words[ids[1], here.sim.fleet.application(OFFICE)] == "skipped: vanished"
        assert list(words.values()).count("succeeded") == 2


async def test_a_missing_permission_halts_with_a_clear_message() -> None:
    """The first AccessDeniedException ends new work: the others would end the same way."""
    async with site() as here:
        here.sim.fleet.add_workspaces(50)
        here.sim.faults.add("error", operation="AssociateWorkspaceApplication", code="AccessDeniedException")
        plan = await here.rollout.plan(manifest(failure_budget="100%"))
        result, events = await here.carry_out(plan)

        assert result.ending == "budget-spent"
        assert "AssociateWorkspaceApplication" in result.message
        assert "AccessDeniedException" in result.message
        assert len(last_words(events)) == 50
        assert here.sim.requests.count("AssociateWorkspaceApplication") < 50


async def test_what_a_refused_deploy_leaves_staged_is_said() -> None:
    """Somebody else's deployment would commit it, and taking it back was refused too."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        for operation in ("DeployWorkspaceApplications", "DisassociateWorkspaceApplication"):
            here.sim.faults.add("error", operation=operation, code="AccessDeniedException")
        _, events = await here.carry_out(await here.rollout.plan(manifest()))
    (failed,) = [event for event in events if isinstance(event, Failed)]

    assert failed.reason == "AccessDeniedException"
    assert failed.message.endswith("; its change stays staged, and any deployment would commit it")


async def test_a_hostile_message_of_any_length_takes_a_line_of_the_journal(tmp_path: Path) -> None:
    """Five million characters, and half of one: the journal stays small and can be read, and the apply ends."""
    message = "\ud800" + "m" * 5_000_000
    async with site() as here:
        here.sim.fleet.add_workspaces(3)
        here.sim.faults.add(
            "error",
            operation="DeployWorkspaceApplications",
            code="OperationNotSupportedException",
            message=message,
        )
        plan = await here.rollout.plan(manifest(failure_budget="100%"))
        result, events = await here.carry_out(plan, tmp_path / "journal")
    told = [event.message for event in events if isinstance(event, Failed)]

    assert result.ending == "incomplete"
    assert [(len(one), one[0], one[-1]) for one in told] == [(TEXT_LIMIT, "\ufffd", "…")] * 3
    assert (tmp_path / "journal").stat().st_size < 30_000
    assert read_journal(tmp_path / "journal") == tuple(events)


async def test_a_refusal_of_the_service_is_the_last_word() -> None:
    """A change that the plan took for possible and the service refuses counts as failed, with the service's code."""
    async with site() as here:
        (one, other) = here.sim.fleet.add_workspaces(2)
        here.sim.faults.add(
            "error",
            operation="AssociateWorkspaceApplication",
            workspace_id=one,
            code="ComputeNotCompatibleException",
        )
        plan = await here.rollout.plan(manifest(failure_budget=5))
        result, events = await here.carry_out(plan)
        office = here.sim.fleet.application(OFFICE)

        assert last_words(events) == {
            (one, office): "failed: ComputeNotCompatibleException",
            (other, office): "succeeded",
        }
        assert result.ending == "incomplete"


async def test_a_deployment_that_does_not_end_times_out() -> None:
    """Longer than the policy's time: failed, and told in which state it is."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        plan = await here.rollout.plan(manifest(deployment_timeout=30))
        _, events = await here.carry_out(plan)

        assert last_words(events) == {(one, here.sim.fleet.application(OFFICE)): "failed: timeout"}
        assert any("INSTALL" in event.message for event in events if isinstance(event, Failed))


async def test_a_saved_plan_can_be_applied_later(tmp_path: Path) -> None:
    """A plan read back from its file does what it says, on the fleet as it is now."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(3)
        (await here.rollout.plan(manifest())).save(tmp_path / "plan.json")
        here.sim.fleet.set_association(ids[0], here.sim.fleet.application(OFFICE), "COMPLETED")
        result, _ = await here.carry_out(Plan.load(tmp_path / "plan.json"))

        assert result.succeeded == 3
        assert here.deployments().keys() == set(ids[1:])


@pytest.mark.parametrize("seed", range(3))
async def test_the_fault_campaign_ends_with_the_truth(seed: int, tmp_path: Path) -> None:
    """Under every kind of fault the apply ends, nothing is deployed twice, and each last word is true."""
    async with site(throttle=Throttle(), seed=seed) as here:
        ids = here.sim.fleet.add_workspaces(40)
        for kind in FAULTS:
            here.sim.faults.add(kind, probability=0.02)
        here.sim.faults.add("truncated", probability=0.01)
        here.sim.faults.add("not_json", probability=0.01)
        here.sim.faults.add("empty_page", operation="DescribeApplicationAssociations", probability=0.1)
        here.sim.faults.add("deployment_error", probability=0.1)
        plan = await here.rollout.plan(manifest(failure_budget="100%", retries=0))
        result, events = await here.carry_out(plan, tmp_path / "journal")
        words, office = last_words(events), here.sim.fleet.application(OFFICE)

        assert len(words) == 40
        assert result.succeeded + result.failed + result.skipped == 40
        assert max(here.deployments().values()) == 1
        for one in ids:
            installed = here.sim.fleet.associations(one).get(office) == "COMPLETED"
            assert installed is (words[one, office] == "succeeded"), words[one, office]


async def test_several_targets_go_side_by_side() -> None:
    """Two Regions in one manifest: each with a client of its own, and one result."""
    async with site(other_regions=("eu-west-1",)) as here:
        europe = here.sim.fleet_of(here.sim.account_id, "eu-west-1")
        ids = [*here.sim.fleet.add_workspaces(2), *europe.add_workspaces(2)]
        asked = Manifest.from_data(
            {
                "name": "both",
                "targets": [{"name": "east"}, {"name": "west", "region": "eu-west-1"}],
                "rules": [
                    {"select": {"everything": True}, "present": [OFFICE]},
                    {"select": {"everything": True}, "present": [VISIO], "targets": ["west"]},
                ],
            }
        )
        async with Rollout.open(asked, **connection_to(here.sim)) as rollout:
            plan = await rollout.plan(asked)
            async with rollout.apply(plan) as run:
                result = await run.finished()

        assert [len(workspace.pending) for workspace in plan.workspaces] == [1, 1, 2, 2]
        assert result.succeeded == 6
        assert here.deployments() == dict.fromkeys(ids, 1)


async def test_a_target_that_cannot_be_reached_does_not_stop_the_others() -> None:
    """The plan says which target it knows nothing of, and exits with 1; the rest can be applied."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        asked = Manifest.from_data(
            {
                "name": "both",
                "targets": [{"name": "here"}, {"name": "nowhere", "region": "ap-south-2"}],
                "rules": [{"select": {"everything": True}, "present": [OFFICE]}],
            }
        )
        async with Rollout.open(asked, **connection_to(here.sim)) as rollout:
            plan = await rollout.plan(asked)
            async with rollout.apply(plan) as run:
                result = await run.finished()

        assert plan.exit_code == 1
        assert [error.partition(":")[0] for error in plan.errors] == ["nowhere"]
        assert result.succeeded == 1


async def test_somebody_who_keeps_undoing_it_is_noticed() -> None:
    """Another operator reverts every staging at once: given up after a while, with the reason."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        office = here.sim.fleet.application(OFFICE)
        plan = await here.rollout.plan(manifest())
        events: list[Event] = []
        async with here.rollout.apply(plan) as run:
            async for event in run:
                events.append(event)
                if isinstance(event, Staged):
                    here.sim.fleet.set_association(one, office, None)

        assert last_words(events) == {(one, office): "skipped: not-converging"}
        assert not here.deployments()


async def test_somebody_who_undoes_it_once_changes_nothing() -> None:
    """It is staged again, and deployed once."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        office = here.sim.fleet.application(OFFICE)
        plan = await here.rollout.plan(manifest())
        staged = 0
        async with here.rollout.apply(plan) as run:
            async for event in run:
                if isinstance(event, Staged):
                    staged += 1
                    if staged == 1:
                        here.sim.fleet.set_association(one, office, None)

        assert staged == 2
        assert here.deployments() == {one: 1}


async def test_draining_ends_the_wait_for_hours() -> None:
    """Nobody has to wait for the night to end an apply."""
    async with site() as here:
        here.sim.fleet.add_workspaces(2)
        hours = [{"time_zone": "UTC", "start": "22:00", "end": "23:00"}]
        plan = await here.rollout.plan(manifest(hours=hours))
        async with here.rollout.apply(plan) as run:
            async for event in run:
                if isinstance(event, WaveBegan):
                    run.drain()

        assert run.result is not None
        assert (run.result.ending, run.result.skipped) == ("drained", 2)
        assert run.result.elapsed < 60


async def test_waves_pause_between_each_other() -> None:
    """The policy's pause lies between the end of a wave and the beginning of the next."""
    async with site() as here:
        here.sim.fleet.add_workspaces(2)
        plan = await here.rollout.plan(manifest(canary=1, growth=1.0, pause="30m"))
        _, events = await here.carry_out(plan)
        first_end = next(event.at for event in events if event.kind == "succeeded")
        second = [event.at for event in events if isinstance(event, WaveBegan)][1]

        assert (second - first_end).total_seconds() >= 1800


async def test_whoever_watches_the_client_is_still_told() -> None:
    """The roll-out counts through hooks of its own; the ones it was given are called too."""
    async with site(throttle=Throttle.at(1.0, burst=1)) as here:
        here.sim.fleet.add_workspaces(2)
        operations: list[str] = []
        throttled: list[str] = []
        hooks = Hooks(
            on_attempt=lambda record: operations.append(record.operation),
            on_throttle=lambda record: throttled.append(record.operation),
        )
        rollout = Rollout(here.client, clock=here.clock, hooks=hooks)
        plan = await rollout.plan(manifest())

        assert plan.targets[0].calls == len(operations) == len(here.sim.requests)
        assert plan.targets[0].throttled == len(throttled) > 0


async def test_an_apply_must_be_entered() -> None:
    """Without `async with` there is an error, and no wait without end."""
    async with site() as here:
        apply = here.rollout.apply(await here.rollout.plan(manifest()))
        with pytest.raises(ClientStateError, match="async with"):
            await anext(aiter(apply))
        with pytest.raises(ClientStateError, match="async with"):
            await apply.finished()


async def test_an_empty_plan_is_complete() -> None:
    """Nothing to do is done at once, without a call."""
    async with site() as here:
        plan = await here.rollout.plan(manifest())
        calls = len(here.sim.requests)
        result, _ = await here.carry_out(plan)

        assert result.ending == "complete"
        assert len(here.sim.requests) == calls


async def test_names_of_the_service_are_data(tmp_path: Path) -> None:
    """Line breaks, markup and control characters in names neither break the journal nor get lost."""
    hostile = 'Office\n{"kind":"intent"}\r\x1b[31m<script>=cmd|\u202e'
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        office = here.sim.fleet.application(OFFICE)
        here.sim.fleet.store.applications[office].name = hostile
        here.sim.fleet.workspace(one).user_name = hostile
        plan = await here.rollout.plan(manifest([office]))
        await here.carry_out(plan, tmp_path / "journal")
        planned = [event for event in read_journal(tmp_path / "journal") if isinstance(event, Planned)]

        assert [(event.application, event.user_name) for event in planned] == [(hostile, hostile)]
        assert (tmp_path / "journal").read_bytes().isascii()


async def test_what_left_the_plan_gets_a_last_word(tmp_path: Path) -> None:
    """Planned by a run that was stopped, and gone before the next: told, once."""
    async with site() as here:
        (one, other) = here.sim.fleet.add_workspaces(2)
        office = here.sim.fleet.application(OFFICE)
        plan = await here.rollout.plan(manifest())
        async with here.rollout.apply(plan, journal=tmp_path / "journal") as run:
            run.stop()
        here.sim.fleet.store.drop_workspace(here.sim.fleet.workspace(one))
        counts: list[int] = []
        for _ in range(2):
            plan = await here.rollout.plan(manifest(), journal=tmp_path / "journal")
            _, events = await here.carry_out(plan, tmp_path / "journal")
            counts.append(sum(event.kind == "skipped" for event in events))

        assert counts == [1, 0]
        assert last_words(read_journal(tmp_path / "journal")) == {
            (one, office): "skipped: vanished",
            (other, office): "succeeded",
        }


async def test_a_target_that_cannot_be_read_any_more_is_skipped() -> None:
    """Nothing is written where nobody knows how things are."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        plan = await here.rollout.plan(manifest())
        here.sim.faults.add("error", operation="DescribeWorkspaceAssociations", code="AccessDeniedException")
        result, events = await here.carry_out(plan)

        assert result.ending == "incomplete"
        assert last_words(events) == {(one, here.sim.fleet.application(OFFICE)): "skipped: unknown"}
        assert here.sim.requests.count("AssociateWorkspaceApplication") == 0


async def test_a_role_that_cannot_be_assumed_is_its_target_s_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The message names the role; the other target goes on."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        role = "arn:aws:iam::210987654321:role/rollout"
        asked = Manifest.from_data(
            {
                "name": "both",
                "targets": [{"name": "here"}, {"name": "there", "role_arn": role, "external_id": "given"}],
                "rules": [{"select": {"everything": True}, "present": [OFFICE]}],
            }
        )
        async with Rollout.open(asked, **connection_to(here.sim)) as rollout:
            plan = await rollout.plan(asked)

        assert plan.counts == {"install": 1}
        assert [role in error for error in plan.errors] == [True]


@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_a_stop_in_the_first_moments_gives_everybody_a_last_word(turns: int, tmp_path: Path) -> None:
    """Also where the plan is still being recorded."""
    async with site(1000) as here:
        plan = await here.rollout.plan(manifest())
        async with here.rollout.apply(plan, journal=tmp_path / "j") as run:
            for _ in range(turns):
                await asyncio.sleep(0)
            run.stop()
            result = await run.finished()

    changes = sum(len(workspace.pending) for workspace in plan.pending)
    assert (result.not_started, result.skipped) == (changes, changes)
    counts = Report.from_journal(tmp_path / "j").counts
    assert (counts["skipped"], counts["waiting"]) == (changes, 0)


async def test_a_fault_of_the_package_is_raised_whatever_else_is_waited_for() -> None:
    """While the others wait for their hours, nobody waits for a reconciler."""
    async with site() as here:
        first, *_ = here.sim.fleet.add_workspaces(5)
        now = here.clock.now()

        def opening(seconds: float) -> str:
            return f"{now + timedelta(seconds=seconds):%H:%M:%S}"

        hours = [
            {
                "time_zone": "UTC",
                "start": opening(-60),
                "end": opening(7200),
                "select": {"workspace_ids": [first]},
            },
            {"time_zone": "UTC", "start": opening(7200), "end": opening(36_000)},
        ]
        plan = await here.rollout.plan(manifest(hours=hours, finish_within_hours=False))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Reconciler, "_wait", fail)
            with pytest.raises(ArithmeticError):
                await here.carry_out(plan)


async def fail(*_: object) -> None:
    """Do what the package never should."""
    raise ArithmeticError


async def test_a_failure_that_cannot_be_counted_is_one_too_many() -> None:
    """With a budget that others share: nothing more is started, and the end says why."""
    counted: list[str] = []

    async def count(_: str, workspace_id: str) -> str | None:
        counted.append(workspace_id)
        raise ConnectionError("the database is away")

    async with site() as here:
        here.sim.fleet.add_workspaces(6)
        here.sim.faults.add("deployment_error")
        plan = await here.rollout.plan(manifest(failure_budget="100%", retries=0, max_in_flight=1))
        run = here.rollout.apply(plan)
        run.share_budget(count)
        async with run:
            result = await run.finished()

    assert (result.ending, result.failed, len(counted)) == ("budget-spent", 1, 1)
    assert "ConnectionError: the database is away" in result.message


@pytest.mark.parametrize(
    "found,then,deployments",
    [("COMPLETED", None, 1), ("ERROR", "COMPLETED", 0)],
    ids=["removed", "mended"],
)
async def test_what_was_read_hours_ago_is_no_last_word(
    found: State, then: State | None, deployments: int
) -> None:
    """A later wave begins hours after everything was read: what somebody did since counts."""
    async with site() as here:
        fleet = here.sim.fleet
        fleet.add_workspaces(2)
        plan = await here.rollout.plan(manifest(canary=1, pause="3h"))
        late = plan.pending[1].workspace_id
        fleet.set_association(late, fleet.application(OFFICE), found)

        async def meddle() -> None:
            await here.clock.sleep(7200)
            fleet.set_association(late, fleet.application(OFFICE), then)

        meddling = asyncio.create_task(meddle())
        result, events = await here.carry_out(plan)
        await meddling

    assert result.ending == "complete"
    assert last_words(events)[late, fleet.application(OFFICE)] == "succeeded"
    assert here.deployments()[late] == deployments
    assert here.states(OFFICE, [late]) == {"COMPLETED": 1}
