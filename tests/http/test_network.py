"""Answers that never come, and whether the request may have arrived."""

import asyncio
import socket
import ssl
import traceback
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.http.conftest import CREDENTIALS, Connect, make_config
from tests.http.server import Answer, Manner, ScriptedServer, ok
from tests.http.ways import calls, posts
from workspaces_apps import RetryPolicy, TransportError, WorkSpacesClient
from workspaces_apps.api import WorkspaceRequest

__all__ = ["posts"]

ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of loopback that nobody listens on, and nobody can take meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def failure(ws: WorkSpacesClient) -> TransportError:
    """The error that a call of the client fails with."""
    with pytest.raises(TransportError) as caught:
        await ws.describe_account()
    assert caught.value.operation == "DescribeAccount"
    assert (caught.value.attempts, caught.value.http_status, caught.value.code) == (1, None, None)
    return caught.value


async def test_a_refused_connection_sent_nothing(connect: Connect, closed_port: int) -> None:
    """Nobody listens: no byte has left."""
    error = await failure(connect(endpoint_url=f"http://127.0.0.1:{closed_port}", retry=ONCE))

    assert error.request_sent is False
    assert error.__cause__ is not None


@pytest.mark.parametrize("manner", ["reset", "reset unread", "garbage"])
async def test_a_broken_connection_leaves_it_open(
    server: ScriptedServer, connect: Connect, manner: Manner
) -> None:
    """A reset before any answer, or an answer that is not HTTP: the request may have arrived."""
    server.script(Answer(manner=manner))

    assert (await failure(connect(retry=ONCE))).request_sent is None


async def test_a_truncated_answer_means_that_the_request_arrived(
    server: ScriptedServer, connect: Connect
) -> None:
    """A service that began to answer has read the request."""
    server.script(Answer(body=b'{"DedicatedTenancySupport": ', manner="truncated"))

    assert (await failure(connect(retry=ONCE))).request_sent is True


async def test_silence_means_that_the_request_was_written(server: ScriptedServer, connect: Connect) -> None:
    """After `read_timeout` without a byte: written in full, and perhaps carried out."""
    never = asyncio.Event()
    server.script(Answer(after=never))

    error = await failure(connect(retry=ONCE, read_timeout=0.05))

    assert error.request_sent is True
    assert "read_timeout" in str(error)


async def test_a_host_without_an_address_was_sent_nothing(connect: Connect) -> None:
    """The name cannot be resolved: no byte has left."""
    ws = connect(endpoint_url="https://workspaces.invalid", retry=ONCE)

    assert (await failure(ws)).request_sent is False


async def test_a_proxy_that_refuses_was_sent_nothing(connect: Connect, closed_port: int) -> None:
    """The service never saw the request; the password of the proxy is not in the text."""
    ws = connect(proxy=f"http://ada:lovelace@127.0.0.1:{closed_port}", retry=ONCE)

    error = await failure(ws)

    assert error.request_sent is False
    assert "proxy" in str(error)
    assert "lovelace" not in f"{error!r} {error} {error.__cause__}"


@asynccontextmanager
async def refusing(said: bytes) -> AsyncGenerator[tuple[str, list[bytes]]]:
    """Serve as a proxy that says the same to everybody and hangs up; yield its URL, and what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(said)
        writer.close()

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with proxy:
        yield f"http://ada:lovelace@127.0.0.1:{proxy.sockets[0].getsockname()[1]}", asked


REFUSED = b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "said,tunnels,told",
    [
        pytest.param(b"", 3, "it closed the connection", id="nothing"),
        pytest.param(b"hello\r\n\r\n", 3, "Bad status line", id="not HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", 3, "it closed the connection", id="half of a head"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", 3, "it closed the connection", id="no TLS behind it"),
        pytest.param(REFUSED % b"503 Service Unavailable", 3, "503 Service Unavailable", id="503"),
        pytest.param(REFUSED % b"403 Forbidden by ACL", 1, "403 Forbidden by ACL", id="403"),
        pytest.param(
            REFUSED % b"407 Proxy \x1b[1mAuthentication Required",
            1,
            "407 Proxy [1mAuthentication Required",
            id="407",
        ),
    ],
)
async def test_a_proxy_that_opens_no_tunnel(connect: Connect, said: bytes, tunnels: int, told: str) -> None:
    """The service was sent nothing, and the error tells what the proxy said; a refusal for good is not repeated."""
    async with refusing(said) as (proxy, asked):
        ws = connect(endpoint_url="https://127.0.0.1:9", proxy=proxy, retry=RetryPolicy(max_attempts=3))
        with pytest.raises(TransportError) as caught:
            await ws.create_workspaces(
                workspaces=[
                    WorkspaceRequest(directory_id="d-1234567890", user_name="ada", bundle_id="wsb-123456789")
                ]
            )

    assert caught.value.request_sent is False
    assert f"the proxy {proxy.rpartition('@')[2]} " in str(caught.value)
    assert told in str(caught.value)
    assert "lovelace" not in "".join(traceback.format_exception(caught.value))
    assert [one.split()[0] for one in asked] == [b"CONNECT"] * tunnels


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "https://127.0.0.1:9"])
async def test_a_proxy_without_an_address_is_named(connect: Connect, endpoint: str) -> None:
    """The name of the proxy cannot be resolved: the error says whose name that is."""
    ws = connect(endpoint_url=endpoint, proxy="http://ada:lovelace@proxy.invalid:3128", retry=ONCE)

    error = await failure(ws)

    assert error.request_sent is False
    assert "the proxy proxy.invalid:3128 could not be reached" in str(error)
    assert "lovelace" not in f"{error!r} {error} {error.__cause__}"


async def test_the_scheme_of_a_proxy_may_be_in_capitals(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`HTTP://` is `http://`, as an argument and in the environment."""
    server.respond(lambda _: ok())
    proxy = server.url.replace("http://", "HTTP://")

    await calls(connect(endpoint_url="http://127.0.0.1:9", proxy=proxy, retry=ONCE))
    monkeypatch.setenv("HTTP_PROXY", proxy)
    await calls(connect(endpoint_url="http://127.0.0.1:9", retry=ONCE))

    assert [request.headers["host"] for request in server.requests] == ["127.0.0.1:9"] * 2


async def test_authorities_that_are_gone_after_opening(connect: Connect, tmp_path: Path) -> None:
    """The file is read with the first request: without it no byte has left."""
    self_signed(tmp_path)
    ws = connect(endpoint_url="https://127.0.0.1:9", ca_bundle=tmp_path / "cert.pem", retry=ONCE)
    await ws.__aenter__()
    (tmp_path / "cert.pem").unlink()

    error = await failure(ws)

    assert error.request_sent is False
    assert "No such file" in str(error)


async def test_each_request_goes_through_the_proxy(
    server: ScriptedServer, connect: Connect, posts: list[bytes]
) -> None:
    """With `proxy` set, each request is the proxy's to forward, and so none takes the fast path."""
    server.respond(lambda _: ok())

    await calls(connect(endpoint_url="http://127.0.0.1:9", proxy=server.url), 3)

    assert [request.headers["host"] for request in server.requests] == ["127.0.0.1:9"] * 3
    assert posts == []


@asynccontextmanager
async def tunnelling() -> AsyncGenerator[tuple[str, list[str]]]:
    """Serve as a proxy for TLS; yield its URL, and the targets of the tunnels that it was asked for."""
    targets: list[str] = []
    tasks: set[asyncio.Task[None]] = set()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, _ = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ", 2)
        targets.append(f"{method} {target}")
        host, _, port = target.rpartition(":")
        beyond, towards = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for ends in ((reader, towards), (beyond, writer)):
            tasks.add(asyncio.create_task(relay(*ends)))

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}", targets
    finally:
        proxy.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_each_request_goes_through_a_tunnel(
    connect: Connect, tmp_path: Path, posts: list[bytes]
) -> None:
    """TLS through a proxy: one tunnel for calls that follow each other, none of which takes the fast path."""
    async with tunnelling() as (proxy, targets), ScriptedServer(self_signed(tmp_path)) as secure:
        secure.respond(lambda _: ok())
        async with connect(endpoint_url=secure.url, proxy=proxy, ca_bundle=tmp_path / "cert.pem") as ws:
            await calls(ws, 3)

    assert targets == [f"CONNECT {secure.url.removeprefix('https://')}"]
    assert (len(secure.requests), posts) == (3, [])


def self_signed(folder: Path, *names: str) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 and names that nobody vouches for; cert.pem in the folder is the same."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=1),
    )
    address = x509.SubjectAlternativeName(
        [x509.IPAddress(IPv4Address("127.0.0.1")), *(x509.DNSName(each) for each in names)]
    )
    own = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(own.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def test_a_certificate_that_nobody_vouches_for(
    connect: Connect, tmp_path: Path, posts: list[bytes]
) -> None:
    """TLS fails before a byte of the request has left; with its CA in `ca_bundle` calls go through, on both ways."""
    async with ScriptedServer(self_signed(tmp_path)) as secure:
        secure.respond(lambda _: ok())

        error = await failure(connect(endpoint_url=secure.url, retry=ONCE))
        assert error.request_sent is False
        assert "TLS" in str(error)
        assert secure.requests == []

        async with connect(endpoint_url=secure.url, ca_bundle=tmp_path / "cert.pem") as ws:
            await calls(ws, 3)
        assert secure.operations == ["DescribeAccount"] * 3
        assert len(posts) == 2


async def test_the_fast_path_trusts_no_other_certificate(
    connect: Connect, tmp_path: Path, posts: list[bytes]
) -> None:
    """A service whose certificate has become another one is sent nothing on the fast path either."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    served = self_signed(tmp_path / "first")
    async with ScriptedServer(served) as secure:
        secure.respond(lambda _: ok({}, Connection="close"))
        async with connect(
            endpoint_url=secure.url, ca_bundle=tmp_path / "first" / "cert.pem", retry=ONCE
        ) as ws:
            await calls(ws, 2)
            self_signed(tmp_path / "second")
            served.load_cert_chain(tmp_path / "second" / "cert.pem", tmp_path / "second" / "key.pem")

            error = await failure(ws)

    assert error.request_sent is False
    assert "TLS" in str(error)
    assert (len(secure.requests), len(posts)) == (2, 2)


@pytest.mark.parametrize("how", ["written", "linked"])
async def test_replaced_authorities_hold_for_the_next_client(
    connect: Connect, tmp_path: Path, how: str
) -> None:
    """A bundle that another one takes the place of is read again, while a client that has read the old one is open."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    bundle = tmp_path / "bundle.pem"
    async with (
        ScriptedServer(self_signed(tmp_path / "old")) as old,
        ScriptedServer(self_signed(tmp_path / "new")) as new,
    ):
        old.respond(lambda _: ok())
        new.respond(lambda _: ok())
        bundle.symlink_to(tmp_path / "old" / "cert.pem")
        before = connect(endpoint_url=old.url, ca_bundle=bundle, retry=ONCE)
        await calls(before)

        bundle.unlink()
        if how == "linked":
            bundle.symlink_to(tmp_path / "new" / "cert.pem")
        else:
            bundle.write_bytes((tmp_path / "new" / "cert.pem").read_bytes())

        await calls(connect(endpoint_url=new.url, ca_bundle=bundle, retry=ONCE))
        await calls(before)


@pytest.mark.parametrize(
    "host,fips,dualstack",
    [
        ("workspaces.us-east-1.amazonaws.com", False, False),
        ("workspaces-fips.us-east-1.amazonaws.com", True, False),
        ("workspaces.us-east-1.api.aws", False, True),
        ("workspaces-fips.us-east-1.api.aws", True, True),
    ],
)
async def test_an_endpoint_of_the_region_is_called_on_both_ways(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    posts: list[bytes],
    host: str,
    fips: bool,
    dualstack: bool,
) -> None:
    """FIPS and dual-stack name a host, which all requests go to under its certificate; only its address is made up."""
    async with ScriptedServer(self_signed(tmp_path, host)) as secure:
        secure.respond(lambda _: ok())
        asked: list[tuple[str, int]] = []

        async def resolve(name: str, port: int, **_: object) -> list[tuple[object, ...]]:
            asked.append((name, port))
            where = ("127.0.0.1", int(secure.url.rpartition(":")[2]))
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
        config = make_config(
            retry=ONCE, use_fips=fips, use_dualstack=dualstack, ca_bundle=tmp_path / "cert.pem"
        )
        async with WorkSpacesClient(region="us-east-1", credentials=CREDENTIALS, config=config) as ws:
            await calls(ws, 3)

    assert asked == [(host, 443)]
    assert [request.headers["host"] for request in secure.requests] == [host] * 3
    assert len(posts) == 2


async def test_a_cancelled_call_is_cancelled(server: ScriptedServer, connect: Connect) -> None:
    """CancelledError passes through every layer as it is, and the client goes on."""
    never = asyncio.Event()
    server.script(Answer(after=never), ok())
    ws = connect()
    call = asyncio.create_task(ws.describe_account())
    await server.arrived(1)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert (await ws.describe_account()).meta.attempts == 1
