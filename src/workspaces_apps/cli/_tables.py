"""A listing, as a table that fits the terminal or as a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from workspaces_apps._base.text import harmless
from workspaces_apps.cli._console import out, print_document
from workspaces_apps.cli._deployments import look_of
from workspaces_apps.cli._options import Output
from workspaces_apps.cli._words import count

if TYPE_CHECKING:
    from rich.text import Text

    from workspaces_apps._model.models import Model

_GAP: Final = 2
"""Spaces between two columns."""

_NARROWEST: Final = 12
"""Columns that a cell keeps, however narrow the terminal is."""


def show(
    output: Output,
    name: str,
    items: Sequence[Model],
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    spare: Sequence[str] = (),
    *,
    columns: Sequence[str] = (),
    bom: bool = False,
) -> None:
    """Print a listing for people, for programs, or for spreadsheets.

    Args:
        output: For whom.
        name: What it lists, as the API calls it.
        items: What programs get.
        head: The titles of the columns.
        rows: What people get.
        spare: The columns that are left out where a terminal is too narrow, the first one first.
        columns: The titles of the columns in CSV; those of `head` if left out.
        bom: Whether CSV begins with the mark that Excel wants.
    """
    if output is Output.CSV:
        from workspaces_apps.cli._csv_files import as_csv, print_csv

        print_csv(as_csv(columns or head, rows), bom=bom)
        return
    if output is Output.JSON:
        from workspaces_apps.cli._documents import of_listing

        print_document(of_listing(name, items))
        return
    what = {"Workspaces": "WorkSpace"}.get(name, name.lower().removesuffix("s"))
    show_rows(head, rows, what, spare)


def show_rows(
    head: Sequence[str], rows: Sequence[Sequence[object]], what: str, spare: Sequence[str] = ()
) -> None:
    """Print a table for people.

    Args:
        head: The titles of the columns.
        rows: The cells.
        what: What a row is, in the singular.
        spare: The columns that are left out where a terminal is too narrow, the first one first.
    """
    from rich.cells import cell_len
    from rich.text import Text

    console = out()
    cells = [[harmless("" if cell is None else cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(head, *cells, strict=True)]
    shown = list(range(len(head)))
    if console.is_terminal:
        for title in spare:
            if sum(widths[number] + _GAP for number in shown) - _GAP > console.width:
                shown.remove(head.index(title))
        # The widest column gives way until the others are whole: a long name must not hide a state.
        room = console.width - _GAP * (len(shown) - 1)
        while sum(widths[one] for one in shown) > room:
            widest = max(shown, key=lambda one: widths[one])
            if widths[widest] <= _NARROWEST:
                break
            others = sum(widths[one] for one in shown if one != widest)
            second = max((widths[one] for one in shown if one != widest), default=0)
            widths[widest] = max(_NARROWEST, room - others, min(second, widths[widest] - 1))
    lines = [line for row in (list(head), *cells) for line in _lines(row, widths)]
    heading = len(_lines(head, widths))
    for number, row in enumerate(lines):
        line = Text(
            (" " * _GAP).join(row[one] + " " * (widths[one] - cell_len(row[one])) for one in shown).rstrip(),
            no_wrap=True,
        )
        if number < heading:
            line.stylize("bold")
        else:
            colour(line, [row[one] for one in shown])
        if console.is_terminal:
            line.truncate(console.width, overflow="ellipsis")
        # What reads a pipe wants all of it.
        console.print(line, soft_wrap=True)
    console.print(count(len(rows), what), style="dim")


def _lines(row: Sequence[str], widths: Sequence[int]) -> list[list[str]]:
    """Break a row into the lines that it takes: names that differ at their end must not look alike."""
    from itertools import zip_longest

    from rich.cells import cell_len
    from rich.text import Text

    broken = [
        [cell] if cell_len(cell) <= width else [line.plain.rstrip() for line in Text(cell).wrap(out(), width)]
        for cell, width in zip(row, widths, strict=True)
    ]
    return [list(line) for line in zip_longest(*broken, fillvalue="")]


def colour(line: Text, cells: Sequence[str]) -> None:
    """Give a state its colour."""
    for cell in cells:
        style = style_of(cell)
        if style:
            start = line.plain.index(cell)
            line.stylize(style, start, start + len(cell))


def style_of(cell: str) -> str:
    """The colour of a cell: that of a state of an association, if it is one."""
    look = look_of(cell)
    return look.style if look.symbol != "?" else ""
