"""The states of a WorkSpace: is it ready for a deployment, on its way, in need of somebody, or gone."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from workspaces_apps._associations import Mark

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
    """

    state: str | None
    readiness: Readiness
    mark: Mark
    why: str


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
        "ERROR", _R.NEEDS_SOMEBODY, "assumed", "It failed; reboot, restore, rebuild or replace it."
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
"""Every state of a WorkSpace. A state that has no row is on its way: see `UNKNOWN`."""

UNKNOWN: Final = WorkspaceInfo("", _R.ON_ITS_WAY, "assumed", "A state newer than this package: keep waiting.")
"""The row of every state that the table does not name."""

DEPLOYING: Final = "UPDATING"
"""The state of a WorkSpace while applications are being deployed on it. [doc]"""

_BY_STATE: Final = {row.state: row for row in WORKSPACES}


def workspace_info(state: str | None) -> WorkspaceInfo:
    """Return the row of a state; None is a WorkSpace that is not listed."""
    return _BY_STATE.get(state, UNKNOWN)


def readiness(state: str | None) -> Readiness:
    """Return the meaning of a state; None is a WorkSpace that is not listed."""
    return workspace_info(state).readiness
