"""The wire protocols of the service, awsJson 1.1 and smithy-rpc-v2-cbor: which one a request speaks, and its errors.

What goes over the wire differs, what it says does not: behind this module a request and an answer are JSON objects,
whose timestamps are numbers and whose blobs are base64. In CBOR the service model says where timestamps (tag 1) and
blobs (byte strings) are. Only `cbor2` is used, and only if it is installed: botocore has a codec too, which is the peer
that this one is tested against.
"""

from __future__ import annotations

import base64
import functools
import importlib.util
import io
import math
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from typing_extensions import TypeIs

from workspaces_apps.simulator._authentication import RequestHeaders
from workspaces_apps.simulator._model import ServiceModel
from workspaces_apps.simulator._wire import (
    CONTENT_TYPE,
    ApiError,
    JsonObject,
    JsonValue,
    decode_object,
    encode,
    parse,
    readable,
    unknown_operation,
)

_ValueReader: TypeAlias = Callable[[object], JsonValue]
_Writer: TypeAlias = Callable[[JsonValue], object]

_TIMESTAMP_TAG: Final = 1
_MAX_DEPTH: Final = 64
"""Deeper than any shape of the model; what is deeper is no request."""
# Decoders that cbor2 has built in and the protocol does not: some take long over few bytes (big floats, regular
# expressions), some make values that are no data (shared references).
_FOREIGN_TAGS: Final = (
    0, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 261, 1004, 43000, 55799,
)  # fmt: skip


@functools.cache
def is_available() -> bool:
    """Return whether CBOR can be read and written here; the extra `simulator` brings what it takes."""
    return importlib.util.find_spec("cbor2") is not None


def is_map(value: object) -> TypeIs[dict[object, object]]:
    """Return whether a decoded value is a map."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeIs[list[object]]:
    """Return whether a decoded value is an array."""
    return isinstance(value, list)


class _Timestamp(float):
    """A number that came with tag 1."""

    __slots__ = ()


def _timestamp(value: object, immutable: bool) -> _Timestamp:
    del immutable
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a time is a number")
    return _Timestamp(value)


def _foreign(value: object, immutable: bool) -> object:
    del value, immutable
    raise ValueError("a tag that the protocol does not use")


_DECODERS: Final[Mapping[int, Callable[[object, bool], object]]] = {
    **dict.fromkeys(_FOREIGN_TAGS, _foreign),
    _TIMESTAMP_TAG: _timestamp,
}


def decode(body: bytes) -> object:
    """Return the one data item that a body consists of.

    Raises:
        ApiError: SerializationException: it is not well-formed, has a tag that the protocol does not use, is nested
            too deeply, or more follows.
    """
    import cbor2

    stream = io.BytesIO(body)
    try:
        value: object = cbor2.CBORDecoder(
            stream,
            semantic_decoders=_DECODERS,
            tag_hook=_foreign,
            max_depth=_MAX_DEPTH,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
        ).decode()
    except (cbor2.CBORError, ValueError, OverflowError, RecursionError, MemoryError):
        raise ApiError("SerializationException", "The request body is not valid CBOR") from None
    if stream.tell() != len(body):
        raise ApiError("SerializationException", "More than one data item in the request body")
    return value


def encode_plain(value: JsonObject) -> bytes:
    """Return a map of texts, such as an error; works without `cbor2` too, so that every client can be refused."""
    parts = [_head(5, len(value))]
    for name, item in value.items():
        for text in (name, item if isinstance(item, str) else str(item)):
            raw = readable(text).encode("utf-8")
            parts += (_head(3, len(raw)), raw)
    return b"".join(parts)


def _head(major: int, length: int) -> bytes:
    if length < 24:
        return bytes([major << 5 | length])
    if length < 2**16:
        return struct.pack(">BH", major << 5 | 25, length)
    return struct.pack(">BI", major << 5 | 26, length)


def to_json(value: object) -> JsonValue:
    """Return decoded CBOR as JSON has it, without a model: times are numbers, byte strings base64."""
    if is_map(value):
        return {str(name): to_json(item) for name, item in value.items()}
    if is_array(value):
        return [to_json(item) for item in value]
    match value:
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return float(value)
        case _:
            return None


class CborCodec:
    """Requests and answers of the operations in CBOR, by compiled readers and writers for each shape.

    Args:
        model: The service model.
    """

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._readers: dict[str, _ValueReader] = {}
        self._writers: dict[str, _Writer | None] = {}

    def read(self, operation: str, body: bytes) -> JsonObject:
        """Return a request's members as JSON has them; an empty body is an empty structure.

        Raises:
            ApiError: SerializationException.
        """
        shape = self._model.operations[operation].input_shape
        if not body:
            return {}
        value = decode(body)
        if not is_map(value):
            raise ApiError("SerializationException", "Start of structure or map expected")
        members = {} if shape is None else self._reader(shape)(value)
        return members if isinstance(members, dict) else {}

    def write(self, operation: str, answer: JsonObject) -> bytes:
        """Return the body of an answer; an operation without an output answers an empty map."""
        import cbor2

        shape = self._model.operations[operation].output_shape
        writer = None if shape is None else self._writer(shape)
        value: object = answer if writer is None else writer(answer)
        try:
            return cbor2.dumps(value)
        except UnicodeEncodeError:
            # A test in this process may have put in what JSON can escape and UTF-8 cannot hold.
            return cbor2.dumps(_readable(value))

    def _reader(self, name: str) -> _ValueReader:
        reader = self._readers.get(name)
        if reader is None:
            reader = self._readers[name] = self._compile_reader(name)
        return reader

    def _compile_reader(self, name: str) -> _ValueReader:
        match self._model.kind(name):
            case "structure":
                return self._structure_reader(name)
            case "list":
                return self._list_reader(self._reader(self._model.element_shape(name) or ""))
            case "map":
                return _map_reader(self._reader(self._model.value_shape(name) or ""))
            case "blob":
                return _read_blob
            case "timestamp":
                return _read_timestamp
            case _:
                return _read_scalar

    def _structure_reader(self, name: str) -> _ValueReader:
        members = {
            wire_name: self._reader(shape) for wire_name, shape in self._model.member_shapes(name).items()
        }

        def read(value: object) -> JsonValue:
            # Of another type: the checks of the model say so, in the words they have for JSON too.
            if not is_map(value):
                return _read_scalar(value)
            # Unknown members are left out unseen, as JSON's are.
            return {
                wire_name: reader(value[wire_name])
                for wire_name, reader in members.items()
                if value.get(wire_name) is not None
            }

        return read

    def _list_reader(self, element: _ValueReader) -> _ValueReader:
        def read(value: object) -> JsonValue:
            if not is_array(value):
                return _read_scalar(value)
            return [None if item is None else element(item) for item in value]

        return read

    def _writer(self, name: str) -> _Writer | None:
        """Return what changes a value of this shape; None where CBOR has it as JSON does."""
        if name not in self._writers:
            # Recursive shapes, which this model has not, would go round here.
            self._writers[name] = None
            self._writers[name] = self._compile_writer(name)
        return self._writers[name]

    def _compile_writer(self, name: str) -> _Writer | None:
        match self._model.kind(name):
            case "structure":
                members = {
                    wire_name: writer
                    for wire_name, shape in self._model.member_shapes(name).items()
                    if (writer := self._writer(shape)) is not None
                }
                return _structure_writer(members) if members else None
            case "list":
                element = self._writer(self._model.element_shape(name) or "")
                return None if element is None else _list_writer(element)
            case "timestamp":
                return _write_timestamp
            case "blob":
                return _write_blob
            case _:
                return None


def _map_reader(item: _ValueReader) -> _ValueReader:
    def read(value: object) -> JsonValue:
        if not is_map(value):
            return _read_scalar(value)
        return {str(_read_scalar(key)): None if one is None else item(one) for key, one in value.items()}

    return read


def _read_blob(value: object) -> JsonValue:
    if not isinstance(value, bytes):
        raise ApiError("SerializationException", "A byte string was expected")
    return base64.b64encode(value).decode("ascii")


def _read_timestamp(value: object) -> JsonValue:
    if not isinstance(value, _Timestamp):
        raise ApiError("SerializationException", "A time with tag 1 was expected")
    return float(value)


def _read_scalar(value: object) -> JsonValue:
    match value:
        case _Timestamp() | bytes():
            raise ApiError("SerializationException", "Unexpected tag or byte string")
        case bool() | int() | str() | None:
            return value
        case float() if math.isfinite(value):
            return value
        case dict():
            return {}
        case list():
            return []
        case _:
            raise ApiError("SerializationException", "Unexpected value")


def _structure_writer(members: Mapping[str, _Writer]) -> _Writer:
    def write(value: JsonValue) -> object:
        if not isinstance(value, dict):
            return value
        changed: dict[str, object] = {**value}
        for name, writer in members.items():
            if (item := value.get(name)) is not None:
                changed[name] = writer(item)
        return changed

    return write


def _list_writer(element: _Writer) -> _Writer:
    def write(value: JsonValue) -> object:
        return [element(item) for item in value] if isinstance(value, list) else value

    return write


def _write_timestamp(value: JsonValue) -> object:
    import cbor2

    return cbor2.CBORTag(_TIMESTAMP_TAG, value)


def _write_blob(value: JsonValue) -> object:
    return base64.b64decode(value) if isinstance(value, str) else value


def _readable(value: object) -> object:
    if is_map(value):
        return {_readable(name): _readable(item) for name, item in value.items()}
    if is_array(value):
        return [_readable(item) for item in value]
    return readable(value) if isinstance(value, str) else value


ProtocolName: TypeAlias = Literal["json", "cbor"]

CBOR: Final = "application/cbor"
RPC_V2: Final = "rpc-v2-cbor"
_NAMESPACE: Final = "com.amazonaws.workspaces#"
"""The prefix of a shape's name where a protocol wants the whole of it: smithy-rpc-v2-cbor [doc]."""
_RPC_PATH: Final = re.compile(r"(?:/.*)?/service/(?P<service>[^/]+)/operation/(?P<operation>[^/]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Form:
    """The form of an answer on the wire.

    Attributes:
        name: Which protocol it belongs to.
        content_type: The type of its body.
        headers: Further headers of every answer.
    """

    name: ProtocolName
    content_type: str
    headers: Mapping[str, str]


AWS_JSON: Final = Form("json", CONTENT_TYPE, {})
RPC_V2_CBOR: Final = Form("cbor", CBOR, {"smithy-protocol": RPC_V2})


def form_of(headers: RequestHeaders) -> Form:
    """Return the form that the sender of a request can read, whether or not its protocol is known.

    A sender that speaks of CBOR anywhere would fail on JSON (botocore dies with MemoryError [seen]), and the other
    way round.
    """
    spoken = (headers.get(name) or "" for name in ("smithy-protocol", "Accept", "Content-Type"))
    return RPC_V2_CBOR if any("cbor" in words.lower() for words in spoken) else AWS_JSON


def operation_of(method: str, path: str, headers: RequestHeaders) -> tuple[str, str]:
    """Return the target prefix and the name of the operation that a request asks for; there may be no such thing.

    Raises:
        ApiError: UnknownOperationException: neither protocol's method, path and headers;
            UnsupportedMediaTypeException (HTTP 415): CBOR where `cbor2` is not installed, or a body of another type
            than the protocol's.
    """
    target = headers.get("X-Amz-Target")
    rpc = _RPC_PATH.fullmatch(path)
    if method != "POST":
        raise unknown_operation()
    if rpc is None:
        prefix, _, name = (target or "").rpartition(".")
        if path != "/" or form_of(headers) is not AWS_JSON:
            raise unknown_operation()
        return prefix, name
    # The protocol forbids the other one's header, so that no proxy reads one thing and the service another [doc].
    if headers.get("smithy-protocol") != RPC_V2 or target is not None:
        raise unknown_operation()
    if not is_available():
        raise unsupported_media_type("The simulator needs cbor2 to speak smithy-rpc-v2-cbor.")
    given = (headers.get("Content-Type") or CBOR).partition(";")[0].strip().lower()
    if given != CBOR:
        raise unsupported_media_type(f"The body must be {CBOR}.")
    return rpc["service"], rpc["operation"]


class Codec:
    """Reads requests and writes answers of one service in either protocol.

    Args:
        model: The service model, which says where timestamps and blobs are.
    """

    def __init__(self, model: ServiceModel) -> None:
        self._cbor = CborCodec(model)

    def read(self, form: Form, operation: str, body: bytes) -> JsonObject:
        """Return a request's members as JSON has them.

        Raises:
            ApiError: SerializationException: the body is not what the protocol says.
        """
        return decode_object(body) if form.name == "json" else self._cbor.read(operation, body)

    def write(self, form: Form, operation: str, answer: JsonObject | bytes) -> bytes:
        """Return the body of a successful answer, given as a JSON object or as its text."""
        if form.name == "json":
            return answer if isinstance(answer, bytes) else encode(answer)
        return self._cbor.write(operation, parse(answer) if isinstance(answer, bytes) else answer)


def error_body(form: Form, error: ApiError) -> bytes:
    """Return the body of an answer that refuses."""
    body = error.body()
    if form.name == "json":
        return encode(body)
    return encode_plain({**body, "__type": f"{_NAMESPACE}{error.code}"})


def unsupported_media_type(message: str) -> ApiError:
    """Return the refusal of a body that cannot be read because of its type, HTTP 415."""
    return ApiError("UnsupportedMediaTypeException", message, status=415)
