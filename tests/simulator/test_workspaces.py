"""WorkSpaces: creating, describing, moving through their states, and being changed."""

from datetime import timedelta

import pytest

from tests.simulator.peer import Call, collect, refusal
from workspaces_apps.simulator import ManualClock, Simulator
from workspaces_apps.simulator._records import COMMANDS


def order(sim: Simulator, user: str = "new.user", **members: object) -> dict[str, object]:
    """An entry of CreateWorkspaces."""
    return {
        "DirectoryId": sim.fleet.directory_ids[0],
        "UserName": user,
        "BundleId": sim.fleet.bundle_ids[0],
        **members,
    }


def state_of(call: Call, workspace_id: str) -> str | None:
    """The WorkSpace's state; None if it is absent."""
    found = call("describe_workspaces", WorkspaceIds=[workspace_id])["Workspaces"]
    return str(found[0]["State"]) if found else None


def test_a_new_workspace_is_absent_then_pending_then_available(
    sim: Simulator, call: Call, clock: ManualClock
) -> None:
    """Creation is asynchronous, and its id cannot be described at once."""
    created = call("create_workspaces", Workspaces=[order(sim)])
    workspace_id = created["PendingRequests"][0]["WorkspaceId"]
    seen = [state_of(call, workspace_id)]
    for seconds in (15, 3600):
        clock.jump(seconds)
        seen.append(state_of(call, workspace_id))

    assert seen == [None, "PENDING", "AVAILABLE"]
    assert created["FailedRequests"] == []


def test_entries_fail_on_their_own(sim: Simulator, call: Call) -> None:
    """HTTP 200: good entries are made, bad ones come back with the request and a code."""
    bad_directory = order(sim, "a", DirectoryId="d-0000000000")
    bad_bundle = order(sim, "b", BundleId="wsb-00000000")

    answer = call(
        "create_workspaces", Workspaces=[bad_directory, order(sim, "c"), bad_bundle, order(sim, "c")]
    )

    assert [item["ErrorCode"] for item in answer["FailedRequests"]] == [
        "ResourceNotFound.Directory",
        "ResourceNotFound.Bundle",
        "ResourceExists.WorkSpace",
    ]
    assert answer["FailedRequests"][0]["WorkspaceRequest"] == bad_directory
    assert len(answer["PendingRequests"]) == 1


def test_a_new_workspace_brings_what_its_bundle_has(sim: Simulator, call: Call, clock: ManualClock) -> None:
    """Associations of the bundle are installed."""
    bundle = next(one for one in sim.fleet.store.bundles.values() if "Office" in one.name)
    brought = call(
        "describe_bundle_associations", BundleId=bundle.id, AssociatedResourceTypes=["APPLICATION"]
    )["Associations"]
    answer = call("create_workspaces", Workspaces=[order(sim, BundleId=bundle.id)])
    clock.jump(3600)

    on_it = sim.fleet.associations(answer["PendingRequests"][0]["WorkspaceId"])

    assert on_it == {item["AssociatedResourceId"]: "COMPLETED" for item in brought} != {}


@pytest.mark.parametrize(
    "filters",
    [
        {"DirectoryId": "d-0000000000", "BundleId": "wsb-00000000"},
        {"WorkspaceIds": ["ws-00000000"], "DirectoryId": "d-0000000000"},
        {"WorkspaceIds": ["ws-00000000"], "UserName": "somebody"},
        {"UserName": "somebody"},
    ],
)
def test_only_one_filter_at_a_time(call: Call, filters: dict[str, object]) -> None:
    """And a user name needs a directory."""
    assert (
        refusal(lambda: call("describe_workspaces", **filters))["Code"] == "InvalidParameterValuesException"
    )


def test_each_filter_finds_what_it_names(sim: Simulator, call: Call) -> None:
    """Directory, bundle, user, ids; unknown ids are absent, not an error."""
    records = list(sim.fleet.store.workspaces.values())
    one = records[0]
    for filters, expected in (
        ({"DirectoryId": one.directory_id}, [w.id for w in records if w.directory_id == one.directory_id]),
        ({"BundleId": one.bundle_id}, [w.id for w in records if w.bundle_id == one.bundle_id]),
        ({"DirectoryId": one.directory_id, "UserName": one.user_name}, [one.id]),
        ({"WorkspaceIds": [one.id, "ws-00000000"]}, [one.id]),
    ):
        found = collect(call, "describe_workspaces", "Workspaces", **filters)
        assert [item["WorkspaceId"] for item in found] == expected


@pytest.mark.parametrize(
    "name,member,before,during,after",
    [
        ("stop", "StopWorkspaceRequests", "AVAILABLE", "STOPPING", "STOPPED"),
        ("start", "StartWorkspaceRequests", "STOPPED", "STARTING", "AVAILABLE"),
        ("reboot", "RebootWorkspaceRequests", "AVAILABLE", "REBOOTING", "AVAILABLE"),
        ("rebuild", "RebuildWorkspaceRequests", "ERROR", "REBUILDING", "AVAILABLE"),
        ("terminate", "TerminateWorkspaceRequests", "ERROR", "TERMINATING", None),
    ],
)
def test_a_command_goes_through_its_states(
    sim: Simulator,
    call: Call,
    clock: ManualClock,
    name: str,
    member: str,
    before: str,
    during: str,
    after: str | None,
) -> None:
    """The state in between at once, the final one after a while; a terminated WorkSpace is absent."""
    (ws,) = sim.fleet.add_workspaces(state=before)

    assert call(f"{name}_workspaces", **{member: [{"WorkspaceId": ws}]})["FailedRequests"] == []
    assert state_of(call, ws) == during
    clock.jump(7200)
    assert state_of(call, ws) == after


def test_a_command_in_the_wrong_state_is_a_failed_request(sim: Simulator, call: Call) -> None:
    """HTTP 200, FailedRequests, and nothing happens."""
    running, always = sim.fleet.add_workspaces(2)
    sim.fleet.workspace(always).running_mode = "ALWAYS_ON"

    started = call("start_workspaces", StartWorkspaceRequests=[{"WorkspaceId": running}])
    stopped = call(
        "stop_workspaces", StopWorkspaceRequests=[{"WorkspaceId": always}, {"WorkspaceId": "ws-00000000"}]
    )

    assert [item["WorkspaceId"] for item in started["FailedRequests"]] == [running]
    assert [item["WorkspaceId"] for item in stopped["FailedRequests"]] == [always, "ws-00000000"]
    assert state_of(call, running) == state_of(call, always) == "AVAILABLE"


def test_terminating_takes_the_associations_along(sim: Simulator, call: Call, clock: ManualClock) -> None:
    """Nothing of a terminated WorkSpace is listed any more, under any index."""
    app = sim.fleet.application("office ltsc standard 2021")
    (ws,) = sim.fleet.add_workspaces()
    sim.fleet.set_association(ws, app, "COMPLETED")
    call("terminate_workspaces", TerminateWorkspaceRequests=[{"WorkspaceId": ws}])
    clock.jump(7200)

    everywhere = collect(
        call,
        "describe_application_associations",
        "Associations",
        ApplicationId=app,
        AssociatedResourceTypes=["WORKSPACE"],
    )
    assert ws not in [item["AssociatedResourceId"] for item in everywhere]
    assert refusal(
        lambda: call(
            "describe_workspace_associations", WorkspaceId=ws, AssociatedResourceTypes=["APPLICATION"]
        )
    )["Code"] == ("ResourceNotFoundException")


def test_a_change_shows_in_modification_states_only(sim: Simulator, call: Call, clock: ManualClock) -> None:
    """The state stays AVAILABLE; the entry moves on and goes; then the value is there."""
    (ws,) = sim.fleet.add_workspaces()
    call("modify_workspace_properties", WorkspaceId=ws, WorkspaceProperties={"ComputeTypeName": "POWER"})
    seen: list[tuple[str, list[str], str]] = []
    for seconds in (0, 950, 1000):
        clock.jump(seconds)
        (item,) = call("describe_workspaces", WorkspaceIds=[ws])["Workspaces"]
        changes = [change["State"] for change in item["ModificationStates"]]
        seen.append((item["State"], changes, item["WorkspaceProperties"]["ComputeTypeName"]))

    assert seen[0] == ("AVAILABLE", ["UPDATE_INITIATED"], "PERFORMANCE")
    assert seen[1][1] in (["UPDATE_IN_PROGRESS"], [])
    assert seen[2] == ("AVAILABLE", [], "POWER")


def test_one_change_at_a_time(sim: Simulator, call: Call) -> None:
    """OperationInProgressException while one is going on."""
    (ws,) = sim.fleet.add_workspaces()
    change = {"RootVolumeSizeGib": 200}
    call("modify_workspace_properties", WorkspaceId=ws, WorkspaceProperties=change)

    error = refusal(
        lambda: call(
            "modify_workspace_properties", WorkspaceId=ws, WorkspaceProperties={"UserVolumeSizeGib": 200}
        )
    )

    assert error["Code"] == "OperationInProgressException"


def test_the_running_mode_has_no_modification_state(sim: Simulator, call: Call, clock: ManualClock) -> None:
    """It must be read back."""
    (ws,) = sim.fleet.add_workspaces()
    call("modify_workspace_properties", WorkspaceId=ws, WorkspaceProperties={"RunningMode": "ALWAYS_ON"})
    (before,) = call("describe_workspaces", WorkspaceIds=[ws])["Workspaces"]
    clock.jump(120)
    (after,) = call("describe_workspaces", WorkspaceIds=[ws])["Workspaces"]

    assert before["ModificationStates"] == []
    assert before["WorkspaceProperties"]["RunningMode"] == "AUTO_STOP"
    assert after["WorkspaceProperties"]["RunningMode"] == "ALWAYS_ON"


@pytest.mark.parametrize(
    "properties",
    [
        {"RootVolumeSizeGib": 10},
        {"UserVolumeSizeGib": 5000},
        {"RunningMode": "ALWAYS_ON", "RunningModeAutoStopTimeoutInMinutes": 60},
        {"RunningModeAutoStopTimeoutInMinutes": 61},
        {"RootVolumeSizeGib": 200, "ComputeTypeName": "POWER"},
    ],
)
def test_a_senseless_change_is_refused(sim: Simulator, call: Call, properties: dict[str, object]) -> None:
    """Shrinking, too large, a timeout that does not fit, two kinds at once."""
    (ws,) = sim.fleet.add_workspaces()

    error = refusal(
        lambda: call("modify_workspace_properties", WorkspaceId=ws, WorkspaceProperties=properties)
    )

    assert error["Code"] == "InvalidParameterValuesException"


def test_rebuild_leaves_only_what_the_bundle_brings(sim: Simulator, call: Call, clock: ManualClock) -> None:
    """Applications installed later are gone."""
    app = sim.fleet.application("office ltsc standard 2021")
    (ws,) = sim.fleet.add_workspaces()
    sim.fleet.set_association(ws, app, "COMPLETED")

    call("rebuild_workspaces", RebuildWorkspaceRequests=[{"WorkspaceId": ws}])
    clock.jump(7200)

    assert sim.fleet.associations(ws) == {}


def test_restore_goes_back_to_the_last_snapshot(sim: Simulator, call: Call, clock: ManualClock) -> None:
    """Applications installed before it stay, those installed since are gone."""
    old, new = (
        sim.fleet.application("office ltsc standard 2021"),
        sim.fleet.application("visio standard 2021"),
    )
    (ws,) = sim.fleet.add_workspaces()
    sim.fleet.set_association(ws, old, "COMPLETED")
    clock.jump(timedelta(hours=13))
    sim.fleet.set_association(ws, new, "COMPLETED")
    snapshots = call("describe_workspace_snapshots", WorkspaceId=ws)["RestoreSnapshots"]

    call("restore_workspace", WorkspaceId=ws)
    clock.jump(7200)

    assert timedelta(0) <= clock.now() - snapshots[0]["SnapshotTime"] <= timedelta(hours=14)
    assert sim.fleet.associations(ws) == {old: "COMPLETED"}


def test_migrate_makes_a_new_workspace_without_the_applications(
    sim: Simulator, call: Call, clock: ManualClock
) -> None:
    """Another id, another bundle, the same user; the old one goes when the new one is ready."""
    app = sim.fleet.application("office ltsc standard 2021")
    (ws,) = sim.fleet.add_workspaces()
    sim.fleet.set_association(ws, app, "COMPLETED")
    user = sim.fleet.workspace(ws).user_name

    answer = call("migrate_workspace", SourceWorkspaceId=ws, BundleId=sim.fleet.bundle_ids[0])
    clock.jump(7200)

    target = sim.fleet.workspace(answer["TargetWorkspaceId"])
    assert (target.state, target.user_name, target.associations) == ("AVAILABLE", user, {})
    assert state_of(call, ws) is None


def test_maintenance_comes_and_goes(sim: Simulator, call: Call) -> None:
    """ADMIN_MAINTENANCE and back, and not from anywhere else."""
    (ws,) = sim.fleet.add_workspaces()
    call("modify_workspace_state", WorkspaceId=ws, WorkspaceState="ADMIN_MAINTENANCE")
    assert state_of(call, ws) == "ADMIN_MAINTENANCE"
    call("modify_workspace_state", WorkspaceId=ws, WorkspaceState="AVAILABLE")
    sim.fleet.set_state(ws, "STOPPED")

    error = refusal(
        lambda: call("modify_workspace_state", WorkspaceId=ws, WorkspaceState="ADMIN_MAINTENANCE")
    )

    assert error["Code"] == "InvalidResourceStateException"


def test_the_states_of_the_commands_are_the_models() -> None:
    """No command speaks of a state that the service does not have."""
    from tests.simulator.conformance import model

    known = set(model()["shapes"]["WorkspaceState"]["enum"]) | {"ABSENT"}
    for command in COMMANDS.values():
        assert command.states | command.never | {command.passing, command.final} <= known


def test_tags_are_added_changed_and_taken_away(sim: Simulator, call: Call) -> None:
    """On WorkSpaces and on anything else with an id."""
    for resource in (sim.fleet.workspace_ids[0], sim.fleet.directory_ids[0], sim.fleet.bundle_ids[0]):
        call(
            "create_tags", ResourceId=resource, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
        )
        call("create_tags", ResourceId=resource, Tags=[{"Key": "a", "Value": "3"}])
        call("delete_tags", ResourceId=resource, TagKeys=["b", "never"])
        tags = {tag["Key"]: tag["Value"] for tag in call("describe_tags", ResourceId=resource)["TagList"]}
        assert tags["a"] == "3"
        assert "b" not in tags


def test_tagging_one_workspace_does_not_tag_another(sim: Simulator, call: Call) -> None:
    """Seeded tags are shared in memory; changes are not."""
    one, other = (w for w in sim.fleet.workspace_ids[:2])
    sim.fleet.workspace(other).tags = sim.fleet.workspace(one).tags

    call("create_tags", ResourceId=one, Tags=[{"Key": "mine", "Value": ""}])

    assert "mine" not in sim.fleet.workspace(other).tags


def test_too_many_tags_are_refused(sim: Simulator, call: Call) -> None:
    """ResourceLimitExceededException, and none is added."""
    ws = sim.fleet.workspace_ids[0]
    before = call("describe_tags", ResourceId=ws)["TagList"]

    error = refusal(lambda: call("create_tags", ResourceId=ws, Tags=[{"Key": f"k{n}"} for n in range(51)]))

    assert error["Code"] == "ResourceLimitExceededException"
    assert call("describe_tags", ResourceId=ws)["TagList"] == before
