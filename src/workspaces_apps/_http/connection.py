"""One HTTP call to the service: request bytes out through aiobotocore, a result or an error back."""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypedDict, TypeVar

import aiohttp
from aiobotocore import __version__ as aiobotocore_version
from aiobotocore.config import AioConfig
from botocore import UNSIGNED, xform_name
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)
from botocore.exceptions import ConnectionError as BotocoreConnectionError
from pydantic import ValidationError
from typing_extensions import TypeIs

from workspaces_apps._base import VERSION
from workspaces_apps._base.clock import to_seconds
from workspaces_apps._base.connections import AnswerTooLongError, NotConnectedError, ProxyError, with_limit
from workspaces_apps._base.credentials import check_region
from workspaces_apps._base.logs import relay_warnings
from workspaces_apps._base.text import MESSAGE_LIMIT, NAME_LIMIT, harmless
from workspaces_apps._http.borrowed import is_patched_by_xray, leave_out_retry_headers
from workspaces_apps._http.config import check_endpoint, is_tls
from workspaces_apps._http.fast_path import FastPath, fast_path_of
from workspaces_apps._http.session import (
    PROFILE_ADVICE,
    SERVICE,
    DirectSession,
    PlainSession,
    check_ca_bundle,
    check_proxies,
    endpoint_source,
    pinned_protocol,
    proxies_of,
)
from workspaces_apps._http.signing import Signer, SigningContext, SigningTemplate
from workspaces_apps._model.models import Headers, Result
from workspaces_apps._model.validation import as_utc
from workspaces_apps._retry import FailureKind, classify, read_retry_after
from workspaces_apps.api.errors import ERRORS
from workspaces_apps.errors import (
    ConfigurationError,
    MalformedResponseError,
    ServiceError,
    ThrottlingException,
    TransportError,
    WorkSpacesError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiobotocore.client import AioBaseClient
    from aiobotocore.session import AioSession
    from botocore.awsrequest import AWSRequest
    from botocore.model import OperationModel

    from workspaces_apps._http.config import ClientConfig
    from workspaces_apps._http.signing import CredentialsSource


ResultT = TypeVar("ResultT", bound=Result)

_NO_HEADERS: Final = Headers()

_NO_ANSWER: Final = (aiohttp.ClientError, OSError, EOFError, UnicodeDecodeError)
"""The errors of the fast path for a request without an answer that can be read; anything else is a fault of our own."""


@dataclass(slots=True, eq=False)
class HttpCall(Generic[ResultT]):
    """One request and what came back.

    Attributes:
        operation: The API operation.
        body: The request as JSON.
        result_type: What the answer should be.
        result: What it was, if it was that.
        error: What it was, if it was an error.
        request_id: The service's id of the answer.
        http_status: Its HTTP status.
        headers: Its headers.
        signed_with: What the request was signed with; None before it was.
    """

    operation: str
    body: bytes
    result_type: type[ResultT]
    result: ResultT | None = field(default=None, init=False)
    error: WorkSpacesError | None = field(default=None, init=False)
    request_id: str | None = field(default=None, init=False)
    http_status: int | None = field(default=None, init=False)
    headers: Mapping[str, str] = field(default=_NO_HEADERS, init=False)
    signed_with: SigningContext | None = field(default=None, init=False)
    _date: str | None = field(default=None, init=False)

    @property
    def date(self) -> datetime | None:
        """The service's time when it answered."""
        return _read_date(self._date)

    def read(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Take the answer in.

        Raises:
            MalformedResponseError: It is a 2xx, and not what the operation promises.
        """
        # The same request may have been answered before, and be sent again with newer credentials.
        self.result = self.error = None
        self.http_status = status
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.request_id = printable_name(headers.get("x-amzn-requestid") or headers.get("x-amz-request-id"))
        self._date = headers.get("date")
        if not 200 <= status < 300:
            self.error = _read_error(self, headers, body)
            if isinstance(self.error, ThrottlingException):
                flag_throttle()
            return
        try:
            self.result = self.result_type.from_wire(body or self._empty())
        except ValidationError as error:
            raise self._malformed(body, error) from None

    def read_stub(self, parsed: Mapping[str, object]) -> ResultT:
        """Take in what somebody answered in the network's place, such as botocore's Stubber.

        Raises:
            MalformedResponseError: It is not what the operation promises.
        """
        self._note_metadata(parsed)
        members = {name: as_utc(value) for name, value in parsed.items() if name != "ResponseMetadata"}
        try:
            self.result = self.result_type.from_wire(members)
        except ValidationError as error:
            raise self._malformed(b"", error) from None
        return self.result

    def read_stub_error(self, error: ClientError) -> ServiceError:
        """Take in an error that somebody raised in the network's place."""
        self._note_metadata(error.response)
        details = error.response.get("Error", {})
        return make_error(details.get("Code"), details.get("Message") or "", self)

    def _note_metadata(self, parsed: Mapping[str, Any]) -> None:
        metadata: Mapping[str, Any] = parsed.get("ResponseMetadata", {})
        self.headers = metadata.get("HTTPHeaders", {})
        self.http_status = metadata.get("HTTPStatusCode")
        self.request_id = metadata.get("RequestId")

    def _empty(self) -> bytes:
        # Nothing at all is right only where there is nothing to say.
        return b"" if self.result_type.model_fields else b"{}"

    def _malformed(self, body: bytes, cause: ValidationError) -> MalformedResponseError:
        details = cause.errors(include_url=False, include_context=False, include_input=False)
        places = [
            harmless(f"{'.'.join(map(str, detail['loc'])) or 'the body'}: {detail['msg']}", 300)
            for detail in details[:3]
        ]
        error = MalformedResponseError(
            f"the answer is not a {self.result_type.__name__}: {'; '.join(places)}",
            operation=self.operation,
            request_id=self.request_id,
            http_status=self.http_status,
        )
        error.raw = body
        return error


_MEANINGS: Final[Mapping[str, str]] = {
    "ApplicationNotSupportedException": "the application cannot be managed on WorkSpaces",
    "ComputeNotCompatibleException": "the application does not run on the compute type of the WorkSpace",
    "IncompatibleApplicationsException": "the application does not go with another one on the WorkSpace",
    "OperatingSystemNotCompatibleException": "the application does not run on the operating system of the WorkSpace",
}
"""Meanings of the errors that the service has no message for. [seen]"""

_http_call: ContextVar[HttpCall[Result]] = ContextVar("workspaces_apps_http_call")
"""The call that aiobotocore carries out. No argument: the handlers of botocore's events get none of ours."""


def user_agent(extra: str | None) -> str:
    """Return the User-Agent header; fixed, because building it anew takes a share of every call.

    aiobotocore's session appends botocore's version.
    """
    parts = [
        f"workspaces-apps/{VERSION}",
        f"aiobotocore/{aiobotocore_version}",
        f"{platform.python_implementation()}/{platform.python_version()}",
        f"os/{platform.system().lower()}",
    ]
    return " ".join([*parts, extra] if extra else parts)


class Connection:
    """An open aiobotocore client, signed and read by us; belongs to one event loop.

    Attributes:
        region: The Region it is for.
        endpoint: The URL it calls.
        signer: What signs its requests.
    """

    def __init__(
        self,
        client: AioBaseClient,
        closing: AsyncExitStack,
        signer: Signer,
        fast_path: FastPath | None,
        *,
        region: str,
        endpoint: str,
    ) -> None:
        self._client = client
        self._closing = closing
        self._fast_path = fast_path
        self.signer = signer
        self.region = region
        self.endpoint = endpoint

    async def close(self) -> None:
        """Close every connection."""
        await self.signer.close()
        await self._closing.aclose()

    async def send(self, http_call: HttpCall[ResultT], guard: Callable[[], None] | None = None) -> ResultT:
        """Send one request, once.

        Args:
            http_call: The request; takes the answer in.
            guard: On the fast path, asked once more after signing and connecting; what it raises is raised.

        Raises:
            ServiceError: An answer that is not 2xx.
            MalformedResponseError: A 2xx that is not what the operation promises.
            TransportError: No answer.
            CredentialsError: The request could not be signed.
        """
        fast_path = self._fast_path
        route = None if fast_path is None else fast_path.find(http_call.operation, http_call.body)
        if fast_path is None or route is None:
            return await self._send_by_aiobotocore(http_call)
        try:
            status, headers, body, http_call.signed_with = await fast_path.send(route, http_call.body, guard)
        except _NO_ANSWER as error:
            raise _failure(error, http_call) from error
        http_call.read(status, headers, body)
        if http_call.error is not None:
            raise http_call.error
        assert http_call.result is not None
        return http_call.result

    async def _send_by_aiobotocore(self, http_call: HttpCall[ResultT]) -> ResultT:
        """Send the request by the client's own method, which everybody sees who watches aiobotocore."""
        token = _http_call.set(http_call)  # type: ignore[arg-type]
        try:
            call: Callable[[], Awaitable[dict[str, object]]] = getattr(
                self._client, xform_name(http_call.operation)
            )
            parsed = await call()
        except ClientError as error:
            raise http_call.error or http_call.read_stub_error(error) from None
        except (HTTPClientError, BotocoreConnectionError, NotConnectedError) as error:
            raise _failure(error, http_call) from error
        except BotoCoreError as error:
            raise ConfigurationError(str(error), operation=http_call.operation) from error
        finally:
            _http_call.reset(token)
        if http_call.error is not None:
            # Statuses up to 300 that are not 2xx are errors to us, and successes to botocore.
            raise http_call.error
        return http_call.result if http_call.result is not None else http_call.read_stub(parsed)


async def open_connection(
    session: AioSession,
    source: CredentialsSource,
    config: ClientConfig,
    *,
    region: str,
    endpoint_url: str | None,
) -> Connection:
    """Open a client of aiobotocore's.

    Raises:
        ConfigurationError: aiobotocore does not take the settings.
    """
    relay_warnings()
    closing = AsyncExitStack()
    options: dict[str, object] = {}
    if config.use_fips is not None:
        options["use_fips_endpoint"] = config.use_fips
    if config.use_dualstack is not None:
        options["use_dualstack_endpoint"] = config.use_dualstack
    if config.proxy is not None:
        options["proxies"] = {"http": config.proxy, "https": config.proxy}
    plain = endpoint_url is not None and not is_tls(endpoint_url)
    try:
        settings = AioConfig(
            signature_version=UNSIGNED,
            retries={"total_max_attempts": 1, "mode": "standard"},
            parameter_validation=False,
            connect_timeout=to_seconds(config.connect_timeout, "connect_timeout"),
            read_timeout=to_seconds(config.read_timeout, "read_timeout"),
            max_pool_connections=config.max_connections,
            user_agent=user_agent(config.user_agent_extra),
            http_session_cls=with_limit(PlainSession if plain else DirectSession, config.max_response_bytes),
            **options,
        )
        # Its overloads name every service of AWS, each typed by a package of its own.
        untyped: Any = session
        context: AbstractAsyncContextManager[AioBaseClient] = untyped.create_client(
            SERVICE,
            region_name=region,
            endpoint_url=endpoint_url,
            verify=str(config.ca_bundle) if config.ca_bundle is not None else None,
            config=settings,
        )
        with pinned_protocol(session):
            client = await closing.enter_async_context(context)
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(f"{endpoint_source(endpoint_url)}{error}") from error
    endpoint = client.meta.endpoint_url
    try:
        _check_endpoint(endpoint, endpoint_url, config)
        proxies = proxies_of(client)
        check_proxies(proxies, config)
        # The session of what is not known to be plain reads them.
        if not plain or is_tls(proxies.get("http", "")):
            await check_ca_bundle(session, config)
    except ConfigurationError:
        await closing.aclose()
        raise
    signer = Signer(source, service=client.meta.service_model.signing_name, region=client.meta.region_name)
    fast_path = fast_path_of(client, signer)
    events = client.meta.events

    async def learn(model: OperationModel, params: _RequestParts, **_: object) -> None:
        if fast_path is not None:
            await fast_path.learn(model.name, params["url"], params["headers"])

    async def sign(request: AWSRequest, **_: object) -> None:
        http_call = _http_call.get()
        template = SigningTemplate(str(request.url), dict(request.headers.items()))
        signature, http_call.signed_with = await signer.sign(template, http_call.body)
        for name, value in signature.headers().items():
            request.headers[name] = value

    leave_out_retry_headers(client)
    events.register(f"request-created.{SERVICE}", sign)  # type: ignore[arg-type]  # aiobotocore awaits
    events.register(f"before-call.{SERVICE}", _write_body)
    events.register(f"before-parse.{SERVICE}", _read_answer)
    # Last of all: what everybody else has made of the request is what is sent.
    events.register_last("before-call", learn)  # type: ignore[arg-type]  # aiobotocore awaits
    return Connection(client, closing, signer, fast_path, region=client.meta.region_name, endpoint=endpoint)


def _check_endpoint(endpoint: str, given: str | None, config: ClientConfig) -> None:
    try:
        check_endpoint(endpoint, allow_insecure=config.allow_insecure_endpoint)
    except ConfigurationError as error:
        raise ConfigurationError(f"{endpoint_source(given)}{error.message}") from error.__cause__


def resolve_region(session: AioSession) -> str:
    """Return the Region of the environment or the profile.

    Raises:
        ConfigurationError: Neither names one that there can be, or the profile does not exist.
    """
    try:
        found: str | None = session.get_config_variable("region") or os.environ.get("AWS_REGION")
    except BotoCoreError as error:
        raise ConfigurationError(f"{error}. {PROFILE_ADVICE}") from error
    if not found:
        raise ConfigurationError(
            'no AWS Region: pass region="eu-west-1", or set AWS_DEFAULT_REGION, or `region` in the profile'
        )
    names = ("AWS_DEFAULT_REGION", "AWS_REGION")
    source = next((name for name in names if os.environ.get(name) == found), None)
    check_region(found, source or "region in the profile or the session")
    return found


def _failure(error: Exception, http_call: HttpCall[ResultT]) -> WorkSpacesError:
    """Return what to raise for a request without an answer, on whichever way it was sent."""
    cause = cause_of(error)
    if isinstance(cause, AnswerTooLongError):
        return MalformedResponseError(
            f"{cause}; ClientConfig(max_response_bytes=…) takes more", operation=http_call.operation
        )
    return describe_failure(error, operation=http_call.operation, size=len(http_call.body))


def _write_body(params: dict[str, object], **_: object) -> None:
    """Send our own bytes; aiobotocore would drop members that its model does not know."""
    params["body"] = _http_call.get().body


class _RequestParts(TypedDict):
    """The request as botocore's event `before-call` brings it."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class _RawAnswer(TypedDict):
    """The answer as botocore's event `before-parse` brings it."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes


def _read_answer(response_dict: _RawAnswer, **_: object) -> None:
    """Read the raw answer, and leave aiobotocore one that it cannot stumble over."""
    http_call = _http_call.get()
    http_call.read(response_dict["status_code"], response_dict["headers"], response_dict["body"])
    response_dict["body"] = b"{}"
    if http_call.error is not None:
        safe = {"__type": http_call.error.code or "Unreadable", "message": http_call.error.message}
        response_dict["body"] = json.dumps(safe).encode()


def _read_date(header: str | None) -> datetime | None:
    if header is None:
        return None
    try:
        found = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _read_error(http_call: HttpCall[ResultT], headers: Mapping[str, str], body: bytes) -> ServiceError:
    """Make the error that an answer is, whatever its form."""
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    members = document if _is_object(document) else {}

    def member(*names: str) -> str | None:
        return next((value for name in names if isinstance(value := members.get(name), str) and value), None)

    code = _bare(headers.get("x-amzn-errortype") or member("__type", "code", "Code"))
    message = member("message", "Message", "errorMessage")
    if message is None and code is None:
        kind = headers.get("content-type", "no content type").split(";")[0]
        message = f"an answer that cannot be read ({kind}, {len(body)} bytes)"
    return make_error(
        code,
        message or "",
        http_call,
        resource_id=member("ResourceId"),
        reason=member("reason", "Reason"),
        retry_after=read_retry_after(headers, datetime.now(UTC)),
    )


def _is_object(document: object) -> TypeIs[dict[str, object]]:
    return isinstance(document, dict)


def _bare(code: str | None) -> str | None:
    """Return the bare code: `ns#Name` and `Name:uri` → `Name`."""
    return (code.split(":")[0].rsplit("#", 1)[-1].strip() or None) if code is not None else None


def printable_name(value: str | None) -> str | None:
    """Return a code or an id as it can be shown; None if nothing is left."""
    if value is None:
        return None
    if value.isascii() and value.isprintable() and len(value) <= NAME_LIMIT and " " not in value:
        return value
    return harmless(value, NAME_LIMIT) or None


def make_error(
    code: str | None,
    message: str,
    http_call: HttpCall[ResultT],
    *,
    resource_id: str | None = None,
    reason: str | None = None,
    retry_after: float | None = None,
) -> ServiceError:
    """Return the error of the class that its code names; what the service says in it is made harmless."""
    code, resource_id, reason = printable_name(code), printable_name(resource_id), printable_name(reason)
    message = harmless(message, MESSAGE_LIMIT)
    kind = ERRORS.get(code or "", ServiceError)

    def of(kind: type[ServiceError]) -> ServiceError:
        return kind(
            message,
            operation=http_call.operation,
            request_id=http_call.request_id,
            code=code,
            http_status=http_call.http_status,
            resource_id=resource_id,
        )

    error = of(kind)
    if kind is ServiceError and code is not None and classify(error) is FailureKind.THROTTLE:
        error = of(ThrottlingException)
    error.meaning = _MEANINGS.get(code or "", "")
    error.reason = reason
    error.retry_after = retry_after
    return error


_DETAIL_LIMIT: Final = 500
"""Characters at most of what a library says of a failure; what the other side has sent may be in it."""

_WRITTEN_AT_ONCE: Final = 64 * 1024
"""Bytes; a body up to this size is in the socket's buffer before the answer is waited for."""

_TOO_LATE_TO_CONNECT: Final = (ConnectTimeoutError, aiohttp.ConnectionTimeoutError)
_SILENT: Final = (ReadTimeoutError, aiohttp.SocketTimeoutError)
_TLS: Final = (SSLError, aiohttp.ClientSSLError)
_NOT_CONNECTED: Final = (
    *_TOO_LATE_TO_CONNECT,
    NotConnectedError,
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
    """Return the error to raise for a request without an answer.

    Args:
        error: What the HTTP session raised: botocore's, or aiohttp's own.
        operation: The API operation.
        size: The size of the request's body in bytes.
    """
    cause = cause_of(error)
    found = TransportError(_describe(error, cause), operation=operation)
    found.request_sent = _was_sent(error, cause, size)
    found.proxy_status = cause.status if isinstance(cause, ProxyError) else None
    return found


def _describe(error: Exception, cause: object) -> str:
    for what in (error, cause):
        if isinstance(what, _TOO_LATE_TO_CONNECT):
            return "could not connect in time"
        if isinstance(what, _SILENT):
            return "the service was silent for longer than read_timeout"
        if isinstance(what, ProxyError):
            return harmless(what, _DETAIL_LIMIT)
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


def flag_throttle() -> None:
    """Flag the subsegment of the request under way as throttled, where X-Ray's SDK has patched aiobotocore."""
    # Nothing of it is typed.
    core: Any = sys.modules.get("aws_xray_sdk.core")
    if core is None or not is_patched_by_xray():
        return
    from aws_xray_sdk.core.exceptions.exceptions import SegmentNotFoundException

    try:
        subsegment = core.xray_recorder.current_subsegment()
    except SegmentNotFoundException:
        # Nobody traces this call.
        return
    if subsegment is not None and subsegment.in_progress:
        subsegment.add_throttle_flag()
