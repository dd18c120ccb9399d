"""Messages about a model that a caller builds; each names the member and the rule."""

from collections.abc import Iterator, Mapping, Sequence

from pydantic import (
    BaseModel,
)
from pydantic_core import ErrorDetails

from workspaces_apps._model.values import fields_by_wire_name, is_list, is_mapping, kind_of
from workspaces_apps.errors import Problem


def unknown_name(model: type[BaseModel], name: str) -> Problem:
    """A name that is no member of the model."""
    # Imported only now: nobody needs it but who has misspelt a name.
    from difflib import get_close_matches

    known = model.model_fields
    meant = [attribute for attribute, field in known.items() if field.serialization_alias == name]
    meant += get_close_matches(name, known, n=1)
    rule = f"is not a member of {model.__name__}" + (f"; did you mean {meant[0]}" if meant else "")
    return Problem(member=name, rule=rule, got="an unknown name")


def invalid_unicode(name: str, value: object) -> Iterator[Problem]:
    """Strings that no encoding can carry: those with half a surrogate pair in them."""
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
    """Mappings where a model is meant: what is misspelt in them would get lost."""
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
    """The problems of a model as a message."""
    return f"{model.__name__}: " + "; ".join(str(problem) for problem in problems)
