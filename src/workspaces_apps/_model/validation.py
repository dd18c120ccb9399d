"""Request validation: the rules of the service model, and messages that name the member and the rule."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticSerializationError

from workspaces_apps._model.operations import Bounds, Rule, Rules
from workspaces_apps._model.values import (
    CONSTRUCTED,
    TO_WIRE,
    fields_by_wire_name,
    is_list,
    is_mapping,
    kind_of,
)
from workspaces_apps.errors import Problem, RequestValidationError

if TYPE_CHECKING:
    from workspaces_apps._model.models import Request


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
    if field is None or field.nested is None or (field.several and not is_list(value)):
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
