"""OpenMetrics of a fleet's drift: a text file that is replaced at once, for the textfile collector of node exporter."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workspaces_apps._base.system import replace_file
from workspaces_apps.cli._failures import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from workspaces_apps.rollout import Status

_FAMILIES: Final[Mapping[str, str]] = {
    "workspaces_apps_changes": "Applications on WorkSpaces that the manifest names, by how they stand.",
    "workspaces_apps_workspaces": "WorkSpaces that the manifest selects.",
    "workspaces_apps_workspaces_out_of_sync": "WorkSpaces that are not as the manifest wants them.",
    "workspaces_apps_unmatched": "Values of selectors that match nothing.",
    "workspaces_apps_target_read": "Whether the target could be read by the last poll that was answered.",
    "workspaces_apps_poll_success": "Whether the last poll was answered.",
    "workspaces_apps_poll_timestamp_seconds": "When the last poll was made.",
}
"""Every family, all gauges, with what it is."""


def check_metrics_file(path: Path) -> None:
    """Find out before the first call whether a file can be there.

    Raises:
        UsageError: It cannot.
    """
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(f"--metrics: {path.parent} is no folder that can be written to")
    if path.is_dir():
        raise UsageError(f"--metrics: {path} is a folder")


def rendered(name: str, status: Status | None, *, at: datetime, answered: bool) -> str:
    """Return the metrics as OpenMetrics text.

    Args:
        name: The manifest's name.
        status: How the fleet stood when a poll was answered last; None before any was.
        at: When the last poll was made.
        answered: Whether it was answered.
    """
    samples: dict[str, list[tuple[dict[str, str], float]]] = {family: [] for family in _FAMILIES}
    base = {"rollout": name}
    if status is not None:
        _count(status, samples, base)
    samples["workspaces_apps_poll_success"] = [(base, float(answered))]
    samples["workspaces_apps_poll_timestamp_seconds"] = [(base, at.timestamp())]
    lines: list[str] = []
    for family, text in _FAMILIES.items():
        if samples[family]:
            lines += [f"# TYPE {family} gauge", f"# HELP {family} {text}"]
            # Counts are whole, and times need their digits.
            form = ".3f" if family.endswith("_seconds") else ".0f"
            lines += [f"{family}{_labels(labels)} {value:{form}}" for labels, value in samples[family]]
    return "\n".join([*lines, "# EOF", ""])


def _count(
    status: Status, samples: Mapping[str, list[tuple[dict[str, str], float]]], base: Mapping[str, str]
) -> None:
    from workspaces_apps.rollout._status import drift_of

    plan = status.plan
    standings: Counter[tuple[str, str, str]] = Counter()
    selected: Counter[str] = Counter()
    for workspace in plan.workspaces:
        selected[workspace.target] += 1
        for change in workspace.changes:
            application = plan.application_name(workspace.target, change.application_id)
            key = workspace.target, application or change.application_id, drift_of(change)
            standings[key] += 1
    drifted = Counter(workspace.target for workspace in status.drifted)
    for (target, application, standing), number in sorted(standings.items()):
        labels = {**base, "target": target, "application": application, "standing": standing}
        samples["workspaces_apps_changes"].append((labels, number))
    for reading in plan.targets:
        labels = {**base, "target": reading.name}
        samples["workspaces_apps_workspaces"].append((labels, selected[reading.name]))
        samples["workspaces_apps_workspaces_out_of_sync"].append((labels, drifted[reading.name]))
        samples["workspaces_apps_target_read"].append((labels, float(reading.error is None)))
    samples["workspaces_apps_unmatched"].append(({**base}, len(plan.unmatched)))


def _labels(labels: Mapping[str, str]) -> str:
    def escaped(value: str) -> str:
        return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")

    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items()) + "}"


def write_metrics(path: Path, text: str) -> None:
    """Replace a file at once: who reads it sees the old metrics or the new ones, never a part.

    Raises:
        OSError: It cannot be written.
    """
    replace_file(path, text.encode("utf-8", "replace"))
