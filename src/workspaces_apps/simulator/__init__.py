"""Amazon WorkSpaces in a process of your own: a simulator that any AWS client can talk to."""

from workspaces_apps.simulator.clocks import ManualClock, RealClock, ScaledClock, SimulatorClock
from workspaces_apps.simulator.faults import Fault, FaultKind, Faults
from workspaces_apps.simulator.fleet import Fleet
from workspaces_apps.simulator.recorder import Recorder, RequestRecord
from workspaces_apps.simulator.server import Simulator, SimulatorOptions
from workspaces_apps.simulator.settings import Assumption, SimulatorSettings, Span
from workspaces_apps.simulator.throttle import Rate, Throttle

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
