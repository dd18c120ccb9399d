"""The turnstile: order, deadlines, cancellation, several event loops."""

import asyncio
import math
import random
import statistics
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pacing.bucket import Bucket
from workspaces_apps._base.clock import SystemClock
from workspaces_apps._pacing import Pacing, Permit, RateLimiter
from workspaces_apps._retry import RetryPolicy, run_attempts
from workspaces_apps._telemetry.port import Hooks
from workspaces_apps.errors import (
    ConfigurationError,
    DeadlineExceededError,
    ThrottlingException,
    WorkSpacesError,
)
from workspaces_apps.simulator import ManualClock
from workspaces_apps.simulator._clocks import run_virtual


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_tasks_go_in_the_order_they_came() -> None:
    """At a fixed rate, the turns are evenly spaced and first come is first served."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.fixed(2.0), clock)
    went: list[tuple[int, float]] = []

    async def call(number: int) -> None:
        with await pacer.acquire(clock=clock):
            went.append((number, clock.monotonic()))

    async def main() -> None:
        await asyncio.gather(*(call(number) for number in range(5)))

    run_virtual(main(), clock)
    assert went == [(number, number * 0.5) for number in range(5)]


def test_nobody_overtakes_the_line() -> None:
    """A call that would be allowed at once still has to wait behind those who came before."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.fixed(1.0), clock)

    async def main() -> None:
        assert pacer.try_acquire() is not None
        waiting = asyncio.create_task(pacer.acquire(clock=clock))
        await settle()
        clock.jump(1.0)
        assert pacer.try_acquire() is None
        assert (await waiting).sent_at == 1.0

    run_virtual(main(), clock)


def test_the_ninth_call_waits_for_an_answer() -> None:
    """Before the first throttle eight are in flight, and a release lets the next one go without any clock."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.adaptive(), clock)

    async def main() -> None:
        permits = [await pacer.acquire(clock=clock) for _ in range(8)]
        ninth = asyncio.create_task(pacer.acquire(clock=clock))
        await settle()
        assert not ninth.done()
        permits[0].failed()
        await settle()
        assert ninth.done()
        assert (pacer.in_flight, pacer.waiting, clock.monotonic()) == (8, 0, 0.0)

    run_virtual(main(), clock)


def test_a_permit_counts_once() -> None:
    """The first word is the last: what follows frees no second slot and teaches nothing."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.adaptive(), clock)
    permit = pacer.try_acquire()
    assert permit is not None
    permit.failed()
    permit.throttled()
    permit.close()
    assert pacer.in_flight == 0
    assert pacer.rate is None


def test_leaving_the_block_of_a_permit_gives_the_slot_back() -> None:
    """Even if what was done in it failed."""
    pacer = RateLimiter(Pacing.adaptive(), ManualClock())
    permit = pacer.try_acquire()
    assert permit is not None
    with pytest.raises(KeyError), permit:
        raise KeyError
    assert pacer.in_flight == 0


def test_without_pacing_every_call_goes_at_once() -> None:
    """A thousand of them."""
    pacer = RateLimiter(Pacing.off(), ManualClock())
    assert all(pacer.try_acquire() for _ in range(1000))


@pytest.mark.parametrize(
    "rate,burst", [(0, 1), (math.nan, 1), (10**400, 1), (-(10**400), 1), (1, 10**400), (1e-300, 1), ("1", 1)]
)
def test_a_rate_that_cannot_be_kept_is_refused(rate: Any, burst: int) -> None:
    """Nor is one that would take for ever to fill its bucket."""
    with pytest.raises(ConfigurationError, match=r"^Pacing\."):
        Pacing.fixed(rate, burst)


def test_a_turn_that_cannot_come_in_time_is_refused_at_once() -> None:
    """Behind ten calls at one a second, five seconds are not enough; no time passes and nothing was sent."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.fixed(1.0), clock)

    async def main() -> None:
        tasks = [asyncio.create_task(pacer.acquire(clock=clock)) for _ in range(10)]
        await settle()
        with pytest.raises(DeadlineExceededError) as caught:
            await pacer.acquire(clock=clock, deadline=5.0)
        assert caught.value.request_sent is False
        assert clock.monotonic() == 0.0
        await asyncio.gather(*tasks)

    run_virtual(main(), clock)


def test_a_turn_that_comes_exactly_at_the_deadline_is_in_time() -> None:
    """The bound is inclusive."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.fixed(1.0), clock)

    async def main() -> None:
        for turn in range(4):
            permit = await pacer.acquire(clock=clock, deadline=float(turn))
            assert permit.sent_at == turn

    run_virtual(main(), clock)


def test_a_wait_without_an_estimate_ends_at_the_deadline() -> None:
    """When eight calls hang, the ninth learns at its deadline that its turn did not come."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.adaptive(), clock)

    async def main() -> None:
        for _ in range(8):
            pacer.try_acquire()
        late = asyncio.create_task(pacer.acquire(clock=clock, deadline=60.0))
        soon = asyncio.create_task(pacer.acquire(clock=clock, deadline=3.0))
        with pytest.raises(DeadlineExceededError):
            await soon
        assert clock.monotonic() == 3.0
        with pytest.raises(DeadlineExceededError):
            await late
        assert clock.monotonic() == 60.0
        assert pacer.waiting == 0

    run_virtual(main(), clock)


def test_a_deadline_in_the_past_sends_nothing() -> None:
    """Not even if a slot is free."""
    clock = ManualClock()
    clock.jump(10.0)
    pacer = RateLimiter(Pacing.adaptive(), clock)

    async def main() -> None:
        with pytest.raises(DeadlineExceededError):
            await pacer.acquire(clock=clock, deadline=9.0)

    run_virtual(main(), clock)
    assert pacer.idle


def test_cancelling_the_head_of_the_line_moves_the_line_up() -> None:
    """The next one gets the turn that the cancelled one would have had."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.fixed(1.0), clock)

    async def main() -> None:
        pacer.try_acquire()
        first, second = (asyncio.create_task(pacer.acquire(clock=clock)) for _ in range(2))
        await settle()
        first.cancel()
        await second
        assert clock.monotonic() == 1.0
        assert first.cancelled()

    run_virtual(main(), clock)


def test_a_turn_that_comes_together_with_a_cancellation_is_given_back() -> None:
    """The slot and the turn go to the next in line."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.adaptive(), clock)

    async def main() -> None:
        permits = [pacer.try_acquire() for _ in range(8)]
        unlucky, lucky = (asyncio.create_task(pacer.acquire(clock=clock)) for _ in range(2))
        await settle()
        assert permits[0] is not None
        permits[0].failed()
        unlucky.cancel()
        await lucky
        assert unlucky.cancelled()
        assert pacer.in_flight == 8

    run_virtual(main(), clock)


def test_a_turn_given_back_is_not_lost_time() -> None:
    """The next in line goes at once, and the one after that an interval later."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.fixed(1.0), clock)

    async def main() -> None:
        pacer.try_acquire()
        unlucky, second, third = (asyncio.create_task(pacer.acquire(clock=clock)) for _ in range(3))
        await settle()
        clock.jump(1.0)
        await asyncio.sleep(0)
        assert pacer.waiting == 2
        unlucky.cancel()
        assert [(await second).sent_at, (await third).sent_at] == [1.0, 2.0]
        assert unlucky.cancelled()

    run_virtual(main(), clock)


def test_an_eager_task_factory_does_no_harm() -> None:
    """The alarm is set under a lock, so it must not begin to run there."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.fixed(1.0), clock)
    eager = getattr(asyncio, "eager_task_factory", None)

    async def main() -> None:
        if eager is not None:
            asyncio.get_running_loop().set_task_factory(eager)
        await asyncio.gather(*(pacer.acquire(clock=clock) for _ in range(3)))
        assert clock.monotonic() == 2.0

    run_virtual(main(), clock)


def test_no_task_is_left_when_the_line_is_empty() -> None:
    """The alarm goes with the last who waits."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.fixed(1.0), clock)

    async def main() -> None:
        pacer.try_acquire()
        task = asyncio.create_task(pacer.acquire(clock=clock))
        await settle()
        task.cancel()
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main(), clock)


@pytest.mark.parametrize("pacing", [Pacing.adaptive(), Pacing.fixed(20.0, 3)], ids=lambda p: p.mode)
@pytest.mark.parametrize("seed", range(5))
def test_thousands_of_cancellations_lose_no_slot(pacing: Pacing, seed: int) -> None:
    """Whenever tasks are cancelled, in the end nothing is in flight and the pace is what it was."""
    clock = ManualClock()
    pacer = RateLimiter(pacing, clock)
    rng = random.Random(seed)
    bucket = Bucket(20.0, 5.0)
    done = 0

    async def call() -> None:
        nonlocal done
        deadline = clock.monotonic() + rng.uniform(1, 20) if rng.random() < 0.3 else None
        with await pacer.acquire(clock=clock, deadline=deadline) as permit:
            accepted = bucket.accepts(clock.monotonic())
            await clock.sleep(rng.uniform(0, 0.2))
            if accepted:
                permit.succeeded()
            else:
                permit.throttled()
            done += 1

    async def main() -> None:
        tasks: list[asyncio.Task[None]] = []
        for _ in range(1500):
            tasks.append(asyncio.create_task(call()))
            if rng.random() < 0.5:
                await clock.sleep(rng.uniform(0, 0.02))
            if rng.random() < 0.7:
                rng.choice(tasks[-40:]).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert pacer.idle
        started = clock.monotonic()
        await asyncio.gather(*(call() for _ in range(20)), return_exceptions=True)
        assert clock.monotonic() - started < 60.0
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main(), clock)
    assert pacer.idle
    assert done > 100


@given(
    st.lists(
        st.sampled_from(["come", "cancel first", "cancel last", "release", "throttle", "wait"]), max_size=60
    )
)
def test_slots_and_places_are_conserved(steps: list[str]) -> None:
    """At every moment, permits out and tasks waiting are exactly those that the tasks know of."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.adaptive(), clock)

    async def main() -> None:
        tasks: list[asyncio.Task[Permit]] = []
        held: list[Permit] = []
        for step in steps:
            if step == "come":
                tasks.extend(asyncio.create_task(pacer.acquire(clock=clock)) for _ in range(5))
            elif step.startswith("cancel") and tasks:
                tasks.pop(0 if step.endswith("first") else -1).cancel()
            elif step == "wait":
                await clock.sleep(0.3)
            elif held and step == "release":
                held.pop().succeeded()
            elif held and step == "throttle":
                held.pop(0).throttled()
            if step.startswith("cancel"):
                await settle()
                continue
            await settle()
            held += [task.result() for task in tasks if task.done()]
            tasks = [task for task in tasks if not task.done()]
            assert (pacer.in_flight, pacer.waiting) == (len(held), len(tasks))
        for task in tasks:
            task.cancel()

    run_virtual(main(), clock)


def test_event_loops_in_several_threads_share_one_pace() -> None:
    """Three loops together keep to the rate, and each gets its turns."""
    clock = SystemClock()
    pacer = RateLimiter(Pacing.fixed(200.0), clock)
    turns: list[float] = []

    async def work() -> None:
        async def call() -> None:
            with await pacer.acquire(clock=clock) as permit:
                turns.append(permit.sent_at)

        await asyncio.gather(*(call() for _ in range(20)))

    threads = [threading.Thread(target=lambda: asyncio.run(work())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(turns) == 60
    assert max(turns) - min(turns) >= 58 / 200
    assert pacer.idle


def test_a_release_in_one_thread_wakes_a_task_in_another() -> None:
    """The line is one, and so are the slots."""
    clock = SystemClock()
    pacer = RateLimiter(Pacing.adaptive(), clock)
    permits = [pacer.try_acquire() for _ in range(8)]

    async def main() -> None:
        task = asyncio.create_task(pacer.acquire(clock=clock))
        await settle()
        assert permits[0] is not None
        await asyncio.to_thread(permits[0].failed)
        (await asyncio.wait_for(task, 60)).close()

    asyncio.run(main())
    assert pacer.in_flight == 7


def test_a_clock_that_fails_fails_those_who_wait_for_it() -> None:
    """Otherwise they would wait for ever."""

    class BrokenClock(ManualClock):
        async def sleep(self, seconds: float, /) -> None:
            raise OSError(f"the clock is gone, {seconds:.0f} s too early")

    clock = BrokenClock()
    pacer = RateLimiter(Pacing.fixed(1.0), clock)

    async def main() -> None:
        pacer.try_acquire()
        with pytest.raises(OSError, match="the clock is gone"):
            await pacer.acquire(clock=clock)

    run_virtual(main(), clock)
    assert pacer.waiting == 0


@pytest.mark.parametrize("seed", range(6))
def test_the_main_bar_holds_with_the_real_pacer_and_the_real_retry_loop(seed: int) -> None:
    """10/s, burst 5, 500 calls from 50 tasks: all succeed, at most 2 % throttled, 1.06 of the ideal time."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.adaptive(), clock)
    rng = random.Random(seed)
    bucket = Bucket(10.0, 5.0)
    answers: list[bool] = []

    async def attempt(_: int) -> None:
        permit = pacer.try_acquire() or await pacer.acquire(clock=clock)
        with permit:
            took = rng.uniform(0.005, 0.1)
            await clock.sleep(took)
            accepted = bucket.accepts(clock.monotonic())
            await clock.sleep(took)
            answers.append(accepted)
            if not accepted:
                permit.throttled()
                raise ThrottlingException("Rate exceeded", code="ThrottlingException", http_status=400)
            permit.succeeded()

    def absorbed(_: WorkSpacesError) -> bool:
        return pacer.adapts_to_throttling

    async def worker() -> None:
        for _ in range(10):
            await run_attempts(
                attempt,
                operation="DescribeWorkspaces",
                policy=RetryPolicy(),
                budget=None,
                clock=clock,
                random=rng.random,
                hooks=Hooks(),
                repeatable=True,
                remaining=lambda: None,
                absorbed=absorbed,
            )

    async def main() -> None:
        await asyncio.gather(*(worker() for _ in range(50)))

    run_virtual(main(), clock)
    assert clock.monotonic() <= 1.06 * 50
    assert statistics.fmean(not accepted for accepted in answers[20:]) <= 0.02


def test_a_turn_that_was_renewed_counts_from_then_on() -> None:
    """It went after the last cut, so that its throttle says something new; and its earlier turn is not saved up."""
    clock = ManualClock()
    pacer = RateLimiter(Pacing.adaptive(), clock)
    early, late = pacer.try_acquire(), pacer.try_acquire()
    assert early is not None
    assert late is not None
    clock.jump(1.0)
    early.throttled()
    before = pacer.rate
    clock.jump(9.0)

    pacer.renew(late)

    assert late.sent_at == 10.0
    assert pacer.try_acquire() is None
    late.throttled()
    assert before is not None
    assert pacer.rate is not None
    assert pacer.rate < before
