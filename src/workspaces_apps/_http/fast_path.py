"""The fast path of a call: what aiobotocore and aiohttp would put on the wire, without the objects they would make.

aiobotocore builds three request objects, copies their headers from one to the other and emits a dozen events that
nobody listens to as a rule; aiohttp makes two more. The first call of an operation goes that way, and shows what all
of them have in common: URL and headers. The next ones are signed, written and read here, over the same connections,
with the same timeouts and TLS. What is put on the wire and what comes of an answer is the same on both ways.

There is one condition, `FastPath.find`, asked before every request. Where it does not hold, aiobotocore does the
work, which is right always.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

from workspaces_apps._http.borrowed import (
    SKIPPED_OF_SESSION,
    Internals,
    Listeners,
    http_session_of,
    internals_of,
    watchers_of,
)
from workspaces_apps._http.session import DirectSession
from workspaces_apps._http.signing import SigningTemplate
from workspaces_apps._model.models import Headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aiobotocore.client import AioBaseClient

    from workspaces_apps._http.signing import Signature, Signer, SigningContext


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

    async def post(self, data: bytes, guard: Callable[[], None] | None = None) -> RawAnswer:
        """Send a request and read its answer.

        Args:
            data: The request as it goes on the wire, head and body.
            guard: Asked directly before the request leaves: connecting may have taken seconds. What it raises is raised.

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
        if guard is not None:
            try:
                guard()
            except BaseException:
                connection.release()
                raise
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


_UNFIT: Final = frozenset("\r\n\0")


class RequestTemplate:
    """The common part of all requests of an operation.

    Attributes:
        url: Where they go.
        signing: What their signatures have in common.
    """

    __slots__ = ("_head", "signing", "url")

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        """Take down a request of aiobotocore's.

        Args:
            url: Where it goes.
            headers: Its headers before it is signed, in their order.

        Raises:
            ValueError: A header cannot be written.
        """
        parsed = URL(url, encoded=True)
        lines = [f"POST {parsed.raw_path_qs} HTTP/1.1", f"Host: {parsed.host_port_subcomponent}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if any(not _UNFIT.isdisjoint(line) for line in lines):
            raise ValueError("a header with a line break in it")
        self.url = parsed
        self.signing = SigningTemplate(url, headers)
        self._head = "\r\n".join(lines)

    def render(self, signature: Signature, body: bytes) -> bytes:
        """Return a request as it goes on the wire: in the order and spelling of aiohttp.

        Args:
            signature: What signs it.
            body: Its body.
        """
        token = f"X-Amz-Security-Token: {signature.token}\r\n" if signature.token else ""
        head = (
            f"{self._head}\r\nX-Amz-Date: {signature.date}\r\n{token}Authorization: {signature.authorization}\r\n"
            f"Content-Length: {len(body)}\r\nAccept-Encoding: identity\r\nAccept: */*\r\n\r\n"
        )
        return head.encode() + body


EVENTS: Final = (
    "provide-client-params",
    "before-parameter-build",
    "before-endpoint-resolution",
    "before-call",
    "request-created",
    "choose-signer",
    "before-sign",
    "before-send",
    "before-parse",
    "response-received",
    "needs-retry",
    "after-call",
    "after-call-error",
)
"""The events of a call, none of which the fast path emits."""

LONGEST_BODY: Final = 64 * 1024
"""Bytes; a longer body may have to wait until the socket takes it, which is left to aiohttp."""

_AT_HOME: Final = frozenset({"aiobotocore", "botocore", __name__.partition(".")[0]})
_STUBS: Final = frozenset({"botocore.stub", "aiobotocore.stub"})
"""Handlers that answer in the place of the network."""


class Route(NamedTuple):
    """The way of an operation's requests.

    Attributes:
        template: What they have in common.
        pool: The connections.
    """

    template: RequestTemplate
    pool: PooledPost


class FastPath:
    """Sends the requests of one aiobotocore client."""

    def __init__(self, client: AioBaseClient, session: DirectSession, signer: Signer) -> None:
        """Look at the client, which is as new.

        Args:
            client: Whose calls are made shorter.
            session: Its HTTP session.
            signer: What signs its requests.

        Raises:
            AttributeError: aiobotocore is not the one that we know.
        """
        self._session = session
        self._signer = signer
        self._service = client.meta.service_model.service_id.hyphenize()
        self._listeners = Listeners(client)
        self._version = self._listeners.version()
        self._internals = internals_of(client)
        self._routes: dict[str, Route] = {}
        self._pools: dict[str, PooledPost] = {}

    def find(self, operation: str, body: bytes) -> Route | None:
        """Return the way of an operation's requests if the fast path may be taken for this one; None if it may not.

        Args:
            operation: The API operation.
            body: The request's body.
        """
        if not self._is_free():
            return None
        route = self._routes.get(operation)
        if route is None or len(body) > LONGEST_BODY:
            return None
        session = route.pool.session
        # Written out: this is asked before each request.
        if any(watchers_of(session)) or not vars(session).keys().isdisjoint(SKIPPED_OF_SESSION):
            return None
        return route

    async def learn(self, operation: str, url: str, headers: Mapping[str, str]) -> None:
        """Take down what aiobotocore is about to send, so that the next request of the operation can do without it.

        Args:
            operation: The API operation.
            url: Where it goes.
            headers: What it carries before it is signed.
        """
        if self._session.needs_proxy(url) or not self._is_free() or self._is_watched(operation):
            return
        version = self._version
        pool = self._pools.get(url)
        if pool is None:
            self._pools[url] = pool = PooledPost(await self._session.pool(), URL(url, encoded=True))
        if version is not self._listeners.version():
            return
        try:
            template = RequestTemplate(url, headers)
        except ValueError:
            # Whatever aiohttp makes of such headers, it makes each time.
            return
        self._routes[operation] = Route(template, pool)

    async def send(
        self, route: Route, body: bytes, guard: Callable[[], None] | None = None
    ) -> tuple[int, Headers, bytes, SigningContext]:
        """Send one request; only where `find` gave leave.

        Args:
            route: The operation's.
            body: The request's body.
            guard: As for `PooledPost.post`.

        Returns:
            The status, the headers and the body of the answer, and what the request was signed with.

        Raises:
            CredentialsError: There is nothing to sign with.
            Exception: No answer; whatever aiohttp raises.
        """
        signature, signed_with = await self._signer.sign(route.template.signing, body)
        answer = await route.pool.post(route.template.render(signature, body), guard)
        return answer.status, Headers.from_raw(answer.headers), answer.body, signed_with

    def _is_free(self) -> bool:
        """Return whether nobody has wrapped anything; where listeners came or went, forget who listened to what."""
        version = self._listeners.version()
        if version is not self._version:
            self._version = version
            self._routes.clear()
        return is_unchanged(self._internals)

    def _is_watched(self, operation: str) -> bool:
        """Return whether anybody but botocore and this package listens to a call of the operation, or may."""
        return any(
            _is_stranger(handler)
            for event in EVENTS
            for handler in self._listeners.of(f"{event}.{self._service}.{operation}")
        )


def fast_path_of(client: AioBaseClient, signer: Signer) -> FastPath | None:
    """Return the fast path of a new client; None where there is none.

    Args:
        client: A client of aiobotocore's.
        signer: What signs its requests.
    """
    # On Lambda botocore adds a header of the invocation to each request.
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        return None
    session = http_session_of(client)
    if not isinstance(session, DirectSession):
        return None
    try:
        made = FastPath(client, session, signer)
    except AttributeError:
        return None
    return made


def is_unchanged(internals: Internals) -> bool:
    """Return whether nothing that the fast path skips is wrapped or replaced."""
    if not internals.original:
        return False
    for owner, name, expected in internals.methods:
        # By identity: wrappers are equal to what they wrap.
        if getattr(owner, name) is not expected:
            return False
    (client, of_client), (endpoint, of_endpoint), (session, of_session) = internals.own
    return (
        endpoint["http_session"] is internals.session
        and client.keys().isdisjoint(of_client)
        and endpoint.keys().isdisjoint(of_endpoint)
        and session.keys().isdisjoint(of_session)
    )


def _is_stranger(handler: object) -> bool:
    module: object = getattr(handler, "__module__", None)
    return not isinstance(module, str) or module in _STUBS or module.partition(".")[0] not in _AT_HOME
