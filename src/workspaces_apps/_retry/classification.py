"""Tables: the kinds of failures, and which operations may be repeated once a request may have arrived."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

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

PROXY_STATUSES: Final[Mapping[int, FailureKind]] = MappingProxyType(
    {
        # What it has against the request, or whoever sends it, stays: its rules, or its user and password.
        403: FailureKind.FATAL,
        407: FailureKind.FATAL,
    }
)
"""By HTTP status with which a proxy refused the way to the service."""

EXCEPTIONS: Final[tuple[tuple[type[WorkSpacesError], FailureKind], ...]] = (
    (DeadlineExceededError, FailureKind.FATAL),
    (TransportError, FailureKind.TRANSIENT),
    (ThrottlingException, FailureKind.THROTTLE),
)
"""By exception type, the first that fits, where no code and no status says anything."""

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
    """Return the kind of a failure. A client's own rows go before the tables.

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
    refused = error.proxy_status if isinstance(error, TransportError) else None
    if refused is not None and refused in PROXY_STATUSES:
        return PROXY_STATUSES[refused]
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


class Strategy(StrEnum):
    """A reaction to a failure that leaves open whether the request was carried out."""

    REPEAT = "repeat"
    """Send it again: twice leaves what once leaves."""
    LOOK = "look"
    """Ask the service what became of it, then decide."""
    FAIL = "fail"
    """Raise, and say what to look up."""


class RepetitionRule(NamedTuple):
    """The rule for repeating one operation, with its reason.

    Attributes:
        repeatable: Whether it may be sent again once it may have arrived.
        reason: Why, or why not.
        strategy: What to do after a failure that leaves the outcome open.
        look_up: What shows whether the request was carried out.
    """

    repeatable: bool
    reason: str
    strategy: Strategy
    look_up: str = ""


def _read(*operations: str) -> dict[str, RepetitionRule]:
    rule = RepetitionRule(repeatable=True, reason="It only reads.", strategy=Strategy.REPEAT)
    return dict.fromkeys(operations, rule)


def _yes(reason: str) -> RepetitionRule:
    return RepetitionRule(repeatable=True, reason=reason, strategy=Strategy.REPEAT)


def _no(reason: str, look_up: str, strategy: Strategy = Strategy.FAIL) -> RepetitionRule:
    return RepetitionRule(repeatable=False, reason=reason, strategy=strategy, look_up=look_up)


_SAME_VALUES: Final = "It writes the given values over what is there; again, it writes the same [assumed]."
_SECOND_ONE: Final = "A repetition may make a second one: there is no client token [seen]."
_GONE: Final = "A repetition finds nothing to remove and fails, though the first did the work [assumed]."
_NEW_STATE: Final = "The first may have changed the state, and a repetition is then refused [assumed]."
_TOKEN: Final = "Its client token would have to be the same in the repetition, and is made anew each time."

REPEATABLE: Final[Mapping[str, RepetitionRule]] = MappingProxyType(
    {
        **_read(
            "DescribeAccount",
            "DescribeAccountModifications",
            "DescribeApplicationAssociations",
            "DescribeApplications",
            "DescribeBundleAssociations",
            "DescribeClientBranding",
            "DescribeClientProperties",
            "DescribeConnectClientAddIns",
            "DescribeConnectionAliasPermissions",
            "DescribeConnectionAliases",
            "DescribeCustomWorkspaceImageImport",
            "DescribeImageAssociations",
            "DescribeIpGroups",
            "DescribeTags",
            "DescribeWorkspaceAssociations",
            "DescribeWorkspaceBundles",
            "DescribeWorkspaceDirectories",
            "DescribeWorkspaceImagePermissions",
            "DescribeWorkspaceImages",
            "DescribeWorkspaceSnapshots",
            "DescribeWorkspaces",
            "DescribeWorkspacesConnectionStatus",
            "DescribeWorkspacesPoolSessions",
            "DescribeWorkspacesPools",
            "GetAccountLink",
            "ListAccountLinks",
            "ListAvailableManagementCidrRanges",
        ),
        "AcceptAccountLinkInvitation": _no(_TOKEN, "GetAccountLink: the status of the link"),
        "AssociateConnectionAlias": _no(_NEW_STATE, "DescribeConnectionAliases: the alias's associations"),
        "AssociateIpGroups": _no(
            "What it answers for a group that is associated already is not documented.",
            "DescribeWorkspaceDirectories: ipGroupIds of the directory",
        ),
        "AssociateWorkspaceApplication": _yes(
            "It only stages; staged already, it answers ResourceAlreadyExistsException and changes nothing"
            " [assumed], and that answer to a repetition is success."
        ),
        "AuthorizeIpRules": _no(
            "What it answers for a rule that is there already is not documented.",
            "DescribeIpGroups: the rules of the group",
        ),
        "CopyWorkspaceImage": _no(_SECOND_ONE, "DescribeWorkspaceImages: an image of that name"),
        "CreateAccountLinkInvitation": _no(_TOKEN, "ListAccountLinks: a link to that account"),
        "CreateConnectClientAddIn": _no(_SECOND_ONE, "DescribeConnectClientAddIns: an add-in of that name"),
        "CreateConnectionAlias": _no(
            _SECOND_ONE, "DescribeConnectionAliases: an alias of that connection string"
        ),
        "CreateIpGroup": _no(_SECOND_ONE, "DescribeIpGroups: a group of that name"),
        "CreateStandbyWorkspaces": _no(
            _SECOND_ONE, "DescribeWorkspaces in the standby Region: RelatedWorkspaces of each WorkSpace"
        ),
        "CreateTags": _yes("A tag that is there already gets the value it has [assumed]."),
        "CreateUpdatedWorkspaceImage": _no(_SECOND_ONE, "DescribeWorkspaceImages: an image of that name"),
        "CreateWorkspaceBundle": _no(_SECOND_ONE, "DescribeWorkspaceBundles: a bundle of that name"),
        "CreateWorkspaceImage": _no(_SECOND_ONE, "DescribeWorkspaceImages: an image of that name"),
        "CreateWorkspaces": _no(
            "A repetition may make, and bill, a second WorkSpace: there is no client token [seen].",
            "DescribeWorkspaces by DirectoryId and UserName, again after some minutes, because a new"
            " WorkSpace may be absent for a while",
        ),
        "CreateWorkspacesPool": _no(_SECOND_ONE, "DescribeWorkspacesPools: a pool of that name"),
        "DeleteAccountLinkInvitation": _no(_TOKEN, "GetAccountLink: the link is gone"),
        "DeleteClientBranding": _no(_GONE, "DescribeClientBranding: the platforms are gone"),
        "DeleteConnectClientAddIn": _no(_GONE, "DescribeConnectClientAddIns: the add-in is gone"),
        "DeleteConnectionAlias": _no(_GONE, "DescribeConnectionAliases: the alias is gone"),
        "DeleteIpGroup": _no(_GONE, "DescribeIpGroups: the group is gone"),
        "DeleteTags": _yes("A tag that is gone already stays gone [assumed]."),
        "DeleteWorkspaceBundle": _no(_GONE, "DescribeWorkspaceBundles: the bundle is gone"),
        "DeleteWorkspaceImage": _no(_GONE, "DescribeWorkspaceImages: the image is gone"),
        "DeployWorkspaceApplications": _no(
            "It commits everything staged at that moment and ends the user's session [doc]; a repetition"
            " would also commit what was staged in between.",
            "DescribeWorkspaceAssociations: nothing is staged any more if the deployment began",
            Strategy.LOOK,
        ),
        "DeregisterWorkspaceDirectory": _no(
            _NEW_STATE, "DescribeWorkspaceDirectories: the state of the directory"
        ),
        "DisassociateConnectionAlias": _no(_NEW_STATE, "DescribeConnectionAliases: the alias's associations"),
        "DisassociateIpGroups": _no(
            "What it answers for a group that is not associated is not documented.",
            "DescribeWorkspaceDirectories: ipGroupIds of the directory",
        ),
        "DisassociateWorkspaceApplication": _yes(
            "It only stages, or takes a staged install back; gone already, it answers"
            " ResourceNotFoundException, staged already, ResourceInUseException, and changes nothing [assumed],"
            " and such an answer to a repetition is success."
        ),
        "ImportClientBranding": _no(
            "Whether it replaces or refuses what is there is not documented.",
            "DescribeClientBranding: the branding of each platform",
        ),
        "ImportCustomWorkspaceImage": _no(_SECOND_ONE, "DescribeWorkspaceImages: an image of that name"),
        "ImportWorkspaceImage": _no(_SECOND_ONE, "DescribeWorkspaceImages: an image of that name"),
        "MigrateWorkspace": _no(
            "It replaces the WorkSpace by a new one; a repetition finds the old one migrating, or gone.",
            "DescribeWorkspaces: RelatedWorkspaces and the state of the source",
        ),
        "ModifyAccount": _no(_NEW_STATE, "DescribeAccountModifications: a modification just begun"),
        "ModifyCertificateBasedAuthProperties": _yes(_SAME_VALUES),
        "ModifyClientProperties": _yes(_SAME_VALUES),
        "ModifyEndpointEncryptionMode": _yes(_SAME_VALUES),
        "ModifySamlProperties": _yes(_SAME_VALUES),
        "ModifySelfservicePermissions": _yes(_SAME_VALUES),
        "ModifyStreamingProperties": _yes(_SAME_VALUES),
        "ModifyWorkspaceAccessProperties": _yes(_SAME_VALUES),
        "ModifyWorkspaceCreationProperties": _yes(_SAME_VALUES),
        "ModifyWorkspaceProperties": _no(
            "It begins a modification that takes time, and while one runs a repetition is refused [doc].",
            "DescribeWorkspaces: ModificationStates and WorkspaceProperties",
        ),
        "ModifyWorkspaceState": _no(_NEW_STATE, "DescribeWorkspaces: the state"),
        "RebootWorkspaces": _no("A repetition may reboot twice.", "DescribeWorkspaces: REBOOTING"),
        "RebuildWorkspaces": _no(
            "It throws away what was written since the last snapshot [doc].", "DescribeWorkspaces: REBUILDING"
        ),
        "RegisterWorkspaceDirectory": _no(
            _NEW_STATE, "DescribeWorkspaceDirectories: the directory and its state"
        ),
        "RejectAccountLinkInvitation": _no(_TOKEN, "GetAccountLink: the status of the link"),
        "RestoreWorkspace": _no(
            "It throws away what was written since the last snapshot [doc].", "DescribeWorkspaces: RESTORING"
        ),
        "RevokeIpRules": _no(
            "What it answers for a rule that is not there is not documented.",
            "DescribeIpGroups: the rules of the group",
        ),
        "StartWorkspaces": _no(
            "Only a STOPPED WorkSpace can be started [doc]; a repetition would report those that the first"
            " one started as failed requests.",
            "DescribeWorkspaces: STARTING or AVAILABLE",
        ),
        "StartWorkspacesPool": _no(_NEW_STATE, "DescribeWorkspacesPools: the state"),
        "StopWorkspaces": _no(
            "A WorkSpace that is stopping or stopped cannot be stopped [doc]; a repetition would report those"
            " that the first one stopped as failed requests.",
            "DescribeWorkspaces: STOPPING or STOPPED",
        ),
        "StopWorkspacesPool": _no(_NEW_STATE, "DescribeWorkspacesPools: the state"),
        "TerminateWorkspaces": _no(
            "A repetition may report those that the first one terminated as failed requests [assumed].",
            "DescribeWorkspaces: TERMINATING, TERMINATED or absent",
        ),
        "TerminateWorkspacesPool": _no(_NEW_STATE, "DescribeWorkspacesPools: the state, or absent"),
        "TerminateWorkspacesPoolSession": _no(_GONE, "DescribeWorkspacesPoolSessions: the session is gone"),
        "UpdateConnectClientAddIn": _yes(_SAME_VALUES),
        "UpdateConnectionAliasPermission": _no(
            "What it answers for a permission that is there already is not documented.",
            "DescribeConnectionAliasPermissions: the account's permission",
        ),
        "UpdateRulesOfIpGroup": _yes("It replaces all rules of the group by the given ones [doc]."),
        "UpdateWorkspaceBundle": _yes(_SAME_VALUES),
        "UpdateWorkspaceImagePermission": _yes(_SAME_VALUES),
        "UpdateWorkspacesPool": _no(_NEW_STATE, "DescribeWorkspacesPools: the pool's properties and state"),
    }
)
"""By operation. An operation without a row is not repeatable; a test demands a row for each in the model."""

AMBIGUOUS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "AssociateWorkspaceApplication": frozenset({"ResourceAlreadyExistsException"}),
        # Not found after a staged installation was taken back; in use where a removal is staged. [assumed]
        "DisassociateWorkspaceApplication": frozenset(
            {"ResourceNotFoundException", "ResourceInUseException"}
        ),
    }
)
"""By operation: the error codes that our own earlier attempt explains, if that one may have arrived."""

_UNKNOWN: Final = RepetitionRule(
    repeatable=False,
    reason="Nothing is known of this operation.",
    strategy=Strategy.FAIL,
    look_up="the resource that it was to change",
)


def rule_for(operation: str) -> RepetitionRule:
    """Return the rule for repeating `operation`; for one without a row, the careful one."""
    return REPEATABLE.get(operation, _UNKNOWN)


def caused_by_earlier_attempt(operation: str, error: WorkSpacesError) -> bool:
    """Tell if `error` is what an earlier attempt of the same call would cause, had it been carried out.

    Ask only after an attempt that may have arrived; then look what is there before calling it success.
    """
    return error.code is not None and error.code in AMBIGUOUS.get(operation, ())


def outcome_unknown(operation: str) -> str:
    """Return the message for a caller whose request may have been carried out and must not be repeated."""
    rule = rule_for(operation)
    return (
        "Not repeated, and the outcome is unknown: the request may have been carried out."
        f" {rule.reason} Look up {rule.look_up or 'the resource'}."
    )
