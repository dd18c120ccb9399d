"""Fleet roll-outs: which applications belong on which WorkSpaces, what would change, and making it so."""

from workspaces_apps._reconcile.decisions import Reason
from workspaces_apps.rollout._apply import EXIT_CODES, Apply, ApplyOptions
from workspaces_apps.rollout._bundles import BundleDrift
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
from workspaces_apps.rollout._journal.copying import copy_journal
from workspaces_apps.rollout._journal.files import FileJournalStore, JournalReader, read_journal
from workspaces_apps.rollout._journal.stores import (
    FencedWriter,
    JournalStore,
    JournalWriter,
    open_journal,
    read_events,
)
from workspaces_apps.rollout._licences import LicenceCount, Price
from workspaces_apps.rollout._log.events import (
    Action,
    ApprovalRequested,
    Approved,
    Changed,
    Deployed,
    Direction,
    Ending,
    Event,
    Failed,
    Finished,
    Intent,
    Noticed,
    Planned,
    Progress,
    Rejected,
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
from workspaces_apps.rollout._manifest.selectors import (
    ConnectionFacts,
    LastConnected,
    Selector,
    WorkspaceFacts,
)
from workspaces_apps.rollout._manifest.targets import open_targets
from workspaces_apps.rollout._matching import UnmatchedValue
from workspaces_apps.rollout._notice import (
    BeforeDeploy,
    DeployNotice,
    NoticeAnswer,
    Postpone,
    Proceed,
    Skip,
)
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
    "ApprovalRequested",
    "Approved",
    "BeforeDeploy",
    "BundleDrift",
    "Changed",
    "ConnectionFacts",
    "ControlCommand",
    "ControlReader",
    "ControlRecord",
    "ControlState",
    "DeployNotice",
    "Deployed",
    "Direction",
    "Ending",
    "Estimate",
    "Event",
    "Failed",
    "FencedWriter",
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
    "LastConnected",
    "LicenceCount",
    "Manifest",
    "ManifestError",
    "Mistake",
    "NoticeAnswer",
    "Noticed",
    "OrderByTag",
    "Plan",
    "PlanDiff",
    "PlanError",
    "Planned",
    "PlannedChange",
    "PlannedWorkspace",
    "Policy",
    "Postpone",
    "Price",
    "Proceed",
    "Progress",
    "Reason",
    "Rejected",
    "Report",
    "Rollout",
    "RolloutError",
    "Rule",
    "Selector",
    "Skip",
    "Skipped",
    "Staged",
    "Standing",
    "Started",
    "Status",
    "Succeeded",
    "Target",
    "TargetReading",
    "UnmatchedValue",
    "WaveBegan",
    "Withdrawn",
    "WorkspaceFacts",
    "copy_journal",
    "open_journal",
    "open_targets",
    "read_events",
    "read_journal",
    "write_control",
]
