"""The records that a report is made of: changes, WorkSpaces, runs, waves, reasons, series over time and timelines.

All of it is data: texts of the service and of the manifest are as the events have them. Renderers escape them for the place
where they are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, NamedTuple, TypeAlias

from workspaces_apps._base.public import Datetime, public
from workspaces_apps.rollout._licences import Price
from workspaces_apps.rollout._log.events import (
    AboutWorkspace,
    Action,
    Changed,
    Deployed,
    Direction,
    Ending,
    Failed,
    Intent,
    Noticed,
    Planned,
    Skipped,
    Staged,
    Succeeded,
    Withdrawn,
)
from workspaces_apps.rollout._log.projections import Outcome

OUTCOMES: Final[tuple[Outcome, ...]] = (
    "succeeded",
    "unchanged",
    "failed",
    "skipped",
    "blocked",
    "in-progress",
    "waiting",
)

GRAVEST_FIRST: Final[tuple[Outcome, ...]] = (
    "failed",
    "in-progress",
    "waiting",
    "skipped",
    "blocked",
    "succeeded",
    "unchanged",
)
"""A WorkSpace's outcome is the first of these that one of its changes has."""

Counts: TypeAlias = Mapping[Outcome, int]
"""The count of each outcome; every outcome is a key."""


@public("workspaces_apps.rollout.report")
@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One application on one WorkSpace."""

    target: str
    """The name of the manifest's target."""
    workspace_id: str
    """The WorkSpace."""
    application_id: str | None
    """The application; None where the journal tells of the WorkSpace as a whole only."""
    application: str | None = None
    """The application's name, where known."""
    action: Action | None = None
    """The action of the last plan; None where no plan names it."""
    direction: Direction | None = None
    """The direction of the change; None where it is unknown."""
    outcome: Outcome
    """The outcome."""
    reason: str | None = None
    """The reason it failed, was skipped or is blocked: the service's code or one of `reasons.Reason`."""
    message: str | None = None
    """The reason in words."""
    request_id: str | None = None
    """The service's id of the answer that refused it."""
    state: str | None = None
    """The association's state that was seen last, as the service calls it."""
    state_before: str | None = None
    """Its state when a plan first named it; None where no plan told."""
    owner: str | None = None
    """The account that offers the application, or ``AMAZON``; None where that is not known."""
    attempts: int = 0
    """Deployments announced for it, over all runs."""
    retries: int = 0
    """The number of them that retried what had ended in ERROR, without those that the service refused."""
    retried: int = 0
    """Failures that were followed by another try."""
    seconds: float | None = None
    """From Deploy to the last word; None without a deployment in that run."""
    wave: int | None = None
    """The wave in which it was begun last."""
    run: str
    """The run of its last event."""
    began: Datetime | None = None
    """The time at which a write for it was first announced."""
    ended: Datetime | None = None
    """The time of its last word; None for what is unfinished."""


@public("workspaces_apps.rollout.report")
@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One line of a WorkSpace's timeline."""

    at: Datetime
    """The time, in UTC."""
    run: str
    """In which run."""
    kind: str
    """The kind of the journal's event."""
    application_id: str | None = None
    """The application; None where it is about the WorkSpace as a whole."""
    what: str | None = None
    """The operation, the direction, the state, or the reason, whatever the kind tells."""
    message: str | None = None
    """More in words."""
    request_id: str | None = None
    """The service's id of the answer."""


@public("workspaces_apps.rollout.report")
@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """One WorkSpace."""

    target: str
    """The name of the manifest's target."""
    workspace_id: str
    """Its id."""
    user_name: str | None
    """Its user."""
    connected: bool | None
    """True if the user was connected when the last plan was made; None where that was not asked."""
    outcome: Outcome
    """The gravest of its changes' outcomes; see `GRAVEST_FIRST`."""
    changes: tuple[Change, ...]
    """The changes that were planned, in the order of the plan."""
    seconds: float | None
    """Seconds its slowest deployment took; for one that goes on: so far. None without one."""
    timeline: tuple[Moment, ...]
    """The events about it, in the order of the journal."""


@public("workspaces_apps.rollout.report")
@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One apply."""

    run: str
    """Its id."""
    number: int
    """Its number in the journal, from 1."""
    name: str
    """The manifest's name."""
    plan: str
    """The plan's fingerprint."""
    began: Datetime
    """Its first event."""
    ended: Datetime
    """Its last event so far."""
    seconds: float
    """Seconds it took, or takes so far."""
    offset: float
    """Time spent in the runs before it, in seconds: where it begins in `Report.progress`."""
    ending: Ending | None
    """The ending; None while it goes on, or if it was killed."""
    interrupted: bool
    """True if it was killed for certain: another run began without its end."""
    message: str
    """The cause of an early end, in words."""
    dry_run: bool
    """True if nothing was to be written."""
    changes: int
    """The number of changes that its plan asked for."""
    calls: int | None
    """Requests it sent, as far as it told; None if it told none."""
    throttled: int | None
    """The number of them that the service throttled."""


@public("workspaces_apps.rollout.report")
@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """One wave of one run."""

    run: str
    """The run."""
    wave: int
    """Its number, from 1."""
    waves: int
    """The number that was planned."""
    workspaces: int
    """The number of WorkSpaces in it."""
    began: Datetime
    """The time it began."""
    ended: Datetime | None
    """The time at which the next one began, or the run ended; None while it goes on."""
    seconds: float
    """Seconds it took, or takes so far."""
    succeeded: int
    """Last words of success while it went on."""
    failed: int
    """Last words of failure."""
    skipped: int
    """Changes left alone, without those that were not started because the roll-out ended early."""
    decision: str = ""
    """The approval or rejection, with user and reason, in words; empty where nobody did."""


@public("workspaces_apps.rollout.report")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonCount:
    """The number of changes that failed, were skipped or are blocked for one reason."""

    outcome: Literal["failed", "skipped", "blocked"]
    """One of the three."""
    reason: str
    """The service's code, or one of `reasons.Reason`."""
    changes: int
    """The number of changes that ended so."""
    workspaces: int
    """On how many WorkSpaces."""
    retried: int
    """The number of further failures with this reason that were retried."""
    example: str
    """The words of one of them."""


@public("workspaces_apps.rollout.report")
@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationCount:
    """One application, counted over its WorkSpaces."""

    application_id: str | None
    """The application; None where the journal tells of WorkSpaces as a whole only."""
    application: str | None
    """Its name, where known."""
    counts: Counts
    """The number of its changes, by outcome."""
    owner: str | None = None
    """The account that offers it, or ``AMAZON``; None where that is not known."""
    licences_before: int = 0
    """On how many of its WorkSpaces it was when a plan first named them."""
    licences_after: int = 0
    """On how many it is, by what was seen last."""
    price: Price | None = None
    """The price of one licence; None where none was given: a journal knows none, see `Report.priced`."""

    @property
    def monthly_difference(self) -> Decimal | None:
        """The amount that a month costs more than before, or with a minus less; None without a price."""
        if self.price is None:
            return None
        return self.price.monthly * (self.licences_after - self.licences_before)


@public("workspaces_apps.rollout.report")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressPoint:
    """The counts of changes at a moment."""

    seconds: float
    """Time spent in runs until then; the time between two runs is left out."""
    counts: Counts
    """The number of changes, by outcome."""


@public("workspaces_apps.rollout.report")
@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficPoint:
    """The number of requests sent by a moment, over all runs so far."""

    seconds: float
    """Time spent in runs until then."""
    calls: int
    """Requests."""
    throttled: int
    """The number of them that the service throttled."""


POINTS: Final = 240
"""Points at most of a series; a screen has room for no more."""


class OutcomeTransition(NamedTuple):
    """One change went from one outcome (None: it is not known) to another."""

    seconds: float
    before: Outcome | None
    after: Outcome | None


@dataclass
class ActiveTime:
    """Time spent in runs: the time between two runs is left out, and a clock that is set back stands still.

    Attributes:
        seconds: How much there was so far.
    """

    seconds: float = 0.0
    _run: str | None = None
    _last: datetime | None = None

    def note(self, run: str, at: datetime) -> float:
        """Take in that something happened; the time spent until then."""
        if run == self._run and self._last is not None:
            passed = (at - self._last).total_seconds()
            if passed > 0:
                self.seconds += passed
                self._last = at
        else:
            self._run, self._last = run, at
        return self.seconds


class UnitedTime(ActiveTime):
    """Time in which any of several runs went on, which may go on side by side.

    Args:
        spans: When each of them began and ended.
    """

    def __init__(self, spans: Iterable[tuple[datetime, datetime]]) -> None:
        super().__init__()
        self._united: list[tuple[datetime, datetime]] = []
        for began, ended in sorted(spans):
            if self._united and began <= self._united[-1][1]:
                self._united[-1] = self._united[-1][0], max(self._united[-1][1], ended)
            else:
                self._united.append((began, ended))

    def note(self, run: str, at: datetime) -> float:
        """Take in that something happened; the time spent until then."""
        del run  # whichever it was
        passed = sum((min(at, ended) - began).total_seconds() for began, ended in self._united if began < at)
        self.seconds: float = max(self.seconds, passed)
        return self.seconds


def thinned(points: Sequence[TrafficPoint]) -> tuple[TrafficPoint, ...]:
    """Return about `POINTS` of the points at most, the first and the last among them."""
    if len(points) <= POINTS:
        return tuple(points)
    stride = -(-len(points) // POINTS)
    return (*points[:-1:stride], points[-1])


def progress(transitions: Sequence[OutcomeTransition], seconds: float) -> tuple[ProgressPoint, ...]:
    """Count the changes by outcome at moments evenly spread from 0 to `seconds`."""
    counts: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
    times = sorted({0.0, *(seconds * step / POINTS for step in range(1, POINTS)), seconds})
    points: list[ProgressPoint] = []
    position = 0
    for time in times:
        # At the last moment everything counts, however the times were rounded.
        while position < len(transitions) and (transitions[position].seconds <= time or time == seconds):
            _, before, after = transitions[position]
            if before is not None:
                counts[before] -= 1
            if after is not None:
                counts[after] += 1
            position += 1
        points.append(ProgressPoint(seconds=time, counts=frozen(counts)))
    return tuple(points)


def frozen(counts: Counts) -> Counts:
    """Return a copy with every outcome as a key, in the order of `OUTCOMES`."""
    return {outcome: counts.get(outcome, 0) for outcome in OUTCOMES}


def moment_of(run: str, event: AboutWorkspace, at: datetime) -> Moment:
    """Return the line of a timeline for an event of that run."""
    what, message, request_id = _told(event)
    application = None if isinstance(event, Deployed | Noticed) else event.application_id
    return Moment(
        at=at,
        run=run,
        kind=event.kind,
        application_id=application,
        what=what or None,
        message=message or None,
        request_id=request_id or None,
    )


def _told(event: AboutWorkspace) -> tuple[str | None, str | None, str | None]:
    """Return a timeline's words about an event: what, more words, and the request id."""
    match event:
        case Planned():
            what = event.action if event.reason is None else f"{event.action}: {event.reason}"
            return what, event.message, None
        case Noticed():
            again = f", attempt {event.attempt}" if event.attempt > 1 else ""
            return None, f"planned for {event.planned_at:%Y-%m-%d %H:%M:%S %Z}{again}", None
        case Intent():
            flags = [word for word, holds in (("force", event.force), ("retry", event.retry)) if holds]
            return event.operation, ", ".join([event.direction, *flags]), None
        case Withdrawn():
            return event.operation, f"taken back: {event.reason}", None
        case Staged():
            return event.direction, None, event.request_id
        case Deployed():
            return ("with force" if event.force else None), ", ".join(event.applications), event.request_id
        case Changed():
            return event.state, None, None
        case Succeeded():
            return event.direction, None, None
        case Failed():
            again = "" if event.final else "; will be retried"
            return event.reason, f"{event.message}{again}", event.request_id
        case Skipped():
            return event.reason, event.message, None
