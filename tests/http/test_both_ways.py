"""The fast path and aiobotocore's way are one: the same bytes leave, and the same comes of every answer."""

import asyncio
import json
import random
import re
from collections.abc import Awaitable
from typing import Any

import pytest

from tests.http.raw import Script, identified, scripted
from tests.http.ways import PATIENCE, client_of, posts, slow_client
from tests.model.service_model import OPERATIONS, SHAPES, request, request_shape
from workspaces_apps import MalformedResponseError, WorkSpacesError
from workspaces_apps._model.models import Request, Result
from workspaces_apps._model.validation import JsonObject
from workspaces_apps.simulator import ManualClock
from workspaces_apps.simulator._clocks import run_virtual

__all__ = ["posts"]

REQUESTS = 500
_SIGNED = re.compile(rb"(X-Amz-Date: )[^\r]+|(Credential=\w+/)\d{8}|(Signature=)\w+")


def made_up(rng: random.Random, shape: str) -> Any:
    """Make JSON of a shape: what is required, and now and then what is not."""
    found = SHAPES[shape]
    if "enum" in found:
        return rng.choice([*found["enum"], "NEWER"])
    match found["type"]:
        case "structure":
            wanted = {*found.get("required", ())}
            members = found.get("members", {})
            return {
                name: made_up(rng, member["shape"])
                for name, member in members.items()
                if name in wanted or rng.random() < 0.4
            }
        case "list":
            member = found.get("member", {"shape": ""})
            return [made_up(rng, member["shape"]) for _ in range(rng.randint(0, 2))]
        case "map":
            value = found.get("value", {"shape": ""})
            return {"key": made_up(rng, value["shape"])}
        case "string":
            return rng.choice(["ws-123456789", "Zürich 東京", ' "\\\n', ""])
        case "integer":
            return rng.randint(0, 99)
        case "boolean":
            return rng.random() < 0.5
        case "blob":
            return "AAEC"
        case _:
            return rng.randint(0, 2_000_000_000)


def answered(number: int) -> bytes:
    """Give each request an answer that depends on its number alone: results, errors, nonsense."""
    fault = {
        "__type": "com.amazon#ResourceNotFoundException:http://x",
        "message": "gone",
        "ResourceId": "ws-1",
    }
    return (
        identified(b"{}"),
        identified(b'{"NextToken": "more", "New": [1, null]}'),
        identified(json.dumps(fault).encode(), 400),
        identified(b'{"__type": "ThrottlingException"}', 400, "Retry-After: 3"),
        identified(b"<html>", 503, "Content-Type: text/html"),
        identified(b"", 300),
        identified(b"[]"),
        identified(b"", 200, "Date: Thu, 01 Jan 2026 00:00:00 GMT"),
    )[number % 8]


async def outcome(call: Awaitable[Result]) -> object:
    """Return everything that a caller can tell of how a call ended."""
    try:
        found = await call
    except WorkSpacesError as error:
        told = (
            "code",
            "http_status",
            "request_id",
            "resource_id",
            "attempts",
            "operation",
            "raw",
            "request_sent",
        )
        more = [getattr(error, name, None) for name in (*told, "retry_after", "reason")]
        return type(error), str(error), more
    meta = found.meta
    return found, meta.request_id, meta.http_status, dict(meta.headers), meta.attempts


async def test_the_same_requests_are_the_same_on_both_ways(posts: list[bytes]) -> None:
    """500 requests of all operations: equal bytes but for date and signature, equal results and errors."""
    rng = random.Random(0)
    names = [OPERATIONS[number % len(OPERATIONS)] for number in range(REQUESTS)]
    documents: list[JsonObject] = [made_up(rng, request_shape(name)) for name in names]
    made: list[Request] = [
        request(name).from_wire(document) for name, document in zip(names, documents, strict=True)
    ]
    found: list[list[object]] = []
    sent: list[list[bytes]] = []
    async with scripted() as script:
        for make in (client_of, slow_client):
            async with make(script.server.url, request_checks="structure") as ws:
                if make is client_of:
                    # The first call of each operation shows the way.
                    for first in made[: len(OPERATIONS)]:
                        await outcome(ws.execute(_operation(first)))
                del script.server.requests[:]
                script.turn = answered
                found.append([await outcome(ws.execute(_operation(each))) for each in made])
                sent.append([_SIGNED.sub(rb"\1\2\3", each) for each in script.server.requests])
                script.turn = lambda _: identified(b"{}")

    assert len(posts) == len(sent[0]) == len(sent[1]) == REQUESTS
    assert sent[0] == sent[1]
    assert found[0] == found[1]
    assert len({str(each)[:40] for each in found[0]}) > 3


def _operation(made: Request) -> Any:
    return made


_HEAD = b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: 7f\r\n"
_BODY = b'{"DedicatedTenancySupport": "ENABLED"}'
_WHOLE = identified(_BODY)

ANSWERS = {
    "chunked": _HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + _BODY[:5] + b"\r\n21\r\n" + _BODY[5:] + b"\r\n0\r\n\r\n",
    "chunked with a trailer": _HEAD + b"Transfer-Encoding: chunked\r\n\r\n26\r\n" + _BODY + b"\r\n0\r\nX: y\r\n\r\n",
    "until the end": _HEAD + b"Connection: close\r\n\r\n" + _BODY,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + _BODY,
    "Connection: close": identified(_BODY, 200, "Connection: close"),
    "100 before it": b"HTTP/1.1 100 Continue\r\n\r\n" + _WHOLE,
    "102 and 103 before it": b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + _WHOLE,
    "101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "101 that speaks on": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nxyz",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a header twice": identified(_BODY, 200, "x-amzn-RequestId: 8a", "X: 1", "x: 2"),
    "a header in Latin-1": _HEAD + b"X: \xe9\r\nContent-Length: 38\r\n\r\n" + _BODY,
    "compressed, it says": identified(_BODY, 200, "Content-Encoding: gzip"),
    "a redirect": identified(b"", 307, "Location: http://127.0.0.1:1/"),
    "cut in the body": _HEAD + b"Content-Length: 99\r\n\r\n" + _BODY,
    "cut in a chunk": _HEAD + b"Transfer-Encoding: chunked\r\n\r\n99\r\n" + _BODY,
    "cut in the head": _HEAD,
    "garbage": b"SPAM/1.1 what\r\n\r\n",
    "two lengths": _HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
async def test_any_answer_is_the_same_on_both_ways(name: str, posts: list[bytes]) -> None:
    """However an answer is framed or broken off; and the next call is answered as ever, on both ways."""
    closing = name.startswith(("until", "HTTP", "Connection", "cut", "garbage", "two"))
    found: list[object] = []
    async with scripted() as script:
        for make in (client_of, slow_client):
            async with make(script.server.url) as ws:
                await ws.describe_account()
                await _spoil(script, ANSWERS[name], closing)
                async with asyncio.timeout(PATIENCE):
                    found.append(await outcome(ws.describe_account()))
                script.turn, script.closing = lambda _: _WHOLE, False
                assert (await ws.describe_account()).dedicated_tenancy_support == "ENABLED"

    assert found[0] == found[1]
    assert len(posts) == 2


async def _spoil(script: Script, written: bytes, closing: bool) -> None:
    script.turn, script.closing = (lambda _: written), closing


@pytest.mark.parametrize(
    "written", [b"H", _WHOLE[:20], _WHOLE[:-9]], ids=["next to nothing", "in the head", "in the body"]
)
async def test_a_cancelled_call_takes_its_connection_with_it(written: bytes, posts: list[bytes]) -> None:
    """Wherever it is cancelled: the rest of its answer is never the answer to another call."""
    async with (
        scripted(lambda number: written if number == 1 else _WHOLE) as script,
        client_of(script.server.url) as ws,
    ):
        await ws.describe_account()
        task = asyncio.ensure_future(ws.describe_account())
        while len(script.server.requests) < 2:  # noqa: ASYNC110 - the server counts, and tells nobody
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(script.server.requests) == 2
        found = await ws.describe_account()

    assert found.dedicated_tenancy_support == "ENABLED"
    assert (len(posts), script.server.connections) == (2, 2)


async def test_a_call_cancelled_before_it_is_connected_leaves_nothing_behind(posts: list[bytes]) -> None:
    """The slot in the pool is given back, and so is the one of the client."""
    async with scripted() as script, client_of(script.server.url) as ws:
        await ws.describe_account()
        for ticks in range(12):
            task = asyncio.ensure_future(ws.describe_account())
            for _ in range(ticks):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.gather(*(ws.describe_account() for _ in range(30)))

    assert len(posts) >= 30


def test_silence_ends_with_the_read_timeout(posts: list[bytes]) -> None:
    """On both ways, with the same words; the request was sent."""
    found: list[object] = []

    async def main() -> None:
        async with scripted(lambda number: b"HTTP/1.1" if number % 2 else _WHOLE) as script:
            for make in (client_of, slow_client):
                async with make(script.server.url, read_timeout=PATIENCE) as ws:
                    await ws.describe_account()
                    found.append(await outcome(ws.describe_account()))

    run_virtual(main(), ManualClock())

    assert found[0] == found[1]
    assert "silent" in str(found[0])
    assert len(posts) == 1


def test_silence_after_an_interim_answer_ends_too(posts: list[bytes]) -> None:
    """aiohttp stops its timer at any answer; on the fast path it runs on."""
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"

    async def main() -> object:
        async with (
            scripted(lambda number: interim if number else _WHOLE) as script,
            client_of(script.server.url, read_timeout=PATIENCE) as ws,
        ):
            await ws.describe_account()
            async with asyncio.timeout(10 * PATIENCE):
                return await outcome(ws.describe_account())

    found = run_virtual(main(), ManualClock())

    assert "silent" in str(found)
    assert len(posts) == 1


async def test_a_malformed_answer_is_kept_as_it_came(posts: list[bytes]) -> None:
    """The raw body is on the error, byte for byte."""
    async with scripted() as script, client_of(script.server.url) as ws:
        await ws.describe_account()
        script.turn = lambda _: identified(b'{"DedicatedTenancySupport": 7}')
        with pytest.raises(MalformedResponseError) as caught:
            await ws.describe_account()

    assert (caught.value.raw, len(posts)) == (b'{"DedicatedTenancySupport": 7}', 1)
