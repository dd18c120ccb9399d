"""What a fold knows so far of changes, WorkSpaces, waves and runs: the records of `model` while they still change."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from workspaces_apps.rollout.events import Action, Direction, Finished
from workspaces_apps.rollout.report.model import (
    GRAVEST_FIRST,
    Change,
    Moment,
    Outcome,
    Run,
    Wave,
    Workspace,
)
from workspaces_apps.rollout.report.text import storable


@dataclass(slots=True)
class ChangeDraft:
    """A `model.Change` that is not over; its outcome is None before anything is known of it."""

    target: str
    workspace_id: str
    application_id: str | None
    run: str
    application: str | None = None
    action: Action | None = None
    direction: Direction | None = None
    outcome: Outcome | None = None
    reason: str | None = None
    message: str | None = None
    request_id: str | None = None
    state: str | None = None
    attempts: int = 0
    retries: int = 0
    setbacks: int = 0
    seconds: float | None = None
    wave: int | None = None
    began: datetime | None = None
    ended: datetime | None = None

    def reopen(self) -> None:
        """Forget the last word: there will be another."""
        self.reason = self.message = self.request_id = self.seconds = self.ended = None

    def close(
        self, at: datetime, *, reason: str, message: str | None, request_id: str | None, seconds: float | None
    ) -> None:
        """Keep the last word."""
        self.ended, self.seconds = at, seconds
        self.reason = storable(reason)
        self.message = storable(message) if message else None
        self.request_id = storable(request_id) if request_id else None

    def frozen(self) -> Change:
        """As a record."""
        return Change(
            target=self.target,
            workspace_id=self.workspace_id,
            application_id=self.application_id,
            application=self.application,
            action=self.action,
            direction=self.direction,
            outcome=self.outcome or "waiting",
            reason=self.reason,
            message=self.message,
            request_id=self.request_id,
            state=self.state,
            attempts=self.attempts,
            retries=self.retries,
            setbacks=self.setbacks,
            seconds=self.seconds,
            wave=self.wave,
            run=self.run,
            began=self.began,
            ended=self.ended,
        )


@dataclass(slots=True)
class WorkspaceDraft:
    """A `model.Workspace` that is not over; `deployed` is when the service took the last Deploy."""

    target: str
    workspace_id: str
    user_name: str | None = None
    connected: bool | None = None
    deployed: datetime | None = None
    changes: dict[str | None, ChangeDraft] = field(default_factory=dict[str | None, ChangeDraft])
    timeline: list[Moment] = field(default_factory=list[Moment])

    def frozen(self, until: datetime | None) -> Workspace:
        """As a record; what goes on counts until the last event of all."""
        changes = tuple(change.frozen() for change in self.changes.values())
        outcomes = {change.outcome for change in changes}
        lengths = [change.seconds for change in changes if change.seconds is not None]
        if "in-progress" in outcomes and self.deployed is not None and until is not None:
            lengths.append(max(0.0, (until - self.deployed).total_seconds()))
        return Workspace(
            target=self.target,
            workspace_id=self.workspace_id,
            user_name=self.user_name,
            connected=self.connected,
            outcome=next(outcome for outcome in GRAVEST_FIRST if outcome in outcomes),
            changes=changes,
            seconds=max(lengths, default=None),
            timeline=tuple(self.timeline),
        )


@dataclass(slots=True)
class WaveDraft:
    """A `model.Wave` that is not over; `last` is its last event, `words` are the last words said in it."""

    run: str
    wave: int
    waves: int
    workspaces: int
    began: datetime
    last: datetime
    ended: datetime | None = None
    words: Counter[str] = field(default_factory=Counter[str])

    def frozen(self) -> Wave:
        """As a record."""
        return Wave(
            run=self.run,
            wave=self.wave,
            waves=self.waves,
            workspaces=self.workspaces,
            began=self.began,
            ended=self.ended,
            seconds=((self.ended or self.last) - self.began).total_seconds(),
            succeeded=self.words["succeeded"],
            failed=self.words["failed"],
            skipped=self.words["skipped"],
        )


@dataclass(slots=True)
class RunDraft:
    """A `model.Run` that is not over; `wave` is the one that goes on."""

    run: str
    number: int
    began: datetime
    ended: datetime
    offset: float
    name: str = ""
    plan: str = ""
    dry_run: bool = False
    changes: int = 0
    finished: Finished | None = None
    wave: WaveDraft | None = None

    def end_wave(self, at: datetime) -> None:
        """Let the wave end, if one goes on."""
        if self.wave is not None:
            self.wave.ended = max(self.wave.last, at)
            self.wave = None

    def frozen(self, told: tuple[int, int] | None, *, interrupted: bool) -> Run:
        """As a record.

        Args:
            told: The requests it told of, and how many were throttled.
            interrupted: Whether another run began without its end.
        """
        end = self.finished
        return Run(
            run=self.run,
            number=self.number,
            name=self.name,
            plan=self.plan,
            began=self.began,
            ended=self.ended,
            seconds=(self.ended - self.began).total_seconds(),
            offset=self.offset,
            ending=end.ending if end is not None else None,
            interrupted=interrupted,
            message=storable(end.message) if end is not None else "",
            dry_run=self.dry_run,
            changes=self.changes,
            calls=told[0] if told is not None else None,
            throttled=told[1] if told is not None else None,
        )
