"""IP access control groups: stored and described; nothing is filtered by them."""

from typing import Final

from workspaces_apps.simulator.operations.call import Call, Family, listing, tags_in
from workspaces_apps.simulator.paging import roll_of
from workspaces_apps.simulator.state import Collection
from workspaces_apps.simulator.wire import ApiError, JsonObject, JsonValue, Parameters, not_found

_FAMILY: Final = "ip-groups"


def _groups(call: Call) -> Collection:
    return call.store.collection(_FAMILY)


def _group(call: Call, parameters: Parameters) -> JsonObject:
    group_id = parameters.text("GroupId")
    group = _groups(call).items.get(group_id)
    if group is None:
        raise not_found("IP group", group_id)
    return group


def _rules(parameters: Parameters) -> list[JsonValue]:
    return [rule.raw for rule in parameters.sections("UserRules")]


def create_ip_group(call: Call, parameters: Parameters) -> JsonObject:
    """Make a group."""
    groups = _groups(call)
    name = parameters.text("GroupName")
    if any(group["groupName"] == name for group in groups.items.values()):
        raise ApiError("ResourceAlreadyExistsException", f"There is an IP group named {name} already.")
    tags = tags_in(parameters, call.settings)
    group_id = call.store.new_id("wsipg-")
    group: JsonObject = {"groupId": group_id, "groupName": name, "userRules": _rules(parameters)}
    description = parameters.maybe_text("GroupDesc")
    if description is not None:
        group["groupDesc"] = description
    groups.add(group_id, call.store.number(), group)
    call.store.set_tags(group_id, tags)
    return {"GroupId": group_id}


def delete_ip_group(call: Call, parameters: Parameters) -> JsonObject:
    """Delete a group that no directory uses."""
    _group(call, parameters)
    group_id = parameters.text("GroupId")
    if any(group_id in directory.ip_groups for directory in call.store.directories.values()):
        raise ApiError("ResourceAssociatedException", "A directory uses the IP group.")
    _groups(call).remove(group_id)
    return {}


def describe_ip_groups(call: Call, parameters: Parameters) -> JsonObject:
    """Groups, all or by id."""
    groups = _groups(call)
    ids = parameters.texts("GroupIds")
    roll = groups.order
    if ids:
        chosen = [one for one in dict.fromkeys(ids) if one in groups.items]
        numbers = {id(groups.items[one]): groups.numbers[one] for one in chosen}
        roll = roll_of((groups.items[one] for one in chosen), lambda group: numbers[id(group)])
    page = call.page(parameters, [roll])
    return listing("Result", page.items, page.next_token)


def authorize_ip_rules(call: Call, parameters: Parameters) -> JsonObject:
    """Add rules."""
    group = _group(call, parameters)
    known = group["userRules"]
    group["userRules"] = [*(known if isinstance(known, list) else []), *_rules(parameters)]
    return {}


def revoke_ip_rules(call: Call, parameters: Parameters) -> JsonObject:
    """Take rules away, by their range."""
    group = _group(call, parameters)
    gone = frozenset(parameters.texts("UserRules"))
    known = group["userRules"]
    group["userRules"] = [
        rule
        for rule in (known if isinstance(known, list) else [])
        if not (isinstance(rule, dict) and rule.get("ipRule") in gone)
    ]
    return {}


def update_rules_of_ip_group(call: Call, parameters: Parameters) -> JsonObject:
    """Replace all rules."""
    _group(call, parameters)["userRules"] = _rules(parameters)
    return {}


def associate_ip_groups(call: Call, parameters: Parameters) -> JsonObject:
    """Let a directory use groups."""
    directory = call.store.directory(parameters.text("DirectoryId"))
    ids = parameters.texts("GroupIds")
    for one in ids:
        if one not in _groups(call).items:
            raise not_found("IP group", one)
    directory.ip_groups = list(dict.fromkeys([*directory.ip_groups, *ids]))
    return {}


def disassociate_ip_groups(call: Call, parameters: Parameters) -> JsonObject:
    """Let a directory use groups no longer."""
    directory = call.store.directory(parameters.text("DirectoryId"))
    gone = frozenset(parameters.texts("GroupIds"))
    directory.ip_groups = [one for one in directory.ip_groups if one not in gone]
    return {}


OPERATIONS: Final[Family] = {
    "AssociateIpGroups": associate_ip_groups,
    "AuthorizeIpRules": authorize_ip_rules,
    "CreateIpGroup": create_ip_group,
    "DeleteIpGroup": delete_ip_group,
    "DescribeIpGroups": describe_ip_groups,
    "DisassociateIpGroups": disassociate_ip_groups,
    "RevokeIpRules": revoke_ip_rules,
    "UpdateRulesOfIpGroup": update_rules_of_ip_group,
}
