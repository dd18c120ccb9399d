"""The requests of one operation but for body, date and signature, as aiobotocore makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from yarl import URL

from workspaces_apps._http.sigv4 import SigningTemplate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workspaces_apps._http.sigv4 import Signature

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
