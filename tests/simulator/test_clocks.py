"""The clocks: time that stands still, time that runs fast, and time that jumps when nothing else can happen."""

import asyncio
import inspect
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces_apps._base.clock import Clock
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator import ManualClock, RealClock, ScaledClock, SimulatorClock, _clocks
from workspaces_apps.simulator._clocks import (
    _EXECUTORS,  # pyright: ignore[reportPrivateUsage]
    Activity,
    _is_idle,  # pyright: ignore[reportPrivateUsage]
    executors_work,
)


class Foreign:
    """A loop that is not asyncio's own, such as uvloop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


@pytest.mark.parametrize("clock", [RealClock(), ScaledClock(60), ManualClock()])
def test_every_clock_is_the_packages_clock(clock: SimulatorClock) -> None:
    """Each can be a client's clock, and tells the time in UTC."""
    assert isinstance(clock, Clock)
    assert clock.now().tzinfo == UTC
    assert clock.now().timestamp() == pytest.approx(clock.timestamp(), abs=1)


def test_a_manual_clock_stands_still() -> None:
    """Real time does nothing to it, and it always starts at the same moment."""
    clock = ManualClock()
    before = clock.now()
    time.sleep(0.002)

    assert clock.now() == before == ManualClock().now()


async def test_advancing_wakes_whoever_is_due_and_nobody_else() -> None:
    """At their own moments, in order."""
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    tasks = [asyncio.create_task(sleeper(name, at)) for name, at in (("c", 400), ("a", 60), ("b", 300))]
    await clock.advance(minutes=5)

    assert woken == [("a", 60.0), ("b", 300.0)]
    assert clock.monotonic() == 300
    assert clock.sleeping == 1
    await clock.advance(timedelta(seconds=100))
    await asyncio.gather(*tasks)


async def test_advancing_passes_through_sleeps_that_begin_on_the_way() -> None:
    """A sleeper that sleeps again within the time is woken again."""
    clock = ManualClock()
    beats: list[float] = []

    async def metronome() -> None:
        for _ in range(5):
            await clock.sleep(60)
            beats.append(clock.monotonic())

    task = asyncio.create_task(metronome())
    await clock.advance(minutes=3.5)

    assert beats == [60.0, 120.0, 180.0]
    task.cancel()


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    """It holds back neither the count nor a jump."""
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(10))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert clock.sleeping == 0


async def test_autojump_runs_a_day_in_no_time() -> None:
    """Hours of sleeping, in far less than a real one."""
    clock = ManualClock(autojump=True)
    began = time.monotonic()

    for _ in range(24):
        await clock.sleep(3600)

    assert clock.monotonic() == 86_400
    assert time.monotonic() - began < 600


async def test_autojump_goes_to_the_next_sleeper_first() -> None:
    """Order is that of simulated time, however many sleep."""
    clock = ManualClock(autojump=True)
    woken: list[int] = []

    async def sleeper(seconds: int) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    await asyncio.gather(*(sleeper(seconds) for seconds in (50, 10, 40, 20, 30)))

    assert woken == [10, 20, 30, 40, 50]


async def test_autojump_waits_for_a_request_in_flight() -> None:
    """Nobody's deadline passes while an answer is being made."""
    clock = ManualClock(autojump=True)
    activity = Activity()
    clock.attach(activity)
    activity.begin()
    task = asyncio.create_task(clock.sleep(60))
    await asyncio.sleep(0.05)
    assert not task.done()

    activity.end()
    await task
    clock.detach(activity)
    assert clock.monotonic() == 60


async def test_autojump_waits_for_work_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that computes for a tenth of a second is not overtaken."""
    # A busy machine may need long for the tenth of a second.
    monkeypatch.setattr(_clocks, "_BUSY_PATIENCE", 60.0)
    clock = ManualClock(autojump=True)

    def work() -> float:
        until = time.perf_counter() + 0.1
        while time.perf_counter() < until:
            pass
        return clock.monotonic()

    task = asyncio.create_task(clock.sleep(60))
    assert await asyncio.to_thread(work) == 0
    await task


def test_autojump_counts_turns_on_asyncios_own_loops_only() -> None:
    """Another loop may turn faster than anything that is on its way can arrive, which it has milliseconds for."""
    loop = asyncio.new_event_loop()
    clock = ManualClock(autojump=True)

    async def run() -> float:
        asyncio._set_running_loop(Foreign(loop))  # type: ignore[arg-type]  # it passes for one
        arrived = loop.create_future()
        loop.call_later(0.002, lambda: arrived.set_result(clock.monotonic()))
        sleeper = loop.create_task(clock.sleep(60))
        at: float = await arrived
        await sleeper
        return at

    try:
        assert loop.run_until_complete(run()) == 0
    finally:
        loop.close()
    assert clock.monotonic() == 60


@given(st.floats(0.01, 10_000), st.floats(0.001, 0.01))
def test_a_scaled_clock_keeps_its_factor(factor: float, pause: float) -> None:
    """Its time and the machine's are proportional."""
    clock = ScaledClock(factor)
    outer, scaled, inner = time.monotonic(), clock.monotonic(), time.monotonic()
    time.sleep(pause)
    least, passed, most = time.monotonic() - inner, clock.monotonic() - scaled, time.monotonic() - outer

    # However late this process gets its turn in between, the reading lies between the two others.
    assert least * factor * (1 - 1e-6) <= passed <= most * factor * (1 + 1e-6)


async def test_a_scaled_clocks_sleep_is_shorter() -> None:
    """A minute in a hundredth of a second."""
    clock = ScaledClock(6000)
    began = time.monotonic()

    await clock.sleep(60)

    assert 0.009 < time.monotonic() - began < 50


def test_a_clock_can_be_caught_up_with_a_saved_state() -> None:
    """Wall time moves forward, never back; monotonic time does not."""
    clock = ManualClock()
    later = clock.timestamp() + 1000
    clock.catch_up(later)
    clock.catch_up(0)

    assert clock.timestamp() == later
    assert clock.monotonic() == 0


def test_impossible_clocks_are_refused() -> None:
    """A factor that is no factor, a start without a zone."""
    for factor in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ConfigurationError):
            ScaledClock(factor)
    with pytest.raises(ConfigurationError):
        ManualClock(start=datetime(2026, 1, 1))  # noqa: DTZ001 - what must be refused
    with pytest.raises(ConfigurationError):
        ManualClock(quiet_checks=0)


@pytest.mark.parametrize("jobs, idle", [(0, True), (1, False)])
def test_a_job_in_the_queue_of_an_executor_is_work(jobs: int, idle: bool) -> None:
    """Its thread may wake late on a busy machine, and stands still until then as one does that has nothing to do."""
    queue: SimpleQueue[object] = SimpleQueue()
    for _ in range(jobs):
        queue.put(object())

    # The frame of an executor's thread, as the standard library's own function of that name has it.
    source = "def _worker(work_queue):\n    return inspect.currentframe()\n"
    space: dict[str, Any] = {"inspect": inspect}
    exec(compile(source, _EXECUTORS, "exec"), space)

    assert _is_idle(space["_worker"](queue)) is idle


def test_the_jobs_of_executors_are_work_but_for_reads_from_sockets() -> None:
    """However deep in a job the thread is, and without going through the callers of where it is."""
    ours, theirs = socket.socketpair()
    began, over = threading.Event(), threading.Event()

    def waits() -> bool:
        began.set()
        return over.wait()

    def receives() -> bytes:
        # As http.client waits for an answer: in a function of that name, which is written in Python.
        def recv_into() -> bytes:
            began.set()
            return ours.recv(1)

        return recv_into()

    def rest() -> bool:
        """Until the thread is where it waits, which a busy machine takes its time for."""
        patience = time.monotonic() + 240
        while (works := executors_work()) and time.monotonic() < patience:
            time.sleep(0.001)
        return not works

    with ours, theirs, ThreadPoolExecutor(1) as executor:
        executor.submit(int).result()
        idle = rest()
        waiting = executor.submit(waits)
        began.wait()
        at_work = executors_work()
        over.set()
        waiting.result()
        began.clear()
        receiving = executor.submit(receives)
        began.wait()
        reading = rest()
        theirs.send(b"x")
        receiving.result()

    assert (idle, at_work, reading) == (True, True, True)
