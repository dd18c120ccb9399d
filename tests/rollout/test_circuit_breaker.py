"""The circuit breaker of an apply."""

import asyncio

import pytest

from workspaces_apps.rollout import Reason
from workspaces_apps.rollout._controller.admission import CircuitBreaker
from workspaces_apps.simulator import ManualClock


def breaker(clock: ManualClock | None = None, budget: int = 1) -> CircuitBreaker:
    """Of an apply with two targets."""
    return CircuitBreaker(clock or ManualClock(), ("east", "west"), budget)


def test_the_first_reason_stays() -> None:
    """Stopping what was drained does not change why it ended."""
    pulled = breaker()
    pulled.trip(Reason.DRAINED, "first")
    pulled.trip(Reason.STOPPED, "second")

    assert pulled.reason == pulled.reason_for("east") == (Reason.DRAINED, "first")


def test_a_target_halts_alone_until_all_have() -> None:
    """Missing permissions in one account are no reason to leave the other."""
    halted = breaker()
    halted.trip_target("west", "denied")
    alone = halted.reason, halted.reason_for("east"), halted.reason_for("west")
    halted.trip_target("east", "denied too")

    assert alone == (None, None, (Reason.BUDGET_SPENT, "denied"))
    assert halted.reason == (Reason.BUDGET_SPENT, "denied too")
    assert halted.stopped == "east: denied too; west: denied"


@pytest.mark.parametrize("budget", [0, 3])
def test_the_budget_may_be_spent_but_not_overdrawn(budget: int) -> None:
    """As many failures as it has change nothing; one more ends new work."""
    spent = breaker(budget=budget)
    for _ in range(budget):
        spent.count_failure()
    before = spent.reason
    spent.count_failure()

    assert before is None
    assert spent.reason is not None
    assert spent.reason[0] is Reason.BUDGET_SPENT


@pytest.mark.parametrize("halted,rested", [(None, 0), ("east", 0), ("west", 600)])
async def test_a_rest_ends_when_there_is_nothing_to_rest_for(halted: str | None, rested: float) -> None:
    """Nobody waits for hours in which nothing would begin; another target is no reason not to."""
    clock = ManualClock(autojump=True)
    ended, began = breaker(clock), clock.monotonic()
    if halted is None:
        ended.trip(Reason.DRAINED, "")
    else:
        ended.trip_target(halted, "")
    await asyncio.wait_for(ended.rest(600, "east"), timeout=60)

    assert clock.monotonic() - began == pytest.approx(rested)
