"""The progress of a reading, on standard error: drawn anew on a terminal, a line every so often elsewhere.

The service does not say how many pages there will be, so what is told is what has been asked so far.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from workspaces_apps.cli._console import complain, drawn_again, err, is_live
from workspaces_apps.cli._deployments import short_duration
from workspaces_apps.cli._words import count

if TYPE_CHECKING:
    from rich.console import RenderableType

    from workspaces_apps.cli._traffic import Traffic

EVERY: Final = 30.0
"""Seconds from one line to the next, where lines cannot be drawn anew."""


@contextmanager
def reading(traffic: Traffic) -> Generator[None]:
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


def every_so_often(traffic: Traffic) -> Callable[[], None]:
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


def reading_progress(traffic: Traffic) -> RenderableType:
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
