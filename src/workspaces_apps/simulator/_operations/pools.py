"""WorkSpaces Pools: stored, described, started and stopped; nobody ever has a session."""

from typing import Final

from workspaces_apps.simulator._operations.call import Call, Family, listing, tags_in
from workspaces_apps.simulator._paging import OrderedIndex
from workspaces_apps.simulator._wire import ApiError, JsonObject, Parameters, not_found, not_supported

_FAMILY: Final = "pools"
_CHANGEABLE: Final = ("Description", "BundleId", "DirectoryId", "RunningMode")


def _pool(call: Call, parameters: Parameters) -> JsonObject:
    pool_id = parameters.text("PoolId")
    pool = call.store.collection(_FAMILY).items.get(pool_id)
    if pool is None:
        raise not_found("pool", pool_id)
    return pool


def _capacity(parameters: Parameters) -> JsonObject:
    capacity = parameters.section("Capacity") or Parameters({})
    desired = capacity.integer("DesiredUserSessions") or 0
    return {
        "AvailableUserSessions": 0,
        "DesiredUserSessions": desired,
        "ActualUserSessions": 0,
        "ActiveUserSessions": 0,
    }


def _check_parts(call: Call, parameters: Parameters) -> None:
    bundle_id, directory_id = parameters.maybe_text("BundleId"), parameters.maybe_text("DirectoryId")
    if bundle_id is not None and bundle_id not in call.store.bundles:
        raise not_found("bundle", bundle_id)
    if directory_id is not None:
        directory = call.store.directory(directory_id)
        if call.settings.pools_apart and directory.workspace_type != "POOLS":
            raise not_supported("The directory is for WorkSpaces Personal.", "WORKSPACE_TYPE")


def create_workspaces_pool(call: Call, parameters: Parameters) -> JsonObject:
    """Make a pool; it begins STOPPED."""
    store = call.store
    name = parameters.text("PoolName")
    pools = store.collection(_FAMILY)
    if any(pool["PoolName"] == name for pool in pools.items.values()):
        raise ApiError("ResourceAlreadyExistsException", f"There is a pool named {name} already.")
    _check_parts(call, parameters)
    tags = tags_in(parameters, call.settings)
    pool_id = store.new_id("wspool-")
    pool: JsonObject = {
        "PoolId": pool_id,
        "PoolArn": f"arn:aws:workspaces:{store.region}:{store.account_id}:workspacespool/{pool_id}",
        "CapacityStatus": _capacity(parameters),
        "PoolName": name,
        "Description": parameters.text("Description"),
        "State": "STOPPED",
        "CreatedAt": call.now,
        "BundleId": parameters.text("BundleId"),
        "DirectoryId": parameters.text("DirectoryId"),
        "RunningMode": parameters.maybe_text("RunningMode") or "AUTO_STOP",
    }
    _set_sections(pool, parameters)
    pools.add(pool_id, store.number(), pool)
    store.set_tags(pool_id, tags)
    return {"WorkspacesPool": pool}


def _set_sections(pool: JsonObject, parameters: Parameters) -> None:
    for member in ("ApplicationSettings", "TimeoutSettings"):
        section = parameters.section(member)
        if section is not None:
            pool[member] = section.raw


def describe_workspaces_pools(call: Call, parameters: Parameters) -> JsonObject:
    """Pools, all, by id, or by name."""
    ids = parameters.texts("PoolIds")
    items = call.store.collection(_FAMILY).items
    for one in ids:
        if one not in items:
            raise not_found("pool", one)
    filters = [(one.text("Operator"), one.texts("Values")) for one in parameters.sections("Filters")]

    def fits(pool: JsonObject) -> bool:
        return (not ids or pool["PoolId"] in ids) and all(
            _matches(str(pool["PoolName"]), operator, values) for operator, values in filters
        )

    page = call.page(parameters, [call.store.collection(_FAMILY).order], fits, size_member="Limit")
    return listing("WorkspacesPools", page.items, page.next_token)


def _matches(name: str, operator: str, values: list[str]) -> bool:
    exact = operator in ("EQUALS", "NOTEQUALS")
    found = name in values if exact else any(value in name for value in values)
    return found != operator.startswith("NOT")


def update_workspaces_pool(call: Call, parameters: Parameters) -> JsonObject:
    """Change a pool."""
    pool = _pool(call, parameters)
    _check_parts(call, parameters)
    for member in _CHANGEABLE:
        value = parameters.maybe_text(member)
        if value is not None:
            pool[member] = value
    if "Capacity" in parameters:
        pool["CapacityStatus"] = _capacity(parameters)
    _set_sections(pool, parameters)
    return {"WorkspacesPool": pool}


def start_workspaces_pool(call: Call, parameters: Parameters) -> JsonObject:
    """Start a STOPPED pool."""
    return _move(call, parameters, "STOPPED", "STARTING", "RUNNING")


def stop_workspaces_pool(call: Call, parameters: Parameters) -> JsonObject:
    """Stop a RUNNING pool."""
    return _move(call, parameters, "RUNNING", "STOPPING", "STOPPED")


def terminate_workspaces_pool(call: Call, parameters: Parameters) -> JsonObject:
    """Delete a STOPPED pool."""
    return _move(call, parameters, "STOPPED", "DELETING", "ABSENT")


def _move(call: Call, parameters: Parameters, needed: str, passing: str, final: str) -> JsonObject:
    pool = _pool(call, parameters)
    if pool["State"] != needed:
        raise ApiError("InvalidResourceStateException", f"The pool is {pool['State']}, not {needed}.")
    pool["State"] = passing
    after = call.settings.pool_duration.draw(call.store.source)
    call.store.plan(call.now + after, "item-rests", parameters.text("PoolId"), 0, f"{_FAMILY}:{final}")
    return {}


def describe_workspaces_pool_sessions(call: Call, parameters: Parameters) -> JsonObject:
    """The sessions of a pool: none."""
    _pool(call, parameters)
    nobody: OrderedIndex[JsonObject] = OrderedIndex()
    page = call.page(parameters, [nobody], size_member="Limit")
    return listing("Sessions", page.items, page.next_token)


def terminate_workspaces_pool_session(call: Call, parameters: Parameters) -> JsonObject:
    """End a session: there is none."""
    del call
    raise not_found("session", parameters.text("SessionId"))


POOLS: Final[Family] = {
    "CreateWorkspacesPool": create_workspaces_pool,
    "DescribeWorkspacesPoolSessions": describe_workspaces_pool_sessions,
    "DescribeWorkspacesPools": describe_workspaces_pools,
    "StartWorkspacesPool": start_workspaces_pool,
    "StopWorkspacesPool": stop_workspaces_pool,
    "TerminateWorkspacesPool": terminate_workspaces_pool,
    "TerminateWorkspacesPoolSession": terminate_workspaces_pool_session,
    "UpdateWorkspacesPool": update_workspaces_pool,
}
