"""The effect of onboarding on a fleet, against a simulated one."""

import pytest
from onboarding import desktops_of, onboard

from workspaces_apps import WorkSpacesClient
from workspaces_apps.simulator import ManualClock, Simulator


@pytest.fixture
def office(workspaces_simulator: Simulator) -> str:
    """An application that not every desktop can have."""
    return workspaces_simulator.fleet.application("office 2021 professional")


async def test_each_desktop_of_the_department_is_accounted_for(
    workspaces_simulator: Simulator, workspaces_client: WorkSpacesClient, office: str
) -> None:
    """Desktops that can have the application get it, the rest is refused with a reason; other departments are left alone."""
    fleet = workspaces_simulator.fleet
    able = fleet.add_workspaces(3, tags={"Department": "Research"})
    (linux,) = fleet.add_workspaces(operating_system="AMAZON_LINUX_2", tags={"Department": "Research"})
    (other,) = fleet.add_workspaces(tags={"Department": "Catering"})

    report = await onboard(workspaces_client, "Research", office)

    assert sorted(report.equipped) == sorted(able)
    assert report.refused == {linux: "OperatingSystemNotCompatibleException"}
    assert fleet.associations(other) == {}


async def test_a_second_run_changes_nothing(
    workspaces_simulator: Simulator, workspaces_client: WorkSpacesClient, office: str
) -> None:
    """Desktops that have the application are not deployed again: that would throw their users out."""
    able = workspaces_simulator.fleet.add_workspaces(3, tags={"Department": "Research"})
    await onboard(workspaces_client, "Research", office)
    workspaces_simulator.requests.clear()

    report = await onboard(workspaces_client, "Research", office)

    assert (report.equipped, sorted(report.had_it)) == ([], sorted(able))
    assert workspaces_simulator.requests.count("DeployWorkspaceApplications") == 0


async def test_one_failure_does_not_stop_the_others(
    workspaces_simulator: Simulator, workspaces_client: WorkSpacesClient, office: str
) -> None:
    """An installation that ends in an error is reported, and the rest of the department is served."""
    first, second = workspaces_simulator.fleet.add_workspaces(2, tags={"Department": "Research"})
    workspaces_simulator.faults.add(
        "deployment_error", workspace_id=first, reason="DeploymentError.WorkspaceUnreachable"
    )

    report = await onboard(workspaces_client, "Research", office)

    assert report.equipped == [second]
    assert "WorkspaceUnreachable" in report.failed[first]


@pytest.mark.workspaces(workspaces=60, throttle=True)
async def test_a_throttled_fleet_is_served_in_the_end(
    workspaces_simulator: Simulator,
    workspaces_client: WorkSpacesClient,
    workspaces_clock: ManualClock,
    office: str,
) -> None:
    """Under the rates that are assumed of the service it takes longer, and nothing is lost."""
    fleet = workspaces_simulator.fleet
    began = workspaces_clock.monotonic()

    found = await desktops_of(workspaces_client, "Legal")
    report = await onboard(workspaces_client, "Legal", office)

    assert workspaces_simulator.requests.count(error="ThrottlingException") > 0
    assert len(found) == len(report.equipped) + len(report.refused) + len(report.had_it)
    assert all(fleet.associations(desktop)[office] == "COMPLETED" for desktop in report.equipped)
    assert workspaces_clock.monotonic() - began > 60
