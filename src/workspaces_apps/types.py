"""Every type that an annotation of the public surface needs, and the records, imported when they are first used.

Annotations inside the package name what is heavy through this module, so that `typing.get_type_hints` finds it at run
time, and importing the package stays as cheap as it is.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from workspaces_apps._base.clock import Duration
    from workspaces_apps._http.config import RequestChecks, Session, Unset
    from workspaces_apps._model.models import (
        BatchResult,
        Headers,
        Input,
        Model,
        Operation,
        PageResult,
        Request,
        ResponseMeta,
        Result,
    )
    from workspaces_apps._model.operations import Many, OperationSpec, PageSpec, Rule, Rules
    from workspaces_apps._model.paginator import ItemIterator, PageIterator, Paginated
    from workspaces_apps._model.validation import Blob, Items, JsonObject, OpenEnum, Timestamp
    from workspaces_apps._telemetry.port import Outcome
    from workspaces_apps._waiters import AssociationChange as AssociationChange  # noqa: PLC0414 - public elsewhere
    from workspaces_apps._waiters import DeploymentOutcome as DeploymentOutcome  # noqa: PLC0414 - public elsewhere
    from workspaces_apps._waiters import OnChange, WantedState
    from workspaces_apps._waiters.deployment_wait import AllDeployed, DeploymentWatch

    RECORDS: tuple[type, ...]
    """The classes of the records that calls, waits, roll-outs and the simulator give: usable as response models."""

__all__ = [
    "RECORDS",
    "AllDeployed",
    "BatchResult",
    "Blob",
    "DeploymentWatch",
    "Duration",
    "Headers",
    "Input",
    "ItemIterator",
    "Items",
    "JsonObject",
    "Many",
    "Model",
    "OnChange",
    "OpenEnum",
    "Operation",
    "OperationSpec",
    "Outcome",
    "PageIterator",
    "PageResult",
    "PageSpec",
    "Paginated",
    "RenderableType",
    "Request",
    "RequestChecks",
    "ResponseMeta",
    "Result",
    "Rule",
    "Rules",
    "Session",
    "Timestamp",
    "Unset",
    "WantedState",
]

if not TYPE_CHECKING:
    import importlib

    _MODULES = {
        "rich.console": "RenderableType",
        "workspaces_apps._base.clock": "Duration",
        "workspaces_apps._http.config": "RequestChecks Session Unset",
        "workspaces_apps._model.operations": "Many OperationSpec PageSpec Rule Rules",
        "workspaces_apps._model.models": "BatchResult Headers Input Model Operation PageResult Request ResponseMeta Result",
        "workspaces_apps._telemetry.port": "Outcome",
        "workspaces_apps._model.validation": "Blob Items JsonObject OpenEnum Timestamp",
        "workspaces_apps._model.paginator": "ItemIterator PageIterator Paginated",
        "workspaces_apps._waiters": "AssociationChange DeploymentOutcome OnChange WantedState",
        "workspaces_apps._waiters.deployment_wait": "AllDeployed DeploymentWatch",
    }
    _RECORDS = {
        "workspaces_apps.distributed": "RunInfo RunStatus TargetStatus",
        "workspaces_apps.errors": "FailedAssociation Problem",
        "workspaces_apps._telemetry.port": "AttemptRecord PollRecord RefreshRecord RetryRecord ThrottleRecord",
        "workspaces_apps._model.models": "ResponseMeta",
        "workspaces_apps.rollout": """
            Amount ApprovalRequested Approved BundleDrift Changed ConnectionFacts DeployNotice Deployed Estimate Failed Finished ForeignChange Intent
            LicenceCount
            Mistake Noticed Plan PlanDiff Planned PlannedChange PlannedWorkspace Postpone Proceed Progress Rejected Report
            Skip Skipped Staged Started Status Succeeded TargetReading UnmatchedValue WaveBegan Withdrawn WorkspaceFacts
        """,
        "workspaces_apps.rollout.report": """
            ApplicationCount Change Moment ProgressPoint ReasonCount Run TrafficPoint Wave Workspace
        """,
        "workspaces_apps.simulator": "RequestRecord",
        "workspaces_apps._waiters": "AssociationChange AssociationStatus DeploymentOutcome",
    }
    _HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

    def __getattr__(name):
        if name == "RECORDS":
            found = tuple(
                getattr(importlib.import_module(module), record)
                for module, records in _RECORDS.items()
                for record in records.split()
            )
        elif name in _HOMES:
            found = getattr(importlib.import_module(_HOMES[name]), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found
        return found

    def __dir__():
        # freezegun looks at every name that a module lists, which would import and build all records in frozen time.
        return sorted({*globals(), *__all__} - {"RECORDS"})
