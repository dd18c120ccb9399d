"""The shared poller by itself, in virtual time: rounds, deadlines, comings and goings."""

import asyncio
from collections.abc import Mapping

import pytest

from workspaces_apps import ClientStateError, Clock, PollPolicy, WaiterTimeoutError, WorkSpacesError
from workspaces_apps.simulator import ManualClock
from workspaces_apps.simulator._virtual import run_virtual
from workspaces_apps.waiters.poller import Alarm, Poller, Wait, too_late
from workspaces_apps.waiters.share import RateShare

POLICY = PollPolicy(min_delay=5, max_delay=20, growth=2, jitter=0)


class Bell(Wait[float]):
    """A wait for a moment."""

    __slots__ = ("rings_at",)

    def __init__(self, clock: Clock, rings_at: float, *, timeout: float | None = None) -> None:
        super().__init__("bell", policy=POLICY, began=clock.monotonic(), timeout=timeout)
        self.rings_at = rings_at

    def last(self) -> Mapping[str, object]:
        """Nothing to tell."""
        return {"bell": self.rings_at}

    def late(self) -> WorkSpacesError:
        """Its time is up."""
        return too_late("the bell did not ring", self.deadline - self.began)


class Listener(Poller[Bell]):
    """Looks whether bells have rung; each look takes `takes` seconds."""

    def __init__(self, clock: ManualClock, takes: float = 0.0) -> None:
        super().__init__(clock, lambda: 0.5)
        self.takes = takes
        self.looks: list[tuple[float, int]] = []
        self.breaks_with: Exception | None = None

    async def look(self, due: list[Bell], at: float, chance: float) -> None:
        """Look once at all."""
        self.looks.append((at, len(due)))
        if self.breaks_with is not None:
            raise self.breaks_with
        if self.takes:
            await self.clock.sleep(self.takes)
        now = self.clock.monotonic()
        for wait in due:
            wait.looked(at, now, changed=False, chance=chance)
            if now >= wait.rings_at:
                wait.succeed(now)


async def ring(poller: Listener, rings_at: float, *, limit: float | None = None) -> float:
    """Wait as the client's methods do."""
    wait = Bell(poller.clock, rings_at, timeout=limit)
    poller.join(wait)
    try:
        return await wait.future
    finally:
        poller.leave(wait)


def test_delays_grow_to_the_longest() -> None:
    """5, 10, 20, 20: counted from the beginning of one round to that of the next."""
    clock = ManualClock()
    poller = Listener(clock, takes=1.0)

    assert run_virtual(ring(poller, 70), clock) == 76
    assert [at for at, _ in poller.looks] == [0, 5, 15, 35, 55, 75]


def test_what_is_nearly_due_comes_to_share_rounds() -> None:
    """Waits that begin at different times are looked at together once a fifth of the delay is all between them."""
    clock = ManualClock()
    poller = Listener(clock)

    async def later(seconds: float) -> float:
        await clock.sleep(seconds)
        return await ring(poller, 400)

    async def main() -> None:
        await asyncio.gather(later(0), later(17))

    run_virtual(main(), clock)
    assert {count for at, count in poller.looks if at > 100} == {2}


def test_the_deadline_is_kept_with_one_last_look() -> None:
    """The last look is at the deadline, also if a round was under way then."""
    clock = ManualClock()
    poller = Listener(clock, takes=3.0)

    async def main() -> None:
        with pytest.raises(WaiterTimeoutError, match="within 37 s"):
            await ring(poller, 1000, limit=37)

    run_virtual(main(), clock)
    assert [at for at, _ in poller.looks] == [0, 5, 15, 35, 38]
    assert clock.monotonic() == 41


def test_a_look_that_hangs_does_not_hold_up_the_deadline() -> None:
    """Half a minute after the deadline the wait ends, whatever the look does; a shorter wait comes first."""
    clock = ManualClock()
    poller = Listener(clock, takes=1e6)
    ended: list[float] = []

    async def one(limit: float) -> None:
        with pytest.raises(WaiterTimeoutError):
            await ring(poller, 1e9, limit=limit)
        ended.append(clock.monotonic())

    async def main() -> None:
        await asyncio.gather(one(50), one(10), one(100))
        assert not poller.running
        await clock.sleep(1)
        assert not poller.tasks

    run_virtual(main(), clock)
    assert ended == [40, 80, 130]


def test_what_breaks_the_poller_reaches_every_wait() -> None:
    """An error nobody foresaw ends the waits instead of leaving them for ever."""
    clock = ManualClock()

    async def broken(error: Exception) -> list[object]:
        poller = Listener(clock)
        poller.breaks_with = error
        return list(await asyncio.gather(*(ring(poller, 10) for _ in range(2)), return_exceptions=True))

    async def main() -> None:
        assert [type(one) for one in await broken(ZeroDivisionError())] == [ZeroDivisionError] * 2
        assert [type(one) for one in await broken(WorkSpacesError("so"))] == [WorkSpacesError] * 2

    run_virtual(main(), clock)


def test_the_poller_ends_with_the_last_wait_and_begins_again_with_the_next() -> None:
    """No task is left between, whether the last wait ended or was cancelled."""
    clock = ManualClock()
    poller = Listener(clock)

    async def main() -> None:
        await ring(poller, 0)
        await asyncio.sleep(0)
        assert not poller.running
        assert not poller.tasks

        waiting = asyncio.create_task(ring(poller, 100, limit=1000))
        await clock.sleep(12)
        waiting.cancel()
        await asyncio.wait([waiting])
        await asyncio.sleep(0)
        assert not poller.tasks
        assert clock.sleeping == 0

        assert await ring(poller, clock.monotonic() + 1) > 12

    run_virtual(main(), clock)


def test_closing_ends_all_waits_with_copies_of_one_error() -> None:
    """Each wait's error has its own last observation."""
    clock = ManualClock()
    poller = Listener(clock)

    async def main() -> None:
        waits = [asyncio.create_task(ring(poller, 50 + number)) for number in range(2)]
        await clock.sleep(6)
        poller.close(ClientStateError("closed"))
        first, second = await asyncio.gather(*waits, return_exceptions=True)
        assert isinstance(first, ClientStateError)
        assert isinstance(second, ClientStateError)
        assert (first.last, second.last) == ({"bell": 50}, {"bell": 51})
        with pytest.raises(ClientStateError):
            poller.join(Bell(clock, 1))

    run_virtual(main(), clock)


def test_another_event_loop_is_refused_while_one_waits() -> None:
    """A client belongs to one loop; once nobody waits, another may begin."""
    clock = ManualClock()
    poller = Listener(clock)

    async def begin() -> None:
        poller.join(Bell(clock, 1000))
        await clock.sleep(1)

    async def join() -> None:
        with pytest.raises(ClientStateError, match="another event loop"):
            poller.join(Bell(clock, 1000))
        poller.waits.clear()
        assert await ring(poller, 0) >= 0

    run_virtual(begin(), clock)
    run_virtual(join(), clock)


def test_a_broken_clock_breaks_the_sleep() -> None:
    """What the clock raises comes out of the sleep, and is not taken for its end."""

    class Broken(ManualClock):
        async def sleep(self, seconds: float, /) -> None:
            raise OSError(f"no time to sleep {seconds} s")

    clock = Broken()

    async def main() -> None:
        with pytest.raises(OSError, match="no time"):
            await Alarm(clock).sleep(1)

    run_virtual(main(), clock)


def test_polls_take_half_of_a_known_rate() -> None:
    """Spaced by twice the rate's interval, and not at all while no rate is known."""
    clock = ManualClock()
    rate: float | None = None

    async def known(_: str) -> float | None:
        return rate

    async def main() -> list[float]:
        nonlocal rate
        share = RateShare(clock, known)
        turns: list[float] = []
        for number in range(7):
            rate = 2.0 if number >= 3 else None
            await share.turn("DescribeWorkspaces")
            turns.append(clock.monotonic())
        await share.turn("DescribeWorkspaceImages")
        assert clock.monotonic() == turns[-1]
        return turns

    assert run_virtual(main(), clock) == [0, 0, 0, 1, 2, 3, 4]
