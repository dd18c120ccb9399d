"""Hostile input: whatever comes, an AWS error goes back, nothing changes, and the simulator lives."""

import http.client
import json
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulator.conformance import model
from workspaces_apps.simulator import ManualClock, Simulator
from workspaces_apps.simulator.operations import OPERATIONS
from workspaces_apps.simulator.snapshot import stored_world

pytestmark = pytest.mark.campaign

READING = [name for name in sorted(OPERATIONS) if name.startswith(("Describe", "List", "Get"))]
CASES = settings(
    max_examples=1000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
ids = st.sampled_from(["ws-00000000", "wsa-00000000", "wsb-00000000", "d-0000000000", "wsi-000000000", "x"])


@pytest.fixture(scope="module")
def target() -> Iterator[tuple[Simulator, http.client.HTTPConnection]]:
    """A simulator that checks no signatures, so that everything reaches the inside."""
    with Simulator.in_thread(clock=ManualClock(), throttle=None, verify_signatures=False) as sim:
        connection = http.client.HTTPConnection("127.0.0.1", int(sim.url.rsplit(":", 1)[1]), timeout=10)
        yield sim, connection
        connection.close()


def ask(
    connection: http.client.HTTPConnection,
    body: bytes,
    headers: dict[str, str],
    method: str = "POST",
    path: str = "/",
) -> tuple[int, bytes]:
    """One request over a connection that is opened again when it was closed."""
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (http.client.HTTPException, OSError):
        connection.close()
        raise


def likely(name: str) -> st.SearchStrategy[object]:
    """Members that an operation has, with values that may or may not fit."""
    shape = model()["operations"][name].get("input")
    members: list[str] = list(model()["shapes"][shape["shape"]]["members"]) if shape else []
    return st.fixed_dictionaries({}, optional={member: values | ids | st.lists(ids) for member in members})


@CASES
@given(st.data())
def test_any_json_gets_an_aws_answer(
    target: tuple[Simulator, http.client.HTTPConnection], data: st.DataObject
) -> None:
    """Every operation, members of every kind: 200 or an error with a type, never a 500."""
    _, connection = target
    name = data.draw(st.sampled_from(sorted(OPERATIONS)))
    body = data.draw(likely(name) | values)

    status, raw = ask(connection, json.dumps(body).encode(), {"X-Amz-Target": f"WorkspacesService.{name}"})

    assert status in (200, 400)
    answer = json.loads(raw)
    assert status == 200 or answer["__type"].isidentifier()


@CASES
@given(body=st.binary(max_size=300), name=st.sampled_from(READING))
def test_any_bytes_get_an_aws_answer_and_change_nothing(
    target: tuple[Simulator, http.client.HTTPConnection], body: bytes, name: str
) -> None:
    """Bodies that are no JSON."""
    sim, connection = target
    before = stored_world(sim.world, 0.0)

    status, raw = ask(connection, body, {"X-Amz-Target": f"WorkspacesService.{name}"})

    assert status in (200, 400)
    assert status == 200 or "__type" in json.loads(raw)
    assert stored_world(sim.world, 0.0) == before


@CASES
@given(
    method=st.sampled_from(["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "POST", "TRACE", "BREW"]),
    path=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
    name=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
    authorization=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80),
)
def test_any_method_path_and_target_get_an_aws_answer(
    target: tuple[Simulator, http.client.HTTPConnection],
    method: str,
    path: str,
    name: str,
    authorization: str,
) -> None:
    """An unknown operation, whatever it is called."""
    _, connection = target
    headers = {"X-Amz-Target": name.strip(), "Authorization": authorization.strip()}

    status, raw = ask(connection, b"", headers, method, "/" + path)

    assert 400 <= status < 500
    if method != "HEAD" and not path.startswith("_simulator"):
        assert json.loads(raw)["__type"] in {"BadRequestException", "UnknownOperationException"}


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nhello",
        b"POST / HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"GET " + b"/" * 20_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_gets_a_400_and_nothing_breaks(
    target: tuple[Simulator, http.client.HTTPConnection], raw: bytes
) -> None:
    """The HTTP layer refuses it; the next request is answered."""
    sim, connection = target
    with socket.create_connection(("127.0.0.1", int(sim.url.rsplit(":", 1)[1])), timeout=5) as peer:
        peer.sendall(raw)
        peer.shutdown(socket.SHUT_WR)
        answer = peer.recv(100)

    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    connection.close()
    assert ask(connection, b"{}", {"X-Amz-Target": "WorkspacesService.DescribeWorkspaces"})[0] == 200


def test_a_body_that_never_comes_is_given_up() -> None:
    """HTTP 408 after the setting's time, not a hang."""
    from workspaces_apps.simulator import SimulatorSettings

    with Simulator.in_thread(settings=SimulatorSettings(body_timeout=0.1)) as sim:
        port = int(sim.url.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
            peer.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
            assert peer.recv(100).startswith(b"HTTP/1.1 408")


def test_a_compressed_body_is_not_unpacked(target: tuple[Simulator, http.client.HTTPConnection]) -> None:
    """No way to send a bomb."""
    import gzip

    _, connection = target
    headers = {"X-Amz-Target": "WorkspacesService.DescribeWorkspaces", "Content-Encoding": "gzip"}

    status, raw = ask(connection, gzip.compress(b"{}"), headers)

    assert (status, json.loads(raw)["__type"]) == (400, "SerializationException")
