"""Kinds of values in models: open enums, times, lists, blobs, JSON, and the descriptions of members."""

import base64
import inspect
import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum, EnumType, StrEnum
from functools import cache
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    NamedTuple,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
)
from weakref import WeakValueDictionary

from pydantic import (
    BaseModel,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    SerializationInfo,
    ValidationInfo,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import TypeIs

from workspaces_apps._base.attribute_docs import attribute_docs
from workspaces_apps._base.public import public

T = TypeVar("T")

CONSTRUCTED: Final[Mapping[str, object]] = {"constructed": True}
"""The context by which validators know a constructor."""

FROM_WIRE: Final[Mapping[str, object]] = {"from_wire": True}
"""The context by which validators know that a model is read by its `from_wire`."""

TO_WIRE: Final[Mapping[str, object]] = {"to_wire": True}
"""The context by which serializers know that the service is written to: unpaired surrogates are kept, as they are nowhere else."""

JsonObject: TypeAlias = dict[str, JsonValue]
"""A JSON object, as `json.loads` gives it."""


# In frozen time the name `datetime` may stand for a subclass of freezegun's, which would be kept for good.
_DATETIME: Final = next(base for base in datetime.__mro__ if base.__module__ == "datetime")


class _Utc:
    """The schema of a point in time: epoch seconds or ISO 8601 in, UTC inside, epoch seconds out."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        # The first of the two is all that the service's numbers need, and makes no call into Python.
        return core_schema.union_schema(
            [
                core_schema.datetime_schema(tz_constraint=0),
                core_schema.no_info_after_validator_function(_to_utc, core_schema.datetime_schema()),
            ],
            mode="left_to_right",
            custom_error_type="datetime_type",
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "type": "number",
            "description": "Seconds since the epoch, UTC; an ISO 8601 time is read as well.",
        }


def _to_utc(value: datetime) -> datetime:
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("datetime_range", "must be between the years 1 and 9999 in UTC") from None


class _NullIsEmpty:
    """The schema of a list that may be left out: null counts as left out, though the attribute is a tuple always."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        items = handler(source)
        held = core_schema.union_schema(
            [
                core_schema.is_instance_schema(tuple),
                core_schema.with_info_plain_validator_function(_read_null),
            ],
            mode="left_to_right",
        )
        # The last step is the one that pydantic serialises by: that of its strict half.
        return core_schema.chain_schema(
            [core_schema.nullable_schema(items), core_schema.lax_or_strict_schema(held, items)]
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        chain: Any = schema
        return handler(chain["steps"][0]["schema"])


def _read_null(_: object, info: ValidationInfo) -> tuple[()]:
    if info.context is FROM_WIRE:
        # Read again by `from_wire`, which remembers the null.
        raise PydanticCustomError("null", "must not be null")
    return ()


class _Base64:
    """The schema of bytes that are base64 in JSON; a constructor takes bytes only."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        read = core_schema.no_info_before_validator_function(
            _read_blob, core_schema.bytes_schema(strict=True)
        )
        return core_schema.lax_or_strict_schema(
            read,
            core_schema.bytes_schema(strict=True),
            serialization=core_schema.plain_serializer_function_ser_schema(
                _write_blob, return_schema=core_schema.str_schema(), when_used="json"
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "contentEncoding": "base64"}


def _read_blob(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except ValueError as error:
        raise PydanticCustomError("base64", "must be base64: {why}", {"why": str(error)}) from None


def _write_blob(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


if TYPE_CHECKING:
    Timestamp: TypeAlias = datetime
    Blob: TypeAlias = bytes
    Items: TypeAlias = tuple[T, ...]
else:

    @public("workspaces_apps.types")
    class Items:
        """A list that may be left out; a tuple, empty where the list was left out or null."""

        def __class_getitem__(cls, item: object) -> object:
            return Annotated[tuple[item, ...], _NullIsEmpty()]

    Timestamp = Annotated[_DATETIME, _Utc()]
    """A point in time, in UTC."""
    Blob = Annotated[bytes, _Base64()]
    """Bytes, which are base64 on the wire."""


def is_mapping(value: object) -> TypeIs[Mapping[object, object]]:
    """Tell if it is a mapping of whatever."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeIs[list[object] | tuple[object, ...]]:
    """Tell if it is a list or a tuple of whatever."""
    return isinstance(value, list | tuple)


_DIGITS: Final = 4300
"""Digits at most of a number that Python reads as an int."""


def read_leniently(data: bytes | str) -> object:
    """Read JSON that a strict reader refuses, though it can be read: unpaired surrogates, numbers of any length.

    A number with more than 4,300 digits becomes a float, which is infinite then. An unpaired surrogate is kept in a
    value; in the name of a member, where no model can hold it, it becomes U+FFFD.

    Returns:
        The document; None if it cannot be read.
    """

    def number(digits: str) -> int | float:
        return int(digits) if len(digits) <= _DIGITS else float(digits)

    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        return {_whole(name): value for name, value in pairs}

    try:
        # Not by its bytes: that would guess at the encoding.
        text = data.decode() if isinstance(data, bytes) else data
        found: object = json.loads(text, parse_int=number, object_pairs_hook=members)
    except (ValueError, RecursionError):
        return None
    return found


def _whole(text: str) -> str:
    # Two halves that belong together become their character.
    return (
        text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    )


def whole_text(value: object) -> object:
    """Return what a JSON document holds, with U+FFFD for unpaired surrogates."""
    if isinstance(value, str):
        return _whole(value)
    if is_mapping(value):
        return {whole_text(name): whole_text(item) for name, item in value.items()}
    if is_list(value):
        return [whole_text(item) for item in value]
    return value


def _whole_names(value: object) -> object:
    if is_mapping(value):
        return {whole_text(name): _whole_names(item) for name, item in value.items()}
    return [_whole_names(item) for item in value] if is_list(value) else value


def _write_text(value: object, info: SerializationInfo) -> object:
    if not isinstance(value, str):
        # Somebody has copied a model with a value that it never checked; pydantic warns of it.
        return value
    # Of a member of an enum, its value.
    text = str(value)
    return text if text.isascii() or info.context is TO_WIRE else _whole(text)


def _write_any(value: object, info: SerializationInfo) -> object:
    return _whole_names(value) if info.context is TO_WIRE else whole_text(value)


TEXT: Final = core_schema.plain_serializer_function_ser_schema(
    _write_text, info_arg=True, return_schema=core_schema.str_schema(), when_used="json"
)
"""Writes text, and the members of enums, in JSON with U+FFFD for unpaired surrogates."""
_ANYTHING: Final = core_schema.plain_serializer_function_ser_schema(
    _write_any, info_arg=True, when_used="json"
)


# Of a schema with two halves, pydantic serialises by the strict one.
_ONE: Final = ("schema", "strict_schema", "extras_schema", "keys_schema", "values_schema")
_SEVERAL: Final = ("items_schema", "steps")
"""The keys below which a schema holds others."""


def with_whole_text(schema: Any) -> Any:
    """Return a model's schema that writes U+FFFD for unpaired surrogates in JSON, inside somebody else's model too.

    pydantic writes a nested model by its schema, and never calls its `model_dump_json`.
    """
    match schema["type"]:
        case "str":
            return {**schema, "serialization": TEXT}
        case "any":
            return {**schema, "serialization": _ANYTHING}
        case _:
            pass
    changed = {key: with_whole_text(schema[key]) for key in _ONE if key in schema}
    for key in _SEVERAL:
        if key in schema:
            changed[key] = [with_whole_text(part) for part in schema[key]]
    if schema["type"] == "model-fields":
        changed["fields"] = {name: with_whole_text(part) for name, part in schema["fields"].items()}
    return {**schema, **changed}


def as_utc(value: object) -> object:
    """Return the value with every datetime in it in UTC; one without a zone is taken as UTC."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if is_mapping(value):
        return {key: as_utc(item) for key, item in value.items()}
    if is_list(value):
        return [as_utc(item) for item in value]
    return value


def kind_of(value: object) -> str:
    """Return the kind of a value for a message: its type and size, never the value."""
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
    """Return the members of a model by their names on the wire."""
    found: dict[str, WireField] = {}
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        nested = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        found[field.serialization_alias or name] = WireField(
            name, nested[0] if nested else None, any(get_origin(kind) is tuple for kind in kinds)
        )
    return found


_GENERATED: Final = "workspaces_apps.api."


def descriptions_of(cls: type) -> Mapping[str, str]:
    """Return the text below each member of a generated class, and of those that it derives from, by the member's name.

    Whoever ships the package without its sources has none.
    """
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith(_GENERATED):
            found |= {name: " ".join(text.split()) for name, text in attribute_docs(base).items()}
    return found


_strangers: WeakValueDictionary[tuple[type["OpenEnum"], str], "OpenEnum"] = WeakValueDictionary()
# Reentrant: a signal handler or a finalizer that runs while the lock is held may meet a stranger too.
_strangers_lock = threading.RLock()


class OpenEnumType(EnumType):
    """The type of open enums, which tells readers of `_OPEN`, a member for checkers only, what to ask instead."""

    if not TYPE_CHECKING:

        def __getattr__(cls, name):
            """Refuse a name that is not there, `_OPEN` with words of its own."""
            if name == "_OPEN":
                raise AttributeError(
                    f"{cls.__name__}._OPEN is there for type checkers only; ask `is_known` of a value"
                )
            # Python 3.11 finds members by a method of this name; later releases have none.
            inherited = getattr(super(), "__getattr__", None)
            if inherited is None:
                raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
            return inherited(name)


@public("workspaces_apps")
class OpenEnum(StrEnum, metaclass=OpenEnumType):
    """A string enum that takes values it does not know, because the service adds values without notice.

    A value outside the members gives a pseudo-member: equal and hash-equal to its string, the same object for as
    long as it is in use, with `is_known` False. Iteration, `len()` and `__members__` see the known members only.
    """

    @property
    def is_known(self) -> bool:
        """Tell if the value is one of the members of this release."""
        return self._value_ in type(self)._value2member_map_

    @classmethod
    def _missing_(cls, value: object) -> "OpenEnum | None":
        if not isinstance(value, str):
            return None
        text = str(value)
        with _strangers_lock:
            stranger = _strangers.get((cls, text))
            if stranger is None:
                stranger = str.__new__(cls, text)
                stranger._value_ = text
                stranger._name_ = text
                _strangers[cls, text] = stranger
        return stranger

    def __reduce_ex__(self, proto: object) -> tuple[object, ...]:
        return type(self), (self._value_,)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type["OpenEnum"], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        described = core_schema.enum_schema(cls, list(cls.__members__.values()), sub_type="str", strict=False)

        def convert(value: object) -> "OpenEnum":
            if isinstance(value, cls):
                return value
            # pydantic would take bytes, and the members of other enums are strings too.
            if isinstance(value, Enum) or not isinstance(value, str):
                raise PydanticCustomError("enum", "must be a member of the enum or a str")
            return cls(value)

        return core_schema.json_or_python_schema(
            described,
            # Whatever strictness is asked for: a string is how a caller may spell a member.
            core_schema.no_info_plain_validator_function(convert),
            ref=f"{cls.__module__}.{cls.__qualname__}",
            serialization=TEXT,
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        # The schema of its values, not of the text that is written for them.
        values: Any = {key: value for key, value in schema.items() if key != "serialization"}
        described = handler.resolve_ref_schema(handler(values))
        known = described.pop("enum", None) or [described.pop("const")]
        texts = descriptions_of(cls)
        rows = [f"- `{value}`: {texts[value.name]}" for value in cls if value.name in texts]
        if rows:
            described["description"] = "\n\n".join((inspect.getdoc(cls) or cls.__name__, "\n".join(rows)))
        return described | {"examples": known}
