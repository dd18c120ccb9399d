"""The state of a simulator: one store per account and Region, with the indexes that spare every scan, and their pages.

An index keeps its items by an ever-growing number, so that a page is found by bisection however long the index is,
and a listing goes on at the right place although items came and went between two pages. Tokens are opaque.
"""

from __future__ import annotations

import base64
import binascii
import bisect
import hashlib
import heapq
import hmac
import itertools
import json
import random
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from workspaces_apps.simulator._catalogue import catalogue
from workspaces_apps.simulator._records import (
    Application,
    Association,
    Bundle,
    Directory,
    Image,
    ResourceType,
    Workspace,
)
from workspaces_apps.simulator._settings import SimulatorSettings
from workspaces_apps.simulator._wire import ApiError, JsonObject, invalid, not_found

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_LAYOUT = struct.Struct(">BBQdI8s")
_MAC_BYTES = 16
_FORMAT = 1
_COMPACT_FROM = 64


class Listed(Protocol[T_co]):
    """An index that can be listed from any place on."""

    def after(self, key: int) -> Iterator[tuple[int, T_co]]:
        """Return number and item of all that come after this number."""
        ...


class OrderedIndex(Generic[T]):
    """Items in the order of their numbers."""

    __slots__ = ("_items", "_keys", "_live")

    def __init__(self) -> None:
        self._keys: list[int] = []
        self._items: list[T | None] = []
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def __iter__(self) -> Iterator[T]:
        return (item for item in self._items if item is not None)

    def append(self, key: int, item: T) -> None:
        """Add an item; its number must be above all others."""
        self._keys.append(key)
        self._items.append(item)
        self._live += 1

    def remove(self, key: int) -> None:
        """Take the item with this number out."""
        index = bisect.bisect_left(self._keys, key)
        if index == len(self._keys) or self._keys[index] != key or self._items[index] is None:
            return
        self._items[index] = None
        self._live -= 1
        if len(self._keys) > _COMPACT_FROM and self._live * 2 < len(self._keys):
            kept = [
                (key, item) for key, item in zip(self._keys, self._items, strict=True) if item is not None
            ]
            self._keys = [key for key, _ in kept]
            self._items = [item for _, item in kept]

    def after(self, key: int) -> Iterator[tuple[int, T]]:
        """Yield number and item of all that come after this number."""
        start = bisect.bisect_right(self._keys, key)
        for index in range(start, len(self._keys)):
            item = self._items[index]
            if item is not None:
                yield self._keys[index], item


def index_of(items: Iterable[T], number: Callable[[T], int]) -> OrderedIndex[T]:
    """Make an index of a few items, in the order of their numbers."""
    index: OrderedIndex[T] = OrderedIndex()
    for item in sorted(items, key=number):
        index.append(number(item), item)
    return index


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page, and the token of the next if there is one."""

    items: list[T]
    next_token: str | None


class Pager:
    """Cuts indexes into pages; its tokens are bound to one account, Region, operation and set of filters.

    Args:
        secret: What the tokens are sealed with.
        lifetime: Simulated seconds for which a token can be used.
    """

    def __init__(self, secret: bytes, lifetime: float) -> None:
        self._secret = secret
        self._lifetime = lifetime
        self._nonce = itertools.count(1)

    def page(
        self,
        operation: str,
        request: JsonObject,
        indexes: Sequence[Listed[T]],
        limit: int,
        now: float,
        keep: Callable[[T], bool] | None = None,
    ) -> Page[T]:
        """Return the page that the request asks for.

        Args:
            operation: The operation that lists.
            request: Its parameters; ``NextToken`` says where to go on, everything but the page size is a filter.
            indexes: What is listed, one index after the other.
            limit: Items on a page.
            now: Simulated time.
            keep: Leaves items out.

        Raises:
            ApiError: InvalidParameterValuesException: the token was tampered with, is too old, or belongs to
                another listing.
        """
        filters = _fingerprint(operation, request)
        token = request.get("NextToken")
        first, after = self._open(token, filters, now) if isinstance(token, str) else (0, 0)
        items: list[T] = []
        last = (first, after)
        for index in range(first, len(indexes)):
            for key, item in indexes[index].after(after if index == first else 0):
                if keep is not None and not keep(item):
                    continue
                if len(items) == limit:
                    return Page(items, self._seal(last, filters, now))
                items.append(item)
                last = (index, key)
        return Page(items, None)

    def renew(self, operation: str, request: JsonObject, now: float) -> str:
        """Make a token for the place the request is at: what an empty page carries."""
        filters = _fingerprint(operation, request)
        token = request.get("NextToken")
        place = self._open(token, filters, now) if isinstance(token, str) else (0, 0)
        return self._seal(place, filters, now)

    def _seal(self, place: tuple[int, int], filters: bytes, now: float) -> str:
        body = _LAYOUT.pack(_FORMAT, place[0], place[1], now, next(self._nonce) % 2**32, filters)
        mac = hmac.digest(self._secret, body, "sha256")[:_MAC_BYTES]
        return base64.urlsafe_b64encode(body + mac).decode("ascii")

    def _open(self, token: str, filters: bytes, now: float) -> tuple[int, int]:
        try:
            sealed = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _bad_token() from None
        body, mac = sealed[:-_MAC_BYTES], sealed[-_MAC_BYTES:]
        if len(body) != _LAYOUT.size or base64.urlsafe_b64encode(sealed).decode("ascii") != token:
            raise _bad_token()
        if not hmac.compare_digest(hmac.digest(self._secret, body, "sha256")[:_MAC_BYTES], mac):
            raise _bad_token()
        _, index, key, issued, _, bound_to = _LAYOUT.unpack(body)
        if bound_to != filters:
            raise _bad_token()
        if now - issued > self._lifetime:
            raise invalid("The specified pagination token has expired.")
        return int(index), int(key)


def _fingerprint(operation: str, request: JsonObject) -> bytes:
    filters = {
        name: value for name, value in request.items() if name not in ("NextToken", "MaxResults", "Limit")
    }
    if not filters:
        return hashlib.sha256(operation.encode()).digest()[:8]
    text = json.dumps([operation, filters], sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).digest()[:8]


def _bad_token() -> ApiError:
    return invalid("The specified pagination token is not valid.")


_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
# Two digits at a time: ids are what seeding a large fleet spends its time on.
_PAIRS = [first + second for first in _BASE36 for second in _BASE36]
RESOURCE_TYPES: tuple[ResourceType, ...] = ("WORKSPACE", "BUNDLE", "IMAGE")


@dataclass(order=True, frozen=True, slots=True)
class ScheduledEvent:
    """Something that will happen by itself.

    Attributes:
        at: When, in simulated epoch seconds.
        order: Events of the same moment happen in the order they were planned.
        kind: Which transition.
        target: The resource.
        epoch: The resource's epoch when this was planned; an event of an older epoch is void.
        detail: What the transition needs besides.
    """

    at: float
    order: int
    kind: str
    target: str
    epoch: int
    detail: str = ""


class Collection(dict[str, T]):
    """Resources of one kind by id, and, as far as they are listed, in the order of their numbers.

    Args:
        noun: A word for one that does not exist.
    """

    __slots__ = ("noun", "numbers", "order")

    def __init__(self, noun: str = "resource") -> None:
        super().__init__()
        self.noun: str = noun
        self.numbers: dict[str, int] = {}
        self.order: OrderedIndex[T] = OrderedIndex()

    def add(self, key: str, number: int, item: T) -> None:
        """Store a resource under its id, to be listed at the place of its number."""
        self[key] = item
        self.numbers[key] = number
        self.order.append(number, item)

    def drop(self, key: str) -> None:
        """Forget a resource that is listed."""
        del self[key]
        self.order.remove(self.numbers.pop(key))

    def named(self, key: str) -> T:
        """Return the resource with this id.

        Raises:
            ApiError: ResourceNotFoundException.
        """
        found = self.get(key)
        if found is None:
            raise not_found(self.noun, key)
        return found

    def chosen(self, keys: Sequence[str]) -> OrderedIndex[T]:
        """Return the index of the resources with these ids, whichever there are; of all, if no ids are given."""
        if not keys:
            return self.order
        numbered = [(self.numbers[one], self[one]) for one in dict.fromkeys(keys) if one in self]
        index: OrderedIndex[T] = OrderedIndex()
        for number, item in sorted(numbered, key=lambda one: one[0]):
            index.append(number, item)
        return index


class RegionStore:
    """Everything one account has in one Region."""

    def __init__(self, account_id: str, region: str, seed: int, settings: SimulatorSettings) -> None:
        self.account_id = account_id
        self.region = region
        self._user_key: Callable[[str], str] = str.casefold if settings.user_names_ignore_case else str
        self.source: random.Random = random.Random(f"store:{seed}:{account_id}:{region}")
        self.pager: Pager = Pager(self.source.randbytes(32), settings.page_token_lifetime)
        self.last_number: int = 0
        self.workspaces: dict[str, Workspace] = {}
        self.all_workspaces: OrderedIndex[Workspace] = OrderedIndex()
        self.by_directory: dict[str, OrderedIndex[Workspace]] = {}
        self.by_bundle: dict[str, OrderedIndex[Workspace]] = {}
        self.by_user: dict[str, dict[str, tuple[Workspace, ...]]] = {}
        self.by_name: dict[str, tuple[Workspace, ...]] = {}
        self.applications: Collection[Application] = Collection("application")
        self.installations: dict[tuple[str, ResourceType], OrderedIndex[Association]] = {}
        self.resource_associations: dict[str, dict[str, Association]] = {}
        self.directories: Collection[Directory] = Collection("directory")
        self.bundles: Collection[Bundle] = Collection("bundle")
        self.images: Collection[Image] = Collection("image")
        self.tags: dict[str, dict[str, str]] = {}
        self.collections: dict[str, Collection[JsonObject]] = {}
        self.account: JsonObject = {}
        self.scheduled_events: list[ScheduledEvent] = []
        self.texts: dict[str, tuple[tuple[object, ...], str]] = {}

    def number(self) -> int:
        """Return the next number in order of creation."""
        self.last_number += 1
        return self.last_number

    def new_id(self, prefix: str, length: int = 9) -> str:
        """Make an id."""
        number = self.source.getrandbits(6 * length + 16)
        digits = ""
        for _ in range((length + 1) // 2):
            number, pair = divmod(number, 1296)
            digits += _PAIRS[pair]
        return prefix + digits[:length]

    def new_hex(self, prefix: str, length: int) -> str:
        """Make an id of hexadecimal digits."""
        return f"{prefix}{self.source.getrandbits(4 * length):0{length}x}"

    def new_uuid(self) -> str:
        """Make an id in the form of a UUID."""
        digits = f"{self.source.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def plan(self, at: float, kind: str, target: str, epoch: int, detail: str = "") -> None:
        """Put something on the scheduled_events."""
        heapq.heappush(self.scheduled_events, ScheduledEvent(at, self.number(), kind, target, epoch, detail))

    def due(self, now: float) -> Iterator[ScheduledEvent]:
        """Take what is due off the scheduled_events, in order."""
        while self.scheduled_events and self.scheduled_events[0].at <= now:
            yield heapq.heappop(self.scheduled_events)

    def collection(self, name: str) -> Collection[JsonObject]:
        """Return one family of simple resources."""
        return self.collections.setdefault(name, Collection())

    def add_workspace(self, workspace: Workspace) -> None:
        """Take a WorkSpace into every index."""
        number = workspace.sequence
        self.workspaces[workspace.id] = workspace
        self.all_workspaces.append(number, workspace)
        _index(self.by_directory, workspace.directory_id).append(number, workspace)
        _index(self.by_bundle, workspace.bundle_id).append(number, workspace)
        users = self.by_user.setdefault(workspace.directory_id, {})
        user = self._user_key(workspace.user_name)
        users[user] = (*users.get(user, ()), workspace)
        if workspace.name is not None:
            self.by_name[workspace.name] = (*self.by_name.get(workspace.name, ()), workspace)

    def drop_workspace(self, workspace: Workspace) -> None:
        """Take a WorkSpace and its associations out of every index."""
        number = workspace.sequence
        for association in list(workspace.associations.values()):
            self.drop_association(association)
        del self.workspaces[workspace.id]
        self.all_workspaces.remove(number)
        _leave(self.by_directory, workspace.directory_id, number)
        _leave(self.by_bundle, workspace.bundle_id, number)
        _leave_tuple(self.by_user[workspace.directory_id], self._user_key(workspace.user_name), workspace)
        if workspace.name is not None:
            _leave_tuple(self.by_name, workspace.name, workspace)

    def workspace(self, workspace_id: str) -> Workspace:
        """Return a WorkSpace that can be described.

        Raises:
            ApiError: ResourceNotFoundException.
        """
        workspace = self.workspaces.get(workspace_id)
        if workspace is None or not workspace.visible:
            raise not_found("WorkSpace", workspace_id)
        return workspace

    def of_user(self, directory_id: str, user_name: str) -> tuple[Workspace, ...]:
        """Return the WorkSpaces of a directory's user."""
        return self.by_user.get(directory_id, {}).get(self._user_key(user_name), ())

    def associations_of(self, resource_id: str, resource_type: ResourceType) -> dict[str, Association]:
        """Return the associations of a resource, by application."""
        if resource_type == "WORKSPACE":
            return self.workspaces[resource_id].associations
        return self.resource_associations.setdefault(resource_id, {})

    def add_association(self, association: Association) -> None:
        """Keep an association, with its resource and with its application."""
        self.associations_of(association.resource_id, association.resource_type)[
            association.application_id
        ] = association
        key = (association.application_id, association.resource_type)
        index = self.installations.get(key)
        if index is None:
            index = self.installations[key] = OrderedIndex()
        index.append(association.sequence, association)

    def bring(
        self, resource_id: str, resource_type: ResourceType, application_id: str, at: float
    ) -> Association:
        """Keep an application that a resource has from the beginning, or was given outside the API."""
        association = Association(
            resource_id=resource_id,
            resource_type=resource_type,
            application_id=application_id,
            state="COMPLETED",
            direction=None,
            before="COMPLETED",
            created=at,
            updated=at,
            sequence=self.number(),
        )
        self.add_association(association)
        return association

    def drop_associations(self, resource_id: str) -> None:
        """Forget what is on an image or a bundle."""
        for association in list(self.resource_associations.get(resource_id, {}).values()):
            self.drop_association(association)

    def drop_association(self, association: Association) -> None:
        """Forget an association."""
        association.epoch += 1
        kept = self.associations_of(association.resource_id, association.resource_type)
        if kept.get(association.application_id) is association:
            del kept[association.application_id]
        key = (association.application_id, association.resource_type)
        self.installations[key].remove(association.sequence)

    def tags_of(self, resource_id: str) -> dict[str, str]:
        """Return the tags of a resource.

        Raises:
            ApiError: ResourceNotFoundException: nothing has that id.
        """
        workspace = self.workspaces.get(resource_id)
        if workspace is not None:
            return workspace.tags
        if not self.has_resource(resource_id):
            raise not_found("resource", resource_id)
        return self.tags.get(resource_id, {})

    def set_tags(self, resource_id: str, tags: dict[str, str]) -> None:
        """Replace the tags of a resource."""
        workspace = self.workspaces.get(resource_id)
        if workspace is not None:
            workspace.tags = tags
        else:
            self.tags[resource_id] = tags

    def has_resource(self, resource_id: str) -> bool:
        """Tell if something other than a WorkSpace has that id."""
        return (
            resource_id in self.directories
            or resource_id in self.bundles
            or resource_id in self.images
            or any(resource_id in collection for collection in self.collections.values())
        )


class Accounts:
    """All accounts and Regions of one simulator.

    Args:
        seed: What everything random is drawn from.
        settings: The simulator's settings.
        regions: The Regions it serves.
        seed_region: Gives a new store what every account has before its first WorkSpace.
    """

    def __init__(
        self,
        seed: int,
        settings: SimulatorSettings,
        regions: tuple[str, ...],
        seed_region: Callable[[RegionStore, float], None],
    ) -> None:
        self._seed_region = seed_region
        self.seed = seed
        self.settings = settings
        self.regions = regions
        self.links: dict[str, JsonObject] = {}
        # A test looks into the fleet, and changes it, from its own thread while the simulator answers in another.
        self.lock: threading.RLock = threading.RLock()
        self._stores: dict[tuple[str, str], RegionStore] = {}

    def store(self, account_id: str, region: str, now: float) -> RegionStore:
        """Return the store of an account in a Region; a new one has a catalogue, directories, bundles and images."""
        store = self._stores.get((account_id, region))
        if store is None:
            store = self._stores[account_id, region] = RegionStore(
                account_id, region, self.seed, self.settings
            )
            for application in catalogue(account_id, now - 86400.0):
                application.sequence = store.number()
                store.applications.add(application.id, application.sequence, application)
            self._seed_region(store, now)
        return store

    def peek(self, account_id: str, region: str) -> RegionStore | None:
        """Return a store that exists already."""
        return self._stores.get((account_id, region))

    def stores(self) -> list[RegionStore]:
        """Return all stores there are."""
        return list(self._stores.values())

    def put(self, store: RegionStore) -> None:
        """Take in a store that was loaded."""
        self._stores[store.account_id, store.region] = store


def _index(indexes: dict[str, OrderedIndex[Workspace]], key: str) -> OrderedIndex[Workspace]:
    index = indexes.get(key)
    if index is None:
        index = indexes[key] = OrderedIndex()
    return index


def _leave(indexes: dict[str, OrderedIndex[Workspace]], key: str, number: int) -> None:
    index = indexes[key]
    index.remove(number)
    if not index:
        del indexes[key]


def _leave_tuple(index: dict[str, tuple[Workspace, ...]], key: str, workspace: Workspace) -> None:
    left = tuple(other for other in index[key] if other is not workspace)
    if left:
        index[key] = left
    else:
        del index[key]
