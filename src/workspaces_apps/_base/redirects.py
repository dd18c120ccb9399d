"""aiobotocore's HTTP session without redirects, which it would follow, session token and all [seen], and with our pool."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession

from workspaces_apps._base.connections import HEAD_BYTES, RESPONSE_BYTES, GuardedConnector


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

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
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
        if session._verify or session._cert_file or proxy_url:
            # It reads files.
            own, of_proxy = await asyncio.to_thread(build, proxy_url)
        else:
            own, of_proxy = build(proxy_url)
        return GuardedConnector(
            most=self.response_bytes + HEAD_BYTES,
            seconds=2 * (session._timeout.sock_read or _SILENCE),
            limit=session._max_pool_connections,
            ssl=own,
            proxy_ssl_context=of_proxy,
            **session._connector_args,
        )


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
