"""The eight application operations: the catalogue, associations, and their deployment."""

from typing import Final

from workspaces_apps.simulator._catalogue import check_installation, conflicts, refused
from workspaces_apps.simulator._operations.call import Call, Family, listing
from workspaces_apps.simulator._records import (
    ABSENT,
    DEPLOYABLE,
    IN_FLIGHT,
    RETRIED,
    Application,
    Association,
    Effect,
    Place,
    Row,
    State,
    Trigger,
    Workspace,
    look_up,
)
from workspaces_apps.simulator._settings import SimulatorSettings
from workspaces_apps.simulator._state import RESOURCE_TYPES, OrderedIndex, index_of
from workspaces_apps.simulator._wire import (
    ApiError,
    JsonObject,
    JsonValue,
    Parameters,
    in_use,
    not_found,
    not_supported,
)


def describe_applications(call: Call, parameters: Parameters) -> JsonObject:
    """Return the catalogue, filtered."""
    wanted = parameters.texts("ApplicationIds")
    computes = frozenset(parameters.texts("ComputeTypeNames"))
    systems = frozenset(parameters.texts("OperatingSystemNames"))
    license_type = parameters.maybe_text("LicenseType")
    owner = parameters.maybe_text("Owner")

    def fits(application: Application) -> bool:
        return (
            (not computes or not computes.isdisjoint(application.computes))
            and (not systems or not systems.isdisjoint(application.operating_systems))
            and (license_type is None or application.license_type == license_type)
            and (owner is None or application.owner == owner)
        )

    indexes = [call.store.applications.order]
    if wanted:
        named = {one: call.store.applications.named(one) for one in wanted}
        indexes = [index_of(named.values(), lambda application: application.sequence)]
    page = call.page(parameters, indexes, fits)
    return listing("Applications", [_application(item) for item in page.items], page.next_token)


def describe_application_associations(call: Call, parameters: Parameters) -> JsonObject:
    """List the associations of an application."""
    application = call.store.applications.named(parameters.text("ApplicationId"))
    types = parameters.texts("AssociatedResourceTypes")
    # A type without an association keeps its place, so that a page token means the same when it gets its first.
    indexes = [
        call.store.installations.get((application.id, kind)) or OrderedIndex[Association]()
        for kind in RESOURCE_TYPES
        if kind in types
    ]
    page = call.page(parameters, indexes)
    items = [_association(item, item.resource_id, item.resource_type) for item in page.items]
    for item, association in zip(items, page.items, strict=True):
        item["ApplicationId"] = association.application_id
    return listing("Associations", items, page.next_token)


def describe_workspace_associations(call: Call, parameters: Parameters) -> JsonObject:
    """List the associations of a WorkSpace."""
    workspace = call.store.workspace(parameters.text("WorkspaceId"))
    items: list[JsonValue] = [_on_workspace(item) for item in workspace.associations.values()]
    return {"Associations": items}


def describe_bundle_associations(call: Call, parameters: Parameters) -> JsonObject:
    """List the associations of a bundle."""
    bundle = call.store.bundles.named(parameters.text("BundleId"))
    return _of_resource(call, bundle.id, "BundleId")


def describe_image_associations(call: Call, parameters: Parameters) -> JsonObject:
    """List the associations of an image."""
    image = call.store.images.named(parameters.text("ImageId"))
    return _of_resource(call, image.id, "ImageId")


def associate_workspace_application(call: Call, parameters: Parameters) -> JsonObject:
    """Stage an installation, or revert a staged removal."""
    workspace, application = _pair(call, parameters)
    association = workspace.associations.get(application.id)
    row = look_up("associate", _place(association))
    if row.effect == "move" or row.effect == "error record":
        check_installation(application, workspace, _staying(call, workspace, application), call.settings)
    return {"Association": _on_workspace(_stage(call, workspace, application, association, row))}


def disassociate_workspace_application(call: Call, parameters: Parameters) -> JsonObject:
    """Stage a removal, or revert a staged installation."""
    workspace, application = _pair(call, parameters)
    association = workspace.associations.get(application.id)
    row = look_up("disassociate", _place(association))
    return {"Association": _on_workspace(_stage(call, workspace, application, association, row))}


def deploy_workspace_applications(call: Call, parameters: Parameters) -> JsonObject:
    """Carry out everything that is staged on a WorkSpace."""
    workspace = call.store.workspace(parameters.text("WorkspaceId"))
    _check_ready(call.settings, workspace)
    trigger: Trigger = "force" if parameters.flag("Force") else "deploy"
    plan: list[tuple[Association, State]] = []
    for association in workspace.associations.values():
        row = look_up(trigger, association.state)
        if row.effect == "in use":
            busy = in_use("An application of the WorkSpace is being installed or removed.", workspace.id)
            raise refused(call.settings, "change in flight", busy)
        if row.effect == "move":
            plan.append((association, _deployed(row, association)))
    if not plan and call.settings.deploy_nothing == "refuse":
        raise not_supported("Nothing is staged on the WorkSpace.", "NOTHING_TO_DEPLOY")
    _check_together(call, workspace)
    for association, state in plan:
        association.state = state
    if plan:
        call.transitions.deploy(call.store, workspace, [association for association, _ in plan], call.now)
    items: list[JsonValue] = [_on_workspace(association) for association, _ in plan]
    return {"Deployment": {"Associations": items}}


def _deployed(row: Row, association: Association) -> State:
    if row.to == "PENDING_INSTALL" or row.to == "PENDING_UNINSTALL":
        return row.to
    return RETRIED[association.direction or "install"]


def _pair(call: Call, parameters: Parameters) -> tuple[Workspace, Application]:
    workspace = call.store.workspace(parameters.text("WorkspaceId"))
    application = call.store.applications.named(parameters.text("ApplicationId"))
    if call.settings.staging_needs_ready_workspace or workspace.state == "UPDATING":
        _check_ready(call.settings, workspace)
    return workspace, application


def _check_ready(settings: SimulatorSettings, workspace: Workspace) -> None:
    if workspace.state == "UPDATING":
        busy = in_use("Applications of the WorkSpace are being deployed.", workspace.id)
        raise refused(settings, "change in flight", busy)
    if workspace.state not in DEPLOYABLE:
        state = f"The WorkSpace is {workspace.state}; it must be AVAILABLE or STOPPED."
        raise refused(settings, "workspace not ready", not_supported(state, "WORKSPACE_STATE"))


def _place(association: Association | None) -> Place:
    return ABSENT if association is None else association.state


def _staying(call: Call, workspace: Workspace, application: Application) -> list[Application]:
    return [
        call.store.applications[other.application_id]
        for other in workspace.associations.values()
        if other.application_id != application.id and _stays(other)
    ]


def _stays(association: Association) -> bool:
    if association.state in ("PENDING_UNINSTALL_DEPLOYMENT", "REMOVED"):
        return False
    return not (association.state in IN_FLIGHT and association.direction == "uninstall")


def _check_together(call: Call, workspace: Workspace) -> None:
    staged = [
        call.store.applications[association.application_id]
        for association in workspace.associations.values()
        if association.state == "PENDING_INSTALL_DEPLOYMENT"
    ]
    for application in staged:
        if any(conflicts(application, other) for other in _staying(call, workspace, application)):
            raise refused(call.settings, "edition or version", ApiError("IncompatibleApplicationsException"))


def _stage(
    call: Call, workspace: Workspace, application: Application, association: Association | None, row: Row
) -> Association:
    effect = _effect(row, call.settings)
    match effect:
        case "already exists":
            there = f"{application.id} is associated with {workspace.id} already."
            natural = ApiError("ResourceAlreadyExistsException", there)
            raise refused(call.settings, "associated already", natural)
        case "not found":
            raise refused(call.settings, "not associated", not_found("association", application.id))
        case "in use":
            busy = in_use("The association is staged, or being changed.", application.id)
            raise refused(call.settings, "change in flight", busy)
        case _:
            pass
    if association is None or association.state == "REMOVED":
        if association is not None:
            call.store.drop_association(association)
        association = Association(
            resource_id=workspace.id,
            resource_type="WORKSPACE",
            application_id=application.id,
            state="PENDING_INSTALL_DEPLOYMENT",
            direction="install",
            before=ABSENT,
            created=call.now,
            updated=call.now,
            sequence=call.store.number(),
        )
        call.store.add_association(association)
        return association
    if effect == "move":
        _restage(association, row)
    elif effect == "revert":
        _revert(call, association)
    if effect != "keep":
        association.updated = call.now
    return association


def _effect(row: Row, settings: SimulatorSettings) -> Effect:
    if row.effect != "error record":
        return row.effect
    match settings.error_record:
        case "restate":
            return "move"
        case "keep":
            return "keep"
        case "refuse":
            return "already exists" if row.trigger == "associate" else "in use"


def _restage(association: Association, row: Row) -> None:
    # What was staged reverts to what it was: COMPLETED, or ERROR in the direction that failed.
    association.before = association.state
    association.epoch += 1
    if row.direction == "install":
        association.state = "PENDING_INSTALL_DEPLOYMENT"
    else:
        association.state = "PENDING_UNINSTALL_DEPLOYMENT"
    association.failed = association.direction
    association.direction = row.direction


def _revert(call: Call, association: Association) -> None:
    before = association.before
    association.epoch += 1
    if before == ABSENT:
        call.store.drop_association(association)
        association.state = "REMOVED"
        return
    association.state = before
    association.direction = association.failed


def _application(application: Application) -> JsonObject:
    computes: list[JsonValue] = list(application.computes)
    systems: list[JsonValue] = list(application.operating_systems)
    return {
        "ApplicationId": application.id,
        "Created": application.created,
        "Description": application.description,
        "LicenseType": application.license_type,
        "Name": application.name,
        "Owner": application.owner,
        "State": application.state,
        "SupportedComputeTypeNames": computes,
        "SupportedOperatingSystemNames": systems,
    }


def _association(association: Association, resource_id: str, resource_type: str) -> JsonObject:
    item: JsonObject = {
        "AssociatedResourceId": resource_id,
        "AssociatedResourceType": resource_type,
        "Created": association.created,
        "LastUpdatedTime": association.updated,
        "State": association.state,
    }
    if association.state == "ERROR" and association.reason_code is not None:
        item["StateReason"] = {
            "ErrorCode": association.reason_code,
            "ErrorMessage": association.reason_message or "",
        }
    return item


def _on_workspace(association: Association) -> JsonObject:
    item = _association(association, association.application_id, "APPLICATION")
    item["WorkspaceId"] = association.resource_id
    return item


def _of_resource(call: Call, resource_id: str, member: str) -> JsonObject:
    items: list[JsonValue] = []
    for association in call.store.resource_associations.get(resource_id, {}).values():
        item = _association(association, association.application_id, "APPLICATION")
        item[member] = resource_id
        items.append(item)
    return {"Associations": items}


APPLICATIONS: Final[Family] = {
    "AssociateWorkspaceApplication": associate_workspace_application,
    "DeployWorkspaceApplications": deploy_workspace_applications,
    "DescribeApplicationAssociations": describe_application_associations,
    "DescribeApplications": describe_applications,
    "DescribeBundleAssociations": describe_bundle_associations,
    "DescribeImageAssociations": describe_image_associations,
    "DescribeWorkspaceAssociations": describe_workspace_associations,
    "DisassociateWorkspaceApplication": disassociate_workspace_application,
}
