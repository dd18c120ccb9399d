"""The records of what was read: an association, and everything known of one WorkSpace at a moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from workspaces_apps.api import (
        ApplicationResourceAssociation,
        AssociationState,
        AssociationStateReason,
        WorkspaceResourceAssociation,
        WorkspaceState,
    )
    from workspaces_apps.api.errors import ResourceNotFoundException


@dataclass(frozen=True, slots=True)
class AssociationRecord:
    """An association as either listing shows it.

    Attributes:
        state: Its state.
        reason: The reason of an ERROR, as the service put it.
        updated: The time of its last change, by the service's clock.
        created: The time of its creation, by the service's clock.
    """

    state: AssociationState
    reason: AssociationStateReason | None = None
    updated: datetime | None = None
    created: datetime | None = None

    @classmethod
    def of(cls, row: WorkspaceResourceAssociation | ApplicationResourceAssociation) -> AssociationRecord:
        """Return the record of a row of either listing."""
        return cls(row.state, row.state_reason, row.last_updated_time, row.created)

    @property
    def code(self) -> str | None:
        """The service's code of an ERROR."""
        reason = self.reason
        return str(reason.error_code) if reason is not None and reason.error_code is not None else None

    @property
    def message(self) -> str | None:
        """The service's words about an ERROR."""
        return self.reason.error_message if self.reason is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The result of one read, or of one round of shared reads, for a WorkSpace.

    An application that is neither in `associations` nor in `absent` nor in `unconfirmed` was not read, unless the
    snapshot is `complete`: then it is absent.

    Attributes:
        workspace_id: The WorkSpace.
        at: When the oldest of its reads began, in seconds of the clock's `monotonic`.
        associations: The associations that were read, by application.
        complete: Whether the WorkSpace was read by itself: every association is here.
        absent: Applications that were read, and are proven to have no association.
        unconfirmed: Applications that a paged listing did not show, and that are not proven absent.
        refusal: The answer of a service that does not know the WorkSpace.
        workspace_state: The WorkSpace's state when it was read last; None if it was not listed, or never read.
        state_at: When the read of that state began; None if it was never read.
        state_denied: Whether states may not be read at all, so that the associations alone must tell.
    """

    workspace_id: str
    at: float
    associations: Mapping[str, AssociationRecord] = field(default_factory=dict[str, AssociationRecord])
    complete: bool = False
    absent: frozenset[str] = frozenset()
    unconfirmed: frozenset[str] = frozenset()
    refusal: ResourceNotFoundException | None = None
    workspace_state: WorkspaceState | None = None
    state_at: float | None = None
    state_denied: bool = False

    @property
    def is_state_alone(self) -> bool:
        """Tell if this shows nothing but the WorkSpace's own state."""
        return not (self.complete or self.associations or self.absent or self.unconfirmed)

    @property
    def exists(self) -> bool:
        """Tell if the service knows the WorkSpace, as far as this shows."""
        return self.refusal is None
