"""An apply on the screen: a panel that is drawn anew on a terminal, a line for what matters elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from workspaces_apps._base.text import harmless
from workspaces_apps.cli._console import drawn_again, is_live
from workspaces_apps.cli._deployments import short_duration
from workspaces_apps.cli._words import about, count, explained, short_name
from workspaces_apps.rollout import (
    ApprovalRequested,
    Approved,
    Failed,
    Progress,
    Rejected,
    Skipped,
    WaveBegan,
)

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from workspaces_apps.cli._board import Board
    from workspaces_apps.cli._traffic import Traffic
    from workspaces_apps.rollout import Event


STEP: Final = 0.1
SILENCE: Final = timedelta(minutes=5)
"""A line tells how it stands whenever so much more is done, or so much time has passed."""


QUIET: Final = timedelta(minutes=1)
"""After so long without an answer it is told that the service does not answer, instead of how long it will still take."""


@contextmanager
def showing(console: Console, board: Board, traffic: Traffic) -> Generator[Callable[[Event], None]]:
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

    def __init__(self, board: Board, traffic: Traffic) -> None:
        self._board = board
        self._traffic = traffic
        self._skipped: set[str] = set()
        self._told_done = 0
        self._told_at = timedelta(0)
        self._told_quiet = False

    def about(self, event: Event) -> str | None:
        """An event in one line; None for what is not worth one."""
        board = self._board
        match event:
            case WaveBegan():
                said = f"wave {event.wave} of {event.waves}: {count(event.workspaces, 'WorkSpace')}"
                said += f", {time_left(board)}" if board.opening is not None else ""
            case Failed():
                last = board.failures[-1]
                again = "" if last.final else " (will be tried again)"
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
                    f" {event.failed} failed{left}; {self._traffic.words}"
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


def panel(board: Board, traffic: Traffic, width: int) -> RenderableType:
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
            ("tried again", board.summary.retried, "yellow"),
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
    """A failure in one line of a terminal."""
    from rich.text import Text

    said = Text.assemble(f"  {workspace_id}  ", (why, "red"), f"  {short_name(application)}", no_wrap=True)
    said.truncate(width, overflow="ellipsis")
    return said


def time_left(board: Board) -> str:
    """About how long it will still take, in words."""
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
