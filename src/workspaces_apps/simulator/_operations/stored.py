"""Resources that are stored and described, and do little else: the account, aliases, add-ins, branding, IP groups, pools."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from workspaces_apps.simulator._operations.call import Call, Family, listing, tags_in
from workspaces_apps.simulator._state import Collection, OrderedIndex, index_of
from workspaces_apps.simulator._wire import (
    ApiError,
    JsonObject,
    JsonValue,
    Parameters,
    invalid,
    not_found,
    not_supported,
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of resource that is stored and described, each a JSON object.

    Attributes:
        family: The store's name for all of them.
        noun: A word for one that does not exist.
        member: The member of a request that holds an id.
    """

    family: str
    noun: str
    member: str

    def all(self, call: Call) -> Collection[JsonObject]:
        """Return all there are."""
        return call.store.collection(self.family)

    def named(self, call: Call, parameters: Parameters) -> JsonObject:
        """Return the one that a request names.

        Raises:
            ApiError: ResourceNotFoundException.
        """
        found = self.all(call).get(parameters.text(self.member))
        if found is None:
            raise not_found(self.noun, parameters.text(self.member))
        return found

    def refuse_taken(self, call: Call, said: str, **members: JsonValue) -> None:
        """Refuse to make one like another.

        Raises:
            ApiError: ResourceAlreadyExistsException: there is one with all of these members.
        """
        if any(members.items() <= one.items() for one in self.all(call).values()):
            raise ApiError("ResourceAlreadyExistsException", said)

    def add(self, call: Call, resource_id: str, item: JsonObject) -> None:
        """Store one under its id."""
        self.all(call).add(resource_id, call.store.number(), item)


_ALIAS: Final = _Kind("aliases", "connection alias", "AliasId")
_ADD_IN: Final = _Kind("add-ins", "client add-in", "AddInId")
_IP_GROUP: Final = _Kind("ip-groups", "IP group", "GroupId")
_POOL: Final = _Kind("pools", "pool", "PoolId")


_LINKS: Final = "account-links"
_MODIFICATIONS: Final = "account-modifications"


def describe_account(call: Call, parameters: Parameters) -> JsonObject:
    """Return the account's licence settings."""
    del parameters
    return {"DedicatedTenancySupport": "DISABLED", **call.store.account}


def modify_account(call: Call, parameters: Parameters) -> JsonObject:
    """Enable dedicated tenancy; it is done at once."""
    change = dict(parameters.raw)
    call.store.account.update(change)
    number = call.store.number()
    change.update({"ModificationState": "COMPLETED", "StartTime": call.now})
    call.store.collection(_MODIFICATIONS).add(str(number), number, change)
    return {}


def describe_account_modifications(call: Call, parameters: Parameters) -> JsonObject:
    """List the changes of the account."""
    page = call.page(parameters, [call.store.collection(_MODIFICATIONS).order])
    return listing("AccountModifications", page.items, page.next_token)


def list_available_management_cidr_ranges(call: Call, parameters: Parameters) -> JsonObject:
    """List ranges of 65,536 addresses within the one that is asked for, five to a page at most [doc]."""
    try:
        within = ipaddress.IPv4Network(parameters.text("ManagementCidrRangeConstraint"), strict=False)
    except ValueError:
        raise invalid("ManagementCidrRangeConstraint is not a range of addresses.") from None
    if within.prefixlen > 16:
        raise invalid("ManagementCidrRangeConstraint must hold at least 65,536 addresses.")
    ranges: list[tuple[int, str]] = []
    for number, network in enumerate(within.subnets(new_prefix=16), start=1):
        ranges.append((number, str(network)))
        if number == 256:
            break
    limit = parameters.integer("MaxResults") or 5
    page = call.store.pager.page(
        call.operation, parameters.raw, [index_of(ranges, lambda one: one[0])], limit, call.now
    )
    answer: JsonObject = {"ManagementCidrRanges": [text for _, text in page.items]}
    if page.next_token is not None:
        answer["NextToken"] = page.next_token
    return answer


def _link(call: Call, link_id: str) -> JsonObject:
    link = call.accounts.links.get(link_id)
    account = call.store.account_id
    if link is None or account not in (link["SourceAccountId"], link["TargetAccountId"]):
        raise not_found("account link", link_id)
    return link


def create_account_link_invitation(call: Call, parameters: Parameters) -> JsonObject:
    """Invite an account; the same client token gives the same link."""
    source, target = call.store.account_id, parameters.text("TargetAccountId")
    token = parameters.maybe_text("ClientToken")
    if target == source:
        raise ApiError("ValidationException", "An account cannot be linked with itself.")
    tokens = call.store.collection(_LINKS)
    if token is not None and token in tokens:
        known = call.accounts.links.get(str(tokens[token]["AccountLinkId"]))
        if known is not None and known["TargetAccountId"] == target:
            return {"AccountLink": known}
    if any(
        link["SourceAccountId"] == source and link["TargetAccountId"] == target
        for link in call.accounts.links.values()
    ):
        raise ApiError("ConflictException", "The accounts are linked, or invited, already.")
    link_id = call.store.new_id("link-", 16)
    link: JsonObject = {
        "AccountLinkId": link_id,
        "AccountLinkStatus": "PENDING_ACCEPTANCE_BY_TARGET_ACCOUNT",
        "SourceAccountId": source,
        "TargetAccountId": target,
    }
    call.accounts.links[link_id] = link
    if token is not None:
        tokens[token] = {"AccountLinkId": link_id}
    return {"AccountLink": link}


def _answer(call: Call, parameters: Parameters, status: str) -> JsonObject:
    link = _link(call, parameters.text("LinkId"))
    if link["TargetAccountId"] != call.store.account_id:
        raise ApiError("AccessDeniedException", "Only the invited account can answer.")
    if link["AccountLinkStatus"] != "PENDING_ACCEPTANCE_BY_TARGET_ACCOUNT":
        raise ApiError("ConflictException", "The invitation was answered already.")
    link["AccountLinkStatus"] = status
    return {"AccountLink": dict(link)}


def accept_account_link_invitation(call: Call, parameters: Parameters) -> JsonObject:
    """Accept, as the invited account."""
    return _answer(call, parameters, "LINKED")


def reject_account_link_invitation(call: Call, parameters: Parameters) -> JsonObject:
    """Reject, as the invited account."""
    return _answer(call, parameters, "REJECTED")


def delete_account_link_invitation(call: Call, parameters: Parameters) -> JsonObject:
    """Withdraw an invitation."""
    link = _link(call, parameters.text("LinkId"))
    if link["SourceAccountId"] != call.store.account_id:
        raise ApiError("AccessDeniedException", "Only the inviting account can withdraw.")
    del call.accounts.links[str(link["AccountLinkId"])]
    return {"AccountLink": link}


def get_account_link(call: Call, parameters: Parameters) -> JsonObject:
    """Return a link by its id, or by the other account."""
    link_id, other = parameters.maybe_text("LinkId"), parameters.maybe_text("LinkedAccountId")
    if link_id is None and other is None:
        raise ApiError("ValidationException", "LinkId or LinkedAccountId must be given.")
    if link_id is not None:
        return {"AccountLink": _link(call, link_id)}
    mine = call.store.account_id
    for link in call.accounts.links.values():
        if (link["SourceAccountId"], link["TargetAccountId"]) in ((mine, other), (other, mine)):
            return {"AccountLink": link}
    raise not_found("account link", other or "")


def list_account_links(call: Call, parameters: Parameters) -> JsonObject:
    """Return the account's links, in the order they were made."""
    mine = call.store.account_id
    statuses = frozenset(parameters.texts("LinkStatusFilter"))
    numbered = [
        (number, link)
        for number, link in enumerate(call.accounts.links.values(), start=1)
        if mine in (link["SourceAccountId"], link["TargetAccountId"])
        and (not statuses or link["AccountLinkStatus"] in statuses)
    ]
    page = call.page(parameters, [index_of(numbered, lambda one: one[0])])
    return listing("AccountLinks", [link for _, link in page.items], page.next_token)


ACCOUNTS: Final[Family] = {
    "AcceptAccountLinkInvitation": accept_account_link_invitation,
    "CreateAccountLinkInvitation": create_account_link_invitation,
    "DeleteAccountLinkInvitation": delete_account_link_invitation,
    "DescribeAccount": describe_account,
    "DescribeAccountModifications": describe_account_modifications,
    "GetAccountLink": get_account_link,
    "ListAccountLinks": list_account_links,
    "ListAvailableManagementCidrRanges": list_available_management_cidr_ranges,
    "ModifyAccount": modify_account,
    "RejectAccountLinkInvitation": reject_account_link_invitation,
}


_PERMISSIONS: Final = "alias-permissions"


def _is_associated(alias: JsonObject) -> bool:
    return bool(alias.get("Associations"))


def create_connection_alias(call: Call, parameters: Parameters) -> JsonObject:
    """Make an alias."""
    text = parameters.text("ConnectionString")
    _ALIAS.refuse_taken(call, "The connection string is taken.", ConnectionString=text)
    tags = tags_in(parameters, call.settings)
    alias_id = call.store.new_id("wsca-")
    alias: JsonObject = {
        "ConnectionString": text,
        "AliasId": alias_id,
        "State": "CREATED",
        "OwnerAccountId": call.store.account_id,
    }
    _ALIAS.add(call, alias_id, alias)
    call.store.set_tags(alias_id, tags)
    return {"AliasId": alias_id}


def delete_connection_alias(call: Call, parameters: Parameters) -> JsonObject:
    """Delete an alias that no directory uses."""
    if _is_associated(_ALIAS.named(call, parameters)):
        raise ApiError("ResourceAssociatedException", "A directory uses the connection alias.")
    _ALIAS.all(call).drop(parameters.text("AliasId"))
    return {}


def describe_connection_aliases(call: Call, parameters: Parameters) -> JsonObject:
    """List aliases: all, by id, or by directory."""
    ids = frozenset(parameters.texts("AliasIds"))
    resource_id = parameters.maybe_text("ResourceId")

    def fits(alias: JsonObject) -> bool:
        associations = alias.get("Associations")
        directories = [
            item.get("ResourceId")
            for item in (associations if isinstance(associations, list) else [])
            if isinstance(item, dict)
        ]
        return (not ids or alias["AliasId"] in ids) and (resource_id is None or resource_id in directories)

    page = call.page(parameters, [_ALIAS.all(call).order], fits, size_member="Limit")
    return listing("ConnectionAliases", page.items, page.next_token)


def associate_connection_alias(call: Call, parameters: Parameters) -> JsonObject:
    """Let a directory use an alias."""
    alias = _ALIAS.named(call, parameters)
    directory = call.store.directories.named(parameters.text("ResourceId"))
    if _is_associated(alias):
        raise ApiError("ResourceAssociatedException", "A directory uses the connection alias.")
    identifier = call.store.new_id("", 12)
    alias["Associations"] = [
        {
            "AssociationStatus": "ASSOCIATED_WITH_OWNER_ACCOUNT",
            "AssociatedAccountId": call.store.account_id,
            "ResourceId": directory.id,
            "ConnectionIdentifier": identifier,
        }
    ]
    return {"ConnectionIdentifier": identifier}


def disassociate_connection_alias(call: Call, parameters: Parameters) -> JsonObject:
    """Free an alias."""
    alias = _ALIAS.named(call, parameters)
    if not _is_associated(alias):
        raise ApiError("InvalidResourceStateException", "No directory uses the connection alias.")
    del alias["Associations"]
    return {}


def describe_connection_alias_permissions(call: Call, parameters: Parameters) -> JsonObject:
    """List the accounts that may use an alias."""
    _ALIAS.named(call, parameters)
    alias_id = parameters.text("AliasId")
    allowed = call.store.collection(_PERMISSIONS).get(alias_id, {})
    accounts = list(allowed.items())
    page = call.page(parameters, [index_of(accounts, lambda one: accounts.index(one) + 1)])
    items: list[JsonObject] = [
        {"SharedAccountId": account, "AllowAssociation": allows} for account, allows in page.items
    ]
    answer = listing("ConnectionAliasPermissions", items, page.next_token)
    answer["AliasId"] = alias_id
    return answer


def update_connection_alias_permission(call: Call, parameters: Parameters) -> JsonObject:
    """Let an account use an alias, or no longer."""
    _ALIAS.named(call, parameters)
    permission = parameters.section("ConnectionAliasPermission") or Parameters({})
    items = call.store.collection(_PERMISSIONS)
    allowed = items.setdefault(parameters.text("AliasId"), {})
    allows: JsonValue = permission.flag("AllowAssociation")
    allowed[permission.text("SharedAccountId")] = allows
    return {}


def _add_in(call: Call, parameters: Parameters) -> JsonObject:
    add_in = _ADD_IN.named(call, parameters)
    if add_in["ResourceId"] != parameters.text("ResourceId"):
        raise not_found(_ADD_IN.noun, parameters.text("AddInId"))
    return add_in


def create_connect_client_add_in(call: Call, parameters: Parameters) -> JsonObject:
    """Add an add-in to a directory."""
    directory = call.store.directories.named(parameters.text("ResourceId"))
    name = parameters.text("Name")
    _ADD_IN.refuse_taken(
        call, "The directory has an add-in of that name.", Name=name, ResourceId=directory.id
    )
    add_in_id = call.store.new_uuid()
    add_in: JsonObject = {
        "AddInId": add_in_id,
        "ResourceId": directory.id,
        "Name": name,
        "URL": parameters.text("URL"),
    }
    _ADD_IN.add(call, add_in_id, add_in)
    return {"AddInId": add_in_id}


def describe_connect_client_add_ins(call: Call, parameters: Parameters) -> JsonObject:
    """Return a directory's add-ins."""
    directory = call.store.directories.named(parameters.text("ResourceId"))
    page = call.page(parameters, [_ADD_IN.all(call).order], lambda one: one["ResourceId"] == directory.id)
    return listing("AddIns", page.items, page.next_token)


def update_connect_client_add_in(call: Call, parameters: Parameters) -> JsonObject:
    """Change an add-in."""
    add_in = _add_in(call, parameters)
    for member in ("Name", "URL"):
        value = parameters.maybe_text(member)
        if value is not None:
            add_in[member] = value
    return {}


def delete_connect_client_add_in(call: Call, parameters: Parameters) -> JsonObject:
    """Delete an add-in."""
    _add_in(call, parameters)
    _ADD_IN.all(call).drop(parameters.text("AddInId"))
    return {}


ALIASES: Final[Family] = {
    "AssociateConnectionAlias": associate_connection_alias,
    "CreateConnectClientAddIn": create_connect_client_add_in,
    "CreateConnectionAlias": create_connection_alias,
    "DeleteConnectClientAddIn": delete_connect_client_add_in,
    "DeleteConnectionAlias": delete_connection_alias,
    "DescribeConnectClientAddIns": describe_connect_client_add_ins,
    "DescribeConnectionAliasPermissions": describe_connection_alias_permissions,
    "DescribeConnectionAliases": describe_connection_aliases,
    "DisassociateConnectionAlias": disassociate_connection_alias,
    "UpdateConnectClientAddIn": update_connect_client_add_in,
    "UpdateConnectionAliasPermission": update_connection_alias_permission,
}


_BRANDING: Final = "branding"
_PLATFORMS: Final = (
    "DeviceTypeWindows",
    "DeviceTypeOsx",
    "DeviceTypeAndroid",
    "DeviceTypeIos",
    "DeviceTypeLinux",
    "DeviceTypeWeb",
)
_LOGOS: Final = {"Logo": "LogoUrl", "Logo2x": "Logo2xUrl", "Logo3x": "Logo3xUrl"}


def import_client_branding(call: Call, parameters: Parameters) -> JsonObject:
    """Set the look on some platforms; logos are described by an address, and not kept."""
    directory = call.store.directories.named(parameters.text("ResourceId"))
    look = call.store.collection(_BRANDING).setdefault(directory.id, {})
    answer: JsonObject = {}
    for platform in _PLATFORMS:
        section = parameters.section(platform)
        if section is not None:
            described: dict[str, JsonValue] = {
                _LOGOS.get(name, name): f"https://logos.example.com/{directory.id}/{platform}/{name}.png"
                if name in _LOGOS
                else value
                for name, value in section.raw.items()
            }
            look[platform] = answer[platform] = described
    return answer


def describe_client_branding(call: Call, parameters: Parameters) -> JsonObject:
    """Return the branding."""
    directory = call.store.directories.named(parameters.text("ResourceId"))
    return dict(call.store.collection(_BRANDING).get(directory.id, {}))


def delete_client_branding(call: Call, parameters: Parameters) -> JsonObject:
    """Go back to AWS's look on some platforms."""
    directory = call.store.directories.named(parameters.text("ResourceId"))
    look = call.store.collection(_BRANDING).get(directory.id, {})
    for platform in parameters.texts("Platforms"):
        look.pop(platform, None)
    return {}


BRANDING: Final[Family] = {
    "DeleteClientBranding": delete_client_branding,
    "DescribeClientBranding": describe_client_branding,
    "ImportClientBranding": import_client_branding,
}


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
    name = parameters.text("GroupName")
    _IP_GROUP.refuse_taken(call, f"There is an IP group named {name} already.", groupName=name)
    tags = tags_in(parameters, call.settings)
    group_id = call.store.new_id("wsipg-")
    group: JsonObject = {"groupId": group_id, "groupName": name, "userRules": _rules(call, parameters)}
    description = parameters.maybe_text("GroupDesc")
    if description is not None:
        group["groupDesc"] = description
    _IP_GROUP.add(call, group_id, group)
    call.store.set_tags(group_id, tags)
    return {"GroupId": group_id}


def delete_ip_group(call: Call, parameters: Parameters) -> JsonObject:
    """Delete a group that no directory uses."""
    _IP_GROUP.named(call, parameters)
    group_id = parameters.text("GroupId")
    if any(group_id in directory.ip_groups for directory in call.store.directories.values()):
        raise ApiError("ResourceAssociatedException", "A directory uses the IP group.")
    _IP_GROUP.all(call).drop(group_id)
    return {}


def describe_ip_groups(call: Call, parameters: Parameters) -> JsonObject:
    """Return groups, all or by id."""
    page = call.page(parameters, [_IP_GROUP.all(call).chosen(parameters.texts("GroupIds"))])
    return listing("Result", page.items, page.next_token)


def authorize_ip_rules(call: Call, parameters: Parameters) -> JsonObject:
    """Add rules."""
    group = _IP_GROUP.named(call, parameters)
    group["userRules"] = _rules(call, parameters, group["userRules"])
    return {}


def revoke_ip_rules(call: Call, parameters: Parameters) -> JsonObject:
    """Take rules away, by their range."""
    group = _IP_GROUP.named(call, parameters)
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
    _IP_GROUP.named(call, parameters)["userRules"] = _rules(call, parameters)
    return {}


def associate_ip_groups(call: Call, parameters: Parameters) -> JsonObject:
    """Let a directory use groups."""
    directory = call.store.directories.named(parameters.text("DirectoryId"))
    ids = parameters.texts("GroupIds")
    for one in ids:
        if one not in _IP_GROUP.all(call):
            raise not_found("IP group", one)
    groups = list(dict.fromkeys([*directory.ip_groups, *ids]))
    if len(groups) > call.settings.ip_groups_per_directory:
        raise ApiError("ResourceLimitExceededException", "The directory has too many IP groups.")
    directory.ip_groups = groups
    return {}


def disassociate_ip_groups(call: Call, parameters: Parameters) -> JsonObject:
    """Let a directory use groups no longer."""
    directory = call.store.directories.named(parameters.text("DirectoryId"))
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


_CHANGEABLE: Final = ("Description", "BundleId", "DirectoryId", "RunningMode")


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
        directory = call.store.directories.named(directory_id)
        if call.settings.pools_apart and directory.workspace_type != "POOLS":
            raise not_supported("The directory is for WorkSpaces Personal.", "WORKSPACE_TYPE")


def create_workspaces_pool(call: Call, parameters: Parameters) -> JsonObject:
    """Make a pool; it begins STOPPED."""
    store = call.store
    name = parameters.text("PoolName")
    _POOL.refuse_taken(call, f"There is a pool named {name} already.", PoolName=name)
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
    _POOL.add(call, pool_id, pool)
    store.set_tags(pool_id, tags)
    return {"WorkspacesPool": pool}


def _set_sections(pool: JsonObject, parameters: Parameters) -> None:
    for member in ("ApplicationSettings", "TimeoutSettings"):
        section = parameters.section(member)
        if section is not None:
            pool[member] = section.raw


def describe_workspaces_pools(call: Call, parameters: Parameters) -> JsonObject:
    """List pools: all, by id, or by name."""
    ids = parameters.texts("PoolIds")
    items = _POOL.all(call)
    for one in ids:
        if one not in items:
            raise not_found("pool", one)
    filters = [(one.text("Operator"), one.texts("Values")) for one in parameters.sections("Filters")]

    def fits(pool: JsonObject) -> bool:
        return (not ids or pool["PoolId"] in ids) and all(
            _matches(str(pool["PoolName"]), operator, values) for operator, values in filters
        )

    page = call.page(parameters, [_POOL.all(call).order], fits, size_member="Limit")
    return listing("WorkspacesPools", page.items, page.next_token)


def _matches(name: str, operator: str, values: list[str]) -> bool:
    exact = operator in ("EQUALS", "NOTEQUALS")
    found = name in values if exact else any(value in name for value in values)
    return found != operator.startswith("NOT")


def update_workspaces_pool(call: Call, parameters: Parameters) -> JsonObject:
    """Change a pool."""
    pool = _POOL.named(call, parameters)
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
    pool = _POOL.named(call, parameters)
    if pool["State"] != needed:
        raise ApiError("InvalidResourceStateException", f"The pool is {pool['State']}, not {needed}.")
    pool["State"] = passing
    after = call.settings.pool_duration.draw(call.store.source)
    call.store.plan(call.now + after, "item-rests", parameters.text("PoolId"), 0, f"{_POOL.family}:{final}")
    return {}


def describe_workspaces_pool_sessions(call: Call, parameters: Parameters) -> JsonObject:
    """Return the sessions of a pool: none."""
    _POOL.named(call, parameters)
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
