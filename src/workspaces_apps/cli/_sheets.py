"""Sheets: what `--output csv` prints of plans and statuses, a line for each change; docs/cli.md names the columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from workspaces_apps.cli._csv_files import as_csv

if TYPE_CHECKING:
    from workspaces_apps.rollout import Plan, Status

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
