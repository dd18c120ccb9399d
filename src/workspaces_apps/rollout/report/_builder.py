"""Report builder: one event after the other becomes a report. The counts are those of `RunSummary`."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias

from workspaces_apps._associations.states import HELD, SETTLED_BY
from workspaces_apps._reconcile.writes import Tries
from workspaces_apps.rollout._log.events import (
    GRAVEST_ENDINGS,
    AboutWorkspace,
    Action,
    ApprovalRequested,
    Approved,
    Changed,
    Deployed,
    Direction,
    Ending,
    Event,
    Failed,
    Finished,
    Intent,
    Noticed,
    Planned,
    Progress,
    Rejected,
    Skipped,
    Staged,
    Started,
    Succeeded,
    WaveBegan,
    Withdrawn,
)
from workspaces_apps.rollout._log.projections import (
    AnnouncedDeploys,
    ChangeSummary,
    Move,
    Outcome,
    RunSummary,
    Traffic,
    WorkspaceKey,
)
from workspaces_apps.rollout.report._model import (
    GRAVEST_FIRST,
    ActiveTime,
    ApplicationCount,
    Change,
    Moment,
    OutcomeTransition,
    ReasonCount,
    Run,
    TrafficPoint,
    Wave,
    Workspace,
    frozen,
    moment_of,
    progress,
    thinned,
)
from workspaces_apps.rollout.report._report import Report
from workspaces_apps.rollout.report._text import in_utc

_Trouble: TypeAlias = Literal["failed", "skipped", "blocked"]

# None: one still goes on.
_GRAVEST_ENDINGS: Final[tuple[Ending | None, ...]] = (None, *GRAVEST_ENDINGS)


@dataclass(slots=True)
class _OpenChange:
    """The words about a change that is not over; its counts are those of the projections."""

    run: str
    application: str | None = None
    action: Action | None = None
    direction: Direction | None = None
    message: str | None = None
    request_id: str | None = None
    state: str | None = None
    state_before: str | None = None
    owner: str | None = None
    seconds: float | None = None
    wave: int | None = None
    began: datetime | None = None
    ended: datetime | None = None
    # As it was before its last intent, until anything else is told of it.
    before: "_OpenChange | None" = None

    def copy(self) -> "_OpenChange":
        """Return one that stays as this is now; `copy.copy` and `replace` take five times as long."""
        return _OpenChange(
            self.run,
            self.application,
            self.action,
            self.direction,
            self.message,
            self.request_id,
            self.state,
            self.state_before,
            self.owner,
            self.seconds,
            self.wave,
            self.began,
            self.ended,
            self.before,
        )

    def reopen(self) -> None:
        """Forget the last word: there will be another."""
        self.message = self.request_id = self.seconds = self.ended = None

    def begin(self, at: datetime, wave: "_OpenWave | None") -> None:
        """Take in that a write for it was announced or taken."""
        self.reopen()
        self.began = self.began or at
        if wave is not None:
            self.wave = wave.wave

    def frozen(
        self, key: tuple[WorkspaceKey, str | None], outcome: Outcome, summary: ChangeSummary, tries: Tries
    ) -> Change:
        """Return it as a record."""
        workspace, application_id = key
        return Change(
            target=workspace[0],
            workspace_id=workspace[1],
            application_id=application_id,
            application=self.application,
            action=self.action,
            direction=self.direction,
            outcome=outcome,
            reason=summary.reason,
            message=self.message,
            request_id=self.request_id,
            state=self.state,
            state_before=self.state_before,
            owner=self.owner,
            attempts=tries.attempts,
            retries=tries.retried,
            retried=summary.retried,
            seconds=self.seconds,
            wave=self.wave,
            run=self.run,
            began=self.began,
            ended=self.ended,
        )


@dataclass(slots=True)
class _OpenWorkspace:
    """A `model.Workspace` that is not over; `deployed` is when the service took the last Deploy."""

    user_name: str | None = None
    connected: bool | None = None
    deployed: datetime | None = None
    changes: dict[str | None, _OpenChange] = field(default_factory=dict[str | None, _OpenChange])
    timeline: list[Moment] = field(default_factory=list[Moment])

    def frozen(self, key: WorkspaceKey, changes: tuple[Change, ...], until: datetime | None) -> Workspace:
        """Return it as a record; what goes on counts until the last event of all."""
        outcomes = {change.outcome for change in changes}
        lengths = [change.seconds for change in changes if change.seconds is not None]
        if "in-progress" in outcomes and self.deployed is not None and until is not None:
            lengths.append(max(0.0, (until - self.deployed).total_seconds()))
        return Workspace(
            target=key[0],
            workspace_id=key[1],
            user_name=self.user_name,
            connected=self.connected,
            outcome=next(outcome for outcome in GRAVEST_FIRST if outcome in outcomes),
            changes=changes,
            seconds=max(lengths, default=None),
            timeline=tuple(self.timeline),
        )


@dataclass(slots=True)
class _OpenWave:
    """A `model.Wave` that is not over; `last` is its last event, `words` the summary's count of its last words."""

    run: str
    wave: int
    waves: int
    workspaces: int
    began: datetime
    last: datetime
    words: Mapping[Outcome, int]
    ended: datetime | None = None
    digest: str | None = None
    decision: str = ""

    def frozen(self) -> Wave:
        """Return it as a record."""
        return Wave(
            run=self.run,
            wave=self.wave,
            waves=self.waves,
            workspaces=self.workspaces,
            began=self.began,
            ended=self.ended,
            seconds=((self.ended or self.last) - self.began).total_seconds(),
            succeeded=self.words.get("succeeded", 0),
            failed=self.words.get("failed", 0),
            skipped=self.words.get("skipped", 0),
            decision=self.decision,
        )


@dataclass(slots=True)
class _OpenRun:
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
    unmatched: tuple[str, ...] = ()
    finished: Finished | None = None
    wave: _OpenWave | None = None

    def end_wave(self, at: datetime) -> None:
        """Let the wave end, if one goes on."""
        if self.wave is not None:
            self.wave.ended = max(self.wave.last, at)
            self.wave = None

    def frozen(self, told: Traffic | None, *, interrupted: bool) -> Run:
        """Return it as a record.

        Args:
            told: The requests it told of.
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
            message=end.message if end is not None else "",
            dry_run=self.dry_run,
            changes=self.changes,
            calls=told.calls if told is not None else None,
            throttled=told.throttled if told is not None else None,
        )


class ReportBuilder:
    """A report in the making; a projection.

    Args:
        first: The number of the first run.
        time: How time spent in runs is counted; None: of one journal, whose runs follow each other.
        latest: The runs that no other has followed on their journal; None: the last one only.
    """

    def __init__(
        self, first: int = 1, *, time: ActiveTime | None = None, latest: Collection[str] | None = None
    ) -> None:
        self._first = first
        self._latest = latest
        self._runs: dict[str, _OpenRun] = {}
        self._waves: list[_OpenWave] = []
        self._workspaces: dict[WorkspaceKey, _OpenWorkspace] = {}
        self._words: dict[str, str] = {}
        self._summary = RunSummary()
        self._deploys = AnnouncedDeploys()
        self._time = time or ActiveTime()
        self._transitions: list[OutcomeTransition] = []
        self._points: list[TrafficPoint] = []
        self._last: datetime | None = None

    def apply(self, event: Event) -> None:
        """Take one more event in."""
        at = in_utc(event.at)
        self._last = at if self._last is None else max(self._last, at)
        run = self._run_of(event, at)
        self._time.note(run.run, at)
        self._summary.apply(event)
        self._deploys.apply(event)
        for move in self._summary.moves:
            if move.before != move.after:
                self._transitions.append(OutcomeTransition(self._time.seconds, move.before, move.after))
        match event:
            case Started():
                run.name, run.plan = event.name, event.plan
                run.dry_run, run.changes = event.dry_run, max(0, event.changes)
                run.unmatched = event.unmatched
            case WaveBegan():
                self._begin_wave(run, event, at)
            case ApprovalRequested():
                pass
            case Approved() | Rejected():
                self._note_decision(event)
            case Progress():
                self._count_traffic()
            case Finished():
                self._count_traffic()
                run.finished = event
                run.end_wave(at)
            case _:
                self._note_workspace(run, event, at)

    def report(self) -> Report:
        """Return how things stand."""
        workspaces = tuple(
            workspace.frozen(key, known, self._last)
            for key, workspace in self._workspaces.items()
            if (known := self._changes_of(key, workspace))
        )
        changes = [change for workspace in workspaces for change in workspace.changes]
        runs = self._frozen_runs()
        traffic = self._summary.traffic()
        return Report(
            name=self._name(runs),
            began=min((run.began for run in runs), default=None),
            ended=self._last,
            seconds=self._time.seconds,
            ending=self._ending(runs),
            total=len(changes),
            counts=frozen(self._summary.counts),
            workspace_counts=frozen(Counter(workspace.outcome for workspace in workspaces)),
            calls=traffic.calls if traffic is not None else None,
            throttled=traffic.throttled if traffic is not None else None,
            runs=runs,
            waves=tuple(wave.frozen() for wave in self._waves),
            reasons=self._reasons(changes),
            applications=_applications(changes),
            workspaces=workspaces,
            progress=progress(self._transitions, self._time.seconds),
            traffic=thinned(self._points),
            unmatched=self._unmatched(),
        )

    def _run_of(self, event: Event, at: datetime) -> _OpenRun:
        run = self._runs.get(event.run)
        if run is None:
            run = self._runs[event.run] = _OpenRun(
                run=event.run,
                number=self._first + len(self._runs),
                began=at,
                ended=at,
                offset=self._time.seconds,
            )
            # The counters of the run are counted from here.
            self._count_traffic()
        run.began, run.ended = min(run.began, at), max(run.ended, at)
        if run.wave is not None:
            run.wave.last = max(run.wave.last, at)
        return run

    def _begin_wave(self, run: _OpenRun, event: WaveBegan, at: datetime) -> None:
        run.end_wave(at)
        run.wave = _OpenWave(
            run=run.run,
            wave=max(0, event.wave),
            waves=max(0, event.waves),
            workspaces=max(0, event.workspaces),
            began=at,
            last=at,
            words=self._summary.ended_in_wave(run.run),
            digest=event.digest,
        )
        self._waves.append(run.wave)

    def _note_decision(self, event: Approved | Rejected) -> None:
        # A later run may decide on a wave of an earlier one.
        for wave in reversed(self._waves):
            if (wave.wave, wave.digest) == (event.wave, event.digest):
                because = f": {event.reason}" if event.reason else ""
                wave.decision = f"{event.kind} by {event.who}{because}"
                return

    def _count_traffic(self) -> None:
        before = self._points[-1] if self._points else TrafficPoint(seconds=0.0, calls=0, throttled=0)
        told = self._summary.traffic() or Traffic(0, 0, 0)
        # A sum that covers its parts may be less than they, whatever a journal says.
        self._points.append(
            TrafficPoint(
                seconds=self._time.seconds,
                calls=max(before.calls, told.calls),
                throttled=max(before.throttled, told.throttled),
            )
        )

    def _note_workspace(self, run: _OpenRun, event: AboutWorkspace, at: datetime) -> None:
        key = event.target, event.workspace_id
        workspace = self._workspaces.get(key)
        if workspace is None:
            workspace = self._workspaces[key] = _OpenWorkspace()
        workspace.timeline.append(moment_of(run.run, event, at))
        if isinstance(event, Deployed):
            workspace.deployed = at
        elif isinstance(event, Planned):
            if event.user_name is not None:
                workspace.user_name = event.user_name
            workspace.connected = event.connected
        elif isinstance(event, Failed):
            self._words.setdefault(event.reason, event.message)
        moves = {move.application_id: move for move in self._summary.moves}
        if isinstance(event, Noticed):
            return
        # One whose state changed need not have moved.
        about = [event.application_id] if isinstance(event, (Changed, Withdrawn)) else list(moves)
        for application in about:
            change = workspace.changes.get(application)
            if change is None:
                change = workspace.changes[application] = _OpenChange(run.run)
            if isinstance(event, Withdrawn) and change.before is not None:
                # Nothing was heard of it since: it is as if it had not been announced.
                workspace.changes[application] = change.before
                continue
            change.before = None
            before = change.copy() if isinstance(event, Intent) else None
            self._note_change(run, change, event, moves.get(application), at)
            change.before = before

    def _note_change(
        self, run: _OpenRun, change: _OpenChange, event: AboutWorkspace, move: Move | None, at: datetime
    ) -> None:
        change.run = run.run
        match event:
            case Planned():
                _plan(change, event, move)
            case Intent():
                change.direction = event.direction
                change.begin(at, run.wave)
            case Staged():
                change.direction = event.direction
                change.begin(at, run.wave)
            case Deployed():
                change.begin(at, run.wave)
            case Changed():
                change.state = event.state
                if move is not None and move.before is not None:
                    change.begin(at, run.wave)
            case Succeeded():
                change.reopen()
                change.direction, change.ended = event.direction, at
                # It may be in sync without having been seen to become so: an earlier run started it.
                change.state = SETTLED_BY[event.direction]
                change.seconds = _finite(event.elapsed)
            case Failed():
                change.direction = event.direction or change.direction
                if event.final:
                    change.ended, change.seconds = at, _finite(event.elapsed)
                    change.message, change.request_id = event.message or None, event.request_id
                else:
                    change.begin(at, run.wave)
            case Skipped():
                change.reopen()
                change.ended, change.message = at, event.message or None
            case Noticed() | Withdrawn():
                # It says something of the WorkSpace, or takes back what something else followed.
                pass

    def _changes_of(self, key: WorkspaceKey, workspace: _OpenWorkspace) -> tuple[Change, ...]:
        changes: list[Change] = []
        for application, change in workspace.changes.items():
            known = self._summary.change(key, application)
            # One whose only intent was withdrawn has no outcome.
            if known.outcome is not None:
                tries = self._deploys.of(key, application)
                changes.append(change.frozen((key, application), known.outcome, known, tries))
        return tuple(changes)

    def _reasons(self, changes: Iterable[Change]) -> tuple[ReasonCount, ...]:
        counts, retried = self._summary.reasons, self._summary.retried
        troubled: dict[tuple[_Trouble, str], list[Change]] = {("failed", reason): [] for reason in retried}
        for change in changes:
            if change.outcome in ("failed", "skipped", "blocked"):
                troubled.setdefault((change.outcome, change.reason or ""), []).append(change)
        counted = [
            ReasonCount(
                outcome=outcome,
                reason=reason,
                changes=counts[outcome, reason],
                workspaces=len({(change.target, change.workspace_id) for change in those}),
                retried=retried[reason] if outcome == "failed" else 0,
                example=next(
                    (change.message for change in those if change.message),
                    self._words.get(reason, "") if outcome == "failed" else "",
                ),
            )
            for (outcome, reason), those in troubled.items()
        ]
        order = ("failed", "skipped", "blocked")
        return tuple(
            sorted(
                counted, key=lambda one: (order.index(one.outcome), -one.changes, -one.retried, one.reason)
            )
        )

    def _latest_runs(self) -> Sequence[str]:
        """Return the last run, or that of each of several journals."""
        if self._latest is None:
            return list(self._runs)[-1:]
        return [name for name in self._runs if name in self._latest]

    def _frozen_runs(self) -> tuple[Run, ...]:
        latest = self._latest_runs()
        return tuple(
            run.frozen(self._summary.traffic(name), interrupted=run.finished is None and name not in latest)
            for name, run in self._runs.items()
        )

    def _name(self, runs: Sequence[Run]) -> str:
        """Return the name that was told last; of journals of several roll-outs, all of theirs."""
        latest = self._latest_runs() if self._latest is not None else ()
        names = dict.fromkeys(run.name for run in runs if run.name and run.run in latest)
        return ", ".join(names) or next((run.name for run in reversed(runs) if run.name), "")

    def _unmatched(self) -> tuple[str, ...]:
        """Return what the last run's plan found missing; of several journals, that of the last run of each."""
        names = self._latest_runs()
        return tuple(dict.fromkeys(said for name in names for said in self._runs[name].unmatched))

    def _ending(self, runs: Sequence[Run]) -> Ending | None:
        """Return how the last run ended; of several journals, the gravest of the ends of their last runs."""
        latest = self._latest_runs()
        endings: list[Ending | None] = [run.ending for run in runs if run.run in latest]
        return min(endings, key=_GRAVEST_ENDINGS.index, default=None)


def _applications(changes: Iterable[Change]) -> tuple[ApplicationCount, ...]:
    grouped: dict[str | None, list[Change]] = {}
    for change in changes:
        grouped.setdefault(change.application_id, []).append(change)
    return tuple(
        ApplicationCount(
            application_id=identity,
            application=next((one.application for one in those if one.application), None),
            counts=frozen(Counter(change.outcome for change in those)),
            owner=next((one.owner for one in those if one.owner), None),
            licences_before=sum(one.state_before in HELD for one in those),
            licences_after=sum((one.state or one.state_before) in HELD for one in those),
        )
        for identity, those in grouped.items()
    )


def _finite(seconds: float | None) -> float | None:
    return seconds if seconds is not None and math.isfinite(seconds) and seconds >= 0 else None


def _plan(change: _OpenChange, event: Planned, move: Move | None) -> None:
    if event.application is not None:
        change.application = event.application
    change.owner = event.owner or change.owner
    change.action = event.action
    if event.state is not None:
        change.state = event.state
    elif event.action == "nothing" and event.direction is not None:
        change.state = SETTLED_BY[event.direction]
    change.state_before = change.state_before or change.state
    change.direction = event.direction or (change.direction if event.action == "nothing" else None)
    # What an earlier run has brought about keeps the words of its success.
    if move is None or not move.before == move.after == "succeeded":
        change.reopen()
    if event.action == "blocked":
        change.message = event.message or None
