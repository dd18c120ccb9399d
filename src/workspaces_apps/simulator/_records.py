"""Records of the simulator's resources, and the tables of their lives: associations, and commands on WorkSpaces.

Every row says how it is known: ``doc`` documentation or model, ``field`` reported by people who run fleets,
``assumed`` no source found. The operations look their answer up here and nowhere else. Records are slotted, because
there may be hundreds of thousands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from workspaces_apps.simulator._settings import Mark, SimulatorSettings, Span
from workspaces_apps.simulator._wire import JsonObject, JsonValue

State: TypeAlias = Literal[
    "PENDING_INSTALL_DEPLOYMENT",
    "PENDING_INSTALL",
    "INSTALLING",
    "COMPLETED",
    "PENDING_UNINSTALL_DEPLOYMENT",
    "PENDING_UNINSTALL",
    "UNINSTALLING",
    "REMOVED",
    "ERROR",
]
Direction: TypeAlias = Literal["install", "uninstall"]
Trigger: TypeAlias = Literal["associate", "disassociate", "deploy", "force", "begin", "succeed", "fail"]
Effect: TypeAlias = Literal["move", "revert", "keep", "already exists", "not found", "in use", "error record"]

ABSENT: Final = "ABSENT"
Place: TypeAlias = State | Literal["ABSENT"]

IN_FLIGHT: Final[frozenset[Place]] = frozenset(
    {"PENDING_INSTALL", "INSTALLING", "PENDING_UNINSTALL", "UNINSTALLING"}
)
STAGED: Final[frozenset[Place]] = frozenset({"PENDING_INSTALL_DEPLOYMENT", "PENDING_UNINSTALL_DEPLOYMENT"})


@dataclass(frozen=True, slots=True)
class Row:
    """The effect of a trigger on an association in a state.

    Attributes:
        trigger: What happens.
        state: The association's state before.
        effect: ``move`` to `to`; ``revert`` to what it was before it was staged; ``keep`` as it is; refuse with
            ResourceAlreadyExistsException, ResourceNotFoundException or ResourceInUseException; or as the setting
            ``error_record`` says.
        to: The state after, where the effect is a move.
        direction: What the association is on its way to from now on; None leaves it.
        mark: How this is known.
        source: What is known, in a sentence.
    """

    trigger: Trigger
    state: Place
    effect: Effect
    to: Place | None
    direction: Direction | None
    mark: Mark
    source: str


_IN_FLIGHT_REFUSED = "A change in flight is the natural meaning of ResourceInUseException."

TABLE: Final[tuple[Row, ...]] = (
    Row("associate", ABSENT, "move", "PENDING_INSTALL_DEPLOYMENT", "install", "doc",
        "Associate stages an installation; only Deploy carries it out."),
    Row("associate", "REMOVED", "move", "PENDING_INSTALL_DEPLOYMENT", "install", "assumed",
        "A REMOVED row that lingers counts as absent."),
    Row("associate", "PENDING_INSTALL_DEPLOYMENT", "already exists", None, None, "assumed",
        "Staged already is associated already."),
    Row("associate", "COMPLETED", "already exists", None, None, "assumed",
        "Installed is associated already."),
    Row("associate", "PENDING_UNINSTALL_DEPLOYMENT", "revert", None, None, "doc",
        "The opposite call reverts a staged change; that it leads back to COMPLETED is assumed."),
    Row("associate", "PENDING_INSTALL", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("associate", "INSTALLING", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("associate", "PENDING_UNINSTALL", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("associate", "UNINSTALLING", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("associate", "ERROR", "error record", "PENDING_INSTALL_DEPLOYMENT", "install", "assumed",
        "Whether Associate re-states the direction of a failed record is unknown: a setting."),
    Row("disassociate", ABSENT, "not found", None, None, "assumed",
        "What is not associated cannot be disassociated."),
    Row("disassociate", "REMOVED", "not found", None, None, "assumed",
        "A REMOVED row that lingers counts as absent."),
    Row("disassociate", "PENDING_INSTALL_DEPLOYMENT", "revert", None, None, "doc",
        "The opposite call reverts a staged change; that the record is gone then is assumed."),
    Row("disassociate", "COMPLETED", "move", "PENDING_UNINSTALL_DEPLOYMENT", "uninstall", "doc",
        "Disassociate stages a removal; only Deploy carries it out."),
    Row("disassociate", "PENDING_UNINSTALL_DEPLOYMENT", "in use", None, None, "assumed",
        "Disassociate has no ResourceAlreadyExistsException; ResourceInUseException is the nearest it has."),
    Row("disassociate", "PENDING_INSTALL", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("disassociate", "INSTALLING", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("disassociate", "PENDING_UNINSTALL", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("disassociate", "UNINSTALLING", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("disassociate", "ERROR", "error record", "PENDING_UNINSTALL_DEPLOYMENT", "uninstall", "assumed",
        "Whether Disassociate re-states the direction of a failed record is unknown: a setting."),
    Row("deploy", "PENDING_INSTALL_DEPLOYMENT", "move", "PENDING_INSTALL", None, "doc",
        "Deploy commits everything that is staged on the WorkSpace, by whomever."),
    Row("deploy", "PENDING_UNINSTALL_DEPLOYMENT", "move", "PENDING_UNINSTALL", None, "doc",
        "Deploy commits everything that is staged on the WorkSpace, removals too."),
    Row("deploy", "COMPLETED", "keep", None, None, "doc", "Deploy does not touch what is not staged."),
    Row("deploy", "REMOVED", "keep", None, None, "doc", "Deploy does not touch what is not staged."),
    Row("deploy", "ERROR", "keep", None, None, "assumed", "Without Force a failed record is skipped."),
    Row("deploy", "PENDING_INSTALL", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("deploy", "INSTALLING", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("deploy", "PENDING_UNINSTALL", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("deploy", "UNINSTALLING", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("force", "ERROR", "move", None, None, "doc",
        "With Force a failed record is retried, in the direction that failed, which it does not show."),
    Row("begin", "PENDING_INSTALL", "move", "INSTALLING", None, "assumed",
        "The names are documented, their order is the natural one."),
    Row("begin", "PENDING_UNINSTALL", "move", "UNINSTALLING", None, "assumed",
        "The names are documented, their order is the natural one."),
    Row("succeed", "INSTALLING", "move", "COMPLETED", None, "assumed",
        "The names are documented, their order is the natural one."),
    Row("succeed", "UNINSTALLING", "move", "REMOVED", None, "assumed",
        "The names are documented; whether the row lingers is a setting."),
    Row("fail", "INSTALLING", "move", "ERROR", "install", "assumed",
        "Failures of disk, memory and reachability come late, as ERROR with a StateReason."),
    Row("fail", "UNINSTALLING", "move", "ERROR", "uninstall", "assumed",
        "A failed removal looks like a failed installation: the record has no direction."),
)  # fmt: skip

RETRIED: Final[Mapping[Direction, State]] = {"install": "PENDING_INSTALL", "uninstall": "PENDING_UNINSTALL"}
"""The state that Force leads a failed record to, by the direction that failed."""

_BY_KEY: Final[Mapping[tuple[Trigger, Place], Row]] = {(row.trigger, row.state): row for row in TABLE}


def look_up(trigger: Trigger, state: Place) -> Row:
    """Return the row for a trigger and a state; Force is Deploy where the table does not say otherwise.

    Raises:
        KeyError: The trigger cannot come in that state.
    """
    row = _BY_KEY.get((trigger, state))
    if row is None and trigger == "force":
        row = _BY_KEY.get(("deploy", state))
    if row is None:
        raise KeyError((trigger, state))
    return row


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
    resting_state: str | None = None
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


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that can be asked of a WorkSpace.

    Attributes:
        name: What it is called here.
        states: The states in which it is allowed; empty: in all but `never`.
        never: States in which it is not.
        manual_only: Not for ALWAYS_ON, whose machine the service runs itself.
        passing: The state meanwhile.
        final: The state afterwards; ABSENT: there is no WorkSpace any more.
        duration: The setting that says how long it takes.
        mark: How the rule is known; the durations are always assumed.
        source: What is known, in a sentence.
        waits_for_modification: Whether it is refused while a property is being modified (a setting).
    """

    name: str
    states: frozenset[str]
    never: frozenset[str]
    manual_only: bool
    passing: str
    final: str
    duration: str
    mark: Mark
    source: str
    waits_for_modification: bool = False

    def allows(self, state: str, running_mode: str) -> bool:
        """Tell if a WorkSpace in this state and mode can be asked."""
        if self.manual_only and running_mode == "ALWAYS_ON":
            return False
        return state in self.states if self.states else state not in self.never

    def span(self, settings: SimulatorSettings) -> Span:
        """Return the duration."""
        span = getattr(settings, self.duration)
        if not isinstance(span, Span):
            raise TypeError(f"{self.duration} is no duration")
        return span


_NONE: Final[frozenset[str]] = frozenset()

COMMANDS: Final[Mapping[str, Command]] = {
    command.name: command
    for command in (
        Command("start", frozenset({"STOPPED"}), _NONE, True, "STARTING", "AVAILABLE", "start_duration", "doc",
            "Only a STOPPED WorkSpace that is not ALWAYS_ON can be started."),
        Command("stop", frozenset({"AVAILABLE", "IMPAIRED", "UNHEALTHY", "ERROR"}), _NONE, True,
            "STOPPING", "STOPPED", "stop_duration", "doc",
            "Only an AVAILABLE, IMPAIRED, UNHEALTHY or ERROR WorkSpace that is not ALWAYS_ON can be stopped."),
        Command("reboot", frozenset({"AVAILABLE", "UNHEALTHY", "REBOOTING"}), _NONE, False,
            "REBOOTING", "AVAILABLE", "reboot_duration", "doc",
            "Only an AVAILABLE, UNHEALTHY or REBOOTING WorkSpace can be rebooted.", True),
        Command("rebuild", frozenset({"AVAILABLE", "ERROR", "UNHEALTHY", "STOPPED", "REBOOTING"}), _NONE, False,
            "REBUILDING", "AVAILABLE", "rebuild_duration", "doc",
            "Only an AVAILABLE, ERROR, UNHEALTHY, STOPPED or REBOOTING WorkSpace can be rebuilt.", True),
        Command("restore", frozenset({"AVAILABLE", "ERROR", "UNHEALTHY", "STOPPED"}), _NONE, False,
            "RESTORING", "AVAILABLE", "restore_duration", "doc",
            "Only an AVAILABLE, ERROR, UNHEALTHY or STOPPED WorkSpace can be restored.", True),
        Command("migrate", frozenset({"AVAILABLE", "STOPPED"}), _NONE, False,
            "PENDING", "AVAILABLE", "migrate_duration", "assumed",
            "A WorkSpace that is busy cannot be migrated; the exact states are not listed.", True),
        Command("terminate", _NONE, frozenset({"SUSPENDED", "TERMINATING"}), False,
            "TERMINATING", "ABSENT", "terminate_duration", "doc",
            "A WorkSpace in any state but SUSPENDED can be terminated."),
    )
}  # fmt: skip

DEPLOYABLE: Final = frozenset({"AVAILABLE", "STOPPED"})
"""States in which applications can be managed [doc]."""
