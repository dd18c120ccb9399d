"""The service model, compiled into one fast request validator per operation, and names that are checked against it."""

from __future__ import annotations

import base64
import binascii
import functools
import gzip
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TypeAlias

from workspaces_apps._base.spelling import advice
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator._wire import ApiError, JsonObject, JsonValue

Check: TypeAlias = Callable[[JsonValue, str, list[str]], JsonValue]
"""Takes a value, its path and the list of broken constraints; gives back the value, without unknown members."""

_INTEGER_LIMIT = 2**31
_KINDS: Mapping[type, str] = {
    str: "STRING_VALUE",
    bool: "BOOLEAN_VALUE",
    int: "NUMBER_VALUE",
    float: "NUMBER_VALUE",
    list: "START_ARRAY",
    dict: "START_OBJECT",
}


@dataclass(frozen=True, slots=True)
class OperationModel:
    """The service model's description of one operation."""

    name: str
    input_shape: str | None
    output_shape: str | None
    errors: frozenset[str]


class ServiceModel:
    """Operations, shapes and constraints of the service."""

    def __init__(self, document: JsonObject) -> None:
        self._shapes: dict[str, JsonObject] = {
            name: shape for name, shape in _object(document["shapes"]).items() if isinstance(shape, dict)
        }
        self.operations: dict[str, OperationModel] = {}
        for name, operation in _object(document["operations"]).items():
            described = _object(operation)
            errors = described.get("errors")
            self.operations[name] = OperationModel(
                name,
                _shape_of(described.get("input")),
                _shape_of(described.get("output")),
                frozenset(
                    shape
                    for item in (errors if isinstance(errors, list) else [])
                    if (shape := _shape_of(item))
                ),
            )
        metadata = _object(document["metadata"])
        self.target_prefix: str = str(metadata["targetPrefix"])
        self.signing_name: str = str(metadata.get("signingName", metadata["endpointPrefix"]))
        self._checks: dict[str, Check] = {}

    def validate(self, operation: str, body: JsonObject) -> JsonObject:
        """The request's known members.

        Raises:
            ApiError: SerializationException for a value of the wrong type, ValidationException for broken
                constraints, all of them in one message.
        """
        shape = self.operations[operation].input_shape
        if shape is None:
            return {}
        problems: list[str] = []
        clean = self._check(shape)(body, "", problems)
        if problems:
            count = len(problems)
            noun = "validation error" if count == 1 else "validation errors"
            raise ApiError("ValidationException", f"{count} {noun} detected: {'; '.join(problems)}")
        return clean if isinstance(clean, dict) else {}

    def enum(self, shape: str) -> tuple[str, ...]:
        """The values of an enum shape; empty for any other shape."""
        values = self._shapes.get(shape, {}).get("enum")
        return tuple(str(value) for value in values) if isinstance(values, list) else ()

    def is_free(self, shape: str) -> bool:
        """Return whether a shape is a text that may be anything: a name or a message, no id and no enum."""
        described = self._shapes.get(shape, {})
        return described.get("type") == "string" and not {"enum", "pattern"} & described.keys()

    def member_shapes(self, shape: str) -> dict[str, str]:
        """Wire name and shape of a structure's members; empty for any other shape."""
        return {
            wire_name: target
            for wire_name, member in _members(self._shapes.get(shape, {}))
            if (target := _shape_of(member))
        }

    def kind(self, shape: str) -> str:
        """Return the type of a shape, such as ``structure``."""
        return str(self._shapes[shape]["type"])

    def value_shape(self, shape: str) -> str | None:
        """Return the shape of a map's values; None for any other shape."""
        return _shape_of(self._shapes.get(shape, {}).get("value"))

    def element_shape(self, shape: str) -> str | None:
        """The shape of a list's elements; None for any other shape."""
        return _shape_of(self._shapes.get(shape, {}).get("member"))

    def _check(self, name: str) -> Check:
        check = self._checks.get(name)
        if check is None:
            check = self._checks[name] = self._compile(name)
        return check

    def _compile(self, name: str) -> Check:
        shape = self._shapes[name]
        match shape["type"]:
            case "structure":
                return self._structure(shape)
            case "list":
                return self._list(shape)
            case "map":
                return self._map(shape)
            case "string":
                return _string(shape)
            case "boolean":
                return _boolean
            case "integer" | "long":
                return _integer(shape)
            case "blob":
                return _blob(shape)
            case _:
                return _number

    def _structure(self, shape: JsonObject) -> Check:
        members = [
            (wire_name, wire_name[0].lower() + wire_name[1:], self._check(target))
            for wire_name, member in _members(shape)
            if (target := _shape_of(member))
        ]
        required = frozenset(_texts(shape.get("required")))

        def check(value: JsonValue, path: str, problems: list[str]) -> JsonValue:
            if not isinstance(value, dict):
                raise _serialization(value, "a structure")
            prefix = f"{path}." if path else ""
            clean: JsonObject = {}
            for wire_name, camel, member in members:
                given = value.get(wire_name)
                if given is None:
                    if wire_name in required:
                        problems.append(_problem(None, prefix + camel, "Member must not be null"))
                    continue
                clean[wire_name] = member(given, prefix + camel, problems)
            return clean

        return check

    def _list(self, shape: JsonObject) -> Check:
        element = self._check(str(_object(shape["member"])["shape"]))
        limits = _length(shape)

        def check(value: JsonValue, path: str, problems: list[str]) -> JsonValue:
            if not isinstance(value, list):
                raise _serialization(value, "a list")
            if (broken := limits(len(value))) is not None:
                problems.append(_problem(value, path, broken))
                return []
            clean: list[JsonValue] = []
            for position, item in enumerate(value, start=1):
                where = f"{path}.{position}.member"
                if item is None:
                    problems.append(_problem(None, where, "Member must not be null"))
                    continue
                clean.append(element(item, where, problems))
            return clean

        return check

    def _map(self, shape: JsonObject) -> Check:
        key_check = self._check(str(_object(shape["key"])["shape"]))
        value_check = self._check(str(_object(shape["value"])["shape"]))
        limits = _length(shape)

        def check(value: JsonValue, path: str, problems: list[str]) -> JsonValue:
            if not isinstance(value, dict):
                raise _serialization(value, "a map")
            if (broken := limits(len(value))) is not None:
                problems.append(_problem(value, path, broken))
            clean: JsonObject = {}
            for key, item in value.items():
                key_check(key, f"{path}.key", problems)
                if item is not None:
                    clean[key] = value_check(item, f"{path}.{key}.member", problems)
            return clean

        return check


@functools.cache
def service_model(service: str = "workspaces") -> ServiceModel:
    """Return the model of a service, read once per process.

    Of WorkSpaces it is the one that the client was generated from, since aiobotocore allows only an older botocore; of
    another service the newest that the installed botocore has.
    """
    if service == "workspaces":
        raw = (files("workspaces_apps.simulator") / "service.json").read_bytes()
    else:
        versions = sorted(
            (entry for entry in (files("botocore") / "data" / service).iterdir() if entry.is_dir()),
            key=lambda entry: entry.name,
        )
        packed = versions[-1] / "service-2.json.gz"
        plain = versions[-1] / "service-2.json"
        raw = gzip.decompress(packed.read_bytes()) if packed.is_file() else plain.read_bytes()
    document: JsonValue = json.loads(raw)
    return ServiceModel(_object(document))


def _object(value: JsonValue) -> JsonObject:
    if not isinstance(value, dict):
        raise TypeError("the service model is not what it used to be: an object was expected")
    return value


def _shape_of(reference: JsonValue) -> str | None:
    shape = reference.get("shape") if isinstance(reference, dict) else None
    return shape if isinstance(shape, str) else None


def _members(shape: JsonObject) -> list[tuple[str, JsonObject]]:
    members = shape.get("members")
    found: list[tuple[str, JsonObject]] = []
    for name, member in (members if isinstance(members, dict) else {}).items():
        described = _object(member)
        location = described.get("locationName")
        found.append((location if isinstance(location, str) else name, described))
    return found


def _texts(value: JsonValue) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _bound(shape: JsonObject, name: str) -> int | None:
    value = shape.get(name)
    return value if isinstance(value, int) else None


def _length(shape: JsonObject) -> Callable[[int], str | None]:
    low, high = _bound(shape, "min"), _bound(shape, "max")

    def broken(length: int) -> str | None:
        if low is not None and length < low:
            return f"Member must have length greater than or equal to {low}"
        if high is not None and length > high:
            return f"Member must have length less than or equal to {high}"
        return None

    return broken


def _string(shape: JsonObject) -> Check:
    limits = _length(shape)
    pattern = shape.get("pattern")
    source = pattern if isinstance(pattern, str) else None
    matches = re.compile(source, re.ASCII).fullmatch if source is not None else None
    values = _texts(shape.get("enum"))
    allowed = frozenset(values)

    def check(value: JsonValue, path: str, problems: list[str]) -> JsonValue:
        if not isinstance(value, str):
            raise _serialization(value, "a String")
        if (broken := limits(len(value))) is not None:
            problems.append(_problem(value, path, broken))
        elif matches is not None and matches(value) is None:
            problems.append(
                _problem(value, path, f"Member must satisfy regular expression pattern: {source}")
            )
        if allowed and value not in allowed:
            problems.append(
                _problem(value, path, f"Member must satisfy enum value set: [{', '.join(values)}]")
            )
        return value

    return check


def _boolean(value: JsonValue, path: str, problems: list[str]) -> JsonValue:
    del path, problems
    if not isinstance(value, bool):
        raise _serialization(value, "a Boolean")
    return value


def _number(value: JsonValue, path: str, problems: list[str]) -> JsonValue:
    del path, problems
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _serialization(value, "a Number")
    return value


def _integer(shape: JsonObject) -> Check:
    low, high = _bound(shape, "min"), _bound(shape, "max")

    def check(value: JsonValue, path: str, problems: list[str]) -> JsonValue:
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or not -_INTEGER_LIMIT <= value < _INTEGER_LIMIT
        ):
            raise _serialization(value, "an Integer")
        if low is not None and value < low:
            problems.append(_problem(value, path, f"Member must have value greater than or equal to {low}"))
        if high is not None and value > high:
            problems.append(_problem(value, path, f"Member must have value less than or equal to {high}"))
        return value

    return check


def _blob(shape: JsonObject) -> Check:
    limits = _length(shape)

    def check(value: JsonValue, path: str, problems: list[str]) -> JsonValue:
        if not isinstance(value, str):
            raise _serialization(value, "a Blob")
        try:
            size = len(base64.b64decode(value, validate=True))
        except (binascii.Error, ValueError):
            raise ApiError("SerializationException", "The value is not base64") from None
        if (broken := limits(size)) is not None:
            problems.append(_problem("", path, broken))
        return value

    return check


def _serialization(value: JsonValue, wanted: str) -> ApiError:
    kind = _KINDS.get(type(value), "NULL_VALUE")
    return ApiError("SerializationException", f"{kind} can not be converted to {wanted}")


def _problem(value: JsonValue, path: str, rule: str) -> str:
    shown = "null" if value is None else f"'{_short(value)}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {rule}"


def _short(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def check_operations(names: Iterable[str]) -> None:
    """Refuse what the simulator can never be asked for.

    Raises:
        ConfigurationError: One of them is no operation; the message has the nearest.
    """
    for name in sorted(set(names) - _operations()):
        raise ConfigurationError(f"{name!r} is no operation; {advice(name, _operations())}")


@cache
def _operations() -> frozenset[str]:
    # Imported late: what is behind the operations knows the faults.
    from workspaces_apps.simulator import _authentication
    from workspaces_apps.simulator._operations import tags

    return frozenset({*service_model().operations, _authentication.OPERATION, *tags.TAGGING})
