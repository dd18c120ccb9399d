"""Thousands of calls in a storm of throttles, 503s, resets and slow answers."""

import asyncio

import pytest

from tests.chaos.callers import LATE, OperationInvoker, Tally
from tests.chaos.effects import applied, repeated_creations, repeated_deployments, repeated_stagings
from tests.chaos.site import NOTHING, SCALE, SEED, SLOW, Site, site

pytestmark = pytest.mark.campaign

CALLERS = 25
CALLS = round(200 * SCALE)
"""For each of the callers."""


async def storm(at: Site, tally: Tally) -> None:
    """Let the callers make their calls."""
    callers = [OperationInvoker(at, tally, number, SEED) for number in range(CALLERS)]
    at.bring_faults()
    async with asyncio.TaskGroup() as group:
        for caller in callers:
            group.create_task(caller.run(CALLS))


async def test_every_call_of_a_storm_ends_right_or_with_a_typed_error() -> None:
    """No call is lost, wrong, late or silent about what it may have done; none has its effect twice."""
    tally = Tally()
    async with site(workspaces=20) as at:
        before = asyncio.all_tasks()
        await storm(at, tally)
        await at.clock.sleep(SLOW + 1)
        records = tuple(at.sim.requests)
        left = {task for task in asyncio.all_tasks() - before if "RequestHandler" not in repr(task)}
        held = at.held()

    assert tally.wrong == []
    assert tally.calls == CALLERS * CALLS
    assert tally.latest <= LATE
    assert (left, held) == (set(), NOTHING)
    assert repeated_creations(records) == []
    assert repeated_deployments(records) == []
    assert repeated_stagings(records) == []
    # The storm was one, and most calls came through it.
    assert sum(record.fault is not None for record in records) > 0.2 * len(records)
    assert any(record.status is None and applied(record) for record in records)
    assert tally.outcomes["success"] > 0.7 * tally.calls
    assert min(tally.unknown, tally.outcomes["DeadlineExceededError"]) > 0
