"""The loops that waiting is compared with."""

import pytest

from benchmarks.fleet_waiters import usual


@pytest.mark.parametrize(
    "lasted, delay, calls", [([900.0], 15.0, 62), ([29.0], 15.0, 2), ([30.0, 60.0], 15.0, 10)]
)
def test_a_loop_that_notices_as_soon_looks_every_two_delays(
    lasted: list[float], delay: float, calls: int
) -> None:
    """Each look is two calls, the first at once."""
    assert usual(lasted, delay) == calls
