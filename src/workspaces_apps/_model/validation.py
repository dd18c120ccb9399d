"""Values as models hold and read them, open enums, and request validation with messages that name the member and the rule."""

import base64
import inspect
import json
import re
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
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
    ValidationError,
    ValidationInfo,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import (
    CoreSchema,
    ErrorDetails,
    PydanticCustomError,
    PydanticKnownError,
    PydanticSerializationError,
    SchemaValidator,
    core_schema,
)
from typing_extensions import TypeIs

from workspaces_apps._base.public import attribute_docs, public
from workspaces_apps._model.operations import Bounds, Rule, Rules
from workspaces_apps.errors import Problem, RequestValidationError

if TYPE_CHECKING:
    from workspaces_apps._model.models import Request


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
                core_schema.with_info_plain_validator_function(_read_strict_time),
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


def _read_strict_time(value: object, info: ValidationInfo) -> datetime:
    """Read a number as a time where whoever validates is strict, which constructors alone are to be."""
    if info.context is CONSTRUCTED:
        raise PydanticKnownError("datetime_type")
    return _to_utc(_ANY_TIME.validate_python(value))


# pydantic's own hints do not have this setting yet.
_SECONDS: Final[Any] = {"val_temporal_unit": "seconds"}
_ANY_TIME: Final = SchemaValidator(core_schema.datetime_schema(), _SECONDS)


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
        read = core_schema.nullable_schema(items)
        # The last step is the one that pydantic serialises by: that of the strict half.
        return core_schema.lax_or_strict_schema(
            core_schema.chain_schema([read, held]), core_schema.chain_schema([read, held, items])
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        halves: Any = schema
        return handler(halves["lax_schema"]["steps"][0]["schema"])


def _read_null(_: object, info: ValidationInfo) -> tuple[()]:
    if info.context is FROM_WIRE:
        # Read again by `from_wire`, which remembers the null.
        raise PydanticCustomError("null", "must not be null")
    return ()


class _Base64:
    """The schema of bytes that are base64 in JSON; a constructor takes bytes only."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_before_validator_function(
            _read_blob,
            core_schema.bytes_schema(strict=True),
            serialization=core_schema.plain_serializer_function_ser_schema(
                _write_blob, return_schema=core_schema.str_schema(), when_used="json"
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "contentEncoding": "base64"}


def _read_blob(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str) or info.context is CONSTRUCTED:
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
_BELOW: Final = (
    "schema",
    "strict_schema",
    "extras_schema",
    "keys_schema",
    "values_schema",
    "items_schema",
    "steps",
)
"""The keys below which a schema holds another, or a list of others."""


def _read_list(value: object, info: ValidationInfo) -> object:
    return tuple(value) if is_list(value) and info.context is not CONSTRUCTED else value


_TUPLE_OF_LIST: Final = core_schema.union_schema(
    [
        core_schema.is_instance_schema(tuple),
        core_schema.with_info_plain_validator_function(_read_list),
    ],
    mode="left_to_right",
)
"""Reads a list for a tuple where whoever validates is strict, but in constructors, which make their tuples themselves."""


def lax_about_form(schema: Any) -> Any:
    """Return a model's schema that reads and writes JSON as ours do, inside somebody else's model too.

    Lists are read for tuples however strictly; U+FFFD is written for unpaired surrogates. pydantic writes a nested model
    by its schema, and never calls its `model_dump_json`.
    """
    match schema["type"]:
        case "str":
            # Not over a serializer of somebody's own.
            return {"serialization": TEXT, **schema}
        case "any":
            return {"serialization": _ANYTHING, **schema}
        case "tuple":
            schema = {**schema, "items_schema": [lax_about_form(part) for part in schema["items_schema"]]}
            read = core_schema.chain_schema([_TUPLE_OF_LIST, schema])
            return core_schema.lax_or_strict_schema(schema, read)
        case _:
            pass
    changed: dict[str, object] = {}
    for key in _BELOW:
        if key in schema:
            below = schema[key]
            changed[key] = (
                [lax_about_form(part) for part in below] if is_list(below) else lax_about_form(below)
            )
    if schema["type"] == "model-fields":
        changed["fields"] = {name: lax_about_form(part) for name, part in schema["fields"].items()}
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


ListClass: TypeAlias = type[tuple[Any, ...] | list[Any] | set[Any] | frozenset[Any] | deque[Any]]
"""A class that holds several values."""

# Generated models hold tuples; whoever derives from them may hold what else pydantic knows.
_KINDS: Final[tuple[ListClass, ...]] = (tuple, list, set, frozenset, deque)


class WireField(NamedTuple):
    """A member as the wire knows it: its attribute, the model in it, and the class of its list, if it is one."""

    name: str
    nested: type[BaseModel] | None
    kind: ListClass | None


@cache
def fields_by_wire_name(model: type[BaseModel]) -> Mapping[str, WireField]:
    """Return the members of a model by their names on the wire."""
    found: dict[str, WireField] = {}
    for name, field in model.model_fields.items():
        parts = [field.annotation, *get_args(field.annotation)]
        nested = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
        kinds = [kind for part in parts for kind in _KINDS if kind in (part, get_origin(part))]
        found[field.serialization_alias or name] = WireField(
            name, nested[0] if nested else None, kinds[0] if kinds else None
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


def unknown_name(model: type[BaseModel], name: str) -> Problem:
    """Return the problem of a name that is no member of the model."""
    # Imported only now: nobody needs it but who has misspelt a name.
    from difflib import get_close_matches

    known = model.model_fields
    meant = [attribute for attribute, field in known.items() if field.serialization_alias == name]
    meant += get_close_matches(name, known, n=1)
    rule = f"is not a member of {model.__name__}" + (f"; did you mean {meant[0]}" if meant else "")
    return Problem(member=name, rule=rule, got="an unknown name")


def invalid_unicode(name: str, value: object) -> Iterator[Problem]:
    """Yield a problem for each string that no encoding can carry: half a surrogate pair is in it."""
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            yield Problem(
                member=name, rule="must be Unicode text, without lone surrogates", got=kind_of(value)
            )
    elif is_list(value):
        for index, item in enumerate(value):
            yield from invalid_unicode(f"{name}[{index}]", item)
    elif is_mapping(value):
        for number, pair in enumerate(value.items(), 1):
            yield from (
                problem for part in pair for problem in invalid_unicode(f"{name} (item {number})", part)
            )


def raw_structures(model: type[BaseModel], name: str, value: object) -> Iterator[Problem]:
    """Yield a problem for each mapping where a model is meant: what is misspelt in it would get lost."""
    field = next((field for field in fields_by_wire_name(model).values() if field.name == name), None)
    if field is None or field.nested is None or (field.kind and not is_list(value)):
        return
    places = (
        [(f"{name}[{index}]", item) for index, item in enumerate(value)]
        if is_list(value)
        else [(name, value)]
    )
    for place, item in places:
        if is_mapping(item):
            rule = f"must be a {field.nested.__name__}, built with its constructor or from_wire"
            yield Problem(member=place, rule=rule, got=kind_of(item))


_RULES: Mapping[str, str] = {
    "missing": "is required",
    "string_type": "must be a str",
    "int_type": "must be an int",
    "bool_type": "must be a bool",
    "bytes_type": "must be bytes",
    "tuple_type": "must be a sequence, such as a list",
    "datetime_type": "must be a datetime",
    "dict_type": "must be a mapping, such as a dict",
    "mapping_type": "must be a mapping, such as a dict",
    "enum": "must be a member of the enum or a str",
}


def problem_of(detail: ErrorDetails) -> Problem:
    """Return a problem that pydantic found, in our words."""
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"])
    rule = _RULES.get(detail["type"])
    if detail["type"] in ("model_type", "model_class_type", "model_attributes_type", "class_type"):
        rule = f"must be a {detail.get('ctx', {}).get('class_name')}, built with its constructor or from_wire"
    missing = detail["type"] == "missing"
    return Problem(
        member=place.removeprefix("."),
        rule=rule or detail["msg"],
        got="nothing" if missing else kind_of(detail["input"]),
    )


def sentence(model: type[BaseModel], problems: Sequence[Problem]) -> str:
    """Return the problems of a model as a message."""
    return f"{model.__name__}: " + "; ".join(str(problem) for problem in problems)


_HINT = 'if the service has relaxed this rule since, ClientConfig(request_checks="structure") leaves it to the service'


def check(request: "Request") -> None:
    """Check length, range, size and pattern of everything in the request; unknown enum values pass.

    Raises:
        RequestValidationError: Something breaks a rule of the service model.
    """
    problems = tuple(_problems(request, ""))
    if problems:
        name = request.facts.name
        raise RequestValidationError(
            f"{'; '.join(str(problem) for problem in problems)}. Nothing was sent; {_HINT}.",
            problems=problems,
            operation=name,
        )


def check_types(request: "Request") -> None:
    """Check names and types of everything in the request, as its constructors did where it was made by them.

    Raises:
        RequestValidationError: A member has a value that its constructor would refuse, or there is no such member.
    """
    problems = tuple(_wrong_types(request, ""))
    if problems:
        found = "; ".join(str(problem) for problem in problems)
        raise RequestValidationError(
            f"{found}. Nothing was sent.", problems=problems, operation=request.facts.name
        )


def body_of(request: "Request") -> bytes:
    """Return the request in JSON, as it is sent.

    Raises:
        RequestValidationError: There is an unpaired surrogate in it, which `from_wire` reads and constructors refuse.
    """
    try:
        body: bytes = request.__pydantic_serializer__.to_json(
            request, by_alias=True, exclude_unset=True, context=TO_WIRE
        )
    except PydanticSerializationError:
        problems = tuple(_unpaired_surrogates(request, ""))
        if not problems:
            raise
        found = "; ".join(str(problem) for problem in problems)
        raise RequestValidationError(
            f"{found}. Nothing was sent.", problems=problems, operation=request.facts.name
        ) from None
    return body


def _unpaired_surrogates(model: BaseModel, path: str) -> Iterator[Problem]:
    for name, value in {**model.__dict__, **(model.model_extra or {})}.items():
        if isinstance(value, BaseModel):
            yield from _unpaired_surrogates(value, f"{path}{name}.")
        elif is_list(value):
            for index, item in enumerate(value):
                place = f"{path}{name}[{index}]"
                if isinstance(item, BaseModel):
                    yield from _unpaired_surrogates(item, f"{place}.")
                else:
                    yield from invalid_unicode(place, item)
        else:
            yield from invalid_unicode(f"{path}{name}", value)


def _wrong_types(model: BaseModel, path: str) -> Iterator[Problem]:
    given = {name: value for name, value in model.__dict__.items() if name in model.model_fields_set}
    for problem in _refused(type(model), given):
        yield replace(problem, member=f"{path}{problem.member}")
    # Attribute names are lower case; what `from_wire` keeps has a name of the wire's.
    for name in model.model_extra or ():
        if name.islower():
            problem = unknown_name(type(model), name)
            yield replace(problem, member=f"{path}{problem.member}")
    for name, value in given.items():
        if isinstance(value, BaseModel):
            yield from _wrong_types(value, f"{path}{name}.")
        elif is_list(value):
            for index, item in enumerate(value):
                if isinstance(item, BaseModel):
                    yield from _wrong_types(item, f"{path}{name}[{index}].")


def _refused(model: type[BaseModel], given: Mapping[str, object]) -> Iterator[Problem]:
    """Return what the constructor would refuse of values, by attribute; null stands for what was left out."""
    fields = model.model_fields
    values = {name: value for name, value in given.items() if value is not None or fields[name].is_required()}
    try:
        model.__pydantic_validator__.validate_python(
            values, strict=True, by_alias=False, by_name=True, context=CONSTRUCTED
        )
    except ValidationError as error:
        yield from map(problem_of, error.errors(include_url=False))


@cache
def _asked(model: type[BaseModel]) -> tuple[Rules, bool]:
    """Return the rules of a structure, and whether exactly one of its members must be set."""
    return getattr(model, "rules", {}), getattr(model, "union", False)


def _problems(model: BaseModel, path: str) -> Iterator[Problem]:
    rules, union = _asked(type(model))
    given = model.__pydantic_fields_set__
    if union and len(given & model.__dict__.keys()) != 1:
        yield Problem(
            member=path.removesuffix(".") or type(model).__name__,
            rule=f"must have exactly one of {', '.join(type(model).model_fields)}",
            got=f"{len(given & model.__dict__.keys())} of them",
        )
    for name, value in model.__dict__.items():
        if name not in given:
            continue
        rule = rules.get(name)
        if type(value) is str:
            # Most are, and most are right: the rest of this loop is for the others.
            if rule is not None and not _is_kept(rule, value):
                yield from _break_one(rule, value, f"{path}{name}")
            continue
        place = f"{path}{name}"
        if rule is not None:
            yield from _break(rule, value, place)
        if isinstance(value, BaseModel):
            yield from _problems(value, f"{place}.")
        elif is_list(value):
            for index, item in enumerate(value):
                if isinstance(item, BaseModel):
                    yield from _problems(item, f"{place}[{index}].")


def _is_kept(rule: Rule, value: str) -> bool:
    """Return whether a string keeps a rule, in one step for the common ones; `_break_one` says what is wrong."""
    if rule.length is not None and not _within(rule.length, len(value)):
        return False
    return rule.pattern is None or _compiled(rule.pattern).fullmatch(value) is not None


def _break(rule: Rule, value: object, place: str) -> Iterator[Problem]:
    if is_list(value):
        if rule.size is not None and not _within(rule.size, len(value)):
            yield Problem(member=place, rule=f"must have {_words(rule.size)} items", got=kind_of(value))
        for index, item in enumerate(value):
            yield from _break_one(rule, item, f"{place}[{index}]")
    elif is_mapping(value):
        for number, (key, item) in enumerate(value.items(), 1):
            if rule.keys is not None:
                yield from _break_one(rule.keys, key, f"{place} (key {number})")
            yield from _break_one(rule, item, f"{place} (value {number})")
    else:
        yield from _break_one(rule, value, place)


def _break_one(rule: Rule, value: object, place: str) -> Iterator[Problem]:
    if isinstance(value, int) and rule.range is not None and not _within(rule.range, value):
        yield Problem(member=place, rule=f"must be {_words(rule.range)}", got=kind_of(value))
    if isinstance(value, str | bytes) and rule.length is not None and not _within(rule.length, len(value)):
        unit = "characters" if isinstance(value, str) else "bytes"
        yield Problem(member=place, rule=f"must have {_words(rule.length)} {unit}", got=kind_of(value))
    if isinstance(value, str) and rule.pattern is not None and not _compiled(rule.pattern).fullmatch(value):
        yield Problem(member=place, rule=f"must match {rule.pattern}", got=kind_of(value))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


def _within(bounds: Bounds, value: int) -> bool:
    least, most = bounds
    return (least is None or value >= least) and (most is None or value <= most)


def _words(bounds: Bounds) -> str:
    match bounds:
        case (None, most):
            return f"at most {most}"
        case (least, None):
            return f"at least {least}"
        case (least, most):
            return f"{least}" if least == most else f"{least} to {most}"
