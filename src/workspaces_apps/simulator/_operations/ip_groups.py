"""IP access control groups: stored and described; nothing is filtered by them."""

import ipaddress
from typing import Final

from workspaces_apps.simulator._operations.call import Call, Family, listing, tags_in
from workspaces_apps.simulator._paging import index_of
from workspaces_apps.simulator._state import Collection
from workspaces_apps.simulator._wire import ApiError, JsonObject, JsonValue, Parameters, invalid, not_found

_FAMILY: Final = "ip-groups"


def _groups(call: Call) -> Collection:
    return call.store.collection(_FAMILY)


def _group(call: Call, parameters: Parameters) -> JsonObject:
    group_id = parameters.text("GroupId")
    group = _groups(call).items.get(group_id)
    if group is None:
        raise not_found("IP group", group_id)
    return group


def _rules(call: Call, parameters: Parameters, known: JsonValue = None) -> list[JsonValue]:
    """Return the known rules and those of a request, a range only once, with what was said of it last.

    Raises:
        ApiError: InvalidParameterValuesException: a range is none; ResourceLimitExceededException: too many.
    """
    rules: dict[str, JsonValue] = {}
    for old in known if isinstance(known, list) else []:
        if isinstance(old, dict):
            rules[str(old.get("ipRule"))] = old
    for rule in parameters.sections("UserRules"):
        within = rule.text("ipRule")
        try:
            ipaddress.IPv4Network(within, strict=not call.settings.ip_rules_with_host_bits)
        except ValueError:
            raise invalid(f"{within} is not a range of IPv4 addresses.") from None
        if "/" not in within:
            raise invalid(f"{within} has no prefix length; that of one address is 32.")
        rules[within] = rule.raw
    if len(rules) > call.settings.ip_rules_per_group:
        raise ApiError(
            "ResourceLimitExceededException", f"An IP group has {call.settings.ip_rules_per_group} rules."
        )
    return list(rules.values())


def create_ip_group(call: Call, parameters: Parameters) -> JsonObject:
    """Make a group."""
    groups = _groups(call)
    name = parameters.text("GroupName")
    if any(group["groupName"] == name for group in groups.items.values()):
        raise ApiError("ResourceAlreadyExistsException", f"There is an IP group named {name} already.")
    tags = tags_in(parameters, call.settings)
    group_id = call.store.new_id("wsipg-")
    group: JsonObject = {"groupId": group_id, "groupName": name, "userRules": _rules(call, parameters)}
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
    index = groups.order
    if ids:
        chosen = [one for one in dict.fromkeys(ids) if one in groups.items]
        numbers = {id(groups.items[one]): groups.numbers[one] for one in chosen}
        index = index_of((groups.items[one] for one in chosen), lambda group: numbers[id(group)])
    page = call.page(parameters, [index])
    return listing("Result", page.items, page.next_token)


def authorize_ip_rules(call: Call, parameters: Parameters) -> JsonObject:
    """Add rules."""
    group = _group(call, parameters)
    group["userRules"] = _rules(call, parameters, group["userRules"])
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
    _group(call, parameters)["userRules"] = _rules(call, parameters)
    return {}


def associate_ip_groups(call: Call, parameters: Parameters) -> JsonObject:
    """Let a directory use groups."""
    directory = call.store.directory(parameters.text("DirectoryId"))
    ids = parameters.texts("GroupIds")
    for one in ids:
        if one not in _groups(call).items:
            raise not_found("IP group", one)
    groups = list(dict.fromkeys([*directory.ip_groups, *ids]))
    if len(groups) > call.settings.ip_groups_per_directory:
        raise ApiError("ResourceLimitExceededException", "The directory has too many IP groups.")
    directory.ip_groups = groups
    return {}


def disassociate_ip_groups(call: Call, parameters: Parameters) -> JsonObject:
    """Let a directory use groups no longer."""
    directory = call.store.directory(parameters.text("DirectoryId"))
    gone = frozenset(parameters.texts("GroupIds"))
    directory.ip_groups = [one for one in directory.ip_groups if one not in gone]
    return {}


IP_GROUPS: Final[Family] = {
    "AssociateIpGroups": associate_ip_groups,
    "AuthorizeIpRules": authorize_ip_rules,
    "CreateIpGroup": create_ip_group,
    "DeleteIpGroup": delete_ip_group,
    "DescribeIpGroups": describe_ip_groups,
    "DisassociateIpGroups": disassociate_ip_groups,
    "RevokeIpRules": revoke_ip_rules,
    "UpdateRulesOfIpGroup": update_rules_of_ip_group,
}
