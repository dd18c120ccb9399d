"""A server that writes bytes: what no well-behaved server would say."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from tests.client.conftest import CREDENTIALS, make_config
from workspaces_apps import ClientConfig, RetryPolicy, WorkSpacesClient


@dataclass(slots=True)
class RawServer:
    """A server on loopback.

    Attributes:
        url: Where it listens.
        operations: What it was asked, in order.
        connections: How many connections were made.
    """

    url: str = ""
    operations: list[str] = field(default_factory=list[str])
    connections: int = 0


Handler: TypeAlias = Callable[[asyncio.StreamWriter, str], Awaitable[bool]]
"""Answers a request for an operation; False closes the connection."""


async def read_operation(reader: asyncio.StreamReader) -> str:
    """Read a request; the operation that it names."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
    await reader.readexactly(int(headers.get("content-length", "0")))
    return headers.get("x-amz-target", "").rpartition(".")[2]


@asynccontextmanager
async def raw_server(handler: Handler) -> AsyncGenerator[RawServer]:
    """Serve with a handler of bytes."""
    state = RawServer()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        state.connections += 1
        try:
            while True:
                operation = await read_operation(reader)
                state.operations.append(operation)
                if not await handler(writer, operation):
                    return
        except (asyncio.CancelledError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            # Also where the test ends it: nobody waits for it.
            return
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield state
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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
