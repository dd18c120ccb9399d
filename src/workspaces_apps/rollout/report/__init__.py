"""Reports of a roll-out: read from its journal, given as text, JSON, CSV, JUnit XML or one HTML page."""

from workspaces_apps.rollout._log.projections import Outcome
from workspaces_apps.rollout.report._model import (
    OUTCOMES,
    ApplicationCount,
    Change,
    Counts,
    Moment,
    ProgressPoint,
    ReasonCount,
    Run,
    TrafficPoint,
    Wave,
    Workspace,
)
from workspaces_apps.rollout.report._report import Report

__all__ = [
    "OUTCOMES",
    "ApplicationCount",
    "Change",
    "Counts",
    "Moment",
    "Outcome",
    "ProgressPoint",
    "ReasonCount",
    "Report",
    "Run",
    "TrafficPoint",
    "Wave",
    "Workspace",
]
