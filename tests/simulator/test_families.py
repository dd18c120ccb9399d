"""The simple families: what is stored is described, and what is in use is not deleted."""

import pytest

from tests.simulator.peer import Call, collect, refusal
from workspaces_apps.simulator import ManualClock, Simulator


def test_ip_groups(sim: Simulator, call: Call) -> None:
    """Made, given rules, used by a directory, freed, deleted."""
    directory = sim.fleet.directory_ids[0]
    rule = {"ipRule": "10.0.0.0/8", "ruleDesc": "office"}
    group = call("create_ip_group", GroupName="office", GroupDesc="ours", UserRules=[rule])["GroupId"]
    call("authorize_ip_rules", GroupId=group, UserRules=[{"ipRule": "192.168.0.0/16"}])
    call("revoke_ip_rules", GroupId=group, UserRules=["10.0.0.0/8"])
    call("associate_ip_groups", DirectoryId=directory, GroupIds=[group])

    (described,) = call("describe_ip_groups", GroupIds=[group])["Result"]
    assert described["userRules"] == [{"ipRule": "192.168.0.0/16"}]
    assert refusal(lambda: call("delete_ip_group", GroupId=group))["Code"] == "ResourceAssociatedException"
    call("update_rules_of_ip_group", GroupId=group, UserRules=[])
    call("disassociate_ip_groups", DirectoryId=directory, GroupIds=[group])
    call("delete_ip_group", GroupId=group)
    assert collect(call, "describe_ip_groups", "Result") == []


def test_connection_aliases(sim: Simulator, call: Call) -> None:
    """Made, shared, used, freed, deleted."""
    directory = sim.fleet.directory_ids[0]
    alias = call("create_connection_alias", ConnectionString="desk.example.com")["AliasId"]
    permission = {"SharedAccountId": "210987654321", "AllowAssociation": True}
    call("update_connection_alias_permission", AliasId=alias, ConnectionAliasPermission=permission)
    identifier = call("associate_connection_alias", AliasId=alias, ResourceId=directory)[
        "ConnectionIdentifier"
    ]

    shared = collect(
        call, "describe_connection_alias_permissions", "ConnectionAliasPermissions", AliasId=alias
    )
    (described,) = call("describe_connection_aliases", ResourceId=directory)["ConnectionAliases"]
    assert shared == [permission]
    assert described["Associations"][0]["ConnectionIdentifier"] == identifier
    assert (
        refusal(lambda: call("delete_connection_alias", AliasId=alias))["Code"]
        == "ResourceAssociatedException"
    )
    call("disassociate_connection_alias", AliasId=alias)
    call("delete_connection_alias", AliasId=alias)
    assert call("describe_connection_aliases")["ConnectionAliases"] == []


def test_client_add_ins(sim: Simulator, call: Call) -> None:
    """Made, changed, deleted; under their own directory only."""
    one, other = sim.fleet.directory_ids[:2]
    add_in = call("create_connect_client_add_in", ResourceId=one, Name="help", URL="https://help.example.com")
    call("update_connect_client_add_in", ResourceId=one, AddInId=add_in["AddInId"], Name="more help")

    assert call("describe_connect_client_add_ins", ResourceId=one)["AddIns"][0]["Name"] == "more help"
    assert call("describe_connect_client_add_ins", ResourceId=other)["AddIns"] == []
    call("delete_connect_client_add_in", ResourceId=one, AddInId=add_in["AddInId"])
    assert call("describe_connect_client_add_ins", ResourceId=one)["AddIns"] == []


def test_pools(sim: Simulator, call: Call, clock: ManualClock) -> None:
    """Made STOPPED, started, stopped, changed, found by name, terminated; its directory stays as long."""
    directory = call(
        "register_workspace_directory",
        WorkspaceType="POOLS",
        WorkspaceDirectoryName="seats",
        WorkspaceDirectoryDescription="ours",
        UserIdentityType="CUSTOMER_MANAGED",
    )["DirectoryId"]
    clock.jump(600)
    pool = call(
        "create_workspaces_pool",
        PoolName="callcentre",
        Description="seats",
        BundleId=sim.fleet.bundle_ids[0],
        DirectoryId=directory,
        Capacity={"DesiredUserSessions": 5},
    )["WorkspacesPool"]
    seen = [pool["State"]]
    for operation in ("start", "stop"):
        call(f"{operation}_workspaces_pool", PoolId=pool["PoolId"])
        for _ in range(2):
            seen.append(call("describe_workspaces_pools")["WorkspacesPools"][0]["State"])
            clock.jump(3600)

    assert seen == ["STOPPED", "STARTING", "RUNNING", "STOPPING", "STOPPED"]
    by_name = [{"Name": "PoolName", "Operator": "CONTAINS", "Values": ["call"]}]
    assert call("describe_workspaces_pools", Filters=by_name)["WorkspacesPools"]
    changed = call("update_workspaces_pool", PoolId=pool["PoolId"], Capacity={"DesiredUserSessions": 9})
    assert changed["WorkspacesPool"]["CapacityStatus"]["DesiredUserSessions"] == 9
    assert call("describe_workspaces_pool_sessions", PoolId=pool["PoolId"])["Sessions"] == []
    busy = refusal(lambda: call("deregister_workspace_directory", DirectoryId=directory))
    call("terminate_workspaces_pool", PoolId=pool["PoolId"])
    clock.jump(3600)
    assert busy["Code"] == "InvalidResourceStateException"
    call("deregister_workspace_directory", DirectoryId=directory)
    assert call("describe_workspaces_pools")["WorkspacesPools"] == []


def test_a_directory_is_registered_used_and_deregistered(
    sim: Simulator, call: Call, clock: ManualClock
) -> None:
    """REGISTERING, REGISTERED, gone; not while it has WorkSpaces."""
    call("register_workspace_directory", DirectoryId="d-00000000aa")
    before = call("describe_workspace_directories", DirectoryIds=["d-00000000aa"])["Directories"][0]["State"]
    clock.jump(600)
    after = call("describe_workspace_directories", DirectoryIds=["d-00000000aa"])["Directories"][0]["State"]
    busy = refusal(lambda: call("deregister_workspace_directory", DirectoryId=sim.fleet.directory_ids[0]))
    call("deregister_workspace_directory", DirectoryId="d-00000000aa")
    clock.jump(600)

    assert (before, after) == ("REGISTERING", "REGISTERED")
    assert busy["Code"] == "InvalidResourceStateException"
    assert call("describe_workspace_directories", DirectoryIds=["d-00000000aa"])["Directories"] == []


@pytest.mark.parametrize(
    "operation,member,value",
    [
        ("modify_selfservice_permissions", "SelfservicePermissions", {"RestartWorkspace": "ENABLED"}),
        ("modify_workspace_access_properties", "WorkspaceAccessProperties", {"DeviceTypeWeb": "DENY"}),
        (
            "modify_workspace_creation_properties",
            "WorkspaceCreationProperties",
            {"EnableInternetAccess": True},
        ),
        ("modify_saml_properties", "SamlProperties", {"Status": "DISABLED"}),
        (
            "modify_certificate_based_auth_properties",
            "CertificateBasedAuthProperties",
            {"Status": "DISABLED"},
        ),
        (
            "modify_streaming_properties",
            "StreamingProperties",
            {"StreamingExperiencePreferredProtocol": "TCP"},
        ),
    ],
)
def test_a_directorys_properties_can_be_changed(
    sim: Simulator, call: Call, operation: str, member: str, value: dict[str, object]
) -> None:
    """And are described then."""
    directory = sim.fleet.directory_ids[0]

    call(operation, ResourceId=directory, **{member: value})

    (described,) = call("describe_workspace_directories", DirectoryIds=[directory])["Directories"]
    assert value.items() <= described[member].items()


def test_saml_properties_can_be_taken_away(sim: Simulator, call: Call) -> None:
    """By the names the model gives them; the relay state's name falls back to its default."""
    directory = sim.fleet.directory_ids[0]
    call(
        "modify_saml_properties",
        ResourceId=directory,
        SamlProperties={"Status": "ENABLED", "RelayStateParameterName": "state"},
    )
    call(
        "modify_saml_properties",
        ResourceId=directory,
        PropertiesToDelete=["SAML_PROPERTIES_RELAY_STATE_PARAMETER_NAME"],
    )

    (described,) = call("describe_workspace_directories", DirectoryIds=[directory])["Directories"]
    assert described["SamlProperties"] == {"Status": "ENABLED", "RelayStateParameterName": "RelayState"}


def test_client_properties_branding_and_encryption(sim: Simulator, call: Call) -> None:
    """Stored by directory."""
    directory = sim.fleet.directory_ids[0]
    call("modify_client_properties", ResourceId=directory, ClientProperties={"ReconnectEnabled": "DISABLED"})
    call("modify_endpoint_encryption_mode", DirectoryId=directory, EndpointEncryptionMode="FIPS_VALIDATED")
    call(
        "import_client_branding",
        ResourceId=directory,
        DeviceTypeWeb={"Logo": b"png", "SupportEmail": "a@b.co"},
    )

    properties = call("describe_client_properties", ResourceIds=[directory])["ClientPropertiesList"][0]
    look = call("describe_client_branding", ResourceId=directory)["DeviceTypeWeb"]
    assert properties["ClientProperties"] == {"ReconnectEnabled": "DISABLED", "LogUploadEnabled": "ENABLED"}
    assert look["SupportEmail"] == "a@b.co"
    assert look["LogoUrl"].startswith("https://")
    call("delete_client_branding", ResourceId=directory, Platforms=["DeviceTypeWeb"])
    assert "DeviceTypeWeb" not in call("describe_client_branding", ResourceId=directory)


def test_bundles(sim: Simulator, call: Call) -> None:
    """Made of an image with what it brings, changed, deleted; AWS's own are not ours to change."""
    image = next(one for one in sim.fleet.image_ids if sim.fleet.store.resource_associations.get(one))
    bundle = call(
        "create_workspace_bundle",
        BundleName="ours",
        BundleDescription="ours",
        ImageId=image,
        ComputeType={"Name": "POWER"},
        UserStorage={"Capacity": "50"},
    )["WorkspaceBundle"]
    brought = call(
        "describe_bundle_associations", BundleId=bundle["BundleId"], AssociatedResourceTypes=["APPLICATION"]
    )
    amazon = call("describe_workspace_bundles", Owner="AMAZON")["Bundles"][0]["BundleId"]

    assert brought["Associations"][0]["State"] == "COMPLETED"
    assert (
        refusal(lambda: call("delete_workspace_bundle", BundleId=amazon))["Code"] == "AccessDeniedException"
    )
    call("update_workspace_bundle", BundleId=bundle["BundleId"], ImageId=sim.fleet.image_ids[0])
    call("delete_workspace_bundle", BundleId=bundle["BundleId"])
    assert call("describe_workspace_bundles", BundleIds=[bundle["BundleId"]])["Bundles"] == []


def test_images(sim: Simulator, call: Call, clock: ManualClock) -> None:
    """Made of a WorkSpace with what is on it, shared, copied anew, deleted; not while a bundle uses it."""
    app = sim.fleet.application("office ltsc standard 2021")
    (ws,) = sim.fleet.add_workspaces()
    sim.fleet.set_association(ws, app, "COMPLETED")
    image = call("create_workspace_image", Name="golden", Description="ours", WorkspaceId=ws)["ImageId"]
    clock.jump(7200)
    call(
        "update_workspace_image_permission",
        ImageId=image,
        AllowCopyImage=True,
        SharedAccountId="210987654321",
    )
    renewed = call("create_updated_workspace_image", Name="golden2", Description="x", SourceImageId=image)

    on_it = call("describe_image_associations", ImageId=image, AssociatedResourceTypes=["APPLICATION"])
    shared = call("describe_workspace_image_permissions", ImageId=image)["ImagePermissions"]
    everywhere = call(
        "describe_application_associations", ApplicationId=app, AssociatedResourceTypes=["IMAGE", "BUNDLE"]
    )
    assert on_it["Associations"][0]["AssociatedResourceId"] == app
    assert shared == [{"SharedAccountId": "210987654321"}]
    assert {item["AssociatedResourceId"] for item in everywhere["Associations"]} == {
        image,
        renewed["ImageId"],
    }
    call("delete_workspace_image", ImageId=image)
    used = sim.fleet.image_ids[0]
    assert (
        refusal(lambda: call("delete_workspace_image", ImageId=used))["Code"] == "ResourceAssociatedException"
    )


def test_the_account(call: Call) -> None:
    """Dedicated tenancy, its history, and ranges five at a time."""
    ranges = collect(
        call,
        "list_available_management_cidr_ranges",
        "ManagementCidrRanges",
        ManagementCidrRangeConstraint="10.0.0.0/13",
    )
    call(
        "modify_account", DedicatedTenancySupport="ENABLED", DedicatedTenancyManagementCidrRange="10.1.0.0/16"
    )

    assert ranges == [f"10.{n}.0.0/16" for n in range(8)]
    assert call("describe_account")["DedicatedTenancySupport"] == "ENABLED"
    assert (
        call("describe_account_modifications")["AccountModifications"][0]["ModificationState"] == "COMPLETED"
    )
