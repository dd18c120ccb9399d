"""Changing a WorkSpace: its properties, its running mode, and maintenance by an administrator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from workspaces_apps.simulator._operations.call import Call, Family
from workspaces_apps.simulator._records import Workspace
from workspaces_apps.simulator._settings import Mark, SimulatorSettings
from workspaces_apps.simulator._wire import ApiError, JsonObject, Parameters, invalid

ROOT: Final = "ROOT_VOLUME"
USER: Final = "USER_VOLUME"
COMPUTE: Final = "COMPUTE_TYPE"
PROTOCOL: Final = "PROTOCOL"
NESTED: Final = "NESTED_VIRTUALIZATION"
RUNNING_MODE: Final = "RUNNING_MODE"
ACCELERATOR: Final = "GLOBAL_ACCELERATOR"

VOLUME_GROUPS: Final[tuple[tuple[range, range], ...]] = (
    (range(80, 81), range(10, 11)),
    (range(80, 81), range(50, 51)),
    (range(80, 81), range(100, 101)),
    (range(175, 2001), range(100, 2001)),
)
"""Sizes of root and user volume that go together, in GiB [doc]."""

_SIZES: Final = (
    "VALUE",
    "STANDARD",
    "PERFORMANCE",
    "POWER",
    "POWERPRO",
    "GENERALPURPOSE_4XLARGE",
    "GENERALPURPOSE_8XLARGE",
)
"""Compute types without a GPU, from the smallest; one of another size can be changed to, one with a GPU cannot [doc]."""


@dataclass(frozen=True, slots=True)
class Modification:
    """A change that is asked for.

    Attributes:
        workspace: What is to be changed.
        properties: What was asked.
        changes: What of it is new, by kind of property.
        bundle_protocol: The streaming protocol of the bundle that the WorkSpace was made of.
        now: Simulated epoch seconds.
        settings: The simulator's settings.
    """

    workspace: Workspace
    properties: Parameters
    changes: Mapping[str, str]
    bundle_protocol: str
    now: float
    settings: SimulatorSettings

    def volumes(self) -> tuple[int, int]:
        """Return the sizes of root and user volume after the change."""
        return (
            int(self.changes.get(ROOT, self.workspace.root_gib)),
            int(self.changes.get(USER, self.workspace.user_gib)),
        )

    def has_grown(self) -> bool:
        """Return whether the change asks for a larger compute type; False too if it asks for none."""
        wanted = self.changes.get(COMPUTE)
        return wanted in _SIZES and _size(wanted) > _size(self.workspace.compute)

    def is_within(self, since: float | None, span: float) -> bool:
        """Return whether less than a span has passed since a moment."""
        return since is not None and self.now - since < span


def _size(compute: str) -> int:
    return _SIZES.index(compute) if compute in _SIZES else len(_SIZES)


def _mixes_graphics(asked: Modification) -> bool:
    wanted = asked.changes.get(COMPUTE)
    return wanted is not None and (wanted in _SIZES) != (asked.workspace.compute in _SIZES)


def is_volume_group(root: int, user: int) -> bool:
    """Return whether sizes of root and user volume go together [doc]."""
    return any(root in roots and user in users for roots, users in VOLUME_GROUPS)


def auto_stop_problem(properties: Parameters) -> str | None:
    """Return what is wrong with the auto-stop timeout: it comes in whole hours, with AUTO_STOP only [doc]."""
    minutes = properties.integer("RunningModeAutoStopTimeoutInMinutes")
    if minutes is None:
        return None
    if properties.maybe_text("RunningMode") not in (None, "AUTO_STOP"):
        return "RunningModeAutoStopTimeoutInMinutes goes with the running mode AUTO_STOP only."
    if minutes < 60 or minutes % 60:
        return "RunningModeAutoStopTimeoutInMinutes must be a multiple of 60."
    return None


@dataclass(frozen=True, slots=True)
class ModificationRule:
    """One reason to refuse a change.

    Attributes:
        broken: Whether the rule is broken.
        code: The exception; that it is this one is assumed.
        message: What it says.
        setting: The setting that decides or bounds it, if there is one.
        mark: How the rule is known.
        source: What is known, in a sentence.
    """

    broken: Callable[[Modification], bool]
    code: str
    message: str
    setting: str | None
    mark: Mark
    source: str


_INVALID: Final = "InvalidParameterValuesException"
_UNSUPPORTED: Final = "UnsupportedWorkspaceConfigurationException"
_STATE: Final = "InvalidResourceStateException"

RULES: Final[tuple[ModificationRule, ...]] = (
    ModificationRule(
        lambda asked: auto_stop_problem(asked.properties) is not None,
        _INVALID, "The auto-stop timeout is a multiple of 60, with AUTO_STOP only.", None, "doc",
        "The timeout comes in intervals of 60 minutes, and goes with AUTO_STOP.",
    ),
    ModificationRule(
        lambda asked: (
            asked.properties.maybe_text("RunningMode") == "MANUAL"
            and not asked.settings.manual_running_mode
            and asked.workspace.running_mode != "MANUAL"
        ),
        _INVALID, "The running mode MANUAL is for WorkSpaces Core.", "manual_running_mode", "doc",
        "MANUAL is supported by WorkSpaces Core only.",
    ),
    ModificationRule(
        lambda asked: len(asked.properties.texts("Protocols")) > 1 and asked.settings.one_protocol,
        _INVALID, "A WorkSpace has one protocol.", "one_protocol", "assumed",
        "The member is a list, and a WorkSpace streams by one protocol.",
    ),
    ModificationRule(
        lambda asked: (
            asked.properties.maybe_text("OperatingSystemName")
            not in (None, asked.workspace.operating_system)
            and asked.settings.operating_system_stays
        ),
        _INVALID, "The operating system cannot be modified.", "operating_system_stays", "assumed",
        "Another operating system takes another bundle: Migrate.",
    ),
    ModificationRule(
        lambda asked: len({ROOT, USER, COMPUTE} & asked.changes.keys()) > 1,
        _INVALID, "Only one property can be modified at a time.", None, "doc",
        "Volumes and compute type cannot be changed together, nor both volumes.",
    ),
    ModificationRule(
        lambda asked: len(asked.changes) > 1 and asked.settings.one_property_at_a_time,
        _INVALID, "Only one property can be modified at a time.", "one_property_at_a_time", "assumed",
        "Any two properties cannot be changed together.",
    ),
    ModificationRule(
        lambda asked: asked.volumes()[0] < asked.workspace.root_gib
        or asked.volumes()[1] < asked.workspace.user_gib,
        _INVALID, "A volume cannot be made smaller.", None, "doc",
        "Volumes grow only.",
    ),
    ModificationRule(
        lambda asked: (
            bool({ROOT, USER} & asked.changes.keys())
            and asked.settings.volume_groups
            and not is_volume_group(*asked.volumes())
        ),
        _INVALID, "Root and user volume must be 80 and 10, 80 and 50, 80 and 100, or 175-2000 and 100-2000 GiB.",
        "volume_groups", "doc",
        "Root and user volume come in groups: [80, 10], [80, 50], [80, 100], [175-2000, 100-2000] GiB.",
    ),
    ModificationRule(
        lambda asked: max(asked.volumes()) > 2000 and bool({ROOT, USER} & asked.changes.keys()),
        _INVALID, "A volume cannot be larger than 2000 GiB.", None, "doc",
        "A volume has 2,000 GiB at most.",
    ),
    ModificationRule(
        lambda asked: PROTOCOL in asked.changes and asked.bundle_protocol != "PCOIP",
        _UNSUPPORTED, "The protocol can be modified on WorkSpaces made of PCoIP bundles only.", None, "doc",
        "The protocol can be changed only if the bundle is one for PCoIP.",
    ),
    ModificationRule(
        _mixes_graphics,
        _UNSUPPORTED, "A WorkSpace cannot be changed to or from a graphics compute type.", None, "doc",
        "Compute types without a GPU can be changed to one another (older guide).",
    ),
    ModificationRule(
        lambda asked: bool({ROOT, USER} & asked.changes.keys())
        and asked.is_within(asked.workspace.volume_changed, asked.settings.volume_cooling_off),
        _STATE, "A volume of the WorkSpace was modified a short while ago.", "volume_cooling_off", "doc",
        "Volumes can be made larger once in 6 hours.",
    ),
    ModificationRule(
        lambda asked: asked.has_grown()
        and asked.is_within(
            max(asked.workspace.created, asked.workspace.compute_changed or 0.0),
            asked.settings.larger_compute_cooling_off,
        ),
        _STATE, "The compute type was modified, or the WorkSpace made, a short while ago.",
        "larger_compute_cooling_off", "doc",
        "A larger compute type can be had once in 6 hours, and that long after the creation (older guide).",
    ),
    ModificationRule(
        lambda asked: COMPUTE in asked.changes
        and not asked.has_grown()
        and asked.is_within(asked.workspace.compute_changed, asked.settings.smaller_compute_cooling_off),
        _STATE, "The compute type was modified a short while ago.", "smaller_compute_cooling_off", "doc",
        "A smaller compute type can be had once in 30 days (older guide).",
    ),
)  # fmt: skip


def check_modification(asked: Modification) -> None:
    """Refuse what cannot be changed.

    Raises:
        ApiError: The exception of the first rule that is broken.
    """
    for rule in RULES:
        if rule.broken(asked):
            raise ApiError(rule.code, rule.message)


_MODIFIABLE: Final = frozenset({"AVAILABLE", "STOPPED"})
_SHOWN: Final = frozenset({ROOT, USER, COMPUTE, PROTOCOL, NESTED})
"""Kinds of property that have an entry in ModificationStates meanwhile; the running mode has none [field]."""


def modify_workspace_properties(call: Call, parameters: Parameters) -> JsonObject:
    """Change one property of a WorkSpace; the state stays, ModificationStates shows it [field]."""
    workspace = call.store.workspace(parameters.text("WorkspaceId"))
    properties = parameters.section("WorkspaceProperties")
    replication = parameters.maybe_text("DataReplication")
    if replication is None and (properties is None or not properties.raw):
        raise invalid("WorkspaceProperties or DataReplication must be given.")
    properties = properties or Parameters({})
    changes = _changes(workspace, properties)
    if workspace.state not in _MODIFIABLE:
        raise ApiError("InvalidResourceStateException", f"The WorkSpace is {workspace.state}.")
    if (changes.keys() & _SHOWN or (changes and call.settings.modifying_refuses_commands)) and (
        workspace.modifications
    ):
        raise ApiError("OperationInProgressException", "The WorkSpace is being modified already.")
    bundle = call.store.bundles.get(workspace.bundle_id)
    protocol = bundle.protocol if bundle is not None else workspace.protocol
    check_modification(Modification(workspace, properties, changes, protocol, call.now, call.settings))
    for resource, value in changes.items():
        if resource in _SHOWN:
            _start(call, workspace, resource, value)
    _change_running_mode(call, workspace, properties)
    accelerator = properties.section("GlobalAccelerator")
    if accelerator is not None:
        workspace.extras = {**(workspace.extras or {}), "GlobalAccelerator": accelerator.raw}
    if replication is not None:
        workspace.data_replication = replication
    return {}


def _changes(workspace: Workspace, properties: Parameters) -> dict[str, str]:
    changes: dict[str, str] = {}
    root, user = properties.integer("RootVolumeSizeGib"), properties.integer("UserVolumeSizeGib")
    if root is not None and root != workspace.root_gib:
        changes[ROOT] = str(root)
    if user is not None and user != workspace.user_gib:
        changes[USER] = str(user)
    compute = properties.maybe_text("ComputeTypeName")
    if compute is not None and compute != workspace.compute:
        changes[COMPUTE] = compute
    protocols = properties.texts("Protocols")
    if protocols and protocols[0] != workspace.protocol:
        changes[PROTOCOL] = protocols[0]
    nested = properties.flag("NestedVirtualizationEnabled")
    if nested is not None:
        changes[NESTED] = "true" if nested else "false"
    mode = properties.maybe_text("RunningMode") or workspace.running_mode
    minutes = properties.integer("RunningModeAutoStopTimeoutInMinutes")
    if mode != workspace.running_mode or minutes not in (None, workspace.auto_stop_minutes):
        changes[RUNNING_MODE] = mode
    if "GlobalAccelerator" in properties:
        changes[ACCELERATOR] = ""
    return changes


def _start(call: Call, workspace: Workspace, resource: str, value: str) -> None:
    workspace.modifications = {**(workspace.modifications or {}), resource: "UPDATE_INITIATED"}
    if resource == COMPUTE:
        workspace.compute_changed = call.now
    elif resource in (ROOT, USER):
        workspace.volume_changed = call.now
    span = call.settings.modify_duration.draw(call.store.source)
    detail = f"{resource}:{value}"
    call.store.plan(call.now + span / 2, "modification-goes-on", workspace.id, 0, detail)
    call.store.plan(call.now + span, "modification-ends", workspace.id, 0, detail)


def _change_running_mode(call: Call, workspace: Workspace, properties: Parameters) -> None:
    mode = properties.maybe_text("RunningMode")
    minutes = properties.integer("RunningModeAutoStopTimeoutInMinutes")
    if mode is None and minutes is None:
        return
    mode = mode or workspace.running_mode
    detail = f"AUTO_STOP:{minutes or workspace.auto_stop_minutes or 60}" if mode == "AUTO_STOP" else mode
    after = call.settings.running_mode_duration.draw(call.store.source)
    call.store.plan(call.now + after, "running-mode", workspace.id, 0, detail)


def modify_workspace_state(call: Call, parameters: Parameters) -> JsonObject:
    """Take a WorkSpace into the administrator's maintenance, and back."""
    workspace = call.store.workspace(parameters.text("WorkspaceId"))
    wanted = parameters.text("WorkspaceState")
    if workspace.state == wanted:
        return {}
    if workspace.state not in ("AVAILABLE", "ADMIN_MAINTENANCE"):
        raise ApiError("InvalidResourceStateException", f"The WorkSpace is {workspace.state}.")
    workspace.epoch += 1
    workspace.state = wanted
    return {}


MODIFICATION: Final[Family] = {
    "ModifyWorkspaceProperties": modify_workspace_properties,
    "ModifyWorkspaceState": modify_workspace_state,
}
