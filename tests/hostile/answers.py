"""Kinds of answers, most of which no service should give, and what a client may make of each."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, TypeAlias

Ending: TypeAlias = Literal["value", "ServiceError", "MalformedResponseError", "TransportError"]

VALUE: Final = frozenset[Ending]({"value"})
SERVICE: Final = frozenset[Ending]({"ServiceError"})
MALFORMED: Final = frozenset[Ending]({"MalformedResponseError"})
NO_ANSWER: Final = frozenset[Ending]({"TransportError"})
BROKEN: Final = frozenset[Ending]({"TransportError", "MalformedResponseError"})
EITHER: Final = frozenset[Ending]({"value", "TransportError"})
ANY: Final = frozenset[Ending]({"value", "MalformedResponseError"})

Write: TypeAlias = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]
"""Writes the answer whose right body is given; the connection is closed after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of answer.

    Attributes:
        name: What it is, in words.
        endings: What a call may end with.
        write: Writes it.
        unending: Whether it goes on for longer than anybody waits, so that a read timeout must end it.
    """

    name: str
    endings: frozenset[Ending]
    write: Write
    unending: bool = False


def whole(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    """An answer that is framed as it should be."""
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body


def chunked(body: bytes, size: int) -> bytes:
    """A body in chunks."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


async def _say(text: Callable[[bytes], bytes], writer: asyncio.StreamWriter, right: bytes) -> None:
    writer.write(text(right))
    await writer.drain()


def _kind(name: str, endings: frozenset[Ending], text: Callable[[bytes], bytes]) -> Kind:
    return Kind(name=name, endings=endings, write=partial(_say, text))


OK: Final = b"HTTP/1.1 200 OK\r\n"

_FRAMINGS: Final[tuple[tuple[str, frozenset[Ending], Callable[[bytes], bytes]], ...]] = (
    ("right", VALUE, whole),
    ("one chunk", VALUE, lambda b: OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b, 9999)),
    ("chunks of a byte", VALUE, lambda b: OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b, 1)),
    (
        "chunk extensions",
        EITHER,
        lambda b: OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(b), b),
    ),
    (
        "trailers",
        EITHER,
        lambda b: OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b, 99)[:-2] + b"X-T: 1\r\n\r\n",
    ),
    ("until the end", VALUE, lambda b: OK + b"Connection: close\r\n\r\n" + b),
    ("HTTP/1.0", VALUE, lambda b: whole(b).replace(b"HTTP/1.1", b"HTTP/1.0")),
    ("no reason", VALUE, lambda b: whole(b, "200")),
    ("100 first", VALUE, lambda b: b"HTTP/1.1 100 Continue\r\n\r\n" + whole(b)),
    ("103 first", EITHER, lambda b: b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + whole(b)),
    ("small names", VALUE, lambda b: whole(b).replace(b"Content-Length", b"content-length")),
    ("100 headers", EITHER, lambda b: whole(b, headers="".join(f"X-{n}: {n}\r\n" for n in range(100)))),
    ("another answer behind", VALUE, lambda b: whole(b) + whole(b'{"Applications": 7}')),
    ("junk behind", EITHER, lambda b: whole(b) + b"\x00\xff junk"),
    ("the length twice", EITHER, lambda b: whole(b, headers=f"Content-Length: {len(b)}\r\n")),
    ("gzip named, not done", ANY | NO_ANSWER, lambda b: whole(b, headers="Content-Encoding: gzip\r\n")),
    ("text/html named", VALUE, lambda b: whole(b, headers="Content-Type: text/html\r\n")),
    ("a wrong check sum", VALUE, lambda b: whole(b, headers="x-amz-crc32: 1\r\n")),
    ("blank lines before", EITHER, lambda b: b"\r\n\r\n" + whole(b)),
)

_BROKEN: Final[tuple[tuple[str, frozenset[Ending], Callable[[bytes], bytes]], ...]] = (
    ("nothing", NO_ANSWER, lambda _: b""),
    ("no HTTP", NO_ANSWER, lambda _: b"SSH-2.0-OpenSSH_9.0\r\n"),
    ("TLS alert", NO_ANSWER, lambda _: b"\x15\x03\x01\x00\x02\x02\x28"),
    ("HTTP/9.9", EITHER, lambda b: whole(b).replace(b"HTTP/1.1", b"HTTP/9.9")),
    ("HTTP/2 preface", NO_ANSWER, lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("no status", NO_ANSWER, lambda b: whole(b).replace(b" 200 OK", b"")),
    ("a status of letters", NO_ANSWER, lambda b: whole(b, "abc")),
    ("a negative status", NO_ANSWER, lambda b: whole(b, "-200 OK")),
    ("half a head", NO_ANSWER, lambda _: b"HTTP/1.1 200 OK\r\nContent-Le"),
    ("half a body", NO_ANSWER, lambda b: whole(b + b" " * 50)[:-30]),
    (
        "half a chunk",
        NO_ANSWER,
        lambda b: OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s" % (len(b) + 9, b),
    ),
    (
        "no last chunk",
        NO_ANSWER,
        lambda b: OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(b), b),
    ),
    ("a chunk of letters", NO_ANSWER, lambda b: OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n" + b),
    ("a negative chunk", NO_ANSWER, lambda b: OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n" + b),
    (
        "an endless chunk size",
        NO_ANSWER,
        lambda b: OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 9999 + b,
    ),
    ("a negative length", NO_ANSWER, lambda b: OK + b"Content-Length: -5\r\n\r\n" + b),
    ("a length of letters", NO_ANSWER, lambda b: OK + b"Content-Length: abc\r\n\r\n" + b),
    ("lengths that differ", NO_ANSWER, lambda b: whole(b, headers="Content-Length: 3\r\n")),
    ("a length and chunks", EITHER | MALFORMED, lambda b: whole(b, headers="Transfer-Encoding: chunked\r\n")),
    ("a length of 20 digits", BROKEN, lambda b: OK + b"Content-Length: 99999999999999999999\r\n\r\n" + b),
    ("a huge header", NO_ANSWER, lambda b: whole(b, headers=f"X-A: {'a' * 100_000}\r\n")),
    (
        "10,000 headers",
        NO_ANSWER,
        lambda b: whole(b, headers="".join(f"X-{n}: {n}\r\n" for n in range(10_000))),
    ),
    ("NUL in a header", EITHER, lambda b: whole(b, headers="X-A: a\x00b\r\n")),
    ("a header without a name", EITHER, lambda b: whole(b, headers=": a\r\n")),
    ("a header without a colon", EITHER, lambda b: whole(b, headers="abc\r\n")),
    ("a folded header", EITHER, lambda b: whole(b, headers="X-A: a\r\n b\r\n")),
    # As aiobotocore, which takes UTF-8 only.
    ("bytes above 127", BROKEN, lambda b: whole(b, headers="X-A: \xff\xfe\r\n")),
    ("an unknown coding", EITHER | BROKEN, lambda b: whole(b, headers="Transfer-Encoding: rot13\r\n")),
)

_BODIES: Final[tuple[tuple[str, frozenset[Ending], bytes], ...]] = (
    ("null", MALFORMED, b"null"), ("true", MALFORMED, b"true"), ("a number", MALFORMED, b"7"),
    ("a text", MALFORMED, b'"{}"'), ("a list", MALFORMED, b"[]"), ("a list of one", MALFORMED, b"[{}]"),
    ("HTML", MALFORMED, b"<html>hello</html>"), ("XML", MALFORMED, b"<?xml version='1.0'?><a/>"),
    ("half of it", MALFORMED, b'{"Associations": ['), ("CBOR", MALFORMED, b"\xbf\xff"),
    ("no UTF-8", MALFORMED, b'{"X": "\xff"}'), ("UTF-16", MALFORMED, '{"X": 1}'.encode("utf-16")),
    ("a mark of bytes", ANY, b"\xef\xbb\xbf{}"), ("NaN", ANY, b'{"X": NaN}'), ("a comment", MALFORMED, b"{} // x"),
    ("single quotes", MALFORMED, b"{'X': 1}"), ("a comma too many", MALFORMED, b'{"X": 1,}'),
    ("two documents", MALFORMED, b"{}{}"), ("NUL", MALFORMED, b"\x00"), ("blanks", MALFORMED, b" " * 100),
    ("a nest of lists", MALFORMED, b"[" * 100_000), ("a nest of objects", MALFORMED, b'{"a":' * 100_000),
    ("members that are numbers", MALFORMED | VALUE, (b'{"Association": 1, "Associations": 1, "Applications": 1,'
     b' "Workspaces": 1, "Deployment": 1, "PendingRequests": 1, "FailedRequests": 1}')),
    ("members that are texts", MALFORMED | VALUE, (b'{"Association": "a", "Associations": "a", "Applications": "a",'
     b' "Workspaces": "a", "Deployment": "a", "PendingRequests": "a", "FailedRequests": "a"}')),
    ("members that are lists of lists", MALFORMED | VALUE, (b'{"Association": [[]], "Associations": [[]],'
     b' "Applications": [[]], "Workspaces": [[]], "Deployment": [[]], "PendingRequests": [[]]}')),
    ("members that are lists of null", MALFORMED | VALUE, (b'{"Association": [null], "Associations": [null],'
     b' "Applications": [null], "Workspaces": [null], "Deployment": [null], "PendingRequests": [null]}')),
    ("members that are empty", ANY, b'{"Association": {}, "Associations": [{}], "Deployment": {}}'),
)  # fmt: skip

_ADDED: Final[tuple[tuple[str, bytes], ...]] = (
    ("a strange member", b'"Zed": {"a": [1, null]}'), ("half a pair", b'"Zed": "\\ud83d"'),
    ("half a pair in a name", b'"Z\\udc00": 1'), ("5,000 digits", b'"Zed": ' + b"9" * 5000),
    ("an endless number", b'"Zed": -1e999'), ("the same member twice", b'"Zed": 1, "Zed": 2'),
    ("a member of ours", b'"meta": {"request_id": "x"}'), ("a member of Python's", b'"__class__": "x", "model_fields": 1'),
    ("an empty name", b'"": 1'), ("a deep member", b'"Zed": ' + b"[" * 150 + b"]" * 150),
    ("an empty token", b'"NextToken": ""'), ("a null token", b'"NextToken": null'),
    ("a megabyte", b'"Zed": "' + b"x" * 1_000_000 + b'"'), ("escapes", b'"Zed": "\\u001b[2J\\u202e"'),
)  # fmt: skip

_STATUSES: Final = (
    *(201, 202, 203, 206, 207, 226, 299),
    *(300, 301, 302, 303, 305, 307, 308, 399),
    *(
        400,
        401,
        402,
        403,
        404,
        405,
        406,
        407,
        408,
        409,
        410,
        411,
        412,
        413,
        414,
        415,
        416,
        417,
        418,
        421,
        422,
        423,
        424,
    ),
    *(
        425,
        426,
        428,
        429,
        431,
        451,
        499,
        500,
        501,
        502,
        503,
        504,
        505,
        506,
        507,
        508,
        510,
        511,
        520,
        529,
        599,
    ),
)

_ERRORS: Final[tuple[tuple[str, bytes, str], ...]] = (
    ("a bare type", b'{"__type": "ResourceNotFoundException", "message": "x"}', ""),
    ("a type with a shape", b'{"__type": "com.amazonaws#ResourceNotFoundException"}', ""),
    ("a type with an address", b'{"__type": "ResourceNotFoundException:http://x"}', ""),
    ("a type in a header", b"{}", "x-amzn-ErrorType: ResourceNotFoundException\r\n"),
    ("a code", b'{"code": "ResourceNotFoundException"}', ""),
    ("a type that is a list", b'{"__type": ["a"], "message": {"a": 1}}', ""),
    ("a type that is null", b'{"__type": null, "message": null}', ""),
    ("a type of a megabyte", b'{"__type": "' + b"x" * 1_000_000 + b'", "message": "' + b"y" * 1_000_000 + b'"}', ""),
    ("a type that steers", b'{"__type": "\\u001b[2J\\r\\n", "message": "\\u202e\\u0007"}', ""),
    ("half a pair", b'{"__type": "\\ud83d", "message": "\\udc00"}', ""),
    ("an error that is a list", b'[{"__type": "x"}]', ""), ("an error of nothing", b"", ""),
    ("an error of NUL", b"\x00" * 100, ""), ("an error that is a nest", b"[" * 100_000, ""),
    ("an error that is a number", b"1e999", ""), ("an error of XML", b"<Error><Code>x</Code></Error>", ""),
    ("a wish for 1e9 s", b'{"__type": "ThrottlingException"}', "Retry-After: 1000000000\r\n"),
    ("a wish of letters", b'{"__type": "ThrottlingException"}', "Retry-After: tomorrow\r\nx-amz-retry-after: -1\r\n"),
    ("a Date of letters", b'{"__type": "RequestTimeTooSkewed"}', "Date: 31 Foo 99999\r\n"),
    ("a Date of the year 9999", b'{"__type": "RequestTimeTooSkewed"}', "Date: Fri, 31 Dec 9999 23:59:59 -2359\r\n"),
    ("a redirect to somewhere", b"", "Location: http://127.0.0.1:1/\r\n"),
)  # fmt: skip


async def _silence(writer: asyncio.StreamWriter, _: bytes) -> None:
    del writer
    await asyncio.sleep(600)


async def _drip_head(writer: asyncio.StreamWriter, _: bytes) -> None:
    writer.write(OK)
    for number in range(10_000):
        writer.write(b"X-%d: 1\r\n" % number)
        await writer.drain()
        await asyncio.sleep(0.05)


async def _drip_body(writer: asyncio.StreamWriter, right: bytes) -> None:
    writer.write(OK + b"Content-Length: 100000\r\n\r\n" + right)
    for _ in range(10_000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _half_and_silence(writer: asyncio.StreamWriter, right: bytes) -> None:
    writer.write(whole(right + b"      ")[:-3])
    await writer.drain()
    await asyncio.sleep(600)


async def _flood(writer: asyncio.StreamWriter, _: bytes) -> None:
    writer.write(OK + b"\r\n")
    for _n in range(10_000):
        writer.write(b" " * 65536)
        await writer.drain()


async def _reset(writer: asyncio.StreamWriter, _: bytes) -> None:
    writer.transport.abort()


async def _late(writer: asyncio.StreamWriter, right: bytes) -> None:
    await asyncio.sleep(0.1)
    writer.write(whole(right))


async def _in_two(writer: asyncio.StreamWriter, right: bytes) -> None:
    text = whole(right)
    for start in range(0, len(text), 40):
        writer.write(text[start : start + 40])
        await writer.drain()
        await asyncio.sleep(0.001)


_UNENDING: Final[tuple[tuple[str, frozenset[Ending], Write], ...]] = (
    ("silence", NO_ANSWER, _silence),
    ("a head that drips", BROKEN, _drip_head),
    ("a body that drips", BROKEN, _drip_body),
    ("half, then silence", BROKEN, _half_and_silence),
)

_SLOW: Final[tuple[tuple[str, frozenset[Ending], Write], ...]] = (
    ("a flood", MALFORMED, _flood),
    ("a reset", NO_ANSWER, _reset),
    ("a late answer", VALUE, _late),
    ("an answer in pieces", VALUE, _in_two),
)


def with_member(right: bytes, member: bytes) -> bytes:
    """The right body with another member."""
    inner = right.strip()[1:-1]
    return b"{" + inner + (b", " if inner.strip() else b"") + member + b"}"


def _fixed(body: bytes, status: str, headers: str, _: bytes) -> bytes:
    return whole(body, status, headers)


def _enriched(member: bytes, right: bytes) -> bytes:
    return whole(with_member(right, member))


def kinds() -> Iterator[Kind]:
    """Every kind of answer."""
    for name, endings, text in _FRAMINGS + _BROKEN:
        yield _kind(name, endings, text)
    for name, endings, body in _BODIES:
        yield _kind(f"200: {name}", endings, partial(_fixed, body, "200 OK", ""))
    for name, member in _ADDED:
        yield _kind(f"right, with {name}", VALUE, partial(_enriched, member))
    for status in _STATUSES:
        endings = VALUE if status < 300 else SERVICE
        yield _kind(f"{status} with the right body", endings, partial(whole, status=f"{status} X"))
    for status in (400, 500, 503):
        for name, body, headers in _ERRORS:
            yield _kind(f"{status}: {name}", SERVICE, partial(_fixed, body, f"{status} X", headers))
    for name, endings, write in _SLOW:
        yield Kind(name=name, endings=endings, write=write)
    for name, endings, write in _UNENDING:
        yield Kind(name=name, endings=endings, write=write, unending=True)


def right_body(document: object) -> bytes:
    """A document as the service would send it."""
    return json.dumps(document).encode()
