"""The reasons for a missing answer, and whether the request may have arrived."""

import socket
from typing import Final

import aiohttp
from botocore.exceptions import (
    ConnectionError as BotocoreConnectionError,
)
from botocore.exceptions import (
    ConnectTimeoutError,
    HTTPClientError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)

from workspaces_apps._base.text import harmless
from workspaces_apps.errors import TransportError

_DETAIL_LIMIT: Final = 500
"""Characters at most of what a library says of a failure; what the other side has sent may be in it."""

_WRITTEN_AT_ONCE: Final = 64 * 1024
"""Bytes; a body up to this size is in the socket's buffer before the answer is waited for."""

_TOO_LATE_TO_CONNECT: Final = (ConnectTimeoutError, aiohttp.ConnectionTimeoutError)
_SILENT: Final = (ReadTimeoutError, aiohttp.SocketTimeoutError)
_PROXY: Final = (ProxyConnectionError, aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)
_TLS: Final = (SSLError, aiohttp.ClientSSLError)
_NOT_CONNECTED: Final = (
    *_TOO_LATE_TO_CONNECT,
    *_PROXY,
    aiohttp.ClientConnectorError,
    socket.gaierror,
    SSLError,
)


def cause_of(error: Exception) -> object:
    """Return what aiohttp raised, also where botocore's HTTP session has wrapped it."""
    return (
        error.kwargs.get("error") if isinstance(error, HTTPClientError | BotocoreConnectionError) else error
    )


def describe_failure(error: Exception, *, operation: str, size: int) -> TransportError:
    """The error to raise for a request without an answer.

    Args:
        error: What the HTTP session raised: botocore's, or aiohttp's own.
        operation: The API operation.
        size: The size of the request's body in bytes.
    """
    cause = cause_of(error)
    found = TransportError(_describe(error, cause), operation=operation)
    found.request_sent = _was_sent(error, cause, size)
    return found


def _describe(error: Exception, cause: object) -> str:
    for what in (error, cause):
        if isinstance(what, _TOO_LATE_TO_CONNECT):
            return "could not connect in time"
        if isinstance(what, _SILENT):
            return "the service was silent for longer than read_timeout"
        if isinstance(what, _PROXY):
            return f"the proxy could not be reached or refused: {type(cause).__name__}"
        if isinstance(what, _TLS):
            return f"TLS failed: {harmless(cause, _DETAIL_LIMIT)}"
    detail = harmless(cause, _DETAIL_LIMIT) or type(cause).__name__
    return f"the connection failed or broke: {detail}"


def _was_sent(error: Exception, cause: object, size: int) -> bool | None:
    if isinstance(error, _NOT_CONNECTED) or isinstance(cause, _NOT_CONNECTED):
        return False
    silent = isinstance(error, _SILENT) or isinstance(cause, _SILENT)
    if (silent and size <= _WRITTEN_AT_ONCE) or isinstance(cause, aiohttp.ClientPayloadError):
        return True
    return None
