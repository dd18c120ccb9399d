"""Kinds of values in models: several of something, blobs, JSON, and what can be asked about them."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import (
    TYPE_CHECKING,
    Annotated,
    NamedTuple,
    Protocol,
    TypeAlias,
    TypeGuard,
    TypeVar,
    get_args,
    get_origin,
)

from pydantic import (
    BaseModel,
    BeforeValidator,
    JsonValue,
    PlainSerializer,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

JsonObject: TypeAlias = dict[str, JsonValue]
"""A JSON object, as `json.loads` gives it."""


if TYPE_CHECKING:

    class Several(Protocol[T_co]):
        """What has items in an order, and is not a string, which is a sequence of itself.

        `str.__contains__` takes only `str`; that difference makes a forgotten bracket a type error.
        """

        def __contains__(self, value: object, /) -> bool: ...
        def __iter__(self) -> Iterator[T_co]: ...
        def __len__(self) -> int: ...
        def __getitem__(self, index: int, /) -> T_co: ...

    # Without the tuple mypy takes the strings in a tuple for any strings, not for the literals that are meant.
    Many: TypeAlias = Several[T] | tuple[T, ...]
    """Several of something: a list, a tuple, any sequence, but not a string. In a model it is a tuple."""

else:

    class Many:
        """Several of something; a tuple once it is in a model."""

        def __class_getitem__(cls, item: object) -> object:
            return tuple[item, ...]


def _read_blob(value: object, info: ValidationInfo) -> object:
    if info.context is None or not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise PydanticCustomError("base64", "must be base64: {why}", {"why": str(error)}) from None


def _write_blob(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


Blob: TypeAlias = Annotated[
    bytes,
    BeforeValidator(_read_blob, json_schema_input_type=bytes),
    PlainSerializer(_write_blob, return_type=str, when_used="json"),
]
"""Bytes, which are base64 on the wire."""


def is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    """Whether it is a mapping of whatever."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    """Whether it is a list or a tuple of whatever."""
    return isinstance(value, list | tuple)


def as_utc(value: object) -> object:
    """The value with every datetime in it in UTC; one without a zone is taken as UTC."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if is_mapping(value):
        return {key: as_utc(item) for key, item in value.items()}
    if is_list(value):
        return [as_utc(item) for item in value]
    return value


def kind_of(value: object) -> str:
    """The kind of a value for a message: its type and size, never the value."""
    name = type(value).__name__
    if value is None:
        return "nothing"
    if isinstance(value, int):
        # Python refuses to print the longest ones.
        return f"the {name} {value}" if value.bit_length() < 64 else f"an {name} of {value.bit_length()} bits"
    if isinstance(value, str | bytes):
        return f"a {name} of length {len(value)}"
    if is_list(value) or is_mapping(value):
        return f"a {name} of {len(value)}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


class WireField(NamedTuple):
    """A member as the wire knows it: its attribute, the model in it, and whether it is a list."""

    name: str
    nested: type[BaseModel] | None
    several: bool


@cache
def fields_by_wire_name(model: type[BaseModel]) -> Mapping[str, WireField]:
    """The members of a model by their names on the wire."""
    found: dict[str, WireField] = {}
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        nested = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        found[field.serialization_alias or name] = WireField(
            name, nested[0] if nested else None, any(get_origin(kind) is tuple for kind in kinds)
        )
    return found
