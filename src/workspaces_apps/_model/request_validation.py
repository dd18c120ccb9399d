"""The door: what a request must keep before it is sent."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from workspaces_apps._model.operation_spec import Bounds, Rule, Rules
from workspaces_apps._model.values import CONSTRUCTED, TO_WIRE, is_list, is_mapping, kind_of
from workspaces_apps._model.violations import invalid_unicode, problem_of, unknown_name
from workspaces_apps.errors import Problem, RequestValidationError

if TYPE_CHECKING:
    from workspaces_apps._model.models import Request

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
