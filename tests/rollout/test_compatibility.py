"""The plan's compatibility table, against the simulator's, which was written apart from it."""

import pytest

from workspaces_apps.api.applications import WorkSpaceApplication
from workspaces_apps.api.shared import Compute, OperatingSystemName
from workspaces_apps.rollout import Reason, WorkspaceFacts
from workspaces_apps.rollout._plan.compatibility import TABLE, obstacle, traits_of
from workspaces_apps.simulator import Fleet, Simulator, SimulatorSettings
from workspaces_apps.simulator._catalogue import installable

SYSTEMS = [system for system in OperatingSystemName if system != OperatingSystemName.UNKNOWN]
COMPUTES = list(Compute)


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """The simulator's catalogue, and a WorkSpace to vary."""
    simulator = Simulator(workspaces=0)
    found = simulator.fleet_of(simulator.account_id, simulator.region)
    found.add_workspaces(1)
    return found


def models(fleet: Fleet) -> dict[str, WorkSpaceApplication]:
    """The catalogue as the service would describe it."""
    return {
        one.id: WorkSpaceApplication.from_wire(
            {
                "ApplicationId": one.id,
                "Name": one.name,
                "Owner": one.owner,
                "State": one.state,
                "SupportedComputeTypeNames": one.computes,
                "SupportedOperatingSystemNames": one.operating_systems,
            }
        )
        for one in fleet.store.applications.values()
    }


def facts(system: OperatingSystemName | None, compute: Compute | None, root: int = 500) -> WorkspaceFacts:
    """A WorkSpace of that kind."""
    return WorkspaceFacts(
        workspace_id="ws-aaaaaaaa",
        state="AVAILABLE",
        operating_system=system,
        compute_type=compute,
        root_volume_gib=root,
    )


def test_both_tables_agree_on_every_application_and_kind_of_workspace(fleet: Fleet) -> None:
    """Each application of the catalogue on each operating system and compute type."""
    described, settings = models(fleet), SimulatorSettings()
    workspace = fleet.workspace(fleet.workspace_ids[0])
    for application in fleet.store.applications.values():
        for system in SYSTEMS:
            for compute in COMPUTES:
                workspace.operating_system, workspace.compute = str(system), str(compute)
                row = obstacle(described[application.id], facts(system, compute), [])
                allowed = installable(application, workspace, [], settings)
                assert (row is None) is allowed, (application.name, system, compute, row)


def test_both_tables_agree_on_every_pair(fleet: Fleet) -> None:
    """Each application beside each other one, on a WorkSpace that takes both."""
    described, settings = models(fleet), SimulatorSettings()
    workspace = fleet.workspace(fleet.workspace_ids[0])
    workspace.operating_system, workspace.compute = "WINDOWS_11", "POWER"
    here = facts(OperatingSystemName.WINDOWS_11, Compute.POWER)
    for one in fleet.store.applications.values():
        for other in fleet.store.applications.values():
            if one.id != other.id:
                row = obstacle(described[one.id], here, [described[other.id]])
                assert (row is None) is installable(one, workspace, [other], settings), (one.name, other.name)


@pytest.mark.parametrize(
    "name,system,compute,root,reason",
    [
        ("Microsoft Office LTSC Standard 2021", None, Compute.POWER, 80, Reason.UNKNOWN),
        ("Microsoft Office LTSC Standard 2021", OperatingSystemName.WINDOWS_11, None, 80, Reason.UNKNOWN),
        ("Microsoft Visual Studio Professional 2022", OperatingSystemName.WINDOWS_11, Compute.POWER, 40, Reason.DISK),
        ("Microsoft Visual Studio Professional 2022", OperatingSystemName.WINDOWS_11, Compute.POWER, 80, None),
        ("Microsoft Office LTSC Standard 2021", OperatingSystemName.UBUNTU_22_04, Compute.POWER, 80, Reason.OPERATING_SYSTEM),
        ("Microsoft Office Standard 2019", OperatingSystemName.WINDOWS_11, Compute.POWER, 80, Reason.UNINSTALL_ONLY),
        ("Microsoft Office LTSC Standard 2021", OperatingSystemName("WINDOWS_99"), Compute.POWER, 80, Reason.OPERATING_SYSTEM),
    ],
)  # fmt: skip
def test_reasons(
    fleet: Fleet,
    name: str,
    system: OperatingSystemName | None,
    compute: Compute | None,
    root: int,
    reason: Reason | None,
) -> None:
    """The row that refuses, in examples."""
    application = next(one for one in models(fleet).values() if one.name == name)
    row = obstacle(application, facts(system, compute, root), [])

    assert (row.reason if row is not None else None) == reason


def test_an_account_s_own_application_has_no_traits() -> None:
    """A name alone proves nothing about who made it."""
    own = WorkSpaceApplication(
        application_id="wsa-aaaaaaaa", name="Office Standard 2019", owner="123456789012"
    )

    assert traits_of(own).family is None


def test_every_row_says_how_it_is_known() -> None:
    """A reason, a mark, and a sentence."""
    assert all(row.source and row.mark in ("doc", "assumed") for row in TABLE)
