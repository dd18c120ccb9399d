"""Amazon WorkSpaces in a process of your own: a simulator that any AWS client can talk to."""

from workspaces_apps.simulator._clocks import ManualClock, RealClock, ScaledClock, SimulatorClock
from workspaces_apps.simulator._faults import Fault, FaultKind, Faults
from workspaces_apps.simulator._fleet import Fleet
from workspaces_apps.simulator._recorder import Recorder, RequestRecord
from workspaces_apps.simulator._server import Simulator, SimulatorOptions
from workspaces_apps.simulator._service import Rate, Throttle
from workspaces_apps.simulator._settings import Assumption, SimulatorSettings, Span

__all__ = [
    "Assumption",
    "Fault",
    "FaultKind",
    "Faults",
    "Fleet",
    "ManualClock",
    "Rate",
    "RealClock",
    "Recorder",
    "RequestRecord",
    "ScaledClock",
    "Simulator",
    "SimulatorClock",
    "SimulatorOptions",
    "SimulatorSettings",
    "Span",
    "Throttle",
]
