"""Changing a WorkSpace: its properties, its running mode, and maintenance by an administrator."""

from typing import Final

from workspaces_apps.simulator._modification_rules import (
    ACCELERATOR,
    COMPUTE,
    NESTED,
    PROTOCOL,
    ROOT,
    RUNNING_MODE,
    USER,
    Modification,
    check_modification,
)
from workspaces_apps.simulator._operations.call import Call, Family
from workspaces_apps.simulator._records import Workspace
from workspaces_apps.simulator._wire import ApiError, JsonObject, Parameters, invalid

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
