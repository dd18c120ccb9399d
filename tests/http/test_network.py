"""Answers that never come, and whether the request may have arrived."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.http.conftest import Connect
from tests.http.server import Answer, Manner, ScriptedServer, ok
from workspaces_apps import RetryPolicy, TransportError, WorkSpacesClient

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


async def test_a_request_goes_through_the_proxy(server: ScriptedServer, connect: Connect) -> None:
    """With `proxy` set, the request is the proxy's to forward."""
    server.script(ok())

    await connect(endpoint_url="http://127.0.0.1:9", proxy=server.url).describe_account()

    assert server.requests[0].headers["host"] == "127.0.0.1:9"


def self_signed(folder: Path) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that nobody vouches for; cert.pem in the folder is the same."""
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
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    own = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(own.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def test_a_certificate_that_nobody_vouches_for(connect: Connect, tmp_path: Path) -> None:
    """TLS fails before a byte of the request has left; with its CA in `ca_bundle` the call goes through."""
    async with ScriptedServer(self_signed(tmp_path)) as secure:
        secure.script(ok())

        error = await failure(connect(endpoint_url=secure.url, retry=ONCE))
        assert error.request_sent is False
        assert "TLS" in str(error)
        assert secure.requests == []

        await connect(endpoint_url=secure.url, ca_bundle=tmp_path / "cert.pem").describe_account()
        assert secure.operations == ["DescribeAccount"]


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
