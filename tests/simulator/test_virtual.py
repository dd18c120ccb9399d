"""A loop in virtual time: sleeping costs nothing, and what can never end is told."""

import asyncio
import threading
import time

import pytest

from workspaces_apps import ConfigurationError
from workspaces_apps._base.clock import SystemClock, sleep_or, timeout
from workspaces_apps.simulator import ManualClock, _clocks
from workspaces_apps.simulator._clocks import DeadlockError, run_virtual


def test_sleepers_of_the_clock_and_of_the_loop_wake_in_their_order() -> None:
    """The clock and the loop's timers are one time, in which an hour takes none."""
    clock = ManualClock()
    woken: list[str] = []

    async def main() -> None:
        async def on_clock(seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append(f"clock {seconds:g}")

        async def on_loop(seconds: float) -> None:
            await asyncio.sleep(seconds)
            woken.append(f"loop {seconds:g}")

        await asyncio.gather(on_clock(3600), on_loop(2), on_clock(1), on_loop(3))

    began = time.monotonic()
    run_virtual(main(), clock)
    assert woken == ["clock 1", "loop 2", "loop 3", "clock 3600"]
    assert clock.monotonic() == 3600
    assert time.monotonic() - began < 60


def test_the_machines_own_clock_is_virtual_there_too() -> None:
    """A wait on the event loop's timers is bounded and cut short in the same time."""
    clock, system = ManualClock(), SystemClock()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with timeout(system, 7200):
                await sleep_or(system, 36_000, asyncio.Event())

    run_virtual(main(), clock)
    assert clock.monotonic() == pytest.approx(7200)


def test_the_shortest_sleep_takes_time() -> None:
    """Whoever sleeps for the last bit of a float until a moment has come sees it come."""
    clock = ManualClock()

    async def main() -> None:
        await asyncio.sleep(1)
        for _ in range(1000):
            await asyncio.sleep(3e-16)

    run_virtual(main(), clock)
    assert clock.monotonic() > 1 + 0.9e-6


def test_a_deadlock_is_told() -> None:
    """Where nobody waits for the clock, waiting on would be for ever."""

    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        run_virtual(main(), ManualClock())


def test_other_threads_are_waited_for_where_nobody_waits_for_the_clock() -> None:
    """The result of a thread comes, and takes no simulated time."""
    clock = ManualClock()

    async def main() -> str:
        return await asyncio.to_thread(lambda: "done")

    assert run_virtual(main(), clock) == "done"
    assert clock.monotonic() == 0


def test_a_clock_that_moves_by_itself_is_refused() -> None:
    """There must be one that moves the clock, not two."""
    with pytest.raises(ConfigurationError):
        run_virtual(asyncio.sleep(0), ManualClock(autojump=True))


def test_the_job_of_an_executor_takes_no_virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others that sleep meanwhile do not move the clock: what takes a moment of real time would take years of theirs."""
    # A busy machine may need long for the twentieth of a second.
    monkeypatch.setattr(_clocks, "_JOB_PATIENCE", 60.0)
    clock = ManualClock()

    async def ticking() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(60)

    async def main() -> float:
        ticks = asyncio.create_task(ticking())
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.05)
        ticks.cancel()
        return asyncio.get_running_loop().time()

    assert run_virtual(main(), clock) < 60


def test_a_job_that_waits_for_the_clock_stops_it_once() -> None:
    """The clock moves on after a second of real time, and for as long as the job lasts needs no more of it."""
    clock, released = ManualClock(), threading.Event()

    async def main() -> None:
        job = asyncio.get_running_loop().run_in_executor(None, released.wait)
        for _ in range(100):
            await asyncio.sleep(60)
        released.set()
        await job

    began = time.monotonic()
    run_virtual(main(), clock)

    assert clock.monotonic() >= 6000
    assert time.monotonic() - began < 60
