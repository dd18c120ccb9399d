"""A server that writes bytes: what no well-behaved server would say."""

import asyncio
import ssl
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from tests.http.conftest import CREDENTIALS, make_config
from workspaces_apps import ClientConfig, RetryPolicy, WorkSpacesClient


@dataclass(slots=True)
class RawServer:
    """A server on loopback.

    Attributes:
        url: Where it listens.
        operations: What it was asked, in order.
        requests: Each request as it came, head and body.
        connections: How many connections were made.
        ended: Set when one of them has ended.
    """

    url: str = ""
    operations: list[str] = field(default_factory=list[str])
    requests: list[bytes] = field(default_factory=list[bytes])
    connections: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)


Handler: TypeAlias = Callable[[asyncio.StreamWriter, str], Awaitable[bool]]
"""Answers a request for an operation; False closes the connection."""


Greeting: TypeAlias = Callable[[asyncio.StreamWriter], None]
"""Writes what nobody has asked for."""


async def read_request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Read a request; return the operation that it names, in small letters, and all of it."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return headers.get("x-amz-target", "").rpartition(".")[2], head + body


@asynccontextmanager
async def raw_server(
    handler: Handler, tls: ssl.SSLContext | None = None, greet: Greeting | None = None
) -> AsyncGenerator[RawServer]:
    """Serve with a handler of bytes, over TLS if there is a context; `greet` writes on each new connection."""
    state = RawServer()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        state.connections += 1
        if greet is not None:
            greet(writer)
        try:
            while True:
                operation, request = await read_request(reader)
                state.operations.append(operation)
                state.requests.append(request)
                if not await handler(writer, operation):
                    return
        except (asyncio.CancelledError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            # Also where the test ends it: nobody waits for it.
            return
        finally:
            tasks.discard(task)
            writer.close()
            state.ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    state.url = f"http{'s' if tls is not None else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield state
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def raw_server_in_thread(
    handler: Handler, tls: ssl.SSLContext | None = None, greet: Greeting | None = None
) -> Generator[RawServer]:
    """Serve from another thread, so that the server goes on while the loop of the client is blocked."""
    begun: list[tuple[RawServer, Callable[[], object]]] = []
    ready = threading.Event()

    async def serve() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        async with raw_server(handler, tls, greet) as state:
            begun.append((state, lambda: loop.call_soon_threadsafe(stop.set)))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(60)
    [(state, end)] = begun
    try:
        yield state
    finally:
        end()
        thread.join()


Turn: TypeAlias = Callable[[int], bytes]
"""Returns what is written for the request of that number, from 0; nothing at all closes the connection."""


@dataclass(slots=True)
class Script:
    """A handler that answers by turns.

    Attributes:
        server: Where it is used; set by `scripted`.
        turn: What is written.
        closing: Whether a connection is closed once an answer is written.
    """

    turn: Turn
    closing: bool = False
    server: RawServer = field(default_factory=RawServer)

    async def handle(self, writer: asyncio.StreamWriter, operation: str) -> bool:
        """Answer the request that came last."""
        del operation
        written = self.turn(len(self.server.requests) - 1)
        writer.write(written)
        return bool(written) and not self.closing


@asynccontextmanager
async def scripted(turn: Turn | None = None) -> AsyncGenerator[Script]:
    """Serve by turns; without any, with an empty answer that has a request id."""
    script = Script(turn if turn is not None else lambda _: identified())
    async with raw_server(script.handle) as script.server:
        yield script


def identified(body: bytes = b"{}", status: int = 200, *headers: str) -> bytes:
    """A whole HTTP answer with a request id."""
    lines = ("x-amzn-RequestId: 7f", *headers)
    return answer(body, status=f"{status} X", headers="".join(f"{line}\r\n" for line in lines))


def answer(body: bytes = b"{}", *, status: str = "200 OK", headers: str = "") -> bytes:
    """A whole HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.1\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def client_of(server: RawServer, config: ClientConfig | None = None) -> WorkSpacesClient:
    """A client of the server that sends a request once."""
    return WorkSpacesClient(
        region="eu-west-1",
        endpoint_url=server.url,
        credentials=CREDENTIALS,
        config=config or make_config(retry=RetryPolicy(max_attempts=1)),
    )
