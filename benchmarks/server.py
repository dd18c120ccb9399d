"""A server in a process of its own that answers at once, so that it is never what is measured."""

import asyncio
import json
import sys

from benchmarks.answers import ANSWERS, STREAMED_APPLICATION_ID, streamed_page

_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"x-amzn-RequestId: 11111111-2222-3333-4444-555555555555\r\n"
    b"Content-Type: application/x-amz-json-1.1\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    b"Content-Length: %d\r\n\r\n%b"
)
_CANNED = {operation.encode(): _HEAD % (len(body), body) for operation, body in ANSWERS.items()}
_STREAMED = STREAMED_APPLICATION_ID.encode()


class _Connection(asyncio.Protocol):
    """One connection: reads requests with a Content-Length and answers by operation."""

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = int(_header(head, b"content-length") or b"0")
            if len(self._received) < end + 4 + length:
                return
            body = self._received[end + 4 : end + 4 + length]
            self._received = self._received[end + 4 + length :]
            self._transport.write(_answer(head, body))


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        found, _, value = line.partition(b":")
        if found.lower() == name:
            return value.strip()
    return b""


def _answer(head: bytes, body: bytes) -> bytes:
    if _STREAMED in body:
        page = streamed_page(int(json.loads(body).get("NextToken", "0")))
        return _HEAD % (len(page), page)
    return _CANNED[_header(head, b"x-amz-target").rpartition(b".")[2]]


async def main() -> None:
    """Serve on a free port of this machine until standard input ends; the port is printed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
