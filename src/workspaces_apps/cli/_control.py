"""`workspaces-apps pause`, `resume`, `drain` and `stop`: said to a running apply, through the record beside its journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from workspaces_apps._base.text import harmless
from workspaces_apps.cli._console import out
from workspaces_apps.cli._options import DebugOption, journal_file

if TYPE_CHECKING:
    from workspaces_apps.rollout import ControlCommand

JournalArgument = Annotated[
    Path,
    typer.Argument(
        metavar="JOURNAL",
        help="The journal that the apply writes to.",
        show_default=False,
        parser=journal_file,
    ),
]
ReasonOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Why; shown to whoever runs the apply.", show_default=False)
]

EPILOG = (
    "The apply hears it within five seconds, on this machine or on one that shares the folder. Exit codes: 0 it is"
    " written; 1 an error, or no apply goes on that could be drained or stopped."
)

COMMANDS: Final[dict[ControlCommand, str]] = {
    "pause": "Start no new WorkSpaces until resume. What runs goes on; it holds for later applies too.",
    "resume": "Lift a pause.",
    "drain": "Start nothing more in an apply. What runs ends; the apply then exits with 4.",
    "stop": "End an apply at once, with 5. Deployments go on at the service, and a later apply finds them.",
}
"""The commands, and what `--help` says of each."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command, help_text in COMMANDS.items():
        app.command(command, help=help_text, epilog=EPILOG)(_saying(command))


def _saying(command: ControlCommand) -> Callable[..., None]:
    def say(journal: JournalArgument, reason: ReasonOption = "", debug: DebugOption = False) -> None:
        del debug
        from workspaces_apps.rollout import JournalError, write_control

        if not journal.exists():
            raise JournalError(f"there is no journal {journal}")
        record = asyncio.run(write_control(journal, command, reason=reason))
        out().print(f"{harmless(str(journal))}: {harmless(str(record))}", soft_wrap=True)

    return say
