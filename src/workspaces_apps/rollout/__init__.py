"""Fleet roll-outs: which applications belong on which WorkSpaces, what would change, and making it so."""

from workspaces_apps._reconcile.reasons import Reason
from workspaces_apps.rollout._apply import EXIT_CODES, Apply, ApplyOptions
from workspaces_apps.rollout._controller.waves import Amount
from workspaces_apps.rollout._errors import (
    JournalBusyError,
    JournalError,
    ManifestError,
    Mistake,
    PlanError,
    RolloutError,
)
from workspaces_apps.rollout._journal.control import (
    ControlCommand,
    ControlReader,
    ControlRecord,
    ControlState,
    write_control,
)
from workspaces_apps.rollout._journal.files import FileJournalStore, JournalReader, read_journal
from workspaces_apps.rollout._journal.stores import JournalStore, JournalWriter, open_journal, read_events
from workspaces_apps.rollout._log.events import (
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
    Withdrawn,
)
from workspaces_apps.rollout._manifest.hours import Hours
from workspaces_apps.rollout._manifest.manifest import ApplicationRef, Manifest, Rule, Target
from workspaces_apps.rollout._manifest.policy import OrderByTag, Policy
from workspaces_apps.rollout._manifest.selectors import Selector, WorkspaceFacts
from workspaces_apps.rollout._manifest.targets import open_targets
from workspaces_apps.rollout._plan.plan import (
    Estimate,
    ForeignChange,
    Plan,
    PlanDiff,
    PlannedChange,
    PlannedWorkspace,
    TargetReading,
)
from workspaces_apps.rollout._rollout import Rollout
from workspaces_apps.rollout._status import Standing, Status
from workspaces_apps.rollout.report import Report

__all__ = [
    "EXIT_CODES",
    "Action",
    "Amount",
    "ApplicationRef",
    "Apply",
    "ApplyOptions",
    "Changed",
    "ControlCommand",
    "ControlReader",
    "ControlRecord",
    "ControlState",
    "Deployed",
    "Direction",
    "Ending",
    "Estimate",
    "Event",
    "Failed",
    "FileJournalStore",
    "Finished",
    "ForeignChange",
    "Hours",
    "Intent",
    "JournalBusyError",
    "JournalError",
    "JournalReader",
    "JournalStore",
    "JournalWriter",
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
    "Withdrawn",
    "WorkspaceFacts",
    "open_journal",
    "open_targets",
    "read_events",
    "read_journal",
    "write_control",
]
