"""Resources that are stored and described, and do little else: the account, aliases, add-ins, branding, IP groups, pools."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from workspaces_apps.simulator._operations.call import Call, Family, Handler, listing, tags_in
from workspaces_apps.simulator._state import Collection, OrderedIndex, RegionStore, index_of
from workspaces_apps.simulator._wire import (
    ApiError,
    JsonObject,
    JsonValue,
    Parameters,
    invalid,
    not_found,
    not_supported,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A row of the table: resources that are stored and described, each a JSON object.

    Attributes:
        family: The store's name for all of them.
        noun: A word for one that does not exist.
        id_member: The member for an id, in requests and in the answer to one that makes something; with an s, the
            one for several ids.
        listed: The member of an answer that lists them.
        make: Returns what is stored of a request that makes one.
        new_id: Makes an id.
        unique: The members of a request, and what each is called where it is stored, that no two have all alike.
        taken: Said of such a second one; it may quote the request.
        ids_known: An id that does not exist is an error where they are listed.
        in_directory: Belongs to a directory, which each request names.
        check: Refuses to make or change one.
        used: Tells if a directory uses one, which therefore cannot be deleted.
        keep: Returns a filter for those that are listed.
        described: The member of an answer that holds a new one as a whole; only its id is told if there is none.
    """

    family: str
    noun: str
    id_member: str
    listed: str
    make: Callable[[Call, Parameters, str], JsonObject]
    new_id: Callable[[RegionStore], str]
    unique: Mapping[str, str]
    taken: str
    ids_known: bool = False
    in_directory: bool = False
    check: Callable[[Call, Parameters], None] | None = None
    used: Callable[[Call, JsonObject], bool] | None = None
    keep: Callable[[Parameters], Callable[[JsonObject], bool]] | None = None
    described: str | None = None

    def all(self, call: Call) -> Collection[JsonObject]:
        """Return all there are."""
        return call.store.collection(self.family)

    def named(self, call: Call, parameters: Parameters) -> JsonObject:
        """Return the one that a request names.

        Raises:
            ApiError: ResourceNotFoundException.
        """
        return self.one(call, parameters.text(self.id_member), parameters)

    def one(self, call: Call, resource_id: str, parameters: Parameters) -> JsonObject:
        """Return the one with this id, if it is in the directory of the request, where one is named.

        Raises:
            ApiError: ResourceNotFoundException.
        """
        found = self.all(call).get(resource_id)
        if found is None or (self.in_directory and found["ResourceId"] != parameters.text("ResourceId")):
            raise not_found(self.noun, resource_id)
        return found

    def unused(self, call: Call, parameters: Parameters) -> JsonObject:
        """Return the one that a request names, which nothing may use.

        Raises:
            ApiError: ResourceNotFoundException, ResourceAssociatedException.
        """
        found = self.named(call, parameters)
        if self.used is not None and self.used(call, found):
            raise ApiError("ResourceAssociatedException", f"A directory uses the {self.noun}.")
        return found

    def create(self, call: Call, parameters: Parameters) -> JsonObject:
        """Make one, unless there is one like it."""
        if self.in_directory:
            call.store.directories.named(parameters.text("ResourceId"))
        alike = {stored: parameters.text(member) for member, stored in self.unique.items()}
        if any(alike.items() <= one.items() for one in self.all(call).values()):
            raise ApiError("ResourceAlreadyExistsException", self.taken.format_map(parameters.raw))
        if self.check is not None:
            self.check(call, parameters)
        tags = tags_in(parameters, call.settings)
        resource_id = self.new_id(call.store)
        item = self.make(call, parameters, resource_id)
        self.all(call).add(resource_id, call.store.number(), item)
        call.store.set_tags(resource_id, tags)
        return {self.id_member: resource_id} if self.described is None else {self.described: item}

    def describe(self, call: Call, parameters: Parameters) -> JsonObject:
        """List them: all, or some by id, or those that a filter keeps."""
        if self.in_directory:
            call.store.directories.named(parameters.text("ResourceId"))
        ids = parameters.texts(f"{self.id_member}s")
        for one in ids if self.ids_known else ():
            self.one(call, one, parameters)
        keep = None if self.keep is None else self.keep(parameters)
        page = call.page(parameters, [self.all(call).chosen(ids)], keep)
        return listing(self.listed, page.items, page.next_token)

    def delete(self, call: Call, parameters: Parameters) -> JsonObject:
        """Delete one that nothing uses."""
        self.unused(call, parameters)
        self.all(call).drop(parameters.text(self.id_member))
        return {}


def _change(item: JsonObject, parameters: Parameters, members: tuple[str, ...]) -> None:
    """Give a resource those of these texts that a request has."""
    for member in members:
        value = parameters.maybe_text(member)
        if value is not None:
            item[member] = value


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


def _answer(status: str) -> Handler:
    """Return the handler of an answer to an invitation, which only the invited account may give."""

    def handler(call: Call, parameters: Parameters) -> JsonObject:
        link = _link(call, parameters.text("LinkId"))
        if link["TargetAccountId"] != call.store.account_id:
            raise ApiError("AccessDeniedException", "Only the invited account can answer.")
        if link["AccountLinkStatus"] != "PENDING_ACCEPTANCE_BY_TARGET_ACCOUNT":
            raise ApiError("ConflictException", "The invitation was answered already.")
        link["AccountLinkStatus"] = status
        return {"AccountLink": dict(link)}

    return handler


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
    "AcceptAccountLinkInvitation": _answer("LINKED"),
    "CreateAccountLinkInvitation": create_account_link_invitation,
    "DeleteAccountLinkInvitation": delete_account_link_invitation,
    "DescribeAccount": describe_account,
    "DescribeAccountModifications": describe_account_modifications,
    "GetAccountLink": get_account_link,
    "ListAccountLinks": list_account_links,
    "ListAvailableManagementCidrRanges": list_available_management_cidr_ranges,
    "ModifyAccount": modify_account,
    "RejectAccountLinkInvitation": _answer("REJECTED"),
}


_PERMISSIONS: Final = "alias-permissions"


def _with_resource(parameters: Parameters) -> Callable[[JsonObject], bool]:
    resource_id = parameters.maybe_text("ResourceId")

    def keep(alias: JsonObject) -> bool:
        associations = alias.get("Associations")
        return resource_id is None or any(
            isinstance(one, dict) and one.get("ResourceId") == resource_id
            for one in (associations if isinstance(associations, list) else [])
        )

    return keep


_ALIAS: Final = _Kind(
    family="aliases",
    noun="connection alias",
    id_member="AliasId",
    listed="ConnectionAliases",
    make=lambda call, parameters, alias_id: {
        "ConnectionString": parameters.text("ConnectionString"),
        "AliasId": alias_id,
        "State": "CREATED",
        "OwnerAccountId": call.store.account_id,
    },
    new_id=lambda store: store.new_id("wsca-"),
    unique={"ConnectionString": "ConnectionString"},
    taken="The connection string is taken.",
    used=lambda _, alias: bool(alias.get("Associations")),
    keep=_with_resource,
)


def associate_connection_alias(call: Call, parameters: Parameters) -> JsonObject:
    """Let a directory use an alias."""
    _ALIAS.named(call, parameters)
    directory = call.store.directories.named(parameters.text("ResourceId"))
    alias = _ALIAS.unused(call, parameters)
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
    if not alias.get("Associations"):
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


_ADD_IN: Final = _Kind(
    family="add-ins",
    noun="client add-in",
    id_member="AddInId",
    listed="AddIns",
    make=lambda _, parameters, add_in_id: {
        "AddInId": add_in_id,
        **{member: parameters.text(member) for member in ("ResourceId", "Name", "URL")},
    },
    new_id=RegionStore.new_uuid,
    unique={"Name": "Name", "ResourceId": "ResourceId"},
    taken="The directory has an add-in of that name.",
    in_directory=True,
    keep=lambda parameters: lambda one: one["ResourceId"] == parameters.raw["ResourceId"],
)


def update_connect_client_add_in(call: Call, parameters: Parameters) -> JsonObject:
    """Change an add-in."""
    _change(_ADD_IN.named(call, parameters), parameters, ("Name", "URL"))
    return {}


ALIASES: Final[Family] = {
    "AssociateConnectionAlias": associate_connection_alias,
    "CreateConnectClientAddIn": _ADD_IN.create,
    "CreateConnectionAlias": _ALIAS.create,
    "DeleteConnectClientAddIn": _ADD_IN.delete,
    "DeleteConnectionAlias": _ALIAS.delete,
    "DescribeConnectClientAddIns": _ADD_IN.describe,
    "DescribeConnectionAliasPermissions": describe_connection_alias_permissions,
    "DescribeConnectionAliases": _ALIAS.describe,
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


def _ip_group(call: Call, parameters: Parameters, group_id: str) -> JsonObject:
    group: JsonObject = {
        "groupId": group_id,
        "groupName": parameters.text("GroupName"),
        "userRules": _rules(call, parameters),
    }
    description = parameters.maybe_text("GroupDesc")
    return group if description is None else {**group, "groupDesc": description}


_IP_GROUP: Final = _Kind(
    family="ip-groups",
    noun="IP group",
    id_member="GroupId",
    listed="Result",
    make=_ip_group,
    new_id=lambda store: store.new_id("wsipg-"),
    unique={"GroupName": "groupName"},
    taken="There is an IP group named {GroupName} already.",
    used=lambda call, group: any(
        group["groupId"] in directory.ip_groups for directory in call.store.directories.values()
    ),
)


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
        _IP_GROUP.one(call, one, parameters)
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
    "CreateIpGroup": _IP_GROUP.create,
    "DeleteIpGroup": _IP_GROUP.delete,
    "DescribeIpGroups": _IP_GROUP.describe,
    "DisassociateIpGroups": disassociate_ip_groups,
    "RevokeIpRules": revoke_ip_rules,
    "UpdateRulesOfIpGroup": update_rules_of_ip_group,
}


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
    if bundle_id is not None:
        call.store.bundles.named(bundle_id)
    if directory_id is not None:
        directory = call.store.directories.named(directory_id)
        if call.settings.pools_apart and directory.workspace_type != "POOLS":
            raise not_supported("The directory is for WorkSpaces Personal.", "WORKSPACE_TYPE")


def _pool(call: Call, parameters: Parameters, pool_id: str) -> JsonObject:
    pool: JsonObject = {
        "PoolId": pool_id,
        "PoolArn": f"arn:aws:workspaces:{call.store.region}:{call.store.account_id}:workspacespool/{pool_id}",
        "CapacityStatus": _capacity(parameters),
        "PoolName": parameters.text("PoolName"),
        "Description": parameters.text("Description"),
        "State": "STOPPED",
        "CreatedAt": call.now,
        "BundleId": parameters.text("BundleId"),
        "DirectoryId": parameters.text("DirectoryId"),
        "RunningMode": parameters.maybe_text("RunningMode") or "AUTO_STOP",
    }
    _set_sections(pool, parameters)
    return pool


def _set_sections(pool: JsonObject, parameters: Parameters) -> None:
    for member in ("ApplicationSettings", "TimeoutSettings"):
        section = parameters.section(member)
        if section is not None:
            pool[member] = section.raw


def _by_name(parameters: Parameters) -> Callable[[JsonObject], bool]:
    filters = [(one.text("Operator"), one.texts("Values")) for one in parameters.sections("Filters")]
    return lambda pool: all(_matches(str(pool["PoolName"]), operator, values) for operator, values in filters)


def _matches(name: str, operator: str, values: list[str]) -> bool:
    exact = operator in ("EQUALS", "NOTEQUALS")
    found = name in values if exact else any(value in name for value in values)
    return found != operator.startswith("NOT")


_POOL: Final = _Kind(
    family="pools",
    noun="pool",
    id_member="PoolId",
    listed="WorkspacesPools",
    make=_pool,
    new_id=lambda store: store.new_id("wspool-"),
    unique={"PoolName": "PoolName"},
    taken="There is a pool named {PoolName} already.",
    ids_known=True,
    check=_check_parts,
    keep=_by_name,
    described="WorkspacesPool",
)


def update_workspaces_pool(call: Call, parameters: Parameters) -> JsonObject:
    """Change a pool."""
    pool = _POOL.named(call, parameters)
    _check_parts(call, parameters)
    _change(pool, parameters, ("Description", "BundleId", "DirectoryId", "RunningMode"))
    if "Capacity" in parameters:
        pool["CapacityStatus"] = _capacity(parameters)
    _set_sections(pool, parameters)
    return {"WorkspacesPool": pool}


def _move(needed: str, passing: str, final: str) -> Handler:
    """Return the handler that sends a pool from one state through another to a third; ABSENT is its end."""

    def handler(call: Call, parameters: Parameters) -> JsonObject:
        pool = _POOL.named(call, parameters)
        if pool["State"] != needed:
            raise ApiError("InvalidResourceStateException", f"The pool is {pool['State']}, not {needed}.")
        pool["State"] = passing
        at = call.now + call.settings.pool_duration.draw(call.store.source)
        call.store.plan(at, "item-rests", parameters.text("PoolId"), 0, f"{_POOL.family}:{final}")
        return {}

    return handler


def describe_workspaces_pool_sessions(call: Call, parameters: Parameters) -> JsonObject:
    """Return the sessions of a pool: none."""
    _POOL.named(call, parameters)
    nobody: OrderedIndex[JsonObject] = OrderedIndex()
    page = call.page(parameters, [nobody])
    return listing("Sessions", page.items, page.next_token)


def terminate_workspaces_pool_session(call: Call, parameters: Parameters) -> JsonObject:
    """End a session: there is none."""
    del call
    raise not_found("session", parameters.text("SessionId"))


POOLS: Final[Family] = {
    "CreateWorkspacesPool": _POOL.create,
    "DescribeWorkspacesPoolSessions": describe_workspaces_pool_sessions,
    "DescribeWorkspacesPools": _POOL.describe,
    "StartWorkspacesPool": _move("STOPPED", "STARTING", "RUNNING"),
    "StopWorkspacesPool": _move("RUNNING", "STOPPING", "STOPPED"),
    "TerminateWorkspacesPool": _move("STOPPED", "DELETING", "ABSENT"),
    "TerminateWorkspacesPoolSession": terminate_workspaces_pool_session,
    "UpdateWorkspacesPool": update_workspaces_pool,
}
