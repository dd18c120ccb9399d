"""Parts of a manifest and their fields: values as files give them, lists that stand in CSV files, and mistakes in words.

Bad values given to a constructor are mistakes, whatever pydantic calls them. A list of a selector may stand in a file:
``workspace_ids = { csv = "users.csv", column = "WorkspaceId" }``.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Final, TypeAlias, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
from typing_extensions import TypeIs

from workspaces_apps._base.public import AttributesInSchema
from workspaces_apps._base.system import read_file
from workspaces_apps._model.validation import is_list, is_mapping
from workspaces_apps.rollout._errors import ManifestError, Mistake
from workspaces_apps.rollout._manifest.file import MAX_BYTES, KeyPath, SourceFile

_DURATION: Final = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?\Z")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


def is_collection(value: object) -> TypeIs[Sequence[object] | Set[object]]:
    """Tell if it is a sequence or a set that is no text."""
    return isinstance(value, Sequence | Set) and not isinstance(value, str | bytes | bytearray)


def listed(value: object) -> object:
    """Return a list, or any other sequence or set, as the tuple that frozen models hold."""
    return tuple(value) if is_collection(value) else value


def several(value: object) -> object:
    """Return one string where a list of them is meant."""
    if value is not None and not isinstance(value, str) and not is_collection(value):
        raise PydanticCustomError(
            "texts", "must be text or a list of texts, not {given}", {"given": shown(value)}
        )
    return (value,) if isinstance(value, str) else listed(value)


def flaw_of(text: str) -> str | None:
    """Return the reason for which a text cannot be part of a manifest; None if it can.

    Half of a surrogate pair is no character: neither a journal nor a request can hold it. A control character could
    be held, but nothing in the service is named with one: a name or id that has one would fit nothing, in silence.
    """
    if half := _SURROGATE.search(text):
        return f"holds half a character (U+{ord(half[0]):04X}), which no file can hold"
    if control := _CONTROL.search(text):
        return f"holds the control character U+{ord(control[0]):04X}, which no name or id can have"
    return None


def without_flaws(text: str) -> str:
    """Return the text with a question mark for each character that cannot be part of a manifest."""
    return _CONTROL.sub("?", _SURROGATE.sub("?", text))


def _check_plain(value: object) -> object:
    flaw = flaw_of(value) if isinstance(value, str) else None
    if flaw is not None:
        raise PydanticCustomError("text", "{flaw}", {"flaw": flaw})
    return value


PLAIN: Final = BeforeValidator(_check_plain)
"""Makes a field of text refuse what cannot be part of a manifest."""


def _read_seconds(value: object) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        found = _DURATION.match(value)
        if found is None or not value:
            raise PydanticCustomError(
                "duration", "a duration is a number of seconds, or written like 1h30m or 90s"
            )
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return float(days * 86_400 + hours * 3600 + minutes * 60 + seconds)
    return value


Seconds: TypeAlias = Annotated[
    float,
    BeforeValidator(_read_seconds, json_schema_input_type=float | str),
    Field(ge=0, le=10_000_000, allow_inf_nan=False),
]
"""A duration in seconds, as a timedelta, or written like ``14d``, ``1h30m`` or ``90s``."""

SecondsLike: TypeAlias = timedelta | float | str
"""The same as a constructor takes it."""


class Part(AttributesInSchema, BaseModel, frozen=True):
    """A part of a manifest. Its constructor raises ManifestError; pydantic's own ways in raise ValidationError."""

    def __init__(self, /, **data: object) -> None:
        try:
            self.__pydantic_validator__.validate_python(data, self_instance=self)
        except ValidationError as error:
            mistakes = [
                mistake_of(
                    detail["loc"], detail["type"], detail["msg"], None, root=type(self), given=detail["input"]
                )
                for detail in details_of(error)
            ]
            raise ManifestError(mistakes) from None

    # Without this mark pydantic would come back to __init__ for every part that it finds in a manifest.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # pydantic's own mark, as on BaseModel


_RULES: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "int_type": "must be a whole number",
    "model_type": "must be a table",
    "string_type": "must be text",
    "tuple_type": "must be a list",
}
"""The words of a manifest for what pydantic calls the types of Python."""

_LONGEST: Final = 80
"""Characters of a value that a mistake shows."""


def shown(value: object) -> str:
    """Return a value as a mistake shows it: what is no single one only by its type."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, str | int | float):
        return repr(value if not isinstance(value, str) else value[:_LONGEST])
    return (
        "a list"
        if is_collection(value)
        else "a table"
        if isinstance(value, Mapping)
        else type(value).__name__
    )


def details_of(error: ValidationError) -> list[ErrorDetails]:
    """Return what pydantic found, but for lists that it calls empty because everything in them is wrong."""
    return [
        detail
        for detail in error.errors(include_url=False, include_context=False)
        if not (detail["type"] == "too_short" and detail["input"])
    ]


def mistake_of(
    location: KeyPath,
    kind: str,
    message: str,
    document: SourceFile | None,
    *,
    root: type[BaseModel],
    raw: KeyPath | None = None,
    given: object = None,
) -> Mistake:
    """Return a mistake in words.

    Args:
        location: The path of keys and places in lists.
        kind: What pydantic calls the mistake; may be empty.
        message: The mistake in pydantic's words, or in ours.
        document: The file, if it came from one.
        root: The model that the path begins in.
        raw: The path as the file has it, if that differs.
        given: The value.
    """
    rule = _RULES.get(kind, message)
    if kind == "extra_forbidden":
        rule = f"unknown key{_meant(location, root)}"
    elif kind in ("too_short", "string_too_short") and " at least 1 " in message:
        rule = "must not be empty"
    elif kind == "string_pattern_mismatch":
        rule = f"{shown(given)} is not valid: {message.replace('String', 'it')}"
    elif kind.endswith("_type") and kind in _RULES:
        rule = f"{rule}, not {shown(given)}"
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    return Mistake(
        key=key,
        rule=rule,
        file=str(document.path) if document is not None else None,
        line=document.line(raw or location) if document is not None else None,
    )


def _meant(location: KeyPath, root: type[BaseModel]) -> str:
    """Return the question about the key that a misspelt one may mean; empty where none is spelt like it."""
    models: list[type[BaseModel]] = [root]
    *above, misspelt = location
    for part in above:
        if isinstance(part, str):
            fields = [model.model_fields[part] for model in models if part in model.model_fields]
            models = [model for one in fields for model in _models_in((one.annotation, *one.metadata))]
    known = {name for model in models for name in model.model_fields}
    near = difflib.get_close_matches(str(misspelt).lower(), sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def models_of(root: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a model, and those of its fields, to any depth."""
    known = {root}
    left = [root]
    while left:
        model = left.pop()
        yield model
        for field_info in model.model_fields.values():
            found = set(_models_in((field_info.annotation, *field_info.metadata))) - known
            known |= found
            left += found


def _is_parts(value: object) -> TypeIs[tuple[object, ...]]:
    return isinstance(value, tuple)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if _is_parts(annotation):
        for part in annotation:
            yield from _models_in(part)
        return
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    arguments: tuple[object, ...] = get_args(annotation)
    yield from _models_in(arguments)


CONDITIONS: Final[Mapping[str, str]] = {"workspace_ids": "ws-00000000", "user_names": "nobody"}
"""The conditions of a selector whose values may stand in a file, each with a value that is valid. It takes the place of a
list that has a mistake, so that nothing is said of it a second time."""

WORKSPACE_ID: Final = r"^ws-[0-9a-z]{8,63}$"
APPLICATION_ID: Final = r"^wsa-[0-9a-z]{8,63}$"
"""The pattern of a WorkSpace's id."""

_NESTED: Final = frozenset({"all_of", "any_of", "none_of"})

_SHOWN: Final = 20
"""Columns that a mistake names."""


class CsvList(AttributesInSchema, BaseModel, frozen=True):
    """A column of a CSV file, with a line of headings; values that are empty are left out."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    csv: Annotated[str, Field(min_length=1), PLAIN]
    """The file; a path that is not absolute begins in the folder of the manifest."""
    column: Annotated[str, Field(min_length=1), PLAIN]
    """The heading of the column, in any case."""


_LIST: Final[TypeAdapter[CsvList]] = TypeAdapter(CsvList)

Report = Callable[[KeyPath, str], None]
"""Takes a mistake: where it is in the manifest, and what would be right."""


class _UnreadableError(Exception):
    """A list cannot be read; the message says why."""


def with_lists(data: object, folder: Path, report: Report) -> object:
    """Return the data of a manifest with the values of CSV files in their places.

    Args:
        data: What a parser made of a file; it is not changed.
        folder: Where relative paths begin.
        report: Takes the mistakes.
    """
    if not is_mapping(data):
        return data
    found = dict(data)
    rules = data.get("rules")
    if is_list(rules):
        found["rules"] = [
            _in_table(rule, ("rules", number), "select", folder, report) for number, rule in enumerate(rules)
        ]
    policy = data.get("policy")
    hours = policy.get("hours") if is_mapping(policy) else None
    if is_mapping(policy) and is_list(hours):
        entries = [
            _in_table(entry, ("policy", "hours", number), "select", folder, report)
            for number, entry in enumerate(hours)
        ]
        found["policy"] = {**policy, "hours": entries}
    return found


def _in_table(value: object, key: KeyPath, name: str, folder: Path, report: Report) -> object:
    if not is_mapping(value) or name not in value:
        return value
    return {**value, name: _in_selector(value[name], (*key, name), folder, report)}


def _in_selector(value: object, key: KeyPath, folder: Path, report: Report) -> object:
    if not is_mapping(value):
        return value
    found: dict[object, object] = dict(value)
    for name, item in value.items():
        place = (*key, str(name))
        if name in CONDITIONS and is_mapping(item):
            values = _values(item, place, folder, report)
            found[name] = values if values is not None else [CONDITIONS[str(name)]]
        elif name in _NESTED and is_list(item):
            found[name] = [
                _in_selector(one, (*place, number), folder, report) for number, one in enumerate(item)
            ]
    return found


def _values(item: Mapping[object, object], key: KeyPath, folder: Path, report: Report) -> list[str] | None:
    try:
        source = _LIST.validate_python(dict(item))
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False, include_input=False):
            rule = {"extra_forbidden": "unknown key; a list has csv and column", "missing": "is missing"}
            report((*key, *detail["loc"]), rule.get(detail["type"], detail["msg"]))
        return None
    path = folder / source.csv
    try:
        return _column(path, source.column, ids=key[-1] == "workspace_ids")
    except _UnreadableError as error:
        report(key, f"{path}: {error}")
        return None


def _column(path: Path, column: str, *, ids: bool) -> list[str]:
    """Return the values of a column, each once.

    Args:
        path: The file.
        column: The heading of the column.
        ids: Whether each must be the id of a WorkSpace.

    Raises:
        _UnreadableError: The file cannot be read, or has no such column, or nothing in it, or something else.
    """
    try:
        # Excel begins its files with a mark.
        text = read_file(path, MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise _UnreadableError(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _UnreadableError(f"is not UTF-8 (byte {error.start}): save it as CSV UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    values: dict[str, None] = {}
    wrong: list[tuple[str, int]] = []
    try:
        head = [one.strip() for one in next(reader, list[str]())]
        places = [number for number, one in enumerate(head) if one.casefold() == column.strip().casefold()]
        if len(places) != 1:
            headings = ", ".join(head[:_SHOWN]) or "no headings at all"
            many = "no column" if not places else f"{len(places)} columns"
            raise _UnreadableError(f"has {many} {column!r}, but {headings}")
        for row in reader:
            value = row[places[0]].strip() if len(row) > places[0] else ""
            if not value:
                continue
            flaw = flaw_of(value)
            if flaw is not None:
                raise _UnreadableError(f"line {reader.line_num}: {flaw}")
            if ids and not re.match(WORKSPACE_ID, value):
                wrong.append((value, reader.line_num))
            values[value] = None
    except csv.Error as error:
        raise _UnreadableError(f"is not CSV: line {reader.line_num}: {error}") from error
    if wrong:
        (value, line), *others = wrong
        more = f" (and {len(others):,} more)" if others else ""
        raise _UnreadableError(f"line {line}: {shown(value)} is not a valid WorkSpace id{more}")
    if not values:
        raise _UnreadableError(f"the column {column!r} is empty, so nothing would be selected")
    return list(values)


def _delimiter(text: str) -> str:
    """Return what parts the headings: Excel writes semicolons where the comma is the decimal point."""
    head = text.partition("\n")[0]
    return max(",;\t", key=head.count)
