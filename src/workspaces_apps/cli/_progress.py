"""An apply on the screen: its counts, the time left, a panel on a terminal, lines elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from workspaces_apps._base.text import harmless
from workspaces_apps.cli._console import drawn_again, is_live
from workspaces_apps.cli._live import about, count, explained, short_duration, short_name
from workspaces_apps.rollout import (
    Amount,
    ApprovalRequested,
    Approved,
    Deployed,
    Failed,
    Planned,
    Progress,
    Rejected,
    Skipped,
    WaveBegan,
)
from workspaces_apps.rollout._log.projections import Key, RunSummary
from workspaces_apps.rollout._manifest.policy import cut, wave_sizes
from workspaces_apps.rollout._plan.plan import Pace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType
    from rich.text import Text

    from workspaces_apps.cli._live import CallCounter
    from workspaces_apps.rollout import Event, Finished, Hours, Plan, PlannedWorkspace
    from workspaces_apps.rollout._log.projections import Outcome


LAST: Final = 5
"""Failures that are shown while it goes on."""

_SLOWEST: Final = 1.3
"""The time of the slowest deployment of a wave, about, as a multiple of the mean."""

_LAST_BIT: Final = 0.1
"""The share of a deployment that a wave still takes when its time is up and it has not ended."""


@dataclass(frozen=True, slots=True)
class ShownFailure:
    """A failure, as it is shown."""

    workspace_id: str
    application: str
    reason: str
    message: str
    final: bool


class Board:
    """The state of an apply, for a screen; a projection. The counts are those of `RunSummary`.

    Args:
        plan: What it carries out.
        now: The clock that it lives by.

    Attributes:
        plan: What it carries out.
        total: The plan's changes.
        workspaces: The WorkSpaces that have any.
        summary: The counts.
        failures: The failures of late.
        draining: Whether nothing more is started.
        paused: Who paused it, when and why; empty while nothing did.
        users: How many WorkSpaces wait for their users.
        journal: The journal's path, or its URL without anything secret; empty without one.
    """

    def __init__(self, plan: Plan, now: Callable[[], datetime]) -> None:
        self.plan = plan
        self._now = now
        self._began = now()
        self.workspaces: int = len(plan.pending)
        self.summary: RunSummary = RunSummary(
            Key(workspace.target, workspace.workspace_id, change.application_id)
            for workspace in plan.pending
            for change in workspace.pending
        )
        self.total: int = self.summary.unfinished
        self.failures: deque[ShownFailure] = deque(maxlen=LAST)
        self.draining = False
        self.paused: Callable[[], str] = str
        self.users: Callable[[], int] = int
        self.journal: str = ""
        self._names: dict[str, str] = {}
        self._last_deployed = self._began
        self._waves = self._cut(plan.policy.canary)

    def _cut(self, first: Amount | None) -> list[Sequence[PlannedWorkspace]]:
        """Return the waves of the plan, of which the first has so many WorkSpaces."""
        policy = self.plan.policy
        return cut(self.plan.pending, wave_sizes(self.workspaces, first, policy.growth, policy.largest_wave))

    @property
    def result(self) -> Finished | None:
        """The end of it; None while it goes on."""
        return self.summary.finished

    @property
    def wave(self) -> WaveBegan | None:
        """The wave that goes on; None before the first."""
        return self.summary.wave

    @property
    def silent(self) -> timedelta:
        """For how long the service has not answered."""
        return timedelta(seconds=self.summary.silent_seconds)

    @property
    def done(self) -> int:
        """Changes of the plan that have their last word."""
        return self.total - self.summary.unfinished

    @property
    def elapsed(self) -> timedelta:
        """The time since the beginning; none where the clock was put back before it."""
        return max(timedelta(0), self._now() - self._began)

    @property
    def now(self) -> datetime:
        """The time, by the clock that the apply lives by."""
        return self._now()

    @property
    def deploying(self) -> int:
        """WorkSpaces whose deployment goes on."""
        return len(self.summary.deploying)

    @property
    def waiting(self) -> int:
        """WorkSpaces that have not started and are not left out."""
        return self.summary.waiting

    @property
    def left(self) -> timedelta | None:
        """About how long it will still take, hours that are waited for included; None where nobody knows."""
        if not self.total:
            return None
        estimate, policy, now = self.plan.estimate, self.plan.policy, self._now()
        mean = self.summary.mean_deployment
        pace = Pace(
            policy=policy,
            writes=self.total / self.workspaces / estimate.rate,
            deployment=estimate.deployment_seconds if mean is None else mean * _SLOWEST,
            needs=policy.needs_of_hours(self.summary.usual_deployment),
        )
        if self.wave is None:
            return pace.all_end(now, self._waves) - now
        later = self._waves[self.wave.wave :]
        end = now
        if self.done < self.total:
            end = self._wave_ends(self.wave, pace)
            end += timedelta(seconds=policy.pause if later else 0.0)
        return pace.all_end(end, later) - now

    def _wave_ends(self, wave: WaveBegan, pace: Pace) -> datetime:
        now, hours = self._now(), self.plan.policy.hours
        waiting = self._waiting_in(wave)
        if hours and waiting:
            return pace.wave_ends(now, waiting)
        # With hours, nobody knows how much of the time since the wave began was spent waiting for them.
        lasts = pace.deployment + (0.0 if hours else pace.beginning(wave.workspaces))
        spent = (now - (self._last_deployed if hours else wave.at)).total_seconds()
        return now + timedelta(seconds=max(lasts - spent, _LAST_BIT * pace.deployment))

    def _waiting_in(self, wave: WaveBegan) -> Sequence[PlannedWorkspace]:
        """Return the WorkSpaces of the wave that have not started and are not left out."""
        if not 0 < wave.wave <= len(self._waves):
            return ()
        wave_of = self._waves[wave.wave - 1]
        return [one for one in wave_of if self.summary.waits((one.target, one.workspace_id))]

    @property
    def opening(self) -> tuple[datetime, Hours] | None:
        """The beginning of the next hours, and those hours, while nothing else is waited for; None otherwise."""
        policy, now = self.plan.policy, self._now()
        if not policy.hours or policy.outside_hours != "wait" or self.wave is None or self.draining:
            return None
        if self.summary.busy:
            return None
        numbers = {one.hours for one in self._waiting_in(self.wave) if one.hours is not None}
        entries = [policy.hours[number] for number in sorted(numbers)]
        needs = policy.needs_of_hours(self.summary.usual_deployment)
        if not entries or any(one.is_open(now, needs) for one in entries):
            return None
        openings = [(found, one) for one in entries if (found := one.next_opening(now, needs)) is not None]
        return min(openings, key=lambda found: found[0], default=None)

    def apply(self, event: Event) -> None:
        """Take one more event in."""
        self.summary.apply(event)
        match event:
            case Planned() if event.application is not None:
                self._names[event.application_id] = harmless(event.application)
            case WaveBegan(wave=1):
                # After an approved canary the waves of a later run grow on from there.
                self._waves = self._cut(Amount(event.workspaces))
            case Deployed():
                self._last_deployed = event.at
            case Failed():
                self.failures.append(
                    ShownFailure(
                        harmless(event.workspace_id),
                        self.name(event.application_id),
                        harmless(event.reason),
                        harmless(event.message),
                        event.final,
                    )
                )
            case _:
                pass

    def name(self, application_id: str | None) -> str:
        """Return what an application is called, else its id."""
        if application_id is None:
            return "the deployment"
        return self._names.get(application_id) or harmless(application_id)

    def why(self, outcome: Outcome) -> Mapping[str, int]:
        """Return the reasons of an outcome, the most frequent first."""
        found = self.summary.reasons.most_common()
        return {harmless(reason): number for (kind, reason), number in found if kind == outcome and number}


STEP: Final = 0.1
SILENCE: Final = timedelta(minutes=5)
"""A line tells how it stands whenever so much more is done, or so much time has passed."""


QUIET: Final = timedelta(minutes=1)
"""After so long without an answer it is told that the service does not answer, instead of how long it will still take."""


@contextmanager
def showing(console: Console, board: Board, traffic: CallCounter) -> Generator[Callable[[Event], None]]:
    """Show an apply while the block runs; what is yielded is to be called with each event.

    Args:
        console: Where.
        board: How it stands.
        traffic: What it sends.
    """
    if not is_live(console):
        lines = Lines(board, traffic)

        def tell(event: Event) -> None:
            board.apply(event)
            said = lines.about(event)
            if said is not None:
                console.print(said, soft_wrap=True)

        yield tell
        return
    # The summary is printed by whoever began it; the panel goes.
    with drawn_again(console, lambda: panel(board, traffic, console.width), 8):
        yield board.apply


class Lines:
    """Lines for files and pipes, about what is worth one.

    Args:
        board: How it stands; each event is to be counted in before.
        traffic: What it sends.
    """

    def __init__(self, board: Board, traffic: CallCounter) -> None:
        self._board = board
        self._traffic = traffic
        self._skipped: set[str] = set()
        self._told_done = 0
        self._told_at = timedelta(0)
        self._told_quiet = False

    def about(self, event: Event) -> str | None:
        """Return an event in one line; None for what is not worth one."""
        board = self._board
        match event:
            case WaveBegan():
                said = f"wave {event.wave} of {event.waves}: {count(event.workspaces, 'WorkSpace')}"
                said += f", {time_left(board)}" if board.opening is not None else ""
            case Failed():
                last = board.failures[-1]
                again = "" if last.final else " (will be retried)"
                why = explained(last.reason, last.message)
                said = f"failed: {last.workspace_id} {last.application}: {why}{again}"
            case Skipped() if event.reason not in self._skipped:
                # Each reason once: there may be thousands of them.
                self._skipped.add(event.reason)
                why = explained(harmless(event.reason), harmless(event.message))
                said = f"skipped: {harmless(event.workspace_id)} and whatever else is so: {why}"
            case ApprovalRequested():
                said = f"wave {event.wave} has ended: {waiting_for_approval(board)}"
            case Approved():
                said = f"wave {event.wave} was approved by {harmless(event.who)}"
            case Rejected():
                because = f": {harmless(event.reason)}" if event.reason else ""
                said = f"wave {event.wave} was rejected by {harmless(event.who)}{because}"
            case Progress() if self._is_due():
                left = f", {time_left(board)}" if board.done < board.total else ""
                users = event.waiting_for_users
                said = (
                    f"{board.done} of {board.total} changes, {board.deploying} deploying, {board.waiting} waiting,"
                    f"{f' {users} of them for users,' if users else ''}"
                    f" {board.summary.counts['failed']} failed{left}; {self._traffic.words}"
                )
            case _:
                return None
        return f"{short_duration(board.elapsed):>9}  {said}"

    def _is_due(self) -> bool:
        board = self._board
        if not board.total:
            return False
        far = board.done - self._told_done >= max(1, STEP * board.total) or board.done == board.total
        quiet = board.silent >= QUIET
        if not far and quiet == self._told_quiet and board.elapsed - self._told_at < SILENCE:
            return False
        self._told_quiet = quiet
        self._told_done, self._told_at = board.done, board.elapsed
        return True


def panel(board: Board, traffic: CallCounter, width: int) -> RenderableType:
    """Return the state in a few lines."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    wave = f"  wave {board.wave.wave} of {board.wave.waves}" if board.wave else ""
    head = Table.grid(expand=True)
    head.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
    head.add_column(no_wrap=True, justify="right")
    doing = Text.assemble((harmless(board.plan.name), "bold"), wave)
    head.add_row(doing, f"  {short_duration(board.elapsed)}, {time_left(board)}")

    bar = Table.grid(padding=(0, 1), expand=True)
    bar.add_column(ratio=1)
    bar.add_column(no_wrap=True)
    share = board.done / board.total if board.total else 1.0
    bar.add_row(
        ProgressBar(max(1, board.total), board.done if board.total else 1),
        f"{board.done:,} of {count(board.total, 'change')}, {share:.0%}",
    )
    users = board.users()
    states = Text("  ").join(
        Text.assemble(f"{word} ", (f"{number:,}", style if number else "dim"))
        for word, number, style in (
            ("done", board.summary.counts["succeeded"], "green"),
            ("failed", board.summary.counts["failed"], "bold red"),
            ("retried", board.summary.retried.total(), "yellow"),
            ("skipped", board.summary.counts["skipped"], "yellow"),
            ("deploying", board.deploying, "cyan"),
            ("waiting", board.waiting, ""),
            *([("for users", users, "")] if users else []),
        )
    )
    calls = Text(traffic.words, no_wrap=True, overflow="ellipsis")
    if traffic.slowest:
        calls.append(f"; {traffic.slowest}", "yellow")
    rows: list[RenderableType] = [head, bar, states, calls]
    if board.summary.awaiting_approval is not None:
        rows.append(Text(waiting_for_approval(board), "bold yellow"))
    failures = tuple(board.failures)
    if failures:
        rows.append(Text("last failures", "dim"))
        rows += [
            failure_line(width, one.workspace_id, one.application, explained(one.reason, one.message))
            for one in failures
        ]
    return Group(*rows)


def failure_line(width: int, workspace_id: str, application: str, why: str) -> Text:
    """Return a failure in one line of a terminal."""
    from rich.text import Text

    said = Text.assemble(f"  {workspace_id}  ", (why, "red"), f"  {short_name(application)}", no_wrap=True)
    said.truncate(width, overflow="ellipsis")
    return said


def time_left(board: Board) -> str:
    """Return about how long it will still take, in words."""
    if board.draining:
        return "draining"
    paused = board.paused()
    if paused:
        return harmless(paused)
    if board.summary.awaiting_approval is not None:
        return "waiting for approval"
    if board.silent >= QUIET:
        return f"time left unknown: no answer from the service for {about(board.silent)}"
    left = "time left unknown" if board.left is None else f"about {about(board.left)} left"
    if board.opening is None:
        return left
    opens, hours = board.opening
    return f"waiting for hours until {opening_time(opens, hours.time_zone, board.now)}, {left}"


def waiting_for_approval(board: Board) -> str:
    """Return what is waited for once a wave has ended, and how it is given."""
    if not board.journal:
        return "waiting for approval"
    return f"waiting for approval: workspaces-apps approve {harmless(board.journal)}"


def opening_time(opens: datetime, time_zone: str, now: datetime) -> str:
    """Return the time at which hours begin, by the wall clock of their zone; with the day if that is not today."""
    zone = ZoneInfo(time_zone)
    local = opens.astimezone(zone)
    day = "" if local.date() == now.astimezone(zone).date() else f"{local:%a %d %b} "
    return f"{day}{local:%H:%M} {time_zone}"
