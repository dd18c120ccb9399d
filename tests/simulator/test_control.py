"""The control endpoint: what it can do, and whom it refuses."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.simulator.peer import Call, bare, refusal
from workspaces_apps.simulator import ManualClock, Simulator


@pytest.fixture
def control(sim: Simulator) -> Callable[..., tuple[int, dict[str, Any]]]:
    """A control request with the token of the simulator's JSON line."""
    info = sim.connection_info()

    def ask(method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, Any]]:
        given = {"Authorization": f"Bearer {info['control_token']}", **headers}
        where = urlsplit(info["control_url"]).path + path
        raw = b"" if body is None else json.dumps(body).encode()
        status, answer, _ = bare(sim, None, raw, method=method, path=where, headers=given)
        return status, json.loads(answer)

    return ask


Ask = Callable[..., tuple[int, dict[str, Any]]]


def test_the_json_line_has_what_another_process_needs(sim: Simulator) -> None:
    """Six texts."""
    info = sim.connection_info()

    assert sorted(info) == [
        "access_key_id",
        "control_token",
        "control_url",
        "region",
        "secret_access_key",
        "url",
    ]
    assert info["control_url"].startswith(info["url"])


def test_a_fault_can_be_added_and_cleared(sim: Simulator, call: Call, control: Ask) -> None:
    """From outside the process, with the names of `faults.add`."""
    status, answer = control(
        "POST", "/faults", {"kind": "throttle", "operation": "DescribeWorkspaces", "times": 2}
    )
    assert (status, answer["fault"]["kind"], answer["fault"]["active"]) == (200, "throttle", True)

    assert refusal(lambda: call("describe_workspaces"))["Code"] == "ThrottlingException"
    assert control("GET", "/faults")[1]["faults"][0]["hits"] == 1
    control("DELETE", "/faults")
    assert call("describe_workspaces")["Workspaces"]


def test_requests_can_be_counted(sim: Simulator, call: Call, control: Ask) -> None:
    """By operation; control requests are not among them."""
    call("describe_workspaces")
    call("describe_workspaces")

    assert control("GET", "/requests") == (200, {"total": 2, "operations": {"DescribeWorkspaces": 2}})
    control("DELETE", "/requests")
    assert sim.requests.count() == 0


def test_a_manual_clock_can_be_advanced(control: Ask, clock: ManualClock) -> None:
    """By seconds."""
    before = clock.timestamp()

    assert control("POST", "/clock", {"seconds": 90})[1] == {"now": before + 90}


@pytest.mark.parametrize(
    "method,path,body,status",
    [
        ("POST", "/faults", {"kind": "explode"}, 400),
        ("POST", "/faults", {"kind": "throttle", "times": 0}, 400),
        ("POST", "/faults", {"kind": "slow", "delay": "long"}, 400),
        ("POST", "/faults", [], 400),
        ("POST", "/clock", {"seconds": -1}, 400),
        ("POST", "/save", None, 409),
        ("GET", "/nothing", None, 404),
        ("PUT", "/faults", None, 404),
    ],
)
def test_what_cannot_be_done_is_refused(
    control: Ask, method: str, path: str, body: object, status: int
) -> None:
    """With a message that says why."""
    code, answer = control(method, path, body)

    assert code == status
    assert answer["__type"]


@pytest.mark.parametrize(
    "method,path,body,message",
    [
        (
            "POST",
            "/faults",
            {"kind": "throttle", "time": 1},
            "'time' is no member of the body; did you mean 'times'?",
        ),
        ("POST", "/faults", {"times": 1}, "kind is needed"),
        ("POST", "/faults", {"kind": "throttel"}, "'throttel' is no kind of fault; did you mean 'throttle'?"),
        ("POST", "/faults", {"kind": "throttle", "operation": [1]}, "each of operation is a text, not 1"),
        (
            "POST",
            "/faults",
            {"kind": "throttle", "times": "1"},
            "times is a whole number, 1 or more, not '1'",
        ),
        (
            "POST",
            "/clock",
            {"seconds": 5, "minutes": 3},
            "'minutes' is no member of the body; there are seconds",
        ),
        ("POST", "/clock", {}, "seconds is a number from 0 to 10000000000, not None"),
        ("GET", "/requests/records?limt=1", None, "'limt' is no parameter; did you mean 'limit'?"),
        ("GET", "/requests?operation=DescribeTags", None, "'operation' is no parameter; there are none"),
    ],
)
def test_what_is_not_known_is_refused_with_advice(
    sim: Simulator, control: Ask, clock: ManualClock, method: str, path: str, body: object, message: str
) -> None:
    """And nothing is done: no fault is added, and the clock stays."""
    before = clock.timestamp()

    assert control(method, path, body) == (400, {"__type": "BadRequest", "message": message})

    assert len(sim.faults) == 0
    assert clock.timestamp() == before


def test_a_null_is_as_good_as_left_out(sim: Simulator, control: Ask) -> None:
    """For those whose languages write every member of a structure."""
    body = {
        "kind": "slow",
        "operation": None,
        "workspace_id": None,
        "times": None,
        "skip": None,
        "delay": None,
    }
    assert control("POST", "/faults", body)[0] == 200

    (fault,) = sim.faults
    assert (fault.operations, fault.times, fault.skip, fault.delay) == (None, None, 0, 30.0)


def test_the_schema_of_a_body_refuses_what_is_not_known(control: Ask) -> None:
    """As the simulator does, so that a generated client does it first."""
    _, described = control("GET", "/openapi.json")
    bodies = [
        operation["requestBody"]["content"]["application/json"]["schema"]
        for path in described["paths"].values()
        for operation in path.values()
        if "requestBody" in operation
    ]
    assert len(bodies) == 2
    assert all(body["additionalProperties"] is False for body in bodies)


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", "Basic abc", "Bearer \u00e9"])
def test_the_token_is_needed(control: Ask, authorization: str) -> None:
    """401 without it."""
    assert control("GET", "/faults", Authorization=authorization)[0] == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:80"},
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://[bad"},
    ],
)
def test_a_web_page_is_refused_even_with_the_token(control: Ask, headers: dict[str, str]) -> None:
    """403 for a name that points here, and for a page from elsewhere."""
    assert control("DELETE", "/faults", **headers)[0] == 403


def test_the_simulators_own_origin_is_let_in(control: Ask, sim: Simulator) -> None:
    """localhost and the address."""
    port = sim.url.rsplit(":", 1)[1]

    assert control("GET", "/faults", Origin=sim.url)[0] == 200
    assert control("GET", "/faults", Host=f"localhost:{port}", Origin=f"http://localhost:{port}")[0] == 200


def test_a_mapped_port_and_a_named_container_are_let_in() -> None:
    """Any port of an address or of localhost, and the names that were given; no other name."""
    with Simulator.in_thread(control_token="secret", host_names=["Simulator"]) as sim:

        def ask(host: str) -> int:
            headers = {"Authorization": "Bearer secret", "Host": host}
            return bare(sim, None, b"", method="GET", path="/_control/faults", headers=headers)[0]

        assert {ask(host) for host in ("localhost:49153", "10.0.0.7:4566", "[::1]:80", "simulator:4566")} == {
            200
        }
        assert ask("other:4566") == 403


def test_health_and_description_need_no_token(sim: Simulator) -> None:
    """A container's health check knows none; deleting needs one even there."""
    for path in ("/health", "/openapi.json"):
        assert bare(sim, None, b"", method="GET", path=f"/_control{path}")[0] == 200
        assert bare(sim, None, b"", method="DELETE", path=f"/_control{path}")[0] == 401


def test_requests_can_be_read(sim: Simulator, call: Call, control: Ask) -> None:
    """Newest after a number, by operation or error, with what was asked and answered, whatever the protocol."""
    call("describe_tags", ResourceId=sim.fleet.workspace_ids[0])
    refusal(lambda: call("describe_tags", ResourceId="nothing"))

    (first, second) = control("GET", "/requests/records?operation=DescribeTags")[1]["records"]
    (failed,) = control("GET", "/requests/records?error=ResourceNotFoundException&limit=5")[1]["records"]
    later = control("GET", f"/requests/records?after={first['number']}")[1]["records"]

    assert first["parameters"] == {"ResourceId": sim.fleet.workspace_ids[0]}
    assert first["answer"]["TagList"]
    assert failed == second == later[0]
    assert control("GET", "/requests/records?limit=many")[0] == 400
    assert control("GET", "/requests/records?colour=red")[0] == 400
    assert control("GET", "/requests/records?operation=DescribeTag")[0] == 400


def test_the_connection_can_be_asked_for(sim: Simulator, control: Ask) -> None:
    """The connection details of the line on standard output, for those who cannot read it."""
    assert control("GET", "/connection") == (200, sim.describe())


def test_every_route_is_described_and_every_description_true(sim: Simulator, control: Ask) -> None:
    """Each path and method of the document answers 200 to an example of its own schema, with the members it names."""
    document = json.loads(bare(sim, None, b"", method="GET", path="/_control/openapi.json")[1])
    examples = {"addFault": {"kind": "throttle"}, "moveClock": {"seconds": 1}}
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            if described["operationId"] == "saveState":
                continue
            status, answer = control(
                method.upper(), path.removeprefix("/_control"), examples.get(described["operationId"])
            )
            schema = described["responses"]["200"]["content"]["application/json"]["schema"]
            assert status == 200, path
            assert set(schema.get("required", ())) <= answer.keys(), path
            assert answer.keys() <= set(schema.get("properties", answer)), path
