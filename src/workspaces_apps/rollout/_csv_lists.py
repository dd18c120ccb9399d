"""Lists of a manifest that stand in CSV files: ``workspace_ids = { csv = "users.csv", column = "WorkspaceId" }``."""

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from workspaces_apps._base.system import read_file
from workspaces_apps.rollout._manifest.fields import PLAIN, flaw_of, is_row, is_table
from workspaces_apps.rollout._manifest.file import MAX_BYTES
from workspaces_apps.rollout._manifest.yaml_file import Key

CONDITIONS: Final[Mapping[str, str]] = {"workspace_ids": "ws-00000000", "user_names": "nobody"}
"""The conditions of a selector whose values may stand in a file, each with a value that is valid. It takes the place of a
list that has a mistake, so that nothing is said of it a second time."""

_NESTED: Final = frozenset({"all_of", "any_of", "none_of"})

_SHOWN: Final = 20
"""Columns that a mistake names."""


class CsvList(BaseModel, frozen=True):
    """A column of a CSV file, with a line of headings; values that are empty are left out.

    Attributes:
        csv: The file; a path that is not absolute begins in the folder of the manifest.
        column: The heading of the column, in any case.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    csv: Annotated[str, Field(min_length=1), PLAIN]
    column: Annotated[str, Field(min_length=1), PLAIN]


_LIST: Final[TypeAdapter[CsvList]] = TypeAdapter(CsvList)

Report = Callable[[Key, str], None]
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
    if not is_table(data):
        return data
    found = dict(data)
    rules = data.get("rules")
    if is_row(rules):
        found["rules"] = [
            _in_table(rule, ("rules", number), "select", folder, report) for number, rule in enumerate(rules)
        ]
    policy = data.get("policy")
    hours = policy.get("hours") if is_table(policy) else None
    if is_table(policy) and is_row(hours):
        entries = [
            _in_table(entry, ("policy", "hours", number), "select", folder, report)
            for number, entry in enumerate(hours)
        ]
        found["policy"] = {**policy, "hours": entries}
    return found


def _in_table(value: object, key: Key, name: str, folder: Path, report: Report) -> object:
    if not is_table(value) or name not in value:
        return value
    return {**value, name: _in_selector(value[name], (*key, name), folder, report)}


def _in_selector(value: object, key: Key, folder: Path, report: Report) -> object:
    if not is_table(value):
        return value
    found: dict[object, object] = dict(value)
    for name, item in value.items():
        place = (*key, str(name))
        if name in CONDITIONS and is_table(item):
            values = _values(item, place, folder, report)
            found[name] = values if values is not None else [CONDITIONS[str(name)]]
        elif name in _NESTED and is_row(item):
            found[name] = [
                _in_selector(one, (*place, number), folder, report) for number, one in enumerate(item)
            ]
    return found


def _values(item: Mapping[object, object], key: Key, folder: Path, report: Report) -> list[str] | None:
    try:
        source = _LIST.validate_python(dict(item))
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False, include_input=False):
            rule = {"extra_forbidden": "unknown key; a list has csv and column", "missing": "is missing"}
            report((*key, *detail["loc"]), rule.get(detail["type"], detail["msg"]))
        return None
    path = folder / source.csv
    try:
        return _column(path, source.column)
    except _UnreadableError as error:
        report(key, f"{path}: {error}")
        return None


def _column(path: Path, column: str) -> list[str]:
    """Return the values of a column, each once.

    Raises:
        _UnreadableError: The file cannot be read, or has no such column, or nothing in it.
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
    try:
        head = [one.strip() for one in next(reader, list[str]())]
        places = [number for number, one in enumerate(head) if one.casefold() == column.strip().casefold()]
        if len(places) != 1:
            shown = ", ".join(head[:_SHOWN]) or "no headings at all"
            many = "no column" if not places else f"{len(places)} columns"
            raise _UnreadableError(f"has {many} {column!r}, but {shown}")
        for row in reader:
            value = row[places[0]].strip() if len(row) > places[0] else ""
            if not value:
                continue
            flaw = flaw_of(value)
            if flaw is not None:
                raise _UnreadableError(f"line {reader.line_num}: {flaw}")
            values[value] = None
    except csv.Error as error:
        raise _UnreadableError(f"is not CSV: line {reader.line_num}: {error}") from error
    if not values:
        raise _UnreadableError(f"the column {column!r} is empty, so nothing would be selected")
    return list(values)


def _delimiter(text: str) -> str:
    """Return what parts the headings: Excel writes semicolons where the comma is the decimal point."""
    head = text.partition("\n")[0]
    return max(",;\t", key=head.count)
