"""The states of an association: one table of phase, direction, and next action for each desired direction."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from workspaces_apps._associations import Direction, Mark


class Phase(Enum):
    """The part of its life that an association is in."""

    SETTLED = auto()
    """Installed, or gone: nothing is staged or in flight."""
    STAGED = auto()
    """Staged: nothing happens until Deploy, which commits everything staged on the WorkSpace. [doc]"""
    IN_FLIGHT = auto()
    """Committed by a Deploy, and not at its end."""
    FAILED = auto()
    """In ERROR; the record does not tell in which direction. [doc]"""


class NextAction(Enum):
    """The next thing that brings an association where it is desired."""

    NOTHING = auto()
    """It is there."""
    STAGE = auto()
    """Associate or Disassociate, whichever is desired; a change staged the other way is taken back by it. [doc]"""
    DEPLOY = auto()
    """Deploy: it is staged as desired."""
    WAIT = auto()
    """Wait: a deployment is in flight, in whichever direction."""
    RETRY = auto()
    """Retry: it is in ERROR."""


@dataclass(frozen=True, slots=True)
class StateInfo:
    """One row of the table.

    Attributes:
        state: The state as the service calls it; None for no association.
        phase: The part of its life.
        direction: The direction that the state shows by itself; for a settled one, the one that led there.
        to_install: The next action where the application is to be installed.
        to_uninstall: The next action where it is to be uninstalled.
        mark: The source.
        why: The fact, in a sentence.
    """

    state: str | None
    phase: Phase
    direction: Direction | None
    to_install: NextAction
    to_uninstall: NextAction
    mark: Mark
    why: str


_A = NextAction
_ORDER: Final = "The labels are documented, their order is the natural one."

STATES: Final = (
    StateInfo(None, Phase.SETTLED, "uninstall", _A.STAGE, _A.NOTHING, "assumed",
        "No record and a record in REMOVED mean the same."),
    StateInfo("PENDING_INSTALL_DEPLOYMENT", Phase.STAGED, "install", _A.DEPLOY, _A.STAGE, "doc",
        "Associate only stages; Deploy carries out. That this is the state's name for it is assumed."),
    StateInfo("PENDING_INSTALL", Phase.IN_FLIGHT, "install", _A.WAIT, _A.WAIT, "assumed", _ORDER),
    StateInfo("INSTALLING", Phase.IN_FLIGHT, "install", _A.WAIT, _A.WAIT, "assumed", _ORDER),
    StateInfo("COMPLETED", Phase.SETTLED, "install", _A.NOTHING, _A.STAGE, "assumed",
        "The application is installed; nothing is under way."),
    StateInfo("PENDING_UNINSTALL_DEPLOYMENT", Phase.STAGED, "uninstall", _A.STAGE, _A.DEPLOY, "doc",
        "Disassociate only stages; Deploy carries out. That this is the state's name for it is assumed."),
    StateInfo("PENDING_UNINSTALL", Phase.IN_FLIGHT, "uninstall", _A.WAIT, _A.WAIT, "assumed", _ORDER),
    StateInfo("UNINSTALLING", Phase.IN_FLIGHT, "uninstall", _A.WAIT, _A.WAIT, "assumed", _ORDER),
    StateInfo("REMOVED", Phase.SETTLED, "uninstall", _A.STAGE, _A.NOTHING, "assumed",
        "No record and a record in REMOVED mean the same."),
    StateInfo("ERROR", Phase.FAILED, None, _A.RETRY, _A.RETRY, "doc",
        "A failed installation and a failed removal read the same; only who asked knows which it was."),
)  # fmt: skip
"""Every state of an association. A state that has no row counts as in flight: see `UNKNOWN`."""

UNKNOWN: Final = StateInfo(
    "", Phase.IN_FLIGHT, None, _A.WAIT, _A.WAIT, "assumed", "A state newer than this package: keep waiting."
)
"""The row of every state that the table does not name."""

_BY_STATE: Final[Mapping[str | None, StateInfo]] = {row.state: row for row in STATES}

_BY_PHASE: Final[Mapping[Phase, NextAction]] = {
    Phase.SETTLED: _A.NOTHING,
    Phase.STAGED: _A.DEPLOY,
    Phase.IN_FLIGHT: _A.WAIT,
    Phase.FAILED: _A.RETRY,
}
"""The next action where nobody knows which direction is desired."""

NO_ASSOCIATION: Final = "REMOVED"
"""The state that stands for no association where a name is needed: a REMOVED record may linger or not. [assumed]"""

ERROR: Final = "ERROR"
"""The state of a failed deployment."""


def _directions(phase: Phase) -> Mapping[str, Direction]:
    return {
        row.state: row.direction
        for row in STATES
        if row.phase is phase and row.state is not None and row.direction is not None
    }


STAGED: Final[Mapping[str, Direction]] = _directions(Phase.STAGED)
"""The direction of each staged state."""

IN_FLIGHT: Final[Mapping[str, Direction]] = _directions(Phase.IN_FLIGHT)
"""The direction of each state in flight."""

SETTLED: Final[Mapping[str, Direction]] = _directions(Phase.SETTLED)
"""The direction that led to each settled state."""

SETTLED_BY: Final[Mapping[Direction, str]] = {direction: state for state, direction in SETTLED.items()}
"""The settled state that each direction leads to."""


def state_info(state: str | None) -> StateInfo:
    """Return the row of a state; None is no association."""
    return _BY_STATE.get(state, UNKNOWN)


def next_action(state: str | None, desired: Direction | None) -> NextAction:
    """Return the next action for an association.

    Args:
        state: Its state; None for no association.
        desired: The desired direction; None where nobody knows it, and then a settled association is where it should be.
    """
    row = state_info(state)
    if desired is None:
        return _BY_PHASE[row.phase]
    return row.to_install if desired == "install" else row.to_uninstall


def same_state(one: str | None, other: str | None) -> bool:
    """Tell if two states mean the same: no record and REMOVED do. [assumed]"""
    return (one or NO_ASSOCIATION) == (other or NO_ASSOCIATION)
