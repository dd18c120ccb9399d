"""Bounding a block by a clock and cutting a sleep short, whatever comes at the same instant."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces_apps import Clock
from workspaces_apps._base.clock import Signal, SystemClock, Timeout, sleep_or, timeout
from workspaces_apps.simulator import ManualClock
from workspaces_apps.simulator._clocks import run_virtual

LONG = 1000.0
MOMENTS = st.integers(0, 3)


class BrokenClock(ManualClock):
    """A clock on which no sleep comes to its end."""

    async def sleep(self, _: float, /) -> None:
        """Fail after one turn of the loop."""
        await asyncio.sleep(0)
        raise OSError("the clock has stopped")


class ClockThatFailsToStop(ManualClock):
    """A clock whose sleep fails when it is cut short."""

    async def sleep(self, seconds: float, /) -> None:
        """Sleep, and fail if cancelled."""
        try:
            await super().sleep(seconds)
        except asyncio.CancelledError:
            raise OSError("the clock cannot be stopped") from None


class ClockThatIgnoresCancellation(ManualClock):
    """A clock whose sleep ends without an error when it is cut short."""

    async def sleep(self, seconds: float, /) -> None:
        """Sleep, and return early if cancelled."""
        with contextlib.suppress(asyncio.CancelledError):
            await super().sleep(seconds)


@contextlib.asynccontextmanager
async def leaving_nothing_behind(clock: ManualClock) -> AsyncGenerator[None]:
    """Check that one turn of the loop after the block there are the tasks and sleepers of before."""
    tasks, sleeping = asyncio.all_tasks(), clock.sleeping
    yield
    await asyncio.sleep(0)
    assert asyncio.all_tasks() <= tasks
    assert clock.sleeping <= sleeping


async def run_in(scope: Timeout, work: Awaitable[object]) -> None:
    """Do the work within the limit."""
    async with scope:
        await work


async def for_ever() -> None:
    """Wait for nothing."""
    await asyncio.get_running_loop().create_future()


def waiters_of(event: asyncio.Event) -> int:
    """Count the waiters of an event, which only its repr tells."""
    _, _, rest = repr(event).partition("waiters:")
    return int(rest.partition("]")[0]) if rest else 0


def count_down(clock: ManualClock, seconds: float, event: asyncio.Event) -> "asyncio.Task[None]":
    """Set an event after so many seconds."""

    async def later() -> None:
        await clock.sleep(seconds)
        event.set()

    return asyncio.create_task(later())


class TestTimeout:
    """`timeout`."""

    @pytest.mark.parametrize("seconds", [5, 0, -1])
    def test_it_ends_the_block_at_its_time_and_not_before(self, seconds: float) -> None:
        """A block that takes too long is ended at the limit; where that has passed already, where it first waits."""
        clock = ManualClock()

        async def main() -> None:
            reached: list[float] = []

            async def work() -> None:
                reached.append(clock.monotonic())
                await clock.sleep(LONG)

            scope = timeout(clock, seconds)
            assert not scope.expired()
            async with leaving_nothing_behind(clock):
                with pytest.raises(TimeoutError):
                    await run_in(scope, work())
                assert scope.expired()
                assert (reached, clock.monotonic()) == ([0], max(0, seconds))

        run_virtual(main(), clock)

    def test_a_block_in_time_leaves_nothing(self) -> None:
        """The result of a block that ends in time is its own, and nothing happens at the limit."""
        clock = ManualClock()

        async def main() -> None:
            async with leaving_nothing_behind(clock), timeout(clock, 5) as scope:
                await clock.sleep(3)
            await clock.sleep(LONG)
            assert not scope.expired()

        run_virtual(main(), clock)

    @pytest.mark.parametrize("seconds", [None, float("inf")])
    def test_no_limit_costs_no_timer(self, seconds: float | None) -> None:
        """Without a limit the block has no task and no sleeper, and may be given a limit later."""
        clock = ManualClock()

        async def main() -> None:
            scope = timeout(clock, seconds)

            async def work() -> None:
                await asyncio.sleep(0)
                assert len(asyncio.all_tasks()) == 1
                assert clock.sleeping == 0
                scope.reschedule(2)
                await clock.sleep(LONG)

            with pytest.raises(TimeoutError):
                await run_in(scope, work())
            assert clock.monotonic() == 2

        run_virtual(main(), clock)

    def test_it_can_be_rescheduled(self) -> None:
        """A new limit counts from when it is set, and takes the place of the one before."""
        clock = ManualClock()

        async def main() -> None:
            scope = timeout(clock, 5)

            async def work() -> None:
                await clock.sleep(4)
                scope.reschedule(5)
                await clock.sleep(LONG)

            async with leaving_nothing_behind(clock):
                with pytest.raises(TimeoutError):
                    await run_in(scope, work())
                assert clock.monotonic() == 9
            with pytest.raises(RuntimeError):
                scope.reschedule(1)

        run_virtual(main(), clock)

    def test_it_is_for_one_block(self) -> None:
        """Entering it a second time is refused."""

        async def main() -> None:
            scope = timeout(SystemClock(), 5)
            async with scope:
                pass
            with pytest.raises(RuntimeError):
                async with scope:
                    pass

        asyncio.run(main())

    def test_a_timeout_error_of_the_block_is_not_its_own(self) -> None:
        """A TimeoutError that the block raises passes, and `expired` tells it from the limit's."""
        clock = ManualClock()

        async def main() -> None:
            error = TimeoutError("of the block")
            scope = timeout(clock, 5)
            with pytest.raises(TimeoutError) as raised:
                async with scope:
                    raise error
            assert raised.value is error
            assert not scope.expired()

        run_virtual(main(), clock)

    def test_the_failure_of_the_clock_ends_the_block(self) -> None:
        """A limit that cannot be kept is not dropped in silence."""
        clock = BrokenClock()

        async def main() -> None:
            with pytest.raises(OSError, match="the clock has stopped"):
                await run_in(timeout(clock, 5), for_ever())
            current = asyncio.current_task()
            assert current is not None
            assert not current.cancelling()

        run_virtual(main(), clock)

    def test_leaving_does_not_suspend(self) -> None:
        """Nothing else runs between the block's end and what follows it."""
        clock = ManualClock()

        async def main() -> None:
            turns = 0

            def count() -> None:
                nonlocal turns
                turns += 1

            async with timeout(clock, 5):
                await clock.sleep(1)
                asyncio.get_running_loop().call_soon(count)
            assert turns == 0

        run_virtual(main(), clock)

    @given(inner=MOMENTS, outer=MOMENTS, work=MOMENTS)
    def test_nested_limits_end_their_own_block(self, inner: int, outer: int, work: int) -> None:
        """Whichever limit comes first ends its own block; the outer one also wins a tie."""
        clock = ManualClock()

        async def main() -> None:
            ended_by = "work"
            outer_scope = timeout(clock, outer)
            try:
                async with outer_scope:
                    try:
                        async with timeout(clock, inner):
                            await clock.sleep(work)
                    except TimeoutError:
                        ended_by = "inner"
                    await clock.sleep(LONG)
            except TimeoutError:
                ended_by = ended_by if clock.monotonic() < outer else f"{ended_by}, outer"
            moment = min(inner, work) if ended_by.startswith("inner") else work
            assert outer_scope.expired()
            assert clock.monotonic() == outer
            assert moment <= max(inner, work, outer)
            if inner < min(work, outer):
                assert ended_by == "inner, outer"
            if work < min(inner, outer) or outer < inner:
                assert ended_by == "work, outer"

        run_virtual(main(), clock)

    @given(limit=MOMENTS, work=MOMENTS, cancelled=MOMENTS, first=st.booleans())
    def test_cancellation_from_outside_is_never_lost(
        self, limit: int, work: int, cancelled: int, first: bool
    ) -> None:
        """A task that others cancel ends cancelled, whatever its timeout does at the same instant."""
        clock = ManualClock()

        async def bounded() -> None:
            outcome = ""
            try:
                async with timeout(clock, limit):
                    await clock.sleep(work)
                outcome = "work"
            except TimeoutError:
                outcome = "limit"
            finally:
                moment = clock.monotonic()
                if limit < min(work, cancelled):
                    assert (outcome, moment) == ("limit", limit)
                if 0 < work < min(limit, cancelled):
                    assert (outcome, moment) == ("work", work)
                if cancelled < min(limit, work):
                    assert (outcome, moment) == ("", cancelled)
            current = asyncio.current_task()
            assert current is not None
            # The limit's own cancellation is taken back.
            assert not current.cancelling()
            await clock.sleep(LONG)

        async def cancel_it(task: "asyncio.Task[None]") -> None:
            await clock.sleep(cancelled)
            task.cancel()

        async def main() -> None:
            if first:
                await asyncio.sleep(0)
            task = asyncio.create_task(bounded())
            if not first:
                await asyncio.sleep(0)
            await cancel_it(task)
            await asyncio.wait([task])
            assert task.cancelled()

        run_virtual(main(), clock)

    def test_the_machines_own_clock_takes_no_task(self) -> None:
        """With `SystemClock` a limit is a timer of the event loop, and no task."""

        async def main() -> None:
            scope = timeout(SystemClock(), 0.01)

            async def work() -> None:
                assert len(asyncio.all_tasks()) == 1
                await for_ever()

            began = time.monotonic()
            with pytest.raises(TimeoutError):
                await run_in(scope, work())
            assert scope.expired()
            assert time.monotonic() - began >= 0.01

        asyncio.run(main())


class TestSleepOr:
    """`sleep_or`."""

    def test_it_sleeps_its_time(self) -> None:
        """If nothing else happens the time passes, and None says so."""
        clock = ManualClock()

        async def main() -> None:
            event = asyncio.Event()
            future = asyncio.get_running_loop().create_future()
            async with leaving_nothing_behind(clock):
                assert await sleep_or(clock, 5, event, future) is None
                assert await sleep_or(clock, 5) is None
                assert await sleep_or(clock, -5, event) is None
            assert clock.monotonic() == 10
            assert waiters_of(event) == 0

        run_virtual(main(), clock)

    @pytest.mark.parametrize("seconds", [5, None, float("inf")])
    def test_a_signal_cuts_it_short(self, seconds: float | None) -> None:
        """An event that is set and a future that is done end the sleep there and then, with limit and without."""
        clock = ManualClock()

        async def main() -> None:
            event, other = asyncio.Event(), asyncio.Event()
            async with leaving_nothing_behind(clock):
                await asyncio.gather(
                    count_down(clock, 2, event),
                    self.expect(event, at=2, clock=clock, seconds=seconds, signals=(other, event)),
                )
                task = asyncio.create_task(clock.sleep(2))
                await self.expect(task, at=4, clock=clock, seconds=seconds, signals=(other, task))
            assert waiters_of(event) == waiters_of(other) == 0

        run_virtual(main(), clock)

    @staticmethod
    async def expect(
        signal: Signal, *, at: float, clock: Clock, seconds: float | None, signals: tuple[Signal, ...]
    ) -> None:
        """Sleep, and check what ended it and when."""
        assert await sleep_or(clock, seconds, *signals) is signal
        assert clock.monotonic() == at

    def test_a_signal_that_is_there_already_ends_it_at_once(self) -> None:
        """An event that was set before is not slept through, and the first of several is returned."""
        clock = ManualClock()

        async def main() -> None:
            first, second, unset = asyncio.Event(), asyncio.Event(), asyncio.Event()
            first.set()
            second.set()
            assert await sleep_or(clock, 5, unset, second, first) is second
            assert clock.monotonic() == 0

        run_virtual(main(), clock)

    def test_an_event_that_is_cleared_again_has_still_ended_it(self) -> None:
        """A pulse wakes the sleeper although the event is not set any more when the sleeper runs."""
        clock = ManualClock()

        async def main() -> None:
            event = asyncio.Event()

            async def pulse() -> None:
                await clock.sleep(2)
                event.set()
                event.clear()

            pulsing = asyncio.create_task(pulse())
            assert await sleep_or(clock, 5, asyncio.Event(), event) is event
            await pulsing

        run_virtual(main(), clock)

    def test_the_outcome_of_a_future_is_left_to_others(self) -> None:
        """A future that failed or was cancelled ends the sleep and raises nothing in it."""
        clock = ManualClock()

        async def main() -> None:
            failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            failed.set_exception(OSError("of somebody else"))
            dropped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            dropped.cancel()
            assert await sleep_or(clock, 5, failed) is failed
            assert await sleep_or(clock, 5, dropped) is dropped
            assert isinstance(failed.exception(), OSError)

        run_virtual(main(), clock)

    @pytest.mark.parametrize(
        "clock,error",
        [
            (BrokenClock(), "the clock has stopped"),
            (ClockThatFailsToStop(), "the clock cannot be stopped"),
            (ClockThatIgnoresCancellation(), None),
        ],
    )
    def test_the_errors_of_a_clock_are_raised(self, clock: ManualClock, error: str | None) -> None:
        """Also where its sleep is cut short; one that swallows cancellation takes none along to the sleeper."""

        async def main() -> None:
            event = asyncio.Event()
            setting = count_down(ManualClock(), 0 if error != "the clock has stopped" else LONG, event)
            with pytest.raises(OSError, match=error) if error else contextlib.nullcontext():
                assert await sleep_or(clock, 5, event) is event
            setting.cancel()
            current = asyncio.current_task()
            assert current is not None
            assert not current.cancelling()
            assert waiters_of(event) == 0

        run_virtual(main(), clock)

    @given(
        seconds=MOMENTS,
        moments=st.lists(MOMENTS, max_size=3),
        late=st.booleans(),
    )
    def test_whatever_comes_first_ends_it(self, seconds: int, moments: list[int], late: bool) -> None:
        """It ends when the first thing happens; of what happens at the same instant a signal is told."""
        clock = ManualClock()

        async def main() -> None:
            events = [asyncio.Event() for _ in moments]
            setting = [
                count_down(clock, moment, event) for moment, event in zip(moments, events, strict=True)
            ]
            if late:
                await asyncio.sleep(0)
            result = await sleep_or(clock, seconds, *events)
            first = min([seconds, *moments])
            assert clock.monotonic() == first
            if result is None:
                assert all(moment >= seconds for moment in moments)
                assert not any(event.is_set() for event in events)
            else:
                assert isinstance(result, asyncio.Event)
                assert moments[events.index(result)] == first
                assert result is next(event for event in events if event.is_set())
            assert not any(waiters_of(event) for event in events)
            await asyncio.gather(*setting)

        run_virtual(main(), clock)

    @given(seconds=MOMENTS, signalled=MOMENTS, cancelled=MOMENTS, first=st.booleans())
    def test_cancellation_from_outside_is_never_lost(
        self, seconds: int, signalled: int, cancelled: int, first: bool
    ) -> None:
        """A task that others cancel ends cancelled, whatever wakes its sleep at the same instant."""
        clock = ManualClock()

        async def main() -> None:
            event = asyncio.Event()

            async def sleeper() -> None:
                await sleep_or(clock, seconds, event)
                current = asyncio.current_task()
                assert current is not None
                assert not current.cancelling()
                await clock.sleep(LONG)

            task = asyncio.create_task(sleeper())
            setting = count_down(clock, signalled, event)
            if first:
                await asyncio.sleep(0)
            await clock.sleep(cancelled)
            task.cancel()
            await asyncio.wait([task, setting])
            assert task.cancelled()
            assert waiters_of(event) == 0

        run_virtual(main(), clock)

    def test_it_bounds_nothing_else(self) -> None:
        """Inside a `timeout` of the same length the limit ends the block, and the sleep returns nothing."""
        clock = ManualClock()

        async def main() -> None:
            with pytest.raises(TimeoutError):
                async with timeout(clock, 3):
                    await sleep_or(clock, 5, asyncio.Event())
            assert clock.monotonic() == 3

        run_virtual(main(), clock)


def test_the_clocks_are_told_apart_by_their_sleep() -> None:
    """A subclass of `SystemClock` with a sleep of its own is asked for every wait."""
    slept: list[float] = []

    class Recording(SystemClock):
        def now(self) -> datetime:
            return super().now()

        async def sleep(self, seconds: float, /) -> None:
            slept.append(seconds)
            await super().sleep(0)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await run_in(timeout(Recording(), 0.05), for_ever())

    asyncio.run(main())
    assert slept == [0.05]
