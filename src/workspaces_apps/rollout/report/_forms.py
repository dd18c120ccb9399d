"""Forms of a report: lines for a terminal, plain or of rich, JSON, CSV and JUnit XML.

No text in them can steer a terminal, and a spreadsheet runs nothing in a cell. The version of the JSON format grows only
when a member goes away or changes its meaning; members may be added any time. In JUnit XML what failed is a failure, what
has no last word is an error, and what was skipped or is blocked is skipped.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Final, Literal
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pydantic import TypeAdapter

from workspaces_apps.rollout._log.projections import UNFINISHED, Outcome
from workspaces_apps.rollout.report import _sections
from workspaces_apps.rollout.report._model import Change, Workspace
from workspaces_apps.rollout.report._report import Report
from workspaces_apps.rollout.report._sections import Section
from workspaces_apps.rollout.report._text import clock_time, columns_of, csv_cell, fitted, one_line

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

ROWS: Final = 20
"""Rows of a table at most."""

_NARROWEST: Final = 40
_CELL: Final = 300
_GAP: Final = "  "
_FIRM: Final = frozenset({"Outcome", "WorkSpace"})
_WORDY: Final = frozenset({"Description", "Meaning", "Rule and value", "Why"})
_LEAST: Final = 8

STYLES: Final[Mapping[Outcome, str]] = {
    "succeeded": "green",
    "unchanged": "dim",
    "failed": "bold red",
    "skipped": "yellow",
    "blocked": "magenta",
    "in-progress": "cyan",
    "waiting": "blue",
}


def as_text(report: Report, width: int | None) -> str:
    """Return the report as plain lines, none longer than `width` columns (40 at least), if there is a limit."""
    limit = max(width, _NARROWEST) if width is not None else None
    lines = [*_head(report), ""]
    for section in _filled(report):
        lines += _lines(section, limit)
    return "".join(f"{line if limit is None else fitted(line, limit)}\n" for line in lines[:-1])


def as_rich(report: Report) -> RenderableType:
    """Return the report for a rich console."""
    from rich.console import Group
    from rich.text import Text

    first, *others = _head(report)
    parts: list[RenderableType] = [Text(first, style="bold"), *map(Text, others)]
    for section in _filled(report):
        parts += [Text(""), _table(section)]
    return Group(*parts)


def _head(report: Report) -> list[str]:
    times = " to ".join(clock_time(moment) for moment in (report.began, report.ended) if moment is not None)
    lines = [_sections.title(report), _sections.headline(report), " · ".join(_sections.facts(report)), times]
    return [one_line(line, _CELL) for line in lines if line]


def _filled(report: Report) -> list[Section]:
    found = [
        _sections.outcomes(report),
        _sections.licences(report),
        _sections.unmatched(report),
        _sections.reasons(report, ROWS),
        _sections.troubled(report, ROWS),
        _sections.targets(report, ROWS),
        _sections.slowest(report, 5),
        _sections.waves(report, ROWS),
        _sections.runs(report, ROWS),
    ]
    return [section for section in found if section.rows]


def _lines(section: Section, width: int | None) -> list[str]:
    rows = [section.columns, *(tuple(one_line(cell, _CELL) for cell in row) for row in section.rows)]
    widths = _widths(section, rows, width)
    lines = [section.title]
    for row in rows:
        cells = (
            _padded(fitted(cell, room), room, right=number in section.numeric)
            for number, (cell, room) in enumerate(zip(row, widths, strict=True))
        )
        lines.append(f"  {_GAP.join(cells)}".rstrip())
    return [*lines, *([f"  {section.note}"] if section.note else []), ""]


def _widths(section: Section, rows: list[tuple[str, ...]], width: int | None) -> list[int]:
    """Return the columns' widths: sentences give way until a row fits, then names, then the rest."""
    widths = [max(1, *(columns_of(cell) for cell in column)) for column in zip(*rows, strict=True)]
    if width is None:
        return widths
    room = width - 2 - len(_GAP) * (len(widths) - 1)
    named = dict(enumerate(section.columns))
    wordy = [place for place, name in named.items() if name in _WORDY]
    soft = [place for place, name in named.items() if place not in section.numeric and name not in _FIRM]
    for places, least in ((wordy, 2 * _LEAST), (soft, _LEAST), (list(named), 1)):
        while sum(widths) > room and any(widths[place] > least for place in places):
            widest = max(places, key=lambda place: widths[place])
            widths[widest] -= 1
    return widths


def _padded(cell: str, width: int, *, right: bool) -> str:
    blank = " " * (width - columns_of(cell))
    return blank + cell if right else cell + blank


def _table(section: Section) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=section.title,
        title_justify="left",
        title_style="bold",
        caption=section.note or None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
    )
    for number, column in enumerate(section.columns):
        table.add_column(column, justify="right" if number in section.numeric else "left", overflow="fold")
    for number, row in enumerate(section.rows):
        outcome = section.outcomes[number] if section.outcomes else None
        word = _sections.WORDS[outcome] if outcome is not None else None
        style = STYLES[outcome] if outcome is not None else ""
        table.add_row(*(Text(one_line(cell, _CELL), style=style if cell == word else "") for cell in row))
    return table


FORMAT: Final = 1
"""The version of the format that this release writes."""


@dataclass(frozen=True, kw_only=True)
class Document(Report):
    """A report as JSON. Times are ISO 8601 in UTC, lengths of time seconds; what is unknown is null.

    Attributes:
        document: What this is.
        format: The version of the format.
    """

    document: Literal["workspaces-apps rollout report"] = "workspaces-apps rollout report"
    format: Literal[1] = FORMAT


@cache
def _document() -> TypeAdapter[Document]:
    return TypeAdapter(Document)


def as_json(report: Report) -> str:
    """Return the report as one JSON document, in ASCII, with a line break at its end."""
    fields = {name: getattr(report, name) for name in Report.__dataclass_fields__}
    whole = _document().dump_python(Document(**fields), mode="json")
    first = ("document", "format")
    ordered = {name: whole[name] for name in (*first, *(name for name in whole if name not in first))}
    return json.dumps(ordered, indent=1, allow_nan=False) + "\n"


def json_schema() -> dict[str, object]:
    """Return the JSON Schema (2020-12) of what `Report.to_json` gives."""
    schema = _document().json_schema(mode="serialization")
    required = ["document", "format", *Report.__dataclass_fields__]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "required": required}


COLUMNS: Final = (
    "target",
    "workspace_id",
    "user_name",
    "application_id",
    "application",
    "action",
    "direction",
    "outcome",
    "reason",
    "message",
    "state",
    "attempts",
    "retries",
    "retried",
    "seconds",
    "wave",
    "began",
    "ended",
    "run",
    "request_id",
)
"""The columns, in order. New ones are added at the end."""


def as_csv(report: Report) -> str:
    """Return the report as CSV (RFC 4180) with a line of headings."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for workspace in report.workspaces:
        writer.writerows(_cells(workspace, change) for change in workspace.changes)
    return buffer.getvalue()


def _cells(workspace: Workspace, change: Change) -> list[str]:
    return [
        _cell(workspace.user_name if column == "user_name" else getattr(change, column)) for column in COLUMNS
    ]


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return csv_cell(value)
        case float():
            return f"{value:.3f}"
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case _:
            return str(value)


_WITHOUT_WORD = "no last word: it goes on, or the roll-out was killed"


def as_junit(report: Report) -> str:
    """Return the report as JUnit XML; one suite for each target."""
    root = Element("testsuites", name=one_line(report.name) or "roll-out")
    _count(root, report.changes, report)
    for target in dict.fromkeys(workspace.target for workspace in report.workspaces):
        mine = [workspace for workspace in report.workspaces if workspace.target == target]
        suite = SubElement(root, "testsuite", name=one_line(target))
        _count(suite, [change for workspace in mine for change in workspace.changes], report)
        for workspace in mine:
            for change in workspace.changes:
                _case(suite, workspace, change, dry=_is_dry(report))
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _is_dry(report: Report) -> bool:
    return bool(report.runs) and report.runs[-1].dry_run


def _count(element: Element, changes: tuple[Change, ...] | list[Change], report: Report) -> None:
    failed = sum(change.outcome == "failed" for change in changes)
    open_ = sum(change.outcome in UNFINISHED for change in changes)
    left = sum(change.outcome in ("skipped", "blocked") for change in changes)
    errors, skipped = (0, left + open_) if _is_dry(report) else (open_, left)
    element.set("tests", str(len(changes)))
    element.set("failures", str(failed))
    element.set("errors", str(errors))
    element.set("skipped", str(skipped))
    element.set("time", f"{sum(change.seconds or 0.0 for change in changes):.3f}")
    if report.began is not None:
        element.set("timestamp", report.began.replace(tzinfo=None).isoformat(timespec="seconds"))


def _case(suite: Element, workspace: Workspace, change: Change, *, dry: bool) -> None:
    name = one_line(change.application_id or "")
    if change.application:
        name = f"{one_line(change.application)} ({name})"
    case = SubElement(
        suite,
        "testcase",
        classname=f"{one_line(workspace.target)}.{one_line(workspace.workspace_id)}",
        name=name or "all applications",
        time=f"{change.seconds or 0.0:.3f}",
    )
    reason, message = one_line(change.reason or ""), one_line(change.message or "")
    words = ": ".join(part for part in (reason, message) if part)
    if change.outcome == "failed":
        failure = SubElement(case, "failure", type=reason, message=words)
        failure.text = "\n".join(_details(change))
    elif change.outcome in UNFINISHED and not dry:
        SubElement(case, "error", type=change.outcome, message=_WITHOUT_WORD)
    elif change.outcome in UNFINISHED:
        SubElement(case, "skipped", message="dry run")
    elif change.outcome in ("skipped", "blocked"):
        SubElement(case, "skipped", message=f"{change.outcome}: {words}")


def _details(change: Change) -> list[str]:
    facts = {
        "message": change.message,
        "direction": change.direction,
        "state": change.state,
        "request id": change.request_id,
        "deployments": str(change.attempts),
    }
    return [f"{name}: {one_line(value)}" for name, value in facts.items() if value]
