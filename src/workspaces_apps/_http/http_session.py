"""aiobotocore's HTTP session as clients of the service use it: a shared trust store, and its aiohttp session at hand."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from workspaces_apps._base.redirects import HttpSession
from workspaces_apps._http.borrowed import http_session_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp
    from aiobotocore.client import AioBaseClient

_Contexts: TypeAlias = tuple[ssl.SSLContext, ssl.SSLContext | None]
"""The verification of the service, and of the proxy if there is one."""

_trust_stores: Final[WeakValueDictionary[str, ssl.SSLContext]] = WeakValueDictionary()
"""By what botocore is told to verify with: a file, or True for its own. Only while a client uses it."""


class DirectSession(HttpSession):
    """aiobotocore's HTTP session, which tells whether a proxy is in the way."""

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
        """Return whether what goes there goes through a proxy."""
        return bool(self._by_scheme.get(urlsplit(url).scheme))

    async def pool(self) -> aiohttp.ClientSession:
        """Return the aiohttp session for requests that need no proxy, opened if it is not yet."""
        return (await self._get_session(None)).session

    def _build_ssl_contexts(self, proxy_url: str | None) -> _Contexts:
        """Share the trust store with the other open clients: each would take 15 ms and 0.8 MB of its own."""
        shared = _trust_stores.get(self._trust) if self._trust and proxy_url is None else None
        if shared is not None:
            return shared, None
        built: _Contexts = getattr(super(), "_build_ssl_contexts")(proxy_url)  # noqa: B009 - private
        if self._trust and proxy_url is None:
            _trust_stores[self._trust] = built[0]
        return built


class PlainSession(DirectSession):
    """For an endpoint with plain http: without the trust store, which takes longer to read than a call."""

    def __init__(self, *, proxies: dict[str, str] | None = None, **options: Any) -> None:
        # The way to a proxy may still be TLS.
        super().__init__(proxies=proxies, **options if proxies else {**options, "verify": False})


def proxies_of(client: AioBaseClient) -> Mapping[str, str]:
    """Return the proxies that a client uses, by the scheme of what goes through them."""
    session = http_session_of(client)
    return session.proxies if isinstance(session, DirectSession) else {}
