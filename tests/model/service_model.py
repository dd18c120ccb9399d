"""The service as botocore describes it, read without the generator, and JSON that such a service could send."""

import base64
import json
import math
import os
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import NotRequired, TypedDict

from hypothesis import settings
from hypothesis import strategies as st
from pydantic import JsonValue

from workspaces_apps import api
from workspaces_apps._model.models import BatchResult, Model, Request, Result
from workspaces_apps._model.validation import OpenEnum


class Reference(TypedDict):
    """Where a shape names another."""

    shape: str


class Shape(TypedDict):
    """A shape; which keys it has depends on its type."""

    type: str
    members: NotRequired[dict[str, Reference]]
    required: NotRequired[list[str]]
    member: NotRequired[Reference]
    key: NotRequired[Reference]
    value: NotRequired[Reference]
    enum: NotRequired[list[str]]
    pattern: NotRequired[str]
    min: NotRequired[int]
    max: NotRequired[int]
    exception: NotRequired[bool]


class OperationShapes(TypedDict):
    """An operation's ends."""

    input: Reference
    output: Reference


class Paginator(TypedDict):
    """The paging of an operation in botocore."""

    result_key: str
    limit_key: NotRequired[str]


class Service(TypedDict):
    """The service."""

    metadata: dict[str, str | list[str]]
    paginators: dict[str, Paginator]
    operations: dict[str, OperationShapes]
    shapes: dict[str, Shape]


SERVICE: Service = json.loads((files("workspaces_apps.simulator") / "service.json").read_bytes())
PAGINATORS = SERVICE["paginators"]
SHAPES = SERVICE["shapes"]
OPERATIONS = tuple(sorted(SERVICE["operations"]))


def result_shape(operation: str) -> str:
    """The shape that the operation answers."""
    return SERVICE["operations"][operation]["output"]["shape"]


def request_shape(operation: str) -> str:
    """The shape that the operation is called with."""
    return SERVICE["operations"][operation]["input"]["shape"]


def model(name: str) -> type[Model]:
    """The generated class of a structure."""
    found: object = getattr(api, name)
    assert isinstance(found, type)
    assert issubclass(found, Model)
    return found


def request(operation: str) -> type[Request]:
    """The generated class of an operation's request."""
    found = model(request_shape(operation))
    assert issubclass(found, Request)
    return found


def result(operation: str) -> type[Result]:
    """The generated class of an operation's result."""
    found = model(result_shape(operation))
    assert issubclass(found, Result)
    return found


def enums() -> tuple[type[OpenEnum], ...]:
    """Every generated enum."""
    found = [getattr(api, name) for name, shape in SHAPES.items() if "enum" in shape]
    assert all(issubclass(enum, OpenEnum) for enum in found)
    return tuple(found)


def batch_results() -> tuple[type[BatchResult], ...]:
    """Every generated result that can fail in part."""
    found = [model(result_shape(operation)) for operation in OPERATIONS]
    return tuple(each for each in found if issubclass(each, BatchResult))


ANY_JSON: st.SearchStrategy[JsonValue] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)

# Names that a model uses for itself are as good as any on the wire.
_NEW_NAMES = st.sampled_from(["next_token", "meta", "_meta", "failures", "to_wire", "model_config", "facts"])
_LATER = -62135596800, 253402300799
"""The epoch seconds of the years 1 and 9999, between which Python has dates."""


STRUCTURES = tuple(
    sorted(
        name for name, shape in SHAPES.items() if shape["type"] == "structure" and "exception" not in shape
    )
)


class Unknown(Enum):
    """The members that a payload has and the model does not know."""

    ANY = "any"
    NO_ATTRIBUTES = "any but those called like an attribute"
    NONE = "none"


@cache
def examples(number: int, *, in_long: int) -> settings:
    """Return settings for a property of each of many operations or shapes, with more examples in `nox -s long`."""
    return settings(max_examples=in_long if os.environ.get("HYPOTHESIS_PROFILE") == "long" else number)


def payload(name: str, unknown: Unknown = Unknown.ANY) -> st.SearchStrategy[JsonValue]:
    """JSON of a shape: what is required is there, else anything goes that the service might come to send."""
    shape = SHAPES[name]
    if "enum" in shape:
        return st.sampled_from(shape["enum"]) | st.text(max_size=12)
    match shape["type"]:
        case "structure":
            return _structure(name, unknown)
        case "list":
            return st.lists(payload(shape.get("member", {"shape": ""})["shape"], unknown), max_size=2)
        case "map":
            value = payload(shape.get("value", {"shape": ""})["shape"], unknown)
            return st.dictionaries(st.text(max_size=5), value, max_size=2)
        case "string":
            return st.text(max_size=12)
        case "integer":
            return st.integers()
        case "boolean":
            return st.booleans()
        case "timestamp":
            return st.integers(*_LATER) | st.floats(0, 4e9).map(lambda seconds: round(seconds, 3))
        case "blob":
            return st.binary(max_size=9).map(lambda data: base64.b64encode(data).decode("ascii"))
        case other:
            raise AssertionError(f"no strategy for {other}")


def _structure(name: str, unknown: Unknown) -> st.SearchStrategy[JsonValue]:
    known_members = SHAPES[name].get("members", {})
    members = {wire: payload(member["shape"], unknown) for wire, member in known_members.items()}
    always = {field.serialization_alias for field in model(name).model_fields.values() if field.is_required()}
    known = st.fixed_dictionaries(
        {wire: value for wire, value in members.items() if wire in always},
        optional={wire: st.none() | value for wire, value in members.items() if wire not in always},
    )
    if unknown is Unknown.NONE:
        return known.map(lambda part: part)
    taken = {*members, *(model(name).model_fields if unknown is Unknown.NO_ATTRIBUTES else ())}
    names = (_NEW_NAMES | st.text(max_size=8)).filter(lambda wire: wire not in taken)
    others = st.dictionaries(names, ANY_JSON, max_size=2)
    return st.tuples(known, others).map(lambda parts: parts[0] | parts[1])


def same(left: JsonValue, right: JsonValue) -> bool:
    """Tell if two JSON values are the same, numbers to the microsecond that a datetime holds."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right or math.isclose(left, right, rel_tol=1e-15, abs_tol=1e-6)
    return type(left) is type(right) and left == right
