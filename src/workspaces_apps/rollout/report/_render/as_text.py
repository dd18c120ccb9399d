"""The report as lines for a terminal: plain ones, or tables of rich. No text in it can steer the terminal."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from workspaces_apps.rollout._log.projections import Outcome
from workspaces_apps.rollout.report._render import sections
from workspaces_apps.rollout.report._render.sections import Section
from workspaces_apps.rollout.report._render.text import clock_time, columns_of, fitted, one_line
from workspaces_apps.rollout.report._report import Report

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


def plain(report: Report, width: int | None) -> str:
    """The report as plain lines, none longer than `width` columns (40 at least), if there is a limit."""
    limit = max(width, _NARROWEST) if width is not None else None
    lines = [*_head(report), ""]
    for section in _sections(report):
        lines += _lines(section, limit)
    return "".join(f"{line if limit is None else fitted(line, limit)}\n" for line in lines[:-1])


def rich_group(report: Report) -> "RenderableType":
    """The report for a rich console."""
    from rich.console import Group
    from rich.text import Text

    first, *others = _head(report)
    parts: list[RenderableType] = [Text(first, style="bold"), *map(Text, others)]
    for section in _sections(report):
        parts += [Text(""), _table(section)]
    return Group(*parts)


def _head(report: Report) -> list[str]:
    times = " to ".join(clock_time(moment) for moment in (report.began, report.ended) if moment is not None)
    lines = [sections.title(report), sections.headline(report), " · ".join(sections.facts(report)), times]
    return [one_line(line, _CELL) for line in lines if line]


def _sections(report: Report) -> list[Section]:
    found = [
        sections.outcomes(report),
        sections.licences(report),
        sections.unmatched(report),
        sections.reasons(report, ROWS),
        sections.troubled(report, ROWS),
        sections.targets(report, ROWS),
        sections.slowest(report, 5),
        sections.waves(report, ROWS),
        sections.runs(report, ROWS),
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
    """The columns' widths: sentences give way until a row fits, then names, then the rest."""
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


def _table(section: Section) -> "Table":
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
        word = sections.WORDS[outcome] if outcome is not None else None
        style = STYLES[outcome] if outcome is not None else ""
        table.add_row(*(Text(one_line(cell, _CELL), style=style if cell == word else "") for cell in row))
    return table
