"""Directories: registering, describing, and the properties that hang on them."""

from collections.abc import Callable
from typing import Final

from workspaces_apps.simulator._operations.call import Call, Family, listing, tags_in
from workspaces_apps.simulator._records import Directory
from workspaces_apps.simulator._wire import (
    ApiError,
    JsonObject,
    JsonValue,
    Parameters,
    invalid,
    not_supported,
)


def describe_workspace_directories(call: Call, parameters: Parameters) -> JsonObject:
    """Return registered directories."""
    ids = parameters.texts("DirectoryIds")
    names = frozenset(parameters.texts("WorkspaceDirectoryNames"))
    filters = [
        (item.text("Name"), frozenset(item.texts("Values"))) for item in parameters.sections("Filters")
    ]
    index = call.store.directories.chosen(ids)

    def fits(directory: Directory) -> bool:
        facts = {"USER_IDENTITY_TYPE": directory.identity_type, "WORKSPACE_TYPE": directory.workspace_type}
        called = {directory.name, str(directory.properties.get("WorkspaceDirectoryName"))}
        return (not names or bool(names & called)) and all(
            facts.get(name) in values for name, values in filters
        )

    page = call.page(parameters, [index], fits)
    return listing("Directories", [_describe(item) for item in page.items], page.next_token)


def _describe(directory: Directory) -> JsonObject:
    item: JsonObject = {
        "DirectoryId": directory.id,
        "Alias": directory.alias,
        "DirectoryName": directory.name,
        "RegistrationCode": directory.registration_code,
        "SubnetIds": list[JsonValue](directory.subnet_ids),
        "DnsIpAddresses": list[JsonValue](directory.dns_addresses),
        "CustomerUserName": directory.customer_user,
        "IamRoleId": directory.role_arn,
        "DirectoryType": directory.kind,
        "WorkspaceSecurityGroupId": directory.security_group,
        "State": directory.state,
        "ipGroupIds": list[JsonValue](directory.ip_groups),
        "Tenancy": directory.tenancy,
        "UserIdentityType": directory.identity_type,
        "WorkspaceType": directory.workspace_type,
    }
    item.update(directory.properties)
    return item


_SELF_SERVICE: Final = (
    "RestartWorkspace",
    "IncreaseVolumeSize",
    "ChangeComputeType",
    "SwitchRunningMode",
    "RebuildWorkspace",
)
_RELAY_STATE: Final = "RelayState"


def default_properties(workspace_type: str) -> JsonObject:
    """Return what a directory has when it is registered [field: Terraform's acceptance tests assert it of AWS].

    Args:
        workspace_type: PERSONAL or POOLS, which has none of what Terraform's provider refuses for one [field].
    """
    personal = workspace_type == "PERSONAL"
    devices = ("Windows", "Osx", "Ios", "Android", "ChromeOs", "ZeroClient", "Web", "Linux")
    access: JsonObject = {
        f"DeviceType{device}": "DENY" if device in ("Web", "Linux") else "ALLOW" for device in devices
    }
    creation: JsonObject = {"EnableInternetAccess": False}
    properties: JsonObject = {
        "WorkspaceAccessProperties": access,
        "WorkspaceCreationProperties": creation,
        "SamlProperties": {"Status": "DISABLED", "RelayStateParameterName": _RELAY_STATE},
        "CertificateBasedAuthProperties": {"Status": "DISABLED"},
    }
    if personal:
        creation.update(EnableMaintenanceMode=True, UserEnabledAsLocalAdministrator=True)
        permissions: JsonObject = dict.fromkeys(_SELF_SERVICE, "DISABLED")
        properties["SelfservicePermissions"] = {**permissions, "RestartWorkspace": "ENABLED"}
    return properties


def role_arn(account_id: str) -> str:
    """Return the role that the service takes on in an account, unless it is told another."""
    return f"arn:aws:iam::{account_id}:role/workspaces_DefaultRole"


def register_workspace_directory(call: Call, parameters: Parameters) -> JsonObject:
    """Register a directory; it becomes REGISTERED after a while."""
    store = call.store
    directory_id = parameters.maybe_text("DirectoryId")
    workspace_type = parameters.maybe_text("WorkspaceType") or "PERSONAL"
    if directory_id is None and workspace_type == "PERSONAL" and "MicrosoftEntraConfig" not in parameters:
        raise invalid("DirectoryId is needed for a directory of the type PERSONAL.")
    directory_id = directory_id or store.new_id("wsd-")
    if directory_id in store.directories:
        raise ApiError("ResourceAlreadyExistsException", f"{directory_id} is registered already.")
    tags = tags_in(parameters, call.settings)
    directory = Directory(
        id=directory_id,
        name=parameters.maybe_text("WorkspaceDirectoryName") or f"{directory_id}.example.com",
        alias=directory_id,
        kind="SIMPLE_AD" if directory_id.startswith("d-") else "CUSTOMER_MANAGED",
        registration_code=f"SLiad+{store.new_id('', 6).upper()}",
        subnet_ids=parameters.texts("SubnetIds")
        or [store.new_hex("subnet-", 17), store.new_hex("subnet-", 17)],
        state="REGISTERING",
        sequence=store.number(),
        tenancy=parameters.maybe_text("Tenancy") or "SHARED",
        security_group=store.new_hex("sg-", 17),
        dns_addresses=["10.255.0.2", "10.255.1.2"],
        customer_user="Administrator",
        role_arn=role_arn(store.account_id),
        workspace_type=workspace_type,
        identity_type=parameters.maybe_text("UserIdentityType") or "AWS_DIRECTORY_SERVICE",
    )
    directory.properties = default_properties(workspace_type)
    if parameters.flag("EnableSelfService") and call.settings.self_service_enables_all:
        permissions: JsonObject = dict.fromkeys(_SELF_SERVICE, "ENABLED")
        directory.properties["SelfservicePermissions"] = permissions
    for member in ("WorkspaceDirectoryName", "WorkspaceDirectoryDescription", "WorkspaceOsUserMode"):
        text = parameters.maybe_text(member)
        if text is not None:
            directory.properties[member] = text
    for member in ("MicrosoftEntraConfig", "ActiveDirectoryConfig"):
        section = parameters.section(member)
        if section is not None:
            directory.properties[member] = section.raw
    store.directories.add(directory.id, directory.sequence, directory)
    store.set_tags(directory_id, tags)
    _rest(call, directory, "REGISTERED")
    return {"DirectoryId": directory_id, "State": directory.state}


def deregister_workspace_directory(call: Call, parameters: Parameters) -> JsonObject:
    """Take a directory out; it must have no WorkSpaces left [doc], and no pools (a setting)."""
    directory = call.store.directories.named(parameters.text("DirectoryId"))
    if directory.id in call.store.by_directory:
        raise ApiError("InvalidResourceStateException", "The directory still has WorkSpaces.")
    pools = call.store.collection("pools").values()
    if call.settings.pools_keep_directory and any(pool["DirectoryId"] == directory.id for pool in pools):
        raise ApiError("InvalidResourceStateException", "The directory still has pools.")
    directory.state = "DEREGISTERING"
    _rest(call, directory, "ABSENT")
    return {}


def _rest(call: Call, directory: Directory, state: str) -> None:
    directory.epoch += 1
    after = call.settings.register_duration.draw(call.store.source)
    call.store.plan(call.now + after, "directory-rests", directory.id, directory.epoch, state)


def _property(member: str, id_member: str = "ResourceId") -> Callable[[Call, Parameters], JsonObject]:
    def handler(call: Call, parameters: Parameters) -> JsonObject:
        directory = call.store.directories.named(parameters.text(id_member))
        section = parameters.section(member)
        if section is not None:
            known = directory.properties.get(member)
            directory.properties[member] = {**(known if isinstance(known, dict) else {}), **section.raw}
        return {}

    return handler


_DELETABLE: Final = {
    "SAML_PROPERTIES_USER_ACCESS_URL": "UserAccessUrl",
    "SAML_PROPERTIES_RELAY_STATE_PARAMETER_NAME": "RelayStateParameterName",
    "CERTIFICATE_BASED_AUTH_PROPERTIES_CERTIFICATE_AUTHORITY_ARN": "CertificateAuthorityArn",
}


def _deletable_property(
    member: str, check: Callable[[Call, Directory, Parameters], None] | None = None
) -> Callable[[Call, Parameters], JsonObject]:
    change = _property(member)

    def handler(call: Call, parameters: Parameters) -> JsonObject:
        if check is not None:
            check(call, call.store.directories.named(parameters.text("ResourceId")), parameters)
        answer = change(call, parameters)
        properties = call.store.directories.named(parameters.text("ResourceId")).properties.get(member)
        if isinstance(properties, dict):
            for name in parameters.texts("PropertiesToDelete"):
                properties.pop(_DELETABLE[name], None)
            if member == "SamlProperties" and call.settings.deleted_relay_state_is_default:
                properties.setdefault("RelayStateParameterName", _RELAY_STATE)
        return answer

    return handler


def _check_certificate_auth(call: Call, directory: Directory, parameters: Parameters) -> None:
    """Let certificates be enabled only with an authority, and while SAML is."""
    wanted = parameters.section("CertificateBasedAuthProperties") or Parameters({})
    if wanted.maybe_text("Status") != "ENABLED":
        return
    known, saml = (
        directory.properties.get(member) for member in ("CertificateBasedAuthProperties", "SamlProperties")
    )
    if "CertificateAuthorityArn" not in {**(known if isinstance(known, dict) else {}), **wanted.raw}:
        raise invalid("CertificateAuthorityArn is needed to enable certificate-based authentication.")
    enabled = isinstance(saml, dict) and saml.get("Status") != "DISABLED"
    if call.settings.certificate_auth_needs_saml and not enabled:
        raise not_supported("SAML must be enabled before certificate-based authentication.", "SAML_DISABLED")


def modify_endpoint_encryption_mode(call: Call, parameters: Parameters) -> JsonObject:
    """Switch FIPS on or off."""
    directory = call.store.directories.named(parameters.text("DirectoryId"))
    directory.properties["EndpointEncryptionMode"] = parameters.text("EndpointEncryptionMode")
    return {}


def modify_client_properties(call: Call, parameters: Parameters) -> JsonObject:
    """Set what the client application may do."""
    directory = call.store.directories.named(parameters.text("ResourceId"))
    section = parameters.section("ClientProperties")
    stored = call.store.collection("client-properties")
    stored[directory.id] = {**stored.get(directory.id, {}), **(section.raw if section is not None else {})}
    return {}


def describe_client_properties(call: Call, parameters: Parameters) -> JsonObject:
    """List what the client application may do, for several directories."""
    found: list[JsonValue] = []
    for one in parameters.texts("ResourceIds"):
        call.store.directories.named(one)
        properties: JsonObject = {"ReconnectEnabled": "ENABLED", "LogUploadEnabled": "ENABLED"}
        properties.update(call.store.collection("client-properties").get(one, {}))
        found.append({"ResourceId": one, "ClientProperties": properties})
    return {"ClientPropertiesList": found}


DIRECTORIES: Final[Family] = {
    "DeregisterWorkspaceDirectory": deregister_workspace_directory,
    "DescribeClientProperties": describe_client_properties,
    "DescribeWorkspaceDirectories": describe_workspace_directories,
    "ModifyCertificateBasedAuthProperties": _deletable_property(
        "CertificateBasedAuthProperties", _check_certificate_auth
    ),
    "ModifyClientProperties": modify_client_properties,
    "ModifyEndpointEncryptionMode": modify_endpoint_encryption_mode,
    "ModifySamlProperties": _deletable_property("SamlProperties"),
    "ModifySelfservicePermissions": _property("SelfservicePermissions"),
    "ModifyStreamingProperties": _property("StreamingProperties"),
    "ModifyWorkspaceAccessProperties": _property("WorkspaceAccessProperties"),
    "ModifyWorkspaceCreationProperties": _property("WorkspaceCreationProperties"),
    "RegisterWorkspaceDirectory": register_workspace_directory,
}
