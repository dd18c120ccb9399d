"""The documents of `--output json` that are not the roll-out's own; docs/cli.md describes each.

Members may be added any time; `format` grows when one goes away or changes its meaning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from workspaces_apps.cli._failures import notes

if TYPE_CHECKING:
    from workspaces_apps._model.models import Model
    from workspaces_apps._waiters import DeploymentOutcome
    from workspaces_apps.rollout import BundleDrift, Plan, PlanDiff, PlannedChange, Status

FORMAT: Final = 1
"""The version of these documents."""


def of_plan(plan: Plan) -> object:
    """A plan, as `Plan.save` writes it and `Plan.load` reads it."""
    return json.loads(plan.to_json())


def of_diff(diff: PlanDiff) -> Mapping[str, object]:
    """The difference between two plans."""

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
    """Licences before and after, application by application; amounts as text, which keeps every digit."""
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
    """A listing, with the API's own names, as the AWS CLI prints it."""
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
