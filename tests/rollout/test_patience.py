"""How long a desk goes on with a WorkSpace."""

from itertools import count, takewhile

import pytest

from workspaces_apps.rollout import Policy
from workspaces_apps.rollout.patience import Patience
from workspaces_apps.simulator import ManualClock


def test_faults_count_in_a_row_only() -> None:
    """Six faults are borne, further and further apart; a step that is taken begins anew."""
    patience = Patience(ManualClock(), Policy())
    delays = [patience.delay for _ in takewhile(lambda _: not patience.count_fault(), count())]
    patience.renew()

    assert delays == [1, 2, 4, 8, 16, 30]
    assert not patience.count_fault()


@pytest.mark.parametrize("retries", [0, 3])
def test_steps_end_unless_something_else_goes_on(retries: int) -> None:
    """Two a try and some to spare; a step that only met somebody else's is given back."""
    patience = Patience(ManualClock(), Policy(retries=retries))
    steps = sum(1 for _ in takewhile(lambda _: not patience.count_act(), count()))
    patience.count_busy()

    assert steps == 2 * (4 + retries)
    assert patience.count_act()
    patience.count_busy()
    patience.count_busy()
    assert not patience.count_act()


def test_waits_are_bounded_by_the_deployment_s_time() -> None:
    """Each kind of wait by itself, from its beginning."""
    clock = ManualClock()
    patience = Patience(clock, Policy(deployment_timeout=100))
    first = patience.count_wait(), patience.count_busy()
    clock.jump(101)
    over = patience.count_wait(), patience.count_busy()
    patience.end_wait()
    patience.renew()

    assert first == (False, False)
    assert over == (True, True)
    assert (patience.count_wait(), patience.count_busy()) == (False, False)
