"""The meaning of a sequence of snapshots to a wait, checked against a reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workspaces_apps._associations.states import GONE_AFTER, GONE_READS, STATES, WORKSPACES, Phase, state_info
from workspaces_apps._observe.reads import AssociationRecord, Snapshot
from workspaces_apps._waiters import WantedState
from workspaces_apps._waiters.deployment import ENDS, WANTED_STATES, Deployment, NextStep
from workspaces_apps._waiters.resources import (
    ABSENT,
    ACCEPTORS,
    GONE,
    Verdict,
    Waiter,
    verdict_on,
)
from workspaces_apps.api import AssociationState, WorkspaceState
from workspaces_apps.simulator import ManualClock

APP = "wsa-0123456789"
OTHER = "wsa-9876543210"
GRACE = 60.0
WS = "ws-0123456789"
CLOCK: Final = ManualClock()


@dataclass(frozen=True)
class Look:
    """The result of one read: the association's state, or None, and the WorkSpace's."""

    at: float
    state: str | None
    workspace: str | None

    @property
    def snapshot(self) -> Snapshot:
        """The read of the associations, and of the state right after it."""
        workspace = WorkspaceState(self.workspace) if self.workspace is not None else None
        found = {} if self.state is None else {APP: self.state}
        return snapshot(self.at, found, workspace=workspace, state_at=self.at)


def snapshot(
    at: float,
    states: Mapping[str, str],
    *,
    workspace: WorkspaceState | None = None,
    state_at: float | None = None,
    complete: bool = True,
) -> Snapshot:
    """A snapshot of the WorkSpace."""
    return Snapshot(
        workspace_id=WS,
        at=at,
        associations={one: AssociationRecord(AssociationState(state)) for one, state in states.items()},
        complete=complete,
        workspace_state=workspace,
        state_at=state_at,
    )


GOAL: Final[dict[WantedState, set[str | None]]] = {
    "installed": {"COMPLETED"},
    "removed": {"REMOVED", None},
}
RESTING: Final = {
    None,
    "PENDING_INSTALL_DEPLOYMENT",
    "PENDING_UNINSTALL_DEPLOYMENT",
    "COMPLETED",
    "REMOVED",
    "ERROR",
}
NEEDS: Final = {"SUSPENDED", "ERROR", "UNHEALTHY", "IMPAIRED", "ADMIN_MAINTENANCE"}


def reference(wanted: WantedState, looks: Sequence[Look]) -> NextStep:
    """The verdict, said once more in as few words as possible."""
    quiet, under_way, seen = 0.0, False, set[str]()
    needs_since = absent_since = None
    absences = 0
    for look in looks:
        seen.add(look.state or "REMOVED")
        moving = look.state not in RESTING
        if moving:
            quiet, under_way = look.at, True
        overdue = look.at - quiet >= GRACE
        failed = look.state == "ERROR"
        ended = look.state in GOAL[wanted] or (failed and (under_way or len(seen) > 1 or overdue))
        needs_since = (needs_since or look.at) if look.workspace in NEEDS else None
        # An association that is shown proves that the WorkSpace is there, and that its listing left it out.
        absent = look.workspace is None and look.state is None
        absent_since, absences = ((absent_since or look.at), absences + 1) if absent else (None, 0)
        gone = look.workspace in {"TERMINATING", "TERMINATED"}
        missing = absent_since is not None and absences >= GONE_READS and look.at - absent_since >= GONE_AFTER
        if gone or missing:
            return NextStep.FAILED if failed and ended else NextStep.GONE
        if not ended:
            if overdue and not moving:
                return NextStep.UNSTAGED
            continue
        if look.workspace in {"AVAILABLE", "STOPPED"}:
            return NextStep.FAILED if failed else NextStep.DONE
        if needs_since is not None and look.at - needs_since >= GRACE:
            return NextStep.FAILED if failed else NextStep.NOT_READY
    return NextStep.LOOK


def verdict(wanted: WantedState, looks: Sequence[Look]) -> NextStep:
    """The verdict of the waiter."""
    deployment = Deployment({APP: wanted}, clock=CLOCK, began=0.0, grace=GRACE)
    for look in looks:
        deployment.see(look.snapshot, look.at)
        step = deployment.step(look.at)
        if step in ENDS:
            return step
    return NextStep.LOOK


states = st.sampled_from([None, *AssociationState, "BREWING"])
workspaces = st.sampled_from([None, *WorkspaceState, "DREAMING"])
gaps = st.sampled_from([1.0, 5.0, 29.0, 30.0, 61.0, 3600.0])


@st.composite
def observations(draw: st.DrawFn) -> list[Look]:
    """Reads, each later than the one before."""
    at, looks = 0.0, list[Look]()
    for gap, state, workspace in draw(st.lists(st.tuples(gaps, states, workspaces), max_size=12)):
        at += gap
        looks.append(Look(at, state, workspace))
    return looks


@settings(max_examples=500)
@example(
    "removed", [Look(1, "COMPLETED", None), *(Look(2 + 30 * number, None, None) for number in range(12))]
)
@example("installed", [Look(61, "INSTALLING", None), Look(62, "PENDING_INSTALL_DEPLOYMENT", None)])
@given(st.sampled_from(["installed", "removed"]), observations())
def test_the_verdict_is_the_reference_s(wanted: WantedState, looks: list[Look]) -> None:
    """States, absences, errors, unknowns and any steps of the clock: the same verdict as the reference."""
    assert verdict(wanted, looks) is reference(wanted, looks)


@given(observations())
def test_without_a_wish_the_first_look_decides_what_is_followed(looks: list[Look]) -> None:
    """Without `wanted`, what is staged or moving at first is followed as if it had been asked for."""
    if not looks or looks[0].state is None:
        return
    first = state_info(looks[0].state)
    deployment = Deployment(None, clock=CLOCK, began=0.0, grace=GRACE)
    deployment.see(looks[0].snapshot, looks[0].at)
    if first.phase not in (Phase.STAGED, Phase.IN_FLIGHT):
        assert not deployment.statuses()
    elif first.direction is not None:
        assert [status.wanted for status in deployment.statuses()] == [WANTED_STATES[first.direction]]


def test_every_known_state_has_its_row() -> None:
    """The tables say something about each state that can decide, and name no state that there is not."""
    assert {row.state for row in STATES} == {None, *AssociationState}
    assert {row.state for row in WORKSPACES} == {None, *WorkspaceState}
    assert {row.state for row in ACCEPTORS if row.waiter == "available"} == {ABSENT, GONE, *WorkspaceState}
    whys = [*(row.why for row in STATES), *(row.why for row in WORKSPACES), *(row.why for row in ACCEPTORS)]
    assert all(why.endswith(".") for why in whys)


@pytest.mark.parametrize(
    "waiter,succeed,fail",
    [
        ("available", {"AVAILABLE"}, {"ERROR", "TERMINATING", "TERMINATED", GONE}),
        ("stopped", {"STOPPED"}, {"ERROR", "TERMINATING", "TERMINATED", GONE}),
        ("modified", set[str](), {"ERROR", "TERMINATING", "TERMINATED", GONE}),
        ("terminated", {"TERMINATED", ABSENT, GONE}, set[str]()),
    ],
)
def test_a_wait_for_a_workspace_ends_at_its_goal_and_at_what_does_not_come_back(
    waiter: Waiter, succeed: set[str], fail: set[str]
) -> None:
    """Every other state is waited through, those that need somebody included: it may just be rebooted or rebuilt."""
    verdicts = {state: verdict_on(waiter, state) for state in (*WorkspaceState, ABSENT, GONE, "NEWER")}

    assert {state for state, verdict in verdicts.items() if verdict is Verdict.SUCCESS} == succeed
    assert {state for state, verdict in verdicts.items() if verdict is Verdict.FAILURE} == fail


@pytest.mark.parametrize("waiter,expected", [("available", Verdict.WAIT), ("terminated", Verdict.SUCCESS)])
def test_absence_means_what_the_waiter_waits_for(waiter: Waiter, expected: Verdict) -> None:
    """Absent is "not yet" after a create, and "gone" after a terminate."""
    assert verdict_on(waiter, None) is expected


def test_an_absence_that_is_not_proven_is_none() -> None:
    """A record that a listing of several pages did not show is not taken for removed."""
    deployment = Deployment({APP: "removed"}, clock=CLOCK, began=0.0, grace=GRACE)

    deployment.see(Snapshot(workspace_id=WS, at=1.0, unconfirmed=frozenset({APP})), 1.0)
    assert deployment.step(1.0) is NextStep.LOOK

    deployment.see(Snapshot(workspace_id=WS, at=2.0, absent=frozenset({APP})), 2.0)
    assert deployment.step(2.0) is NextStep.WORKSPACE


def test_a_state_read_before_the_end_counts_only_after_updating() -> None:
    """AVAILABLE before the association was seen to end may be from before the deployment; after UPDATING it is not."""
    for first, expected in [("AVAILABLE", NextStep.WORKSPACE), ("UPDATING", NextStep.DONE)]:
        deployment = Deployment({APP: "installed"}, clock=CLOCK, began=0.0, grace=GRACE)
        deployment.see(snapshot(1, {APP: "INSTALLING"}, workspace=WorkspaceState(first), state_at=1), 1)
        deployment.see(snapshot(9, {APP: "COMPLETED"}, workspace=WorkspaceState.AVAILABLE, state_at=8), 9)

        assert deployment.step(9) is expected


def test_an_old_error_is_no_failure_until_the_grace_is_over() -> None:
    """A record that is in ERROR from the beginning may be the one that Deploy with Force is about to take up."""
    deployment = Deployment({APP: "installed"}, clock=CLOCK, began=0.0, grace=GRACE)
    deployment.see(snapshot(1.0, {APP: "ERROR"}), 1.0)
    assert deployment.step(1.0) is NextStep.LOOK
    assert deployment.next_moment(1.0) == GRACE
    assert deployment.step(GRACE) is NextStep.WORKSPACE


def test_an_old_error_is_read_once_more_when_the_grace_is_over() -> None:
    """A state alone that comes first, as a hint for another wait does, leaves the associations to be read."""
    deployment = Deployment({APP: "installed"}, clock=CLOCK, began=0.0, grace=GRACE)
    deployment.see(snapshot(1.0, {APP: "ERROR"}), 1.0)
    deployment.see(
        Snapshot(workspace_id=WS, at=GRACE, workspace_state=WorkspaceState.UPDATING, state_at=GRACE), GRACE
    )
    assert deployment.interest(GRACE) == frozenset({APP})

    deployment.see(snapshot(GRACE + 1, {APP: "ERROR"}), GRACE + 1)
    assert deployment.interest(GRACE + 1) == frozenset()


def test_movement_of_another_application_ends_the_doubt() -> None:
    """When something else on the WorkSpace moves, Deploy has taken hold: what is in ERROR now has failed."""
    deployment = Deployment({APP: "installed", OTHER: "installed"}, clock=CLOCK, began=0.0, grace=GRACE)

    deployment.see(snapshot(1.0, {APP: "ERROR", OTHER: "INSTALLING"}), 1.0)
    deployment.see(snapshot(2.0, {OTHER: "COMPLETED"}, complete=False), 2.0)

    assert deployment.step(2.0) is NextStep.WORKSPACE


def test_an_unknown_state_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A state newer than this package is reported, and not with every read."""
    for at in range(3):
        deployment = Deployment({APP: "installed"}, clock=CLOCK, began=0.0, grace=GRACE)
        deployment.see(snapshot(float(at), {APP: "SIMMERING"}), float(at))

    assert [record.message for record in caplog.records if "SIMMERING" in record.message] == [
        "unknown association state SIMMERING of wsa-0123456789: it counts as under way"
    ]
