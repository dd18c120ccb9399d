"""WorkSpaces: create, describe, start, stop, reboot, terminate; rebuild, restore, migrate, snapshots and standby.

Documented: Restore goes back to the last snapshot, which may be 12 hours old; Rebuild reverts to the image;
Migrate drops what was installed. What the associations show afterwards is assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from workspaces_apps.simulator._operations.call import Call, Family, listing, tags_in
from workspaces_apps.simulator._operations.modification import auto_stop_problem, is_volume_group
from workspaces_apps.simulator._records import COMMANDS, Command, Workspace
from workspaces_apps.simulator._state import OrderedIndex, index_of
from workspaces_apps.simulator._wire import (
    ApiError,
    JsonObject,
    JsonValue,
    Parameters,
    encode,
    invalid,
    not_supported,
)

_PLAIN: Final = (None, None, None, None)
_TEXTS_KEPT: Final = 4096
_FILTERS: Final = ("WorkspaceIds", "DirectoryId", "BundleId", "WorkspaceName")


def create_workspaces(call: Call, parameters: Parameters) -> JsonObject:
    """Order up to 25 WorkSpaces; each entry succeeds or fails on its own."""
    pending: list[JsonValue] = []
    failed: list[JsonValue] = []
    for entry in parameters.sections("Workspaces"):
        problem = _creation_problem(call, entry)
        if problem is not None:
            code, message = problem
            failed.append({"WorkspaceRequest": entry.raw, "ErrorCode": code, "ErrorMessage": message})
        else:
            workspace = _create(call, entry)
            item: JsonObject = {
                "WorkspaceId": workspace.id,
                "DirectoryId": workspace.directory_id,
                "UserName": workspace.user_name,
                "State": workspace.state,
                "BundleId": workspace.bundle_id,
            }
            pending.append(item)
    return {"FailedRequests": failed, "PendingRequests": pending}


def _creation_problem(call: Call, entry: Parameters) -> tuple[str, str] | None:
    store = call.store
    fault = call.faults.for_entry(call.operation, None)
    if fault is not None:
        return fault.code, fault.message
    directory = store.directories.get(entry.text("DirectoryId"))
    if directory is None or directory.state != "REGISTERED":
        return "ResourceNotFound.Directory", "The specified directory could not be found in the Region."
    if entry.text("BundleId") not in store.bundles:
        return "ResourceNotFound.Bundle", "The specified bundle could not be found."
    if call.settings.pools_apart and directory.workspace_type == "POOLS":
        return "OperationNotSupported.Directory", "The specified directory is for WorkSpaces Pools."
    if store.of_user(directory.id, entry.text("UserName")) and entry.maybe_text("WorkspaceName") is None:
        return "ResourceExists.WorkSpace", "The user has a WorkSpace in this directory already."
    name = entry.maybe_text("WorkspaceName")
    if name is not None and name in store.by_name:
        return "ResourceExists.WorkSpace", "A WorkSpace of that name exists already."
    properties = entry.section("WorkspaceProperties")
    problem = None if properties is None else _property_problem(call, entry, properties)
    return None if problem is None else ("InvalidParameterValuesException", problem)


def _property_problem(call: Call, entry: Parameters, properties: Parameters) -> str | None:
    bundle = call.store.bundles[entry.text("BundleId")]
    root, user = properties.integer("RootVolumeSizeGib"), properties.integer("UserVolumeSizeGib")
    if (
        (root is not None or user is not None)
        and call.settings.volume_groups
        and not is_volume_group(root or bundle.root_gib, user or bundle.user_gib)
    ):
        return "Root and user volume do not go together."
    if properties.maybe_text("RunningMode") == "MANUAL" and not call.settings.manual_running_mode:
        return "The running mode MANUAL is for WorkSpaces Core."
    if len(properties.texts("Protocols")) > 1 and call.settings.one_protocol:
        return "A WorkSpace has one protocol."
    return auto_stop_problem(properties)


def _create(call: Call, entry: Parameters) -> Workspace:
    store = call.store
    bundle = store.bundles[entry.text("BundleId")]
    directory = store.directories[entry.text("DirectoryId")]
    properties = entry.section("WorkspaceProperties") or Parameters({})
    mode = properties.maybe_text("RunningMode") or "ALWAYS_ON"
    protocols = properties.texts("Protocols")
    number = store.number()
    workspace = Workspace(
        id=store.new_id("ws-"),
        directory_id=directory.id,
        bundle_id=bundle.id,
        user_name=entry.text("UserName"),
        state="PENDING",
        sequence=number,
        created=call.now,
        ip_address=address(number),
        subnet_id=directory.subnet_ids[number % len(directory.subnet_ids)],
        compute=properties.maybe_text("ComputeTypeName") or bundle.compute,
        operating_system=bundle.operating_system,
        protocol=protocols[0] if protocols else bundle.protocol,
        running_mode=mode,
        auto_stop_minutes=(properties.integer("RunningModeAutoStopTimeoutInMinutes") or 60)
        if mode == "AUTO_STOP"
        else None,
        root_gib=properties.integer("RootVolumeSizeGib") or bundle.root_gib,
        user_gib=properties.integer("UserVolumeSizeGib") or bundle.user_gib,
        tags=tags_in(entry, call.settings),
        associations={},
        visible=False,
        name=entry.maybe_text("WorkspaceName"),
        volume_key=entry.maybe_text("VolumeEncryptionKey"),
        user_encrypted=entry.flag("UserVolumeEncryptionEnabled") or False,
        root_encrypted=entry.flag("RootVolumeEncryptionEnabled") or False,
    )
    store.add_workspace(workspace)
    bring_along(call, workspace)
    settings = call.settings
    shown = settings.create_visible_delay.draw(store.source)
    store.plan(call.now + shown, "workspace-shows", workspace.id, 0)
    ready = max(shown, settings.create_duration.draw(store.source))
    call.rest(workspace.id, workspace.epoch, "AVAILABLE", ready)
    if settings.presence == "seeded":
        comes = call.now + ready + settings.absence_duration.draw(store.source)
        store.plan(comes, "user-comes", workspace.id, 0)
    return workspace


def bring_along(call: Call, workspace: Workspace) -> None:
    """Give a WorkSpace what its bundle brings installed."""
    store = call.store
    for application_id in store.resource_associations.get(workspace.bundle_id, {}):
        store.bring(workspace.id, "WORKSPACE", application_id, call.now)


def address(number: int) -> str:
    """Return a private address made from a number."""
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def describe_workspaces(call: Call, parameters: Parameters) -> bytes:
    """List WorkSpaces, by one filter at a time; put together from texts, since this is what is asked most."""
    given = [name for name in _FILTERS if name in parameters]
    if len(given) > 1 or (given and given != ["DirectoryId"] and "UserName" in parameters):
        raise invalid("Only one filter can be given at a time.")
    if "UserName" in parameters and "DirectoryId" not in parameters:
        raise invalid("UserName needs DirectoryId.")
    store = call.store
    index: OrderedIndex[Workspace] | None
    if "WorkspaceIds" in parameters:
        chosen = _by_id(call, parameters.texts("WorkspaceIds"))
        index = index_of(chosen, _number)
    elif "UserName" in parameters:
        users = store.of_user(parameters.text("DirectoryId"), parameters.text("UserName"))
        index = index_of(users, _number)
    elif "DirectoryId" in parameters:
        index = store.by_directory.get(parameters.text("DirectoryId"))
    elif "BundleId" in parameters:
        index = store.by_bundle.get(parameters.text("BundleId"))
    elif "WorkspaceName" in parameters:
        index = index_of(store.by_name.get(parameters.text("WorkspaceName"), ()), _number)
    else:
        index = store.all_workspaces
    page = call.page(parameters, [] if index is None else [index], _visible)
    texts = ",".join(_text(call, workspace) for workspace in page.items)
    end = "" if page.next_token is None else f',"NextToken":"{page.next_token}"'
    return f'{{"Workspaces":[{texts}]{end}}}'.encode("ascii")


def _visible(workspace: Workspace) -> bool:
    return workspace.visible


def _number(workspace: Workspace) -> int:
    return workspace.sequence


def _by_id(call: Call, ids: Iterable[str]) -> list[Workspace]:
    found = (call.store.workspaces.get(one) for one in dict.fromkeys(ids))
    return [workspace for workspace in found if workspace is not None and workspace.visible]


def _text(call: Call, workspace: Workspace) -> str:
    rare = (workspace.extras, workspace.modifications, workspace.data_replication, workspace.error_code)
    if rare != _PLAIN or workspace.primary or workspace.standby:
        return encode(_describe(call, workspace)).decode("ascii")
    # Whatever of a plain WorkSpace can change; its text is made again when one of these did.
    version = (
        workspace.state,
        workspace.running_mode,
        workspace.auto_stop_minutes,
        workspace.compute,
        workspace.root_gib,
        workspace.user_gib,
        workspace.protocol,
    )
    texts = call.store.texts
    known = texts.get(workspace.id)
    if known is not None and known[0] == version:
        return known[1]
    text = encode(_describe(call, workspace)).decode("ascii")
    if len(texts) >= _TEXTS_KEPT:
        texts.clear()
    texts[workspace.id] = (version, text)
    return text


def _describe(call: Call, workspace: Workspace) -> JsonObject:
    properties: JsonObject = {
        "RunningMode": workspace.running_mode,
        "RootVolumeSizeGib": workspace.root_gib,
        "UserVolumeSizeGib": workspace.user_gib,
        "ComputeTypeName": workspace.compute,
        "Protocols": [workspace.protocol],
        "OperatingSystemName": workspace.operating_system,
    }
    if workspace.auto_stop_minutes is not None:
        properties["RunningModeAutoStopTimeoutInMinutes"] = workspace.auto_stop_minutes
    item: JsonObject = {
        "WorkspaceId": workspace.id,
        "DirectoryId": workspace.directory_id,
        "UserName": workspace.user_name,
        "IpAddress": workspace.ip_address,
        "State": workspace.state,
        "BundleId": workspace.bundle_id,
        "SubnetId": workspace.subnet_id,
        "ComputerName": f"WSAMZN-{workspace.id[-8:].upper()}",
        "WorkspaceProperties": properties,
        "ModificationStates": [
            {"Resource": resource, "State": state}
            for resource, state in (workspace.modifications or {}).items()
        ],
    }
    _describe_rarities(call, workspace, item, properties)
    return item


def _describe_rarities(call: Call, workspace: Workspace, item: JsonObject, properties: JsonObject) -> None:
    if workspace.extras is not None:
        properties.update(workspace.extras)
    if workspace.name is not None:
        item["WorkspaceName"] = workspace.name
    if workspace.volume_key is not None:
        item["VolumeEncryptionKey"] = workspace.volume_key
    if workspace.user_encrypted:
        item["UserVolumeEncryptionEnabled"] = True
    if workspace.root_encrypted:
        item["RootVolumeEncryptionEnabled"] = True
    if workspace.error_code is not None:
        item["ErrorCode"] = workspace.error_code
        item["ErrorMessage"] = workspace.error_message or ""
    if workspace.data_replication is not None:
        item["DataReplicationSettings"] = {"DataReplication": workspace.data_replication}
    related: list[JsonValue] = []
    for place, kind in ((workspace.primary, "PRIMARY"), (workspace.standby, "STANDBY")):
        if place is not None:
            related.append(_related(call, place, kind))
    if related:
        item["RelatedWorkspaces"] = related
    if workspace.standby is not None:
        item["StandbyWorkspacesProperties"] = [
            {
                "StandbyWorkspaceId": workspace.standby[1],
                "DataReplication": workspace.data_replication or "NO_REPLICATION",
            }
        ]


def _related(call: Call, place: tuple[str, str], kind: str) -> JsonObject:
    region, workspace_id = place
    item: JsonObject = {"WorkspaceId": workspace_id, "Region": region, "Type": kind}
    store = call.accounts.peek(call.store.account_id, region)
    other = store.workspaces.get(workspace_id) if store is not None else None
    if other is not None:
        item["State"] = other.state
    return item


def describe_connection_status(call: Call, parameters: Parameters) -> JsonObject:
    """List the connection states of WorkSpaces."""
    if "WorkspaceIds" in parameters:
        chosen = _by_id(call, parameters.texts("WorkspaceIds"))
        return listing("WorkspacesConnectionStatus", [_connection(call, one) for one in chosen], None)
    page = call.page(parameters, [call.store.all_workspaces], _visible)
    return listing(
        "WorkspacesConnectionStatus", [_connection(call, one) for one in page.items], page.next_token
    )


def _connection(call: Call, workspace: Workspace) -> JsonObject:
    state = "UNKNOWN"
    if workspace.state == "AVAILABLE":
        state = "CONNECTED" if workspace.connected else "DISCONNECTED"
    item: JsonObject = {
        "WorkspaceId": workspace.id,
        "ConnectionState": state,
        "ConnectionStateCheckTimestamp": call.now,
    }
    if workspace.last_connection is not None:
        item["LastKnownUserConnectionTimestamp"] = workspace.last_connection
    return item


def batch(
    call: Call, entries: Iterable[Parameters], act: Callable[[Workspace], None], command: Command
) -> JsonObject:
    """Give a command to several WorkSpaces; what fails is listed, with HTTP 200."""
    failed: list[JsonValue] = []
    for entry in entries:
        workspace_id = entry.maybe_text("WorkspaceId")
        problem = _batch_problem(call, workspace_id, command)
        if problem is None and workspace_id is not None:
            act(call.store.workspaces[workspace_id])
        elif problem is not None:
            item: JsonObject = {"ErrorCode": problem[0], "ErrorMessage": problem[1]}
            if workspace_id is not None:
                item["WorkspaceId"] = workspace_id
            failed.append(item)
    return {"FailedRequests": failed}


def _batch_problem(call: Call, workspace_id: str | None, command: Command) -> tuple[str, str] | None:
    fault = call.faults.for_entry(call.operation, workspace_id)
    if fault is not None:
        return fault.code, fault.message
    workspace = call.store.workspaces.get(workspace_id or "")
    if workspace is None or not workspace.visible:
        return "ResourceNotFound.Workspace", "The specified WorkSpace could not be found."
    if is_held(call, workspace, command):
        return "OperationInProgress.Workspace", "The WorkSpace is being modified."
    if not command.allows(workspace.state, workspace.running_mode):
        return (
            "OperationNotSupported.Workspace",
            f"A WorkSpace that is {workspace.state} and {workspace.running_mode} cannot be asked to {command.name}.",
        )
    return None


def is_held(call: Call, workspace: Workspace, command: Command) -> bool:
    """Return whether a modification that goes on keeps a WorkSpace from a command."""
    return (
        command.waits_for_modification
        and workspace.modifications is not None
        and call.settings.modifying_refuses_commands
    )


def passing(call: Call, workspace: Workspace, command: Command) -> None:
    """Set a WorkSpace on its way, through the state in between to the one afterwards."""
    workspace.epoch += 1
    workspace.state = command.passing
    workspace.connected = False
    workspace.error_code = workspace.error_message = None
    call.rest(
        workspace.id, workspace.epoch, command.final, command.span(call.settings).draw(call.store.source)
    )


def _simple(name: str, member: str) -> Callable[[Call, Parameters], JsonObject]:
    command = COMMANDS[name]

    def handler(call: Call, parameters: Parameters) -> JsonObject:
        return batch(
            call, parameters.sections(member), lambda workspace: passing(call, workspace, command), command
        )

    return handler


WORKSPACES: Final[Family] = {
    "CreateWorkspaces": create_workspaces,
    "DescribeWorkspaces": describe_workspaces,
    "DescribeWorkspacesConnectionStatus": describe_connection_status,
    "RebootWorkspaces": _simple("reboot", "RebootWorkspaceRequests"),
    "StartWorkspaces": _simple("start", "StartWorkspaceRequests"),
    "StopWorkspaces": _simple("stop", "StopWorkspaceRequests"),
    "TerminateWorkspaces": _simple("terminate", "TerminateWorkspaceRequests"),
}


def rebuild_workspaces(call: Call, parameters: Parameters) -> JsonObject:
    """Make the root volume anew from the image: only what the bundle brings is installed."""

    def rebuild(workspace: Workspace) -> None:
        passing(call, workspace, COMMANDS["rebuild"])
        for association in list(workspace.associations.values()):
            call.store.drop_association(association)
        bring_along(call, workspace)

    return batch(call, parameters.sections("RebuildWorkspaceRequests"), rebuild, COMMANDS["rebuild"])


def restore_workspace(call: Call, parameters: Parameters) -> JsonObject:
    """Go back to the last snapshot: what was installed since is gone."""
    workspace = _ready_for(call, parameters.text("WorkspaceId"), COMMANDS["restore"])
    snapshot = _snapshot(call, workspace)
    passing(call, workspace, COMMANDS["restore"])
    workspace.restored_to = snapshot
    for association in list(workspace.associations.values()):
        installed_since = association.state == "COMPLETED" and association.updated > snapshot
        if (installed_since and call.settings.restore_shows_drift) or association.state == "ERROR":
            call.store.drop_association(association)
    return {}


def describe_workspace_snapshots(call: Call, parameters: Parameters) -> JsonObject:
    """Return the snapshots that Rebuild and Restore would use."""
    workspace = call.store.workspace(parameters.text("WorkspaceId"))
    snapshots: list[JsonValue] = [{"SnapshotTime": _snapshot(call, workspace)}]
    return {"RebuildSnapshots": snapshots, "RestoreSnapshots": list(snapshots)}


def _snapshot(call: Call, workspace: Workspace) -> float:
    interval = call.settings.snapshot_interval
    return workspace.created + (call.now - workspace.created) // interval * interval


def migrate_workspace(call: Call, parameters: Parameters) -> JsonObject:
    """Replace a WorkSpace by one of another bundle, for the same user."""
    store = call.store
    workspace = _ready_for(call, parameters.text("SourceWorkspaceId"), COMMANDS["migrate"])
    bundle = store.bundles.named(parameters.text("BundleId"))
    if bundle.id == workspace.bundle_id:
        raise invalid("The WorkSpace is of this bundle already.")
    number = store.number()
    target = Workspace(
        id=store.new_id("ws-"),
        directory_id=workspace.directory_id,
        bundle_id=bundle.id,
        user_name=workspace.user_name,
        state="PENDING",
        sequence=number,
        created=call.now,
        ip_address=address(number),
        subnet_id=workspace.subnet_id,
        compute=bundle.compute,
        operating_system=bundle.operating_system,
        protocol=bundle.protocol,
        running_mode=workspace.running_mode,
        auto_stop_minutes=workspace.auto_stop_minutes,
        root_gib=bundle.root_gib,
        user_gib=workspace.user_gib,
        tags=dict(workspace.tags),
        associations={},
    )
    store.add_workspace(target)
    bring_along(call, target)
    after = call.settings.migrate_duration.draw(store.source)
    call.rest(target.id, target.epoch, "AVAILABLE", after)
    workspace.epoch += 1
    workspace.state = "TERMINATING"
    call.rest(workspace.id, workspace.epoch, "ABSENT", after)
    return {"SourceWorkspaceId": workspace.id, "TargetWorkspaceId": target.id}


def _ready_for(call: Call, workspace_id: str, command: Command) -> Workspace:
    workspace = call.store.workspace(workspace_id)
    if is_held(call, workspace, command):
        raise ApiError("OperationInProgressException", "The WorkSpace is being modified.")
    if not command.allows(workspace.state, workspace.running_mode):
        raise not_supported(f"The WorkSpace is {workspace.state}.", "WORKSPACE_STATE")
    return workspace


def create_standby_workspaces(call: Call, parameters: Parameters) -> JsonObject:
    """Make standby WorkSpaces here of primary ones in another Region."""
    region = parameters.text("PrimaryRegion")
    if region == call.store.region:
        raise invalid("PrimaryRegion must be another Region.")
    pending: list[JsonValue] = []
    failed: list[JsonValue] = []
    for entry in parameters.sections("StandbyWorkspaces"):
        problem = _standby_problem(call, region, entry)
        if problem is not None:
            code, message = problem
            failed.append({"StandbyWorkspaceRequest": entry.raw, "ErrorCode": code, "ErrorMessage": message})
            continue
        standby = _standby(call, region, entry)
        pending.append(
            {
                "WorkspaceId": standby.id,
                "DirectoryId": standby.directory_id,
                "UserName": standby.user_name,
                "State": standby.state,
            }
        )
    return {"FailedStandbyRequests": failed, "PendingStandbyRequests": pending}


def _standby_problem(call: Call, region: str, entry: Parameters) -> tuple[str, str] | None:
    fault = call.faults.for_entry(call.operation, entry.text("PrimaryWorkspaceId"))
    if fault is not None:
        return fault.code, fault.message
    store = call.accounts.peek(call.store.account_id, region)
    primary = store.workspaces.get(entry.text("PrimaryWorkspaceId")) if store is not None else None
    if primary is None:
        return "ResourceNotFound.Workspace", "The primary WorkSpace could not be found."
    if primary.standby is not None:
        return "ResourceExists.WorkSpace", "The primary WorkSpace has a standby already."
    directory = call.store.directories.get(entry.text("DirectoryId"))
    if directory is None:
        return "ResourceNotFound.Directory", "The specified directory could not be found in the Region."
    if call.settings.pools_apart and directory.workspace_type == "POOLS":
        return "OperationNotSupported.Directory", "The specified directory is for WorkSpaces Pools."
    return None


def _standby(call: Call, region: str, entry: Parameters) -> Workspace:
    store = call.store
    source = call.accounts.store(store.account_id, region, call.now)
    primary = source.workspaces[entry.text("PrimaryWorkspaceId")]
    directory = store.directories[entry.text("DirectoryId")]
    number = store.number()
    standby = Workspace(
        id=store.new_id("ws-"),
        directory_id=directory.id,
        bundle_id=primary.bundle_id,
        user_name=primary.user_name,
        state="PENDING",
        sequence=number,
        created=call.now,
        ip_address=address(number),
        subnet_id=directory.subnet_ids[0],
        compute=primary.compute,
        operating_system=primary.operating_system,
        protocol=primary.protocol,
        running_mode="MANUAL",
        auto_stop_minutes=None,
        root_gib=primary.root_gib,
        user_gib=primary.user_gib,
        tags=tags_in(entry, call.settings),
        associations={},
        volume_key=entry.maybe_text("VolumeEncryptionKey"),
        primary=(region, primary.id),
        data_replication=entry.maybe_text("DataReplication") or "NO_REPLICATION",
    )
    store.add_workspace(standby)
    primary.standby = (store.region, standby.id)
    call.rest(standby.id, standby.epoch, "STOPPED", call.settings.create_duration.draw(store.source))
    return standby


RECOVERY: Final[Family] = {
    "CreateStandbyWorkspaces": create_standby_workspaces,
    "DescribeWorkspaceSnapshots": describe_workspace_snapshots,
    "MigrateWorkspace": migrate_workspace,
    "RebuildWorkspaces": rebuild_workspaces,
    "RestoreWorkspace": restore_workspace,
}
