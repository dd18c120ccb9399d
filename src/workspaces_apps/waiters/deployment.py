"""What is known of one deployment on one WorkSpace, and what must be asked next: no calls, no clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from workspaces_apps.errors import FailedAssociation
from workspaces_apps.waiters.acceptors import Phase, Verdict, association_row, verdict_on
from workspaces_apps.waiters.policy import TINY
from workspaces_apps.waiters.records import AssociationStatus, Target
from workspaces_apps.waiters.unknown import note_unknown

if TYPE_CHECKING:
    from workspaces_apps.api import AssociationState, AssociationStateReason, WorkspaceState


class AssociationRecord(Protocol):
    """An association as either listing shows it."""

    @property
    def state(self) -> AssociationState:
        """How far it has come."""
        ...

    @property
    def state_reason(self) -> AssociationStateReason | None:
        """Why it failed."""
        ...


Listener: TypeAlias = Callable[
    [str, "AssociationState | None", "AssociationState | None", "AssociationStateReason | None"], None
]
"""Is told the application, the state before, the state after, and the reason."""


class Step(Enum):
    """What a deployment needs next, or how it ended."""

    LOOK = auto()
    """Look at its associations again."""
    CONFIRM = auto()
    """Look at this WorkSpace by itself: a long listing did not show a record that would mean the end."""
    WORKSPACE = auto()
    """Every association is terminal: ask for the state of the WorkSpace."""
    DONE = auto()
    """Everything is where it was wanted, and the WorkSpace is back."""
    FAILED = auto()
    """Everything is terminal, something is in ERROR, and the WorkSpace is back, or lost."""
    UNSTAGED = auto()
    """What was wanted is not under way, and has not been for the whole grace."""
    LOST = auto()
    """The WorkSpace is gone, or broken beyond use."""


ENDS: Final = frozenset({Step.DONE, Step.FAILED, Step.UNSTAGED, Step.LOST})


class _Followed:
    """One association that is followed."""

    __slots__ = ("first", "missing", "moved", "reason", "seen", "state", "wanted")

    def __init__(self, wanted: Target | None) -> None:
        self.wanted: Target | None = wanted
        self.seen = False
        self.first: AssociationState | None = None
        self.state: AssociationState | None = None
        self.reason: AssociationStateReason | None = None
        self.moved = False
        self.missing = False


class Deployment:
    """The associations of one WorkSpace that a wait follows.

    What was seen goes in through `see`, `see_all` and `see_workspace`; `step` says what it means. With the moment
    of each observation as an argument, the same observations always mean the same.
    """

    __slots__ = (
        "_asked",
        "_moving_seen",
        "_open",
        "_quiet_since",
        "_workspace",
        "followed",
        "grace",
        "listener",
    )

    def __init__(
        self,
        wanted: Mapping[str, Target | None] | None,
        *,
        began: float,
        grace: float,
        listener: Listener | None = None,
    ) -> None:
        """A deployment of which nothing is known yet.

        Args:
            wanted: What is to end how, as far as that is known; None for what is staged or under way at the first look.
            began: When the wait began, in seconds of the clock's `monotonic`.
            grace: For how many seconds nothing need be under way.
            listener: Who is told of changes.
        """
        self.followed: dict[str, _Followed] | None = (
            None
            if wanted is None
            else {application: _Followed(where) for application, where in wanted.items()}
        )
        self.grace: float = grace
        self.listener: Listener | None = listener
        self._quiet_since = began
        self._moving_seen = False
        self._open = False
        self._asked = False
        self._workspace: WorkspaceState | None = None

    def see_all(self, records: Mapping[str, AssociationRecord], now: float) -> bool:
        """Take in everything that is associated with the WorkSpace.

        Args:
            records: The associations by application id.
            now: When they were seen.

        Returns:
            Whether something changed.
        """
        if self.followed is None:
            self.followed = _staged_or_moving(records)
        if self._open:
            for application in records:
                self._follow_if_moving(application, records[application])
        # They are of one moment: movement anywhere is known before any of them is judged.
        changed = False
        later: list[str] = []
        for application in self.followed:
            record = records.get(application)
            if record is not None and association_row(record.state).unknown is Phase.MOVING:
                changed |= self.see(application, record, now, sure=True)
            else:
                later.append(application)
        for application in later:
            changed |= self.see(application, records.get(application), now, sure=True)
        return changed

    def begin(self, records: Mapping[str, AssociationRecord]) -> bool:
        """Follow what is staged or under way; False if nothing is, and then nothing is decided.

        Some of it may have slipped by, so that what is seen under way later is followed too: a WorkSpace has one
        deployment at a time.
        """
        self.followed = _staged_or_moving(records) or None
        self._open = True
        return self.followed is not None

    def see(self, application: str, record: AssociationRecord | None, now: float, *, sure: bool) -> bool:
        """Take in one association.

        Args:
            application: The application; nothing happens if it is not followed.
            record: The association; None if there is none.
            now: When it was seen.
            sure: Whether an absence is certain. It is not where pages were read one after the other: a row may
                slip from a page that is still to come to one that was read. Then it changes nothing, and
                `step` asks for a look that is certain.

        Returns:
            Whether it changed.
        """
        if self._open and record is not None:
            self._follow_if_moving(application, record)
        followed = self.followed.get(application) if self.followed is not None else None
        if followed is None:
            return False
        state = record.state if record is not None else None
        known_gone = followed.seen and _gone(followed.state)
        followed.missing = state is None and not sure and not known_gone
        if followed.missing:
            return False
        row = association_row(state)
        phase = row.phase(followed.wanted)
        if phase is Phase.MOVING:
            self._quiet_since = now
            self._moving_seen = True
            if not followed.seen or state != followed.state:
                note_unknown("association", state, application)
        if not followed.seen:
            followed.seen = True
            followed.first = followed.state = state
            followed.reason = record.state_reason if record is not None else None
            followed.moved = self._moving_seen
            return False
        if followed.wanted is None:
            followed.wanted = row.shows
        if self._moving_seen:
            followed.moved = True
        if followed.state == state or (_gone(followed.state) and _gone(state)):
            return False
        before, followed.state = followed.state, state
        followed.reason = record.state_reason if record is not None else None
        followed.moved = True
        self._asked = False
        if self.listener is not None:
            self.listener(application, before, state, followed.reason)
        return True

    def _follow_if_moving(self, application: str, record: AssociationRecord) -> None:
        row = association_row(record.state)
        if self.followed is not None and application not in self.followed and row.unknown is Phase.MOVING:
            self.followed[application] = _Followed(row.shows)

    def see_workspace(self, state: WorkspaceState | None) -> bool:
        """Take in the state of the WorkSpace; None if it is absent. True if it is not what it was."""
        changed = not self._asked or state != self._workspace
        if changed:
            note_unknown("WorkSpace", state)
        self._asked, self._workspace = True, state
        return changed

    def step(self, now: float) -> Step:
        """What is needed next, or how it ended."""
        if self.followed is None:
            return Step.LOOK
        if not self.followed:
            return Step.DONE
        failed = confirm = False
        for followed in self.followed.values():
            phase = self._phase(followed, now)
            if followed.missing:
                confirm = True
            elif phase is Phase.FAILED:
                failed = True
            elif phase is not Phase.DONE:
                overdue = self._is_quiet(now) and phase is not Phase.MOVING and followed.seen
                return Step.UNSTAGED if overdue and not self._is_moving() else Step.LOOK
        if confirm:
            return Step.CONFIRM
        if not self._asked:
            return Step.WORKSPACE
        verdict = verdict_on("deployed", self._workspace)
        if verdict is Verdict.WAIT:
            return Step.WORKSPACE
        if failed:
            return Step.FAILED
        return Step.DONE if verdict is Verdict.SUCCESS else Step.LOST

    def quiet_until(self, now: float) -> float | None:
        """When the grace ends for what is not under way; None where there is no such thing, or it has ended."""
        end = self._quiet_since + self.grace
        if self.followed is None or end <= now + TINY or self._is_moving():
            return None
        return end if any(self._phase(one, now) in _UNDECIDED for one in self.followed.values()) else None

    def pending(self, now: float) -> list[str]:
        """The applications that are not terminal yet."""
        if self.followed is None:
            return []
        return [
            application
            for application, followed in self.followed.items()
            if self._phase(followed, now) not in _TERMINAL
        ]

    def follows(self, application: str) -> bool:
        """Whether it follows the association of an application."""
        return self.followed is not None and application in self.followed

    @property
    def workspace_state(self) -> WorkspaceState | None:
        """The WorkSpace's state as it was seen last; None if it was absent or not asked for."""
        return self._workspace if self._asked else None

    def statuses(self) -> tuple[AssociationStatus, ...]:
        """Every association that is followed, as it was seen last."""
        return tuple(
            AssociationStatus(
                application_id=application,
                state=followed.state,
                wanted=followed.wanted,
                reason=followed.reason,
            )
            for application, followed in (self.followed or {}).items()
        )

    def net_changes(self) -> list[tuple[AssociationStatus, AssociationState | None]]:
        """The associations that are not as they were first seen, each with its first state."""
        return [
            (status, followed.first)
            for status, followed in zip(self.statuses(), (self.followed or {}).values(), strict=True)
            if followed.first != followed.state and not (_gone(followed.first) and _gone(followed.state))
        ]

    def failures(self, workspace_id: str) -> tuple[FailedAssociation, ...]:
        """The associations in ERROR."""
        return tuple(
            failure_of(workspace_id, status)
            for status in self.statuses()
            if association_row(status.state).unknown is Phase.FAILED
        )

    def _phase(self, followed: _Followed, now: float) -> Phase:
        if not followed.seen:
            return Phase.IDLE
        phase = association_row(followed.state).phase(followed.wanted)
        if phase is Phase.FAILED and not followed.moved and not self._is_quiet(now):
            # A Deploy with Force may not show yet, and the record be that of the attempt before.
            return Phase.STAGED
        return phase

    def _is_moving(self) -> bool:
        return any(
            association_row(followed.state).phase(followed.wanted) is Phase.MOVING
            for followed in (self.followed or {}).values()
            if followed.seen
        )

    def _is_quiet(self, now: float) -> bool:
        return now - self._quiet_since >= self.grace - TINY


_TERMINAL: Final = frozenset({Phase.DONE, Phase.FAILED})
_UNDECIDED: Final = frozenset({Phase.IDLE, Phase.STAGED})


def failure_of(workspace_id: str, status: AssociationStatus) -> FailedAssociation:
    """The record of an association in ERROR, for the error."""
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


def _staged_or_moving(records: Mapping[str, AssociationRecord]) -> dict[str, _Followed]:
    rows = {application: association_row(record.state) for application, record in records.items()}
    return {
        application: _Followed(row.shows)
        for application, row in rows.items()
        if row.unknown in (Phase.STAGED, Phase.MOVING)
    }


def _gone(state: str | None) -> bool:
    return state is None or state == "REMOVED"
