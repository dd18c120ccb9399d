"""Cancelling calls at every moment of their life: whatever they held comes back, and the client works on."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

import pytest

from tests.chaos.site import NOTHING, SCALE, SEED, SLOW, Site, site
from workspaces_apps import Hooks, Pacing, RetryPolicy, WorkSpacesClient, WorkSpacesError
from workspaces_apps._retry import RetryBudgetPolicy
from workspaces_apps._telemetry.port import AttemptRecord, RetryRecord
from workspaces_apps.simulator import FaultKind

pytestmark = pytest.mark.campaign

RETRY = RetryPolicy(budget=RetryBudgetPolicy(capacity=10**6, transient_cost=1, throttle_cost=1, refund=0))
"""Every retry takes a token, and only its success, or its cancellation, gives it back."""

PACINGS = (Pacing.off(), Pacing.adaptive(), Pacing.fixed(rate=20, burst=2))
KINDS: Final[tuple[FaultKind, ...]] = ("throttle", "unavailable", "reset_after")


class Spent:
    """The tokens that are gone for good: those of retries that failed.

    Attributes:
        tokens: So many.
    """

    def __init__(self) -> None:
        self.tokens = 0
        self._taken: WeakKeyDictionary[asyncio.Task[object], int] = WeakKeyDictionary()

    def hooks(self, pacing: Pacing) -> Hooks:
        """Hooks for calls with that pacing. They run in the task of the call."""

        def on_retry(record: RetryRecord) -> None:
            absorbed = record.kind == "throttle" and pacing.mode == "adaptive"
            self._taken[_me()] = 0 if absorbed else 1

        def on_attempt(record: AttemptRecord) -> None:
            if record.attempt > 1 and record.outcome != "success":
                self.tokens += self._taken.pop(_me())

        return Hooks(on_retry=on_retry, on_attempt=on_attempt)


def _me() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None
    return task


@dataclass(slots=True)
class Crowd:
    """Calls under way, one of which is cancelled now and then.

    Attributes:
        cancelled: How many ended that way.
    """

    source: random.Random
    calls: list[asyncio.Task[object]] = field(default_factory=list[asyncio.Task[object]])
    cancelled: int = 0

    def begin(self, call: Awaitable[object]) -> None:
        """One more."""
        self.calls.append(asyncio.ensure_future(call))

    async def cancel_one(self) -> None:
        """Cancel any of them, and see it end."""
        call = self.calls.pop(self.source.randrange(len(self.calls)))
        call.cancel()
        await self._end(call)

    async def end(self) -> None:
        """Let the rest come to its end."""
        for call in self.calls:
            await self._end(call)

    async def _end(self, call: asyncio.Task[object]) -> None:
        try:
            await call
        except asyncio.CancelledError:
            self.cancelled += 1
        except WorkSpacesError:
            return


def views(client: WorkSpacesClient, spent: Spent) -> list[WorkSpacesClient]:
    """The client with every kind of pacing, with and without a deadline."""
    return [
        client.with_options(pacing=pacing, timeout=timeout, hooks=spent.hooks(pacing))
        for pacing in PACINGS
        for timeout in (None, 3.0)
    ]


async def check_nothing_is_lost(at: Site, spent: Spent) -> None:
    """Nothing is held once the last request is over, every token is accounted for, and calls go through."""
    at.sim.faults.clear()
    await at.clock.sleep(2 * SLOW + 1)
    assert (at.held(), at.clock.sleeping) == (NOTHING, 0)
    budget = at.budget(RETRY)
    assert budget.tokens == budget.policy.capacity - spent.tokens
    for pacing in PACINGS:
        view = at.client.with_options(pacing=pacing)
        await asyncio.gather(*(view.describe_account() for _ in range(5)))
    assert (at.held(), at.clock.sleeping) == (NOTHING, 0)


async def test_cancelling_at_random_loses_nothing() -> None:
    """Thousands of calls, any of which may be cancelled at any moment of a storm: all that is held comes back."""
    source, spent = random.Random(SEED), Spent()
    async with site(retry=RETRY, max_connections=4) as at:
        crowd, clients = Crowd(source), views(at.client, spent)
        at.bring_faults()
        before = asyncio.all_tasks()
        while crowd.cancelled < 2500 * SCALE:
            while len(crowd.calls) < 20:
                crowd.begin(source.choice(clients).describe_account())
            if source.random() < 0.1:
                await at.clock.sleep(source.random())
            for _ in range(source.randrange(16)):
                await asyncio.sleep(0)
            for _ in range(source.randrange(6)):
                await crowd.cancel_one()
        await crowd.end()

        await check_nothing_is_lost(at, spent)
        left = {task for task in asyncio.all_tasks() - before if "RequestHandler" not in repr(task)}
        assert left == set()


@pytest.mark.parametrize("pacing", PACINGS, ids=lambda pacing: pacing.mode)
async def test_cancelling_at_each_turn_of_the_loop_loses_nothing(pacing: Pacing) -> None:
    """A call with a throttle, a 503 and a reset is cancelled one turn of the loop later each time, up to its end."""
    spent, turns, ended = Spent(), 0, 0
    async with site(retry=RETRY, max_connections=1) as at:
        client = at.client.with_options(pacing=pacing, timeout=60, hooks=spent.hooks(pacing))
        while ended < 3:
            for number, kind in enumerate(KINDS):
                at.sim.faults.add(kind, times=1, skip=number)
            call = asyncio.create_task(client.describe_account())
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await call
                ended += 1
            # Finely at first; how many turns a call takes depends on how busy the machine is.
            turns += 1 + turns // 100
            # With one connection for all, what the cancelled call keeps is missing now.
            at.sim.faults.clear()
            await asyncio.wait_for(client.describe_account(), 60)

        await check_nothing_is_lost(at, spent)
    assert turns > 100
