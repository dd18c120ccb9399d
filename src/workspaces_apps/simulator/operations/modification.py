"""Changing a WorkSpace: its properties, its running mode, and maintenance by an administrator."""

from typing import Final

from workspaces_apps.simulator.operations.call import Call, Family
from workspaces_apps.simulator.operations.workspaces import auto_stop_problem
from workspaces_apps.simulator.records import Workspace
from workspaces_apps.simulator.wire import ApiError, JsonObject, Parameters, invalid

_MODIFIABLE: Final = frozenset({"AVAILABLE", "STOPPED"})


def modify_workspace_properties(call: Call, parameters: Parameters) -> JsonObject:
    """Change one property of a WorkSpace; the state stays, ModificationStates shows it [field]."""
    workspace = call.store.workspace(parameters.text("WorkspaceId"))
    properties = parameters.section("WorkspaceProperties")
    replication = parameters.maybe_text("DataReplication")
    if properties is None and replication is None:
        raise invalid("WorkspaceProperties or DataReplication must be given.")
    changes = _changes(workspace, properties) if properties is not None else {}
    if properties is not None and (problem := auto_stop_problem(properties)) is not None:
        raise invalid(problem)
    if workspace.state not in _MODIFIABLE:
        raise ApiError("InvalidResourceStateException", f"The WorkSpace is {workspace.state}.")
    if changes and workspace.modifications:
        raise ApiError("OperationInProgressException", "The WorkSpace is being modified already.")
    if len(changes) > 1 and set(changes) != {"ROOT_VOLUME", "USER_VOLUME"}:
        raise ApiError(
            "InvalidParameterValuesException", "Only one kind of property can be modified at a time."
        )
    _check_volumes(workspace, changes)
    for resource, value in changes.items():
        _start(call, workspace, resource, value)
    if properties is not None:
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
        changes["ROOT_VOLUME"] = str(root)
    if user is not None and user != workspace.user_gib:
        changes["USER_VOLUME"] = str(user)
    compute = properties.maybe_text("ComputeTypeName")
    if compute is not None and compute != workspace.compute:
        changes["COMPUTE_TYPE"] = compute
    protocols = properties.texts("Protocols")
    if protocols and protocols[0] != workspace.protocol:
        changes["PROTOCOL"] = protocols[0]
    nested = properties.flag("NestedVirtualizationEnabled")
    if nested is not None:
        changes["NESTED_VIRTUALIZATION"] = "true" if nested else "false"
    return changes


def _check_volumes(workspace: Workspace, changes: dict[str, str]) -> None:
    shrunk = (
        int(changes.get("ROOT_VOLUME", workspace.root_gib)) < workspace.root_gib
        or int(changes.get("USER_VOLUME", workspace.user_gib)) < workspace.user_gib
    )
    if shrunk:
        raise invalid("A volume cannot be made smaller.")
    if any(int(changes.get(resource, 0)) > 2000 for resource in ("ROOT_VOLUME", "USER_VOLUME")):
        raise invalid("A volume cannot be larger than 2000 GiB.")


def _start(call: Call, workspace: Workspace, resource: str, value: str) -> None:
    workspace.modifications = {**(workspace.modifications or {}), resource: "UPDATE_INITIATED"}
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


OPERATIONS: Final[Family] = {
    "ModifyWorkspaceProperties": modify_workspace_properties,
    "ModifyWorkspaceState": modify_workspace_state,
}
