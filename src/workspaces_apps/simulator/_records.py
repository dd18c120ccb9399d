"""Records of the simulator's resources. Slotted, because there may be hundreds of thousands."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from workspaces_apps.simulator._lifecycle import Direction, Place, State
from workspaces_apps.simulator._wire import JsonObject, JsonValue

ResourceType: TypeAlias = Literal["WORKSPACE", "BUNDLE", "IMAGE"]
ApplicationState: TypeAlias = Literal["PENDING", "ERROR", "AVAILABLE", "UNINSTALL_ONLY"]


@dataclass(slots=True, kw_only=True)
class Association:
    """An application and where it is, was or will be installed.

    Attributes:
        direction: What it is on its way to, or failed to become; the service never shows it.
        before: Where reverting leads, while something is staged.
        failed: The direction that had failed before something was staged on a record in ERROR.
    """

    resource_id: str
    resource_type: ResourceType
    application_id: str
    state: State
    direction: Direction | None
    before: Place
    created: float
    updated: float
    sequence: int
    epoch: int = 0
    failed: Direction | None = None
    reason_code: str | None = None
    reason_message: str | None = None


@dataclass(slots=True, kw_only=True)
class Workspace:
    """A WorkSpace."""

    id: str
    directory_id: str
    bundle_id: str
    user_name: str
    state: str
    sequence: int
    created: float
    ip_address: str
    subnet_id: str
    compute: str
    operating_system: str
    protocol: str
    running_mode: str
    auto_stop_minutes: int | None
    root_gib: int
    user_gib: int
    tags: dict[str, str]
    associations: dict[str, Association]
    visible: bool = True
    epoch: int = 0
    resting_state: str = "AVAILABLE"
    name: str | None = None
    volume_key: str | None = None
    user_encrypted: bool = False
    root_encrypted: bool = False
    error_code: str | None = None
    error_message: str | None = None
    connected: bool = False
    last_connection: float | None = None
    restored_to: float | None = None
    volume_changed: float | None = None
    compute_changed: float | None = None
    extras: JsonObject | None = None
    modifications: dict[str, str] | None = None
    primary: tuple[str, str] | None = None
    standby: tuple[str, str] | None = None
    data_replication: str | None = None


@dataclass(slots=True, kw_only=True)
class Application:
    """An application of the catalogue; `suite`, `edition` and `version` decide what goes together."""

    id: str
    name: str
    description: str
    owner: str
    license_type: str
    state: ApplicationState
    created: float
    sequence: int
    computes: list[str]
    operating_systems: list[str]
    suite: str | None = None
    edition: str | None = None
    version: str | None = None
    disk_gib: int = 1


@dataclass(slots=True, kw_only=True)
class Directory:
    """A directory registered with WorkSpaces."""

    id: str
    name: str
    alias: str
    kind: str
    registration_code: str
    subnet_ids: list[str]
    state: str
    sequence: int
    tenancy: str
    security_group: str
    dns_addresses: list[str]
    customer_user: str
    role_arn: str
    workspace_type: str = "PERSONAL"
    identity_type: str = "AWS_DIRECTORY_SERVICE"
    epoch: int = 0
    ip_groups: list[str] = field(default_factory=list[str])
    properties: JsonObject = field(default_factory=dict[str, JsonValue])


@dataclass(slots=True, kw_only=True)
class Bundle:
    """A bundle: compute, storage and image of new WorkSpaces."""

    id: str
    name: str
    owner: str
    description: str
    image_id: str
    compute: str
    operating_system: str
    protocol: str
    root_gib: int
    user_gib: int
    created: float
    updated: float
    sequence: int
    state: str = "AVAILABLE"


@dataclass(slots=True, kw_only=True)
class Image:
    """An image that bundles are made of."""

    id: str
    name: str
    description: str
    operating_system: str
    owner: str
    created: float
    sequence: int
    state: str = "AVAILABLE"
    tenancy: str = "DEFAULT"
    epoch: int = 0
    shared_with: list[str] = field(default_factory=list[str])
