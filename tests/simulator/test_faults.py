"""Faults: each kind does what it says, to the requests it was meant for."""

import http.client
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError
from botocore.parsers import ResponseParserError

from tests.simulator.conformance import model
from tests.simulator.peer import Call, bare, bare_json, peer_of, refusal
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator import FaultKind, ManualClock, Simulator
from workspaces_apps.simulator._faults import NEW_MEMBER, NEW_VALUE, REASONS


@pytest.fixture
def office(sim: Simulator) -> str:
    """An application."""
    return sim.fleet.application("office ltsc professional plus 2021")


@pytest.mark.parametrize(
    "kind,code,status",
    [
        ("throttle", "ThrottlingException", 400),
        ("error", "InternalServerException", 400),
        ("internal_error", "InternalServerException", 500),
        ("unavailable", "ServiceUnavailableException", 503),
    ],
)
def test_an_error_is_answered_instead(
    sim: Simulator, call: Call, kind: FaultKind, code: str, status: int
) -> None:
    """The code and the status of the kind, once, and then the service is itself again."""
    fault = sim.faults.add(kind, operation="DescribeWorkspaces", times=1)

    error = refusal(lambda: call("describe_workspaces"))

    assert (error["Code"], error["Status"]) == (code, status)
    assert call("describe_workspaces")["Workspaces"]
    assert (fault.hits, fault.active) == (1, False)


def test_an_error_can_have_any_code(sim: Simulator, call: Call) -> None:
    """Code and message as they were asked for."""
    sim.faults.add("error", code="AccessDeniedException", message="Not you.")

    error = refusal(lambda: call("describe_workspaces"))

    assert (error["Code"], error["Message"]) == ("AccessDeniedException", "Not you.")


def test_a_load_balancers_page_has_no_request_id(sim: Simulator) -> None:
    """HTML, 503, no x-amzn-RequestId."""
    with Simulator.in_thread(verify_signatures=False) as open_sim:
        open_sim.faults.add("unavailable_html")
        status, body, headers = bare(open_sim, "DescribeWorkspaces", b"{}")

    assert (status, headers["Content-Type"]) == (503, "text/html")
    assert body.startswith(b"<html>")
    assert "x-amzn-requestid" not in {name.lower() for name in headers}


@pytest.mark.parametrize("kind,took_effect", [("reset_before", False), ("reset_after", True)])
def test_a_reset_leaves_the_effect_or_not(
    sim: Simulator, call: Call, office: str, kind: FaultKind, took_effect: bool
) -> None:
    """The connection breaks either way; only the fleet knows the difference."""
    (ws,) = sim.fleet.compatible(office)
    sim.faults.add(kind, operation="AssociateWorkspaceApplication", times=1)

    with pytest.raises(ConnectionClosedError):
        call("associate_workspace_application", WorkspaceId=ws, ApplicationId=office)

    assert (office in sim.fleet.associations(ws)) == took_effect
    record = sim.requests.last("AssociateWorkspaceApplication")
    assert record is not None
    assert (record.status, record.fault) == (None, kind)


def test_a_truncated_body_ends_early(sim: Simulator) -> None:
    """Half of what Content-Length promised."""
    with Simulator.in_thread(verify_signatures=False) as open_sim:
        open_sim.faults.add("truncated", times=1)
        with pytest.raises(http.client.IncompleteRead) as caught:
            bare(open_sim, "DescribeWorkspaces", b"{}")

    assert caught.value.expected is not None
    assert abs(len(caught.value.partial) - caught.value.expected) <= 1


def test_a_200_can_be_no_json(sim: Simulator) -> None:
    """boto3 makes an empty success of it where it speaks JSON, and an error of its parser's where it speaks CBOR."""
    sim.faults.add("not_json", operation="DescribeWorkspaces")

    with peer_of(sim) as call:
        assert "Workspaces" not in call("describe_workspaces")
    with peer_of(sim, speaks="cbor") as call, pytest.raises(ResponseParserError):
        call("describe_workspaces")


def test_unknown_enum_values_appear(sim: Simulator, call: Call) -> None:
    """In every place where the model has an enum, and nowhere else."""
    sim.faults.add("unknown_enum", operation="DescribeWorkspaces")

    workspace = call("describe_workspaces")["Workspaces"][0]

    assert workspace["State"] == NEW_VALUE
    assert workspace["WorkspaceProperties"]["Protocols"] == [NEW_VALUE]
    assert workspace["WorkspaceId"].startswith("ws-")


def test_unknown_members_appear(sim: Simulator) -> None:
    """In every structure."""
    with Simulator.in_thread(verify_signatures=False) as open_sim:
        open_sim.faults.add("unknown_field")
        _, answer = bare_json(open_sim, "DescribeWorkspaces", b"{}")

    assert NEW_MEMBER in answer
    assert NEW_MEMBER in answer["Workspaces"][0]["WorkspaceProperties"]


def test_a_request_id_can_be_missing(sim: Simulator, call: Call) -> None:
    """Only the header: the answer is whole."""
    sim.faults.add("no_request_id")

    answer = call("describe_workspaces")

    assert answer["Workspaces"]
    assert "RequestId" not in answer["ResponseMetadata"]


def test_a_token_can_be_repeated(sim: Simulator, call: Call) -> None:
    """A page that leads to itself."""
    token = call("describe_workspaces", Limit=2)["NextToken"]
    sim.faults.add("repeated_token")

    assert call("describe_workspaces", Limit=2, NextToken=token)["NextToken"] == token


def test_an_empty_page_can_carry_a_token(sim: Simulator, call: Call) -> None:
    """It leads to where the page would have begun, so that nothing is lost."""
    sim.faults.add("empty_page", operation="DescribeWorkspaces", times=1)

    empty = call("describe_workspaces", Limit=25)
    full = call("describe_workspaces", Limit=25, NextToken=empty["NextToken"])

    assert empty["Workspaces"] == []
    assert [item["WorkspaceId"] for item in full["Workspaces"]] == sim.fleet.workspace_ids


def test_an_entry_of_a_batch_can_fail(sim: Simulator, call: Call) -> None:
    """The others take effect; HTTP 200 all the same."""
    one, other = sim.fleet.add_workspaces(2)
    sim.faults.add("partial_failure", workspace_id=one, code="InternalFailure", message="Try again.")

    answer = call("stop_workspaces", StopWorkspaceRequests=[{"WorkspaceId": one}, {"WorkspaceId": other}])

    assert answer["FailedRequests"] == [
        {"WorkspaceId": one, "ErrorCode": "InternalFailure", "ErrorMessage": "Try again."}
    ]
    assert [sim.fleet.workspace(each).state for each in (one, other)] == ["AVAILABLE", "STOPPING"]


@pytest.mark.parametrize("reason", REASONS)
def test_a_deployment_can_fail_for_every_reason(
    sim: Simulator, call: Call, clock: ManualClock, office: str, reason: str
) -> None:
    """Each AssociationErrorCode of the model."""
    (ws,) = sim.fleet.compatible(office)
    sim.faults.add("deployment_error", application_id=office, reason=reason, times=1)
    call("associate_workspace_application", WorkspaceId=ws, ApplicationId=office)
    call("deploy_workspace_applications", WorkspaceId=ws)
    clock.jump(3600)

    association = sim.fleet.workspace(ws).associations[office]

    assert (association.state, association.reason_code) == ("ERROR", reason)


def test_the_reasons_are_the_models() -> None:
    """Not one more, not one less."""
    assert set(REASONS) == set(model()["shapes"]["AssociationErrorCode"]["enum"])


def test_a_slow_answer_waits_on_the_simulators_clock() -> None:
    """With a clock that jumps, half an hour passes at once."""
    clock = ManualClock(autojump=True)
    with Simulator.in_thread(clock=clock) as sim, peer_of(sim) as call:
        sim.faults.add("slow", delay=1800, times=1)
        before = clock.monotonic()

        assert call("describe_workspaces")["Workspaces"]
        assert clock.monotonic() - before == pytest.approx(1800)


@pytest.mark.parametrize(
    "aim,hits",
    [
        ({"operation": "DescribeTags"}, False),
        ({"operation": ["DescribeTags", "DescribeWorkspaceAssociations"]}, True),
        ({"workspace_id": "this"}, True),
        ({"workspace_id": "ws-00000000"}, False),
        ({"application_id": "wsa-00000000"}, False),
        ({"skip": 1}, False),
        ({"probability": 0.0}, False),
        ({"probability": 1.0}, True),
    ],
)
def test_a_fault_hits_what_it_is_aimed_at(
    sim: Simulator, call: Call, aim: dict[str, Any], hits: bool
) -> None:
    """Operation, WorkSpace, application, count and probability."""
    ws = sim.fleet.workspace_ids[0]
    chosen: dict[str, Any] = {name: ws if value == "this" else value for name, value in aim.items()}
    sim.faults.add("throttle", **chosen)

    def ask() -> object:
        return call(
            "describe_workspace_associations", WorkspaceId=ws, AssociatedResourceTypes=["APPLICATION"]
        )

    assert (refusal(ask)["Code"] if hits else ask()) is not None
    assert sim.requests.count(error="ThrottlingException") == hits


def test_random_faults_come_from_the_seed() -> None:
    """The same seed, the same requests, the same faults."""

    def run(seed: int) -> list[str | None]:
        with Simulator.in_thread(seed=seed, throttle=None, verify_signatures=False) as sim:
            sim.faults.add("internal_error", probability=0.5)
            for _ in range(20):
                bare(sim, "DescribeTags", b"{}")
            return [record.fault for record in sim.requests]

    assert run(1) == run(1)
    assert run(1) != run(2)


@pytest.mark.parametrize(
    "kind,aim",
    [
        ("explode", {}),
        ("throttle", {"probability": 2}),
        ("throttle", {"times": 0}),
        ("slow", {"delay": -1}),
    ],
)
def test_a_senseless_fault_is_refused(sim: Simulator, kind: FaultKind, aim: dict[str, Any]) -> None:
    """A ConfigurationError when it is added, not silence later."""
    with pytest.raises(ConfigurationError):
        sim.faults.add(kind, **aim)


def test_a_misspelt_operation_is_refused_with_the_right_one(sim: Simulator) -> None:
    """A fault of an operation that nobody can call would never hit anything."""
    with pytest.raises(ConfigurationError, match="did you mean 'DescribeWorkspaces'"):
        sim.faults.add("throttle", operation="DescribeWorkspace")

    sim.faults.add("throttle", operation=["GetResources", "GetCallerIdentity", "DescribeWorkspaces"])


def test_faults_can_be_taken_back(sim: Simulator, call: Call) -> None:
    """One, or all."""
    fault = sim.faults.add("throttle")
    fault.remove()
    sim.faults.add("throttle")
    sim.faults.clear()

    assert call("describe_workspaces")["Workspaces"]
    assert fault.hits == 0
