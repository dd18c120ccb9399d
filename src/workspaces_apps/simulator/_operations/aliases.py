"""Connection aliases, and the add-ins of a directory's client application."""

from typing import Final

from workspaces_apps.simulator._operations.call import Call, Family, listing, tags_in
from workspaces_apps.simulator._paging import index_of
from workspaces_apps.simulator._wire import (
    ApiError,
    JsonObject,
    JsonValue,
    Parameters,
    not_found,
)

_ALIASES: Final = "aliases"
_PERMISSIONS: Final = "alias-permissions"
_ADD_INS: Final = "add-ins"


def _alias(call: Call, parameters: Parameters) -> JsonObject:
    alias_id = parameters.text("AliasId")
    alias = call.store.collection(_ALIASES).items.get(alias_id)
    if alias is None:
        raise not_found("connection alias", alias_id)
    return alias


def _is_associated(alias: JsonObject) -> bool:
    return bool(alias.get("Associations"))


def create_connection_alias(call: Call, parameters: Parameters) -> JsonObject:
    """Make an alias."""
    aliases = call.store.collection(_ALIASES)
    text = parameters.text("ConnectionString")
    if any(alias["ConnectionString"] == text for alias in aliases.items.values()):
        raise ApiError("ResourceAlreadyExistsException", "The connection string is taken.")
    tags = tags_in(parameters, call.settings)
    alias_id = call.store.new_id("wsca-")
    alias: JsonObject = {
        "ConnectionString": text,
        "AliasId": alias_id,
        "State": "CREATED",
        "OwnerAccountId": call.store.account_id,
    }
    aliases.add(alias_id, call.store.number(), alias)
    call.store.set_tags(alias_id, tags)
    return {"AliasId": alias_id}


def delete_connection_alias(call: Call, parameters: Parameters) -> JsonObject:
    """Delete an alias that no directory uses."""
    if _is_associated(_alias(call, parameters)):
        raise ApiError("ResourceAssociatedException", "A directory uses the connection alias.")
    call.store.collection(_ALIASES).remove(parameters.text("AliasId"))
    return {}


def describe_connection_aliases(call: Call, parameters: Parameters) -> JsonObject:
    """Aliases, all, by id, or by directory."""
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

    page = call.page(parameters, [call.store.collection(_ALIASES).order], fits, size_member="Limit")
    return listing("ConnectionAliases", page.items, page.next_token)


def associate_connection_alias(call: Call, parameters: Parameters) -> JsonObject:
    """Let a directory use an alias."""
    alias = _alias(call, parameters)
    directory = call.store.directory(parameters.text("ResourceId"))
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
    alias = _alias(call, parameters)
    if not _is_associated(alias):
        raise ApiError("InvalidResourceStateException", "No directory uses the connection alias.")
    del alias["Associations"]
    return {}


def describe_connection_alias_permissions(call: Call, parameters: Parameters) -> JsonObject:
    """List the accounts that may use an alias."""
    _alias(call, parameters)
    alias_id = parameters.text("AliasId")
    allowed = call.store.collection(_PERMISSIONS).items.get(alias_id, {})
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
    _alias(call, parameters)
    permission = parameters.section("ConnectionAliasPermission") or Parameters({})
    items = call.store.collection(_PERMISSIONS).items
    allowed = items.setdefault(parameters.text("AliasId"), {})
    allows: JsonValue = permission.flag("AllowAssociation")
    allowed[permission.text("SharedAccountId")] = allows
    return {}


def _add_in(call: Call, parameters: Parameters) -> JsonObject:
    add_in_id = parameters.text("AddInId")
    add_in = call.store.collection(_ADD_INS).items.get(add_in_id)
    if add_in is None or add_in["ResourceId"] != parameters.text("ResourceId"):
        raise not_found("client add-in", add_in_id)
    return add_in


def create_connect_client_add_in(call: Call, parameters: Parameters) -> JsonObject:
    """Add an add-in to a directory."""
    directory = call.store.directory(parameters.text("ResourceId"))
    add_ins = call.store.collection(_ADD_INS)
    name = parameters.text("Name")
    if any(one["Name"] == name and one["ResourceId"] == directory.id for one in add_ins.items.values()):
        raise ApiError("ResourceAlreadyExistsException", "The directory has an add-in of that name.")
    add_in_id = call.store.new_uuid()
    add_in: JsonObject = {
        "AddInId": add_in_id,
        "ResourceId": directory.id,
        "Name": name,
        "URL": parameters.text("URL"),
    }
    add_ins.add(add_in_id, call.store.number(), add_in)
    return {"AddInId": add_in_id}


def describe_connect_client_add_ins(call: Call, parameters: Parameters) -> JsonObject:
    """A directory's add-ins."""
    directory = call.store.directory(parameters.text("ResourceId"))
    page = call.page(
        parameters, [call.store.collection(_ADD_INS).order], lambda one: one["ResourceId"] == directory.id
    )
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
    call.store.collection(_ADD_INS).remove(parameters.text("AddInId"))
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
