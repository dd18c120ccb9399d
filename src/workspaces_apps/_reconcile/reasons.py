"""Reasons why a change is blocked, skipped or failed, where they are this package's and not the service's codes."""

from enum import StrEnum
from typing import Final

from workspaces_apps._base.public import public


@public("workspaces_apps.rollout")
class Reason(StrEnum):
    """A word for programs; the `message` beside it has the sentence for people."""

    OPERATING_SYSTEM = "operating-system"
    """The application does not run on the WorkSpace's operating system."""
    COMPUTE_TYPE = "compute-type"
    """The application does not run on the WorkSpace's compute type."""
    DISK = "disk"
    """The root volume is too small."""
    CONFLICT = "conflict"
    """Another edition or version of the same family is, or will be, on the WorkSpace."""
    UNINSTALL_ONLY = "uninstall-only"
    """The application can only be removed."""
    NOT_OFFERED = "not-offered"
    """The application is not offered through AWS, and only such are managed."""
    APPLICATION_STATE = "application-state"
    """The catalogue says that the application cannot be used now."""
    WORKSPACE_STATE = "workspace-state"
    """The WorkSpace is neither AVAILABLE nor STOPPED."""
    CONTRADICTION = "contradiction"
    """One rule wants the application present, another absent."""
    UNKNOWN = "unknown"
    """The service does not tell what is needed to decide, or says something this release does not know."""
    RETRIES_EXHAUSTED = "retries-exhausted"
    """It ended in ERROR, and was tried again as often as the policy allows, over all runs."""
    DIRECTION_UNKNOWN = "direction-unknown"
    """It is in ERROR, and nothing tells whether an installation or a removal failed."""
    DIRECTION_OPPOSITE = "direction-opposite"
    """It is in ERROR in the direction that is not wanted, and the service does not take the other."""
    FOREIGN_ERROR = "foreign-error"
    """Another application on the WorkSpace is in ERROR, and Force would try that again too."""
    FOREIGN_STAGED = "foreign-staged"
    """Something is staged on the WorkSpace that is not in the plan, and Deploy would commit it."""
    CONNECTED = "connected"
    """The user is connected, and a deployment would end the session."""
    OUTSIDE_HOURS = "outside-hours"
    """It is outside the hours that the policy allows."""
    VANISHED = "vanished"
    """The WorkSpace does not exist any more."""
    BUDGET_SPENT = "budget-spent"
    """Too many WorkSpaces failed before its turn came."""
    CREDENTIALS = "credentials"
    """The credentials for its account were lost before its turn came."""
    DRAINED = "drained"
    """The roll-out was asked to start nothing more."""
    STOPPED = "stopped"
    """The roll-out was stopped; the change is neither of the three below, such as in ERROR."""
    LEFT_DEPLOYING = "left-deploying"
    """The roll-out was stopped, and the deployment goes on at the service."""
    LEFT_STAGED = "left-staged"
    """The roll-out was stopped when the change was staged and not deployed."""
    NOT_STARTED = "not-started"
    """The roll-out was stopped before it started the change."""
    NOT_CONVERGING = "not-converging"
    """Something else keeps changing it back."""
    TIMEOUT = "timeout"
    """The deployment did not end within the policy's time."""


NEVER_STARTED: Final = frozenset(
    {Reason.NOT_STARTED, Reason.DRAINED, Reason.BUDGET_SPENT, Reason.CREDENTIALS}
)
"""The reasons of what was not started because the roll-out ended early."""
