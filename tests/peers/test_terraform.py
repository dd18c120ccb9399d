"""Terraform's AWS provider: what its acceptance tests assert of AWS, asked in the order in which its resources ask.

The provider itself is used where it is on the machine; it comes from no package registry.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.process import simulating
from tests.peers.boto3_client import Speaks, boto3_of
from tests.peers.conftest import Tried
from tests.peers.tools import run
from tests.simulator.peer import Call, peer_of
from workspaces_apps.simulator import ManualClock, Simulator

DIRECTORY: Final = "d-90678fbbbb"
PEER: Final = "Terraform provider (its calls and assertions)"
PROVIDERS: Final = os.environ.get("WORKSPACES_TERRAFORM_PROVIDERS", "")
"""A folder with the AWS provider, laid out as `terraform init -plugin-dir` wants it: it comes from no package registry."""
TERRAFORM: Final = shutil.which("terraform") if PROVIDERS else None
CERTIFICATE_AUTHORITY: Final = (
    "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/12345678-1234-1234-1234-123456789012"
)


@pytest.fixture
def clock() -> ManualClock:
    """Time that stands still."""
    return ManualClock()


@pytest.fixture(params=["json", "cbor"])
def call(request: pytest.FixtureRequest, clock: ManualClock) -> Iterator[Call]:
    """boto3 in each protocol: the provider is written in Go, whose SDK chooses for itself."""
    speaks: Speaks = request.param
    with (
        Simulator.in_thread(clock=clock, throttle=None, workspaces=2) as sim,
        peer_of(sim, speaks=speaks) as caller,
    ):
        yield caller


def create(call: Call, clock: ManualClock, **members: object) -> str:
    """The first steps of the resource: register, and wait until it is REGISTERED."""
    given = members or {"DirectoryId": DIRECTORY, "EnableSelfService": False, "WorkspaceType": "PERSONAL"}
    directory_id: str = call("register_workspace_directory", **given)["DirectoryId"]
    clock.jump(120)
    assert read(call, directory_id)["State"] == "REGISTERED"
    return directory_id


def read(call: Call, directory_id: str = DIRECTORY) -> dict[str, Any]:
    """The readings of the resource after every step; equal ones are an empty plan."""
    found: dict[str, Any] = call("describe_workspace_directories", DirectoryIds=[directory_id])[
        "Directories"
    ][0]
    return found


@pytest.mark.parametrize(
    "member,value",
    [
        ("CertificateBasedAuthProperties", {"Status": "DISABLED"}),
        ("SamlProperties", {"Status": "DISABLED", "RelayStateParameterName": "RelayState"}),
        (
            "SelfservicePermissions",
            {
                "RestartWorkspace": "ENABLED",
                "IncreaseVolumeSize": "DISABLED",
                "ChangeComputeType": "DISABLED",
                "SwitchRunningMode": "DISABLED",
                "RebuildWorkspace": "DISABLED",
            },
        ),
        (
            "WorkspaceAccessProperties",
            {
                "DeviceTypeAndroid": "ALLOW",
                "DeviceTypeChromeOs": "ALLOW",
                "DeviceTypeIos": "ALLOW",
                "DeviceTypeLinux": "DENY",
                "DeviceTypeOsx": "ALLOW",
                "DeviceTypeWeb": "DENY",
                "DeviceTypeWindows": "ALLOW",
                "DeviceTypeZeroClient": "ALLOW",
            },
        ),
        (
            "WorkspaceCreationProperties",
            {
                "EnableInternetAccess": False,
                "EnableMaintenanceMode": True,
                "UserEnabledAsLocalAdministrator": True,
            },
        ),
        ("IamRoleId", "arn:aws:iam::123456789012:role/workspaces_DefaultRole"),
        ("ipGroupIds", []),
        ("Tenancy", "SHARED"),
        ("WorkspaceType", "PERSONAL"),
        ("UserIdentityType", "AWS_DIRECTORY_SERVICE"),
        ("DirectoryType", "SIMPLE_AD"),
    ],
)
def test_a_registered_directory_has_its_defaults(
    call: Call, clock: ManualClock, tried: Tried, member: str, value: object
) -> None:
    """testAccDirectory_basic, attribute by attribute: nothing more, nothing less."""
    tried(PEER, "directories")
    create(call, clock)

    assert read(call)[member] == value


def test_a_second_plan_is_empty(call: Call, clock: ManualClock, tried: Tried) -> None:
    """Settings are read back, and stay so: SAML, then certificates, access and creation properties, IP groups."""
    tried(PEER, "directories")
    create(call, clock)
    group = call("create_ip_group", GroupName="alpha", GroupDesc="", UserRules=[])["GroupId"]
    wanted: dict[str, tuple[str, dict[str, object]]] = {
        "SamlProperties": (
            "modify_saml_properties",
            {
                "Status": "ENABLED",
                "RelayStateParameterName": "RelayState",
                "UserAccessUrl": "https://sso.a.b/",
            },
        ),
        "CertificateBasedAuthProperties": (
            "modify_certificate_based_auth_properties",
            {"Status": "ENABLED", "CertificateAuthorityArn": CERTIFICATE_AUTHORITY},
        ),
        "SelfservicePermissions": (
            "modify_selfservice_permissions",
            {
                "ChangeComputeType": "DISABLED",
                "IncreaseVolumeSize": "ENABLED",
                "RebuildWorkspace": "ENABLED",
                "RestartWorkspace": "DISABLED",
                "SwitchRunningMode": "ENABLED",
            },
        ),
        "WorkspaceCreationProperties": (
            "modify_workspace_creation_properties",
            {
                "CustomSecurityGroupId": "sg-00000000000000001",
                "DefaultOu": "OU=AWS,DC=Workgroup,DC=Example,DC=com",
                "EnableInternetAccess": True,
                "EnableMaintenanceMode": False,
                "UserEnabledAsLocalAdministrator": False,
            },
        ),
    }
    for member, (operation, value) in wanted.items():
        call(operation, ResourceId=DIRECTORY, **{member: value})
    call("associate_ip_groups", DirectoryId=DIRECTORY, GroupIds=[group])
    first = read(call)
    clock.jump(86_400)

    assert {member: first[member] for member in wanted} == {one: value for one, (_, value) in wanted.items()}
    assert first["ipGroupIds"] == [group]
    assert read(call) == first


def test_saml_is_changed_back_step_by_step(call: Call, clock: ManualClock, tried: Tried) -> None:
    """testAccDirectory_SamlProperties: what a configuration leaves out is deleted, and reads as its default."""
    tried(PEER, "directories")
    create(call, clock)

    def modify(deleted: list[str], **properties: str) -> dict[str, Any]:
        call(
            "modify_saml_properties",
            ResourceId=DIRECTORY,
            SamlProperties=properties,
            PropertiesToDelete=deleted,
        )
        found: dict[str, Any] = read(call)["SamlProperties"]
        return found

    url, state = "SAML_PROPERTIES_USER_ACCESS_URL", "SAML_PROPERTIES_RELAY_STATE_PARAMETER_NAME"
    modify([], Status="ENABLED", RelayStateParameterName="rspn", UserAccessUrl="https://a.b/")
    named = modify([url], Status="DISABLED", RelayStateParameterName="other")
    fallback = modify([], Status="ENABLED_WITH_DIRECTORY_LOGIN_FALLBACK", UserAccessUrl="https://c.d/",
        RelayStateParameterName="RelayState")  # fmt: skip
    empty = modify([url, state], Status="DISABLED")

    assert named == {"Status": "DISABLED", "RelayStateParameterName": "other"}
    assert fallback["UserAccessUrl"] == "https://c.d/"
    assert empty == {"Status": "DISABLED", "RelayStateParameterName": "RelayState"}


def test_a_pool_directory_comes_back_as_it_was_given(call: Call, clock: ManualClock, tried: Tried) -> None:
    """testAccDirectory_poolsBasic and poolsWorkspaceCreation."""
    tried(PEER, "pools")
    name = "tf-testacc-workspaces-directory"
    directory_id = create(
        call,
        clock,
        WorkspaceType="POOLS",
        UserIdentityType="CUSTOMER_MANAGED",
        WorkspaceDirectoryName=name,
        WorkspaceDirectoryDescription=name,
        SubnetIds=["subnet-00000000000000001", "subnet-00000000000000002"],
    )
    creation = {"CustomSecurityGroupId": "sg-00000000000000001", "EnableInternetAccess": True}
    call(
        "modify_workspace_creation_properties", ResourceId=directory_id, WorkspaceCreationProperties=creation
    )
    found = read(call, directory_id)

    assert (found["WorkspaceDirectoryName"], found["WorkspaceDirectoryDescription"]) == (name, name)
    assert (found["WorkspaceType"], found["UserIdentityType"]) == ("POOLS", "CUSTOMER_MANAGED")
    assert found["SubnetIds"] == ["subnet-00000000000000001", "subnet-00000000000000002"]
    assert found["WorkspaceCreationProperties"] == creation


def test_a_destroyed_directory_is_gone(call: Call, clock: ManualClock, tried: Tried) -> None:
    """Deregister, and wait until nothing is described."""
    tried(PEER, "directories")
    create(call, clock)
    call("deregister_workspace_directory", DirectoryId=DIRECTORY)
    clock.jump(120)

    assert call("describe_workspace_directories", DirectoryIds=[DIRECTORY])["Directories"] == []


CONFIGURATION: Final = Path(__file__).parent / "terraform" / "main.tf"
"""Every resource and source of data that the provider has for WorkSpaces."""


@pytest.mark.skipif(
    TERRAFORM is None,
    reason="needs terraform, and in WORKSPACES_TERRAFORM_PROVIDERS the folder of its AWS provider",
)
def test_terraform_applies_plans_nothing_and_destroys(tmp_path: Path, tried: Tried) -> None:
    """The real thing: apply, an empty plan, destroy, after which the simulator has nothing of it."""
    assert TERRAFORM is not None
    shutil.copy(CONFIGURATION, tmp_path)
    with simulating("--workspaces", "4", "--no-throttle", "--time-scale", "300") as simulation:
        endpoint = simulation.endpoint

        def terraform(*arguments: str) -> str:
            done = run(endpoint, tmp_path, str(TERRAFORM), *arguments)
            assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
            return done.stdout

        with boto3_of(endpoint) as ask:
            image = ask("describe_workspace_images")["Images"][0]["ImageId"]
            terraform("init", "-no-color", f"-plugin-dir={PROVIDERS}")
            version = json.loads(terraform("version", "-json"))
            (provider,) = version["provider_selections"].values()
            for scenario in ("directories", "images and bundles", "IP groups", "operations", "pools", "tags"):
                tried(f"Terraform {version['terraform_version']} with AWS provider {provider}", scenario)
            options = ("-no-color", f"-var=image={image}")
            terraform("apply", "-auto-approve", *options)
            # Its exit code is 2 where there is anything to change.
            terraform("plan", "-detailed-exitcode", *options)
            terraform("destroy", "-auto-approve", *options)

            assert len(ask("describe_workspaces")["Workspaces"]) == 4
            assert len(ask("describe_workspace_directories")["Directories"]) == 3
            assert ask("describe_ip_groups")["Result"] == []
            assert ask("describe_connection_aliases")["ConnectionAliases"] == []
