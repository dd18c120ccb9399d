"""What an association needs to get where it is wanted: one table."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from workspaces_apps.waiters.records import Target


class Act(Enum):
    """What an association needs to get where it is wanted."""

    NOTHING = auto()
    """It is there."""
    STAGE = auto()
    """Associate, or Disassociate."""
    DEPLOY = auto()
    """Deploy."""
    WAIT = auto()
    """It is on its way, in whichever direction."""
    RETRY = auto()
    """It is in ERROR."""


ACTS: Final[Mapping[str | None, tuple[Act, Act]]] = {
    None: (Act.STAGE, Act.NOTHING),
    "REMOVED": (Act.STAGE, Act.NOTHING),
    "PENDING_INSTALL_DEPLOYMENT": (Act.DEPLOY, Act.STAGE),
    "PENDING_INSTALL": (Act.WAIT, Act.WAIT),
    "INSTALLING": (Act.WAIT, Act.WAIT),
    "COMPLETED": (Act.NOTHING, Act.STAGE),
    "PENDING_UNINSTALL_DEPLOYMENT": (Act.STAGE, Act.DEPLOY),
    "PENDING_UNINSTALL": (Act.WAIT, Act.WAIT),
    "UNINSTALLING": (Act.WAIT, Act.WAIT),
    "ERROR": (Act.RETRY, Act.RETRY),
}
"""By state, what is to be done to have an application installed, and to have it removed.

The opposite call takes a staged change back. [doc] None and REMOVED mean the same. [assumed] A state that is not
here counts as on its way.
"""

STAGED: Final = frozenset({"PENDING_INSTALL_DEPLOYMENT", "PENDING_UNINSTALL_DEPLOYMENT"})
"""Staged: Deploy would commit it. [doc]"""


def act_for(state: str | None, target: Target) -> Act:
    """What an association in a state needs."""
    to_install, to_remove = ACTS.get(state, (Act.WAIT, Act.WAIT))
    return to_install if target == "installed" else to_remove
