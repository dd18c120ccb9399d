"""AWS JSON 1.1 exactly: what a bad request is answered with, and what an answer looks like."""

import json
from collections.abc import Callable

import pytest

from tests.simulator.conformance import model
from tests.simulator.peer import Call, bare, bare_json, peer_of, refusal
from workspaces_apps.simulator import Simulator
from workspaces_apps.simulator._model import service_model
from workspaces_apps.simulator._operations import OPERATIONS
from workspaces_apps.simulator._wire import MESSAGELESS, ApiError, Parameters


@pytest.fixture
def unsigned() -> "Simulator":
    """A simulator that takes anybody's word."""
    return Simulator(verify_signatures=False, throttle=None)


def validation(operation: str, body: dict[str, object]) -> str:
    """The message with which the model refuses a request."""
    with pytest.raises(ApiError) as caught:
        service_model().validate(operation, json.loads(json.dumps(body)))
    assert caught.value.code == "ValidationException"
    return caught.value.message or ""


@pytest.mark.parametrize(
    "body,rule",
    [
        ({}, "Value null at 'workspaceId' failed to satisfy constraint: Member must not be null"),
        ({"WorkspaceId": None}, "Value null at 'workspaceId'"),
        (
            {"WorkspaceId": "i-123"},
            "Value 'i-123' at 'workspaceId' failed to satisfy constraint: Member must satisfy",
        ),
        ({"WorkspaceId": "ws-12345678\n"}, "regular expression pattern"),
        ({"WorkspaceId": "ws-12345678garbage!"}, "regular expression pattern"),
    ],
)
def test_a_broken_constraint_is_named(body: dict[str, object], rule: str) -> None:
    """The message names member, rule and value as the service does."""
    assert rule in validation("DeployWorkspaceApplications", body)


def test_patterns_match_the_whole_value() -> None:
    """The model's Owner pattern as written would let garbage behind an account id pass."""
    assert "owner" in validation("DescribeApplications", {"Owner": "123456789012garbage"})
    assert service_model().validate("DescribeApplications", {"Owner": "AMAZON"}) == {"Owner": "AMAZON"}


def test_every_broken_constraint_is_counted() -> None:
    """All problems come in one message, with their place in lists."""
    message = validation(
        "CreateWorkspaces",
        {"Workspaces": [{"DirectoryId": "d-1234567890", "UserName": "", "BundleId": "x"}, None]},
    )

    assert message.startswith("3 validation errors detected: ")
    assert "'workspaces.1.member.userName'" in message
    assert "'workspaces.2.member'" in message


@pytest.mark.parametrize(
    "operation,body",
    [
        ("DescribeWorkspaces", {"WorkspaceIds": []}),
        ("DescribeWorkspaces", {"WorkspaceIds": ["ws-12345678"] * 26}),
        ("DescribeWorkspaces", {"Limit": 0}),
        ("DescribeWorkspaces", {"Limit": 26}),
        ("DescribeApplications", {"ComputeTypeNames": ["HUGE"]}),
        ("DescribeApplications", {"NextToken": ""}),
        ("RebuildWorkspaces", {"RebuildWorkspaceRequests": [{"WorkspaceId": "ws-12345678"}] * 2}),
    ],
)
def test_limits_are_the_models(operation: str, body: dict[str, object]) -> None:
    """Sizes, ranges and enum values that the model does not allow are a ValidationException."""
    assert "failed to satisfy constraint" in validation(operation, body)


@pytest.mark.parametrize(
    "body",
    [
        {"Limit": "5"},
        {"Limit": True},
        {"Limit": 2.5},
        {"Limit": 10**12},
        {"WorkspaceIds": "ws-12345678"},
        {"WorkspaceIds": [5]},
        {"DirectoryId": {}},
    ],
)
def test_a_value_of_the_wrong_kind_is_a_serialization_error(body: dict[str, object]) -> None:
    """Wrong JSON types are told apart from wrong values."""
    with pytest.raises(ApiError) as caught:
        service_model().validate("DescribeWorkspaces", json.loads(json.dumps(body)))
    assert caught.value.code == "SerializationException"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"5", b'"x"', b"{'a':1}", b'{"Limit":NaN}', b"\xff\xfe{}", b"[" * 100_000, b"\x00"]
)
async def test_a_body_that_is_no_json_object_is_a_serialization_error(
    unsigned: Simulator, body: bytes
) -> None:
    """Whatever comes instead of an object gets the same answer."""
    import asyncio

    async with unsigned as sim:
        status, answer = await asyncio.to_thread(bare_json, sim, "DescribeWorkspaces", body)

    assert (status, answer["__type"]) == (400, "SerializationException")


@pytest.mark.parametrize(
    "look,code",
    [
        ({"Logo": "cG5n", "LoginMessage": {"en_US": "Welcome"}}, None),
        ({"Logo": "not base64!"}, "SerializationException"),
        ({"Logo": 5}, "SerializationException"),
        ({"LoginMessage": []}, "SerializationException"),
        ({"LoginMessage": {"English": "Welcome"}}, "ValidationException"),
        ({"LoginMessage": {"en_US": "x" * 2001}}, "ValidationException"),
        ({"Logo": ""}, "ValidationException"),
    ],
)
def test_blobs_and_maps_are_checked_too(look: dict[str, object], code: str | None) -> None:
    """Base64 and its size, keys and values."""
    body = json.loads(json.dumps({"ResourceId": "d-1234567890", "DeviceTypeWeb": look}))

    if code is None:
        assert service_model().validate("ImportClientBranding", body) == body
    else:
        with pytest.raises(ApiError) as caught:
            service_model().validate("ImportClientBranding", body)
        assert caught.value.code == code


@pytest.mark.parametrize(
    "read",
    [
        Parameters.text,
        Parameters.maybe_text,
        Parameters.texts,
        Parameters.integer,
        Parameters.section,
        Parameters.sections,
    ],
)
def test_a_member_is_read_as_what_the_model_says(read: Callable[[Parameters, str], object]) -> None:
    """A handler that reads another type than the model's gets an error, never a wrong value."""
    with pytest.raises(ApiError):
        read(Parameters({"x": True}), "x")


def test_unknown_members_and_nulls_are_ignored() -> None:
    """As AWS does."""
    clean = service_model().validate("DescribeWorkspaces", {"Limit": 5, "Colour": "red", "DirectoryId": None})

    assert clean == {"Limit": 5}


@pytest.mark.parametrize("target", ["NoSuchThing", "ImportCustomWorkspaceImage", ""])
def test_an_operation_that_is_not_there_is_unknown(sim: Simulator, target: str) -> None:
    """Unknown and unimplemented operations get the same answer, before anything else is looked at."""
    status, answer = bare_json(sim, target, b"not even json")

    assert (status, answer) == (400, {"__type": "UnknownOperationException"})


def test_an_answer_has_type_request_id_and_date(sim: Simulator) -> None:
    """The headers that AWS sends."""
    _, _, headers = bare(sim, "DescribeWorkspaces", b"{}")
    names = {name.lower(): value for name, value in headers.items()}

    assert names["content-type"] == "application/x-amz-json-1.1"
    assert len(names["x-amzn-requestid"]) == 36
    assert "date" in names


def test_timestamps_are_epoch_seconds_with_a_fraction(sim: Simulator, call: Call) -> None:
    """Not ISO texts, not milliseconds."""
    call("describe_applications", MaxResults=1)
    record = sim.requests.last("DescribeApplications")

    assert record is not None
    assert record.answer is not None
    assert b'"Created":' in json.dumps(record.answer, separators=(",", ":")).encode()
    assert isinstance(record.answer["Applications"][0]["Created"], float)  # type: ignore[index, call-overload]


def test_exceptions_without_members_have_no_message(sim: Simulator, call: Call) -> None:
    """The compatibility exceptions carry nothing, as in the model."""
    shapes = model()["shapes"]
    linux = sim.fleet.add_workspaces(operating_system="AMAZON_LINUX_2")[0]
    app = sim.fleet.application("office ltsc standard 2021")

    error = refusal(lambda: call("associate_workspace_application", WorkspaceId=linux, ApplicationId=app))

    assert (error["Code"], error["Message"]) == ("OperatingSystemNotCompatibleException", "")
    assert all(not shapes[name]["members"] for name in MESSAGELESS)


def test_errors_carry_the_members_of_the_model(call: Call) -> None:
    """ResourceId, where the model has it."""
    error = refusal(lambda: call("deploy_workspace_applications", WorkspaceId="ws-00000000"))

    assert error["Code"] == "ResourceNotFoundException"
    assert error["ResourceId"] == "ws-00000000"


def test_the_operations_are_the_models() -> None:
    """Nothing is implemented that the service does not have, and only two operations are missing."""
    missing = set(model()["operations"]) - set(OPERATIONS)

    assert missing == {"DescribeCustomWorkspaceImageImport", "ImportCustomWorkspaceImage"}
    assert set(OPERATIONS) <= set(model()["operations"])


def test_a_body_over_the_limit_is_refused_unread(sim: Simulator) -> None:
    """HTTP 413, told from the length alone."""
    size = str(sim.settings.max_body_bytes + 1)

    status, raw, _ = bare(sim, "DescribeWorkspaces", b"", headers={"Content-Length": size})

    assert status == 413
    assert json.loads(raw)["__type"] == "RequestEntityTooLargeException"


def test_bad_values_reach_the_service_from_boto3_too(sim: Simulator) -> None:
    """boto3 checks no maximum: the simulator is who refuses."""
    with peer_of(sim) as call:
        assert refusal(lambda: call("describe_applications", MaxResults=99))["Code"] == "ValidationException"
