"""What the errors of the service mean to a roll-out that tries to stage or deploy: a table."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from workspaces_apps.errors import (
    ClientStateError,
    ConfigurationError,
    CredentialsError,
    RequestValidationError,
    ServiceError,
    WorkSpacesError,
)
from workspaces_apps.retry import FailureKind
from workspaces_apps.retry.classification import classify


class Meaning(Enum):
    """What to make of an error."""

    LOOK = auto()
    """The WorkSpace is not as thought: look again, and decide anew."""
    BUSY = auto()
    """Something else is going on there: look again after a while."""
    AGAIN = auto()
    """A fault of the moment, or the outcome is open: look again after a moment, some times."""
    REFUSED = auto()
    """The service will not do this; another try would end the same way."""
    HALT = auto()
    """Nothing else will work either: begin nothing more."""


BY_CODE: Final[Mapping[str, Meaning]] = {
    # Staged or installed already; or gone already; which, a look tells [assumed].
    "ResourceAlreadyExistsException": Meaning.LOOK,
    "ResourceNotFoundException": Meaning.LOOK,
    # The WorkSpace is UPDATING, or an association in flight [assumed].
    "ResourceInUseException": Meaning.BUSY,
    "OperationInProgressException": Meaning.BUSY,
    # Missing permissions, or credentials that are not taken: the same for every WorkSpace.
    "AccessDeniedException": Meaning.HALT,
    "UnrecognizedClientException": Meaning.HALT,
    "InvalidClientTokenId": Meaning.HALT,
    "ExpiredTokenException": Meaning.HALT,
    "SignatureDoesNotMatch": Meaning.HALT,
    "InvalidSignatureException": Meaning.HALT,
}

BY_TYPE: Final[tuple[tuple[type[WorkSpacesError], Meaning], ...]] = (
    (CredentialsError, Meaning.HALT),
    (ConfigurationError, Meaning.HALT),
    (ClientStateError, Meaning.HALT),
    (RequestValidationError, Meaning.REFUSED),
)

_BY_KIND: Final[Mapping[FailureKind, Meaning]] = {
    FailureKind.THROTTLE: Meaning.AGAIN,
    FailureKind.TRANSIENT: Meaning.AGAIN,
    FailureKind.IN_PROGRESS: Meaning.BUSY,
}


def meaning_of(error: WorkSpacesError) -> Meaning:
    """What to make of an error of Associate, Disassociate, Deploy, or the look before it."""
    for kind, meaning in BY_TYPE:
        if isinstance(error, kind):
            return meaning
    if isinstance(error, ServiceError):
        if error.code is not None and error.code in BY_CODE:
            return BY_CODE[error.code]
        if error.http_status is not None and error.http_status >= 500:
            return Meaning.AGAIN
        return _BY_KIND.get(classify(error), Meaning.REFUSED)
    # No answer, or one that cannot be read: what came of it, the next look tells.
    return Meaning.AGAIN


def word_for(error: WorkSpacesError) -> str:
    """The service's code, or the kind of error."""
    return error.code or type(error).__name__
