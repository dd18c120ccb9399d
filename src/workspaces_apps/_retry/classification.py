"""Classification of failures for repeating a call: tables by error code, HTTP status and exception type."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from workspaces_apps._base.public import public
from workspaces_apps.errors import (
    DeadlineExceededError,
    MalformedResponseError,
    ServiceError,
    ThrottlingException,
    TransportError,
    WorkSpacesError,
)


@public("workspaces_apps")
class FailureKind(StrEnum):
    """The four kinds of failure that are treated differently."""

    THROTTLE = "throttle"
    """The service refused the rate of calls: it did nothing, and slower calls will succeed."""
    TRANSIENT = "transient"
    """A fault of the moment, of the network or of the service."""
    IN_PROGRESS = "in_progress"
    """Another operation holds the resource, for minutes rather than seconds: a waiter's business."""
    FATAL = "fatal"
    """The same call will fail the same way."""


CODES: Final[Mapping[str, FailureKind]] = MappingProxyType(
    {
        # WorkSpaces says ThrottlingException with HTTP 400 [field]; the others are what AWS front ends say.
        "ThrottlingException": FailureKind.THROTTLE,
        "Throttling": FailureKind.THROTTLE,
        "ThrottledException": FailureKind.THROTTLE,
        "RequestThrottled": FailureKind.THROTTLE,
        "RequestThrottledException": FailureKind.THROTTLE,
        "RequestLimitExceeded": FailureKind.THROTTLE,
        "TooManyRequestsException": FailureKind.THROTTLE,
        "SlowDown": FailureKind.THROTTLE,
        # The modelled one of the account-link operations, and the common ones of every AWS service.
        "InternalServerException": FailureKind.TRANSIENT,
        "InternalServerError": FailureKind.TRANSIENT,
        "InternalFailure": FailureKind.TRANSIENT,
        "InternalError": FailureKind.TRANSIENT,
        "ServiceUnavailable": FailureKind.TRANSIENT,
        "ServiceUnavailableException": FailureKind.TRANSIENT,
        "RequestTimeout": FailureKind.TRANSIENT,
        "RequestTimeoutException": FailureKind.TRANSIENT,
        # ResourceInUse: the WorkSpace is UPDATING or an association is in flight [assumed].
        "OperationInProgressException": FailureKind.IN_PROGRESS,
        "ResourceInUseException": FailureKind.IN_PROGRESS,
    }
)
"""By error code, which goes before the HTTP status.

Not here although they sound like it: ResourceLimitExceededException and LimitExceededException are quotas,
ResourceUnavailableException is a state of a resource, ConflictException of an account link.
"""

STATUSES: Final[Mapping[int, FailureKind]] = MappingProxyType(
    {
        408: FailureKind.TRANSIENT,
        429: FailureKind.THROTTLE,
        500: FailureKind.TRANSIENT,
        502: FailureKind.TRANSIENT,
        503: FailureKind.TRANSIENT,
        504: FailureKind.TRANSIENT,
    }
)
"""By HTTP status, where the code says nothing."""

EXCEPTIONS: Final[tuple[tuple[type[WorkSpacesError], FailureKind], ...]] = (
    (DeadlineExceededError, FailureKind.FATAL),
    (TransportError, FailureKind.TRANSIENT),
    (ThrottlingException, FailureKind.THROTTLE),
)
"""By exception type, the first that fits, where neither code nor status says anything."""

EXPIRED_CREDENTIALS_CODES: Final = frozenset({"ExpiredToken", "ExpiredTokenException"})
"""Codes after which credentials are refreshed once; such an attempt is outside the count."""

CLOCK_SKEW_CODES: Final = frozenset(
    {
        "AuthFailure",
        "InvalidSignatureException",
        "RequestExpired",
        "RequestInTheFuture",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
"""Codes after which a skewed clock is corrected once; such an attempt is outside the count.

AuthFailure is not known of WorkSpaces: other services, and so other SDKs, count it among them. [field]
"""

_OUT_OF_DATE_CODES: Final = frozenset({"RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"})
_OUT_OF_DATE_WORDS: Final = ("signature expired", "not yet current")
"""The service's words on a signature's date, beside codes that are about other faults of signatures too. [field]"""


def is_out_of_date(error: ServiceError) -> bool:
    """Tell if a request was refused for the date of its signature, so that a new signature may be taken."""
    if error.code in _OUT_OF_DATE_CODES:
        return True
    said = error.message.lower()
    return error.code in CLOCK_SKEW_CODES and any(words in said for words in _OUT_OF_DATE_WORDS)


_NOTHING_DONE: Final = frozenset({FailureKind.THROTTLE, FailureKind.IN_PROGRESS})


def classify(
    error: WorkSpacesError,
    codes: Mapping[str, FailureKind] | None = None,
    statuses: Mapping[int, FailureKind] | None = None,
    exceptions: Mapping[type[WorkSpacesError], FailureKind] | None = None,
) -> FailureKind:
    """The kind of a failure. A client's own rows go before the tables.

    Args:
        error: What the attempt failed with.
        codes: The client's own rows by error code.
        statuses: Those by HTTP status.
        exceptions: Those by class of error, of which the nearest counts. A call that is out of time is never
            repeated, whatever they say.

    Returns:
        The kind; FATAL if no table knows the error.
    """
    if isinstance(error, ServiceError):
        if codes and error.code is not None and error.code in codes:
            return codes[error.code]
        if statuses and error.http_status is not None and error.http_status in statuses:
            return statuses[error.http_status]
    if exceptions and not isinstance(error, DeadlineExceededError):
        for base in type(error).__mro__:
            if base in exceptions:
                return exceptions[base]
    if isinstance(error, ServiceError):
        if error.code is not None and error.code in CODES:
            return CODES[error.code]
        if error.http_status is not None and error.http_status in STATUSES:
            return STATUSES[error.http_status]
    for kind_of_error, kind in EXCEPTIONS:
        if isinstance(error, kind_of_error):
            return kind
    return FailureKind.FATAL


def may_have_arrived(error: WorkSpacesError) -> bool:
    """Tell if the service may have carried out the request that failed with `error`.

    An answer with 5xx, a timeout and a broken connection leave it open; a throttle and any other 4xx mean
    that nothing was done. An internal fault counts as open whatever status it came with. A client's own rows
    are no proof, so they do not count here.
    """
    if isinstance(error, TransportError):
        return error.request_sent is not False
    if isinstance(error, MalformedResponseError):
        return True
    if not isinstance(error, ServiceError):
        return False
    kind = classify(error)
    if kind in _NOTHING_DONE:
        return False
    return kind is FailureKind.TRANSIENT or error.http_status is None or error.http_status >= 500


def read_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the delay that the service asks for, in seconds.

    `x-amz-retry-after` (milliseconds) goes before `Retry-After` (seconds, or a date). WorkSpaces is not known
    to send either [field].

    Args:
        headers: The answer's headers; names in any case.
        now: The wall time, for a `Retry-After` that is a date.

    Returns:
        Seconds, 0 or more; None if neither header is there and readable.
    """
    own: str | None = None
    common: str | None = None
    for name, value in headers.items():
        lowered = name.lower()
        if lowered == "x-amz-retry-after":
            own = value.strip()
        elif lowered == "retry-after":
            common = value.strip()
    if own is not None and own.isascii() and own.isdigit():
        # Not int(): that refuses, or cannot divide, what is absurdly long.
        return float(own) / 1000
    if common is None:
        return None
    if common.isascii() and common.isdigit():
        return float(common)
    try:
        moment = parsedate_to_datetime(common)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
