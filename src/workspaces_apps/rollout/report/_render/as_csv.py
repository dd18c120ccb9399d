"""The report as CSV, one line for each change, which a spreadsheet may open without running anything in it."""

import csv
import io
from datetime import datetime
from typing import Final

from workspaces_apps.rollout.report._model import Change, Workspace
from workspaces_apps.rollout.report._render.text import csv_cell
from workspaces_apps.rollout.report._report import Report

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


def lines(report: Report) -> str:
    """The report as CSV (RFC 4180) with a line of headings."""
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
