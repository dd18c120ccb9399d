"""A fleet like a real one: made of what DescribeWorkspaces has listed, with every id and name replaced."""

import json
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator._fleet import SampleBundle, add_bundle, enliven, new_directory, new_workspace
from workspaces_apps.simulator._records import Bundle, Directory
from workspaces_apps.simulator._settings import SimulatorSettings
from workspaces_apps.simulator._state import RegionStore
from workspaces_apps.simulator._wire import JsonValue


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
"""Where a WorkSpace that was on its way is put; AVAILABLE if its state is not here."""
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
            store.add_directory(directory)
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
