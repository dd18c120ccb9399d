"""The observed state of one WorkSpace, from reads that may be late, incomplete or shifted, and the results of its changes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from workspaces_apps._associations.states import (
    CONFIRM_AFTER,
    DEPLOYING,
    ERROR,
    GONE_AFTER,
    GONE_READS,
    IN_FLIGHT,
    NO_ASSOCIATION,
    SETTLED,
    STAGED,
    TERMINATED,
    NextAction,
    Phase,
    Readiness,
    next_action,
    readiness,
    same_state,
    state_info,
)
from workspaces_apps._observe.reads import state_of
from workspaces_apps._observe.schedule import TINY
from workspaces_apps._reconcile.decisions import NEVER_STARTED, Reason
from workspaces_apps._reconcile.writes import GRACE, Failure

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from workspaces_apps._associations import Direction
    from workspaces_apps._base.clock import Clock
    from workspaces_apps._observe.reads import AssociationRecord, Snapshot
    from workspaces_apps._reconcile.writes import IntentLog
    from workspaces_apps.api import AssociationState, WorkspaceState
    from workspaces_apps.api.errors import ResourceNotFoundException
    from workspaces_apps.errors import WorkSpacesError


_CONFIRMED_BY: Final = {
    Readiness.NEEDS_SOMEBODY: (2, CONFIRM_AFTER),
    Readiness.GONE: (GONE_READS, GONE_AFTER),
}
"""Meanings that so many reads in a row must show, over so many seconds.

A WorkSpace may be missing from an answer, or unhealthy for a moment.
"""


@dataclass(slots=True)
class _Unsure:
    """A meaning that is not confirmed yet: since when, and by how many reads in a row."""

    found: Readiness
    since: float
    reads: int = 1

    def is_confirmed(self, at: float) -> bool:
        reads, seconds = _CONFIRMED_BY[self.found]
        return self.reads >= reads and at - self.since >= seconds - TINY


@dataclass(frozen=True, slots=True)
class StateChange:
    """An association that was read in another state than before.

    Attributes:
        application_id: The application.
        before: The record before; None if there was no association.
        after: The record now; None if there is no association any more.
    """

    application_id: str
    before: AssociationRecord | None
    after: AssociationRecord | None


class ObservedState:
    """The associations of one WorkSpace, and its own state.

    Args:
        applications: The applications whose changes count.
        clock: The time of reads.
        grace: Seconds for which a deployment that was taken need not show yet.

    Attributes:
        applications: The applications whose changes count; may be replaced.
        records: The associations as they were read last; what is not here is absent.
        first: The associations as they were when they were first read.
        committed: Applications that a Deploy was just taken for, and that have not shown it yet.
        headed: The direction that each was last seen in flight, until it settled or another Deploy was taken for it.
        errors: Those whose deployment was seen to end in ERROR, until the next Deploy for them.
        answered_at: When the answer to the last read of everything on the WorkSpace came that was made for it alone; None
            if there was none.
        workspace_state: The WorkSpace's own state; None if it is not listed, or was not read.
        state_at: When the read of that state began; None if it must be read.
        state_denied: Whether that state may not be read. Then the associations alone tell: what the WorkSpace is not
            ready for, the service refuses.
        exists: Whether the WorkSpace exists, as far as is known.
        refusal: The answer that said that it does not.
    """

    __slots__ = (
        "_before_deploy",
        "_clock",
        "_complete_at",
        "_deployed_at",
        "_deploying_seen",
        "_grace",
        "_open_at",
        "_settled_at",
        "_shown_at",
        "_unsure",
        "answered_at",
        "applications",
        "committed",
        "errors",
        "exists",
        "first",
        "headed",
        "records",
        "refusal",
        "state_at",
        "state_denied",
        "workspace_state",
    )

    def __init__(self, applications: Collection[str], clock: Clock, grace: float = GRACE) -> None:
        self.applications: frozenset[str] = frozenset(applications)
        self.records: dict[str, AssociationRecord] = {}
        self.first: dict[str, AssociationRecord | None] = {}
        self.committed: frozenset[str] = frozenset()
        self.headed: dict[str, Direction] = {}
        self.errors: dict[str, AssociationRecord] = {}
        self.answered_at: float | None = None
        self.workspace_state: WorkspaceState | None = None
        self.state_at: float | None = None
        self.state_denied: bool = False
        self.exists: bool = True
        self.refusal: ResourceNotFoundException | None = None
        self._clock = clock
        self._grace = grace
        self._unsure: _Unsure | None = None
        self._complete_at = self._shown_at = -math.inf
        self._deploying_seen = False
        self._open_at = -math.inf
        self._settled_at: float | None = None
        self._deployed_at: float | None = None
        self._before_deploy: dict[str, AssociationRecord | None] = {}

    def state(self, application: str) -> AssociationState | None:
        """Return the state of an association; None for no association."""
        return state_of(self.records.get(application))

    def update(self, snapshot: Snapshot) -> list[StateChange]:
        """Take a snapshot in, but for what is late in it; return the changes of the applications that count."""
        self.exists = snapshot.exists
        self.refusal = snapshot.refusal
        self.state_denied |= snapshot.state_denied
        if snapshot.state_at is not None:
            self._update_workspace(snapshot.workspace_state, snapshot.state_at)
        if snapshot.is_state_alone:
            return []
        shown: dict[str, AssociationRecord | None] = dict(snapshot.associations)
        shown.update(dict.fromkeys(self._absences(snapshot)))
        were_open = {one for one in self.applications & shown.keys() if self._is_open(one)}
        found = [self._update(one, record) for one, record in shown.items()]
        are_open = {one for one in self.applications & shown.keys() if self._is_open(one)}
        if are_open:
            self._open_at = max(self._open_at, snapshot.at)
        if were_open - are_open:
            self._settled_at = snapshot.at
        if snapshot.complete or self.applications <= shown.keys():
            self._complete_at = max(self._complete_at, snapshot.at)
            self._note_existence(snapshot)
        return [change for change in found if change is not None]

    def is_news(self, snapshot: Snapshot) -> bool:
        """Tell if a snapshot shows more than that the WorkSpace is still under deployment."""
        return not (
            snapshot.is_state_alone
            and snapshot.workspace_state == self.workspace_state == DEPLOYING
            and self._deploying_seen
            and self.state_at is not None
            and snapshot.exists
            and snapshot.state_denied == self.state_denied
        )

    def fill_in(self, application: str, record: AssociationRecord | None) -> list[StateChange]:
        """Take in what the answer to a write shows of one association; None if it shows that there is none."""
        change = self._update(application, record)
        return [change] if change is not None else []

    def mark_staged(self, application: str) -> None:
        """Note that it was staged: what is read from now on is not what an earlier deployment left."""
        self._before_deploy.pop(application, None)

    def mark_deployed(self, applications: Collection[str]) -> None:
        """Note that a Deploy was taken for these: the WorkSpace is UPDATING now. [doc]"""
        self._deployed_at = self._open_at = self._clock.monotonic()
        self._before_deploy = {one: self.records.get(one) for one in applications}
        self.committed = frozenset(applications)
        self.errors = {one: error for one, error in self.errors.items() if one not in self.committed}
        for one in applications:
            self.headed.pop(one, None)
        self._deploying_seen = False
        self.forget_workspace()

    def forget_workspace(self) -> None:
        """Forget the WorkSpace's own state: it must be read again."""
        self.state_at = self._unsure = None

    @property
    def readiness(self) -> Readiness | None:
        """The meaning of the WorkSpace's own state, after a deployment that was in flight; None if it must be read."""
        return self.readiness_after(self._settled_at, self._open_at)

    def readiness_after(self, ended_at: float | None, open_at: float) -> Readiness | None:
        """Return the meaning of the WorkSpace's own state after a deployment; None if it must be read.

        UPDATING may show late: a state from before the end of the deployment says nothing of its end, unless the
        WorkSpace was UPDATING before it, and nothing has been read to go on since.

        Args:
            ended_at: When the read began that showed the end; None where there was no deployment.
            open_at: When the last read began that showed it to go on.
        """
        found = self.last_readiness
        if (
            self.state_denied
            or ended_at is None
            or self.state_at is None
            or found in (Readiness.ON_ITS_WAY, Readiness.GONE)
        ):
            return found
        is_back = self._deploying_seen and self.state_at > open_at
        return found if is_back or self.state_at >= ended_at else None

    @property
    def last_readiness(self) -> Readiness | None:
        """The meaning of the WorkSpace's own state as it was read last; None if it was not read.

        That it needs somebody counts once two reads agree that are a minute apart; that it is gone, once twelve
        reads in a row over five minutes have not listed it, and one of its associations has shown none, either. Until
        then it is on its way.
        """
        if not self.exists:
            return Readiness.GONE
        if self.state_denied:
            return Readiness.READY
        if self.state_at is None:
            return None
        if self._unsure is None:
            return readiness(self.workspace_state)
        confirmed = self._unsure.is_confirmed(self.state_at) and not self.is_absence_unproven
        return self._unsure.found if confirmed else Readiness.ON_ITS_WAY

    @property
    def is_absence_unproven(self) -> bool:
        """Tell if two reads in a row have not listed it, and its associations, which tell if it is gone, are unread since."""
        unsure = self._unsure
        return (
            unsure is not None
            and unsure.found is Readiness.GONE
            and unsure.reads > 1
            and self._complete_at < unsure.since
        )

    def confirmed_at(self, found: Readiness) -> float:
        """Return the moment from which a read can confirm this meaning of the state; infinity if none has shown it."""
        since = self._unsure_since(found)
        return since + _CONFIRMED_BY[found][1] if since is not None else math.inf

    def net_changes(self, applications: Iterable[str]) -> list[StateChange]:
        """Return those of the applications that are not as they were first read, each as one change."""
        changes = [StateChange(one, self.first.get(one), self.records.get(one)) for one in applications]
        return [one for one in changes if not same_state(state_of(one.before), state_of(one.after))]

    def elapsed(self, application: str) -> float | None:
        """Return the seconds since a Deploy was taken for an application; None if none was."""
        if self._deployed_at is None or application not in self._before_deploy:
            return None
        return self._clock.monotonic() - self._deployed_at

    @property
    def deployed_at(self) -> float | None:
        """The moment at which a Deploy was taken; None if none was."""
        return self._deployed_at

    def _unsure_since(self, found: Readiness) -> float | None:
        return self._unsure.since if self._unsure is not None and self._unsure.found is found else None

    def _note_existence(self, snapshot: Snapshot) -> None:
        """Take back that it was not listed, if its associations are there: one answer may leave a WorkSpace out."""
        if not snapshot.associations:
            return
        self._shown_at = max(self._shown_at, snapshot.at)
        since = self._unsure_since(Readiness.GONE)
        if since is not None and snapshot.at >= since:
            self.forget_workspace()

    def _absences(self, snapshot: Snapshot) -> Iterator[str]:
        if snapshot.complete:
            known = [*self.records, *self.applications]
            yield from (one for one in dict.fromkeys(known) if one not in snapshot.associations)
        else:
            yield from snapshot.absent

    def _update(self, application: str, record: AssociationRecord | None) -> StateChange | None:
        if self._is_late(application, record):
            return None
        before = self.records.get(application)
        if record is None:
            self.records.pop(application, None)
        else:
            self.records[application] = record
        self.committed -= {application}
        if application not in self.applications:
            return None
        self.first.setdefault(application, record)
        self._note_direction(application, record)
        state, was = state_of(record), state_of(before)
        if record is not None and state == ERROR:
            is_new = before is None or was != ERROR or before.updated != record.updated
            if is_new and (was in IN_FLIGHT or application in self._before_deploy):
                self.errors[application] = record
        return None if same_state(was, state) else StateChange(application, before, record)

    def _note_direction(self, application: str, record: AssociationRecord | None) -> None:
        state = record.state if record is not None else NO_ASSOCIATION
        if state in IN_FLIGHT:
            self.headed[application] = IN_FLIGHT[state]
        elif state in SETTLED:
            self.headed.pop(application, None)

    def _is_late(self, application: str, now: AssociationRecord | None) -> bool:
        """Tell if a read shows what was there before a deployment that the service has taken since."""
        if now is None or (now.state not in STAGED and now.state != ERROR):
            return False
        if application not in self._before_deploy or self._is_out_of_grace():
            return False
        before = self._before_deploy[application]
        if before is None:
            return False
        if now.updated is None or before.updated is None:
            return now.state == before.state
        return now.updated <= before.updated

    def _is_out_of_grace(self) -> bool:
        return self._deployed_at is None or self._clock.monotonic() - self._deployed_at > self._grace

    def _is_open(self, application: str) -> bool:
        """Tell if a deployment of it goes on, or was just taken and does not show yet."""
        return application in self.committed or state_info(self.state(application)).phase is Phase.IN_FLIGHT

    def _update_workspace(self, state: WorkspaceState | None, at: float) -> None:
        if self.state_at is not None and at < self.state_at:
            return
        again = at == self.state_at
        if self._deployed_at is not None and at < self._deployed_at:
            return
        if state is None and at <= self._shown_at:
            return
        self.workspace_state, self.state_at = state, at
        self._deploying_seen |= state == DEPLOYING
        found = readiness(state)
        if found not in _CONFIRMED_BY or state in TERMINATED:
            self._unsure = None
        elif self._unsure is None or self._unsure.found is not found:
            self._unsure = _Unsure(found, at)
        elif not again:
            self._unsure.reads += 1


ChangeOutcome: TypeAlias = Literal["succeeded", "failed", "skipped"]

IN_ERROR: Final[Mapping[Reason, str]] = {
    Reason.RETRIES_EXHAUSTED: "in ERROR",
    Reason.DIRECTION_UNKNOWN: "in ERROR; neither the journal nor the service tells in which direction",
    Reason.DIRECTION_OPPOSITE: "in ERROR in the direction that is not wanted, and the service does not take the other",
    Reason.FOREIGN_ERROR: "in ERROR; Force would also retry what else is in ERROR on this WorkSpace",
}
"""Reasons to leave something in ERROR alone."""

_LEFT: Final[Mapping[str, Reason]] = {
    **dict.fromkeys(STAGED, Reason.LEFT_STAGED),
    **dict.fromkeys(IN_FLIGHT, Reason.LEFT_DEPLOYING),
}
"""The state in which a run that ends early leaves a change, by the state read last."""

_EARLY: Final = NEVER_STARTED | {Reason.STOPPED}
"""The reasons of what a run that ends early leaves alone."""


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """The outcome of one change.

    Attributes:
        outcome: Succeeded, failed or skipped.
        reason: Why it did not succeed: a `Reason`, the service's code, a class of error, or the word of a hook.
        message: The reason in words.
        error: The error of the call that was refused, if that was it.
    """

    outcome: ChangeOutcome
    reason: str | None = None
    message: str = ""
    error: WorkSpacesError | None = None


class ResultRecorder:
    """The results of one WorkSpace, as they come.

    Args:
        desired: The direction of each change.
        observed: The WorkSpace, as it was read.
        log: Where they are recorded.

    Attributes:
        open: The changes that have not ended.
        results: Those that have.
    """

    __slots__ = (
        "_desired",
        "_log",
        "_observed",
        "open",
        "results",
    )

    def __init__(self, desired: Mapping[str, Direction], observed: ObservedState, log: IntentLog) -> None:
        self.open: dict[str, Direction] = dict(desired)
        self.results: dict[str, ChangeResult] = {}
        self._desired = desired
        self._observed = observed
        self._log = log

    @property
    def failed(self) -> bool:
        """Tell if any change failed."""
        return any(result.outcome == "failed" for result in self.results.values())

    async def succeed(self, application: str) -> None:
        """End a change well."""
        direction = self.open.pop(application)
        self.results[application] = ChangeResult("succeeded")
        record, elapsed = self._observed.records.get(application), self._observed.elapsed(application)
        await self._log.succeeded(application, direction, record, elapsed)

    async def fail(
        self,
        application: str,
        reason: str,
        message: str,
        *,
        final: bool = True,
        error: WorkSpacesError | None = None,
    ) -> None:
        """Record a failure; it ends the change unless it will be retried."""
        if final:
            if self.open.pop(application, None) is None:
                return
            self.results[application] = ChangeResult("failed", reason, message, error)
        await self._log.failed(
            Failure(
                application_id=application,
                direction=self._desired[application],
                reason=reason,
                message=message,
                request_id=error.request_id if error is not None else None,
                final=final,
                elapsed=self._observed.elapsed(application),
            )
        )

    async def fail_in_error(self, application: str, record: AssociationRecord | None, *, final: bool) -> None:
        """Record a deployment that ended in ERROR."""
        code = record.code if record is not None else None
        message = record.message if record is not None else None
        await self.fail(application, code or ERROR, message or "", final=final)

    async def skip(
        self, application: str, reason: str, message: str, *, error: WorkSpacesError | None = None
    ) -> None:
        """Leave a change alone."""
        if self.open.pop(application, None) is not None:
            self.results[application] = ChangeResult("skipped", str(reason), message, error)
            await self._log.skipped(application, reason, message)

    async def give_up(self, reason: str, message: str, *, error: WorkSpacesError | None = None) -> None:
        """Leave every open change alone, and tell what was begun."""
        observed = self._observed
        for application, direction in list(self.open.items()):
            state = observed.state(application)
            left = left_as(state, reason, direction)
            is_there = reason in _EARLY and next_action(state, direction) is NextAction.NOTHING
            ready = observed.readiness
            if is_there and (ready is Readiness.READY or (ready is None and observed.deployed_at is None)):
                await self.succeed(application)
            elif left in NEVER_STARTED and state == ERROR and observed.elapsed(application) is not None:
                # A deployment of this run has ended so, and is not retried any more.
                await self.fail_in_error(application, observed.records.get(application), final=True)
            else:
                await self.skip(application, left, left_over(state, message, left), error=error)


def left_as(state: str | None, reason: str, direction: Direction | None) -> str:
    """Return the reason; for what ends in the middle of things, the one that tells how it leaves the change."""
    if reason not in _EARLY:
        return reason
    if next_action(state, direction) is NextAction.NOTHING:
        # It is there, and the WorkSpace is not back: until then its deployment has not ended.
        return Reason.LEFT_DEPLOYING
    if reason is Reason.STOPPED and (state or "REMOVED") in SETTLED:
        return Reason.NOT_STARTED
    return _LEFT.get(state or "REMOVED", reason)


def left_over(state: str | None, message: str, left: str = "") -> str:
    """Return the message, and what is left of a change that was begun; `left` is how, as `left_as` tells it."""
    if state in STAGED:
        return f"{message}; its change stays staged, and any deployment would commit it"
    if state in IN_FLIGHT or left == Reason.LEFT_DEPLOYING:
        return f"{message}; its deployment goes on"
    return message
