"""The wire protocols of the service, awsJson 1.1 and smithy-rpc-v2-cbor: which one a request speaks, and its errors.

What goes over the wire differs, what it says does not: behind this module a request and an answer are JSON objects,
whose timestamps are numbers and whose blobs are base64.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from workspaces_apps.simulator._cbor import CborCodec, encode_plain, is_available
from workspaces_apps.simulator._model import ServiceModel
from workspaces_apps.simulator._sigv4 import Headers
from workspaces_apps.simulator._wire import (
    CONTENT_TYPE,
    ApiError,
    JsonObject,
    decode_object,
    encode,
    parse,
    unknown_operation,
)

ProtocolName: TypeAlias = Literal["json", "cbor"]

CBOR: Final = "application/cbor"
RPC_V2: Final = "rpc-v2-cbor"
_NAMESPACE: Final = "com.amazonaws.workspaces#"
"""What stands before a shape's name where a protocol wants the whole of it: smithy-rpc-v2-cbor [doc]."""
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


def form_of(headers: Headers) -> Form:
    """Return the form that the sender of a request can read, whether or not its protocol is known.

    A sender that speaks of CBOR anywhere would fail on JSON (botocore dies with MemoryError [seen]), and the other
    way round.
    """
    spoken = (headers.get(name) or "" for name in ("smithy-protocol", "Accept", "Content-Type"))
    return RPC_V2_CBOR if any("cbor" in words.lower() for words in spoken) else AWS_JSON


def operation_of(method: str, path: str, headers: Headers) -> tuple[str, str]:
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
