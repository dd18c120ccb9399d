"""The content of the wire, whatever the protocol: values as JSON has them, errors, and answers."""

import json
import re
from collections.abc import Mapping
from typing import TypeAlias

import pydantic

JsonValue: TypeAlias = pydantic.JsonValue
JsonObject: TypeAlias = dict[str, JsonValue]

CONTENT_TYPE = "application/x-amz-json-1.1"

MESSAGELESS = frozenset(
    {
        "ApplicationNotSupportedException",
        "ComputeNotCompatibleException",
        "IncompatibleApplicationsException",
        "OperatingSystemNotCompatibleException",
    }
)
"""Exceptions that the service model gives no member, not even a message [doc]."""


class ApiError(Exception):
    """An answer that is an error: what the service says when it refuses a request.

    Attributes:
        code: The exception's name, which travels as ``__type``.
        message: The text, or None for exceptions without members.
        status: The HTTP status.
        members: Further members of the exception, such as ``ResourceId``.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        status: int = 400,
        members: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message: str | None = None if code in MESSAGELESS else message
        self.status = status
        self.members: Mapping[str, str] = members or {}

    def body(self) -> JsonObject:
        """Return the answer's members; texts of the request that it quotes are made printable."""
        body: JsonObject = {"__type": self.code}
        if self.message is not None:
            body["message"] = printable(self.message)
        body.update({name: printable(value) for name, value in self.members.items()})
        return body


def invalid(message: str) -> ApiError:
    """Return the error of a value that is well formed and still wrong."""
    return ApiError("InvalidParameterValuesException", message)


def not_found(kind: str, resource_id: str) -> ApiError:
    """Return the error of a resource that does not exist, or not yet, or no longer."""
    return ApiError(
        "ResourceNotFoundException",
        f"The specified {kind} could not be found: {resource_id}",
        members={"ResourceId": resource_id},
    )


def in_use(message: str, resource_id: str) -> ApiError:
    """Return the error of a resource that something else is working on."""
    return ApiError("ResourceInUseException", message, members={"ResourceId": resource_id})


def not_supported(message: str, reason: str) -> ApiError:
    """Return the error of an operation that the resource does not allow in its present condition."""
    return ApiError("OperationNotSupportedException", message, members={"reason": reason})


def unknown_operation() -> ApiError:
    """Return the service's answer to a target it does not have."""
    return ApiError("UnknownOperationException")


_SURROGATE = re.compile("[\ud800-\udfff]")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_REPLACEMENT = "\ufffd"


def readable(text: str) -> str:
    """Return the text with U+FFFD for unpaired surrogates, which no UTF-8 can hold."""
    return _SURROGATE.sub(_REPLACEMENT, text)


def printable(text: str) -> str:
    """Return the text with U+FFFD for unpaired surrogates and control characters."""
    return _UNPRINTABLE.sub(_REPLACEMENT, text)


_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)


def encode(value: JsonObject) -> bytes:
    """Return the value as compact ASCII JSON; unpaired surrogates, which only a test can put in, travel escaped."""
    return _ENCODER.encode(value).encode("ascii")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def decode_object(body: bytes) -> JsonObject:
    """Return the JSON object in a request body; an empty body is an empty object.

    Raises:
        ApiError: SerializationException, for anything that is not a JSON object in UTF-8. An escaped surrogate without
            its other half is refused too [assumed]: no answer could give it back to a client that speaks CBOR.
    """
    if not body:
        return {}
    try:
        value: JsonValue = _DECODER.decode(body.decode("utf-8"))
        if _ESCAPED_SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise ApiError("SerializationException", "The request body is not valid JSON") from None
    if not isinstance(value, dict):
        raise ApiError("SerializationException", "Start of structure or map expected")
    return value


def parse(answer: bytes) -> JsonObject:
    """Return the JSON object whose text a handler has put together."""
    value: JsonObject = json.loads(answer)
    return value


class Parameters:
    """The validated members of a request, read by the type that the model gives them."""

    __slots__ = ("raw",)

    def __init__(self, raw: JsonObject) -> None:
        self.raw: JsonObject = raw

    def __contains__(self, name: str) -> bool:
        return name in self.raw

    def text(self, name: str) -> str:
        """Return a string that the model requires."""
        value = self.raw.get(name)
        if not isinstance(value, str):
            raise _wrong(name)
        return value

    def maybe_text(self, name: str) -> str | None:
        """Return a string that may be absent."""
        value = self.raw.get(name)
        if value is None or isinstance(value, str):
            return value
        raise _wrong(name)

    def texts(self, name: str) -> list[str]:
        """Return a list of strings; absent is empty."""
        value = self.raw.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise _wrong(name)
        return [item for item in value if isinstance(item, str)]

    def integer(self, name: str) -> int | None:
        """Return a whole number that may be absent."""
        value = self.raw.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise _wrong(name)

    def flag(self, name: str) -> bool | None:
        """Return a boolean that may be absent."""
        value = self.raw.get(name)
        if value is None or isinstance(value, bool):
            return value
        raise _wrong(name)

    def section(self, name: str) -> "Parameters | None":
        """Return a structure that may be absent."""
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise _wrong(name)
        return Parameters(value)

    def sections(self, name: str) -> list["Parameters"]:
        """Return a list of structures; absent is empty."""
        value = self.raw.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise _wrong(name)
        return [Parameters(item) for item in value if isinstance(item, dict)]


def _wrong(name: str) -> ApiError:
    return ApiError("SerializationException", f"Unexpected value for {name}")
