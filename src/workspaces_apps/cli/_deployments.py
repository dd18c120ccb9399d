"""The view of deployments while they run: a table that is drawn anew, or a line for each change.

Which of the two depends on the terminal; what was written to a file stays readable.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from workspaces_apps._base.text import harmless
from workspaces_apps.cli._console import drawn_again, is_live

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

LOOKS: Final[Mapping[str | None, Look]] = {
    None: Look("waiting", " ", "dim"),
    FAILED: Look("failed", "✗", "bold red", ended=True),
    "PENDING_INSTALL_DEPLOYMENT": Look("staged", "○", "dim"),
    "PENDING_UNINSTALL_DEPLOYMENT": Look("staged", "○", "dim"),
    "PENDING_INSTALL": Look("pending", "◔", "yellow"),
    "PENDING_UNINSTALL": Look("pending", "◔", "yellow"),
    "INSTALLING": Look("installing", "◑", "cyan"),
    "UNINSTALLING": Look("removing", "◑", "cyan"),
    "COMPLETED": Look("COMPLETED", "●", "green", ended=True),
    "REMOVED": Look("REMOVED", "●", "green", ended=True),
    "ERROR": Look("ERROR", "✗", "bold red", ended=True),
}

_ROWS_AROUND: Final = 9
"""Lines that a live table needs besides one for each WorkSpace."""

_ROOMY, _COLUMN = 34, 21
"""Columns of a terminal that the WorkSpace with its operating system takes, and each application."""


@dataclass(frozen=True, slots=True)
class Step:
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
        self._steps: dict[tuple[str, str], Step] = {}
        self.on_step: Callable[[str, str, Step], None] | None = None

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
        step = self._steps[workspace_id, application_id] = Step(str(state), self.elapsed)
        if self.on_step is not None:
            self.on_step(workspace_id, application_id, step)

    def step(self, workspace_id: str, application_id: str) -> Step | None:
        """The state seen last."""
        return self._steps.get((workspace_id, application_id))

    def ended(self, workspace_id: str | None = None) -> int:
        """Count the associations that have ended, of one WorkSpace or of all."""
        known = [key for key in self._steps if workspace_id in (None, key[0])]
        return sum(look_of(self._steps[key].state).ended for key in known)


def look_of(state: str | None) -> Look:
    """Return the look of a state; one that is newer than this package is shown as the service spells it."""
    return LOOKS.get(state) or Look(harmless(state), "?", "magenta")


def short_duration(duration: timedelta) -> str:
    """Hours, minutes and seconds, as in 1h02m03s."""
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


def line(deployments: Deployments, workspace_id: str, application_id: str, step: Step) -> Text:
    """A state in one line, for files and pipes."""
    from rich.text import Text

    return Text.assemble(
        f"{short_duration(step.after):>8}  {harmless(workspace_id)}  ",
        (f"{harmless(step.state):<26}", look_of(step.state).style),
        f"  {harmless(deployments.applications[application_id])}",
    )


def drawing(console: Console, deployments: Deployments, facts: str) -> RenderableType:
    """The table as it stands, with what does not fit the terminal left out, and a bar below it."""
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
    """One row for each WorkSpace, one column for each application.

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


def cell(console: Console, step: Step | None) -> Text:
    """A state in a table; once it has ended with the time it took."""
    from rich.text import Text

    look = look_of(step.state if step else None)
    symbol = f"{look.symbol} " if console.encoding.lower().startswith("utf") else ""
    took = f" {short_duration(step.after)}" if step and look.ended else ""
    return Text.assemble((f"{symbol}{look.word}", look.style), (took, "dim"), no_wrap=True)
