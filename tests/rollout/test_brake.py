"""What keeps an apply from beginning more."""

import asyncio

import pytest

from workspaces_apps.rollout import Reason
from workspaces_apps.rollout.brake import Brake
from workspaces_apps.simulator import ManualClock


def brake(clock: ManualClock | None = None, budget: int = 1) -> Brake:
    """Of an apply with two targets."""
    return Brake(clock or ManualClock(), ("east", "west"), budget)


def test_the_first_reason_stays() -> None:
    """Stopping what was drained does not change why it ended."""
    pulled = brake()
    pulled.pull(Reason.DRAINED, "first")
    pulled.pull(Reason.STOPPED, "second")

    assert pulled.why == pulled.why_not("east") == (Reason.DRAINED, "first")


def test_a_target_halts_alone_until_all_have() -> None:
    """Missing permissions in one account are no reason to leave the other."""
    halted = brake()
    halted.halt("west", "denied")
    alone = halted.why, halted.why_not("east"), halted.why_not("west")
    halted.halt("east", "denied too")

    assert alone == (None, None, (Reason.BUDGET_SPENT, "denied"))
    assert halted.why == (Reason.BUDGET_SPENT, "denied too")
    assert halted.halted == "east: denied too; west: denied"


@pytest.mark.parametrize("budget", [0, 3])
def test_the_budget_may_be_spent_but_not_overdrawn(budget: int) -> None:
    """As many failures as it has change nothing; one more ends new work."""
    spent = brake(budget=budget)
    for _ in range(budget):
        spent.count_failure()
    before = spent.why
    spent.count_failure()

    assert before is None
    assert spent.why is not None
    assert spent.why[0] is Reason.BUDGET_SPENT


@pytest.mark.parametrize("halted,rested", [(None, 0), ("east", 0), ("west", 600)])
async def test_a_rest_ends_when_there_is_nothing_to_rest_for(halted: str | None, rested: float) -> None:
    """Nobody waits for hours in which nothing would begin; another target is no reason not to."""
    clock = ManualClock(autojump=True)
    ended, began = brake(clock), clock.monotonic()
    if halted is None:
        ended.pull(Reason.DRAINED, "")
    else:
        ended.halt(halted, "")
    await asyncio.wait_for(ended.rest(600, "east"), timeout=5)

    assert clock.monotonic() - began == pytest.approx(rested)
