"""The refusals of each operation, as one table: the request, and the code of the answer."""

import re
from typing import Any

import pytest

from tests.simulator.conformance import model
from tests.simulator.peer import Call, peer_of, refusal
from workspaces_apps.simulator import ManualClock, Simulator, SimulatorSettings

NO_WS, NO_APP, NO_BUNDLE, NO_IMAGE = "ws-00000000", "wsa-00000000", "wsb-00000000", "wsi-000000000"
NO_DIRECTORY, NO_GROUP, NO_ALIAS = "d-0000000000", "wsipg-00000000", "wsca-00000000"
NO_POOL, NO_UUID = "wspool-000000000", "00000000-0000-0000-0000-000000000000"
NOT_FOUND, INVALID = "ResourceNotFoundException", "InvalidParameterValuesException"
EXISTS, STATE = "ResourceAlreadyExistsException", "InvalidResourceStateException"
TYPES = {"AssociatedResourceTypes": ["APPLICATION"]}

CASES: list[tuple[str, dict[str, Any], str]] = [
    ("describe_applications", {"ApplicationIds": [NO_APP]}, NOT_FOUND),
    ("describe_bundle_associations", {"BundleId": NO_BUNDLE, **TYPES}, NOT_FOUND),
    ("describe_image_associations", {"ImageId": NO_IMAGE, **TYPES}, NOT_FOUND),
    ("describe_workspace_associations", {"WorkspaceId": NO_WS, **TYPES}, NOT_FOUND),
    ("describe_tags", {"ResourceId": "anything"}, NOT_FOUND),
    ("create_tags", {"ResourceId": "$ws", "Tags": [{"Key": "aws:mine"}]}, INVALID),
    ("describe_workspace_bundles", {"BundleIds": [NO_BUNDLE], "Owner": "AMAZON"}, INVALID),
    ("delete_workspace_bundle", {"BundleId": NO_BUNDLE}, NOT_FOUND),
    ("delete_workspace_bundle", {"BundleId": "$used_bundle"}, "ResourceAssociatedException"),
    ("update_workspace_bundle", {"BundleId": "$used_bundle", "ImageId": NO_IMAGE}, NOT_FOUND),
    ("describe_workspace_snapshots", {"WorkspaceId": NO_WS}, NOT_FOUND),
    ("modify_workspace_properties", {"WorkspaceId": "$ws"}, INVALID),
    (
        "modify_workspace_properties",
        {"WorkspaceId": "$busy", "WorkspaceProperties": {"ComputeTypeName": "POWER"}},
        STATE,
    ),
    ("restore_workspace", {"WorkspaceId": "$busy"}, "OperationNotSupportedException"),
    ("migrate_workspace", {"SourceWorkspaceId": "$ws", "BundleId": NO_BUNDLE}, NOT_FOUND),
    ("migrate_workspace", {"SourceWorkspaceId": "$ws", "BundleId": "$its_bundle"}, INVALID),
    ("create_standby_workspaces", {"PrimaryRegion": "us-east-1", "StandbyWorkspaces": []}, INVALID),
    ("create_workspace_image", {"Name": "a", "Description": "a", "WorkspaceId": "$busy"}, STATE),
    ("create_workspace_image", {"Name": "$image_name", "Description": "a", "WorkspaceId": "$ws"}, EXISTS),
    (
        "copy_workspace_image",
        {"Name": "a", "SourceImageId": NO_IMAGE, "SourceRegion": "us-east-1"},
        NOT_FOUND,
    ),
    ("describe_workspace_image_permissions", {"ImageId": NO_IMAGE}, NOT_FOUND),
    ("register_workspace_directory", {}, INVALID),
    ("register_workspace_directory", {"DirectoryId": "$directory"}, EXISTS),
    ("describe_client_properties", {"ResourceIds": [NO_DIRECTORY]}, NOT_FOUND),
    ("describe_client_branding", {"ResourceId": NO_DIRECTORY}, NOT_FOUND),
    ("delete_ip_group", {"GroupId": NO_GROUP}, NOT_FOUND),
    ("associate_ip_groups", {"DirectoryId": "$directory", "GroupIds": [NO_GROUP]}, NOT_FOUND),
    ("delete_connection_alias", {"AliasId": NO_ALIAS}, NOT_FOUND),
    (
        "delete_connect_client_add_in",
        {"AddInId": NO_UUID, "ResourceId": "$directory"},
        NOT_FOUND,
    ),
    ("describe_workspaces_pools", {"PoolIds": [NO_POOL]}, NOT_FOUND),
    ("start_workspaces_pool", {"PoolId": NO_POOL}, NOT_FOUND),
    ("terminate_workspaces_pool_session", {"SessionId": NO_UUID}, NOT_FOUND),
    ("list_available_management_cidr_ranges", {"ManagementCidrRangeConstraint": "10.0.0.0/24"}, INVALID),
    ("create_account_link_invitation", {"TargetAccountId": "123456789012"}, "ValidationException"),
    ("get_account_link", {}, "ValidationException"),
    ("get_account_link", {"LinkedAccountId": "210987654321"}, NOT_FOUND),
    ("get_account_link", {"LinkId": "link-00000000"}, NOT_FOUND),
]


@pytest.fixture
def names(sim: Simulator) -> dict[str, str]:
    """The meanings of the table's placeholders."""
    (busy,) = sim.fleet.add_workspaces(state="REBOOTING")
    ws = sim.fleet.workspace_ids[0]
    store = sim.fleet.store
    used = next(
        w.bundle_id for w in store.workspaces.values() if store.bundles[w.bundle_id].owner != "AMAZON"
    )
    return {
        "$ws": ws,
        "$busy": busy,
        "$its_bundle": sim.fleet.workspace(ws).bundle_id,
        "$used_bundle": used,
        "$directory": sim.fleet.directory_ids[0],
        "$image_name": next(iter(store.images.values())).name,
    }


@pytest.mark.parametrize("operation,members,code", CASES)
def test_what_is_refused(
    call: Call, names: dict[str, str], operation: str, members: dict[str, Any], code: str
) -> None:
    """The code is as written, and one that the model gives the operation."""
    filled = {
        key: names.get(value, value) if isinstance(value, str) else value for key, value in members.items()
    }

    assert refusal(lambda: call(operation, **filled))["Code"] == code


def test_refusals_are_in_the_operations_model() -> None:
    """The table has only codes that botocore lists for the operation."""
    operations = {re.sub(r"[^a-z]", "", name.lower()): name for name in model()["operations"]}
    odd = {
        (operation, code)
        for operation, _, code in CASES
        if code
        not in {
            error["shape"]
            for error in model()["operations"][operations[operation.replace("_", "")]].get("errors", ())
        }
    }

    assert odd == set()


def test_batches_name_what_they_refuse(sim: Simulator, call: Call) -> None:
    """Names that are taken and timeouts that do not fit, each with its code."""
    entry = {"DirectoryId": sim.fleet.directory_ids[0], "BundleId": sim.fleet.bundle_ids[0]}
    named = {**entry, "UserName": "one", "WorkspaceName": "desk"}
    timed = {**entry, "UserName": "two", "WorkspaceProperties": {"RunningModeAutoStopTimeoutInMinutes": 7}}
    good = {
        **entry,
        "UserName": "three",
        "VolumeEncryptionKey": "key",
        "UserVolumeEncryptionEnabled": True,
        "RootVolumeEncryptionEnabled": True,
        "WorkspaceProperties": {"RunningMode": "AUTO_STOP", "Protocols": ["WSP"]},
    }

    answer = call("create_workspaces", Workspaces=[named, {**named, "UserName": "other"}, timed, good])
    sim.clock.jump(3600)  # type: ignore[attr-defined]  # the fixture's clock is a ManualClock

    assert [item["ErrorCode"] for item in answer["FailedRequests"]] == ["ResourceExists.WorkSpace", INVALID]
    (found,) = call("describe_workspaces", WorkspaceName="desk")["Workspaces"]
    (encrypted,) = call("describe_workspaces", DirectoryId=entry["DirectoryId"], UserName="three")[
        "Workspaces"
    ]
    assert found["WorkspaceName"] == "desk"
    assert encrypted["VolumeEncryptionKey"] == "key"


@pytest.mark.parametrize(
    "properties,member,value",
    [
        ({"RootVolumeSizeGib": 300}, "RootVolumeSizeGib", 300),
        ({"UserVolumeSizeGib": 300}, "UserVolumeSizeGib", 300),
        ({"NestedVirtualizationEnabled": True}, "NestedVirtualizationEnabled", True),
        ({"GlobalAccelerator": {"Mode": "DISABLED"}}, "GlobalAccelerator", {"Mode": "DISABLED"}),
        ({"RunningModeAutoStopTimeoutInMinutes": 120}, "RunningModeAutoStopTimeoutInMinutes", 120),
    ],
)
def test_what_is_accepted_shows_in_the_end(
    sim: Simulator, call: Call, clock: ManualClock, properties: dict[str, Any], member: str, value: object
) -> None:
    """Each property that can be changed."""
    (ws,) = sim.fleet.add_workspaces()

    call("modify_workspace_properties", WorkspaceId=ws, WorkspaceProperties=properties)
    clock.jump(7200)

    (item,) = call("describe_workspaces", WorkspaceIds=[ws])["Workspaces"]
    assert item["WorkspaceProperties"][member] == value


def test_a_share_of_deployments_can_fail(clock: ManualClock) -> None:
    """The failure rate is a setting, and comes from the seed."""
    chosen = SimulatorSettings(failure_rate=0.5)
    with Simulator.in_thread(clock=clock, throttle=None, settings=chosen) as sim, peer_of(sim) as call:
        app = sim.fleet.application("office ltsc standard 2021")
        for ws in sim.fleet.add_workspaces(20):
            call("associate_workspace_application", WorkspaceId=ws, ApplicationId=app)
            call("deploy_workspace_applications", WorkspaceId=ws)
        clock.jump(7200)
        ends = [sim.fleet.associations(ws)[app] for ws in sim.fleet.workspace_ids[-20:]]

    assert 3 < ends.count("ERROR") < 17
    assert set(ends) == {"ERROR", "COMPLETED"}
