"""Undoing a roll-out: exactly what it changed goes back, never what was there before it or was changed since."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.rollout.site import OFFICE, VISIO, Site, manifest, site
from workspaces_apps._associations import Direction
from workspaces_apps.api import AssociationState
from workspaces_apps.rollout import (
    Changed,
    Deployed,
    Event,
    Failed,
    Intent,
    JournalBusyError,
    JournalError,
    Plan,
    Planned,
    PlannedChange,
    Policy,
    Reason,
    Skipped,
    Staged,
    Started,
    Succeeded,
    Withdrawn,
    open_journal,
)
from workspaces_apps.rollout._log.projections import Key
from workspaces_apps.rollout._undo import Made, changes_made

OLD = "Microsoft Office Standard 2019"


def changes(plan: Plan) -> dict[str, PlannedChange]:
    """Return the changes by WorkSpace, where each has one."""
    return {one.workspace_id: one.changes[0] for one in plan.workspaces}


async def rolled_out(here: Site, journal: Path, **wanted: list[str]) -> list[str]:
    """Three desktops after a roll-out; the last one had the application before."""
    ids = here.sim.fleet.add_workspaces(3, operating_system="WINDOWS_11")
    here.sim.fleet.set_association(ids[2], here.sim.fleet.application(OFFICE), "COMPLETED")
    plan = await here.rollout.plan(manifest(**wanted), journal=journal)  # type: ignore[arg-type]  # lists of names
    await here.carry_out(plan, journal)
    return ids


async def test_what_was_installed_is_removed_and_nothing_else(tmp_path: Path) -> None:
    """The undo has its own name and journal, and goes by times that the journal kept."""
    async with site() as here:
        ids = await rolled_out(here, tmp_path / "j")
        plan = await here.rollout.plan_undo(tmp_path / "j", policy=Policy(max_in_flight=1))
        result, _ = await here.carry_out(plan, tmp_path / "undo")

        assert (plan.name, plan.policy.max_in_flight) == ("undo-test", 1)
        assert {one: change.action for one, change in changes(plan).items()} == dict.fromkeys(
            ids[:2], "uninstall"
        )
        assert all(change.message is None for change in changes(plan).values())
        assert result.ending == "complete"
        assert here.states(OFFICE, ids) == {"None": 2, "COMPLETED": 1}


async def test_what_was_removed_is_installed_and_judged_by_its_state(tmp_path: Path) -> None:
    """A row that is gone has no times, and the plan says so; undoing the undo removes it again."""
    async with site() as here:
        ids = await rolled_out(here, tmp_path / "j", present=[], absent=[OFFICE])
        plan = await here.rollout.plan_undo(str(tmp_path / "j"))
        await here.carry_out(plan, tmp_path / "undo")
        there = here.states(OFFICE, ids)
        again = await here.rollout.plan_undo(tmp_path / "undo")
        await here.carry_out(again, tmp_path / "redo")

        assert {one: change.action for one, change in changes(plan).items()} == {ids[2]: "install"}
        assert "by its state alone" in str(changes(plan)[ids[2]].message)
        assert there == {"None": 2, "COMPLETED": 1}
        assert again.name == "undo-undo-test"
        assert here.states(OFFICE, ids) == {"None": 3}


async def test_what_somebody_changed_since_is_left_alone(tmp_path: Path) -> None:
    """Removed by hand: nothing to do; removed and installed again: its times tell; being changed: its state does."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(4, operating_system="WINDOWS_11")
        office = here.sim.fleet.application(OFFICE)
        await here.carry_out(await here.rollout.plan(manifest()), tmp_path / "j")
        here.sim.fleet.set_association(ids[0], office, "REMOVED")
        await here.clock.advance(3600)
        here.sim.fleet.set_association(ids[1], office, "COMPLETED")
        here.sim.fleet.set_association(ids[2], office, "INSTALLING")
        del here.sim.fleet.store.workspaces[ids[3]]
        plan = await here.rollout.plan_undo(tmp_path / "j")

        assert [(changes(plan)[one].action, changes(plan)[one].reason) for one in ids] == [
            ("nothing", None),
            ("blocked", Reason.CHANGED_SINCE),
            ("blocked", Reason.CHANGED_SINCE),
            ("blocked", Reason.VANISHED),
        ]


async def test_what_an_undo_leaves_alone_may_be_of_targets_that_it_does_not_name(tmp_path: Path) -> None:
    """Where everything of a target is left alone, the undo does not read it, and carries the rest out."""
    async with site() as here:
        ids = await rolled_out(here, tmp_path / "j")
        undo = await here.rollout.plan_undo(tmp_path / "j")
        change = replace(undo.workspaces[0].changes[0], action="blocked", reason=Reason.THERE_BEFORE.value)
        elsewhere = replace(undo.workspaces[0], target="elsewhere", changes=(change,))
        plan = replace(undo, workspaces=(elsewhere, *undo.workspaces))
        result, events = await here.carry_out(plan, tmp_path / "undo")

        blocked = [event for event in events if isinstance(event, Planned) and event.action == "blocked"]
        assert [(event.target, event.application, event.owner) for event in blocked] == [
            ("elsewhere", None, None)
        ]
        assert result.ending == "complete"
        assert here.states(OFFICE, ids) == {"None": 2, "COMPLETED": 1}


async def test_what_can_only_be_uninstalled_has_no_way_back(tmp_path: Path) -> None:
    """It is blocked as such; what came in its place goes all the same."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1, operating_system="WINDOWS_11")
        here.sim.fleet.set_association(one, here.sim.fleet.application(OLD), "COMPLETED")
        await here.carry_out(
            await here.rollout.plan(manifest(["Microsoft Office LTSC Standard 2021"], [OLD])), tmp_path / "j"
        )
        plan = await here.rollout.plan_undo(tmp_path / "j")
        reasons = {change.action: change.reason for change in plan.workspaces[0].changes}

        assert reasons == {"uninstall": None, "blocked": Reason.UNINSTALL_ONLY}


async def test_an_undo_that_was_ended_early_goes_on(tmp_path: Path) -> None:
    """Applied again, or planned again: what it has staged is its own."""
    async with site() as here:
        ids = await rolled_out(here, tmp_path / "j")
        plan = await here.rollout.plan_undo(tmp_path / "j")
        async with here.rollout.apply(plan, journal=tmp_path / "undo") as events:
            async for event in events:
                if event.kind == "deployed":
                    events.stop()
        again = await here.rollout.plan_undo(tmp_path / "j")
        result, _ = await here.carry_out(again, tmp_path / "undo")

        assert {change.action for change in changes(again).values()} <= {"uninstall", "nothing"}
        assert (result.ending, here.states(OFFICE, ids)) == ("complete", {"None": 2, "COMPLETED": 1})


async def stopped_at(here: Site, journal: Path, moment: type[Event], times: int = 1) -> None:
    """Apply what is wanted, and stop at an event of a kind."""
    plan = await here.rollout.plan(manifest(), journal=journal)
    async with here.rollout.apply(plan, journal=journal) as run:
        async for event in run:
            times -= isinstance(event, moment)
            if not times:
                run.stop()


@pytest.mark.parametrize("moment", [Staged, Deployed])
async def test_what_a_stopped_roll_out_left_is_told(moment: type[Event], tmp_path: Path) -> None:
    """Nothing reported it as made, so that it is left alone; once the roll-out was resumed, it is taken back."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(4)
        await stopped_at(here, tmp_path / "j", moment, 4)
        plan = await here.rollout.plan_undo(tmp_path / "j")
        assert changes(plan) == {}
        assert [warning.split(",")[0] for warning in plan.warnings] == [
            "4 changes may have been left staged or deploying"
        ]

        resumed = await here.rollout.plan(manifest(), journal=tmp_path / "j")
        await here.carry_out(resumed, tmp_path / "j")
        plan = await here.rollout.plan_undo(tmp_path / "j")
        result, _ = await here.carry_out(plan, tmp_path / "undo")

        assert (plan.warnings, result.ending) == ((), "complete")
        assert here.states(OFFICE, ids) == {"None": 4}


async def test_one_run_is_undone_and_not_those_before_it(tmp_path: Path) -> None:
    """One run is chosen by its number; what the other installed stays."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(2, operating_system="WINDOWS_11")
        for wanted in ([OFFICE], [OFFICE, VISIO]):
            await here.carry_out(await here.rollout.plan(manifest(wanted)), tmp_path / "j")
        plan = await here.rollout.plan_undo(tmp_path / "j", run="last")

        visio = here.sim.fleet.application(VISIO)
        assert [change.application_id for one in plan.workspaces for change in one.changes] == [visio, visio]
        assert {one.workspace_id for one in plan.workspaces} == set(ids)


async def test_a_journal_that_is_written_or_is_not_there_is_refused(tmp_path: Path) -> None:
    """And nothing is made of it; a journal without changes gives a plan without any."""
    async with site() as here:
        with pytest.raises(JournalError, match="there is no journal"):
            await here.rollout.plan_undo(tmp_path / "none")
        writer = await open_journal(tmp_path / "j")
        with pytest.raises(JournalBusyError):
            await here.rollout.plan_undo(tmp_path / "j")
        await writer.close()
        with pytest.raises(JournalError, match="no run 7"):
            await here.rollout.plan_undo(tmp_path / "j", run="7")
        empty = await here.rollout.plan_undo(tmp_path / "j")

        assert (empty.workspaces, empty.exit_code) == ((), 0)
        assert not (tmp_path / "none").exists()


AT = datetime(2026, 1, 5, tzinfo=UTC)
DEPLOY = "DeployWorkspaceApplications"
STAGING = {"install": "AssociateWorkspaceApplication", "uninstall": "DisassociateWorkspaceApplication"}


def events(state: str | None, direction: str, *kinds: str, run: str = "r") -> list[Event]:
    """Return a journal's events about one change: planned in a state, and then of these kinds."""
    about = {"at": AT, "run": run, "workspace_id": "ws-1", "application_id": "wsa-1", "direction": direction}
    found: dict[str, Event] = {
        "intent": Intent(operation=DEPLOY, **about),  # type: ignore[arg-type]  # of mixed types
        "staging": Intent(operation=STAGING[direction], **about),  # type: ignore[arg-type]
        "going": Changed(state="INSTALLING", **about),  # type: ignore[arg-type]
        "error": Changed(state="ERROR", **about),  # type: ignore[arg-type]
        "retried": Failed(reason="ERROR", final=False, **about),  # type: ignore[arg-type]
        "vanished": Skipped(reason="vanished", **about),  # type: ignore[arg-type]
        "withdrawn": Withdrawn(operation=DEPLOY, reason="x", **about),  # type: ignore[arg-type]
        "succeeded": Succeeded(**about),  # type: ignore[arg-type]
    }
    planned = Planned(action=direction, state=state, **about)  # type: ignore[arg-type]
    return [planned, *(found[kind] for kind in kinds)]


@pytest.mark.parametrize(
    "history,own",
    [
        (events("REMOVED", "install", "intent", "succeeded"), True),
        (events(None, "install", "intent", "succeeded"), True),
        (events("REMOVED", "install", "succeeded"), None),
        (events("REMOVED", "install", "intent", "withdrawn", "succeeded"), None),
        (events("REMOVED", "install", "intent"), None),
        (events("PENDING_UNINSTALL_DEPLOYMENT", "install", "intent", "succeeded"), False),
        (events("PENDING_INSTALL_DEPLOYMENT", "uninstall", "intent", "succeeded"), False),
        (events("ERROR", "install", "intent", "succeeded"), False),
        (
            events("REMOVED", "install", "intent") + events("INSTALLING", "install", "succeeded", run="s"),
            True,
        ),
        (
            events("REMOVED", "install", "intent", "succeeded")
            + events("COMPLETED", "uninstall", "intent", "succeeded", run="s"),
            False,
        ),
    ],
)
def test_only_what_was_announced_and_succeeded_is_a_roll_outs_own(
    history: list[Event], own: bool | None
) -> None:
    """None: it is no change of its; False: it is, and is left alone for what was before."""
    start: Event = Started(at=AT, run="r", name="x", plan="p", workspaces=1, changes=1)
    found = changes_made([start, *history], None).made().get(Key("default", "ws-1", "wsa-1"))

    assert (None if found is None else found.obstacle is None) is own


@pytest.mark.parametrize(
    "history,left",
    [
        (events("REMOVED", "install", "staging"), True),
        (events("REMOVED", "install", "staging", "intent"), True),
        (events("REMOVED", "install", "intent", "withdrawn"), False),
        (events("REMOVED", "install", "intent", "succeeded"), False),
        (events("REMOVED", "install", "staging", "intent", "error"), False),
        (events("REMOVED", "install", "intent", "retried"), False),
        (events("REMOVED", "install", "intent", "vanished"), False),
        (events("REMOVED", "install", "intent", "error", "intent"), True),
        (events("REMOVED", "install", "intent", "error", "going"), True),
        (events("REMOVED", "install", "intent", "error", "intent", "withdrawn"), False),
        (events("REMOVED", "install", "intent") + events("ERROR", "install", run="s"), False),
    ],
)
def test_what_was_announced_and_has_no_end_was_left(history: list[Event], left: bool) -> None:
    """A withdrawn write, a failed one and a success leave nothing behind."""
    start: Event = Started(at=AT, run="r", name="x", plan="p", workspaces=1, changes=1)

    assert changes_made([start, *history], None).left() == [Key("default", "ws-1", "wsa-1")] * left
    assert changes_made([start, *history], "another").left() == []


OWN: dict[Direction, dict[str, bool]] = {
    "install": {
        "REMOVED": True,
        "PENDING_INSTALL_DEPLOYMENT": True,
        "PENDING_INSTALL": True,
        "INSTALLING": True,
        "PENDING_UNINSTALL_DEPLOYMENT": False,
        "PENDING_UNINSTALL": True,
        "UNINSTALLING": True,
        "COMPLETED": False,
    },
    "uninstall": {
        "COMPLETED": True,
        "PENDING_UNINSTALL_DEPLOYMENT": True,
        "PENDING_UNINSTALL": True,
        "UNINSTALLING": True,
        "PENDING_INSTALL_DEPLOYMENT": False,
        "PENDING_INSTALL": True,
        "INSTALLING": True,
        "REMOVED": False,
    },
}
"""By direction and the state before: if the change is the roll-out's own doing, and not only a reverted staging."""


@pytest.mark.parametrize("direction", OWN)
@pytest.mark.parametrize("before", [None, "NEWER", *AssociationState])
def test_the_state_before_tells_if_there_is_something_to_undo(
    direction: Direction, before: str | None
) -> None:
    """An application that was in ERROR, or in an unknown state, is left alone."""
    success = Succeeded(
        at=AT, run="r", target="default", workspace_id="ws-1", application_id="wsa-1", direction=direction
    )
    obstacle = Made(success=success, before=before).obstacle

    expected = {None: Reason.BEFORE_UNKNOWN, True: None, False: Reason.THERE_BEFORE}
    assert (obstacle and obstacle[0]) == expected[OWN[direction].get(before or "")]


BEFORE, AFTER = "Microsoft Office LTSC Standard 2021", "Microsoft Office LTSC Standard 2024"


async def exchanged(here: Site, journal: Path) -> str:
    """A desktop on which one Office came in the place of another."""
    (one,) = here.sim.fleet.add_workspaces(1, operating_system="WINDOWS_11")
    here.sim.fleet.set_association(one, here.sim.fleet.application(BEFORE), "COMPLETED")
    await here.carry_out(await here.rollout.plan(manifest([AFTER], [BEFORE])), journal)
    return one


async def test_what_an_undo_has_staged_and_reverted_is_still_taken_back(tmp_path: Path) -> None:
    """A user comes, the undo takes its staging back and is run again: the time of the last change is another now."""
    async with site() as here:
        one = await exchanged(here, tmp_path / "j")
        await here.clock.advance(3600)
        which = {"workspace_id": one, "application_id": here.sim.fleet.application(AFTER)}
        await here.client.disassociate_workspace_application(**which)
        await here.client.associate_workspace_application(**which)
        plan = await here.rollout.plan_undo(tmp_path / "j")
        result, _ = await here.carry_out(plan, tmp_path / "undo")

        assert result.ending == "complete"
        assert here.states(AFTER, [one]) == {"None": 1}
        assert here.states(BEFORE, [one]) == {"COMPLETED": 1}


async def test_what_does_not_fit_what_stays_is_left_out(tmp_path: Path) -> None:
    """Somebody has installed the new one anew: the old one, which it excludes, does not come back beside it."""
    async with site() as here:
        one = await exchanged(here, tmp_path / "j")
        await here.clock.advance(3600)
        here.sim.fleet.set_association(one, here.sim.fleet.application(AFTER), "COMPLETED")
        plan = await here.rollout.plan_undo(tmp_path / "j")
        found = {change.direction: change for change in plan.workspaces[0].changes}

        assert {change.action for change in found.values()} == {"blocked"}
        assert found["uninstall"].reason == Reason.CHANGED_SINCE
        assert found["install"].reason == Reason.CONFLICT
