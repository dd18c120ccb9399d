"""The ground that the generated models stand on: wire models, requests, results and `ResponseMeta`."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from typing import (
    TYPE_CHECKING,
    Annotated,
    ClassVar,
    Protocol,
    Self,
    TypeGuard,
    TypeVar,
)

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    PrivateAttr,
    ValidationError,
)
from pydantic_core import PydanticCustomError, from_json

from workspaces_apps.errors import PartialFailureError, RequestValidationError
from workspaces_apps.facts import OperationFacts
from workspaces_apps.problems import problem_of, raw_structures, sentence, unknown_name, unspeakable
from workspaces_apps.values import JsonObject, as_utc, fields_by_wire_name, is_list, is_mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseMeta:
    """What is known of an answer besides its content.

    Attributes:
        request_id: The service's id of the answer; None where it sent none.
        http_status: The HTTP status of the answer.
        attempts: How many requests it took.
        elapsed: From the call to the answer, with every wait in between.
    """

    request_id: str | None = None
    http_status: int = 200
    attempts: int = 1
    elapsed: timedelta = timedelta(0)


def to_pascal(name: str) -> str:
    """The wire name that most attributes have: `logo2x_url` → `Logo2xUrl`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _refuse_attribute(name: str) -> str:
    if name.islower():
        raise PydanticCustomError("attribute", "may be taken for an attribute")
    return name


_FROM_WIRE: Mapping[str, object] = {"from_wire": True}


class Model(BaseModel, frozen=True):
    """A shape of the service: immutable, with snake_case attributes and the wire's names at its edges.

    The constructor takes attribute names only, refuses names and types it does not know, and takes any sequence
    where a list is meant. `from_wire` takes what the service sent, whatever it has become in the meantime.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="allow",
        strict=True,
        alias_generator=to_pascal,
        validate_by_name=True,
        validate_by_alias=True,
        defer_build=True,
        val_temporal_unit="seconds",
        ser_json_temporal="seconds",
        ser_json_inf_nan="constants",
        protected_namespaces=(),
    )

    # pydantic notes unknown members by name as set, so one named like an attribute would count for the attribute.
    if not TYPE_CHECKING:
        __pydantic_extra__: dict[Annotated[str, AfterValidator(_refuse_attribute)], object]

    always_sent: ClassVar[tuple[str, ...]] = ()
    """Attributes whose default is sent too: the service requires them, and takes but one value."""

    def __init__(self, /, **data: object) -> None:
        model = type(self)
        fields = model.model_fields
        problems = [unknown_name(model, name) for name in data if name not in fields]
        given: dict[str, object] = {name: fields[name].default for name in model.always_sent}
        for name, value in data.items():
            if value is None and name in fields and not fields[name].is_required():
                continue
            given[name] = tuple(value) if _is_plain_sequence(value) else value
            problems += raw_structures(model, name, given[name])
            problems += unspeakable(name, given[name])
        if problems:
            raise RequestValidationError(sentence(model, problems), problems=problems)
        try:
            model.__pydantic_validator__.validate_python(
                given, self_instance=self, by_alias=False, by_name=True
            )
        except ValidationError as error:
            details = error.errors(include_url=False)
            problems = [problem_of(detail) for detail in details]
            raise RequestValidationError(sentence(model, problems), problems=problems) from None

    # Without this mark pydantic would come back to __init__ for every model it finds on the wire.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # pydantic's own mark, as on BaseModel

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
                found = validator.validate_python(
                    as_utc(data), strict=False, by_alias=True, by_name=False, context=_FROM_WIRE
                )
            else:
                found = validator.validate_json(
                    data, strict=False, by_alias=True, by_name=False, context=_FROM_WIRE
                )
        except ValidationError as error:
            details = error.errors(include_url=False)
            if not all(detail["input"] is None or detail["type"] == "attribute" for detail in details):
                raise
        else:
            return found
        # The same parser as above: what it read once, it reads again.
        document: object = as_utc(data) if isinstance(data, Mapping) else from_json(data)
        found = validator.validate_python(
            _without_strange_members(cls, document),
            strict=False,
            by_alias=True,
            by_name=False,
            context=_FROM_WIRE,
        )
        _remember_strange_members(found, document)
        return found

    def to_wire(self) -> JsonObject:
        """The wire names and JSON values of what was set, unknown members included."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, Model):
            return NotImplemented
        return self.__dict__ == other.__dict__ and (self.model_extra or {}) == (other.model_extra or {})

    def __hash__(self) -> int:
        # Not pydantic's own, which fails for a model with a map in it.
        values = (self.__dict__.get(name) for name in type(self).model_fields)
        return hash(tuple(frozenset(value.items()) if is_mapping(value) else value for value in values))


class Request(Model, frozen=True):
    """What an operation is called with.

    Attributes:
        facts: The descriptor of the operation.
    """

    facts: ClassVar[OperationFacts]


class Result(Model, frozen=True):
    """What an operation answers."""

    _meta: ResponseMeta = PrivateAttr(default_factory=ResponseMeta)

    @property
    def meta(self) -> ResponseMeta:
        """What is known of the answer besides its content."""
        return self._meta

    def with_meta(self, meta: ResponseMeta) -> Self:
        """This result, told how it came; for whoever receives it from the wire."""
        # Private attributes of a frozen model can be set, but the checkers do not know that.
        BaseModel.__setattr__(self, "_meta", meta)
        return self


ResultT_co = TypeVar("ResultT_co", bound=Result, covariant=True)


class Operation(Protocol[ResultT_co]):
    """A request that knows its result: what `WorkSpacesClient.execute` takes."""

    @property
    def model_fields_set(self) -> set[str]:
        """The attributes that were given."""
        ...

    @classmethod
    def result_type(cls) -> type[ResultT_co]:
        """The class of the operation's result."""
        ...


class PageResult(Result, frozen=True):
    """What an operation answers that pages."""

    next_token: str | None = None


class BatchResult(Result, ABC, frozen=True):
    """What an operation answers that can fail for some of its requests and still come with HTTP 200."""

    @property
    @abstractmethod
    def failures(self) -> tuple[Model, ...]:
        """The requests that failed, each with its error code and message."""

    def raise_for_failures(self) -> Self:
        """This result, if no request in the batch failed.

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


def _is_plain_sequence(value: object) -> TypeGuard[Collection[object]]:
    return isinstance(value, Sequence | Set) and not isinstance(value, str | bytes | bytearray | tuple)


def _without_strange_members(model: type[BaseModel] | None, value: object) -> object:
    """The document without the members that pydantic cannot take.

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
        if wire in value and not (field.several and value[wire] is None)
    }


def _remember_strange_members(found: object, document: object) -> None:
    """Keep as unknown members what `_without_strange_members` left out, so that `to_wire` gives it back."""
    if is_list(found) and is_list(document):
        for item, source in zip(found, document, strict=True):
            _remember_strange_members(item, source)
    elif isinstance(found, Model) and is_mapping(document):
        extra = found.model_extra
        assert extra is not None, "every model keeps what it does not know"
        known = fields_by_wire_name(type(found))
        for wire, value in document.items():
            field = known.get(wire) if isinstance(wire, str) else None
            if field is not None and value is not None:
                _remember_strange_members(getattr(found, field.name), value)
            elif isinstance(wire, str) and (field is None or field.several):
                extra[wire] = value
