"""Calls that wait for a connection: at the pace of their operation all the same."""

import asyncio
from operator import attrgetter

import pytest

from tests.http.clocks import sleepers
from tests.http.conftest import Connect
from tests.http.server import Answer, Recorded, ScriptedServer, ok
from workspaces_apps import DeadlineExceededError, Pacing
from workspaces_apps._http.transport import Transport
from workspaces_apps.simulator import ManualClock

PACE = 0.125
"""Seconds between two turns, which floating-point numbers can add up."""


def stalled(server: ScriptedServer, requests: int) -> asyncio.Event:
    """Let so many requests wait for an event, and answer the others at once."""
    go = asyncio.Event()

    def respond(_: Recorded) -> Answer:
        return Answer(after=go, body=b"{}") if len(server.requests) < requests else ok()

    server.respond(respond)
    return go


async def turns(clock: ManualClock, count: int) -> None:
    """Let so many turns come, and everybody do something in each."""
    for _ in range(count):
        clock.jump(PACE)
        for _ in range(10):
            await asyncio.sleep(0)


async def test_turns_that_come_without_a_connection_are_not_saved_up(
    server: ScriptedServer, connect: Connect
) -> None:
    """After a stall as many requests go as the rate and its burst allow, and no more."""
    clock = ManualClock()
    go = stalled(server, 2)
    ws = connect(clock=clock, max_connections=2, pacing=Pacing.fixed(1 / PACE, burst=1))
    calls = [asyncio.create_task(ws.describe_account()) for _ in range(20)]
    await server.arrived(1)
    await turns(clock, 1)
    await server.arrived(2)
    await turns(clock, 40)

    go.set()
    for number in range(3, 21):
        await server.arrived(number)
        while sum(call.done() for call in calls) < number:  # noqa: ASYNC110 - which call it is, nobody knows
            await asyncio.sleep(0.001)
        assert len(server.requests) == number
        await turns(clock, 1)

    await asyncio.gather(*calls)


async def test_calls_without_a_connection_go_in_the_order_they_came(
    server: ScriptedServer, connect: Connect
) -> None:
    """Those whose turns had come, and then those that came meanwhile."""
    clock = ManualClock()
    go = stalled(server, 1)
    ws = connect(clock=clock, max_connections=1, pacing=Pacing.fixed(1 / PACE, burst=1))
    calls: list[asyncio.Task[object]] = []
    for number in range(8):
        calls.append(
            asyncio.create_task(ws.describe_workspaces(workspace_ids=[f"ws-00000000{number}"]).first_page())
        )
        await turns(clock, 1)
    await server.arrived(1)

    go.set()
    while not all(call.done() for call in calls):
        await turns(clock, 1)
        await asyncio.sleep(0.001)

    asked = [request.json["WorkspaceIds"] for request in server.requests]
    assert asked == [[f"ws-00000000{number}"] for number in range(8)]


async def test_a_call_that_stops_waiting_for_a_connection_gives_its_turn_back(
    server: ScriptedServer, connect: Connect
) -> None:
    """Nothing of it stays in flight, and the next in the queue goes."""
    go = stalled(server, 1)
    ws = connect(max_connections=1, pacing=Pacing.adaptive())
    first = asyncio.create_task(ws.describe_account())
    await server.arrived(1)
    second, third = (asyncio.create_task(ws.describe_account()) for _ in range(2))
    await turns(ManualClock(), 1)
    transport: Transport = attrgetter("_shared._transport")(ws)
    (pacer,) = transport.queues
    assert (pacer.in_flight, transport.queued(pacer)) == (2, 2)

    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    go.set()
    await asyncio.gather(first, third)

    assert (pacer.idle, transport.queues, len(server.requests)) == (True, {}, 2)


async def test_operations_share_the_connections_whatever_the_number_of_their_calls(
    server: ScriptedServer, connect: Connect
) -> None:
    """One call of an operation need not wait until a hundred of another have gone."""
    go = stalled(server, 1)
    ws = connect(max_connections=1, pacing=Pacing.off())
    many = [asyncio.create_task(ws.describe_account()) for _ in range(100)]
    await server.arrived(1)
    one = asyncio.create_task(ws.describe_account_modifications().first_page())
    await turns(ManualClock(), 1)

    go.set()
    await asyncio.gather(*many)
    await one

    assert "DescribeAccountModifications" in server.operations[:5]


async def test_a_turn_that_cannot_come_in_time_is_refused_before_a_connection_is_free(
    server: ScriptedServer, connect: Connect
) -> None:
    """Calls that queue for a connection already are counted as ahead."""
    clock = ManualClock()
    stalled(server, 1)
    ws = connect(clock=clock, max_connections=1, pacing=Pacing.fixed(1.0, burst=1))
    calls = [asyncio.create_task(ws.describe_account()) for _ in range(5)]
    await server.arrived(1)
    await sleepers(clock, 1)
    for _ in range(8):
        await turns(clock, 8)

    with pytest.raises(DeadlineExceededError, match="its turn behind 4 other calls"):
        await ws.with_options(timeout=3).describe_account()

    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
