"""The decisions of a reconciler: the next step as a pure function, the action for an error, reasons, and limits.

Nothing here calls anything, and only the limits count. Whoever asks has read the service, and reads again after each step,
so it does not matter how a WorkSpace came to be as it is: by this run, by one that was killed, or by somebody's hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, Final, TypeAlias

from workspaces_apps._associations import Direction
from workspaces_apps._associations.states import (
    ERROR,
    IN_FLIGHT,
    SETTLED,
    STAGED,
    NextAction,
    Readiness,
    next_action,
)
from workspaces_apps._base.public import public
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

if TYPE_CHECKING:
    from workspaces_apps._base.clock import Clock
    from workspaces_apps._reconcile.writes import ReconcilePolicy


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
    """It ended in ERROR, and was retried as often as the policy allows, over all runs."""
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
    CONNECTION_UNKNOWN = "connection-unknown"
    """The service does not tell whether the user is connected."""
    HOOK_FAILED = "hook-failed"
    """The hook that is called before a deployment failed, took too long, or gave no answer that counts."""
    HOOK_SKIPPED = "hook-skipped"
    """The hook said to leave the WorkSpace alone, without a reason of its own."""
    POSTPONED = "postponed"
    """The hook postponed the deployment until the policy's time for that was up."""
    OUTSIDE_HOURS = "outside-hours"
    """It is outside the hours that the policy allows."""
    VANISHED = "vanished"
    """The WorkSpace does not exist any more."""
    CHANGED_SINCE = "changed-since"
    """Somebody has changed it since the roll-out that is to be undone."""
    THERE_BEFORE = "there-before"
    """It was so before the roll-out that is to be undone."""
    BEFORE_UNKNOWN = "before-unknown"
    """Nobody knows how it was before the roll-out that is to be undone."""
    BUDGET_SPENT = "budget-spent"
    """Too many WorkSpaces failed before its turn came."""
    CREDENTIALS = "credentials"
    """The credentials for its account were lost before its turn came."""
    DRAINED = "drained"
    """The roll-out was asked to start nothing more."""
    STOPPED = "stopped"
    """The roll-out was stopped; the change is neither of the three below, such as in ERROR."""
    LEFT_DEPLOYING = "left-deploying"
    """The roll-out ended early, and the deployment goes on at the service."""
    LEFT_STAGED = "left-staged"
    """The roll-out ended early when the change was staged and not deployed."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileInput:
    """Everything that the next step depends on.

    Attributes:
        desired: The direction of each application that is to be changed.
        states: The state of each association; what is not here is absent.
        readiness: The meaning of the WorkSpace's state; None where it must be read first.
        known: For applications in ERROR: the direction that failed, where it is known.
        tries: How often each was retried, over all runs.
        retries: How often each may be.
        cannot_restage: Applications in ERROR whose direction the service would not take anew.
        committed: Applications that a Deploy was just taken for, and that may not show it yet.
        allowed: What others may have staged: pairs of application and state; None for anything.
        allow_foreign_errors: Let Force retry also what others have in ERROR.
        assume_direction: Take the direction that is desired for the one that failed, where it is not known.
    """

    desired: Mapping[str, Direction]
    states: Mapping[str, str]
    readiness: Readiness | None
    known: Mapping[str, Direction | None]
    tries: Mapping[str, int]
    retries: int
    cannot_restage: frozenset[str] = frozenset()
    committed: frozenset[str] = frozenset()
    allowed: frozenset[tuple[str, str]] | None = frozenset()
    allow_foreign_errors: bool = False
    assume_direction: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait: a deployment is in flight.

    Attributes:
        for_others: Whether only what is not desired here is in flight.
    """

    for_others: bool = False


@dataclass(frozen=True, slots=True)
class AwaitReady:
    """Wait until the WorkSpace is ready, or read its state if nobody has."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Associate or Disassociate, in this order.

    Attributes:
        applications: What to stage.
        restaged: Those of them that are in ERROR.
    """

    applications: tuple[str, ...]
    restaged: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Deploy:
    """Deploy.

    Attributes:
        applications: What it commits or retries.
        retried: Those of them that it retries with Force.
    """

    applications: tuple[str, ...]
    retried: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Refuse:
    """Leave the WorkSpace alone.

    Attributes:
        reason: The reason.
        message: The reason in words.
        foreign: What somebody else has staged, with its state.
    """

    reason: Reason
    message: str
    foreign: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Finish:
    """End: nothing is left to do.

    Attributes:
        given_up: The applications in ERROR that stay there, each with the reason.
    """

    given_up: Mapping[str, Reason]


Decision: TypeAlias = Wait | AwaitReady | Stage | Deploy | Refuse | Finish

_PENDING: Final = frozenset({NextAction.DEPLOY, NextAction.RETRY})


def decide(now: ReconcileInput) -> Decision:
    """Return the next step."""
    actions = {application: _action(now, application) for application in now.desired}
    if NextAction.WAIT in actions.values():
        return Wait()
    done = all(action is NextAction.NOTHING for action in actions.values())
    if not done and any(state in IN_FLIGHT for state in now.states.values()):
        return Wait(for_others=True)
    if now.readiness is not Readiness.READY:
        # Done is only what is done on a WorkSpace that is back; and only a ready one takes changes [doc].
        return _unless_ready(now.readiness)
    if done:
        return Finish({})
    failed = [application for application, action in actions.items() if action is NextAction.RETRY]
    force, restage, given_up = _retry(now, failed)
    stage = [application for application, action in actions.items() if action is NextAction.STAGE]
    deploy = tuple(application for application, action in actions.items() if action is NextAction.DEPLOY)
    foreign = foreign_staged(now)
    # Taking a staged change back needs no Deploy, and so commits nothing of somebody else's.
    only_reverts = not (restage or deploy or force) and all(now.states.get(one) in STAGED for one in stage)
    if foreign and (stage or restage or deploy or force) and not only_reverts:
        listed = ", ".join(f"{one} ({state})" for one, state in foreign.items())
        return Refuse(Reason.FOREIGN_STAGED, f"staged by somebody else: {listed}", foreign)
    if stage or restage:
        # Removals first: what they make room for may conflict with what is still there.
        order = sorted([*stage, *restage], key=lambda one: now.desired[one] == "install")
        return Stage(tuple(order), frozenset(restage))
    if deploy or force:
        return Deploy((*deploy, *force), frozenset(force))
    return Finish(given_up)


def _unless_ready(readiness: Readiness | None) -> AwaitReady | Refuse:
    if readiness is Readiness.GONE:
        return Refuse(Reason.VANISHED, "the WorkSpace does not exist any more", {})
    if readiness is Readiness.NEEDS_SOMEBODY:
        return Refuse(Reason.WORKSPACE_STATE, "the WorkSpace needs manual attention", {})
    return AwaitReady()


def _action(now: ReconcileInput, application: str) -> NextAction:
    action = next_action(now.states.get(application), now.desired[application])
    if application in now.committed and action in _PENDING:
        return NextAction.WAIT
    return action


def _retry(now: ReconcileInput, failed: list[str]) -> tuple[list[str], list[str], dict[str, Reason]]:
    """Sort what is in ERROR: retried with Force, staged anew, given up."""
    force: list[str] = []
    restage: list[str] = []
    given_up: dict[str, Reason] = {}
    for application in failed:
        known = now.known.get(application)
        if now.tries.get(application, 0) >= now.retries:
            given_up[application] = Reason.RETRIES_EXHAUSTED
        elif known == now.desired[application]:
            force.append(application)
        elif application not in now.cannot_restage:
            restage.append(application)
        elif known is not None:
            given_up[application] = Reason.DIRECTION_OPPOSITE
        elif now.assume_direction:
            force.append(application)
        else:
            given_up[application] = Reason.DIRECTION_UNKNOWN
    foreign = not now.allow_foreign_errors and any(
        state == ERROR and one not in now.desired for one, state in now.states.items()
    )
    if force and (foreign or restage or given_up):
        # Force retries whatever is in ERROR on the WorkSpace [doc], so it must be right for all of it.
        reason = Reason.FOREIGN_ERROR if foreign else next(iter(given_up.values()), Reason.FOREIGN_ERROR)
        for application in force:
            if application not in now.cannot_restage:
                restage.append(application)
            elif not restage:
                given_up[application] = reason
        force = []
    return force, restage, given_up


def foreign_staged(now: ReconcileInput) -> dict[str, str]:
    """Return what others have staged, or in a state that is unknown: Deploy would commit it too [doc]."""
    if now.allowed is None:
        return {}
    return {
        application: state
        for application, state in sorted(now.states.items())
        if application not in now.desired
        and state != ERROR
        and state not in SETTLED
        and (application, state) not in now.allowed
        and (state in STAGED or state not in IN_FLIGHT)
    }


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


BUSY_DELAY: Final = 30.0
"""Seconds to wait for what else goes on on a WorkSpace."""

_FAULTS: Final = 6
"""Faults of the moment in a row after which a WorkSpace counts as failed."""

_WRITES: Final = 4
"""Times that a change may be staged or deployed beyond its retries, before somebody must be undoing it."""

_LONGEST_DELAY: Final = 30.0


class Limits:
    """Counts and times of one WorkSpace. Each count tells if that is enough.

    Args:
        clock: The time of waits.
        policy: The retries and times that are allowed.
    """

    __slots__ = (
        "_busy_since",
        "_clock",
        "_faults",
        "_policy",
        "_unready_since",
        "_waiting_since",
        "_writes",
    )

    def __init__(self, clock: Clock, policy: ReconcilePolicy) -> None:
        self._clock = clock
        self._policy = policy
        self._writes = 0
        self._faults = 0
        self._busy_since: float | None = None
        self._waiting_since: float | None = None
        self._unready_since: float | None = None

    def count_write(self) -> bool:
        """Count a step that stages or deploys."""
        self._writes += 1
        return self._writes > 2 * (_WRITES + self._policy.retries)

    def discount_write(self) -> None:
        """Take the last count of a step back: nothing was sent."""
        self._writes = max(0, self._writes - 1)

    def count_fault(self) -> bool:
        """Count a fault of the moment."""
        self._faults += 1
        return self._faults > _FAULTS

    @property
    def delay(self) -> float:
        """Seconds after which a fault of the moment may be over."""
        return min(_LONGEST_DELAY, 0.5 * 2.0**self._faults)

    def count_busy(self) -> bool:
        """Count a write that met something else going on; it was no step."""
        now = self._clock.monotonic()
        if self._busy_since is None:
            self._busy_since = now
        self.discount_write()
        return now - self._busy_since > self._policy.deployment_timeout

    def wait_until(self) -> float:
        """Return the moment until which to wait for the deployment; the first call begins the wait."""
        if self._waiting_since is None:
            self._waiting_since = self._clock.monotonic()
        return self._waiting_since + self._policy.deployment_timeout

    def ready_until(self) -> float:
        """Return the moment until which to wait for the WorkSpace to be ready; the first call begins the wait."""
        if self._unready_since is None:
            self._unready_since = self._clock.monotonic()
        return self._unready_since + self._policy.ready_timeout

    def end_wait(self) -> None:
        """Note that no deployment is waited for any more."""
        self._waiting_since = None

    def end_unready(self) -> None:
        """Note that the WorkSpace is ready, or deploying."""
        self._unready_since = None

    def reset(self) -> None:
        """Note that the service took a step."""
        self._faults = 0
        self._busy_since = None
