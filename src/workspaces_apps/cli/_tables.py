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


def show(
    output: Output,
    name: str,
    items: Sequence[Model],
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    spare: Sequence[str] = (),
) -> None:
    """Print a listing for people or for programs.

    Args:
        output: For whom.
        name: What it lists, as the API calls it.
        items: What programs get.
        head: The titles of the columns.
        rows: What people get.
        spare: The columns that are left out where a terminal is too narrow, the first one first.
    """
    if output is Output.JSON:
        from workspaces_apps.cli._documents import of_listing

        print_document(of_listing(name, items))
        return
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
    for number, row in enumerate([list(head), *cells]):
        line = Text(
            (" " * _GAP).join(row[one] + " " * (widths[one] - cell_len(row[one])) for one in shown).rstrip(),
            no_wrap=True,
        )
        if number == 0:
            line.stylize("bold")
        else:
            colour(line, [row[one] for one in shown])
        if console.is_terminal:
            line.truncate(console.width, overflow="ellipsis")
        # What reads a pipe wants all of it.
        console.print(line, soft_wrap=True)
    what = {"Workspaces": "WorkSpace"}.get(name, name.lower().removesuffix("s"))
    console.print(count(len(rows), what), style="dim")


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
