"""Forms of output: tables for people, CSV for spreadsheets, JSON documents for programs; docs/cli.md describes each.

Members may be added to documents any time; `format` grows when one goes away or changes its meaning. Columns of CSV are
added at the end.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from workspaces_apps._base.text import harmless
from workspaces_apps.cli._console import UsageError, notes, out, print_document, print_output
from workspaces_apps.cli._live import count, look_of
from workspaces_apps.cli._options import Output

if TYPE_CHECKING:
    from rich.text import Text

    from workspaces_apps._model.models import Model
    from workspaces_apps._waiters import DeploymentOutcome
    from workspaces_apps.rollout import BundleDrift, Plan, PlanDiff, PlannedChange, Status


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
        print_csv(as_csv(columns or head, rows), bom=bom)
        return
    if output is Output.JSON:
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
    """Return the colour of a cell: that of a state of an association, if it is one."""
    look = look_of(cell)
    return look.style if look.symbol != "?" else ""


BOM: Final = "\ufeff"
"""The mark by which Excel knows that a file is UTF-8."""


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV with a line of headings.

    Args:
        columns: The headings.
        rows: The cells; None is an empty one, a time is ISO 8601 in UTC.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return buffer.getvalue()


def _cell(value: object) -> str:
    from workspaces_apps.rollout.report._text import csv_cell

    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case _:
            return csv_cell(str(value))


def print_csv(text: str, *, bom: bool) -> None:
    """Write CSV to standard output byte by byte: a text stream may turn each line end into another one.

    Args:
        text: The CSV.
        bom: Whether it begins with the mark that Excel wants.
    """
    whole = f"{BOM}{text}" if bom else text
    print_output(whole.encode("utf-8", "replace"))


def check_bom(*, is_csv: bool, bom: bool) -> None:
    """Refuse the mark where it would break a document.

    Raises:
        UsageError: The output is not CSV.
    """
    if bom and not is_csv:
        raise UsageError("--bom goes with --output csv")


PLAN_COLUMNS: Final = (
    "target",
    "account",
    "region",
    "workspace_id",
    "user_name",
    "workspace_state",
    "application_id",
    "application",
    "action",
    "direction",
    "state",
    "reason",
    "message",
    "connected",
)
"""The columns of a plan, in order. New ones are added at the end."""

STATUS_COLUMNS: Final = (
    "target",
    "account",
    "region",
    "workspace_id",
    "user_name",
    "workspace_state",
    "application_id",
    "application",
    "standing",
    "direction",
    "state",
    "reason",
    "message",
)
"""The columns of a status, in order. New ones are added at the end."""


def plan_as_csv(plan: Plan) -> str:
    """Return a plan as CSV."""
    return as_csv(PLAN_COLUMNS, _rows(plan, None))


def status_as_csv(status: Status) -> str:
    """Return a status as CSV, with what is in sync too."""
    return as_csv(STATUS_COLUMNS, _rows(status.plan, status))


def _rows(plan: Plan, status: Status | None) -> Iterator[tuple[object, ...]]:
    from workspaces_apps.rollout._status import drift_of

    readings = {reading.name: reading for reading in plan.targets}
    for workspace in plan.workspaces:
        reading = readings.get(workspace.target)
        for change in workspace.changes:
            row: tuple[object, ...] = (
                workspace.target,
                reading.account if reading is not None else None,
                reading.region if reading is not None else None,
                workspace.workspace_id,
                workspace.user_name,
                workspace.state,
                change.application_id,
                plan.application_name(workspace.target, change.application_id),
                change.action if status is None else drift_of(change),
                change.direction,
                change.state,
                change.reason,
                change.message,
            )
            yield (*row, workspace.connected) if status is None else row


FORMAT: Final = 1
"""The version of these documents."""


def of_plan(plan: Plan) -> object:
    """Return a plan, as `Plan.save` writes it and `Plan.load` reads it."""
    return json.loads(plan.to_json())


def of_diff(diff: PlanDiff) -> Mapping[str, object]:
    """Return the difference between two plans."""

    def entry(key: tuple[str, str, str]) -> dict[str, object]:
        return {"target": key[0], "workspace_id": key[1], "application_id": key[2]}

    return {
        "format": FORMAT,
        "added": [{**entry(key), "after": _change(one)} for key, one in sorted(diff.added.items())],
        "removed": [{**entry(key), "before": _change(one)} for key, one in sorted(diff.removed.items())],
        "changed": [
            {**entry(key), "before": _change(before), "after": _change(after)}
            for key, (before, after) in sorted(diff.changed.items())
        ],
    }


def of_status(status: Status) -> dict[str, object]:
    """Return a fleet's status as a document."""
    from workspaces_apps.rollout._status import drift_of

    plan = status.plan
    return {
        "format": FORMAT,
        "name": plan.name,
        "at": plan.created.isoformat(),
        "exit_code": status.exit_code,
        "workspaces": len(plan.workspaces),
        "counts": dict(status.counts),
        "errors": list(plan.errors),
        "warnings": list(plan.warnings),
        "unmatched": of_unmatched(plan),
        "licences": of_licences(plan),
        "bundles": None if status.bundles is None else [of_bundle(one) for one in status.bundles],
        "drifted": [
            {
                "target": workspace.target,
                "workspace_id": workspace.workspace_id,
                "user_name": workspace.user_name,
                "changes": [
                    {
                        **_change(change),
                        "application": plan.application_name(workspace.target, change.application_id),
                        "standing": drift_of(change),
                    }
                    for change in workspace.changes
                    if drift_of(change) != "in-sync"
                ],
            }
            for workspace in status.drifted
        ],
    }


def of_bundle(drift: BundleDrift) -> dict[str, object]:
    """Return a bundle that brings other applications than rules want."""
    return {
        "target": drift.target,
        "bundle_id": drift.bundle_id,
        "name": drift.name,
        "image_id": drift.image_id,
        "workspaces": drift.workspaces,
        "missing": dict(drift.missing),
        "unwanted": dict(drift.unwanted),
    }


def of_unmatched(plan: Plan) -> list[dict[str, object]]:
    """Return what selectors name and nothing has, value by value."""
    return [
        {"rule": one.rule, "condition": one.condition, "value": one.value, "near": list(one.near)}
        for one in plan.unmatched
    ]


def of_licences(plan: Plan) -> list[dict[str, object]]:
    """Return licences before and after, application by application; amounts as text, which keeps every digit."""
    return [
        {
            "application_id": one.application_id,
            "application": one.application,
            "owner": one.owner,
            "before": one.before,
            "after": one.after,
            "monthly": str(one.price.monthly) if one.price is not None else None,
            "currency": one.price.currency if one.price is not None else None,
            "monthly_difference": str(one.monthly_difference) if one.price is not None else None,
        }
        for one in plan.licences
    ]


def of_listing(name: str, items: Iterable[Model]) -> Mapping[str, object]:
    """Return a listing, with the API's own names, as the AWS CLI prints it."""
    return {name: [item.to_wire() for item in items]}


def of_outcome(
    workspace_id: str, outcome: DeploymentOutcome | None, error: Exception | None
) -> dict[str, object]:
    """Return the outcome of one WorkSpace in `install` and `uninstall`."""
    failed = outcome.failed if outcome is not None else getattr(error, "failed", ())
    return {
        "workspace_id": workspace_id,
        "outcome": "failed" if error is not None else "done" if outcome and outcome.done else "already",
        "done": list(outcome.done) if outcome is not None else [],
        "already": list(outcome.already) if outcome is not None else [],
        "failed": [
            {"application_id": one.application_id, "reason": one.code, "message": one.message}
            for one in failed
        ],
        "error": str(error) if error is not None else None,
        "error_type": type(error).__name__ if error is not None else None,
        "notes": notes(error),
        "elapsed": outcome.elapsed.total_seconds() if outcome is not None else None,
    }


def of_interrupted(workspace_id: str, left: Mapping[str, str] | None) -> dict[str, object]:
    """Return what is left on a WorkSpace that `install` or `uninstall` was asked not to wait for any longer."""
    found = of_outcome(workspace_id, None, None)
    return found | {"outcome": "interrupted", "left": dict(left) if left is not None else None}


def _change(change: PlannedChange) -> dict[str, object]:
    return {
        "application_id": change.application_id,
        "action": change.action,
        "direction": change.direction,
        "state": change.state,
        "reason": change.reason,
        "message": change.message,
    }
