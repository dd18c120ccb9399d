"""`timeout`: one bound around a call with everything in it."""

import asyncio
import contextlib

import pytest

from tests.http.clocks import sleepers
from tests.http.conftest import Connect
from tests.http.server import Answer, ScriptedServer, fault, ok
from workspaces_apps import AttemptRecord, DeadlineExceededError, Hooks, Pacing, RetryPolicy, TransportError
from workspaces_apps.simulator import ManualClock

UNAVAILABLE = Answer(status=503)


async def failure(call: asyncio.Task[object]) -> DeadlineExceededError:
    """The error that the call fails with, which must be its deadline."""
    with pytest.raises(DeadlineExceededError) as caught:
        await call
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, TransportError)
    return caught.value


async def test_a_server_that_hangs_is_given_up_at_the_deadline(
    server: ScriptedServer, connect: Connect
) -> None:
    """When the timeout has passed on the clock, the call ends, with what is known of it."""
    clock, never = ManualClock(), asyncio.Event()
    server.script(Answer(after=never))
    call = asyncio.create_task(connect(clock=clock, timeout=3).describe_account())
    await server.arrived(1)

    clock.jump(2.9)
    done, _ = await asyncio.wait([call], timeout=0.02)
    assert not done
    clock.jump(0.2)
    error = await failure(call)

    assert (error.operation, error.attempts, error.request_sent) == ("DescribeAccount", 1, None)
    assert "3 s" in str(error)


async def test_an_attempt_that_the_deadline_ends_is_reported(
    server: ScriptedServer, connect: Connect
) -> None:
    """Whoever counts attempts is told of those that were given up, too; of those before, once each."""
    clock, told = ManualClock(), list[AttemptRecord]()
    server.script(UNAVAILABLE, Answer(after=asyncio.Event()))
    ws = connect(clock=clock, timeout=3, hooks=Hooks(on_attempt=told.append))
    call = asyncio.create_task(ws.describe_account())
    await server.arrived(1)
    await sleepers(clock, 2)
    clock.jump(0.1)
    await server.arrived(2)
    clock.jump(3)

    with pytest.raises(DeadlineExceededError) as caught:
        await call

    assert [record.attempt for record in told] == [1, 2]
    assert (told[1].error, told[1].outcome) == (caught.value, "fatal")
    assert 2.9 < told[1].elapsed <= 3.1


async def test_a_backoff_beyond_the_deadline_is_not_begun(server: ScriptedServer, connect: Connect) -> None:
    """Where the next attempt would come too late, the call fails at once, from what it failed with."""
    clock = ManualClock()
    server.script(fault("ThrottlingException", "Rate exceeded"))

    call = asyncio.create_task(connect(clock=clock, timeout=0.4).describe_account())
    error = await failure(call)

    assert (error.code, error.attempts, clock.monotonic()) == ("ThrottlingException", 1, 0.0)
    assert error.__cause__ is not None


async def test_the_deadline_spans_all_attempts(server: ScriptedServer, connect: Connect) -> None:
    """Each attempt has less time than the one before: the bound is around the whole call."""
    clock, never = ManualClock(), asyncio.Event()
    server.script(UNAVAILABLE, Answer(after=never))
    policy = RetryPolicy(transient_base=2)
    call = asyncio.create_task(connect(clock=clock, timeout=3, retry=policy).describe_account())
    await server.arrived(1)
    await sleepers(clock, 2)
    clock.jump(1)
    await server.arrived(2)

    clock.jump(2.1)
    error = await failure(call)

    assert error.attempts == 2
    assert isinstance(error.__cause__, Exception)
    assert "503" in str(error.__cause__)


async def test_a_turn_that_cannot_come_in_time_fails_at_once(
    server: ScriptedServer, connect: Connect
) -> None:
    """The pace is known, so the call need not wait to know that it is late; nothing was sent."""
    clock = ManualClock()
    server.script(ok(), ok())
    ws = connect(clock=clock, timeout=3, pacing=Pacing.fixed(rate=0.1))

    await ws.describe_account()
    error = await failure(asyncio.create_task(ws.describe_account()))

    assert error.request_sent is False
    assert (len(server.requests), clock.monotonic()) == (1, 0.0)


async def test_waiting_for_a_connection_counts(server: ScriptedServer, connect: Connect) -> None:
    """A call that gets no slot in time fails, and says that nothing was sent."""
    clock, never = ManualClock(), asyncio.Event()
    server.script(Answer(after=never))
    ws = connect(clock=clock, max_connections=1)
    first = asyncio.create_task(ws.describe_account())
    await server.arrived(1)
    second = asyncio.create_task(ws.with_options(timeout=2).describe_account())
    await sleepers(clock, 1)
    await asyncio.sleep(0.01)

    clock.jump(2.1)
    error = await failure(second)

    assert (error.request_sent, len(server.requests)) == (False, 1)
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first


async def test_without_a_timeout_there_is_no_limit(server: ScriptedServer, connect: Connect) -> None:
    """None, the default and as an option: a year later the call is still waiting, and then succeeds."""
    clock, go = ManualClock(), asyncio.Event()
    server.script(Answer(after=go))
    ws = connect(clock=clock, timeout=1).with_options(timeout=None)
    call = asyncio.create_task(ws.describe_account())
    await server.arrived(1)

    clock.jump(365 * 86400)
    await asyncio.sleep(0.01)
    go.set()

    assert (await call).meta.attempts == 1


async def test_a_call_in_time_leaves_nothing_behind(server: ScriptedServer, connect: Connect) -> None:
    """The watch on the deadline ends with the call, and the caller's own timeouts are not mistaken for it."""
    clock = ManualClock()
    server.script(ok(), Answer(after=asyncio.Event()))
    ws = connect(clock=clock, timeout=5)

    await ws.describe_account()
    await asyncio.sleep(0)
    assert clock.sleeping == 0

    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.02):
            await ws.describe_account()
    assert not isinstance(caught.value, DeadlineExceededError)


async def test_cancelling_a_call_with_a_deadline_cancels_it(server: ScriptedServer, connect: Connect) -> None:
    """A cancellation from outside is no deadline."""
    never = asyncio.Event()
    server.script(Answer(after=never))
    call = asyncio.create_task(connect(clock=ManualClock(), timeout=5).describe_account())
    await server.arrived(1)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
