"""A typed async SDK for application management on Amazon WorkSpaces.

Names are imported when they are first used, so that `import workspaces_apps` costs next to nothing.
"""

from typing import TYPE_CHECKING

from workspaces_apps.api import founding
from workspaces_apps.version import VERSION

if TYPE_CHECKING:
    from workspaces_apps.api.founding import *  # noqa: F403 - the generated list is the one place for them
    from workspaces_apps.client import WorkSpacesClient
    from workspaces_apps.clock import Clock, Duration, SystemClock
    from workspaces_apps.config import ClientConfig
    from workspaces_apps.credentials import AssumeRole, Credentials, CredentialsProvider
    from workspaces_apps.errors import (
        ClientStateError,
        ConfigurationError,
        CredentialsError,
        DeadlineExceededError,
        DeploymentFailedError,
        FailedAssociation,
        MalformedResponseError,
        PaginationError,
        PartialFailureError,
        Problem,
        RequestValidationError,
        ServiceError,
        StagedChangesError,
        TransportError,
        WaiterError,
        WaiterTimeoutError,
        WorkspaceNotReadyError,
        WorkSpacesError,
    )
    from workspaces_apps.hooks import AttemptRecord, Hooks, RetryRecord, ThrottleRecord
    from workspaces_apps.models import Model, Request, ResponseMeta, Result
    from workspaces_apps.open_enum import OpenEnum
    from workspaces_apps.pacing import Pacing, PacingRegistry
    from workspaces_apps.pagination import ItemIterator, PageIterator, Paginated
    from workspaces_apps.retry import FailureKind, RetryBudgetPolicy, RetryPolicy
    from workspaces_apps.waiters import AssociationChange, AssociationStatus, DeploymentOutcome, PollPolicy

__version__ = VERSION

__all__ = [
    "AssociationChange",
    "AssociationStatus",
    "AssumeRole",
    "AttemptRecord",
    "ClientConfig",
    "ClientStateError",
    "Clock",
    "ConfigurationError",
    "Credentials",
    "CredentialsError",
    "CredentialsProvider",
    "DeadlineExceededError",
    "DeploymentFailedError",
    "DeploymentOutcome",
    "Duration",
    "FailedAssociation",
    "FailureKind",
    "Hooks",
    "ItemIterator",
    "MalformedResponseError",
    "Model",
    "OpenEnum",
    "Pacing",
    "PacingRegistry",
    "PageIterator",
    "Paginated",
    "PaginationError",
    "PartialFailureError",
    "PollPolicy",
    "Problem",
    "Request",
    "RequestValidationError",
    "ResponseMeta",
    "Result",
    "RetryBudgetPolicy",
    "RetryPolicy",
    "RetryRecord",
    "ServiceError",
    "StagedChangesError",
    "SystemClock",
    "ThrottleRecord",
    "TransportError",
    "WaiterError",
    "WaiterTimeoutError",
    "WorkSpacesClient",
    "WorkSpacesError",
    "WorkspaceNotReadyError",
    "__version__",
]
__all__ += founding.__all__

if not TYPE_CHECKING:
    import importlib

    _MODULES = {
        "client": "WorkSpacesClient",
        "clock": "Clock Duration SystemClock",
        "config": "ClientConfig",
        "credentials": "AssumeRole Credentials CredentialsProvider",
        "errors": """
            ClientStateError ConfigurationError CredentialsError DeadlineExceededError DeploymentFailedError
            FailedAssociation StagedChangesError MalformedResponseError PaginationError PartialFailureError Problem RequestValidationError ServiceError
            TransportError WaiterError WaiterTimeoutError WorkSpacesError WorkspaceNotReadyError
        """,
        "hooks": "AttemptRecord Hooks RetryRecord ThrottleRecord",
        "models": "Model Request ResponseMeta Result",
        "open_enum": "OpenEnum",
        "pacing": "Pacing PacingRegistry",
        "pagination": "ItemIterator PageIterator Paginated",
        "retry": "FailureKind RetryBudgetPolicy RetryPolicy",
        "waiters": "AssociationChange AssociationStatus DeploymentOutcome PollPolicy",
        "api": " ".join(founding.__all__),
    }
    _HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = found
        return found

    def __dir__():
        return sorted({*globals(), *__all__})
