"""Opening and closing: when, on which event loop, and what becomes of calls under way."""

import asyncio
import contextlib
from operator import attrgetter

import aiohttp
import pytest

from tests.http.clocks import SkippingClock, sleepers
from tests.http.conftest import CREDENTIALS, Connect, make_config
from tests.http.server import Answer, ScriptedServer, ok
from workspaces_apps import (
    ClientStateError,
    ConfigurationError,
    Credentials,
    CredentialsError,
    Pacing,
    RetryPolicy,
    WorkSpacesClient,
)
from workspaces_apps.api import DescribeWorkspaceAssociationsResult, WorkSpaceAssociatedResourceTypeLike
from workspaces_apps.simulator import ManualClock, Simulator
from workspaces_apps.types import Many


class Gate:
    """A provider that waits until it may answer.

    Attributes:
        asked: Set once somebody has asked.
        go: Set it to let the provider answer.
        failing: Whether it fails instead.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self.failing = False
        self.count = 0

    async def get_credentials(self) -> Credentials:
        """The credentials, in time."""
        self.count += 1
        self.asked.set()
        await self.go.wait()
        if self.failing:
            raise CredentialsError("not yet")
        return CREDENTIALS


async def over(before: set["asyncio.Task[object]"]) -> None:
    """Return once the tasks that were begun since are over, but for the server's; nobody waits for them."""
    async with asyncio.timeout(60):
        while {task for task in asyncio.all_tasks() - before if "RequestHandler" not in repr(task)}:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_a_client_opens_with_its_first_call(server: ScriptedServer, connect: Connect) -> None:
    """Making one asks nobody for anything; the first call does, and the second not again."""
    gate = Gate()
    gate.go.set()
    server.script(ok(), ok())
    ws = connect(credentials=gate)
    assert gate.count == 0

    await ws.describe_account()
    await ws.describe_account()

    assert gate.count == 1


async def test_a_client_needs_no_event_loop_to_be_made() -> None:
    """The constructor may run where there is no loop."""

    def make() -> WorkSpacesClient:
        return WorkSpacesClient(region="eu-west-1")

    await (await asyncio.to_thread(make)).aclose()


async def test_async_with_opens_and_closes(server: ScriptedServer) -> None:
    """Entering opens; after leaving, calls are refused with nothing sent."""
    gate = Gate()
    gate.go.set()
    client = WorkSpacesClient(region="eu-west-1", endpoint_url=server.url, credentials=gate)

    async with client as entered:
        assert entered is client
        assert gate.count == 1

    with pytest.raises(ClientStateError, match="closed"):
        await client.describe_account()
    assert server.requests == []


@pytest.mark.parametrize("used", [True, False])
async def test_a_closed_client_stays_closed(server: ScriptedServer, connect: Connect, used: bool) -> None:
    """Closing twice is allowed, used or not; calling, listing and entering afterwards is not."""
    server.respond(lambda _: ok())
    ws = connect()
    if used:
        await ws.describe_account()
    before = len(server.requests)

    await ws.aclose()
    await ws.aclose()

    with pytest.raises(ClientStateError):
        await ws.describe_account()
    with pytest.raises(ClientStateError):
        await ws.describe_applications().collect()
    with pytest.raises(ClientStateError):
        await ws.__aenter__()
    assert len(server.requests) == before


def test_a_client_belongs_to_its_event_loop() -> None:
    """On another loop calls and closing are refused; on its own it still works, and closes."""
    client = WorkSpacesClient(
        region="eu-west-1", endpoint_url="http://127.0.0.1:9", credentials=CREDENTIALS, config=make_config()
    )

    async def use_elsewhere() -> None:
        with pytest.raises(ClientStateError, match="another event loop"):
            await client.describe_account()
        with pytest.raises(ClientStateError, match="another event loop"):
            await client.aclose()

    with asyncio.Runner() as own, asyncio.Runner() as other:
        own.run(client.__aenter__())
        other.run(use_elsewhere())
        own.run(client.aclose())


async def test_closing_fails_calls_under_way(server: ScriptedServer, connect: Connect) -> None:
    """Calls that wait for their answer, or for a connection, end with an error that says why."""
    never = asyncio.Event()
    server.respond(lambda _: Answer(after=never))
    ws = connect(max_connections=2)
    calls = [asyncio.create_task(ws.describe_account()) for _ in range(4)]
    await server.arrived(2)

    await ws.aclose()
    outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 60)

    assert [type(outcome) for outcome in outcomes] == [ClientStateError] * 4
    assert all("closed" in str(outcome) for outcome in outcomes)
    assert len(server.requests) == 2


async def test_closing_tells_of_a_creation_under_way(server: ScriptedServer, connect: Connect) -> None:
    """A call that may have been carried out and must not be repeated says so, also when we ended it ourselves."""
    server.respond(lambda _: Answer(after=asyncio.Event()))
    ws = connect()
    call = asyncio.create_task(ws.create_ip_group(group_name="office"))
    await server.arrived(1)

    await ws.aclose()

    with pytest.raises(ClientStateError, match="outcome is unknown"):
        await asyncio.wait_for(call, 60)


async def test_closing_ends_a_backoff(server: ScriptedServer, connect: Connect) -> None:
    """A call between two attempts ends at once, without another request, and leaves no sleeper."""
    clock = ManualClock()
    server.script(Answer(status=503))
    ws = connect(clock=clock)
    call = asyncio.create_task(ws.describe_account())
    await sleepers(clock, 1)

    await ws.aclose()

    with pytest.raises(ClientStateError, match="closed") as caught:
        await asyncio.wait_for(call, 60)
    assert (caught.value.operation, caught.value.attempts) == ("DescribeAccount", 1)
    assert (len(server.requests), clock.sleeping) == (1, 0)


@pytest.mark.parametrize("bound", [None, 3600])
async def test_closing_ends_the_wait_for_a_turn(
    server: ScriptedServer, connect: Connect, bound: float | None
) -> None:
    """Calls that are not yet their pacer's turn end at once, nothing of them sent, and nobody sleeps on."""
    clock = ManualClock()
    server.respond(lambda _: ok())
    ws = connect(clock=clock, pacing=Pacing.fixed(rate=0.01), timeout=bound)
    await ws.describe_account()
    calls = [asyncio.create_task(ws.describe_account()) for _ in range(3)]
    await sleepers(clock, 1)

    await ws.aclose()
    outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 60)
    await asyncio.sleep(0)

    assert [type(outcome) for outcome in outcomes] == [ClientStateError] * 3
    assert (len(server.requests), clock.sleeping) == (1, 0)


async def test_closing_and_cancelling_at_once_is_a_cancellation(
    server: ScriptedServer, connect: Connect
) -> None:
    """Whoever cancels a waiting call in the moment that the client is closed gets the cancellation."""
    clock = ManualClock()
    server.script(Answer(status=503))
    ws = connect(clock=clock)
    call = asyncio.create_task(ws.describe_account())
    await sleepers(clock, 1)

    closing = asyncio.create_task(ws.aclose())
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    await closing


def sessions_of(ws: WorkSpacesClient) -> list[aiohttp.ClientSession]:
    """The HTTP sessions of an open client, which are gone from it once it is closed."""
    opening: asyncio.Task[tuple[object, str]] = attrgetter("_shared._transport._opening")(ws)
    sessions: dict[object, aiohttp.ClientSession] = attrgetter("_client._endpoint.http_session._sessions")(
        opening.result()[0]
    )
    return list(sessions.values())


@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize("turns", range(7))
async def test_closing_that_is_cancelled_goes_on(
    server: ScriptedServer, connect: Connect, turns: int, again: bool
) -> None:
    """A deadline around it or Ctrl-C cancels its caller at any turn; closing again waits for its end."""
    clock, before = ManualClock(), asyncio.all_tasks()
    server.respond(lambda _: ok({"Workspaces": [], "Associations": []}))
    ws = connect(clock=clock)
    await ws.describe_account()
    wait = asyncio.create_task(ws.wait_until_available("ws-123456789"))
    await sleepers(clock, 1)
    sessions = sessions_of(ws)
    assert sessions

    closing = asyncio.create_task(ws.aclose())
    for _ in range(1 + turns):
        await asyncio.sleep(0)
    closing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await closing
    if again:
        await ws.aclose()
    else:
        await over(before)

    assert all(session.closed for session in sessions)
    with pytest.raises(ClientStateError):
        await ws.describe_account()
    with pytest.raises(ClientStateError):
        await wait


async def test_closing_twice_at_once_waits_for_one_end(server: ScriptedServer, connect: Connect) -> None:
    """The second call does not return before the connections are closed."""
    server.script(ok())
    ws = connect()
    await ws.describe_account()
    (session,) = sessions_of(ws)

    first = asyncio.create_task(ws.aclose())
    await asyncio.sleep(0)
    await ws.aclose()

    assert session.closed
    await first


async def test_closing_while_opening(server: ScriptedServer, connect: Connect) -> None:
    """A call that waits for the client to open is told that it was closed."""
    gate = Gate()
    ws = connect(credentials=gate)
    calls = [asyncio.create_task(ws.describe_account()) for _ in range(3)]
    await gate.asked.wait()

    await ws.aclose()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [ClientStateError] * 3


async def test_a_cancelled_first_caller_does_not_harm_the_others(
    server: ScriptedServer, connect: Connect
) -> None:
    """The one who began to open is cancelled; the others get their answers, and the client opened once."""
    gate = Gate()
    server.respond(lambda _: ok())
    ws = connect(credentials=gate)
    first, *others = [asyncio.create_task(ws.describe_account()) for _ in range(3)]
    await gate.asked.wait()

    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.go.set()

    assert len(await asyncio.gather(*others)) == 2
    assert gate.count == 1


async def test_a_failed_opening_can_be_tried_again(server: ScriptedServer, connect: Connect) -> None:
    """All who waited get the error; the next call opens anew."""
    gate = Gate()
    gate.go.set()
    gate.failing = True
    server.respond(lambda _: ok())
    ws = connect(credentials=gate)

    outcomes = await asyncio.gather(*(ws.describe_account() for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [CredentialsError] * 3
    gate.failing = False

    assert (await ws.describe_account()).meta.attempts == 1
    assert gate.count == 2


async def test_an_opening_that_failed_unseen_is_tried_again(server: ScriptedServer, connect: Connect) -> None:
    """The only caller was cancelled before the opening failed: the next one does not get that old error."""
    gate, before = Gate(), asyncio.all_tasks()
    gate.failing = True
    server.respond(lambda _: ok())
    ws = connect(credentials=gate)
    call = asyncio.create_task(ws.describe_account())
    await gate.asked.wait()
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call
    gate.go.set()
    await over(before)

    gate.failing = False

    assert (await ws.describe_account()).meta.attempts == 1


async def test_a_provider_that_fails_strangely(server: ScriptedServer, connect: Connect) -> None:
    """Whatever a provider raises is a CredentialsError that names it, and does not spoil the client."""

    class Broken:
        calls = 0

        async def get_credentials(self) -> Credentials:
            self.calls += 1
            if self.calls == 1:
                raise KeyError("the-secret-key")
            return CREDENTIALS

    server.script(ok())
    ws = connect(credentials=Broken())

    with pytest.raises(CredentialsError, match="Broken failed with KeyError") as caught:
        await ws.describe_account()

    assert "the-secret-key" not in str(caught.value)
    assert isinstance(caught.value.__cause__, KeyError)
    assert (await ws.describe_account()).meta.attempts == 1


async def test_views_share_connections(server: ScriptedServer, connect: Connect) -> None:
    """A view opens nothing of its own, keeps what it was not told, and closes with the client."""
    gate = Gate()
    gate.go.set()
    server.script(Answer(status=503), ok(), Answer(status=503))
    ws = connect(credentials=gate)
    once = ws.with_options(retry=RetryPolicy(max_attempts=1))

    assert (await ws.describe_account()).meta.attempts == 2
    with pytest.raises(Exception, match="503"):
        await once.with_options(request_checks="structure").describe_account()
    await once.aclose()

    assert gate.count == 1
    with pytest.raises(ClientStateError):
        await ws.describe_account()


class Counted(WorkSpacesClient):
    """A client that counts its looks at associations."""

    def __init__(self, sim: Simulator) -> None:
        super().__init__(
            region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, clock=sim.clock
        )
        self.looks: list[str] = []

    async def describe_workspace_associations(
        self,
        *,
        workspace_id: str,
        associated_resource_types: Many[WorkSpaceAssociatedResourceTypeLike] = ("APPLICATION",),
    ) -> DescribeWorkspaceAssociationsResult:
        """Count, and call the operation."""
        self.looks.append(workspace_id)
        return await super().describe_workspace_associations(
            workspace_id=workspace_id, associated_resource_types=associated_resource_types
        )


async def test_views_have_what_a_subclass_added() -> None:
    """Its attributes are there in a view, and in the views that waits are made with."""
    async with Simulator(clock=ManualClock(autojump=True)) as sim, Counted(sim) as ws:
        (workspace_id,) = sim.fleet.add_workspaces(1)
        view = ws.with_options(timeout=60)
        await view.describe_workspace_associations(workspace_id=workspace_id)
        await view.wait_until_deployed(workspace_id)

        assert view.looks is ws.looks
        assert set(ws.looks) == {workspace_id}
        assert len(ws.looks) > 1


@pytest.mark.parametrize(
    "option", [{"timeout": -1}, {"retry": None}, {"pacing": "off"}, {"request_checks": "none"}]
)
async def test_an_option_that_cannot_be_right(ws: WorkSpacesClient, option: dict[str, object]) -> None:
    """A view is checked when it is made, and the message names the option."""
    with pytest.raises(ConfigurationError, match=next(iter(option))):
        ws.with_options(**option)  # type: ignore[arg-type]  # wrong on purpose


async def test_no_task_is_left_behind(server: ScriptedServer, connect: Connect) -> None:
    """After closing, nothing of the client's runs any more."""
    before = asyncio.all_tasks()
    server.script(ok(), Answer(status=503), ok())
    ws = connect(clock=SkippingClock(), timeout=None)
    await ws.describe_account()
    await ws.describe_account()

    await ws.aclose()
    await over(before)


async def test_a_client_shows_whom_it_calls_and_no_secret() -> None:
    """Region, profile and endpoint are shown, and if it is closed; no secret is."""
    ws = WorkSpacesClient(region="eu-west-1", credentials=CREDENTIALS)
    shown = repr(ws)
    await ws.aclose()

    assert shown == "<WorkSpacesClient(region='eu-west-1')>"
    assert repr(ws) == f"{shown[:-1]} closed>"
