"""The simulator's state as a JSON file: saved whole, loaded whole, refused with a clear error if it is broken.

Credentials are not in it: they come from the seed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from workspaces_apps._base.system import read_file, replace_file
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator._faults import Faults
from workspaces_apps.simulator._records import Application, Association, Bundle, Directory, Image, Workspace
from workspaces_apps.simulator._settings import SimulatorSettings
from workspaces_apps.simulator._state import Accounts, Event, RegionStore
from workspaces_apps.simulator._transitions import Transitions
from workspaces_apps.simulator._wire import JsonObject

FORMAT: Final = 2

MAX_STATE_BYTES: Final = 1_000_000_000
"""The largest state that is read."""

Numbered = TypeVar("Numbered", Application, Association, Bundle, Directory, Image, Workspace)


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
    scheduled_events: list[Event]


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
    """Everything a file would hold; equal for worlds that are equal.

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
    try:
        replace_file(path, TypeAdapter(StoredState).dump_json(stored))
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
            for key, item in collection.items.items()
        ],
        account=store.account,
        scheduled_events=store.scheduled_events,
    )


def _restored(stored: StoredRegion, accounts: Accounts) -> RegionStore:
    store = RegionStore(stored.account_id, stored.region, accounts.seed, accounts.settings)
    # What is drawn from now on must not repeat what was drawn before.
    store.source.seed(f"restored:{accounts.seed}:{stored.account_id}:{stored.region}:{stored.last_number}")
    for application in _in_order(stored.applications):
        store.add_application(application)
    for directory in _in_order(stored.directories):
        store.add_directory(directory)
    for bundle in _in_order(stored.bundles):
        store.add_bundle(bundle)
    for image in _in_order(stored.images):
        store.add_image(image)
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
            store.collection(item.family).items[item.key] = item.item
        else:
            store.collection(item.family).add(item.key, item.number, item.item)
    store.account = stored.account
    _check_scheduled_events(stored.scheduled_events, accounts.settings)
    store.scheduled_events = sorted(stored.scheduled_events)
    store.last_number = stored.last_number
    return store


def _check_scheduled_events(scheduled_events: list[Event], settings: SimulatorSettings) -> None:
    kinds = Transitions(settings, Faults(0)).kinds
    for event in scheduled_events:
        if event.kind not in kinds:
            raise ValueError(f"the scheduled_events has an unknown kind of event, {event.kind!r}")


def _in_order(items: list[Numbered]) -> list[Numbered]:
    numbers = [item.sequence for item in items]
    if len(set(numbers)) != len(numbers):
        raise ValueError("two records have the same sequence")
    return sorted(items, key=lambda item: item.sequence)
