"""The time that no roll-out can beat, which the benchmark's walls are compared with."""

import pytest

from benchmarks.fleet import BURST, RATE
from benchmarks.fleet_rollout import shortest


def test_with_everything_in_flight_it_is_the_writes_and_one_deployment() -> None:
    """The last write leaves when the throttle lets it, and its deployment follows."""
    assert shortest([900.0] * 1000, 1000, 1) == (1000 - BURST) / RATE + 900


def test_with_few_in_flight_deployments_follow_each_other() -> None:
    """A hundred at a time take ten turns, of which only the first waits for the throttle."""
    assert shortest([900.0] * 1000, 100, 1) == (100 - BURST) / RATE + 10 * 900


def test_a_free_place_is_taken_at_once() -> None:
    """A short deployment makes room for the next while the long one goes on."""
    assert shortest([100.0, 10.0, 20.0], 2, 1) == pytest.approx(100.0)


def test_associating_several_applications_takes_several_calls() -> None:
    """Three applications need three calls of one operation before each deployment."""
    assert shortest([900.0] * 1000, 1000, 3) == (3000 - BURST) / RATE + 900
