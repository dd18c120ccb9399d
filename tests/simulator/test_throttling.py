"""Throttling: a bucket for each account, Region and operation, filled by simulated time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.peer import peer_of, refusal
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator import ManualClock, Rate, Simulator, Throttle
from workspaces_apps.simulator._service import Throttler
from workspaces_apps.simulator._wire import ApiError


def admitted(
    throttler: Throttler, now: float, operation: str = "Describe", account: str = "1", region: str = "r"
) -> bool:
    """Tell if a request gets through."""
    try:
        throttler.admit(account, region, operation, now)
    except ApiError:
        return False
    return True


def test_the_default_is_a_burst_of_five_and_two_a_second() -> None:
    """Five at once, then one each half second."""
    throttler = Throttler(Throttle())

    assert [admitted(throttler, 0.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert [admitted(throttler, 1.0) for _ in range(3)] == [True, True, False]


def test_a_burst_is_exactly_what_the_bucket_holds() -> None:
    """Each request takes one token, not more, not less."""
    throttler = Throttler(Throttle.at(1, 20))

    assert [admitted(throttler, 0.0) for _ in range(40)].count(True) == 20


def test_buckets_are_apart() -> None:
    """Another operation, account or Region has tokens of its own."""
    throttler = Throttler(Throttle.at(1, 1))
    assert admitted(throttler, 0.0)

    assert not admitted(throttler, 0.0)
    assert admitted(throttler, 0.0, operation="DeployWorkspaceApplications")
    assert admitted(throttler, 0.0, account="2")
    assert admitted(throttler, 0.0, region="s")


@given(
    st.lists(st.floats(0, 3), min_size=1, max_size=200),
    st.floats(0.1, 20),
    st.integers(1, 30),
)
def test_no_more_than_burst_and_rate_ever_pass(gaps: list[float], rate: float, burst: int) -> None:
    """Whatever the times, no more pass in any time than the bucket held and got."""
    throttler = Throttler(Throttle.at(rate, burst))
    now, passed = 0.0, 0
    for gap in gaps:
        now += gap
        passed += admitted(throttler, now)

        assert passed <= burst + rate * now + 1e-6


def test_boto3_sees_the_code_that_is_not_in_the_model(clock: ManualClock) -> None:
    """ThrottlingException, "Rate exceeded", HTTP 400; and time on the simulator's clock heals it."""
    with Simulator.in_thread(clock=clock) as sim, peer_of(sim) as call:
        for _ in range(5):
            call("describe_workspaces")
        error = refusal(lambda: call("describe_workspaces"))
        clock.jump(1)

        assert (error["Code"], error["Message"], error["Status"]) == (
            "ThrottlingException",
            "Rate exceeded",
            400,
        )
        assert call("describe_workspaces")
        assert sim.requests.count("DescribeWorkspaces", error="ThrottlingException") == 1


def test_rates_can_be_given_by_operation_and_changed() -> None:
    """An operation's own rate, and none at all."""
    throttle = Throttle(default=None, operations={"DeployWorkspaceApplications": Rate(0, 1)})
    throttler = Throttler(throttle)

    assert all(admitted(throttler, 0.0) for _ in range(100))
    assert [admitted(throttler, 0.0, operation="DeployWorkspaceApplications") for _ in range(2)] == [
        True,
        False,
    ]


def test_a_rate_of_no_operation_is_refused() -> None:
    """A misspelt name would limit nothing."""
    with pytest.raises(ConfigurationError, match="did you mean 'DescribeWorkspaces'"):
        Throttle(operations={"DescribeWorkspace": Rate(1, 1)})


@pytest.mark.parametrize("rate,burst", [(-1, 5), (1, 0), (float("inf"), 1)])
def test_impossible_rates_are_refused(rate: float, burst: float) -> None:
    """A ConfigurationError, not a surprise later."""
    with pytest.raises(ConfigurationError):
        Rate(rate, burst)
