"""The records that waits for deployments return, and the meaning to a wait of what was seen of one. Nothing here calls."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar

from workspaces_apps import api
from workspaces_apps._associations import Direction
from workspaces_apps._associations.states import (
    DEPLOYING,
    ERROR,
    NextAction,
    Phase,
    Readiness,
    next_action,
    state_info,
)
from workspaces_apps._base.logs import field_logger
from workspaces_apps._base.public import Datetime, public
from workspaces_apps._base.text import NAME_LIMIT, harmless
from workspaces_apps._observe.reads import state_of
from workspaces_apps._observe.schedule import TINY
from workspaces_apps._reconcile.observed_state import ObservedState
from workspaces_apps.errors import FailedAssociation, WaiterError, WorkSpacesError

if TYPE_CHECKING:
    from datetime import datetime

    from workspaces_apps._base.clock import Clock
    from workspaces_apps._model.validation import OpenEnum
    from workspaces_apps._observe.reads import AssociationRecord, Snapshot
    from workspaces_apps._reconcile.observed_state import StateChange


ErrorT = TypeVar("ErrorT", bound=WorkSpacesError)

WantedState: TypeAlias = Literal["installed", "removed"]
"""The end that an association is meant to come to."""


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationStatus:
    """An association as it was seen last."""

    application_id: str
    """The application."""
    state: api.AssociationState | None
    """Its state; None if there is no association (any more)."""
    wanted: WantedState | None
    """The state it is meant to end in; None where nothing tells."""
    reason: api.AssociationStateReason | None = None
    """The reason of the failure, in the service's words."""


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationChange:
    """An association that was seen in another state than before."""

    workspace_id: str
    """The WorkSpace."""
    application_id: str
    """The application."""
    before: api.AssociationState | None
    """The state before; None if there was no association."""
    after: api.AssociationState | None
    """The state now; None if there is no association any more."""
    reason: api.AssociationStateReason | None
    """The reason of the failure, in the service's words."""
    at: Datetime
    """The time it was seen, by the client's clock; the change itself came earlier."""


OnChange: TypeAlias = Callable[[AssociationChange], Awaitable[object] | object]
"""A function, or a coroutine function, that is called with every change."""


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentOutcome:
    """The outcome of a deployment on one WorkSpace."""

    workspace_id: str
    """The WorkSpace."""
    associations: tuple[AssociationStatus, ...] = ()
    """Every association that was followed, as it was seen last."""
    changed: tuple[AssociationChange, ...] = ()
    """One change for each that ended in another state than it was first seen in."""
    failed: tuple[FailedAssociation, ...] = ()
    """Those in ERROR."""
    elapsed: timedelta
    """The time it took."""
    polls: int
    """The number of polls."""
    done: tuple[str, ...] = ()
    """The applications that the call itself staged or deployed."""
    already: tuple[str, ...] = ()
    """The applications that were in sync before the call did anything."""
    error: WorkSpacesError | None = None
    """The error that ended the wait, where several are waited for at once and this one did not end well."""


_log = field_logger("workspaces_apps.waiters")

_noted: set[tuple[str, str]] = set()
_NOTED_AT_MOST: Final = 256


def note_unknown(kind: str, state: OpenEnum | None, name: str = "") -> None:
    """Log a state that this package does not know, once in a process.

    Args:
        kind: Of what it is a state.
        state: The state; nothing happens if it is known, or None.
        name: What was seen in it, if that is to be told.
    """
    if state is None or state.is_known or (kind, state) in _noted:
        return
    if len(_noted) < _NOTED_AT_MOST:
        _noted.add((kind, str(state)))
    place = f" of {harmless(name, NAME_LIMIT)}" if name else ""
    _log.warning("unknown %s state %s%s: it counts as under way", kind, harmless(state, NAME_LIMIT), place)


DIRECTIONS: Final[Mapping[WantedState, Direction]] = {"installed": "install", "removed": "uninstall"}
"""The direction that leads where an association is wanted."""

WANTED_STATES: Final[Mapping[Direction, WantedState]] = {
    direction: wanted for wanted, direction in DIRECTIONS.items()
}
"""The end that a direction leads to."""


class NextStep(Enum):
    """The next step of a deployment, or its ending."""

    LOOK = auto()
    """Read its associations again."""
    WORKSPACE = auto()
    """Every association is terminal: read the state of the WorkSpace."""
    DONE = auto()
    """Everything is where it was wanted, and the WorkSpace is ready."""
    FAILED = auto()
    """Everything is terminal, something is in ERROR, and nothing more will come of the WorkSpace's state."""
    UNSTAGED = auto()
    """Nothing of what was wanted is under way, and has not been for the whole grace."""
    NOT_READY = auto()
    """The WorkSpace needs somebody before it becomes ready."""
    LATE = auto()
    """The WorkSpace was on its way for longer than it may be."""
    GONE = auto()
    """The WorkSpace is terminated, or will be."""


ENDS: Final = frozenset(NextStep) - {NextStep.LOOK, NextStep.WORKSPACE}

_PENDING: Final = frozenset({Phase.STAGED, Phase.IN_FLIGHT})


class Deployment:
    """The associations of one WorkSpace that a wait follows, and the WorkSpace's own state.

    Snapshots go in through `see`; `step` says what they mean. With the moment as an argument, the same snapshots always
    mean the same.

    Attributes:
        observed: The WorkSpace, as it was read.
        followed: By application that is followed, the desired direction, as far as it is known; None until it is known
            what to follow.
        grace: Seconds for which nothing need be under way.
        ready_timeout: Seconds for which the WorkSpace may be on its way after everything else has ended.
    """

    __slots__ = (
        "_ended_at",
        "_listener",
        "_moved",
        "_moving_seen",
        "_open_at",
        "_quiet_since",
        "_sweeping",
        "_terminal_since",
        "followed",
        "grace",
        "observed",
        "ready_timeout",
    )

    def __init__(
        self,
        wanted: Mapping[str, WantedState | None] | None,
        *,
        clock: Clock,
        began: float,
        grace: float,
        ready_timeout: float = math.inf,
        listener: Callable[[StateChange], None] | None = None,
    ) -> None:
        """Make a deployment of which nothing is known yet.

        Args:
            wanted: By application, how it is to end, as far as that is known; None for what is staged or in flight at
                the first read.
            clock: The time of reads.
            began: When the wait began, in seconds of the clock's `monotonic`.
            grace: Seconds for which nothing need be under way.
            ready_timeout: Seconds for which the WorkSpace may be on its way after everything else has ended.
            listener: Is called with every change.
        """
        self.observed: ObservedState = ObservedState(wanted or (), clock)
        self.followed: dict[str, Direction | None] | None = None
        if wanted is not None:
            self.followed = {one: DIRECTIONS[end] if end is not None else None for one, end in wanted.items()}
        self.grace: float = grace
        self.ready_timeout: float = ready_timeout
        self._listener = listener
        self._quiet_since = began
        self._moving_seen = False
        self._moved = frozenset[str]()
        self._sweeping = False
        self._open_at = -math.inf
        self._ended_at: float | None = None
        self._terminal_since: float | None = None

    def see(self, snapshot: Snapshot, now: float) -> None:
        """Take in a snapshot.

        Args:
            snapshot: What was read.
            now: The moment.
        """
        self._follow(snapshot)
        observed, followed = self.observed, self.followed or {}
        news = followed.keys() - observed.first.keys()
        changes = {change.application_id: change for change in observed.update(snapshot)}
        shown = snapshot.associations.keys() | snapshot.absent
        seen = [one for one in followed if snapshot.complete or one in shown]
        # They are of one moment: movement anywhere is known before any of them is judged.
        if any(self._phase(one) is Phase.IN_FLIGHT for one in seen):
            self._quiet_since, self._moving_seen = now, True
        for one in seen:
            if one in news or one in changes:
                note_unknown("association", observed.state(one), one)
            if one not in self._moved and (self._moving_seen or (one in changes and one not in news)):
                self._moved |= {one}
            if one in news:
                continue
            if followed[one] is None and self._phase(one) in _PENDING:
                followed[one] = state_info(observed.state(one)).direction
            if one in changes and self._listener is not None:
                self._listener(changes[one])
        self._note_end([one for one in seen if not self._is_terminal(one, now)], snapshot, now)
        if snapshot.state_at is not None:
            note_unknown("WorkSpace", observed.workspace_state)

    def goes_on(self, snapshot: Snapshot) -> bool:
        """Tell if a snapshot shows only what was known: the WorkSpace is still being deployed on."""
        return (
            snapshot.is_state_alone
            and snapshot.exists
            and snapshot.workspace_state == self.observed.workspace_state == DEPLOYING
            and self._is_moving()
        )

    def _follow(self, snapshot: Snapshot) -> None:
        """Choose what is followed, where the caller has not: what the first read shows to be staged or in flight."""
        if self.followed is not None and not self._sweeping:
            return
        infos = {one: state_info(record.state) for one, record in snapshot.associations.items()}
        followed: dict[str, Direction | None] = self.followed if self.followed is not None else {}
        if self.followed is None:
            followed |= {one: info.direction for one, info in infos.items() if info.phase in _PENDING}
            if not followed and not snapshot.complete:
                return
            # What a sweep over the catalogue showed may be incomplete: what is seen in flight later is followed too.
            self._sweeping = not snapshot.complete
            self.followed = followed
        for one, info in infos.items() if self._sweeping else ():
            if info.phase is Phase.IN_FLIGHT:
                followed.setdefault(one, info.direction)
        self.observed.applications = frozenset(followed)

    def _note_end(self, still_open: Sequence[str], snapshot: Snapshot, now: float) -> None:
        if still_open:
            self._open_at = snapshot.at
        if not self.is_over(now):
            self._ended_at = self._terminal_since = None
        elif self._ended_at is None and (snapshot.complete or snapshot.associations or snapshot.absent):
            self._ended_at, self._terminal_since = snapshot.at, now

    def step(self, now: float) -> NextStep:
        """Return what is needed next, or how it ended."""
        failed = any(self._phase(one) is Phase.FAILED for one in self.followed or ())
        if self.observed.last_readiness is Readiness.GONE:
            return NextStep.FAILED if failed and self.is_over(now) else NextStep.GONE
        if self.followed is None:
            return NextStep.LOOK
        if not self.is_over(now):
            return NextStep.UNSTAGED if self._is_overdue(now) else NextStep.LOOK
        ready = None
        if self._ended_at is not None or not self.followed:
            ready = self.observed.readiness_after(self._ended_at, self._open_at)
        if ready is Readiness.READY:
            return NextStep.FAILED if failed else NextStep.DONE
        if ready is Readiness.NEEDS_SOMEBODY:
            return NextStep.FAILED if failed else NextStep.NOT_READY
        if (
            ready is not None
            and self._terminal_since is not None
            and now - self._terminal_since >= self.ready_timeout - TINY
        ):
            return NextStep.FAILED if failed else NextStep.LATE
        return NextStep.WORKSPACE

    def next_moment(self, now: float) -> float:
        """Return the next moment at which the same observations would mean something else; infinity for none."""
        moments = [math.inf]
        over = self.is_over(now)
        if self.followed is not None and not over and not self._is_moving():
            moments.append(self._quiet_since + self.grace)
        meanings = (Readiness.GONE, *((Readiness.NEEDS_SOMEBODY,) if over else ()))
        moments.extend(map(self.observed.confirmed_at, meanings))
        if self._terminal_since is not None:
            moments.append(self._terminal_since + self.ready_timeout)
        return min(moment for moment in moments if moment > now + TINY)

    def interest(self, now: float) -> frozenset[str] | None:
        """Return the applications that must be read; none for the WorkSpace's state alone, None for everything."""
        if self.followed is None:
            return None
        if self.observed.is_absence_unproven:
            return None
        if self._ended_at is None and self.is_over(now):
            # Time alone has ended it: what was read last may be from before a Deploy with Force.
            return frozenset(self.followed)
        return frozenset(one for one in self.followed if not self._is_terminal(one, now))

    def is_over(self, now: float) -> bool:
        """Tell if every association is terminal; so it is if there is none."""
        return self.followed is not None and all(self._is_terminal(one, now) for one in self.followed)

    def statuses(self) -> tuple[AssociationStatus, ...]:
        """Return every association that is followed and was read, as it was seen last."""
        return tuple(
            status_of(one, self.observed.records.get(one), direction)
            for one, direction in (self.followed or {}).items()
            if one in self.observed.first
        )

    def net_changes(self) -> list[StateChange]:
        """Return the associations that are not as they were first seen, each as one change."""
        return self.observed.net_changes(one for one in self.followed or () if one in self.observed.first)

    def failures(self, workspace_id: str) -> tuple[FailedAssociation, ...]:
        """Return the associations in ERROR."""
        return failures_of(workspace_id, self.statuses())

    def action(self, status: AssociationStatus) -> NextAction:
        """Return what an association needs to get where it is wanted."""
        return next_action(status.state, DIRECTIONS[status.wanted] if status.wanted is not None else None)

    def _phase(self, application: str) -> Phase:
        return state_info(self.observed.state(application)).phase

    def _is_terminal(self, application: str, now: float) -> bool:
        if application not in self.observed.first:
            return False
        action = next_action(self.observed.state(application), (self.followed or {}).get(application))
        if action is NextAction.RETRY:
            # A Deploy with Force may not show yet, and the record be that of the attempt before.
            return application in self._moved or self._is_quiet(now)
        return action is NextAction.NOTHING

    def _is_overdue(self, now: float) -> bool:
        """Tell if something is not under way that was to be, and nothing else is."""
        return (
            self._is_quiet(now)
            and not self._is_moving()
            and any(
                one in self.observed.first and not self._is_terminal(one, now) for one in self.followed or ()
            )
        )

    def _is_moving(self) -> bool:
        return any(self._phase(one) is Phase.IN_FLIGHT for one in self.followed or ())

    def _is_quiet(self, now: float) -> bool:
        return now - self._quiet_since >= self.grace - TINY


def described(
    error: ErrorT, resource_id: str, *, last: Mapping[str, object], elapsed: float, polls: int
) -> ErrorT:
    """Return the error that ends a wait, with what was seen last, and how long the wait has taken."""
    error.last = last
    if isinstance(error, WaiterError):
        error.elapsed = timedelta(seconds=elapsed)
        error.polls, error.resource_id = polls, resource_id
    return error


def status_of(
    application: str, record: AssociationRecord | None, direction: Direction | None
) -> AssociationStatus:
    """Return an association as it was seen last; None for one that is not there."""
    return AssociationStatus(
        application_id=application,
        state=state_of(record),
        wanted=WANTED_STATES[direction] if direction is not None else None,
        reason=record.reason if record is not None else None,
    )


def states_in_words(applications: Iterable[str], observed: ObservedState) -> str:
    """Return the states of associations as they were seen last, for a message."""
    return ", ".join(
        f"{one} {observed.state(one) or 'absent' if one in observed.first else 'never read'}"
        for one in applications
    )


def change_of(workspace_id: str, change: StateChange, at: datetime) -> AssociationChange:
    """Return a change as callers are told it."""
    after = change.after
    return AssociationChange(
        workspace_id=workspace_id,
        application_id=change.application_id,
        before=state_of(change.before),
        after=state_of(after),
        reason=after.reason if after is not None else None,
        at=at,
    )


def failures_of(workspace_id: str, statuses: Sequence[AssociationStatus]) -> tuple[FailedAssociation, ...]:
    """Return the records of the associations in ERROR, for the error."""
    return tuple(
        _failure_of(workspace_id, one) for one in statuses if one.state is not None and one.state == ERROR
    )


def _failure_of(workspace_id: str, status: AssociationStatus) -> FailedAssociation:
    reason = status.reason
    what = {"installed": "the installation", "removed": "the removal"}.get(
        status.wanted or "", "whatever failed, which the service's record does not tell"
    )
    return FailedAssociation(
        workspace_id=workspace_id,
        application_id=status.application_id,
        wanted=status.wanted,
        code=str(reason.error_code) if reason is not None and reason.error_code is not None else None,
        message=reason.error_message if reason is not None else None,
        force=f"deploy_workspace_applications(force=True) would repeat {what}",
    )
