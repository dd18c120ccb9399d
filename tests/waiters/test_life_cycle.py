"""The picture and the table of the life cycle."""

import pytest

from workspaces_apps._associations.states import STATES, TRANSITIONS
from workspaces_apps.simulator import _records


@pytest.mark.checkout
def test_the_picture_is_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/life-cycle.svg is what the tables give; `python -m codegen.life_cycle` draws it anew."""
    from codegen.life_cycle import main

    assert main(["--check"]) == 0, capsys.readouterr().err


def test_the_table_is_the_simulator_s() -> None:
    """That which the waiters wait through is what the simulator does, arrow by arrow."""
    rows: set[tuple[str | None, str | None]] = {
        (None if row.state == _records.ABSENT else row.state, row.to)
        for row in _records.TABLE
        if row.effect == "move" and row.to is not None
    }
    rows |= {("ERROR", retried) for retried in _records.RETRIED.values()}
    rows |= {("PENDING_INSTALL_DEPLOYMENT", None), ("PENDING_UNINSTALL_DEPLOYMENT", "COMPLETED")}

    assert {(one.before, one.after) for one in TRANSITIONS} == rows - {
        ("REMOVED", "PENDING_INSTALL_DEPLOYMENT")
    }


def test_the_picture_shows_every_state() -> None:
    """No state of the table is unreachable in the life cycle."""
    shown = {one.before for one in TRANSITIONS} | {one.after for one in TRANSITIONS}

    assert shown == {row.state for row in STATES}
