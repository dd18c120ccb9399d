"""The fast path of a call: what aiobotocore and aiohttp would put on the wire, without the objects they would make.

aiobotocore builds three request objects, copies their headers from one to the other and emits a dozen events that
nobody listens to as a rule; aiohttp makes two more. The first call of an operation goes that way, and shows what all
of them have in common: URL and headers. The next ones are signed, written and read here, over the same connections,
with the same timeouts and TLS. What is put on the wire and what comes of an answer is the same on both ways.

There is one condition, `FastPath.find`, asked before every request. Where it does not hold, aiobotocore does the
work, which is right always.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from yarl import URL

from workspaces_apps._http.borrowed import Internals, Listeners, http_session_of, is_plain
from workspaces_apps._http.http_session import DirectSession
from workspaces_apps._http.pooled_post import PooledPost
from workspaces_apps._http.request_template import RequestTemplate
from workspaces_apps._model.headers import Headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiobotocore.client import AioBaseClient

    from workspaces_apps._http.signing import Signer, SigningContext

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
        self._internals = Internals(client)
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
        if route is None or len(body) > LONGEST_BODY or not is_plain(route.pool.session):
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

    async def send(self, route: Route, body: bytes) -> tuple[int, Headers, bytes, SigningContext]:
        """Send one request; only where `find` gave leave.

        Args:
            route: The operation's.
            body: The request's body.

        Returns:
            The status, the headers and the body of the answer, and what the request was signed with.

        Raises:
            CredentialsError: There is nothing to sign with.
            Exception: No answer; whatever aiohttp raises.
        """
        signature, signed_with = await self._signer.sign(route.template.signing, body)
        answer = await route.pool.post(route.template.render(signature, body))
        return answer.status, Headers.from_raw(answer.headers), answer.body, signed_with

    def _is_free(self) -> bool:
        """Return whether nobody has wrapped anything; where listeners came or went, forget who listened to what."""
        version = self._listeners.version()
        if version is not self._version:
            self._version = version
            self._routes.clear()
        return self._internals.unchanged()

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


def _is_stranger(handler: object) -> bool:
    module: object = getattr(handler, "__module__", None)
    return not isinstance(module, str) or module in _STUBS or module.partition(".")[0] not in _AT_HOME
