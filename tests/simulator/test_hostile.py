"""Hostile input: whatever comes, an AWS error goes back, nothing changes, and the simulator lives."""

import http.client
import json
import os
import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulator.conformance import model
from workspaces_apps.simulator import ManualClock, Simulator
from workspaces_apps.simulator._operations import OPERATIONS
from workspaces_apps.simulator._snapshot import stored_state

pytestmark = pytest.mark.campaign

READING = [name for name in sorted(OPERATIONS) if name.startswith(("Describe", "List", "Get"))]
SCALE = int(os.environ.get("WORKSPACES_FUZZ_SCALE", "1"))
"""How many times 2,000 requests the campaign has; 50 makes 100,000."""
CASES = settings(
    max_examples=300 * SCALE,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

CBOR_PATH = "/service/WorkspacesService/operation/"
CBOR_HEADERS = {
    "smithy-protocol": "rpc-v2-cbor",
    "Content-Type": "application/cbor",
    "Accept": "application/cbor",
}


@dataclass(frozen=True)
class Raw:
    """A body as it is, not to be encoded."""

    content: bytes


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
items = st.recursive(
    st.binary(max_size=20)
    | st.floats()
    | st.integers(-(2**70), 2**70)
    | st.builds(
        cbor2.CBORTag, st.sampled_from([0, 1, 2, 4, 5, 28, 35, 258, 55799]), st.integers() | st.text()
    )
    | st.just(cbor2.undefined),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ids = st.sampled_from(["ws-00000000", "wsa-00000000", "wsb-00000000", "d-0000000000", "wsi-000000000", "x"])


@pytest.fixture(scope="module")
def target() -> Iterator[tuple[Simulator, http.client.HTTPConnection]]:
    """A simulator that checks no signatures, so that everything reaches the inside."""
    with Simulator.in_thread(clock=ManualClock(), throttle=None, verify_signatures=False) as sim:
        connection = http.client.HTTPConnection("127.0.0.1", int(sim.url.rsplit(":", 1)[1]), timeout=60)
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
@given(st.data())
def test_any_cbor_gets_an_answer_in_cbor(
    target: tuple[Simulator, http.client.HTTPConnection], data: st.DataObject
) -> None:
    """Every operation, members of every kind and items that JSON has not: 200 or an error with a type, never a 500."""
    _, connection = target
    name = data.draw(st.sampled_from(sorted(OPERATIONS)))
    body = data.draw(likely(name) | values | items | st.binary(max_size=300).map(Raw))
    raw_body = body.content if isinstance(body, Raw) else cbor2.dumps(body)

    status, raw = ask(connection, raw_body, CBOR_HEADERS, path=f"{CBOR_PATH}{name}")

    assert status in (200, 400)
    answer = cbor2.loads(raw)
    assert status == 200 or answer["__type"].startswith("com.amazonaws.workspaces#")


@CASES
@given(body=st.binary(max_size=300), name=st.sampled_from(READING))
def test_any_bytes_get_an_aws_answer_and_change_nothing(
    target: tuple[Simulator, http.client.HTTPConnection], body: bytes, name: str
) -> None:
    """Bodies that are no JSON."""
    sim, connection = target
    before = stored_state(sim.accounts, 0.0)

    status, raw = ask(connection, body, {"X-Amz-Target": f"WorkspacesService.{name}"})

    assert status in (200, 400)
    assert status == 200 or "__type" in json.loads(raw)
    assert stored_state(sim.accounts, 0.0) == before


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
    if method != "HEAD" and not path.startswith("_control"):
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
    with socket.create_connection(("127.0.0.1", int(sim.url.rsplit(":", 1)[1])), timeout=60) as peer:
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
        with socket.create_connection(("127.0.0.1", port), timeout=60) as peer:
            peer.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
            assert peer.recv(100).startswith(b"HTTP/1.1 408")


def test_a_compressed_body_is_not_unpacked(target: tuple[Simulator, http.client.HTTPConnection]) -> None:
    """No way to send a bomb."""
    import gzip

    _, connection = target
    headers = {"X-Amz-Target": "WorkspacesService.DescribeWorkspaces", "Content-Encoding": "gzip"}

    status, raw = ask(connection, gzip.compress(b"{}"), headers)

    assert (status, json.loads(raw)["__type"]) == (400, "SerializationException")


IDS: dict[str, str] = {
    "WorkspaceId": "workspace_ids",
    "WorkspaceIds": "workspace_ids",
    "SourceWorkspaceId": "workspace_ids",
    "PrimaryWorkspaceId": "workspace_ids",
    "ApplicationId": "application_ids",
    "ApplicationIds": "application_ids",
    "DirectoryId": "directory_ids",
    "DirectoryIds": "directory_ids",
    "ResourceId": "directory_ids",
    "ResourceIds": "directory_ids",
    "BundleId": "bundle_ids",
    "BundleIds": "bundle_ids",
    "ImageId": "image_ids",
    "ImageIds": "image_ids",
    "SourceImageId": "image_ids",
}
"""Which of a fleet's ids a member takes, so that requests reach the inside of the handlers."""


ODD: list[object] = json.loads(
    '[null, true, -1, 1099511627776, 1.5, "", "\\u0000\\u001b", [], {}, [[]], {"a": {}}]'
)
"""What fits hardly any shape."""


def made_up(source: random.Random, fleet: dict[str, list[str]], shape_name: str, member: str = "") -> Any:
    """A value for a shape: mostly one that fits, with real ids and enum values, sometimes something else."""
    shape = model()["shapes"][shape_name]
    if source.random() < 0.03:
        return source.choice(ODD)
    match shape["type"]:
        case "structure":
            needed = shape.get("required", [])
            return {
                described.get("locationName", name): made_up(source, fleet, described["shape"], name)
                for name, described in shape["members"].items()
                if name in needed or source.random() < 0.4
            }
        case "list":
            count = source.choice([0, 1, 1, 2, shape.get("max", 3) + 1 if source.random() < 0.05 else 1])
            return [made_up(source, fleet, shape["member"]["shape"], member) for _ in range(min(count, 30))]
        case "map":
            return {"en_US": "hello"}
        case "boolean":
            return source.random() < 0.5
        case "integer" | "long":
            return source.choice([0, 1, 5, 25, 60, 61, 80, 100, 175, 2000, 2001])
        case "blob":
            return "cG5n"
        case _:
            if member in IDS:
                return source.choice(fleet[IDS[member]] or ["none"])
            return source.choice(
                shape.get("enum") or ["abc", "10.0.0.0/16", "123456789012", "https://a.b/", "us-east-1"]
            )


def with_blobs(value: Any) -> Any:
    """The same for CBOR, where a logo is bytes."""
    if isinstance(value, dict):
        given: dict[str, Any] = {**value}
        return {
            name: b"png" if name.startswith("Logo") and item == "cG5n" else with_blobs(item)
            for name, item in given.items()
        }
    if isinstance(value, list):
        items_: list[Any] = [*value]
        return [with_blobs(item) for item in items_]
    return value


def test_a_campaign_of_likely_requests_never_fails_the_simulator() -> None:
    """All 91 operations in both protocols, with real ids, in a fleet that goes on living: no 500, no broken answer."""
    from workspaces_apps.simulator import SimulatorSettings

    source = random.Random(int(os.environ.get("WORKSPACES_FUZZ_SEED", "0")))
    clock = ManualClock()
    settings_ = SimulatorSettings(presence="seeded", failure_rate=0.1, encrypted_share=0.3)
    statuses: dict[int, int] = {}
    names = sorted(model()["operations"])
    with Simulator.in_thread(
        clock=clock,
        throttle=None,
        verify_signatures=False,
        settings=settings_,
        workspaces=30,
        other_regions=["eu-west-1"],
    ) as sim:
        connection = http.client.HTTPConnection("127.0.0.1", int(sim.url.rsplit(":", 1)[1]), timeout=60)
        fleet: dict[str, list[str]] = {}
        for number in range(2000 * SCALE):
            if number % 100 == 0:
                clock.jump(source.choice([1, 60, 3600, 86_400]))
                fleet = {kind: list(getattr(sim.fleet, kind)) for kind in set(IDS.values())}
            name = source.choice(names)
            shape = model()["operations"][name].get("input")
            members: dict[str, Any] = made_up(source, fleet, shape["shape"]) if shape else {}
            if source.random() < 0.5:
                headers, path = {"X-Amz-Target": f"WorkspacesService.{name}"}, "/"
                status, raw = ask(connection, json.dumps(members).encode(), headers, path=path)
                answer = json.loads(raw)
            else:
                body = cbor2.dumps(with_blobs(members))
                status, raw = ask(connection, body, CBOR_HEADERS, path=f"{CBOR_PATH}{name}")
                answer = cbor2.loads(raw)
            statuses[status] = statuses.get(status, 0) + 1
            assert status == 200 or "__type" in answer, (name, members)
            if len(sim.fleet) < 20:
                sim.fleet.add_workspaces(10)
        connection.close()

    assert set(statuses) == {200, 400}, statuses
    assert statuses[200] > 400 * SCALE
