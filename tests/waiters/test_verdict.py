"""What a sequence of observations means, checked against a reference."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workspaces_apps.api import AssociationState, AssociationStateReason, WorkspaceState
from workspaces_apps.waiters import Target
from workspaces_apps.waiters.acceptors import (
    ABSENT,
    ACCEPTORS,
    ASSOCIATIONS,
    GONE,
    Phase,
    Verdict,
    Waiter,
    association_row,
    verdict_on,
)
from workspaces_apps.waiters.deployment import ENDS, Deployment, Step

APP = "wsa-0123456789"
GRACE = 60.0


@dataclass(frozen=True)
class Record:
    """An association."""

    state: AssociationState
    state_reason: AssociationStateReason | None = None


@dataclass(frozen=True)
class Look:
    """What one look finds: the association's state, or None, and the WorkSpace's."""

    at: float
    state: str | None
    workspace: str | None


GOAL: Final[dict[Target, set[str | None]]] = {
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


def reference(wanted: Target, looks: Sequence[Look]) -> Step:
    """The verdict, said once more in as few words as possible."""
    quiet, under_way, seen = 0.0, False, set[str]()
    for look in looks:
        seen.add(look.state or "REMOVED")
        if look.state not in RESTING:
            quiet, under_way = look.at, True
            continue
        overdue = look.at - quiet >= GRACE
        if look.state in GOAL[wanted] or (look.state == "ERROR" and (under_way or len(seen) > 1 or overdue)):
            failed = look.state == "ERROR"
            if look.workspace in {"AVAILABLE", "STOPPED"}:
                return Step.FAILED if failed else Step.DONE
            if look.workspace in {None, "ERROR", "TERMINATING", "TERMINATED"}:
                return Step.FAILED if failed else Step.LOST
        elif overdue:
            return Step.UNSTAGED
    return Step.LOOK


def verdict(wanted: Target, looks: Sequence[Look]) -> Step:
    """The verdict of the waiter, asked as its poller asks."""
    deployment = Deployment({APP: wanted}, began=0.0, grace=GRACE)
    for look in looks:
        record = Record(AssociationState(look.state)) if look.state is not None else None
        deployment.see(APP, record, look.at, sure=True)
        step = deployment.step(look.at)
        if step is Step.WORKSPACE:
            deployment.see_workspace(WorkspaceState(look.workspace) if look.workspace is not None else None)
            step = deployment.step(look.at)
        if step in ENDS:
            return step
    return Step.LOOK


states = st.sampled_from([None, *AssociationState, "BREWING"])
workspaces = st.sampled_from([None, *WorkspaceState, "DREAMING"])
gaps = st.sampled_from([0.0, 1.0, 5.0, 29.0, 30.0, 61.0, 3600.0])


@st.composite
def observations(draw: st.DrawFn) -> list[Look]:
    """Looks, each later than the one before."""
    at, looks = 0.0, list[Look]()
    for gap, state, workspace in draw(st.lists(st.tuples(gaps, states, workspaces), max_size=12)):
        at += gap
        looks.append(Look(at, state, workspace))
    return looks


@settings(max_examples=500)
@example("installed", [Look(61, "INSTALLING", None), Look(62, "PENDING_INSTALL_DEPLOYMENT", None)])
@given(st.sampled_from(["installed", "removed"]), observations())
def test_the_verdict_is_the_reference_s(wanted: Target, looks: list[Look]) -> None:
    """States, absences, errors, unknowns and any steps of the clock: the same verdict as the reference."""
    assert verdict(wanted, looks) is reference(wanted, looks)


@given(observations())
def test_without_a_wish_the_first_look_decides_what_is_followed(looks: list[Look]) -> None:
    """Without `wanted`, what is staged or moving at first is followed as if it had been asked for."""
    if not looks or looks[0].state is None:
        return
    first = association_row(looks[0].state)
    deployment = Deployment(None, began=0.0, grace=GRACE)
    deployment.see_all({APP: Record(AssociationState(looks[0].state))}, looks[0].at)
    if first.unknown not in (Phase.STAGED, Phase.MOVING):
        assert deployment.step(looks[0].at) is Step.DONE
        assert not deployment.statuses()
    elif first.shows is not None:
        assert [status.wanted for status in deployment.statuses()] == [first.shows]


def test_every_known_state_has_its_row() -> None:
    """The tables say something about each state that can decide, and name no state that there is not."""
    assert {row.state for row in ASSOCIATIONS} == {ABSENT, *AssociationState}
    assert {row.state for row in ACCEPTORS if row.waiter in {"deployed", "available"}} <= {
        ABSENT,
        GONE,
        *WorkspaceState,
    }
    assert all(row.why.endswith(".") for row in (*ASSOCIATIONS, *ACCEPTORS))


@pytest.mark.parametrize(
    "waiter,expected",
    [("available", Verdict.WAIT), ("terminated", Verdict.SUCCESS), ("deployed", Verdict.FAILURE)],
)
def test_absence_means_what_the_waiter_waits_for(waiter: Waiter, expected: Verdict) -> None:
    """Absent is "not yet" after a create, "gone" after a terminate, and the end of a deployment."""
    assert verdict_on(waiter, None) is expected


def test_an_absence_in_a_long_listing_is_confirmed() -> None:
    """A record never seen on its way, and missing from one of several pages, is not taken for removed."""
    deployment = Deployment({APP: "removed"}, began=0.0, grace=GRACE)

    deployment.see(APP, None, 1.0, sure=False)
    assert deployment.step(1.0) is Step.CONFIRM

    deployment.see(APP, None, 2.0, sure=True)
    assert deployment.step(2.0) is Step.WORKSPACE


def test_an_old_error_is_no_failure_until_the_grace_is_over() -> None:
    """A record that is in ERROR from the beginning may be the one that Deploy with Force is about to take up."""
    deployment = Deployment({APP: "installed"}, began=0.0, grace=GRACE)
    deployment.see(APP, Record(AssociationState.ERROR), 1.0, sure=True)
    assert deployment.step(1.0) is Step.LOOK
    assert deployment.quiet_until(1.0) == GRACE
    assert deployment.step(GRACE) is Step.WORKSPACE


def test_movement_of_another_application_ends_the_doubt() -> None:
    """When something else on the WorkSpace moves, Deploy has taken hold: what is in ERROR now has failed."""
    other = "wsa-9876543210"
    deployment = Deployment({APP: "installed", other: "installed"}, began=0.0, grace=GRACE)
    moving, failed = Record(AssociationState.INSTALLING), Record(AssociationState.ERROR)

    deployment.see_all({APP: failed, other: moving}, 1.0)
    deployment.see(other, Record(AssociationState.COMPLETED), 2.0, sure=True)

    assert deployment.step(2.0) is Step.WORKSPACE


def test_an_unknown_state_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A state newer than this package is reported, and not with every look."""
    for at in range(3):
        deployment = Deployment({APP: "installed"}, began=0.0, grace=GRACE)
        deployment.see(APP, Record(AssociationState("SIMMERING")), float(at), sure=True)

    assert [record.message for record in caplog.records if "SIMMERING" in record.message] == [
        "unknown association state SIMMERING of wsa-0123456789: it counts as under way"
    ]
