"""Rebuild, restore, migrate, snapshots and standby: what moves a WorkSpace away from what was installed on it.

Documented: Restore goes back to the last snapshot, which may be 12 hours old; Rebuild reverts to the image;
Migrate drops what was installed. What the associations show afterwards is assumed.
"""

from typing import Final

from workspaces_apps.simulator._operations.call import Call, Family, tags_in
from workspaces_apps.simulator._operations.workspaces import address, batch, bring_along, is_held, passing
from workspaces_apps.simulator._records import Workspace
from workspaces_apps.simulator._wire import (
    ApiError,
    JsonObject,
    JsonValue,
    Parameters,
    invalid,
    not_found,
    not_supported,
)
from workspaces_apps.simulator._workspace_lifecycle import COMMANDS, Command


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
    """The snapshots that Rebuild and Restore would use."""
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
    bundle = store.bundles.get(parameters.text("BundleId"))
    if bundle is None:
        raise not_found("bundle", parameters.text("BundleId"))
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
