"""Directories: what one has when it is registered, what keeps it, and which kind takes what."""

from typing import Any

import pytest

from tests.simulator.peer import Call, peer_of, refusal
from workspaces_apps.simulator import ManualClock, Simulator, SimulatorSettings

NEW = "d-00000000aa"
ARN = "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/12345678-1234-1234-1234-123456789012"
POOLS = {
    "WorkspaceType": "POOLS",
    "UserIdentityType": "CUSTOMER_MANAGED",
    "WorkspaceDirectoryName": "seats",
    "WorkspaceDirectoryDescription": "of the call centre",
}


def register(call: Call, clock: ManualClock, **members: object) -> dict[str, Any]:
    """Register a directory, wait, and describe it."""
    directory_id = call("register_workspace_directory", **(members or {"DirectoryId": NEW}))["DirectoryId"]
    clock.jump(600)
    return describe(call, directory_id)


def describe(call: Call, directory_id: str) -> dict[str, Any]:
    """A directory as it is described."""
    found: dict[str, Any] = call("describe_workspace_directories", DirectoryIds=[directory_id])[
        "Directories"
    ][0]
    return found


@pytest.mark.parametrize("enabled", [False, True])
def test_self_service_is_given_or_not(call: Call, clock: ManualClock, enabled: bool) -> None:
    """Without it only restarting is allowed, with it everything."""
    permissions = register(call, clock, DirectoryId=NEW, EnableSelfService=enabled)["SelfservicePermissions"]

    assert permissions.pop("RestartWorkspace") == "ENABLED"
    assert set(permissions.values()) == {"ENABLED" if enabled else "DISABLED"}


def test_a_modification_leaves_what_it_does_not_name(call: Call, clock: ManualClock) -> None:
    """One access property is changed, seven stay."""
    before = register(call, clock)["WorkspaceAccessProperties"]

    call(
        "modify_workspace_access_properties",
        ResourceId=NEW,
        WorkspaceAccessProperties={"DeviceTypeWeb": "ALLOW"},
    )

    assert describe(call, NEW)["WorkspaceAccessProperties"] == {**before, "DeviceTypeWeb": "ALLOW"}


def test_two_directories_do_not_share_their_properties(sim: Simulator, call: Call) -> None:
    """Defaults are each directory's own."""
    one, other = sim.fleet.directory_ids[:2]

    call(
        "modify_workspace_creation_properties",
        ResourceId=one,
        WorkspaceCreationProperties={"DefaultOu": "OU=A,DC=b"},
    )

    assert "DefaultOu" not in describe(call, other)["WorkspaceCreationProperties"]


def test_a_name_comes_back_as_it_was_given(call: Call, clock: ManualClock) -> None:
    """Name and description of a directory for pools, which is found by its name."""
    directory = register(call, clock, **POOLS)
    found = call("describe_workspace_directories", WorkspaceDirectoryNames=["seats"])["Directories"]

    assert (directory["WorkspaceDirectoryName"], directory["WorkspaceDirectoryDescription"]) == (
        "seats",
        "of the call centre",
    )
    assert [one["DirectoryId"] for one in found] == [directory["DirectoryId"]]
    assert "SelfservicePermissions" not in directory


def test_certificates_want_saml_first(call: Call, clock: ManualClock) -> None:
    """Enabled after SAML, never before, never without an authority; SAML may be disabled first again."""
    register(call, clock)

    def certificates(**members: str) -> None:
        call(
            "modify_certificate_based_auth_properties",
            ResourceId=NEW,
            CertificateBasedAuthProperties={"Status": "ENABLED", **members},
        )

    def saml(status: str) -> None:
        call(
            "modify_saml_properties",
            ResourceId=NEW,
            SamlProperties={"Status": status, "UserAccessUrl": "https://a.b/"},
        )

    early = refusal(lambda: certificates(CertificateAuthorityArn=ARN))["Code"]
    saml("ENABLED")
    nameless = refusal(certificates)["Code"]
    certificates(CertificateAuthorityArn=ARN)
    saml("DISABLED")

    assert (early, nameless) == ("OperationNotSupportedException", "InvalidParameterValuesException")
    assert describe(call, NEW)["CertificateBasedAuthProperties"] == {
        "Status": "ENABLED",
        "CertificateAuthorityArn": ARN,
    }


def pool_in(call: Call, sim: Simulator, directory_id: str) -> None:
    """Make a pool."""
    call(
        "create_workspaces_pool",
        PoolName="p",
        Description="d",
        BundleId=sim.fleet.bundle_ids[0],
        DirectoryId=directory_id,
        Capacity={"DesiredUserSessions": 1},
    )


def desktop_in(call: Call, sim: Simulator, directory_id: str, user: str = "u") -> list[str]:
    """Order a WorkSpace; the codes of what failed."""
    entry = {"DirectoryId": directory_id, "UserName": user, "BundleId": sim.fleet.bundle_ids[0]}
    return [one["ErrorCode"] for one in call("create_workspaces", Workspaces=[entry])["FailedRequests"]]


def test_pools_and_desktops_are_kept_apart(sim: Simulator, call: Call, clock: ManualClock) -> None:
    """Each kind of directory refuses what the other takes, updates of a pool included."""
    pools = register(call, clock, **POOLS)["DirectoryId"]
    personal = sim.fleet.directory_ids[0]

    assert refusal(lambda: pool_in(call, sim, personal))["Code"] == "OperationNotSupportedException"
    assert desktop_in(call, sim, pools) == ["OperationNotSupported.Directory"]
    pool_in(call, sim, pools)
    pool = call("describe_workspaces_pools")["WorkspacesPools"][0]["PoolId"]
    moved = refusal(lambda: call("update_workspaces_pool", PoolId=pool, DirectoryId=personal))
    assert moved["Code"] == "OperationNotSupportedException"


def test_user_names_ignore_case(sim: Simulator, call: Call, clock: ManualClock) -> None:
    """One user has one WorkSpace, however the name is written, and is found by any writing."""
    directory = sim.fleet.directory_ids[0]
    assert desktop_in(call, sim, directory, "Zoë") == []
    clock.jump(3600)

    assert desktop_in(call, sim, directory, "ZOË") == ["ResourceExists.WorkSpace"]
    (found,) = call("describe_workspaces", DirectoryId=directory, UserName="zoË")["Workspaces"]
    assert found["UserName"] == "Zoë"


SETTINGS = SimulatorSettings(
    self_service_enables_all=False,
    certificate_auth_needs_saml=False,
    deleted_relay_state_is_default=False,
    pools_apart=False,
    pools_keep_directory=False,
    user_names_ignore_case=False,
    ip_rules_with_host_bits=False,
    images_bring_applications=False,
)


def test_each_assumption_can_be_taken_back() -> None:
    """With the settings the other way round the same requests are answered the other way."""
    clock = ManualClock()
    with Simulator.in_thread(clock=clock, throttle=None, settings=SETTINGS) as sim, peer_of(sim) as call:
        directory = register(call, clock, DirectoryId=NEW, EnableSelfService=True)
        call(
            "modify_certificate_based_auth_properties",
            ResourceId=NEW,
            CertificateBasedAuthProperties={"Status": "ENABLED", "CertificateAuthorityArn": ARN},
        )
        call(
            "modify_saml_properties",
            ResourceId=NEW,
            PropertiesToDelete=["SAML_PROPERTIES_RELAY_STATE_PARAMETER_NAME"],
        )
        pool_in(call, sim, NEW)

        assert directory["SelfservicePermissions"]["RebuildWorkspace"] == "DISABLED"
        assert describe(call, NEW)["SamlProperties"] == {"Status": "DISABLED"}
        assert desktop_in(call, sim, NEW, "Zoe") == desktop_in(call, sim, NEW, "zoe") == []


def test_what_hangs_on_others_can_be_let_go_of() -> None:
    """A directory with a pool is deregistered, a rule must name its range exactly, an image brings nothing."""
    clock = ManualClock()
    with Simulator.in_thread(clock=clock, throttle=None, settings=SETTINGS) as sim, peer_of(sim) as call:
        office = sim.fleet.application("office ltsc standard 2021")
        (desktop,) = sim.fleet.add_workspaces()
        sim.fleet.set_association(desktop, office, "COMPLETED")
        directory = register(call, clock, **POOLS)["DirectoryId"]
        pool_in(call, sim, directory)
        call("deregister_workspace_directory", DirectoryId=directory)
        rule = [{"ipRule": "10.0.0.1/16"}]
        error = refusal(lambda: call("create_ip_group", GroupName="g", UserRules=rule))
        image = call("create_workspace_image", Name="i", Description="ours", WorkspaceId=desktop)["ImageId"]
        brought = call("describe_image_associations", ImageId=image, AssociatedResourceTypes=["APPLICATION"])

        assert error["Code"] == "InvalidParameterValuesException"
        assert brought["Associations"] == []


def test_a_copy_from_another_region_brings_its_applications() -> None:
    """The image is looked up where it is, and so is what is installed in it."""
    clock = ManualClock()
    with (
        Simulator.in_thread(clock=clock, throttle=None, other_regions=["eu-west-1"]) as sim,
        peer_of(sim) as here,
        peer_of(sim, region="eu-west-1") as there,
    ):
        found = here("describe_workspace_images")["Images"]
        source = next(one["ImageId"] for one in found if one["Name"].startswith("Office"))
        copy = there("copy_workspace_image", Name="copy", SourceImageId=source, SourceRegion=sim.region)[
            "ImageId"
        ]

        def brought(call: Call, image: str) -> list[str]:
            answer = call(
                "describe_image_associations", ImageId=image, AssociatedResourceTypes=["APPLICATION"]
            )
            return [one["AssociatedResourceId"] for one in answer["Associations"]]

        assert brought(there, copy) == brought(here, source) != []


@pytest.mark.parametrize(
    "rules,code",
    [
        (["999.0.0.0/16"], "InvalidParameterValuesException"),
        (["10.0.0.0/33"], "InvalidParameterValuesException"),
        (["10.0.0.0"], "InvalidParameterValuesException"),
        (["::/0"], "InvalidParameterValuesException"),
        (["office"], "InvalidParameterValuesException"),
        ([f"10.{n}.0.0/16" for n in range(11)], "ResourceLimitExceededException"),
        (["0.0.0.0/0", "10.1.2.3/32", "10.0.0.1/16"], None),
    ],
)
def test_ip_rules_are_ranges(call: Call, rules: list[str], code: str | None) -> None:
    """Real IPv4 ranges, so many of them, when a group is made, added to and replaced."""
    group = call("create_ip_group", GroupName="g")["GroupId"]
    given = [{"ipRule": rule} for rule in rules]
    for operation, members in (
        ("create_ip_group", {"GroupName": "h"}),
        ("authorize_ip_rules", {"GroupId": group}),
        ("update_rules_of_ip_group", {"GroupId": group}),
    ):
        if code is None:
            call(operation, **members, UserRules=given)
        else:
            assert refusal(lambda: call(operation, **members, UserRules=given))["Code"] == code  # noqa: B023 - at once


def test_a_range_is_in_a_group_once(call: Call) -> None:
    """The last description of it counts."""
    group = call("create_ip_group", GroupName="g", UserRules=[{"ipRule": "10.0.0.0/8", "ruleDesc": "old"}])[
        "GroupId"
    ]

    call("authorize_ip_rules", GroupId=group, UserRules=[{"ipRule": "10.0.0.0/8", "ruleDesc": "new"}])

    (described,) = call("describe_ip_groups", GroupIds=[group])["Result"]
    assert described["userRules"] == [{"ipRule": "10.0.0.0/8", "ruleDesc": "new"}]


def test_a_directory_has_so_many_groups(sim: Simulator, call: Call) -> None:
    """The 26th is a limit exceeded."""
    groups = [call("create_ip_group", GroupName=f"g{n}")["GroupId"] for n in range(26)]
    directory = sim.fleet.directory_ids[0]
    call("associate_ip_groups", DirectoryId=directory, GroupIds=groups[:25])

    error = refusal(lambda: call("associate_ip_groups", DirectoryId=directory, GroupIds=groups[25:]))

    assert error["Code"] == "ResourceLimitExceededException"


def test_applications_travel_from_desktop_to_desktop(sim: Simulator, call: Call, clock: ManualClock) -> None:
    """WorkSpace to image to bundle to new WorkSpace; a bundle with another image brings that one's."""
    fleet = sim.fleet
    office, visio = fleet.application("office ltsc standard 2021"), fleet.application("visio standard 2021")
    one, other = fleet.add_workspaces(2)
    fleet.set_association(one, office, "COMPLETED")
    fleet.set_association(one, visio, "PENDING_INSTALL_DEPLOYMENT")
    fleet.set_association(other, visio, "COMPLETED")
    images = [
        call("create_workspace_image", Name=f"i-{ws}", Description="ours", WorkspaceId=ws)["ImageId"]
        for ws in (one, other)
    ]
    clock.jump(7200)
    bundle = call(
        "create_workspace_bundle",
        BundleName="b",
        BundleDescription="ours",
        ImageId=images[0],
        ComputeType={"Name": "PERFORMANCE"},
        UserStorage={"Capacity": "100"},
    )["WorkspaceBundle"]["BundleId"]

    def brought(user: str) -> dict[str, str]:
        entry = {"DirectoryId": fleet.directory_ids[0], "UserName": user, "BundleId": bundle}
        made = call("create_workspaces", Workspaces=[entry])["PendingRequests"][0]["WorkspaceId"]
        clock.jump(3600)
        return {**fleet.associations(made)}

    first = brought("first")
    call("update_workspace_bundle", BundleId=bundle, ImageId=images[1])
    second = brought("second")
    listed = call(
        "describe_application_associations", ApplicationId=visio, AssociatedResourceTypes=["BUNDLE", "IMAGE"]
    )["Associations"]

    assert (first, second) == ({office: "COMPLETED"}, {visio: "COMPLETED"})
    assert {item["AssociatedResourceId"] for item in listed} == {bundle, images[1]}


def test_no_image_is_made_of_an_encrypted_desktop(sim: Simulator, call: Call) -> None:
    """OperationNotSupportedException, unless the setting says otherwise."""
    (ws,) = sim.fleet.add_workspaces()
    sim.fleet.workspace(ws).user_encrypted = True

    error = refusal(lambda: call("create_workspace_image", Name="i", Description="d", WorkspaceId=ws))

    assert error["Code"] == "OperationNotSupportedException"
