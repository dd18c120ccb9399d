"""The ground that the generated models stand on: wire models, requests, results and `ResponseMeta`."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from inspect import Parameter, Signature
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Final,
    NamedTuple,
    Protocol,
    Self,
    TypeGuard,
    TypeVar,
    Union,
    get_args,
    get_origin,
    overload,
    runtime_checkable,
)

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import (
    CoreSchema,
    PydanticCustomError,
    PydanticKnownError,
    core_schema,
    from_json,
    to_jsonable_python,
)

from workspaces_apps._base.public import public
from workspaces_apps._model.operations import Many, OperationSpec
from workspaces_apps._model.validation import (
    CONSTRUCTED,
    FROM_WIRE,
    TO_WIRE,
    JsonObject,
    ListClass,
    descriptions_of,
    fields_by_wire_name,
    invalid_unicode,
    is_list,
    is_mapping,
    lax_about_form,
    problem_of,
    raw_structures,
    read_leniently,
    sentence,
    unknown_name,
)
from workspaces_apps.errors import PartialFailureError, Problem, RequestValidationError

T = TypeVar("T")


@public("workspaces_apps.types")
class Headers(Mapping[str, str]):
    """Headers by name in lower case; read-only."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str] = MappingProxyType({})) -> None:
        self._values = {name.lower(): value for name, value in values.items()}

    @classmethod
    def from_raw(cls, pairs: Iterable[tuple[bytes, bytes]]) -> Self:
        """Return the headers of an answer as it came; of several with one name the last counts.

        Args:
            pairs: Names and values.

        Raises:
            UnicodeDecodeError: They are not UTF-8.
        """
        made = cls.__new__(cls)
        made._values = {name.decode().lower(): value.decode() for name, value in pairs}
        return made

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: str) -> str: ...
    @overload
    def get(self, name: str, /, default: T) -> str | T: ...
    def get(self, name: str, /, default: object = None) -> object:
        """Return a header's value, or the default."""
        # Not by way of a KeyError, as the base does.
        return self._values.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __reduce__(self) -> tuple[type["Headers"], tuple[dict[str, str]]]:
        # The oldest protocols of pickle refuse slots.
        return type(self), (dict(self._values),)

    def __repr__(self) -> str:
        return f"Headers({self._values!r})"


def _as_dict(headers: Mapping[str, str]) -> dict[str, str]:
    # Not `dict` itself: from Python 3.13 on it has no signature that pydantic understands.
    return dict(headers)


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseMeta:
    """Metadata of an answer."""

    request_id: str | None = None
    """The service's id of the answer; None where it sent none."""
    http_status: int = 200
    """The HTTP status of the answer."""
    attempts: int = 1
    """The number of requests it took."""
    elapsed: timedelta = timedelta(0)
    """From the call to the answer, with every wait in between."""
    headers: Annotated[Mapping[str, str], PlainSerializer(_as_dict)] = field(
        default_factory=Headers, repr=False
    )
    """The headers of the answer, by name in lower case; read-only."""

    def __post_init__(self) -> None:
        if not isinstance(self.headers, Headers):
            object.__setattr__(self, "headers", Headers(self.headers))


def to_pascal(name: str) -> str:
    """Return the wire name that most attributes have: `logo2x_url` → `Logo2xUrl`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


_closing: ContextVar[bool] = ContextVar("workspaces_apps_closing", default=False)
"""True while a request comes in through one of pydantic's doors: shapes nested in it refuse unknown members too.

No argument: pydantic calls the validators of nested shapes, and its `context` is whoever's who validates.
"""


def _keep_unknown(name: str, info: ValidationInfo) -> str:
    if info.context is not FROM_WIRE and _closing.get():
        raise PydanticKnownError("extra_forbidden")
    if name in info.data:
        # The member has come by its wire name. pydantic would note this one as the attribute that is set, and write both.
        raise PydanticCustomError(
            "attribute", "is the attribute of a member that goes by its wire name here; give one of the two"
        )
    return name


def _refuse_unknown(name: str, info: ValidationInfo) -> str:
    if info.context is not FROM_WIRE:
        raise PydanticKnownError("extra_forbidden")
    return _keep_unknown(name, info)


class _Shape(NamedTuple):
    """The facts about a class that its constructor needs every time.

    Attributes:
        optional: The attributes that may be left out, for each of which None counts as left out.
        required: The others.
        nested: The attributes that hold structures.
        kinds: The class that holds the values of an attribute which has several.
        always: What is set without being given.
        sent: Whether callers send it, so that what it holds must be text; what only the service sends is kept as it is.
    """

    optional: frozenset[str]
    required: frozenset[str]
    nested: frozenset[str]
    kinds: Mapping[str, ListClass]
    always: Mapping[str, object]
    sent: bool


# Models are built when they are first used, but adapters for them at once: pydantic asks a TypeAdapter whether this *is*
# True. A deferred one would be built while FastAPI handles its first request, past its filter for a warning.
_DEFERRED: Final[Any] = 1


@public("workspaces_apps")
class Model(BaseModel, frozen=True):
    """A shape of the service: immutable, with snake_case attributes and the wire's names at its edges.

    The constructor takes attribute names only, refuses names and types it does not know, and takes any sequence or set
    where a list is meant; unpaired surrogates in what callers send are refused too. `from_wire` takes what the service sent, whatever it has become in the meantime. pydantic's own
    ways in, such as `model_validate_json`, `TypeAdapter` and a FastAPI body, take attribute names and wire names, lists,
    and epoch seconds or ISO 8601 for times: whatever `model_dump_json` and `to_wire` write.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="allow",
        alias_generator=to_pascal,
        validate_by_name=True,
        validate_by_alias=True,
        defer_build=_DEFERRED,
        val_temporal_unit="seconds",
        ser_json_temporal="seconds",
        ser_json_inf_nan="constants",
        protected_namespaces=(),
    )

    if not TYPE_CHECKING:
        __pydantic_extra__: dict[Annotated[str, AfterValidator(_keep_unknown)], object]

    # Lists that were null and unknown members called like an attribute, by wire name: `to_wire` gives them back.
    # (Checkers would take an instance's variable for a field.)
    __slots__ = ("_aside",)

    if TYPE_CHECKING:
        _aside: ClassVar[Mapping[str, object]]

    always_sent: ClassVar[tuple[str, ...]] = ()
    """Attributes whose default is sent too: the service requires them, and takes but one value."""

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema: CoreSchema = lax_about_form(handler(source))
        return schema

    def __init__(self, /, **data: object) -> None:
        model = type(self)
        shape = _shapes.get(model) or _shape_of(model)
        problems: list[Problem] = []
        given: dict[str, object] = {**shape.always}
        for name, value in data.items():
            if name in shape.optional:
                if value is None:
                    continue
            elif name not in shape.required:
                problems.append(unknown_name(model, name))
            if type(value) is str and value.isascii():
                given[name] = value
                continue
            kind = shape.kinds.get(name, tuple)
            if _is_several(value) and not isinstance(value, kind):
                value = _made(kind, value)
            given[name] = value
            if name in shape.nested:
                problems += raw_structures(model, name, value)
            elif shape.sent:
                problems += invalid_unicode(name, value)
        if problems:
            raise RequestValidationError(sentence(model, problems), problems=problems)
        try:
            model.__pydantic_validator__.validate_python(
                given, self_instance=self, strict=True, by_alias=False, by_name=True, context=CONSTRUCTED
            )
        except ValidationError as error:
            details = error.errors(include_url=False)
            problems = [problem_of(detail) for detail in details]
            raise RequestValidationError(sentence(model, problems), problems=problems) from None

    # Without this mark pydantic would come back to __init__ for every model it finds on the wire.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # pydantic's own mark, as on BaseModel

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = handler(schema)
        properties = handler.resolve_ref_schema(described).get("properties", {})
        texts = descriptions_of(cls)
        for name, field_info in cls.model_fields.items():
            # By one name or the other: the schema's reader chooses.
            member = properties.get(field_info.serialization_alias, properties.get(name))
            if member is not None and name in texts:
                parts = (texts[name], member.get("description"))
                member["description"] = " ".join(part for part in parts if part)
        return described

    @classmethod
    def __pydantic_on_complete__(cls) -> None:
        # pydantic has put a signature of its own there, of wire names.
        # Not by assignment, from which checkers would infer a member of another type than the base's.
        type.__setattr__(cls, "__signature__", _SIGNATURE)

    @classmethod
    def model_rebuild(
        cls,
        *,
        force: bool = False,
        raise_errors: bool = True,
        _parent_namespace_depth: int = 2,
        _types_namespace: Mapping[str, Any] | None = None,
    ) -> bool | None:
        """Build the validators anew; see pydantic."""
        built = super().model_rebuild(
            force=force,
            raise_errors=raise_errors,
            _parent_namespace_depth=_parent_namespace_depth + 1,
            _types_namespace=_types_namespace,
        )
        # Not by assignment, from which checkers would infer a member of another type than the base's.
        type.__setattr__(cls, "__signature__", _SIGNATURE)
        return built

    @classmethod
    def from_wire(cls, data: bytes | str | Mapping[str, object]) -> Self:
        """Read what the service sent.

        Members that this release does not know are kept in `model_extra`; no constraint is checked; a null
        counts as absent, and `to_wire` gives it back.

        Args:
            data: The JSON text, or a mapping with wire names such as boto3 returns.

        Raises:
            pydantic.ValidationError: A required member is missing, or a value has another type than the model's.
        """
        validator = cls.__pydantic_validator__
        found: Self
        try:
            if isinstance(data, Mapping):
                found = validator.validate_python(data, by_alias=True, by_name=False, context=FROM_WIRE)
            else:
                found = validator.validate_json(data, by_alias=True, by_name=False, context=FROM_WIRE)
        except ValidationError as error:
            details = error.errors(include_url=False)
            if not isinstance(data, Mapping) and details[0]["type"] == "json_invalid":
                document = read_leniently(data)
                if is_mapping(document):
                    return cls.from_wire({str(name): value for name, value in document.items()})
            if not all(detail["input"] is None or detail["type"] == "attribute" for detail in details):
                raise
        else:
            return found
        # The same parser as above: what it read once, it reads again.
        document = data if isinstance(data, Mapping) else from_json(data)
        found = validator.validate_python(
            _without_strange_members(cls, document),
            by_alias=True,
            by_name=False,
            context=FROM_WIRE,
        )
        _remember_strange_members(found, document)
        return found

    def to_wire(self) -> JsonObject:
        """Return the wire names and JSON values of what was set, unknown members and unpaired surrogates included."""
        document: JsonObject = self.model_dump(
            mode="json", by_alias=True, exclude_unset=True, context=TO_WIRE
        )
        _restore_aside(self, document)
        return document

    @property
    def model_extra(self) -> dict[str, Any] | None:
        """Members that this release does not know, by their wire names.

        One that is called like an attribute is only here and in `to_wire`: other forms would give the attribute two values.
        """
        extra = super().model_extra
        try:
            aside: Mapping[str, object] = object.__getattribute__(self, "_aside")
        except AttributeError:
            return extra
        known = fields_by_wire_name(type(self))
        return {**(extra or {}), **{wire: value for wire, value in aside.items() if wire not in known}}

    def __copy__(self) -> Self:
        return _told_alike(super().__copy__(), self)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return _told_alike(super().__deepcopy__(memo), self)

    def __getstate__(self) -> dict[Any, Any]:
        return {**super().__getstate__(), **_told(self)}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        for name in _TOLD & state.keys():
            object.__setattr__(self, name, state[name])

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, Model):
            return NotImplemented
        return self.__dict__ == other.__dict__ and (self.model_extra or {}) == (other.model_extra or {})

    def __hash__(self) -> int:
        # Not pydantic's own, which fails for a model with a map in it.
        values = (self.__dict__.get(name) for name in type(self).model_fields)
        return hash(tuple(frozenset(value.items()) if is_mapping(value) else value for value in values))


ModelT = TypeVar("ModelT", bound=Model)

_TOLD: Final = frozenset({"_meta", "_aside"})
"""Facts of a model besides its content; not every model has either."""


def _told_alike(made: ModelT, source: Model) -> ModelT:
    for name, value in _told(source).items():
        object.__setattr__(made, name, value)
    return made


def _told(source: Model) -> dict[str, Any]:
    # Not `getattr`, which also finds an unknown member of that name.
    found: dict[str, Any] = {}
    for name in _TOLD:
        with suppress(AttributeError):
            found[name] = object.__getattribute__(source, name)
    return found


@public("workspaces_apps.types")
class Input(Model, frozen=True):
    """A structure that only callers send.

    pydantic's own ways in refuse members it does not know, in the structures inside it too; `from_wire` keeps them.
    """

    if not TYPE_CHECKING:
        __pydantic_extra__: dict[Annotated[str, AfterValidator(_refuse_unknown)], object]

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        written = super().__get_pydantic_core_schema__(source, handler)
        return core_schema.with_info_wrap_validator_function(_close, written)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = super().__get_pydantic_json_schema__(schema, handler)
        handler.resolve_ref_schema(described)["additionalProperties"] = False
        return described


def _close(value: object, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
    if info.context is CONSTRUCTED or info.context is FROM_WIRE or isinstance(value, Model):
        return handler(value)
    token = _closing.set(True)
    try:
        found: object = handler(value)
    finally:
        _closing.reset(token)
    _forget_defaults(found, value)
    return found


def _forget_defaults(found: object, source: object) -> None:
    """Take what was only written out for not given, as constructors do: it is not to be sent.

    Those are null and empty lists, where they may be left out. Constructors and `from_wire` are the ways to send an empty
    list, and a model that came in as one stays what they made.
    """
    if is_list(found) and _is_several(source):
        for item, given in zip(found, source, strict=False):
            _forget_defaults(item, given)
    elif isinstance(found, Model) and is_mapping(source):
        names = found.model_fields_set
        for name in _shape_of(type(found)).optional & names:
            value: object = getattr(found, name)
            if value is None or value == ():
                names.discard(name)
        for wire, field in fields_by_wire_name(type(found)).items():
            if field.nested is not None:
                _forget_defaults(getattr(found, field.name), source.get(wire, source.get(field.name)))


@public("workspaces_apps")
class Request(Input, frozen=True):
    """The request of an operation.

    Attributes:
        facts: The descriptor of the operation.
    """

    facts: ClassVar[OperationSpec]


@public("workspaces_apps")
class Result(Model, frozen=True):
    """The result of an operation."""

    # No private attribute of pydantic's, which costs every result a call into Python.
    __slots__ = ("_meta",)

    if TYPE_CHECKING:
        _meta: ClassVar[ResponseMeta]

    @property
    def meta(self) -> ResponseMeta:
        """Metadata of the answer."""
        try:
            found: ResponseMeta = object.__getattribute__(self, "_meta")  # no unknown member of that name
        except AttributeError:
            return _NO_META
        return found

    def with_meta(self, meta: ResponseMeta) -> Self:
        """Tell this result how it came, and return it; for whoever receives it from the wire."""
        object.__setattr__(self, "_meta", meta)
        return self


_NO_META: Final = ResponseMeta()


ResultT_co = TypeVar("ResultT_co", bound=Result, covariant=True)


@public("workspaces_apps.types")
@runtime_checkable
class Operation(Protocol[ResultT_co]):
    """A request that knows its result: what `WorkSpacesClient.execute` takes."""

    @property
    def model_fields_set(self) -> set[str]:
        """The attributes that were given."""
        ...

    @classmethod
    def result_type(cls) -> type[ResultT_co]:
        """Return the class of the operation's result."""
        ...


@public("workspaces_apps.types")
class PageResult(Result, frozen=True):
    """The result of an operation that pages."""

    next_token: str | None = None


@public("workspaces_apps.types")
class BatchResult(Result, ABC, frozen=True):
    """The result of an operation that can fail for some of its requests and still come with HTTP 200."""

    @property
    @abstractmethod
    def failures(self) -> tuple[Model, ...]:
        """The requests that failed, each with its error code and message."""

    def raise_for_failures(self) -> Self:
        """Return this result, if no request in the batch failed.

        Raises:
            PartialFailureError: Some did; `.failed` has them.
        """
        failures = self.failures
        if not failures:
            return self
        first = failures[0]
        raise PartialFailureError(
            f"{len(failures)} of the requests failed, the first with "
            f"{getattr(first, 'error_code', None)}: {getattr(first, 'error_message', None)}",
            failed=failures,
            succeeded=getattr(self, "pending_requests", getattr(self, "pending_standby_requests", ())),
            operation=type(self).__name__.removesuffix("Result"),
            request_id=self.meta.request_id,
            attempts=self.meta.attempts,
            http_status=self.meta.http_status,
        )


# Not written out below, where each call would put them together anew.
_SEVERAL: Final = (Sequence, Set)
_TEXTS: Final = (str, bytes, bytearray)


def _is_several(value: object) -> TypeGuard[Collection[object]]:
    return isinstance(value, _SEVERAL) and not isinstance(value, _TEXTS)


def _made(kind: ListClass, value: Collection[object]) -> Collection[object]:
    try:
        return kind(value)
    except TypeError:
        # No set holds a list; pydantic says so.
        return value


_shapes: dict[type[Model], _Shape] = {}


def _shape_of(model: type[Model]) -> _Shape:
    fields = model.model_fields
    found = _shapes[model] = _Shape(
        optional=frozenset(name for name, field in fields.items() if not field.is_required()),
        required=frozenset(name for name, field in fields.items() if field.is_required()),
        nested=frozenset(field.name for field in fields_by_wire_name(model).values() if field.nested),
        kinds={field.name: field.kind for field in fields_by_wire_name(model).values() if field.kind},
        always={name: fields[name].default for name in model.always_sent},
        sent=issubclass(model, Input) or hasattr(model, "rules"),
    )
    return found


class _SignatureOfAttributes:
    """The signature of a model's constructor: attribute names, and what it takes for them."""

    def __get__(self, instance: object, owner: type[BaseModel]) -> Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        return Signature(list(_parameters(owner)))


def _parameters(model: type[BaseModel]) -> Iterator[Parameter]:
    many: Any = Many
    for name, found in model.model_fields.items():
        several = get_origin(found.annotation) is tuple
        taken: Any = many[get_args(found.annotation)[0]] if several else found.annotation
        if several and not found.is_required():
            taken = Union[taken, None]  # noqa: UP007 - not all that stands for a type knows `|`
        default = Parameter.empty if found.is_required() else None if several else found.default
        yield Parameter(name, Parameter.KEYWORD_ONLY, annotation=taken, default=default)


_SIGNATURE: Final[Any] = _SignatureOfAttributes()
Model.__signature__ = _SIGNATURE


def _without_strange_members(model: type[BaseModel] | None, value: object) -> object:
    """Return the document without the members that pydantic cannot take.

    Those are lists that are null, and unknown members with the name of an attribute.
    """
    if model is None:
        return value
    if is_list(value):
        return [_without_strange_members(model, item) for item in value]
    if not is_mapping(value):
        return value
    return {
        wire: _without_strange_members(field.nested, value[wire])
        for wire, field in fields_by_wire_name(model).items()
        if wire in value and not (field.kind and value[wire] is None)
    }


def _remember_strange_members(found: object, document: object) -> None:
    """Keep what `_without_strange_members` left out, so that `to_wire` gives it back."""
    if is_list(found) and is_list(document):
        for item, source in zip(found, document, strict=True):
            _remember_strange_members(item, source)
    elif isinstance(found, Model) and is_mapping(document):
        extra = found.__pydantic_extra__
        assert extra is not None, "every model keeps what it does not know"
        known = fields_by_wire_name(type(found))
        aside: dict[str, object] = {}
        for wire, value in document.items():
            if not isinstance(wire, str):
                continue
            field = known.get(wire)
            if field is None:
                (aside if wire in type(found).model_fields else extra)[wire] = value
            elif value is not None:
                _remember_strange_members(getattr(found, field.name), value)
            elif field.kind and field.name not in type(found).always_sent:
                aside[wire] = None
        if aside:
            object.__setattr__(found, "_aside", aside)


def _restore_aside(source: object, document: JsonValue) -> None:
    """Give back nulls that were read for lists, and unknown members that are called like an attribute."""
    if is_list(source) and isinstance(document, list):
        # Not where a serializer of a subclass has left some out.
        for item, written in zip(source, document, strict=True) if len(source) == len(document) else ():
            _restore_aside(item, written)
    elif isinstance(source, Model) and isinstance(document, dict):
        # Not by its plain name, which an unknown member could have.
        aside: Mapping[str, object] = _told(source).get("_aside", {})
        for wire, value in aside.items():
            # Not over what a copy has set since. A mapping may have held what is not JSON yet.
            document.setdefault(wire, to_jsonable_python(value, temporal_mode="seconds"))
        for wire, field in fields_by_wire_name(type(source)).items():
            if field.nested is not None and wire in document:
                _restore_aside(getattr(source, field.name), document[wire])
