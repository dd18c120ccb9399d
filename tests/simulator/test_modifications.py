"""The changes to a WorkSpace, their times, and the refusals meanwhile: each rule of the table, both ways."""

from datetime import timedelta
from typing import Any

import pytest

from tests.simulator.peer import Call, peer_of, refusal
from workspaces_apps.simulator import ManualClock, Simulator, SimulatorSettings
from workspaces_apps.simulator._operations.modification import RULES, is_volume_group

INVALID, STATE = "InvalidParameterValuesException", "InvalidResourceStateException"
UNSUPPORTED, BUSY = "UnsupportedWorkspaceConfigurationException", "OperationInProgressException"
HOUR = timedelta(hours=1)


def modify(call: Call, workspace_id: str, **properties: object) -> None:
    """Ask for a change."""
    call("modify_workspace_properties", WorkspaceId=workspace_id, WorkspaceProperties=properties)


def refused(call: Call, workspace_id: str, **properties: object) -> str:
    """The code that a change is refused with."""
    code: str = refusal(lambda: modify(call, workspace_id, **properties))["Code"]
    return code


def sized(sim: Simulator, root: int, user: int, compute: str = "STANDARD") -> str:
    """A WorkSpace with volumes of these sizes."""
    (ws,) = sim.fleet.add_workspaces(compute=compute)
    workspace = sim.fleet.workspace(ws)
    workspace.root_gib, workspace.user_gib = root, user
    return ws


@pytest.mark.parametrize(
    "root,user,together",
    [
        (80, 10, True), (80, 50, True), (80, 100, True), (175, 100, True), (2000, 2000, True), (999, 101, True),
        (80, 101, False), (81, 50, False), (175, 50, False), (174, 100, False), (2001, 100, False), (10, 10, False),
    ],
)  # fmt: skip
def test_volumes_come_in_groups(root: int, user: int, together: bool) -> None:
    """The groups of the administration guide, at their edges."""
    assert is_volume_group(root, user) is together


@pytest.mark.parametrize(
    "volumes,properties,code",
    [
        ((80, 50), {"RootVolumeSizeGib": 90}, INVALID),
        ((80, 50), {"UserVolumeSizeGib": 60}, INVALID),
        ((80, 50), {"RootVolumeSizeGib": 175}, INVALID),
        ((80, 50), {"RootVolumeSizeGib": 175, "UserVolumeSizeGib": 100}, INVALID),
        ((175, 100), {"RootVolumeSizeGib": 2001}, INVALID),
        ((175, 100), {"RootVolumeSizeGib": 80}, INVALID),
        ((175, 100), {"UserVolumeSizeGib": 50}, INVALID),
        ((175, 100), {"RootVolumeSizeGib": 200, "ComputeTypeName": "POWER"}, INVALID),
        ((175, 100), {"RunningMode": "ALWAYS_ON", "ComputeTypeName": "POWER"}, INVALID),
        ((175, 100), {"RunningMode": "ALWAYS_ON", "RunningModeAutoStopTimeoutInMinutes": 60}, INVALID),
        ((175, 100), {"RunningModeAutoStopTimeoutInMinutes": 75}, INVALID),
        ((175, 100), {"RunningMode": "MANUAL"}, INVALID),
        ((175, 100), {"Protocols": ["PCOIP", "WSP"]}, INVALID),
        ((175, 100), {"Protocols": ["PCOIP"]}, UNSUPPORTED),
        ((175, 100), {"OperatingSystemName": "WINDOWS_11"}, INVALID),
        ((175, 100), {"ComputeTypeName": "GRAPHICS_G4DN"}, UNSUPPORTED),
        ((175, 100), {}, INVALID),
    ],
)
def test_what_the_guide_forbids_is_refused(
    sim: Simulator, call: Call, volumes: tuple[int, int], properties: dict[str, object], code: str
) -> None:
    """Sizes, combinations, modes and types; nothing is under way afterwards."""
    ws = sized(sim, *volumes)

    assert refused(call, ws, **properties) == code
    assert sim.fleet.workspace(ws).modifications is None


@pytest.mark.parametrize(
    "volumes,properties",
    [
        ((80, 10), {"UserVolumeSizeGib": 50}),
        ((80, 50), {"UserVolumeSizeGib": 100}),
        ((80, 100), {"RootVolumeSizeGib": 175}),
        ((175, 100), {"UserVolumeSizeGib": 2000}),
        ((175, 100), {"ComputeTypeName": "POWER"}),
        ((175, 100), {"RunningMode": "ALWAYS_ON"}),
        ((175, 100), {"RunningModeAutoStopTimeoutInMinutes": 120}),
        ((175, 100), {"OperatingSystemName": "WINDOWS_SERVER_2022", "Protocols": ["WSP"]}),
    ],
)
def test_what_the_guide_allows_is_done(
    sim: Simulator, call: Call, clock: ManualClock, volumes: tuple[int, int], properties: dict[str, object]
) -> None:
    """And described after a while."""
    ws = sized(sim, *volumes)

    modify(call, ws, **properties)
    clock.jump(HOUR)

    (described,) = call("describe_workspaces", WorkspaceIds=[ws])["Workspaces"]
    assert described["ModificationStates"] == []
    assert properties.items() <= described["WorkspaceProperties"].items()


def test_a_pcoip_bundle_lets_the_protocol_be_changed(sim: Simulator, call: Call, clock: ManualClock) -> None:
    """The bundle decides, not what the WorkSpace streams by now."""
    store = sim.fleet.store
    (ws, *_) = (one for one in sim.fleet if sim.fleet.workspace(one).protocol == "PCOIP")
    assert store.bundles[sim.fleet.workspace(ws).bundle_id].protocol == "PCOIP"
    for protocol in ("WSP", "PCOIP"):
        sim.fleet.set_state(ws, "AVAILABLE")
        modify(call, ws, Protocols=[protocol])
        clock.jump(HOUR)
        assert sim.fleet.workspace(ws).protocol == protocol


def test_volumes_cool_off_for_six_hours(sim: Simulator, call: Call, clock: ManualClock) -> None:
    """Whichever of the two was changed."""
    ws = sized(sim, 80, 50)
    modify(call, ws, UserVolumeSizeGib=100)
    clock.jump(5 * HOUR)
    early = refused(call, ws, RootVolumeSizeGib=175)
    clock.jump(HOUR)
    modify(call, ws, RootVolumeSizeGib=175)

    assert early == STATE


def test_compute_types_cool_off_by_direction(sim: Simulator, call: Call, clock: ManualClock) -> None:
    """Larger again after 6 hours, smaller after 30 days; a new WorkSpace waits for a larger one too."""
    ws = sized(sim, 80, 50)
    sim.fleet.workspace(ws).created = clock.timestamp()
    new = refused(call, ws, ComputeTypeName="PERFORMANCE")
    clock.jump(6 * HOUR)
    modify(call, ws, ComputeTypeName="PERFORMANCE")
    clock.jump(5 * HOUR)
    early = [refused(call, ws, ComputeTypeName=one) for one in ("POWER", "STANDARD")]
    clock.jump(HOUR)
    modify(call, ws, ComputeTypeName="POWER")
    clock.jump(29 * 24 * HOUR)
    smaller = refused(call, ws, ComputeTypeName="STANDARD")
    clock.jump(24 * HOUR)
    modify(call, ws, ComputeTypeName="STANDARD")

    assert [new, *early, smaller] == [STATE] * 4


@pytest.mark.parametrize(
    "operation,members",
    [
        ("reboot_workspaces", {"RebootWorkspaceRequests": [{"WorkspaceId": "$ws"}]}),
        ("rebuild_workspaces", {"RebuildWorkspaceRequests": [{"WorkspaceId": "$ws"}]}),
        ("restore_workspace", {"WorkspaceId": "$ws"}),
        ("migrate_workspace", {"SourceWorkspaceId": "$ws", "BundleId": "$bundle"}),
        ("modify_workspace_properties", {"WorkspaceId": "$ws", "WorkspaceProperties": {"RunningMode": "ALWAYS_ON"}}),
        ("modify_workspace_properties", {"WorkspaceId": "$ws", "WorkspaceProperties": {"ComputeTypeName": "POWER"}}),
    ],
)  # fmt: skip
def test_a_modification_keeps_others_waiting(
    sim: Simulator, call: Call, clock: ManualClock, operation: str, members: dict[str, Any]
) -> None:
    """As an exception or as a failed entry, and no longer than it takes."""
    ws = sized(sim, 80, 50)
    names = {"$ws": ws, "$bundle": sim.fleet.bundle_ids[0]}
    text = repr(members)
    for name, value in names.items():
        text = text.replace(name, value)
    filled: dict[str, Any] = eval(text, {})
    modify(call, ws, UserVolumeSizeGib=100)

    if operation in ("reboot_workspaces", "rebuild_workspaces"):
        (failure,) = call(operation, **filled)["FailedRequests"]
        assert failure["ErrorCode"] == "OperationInProgress.Workspace"
    else:
        assert refusal(lambda: call(operation, **filled))["Code"] == BUSY
    clock.jump(HOUR)
    assert not call(operation, **filled).get("FailedRequests")


FREE = SimulatorSettings(
    volume_groups=False,
    volume_cooling_off=0,
    larger_compute_cooling_off=0,
    smaller_compute_cooling_off=0,
    modifying_refuses_commands=False,
    manual_running_mode=True,
    one_protocol=False,
    operating_system_stays=False,
    one_property_at_a_time=False,
)


def test_each_assumption_can_be_taken_back() -> None:
    """With the settings the other way round the same requests pass."""
    with Simulator.in_thread(clock=ManualClock(), throttle=None, settings=FREE) as sim, peer_of(sim) as call:
        ws = sized(sim, 80, 50)
        modify(call, ws, RootVolumeSizeGib=90)
        modify(call, ws, RunningMode="MANUAL")
        modify(call, ws, OperatingSystemName="WINDOWS_11", Protocols=["WSP", "PCOIP"])
        other, third = sim.fleet.add_workspaces(2)
        modify(call, other, RunningMode="ALWAYS_ON", ComputeTypeName="POWER")
        assert refused(call, third, RootVolumeSizeGib=200, ComputeTypeName="POWERPRO") == INVALID
        assert sim.fleet.workspace(ws).operating_system == "WINDOWS_SERVER_2022"
        assert (
            call("reboot_workspaces", RebootWorkspaceRequests=[{"WorkspaceId": ws}])["FailedRequests"] == []
        )


def test_every_setting_of_the_table_is_one() -> None:
    """Every name that the table gives to a setting exists."""
    known = {item.name for item in SimulatorSettings.assumptions()}

    assert {rule.setting for rule in RULES if rule.setting is not None} <= known


@pytest.mark.parametrize(
    "properties,code",
    [
        ({"RootVolumeSizeGib": 10, "UserVolumeSizeGib": 10}, INVALID),
        ({"UserVolumeSizeGib": 60}, INVALID),
        ({"RunningMode": "AUTO_STOP", "RunningModeAutoStopTimeoutInMinutes": 75}, INVALID),
        ({"RunningMode": "MANUAL"}, INVALID),
        ({"Protocols": ["PCOIP", "WSP"]}, INVALID),
        ({"RunningMode": "AUTO_STOP"}, None),
        ({"RootVolumeSizeGib": 175, "UserVolumeSizeGib": 100, "ComputeTypeName": "POWER"}, None),
    ],
)
def test_the_same_holds_for_a_new_workspace(
    sim: Simulator, call: Call, properties: dict[str, object], code: str | None
) -> None:
    """As a failed entry, with HTTP 200."""
    answer = call(
        "create_workspaces",
        Workspaces=[
            {
                "DirectoryId": sim.fleet.directory_ids[0],
                "UserName": "new",
                "BundleId": sim.fleet.bundle_ids[0],
                "WorkspaceProperties": properties,
            }
        ],
    )

    assert [failure["ErrorCode"] for failure in answer["FailedRequests"]] == ([code] if code else [])
