"""aiobotocore's HTTP session without redirects, and the pool of connections below it.

A redirect would be followed, session token and all [seen].

aiohttp hands out a connection on which an answer lies that nobody asked for, and takes that for the answer to the next
request, which may be a write. [seen] So whatever comes while a connection is idle closes it, and one on which something
lies unread is closed instead of handed out. This is done where connections are taken, and so holds for every way that
sends on them. It is also where an answer that is too long, or drips for too long, is broken off.

Where no connection is handed out, the type of the error says so: nothing of the request has left. aiohttp's own do not
always, as those of a tunnel's beginning are also those of an answer. [seen]

A server of TLS 1.3 sends session tickets right after the handshake. [seen] They lie on a new connection until the loop has
read them, and are no answer.
"""

from __future__ import annotations

import asyncio
import errno
import math
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import aiohttp
from aiobotocore import httpsession
from aiobotocore.httpsession import AIOHTTPSession
from aiohttp.client_proto import ResponseHandler
from botocore.exceptions import BotoCoreError
from urllib3.util.wait import wait_for_read

from workspaces_apps._base.logs import told_when_long
from workspaces_apps._base.text import NAME_LIMIT, harmless

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


RESPONSE_BYTES: Final = 16 * 1024 * 1024
"""Bytes of an answer at most, where a client says nothing else. The longest that the API can give has some 100 kB."""

HEAD_BYTES: Final = 64 * 1024
"""Bytes allowed beside the body; aiohttp bounds the head itself, line by line."""

_READING_TURNS: Final = 8
"""Turns of the event loop that it has to read what lies on a connection: two are enough for what came at once."""


class AnswerTooLongError(aiohttp.ClientPayloadError):
    """An answer has more bytes than are taken."""


class AnswerTooSlowError(aiohttp.ClientPayloadError):
    """An answer came a little at a time, for too long."""


class NotConnectedError(aiohttp.ClientConnectionError):
    """No connection was handed out, and so nothing was sent."""


class ProxyError(aiohttp.ClientProxyConnectionError):
    """A proxy cannot be reached, or lets nothing through.

    Args:
        request: The request that was to go through it.
        error: What aiohttp raised.

    Attributes:
        status: The HTTP status with which it refused; None where it did not.
    """

    def __init__(self, request: ClientRequest, error: Exception) -> None:
        assert request.proxy is not None
        self.status: int | None = None
        match error:
            case aiohttp.ClientHttpProxyError():
                self.status = error.status
                said = f"refused: {error.status} {error.message}"
            case aiohttp.ClientProxyConnectionError() | aiohttp.ClientConnectorDNSError():
                said = f"could not be reached: {error.os_error.strerror or error.os_error}"
            case aiohttp.ServerDisconnectedError() | aiohttp.ClientConnectorError(os_error=ConnectionError()):
                said = "opened no tunnel: it closed the connection"
            case aiohttp.ClientResponseError():
                said = f"opened no tunnel: {error.message}"
            case _:
                # The text of some holds the proxy's URL with its password.
                said = f"opened no tunnel: {type(error).__name__}"
        self._said = f"the proxy {request.proxy.host}:{request.proxy.port} {said}"
        super().__init__(request.connection_key, OSError(errno.ECONNREFUSED, self._said))

    def __str__(self) -> str:
        return self._said


class GuardedProtocol(ResponseHandler):
    """A connection that notices what comes when nobody has asked, and when an answer does not end.

    Args:
        loop: The event loop.
        most: Bytes of an answer at most.
        seconds: How long the connection may be used for one request at most.

    Attributes:
        is_new: Whether it has served no request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, most: int, seconds: float) -> None:
        super().__init__(loop)
        self._most = most
        self._seconds = seconds
        self._left = most
        self._until = math.inf
        self._is_idle = False
        self.is_new: bool = True

    @property
    def is_silent(self) -> bool:
        """Tell if nothing lies on the connection that nobody has read, its end included."""
        transport = self.transport
        if transport is None or self.should_close:
            return False
        socket = transport.get_extra_info("socket")
        try:
            return socket is None or not wait_for_read(socket, timeout=0)
        except (OSError, ValueError):
            return False

    async def falls_silent(self) -> bool:
        """Tell if nothing lies on the connection but what TLS itself has to say, which the event loop reads meanwhile."""
        for _ in range(_READING_TURNS):
            if self.is_silent:
                return True
            transport = self.transport
            if transport is None or self.should_close or transport.get_extra_info("ssl_object") is None:
                return False
            await asyncio.sleep(0)
        return self.is_silent

    def begin(self) -> None:
        """Serve one request."""
        self._is_idle = self.is_new = False
        self._left = self._most
        self._until = self._loop.time() + self._seconds

    def rest(self) -> None:
        """Serve none until the next `begin`."""
        self._is_idle = True

    def data_received(self, data: bytes) -> None:
        """Take bytes in."""
        if self._is_idle:
            # aiohttp calls it without any when it resumes reading.
            if data:
                self.close()
            return
        self._left -= len(data)
        if self._left < 0:
            self._break_off(AnswerTooLongError(f"the answer has more than {self._most} bytes"))
        elif self._loop.time() > self._until:
            self._break_off(AnswerTooSlowError(f"the answer was not complete after {self._seconds:g} s"))
        else:
            super().data_received(data)

    def _break_off(self, error: aiohttp.ClientPayloadError) -> None:
        payload = self._payload
        self.set_exception(error)
        if payload is not None:
            payload.set_exception(error)
        transport = self.transport
        # Not `abort`, which forgets the error.
        if transport is not None:
            self._payload = None
            transport.abort()


if TYPE_CHECKING:
    _Pool = aiohttp.TCPConnector
else:
    # Not in the stubs: aiohttp's, with trust of its own for a proxy.
    _Pool = httpsession._ProxySSLTCPConnector


class GuardedConnector(_Pool):
    """aiobotocore's pool, with such connections.

    Args:
        most: Bytes of an answer at most.
        seconds: How long a connection may be used for one request at most.
        options: Those of the class.
    """

    def __init__(self, *, most: int, seconds: float, **options: Any) -> None:
        # Of its many parameters one has no type that checkers know.
        begin: Any = super().__init__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        begin(**options)

        def make(*, loop: asyncio.AbstractEventLoop) -> ResponseHandler:
            return GuardedProtocol(loop, most=most, seconds=seconds)

        # Of the type that aiohttp gives it.
        self._factory = partial(make, loop=self._loop)

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's name
    ) -> Connection:
        """Hand out a connection that nothing lies on.

        Raises:
            aiohttp.ClientConnectorError: There is none, and on a new one something lies as well.
            ProxyError: A proxy is in the way, and lets nothing through.
            NotConnectedError: There is none for another reason.
            TimeoutError: There is none in time.
        """
        while True:
            try:
                connection = await super().connect(req, traces, timeout)
            except (TimeoutError, aiohttp.ClientSSLError):
                raise
            except (aiohttp.ClientError, OSError, ValueError) as error:
                if req.proxy is not None:
                    # Some of aiohttp's hold the proxy's URL with its password, which no traceback should show.
                    raise ProxyError(req, error) from None
                if isinstance(error, aiohttp.ClientConnectorError):
                    raise
                raise NotConnectedError(str(error)) from error
            protocol = connection.protocol
            if not isinstance(protocol, GuardedProtocol):
                return connection
            is_new = protocol.is_new
            try:
                if await protocol.falls_silent():
                    protocol.begin()
                    return connection
            except asyncio.CancelledError:
                connection.close()
                raise
            connection.close()
            if is_new:
                said = "the server closed a new connection, or sent on it what nobody had asked for"
                raise aiohttp.ClientConnectorError(req.connection_key, OSError(errno.ECONNRESET, said))

    async def _create_connection(self, req: ClientRequest, *options: Any, **named: Any) -> ResponseHandler:
        with told_when_long(
            lambda: f"a connection to {harmless(req.url.host, NAME_LIMIT)} (or its DNS name)"
        ):
            return await super()._create_connection(req, *options, **named)

    def _release(self, key: Any, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        super()._release(key, protocol, should_close=should_close)
        if isinstance(protocol, GuardedProtocol):
            protocol.rest()


class _NoRedirects:
    """An aiohttp session that never follows a redirect, which would take the session token to another host."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def request(self, method: str, **options: Any) -> aiohttp.ClientResponse:
        return await self.session.request(method, **options, allow_redirects=False)


class HttpSession(AIOHTTPSession):
    """aiobotocore's HTTP session without redirects; tests hold the private methods that this overrides.

    Attributes:
        response_bytes: Bytes of a body at most.
    """

    response_bytes: int = RESPONSE_BYTES

    def __init__(self, *, proxies: Mapping[str, str] | None = None, **options: Any) -> None:
        # botocore takes what begins with `HTTP://` for the name of a host.
        named = {
            name: _SCHEME.sub(lambda found: found[0].lower(), url) for name, url in (proxies or {}).items()
        }
        super().__init__(proxies=named, **options)
        session: Any = self
        given: aiohttp.ClientTimeout = session._timeout
        session._timeout = aiohttp.ClientTimeout(
            # Names, several addresses, TLS and a proxy's answer together; by itself none of the first is bounded.
            connect=None if given.sock_connect is None else 3 * given.sock_connect,
            sock_connect=given.sock_connect,
            sock_read=given.sock_read,
        )

    async def _get_session(self, proxy_url: str | None) -> _NoRedirects:
        return _NoRedirects(await super()._get_session(proxy_url))  # type: ignore[misc]  # not in the stubs

    async def _create_connector(self, proxy_url: str | None) -> GuardedConnector:
        session: Any = self
        build: Any = session._build_ssl_contexts
        try:
            if session._verify or session._cert_file or proxy_url:
                # It reads files.
                own, of_proxy = await asyncio.to_thread(build, proxy_url)
            else:
                own, of_proxy = build(proxy_url)
        except (OSError, BotoCoreError) as error:
            raise NotConnectedError(f"TLS cannot be set up: {error}") from error
        return GuardedConnector(
            most=self.response_bytes + HEAD_BYTES,
            seconds=2 * (session._timeout.sock_read or _SILENCE),
            limit=session._max_pool_connections,
            ssl=own,
            proxy_ssl_context=of_proxy,
            **session._connector_args,
        )


_SCHEME: Final = re.compile("^https?:", re.IGNORECASE)

_SILENCE: Final = 60.0
"""Seconds of silence that aiobotocore allows where nobody says otherwise."""

SessionT = TypeVar("SessionT", bound=HttpSession)


def with_limit(kind: type[SessionT], response_bytes: int) -> type[SessionT]:
    """Return a class of HTTP sessions that take so many bytes of a body at most; aiobotocore makes the sessions."""
    made: Any = type(
        kind.__name__, (kind,), {"response_bytes": response_bytes, "__module__": kind.__module__}
    )
    limited: type[SessionT] = made
    return limited
