"""Tables of the HTML page, which become lists where there is no room for columns."""

from collections.abc import Iterable, Sequence
from typing import Final

from workspaces_apps.rollout._log.projections import Outcome
from workspaces_apps.rollout.report._render.markup import Markup, element, foreign, group
from workspaces_apps.rollout.report._render.sections import Section

CELL: Final = 300
"""Characters at most of a text in a cell."""

OPEN_ROWS: Final = 15


def grid(section: Section) -> Markup:
    """The table with its note; of a long one all but the first `OPEN_ROWS` are folded away."""
    note = element("p", section.note, class_="note") if section.note else None
    if len(section.rows) <= OPEN_ROWS + 5:
        return group(rows(section), note)
    folded = f"{len(section.rows) - OPEN_ROWS:,} more rows"
    return group(
        rows(section, 0, OPEN_ROWS),
        element("details", element("summary", folded), rows(section, OPEN_ROWS, None)),
        note,
    )


def rows(section: Section, first: int = 0, last: int | None = None) -> Markup:
    """The table with its rows from `first` up to `last`."""
    # The roles are said again because a table whose parts are laid out as blocks loses them in some browsers.
    heads = [
        element("th", name, scope="col", role="columnheader", class_=_align(section, place))
        for place, name in enumerate(section.columns)
    ]
    outcomes: Sequence[Outcome | None] = section.outcomes or [None] * len(section.rows)
    lines = [
        element("tr", *_row_cells(section, row, outcome), role="row")
        for row, outcome in zip(section.rows[first:last], outcomes[first:last], strict=True)
    ]
    return element(
        "table",
        element("caption", section.title, class_="away"),
        element("thead", element("tr", *heads, role="row"), role="rowgroup"),
        element("tbody", *lines, role="rowgroup"),
        role="table",
    )


def _row_cells(section: Section, row: Sequence[str], outcome: Outcome | None) -> Iterable[Markup]:
    for place, (name, cell) in enumerate(zip(section.columns, row, strict=True)):
        spot = dot(outcome) if outcome is not None and name == "Outcome" else None
        kind = "kind" if spot is not None else None
        inside = element("span", spot, foreign(cell, CELL), class_=kind) if cell else Markup()
        if place == 0:
            yield element("th", inside, scope="row", role="rowheader", class_=_align(section, place))
        else:
            yield element("td", inside, role="cell", data_label=name, class_=_align(section, place))


def _align(section: Section, place: int) -> str | None:
    return "num" if place in section.numeric else None


def dot(kind: str) -> Markup:
    """A spot in the colour of an outcome, or of another kind of what charts draw."""
    return element("span", class_=f"dot fill-{kind}", aria_hidden="true")
