"""The record of every request."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.simulator.peer import Call, bare, refusal
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator import ManualClock, Simulator
from workspaces_apps.simulator._recorder import Bodies, Recorder


def test_requests_are_counted_by_operation_and_outcome(sim: Simulator, call: Call) -> None:
    """All, by operation, by error, by success."""
    call("describe_workspaces")
    call("describe_applications")
    refusal(lambda: call("describe_tags", ResourceId="nothing"))

    assert sim.requests.count() == len(sim.requests) == 3
    assert sim.requests.count("DescribeWorkspaces") == 1
    assert sim.requests.count(error="ResourceNotFoundException") == 1
    assert sim.requests.count(succeeded=True) == 2
    assert sim.requests.count("DescribeTags", succeeded=False) == 1


def test_a_record_says_everything(sim: Simulator, call: Call, clock: ManualClock) -> None:
    """Parameters, answer, simulated time, request id, and the SDK's headers."""
    clock.jump(timedelta(minutes=3))
    answer = call("describe_workspaces", Limit=3)
    record = sim.requests.last()

    assert record is not None
    assert record.operation == "DescribeWorkspaces"
    assert record.parameters == {"Limit": 3}
    assert record.answer is not None
    assert record.answer["NextToken"] == answer["NextToken"]
    assert record.at == clock.now()
    assert record.request_id == answer["ResponseMetadata"]["RequestId"]
    assert (record.status, record.error, record.fault) == (200, None, None)
    assert (record.account_id, record.region) == (sim.account_id, sim.region)
    assert record.attempt is not None
    assert record.attempt.startswith("attempt=1")
    assert "Boto3" in (record.user_agent or "")


def test_what_names_no_operation_is_recorded_too(sim: Simulator) -> None:
    """Without operation, without parameters."""
    bare(sim, "Nothing", b"{")
    (record,) = sim.requests

    assert (record.operation, record.parameters, record.error) == (None, None, "UnknownOperationException")


def test_a_misspelt_operation_is_refused(sim: Simulator) -> None:
    """Its count would be 0 whatever was asked, and a test that wants none would pass."""
    ask: Callable[[str], object]
    for ask in (sim.requests.count, sim.requests.select, sim.requests.last):
        with pytest.raises(ConfigurationError, match="did you mean 'DeployWorkspaceApplications'"):
            ask("DeployWorkspaceApplication")


def test_old_bodies_are_let_go() -> None:
    """Within the budget the newest stay; the counts do not suffer."""
    bodies = Bodies(budget=10)
    for number in range(1, 6):
        bodies.keep(number, b"1234", b"")

    assert [bodies.get(number, 0) for number in range(1, 6)] == [None, None, None, b"1234", b"1234"]


def test_a_cleared_record_begins_anew(sim: Simulator, call: Call) -> None:
    """Counts and records."""
    call("describe_workspaces")
    sim.requests.clear()

    assert (len(sim.requests), list(sim.requests), sim.requests.last()) == (0, [], None)
    assert Recorder().count("DescribeWorkspaces") == sim.requests.count("DescribeWorkspaces") == 0
