"""A typed async SDK for application management on Amazon WorkSpaces.

Names are imported when they are first used, so that `import workspaces_apps` costs next to nothing.
"""

from typing import TYPE_CHECKING

from workspaces_apps._base import VERSION
from workspaces_apps.api import founding

if TYPE_CHECKING:
    from workspaces_apps._base.clock import Clock, Duration, SystemClock
    from workspaces_apps._base.credentials import (
        AssumeRole,
        Credentials,
        CredentialsProvider,
        RefusableCredentialsProvider,
    )
    from workspaces_apps._client.client import WorkSpacesClient
    from workspaces_apps._http.config import ClientConfig
    from workspaces_apps._model.models import Model, Request, ResponseMeta, Result
    from workspaces_apps._model.paginator import ItemIterator, PageIterator, Paginated
    from workspaces_apps._model.validation import OpenEnum
    from workspaces_apps._pacing import Pacing, PacingRegistry
    from workspaces_apps._retry import FailureKind, RetryBudgetPolicy, RetryPolicy
    from workspaces_apps._telemetry.port import (
        AttemptRecord,
        Hooks,
        PollRecord,
        RefreshRecord,
        RetryRecord,
        ThrottleRecord,
    )
    from workspaces_apps._waiters import AssociationChange, AssociationStatus, DeploymentOutcome, PollPolicy
    from workspaces_apps.api.founding import *  # noqa: F403 - the generated list is the one place for them
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
        WorkspaceNotReadyInTimeError,
        WorkSpacesError,
    )

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
    "PollRecord",
    "Problem",
    "RefreshRecord",
    "RefusableCredentialsProvider",
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
    "WorkspaceNotReadyInTimeError",
    "__version__",
]
__all__ += founding.__all__

if not TYPE_CHECKING:
    import importlib

    _MODULES = {
        "_client.client": "WorkSpacesClient",
        "_base.clock": "Clock Duration SystemClock",
        "_http.config": "ClientConfig",
        "_base.credentials": "AssumeRole Credentials CredentialsProvider RefusableCredentialsProvider",
        "errors": """
            ClientStateError ConfigurationError CredentialsError DeadlineExceededError DeploymentFailedError
            FailedAssociation StagedChangesError MalformedResponseError PaginationError PartialFailureError Problem RequestValidationError ServiceError
            TransportError WaiterError WaiterTimeoutError WorkSpacesError WorkspaceNotReadyError
            WorkspaceNotReadyInTimeError
        """,
        "_telemetry.port": "AttemptRecord Hooks PollRecord RefreshRecord RetryRecord ThrottleRecord",
        "_model.models": "Model Request ResponseMeta Result",
        "_model.validation": "OpenEnum",
        "_pacing": "Pacing PacingRegistry",
        "_model.paginator": "ItemIterator PageIterator Paginated",
        "_retry": "FailureKind RetryBudgetPolicy RetryPolicy",
        "_waiters": "AssociationChange AssociationStatus DeploymentOutcome PollPolicy",
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
