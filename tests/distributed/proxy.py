"""A proxy between client and S3: it records what is asked, and refuses, holds or loses what the test says."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import aiohttp
from aiohttp import web

Forward: TypeAlias = Callable[[], Awaitable[web.Response]]
"""Asks S3, and returns its answer."""

Interfere: TypeAlias = Callable[[web.Request, Forward], Awaitable[web.Response]]
"""Answers a request, with S3's answer or another."""


SLOW_SECONDS: Final = 0.3
"""Seconds that `S3Proxy.hold` adds to a request."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that S3 has written.

    Attributes:
        path: Its bucket and key.
        body: Its content.
        mark: The proxy's mark at that moment.
    """

    path: str
    body: bytes
    mark: int


@dataclass(slots=True)
class S3Proxy:
    """The proxy.

    Attributes:
        endpoint: Its URL.
        interfere: Answers each request; replace it at any time.
        requests: Each request, before it was answered.
        stored: The objects that S3 has written, in the order of its answers.
        refused: Requests that `refuse` has answered.
        held: Requests that `hold` has let through.
        mark: Returns what each stored object is to be marked with, such as how much was done by then.
    """

    endpoint: str = ""
    interfere: Interfere | None = None
    requests: list[web.Request] = field(default_factory=list[web.Request])
    stored: list[Stored] = field(default_factory=list[Stored])
    refused: int = 0
    held: int = 0
    mark: Callable[[], int] = field(default=lambda: 0)

    async def refuse(self, _request: web.Request, _forward: Forward) -> web.Response:
        """Answer as S3 does when it asks for fewer requests."""
        self.refused += 1
        return web.Response(
            status=503, body=b"<Error><Code>SlowDown</Code></Error>", content_type="application/xml"
        )

    async def hold(self, _request: web.Request, forward: Forward) -> web.Response:
        """Let S3 be slow."""
        # Not an event: how long S3 takes is what this is about.
        await asyncio.sleep(SLOW_SECONDS)
        self.held += 1
        return await forward()

    def listings(self) -> list[web.Request]:
        """Return the requests that list objects."""
        return [one for one in self.requests if "list-type" in one.query]

    def puts(self, key: str) -> list[web.Request]:
        """Return the requests that write objects with such a key."""
        return [one for one in self.requests if one.method == "PUT" and key in one.path]


async def lose_answer(request: web.Request, forward: Forward) -> web.Response:
    """Let S3 do what is asked, and cut the connection in place of its answer."""
    answer = await forward()
    assert request.transport is not None
    request.transport.abort()
    return answer


@asynccontextmanager
async def s3_proxy(upstream: str) -> AsyncGenerator[S3Proxy, None]:
    """Run a proxy before an S3 endpoint; until the test says otherwise it lets everything through."""
    proxy = S3Proxy()
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def handle(request: web.Request) -> web.Response:
            body = await request.read()
            proxy.requests.append(request)

            async def forward() -> web.Response:
                headers = {name: value for name, value in request.headers.items() if name != "Host"}
                url = f"{upstream}{request.path_qs}"
                async with session.request(request.method, url, data=body, headers=headers) as got:
                    if request.method == "PUT" and got.status == 200:
                        proxy.stored.append(Stored(request.path, body, proxy.mark()))
                    kept = {
                        name: value
                        for name, value in got.headers.items()
                        if name.lower() in ("etag", "content-type")
                    }
                    return web.Response(status=got.status, body=await got.read(), headers=kept)

            return await (proxy.interfere(request, forward) if proxy.interfere is not None else forward())

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        listening = web.TCPSite(runner, "127.0.0.1", 0)
        await listening.start()
        try:
            host, port = runner.addresses[0][:2]
            proxy.endpoint = f"http://{host}:{port}"
            yield proxy
        finally:
            await runner.cleanup()
