"""smithy-rpc-v2-cbor: chosen by the request, exact on the wire, and the same service behind it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulator.conformance import model
from tests.simulator.peer import Call, bare, peer_of, refusal
from workspaces_apps.simulator import ManualClock, Simulator
from workspaces_apps.simulator import _protocols as protocols
from workspaces_apps.simulator._operations import OPERATIONS

HEADERS: Final = {
    "smithy-protocol": "rpc-v2-cbor",
    "Content-Type": "application/cbor",
    "Accept": "application/cbor",
}
READING: Final = [name for name in sorted(OPERATIONS) if name.startswith(("Describe", "List", "Get"))]
Answer = tuple[int, Any, Mapping[str, str]]


@pytest.fixture(scope="module")
def open_sim() -> Iterator[Simulator]:
    """A simulator that checks no signatures, so that bare requests reach the inside."""
    with Simulator.in_thread(clock=ManualClock(), throttle=None, verify_signatures=False) as sim:
        yield sim


def ask(
    sim: Simulator,
    operation: str,
    body: bytes,
    headers: Mapping[str, str] = HEADERS,
    path: str = "/service/WorkspacesService/operation/",
) -> Answer:
    """One bare request, the body of its answer decoded by cbor2 or json as its Content-Type says."""
    status, raw, given = bare(sim, None, body, path=path + operation, headers=headers)
    lower = {name.lower(): value for name, value in given.items()}
    return (
        status,
        cbor2.loads(raw) if lower["content-type"] == "application/cbor" else json.loads(raw),
        lower,
    )


def test_the_peer_speaks_it_signed(sim: Simulator) -> None:
    """botocore with a model that has no other protocol: signed, paged, with times and errors as it reads them."""
    with peer_of(sim, speaks="cbor") as call:
        application = call("describe_applications", MaxResults=1)["Applications"][0]
        error = refusal(lambda: call("deploy_workspace_applications", WorkspaceId="ws-00000000"))

    assert {record.protocol for record in sim.requests} == {"cbor"}
    assert application["Created"].tzinfo is not None
    assert (error["Code"], error["ResourceId"]) == ("ResourceNotFoundException", "ws-00000000")


def test_a_wrong_signature_is_refused_in_cbor(sim: Simulator) -> None:
    """Unsigned CBOR gets the same error as unsigned JSON, in CBOR."""
    status, answer, headers = ask(sim, "DescribeWorkspaces", cbor2.dumps({}))

    assert status == 400
    assert answer["__type"] == "com.amazonaws.workspaces#MissingAuthenticationTokenException"
    assert headers["smithy-protocol"] == "rpc-v2-cbor"


def test_times_have_tag_1_and_the_protocol_is_echoed(open_sim: Simulator) -> None:
    """Epoch seconds with tag 1, and both headers of the protocol."""
    _, raw, headers = bare(
        open_sim, None, cbor2.dumps({"MaxResults": 1}),
        path="/service/WorkspacesService/operation/DescribeApplications", headers=HEADERS,
    )  # fmt: skip
    lower = {name.lower(): value for name, value in headers.items()}

    assert b"gCreated\xc1\xfb" in raw
    assert (lower["smithy-protocol"], lower["content-type"]) == ("rpc-v2-cbor", "application/cbor")
    assert len(lower["x-amzn-requestid"]) == 36


@pytest.mark.parametrize(
    "operation,changed,path,status,code,readable_as",
    [
        ("NoSuchThing", {}, None, 400, "UnknownOperationException", "cbor"),
        ("ImportCustomWorkspaceImage", {}, None, 400, "UnknownOperationException", "cbor"),
        ("DescribeWorkspaces", {}, "/service/Other/operation/", 400, "UnknownOperationException", "cbor"),
        ("DescribeWorkspaces", {}, "/stage/service/WorkspacesService/operation/", 200, None, "cbor"),
        (
            "DescribeWorkspaces",
            {"X-Amz-Target": "WorkspacesService.DescribeWorkspaces"},
            None,
            400,
            "UnknownOperationException",
            "cbor",
        ),
        ("DescribeWorkspaces", {"smithy-protocol": "rpc-v3-cbor"}, None, 400, "UnknownOperationException", "cbor"),
        (
            "DescribeWorkspaces",
            {"smithy-protocol": "rpc-v2-json", "Accept": "application/json", "Content-Type": "application/json"},
            None,
            400,
            "UnknownOperationException",
            "json",
        ),
        ("DescribeWorkspaces", {"Content-Type": "text/plain"}, None, 415, "UnsupportedMediaTypeException", "cbor"),
        ("", {}, "/", 400, "UnknownOperationException", "cbor"),
    ],
)  # fmt: skip
def test_an_answer_is_in_a_form_its_client_reads(
    open_sim: Simulator,
    operation: str,
    changed: dict[str, str],
    path: str | None,
    status: int,
    code: str | None,
    readable_as: str,
) -> None:
    """Unknown protocols, services, operations and types are refused in the form that the request speaks of."""
    where = path or "/service/WorkspacesService/operation/"

    got, answer, headers = ask(open_sim, operation, cbor2.dumps({}), {**HEADERS, **changed}, where)

    assert got == status
    assert ("smithy-protocol" in headers) == (readable_as == "cbor")
    if code is not None:
        assert answer["__type"].rpartition("#")[2] == code


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        b"\xa1",
        b"\x80",
        b"\xf6",
        b"\xa0\xa0",
        b"{}",
        b"\x9f" * 100_000,
        b"\xbf" + b"\x61a\x9f" * 50_000,
        b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xa1\x62\xff\xff\x01",
        b"\xa2\x61a\x01\x61a\x02",
        b"\xa1\x01\x02",
        b"\xa1\x65Limit\xc2\x41\x05",
        b"\xa1\x61x\xd8\x1c\x80",
        b"\xa1\x61x\xc5\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\xa1\x61x\xd8\x23\x64(a*)",
        cbor2.dumps({"Limit": cbor2.CBORTag(1, 5)}),
        cbor2.dumps({"Limit": b"5"}),
        cbor2.dumps({"DirectoryId": b"d-1234567890"}),
        cbor2.dumps({"WorkspaceIds": {"a": "b"}}),
    ],
)
def test_a_body_that_is_no_structure_of_the_protocol_is_a_serialization_error(
    open_sim: Simulator, body: bytes
) -> None:
    """Broken, nested without end, with foreign tags, duplicate or odd keys, or of the wrong type: in bounded time."""
    status, answer, _ = ask(open_sim, "DescribeWorkspaces", body)

    assert (status, answer["__type"]) == (400, "com.amazonaws.workspaces#SerializationException")


@pytest.mark.parametrize(
    "body",
    [b"", b"\xa0", b"\xbf\xff", cbor2.dumps({"New": [b"x", 1.5], "Limit": None}), b"\xbf\x65Limit\x05\xff"],
)
def test_definite_or_not_known_or_not_a_good_body_is_read(open_sim: Simulator, body: bytes) -> None:
    """Indefinite lengths, nulls and unknown members are as good as in JSON."""
    assert ask(open_sim, "DescribeWorkspaces", body)[0] == 200


def test_blobs_are_byte_strings(open_sim: Simulator) -> None:
    """A logo comes as bytes; base64 text is for JSON."""
    directory = open_sim.fleet.directory_ids[0]

    def branding(logo: object) -> bytes:
        return cbor2.dumps({"ResourceId": directory, "DeviceTypeWeb": {"Logo": logo}})

    assert ask(open_sim, "ImportClientBranding", branding(b"png"))[0] == 200
    assert ask(open_sim, "ImportClientBranding", branding("cG5n"))[0] == 400


def test_without_cbor2_a_client_is_told_in_its_own_form(
    open_sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP 415 and a CBOR map, made without the package; JSON goes on."""
    monkeypatch.setattr(protocols, "is_available", lambda: False)

    status, answer, _ = ask(open_sim, "DescribeWorkspaces", b"\xa0")

    assert (status, answer["__type"]) == (415, "com.amazonaws.workspaces#UnsupportedMediaTypeException")
    assert bare(open_sim, "DescribeWorkspaces", b"{}")[0] == 200


def test_an_unpaired_surrogate_is_refused_at_the_door(open_sim: Simulator) -> None:
    """A text that no CBOR answer could give back is not stored from JSON [assumed]; whole pairs are."""
    directory = open_sim.fleet.directory_ids[0]

    def tag(value: str) -> int:
        body = json.dumps({"ResourceId": directory, "Tags": [{"Key": "k", "Value": value}]})
        return bare(open_sim, "CreateTags", body)[0]

    assert (tag("\ud83d"), tag("\U0001f600")) == (400, 200)


def test_what_a_test_put_in_is_made_readable(call: Call, sim: Simulator) -> None:
    """A user name that only `fleet` can set never breaks an answer, in either protocol."""
    (ws,) = sim.fleet.add_workspaces()
    sim.fleet.workspace(ws).user_name = "bob \ud83d\x00\x1b"

    assert call("describe_workspaces", WorkspaceIds=[ws])["Workspaces"][0]["UserName"].startswith("bob ")


def test_an_error_that_quotes_the_request_is_printable(call: Call) -> None:
    """No control character of a request comes back in a message."""
    error = refusal(lambda: call("describe_applications", Owner="x\r\n\x1b[31m" + "9" * 30))

    assert error["Code"] == "ValidationException"
    assert error["Message"].isprintable()


@pytest.mark.parametrize("kind", ["control_characters", "unpaired_surrogate"])
def test_odd_characters_come_only_when_asked_for(sim: Simulator, kind: Any) -> None:
    """Both faults are in the body, in the form of the protocol, and leave ids and tokens alone."""
    sim.faults.add(kind, times=2)
    with peer_of(sim) as by_json:
        user = by_json("describe_workspaces", Limit=1)["Workspaces"][0]
    record = sim.requests.last()

    assert user["UserName"].endswith("\ud800" if kind == "unpaired_surrogate" else "\x1b[31m\x00")
    assert user["WorkspaceId"] == sim.fleet.workspace_ids[0]
    assert record is not None
    assert record.fault == kind


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ids = st.sampled_from(["ws-00000000", "wsa-00000000", "wsb-00000000", "d-0000000000", "AMAZON", "us-east-1"])


def asked(name: str) -> st.SearchStrategy[object]:
    """Members that an operation has, with values that may or may not fit."""
    shape = model()["operations"][name].get("input")
    members: list[str] = list(model()["shapes"][shape["shape"]]["members"]) if shape else []
    return st.fixed_dictionaries({}, optional={member: values | ids | st.lists(ids) for member in members})


@pytest.mark.campaign
@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.data())
def test_both_protocols_say_the_same(open_sim: Simulator, data: st.DataObject) -> None:
    """Whatever is asked, status, error code and answer do not depend on the protocol."""
    name = data.draw(st.sampled_from(READING))
    body = data.draw(asked(name))

    status, raw, _ = bare(open_sim, name, json.dumps(body))
    other_status, _, _ = ask(open_sim, name, cbor2.dumps(body))
    by_json, by_cbor = list(open_sim.requests)[-2:]

    assert other_status == status
    assert by_cbor.error == by_json.error
    if status == 200 and b"NextToken" not in raw:
        assert by_cbor.answer == by_json.answer
