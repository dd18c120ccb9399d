"""The catalogue, and what goes on what."""

from typing import Any

import pytest

from tests.simulator.conformance import model
from tests.simulator.peer import Call, collect, peer_of, refusal
from workspaces_apps import ConfigurationError
from workspaces_apps.simulator import Simulator, SimulatorSettings
from workspaces_apps.simulator._catalogue import RULES, catalogue
from workspaces_apps.simulator._settings import RefusalCondition

OFFICE_2021 = "office ltsc professional plus 2021"
SHAPES = model()["shapes"]


def attempt(sim: Simulator, call: Call, name: str, system: str, compute: str) -> str:
    """Associate an application with a fresh WorkSpace: the error's code, or the state."""
    (ws,) = sim.fleet.add_workspaces(operating_system=system, compute=compute)
    app = sim.fleet.application(name)

    def ask() -> str:
        return str(
            call("associate_workspace_application", WorkspaceId=ws, ApplicationId=app)["Association"]["State"]
        )

    return ask() if expected_to_work(name, system, compute) else str(refusal(ask)["Code"])


def expected_to_work(name: str, system: str, compute: str) -> bool:
    """The documented rules again, written from the other side."""
    if (
        not system.startswith("WINDOWS")
        or system == "WINDOWS_SERVER_2016"
        or compute in {"VALUE", "GRAPHICS", "GRAPHICSPRO"}
    ):
        return False
    if "2016" in name or "2019" in name:
        return False
    return not ("visual studio" in name and (system == "WINDOWS_SERVER_2019" or compute == "STANDARD"))


@pytest.mark.parametrize(
    "name,system,compute,outcome",
    [
        (OFFICE_2021, "WINDOWS_SERVER_2019", "STANDARD", "PENDING_INSTALL_DEPLOYMENT"),
        (OFFICE_2021, "WINDOWS_SERVER_2022", "PERFORMANCE", "PENDING_INSTALL_DEPLOYMENT"),
        (OFFICE_2021, "WINDOWS_10", "POWER", "PENDING_INSTALL_DEPLOYMENT"),
        (OFFICE_2021, "WINDOWS_11", "POWERPRO", "PENDING_INSTALL_DEPLOYMENT"),
        (OFFICE_2021, "WINDOWS_SERVER_2016", "STANDARD", "OperatingSystemNotCompatibleException"),
        (OFFICE_2021, "AMAZON_LINUX_2", "STANDARD", "OperatingSystemNotCompatibleException"),
        (OFFICE_2021, "UBUNTU_22_04", "STANDARD", "OperatingSystemNotCompatibleException"),
        (OFFICE_2021, "WINDOWS_SERVER_2022", "VALUE", "ComputeNotCompatibleException"),
        (OFFICE_2021, "WINDOWS_10", "GRAPHICS", "ComputeNotCompatibleException"),
        (OFFICE_2021, "WINDOWS_10", "GRAPHICSPRO", "ComputeNotCompatibleException"),
        ("visual studio professional", "WINDOWS_SERVER_2022", "PERFORMANCE", "PENDING_INSTALL_DEPLOYMENT"),
        ("visual studio professional", "WINDOWS_SERVER_2022", "STANDARD", "ComputeNotCompatibleException"),
        (
            "visual studio professional",
            "WINDOWS_SERVER_2019",
            "POWER",
            "OperatingSystemNotCompatibleException",
        ),
        ("office professional 2016", "WINDOWS_SERVER_2022", "POWER", "ApplicationNotSupportedException"),
        ("office standard 2019", "WINDOWS_11", "POWER", "ApplicationNotSupportedException"),
    ],
)
def test_the_documented_combinations(
    sim: Simulator, call: Call, name: str, system: str, compute: str, outcome: str
) -> None:
    """Operating system, compute type, and what can only be removed."""
    assert attempt(sim, call, name, system, compute) == outcome


@pytest.mark.parametrize(
    "name,code",
    [
        ("visio ltsc standard 2021", "IncompatibleApplicationsException"),
        ("project professional 2024", "IncompatibleApplicationsException"),
        ("visio ltsc professional 2021", None),
        ("visual studio enterprise 2022", None),
    ],
)
def test_one_edition_and_one_version(sim: Simulator, call: Call, name: str, code: str | None) -> None:
    """Across Office, Visio and Project; Visual Studio is none of them."""
    (ws,) = sim.fleet.add_workspaces()
    sim.fleet.set_association(ws, sim.fleet.application(OFFICE_2021), "COMPLETED")
    app = sim.fleet.application(name)

    if code is None:
        assert call("associate_workspace_application", WorkspaceId=ws, ApplicationId=app)
    else:
        error = refusal(lambda: call("associate_workspace_application", WorkspaceId=ws, ApplicationId=app))
        assert error["Code"] == code


def test_an_edition_can_be_swapped_in_one_deployment(sim: Simulator, call: Call) -> None:
    """An application staged to go does not stand in the way; when the removal is taken back, Deploy refuses."""
    (ws,) = sim.fleet.add_workspaces()
    old, new = sim.fleet.application(OFFICE_2021), sim.fleet.application("office ltsc standard 2021")
    sim.fleet.set_association(ws, old, "COMPLETED")
    call("disassociate_workspace_application", WorkspaceId=ws, ApplicationId=old)
    call("associate_workspace_application", WorkspaceId=ws, ApplicationId=new)
    call("associate_workspace_application", WorkspaceId=ws, ApplicationId=old)

    error = refusal(lambda: call("deploy_workspace_applications", WorkspaceId=ws))

    assert error["Code"] == "IncompatibleApplicationsException"
    call("disassociate_workspace_application", WorkspaceId=ws, ApplicationId=old)
    assert len(call("deploy_workspace_applications", WorkspaceId=ws)["Deployment"]["Associations"]) == 2


def test_an_accounts_own_applications_are_not_managed(sim: Simulator, call: Call) -> None:
    """Only those offered through AWS."""
    (ws,) = sim.fleet.add_workspaces()
    app = sim.fleet.application("contoso timesheet")

    error = refusal(lambda: call("associate_workspace_application", WorkspaceId=ws, ApplicationId=app))

    assert error["Code"] == "ApplicationNotSupportedException"


@pytest.mark.parametrize(
    "filters,member,value",
    [
        ({"Owner": "AMAZON"}, "Owner", "AMAZON"),
        ({"Owner": "123456789012"}, "Owner", "123456789012"),
        ({"LicenseType": "UNLICENSED"}, "LicenseType", "UNLICENSED"),
        ({"ComputeTypeNames": ["STANDARD"]}, "SupportedComputeTypeNames", "STANDARD"),
        (
            {"OperatingSystemNames": ["WINDOWS_SERVER_2016"]},
            "SupportedOperatingSystemNames",
            "WINDOWS_SERVER_2016",
        ),
    ],
)
def test_the_catalogue_is_filtered(call: Call, filters: dict[str, object], member: str, value: str) -> None:
    """Everything found fits, and everything that fits is found."""
    everything = collect(call, "describe_applications", "Applications")
    found = collect(call, "describe_applications", "Applications", MaxResults=3, **filters)

    assert found == [item for item in everything if value in item[member]] != []


def test_the_catalogue_speaks_the_models_language() -> None:
    """States, compute types and operating systems are the model's; exceptions of the rules too."""
    for one in catalogue("123456789012", 0.0):
        assert set(one.computes) <= set(SHAPES["Compute"]["enum"])
        assert set(one.operating_systems) <= set(SHAPES["OperatingSystemName"]["enum"])
    assert all(SHAPES[rule.code]["exception"] for rule in RULES)


def test_a_helper_finds_what_is_compatible(sim: Simulator, call: Call) -> None:
    """Each WorkSpace it names takes the application; asking for too many says so."""
    app = sim.fleet.application(OFFICE_2021)

    for ws in sim.fleet.compatible(app, 5):
        call("associate_workspace_application", WorkspaceId=ws, ApplicationId=app)
    with pytest.raises(ValueError, match="ask for a larger fleet"):
        sim.fleet.compatible(app, 10_000)
    with pytest.raises(ConfigurationError, match="no application 'Office': give its id"):
        sim.fleet.compatible("Office")


CONDITIONS: dict[RefusalCondition, tuple[str, str, str]] = {
    "uninstall only": ("office professional plus 2016", "WINDOWS_11", "STANDARD"),
    "operating system": (OFFICE_2021, "AMAZON_LINUX_2", "STANDARD"),
    "compute type": (OFFICE_2021, "WINDOWS_11", "VALUE"),
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_another_exception_can_be_assumed(condition: RefusalCondition) -> None:
    """The exception of a condition is a setting, because it is documented nowhere."""
    name, system, compute = CONDITIONS[condition]
    settings = SimulatorSettings(exceptions={condition: "OperationNotSupportedException"})
    with Simulator.in_thread(settings=settings, throttle=None) as sim, peer_of(sim) as call:
        (ws,) = sim.fleet.add_workspaces(operating_system=system, compute=compute)
        app = sim.fleet.application(name)

        error = refusal(lambda: call("associate_workspace_application", WorkspaceId=ws, ApplicationId=app))

    assert error["Code"] == "OperationNotSupportedException"


def test_a_condition_that_is_none_is_refused() -> None:
    """A misspelt condition is told at once, with those there are."""
    misspelt: Any = {"operating sistem": "X"}
    with pytest.raises(ConfigurationError, match="operating system, compute type"):
        SimulatorSettings(exceptions=misspelt)
