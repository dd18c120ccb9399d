"""One POST over the connections and the parser of aiohttp, without its request and response objects."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
from aiohttp.http import HttpProcessingError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from yarl import URL


class RawAnswer(NamedTuple):
    """An answer as it came.

    Attributes:
        status: The HTTP status.
        headers: Names and values, byte for byte.
        body: The body.
    """

    status: int
    headers: Iterable[tuple[bytes, bytes]]
    body: bytes


class PooledPost:
    """Sends requests to one URL over the pool of an aiohttp session, with its timeouts and its TLS.

    Attributes:
        session: The session.
    """

    __slots__ = ("_connector", "_place", "_read_timeout", "_timeout", "session")

    def __init__(self, session: aiohttp.ClientSession, url: URL) -> None:
        """Prepare what is the same for every request; call it on the session's event loop.

        Args:
            session: Whose pool, timeouts and TLS are used.
            url: Where requests go.
        """
        connector = session.connector
        assert connector is not None
        self.session = session
        self._connector = connector
        self._timeout = session.timeout
        self._read_timeout = session.timeout.sock_read
        # It only says where to connect. `ssl=True` is aiohttp's own default, so that both ways share one pool.
        loop = asyncio.get_running_loop()
        self._place = aiohttp.ClientRequest("POST", url, loop=loop, session=session, ssl=True)

    async def post(self, data: bytes) -> RawAnswer:
        """Send a request and read its answer.

        Args:
            data: The request as it goes on the wire, head and body.

        Raises:
            aiohttp.ClientError: No answer, or none that can be read.
            TimeoutError: No connection, or silence for longer than the timeouts allow.
            OSError: The connection broke.
        """
        try:
            connection = await self._connector.connect(self._place, [], self._timeout)
        except TimeoutError as error:
            # As aiohttp's session says it.
            raise aiohttp.ConnectionTimeoutError(f"Connection timeout to host {self._place.url}") from error
        try:
            protocol = connection.protocol
            assert protocol is not None
            protocol.set_response_params(
                read_until_eof=True, auto_decompress=False, read_timeout=self._read_timeout
            )
            transport = protocol.transport
            if transport is None or transport.is_closing():
                raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")
            transport.write(data)
            protocol.start_timeout()
            while True:
                head, stream = await protocol.read()
                if not 100 <= head.code < 200 or head.code == 101:
                    break
                # An interim answer announces the true one; aiohttp has stopped its timer.
                protocol.start_timeout()
            # Nobody asked for another protocol than HTTP: what is said in it would never end.
            body = b"" if head.code == 101 else await read_body(stream)
        except HttpProcessingError as error:
            connection.close()
            # As aiohttp's response says it.
            raise aiohttp.ClientResponseError(
                self._place.request_info, (), status=error.code, message=error.message, headers=error.headers
            ) from error
        except BaseException:
            # Cancelled or broken midway: what else comes on it would be taken for the next answer.
            connection.close()
            raise
        if head.code == 101:
            connection.close()
        else:
            connection.release()
        return RawAnswer(head.code, head.raw_headers, body)


async def read_body(stream: aiohttp.StreamReader) -> bytes:
    """Read a body to its end; the one place of the fast path where that is done."""
    # Most come together with their head, and are here already.
    return stream.read_nowait() if stream.is_eof() else await stream.read()
