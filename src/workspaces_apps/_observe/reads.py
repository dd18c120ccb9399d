"""The reads: records of what they show, the fewest calls that show it, and proof of what is absent.

One call of DescribeApplicationAssociations shows 25 associations of one application, one call of
DescribeWorkspaceAssociations shows every association of one WorkSpace, one of DescribeWorkspaces 25 states. [doc]
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

from workspaces_apps.api.errors import AccessDeniedException, ResourceNotFoundException
from workspaces_apps.errors import (
    ClientStateError,
    ConfigurationError,
    CredentialsError,
    MalformedResponseError,
    RequestValidationError,
    ServiceError,
    ThrottlingException,
    WorkSpacesError,
    lost_credentials,
)

if TYPE_CHECKING:
    from datetime import datetime

    from workspaces_apps.api import (
        ApplicationResourceAssociation,
        AssociationState,
        AssociationStateReason,
        DescribeApplicationAssociationsResult,
        WorkspaceResourceAssociation,
        WorkspaceState,
    )
    from workspaces_apps.api.operations import Operations


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


def state_of(record: AssociationRecord | None) -> AssociationState | None:
    """Return the state of an association; None for no association."""
    return record.state if record is not None else None


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


ROWS: Final = 25
"""Associations on a page of DescribeApplicationAssociations, at most. [doc]"""

_CANDIDATES: Final = 32
"""So many sets of applications, those that most WorkSpaces share, are weighed against each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPlan:
    """The listings, and the WorkSpaces to read one by one.

    Attributes:
        listings: Applications whose associations to list.
        singles: WorkSpaces to read one by one: those that the listings do not cover.
    """

    listings: frozenset[str]
    singles: tuple[str, ...]


class PageCounts:
    """Pages that the associations of each application take, as far as is known."""

    def __init__(self) -> None:
        self._pages: dict[str, int] = {}

    def pages(self, application: str, followers: int) -> int:
        """Return the pages that a listing is expected to take.

        Args:
            application: The application.
            followers: How many of its associations are known of, which must be on these pages.
        """
        return max(self._pages.get(application, 1), -(-followers // ROWS))

    def read(self, application: str, pages: int) -> None:
        """Remember that a listing was read to its end and took so many."""
        self._pages[application] = max(1, pages)

    def calls(self, applications: Iterable[str], followers: int) -> int:
        """Return the pages that the listings of several applications are expected to take together."""
        return sum(self.pages(application, followers) for application in applications)

    def took(self, application: str, pages: int) -> None:
        """Remember that a listing showed what was sought on so many pages, before its end: it is no shorter."""
        self._pages[application] = max(self._pages.get(application, 1), pages)

    def gave_up(self, application: str, pages: int) -> None:
        """Remember that a listing was longer than it was worth: it will be tried for twice as many WorkSpaces."""
        self._pages[application] = max(self._pages.get(application, 1), 2 * pages)


def make_plan(needs: Mapping[str, Iterable[str]], counts: PageCounts) -> ReadPlan:
    """Return the cheapest calls that show what is needed, or nearly: listings are taken greedily, the best first.

    A set of applications is a number here, with a bit for each: ten thousand WorkSpaces may want thousands of sets.

    Args:
        needs: By WorkSpace, the applications to look at.
        counts: How long the listings are.
    """
    bits: dict[str, int] = {}
    masks = {
        workspace: sum(bits.setdefault(one, 1 << len(bits)) for one in dict.fromkeys(applications))
        for workspace, applications in needs.items()
    }
    groups = Counter(masks.values())
    cost = {
        bit: counts.pages(application, sum(size for group, size in groups.items() if group & bit))
        for application, bit in bits.items()
    }
    # The last one covers every group; with more of the others the arithmetic would cost more than the calls it saves.
    candidates = [group for group, _ in groups.most_common(_CANDIDATES)] + [(1 << len(bits)) - 1]
    listed = 0
    while True:
        open_groups = [(group, size) for group, size in groups.items() if group & ~listed]
        best, best_gain = listed, 0
        for applications in candidates:
            left = ~(listed | applications)
            covered = sum(size for group, size in open_groups if not group & left)
            gain = covered - sum(pages for bit, pages in cost.items() if bit & applications & ~listed)
            if gain > best_gain:
                best, best_gain = listed | applications, gain
        if best == listed:
            break
        listed = best
    return ReadPlan(
        listings=frozenset(one for one, bit in bits.items() if bit & listed),
        singles=tuple(workspace for workspace, mask in masks.items() if mask & ~listed),
    )


ListingPlace: TypeAlias = tuple[int, int]
"""The page of a row, from 1, and how many rows were read before it."""


def surely_absent(before: Sequence[str], found: Mapping[str, ListingPlace], pages: int) -> frozenset[str]:
    """Return the rows that are gone for certain, and have not only slipped to a page that was read before.

    A row slips when one before it goes while the listing is read, if the service finds its pages by counting. But a
    page is of one moment: where the neighbours of a row are on the same page and the row is not, it is gone. That
    a listing keeps its order is assumed; without it no listing in pages would be complete. [assumed]

    Args:
        before: The rows of the listing before this one, in its order.
        found: The rows of this listing.
        pages: How many pages it had; the last of them was read.
    """
    sure: set[str] = set()
    gap: list[str] = []
    left: ListingPlace = (1, -1)
    for row in before:
        place = found.get(row)
        if place is None:
            gap.append(row)
            continue
        if place[0] == left[0] and place > left:
            sure.update(gap)
        gap.clear()
        left = place
    if left[0] == pages:
        sure.update(gap)
    return frozenset(sure)


IDS: Final = 25
"""Ids that one DescribeWorkspaces takes. [doc]"""

SIDE_BY_SIDE: Final = 16
"""Calls of one kind at the same time where many are work; the pacing decides how fast they go."""

LASTING: Final = (
    AccessDeniedException,
    ClientStateError,
    ConfigurationError,
    CredentialsError,
    RequestValidationError,
)
"""Errors that do not pass by themselves: no poll that fails so is tolerated."""


def is_lasting(error: WorkSpacesError) -> bool:
    """Tell if an error does not pass by itself."""
    return isinstance(error, LASTING) or lost_credentials(error)


_MALFORMED: Final = 3
"""Answers in a row that cannot be read, before a listing gives up."""

ItemT = TypeVar("ItemT")
FoundT = TypeVar("FoundT")


async def read_workspace(client: Operations, workspace_id: str, at: float) -> Snapshot:
    """Read the associations of one WorkSpace; the snapshot of one that the service does not know has `exists` False.

    Args:
        client: Whose call it is.
        workspace_id: The WorkSpace.
        at: The moment, in seconds of the clock's `monotonic`.

    Raises:
        WorkSpacesError: The call failed.
    """
    try:
        answer = await client.describe_workspace_associations(workspace_id=workspace_id)
    except ResourceNotFoundException as error:
        return Snapshot(workspace_id=workspace_id, at=at, complete=True, refusal=error)
    rows = {row.associated_resource_id: AssociationRecord.of(row) for row in answer.associations}
    return Snapshot(workspace_id=workspace_id, at=at, associations=rows, complete=True)


async def list_pages(
    client: Operations, application_id: str
) -> AsyncGenerator[DescribeApplicationAssociationsResult]:
    """Read the associations of one application page by page.

    The client repeats what fails on the way, but not what came and is no answer: that is asked for again here, because
    a listing of a thousand pages must not end with the first of those.

    Raises:
        WorkSpacesError: A call failed.
    """
    pages = client.describe_application_associations(
        application_id=application_id, associated_resource_types=("WORKSPACE",), max_results=ROWS
    ).pages()
    failures = 0
    while True:
        try:
            page = await anext(pages)
        except StopAsyncIteration:
            return
        except MalformedResponseError:
            failures += 1
            if failures > _MALFORMED:
                raise
        else:
            failures = 0
            yield page


async def read_states(client: Operations, workspace_ids: Sequence[str]) -> dict[str, WorkspaceState | None]:
    """Read the states of at most 25 WorkSpaces; None for one that the service does not list.

    Raises:
        WorkSpacesError: The call failed.
    """
    states: dict[str, WorkspaceState | None] = dict.fromkeys(workspace_ids)
    failures = 0
    while True:
        try:
            found = await client.describe_workspaces(workspace_ids=workspace_ids).collect()
            break
        except MalformedResponseError:
            # As in a listing: what came and is no answer is asked for again.
            failures += 1
            if failures > _MALFORMED:
                raise
    # An answer is for who asked: what else it holds is nobody's.
    states.update({one.workspace_id: one.state for one in found if one.workspace_id in states})
    return states


async def read_states_apart(
    client: Operations, workspace_ids: Sequence[str]
) -> dict[str, WorkspaceState | None]:
    """Read the states of at most 25 WorkSpaces, those apart that spoil the call for the others.

    Raises:
        WorkSpacesError: The call failed, or that for one of them alone.
    """
    readings = await _read_apart(partial(read_states, client), workspace_ids)
    readings.check()
    return readings.found


@dataclass(slots=True)
class Readings(Generic[FoundT]):
    """The result of a read of many.

    Attributes:
        found: What was read, by id.
        errors: The errors of those that could not be, by id.
    """

    found: dict[str, FoundT] = field(default_factory=dict[str, FoundT])
    errors: dict[str, WorkSpacesError] = field(default_factory=dict[str, "WorkSpacesError"])

    def check(self) -> None:
        """Raise the first error, if there is any."""
        for error in self.errors.values():
            raise error

    def add(self, others: Readings[FoundT]) -> None:
        """Take in the result for others."""
        self.found |= others.found
        self.errors |= others.errors


async def _read_apart(
    read: Callable[[Sequence[str]], Awaitable[dict[str, FoundT]]], ids: Sequence[str]
) -> Readings[FoundT]:
    """Read several in one call; where one of the ids spoils it for the others, in halves until that one is alone.

    Raises:
        WorkSpacesError: A call failed for another reason.
    """
    try:
        return Readings(await read(ids))
    except ThrottlingException:
        raise
    except ServiceError as error:
        if not is_spoilt(error):
            raise
        if len(ids) == 1:
            return Readings(errors={ids[0]: error})
    middle = len(ids) // 2
    readings = await _read_apart(read, ids[:middle])
    readings.add(await _read_apart(read, ids[middle:]))
    return readings


async def read_in_portions(
    read: Callable[[Sequence[str]], Awaitable[dict[str, FoundT]]], ids: Sequence[str], size: int = IDS
) -> Readings[FoundT]:
    """Read many, some portions at the same time; what cannot be read spoils nothing for the others.

    Args:
        read: Reads those of one portion.
        ids: All of them.
        size: How many are in a portion.

    Raises:
        WorkSpacesError: Nothing could be read, and that is not for the ids; or the error is one that all would meet.
    """
    readings: Readings[FoundT] = Readings()
    failures = 0

    async def some(portion: Sequence[str]) -> None:
        nonlocal failures
        try:
            readings.add(await _read_apart(read, portion))
        except WorkSpacesError as error:
            failures += 1
            if is_lasting(error) or (failures >= SIDE_BY_SIDE and not readings.found):
                raise
            readings.errors.update(dict.fromkeys(portion, error))

    await side_by_side(some, portions(ids, size))
    if failures and not readings.found:
        raise next(iter(readings.errors.values()))
    return readings


def is_spoilt(error: ServiceError) -> bool:
    """Tell if one id may be what the service refused a call of many for."""
    return error.code in {
        "InvalidParameterValuesException",
        "ResourceNotFoundException",
        "ValidationException",
    }


def portions(ids: Sequence[str], size: int = IDS) -> Iterator[Sequence[str]]:
    """Return the ids in portions that one request takes."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


async def side_by_side(work: Callable[[ItemT], Awaitable[object]], items: Iterable[ItemT]) -> None:
    """Do the work for each item, some at the same time; the first failure ends it, as it is and not in a group."""
    source = iter(items)

    async def worker() -> None:
        for item in source:
            await work(item)

    tasks = [asyncio.ensure_future(worker()) for _ in range(SIDE_BY_SIDE)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
