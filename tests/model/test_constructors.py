"""Building models in Python: what a constructor takes, what it refuses, and what models are afterwards."""

import copy
import pickle
from collections import UserList, deque
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from tests.model.service_model import OPERATIONS, batch_results, payload, request, result, result_shape
from workspaces_apps import PartialFailureError, RequestValidationError
from workspaces_apps._model.models import Model, ResponseMeta, Result
from workspaces_apps.api import (
    AssociateWorkspaceApplicationRequest,
    Compute,
    CreateTagsRequest,
    CreateWorkspacesRequest,
    CreateWorkspacesResult,
    DefaultImportClientBrandingAttributes,
    DescribeApplicationsRequest,
    DescribeApplicationsResult,
    DescribeWorkspaceAssociationsRequest,
    DescribeWorkspacesResult,
    Tag,
    WorkspaceProperties,
    WorkspaceRequest,
)

WANTED = WorkspaceRequest(directory_id="d-12345678", user_name="ann", bundle_id="wsb-12345678")

SECRET = "hunter2"
"""A value that no message may repeat."""

REFUSED: list[tuple[type[Model], dict[str, object], str, str]] = [
    (DescribeApplicationsRequest, {"MaxResults": 5}, "MaxResults", "did you mean max_results"),
    (DescribeApplicationsRequest, {"max_result": 5}, "max_result", "did you mean max_results"),
    (DescribeApplicationsRequest, {"self": SECRET}, "self", "is not a member"),
    (DescribeApplicationsRequest, {"application_ids": SECRET}, "application_ids", "must be a sequence"),
    (DescribeApplicationsRequest, {"application_ids": b"x"}, "application_ids", "must be a sequence"),
    (DescribeApplicationsRequest, {"application_ids": {SECRET: 1}}, "application_ids", "must be a sequence"),
    (DescribeApplicationsRequest, {"application_ids": [1]}, "application_ids[0]", "must be a str"),
    (DescribeApplicationsRequest, {"application_ids": ["a", None]}, "application_ids[1]", "must be a str"),
    (DescribeApplicationsRequest, {"application_ids": range(1)}, "application_ids[0]", "must be a str"),
    (DescribeApplicationsRequest, {"max_results": "5"}, "max_results", "must be an int"),
    (DescribeApplicationsRequest, {"max_results": 5.0}, "max_results", "must be an int"),
    (DescribeApplicationsRequest, {"max_results": True}, "max_results", "must be an int"),
    (DescribeApplicationsRequest, {"owner": 123456789012}, "owner", "must be a str"),
    (DescribeApplicationsRequest, {"owner": SECRET.encode()}, "owner", "must be a str"),
    (DescribeApplicationsRequest, {"license_type": 1}, "license_type", "must be a member of the enum"),
    (DescribeApplicationsRequest, {"license_type": b"LICENSED"}, "license_type", "must be a member"),
    (DescribeApplicationsRequest, {"license_type": Compute.VALUE}, "license_type", "must be a member"),
    (AssociateWorkspaceApplicationRequest, {"application_id": "x"}, "workspace_id", "is required"),
    (
        AssociateWorkspaceApplicationRequest,
        {"application_id": "x", "workspace_id": None},
        "workspace_id",
        "must be a str",
    ),
    (CreateWorkspacesRequest, {"workspaces": WANTED}, "workspaces", "must be a sequence"),
    (CreateWorkspacesRequest, {"workspaces": {"user_name": "x"}}, "workspaces", "must be a sequence"),
    (
        CreateWorkspacesRequest,
        {"workspaces": [WANTED, {"user_name": "x"}]},
        "workspaces[1]",
        "must be a WorkspaceRequest",
    ),
    (CreateWorkspacesRequest, {"workspaces": [Tag(key="a")]}, "workspaces[0]", "must be a WorkspaceRequest"),
    (
        WorkspaceRequest,
        {
            "directory_id": "d-12345678",
            "user_name": "ann",
            "bundle_id": "wsb-12345678",
            "workspace_properties": {"running_mode": "MANUAL"},
        },
        "workspace_properties",
        "must be a WorkspaceProperties",
    ),
    (DefaultImportClientBrandingAttributes, {"logo": SECRET}, "logo", "must be bytes"),
    (DefaultImportClientBrandingAttributes, {"login_message": [SECRET]}, "login_message", "mapping"),
    (Tag, {"key": "\ud800"}, "key", "must be Unicode text"),
    (DescribeApplicationsRequest, {"application_ids": ["\udfff"]}, "application_ids[0]", "Unicode text"),
    (
        DefaultImportClientBrandingAttributes,
        {"login_message": {"en_US": "\ud800"}},
        "login_message (item 1)",
        "Unicode text",
    ),
]

MANY: list[Callable[[list[str]], object]] = [
    list,
    tuple,
    deque,
    UserList,
    frozenset,
    lambda items: dict.fromkeys(items).keys(),
]

COPIES: list[Callable[[Result], Result]] = [
    copy.copy,
    copy.deepcopy,
    lambda model: model.model_copy(),
    lambda model: model.model_copy(deep=True),
    *(lambda model, p=protocol: pickle.loads(pickle.dumps(model, p)) for protocol in range(6)),
]

META = ResponseMeta(request_id="r-1", http_status=200, attempts=2, elapsed=timedelta(seconds=1))


def build(model: type[Model], **members: object) -> Model:
    """A model, past what type checkers refuse."""
    return model(**members)


@pytest.mark.parametrize("model,members,member,rule", REFUSED)
def test_a_wrong_argument_is_refused_by_name(
    model: type[Model], members: dict[str, object], member: str, rule: str
) -> None:
    """The error names the model, the member and the rule; it never repeats the value, nor holds pydantic's."""
    with pytest.raises(RequestValidationError) as caught:
        model(**members)

    assert [problem.member for problem in caught.value.problems] == [member]
    assert rule in caught.value.problems[0].rule
    assert str(caught.value).startswith(f"{model.__name__}: {member}: ")
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_everything_wrong_is_told_at_once() -> None:
    """One error lists all missing members, and one all unknown names."""
    with pytest.raises(RequestValidationError) as missing:
        build(AssociateWorkspaceApplicationRequest)
    with pytest.raises(RequestValidationError) as unknown:
        build(DescribeApplicationsRequest, Owner="AMAZON", MaxResults=5)

    assert [problem.member for problem in missing.value.problems] == ["workspace_id", "application_id"]
    assert [problem.member for problem in unknown.value.problems] == ["Owner", "MaxResults"]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_too_long_to_print_is_described(sign: int) -> None:
    """Python refuses to print an integer of thousands of digits; the error must not fail over it."""
    with pytest.raises(RequestValidationError, match="an int of 16610 bits"):
        build(Tag, key=sign * 10**5000)


@pytest.mark.parametrize("many", MANY)
def test_any_sequence_is_a_list(many: Callable[[list[str]], object]) -> None:
    """A list member takes whatever has items and is no string, and holds a tuple."""
    found = build(DescribeApplicationsRequest, application_ids=many(["wsa-12345678"]))

    assert getattr(found, "application_ids") == ("wsa-12345678",)  # noqa: B009 - mypy does not know the type
    assert found.to_wire() == {"ApplicationIds": ["wsa-12345678"]}


def test_enum_parameters_take_members_and_strings() -> None:
    """A member, its string and a value from next year are all the enum afterwards."""
    found = DescribeApplicationsRequest(
        compute_type_names=[Compute.VALUE, "STANDARD", Compute("QUANTUM")], license_type="LICENSED"
    )

    assert [type(value) for value in found.compute_type_names] == [Compute] * 3
    assert found.to_wire() == {
        "ComputeTypeNames": ["VALUE", "STANDARD", "QUANTUM"],
        "LicenseType": "LICENSED",
    }


def test_none_drops_an_optional_member() -> None:
    """An optional member that is None was never set: it is not sent."""
    found = build(DescribeApplicationsRequest, owner="AMAZON", max_results=None, application_ids=None)

    assert found.to_wire() == {"Owner": "AMAZON"}
    assert found == DescribeApplicationsRequest(owner="AMAZON")


def test_the_only_legal_value_is_sent_without_being_named() -> None:
    """A required parameter with one legal value has it as its default, None or not, and sends it."""
    found = DescribeWorkspaceAssociationsRequest(workspace_id="ws-12345678")
    spelt = build(
        DescribeWorkspaceAssociationsRequest, workspace_id="ws-12345678", associated_resource_types=None
    )

    assert found.to_wire() == {"WorkspaceId": "ws-12345678", "AssociatedResourceTypes": ["APPLICATION"]}
    assert spelt.to_wire() == found.to_wire()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_request_knows_its_operation(operation: str) -> None:
    """The request's descriptor names the operation, and its result class is the generated one."""
    assert request(operation).facts.name == operation
    assert getattr(request(operation), "result_type")() is result(operation)  # noqa: B009 - only subclasses have it


def test_models_are_frozen() -> None:
    """No attribute can be set or deleted, a new one neither."""
    tag = Tag(key="a")

    for name in ("key", "value", "other"):
        with pytest.raises(ValidationError):
            setattr(tag, name, "b")
        with pytest.raises((ValidationError, AttributeError)):
            delattr(tag, name)


@pytest.mark.parametrize("operation", OPERATIONS)
@given(data=st.data())
@settings(max_examples=5)
def test_every_result_copies_and_hashes(operation: str, data: st.DataObject) -> None:
    """A result of any shape is hashable, equal to its copies, and they hold the same meta and unknown members."""
    sent = data.draw(payload(result_shape(operation)))
    assert isinstance(sent, dict)
    found = result(operation).from_wire(sent).with_meta(META)

    for made in (copied(found) for copied in COPIES):
        assert (made, hash(made), made.meta) == (found, hash(found), META)
        assert made.to_wire() == found.to_wire()


def test_equality_is_about_content() -> None:
    """The content decides, unknown members and class included; the way in which an answer came does not."""
    wire: dict[str, JsonValue] = {"NextToken": "a", "Unknown": 1}
    found = DescribeApplicationsResult.from_wire(wire)

    assert found == DescribeApplicationsResult.from_wire(wire).with_meta(META)
    assert hash(found) == hash(DescribeApplicationsResult.from_wire(wire).with_meta(META))
    assert found != DescribeApplicationsResult.from_wire(wire | {"Unknown": 2})
    assert found != DescribeApplicationsResult.from_wire(wire | {"NextToken": "b"})
    assert DescribeApplicationsResult() != DescribeWorkspacesResult()
    assert found.__eq__(wire) is NotImplemented


def test_meta_does_not_travel() -> None:
    """`meta` is there without an answer too, and never on the wire."""
    assert DescribeApplicationsResult().meta == ResponseMeta()
    assert DescribeApplicationsResult().with_meta(META).to_wire() == {}


def test_seven_operations_can_fail_in_part() -> None:
    """Those are the ones that answer with a list of failed requests."""
    assert sorted(batch.__name__ for batch in batch_results()) == [
        "CreateStandbyWorkspacesResult",
        "CreateWorkspacesResult",
        "RebootWorkspacesResult",
        "RebuildWorkspacesResult",
        "StartWorkspacesResult",
        "StopWorkspacesResult",
        "TerminateWorkspacesResult",
    ]


@pytest.mark.parametrize("batch", batch_results(), ids=lambda batch: batch.__name__)
def test_failures_are_found_whatever_their_wire_name(batch: type[Result]) -> None:
    """`failures` is the list of failed requests, and `raise_for_failures` raises with it and with the meta."""
    wire = "FailedStandbyRequests" if "Standby" in batch.__name__ else "FailedRequests"
    failed: JsonValue = [{"ErrorCode": "Busy", "ErrorMessage": "later"}, {"ErrorCode": "Gone"}]
    found = next(each for each in batch_results() if each is batch).from_wire({wire: failed}).with_meta(META)

    assert [failure.to_wire() for failure in found.failures] == failed
    with pytest.raises(PartialFailureError, match=r"2 of the requests failed.*Busy: later") as caught:
        found.raise_for_failures()
    assert caught.value.failed == found.failures
    assert caught.value.operation == batch.__name__.removesuffix("Result")
    assert (caught.value.request_id, caught.value.attempts, caught.value.http_status) == ("r-1", 2, 200)


@pytest.mark.parametrize("batch", batch_results(), ids=lambda batch: batch.__name__)
def test_without_failures_the_result_is_given_on(batch: type[Result]) -> None:
    """`raise_for_failures` of an answer without failed requests returns that answer."""
    found = next(each for each in batch_results() if each is batch).from_wire({"FailedRequests": None})

    assert found.failures == ()
    assert found.raise_for_failures() is found


def test_what_succeeded_is_told_too() -> None:
    """CreateWorkspaces answers with what it began; the error has that beside what failed."""
    found = CreateWorkspacesResult.from_wire(
        b'{"FailedRequests": [{}], "PendingRequests": [{"WorkspaceId": "ws-12345678", "State": "PENDING"}]}'
    )

    with pytest.raises(PartialFailureError) as caught:
        found.raise_for_failures()
    assert caught.value.succeeded == found.pending_requests


def test_nested_models_go_out_with_their_wire_names() -> None:
    """A request is made of models, and its wire form has what was set in them and nothing else."""
    found = CreateWorkspacesRequest(
        workspaces=[
            WANTED.model_copy(update={"workspace_properties": WorkspaceProperties(user_volume_size_gib=10)})
        ]
    )

    assert found.to_wire() == {
        "Workspaces": [
            {
                "DirectoryId": "d-12345678",
                "UserName": "ann",
                "BundleId": "wsb-12345678",
                "WorkspaceProperties": {"UserVolumeSizeGib": 10},
            }
        ]
    }
    assert CreateTagsRequest.from_wire(found.to_wire() | {"ResourceId": "a", "Tags": []}).tags == ()


def test_a_copy_sends_the_list_that_it_was_given() -> None:
    """Also where the list was null on the wire, in a request made with the copy, and where it is given as empty."""
    sent = {"DirectoryId": "d-12345678", "UserName": "ann", "BundleId": "wsb-12345678", "Tags": None}
    (wanted,) = CreateWorkspacesRequest.from_wire({"Workspaces": [sent]}).workspaces

    tagged = wanted.model_copy(update={"tags": (Tag(key="team"),)})

    assert tagged.to_wire() == sent | {"Tags": [{"Key": "team"}]}
    assert CreateWorkspacesRequest(workspaces=[tagged]).to_wire() == {"Workspaces": [tagged.to_wire()]}
    assert wanted.model_copy(update={"tags": ()}).to_wire() == sent | {"Tags": []}
    assert wanted.model_copy(update={"user_name": "bob"}).to_wire() == sent | {"UserName": "bob"}


@pytest.mark.parametrize("name", ["_meta", "_aside"])
def test_a_member_named_like_what_is_kept_beside_the_content_is_content(name: str) -> None:
    """It is not taken for the other: it travels with each copy, and the result's own meta stays what it is."""
    found = CreateWorkspacesResult.from_wire({"FailedRequests": [{name: 3}], name: [4]})

    for made in (copied(found) for copied in COPIES):
        assert (made, made.to_wire(), made.meta) == (found, found.to_wire(), ResponseMeta())
    assert found.to_wire()[name] == [4]
