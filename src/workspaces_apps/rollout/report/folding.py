"""From events to a report: a fold, one event after the other, that never looks back."""

import math
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Literal, TypeAlias

from workspaces_apps.rollout.associations import IN_FLIGHT, RESTS_IN, STAGED
from workspaces_apps.rollout.events import (
    Changed,
    Deployed,
    Event,
    Failed,
    Finished,
    Intent,
    Planned,
    Progress,
    Skipped,
    Staged,
    Started,
    Succeeded,
    WaveBegan,
)
from workspaces_apps.rollout.reasons import NEVER_BEGUN
from workspaces_apps.rollout.report.drafts import ChangeDraft, RunDraft, WaveDraft, WorkspaceDraft
from workspaces_apps.rollout.report.model import (
    UNFINISHED,
    ApplicationCount,
    Change,
    Outcome,
    ReasonCount,
    Run,
)
from workspaces_apps.rollout.report.report import Report
from workspaces_apps.rollout.report.series import (
    ActiveTime,
    Counters,
    Transition,
    frozen,
    progress,
    thinned,
)
from workspaces_apps.rollout.report.text import in_utc, storable
from workspaces_apps.rollout.report.timeline import AboutWorkspace, moment_of

_Trouble: TypeAlias = Literal["failed", "skipped", "blocked"]


class Fold:
    """Takes in events, in the order in which they happened, and tells how things stand, as often as it is asked.

    Args:
        first: The number of the first run.
    """

    def __init__(self, first: int = 1) -> None:
        self._first = first
        self._runs: dict[str, RunDraft] = {}
        self._waves: list[WaveDraft] = []
        self._workspaces: dict[tuple[str, str], WorkspaceDraft] = {}
        self._setbacks: Counter[str] = Counter()
        self._words: dict[tuple[str, str], str] = {}
        self._time = ActiveTime()
        self._transitions: list[Transition] = []
        self._counters = Counters()
        self._last: datetime | None = None

    def note(self, event: Event) -> None:
        """Take in one more event."""
        at = in_utc(event.at)
        self._last = at if self._last is None else max(self._last, at)
        run = self._run_of(event, at)
        self._time.note(run.run, at)
        match event:
            case Started():
                run.name, run.plan = storable(event.name), storable(event.plan)
                run.dry_run, run.changes = event.dry_run, max(0, event.changes)
            case WaveBegan():
                self._begin_wave(run, event, at)
            case Progress():
                self._count_calls(run, event)
            case Finished():
                self._count_calls(run, event)
                run.finished = event
                run.end_wave(at)
            case _:
                self._note_workspace(run, event, at)

    def report(self) -> Report:
        """How things stand."""
        workspaces = tuple(one.frozen(self._last) for one in self._workspaces.values() if one.changes)
        changes = [change for workspace in workspaces for change in workspace.changes]
        runs = self._frozen_runs()
        told = [(run.calls, run.throttled or 0) for run in runs if run.calls is not None]
        return Report(
            name=next((run.name for run in reversed(runs) if run.name), ""),
            began=min((run.began for run in runs), default=None),
            ended=self._last,
            seconds=self._time.seconds,
            ending=runs[-1].ending if runs else None,
            total=len(changes),
            counts=frozen(Counter(change.outcome for change in changes)),
            workspace_counts=frozen(Counter(workspace.outcome for workspace in workspaces)),
            calls=sum(calls for calls, _ in told) if told else None,
            throttled=sum(throttled for _, throttled in told) if told else None,
            runs=runs,
            waves=tuple(wave.frozen() for wave in self._waves),
            reasons=self._reasons(changes),
            applications=_applications(changes),
            workspaces=workspaces,
            progress=progress(self._transitions, self._time.seconds),
            traffic=thinned(self._counters.points),
        )

    def _run_of(self, event: Event, at: datetime) -> RunDraft:
        identity = storable(event.run)
        run = self._runs.get(identity)
        if run is None:
            run = self._runs[identity] = RunDraft(
                run=identity,
                number=self._first + len(self._runs),
                began=at,
                ended=at,
                offset=self._time.seconds,
            )
            self._counters.begin(self._time.seconds)
        run.began, run.ended = min(run.began, at), max(run.ended, at)
        if run.wave is not None:
            run.wave.last = max(run.wave.last, at)
        return run

    def _begin_wave(self, run: RunDraft, event: WaveBegan, at: datetime) -> None:
        run.end_wave(at)
        run.wave = WaveDraft(
            run=run.run,
            wave=max(0, event.wave),
            waves=max(0, event.waves),
            workspaces=max(0, event.workspaces),
            began=at,
            last=at,
        )
        self._waves.append(run.wave)

    def _count_calls(self, run: RunDraft, event: Progress | Finished) -> None:
        # What a run says at its end is about all of its targets, as `*` is.
        target = "*" if isinstance(event, Finished) else event.target
        self._counters.note(self._time.seconds, run.run, target, max(0, event.calls), max(0, event.throttled))

    def _note_workspace(self, run: RunDraft, event: AboutWorkspace, at: datetime) -> None:
        target, identity = storable(event.target), storable(event.workspace_id)
        workspace = self._workspaces.get((target, identity))
        if workspace is None:
            workspace = self._workspaces[target, identity] = WorkspaceDraft(target, identity)
        workspace.timeline.append(moment_of(run.run, event, at))
        match event:
            case Planned():
                self._plan(run, workspace, event)
            case Intent():
                change = self._change(run, workspace, event.application_id)
                deploys = event.operation == "DeployWorkspaceApplications"
                change.direction = event.direction
                change.attempts += deploys
                change.retries += deploys and event.retry
                self._begin(run, change, at)
            case Staged():
                change = self._change(run, workspace, event.application_id)
                change.direction = event.direction
                self._begin(run, change, at)
            case Deployed():
                workspace.deployed = at
                for application in event.applications:
                    self._begin(run, self._change(run, workspace, application), at)
            case Changed():
                change = self._change(run, workspace, event.application_id)
                change.state = storable(event.state)
                if change.outcome == "waiting" and (event.state in IN_FLIGHT or event.state in STAGED):
                    # An earlier run began it.
                    self._begin(run, change, at)
                elif change.outcome is None:
                    self._move(change, "in-progress")
            case Succeeded():
                change = self._change(run, workspace, event.application_id)
                change.reopen()
                change.direction, change.ended = event.direction, at
                # It may be as wanted without having been seen to become so: an earlier run began it.
                change.state = RESTS_IN[event.direction]
                change.seconds = _finite(event.elapsed)
                self._end(run, change, "succeeded")
            case Failed():
                self._fail(run, workspace, event, at)
            case Skipped():
                for change in self._meant(run, workspace, event.application_id):
                    change.close(
                        at, reason=event.reason, message=event.message, request_id=None, seconds=None
                    )
                    # What was never begun was in none of the waves that began.
                    self._end(None if event.reason in NEVER_BEGUN else run, change, "skipped")

    def _plan(self, run: RunDraft, workspace: WorkspaceDraft, event: Planned) -> None:
        if event.user_name is not None:
            workspace.user_name = storable(event.user_name)
        workspace.connected = event.connected
        change = self._change(run, workspace, event.application_id)
        if event.application is not None:
            change.application = storable(event.application)
        change.action = event.action
        if event.state is not None:
            change.state = storable(event.state)
        elif event.action == "nothing" and event.direction is not None:
            change.state = RESTS_IN[event.direction]
        change.direction = event.direction or (change.direction if event.action == "nothing" else None)
        match event.action:
            case "nothing":
                # What an earlier run has brought about is its success still.
                if change.outcome != "succeeded":
                    change.reopen()
                    self._move(change, "unchanged")
            case "blocked":
                change.reopen()
                change.reason = storable(event.reason or "unknown")
                change.message = storable(event.message) if event.message else None
                self._move(change, "blocked")
            case "install" | "uninstall" | "retry":
                change.reopen()
                self._move(change, "waiting")

    def _fail(self, run: RunDraft, workspace: WorkspaceDraft, event: Failed, at: datetime) -> None:
        reason = storable(event.reason)
        self._words.setdefault(("failed", reason), storable(event.message))
        for change in self._meant(run, workspace, event.application_id):
            change.direction = event.direction or change.direction
            if event.final:
                change.close(
                    at,
                    reason=reason,
                    message=event.message,
                    request_id=event.request_id,
                    seconds=_finite(event.elapsed),
                )
                self._end(run, change, "failed")
            else:
                change.setbacks += 1
                self._setbacks[reason] += 1
                self._begin(run, change, at)

    def _meant(self, run: RunDraft, workspace: WorkspaceDraft, application: str | None) -> list[ChangeDraft]:
        """The change; or where none is named, all of the WorkSpace's that have no last word."""
        if application is not None:
            return [self._change(run, workspace, application)]
        meant = [change for change in workspace.changes.values() if change.outcome in UNFINISHED]
        for change in meant:
            change.run = run.run
        return meant if workspace.changes else [self._change(run, workspace, None)]

    def _change(self, run: RunDraft, workspace: WorkspaceDraft, application: str | None) -> ChangeDraft:
        identity = storable(application) if application is not None else None
        change = workspace.changes.get(identity)
        if change is None:
            change = workspace.changes[identity] = ChangeDraft(
                workspace.target, workspace.workspace_id, identity, run.run
            )
        change.run = run.run
        return change

    def _begin(self, run: RunDraft, change: ChangeDraft, at: datetime) -> None:
        change.reopen()
        change.began = change.began or at
        if run.wave is not None:
            change.wave = run.wave.wave
        self._move(change, "in-progress")

    def _end(self, run: RunDraft | None, change: ChangeDraft, outcome: Outcome) -> None:
        if run is not None and run.wave is not None:
            run.wave.words[outcome] += 1
        self._move(change, outcome)

    def _move(self, change: ChangeDraft, outcome: Outcome) -> None:
        if change.outcome != outcome:
            self._transitions.append(Transition(self._time.seconds, change.outcome, outcome))
            change.outcome = outcome

    def _reasons(self, changes: Iterable[Change]) -> tuple[ReasonCount, ...]:
        troubled: dict[tuple[_Trouble, str], list[Change]] = {
            ("failed", reason): [] for reason in self._setbacks
        }
        for change in changes:
            if change.outcome in ("failed", "skipped", "blocked"):
                troubled.setdefault((change.outcome, change.reason or ""), []).append(change)
        counted = [
            ReasonCount(
                outcome=outcome,
                reason=reason,
                changes=len(those),
                workspaces=len({(change.target, change.workspace_id) for change in those}),
                setbacks=self._setbacks[reason] if outcome == "failed" else 0,
                example=next(
                    (change.message for change in those if change.message),
                    self._words.get((outcome, reason), ""),
                ),
            )
            for (outcome, reason), those in troubled.items()
        ]
        order = ("failed", "skipped", "blocked")
        return tuple(
            sorted(
                counted, key=lambda one: (order.index(one.outcome), -one.changes, -one.setbacks, one.reason)
            )
        )

    def _frozen_runs(self) -> tuple[Run, ...]:
        last = len(self._runs)
        return tuple(
            run.frozen(self._counters.of(run.run), interrupted=run.finished is None and number < last)
            for number, run in enumerate(self._runs.values(), start=1)
        )


def _applications(changes: Iterable[Change]) -> tuple[ApplicationCount, ...]:
    grouped: dict[str | None, list[Change]] = {}
    for change in changes:
        grouped.setdefault(change.application_id, []).append(change)
    return tuple(
        ApplicationCount(
            application_id=identity,
            application=next((one.application for one in those if one.application), None),
            counts=frozen(Counter(change.outcome for change in those)),
        )
        for identity, those in grouped.items()
    )


def _finite(seconds: float | None) -> float | None:
    return seconds if seconds is not None and math.isfinite(seconds) and seconds >= 0 else None
