"""pydantic's own ways into every shape: what a model writes it reads, alone, in lists and inside other models."""

import asyncio
import inspect
import json
import typing
import warnings
from collections import deque
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, JsonValue, TypeAdapter, ValidationError, create_model

from tests.model.service_model import SHAPES, STRUCTURES, Unknown, examples, model, payload
from workspaces_apps._model.models import Input, Model
from workspaces_apps.api import (
    CreateWorkspacesRequest,
    DefaultImportClientBrandingAttributes,
    DescribeApplicationsRequest,
    DescribeApplicationsResult,
    Tag,
    Workspace,
    WorkspaceConnectionStatus,
    WorkspaceProperties,
    WorkspaceRequest,
)


@cache
def adapter(shape: type[Model]) -> TypeAdapter[list[Model]]:
    """An adapter for lists of a shape."""
    listed: Any = list
    return TypeAdapter(listed[shape])


@cache
def outer_of(shape: type[Model]) -> type[BaseModel]:
    """A model of somebody else's that holds the shape."""
    listed: Any = list
    return create_model("Outer", one=(shape, ...), several=(listed[shape], ...))


def inside(shape: type[Model], one: Model, *, strict: bool = False) -> Model:
    """The shape after a round trip inside a model of somebody else's."""
    outer = outer_of(shape)
    back = outer.model_validate_json(outer(one=one, several=[one]).model_dump_json(), strict=strict)
    found: object = getattr(back, "one")  # noqa: B009 - no checker knows it
    assert isinstance(found, Model)
    assert getattr(back, "several") == [found]  # noqa: B009
    return found


WAYS: dict[str, Callable[[Model], Model]] = {
    "wire": lambda one: type(one).model_validate(json.loads(json.dumps(one.to_wire()))),
    "JSON by name": lambda one: type(one).model_validate_json(one.model_dump_json()),
    "JSON by alias": lambda one: type(one).model_validate_json(one.model_dump_json(by_alias=True)),
    "JSON values": lambda one: type(one).model_validate(one.model_dump(mode="json")),
    "Python": lambda one: type(one).model_validate(one.model_dump()),
    "adapter": lambda one: adapter(type(one)).validate_json(adapter(type(one)).dump_json([one]))[0],
    "inside another": lambda one: inside(type(one), one),
    "strict wire": lambda one: type(one).model_validate(one.to_wire(), strict=True),
    "strict JSON": lambda one: type(one).model_validate_json(one.model_dump_json(), strict=True),
    "strict JSON values": lambda one: type(one).model_validate(one.model_dump(mode="json"), strict=True),
    "strict adapter": lambda one: adapter(type(one)).validate_json(f"[{one.model_dump_json()}]", strict=True)[
        0
    ],
    "strict inside another": lambda one: inside(type(one), one, strict=True),
}


@pytest.mark.parametrize("name", STRUCTURES)
@given(data=st.data())
@examples(3, in_long=40)
def test_what_a_shape_writes_it_reads(name: str, data: st.DataObject) -> None:
    """Every shape comes back equal by each way; unknown members too, but for those that only callers send."""
    shape = model(name)
    unknown = Unknown.NONE if issubclass(shape, Input) else Unknown.NO_ATTRIBUTES
    one = shape.from_wire(json.dumps(data.draw(payload(name, unknown))).encode())

    assert {way: back(one) for way, back in WAYS.items()} == dict.fromkeys(WAYS, one)


@pytest.mark.parametrize("name", STRUCTURES)
def test_one_schema_both_ways(name: str) -> None:
    """The schema of what goes in is that of what comes out; only requests say that nothing else may be there."""
    shape = model(name)
    schema = shape.model_json_schema()

    assert schema == shape.model_json_schema(mode="serialization")
    assert (schema["additionalProperties"] is False) is issubclass(shape, Input)
    assert list(schema.get("properties", {})) == [
        field.serialization_alias for field in shape.model_fields.values()
    ]


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_schema_describes_every_member(name: str) -> None:
    """In words, by either name, for editors and for OpenAPI; the values of enums too."""
    for by_alias in (True, False):
        schema = model(name).model_json_schema(by_alias=by_alias)
        for definition in (schema, *schema.get("$defs", {}).values()):
            silent = [
                key for key, one in definition.get("properties", {}).items() if not one.get("description")
            ]
            assert silent == []
            assert all(
                f"- `{value}`: " in definition["description"] for value in definition.get("examples", ())
            )


async def posted(app: FastAPI, body: bytes) -> tuple[int, bytes]:
    """The status and the body with which an application answers a POST."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return waiting.pop()

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": "/",
        "raw_path": b"/", "root_path": "", "scheme": "http", "query_string": b"", "headers": headers,
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@cache
def mirror_of(shape: type[Model]) -> FastAPI:
    """A service that takes a list of a shape and answers with it."""
    app = FastAPI()
    listed: Any = list

    def mirror(body: object) -> object:
        return body

    mirror.__annotations__ = {"body": listed[shape], "return": listed[shape]}
    app.add_api_route("/", mirror, methods=["POST"], response_model=listed[shape])
    return app


@pytest.mark.parametrize("name", STRUCTURES)
@given(data=st.data())
@examples(2, in_long=20)
def test_a_service_takes_its_own_answers(name: str, data: st.DataObject) -> None:
    """A FastAPI body of a shape with wire names or attribute names gives the same answer, which it takes again."""
    shape = model(name)
    unknown = Unknown.NONE if issubclass(shape, Input) else Unknown.NO_ATTRIBUTES
    one = shape.from_wire(json.dumps(data.draw(payload(name, unknown))).encode())

    async def answers() -> list[tuple[int, bytes]]:
        app = mirror_of(shape)
        first = await posted(app, f"[{one.model_dump_json(by_alias=True)}]".encode())
        again = await posted(app, first[1])
        return [first, again, await posted(app, f"[{one.model_dump_json()}]".encode())]

    first, again, by_attribute = asyncio.run(answers())
    assert first[0] == 200
    assert first == again == by_attribute
    assert shape.model_validate(json.loads(first[1])[0]) == one


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_signature_shows_attributes(name: str) -> None:
    """`inspect.signature` names what the constructor takes, before and after the model was used."""
    shape = model(name)
    before = inspect.signature(shape, eval_str=True)
    shape.model_rebuild(force=True)

    assert list(before.parameters) == list(shape.model_fields)
    assert inspect.signature(shape, eval_str=True) == before
    assert {one.kind for one in before.parameters.values()} <= {inspect.Parameter.KEYWORD_ONLY}
    assert all(
        (one.default is one.empty) is shape.model_fields[key].is_required()
        for key, one in before.parameters.items()
    )
    assert typing.get_type_hints(shape).keys() >= shape.model_fields.keys()


SENT: dict[str, Any] = {
    "Workspaces": [
        {
            "DirectoryId": "d-1",
            "UserName": "ann",
            "BundleId": "wsb-1",
            "WorkspaceProperties": {"RunningMode": "MANUAL"},
            "Tags": [{"Key": "a"}],
        }
    ]
}


def with_member(*path: str | int) -> dict[str, JsonValue]:
    """The request with one member more at a place."""
    changed: dict[str, JsonValue] = json.loads(json.dumps(SENT))
    place: object = changed
    for part in path:
        assert isinstance(place, dict | list)
        place = place[part]  # type: ignore[index]  # a path through JSON
    assert isinstance(place, dict)
    place["Newer"] = 1
    return changed


def through_json(value: object) -> CreateWorkspacesRequest:
    """Read the request from text."""
    return CreateWorkspacesRequest.model_validate_json(json.dumps(value))


PLACES: list[tuple[str | int, ...]] = [
    (),
    ("Workspaces", 0),
    ("Workspaces", 0, "Tags", 0),
    ("Workspaces", 0, "WorkspaceProperties"),
]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_request_refuses_what_it_does_not_know(place: tuple[str | int, ...]) -> None:
    """Through pydantic's ways, at any depth, naming the place; `from_wire` keeps it, and it is sent."""
    sent = with_member(*place)
    for read in (
        CreateWorkspacesRequest.model_validate,
        through_json,
        TypeAdapter(CreateWorkspacesRequest).validate_python,
    ):
        with pytest.raises(ValidationError) as refused:
            read(sent)
        assert [(one["type"], one["loc"]) for one in refused.value.errors()] == [
            ("extra_forbidden", (*place, "Newer"))
        ]
    assert CreateWorkspacesRequest.from_wire(sent).to_wire() == sent


def test_shapes_of_both_ways_are_open_by_themselves() -> None:
    """A tag that was read from an answer may have more members than this release knows, also after a refusal."""
    with pytest.raises(ValidationError):
        CreateWorkspacesRequest.model_validate(with_member("Workspaces", 0, "Tags", 0))

    assert Tag.model_validate({"Key": "a", "Newer": 1}).model_extra == {"Newer": 1}


def test_what_was_only_written_out_is_not_sent() -> None:
    """A request that went through JSON sends what it would have sent before, at any depth."""
    for request in (
        DescribeApplicationsRequest(owner="AMAZON"),
        CreateWorkspacesRequest.from_wire(SENT),
    ):
        back = type(request).model_validate_json(request.model_dump_json())
        assert back.to_wire() == request.to_wire()


WANTED = WorkspaceRequest(directory_id="d-12345678", user_name="ann", bundle_id="wsb-12345678", tags=[])


@pytest.mark.parametrize("several", [list, tuple, deque])
def test_a_model_that_came_in_as_one_stays_as_it_is(several: Callable[[Any], object]) -> None:
    """Its constructor's empty list is sent; one beside it, which came as a mapping, was only written out."""
    before = WANTED.to_wire()
    written = WANTED.model_dump()

    found = CreateWorkspacesRequest.model_validate({"Workspaces": several([WANTED, written])})

    assert WANTED.to_wire() == before
    assert found.to_wire() == {
        "Workspaces": [before, {name: value for name, value in before.items() if name != "Tags"}]
    }
    assert found.workspaces[0] is WANTED


@pytest.mark.parametrize(
    "shape,sent",
    [
        (Workspace, {"WorkspaceId": "ws-1", "State": "AVAILABLE"}),
        (Tag, {"Key": "a"}),
        (WorkspaceRequest, SENT["Workspaces"][0]),
        (CreateWorkspacesRequest, SENT),
    ],
)
def test_a_member_has_one_value(shape: type[Model], sent: dict[str, Any]) -> None:
    """A second one under the attribute's name is refused, whichever comes first, alone and inside others."""
    name, field = next(iter(shape.model_fields.items()))
    value = sent[field.serialization_alias or name]

    for both in ({**sent, name: value}, {name: value, **sent}):
        with pytest.raises(ValidationError) as from_mapping:
            shape.model_validate(both)
        with pytest.raises(ValidationError) as from_json:
            shape.model_validate_json(json.dumps(both))
        with pytest.raises(ValidationError) as from_list:
            adapter(shape).validate_python([both])
        for refused in (from_mapping, from_json, from_list):
            assert [one["loc"][-1] for one in refused.value.errors()] == [name]
            assert {one["type"] for one in refused.value.errors()} <= {"attribute", "extra_forbidden"}


@pytest.mark.parametrize(
    "given",
    [1704067200, "2024-01-01T00:00:00Z", "2024-01-01T00:00:00", "2024-01-01T05:00:00+05:00", "1704067200"],
)
def test_times_are_read_as_seconds_or_iso_and_are_utc(given: JsonValue) -> None:
    """A time without a zone is in UTC; so is what is given back, whatever zone it came in."""
    names = ("LastKnownUserConnectionTimestamp", "last_known_user_connection_timestamp")
    for found in (
        WorkspaceConnectionStatus.model_validate({name: given, "WorkspaceId": "w"}) for name in names
    ):
        time = found.last_known_user_connection_timestamp
        assert time is not None
        assert (time.isoformat(), time.utcoffset()) == ("2024-01-01T00:00:00+00:00", timedelta(0))


@pytest.mark.parametrize("zone", [None, UTC, timezone(timedelta(hours=5))], ids=str)
def test_a_constructor_takes_datetimes_of_any_zone(zone: timezone | None) -> None:
    """And holds them in UTC; numbers and strings it refuses."""
    local = datetime(2024, 1, 1, tzinfo=zone)

    found = WorkspaceConnectionStatus(workspace_id="w", last_known_user_connection_timestamp=local)

    held = found.last_known_user_connection_timestamp
    assert held is not None
    assert held == (local if zone else local.replace(tzinfo=UTC))
    assert held.utcoffset() == timedelta(0)
    for wrong in (1704067200, "2024-01-01"):
        with pytest.raises(ValueError, match="must be a datetime"):
            WorkspaceConnectionStatus(workspace_id="w", last_known_user_connection_timestamp=wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("given", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_a_time_that_utc_cannot_say_is_refused(given: str) -> None:
    """As a ValidationError like everything else."""
    with pytest.raises(ValidationError):
        WorkspaceConnectionStatus.model_validate(
            {"WorkspaceId": "w", "LastKnownUserConnectionTimestamp": given}
        )


def test_a_blob_is_base64_in_json() -> None:
    """Read and written; Python mode has bytes."""
    one = DefaultImportClientBrandingAttributes(logo=b"abc")

    assert json.loads(one.model_dump_json(exclude_unset=True)) == {"logo": "YWJj"}
    assert one.model_dump(exclude_unset=True) == {"logo": b"abc"}
    assert DefaultImportClientBrandingAttributes.model_validate({"Logo": "YWJj"}) == one
    assert DefaultImportClientBrandingAttributes.model_validate({"Logo": b"abc"}) == one
    with pytest.raises(ValidationError, match="base64"):
        DefaultImportClientBrandingAttributes.model_validate_json('{"Logo": "Y"}')


def test_strictness_is_about_meaning() -> None:
    """A strict reader takes lists, base64 and numbers for times, as any other, but no text for a number."""
    times = {"last_known_user_connection_timestamp": 1704067200, "workspace_id": "w"}

    assert WorkspaceConnectionStatus.model_validate(times, strict=True) == (
        WorkspaceConnectionStatus.model_validate(times)
    )
    assert DefaultImportClientBrandingAttributes.model_validate_json('{"Logo": "YWJj"}', strict=True) == (
        DefaultImportClientBrandingAttributes(logo=b"abc")
    )
    with pytest.raises(ValidationError, match="int_type"):
        DescribeApplicationsRequest.model_validate_json('{"max_results": "5"}', strict=True)
    with pytest.raises(ValidationError, match="tuple_type"):
        DescribeApplicationsRequest.model_validate({"application_ids": {"wsa-1"}}, strict=True)


def test_a_member_of_a_union_is_the_one_that_fits() -> None:
    """pydantic tells shapes apart by what is in them."""
    both: TypeAdapter[WorkspaceConnectionStatus | Workspace] = TypeAdapter(
        WorkspaceConnectionStatus | Workspace
    )
    status = WorkspaceConnectionStatus.from_wire({"WorkspaceId": "ws-1", "ConnectionState": "CONNECTED"})
    workspace = Workspace.from_wire({"WorkspaceId": "ws-1", "State": "AVAILABLE", "UserName": "ann"})

    for one in (status, workspace):
        assert both.validate_python(one) is one
        for written in (json.dumps(one.to_wire()), one.model_dump_json(exclude_unset=True)):
            assert both.validate_json(written) == one


def test_an_adapter_is_built_at_once() -> None:
    """Models wait for their first use, adapters do not: FastAPI ignores a warning only while it makes them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        body: TypeAdapter[CreateWorkspacesRequest] = TypeAdapter(
            Annotated[CreateWorkspacesRequest, Field(alias="body")]
        )

    assert body.validate_python(SENT) == CreateWorkspacesRequest.from_wire(SENT)


def test_models_inside_models_with_strict_settings() -> None:
    """A model of somebody else's that is strict does not make ours strict."""

    class Strict(BaseModel, strict=True):
        """A strict model."""

        properties: WorkspaceProperties
        request: WorkspaceRequest

    one = Strict(
        properties=WorkspaceProperties(running_mode="MANUAL", protocols=["PCOIP"]),
        request=WorkspaceRequest(directory_id="d-1", user_name="ann", bundle_id="wsb-1"),
    )

    assert Strict.model_validate(one.model_dump(mode="json")) == one
    assert Strict.model_validate_json(one.model_dump_json()) == one


def test_every_structure_is_covered() -> None:
    """The list that the tests above go by is whole: structures that are no errors."""
    assert len(STRUCTURES) == 262
    assert set(STRUCTURES) == {
        name for name, shape in SHAPES.items() if shape["type"] == "structure" and "exception" not in shape
    }
    assert issubclass(DescribeApplicationsResult, Model)
