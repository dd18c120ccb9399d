"""Event loops that are closed, or stopped and dropped, with calls under way and in the line."""

import asyncio
import gc
import threading
import warnings

import pytest

from workspaces_apps._pacing import Pacing, Permit, RateLimiter
from workspaces_apps._pacing.rate_limiter import RateRule
from workspaces_apps.simulator import ManualClock
from workspaces_apps.simulator._clocks import run_virtual


def say_nothing(_loop: asyncio.AbstractEventLoop, _context: dict[str, object]) -> None:
    """Take note of nothing."""


def quiet_loop() -> asyncio.AbstractEventLoop:
    """An event loop that says nothing of tasks that are lost with it."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(say_nothing)
    return loop


async def crowd(pacer: RateLimiter, calls: int) -> list[asyncio.Task[None]]:
    """Calls that never end: eight of them under way, the others in the line."""

    async def call() -> None:
        with await pacer.acquire():
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(call()) for _ in range(calls)]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def call_at_once(pacer: RateLimiter) -> None:
    """Fail where a call does not get its turn before any time has passed."""
    (await pacer.acquire(deadline=0.0)).succeeded()


@pytest.mark.parametrize("calls", [8, 20])
def test_what_a_closed_loop_had_is_free_for_others(calls: int) -> None:
    """Its permits and its places in the line, although its tasks are still referred to."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.adaptive(), clock)
    loop = quiet_loop()
    tasks = loop.run_until_complete(crowd(pacer, calls))
    assert (pacer.in_flight, pacer.waiting) == (8, calls - 8)
    loop.close()
    run_virtual(call_at_once(pacer), clock)
    assert pacer.idle
    assert not any(task.done() for task in tasks)
    del tasks
    gc.collect()
    assert pacer.idle


@pytest.mark.parametrize("calls", [8, 20])
def test_what_a_lost_loop_had_is_free_for_others(calls: int) -> None:
    """Nothing of the pacer's keeps a loop, or its tasks, that was stopped and dropped."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.adaptive(), clock)
    loop = quiet_loop()
    loop.run_until_complete(crowd(pacer, calls))
    assert (pacer.in_flight, pacer.waiting) == (8, calls - 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del loop
        gc.collect()
    run_virtual(call_at_once(pacer), clock)
    assert pacer.idle


def test_who_waits_already_learns_of_a_loop_that_was_closed() -> None:
    """Without another call: whoever had the permits of that loop tells nobody."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.adaptive(), clock)
    loop = quiet_loop()
    tasks = loop.run_until_complete(crowd(pacer, 8))

    async def main() -> None:
        waiting = asyncio.create_task(pacer.acquire(clock=clock))
        await asyncio.sleep(0)
        assert pacer.waiting == 1
        loop.close()
        (await waiting).succeeded()
        assert clock.monotonic() <= 1.0

    run_virtual(main(), clock)
    assert len(tasks) == 8
    assert pacer.idle


def test_a_call_may_be_collected_while_the_pacer_is_at_work() -> None:
    """The garbage collector runs anywhere: a permit that ends within the pacer's own lock is seen to after it."""
    lost: list[Permit] = []

    class Collecting(RateRule):
        def delay(self, now: float, in_flight: int) -> float:
            while lost:
                lost.pop().close()
            return super().delay(now, in_flight)

    pacer = RateLimiter(Pacing.adaptive(), ManualClock(), Collecting())

    def work() -> None:
        permit = pacer.try_acquire()
        assert permit is not None
        lost.append(permit)
        assert pacer.try_acquire() is not None

    # A thread of its own, since one that waits for a lock that it holds does so for ever.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert pacer.in_flight == 1


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("turns", [1, 3])
def test_an_alarm_that_somebody_cancels_rings_all_the_same(turns: int, later: bool) -> None:
    """A program cancels all tasks but its own: whoever else is in the line, or comes later, gets a turn."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.fixed(1.0, 1), clock)

    async def main() -> None:
        (await pacer.acquire()).succeeded()
        calls = [asyncio.create_task(pacer.acquire())]
        # Before the first step of the alarm, and after it.
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task(), *calls}:
            task.cancel()
        if later:
            await asyncio.sleep(0)
            calls.append(asyncio.create_task(pacer.acquire()))
        for call in calls:
            (await call).succeeded()

    run_virtual(main(), clock)
    assert clock.monotonic() > 0
