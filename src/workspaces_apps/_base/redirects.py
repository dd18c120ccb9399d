"""aiobotocore's HTTP session without redirects: aiobotocore would follow one, session token and all. [seen]"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiobotocore.httpsession import AIOHTTPSession

if TYPE_CHECKING:
    import aiohttp


class _NoRedirects:
    """An aiohttp session that never follows a redirect, which would take the session token to another host."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def request(self, method: str, **options: Any) -> aiohttp.ClientResponse:
        return await self._session.request(method, **options, allow_redirects=False)


class HttpSession(AIOHTTPSession):
    """aiobotocore's HTTP session without redirects; tests hold the private method that this overrides."""

    async def _get_session(self, proxy_url: str | None) -> _NoRedirects:
        return _NoRedirects(await super()._get_session(proxy_url))  # type: ignore[misc]  # not in the stubs
