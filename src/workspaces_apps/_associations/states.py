"""The states of associations and of WorkSpaces, as tables: what each means, what comes next, and how that is known."""

from __future__ import annotations

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

HELD: Final = frozenset(
    row.state
    for row in STATES
    if row.state is not None and row.direction == ("install" if row.phase is Phase.SETTLED else "uninstall")
)
"""The states in which an application is on a WorkSpace: installed, and until a removal has ended. [assumed]

What is in ERROR is not one of them: nobody knows if it is there.
"""

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


@dataclass(frozen=True, slots=True)
class Transition:
    """One transition from a state to another.

    Attributes:
        before: The state before; None for no association.
        trigger: The call that leads there; empty if it comes by itself.
        after: The state after; None for no association.
        mark: The source.
    """

    before: str | None
    trigger: str
    after: str | None
    mark: Mark


TRANSITIONS: Final = (
    Transition(None, "Associate", "PENDING_INSTALL_DEPLOYMENT", "doc"),
    Transition("PENDING_INSTALL_DEPLOYMENT", "Disassociate", None, "assumed"),
    Transition("PENDING_INSTALL_DEPLOYMENT", "Deploy", "PENDING_INSTALL", "doc"),
    Transition("PENDING_INSTALL", "", "INSTALLING", "assumed"),
    Transition("INSTALLING", "", "COMPLETED", "assumed"),
    Transition("INSTALLING", "", "ERROR", "assumed"),
    Transition("COMPLETED", "Disassociate", "PENDING_UNINSTALL_DEPLOYMENT", "doc"),
    Transition("PENDING_UNINSTALL_DEPLOYMENT", "Associate", "COMPLETED", "assumed"),
    Transition("PENDING_UNINSTALL_DEPLOYMENT", "Deploy", "PENDING_UNINSTALL", "doc"),
    Transition("PENDING_UNINSTALL", "", "UNINSTALLING", "assumed"),
    Transition("UNINSTALLING", "", "REMOVED", "assumed"),
    Transition("UNINSTALLING", "", "ERROR", "assumed"),
    Transition("ERROR", "Force", "PENDING_INSTALL", "doc"),
    Transition("ERROR", "Force", "PENDING_UNINSTALL", "doc"),
)
"""Every transition; Associate, Disassociate and Deploy stand for the operations, Force for Deploy with Force.

That the opposite call takes a staged change back is documented, where that leads is assumed. Force repeats what
failed [doc], which the record does not show.
"""


CONFIRM_AFTER: Final = 60.0
"""Seconds between the two reads that must agree before a WorkSpace counts as needing somebody. [assumed]"""

GONE_READS: Final = 12
"""Answers in a row that a WorkSpace must be missing from before it counts as gone. [assumed]"""

GONE_AFTER: Final = 300.0
"""Seconds over which a WorkSpace must be missing from every answer before it counts as gone.

Where the service says that it does not know the WorkSpace, as the read of its associations does [assumed], nothing
is waited for: this is for one that is left out of answers, and that the service does not deny. [assumed]
"""


class Readiness(Enum):
    """The meaning of a WorkSpace's state to somebody who wants to deploy, or waits for a deployment."""

    READY = auto()
    """Changes can be staged and deployed; a deployment that was under way is over. [doc]"""
    ON_ITS_WAY = auto()
    """It becomes ready by itself: wait."""
    NEEDS_SOMEBODY = auto()
    """It does not become ready by itself, if a second read a minute later agrees."""
    GONE = auto()
    """It is terminated, or will be."""


@dataclass(frozen=True, slots=True)
class WorkspaceInfo:
    """One row of the table.

    Attributes:
        state: The state as the service calls it; None for a WorkSpace that is not listed.
        readiness: Its meaning.
        mark: The source.
        why: The fact, in a sentence.
        failed: Whether it failed, so that a wait for another state has failed too.
    """

    state: str | None
    readiness: Readiness
    mark: Mark
    why: str
    failed: bool = False


_R = Readiness
_BACK: Final = "Applications can be deployed, and a deployment leaves the WorkSpace as it found it."
_PASSES: Final = "It passes by itself."

WORKSPACES: Final = (
    WorkspaceInfo("AVAILABLE", _R.READY, "doc", _BACK),
    WorkspaceInfo("STOPPED", _R.READY, "doc", _BACK),
    WorkspaceInfo("PENDING", _R.ON_ITS_WAY, "doc", "It is being made."),
    WorkspaceInfo("REBOOTING", _R.ON_ITS_WAY, "assumed", _PASSES),
    WorkspaceInfo("STARTING", _R.ON_ITS_WAY, "assumed", "An AutoStop WorkSpace whose user logs in."),
    WorkspaceInfo("STOPPING", _R.ON_ITS_WAY, "assumed", "An AutoStop WorkSpace whose user has left."),
    WorkspaceInfo("REBUILDING", _R.ON_ITS_WAY, "assumed", _PASSES),
    WorkspaceInfo("RESTORING", _R.ON_ITS_WAY, "assumed", _PASSES),
    WorkspaceInfo("UPDATING", _R.ON_ITS_WAY, "doc", "Applications are being deployed."),
    WorkspaceInfo("MAINTENANCE", _R.ON_ITS_WAY, "assumed", "A maintenance window ends by itself."),
    WorkspaceInfo(
        "SUSPENDED", _R.NEEDS_SOMEBODY, "assumed", "It is set aside, as while an image is made of it."
    ),
    WorkspaceInfo(
        "ERROR",
        _R.NEEDS_SOMEBODY,
        "assumed",
        "It failed; reboot, restore, rebuild or replace it.",
        failed=True,
    ),
    WorkspaceInfo("UNHEALTHY", _R.NEEDS_SOMEBODY, "assumed", "It does not answer health checks."),
    WorkspaceInfo("IMPAIRED", _R.NEEDS_SOMEBODY, "assumed", "It runs, with something wrong."),
    WorkspaceInfo(
        "ADMIN_MAINTENANCE", _R.NEEDS_SOMEBODY, "doc", "An administrator closed it and must open it."
    ),
    WorkspaceInfo("TERMINATING", _R.GONE, "doc", "A termination cannot be undone."),
    WorkspaceInfo("TERMINATED", _R.GONE, "doc", "A termination cannot be undone."),
    WorkspaceInfo(None, _R.GONE, "doc", "A terminated WorkSpace is not listed."),
)
"""Every state of a WorkSpace. A state that has no row is on its way: see `UNKNOWN_WORKSPACE`."""

UNKNOWN_WORKSPACE: Final = WorkspaceInfo(
    "", _R.ON_ITS_WAY, "assumed", "A state newer than this package: keep waiting."
)
"""The row of every state that the table does not name."""

DEPLOYING: Final = "UPDATING"
"""The state of a WorkSpace while applications are being deployed on it. [doc]"""

TERMINATED: Final = frozenset(
    row.state for row in WORKSPACES if row.readiness is _R.GONE and row.state is not None
)
"""The states from which no WorkSpace comes back, so that one read is enough. [doc]"""

_BY_WORKSPACE_STATE: Final = {row.state: row for row in WORKSPACES}


def readiness(state: str | None) -> Readiness:
    """Return the meaning of a state; None is a WorkSpace that is not listed."""
    return _BY_WORKSPACE_STATE.get(state, UNKNOWN_WORKSPACE).readiness
