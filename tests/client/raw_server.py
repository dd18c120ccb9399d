"""A service that writes the bytes it is told to, and keeps the bytes that it gets."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

Turn: TypeAlias = Callable[[int], bytes]
"""What is written for the request of that number, from 0; nothing at all closes the connection."""

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


@dataclass(slots=True)
class RawServer:
    """The service.

    Attributes:
        requests: Each request as it came, head and body.
        connections: How many connections there were.
        closing: Whether a connection is closed once an answer is written.
        turn: What is written.
        port: Where it listens.
    """

    requests: list[bytes] = field(default_factory=list[bytes])
    connections: int = 0
    closing: bool = False
    turn: Turn = lambda _: answer(b"{}")
    port: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes on a connection, until it ends."""
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
                self.requests.append(head + body)
                written = self.turn(len(self.requests) - 1)
                writer.write(written)
                if self.closing or not written:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


def answer(body: bytes, status: int = 200, *headers: str) -> bytes:
    """Return a whole answer with a request id."""
    lines = [f"HTTP/1.1 {status} X", "x-amzn-RequestId: 7f", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def listening(turn: Turn | None = None) -> AsyncGenerator[RawServer]:
    """Listen on a free port of this machine."""
    made = RawServer() if turn is None else RawServer(turn=turn)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
