"""`from_wire` and `to_wire`: whatever the service sends is read, and nothing of it gets lost."""

import json
import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from tests.model.service_model import ANY_JSON, OPERATIONS, examples, payload, result, result_shape, same
from workspaces_apps.api import (
    DefaultImportClientBrandingAttributes,
    DescribeApplicationsResult,
    DescribeIpGroupsResult,
    DescribeWorkspacesResult,
    WorkspacesIpGroup,
)

NOT_A_RESULT = [
    b"",
    b"[]",
    b"null",
    b"7",
    b"\xff\xfe",
    b'{"NextToken": 5}',
    b'{"NextToken": "cut',
    b'{"Applications": [null]}',
    b'{"Applications": [{}]}',
    b'{"Applications": [{"ApplicationId": null}]}',
    b'{"Applications": {"ApplicationId": "wsa-1"}}',
    b'{"Applications": [{"ApplicationId": "wsa-1", "Created": NaN}]}',
    b'{"Applications": [{"ApplicationId": "wsa-1", "Created": 1e20}]}',
    b'{"Applications": ' + b"[" * 100_000,
    b'{"Unknown": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"Unknown": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    '{"NextToken": "\ud800"}',
]


@pytest.mark.parametrize("operation", OPERATIONS)
@given(data=st.data())
@examples(10, in_long=100)
def test_what_the_service_sends_comes_back_unchanged(operation: str, data: st.DataObject) -> None:
    """Nulls, unknown enum values and unknown members at any depth parse, and `to_wire` gives the same JSON."""
    sent = data.draw(payload(result_shape(operation)))

    found = result(operation).from_wire(json.dumps(sent).encode())

    assert same(found.to_wire(), sent)


@pytest.mark.parametrize("operation", OPERATIONS)
@given(data=st.data())
@examples(5, in_long=50)
def test_a_mapping_reads_like_its_json(operation: str, data: st.DataObject) -> None:
    """The text, the bytes and the mapping of the same JSON give equal models with equal hashes."""
    sent = data.draw(payload(result_shape(operation)))
    assert isinstance(sent, dict)
    from_text = result(operation).from_wire(json.dumps(sent))

    assert from_text == result(operation).from_wire(json.dumps(sent).encode())
    assert from_text == result(operation).from_wire(sent)
    assert hash(from_text) == hash(result(operation).from_wire(sent))


@pytest.mark.parametrize("body", NOT_A_RESULT, ids=lambda body: str(body[:40]))
def test_what_is_not_the_promised_shape_is_a_validation_error(body: bytes | str) -> None:
    """Bad JSON, wrong types, missing required members and absurd depth raise ValidationError, nothing else."""
    with pytest.raises(ValidationError):
        DescribeApplicationsResult.from_wire(body)


@given(body=st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_parse_or_are_a_validation_error(body: bytes) -> None:
    """No body, whatever is in it, raises anything but ValidationError."""
    try:
        found = DescribeWorkspacesResult.from_wire(body)
    except ValidationError:
        return
    assert same(found.to_wire(), json.loads(body))


@given(place=st.sampled_from(["Applications", "NextToken", "Unknown"]), value=ANY_JSON)
def test_a_member_of_a_wrong_type_is_refused_or_kept(place: str, value: JsonValue) -> None:
    """Whatever stands in a member, it is either a ValidationError or comes back out."""
    try:
        found = DescribeApplicationsResult.from_wire(json.dumps({place: value}))
    except ValidationError:
        return
    assert same(found.to_wire(), {place: value})


def test_absent_is_empty_or_none() -> None:
    """An absent list reads as an empty tuple, an absent scalar as None; neither is given back."""
    found = DescribeApplicationsResult.from_wire(b"{}")

    assert (found.applications, found.next_token, found.to_wire()) == ((), None, {})


def test_null_counts_as_absent_at_any_depth() -> None:
    """A null list inside an item of a list reads as empty, in structures with odd wire names too."""
    sent: dict[str, JsonValue] = {"Result": [{"groupId": "wsipg-1", "userRules": None}, {"userRules": None}]}

    found = DescribeIpGroupsResult.from_wire(json.dumps(sent))

    assert [group.user_rules for group in found.result] == [(), ()]
    assert found.to_wire() == sent


def test_unknown_members_are_in_model_extra() -> None:
    """Members that this release does not know are kept under their wire names, even one that looks like an attribute."""
    found = DescribeApplicationsResult.from_wire(b'{"next_token": "not the token", "Sparkle": [1, null]}')

    assert found.next_token is None
    assert found.model_extra == {"next_token": "not the token", "Sparkle": [1, None]}


def test_an_unknown_member_called_like_an_attribute_is_not_taken_for_it() -> None:
    """It is given back to the wire, at any depth and by each copy, and written nowhere else: the attribute has one value."""
    item: dict[str, JsonValue] = {
        "WorkspaceId": "ws-1",
        "State": "AVAILABLE",
        "workspace_id": {"\u00e4": ["ws-2"]},
    }
    sent: dict[str, JsonValue] = {"Workspaces": [item], "next_token": "two", "NextToken": "one"}

    found = DescribeWorkspacesResult.from_wire(json.dumps(sent))

    assert (found.next_token, found.workspaces[0].workspace_id) == ("one", "ws-1")
    assert found.model_extra == {"next_token": "two"}
    assert found.model_dump()["next_token"] == "one"
    assert found.model_copy(deep=True).to_wire() == pickle.loads(pickle.dumps(found)).to_wire() == sent
    back = DescribeWorkspacesResult.model_validate_json(found.model_dump_json())
    assert back.to_wire()["NextToken"] == "one"
    assert back.workspaces[0].workspace_id == "ws-1"
    assert back != found


def test_an_unknown_member_of_a_mapping_goes_out_as_json() -> None:
    """Also where it is called like an attribute: times as epoch seconds."""
    time = datetime(2024, 1, 1, tzinfo=UTC)

    found = DescribeApplicationsResult.from_wire({"next_token": time, "Sparkle": time})

    assert found.to_wire() == {"next_token": 1704067200, "Sparkle": 1704067200}


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_json_cannot_say_does_not_turn_into_null(text: str) -> None:
    """Python's reader turns the odd numbers into values that `to_wire` gives back."""
    found = DescribeApplicationsResult.from_wire(f'{{"Unknown": {text}}}')

    assert repr(found.to_wire()) == repr(json.loads(f'{{"Unknown": {text}}}'))


def test_timestamps_are_utc_to_the_microsecond() -> None:
    """Epoch seconds stay seconds however large, with their fraction."""
    sent: dict[str, JsonValue] = {"Applications": [{"ApplicationId": "wsa-1", "Created": 30000000000.25}]}

    (application,) = DescribeApplicationsResult.from_wire(json.dumps(sent)).applications

    assert application.created is not None
    assert application.created == datetime(2920, 8, 30, 5, 20, 0, 250000, tzinfo=UTC)
    assert application.created.utcoffset() == timedelta(0)


def test_datetimes_of_botocore_become_utc() -> None:
    """A mapping as boto3 returns it, with datetimes in some zone, reads as UTC and goes out as epoch seconds."""
    local = datetime(2024, 1, 1, 5, tzinfo=timezone(timedelta(hours=5)))

    found = DescribeApplicationsResult.from_wire(
        {"Applications": [{"ApplicationId": "wsa-1", "Created": local}]}
    )

    created = found.applications[0].created
    assert created is not None
    assert (created.isoformat(), created.utcoffset()) == ("2024-01-01T00:00:00+00:00", timedelta(0))
    assert found.to_wire() == {"Applications": [{"ApplicationId": "wsa-1", "Created": 1704067200}]}


def test_bytes_are_base64_on_the_wire() -> None:
    """A blob reads from base64 and goes out as such; what is not base64 is refused."""
    found = DefaultImportClientBrandingAttributes.from_wire(b'{"Logo": "YWJj"}')

    assert (found.logo, found.to_wire()) == (b"abc", {"Logo": "YWJj"})
    assert DefaultImportClientBrandingAttributes(logo=b"abc") == found
    for wrong in ("Y", "YWJj\u00e4", "Y W"):
        with pytest.raises(ValidationError):
            DefaultImportClientBrandingAttributes.from_wire({"Logo": wrong})


def test_odd_wire_names_are_used_both_ways() -> None:
    """The IP groups of the service have camelCase names; ours are like all others."""
    found = WorkspacesIpGroup.from_wire(b'{"groupId": "wsipg-1", "groupDesc": "office"}')

    assert (found.group_id, found.group_desc) == ("wsipg-1", "office")
    assert found.to_wire() == {"groupId": "wsipg-1", "groupDesc": "office"}
