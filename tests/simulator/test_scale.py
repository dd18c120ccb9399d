"""A hundred thousand WorkSpaces: seeded in seconds, small enough, and no slower to ask than a hundred."""

import json
import os
import subprocess
import sys
import textwrap
import time

import pytest

from workspaces_apps.simulator import Simulator
from workspaces_apps.simulator._operations import OPERATIONS, Call
from workspaces_apps.simulator._state import OrderedIndex
from workspaces_apps.simulator._transitions import Transitions
from workspaces_apps.simulator._wire import Parameters

# In a process of its own; VmHWM, because the maximum that getrusage tells is inherited from the parent.
MEASURE = textwrap.dedent(
    """
    import json, pathlib
    from workspaces_apps.simulator import Simulator
    sim = Simulator(workspaces=100_000, associations_per_workspace=5)
    count = sum(len(one.associations) for one in sim.fleet.store.workspaces.values())
    status = pathlib.Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
    print(json.dumps({"associations": count, "mebibytes": peak}))
    """
)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_a_hundred_thousand_fit() -> None:
    """With 300,000 associations, under 300 MB in all; how long it takes is in `benchmarks/simulator.py`."""
    # Without what makes a coverage run measure its child processes too.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    run = subprocess.run(
        [sys.executable, "-c", MEASURE], check=True, capture_output=True, timeout=120, env=clean
    )
    figures = json.loads(run.stdout)

    assert figures["associations"] >= 300_000
    assert figures["mebibytes"] < 300


def cost(sim: Simulator, operation: str, **parameters: object) -> float:
    """The least processor time that one call takes, without HTTP."""
    store = sim.fleet.store
    transitions = Transitions(sim.settings, sim.faults)
    now = sim.clock.timestamp()
    call = Call(operation, now, store, sim.accounts, sim.settings, sim.faults, transitions)
    members = Parameters(json.loads(json.dumps(parameters)))
    best = float("inf")
    for _ in range(200):
        began = time.thread_time()
        OPERATIONS[operation](call, members)
        best = min(best, time.thread_time() - began)
    return best


def test_no_request_scans_the_fleet() -> None:
    """With 20,000 WorkSpaces a listing costs about what it does with 100."""
    small = Simulator(workspaces=100, associations_per_workspace=3)
    large = Simulator(workspaces=20_000, associations_per_workspace=3)
    costs: list[dict[str, float]] = []
    for sim in (small, large):
        ws = sim.fleet.workspace_ids[-1]
        directory = sim.fleet.workspace(ws).directory_id
        office = {
            "ApplicationId": sim.fleet.application("office ltsc professional plus 2021"),
            "AssociatedResourceTypes": ["WORKSPACE"],
        }
        costs.append(
            {
                "all": cost(sim, "DescribeWorkspaces"),
                "of a directory": cost(sim, "DescribeWorkspaces", DirectoryId=directory),
                "of a WorkSpace": cost(sim, "DescribeWorkspaceAssociations", WorkspaceId=ws),
                "of an application": cost(sim, "DescribeApplicationAssociations", **office),
            }
        )

    assert {name: costs[1][name] / costs[0][name] < 3 for name in costs[0]} == dict.fromkeys(costs[0], True)


def test_a_roll_is_entered_in_the_middle_at_no_cost() -> None:
    """The last page of a long index costs what the first does."""
    index: OrderedIndex[str] = OrderedIndex()
    for number in range(1, 200_001):
        index.append(number, "x")

    began = time.thread_time()
    for _ in range(1000):
        next(index.after(199_990))
    assert time.thread_time() - began < 1
