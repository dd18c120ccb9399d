"""Fleets in files: the simulator's state, saved and loaded whole, and a fleet made of a listing.

A file that is broken is refused with a clear error. Credentials are in no snapshot: they come from the seed. The
listing is that of DescribeWorkspaces; of a fleet made of it every id and name is replaced.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from workspaces_apps._base.system import read_file, replace_file, try_to_replace
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator._faults import Faults
from workspaces_apps.simulator._fleet import SampleBundle, add_bundle, enliven, new_directory, new_workspace
from workspaces_apps.simulator._records import Application, Association, Bundle, Directory, Image, Workspace
from workspaces_apps.simulator._settings import SimulatorSettings
from workspaces_apps.simulator._state import Accounts, Collection, RegionStore, ScheduledEvent
from workspaces_apps.simulator._transitions import Transitions
from workspaces_apps.simulator._wire import JsonObject, JsonValue

FORMAT: Final = 2

MAX_STATE_BYTES: Final = 1_000_000_000
"""The largest state that is read."""

Numbered = TypeVar("Numbered", Application, Association, Bundle, Directory, Image, Workspace)
Listed = TypeVar("Listed", Application, Bundle, Directory, Image)


@dataclass(slots=True, kw_only=True)
class StoredItem:
    """One resource of a simple family."""

    family: str
    key: str
    number: int | None
    item: JsonObject


@dataclass(slots=True, kw_only=True)
class StoredRegion:
    """The resources of one account in one Region."""

    account_id: str
    region: str
    last_number: int
    applications: list[Application]
    directories: list[Directory]
    bundles: list[Bundle]
    images: list[Image]
    workspaces: list[Workspace]
    brought: list[Association]
    tags: dict[str, dict[str, str]]
    items: list[StoredItem]
    account: JsonObject
    scheduled_events: list[ScheduledEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """The member that tells which others to expect."""

    format: int


@dataclass(slots=True, kw_only=True)
class StoredState:
    """The whole file."""

    format: int
    saved_at: float
    links: dict[str, JsonObject]
    stores: list[StoredRegion]


def stored_state(accounts: Accounts, now: float) -> StoredState:
    """Return everything a file would hold; equal for worlds that are equal.

    Args:
        accounts: What to hold; nothing is copied.
        now: Simulated epoch seconds.
    """
    return StoredState(
        format=FORMAT,
        saved_at=now,
        links=accounts.links,
        stores=[_stored(store) for store in accounts.stores()],
    )


def save(path: Path, accounts: Accounts, now: float) -> None:
    """Write everything, so that the file is either the old one or the new one.

    Args:
        path: The file.
        accounts: What to write.
        now: Simulated epoch seconds.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    stored = stored_state(accounts, now)
    with _writing(path):
        replace_file(path, TypeAdapter(StoredState).dump_json(stored))


def try_to_save(path: Path) -> None:
    """Find out if the file can be written, and leave everything as it is.

    Raises:
        ConfigurationError: It cannot.
    """
    with _writing(path):
        try_to_replace(path)


@contextmanager
def _writing(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"cannot write the state file {path}: {error.strerror}") from error


def load(path: Path, accounts: Accounts) -> float:
    """Read a file into an empty accounts.

    Args:
        path: The file.
        accounts: Where it goes.

    Returns:
        When it was saved, in simulated epoch seconds.

    Raises:
        ConfigurationError: The file cannot be read, is broken, or is of another format.
    """
    try:
        content = read_file(path, MAX_STATE_BYTES)
        # First: what another format holds beside it would only be called broken.
        found = TypeAdapter(_Head).validate_json(content).format
        if found != FORMAT:
            raise ConfigurationError(
                f"the state file {path} has format {found}, and this release reads format {FORMAT}: "
                "delete it, and let the simulator begin with a new one"
            )
        stored = TypeAdapter(StoredState).validate_json(content)
    except OSError as error:
        raise ConfigurationError(f"cannot read the state file {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigurationError(f"the state file {path} is broken at {where}: {first['msg']}") from error
    try:
        stores = [_restored(region, accounts) for region in stored.stores]
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigurationError(f"the state file {path} contradicts itself: {error!r}") from error
    for store in stores:
        accounts.put(store)
    accounts.links.update(stored.links)
    return stored.saved_at


def _stored(store: RegionStore) -> StoredRegion:
    return StoredRegion(
        account_id=store.account_id,
        region=store.region,
        last_number=store.last_number,
        applications=list(store.applications.values()),
        directories=list(store.directories.values()),
        bundles=list(store.bundles.values()),
        images=list(store.images.values()),
        workspaces=list(store.all_workspaces),
        brought=[
            association
            for associations in store.resource_associations.values()
            for association in associations.values()
        ],
        tags=store.tags,
        items=[
            StoredItem(family=family, key=key, number=collection.numbers.get(key), item=item)
            for family, collection in store.collections.items()
            for key, item in collection.items()
        ],
        account=store.account,
        scheduled_events=store.scheduled_events,
    )


def _restored(stored: StoredRegion, accounts: Accounts) -> RegionStore:
    store = RegionStore(stored.account_id, stored.region, accounts.seed, accounts.settings)
    # What is drawn from now on must not repeat what was drawn before.
    store.source.seed(f"restored:{accounts.seed}:{stored.account_id}:{stored.region}:{stored.last_number}")
    _refill(store.applications, stored.applications)
    _refill(store.directories, stored.directories)
    _refill(store.bundles, stored.bundles)
    _refill(store.images, stored.images)
    associations = list(stored.brought)
    for workspace in _in_order(stored.workspaces):
        if workspace.directory_id not in store.directories:
            raise ValueError(f"{workspace.id} is in an unknown directory")
        associations += workspace.associations.values()
        workspace.associations = {}
        store.add_workspace(workspace)
    for association in _in_order(associations):
        if association.application_id not in store.applications:
            raise ValueError(f"{association.resource_id} has an unknown application")
        store.add_association(association)
    store.tags = stored.tags
    for item in sorted(stored.items, key=lambda one: one.number or 0):
        if item.number is None:
            store.collection(item.family)[item.key] = item.item
        else:
            store.collection(item.family).add(item.key, item.number, item.item)
    store.account = stored.account
    _check_scheduled_events(stored.scheduled_events, accounts.settings)
    store.scheduled_events = sorted(stored.scheduled_events)
    store.last_number = stored.last_number
    return store


def _check_scheduled_events(scheduled_events: list[ScheduledEvent], settings: SimulatorSettings) -> None:
    kinds = Transitions(settings, Faults(0)).kinds
    for event in scheduled_events:
        if event.kind not in kinds:
            raise ValueError(f"the scheduled_events has an unknown kind of event, {event.kind!r}")


def _refill(collection: Collection[Listed], items: list[Listed]) -> None:
    for item in _in_order(items):
        collection.add(item.id, item.sequence, item)


def _in_order(items: list[Numbered]) -> list[Numbered]:
    numbers = [item.sequence for item in items]
    if len(set(numbers)) != len(numbers):
        raise ValueError("two records have the same sequence")
    return sorted(items, key=lambda item: item.sequence)


class _Properties(TypedDict, total=False):
    RunningMode: str
    RunningModeAutoStopTimeoutInMinutes: int
    RootVolumeSizeGib: int
    UserVolumeSizeGib: int
    ComputeTypeName: str
    Protocols: list[str]
    OperatingSystemName: str


class _Workspace(TypedDict, total=False):
    DirectoryId: str
    UserName: str
    State: str
    BundleId: str
    UserVolumeEncryptionEnabled: bool
    RootVolumeEncryptionEnabled: bool
    WorkspaceProperties: _Properties


class _Page(TypedDict):
    Workspaces: list[_Workspace]


_AT_REST: Final = frozenset(
    {
        "AVAILABLE",
        "STOPPED",
        "SUSPENDED",
        "ERROR",
        "UNHEALTHY",
        "IMPAIRED",
        "MAINTENANCE",
        "ADMIN_MAINTENANCE",
    }
)
_COMES_TO: Final = {"STOPPING": "STOPPED"}
"""The states that a WorkSpace is put into which was on its way; AVAILABLE if its state is not here."""
_GONE: Final = frozenset({"TERMINATING", "TERMINATED"})


def load_fleet(path: Path, store: RegionStore, now: float, settings: SimulatorSettings) -> int:
    """Fill a store with WorkSpaces like those of a listing.

    Kept are states, running modes, compute types, operating systems, volumes, protocols, encryption, and who shares a
    directory, a bundle or a user. Ids, names and addresses are made anew, and nothing else is read.

    Args:
        path: What `aws workspaces describe-workspaces` has printed: an object with ``Workspaces``, a list of such
            pages, or the list itself.
        store: An empty store.
        now: Simulated epoch seconds.
        settings: Which share is encrypted besides, and whether users come and go.

    Returns:
        How many WorkSpaces there are.

    Raises:
        ConfigurationError: The file cannot be read, or is no such listing.
    """
    listed = _read(path)
    directories: dict[str, Directory] = {}
    bundles: dict[str, Bundle] = {}
    users: dict[tuple[str, str], str] = {}
    for one in listed:
        if one.get("State") in _GONE:
            continue
        properties = one.get("WorkspaceProperties", {})
        there = one.get("DirectoryId", "")
        directory = directories.get(there)
        if directory is None:
            directory = directories[there] = new_directory(
                store, f"fleet-{len(directories) + 1}.example.com", "AD_CONNECTOR"
            )
            store.directories.add(directory.id, directory.sequence, directory)
        made_of = one.get("BundleId", "")
        kind = SampleBundle(
            f"Fleet bundle {len(bundles) + 1}",
            properties.get("OperatingSystemName", "WINDOWS_SERVER_2022"),
            properties.get("ComputeTypeName", "STANDARD"),
            (properties.get("Protocols") or ["WSP"])[0],
            properties.get("RootVolumeSizeGib", 80),
            properties.get("UserVolumeSizeGib", 50),
            0,
            own=True,
        )
        if made_of not in bundles:
            bundles[made_of] = add_bundle(store, kind, now)
        user = users.setdefault((there, one.get("UserName", "")), f"user.{len(users) + 1:05d}")
        workspace = new_workspace(store, kind, bundles[made_of], directory, len(store.workspaces), now)
        state = one.get("State", "AVAILABLE")
        workspace.state = state if state in _AT_REST else _COMES_TO.get(state, "AVAILABLE")
        workspace.connected = workspace.connected and workspace.state == "AVAILABLE"
        workspace.running_mode = properties.get("RunningMode", "ALWAYS_ON")
        workspace.auto_stop_minutes = None
        if workspace.running_mode == "AUTO_STOP":
            workspace.auto_stop_minutes = properties.get("RunningModeAutoStopTimeoutInMinutes", 60)
        workspace.user_name = user
        workspace.user_encrypted = one.get("UserVolumeEncryptionEnabled", False)
        workspace.root_encrypted = one.get("RootVolumeEncryptionEnabled", False)
        if workspace.user_encrypted or workspace.root_encrypted:
            workspace.volume_key = "alias/aws/workspaces"
        store.add_workspace(workspace)
    enliven(store, now, settings)
    return len(store.workspaces)


def _read(path: Path) -> list[_Workspace]:
    wanted = f"{path} is no listing of WorkSpaces, such as `aws workspaces describe-workspaces` prints"
    try:
        raw: JsonValue = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"cannot read the fleet {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{wanted}: {error}") from error
    pages: list[JsonValue] = raw if isinstance(raw, list) else [raw]
    if isinstance(raw, list) and not all(isinstance(one, dict) and "Workspaces" in one for one in raw):
        pages = [{"Workspaces": raw}]
    try:
        found = TypeAdapter(list[_Page]).validate_python(pages)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{wanted}: {first['msg']} (at {where})") from error
    return [one for page in found for one in page["Workspaces"]]
