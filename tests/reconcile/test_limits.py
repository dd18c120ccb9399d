"""The limits of one reconciler."""

from itertools import count, takewhile

import pytest

from workspaces_apps._reconcile.decisions import Limits
from workspaces_apps._reconcile.observed_state import ObservedState
from workspaces_apps._reconcile.writes import AttemptGuard, ReconcilePolicy, Unconditional
from workspaces_apps.simulator import ManualClock


def limits(
    clock: ManualClock | None = None,
    *,
    retries: int = 1,
    deployment_timeout: float = 7200,
    ready_timeout: float = 1800,
) -> Limits:
    """Limits of a policy."""
    return Limits(
        clock or ManualClock(),
        ReconcilePolicy(retries=retries, deployment_timeout=deployment_timeout, ready_timeout=ready_timeout),
    )


def test_faults_count_in_a_row_only() -> None:
    """Six faults are borne, further and further apart; a step that is taken begins anew."""
    bounds = limits()
    delays = [bounds.delay for _ in takewhile(lambda _: not bounds.count_fault(), count())]
    bounds.reset()

    assert delays == [1, 2, 4, 8, 16, 30]
    assert not bounds.count_fault()


@pytest.mark.parametrize("retries", [0, 3])
def test_steps_end_unless_something_else_goes_on(retries: int) -> None:
    """Two a try and some to spare; a step that only met somebody else's is given back."""
    bounds = limits(retries=retries)
    steps = sum(1 for _ in takewhile(lambda _: not bounds.count_write(), count()))
    bounds.count_busy()

    assert steps == 2 * (4 + retries)
    assert bounds.count_write()
    bounds.count_busy()
    bounds.count_busy()
    assert not bounds.count_write()


def test_waits_are_bounded_each_from_its_beginning() -> None:
    """Each kind of wait by itself; what has ended begins anew."""
    clock = ManualClock()
    bounds = limits(clock, deployment_timeout=100, ready_timeout=50)
    first = (
        bounds.wait_until() - clock.monotonic(),
        bounds.ready_until() - clock.monotonic(),
        bounds.count_busy(),
    )
    clock.jump(101)
    over = (
        bounds.wait_until() - clock.monotonic(),
        bounds.ready_until() - clock.monotonic(),
        bounds.count_busy(),
    )
    bounds.end_wait()
    bounds.end_unready()
    bounds.reset()

    assert (*first, *over) == (100, 50, False, -1, -51, True)
    assert (bounds.wait_until() - clock.monotonic(), bounds.count_busy()) == (100, False)


@pytest.mark.parametrize(
    "refusals,seconds", [(0, 10), (3, 10), (4, 20), (6, 80), (9, 600), (10, 600), (5000, 600)]
)
def test_the_guard_takes_a_read_of_ten_minutes_ago_at_most(refusals: int, seconds: float) -> None:
    """Where reads are too old time and again the bound doubles, and not beyond that."""
    clock = ManualClock()
    observed = ObservedState((), clock)
    observed.answered_at = clock.monotonic()
    guard = AttemptGuard(Unconditional(), observed, clock, refusals)

    clock.jump(seconds)
    in_time = guard.is_recent(observed)
    clock.jump(1)

    assert (in_time, guard.is_recent(observed)) == (True, False)
