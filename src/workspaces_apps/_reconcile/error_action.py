"""The table of actions for errors of the service, when something is staged, deployed or read."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from workspaces_apps._associations import Direction
from workspaces_apps._retry import FailureKind, classify
from workspaces_apps.errors import (
    CREDENTIALS_CODES,
    ClientStateError,
    ConfigurationError,
    CredentialsError,
    RequestValidationError,
    ServiceError,
    WorkSpacesError,
)


class ErrorAction(Enum):
    """An action for an error."""

    RECHECK = auto()
    """Read the WorkSpace again, and decide anew: it is not as it was read."""
    CONFIRM = auto()
    """Read the WorkSpace and its state; give up if both are as they were read, and the WorkSpace is ready."""
    BACK_OFF = auto()
    """Read again after a moment, some times: a fault of the moment, or the outcome is unknown."""
    WAIT = auto()
    """Read again after a while: something else is going on there."""
    GIVE_UP = auto()
    """Give up: another try would end the same way."""
    STOP_TARGET = auto()
    """Start nothing more in this account and Region: nothing else will work there either."""


_A = ErrorAction

BY_CODE: Final[Mapping[str, ErrorAction]] = {
    # Staged or installed already; or gone already; which, a read tells [assumed].
    "ResourceAlreadyExistsException": _A.RECHECK,
    "ResourceNotFoundException": _A.RECHECK,
    # The WorkSpace is neither AVAILABLE nor STOPPED; or nothing is staged that Deploy could commit [assumed].
    "OperationNotSupportedException": _A.CONFIRM,
    "InvalidResourceStateException": _A.CONFIRM,
    "ResourceUnavailableException": _A.CONFIRM,
    # The WorkSpace is UPDATING, or an association in flight [assumed].
    "ResourceInUseException": _A.WAIT,
    "OperationInProgressException": _A.WAIT,
    # Missing permissions, or credentials that are not taken: the same for every WorkSpace.
    "AccessDeniedException": _A.STOP_TARGET,
    **dict.fromkeys(CREDENTIALS_CODES, _A.STOP_TARGET),
}
"""The action for an error code."""

BY_DIRECTION: Final[Mapping[tuple[Direction, str], ErrorAction]] = {
    # Associate finds no such application, or no such WorkSpace, which a read tells apart [assumed].
    ("install", "ResourceNotFoundException"): _A.CONFIRM,
}
"""The action for an error code of Associate or Disassociate, where the direction tells more; goes before `BY_CODE`."""

BY_TYPE: Final[tuple[tuple[type[WorkSpacesError], ErrorAction], ...]] = (
    (CredentialsError, _A.STOP_TARGET),
    (ConfigurationError, _A.STOP_TARGET),
    (ClientStateError, _A.STOP_TARGET),
    (RequestValidationError, _A.GIVE_UP),
)
"""The action for a class of error; goes before the others."""

_BY_KIND: Final[Mapping[FailureKind, ErrorAction]] = {
    FailureKind.THROTTLE: _A.BACK_OFF,
    FailureKind.TRANSIENT: _A.BACK_OFF,
    FailureKind.IN_PROGRESS: _A.WAIT,
}

RETRY_ONCE: Final = frozenset({code for code, action in BY_CODE.items() if action is _A.CONFIRM})
"""Codes of a state that may have passed just before it was read: one more try."""


def action_for(error: WorkSpacesError, direction: Direction | None = None) -> ErrorAction:
    """Return what to do about an error.

    Args:
        error: The error of Associate, Disassociate, Deploy, or a read before them.
        direction: The direction that was to be staged; None for other calls.
    """
    for kind, action in BY_TYPE:
        if isinstance(error, kind):
            return action
    if isinstance(error, ServiceError):
        if error.code is not None:
            if direction is not None and (direction, error.code) in BY_DIRECTION:
                return BY_DIRECTION[direction, error.code]
            if error.code in BY_CODE:
                return BY_CODE[error.code]
        if error.http_status is not None and error.http_status >= 500:
            return ErrorAction.BACK_OFF
        return _BY_KIND.get(classify(error), ErrorAction.GIVE_UP)
    # No answer, or one that cannot be read: the next read tells what became of it.
    return ErrorAction.BACK_OFF


def code_of(error: WorkSpacesError) -> str:
    """Return the service's code, or the class of error."""
    return error.code or type(error).__name__
