"""The short way to the wire: what aiobotocore does between the events `before-call` and `after-call`, and no more.

aiobotocore builds three request objects there, copies their headers from one to the other, and emits eight events
that nobody listens to as a rule. The short way signs, lets tracers add their headers, and posts through the
connection pool, the timeouts and the TLS of aiobotocore's own HTTP session. The long way is taken where somebody
does listen, and where a proxy is in the way.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from botocore.exceptions import HTTPClientError
from yarl import URL

from workspaces_apps._base.redirects import HttpSession

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiobotocore.client import AioBaseClient

    from workspaces_apps._http.signing import Signer, SigningContext

LEFT_OUT: Final = (
    "before-endpoint-resolution",
    "request-created",
    "choose-signer",
    "before-sign",
    "before-send",
    "before-parse",
    "response-received",
    "needs-retry",
    "after-call-error",
)
"""The events that are not emitted on the short way, or, the first of them, only once."""

_AT_HOME: Final = frozenset({"aiobotocore", "botocore", __name__.partition(".")[0]})


_trust_stores: WeakValueDictionary[str, ssl.SSLContext] = WeakValueDictionary()
"""By what botocore is told to verify with: a file, or True for its own. Only while a client uses it."""


class SignedRequest:
    """A request that is ready to be sent: botocore's `AWSRequest` and its `AWSPreparedRequest` in one.

    Attributes:
        method: Always POST.
        url: Where it goes.
        headers: What it carries; botocore turns the values into bytes.
        body: What it says.
    """

    __slots__ = ("body", "headers", "method", "url")

    def __init__(self, url: str, headers: dict[str, str | bytes], body: bytes) -> None:
        self.method: str = "POST"
        self.url: str = url
        self.headers: dict[str, str | bytes] = headers
        self.body: bytes = body

    def prepare(self) -> SignedRequest:
        """It is prepared."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, with the names that those who watch calls know from botocore's `AWSResponse`.

    Attributes:
        status_code: The HTTP status.
        headers: The headers, with names in lower case.
        body: The body.
    """

    status_code: int
    headers: Mapping[str, str]
    body: bytes


_Contexts: TypeAlias = tuple[ssl.SSLContext, ssl.SSLContext | None]
"""How to verify the service, and the proxy if there is one."""


class DirectSession(HttpSession):
    """aiobotocore's HTTP session with a quick way to post where no proxy is needed."""

    def __init__(
        self,
        *,
        proxies: dict[str, str] | None = None,
        verify: bool | str = True,
        client_cert: object = None,
        **options: Any,
    ) -> None:
        settings: dict[str, Any] = {"verify": verify, "client_cert": client_cert, **options}
        super().__init__(proxies=proxies, **settings)
        self._trust = None if client_cert or not verify else str(verify)
        self._by_scheme: Mapping[str, str] = proxies or {}

    @property
    def proxies(self) -> Mapping[str, str]:
        """The proxies in use, by the scheme of what goes through them."""
        return self._by_scheme

    def needs_proxy(self, url: str) -> bool:
        """Tell if what goes there goes through a proxy."""
        return bool(self._by_scheme.get(urlsplit(url).scheme))

    def _build_ssl_contexts(self, proxy_url: str | None) -> _Contexts:
        """Share the trust store with the other open clients: each would take 15 ms and 0.8 MB of its own."""
        shared = _trust_stores.get(self._trust) if self._trust and proxy_url is None else None
        if shared is not None:
            return shared, None
        built: _Contexts = getattr(super(), "_build_ssl_contexts")(proxy_url)  # noqa: B009 - private
        if self._trust and proxy_url is None:
            _trust_stores[self._trust] = built[0]
        return built

    async def post(self, request: SignedRequest) -> Answer:
        """Send with fewer copies than `send`.

        Raises:
            HTTPClientError: No answer came; its `kwargs["error"]` says why.
        """
        headers = {
            name: value if isinstance(value, str) else value.decode()
            for name, value in request.headers.items()
        }
        # As aiobotocore asks: an answer is not to be compressed.
        headers["Accept-Encoding"] = "identity"
        try:
            session = await self._get_session(None)
            answer = await session.request(
                "POST", url=URL(request.url, encoded=True), headers=headers, data=request.body
            )
            body = await answer.read()
        except Exception as error:
            # As aiobotocore does: there is no end to what may go wrong here.
            raise HTTPClientError(error=error) from error
        found = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(status_code=answer.status, headers=found, body=body)


class PlainSession(DirectSession):
    """For an endpoint with plain http: without the trust store, which takes longer to read than a call."""

    def __init__(self, *, proxies: dict[str, str] | None = None, **options: Any) -> None:
        # The way to a proxy may still be TLS.
        super().__init__(proxies=proxies, **options if proxies else {**options, "verify": False})


class _Handlers(Protocol):
    """The handlers of botocore's events."""

    def prefix_search(self, event: str) -> Iterable[object]:
        """Those of one event."""
        ...


class _Endpoint(Protocol):
    """aiobotocore's endpoint. Tracers wrap `prepare_request` to add their headers."""

    http_session: object

    def prepare_request(self, request: SignedRequest) -> SignedRequest:
        """The request in the form that is sent."""
        ...


class Sender:
    """Sends signed requests; belongs to one client of aiobotocore's."""

    def __init__(self, client: AioBaseClient, signer: Signer) -> None:
        # Neither has a public name; where one is missing, every call takes the long way.
        self._endpoint: _Endpoint | None = getattr(client, "_endpoint", None)
        emitter: object = getattr(client.meta.events, "_emitter", None)
        self._handlers: _Handlers | None = getattr(emitter, "_handlers", None)
        self._service = client.meta.service_model.service_id.hyphenize()
        self._signer = signer
        self._is_open: dict[tuple[str, str], bool] = {}

    def is_open(self, operation: str, url: str) -> bool:
        """Tell if the short way may be taken: nobody listens to what it leaves out, and there is no proxy.

        Args:
            operation: The API operation.
            url: Where the request goes.
        """
        known = self._is_open.get((operation, url))
        if known is None:
            session = None if self._endpoint is None else self._endpoint.http_session
            known = isinstance(session, DirectSession) and not session.needs_proxy(url)
            known = known and not self._has_strangers(operation)
            self._is_open[operation, url] = known
        return known

    def _has_strangers(self, operation: str) -> bool:
        """Tell if anybody but botocore and this package listens, or may."""
        if self._handlers is None:
            return True
        return any(
            _home_of(handler) not in _AT_HOME
            for event in LEFT_OUT
            for handler in self._handlers.prefix_search(f"{event}.{self._service}.{operation}")
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[Answer, SigningContext]:
        """Send one request; only where `is_open` says so.

        Args:
            url: Where to.
            headers: What aiobotocore gives it: target, content type, user agent.
            body: What to send.

        Returns:
            The answer, and what the request was signed with.

        Raises:
            HTTPClientError: No answer came.
            CredentialsError: There is nothing to sign with.
        """
        added, signed_with = await self._signer.sign(url, headers, body)
        endpoint = self._endpoint
        assert endpoint is not None
        assert isinstance(endpoint.http_session, DirectSession)
        request = endpoint.prepare_request(SignedRequest(url, {**headers, **added}, body))
        return await endpoint.http_session.post(request), signed_with


def proxies_of(client: AioBaseClient) -> Mapping[str, str]:
    """Return the proxies that a client uses, by the scheme of what goes through them."""
    session = getattr(getattr(client, "_endpoint", None), "http_session", None)
    return session.proxies if isinstance(session, DirectSession) else {}


def _home_of(handler: object) -> str:
    """The package that a handler comes from."""
    module: object = getattr(handler, "__module__", None)
    return module.partition(".")[0] if isinstance(module, str) else ""
