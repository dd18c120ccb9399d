"""The pool of connections: answers that nobody asked for, and answers that do not end."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from tests.http.conftest import make_config
from tests.http.raw import answer, client_of, raw_server
from workspaces_apps import (
    ConfigurationError,
    MalformedResponseError,
    RetryPolicy,
    TransportError,
    WorkSpacesClient,
)
from workspaces_apps.api import TerminateRequest
from workspaces_apps.simulator import ManualClock
from workspaces_apps.simulator._clocks import run_virtual

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

PUSHED: Final = (answer(b'{"FailedRequests": []}'), b"HTTP/1.1 200 OK\r\nContent-Le", b"\r\n", b"x" * 70_000)


@pytest.mark.parametrize("pushed", PUSHED, ids=["whole", "partial", "line", "much"])
@pytest.mark.parametrize("number", range(4), ids=["Describe", "Associate", "Deploy", "Terminate"])
@pytest.mark.parametrize("blocked", [False, True])
async def test_what_nobody_asked_for_is_no_answer(number: int, pushed: bytes, blocked: bool) -> None:
    """The connection is closed, and the request goes on another one, however late the bytes are noticed."""
    answered, pushed_now = asyncio.Event(), asyncio.Event()

    async def handle(writer: asyncio.StreamWriter, operation: str) -> bool:
        body = ASSOCIATED if operation == "associateworkspaceapplication" else b"{}"
        writer.write(answer(body, headers=f"x-amzn-RequestId: {operation}\r\n"))
        await writer.drain()
        if operation == "describeaccount":
            await answered.wait()
            writer.write(pushed)
            pushed_now.set()
        return True

    async with raw_server(handle) as server, client_of(server) as ws:
        await ws.describe_account()
        answered.set()
        await pushed_now.wait()
        if blocked:
            # The event loop of the client has had no time to read them.
            time.sleep(0.02)  # noqa: ASYNC251
        else:
            await asyncio.sleep(0.02)
        result = await CALLS[number](ws)

    assert getattr(result, "meta").request_id == server.operations[1]  # noqa: B009 - of four types
    assert (len(server.operations), server.connections) == (2, 2)


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
