"""User connections: what DescribeWorkspacesConnectionStatus tells of a WorkSpace, and what may be taken from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from workspaces_apps._base.clock import Clock
from workspaces_apps._base.public import Datetime
from workspaces_apps._client.client import WorkSpacesClient
from workspaces_apps.api.workspaces import ConnectionState, WorkspaceConnectionStatus
from workspaces_apps.rollout._manifest.selectors import ConnectionFacts
from workspaces_apps.rollout._plan.reading import pages_of, patiently, side_by_side

STALE_AFTER: Final = timedelta(minutes=10)
"""The age by `ConnectionStateCheckTimestamp` after which a status says nothing about now. [assumed]"""

STOPPED: Final = "STOPPED"
"""The state in which nobody can be at work on a WorkSpace."""


class Presence(StrEnum):
    """Presence of a user on a WorkSpace."""

    CONNECTED = "connected"
    AWAY = "away"
    UNKNOWN = "unknown"


_PRESENCE: Final[Mapping[str, Presence]] = {
    ConnectionState.CONNECTED: Presence.CONNECTED,
    ConnectionState.DISCONNECTED: Presence.AWAY,
    # Also AVAILABLE WorkSpaces read so for a while. [field]
    ConnectionState.UNKNOWN: Presence.UNKNOWN,
}
"""The meaning of each connection state; a state that this release does not know is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionReading:
    """The connection of one WorkSpace, as it was read.

    Attributes:
        at: When the answer came, by the client's clock.
        status: What the service said; None where the WorkSpace was missing from the answer.
    """

    at: Datetime
    status: WorkspaceConnectionStatus | None

    def presence(self, workspace_state: str | None = None) -> Presence:
        """Return whether the user is there.

        Args:
            workspace_state: The WorkSpace's own state; None where it is not known.
        """
        if workspace_state == STOPPED:
            return Presence.AWAY
        if self.status is None or self.status.connection_state is None:
            return Presence.UNKNOWN
        checked = self.status.connection_state_check_timestamp
        if checked is not None and self.at - checked > STALE_AFTER:
            return Presence.UNKNOWN
        return _PRESENCE.get(self.status.connection_state, Presence.UNKNOWN)

    def facts(self, workspace_state: str | None) -> ConnectionFacts:
        """Return what a plan keeps of it."""
        presence = self.presence(workspace_state)
        return ConnectionFacts(
            at=self.at,
            listed=self.status is not None,
            connected=None if presence is Presence.UNKNOWN else presence is Presence.CONNECTED,
            last_connected=self.last_connected,
        )

    @property
    def last_connected(self) -> datetime | None:
        """The last connection of the user, not after `at`; None where the service knows of none."""
        if self.status is None or self.status.last_known_user_connection_timestamp is None:
            return None
        # The service's clock may be ahead of this one.
        return min(self.at, self.status.last_known_user_connection_timestamp)


async def read_connections(
    client: WorkSpacesClient, clock: Clock, workspace_ids: Sequence[str]
) -> dict[str, ConnectionReading]:
    """Read the connections of WorkSpaces, 25 a call; each has a reading, also one missing from the answer.

    Raises:
        WorkSpacesError: A call failed.
    """
    found: dict[str, ConnectionReading] = {}

    async def some(ids: Sequence[str]) -> None:
        listing = client.describe_workspaces_connection_status(workspace_ids=ids)
        statuses = {one.workspace_id: one async for one in patiently(listing)}
        at = clock.now()
        for workspace_id in ids:
            found[workspace_id] = ConnectionReading(at=at, status=statuses.get(workspace_id))

    await side_by_side(some, pages_of(workspace_ids))
    return found
