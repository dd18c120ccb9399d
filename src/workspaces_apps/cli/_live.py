"""Displays while something runs: deployments, the progress of a reading, and the requests of a command.

On a terminal they are drawn anew, elsewhere they are lines: what was written to a file stays readable.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from workspaces_apps._associations.states import NO_ASSOCIATION, STATES, Phase, StateInfo
from workspaces_apps._base.text import harmless
from workspaces_apps._telemetry.port import AttemptRecord, Hooks, ThrottleRecord
from workspaces_apps.cli._console import complain, drawn_again, err, is_live

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text


@dataclass(frozen=True, slots=True)
class Look:
    """The look of an association's state on the screen.

    Attributes:
        word: In a table that is drawn anew.
        symbol: Before it, where the terminal can write it.
        style: Colour and weight.
        ended: Whether it is one of the states in which a deployment ends.
    """

    word: str
    symbol: str
    style: str
    ended: bool = False


FAILED: Final = "FAILED"
"""No state of the service: the WorkSpace came to its end before its application was seen in any."""


def _look(row: StateInfo) -> Look:
    """Return the look of a state of the table."""
    state = row.state or NO_ASSOCIATION
    match row.phase:
        case Phase.STAGED:
            return Look("staged", "○", "dim")
        case Phase.IN_FLIGHT:
            if state.startswith("PENDING"):
                return Look("pending", "◔", "yellow")
            return Look("installing" if row.direction == "install" else "removing", "◑", "cyan")
        case Phase.SETTLED:
            return Look(state, "●", "green", ended=True)
        case Phase.FAILED:
            return Look(state, "✗", "bold red", ended=True)


LOOKS: Final[Mapping[str | None, Look]] = {
    **{row.state: _look(row) for row in STATES},
    # Nothing was seen, which is not to be without an association.
    None: Look("waiting", " ", "dim"),
    FAILED: Look("failed", "✗", "bold red", ended=True),
}

_ROWS_AROUND: Final = 9
"""Lines that a live table needs besides one for each WorkSpace."""

_ROOMY, _COLUMN = 34, 21
"""Columns of a terminal that the WorkSpace with its operating system takes, and each application."""


@dataclass(frozen=True, slots=True)
class SeenState:
    """A state that an association was seen in, and how long after the beginning."""

    state: str
    after: timedelta


class Deployments:
    """The state of each application on each WorkSpace.

    Args:
        desktops: What each WorkSpace is, in a word or two, by its id.
        applications: The name of each application, by its id.
        now: The clock that the deployments live by.
    """

    def __init__(
        self, desktops: Mapping[str, str], applications: Mapping[str, str], now: Callable[[], datetime]
    ) -> None:
        self.desktops = desktops
        self.applications = applications
        self._now = now
        self._began = now()
        self._steps: dict[tuple[str, str], SeenState] = {}
        self.on_step: Callable[[str, str, SeenState], None] | None = None

    @property
    def elapsed(self) -> timedelta:
        """The time since the beginning."""
        return self._now() - self._began

    @property
    def total(self) -> int:
        """The number of associations that there will be."""
        return len(self.desktops) * len(self.applications)

    def note(self, workspace_id: str, application_id: str, state: str | None) -> None:
        """Take down a state; one that is known already changes nothing."""
        last = self._steps.get((workspace_id, application_id))
        if state is None or (last is not None and last.state == state):
            return
        step = self._steps[workspace_id, application_id] = SeenState(str(state), self.elapsed)
        if self.on_step is not None:
            self.on_step(workspace_id, application_id, step)

    def step(self, workspace_id: str, application_id: str) -> SeenState | None:
        """Return the state seen last."""
        return self._steps.get((workspace_id, application_id))

    def ended(self, workspace_id: str | None = None) -> int:
        """Count the associations that have ended, of one WorkSpace or of all."""
        known = [key for key in self._steps if workspace_id in (None, key[0])]
        return sum(look_of(self._steps[key].state).ended for key in known)


def look_of(state: str | None) -> Look:
    """Return the look of a state; one that is newer than this package is shown as the service spells it."""
    return LOOKS.get(state) or Look(harmless(state), "?", "magenta")


def short_duration(duration: timedelta) -> str:
    """Return hours, minutes and seconds, as in 1h02m03s."""
    # A clock may have been put back meanwhile.
    minutes, seconds = divmod(max(0, round(duration.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m{seconds:02}s"
    return f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s"


@contextmanager
def following(console: Console, deployments: Deployments, facts: Callable[[], str]) -> Generator[None]:
    """Show the deployments while the block runs.

    Args:
        console: Where.
        deployments: What is shown; told of every state by whoever follows it.
        facts: A few words on what else happens, asked again for each drawing.
    """
    if not is_live(console):
        deployments.on_step = lambda workspace_id, application_id, step: console.print(
            line(deployments, workspace_id, application_id, step), soft_wrap=True
        )
        yield
        return
    # The table of the end is printed by whoever follows the deployments; this one goes.
    with drawn_again(console, lambda: drawing(console, deployments, facts()), 12):
        yield


def line(deployments: Deployments, workspace_id: str, application_id: str, step: SeenState) -> Text:
    """Return a state in one line, for files and pipes."""
    from rich.text import Text

    return Text.assemble(
        f"{short_duration(step.after):>8}  {harmless(workspace_id)}  ",
        (f"{harmless(step.state):<26}", look_of(step.state).style),
        f"  {harmless(deployments.applications[application_id])}",
    )


def drawing(console: Console, deployments: Deployments, facts: str) -> RenderableType:
    """Return the table as it stands, with what does not fit the terminal left out, and a bar below it."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    ended = deployments.ended()
    bar = Table.grid(padding=(0, 1))
    bar.add_column()
    bar.add_column(no_wrap=True)
    bar.add_column(no_wrap=True)
    bar.add_row(
        ProgressBar(deployments.total, ended, width=20),
        f"{ended} of {deployments.total}",
        f"{short_duration(deployments.elapsed)} {facts}",
    )
    room = max(1, console.height - _ROWS_AROUND)
    return Group(table(console, deployments, room), bar)


def table(console: Console, deployments: Deployments, room: int | None = None) -> Table:
    """Return one row for each WorkSpace, one column for each application.

    Args:
        console: Where it will be shown.
        deployments: What is shown.
        room: The most rows to show, those that are under way first; None for all.
    """
    from rich import box
    from rich.table import Table

    shown = list(deployments.desktops)
    if room is not None and len(shown) > room:
        shown.sort(key=lambda one: deployments.ended(one) == len(deployments.applications))
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    grid.add_column("WorkSpace", no_wrap=True)
    fits = console.width >= _ROOMY + _COLUMN * len(deployments.applications)
    roomy = fits and any(deployments.desktops.values())
    if roomy:
        grid.add_column("Operating system", no_wrap=True)
    for name in deployments.applications.values():
        grid.add_column(harmless(name).removeprefix("Microsoft "), min_width=18)
    for workspace_id in shown[:room]:
        cells = [cell(console, deployments.step(workspace_id, one)) for one in deployments.applications]
        desktop = (harmless(deployments.desktops[workspace_id]),) if roomy else ()
        grid.add_row(harmless(workspace_id), *desktop, *cells)
    if room is not None and len(shown) > room:
        grid.caption = f"and {len(shown) - room} more"
        grid.caption_justify = "left"
    return grid


def cell(console: Console, step: SeenState | None) -> Text:
    """Return a state in a table; once it has ended with the time it took."""
    from rich.text import Text

    look = look_of(step.state if step else None)
    symbol = f"{look.symbol} " if console.encoding.lower().startswith("utf") else ""
    took = f" {short_duration(step.after)}" if step and look.ended else ""
    return Text.assemble((f"{symbol}{look.word}", look.style), (took, "dim"), no_wrap=True)


def count(number: int, one: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {one}" if number == 1 else f"{number:,} {one}s"


def about(duration: timedelta) -> str:
    """Return a length of time as roughly as it is known: 40s, 12m, 1h05m."""
    step = 60 if duration > timedelta(minutes=10) else 10
    rounded = timedelta(seconds=max(step, round(duration.total_seconds() / step) * step))
    return short_duration(rounded).removesuffix("00s")


def short_name(application: str) -> str:
    """Return an application's name without what is on all of them."""
    return harmless(application).removeprefix("Microsoft ")


def explained(reason: str, message: str) -> str:
    """Return a reason with its words, where it has any."""
    return f"{reason}: {message}" if message and message != reason else reason


WINDOW: Final = 60.0
"""Seconds over which the rate of now is taken."""


class CallCounter:
    """Counts requests, through hooks on the client.

    Args:
        monotonic: Seconds of the clock that the client lives by.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self.on_call: Callable[[], object] | None = None
        """Called after each request that was answered, or not."""
        self.rates: dict[str, float] = {}
        """The rate learned for each operation that was throttled, in calls a second."""
        self.hooks: Hooks = Hooks(on_attempt=self._attempt, on_throttle=self._throttle)
        self.begin()

    def begin(self) -> None:
        """Count from now on: something else begins, on the same connections and at the rates that were learned."""
        self._began = self._monotonic()
        self._recent: deque[float] = deque()
        self.calls: int = 0
        self.throttled: int = 0
        self.by_operation: Counter[str] = Counter()
        self.latest: str = ""
        """The operation that was called last."""

    @property
    def elapsed(self) -> timedelta:
        """The time since the beginning."""
        return timedelta(seconds=self._monotonic() - self._began)

    @property
    def per_second(self) -> float:
        """Calls a second, over the last minute or since the beginning."""
        now = self._monotonic()
        recent = sum(moment > now - WINDOW for moment in tuple(self._recent))
        return recent / max(1.0, min(WINDOW, now - self._began))

    @property
    def words(self) -> str:
        """All of it in a few words."""
        share = f" ({self.throttled / self.calls:.1%})" if self.throttled else ""
        return f"{count(self.calls, 'call')}, {self.per_second:.1f}/s, {self.throttled:,} throttled{share}"

    @property
    def slowest(self) -> str:
        """The operation that the service holds back most, in words; empty if none is."""
        if not self.rates:
            return ""
        operation, rate = min(self.rates.items(), key=lambda item: item[1])
        return f"rate-limited to {rate:.1f}/s: {operation}"

    def _attempt(self, record: AttemptRecord) -> None:
        now = self._monotonic()
        self.calls += 1
        self.throttled += record.outcome == "throttle"
        # A new one, because the screen is drawn in another thread.
        self.by_operation = self.by_operation + Counter({record.operation: 1})
        self.latest = record.operation
        self._recent.append(now)
        while self._recent[0] < now - WINDOW:
            self._recent.popleft()
        if self.on_call is not None:
            self.on_call()

    def _throttle(self, record: ThrottleRecord) -> None:
        if record.rate is not None:
            # For the same reason.
            self.rates = {**self.rates, record.operation: record.rate}


EVERY: Final = 30.0
"""Seconds from one line to the next, where lines cannot be drawn anew."""


@contextmanager
def reading(traffic: CallCounter) -> Generator[None]:
    """Show what is sent while the block runs, counted from its beginning.

    Args:
        traffic: What is sent.
    """
    traffic.begin()
    console = err()
    if not is_live(console):
        traffic.on_call = every_so_often(traffic)
        try:
            yield
        finally:
            traffic.on_call = None
        return
    # What is printed meanwhile is for others: standard output may be a file.
    with drawn_again(console, lambda: reading_progress(traffic), 4, redirect=False):
        yield


def every_so_often(traffic: CallCounter) -> Callable[[], None]:
    """Return a function that reports the progress after each call, for the first time once it takes long."""
    due = EVERY

    def tell() -> None:
        nonlocal due
        if traffic.elapsed.total_seconds() < due:
            return
        due = traffic.elapsed.total_seconds() + EVERY
        operations = ", ".join(f"{name} {number:,}" for name, number in traffic.by_operation.most_common())
        complain(
            f"reading for {short_duration(traffic.elapsed)}: {traffic.words}; {operations}; now {traffic.latest}"
        )

    return tell


def reading_progress(traffic: CallCounter) -> RenderableType:
    """Draw the progress: a line for the whole, and one for each operation; the current one is marked."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid()
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row(Text.assemble(("reading", "bold"), f"  {short_duration(traffic.elapsed)}  {traffic.words}"))
    for name, number in traffic.by_operation.most_common():
        now = name == traffic.latest
        said = Text(f"{'>' if now else ' '} {name}: {count(number, 'call')}", "cyan" if now else "")
        if name in traffic.rates:
            said.append(f", rate-limited to {traffic.rates[name]:.1f}/s", "yellow")
        grid.add_row(said)
    return grid
