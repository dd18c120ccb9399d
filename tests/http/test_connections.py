"""The pool of connections: answers that nobody asked for, and answers that do not end."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from urllib3.util.wait import wait_for_read

from tests.http.conftest import make_config
from tests.http.raw import answer, client_of, raw_server, raw_server_in_thread
from tests.http.test_network import self_signed
from tests.http.ways import WAYS, posts
from workspaces_apps import (
    ConfigurationError,
    MalformedResponseError,
    Pacing,
    RetryPolicy,
    TransportError,
    WorkSpacesClient,
)
from workspaces_apps._base.connections import GuardedConnector
from workspaces_apps.api import TerminateRequest
from workspaces_apps.simulator import ManualClock
from workspaces_apps.simulator._clocks import run_virtual

__all__ = ["posts"]

IDS: Final = {"workspace_id": "ws-123456789", "application_id": "wsa-123456789"}
ASSOCIATED: Final = (
    b'{"Association": {"WorkspaceId": "ws-123456789", "AssociatedResourceId": "wsa-123456789",'
    b' "State": "PENDING_INSTALL_DEPLOYMENT"}}'
)
ONCE: Final = RetryPolicy(max_attempts=1)

CALLS: Final[tuple[Callable[[WorkSpacesClient], Awaitable[object]], ...]] = (
    lambda ws: ws.describe_applications().first_page(),
    lambda ws: ws.associate_workspace_application(**IDS),
    lambda ws: ws.deploy_workspace_applications(workspace_id=IDS["workspace_id"]),
    lambda ws: ws.terminate_workspaces(
        terminate_workspace_requests=[TerminateRequest(workspace_id="ws-123456789")]
    ),
)

NAMES: Final = ("Describe", "Associate", "Deploy", "Terminate")
"""The operations of the calls, in words; each is in the name of its operation."""

EACH_CALL = pytest.mark.parametrize("number", range(4), ids=NAMES)
EACH_WAY = pytest.mark.parametrize("make", WAYS.values(), ids=WAYS)


def body_of(operation: str) -> bytes:
    """Return what the operation is answered with."""
    return ASSOCIATED if operation == "associateworkspaceapplication" else b"{}"


def check_way(posts: list[bytes], make: Callable[[str], WorkSpacesClient], number: int, count: int) -> None:
    """Check that all requests on the fast path, if it is allowed, were so many calls of that operation."""
    taken = [f"WorkspacesService.{NAMES[number]}".encode() in post for post in posts]
    assert taken == ([True] * count if make is WAYS["allowed"] else [])


NOTICED: Final = 8.0
"""Real seconds in which bytes are noticed; an idle connection that nothing comes on is closed after 12."""

PUSHED: Final = (answer(b'{"FailedRequests": []}'), b"HTTP/1.1 200 OK\r\nContent-Le", b"\r\n", b"x" * 70_000)


@pytest.mark.parametrize("pushed", PUSHED, ids=["whole", "partial", "line", "much"])
@EACH_CALL
@pytest.mark.parametrize("blocked", [False, True])
@EACH_WAY
async def test_what_nobody_asked_for_is_no_answer(
    number: int,
    pushed: bytes,
    blocked: bool,
    make: Callable[[str], WorkSpacesClient],
    posts: list[bytes],
) -> None:
    """The connection is closed, and the request goes on another one, however late the bytes are noticed."""
    answered, pushed_now = asyncio.Event(), asyncio.Event()

    async def handle(writer: asyncio.StreamWriter, operation: str) -> bool:
        writer.write(answer(body_of(operation), headers=f"x-amzn-RequestId: {len(server.operations)}\r\n"))
        await writer.drain()
        if operation == "describeaccount":
            await answered.wait()
            writer.write(pushed)
            pushed_now.set()
        return True

    async with raw_server(handle) as server, make(server.url) as ws:
        # The first call of an operation is aiobotocore's on either way.
        await CALLS[number](ws)
        await ws.describe_account()
        answered.set()
        if blocked:
            await pushed_now.wait()
            # The event loop of the client has had no time to read them.
            time.sleep(0.02)  # noqa: ASYNC251
        else:
            async with asyncio.timeout(NOTICED):
                await server.ended.wait()
        result = await CALLS[number](ws)

    # Of four types.
    assert getattr(result, "meta").request_id == "3"  # noqa: B009
    assert (len(server.operations), server.connections) == (3, 2)
    check_way(posts, make, number, 1)


@pytest.mark.parametrize("steps", [0.0, 0.02], ids=["idle", "busy"])
async def test_what_tls_says_after_the_handshake_is_no_answer(tmp_path: Path, steps: float) -> None:
    """A server of TLS 1.3 sends session tickets then: each call still takes one connection, and that is used again."""

    async def handle(writer: asyncio.StreamWriter, _: str) -> bool:
        writer.write(answer())
        return True

    async def block() -> None:
        while True:
            time.sleep(steps)  # noqa: ASYNC251 - the loop has other work
            await asyncio.sleep(0)

    tls = self_signed(tmp_path)
    config = make_config(ca_bundle=tmp_path / "cert.pem", retry=ONCE, pacing=Pacing.off())
    with raw_server_in_thread(handle, tls) as server:
        async with client_of(server, config) as ws:
            busy = asyncio.create_task(block()) if steps else None
            for _ in range(2):
                await asyncio.gather(*(ws.describe_account() for _ in range(8)))
            if busy is not None:
                busy.cancel()

    assert (server.connections, len(server.operations)) == (8, 16)


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
async def test_what_a_server_says_first_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secure: bool
) -> None:
    """Nothing is sent on a new connection on which something lies already, and there is one error."""
    create = GuardedConnector._create_connection  # pyright: ignore[reportPrivateUsage]

    async def create_late(
        connector: GuardedConnector, req: ClientRequest, *options: Any, **named: Any
    ) -> ResponseHandler:
        protocol = await create(connector, req, *options, **named)
        assert protocol.transport is not None
        socket = protocol.transport.get_extra_info("socket")
        await asyncio.to_thread(wait_for_read, socket, NOTICED)
        return protocol

    async def handle(_: asyncio.StreamWriter, __: str) -> bool:
        raise AssertionError

    def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b'{"FailedRequests": []}'))

    monkeypatch.setattr(GuardedConnector, "_create_connection", create_late)
    tls = self_signed(tmp_path) if secure else None
    config = make_config(ca_bundle=tmp_path / "cert.pem", retry=ONCE) if secure else make_config(retry=ONCE)
    with raw_server_in_thread(handle, tls, speak) as server:
        async with client_of(server, config) as ws:
            with pytest.raises(TransportError, match="nobody had asked for") as caught:
                await CALLS[3](ws)

    assert caught.value.request_sent is False
    assert (server.connections, server.operations) == (1, [])


PECULIAR: Final[dict[str, tuple[Callable[[bytes], bytes], int]]] = {
    "100": (lambda whole: b"HTTP/1.1 100 Continue\r\n\r\n" + whole, 1),
    "102, 103": (lambda whole: b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\nLink: </x>\r\n\r\n" + whole, 1),
    "close": (lambda whole: whole.replace(b"\r\n", b"\r\nConnection: close\r\n", 1), 2),
    "HTTP/1.0": (lambda whole: whole.replace(b"HTTP/1.1", b"HTTP/1.0", 1), 2),
    "another behind": (lambda whole: whole + answer(b'{"Association": 7}', headers="x-amzn-RequestId: 0\r\n"), 2),
}  # fmt: skip
"""Answers that are right but peculiar, made of plain ones; and the connections that two calls take then."""


@pytest.mark.parametrize("peculiar", PECULIAR)
@EACH_CALL
@EACH_WAY
async def test_a_connection_is_used_again_if_the_answer_allows_it(
    number: int, peculiar: str, make: Callable[[str], WorkSpacesClient], posts: list[bytes]
) -> None:
    """After interim answers it is, after `Connection: close` or a second answer it is not; each call gets its own."""
    spoil, connections = PECULIAR[peculiar]

    async def handle(writer: asyncio.StreamWriter, operation: str) -> bool:
        count = len(server.operations)
        whole = answer(body_of(operation), headers=f"x-amzn-RequestId: {count}\r\n")
        writer.write(spoil(whole) if count == 2 else whole)
        return True

    async with raw_server(handle) as server, make(server.url) as ws:
        results = [await CALLS[number](ws) for _ in range(3)]

    assert [getattr(one, "meta").request_id for one in results] == ["1", "2", "3"]  # noqa: B009
    assert (len(server.operations), server.connections) == (3, connections)
    check_way(posts, make, number, 2)


async def test_a_silent_connection_is_used_again() -> None:
    """One connection does for calls that follow each other."""

    async def handle(writer: asyncio.StreamWriter, _: str) -> bool:
        writer.write(answer())
        return True

    async with raw_server(handle) as server, client_of(server) as ws:
        for _ in range(5):
            await ws.describe_account()

    assert server.connections == 1


@pytest.mark.parametrize("framing", ["length", "chunked", "none"])
async def test_a_body_is_bounded(framing: str) -> None:
    """A body longer than `max_response_bytes` is broken off, and the error names the setting."""
    written = 0

    async def handle(writer: asyncio.StreamWriter, _: str) -> bool:
        nonlocal written
        length = {
            "length": "Content-Length: 999999999\r\n",
            "chunked": "Transfer-Encoding: chunked\r\n",
            "none": "",
        }
        writer.write(f"HTTP/1.1 200 OK\r\n{length[framing]}\r\n".encode())
        for _round in range(1000):
            writer.write((b"10000\r\n" if framing == "chunked" else b"") + b" " * 65536 + b"\r\n")
            written += 65536
            await writer.drain()
        return False

    config = make_config(retry=ONCE, max_response_bytes=1_000_000)
    async with raw_server(handle) as server, client_of(server, config) as ws:
        with pytest.raises(MalformedResponseError, match="max_response_bytes"):
            await ws.describe_account()

    assert written < 20_000_000


def test_a_body_that_drips_ends() -> None:
    """Each read is in time, and the whole is not: it ends after twice `read_timeout`."""
    clock = ManualClock()

    async def handle(writer: asyncio.StreamWriter, _: str) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(1)

    async def main() -> None:
        async with (
            raw_server(handle) as server,
            client_of(server, make_config(retry=ONCE, read_timeout=60)) as ws,
        ):
            async with asyncio.timeout(3600):
                with pytest.raises(TransportError, match="not complete") as caught:
                    await ws.describe_account()

        assert caught.value.request_sent is True

    run_virtual(main(), clock)

    assert clock.monotonic() == pytest.approx(120, abs=2)


@pytest.mark.parametrize("value", [0, -1, True, 1023, "16 MiB"])
def test_the_bound_must_be_one(value: object) -> None:
    """A bound that no answer fits in is refused."""
    with pytest.raises(ConfigurationError, match="max_response_bytes"):
        make_config(max_response_bytes=value)  # type: ignore[arg-type]  # that is what is tested
