"""Pure state of one deployment on one WorkSpace: what was seen, and what that means. No calls, no clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, TypeAlias

from workspaces_apps._associations import Direction
from workspaces_apps._associations.states import NextAction, Phase, next_action, same_state, state_info
from workspaces_apps._associations.workspaces import CONFIRM_AFTER, DEPLOYING, Readiness, readiness
from workspaces_apps._observe.timers import TINY
from workspaces_apps._waiters.records import AssociationStatus, Target
from workspaces_apps._waiters.unknown import note_unknown
from workspaces_apps.errors import FailedAssociation

if TYPE_CHECKING:
    from workspaces_apps._observe.snapshot import AssociationRecord, Snapshot
    from workspaces_apps.api import AssociationState, AssociationStateReason, WorkspaceState

Listener: TypeAlias = Callable[
    [str, "AssociationState | None", "AssociationState | None", "AssociationStateReason | None"], None
]
"""A function of the application, the state before, the state after, and the reason."""

DIRECTIONS: Final[Mapping[Target, Direction]] = {"installed": "install", "removed": "uninstall"}
"""The direction that leads where an association is wanted."""

TARGETS: Final[Mapping[Direction, Target]] = {direction: target for target, direction in DIRECTIONS.items()}
"""The end that a direction leads to."""


class Step(Enum):
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
    """What was wanted is not under way, and has not been for the whole grace."""
    NOT_READY = auto()
    """The WorkSpace needs somebody before it becomes ready."""
    LATE = auto()
    """The WorkSpace was on its way for longer than it may be."""
    GONE = auto()
    """The WorkSpace is terminated, or will be."""


ENDS: Final = frozenset(Step) - {Step.LOOK, Step.WORKSPACE}


class _Followed:
    """One association that is followed."""

    __slots__ = ("desired", "first", "moved", "reason", "seen", "state")

    def __init__(self, desired: Direction | None) -> None:
        self.desired: Direction | None = desired
        self.seen = False
        self.first: AssociationState | None = None
        self.state: AssociationState | None = None
        self.reason: AssociationStateReason | None = None
        self.moved = False


class Deployment:
    """The associations of one WorkSpace that a wait follows, and the WorkSpace's own state.

    Snapshots go in through `see`; `step` says what they mean. With the moment as an argument, the same snapshots always
    mean the same.
    """

    __slots__ = (
        "_absent_since",
        "_deploying_seen",
        "_ended_at",
        "_exists",
        "_moving_seen",
        "_needs_since",
        "_open_at",
        "_quiet_since",
        "_read_at",
        "_sweeping",
        "_terminal_since",
        "_workspace",
        "_workspace_at",
        "followed",
        "grace",
        "listener",
        "ready_timeout",
    )

    def __init__(
        self,
        wanted: Mapping[str, Target | None] | None,
        *,
        began: float,
        grace: float,
        ready_timeout: float = math.inf,
        listener: Listener | None = None,
    ) -> None:
        """A deployment of which nothing is known yet.

        Args:
            wanted: By application, how it is to end, as far as that is known; None for what is staged or in flight at
                the first read.
            began: When the wait began, in seconds of the clock's `monotonic`.
            grace: Seconds for which nothing need be under way.
            ready_timeout: Seconds for which the WorkSpace may be on its way after everything else has ended.
            listener: Is called with every change.
        """
        self.followed: dict[str, _Followed] | None = (
            None
            if wanted is None
            else {
                application: _Followed(DIRECTIONS[target] if target is not None else None)
                for application, target in wanted.items()
            }
        )
        self.grace: float = grace
        self.ready_timeout: float = ready_timeout
        self.listener: Listener | None = listener
        self._quiet_since = began
        self._moving_seen = False
        self._sweeping = False
        self._exists = True
        self._workspace: WorkspaceState | None = None
        self._workspace_at: float | None = None
        self._deploying_seen = False
        self._open_at = self._read_at = -math.inf
        self._ended_at: float | None = None
        self._terminal_since: float | None = None
        self._needs_since: float | None = None
        self._absent_since: float | None = None

    def see(self, snapshot: Snapshot, now: float) -> None:
        """Take in a snapshot.

        Args:
            snapshot: What was read.
            now: The moment.
        """
        self._exists = snapshot.exists
        records = snapshot.associations
        if self.followed is None and (snapshot.complete or any(map(_is_pending, records.values()))):
            # What a sweep over the catalogue showed may be incomplete: what is seen in flight later is followed too.
            self._sweeping = not snapshot.complete
            self.followed = {
                one: _Followed(state_info(record.state).direction)
                for one, record in records.items()
                if _is_pending(record)
            }
        if self.followed is None:
            return
        shown: dict[str, AssociationRecord | None] = dict(records)
        shown.update(dict.fromkeys(snapshot.absent))
        if snapshot.complete:
            shown.update(dict.fromkeys(self.followed.keys() - records.keys()))
        # They are of one moment: movement anywhere is known before any of them is judged.
        for application in sorted(shown, key=lambda one: not _is_in_flight(shown[one])):
            self._see_one(application, shown[application], now)
        if snapshot.complete:
            self._read_at = snapshot.at
        if shown or snapshot.complete:
            if self._is_over(now):
                self._ended_at = snapshot.at if self._ended_at is None else self._ended_at
                self._terminal_since = now if self._terminal_since is None else self._terminal_since
            else:
                self._open_at, self._ended_at, self._terminal_since = snapshot.at, None, None
        if snapshot.state_at is not None:
            self._see_workspace(snapshot.workspace_state, snapshot.state_at)

    def _see_one(self, application: str, record: AssociationRecord | None, now: float) -> None:
        assert self.followed is not None
        if (
            self._sweeping
            and application not in self.followed
            and record is not None
            and _is_in_flight(record)
        ):
            self.followed[application] = _Followed(state_info(record.state).direction)
        followed = self.followed.get(application)
        if followed is None:
            return
        state = record.state if record is not None else None
        reason = record.reason if record is not None else None
        if _is_in_flight(record):
            self._quiet_since, self._moving_seen = now, True
            if not followed.seen or state != followed.state:
                note_unknown("association", state, application)
        if not followed.seen:
            followed.seen, followed.moved = True, self._moving_seen
            followed.first, followed.state, followed.reason = state, state, reason
            return
        if followed.desired is None and state_info(state).phase in (Phase.STAGED, Phase.IN_FLIGHT):
            followed.desired = state_info(state).direction
        followed.moved |= self._moving_seen
        if same_state(followed.state, state):
            return
        before = followed.state
        followed.state, followed.reason, followed.moved = state, reason, True
        if self.listener is not None:
            self.listener(application, before, state, reason)

    def _see_workspace(self, state: WorkspaceState | None, at: float) -> None:
        if self._workspace_at is not None and at <= self._workspace_at:
            return
        note_unknown("WorkSpace", state)
        self._workspace, self._workspace_at = state, at
        self._deploying_seen |= state == DEPLOYING
        needs = readiness(state) is Readiness.NEEDS_SOMEBODY
        self._needs_since = (at if self._needs_since is None else self._needs_since) if needs else None
        self._absent_since = (
            (at if self._absent_since is None else self._absent_since) if state is None else None
        )

    def step(self, now: float) -> Step:
        """Return what is needed next, or how it ended."""
        failed = bool(self.followed) and self._has_failed()
        if not self._exists or self._is_gone():
            return Step.FAILED if failed and self._is_over(now) else Step.GONE
        if self.followed is None:
            return Step.LOOK
        if not self._is_over(now):
            return Step.UNSTAGED if self._is_overdue(now) else Step.LOOK
        if not self._workspace_counts():
            return Step.WORKSPACE
        ready = readiness(self._workspace)
        if ready is Readiness.READY:
            return Step.FAILED if failed else Step.DONE
        if self._needs_since is not None and self._confirmed(self._needs_since):
            return Step.FAILED if failed else Step.NOT_READY
        if self._terminal_since is not None and now - self._terminal_since >= self.ready_timeout - TINY:
            return Step.FAILED if failed else Step.LATE
        return Step.WORKSPACE

    def next_moment(self, now: float) -> float:
        """Return the next moment at which the same observations would mean something else; infinity for none."""
        moments = [math.inf]
        if self.followed is not None and not self._is_moving() and not self._is_over(now):
            moments.append(self._quiet_since + self.grace)
        if self._needs_since is not None and self._is_over(now):
            moments.append(self._needs_since + CONFIRM_AFTER)
        if self._absent_since is not None:
            moments.append(self._absent_since + CONFIRM_AFTER)
        if self._terminal_since is not None:
            moments.append(self._terminal_since + self.ready_timeout)
        return min(moment for moment in moments if moment > now + TINY)

    def interest(self, now: float) -> frozenset[str] | None:
        """Return the applications that must be read; none for the WorkSpace's state alone, None for everything."""
        if self.followed is None:
            return None
        if self._absent_since is not None and self._read_at < self._absent_since:
            # That a WorkSpace is gone, and not only mislaid, is told by a read of its associations.
            return None
        return frozenset(
            one for one, followed in self.followed.items() if not self._is_terminal(followed, now)
        )

    @property
    def workspace_state(self) -> WorkspaceState | None:
        """The WorkSpace's state as it was read last; None if it was absent or not read."""
        return self._workspace

    def statuses(self) -> tuple[AssociationStatus, ...]:
        """Return every association that is followed, as it was seen last."""
        return tuple(
            AssociationStatus(
                application_id=application,
                state=followed.state,
                wanted=TARGETS[followed.desired] if followed.desired is not None else None,
                reason=followed.reason,
            )
            for application, followed in (self.followed or {}).items()
        )

    def net_changes(self) -> list[tuple[AssociationStatus, AssociationState | None]]:
        """Return the associations that are not as they were first seen, each with its first state."""
        return [
            (status, followed.first)
            for status, followed in zip(self.statuses(), (self.followed or {}).values(), strict=True)
            if not same_state(followed.first, followed.state)
        ]

    def failures(self, workspace_id: str) -> tuple[FailedAssociation, ...]:
        """Return the associations in ERROR."""
        return tuple(
            failure_of(workspace_id, status)
            for status in self.statuses()
            if state_info(status.state).phase is Phase.FAILED
        )

    def action(self, status: AssociationStatus) -> NextAction:
        """Return what an association needs to get where it is wanted."""
        desired = DIRECTIONS[status.wanted] if status.wanted is not None else None
        return next_action(status.state, desired)

    def _is_terminal(self, followed: _Followed, now: float) -> bool:
        if not followed.seen:
            return False
        action = next_action(followed.state, followed.desired)
        if action is NextAction.RETRY:
            # A Deploy with Force may not show yet, and the record be that of the attempt before.
            return followed.moved or self._is_quiet(now)
        return action is NextAction.NOTHING

    def _is_over(self, now: float) -> bool:
        """Tell if every association is terminal; so it is if there is none."""
        return self.followed is not None and all(
            self._is_terminal(followed, now) for followed in self.followed.values()
        )

    def _has_failed(self) -> bool:
        return any(
            state_info(one.state).phase is Phase.FAILED for one in (self.followed or {}).values() if one.seen
        )

    def _is_overdue(self, now: float) -> bool:
        """Tell if something is not under way that was to be, and nothing else is."""
        return (
            self._is_quiet(now)
            and not self._is_moving()
            and any(one.seen and not self._is_terminal(one, now) for one in (self.followed or {}).values())
        )

    def _is_moving(self) -> bool:
        return any(
            state_info(one.state).phase is Phase.IN_FLIGHT
            for one in (self.followed or {}).values()
            if one.seen
        )

    def _is_quiet(self, now: float) -> bool:
        return now - self._quiet_since >= self.grace - TINY

    def _is_gone(self) -> bool:
        if self._workspace is not None:
            return readiness(self._workspace) is Readiness.GONE
        return self._absent_since is not None and self._confirmed(self._absent_since)

    def _confirmed(self, since: float) -> bool:
        return self._workspace_at is not None and self._workspace_at - since >= CONFIRM_AFTER - TINY

    def _workspace_counts(self) -> bool:
        """Tell if the WorkSpace's state was read late enough to say that it is back.

        After everything had ended; or before that was seen, but since something was still under way, if it was UPDATING
        in between: then it came back.
        """
        if self._workspace_at is None or self._ended_at is None:
            return self._workspace_at is not None and self.followed == {}
        return self._workspace_at >= self._ended_at or (
            self._deploying_seen and self._workspace_at > self._open_at
        )


def failure_of(workspace_id: str, status: AssociationStatus) -> FailedAssociation:
    """Return the record of an association in ERROR, for the error."""
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


def _is_in_flight(record: AssociationRecord | None) -> bool:
    return record is not None and state_info(record.state).phase is Phase.IN_FLIGHT


def _is_pending(record: AssociationRecord) -> bool:
    return state_info(record.state).phase in (Phase.STAGED, Phase.IN_FLIGHT)
