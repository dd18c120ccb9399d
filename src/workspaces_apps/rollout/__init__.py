"""Fleet roll-outs: which applications belong on which WorkSpaces, what would change, and making it so."""

from workspaces_apps.rollout.apply import EXIT_CODES, Apply, ApplyOptions
from workspaces_apps.rollout.errors import (
    JournalBusyError,
    JournalError,
    ManifestError,
    Mistake,
    PlanError,
    RolloutError,
)
from workspaces_apps.rollout.events import (
    Action,
    Changed,
    Deployed,
    Direction,
    Ending,
    Event,
    Failed,
    Finished,
    Intent,
    Planned,
    Progress,
    Skipped,
    Staged,
    Started,
    Succeeded,
    WaveBegan,
)
from workspaces_apps.rollout.hours import Hours
from workspaces_apps.rollout.journal import Journal, JournalReader, read_journal
from workspaces_apps.rollout.manifest import ApplicationRef, Manifest, Rule, Target
from workspaces_apps.rollout.plan import (
    Estimate,
    ForeignChange,
    Plan,
    PlanDiff,
    PlannedChange,
    PlannedWorkspace,
    TargetReading,
)
from workspaces_apps.rollout.policy import OrderByTag, Policy
from workspaces_apps.rollout.reasons import Reason
from workspaces_apps.rollout.report import Report
from workspaces_apps.rollout.rollout import Rollout
from workspaces_apps.rollout.selectors import Selector, WorkspaceFacts
from workspaces_apps.rollout.status import Standing, Status
from workspaces_apps.rollout.targets import open_targets
from workspaces_apps.rollout.waves import Amount

__all__ = [
    "EXIT_CODES",
    "Action",
    "Amount",
    "ApplicationRef",
    "Apply",
    "ApplyOptions",
    "Changed",
    "Deployed",
    "Direction",
    "Ending",
    "Estimate",
    "Event",
    "Failed",
    "Finished",
    "ForeignChange",
    "Hours",
    "Intent",
    "Journal",
    "JournalBusyError",
    "JournalError",
    "JournalReader",
    "Manifest",
    "ManifestError",
    "Mistake",
    "OrderByTag",
    "Plan",
    "PlanDiff",
    "PlanError",
    "Planned",
    "PlannedChange",
    "PlannedWorkspace",
    "Policy",
    "Progress",
    "Reason",
    "Report",
    "Rollout",
    "RolloutError",
    "Rule",
    "Selector",
    "Skipped",
    "Staged",
    "Standing",
    "Started",
    "Status",
    "Succeeded",
    "Target",
    "TargetReading",
    "WaveBegan",
    "WorkspaceFacts",
    "open_targets",
    "read_journal",
]
