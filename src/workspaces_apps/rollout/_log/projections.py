"""Projections: what is folded from the events of a roll-out, one event after the other: approvals, history and summary.

A projection takes an event in with `apply`, in the order in which they happened. It never looks back and never fails.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, isfinite
from statistics import fmean
from typing import Final, Literal, NamedTuple, TypeAlias

from workspaces_apps._associations.states import IN_FLIGHT, SETTLED, STAGED
from workspaces_apps._reconcile.decisions import NEVER_STARTED, Reason
from workspaces_apps._reconcile.writes import Tries
from workspaces_apps.rollout._log.events import (
    EVERYWHERE,
    ApprovalRequested,
    Approved,
    Changed,
    Deployed,
    Direction,
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

WorkspaceKey: TypeAlias = tuple[str, str]
"""The target, and the WorkSpace's id."""


class Key(NamedTuple):
    """One application on one WorkSpace of one target."""

    target: str
    workspace_id: str
    application_id: str


def digest_of(workspaces: Iterable[tuple[str, str]]) -> str:
    """Return the digest of a wave's content: its targets and WorkSpaces, in whatever order."""
    lines = sorted(f"{target}/{workspace_id}\n" for target, workspace_id in workspaces)
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


class EndedWave(NamedTuple):
    """A wave that has ended, and that nobody has approved or rejected.

    Attributes:
        run: The run in which it ended.
        wave: Its number, from 1.
        digest: The digest of its WorkSpaces.
        workspaces: How many are in it.
    """

    run: str
    wave: int
    digest: str
    workspaces: int


class ApprovalHistory:
    """The approved waves, and those that wait for approval, over all runs of a journal; a projection.

    Attributes:
        approved: The size of the last wave that was approved; None where none was, or where a later roll-out on the
            journal is complete.
        consumed: The number of the last command of the control record that was acted upon; 0 for none.
    """

    def __init__(self) -> None:
        self.approved: int | None = None
        self.consumed: int = 0
        self._requested: EndedWave | None = None
        self._wave: WaveBegan | None = None
        # What each run planned to do, and what of it somebody has approved a wave of: applications with directions.
        self._planned: defaultdict[str, set[tuple[str, Direction]]] = defaultdict(set)
        self._covered: set[tuple[str, Direction]] = set()
        # The changes of the run that have no last word, and those that have one since the wave began.
        self._open: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._ended: set[tuple[str, str]] = set()

    @property
    def unapproved(self) -> EndedWave | None:
        """The wave that has ended and that somebody must still approve or reject; None where there is none.

        A run that was killed between the end of a wave and its request has left such a wave too.
        """
        wave = self._wave
        if self._requested is not None or wave is None or not wave.approval or wave.digest is None:
            return self._requested
        if any(self._open.get(one) for one in self._ended) or digest_of(self._ended) != wave.digest:
            return None
        return EndedWave(wave.run, wave.wave, wave.digest, wave.workspaces)

    def approved_for(self, changes: Iterable[tuple[str, Direction]]) -> int | None:
        """Return the size of the last wave that was approved; None too where it was approved for something else.

        Args:
            changes: The applications to change, with directions. One that no approved plan had needs an approval of
                its own.
        """
        return self.approved if self._covered.issuperset(changes) else None

    def apply(self, event: Event) -> None:
        """Take one more event in."""
        match event:
            case Started():
                ended = self.unapproved
                self._requested, self._wave = ended, None
                self._open.clear()
                self._ended.clear()
            case Planned(action="install" | "uninstall" | "retry"):
                self._open[event.target, event.workspace_id].add(event.application_id)
                if event.direction is not None:
                    self._planned[event.run].add((event.application_id, event.direction))
            case WaveBegan():
                self._requested, self._wave = None, event
                self._ended.clear()
            case Succeeded() | Skipped() | Failed(final=True):
                workspace = event.target, event.workspace_id
                if event.application_id is None:
                    self._open[workspace].clear()
                else:
                    self._open[workspace].discard(event.application_id)
                self._ended.add(workspace)
            case ApprovalRequested():
                self._requested = EndedWave(event.run, event.wave, event.digest, event.workspaces)
            case Approved() | Rejected():
                self._decide(event)
            case Finished(ending="complete"):
                # What comes after it on this journal is another roll-out.
                self.approved, self._wave, self._requested = None, None, None
                self._planned.clear()
                self._covered.clear()
            case _:
                pass

    def _decide(self, event: Approved | Rejected) -> None:
        self.consumed = max(self.consumed, event.sequence or 0)
        ended, self._requested, self._wave = self.unapproved, None, None
        if isinstance(event, Approved):
            self.approved = ended.workspaces if ended is not None else 1
            self._covered |= self._planned[ended.run if ended is not None else event.run]
        else:
            self.approved = None
            self._covered.clear()


class AnnouncedDeploys:
    """The deployments that were announced for each application, over all runs; a projection."""

    def __init__(self) -> None:
        self._tries: dict[tuple[WorkspaceKey, str | None], Tries] = {}

    def of(self, workspace: WorkspaceKey, application_id: str | None) -> Tries:
        """Return what was announced for an application."""
        return self._tries.get((workspace, application_id)) or Tries()

    def apply(self, event: Event) -> None:
        """Take one more event in."""
        match event:
            case Intent(operation="DeployWorkspaceApplications"):
                self._made(event).intend(event.direction, retry=event.retry)
            case Withdrawn(operation="DeployWorkspaceApplications"):
                self._known(event).withdraw()
            case Changed(state=state) if state in IN_FLIGHT:
                self._made(event).begin(IN_FLIGHT[state])
            case Changed(state=state) if state not in SETTLED:
                pass
            case Changed() | Succeeded():
                self._known(event).settle()
            case Failed(refused=True):
                self._known(event).refuse()
            case _:
                pass

    def _known(self, event: Withdrawn | Changed | Succeeded | Failed) -> Tries:
        return self.of(_workspace(event), event.application_id)

    def _made(self, event: Intent | Changed) -> Tries:
        return self._tries.setdefault((_workspace(event), event.application_id), Tries())


class RunHistory:
    """The memory of a roll-out over all runs of its journal; a projection.

    The direction of an ERROR is that of the last deployment which this journal announced, or saw going on, for that
    application. It is forgotten once the application came to rest: an ERROR after that is somebody else's.

    Args:
        past: The events so far, oldest first.

    Attributes:
        approvals: What somebody approved, and what waits for it.
    """

    def __init__(self, past: Iterable[Event] = ()) -> None:
        self._deploys = AnnouncedDeploys()
        self._unsettled: dict[Key, Direction] = {}
        self._notices: Counter[tuple[str, str]] = Counter()
        self.approvals: ApprovalHistory = ApprovalHistory()
        for event in past:
            self.apply(event)

    def failed_direction(self, key: Key) -> Direction | None:
        """Return the direction of the last deployment, while it has not ended well."""
        return self._tries(key).direction

    def retries(self, key: Key) -> int:
        """Return how often it was retried, over all runs, since it was last in sync.

        Intents are counted, without those that the service refused or that were withdrawn: one that a crash kept from
        being sent counts.
        """
        return self._tries(key).retries

    def notices(self, target: str, workspace_id: str) -> int:
        """Return how often the hook was called for a WorkSpace, over all runs, since a Deploy was last taken for it."""
        return self._notices[target, workspace_id]

    @property
    def unsettled(self) -> dict[Key, Direction]:
        """Changes that some run planned, and none has reported as made."""
        return dict(self._unsettled)

    def apply(self, event: Event) -> None:
        """Take one more event in."""
        self.approvals.apply(event)
        self._deploys.apply(event)
        match event:
            case Noticed():
                self._notices[event.target, event.workspace_id] += 1
            case Deployed():
                self._notices.pop((event.target, event.workspace_id), None)
            case Planned(action="install" | "uninstall" | "retry", direction=direction) if (
                direction is not None
            ):
                self._unsettled[_key(event)] = direction
            case Succeeded():
                self._unsettled.pop(_key(event), None)
            case Skipped(application_id=str(), reason=Reason.VANISHED):
                self._unsettled.pop(Key(event.target, event.workspace_id, event.application_id or ""), None)
            case _:
                pass

    def _tries(self, key: Key) -> Tries:
        return self._deploys.of((key.target, key.workspace_id), key.application_id)


def _key(event: Planned | Succeeded) -> Key:
    return Key(event.target, event.workspace_id, event.application_id)


Outcome: TypeAlias = Literal[
    "succeeded", "unchanged", "failed", "skipped", "blocked", "in-progress", "waiting"
]
"""The outcome of one application on one WorkSpace, over all runs that are counted.

``succeeded``: a run reported it in sync; ``unchanged``: it was in sync before; ``failed``: for good, in the last run
that tried; ``skipped``: left alone; ``blocked``: the plan says that it cannot be; ``in-progress``: started, and no last
word yet; ``waiting``: planned, and not started.
"""

_USUAL: Final = 0.95
"""The share of deployments that the usual time covers."""

UNFINISHED: Final[frozenset[Outcome]] = frozenset({"in-progress", "waiting"})

OF_PLAN: Final[Mapping[str, Outcome]] = {
    "install": "waiting",
    "uninstall": "waiting",
    "retry": "waiting",
    "nothing": "unchanged",
    "blocked": "blocked",
}
"""The outcome that a plan's word stands for."""


class Move(NamedTuple):
    """One change went from one outcome to another, or to the same again; None: it is not known.

    Attributes:
        workspace: The WorkSpace.
        application_id: The application; None where the events tell of the WorkSpace as a whole only.
        before: Its outcome until then.
        after: Its outcome from then on.
    """

    workspace: WorkspaceKey
    application_id: str | None
    before: Outcome | None
    after: Outcome | None


class Traffic(NamedTuple):
    """Requests that runs told of.

    Attributes:
        calls: How many were sent.
        throttled: How many of them the service refused for their rate.
        shared_calls: How many of them also served somebody else of the same client.
    """

    calls: int
    throttled: int
    shared_calls: int


@dataclass(slots=True)
class ChangeSummary:
    """The outcome of one change so far.

    Attributes:
        outcome: Its outcome.
        reason: Why it failed, was skipped or is blocked.
        retried: Failures that were followed by another try.
    """

    outcome: Outcome | None = None
    reason: str | None = None
    retried: int = 0
    # Outcome and reason before its last intent, until anything else is heard of it.
    before: tuple[Outcome | None, str | None] | None = None


class RunSummary:
    """The counts of one run, or of all runs of a journal; a projection.

    Args:
        planned: Changes that are known to wait before any event says so.

    Attributes:
        counts: How many changes there are of each outcome.
        reasons: How many of those that failed, were skipped or are blocked there are of each outcome and reason.
        retried: Failures that were followed by another try, by reason.
        moves: The changes that the last event was about, in order.
        deploying: WorkSpaces whose deployment goes on.
        wave: The wave that goes on.
        silent_seconds: For how long the service has answered nothing, as it was last told.
        awaiting_approval: The wave that somebody must approve before anything else begins; None while there is none.
        finished: The end of the last run, if it has one.
    """

    def __init__(self, planned: Iterable[Key] = ()) -> None:
        self.counts: Counter[Outcome] = Counter()
        self.reasons: Counter[tuple[Outcome, str]] = Counter()
        self.retried: Counter[str] = Counter()
        self.moves: list[Move] = []
        self.deploying: set[WorkspaceKey] = set()
        self.wave: WaveBegan | None = None
        self.silent_seconds: float = 0.0
        self.finished: Finished | None = None
        self.awaiting_approval: ApprovalRequested | None = None
        # How long deployments of this run took, in order.
        self._lengths: list[float] = []
        self._changes: dict[WorkspaceKey, dict[str | None, ChangeSummary]] = {}
        self._intents: Counter[WorkspaceKey] = Counter()
        # The last words since the wave of each run began.
        self._ended_in_wave: dict[str, Counter[Outcome]] = {}
        self._traffic: dict[str, dict[str, Traffic]] = {}
        for target, workspace_id, application in planned:
            self._move((target, workspace_id), application, "waiting")

    @property
    def mean_deployment(self) -> float | None:
        """Seconds that deployments of this run took, on average; None while none has ended."""
        return fmean(self._lengths) if self._lengths else None

    @property
    def usual_deployment(self) -> float | None:
        """Seconds that 95 of 100 deployments of this run took at most; None while none has ended."""
        lengths = self._lengths
        return lengths[ceil(_USUAL * len(lengths)) - 1] if lengths else None

    @property
    def unfinished(self) -> int:
        """Changes without a last word."""
        return self.counts["waiting"] + self.counts["in-progress"]

    @property
    def left_deploying(self) -> int:
        """Skipped changes whose deployment went on when the roll-out ended."""
        return self.reasons["skipped", Reason.LEFT_DEPLOYING]

    @property
    def left_staged(self) -> int:
        """Skipped changes that were staged and not deployed when it ended."""
        return self.reasons["skipped", Reason.LEFT_STAGED]

    @property
    def not_started(self) -> int:
        """Skipped changes that were not started, because the roll-out ended early."""
        return sum(self.reasons["skipped", reason] for reason in NEVER_STARTED)

    def change(self, workspace: WorkspaceKey, application_id: str | None) -> ChangeSummary:
        """Return what became of a change so far; of one that no event was about, nothing."""
        return self._changes.get(workspace, {}).get(application_id) or ChangeSummary()

    def ended_in_wave(self, run: str) -> Mapping[Outcome, int]:
        """Return the outcomes of the changes that ended in the wave which began last; it counts on while that goes on.

        Changes that were not started, because the roll-out ended early, were in none of the waves.
        """
        return self._ended_in_wave[run]

    def is_open(self, workspace: WorkspaceKey) -> bool:
        """Tell whether any change of a WorkSpace has no last word."""
        # A copy, because a screen is drawn in another thread.
        return any(
            change.outcome in UNFINISHED for change in tuple(self._changes.get(workspace, {}).values())
        )

    def has_started(self, workspace: WorkspaceKey) -> bool:
        """Tell whether a write was announced for a WorkSpace."""
        return self._intents[workspace] > 0

    def waits(self, workspace: WorkspaceKey) -> bool:
        """Tell whether a WorkSpace has something to do and has not started."""
        return not self.has_started(workspace) and self.is_open(workspace)

    @property
    def busy(self) -> bool:
        """Tell if any WorkSpace that has started has changes without a last word."""
        return any(map(self.is_open, [one for one, number in self._intents.copy().items() if number]))

    @property
    def waiting(self) -> int:
        """WorkSpaces that have something to do and have not started."""
        return sum(map(self.waits, tuple(self._changes)))

    def traffic(self, run: str | None = None) -> Traffic | None:
        """Return the requests that one run told of, or all of them; None if nothing was told."""
        told = [self._traffic.get(run, {})] if run is not None else list(self._traffic.values())
        # The entry for all targets covers those of single ones.
        parts = [part for one in told for part in ([one[EVERYWHERE]] if EVERYWHERE in one else one.values())]
        return Traffic(*map(sum, zip(*parts, strict=True))) if parts else None

    def apply(self, event: Event) -> None:
        """Take one more event in."""
        self.moves = []
        match event:
            case Planned():
                self._plan(event)
            case Intent():
                self._intent(event)
            case Withdrawn():
                self._withdraw(event)
            case Staged():
                self._move(_workspace(event), event.application_id, "in-progress")
            case Deployed():
                self.deploying.add(_workspace(event))
                for application in event.applications:
                    self._move(_workspace(event), application, "in-progress")
            case Changed():
                self._change(event)
            case Succeeded():
                if event.elapsed is not None and isfinite(event.elapsed):
                    insort(self._lengths, event.elapsed)
                self._end(event, "succeeded")
            case Failed(final=False):
                for meant in self._meant(event):
                    self._move(_workspace(event), meant, "in-progress")
                    self._changes[_workspace(event)][meant].retried += 1
                    self.retried[event.reason] += 1
            case Failed():
                self._end(event, "failed", event.reason)
            case Skipped():
                self._end(event, "skipped", event.reason)
            case WaveBegan():
                self.wave = event
                self._ended_in_wave[event.run] = Counter()
            case Progress():
                self.silent_seconds = event.silent_seconds
                self._count_traffic(event, event.target)
            case Finished():
                self.finished = event
                self._ended_in_wave.pop(event.run, None)
                # What a run says at its end is about all of its targets.
                self._count_traffic(event, EVERYWHERE)
            case ApprovalRequested():
                self.awaiting_approval = event
            case Approved() | Rejected():
                self.awaiting_approval = None
            case Started():
                self.wave = self.finished = self.awaiting_approval = None
                self._lengths.clear()
            case Noticed():
                pass

    def _plan(self, event: Planned) -> None:
        workspace, application = _workspace(event), event.application_id
        # What an earlier run has brought about is its success still.
        done = event.action == "nothing" and self.change(workspace, application).outcome == "succeeded"
        reason = (event.reason or Reason.UNKNOWN.value) if event.action == "blocked" else None
        self._move(workspace, application, "succeeded" if done else OF_PLAN[event.action], reason)

    def _intent(self, event: Intent) -> None:
        workspace, application = _workspace(event), event.application_id
        before = self.change(workspace, application)
        told = before.outcome, before.reason
        self._intents[workspace] += 1
        self._move(workspace, application, "in-progress")
        self._changes[workspace][application].before = told

    def _withdraw(self, event: Withdrawn) -> None:
        workspace, application = _workspace(event), event.application_id
        self._intents[workspace] = max(0, self._intents[workspace] - 1)
        before = self.change(workspace, application).before
        if before is not None:
            self._move(workspace, application, *before)

    def _change(self, event: Changed) -> None:
        workspace, application = _workspace(event), event.application_id
        change = self.change(workspace, application)
        moves = event.state in IN_FLIGHT or event.state in STAGED
        # What waits and moves was started by an earlier run.
        if change.outcome is None or (change.outcome == "waiting" and moves):
            self._move(workspace, application, "in-progress")
        change.before = None

    def _end(self, event: Succeeded | Failed | Skipped, outcome: Outcome, reason: str | None = None) -> None:
        workspace, meant = _workspace(event), self._meant(event)
        for application in meant:
            self._move(workspace, application, outcome, reason)
        if event.run in self._ended_in_wave and not (outcome == "skipped" and reason in NEVER_STARTED):
            self._ended_in_wave[event.run][outcome] += len(meant)
        if not self.is_open(workspace):
            self.deploying.discard(workspace)

    def _meant(self, event: Succeeded | Failed | Skipped) -> list[str | None]:
        """Return the change; or where none is named, all of the WorkSpace's that have no last word."""
        if event.application_id is not None:
            return [event.application_id]
        changes = self._changes.get(_workspace(event))
        if not changes:
            return [None]
        return [application for application, change in changes.items() if change.outcome in UNFINISHED]

    def _move(
        self,
        workspace: WorkspaceKey,
        application: str | None,
        after: Outcome | None,
        reason: str | None = None,
    ) -> None:
        changes = self._changes.setdefault(workspace, {})
        change = changes.get(application)
        if change is None:
            change = changes[application] = ChangeSummary()
        before = change.outcome
        if before is not None:
            self.counts[before] -= 1
            if change.reason is not None:
                self.reasons[before, change.reason] -= 1
        change.outcome, change.reason, change.before = after, reason, None
        if after is None:
            del changes[application]
        else:
            self.counts[after] += 1
            if reason is not None:
                self.reasons[after, reason] += 1
        self.moves.append(Move(workspace, application, before, after))

    def _count_traffic(self, event: Progress | Finished, target: str) -> None:
        told = self._traffic.setdefault(event.run, {})
        before = told.get(target, Traffic(0, 0, 0))
        calls = max(before.calls, event.calls)
        # Counters only grow, and no part is more than the whole, whatever a journal says.
        told[target] = Traffic(
            calls,
            max(before.throttled, min(event.throttled, calls)),
            max(before.shared_calls, min(event.shared_calls, calls)),
        )


def _workspace(
    event: Planned | Intent | Withdrawn | Staged | Deployed | Changed | Succeeded | Failed | Skipped,
) -> WorkspaceKey:
    return event.target, event.workspace_id
