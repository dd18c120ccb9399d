"""Reading a target in as few calls as the service allows: its catalogue, WorkSpaces, associations and connections.

A page of DescribeWorkspaces has 25 WorkSpaces, a page of DescribeApplicationAssociations 25 associations of one
application; asking WorkSpace by WorkSpace would cost a call for each. The service counts the rate of each
operation by itself [assumed], so WorkSpaces and associations are read side by side.
"""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import (
    AsyncGenerator,
    Collection,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeVar

from workspaces_apps._base.clock import Clock
from workspaces_apps._base.public import Datetime
from workspaces_apps._client.client import WorkSpacesClient
from workspaces_apps._model.models import PageResult
from workspaces_apps._model.paginator import Paginated
from workspaces_apps._observe.reads import (
    AssociationRecord,
    Readings,
    portions,
    read_in_portions,
    read_workspace,
    side_by_side,
)
from workspaces_apps.api.applications import WorkSpaceApplication
from workspaces_apps.api.errors import ResourceNotFoundException
from workspaces_apps.api.workspaces import ConnectionState, Workspace, WorkspaceConnectionStatus
from workspaces_apps.errors import MalformedResponseError, WorkSpacesError
from workspaces_apps.rollout._errors import RolloutError
from workspaces_apps.rollout._manifest.manifest import ApplicationRef
from workspaces_apps.rollout._manifest.selectors import ConnectionFacts, Scope, WorkspaceFacts

_WORD: Final = re.compile(r"\w+")
_SHOWN: Final = 8

_NEAREST: Final = 3
"""Applications that are named for a name that is none."""

_NEAR: Final = 0.7
"""The likeness of the words of two names, from 0 to 1, from which one is meant by the other."""


class UnresolvedError(RolloutError):
    """A reference means no application of the catalogue, or several; the message names candidates."""


class Catalogue:
    """The applications that a target offers.

    Args:
        applications: What DescribeApplications lists.
    """

    def __init__(self, applications: Sequence[WorkSpaceApplication]) -> None:
        self._by_id: Mapping[str, WorkSpaceApplication] = {one.application_id: one for one in applications}

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, in the service's order."""
        return tuple(self._by_id)

    def get(self, application_id: str) -> WorkSpaceApplication | None:
        """Return the application, if the catalogue has it."""
        return self._by_id.get(application_id)

    def name(self, application_id: str) -> str | None:
        """Return the name, if the catalogue has one."""
        found = self._by_id.get(application_id)
        return found.name if found is not None else None

    def reference(self, application_id: str) -> str:
        """Return what a manifest may call an application: its name where that means it alone, else its id."""
        name = self.name(application_id)
        try:
            # Of a plain string an id is known by its beginning.
            if name is not None and not name.startswith("wsa-"):
                return name if self.resolve(ApplicationRef(name=name)) == application_id else application_id
        except RolloutError:
            pass
        return application_id

    def resolve(self, ref: ApplicationRef) -> str:
        """Return the id of the application that is meant.

        A name that is exactly right goes before names that only contain the words; `version` is a further word.

        Raises:
            UnresolvedError: None is, or several are.
        """
        if ref.id is not None:
            if ref.id in self._by_id:
                return ref.id
            raise UnresolvedError(
                f"{_quoted(ref)} is not in the catalogue{self._hint(self._near_ids(ref.id))}"
            )
        offered = [one for one in self._by_id.values() if ref.owner is None or one.owner == ref.owner]
        wanted = _words(f"{ref.name} {ref.version or ''}")
        exact = [one for one in offered if _words(one.name or "") == wanted]
        found = exact or [one for one in offered if set(wanted) <= set(_words(one.name or ""))]
        if len(found) == 1:
            return found[0].application_id
        if found:
            raise UnresolvedError(
                f"{_quoted(ref)} may mean any of {_listed(found)}; give more of the name, owner, or the id"
            )
        raise UnresolvedError(f"{_quoted(ref)} is not in the catalogue{self._hint(self._near_names(wanted))}")

    def _near_ids(self, wanted: str) -> list[WorkSpaceApplication]:
        near = difflib.get_close_matches(wanted, self._by_id, n=_NEAREST, cutoff=_NEAR)
        return [self._by_id[one] for one in near]

    def _near_names(self, wanted: Sequence[str]) -> list[WorkSpaceApplication]:
        likeness = {
            one.application_id: _likeness(wanted, _words(one.name or "")) for one in self._by_id.values()
        }
        near = sorted((one for one in likeness if likeness[one] >= _NEAR), key=lambda one: -likeness[one])
        return [self._by_id[one] for one in near[:_NEAREST]]

    def _hint(self, near: Sequence[WorkSpaceApplication]) -> str:
        if near:
            return f"; the nearest there: {_listed(near)}"
        return (
            f", and none of its {len(self)} applications is called like it"
            if self._by_id
            else ", which is empty"
        )


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _likeness(wanted: Sequence[str], name: Sequence[str]) -> float:
    """Compare the wanted words with those of a name: 0 to 1; a long word counts for more."""
    length = sum(map(len, wanted))
    if not length or not name:
        return 0.0
    ratios = (
        len(one) * max(difflib.SequenceMatcher(None, one, other).ratio() for other in name) for one in wanted
    )
    return sum(ratios) / length


def _quoted(ref: ApplicationRef) -> str:
    said = str(ref)
    own = ref.id or ref.name or ""
    return f'"{own}"{said.removeprefix(own)}'


def _listed(applications: Sequence[WorkSpaceApplication]) -> str:
    shown = [f'"{one.name}" ({one.application_id}, {one.owner})' for one in applications[:_SHOWN]]
    more = len(applications) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


PAGE: Final = 25
"""Items on a page, and ids in a request, at most [doc]."""

_MALFORMED: Final = 3
"""Answers in a row that cannot be read, before a reading gives up."""

ItemT = TypeVar("ItemT")

States = dict[str, dict[str, AssociationRecord]]
"""By WorkSpace and application: the association as it was seen."""


@dataclass(slots=True, kw_only=True)
class FleetReading:
    """The reading of a target.

    Attributes:
        catalogue: Its applications.
        workspaces: The WorkSpaces in the scope, by id.
        states: Their associations, and perhaps those of others.
        unread: The errors of those whose associations could not be read.
    """

    catalogue: Catalogue
    workspaces: dict[str, WorkspaceFacts]
    states: States = field(default_factory=States)
    unread: Mapping[str, WorkSpacesError] = field(default_factory=dict[str, WorkSpacesError])


async def read_fleet(client: WorkSpacesClient, scope: Scope) -> FleetReading:
    """Read the catalogue, the WorkSpaces of a scope, and their associations.

    Raises:
        WorkSpacesError: A call failed.
    """
    catalogue = Catalogue([one async for one in patiently(client.describe_applications(max_results=PAGE))])
    only_ids = not (scope.everything or scope.directory_ids or scope.bundle_ids)
    if only_ids and len(scope.workspace_ids) <= len(catalogue):
        # Each application costs a call at least, so this is the cheaper way.
        workspaces = await read_workspaces(client, scope)
        found = await read_each(client, list(workspaces))
        return FleetReading(
            catalogue=catalogue, workspaces=workspaces, states=found.found, unread=found.errors
        )
    reading = asyncio.ensure_future(read_workspaces(client, scope))
    listing = asyncio.ensure_future(read_applications(client, catalogue.ids))
    try:
        workspaces, states = await asyncio.gather(reading, listing)
    finally:
        reading.cancel()
        listing.cancel()
        await asyncio.gather(reading, listing, return_exceptions=True)
    return FleetReading(catalogue=catalogue, workspaces=workspaces, states=states)


async def read_workspaces(client: WorkSpacesClient, scope: Scope) -> dict[str, WorkspaceFacts]:
    """Return the WorkSpaces of a scope; ids that the service does not know are left out."""
    found: dict[str, WorkspaceFacts] = {}
    if scope.everything:
        async for workspace in patiently(client.describe_workspaces(limit=PAGE)):
            found[workspace.workspace_id] = facts_of(workspace)
        return found
    for directory_id in sorted(scope.directory_ids):
        async for workspace in patiently(client.describe_workspaces(directory_id=directory_id, limit=PAGE)):
            found[workspace.workspace_id] = facts_of(workspace)
    for bundle_id in sorted(scope.bundle_ids):
        async for workspace in patiently(client.describe_workspaces(bundle_id=bundle_id, limit=PAGE)):
            found[workspace.workspace_id] = facts_of(workspace)
    missing = sorted(scope.workspace_ids - found.keys())

    async def some(ids: Sequence[str]) -> None:
        async for workspace in patiently(client.describe_workspaces(workspace_ids=ids)):
            found[workspace.workspace_id] = facts_of(workspace)

    await side_by_side(some, portions(missing))
    return found


def facts_of(workspace: Workspace) -> WorkspaceFacts:
    """Return the facts about a WorkSpace that a roll-out keeps."""
    properties = workspace.workspace_properties
    return WorkspaceFacts(
        workspace_id=workspace.workspace_id,
        state=str(workspace.state),
        directory_id=workspace.directory_id,
        user_name=workspace.user_name,
        bundle_id=workspace.bundle_id,
        compute_type=properties.compute_type_name if properties is not None else None,
        operating_system=properties.operating_system_name if properties is not None else None,
        running_mode=properties.running_mode if properties is not None else None,
        root_volume_gib=properties.root_volume_size_gib if properties is not None else None,
    )


async def read_applications(client: WorkSpacesClient, application_ids: Collection[str]) -> States:
    """Return the associations of these applications with WorkSpaces, page by page."""
    states: States = {}

    async def one(application_id: str) -> None:
        async for row in patiently(
            client.describe_application_associations(
                application_id=application_id, associated_resource_types=["WORKSPACE"], max_results=PAGE
            )
        ):
            states.setdefault(row.associated_resource_id, {})[application_id] = AssociationRecord.of(row)

    await side_by_side(one, application_ids)
    return states


async def read_each(
    client: WorkSpacesClient, workspace_ids: Sequence[str]
) -> Readings[dict[str, AssociationRecord]]:
    """Read the associations of these WorkSpaces, a call for each; one that is gone has none.

    Raises:
        WorkSpacesError: None of them could be read.
    """

    async def read(ids: Sequence[str]) -> States:
        # At which moment does not matter to a plan.
        snapshots = [await read_workspace(client, one, 0.0) for one in ids]
        return {one.workspace_id: dict(one.associations) for one in snapshots}

    return await read_in_portions(read, workspace_ids, 1)


async def read_tags(client: WorkSpacesClient, workspace_ids: Sequence[str]) -> Readings[dict[str, str]]:
    """Read the tags of WorkSpaces, a call for each; one that is gone has none.

    Raises:
        WorkSpacesError: None of them could be read.
    """

    async def read(ids: Sequence[str]) -> dict[str, dict[str, str]]:
        tags: dict[str, dict[str, str]] = {}
        for one in ids:
            try:
                answer = await client.describe_tags(resource_id=one)
            except ResourceNotFoundException:
                tags[one] = {}
            else:
                tags[one] = {tag.key: tag.value or "" for tag in answer.tag_list}
        return tags

    return await read_in_portions(read, workspace_ids, 1)


async def patiently(listing: Paginated[PageResult, ItemT]) -> AsyncGenerator[ItemT, None]:
    """Yield every item of a listing; an answer that cannot be read is asked for again, page by page.

    The client repeats what fails on the way and not what came and is no answer. A reading of a thousand pages must not
    end with the first of those.
    """
    items = aiter(listing)
    failures = 0
    while True:
        try:
            item = await anext(items)
        except StopAsyncIteration:
            return
        except MalformedResponseError:
            failures += 1
            if failures > _MALFORMED:
                raise
        else:
            failures = 0
            yield item


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
        error: Why it could not be read; None where it could.
    """

    at: Datetime
    status: WorkspaceConnectionStatus | None
    error: WorkSpacesError | None = None

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
    """Read the connections of WorkSpaces, 25 a call; each has a reading, also one that could not be read.

    Raises:
        WorkSpacesError: None of them could be read.
    """

    async def some(ids: Sequence[str]) -> dict[str, ConnectionReading]:
        listing = client.describe_workspaces_connection_status(workspace_ids=ids)
        statuses = {one.workspace_id: one async for one in patiently(listing)}
        at = clock.now()
        return {one: ConnectionReading(at=at, status=statuses.get(one)) for one in ids}

    readings = await read_in_portions(some, workspace_ids)
    at = clock.now()
    unread = {one: ConnectionReading(at=at, status=None, error=why) for one, why in readings.errors.items()}
    return readings.found | unread
