"""What the states of an association mean to a roll-out, and one association as it was seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from workspaces_apps.api.applications import (
    ApplicationResourceAssociation,
    AssociationState,
    WorkspaceResourceAssociation,
)
from workspaces_apps.rollout.events import Direction

ABSENT: Final = "REMOVED"
"""How a roll-out calls what is not there: REMOVED rows may linger or not, so both are the same [assumed]."""

STAGED: Final[Mapping[str, Direction]] = {
    AssociationState.PENDING_INSTALL_DEPLOYMENT: "install",
    AssociationState.PENDING_UNINSTALL_DEPLOYMENT: "uninstall",
}
"""Staged: nothing happens until Deploy [doc; that these are the states is assumed]."""

IN_FLIGHT: Final[Mapping[str, Direction]] = {
    AssociationState.PENDING_INSTALL: "install",
    AssociationState.INSTALLING: "install",
    AssociationState.PENDING_UNINSTALL: "uninstall",
    AssociationState.UNINSTALLING: "uninstall",
}
"""Committed, and going on; the state shows the direction [labels doc, order assumed]."""

RESTING: Final[Mapping[str, Direction]] = {
    AssociationState.COMPLETED: "install",
    ABSENT: "uninstall",
}
"""Ended well, and where that led."""

RESTS_IN: Final[Mapping[Direction, str]] = {direction: state for state, direction in RESTING.items()}
"""By where it leads: the state of what ended well."""

ERROR: Final = str(AssociationState.ERROR)
"""Ended badly; the record does not say in which direction [doc]."""

OPPOSITE: Final[Mapping[Direction, Direction]] = {"install": "uninstall", "uninstall": "install"}


@dataclass(frozen=True, slots=True)
class Seen:
    """An association as it was seen.

    Attributes:
        state: Its state, as the service calls it; `ABSENT` where there is no row.
        code: For ERROR: the service's code.
        message: For ERROR: the service's words.
        updated: When it last changed, by the service's clock.
    """

    state: str
    code: str | None = None
    message: str | None = None
    updated: datetime | None = None

    @classmethod
    def of(cls, row: WorkspaceResourceAssociation | ApplicationResourceAssociation) -> "Seen":
        """What a row of either listing says."""
        reason = row.state_reason
        return cls(
            str(row.state),
            str(reason.error_code) if reason is not None and reason.error_code is not None else None,
            reason.error_message if reason is not None else None,
            row.last_updated_time,
        )


GONE: Final = Seen(ABSENT)
