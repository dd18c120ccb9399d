"""The state tables: complete, consistent, and with a source for each row."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces_apps._associations import OPPOSITE, Direction, Mark
from workspaces_apps._associations.states import (
    HELD,
    IN_FLIGHT,
    SETTLED,
    STAGED,
    STATES,
    UNKNOWN,
    WORKSPACES,
    NextAction,
    Phase,
    Readiness,
    next_action,
    readiness,
    same_state,
    state_info,
)
from workspaces_apps.api import AssociationState, WorkspaceState

directions: st.SearchStrategy[Direction] = st.sampled_from(get_args(Direction))


def test_every_state_of_an_association_has_one_row() -> None:
    """The service model's, and no association."""
    assert sorted(str(row.state) for row in STATES) == sorted(["None", *map(str, AssociationState)])


def test_every_state_of_a_workspace_has_one_row() -> None:
    """The service model's, and absence."""
    assert sorted(str(row.state) for row in WORKSPACES) == sorted(["None", *map(str, WorkspaceState)])


@pytest.mark.parametrize("row", [*STATES, *WORKSPACES])
def test_every_row_tells_its_source(row: object) -> None:
    """A mark and a sentence."""
    assert getattr(row, "mark", None) in get_args(Mark)
    assert str(getattr(row, "why", "")).endswith(".")


@given(directions)
def test_the_directions_mirror_each_other(direction: Direction) -> None:
    """An association deployed in one direction is to be staged in the other, and the staged states swap their meaning."""
    for state in SETTLED:
        expected = NextAction.NOTHING if SETTLED[state] == direction else NextAction.STAGE
        assert next_action(state, direction) is expected
    for state in STAGED:
        expected = NextAction.DEPLOY if STAGED[state] == direction else NextAction.STAGE
        assert next_action(state, direction) is expected
    assert next_action(None, direction) is next_action("REMOVED", direction)
    assert OPPOSITE[OPPOSITE[direction]] == direction


@given(st.text(), directions)
def test_a_state_that_nobody_knows_is_waited_for(state: str, direction: Direction) -> None:
    """Of an association and of a WorkSpace alike: the service adds states without notice."""
    if state not in {row.state for row in STATES}:
        assert state_info(state) is UNKNOWN
        assert next_action(state, direction) is next_action(state, None) is NextAction.WAIT
    if state not in {row.state for row in WORKSPACES}:
        assert readiness(state) is Readiness.ON_ITS_WAY


def test_without_a_direction_the_phase_decides() -> None:
    """Settled is where it should be; what is staged needs Deploy; what is in flight is waited for."""
    found = {row.phase: next_action(row.state, None) for row in STATES}

    assert found == {
        Phase.SETTLED: NextAction.NOTHING,
        Phase.STAGED: NextAction.DEPLOY,
        Phase.IN_FLIGHT: NextAction.WAIT,
        Phase.FAILED: NextAction.RETRY,
    }
    assert set(IN_FLIGHT) == {row.state for row in STATES if row.phase is Phase.IN_FLIGHT}


def test_an_application_is_there_until_its_removal_has_ended() -> None:
    """It counts as licensed; one in ERROR does not, because nobody knows if it is there."""
    assert {"COMPLETED", "PENDING_UNINSTALL_DEPLOYMENT", "PENDING_UNINSTALL", "UNINSTALLING"} == HELD


def test_no_record_and_removed_are_the_same() -> None:
    """A REMOVED record may linger or not."""
    assert same_state(None, "REMOVED")
    assert not same_state(None, "COMPLETED")
