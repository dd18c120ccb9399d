"""A service that says what a test tells it to, over real HTTP, and remembers what it was asked."""

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias

from aiohttp import web

from workspaces_apps._model.validation import JsonObject

REQUEST_ID: Final = "11111111-2222-3333-4444-555555555555"

Manner: TypeAlias = Literal["whole", "reset", "reset unread", "truncated", "garbage"]
"""How an answer is given: as it is, or not at all, or in a way that no client can read to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer.

    Attributes:
        status: The HTTP status.
        body: The body, byte for byte.
        headers: The headers; names are sent as they are.
        manner: How it is given.
        after: What is waited for before it is given; set when the server is closed.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    manner: Manner = "whole"
    after: asyncio.Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One request as it came.

    Attributes:
        method: The HTTP method.
        path: The path.
        headers: The headers, with names in lower case.
        body: The body; empty where the answer came before it was read.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def operation(self) -> str:
        """The operation that the target header names."""
        return self.headers.get("x-amz-target", "").rpartition(".")[2]

    @property
    def json(self) -> JsonObject:
        """The body as a JSON object."""
        found: JsonObject = json.loads(self.body)
        return found


Responder: TypeAlias = Callable[[Recorded], Answer]

_HEADERS: Final = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": REQUEST_ID}


def ok(members: Mapping[str, object] | None = None, **headers: str) -> Answer:
    """A success with these members, by their wire names."""
    return Answer(body=json.dumps(members or {}).encode(), headers=_HEADERS | headers)


def fault(code: str | None, message: str = "", *, status: int = 400, **members: object) -> Answer:
    """An error as the service sends it."""
    document = {"__type": code, "message": message, **members}
    return Answer(status=status, body=json.dumps(document).encode(), headers=_HEADERS)


class ScriptedServer:
    """A server on loopback whose answers are scripted, one a request.

    Attributes:
        requests: What it was asked, in order.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """A server that does not listen yet; with `tls` it speaks HTTPS."""
        self._tls = tls
        self.requests: list[Recorded] = []
        self._script: deque[Answer | Responder] = deque()
        self._responder: Responder | None = None
        self._held: list[asyncio.Event] = []
        self._arrivals = asyncio.Condition()
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.0)
        self._port = 0

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for event in self._held:
            event.set()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """The URL that it listens on."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self._port}"

    @property
    def operations(self) -> list[str]:
        """The operations it was asked for, in order."""
        return [request.operation for request in self.requests]

    def script(self, *answers: Answer | Responder) -> None:
        """Give these answers next, one a request."""
        self._script.extend(answers)

    def respond(self, responder: Responder) -> None:
        """Ask `responder` for every answer that is not scripted."""
        self._responder = responder

    async def arrived(self, count: int) -> None:
        """Return once it was asked that often."""
        async with self._arrivals:
            await self._arrivals.wait_for(lambda: len(self.requests) >= count)

    def _answer(self, request: Recorded) -> Answer:
        # Not repeatable and with a code of its own, so that a request too many is seen as one.
        following = self._script.popleft() if self._script else self._responder or fault("NothingScripted")
        return following if isinstance(following, Answer) else following(request)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        early = bool(self._script) and getattr(self._script[0], "manner", "") == "reset unread"
        recorded = Recorded(
            method=request.method,
            path=request.path,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=b"" if early else await request.read(),
        )
        answer = self._answer(recorded)
        async with self._arrivals:
            self.requests.append(recorded)
            self._arrivals.notify_all()
        if answer.after is not None:
            self._held.append(answer.after)
            await answer.after.wait()
        response = web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        return response if answer.manner == "whole" else await _spoil(request, answer, response)


async def _spoil(request: web.BaseRequest, answer: Answer, response: web.Response) -> web.StreamResponse:
    transport = request.transport
    assert isinstance(transport, asyncio.Transport)
    if answer.manner == "garbage":
        transport.write(b"SPAM/1.1 what\r\n\r\n")
        transport.close()
    elif answer.manner == "truncated":
        transport.write(
            b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n" % (answer.status, len(answer.body) + 10)
        )
        transport.write(answer.body)
        transport.close()
    else:
        transport.abort()
    return response
