"""`workspaces-apps pause`, `resume`, `approve`, `reject`, `drain` and `stop`: for a running apply, beside its journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from workspaces_apps._base.text import harmless
from workspaces_apps.cli._console import out
from workspaces_apps.cli._failures import UsageError
from workspaces_apps.cli._options import DatabaseOption, DebugOption, journal_name, named_database
from workspaces_apps.cli._running import run as run_loop

if TYPE_CHECKING:
    from workspaces_apps.rollout import ControlCommand, ControlRecord

JournalArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="JOURNAL-OR-URL",
        help="The journal that the apply writes to.",
        show_default=False,
        parser=journal_name,
    ),
]
ReasonOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Why; shown to whoever runs the apply.", show_default=False)
]

WaveOption = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="The wave that is meant; the one that waits if left out.", show_default=False
    ),
]

DECISION_EPILOG = (
    "The apply hears it within five seconds; if none runs, the next one on the journal does. Exit codes: 0 it is written;"
    " 1 an error, or no wave has ended and waits for approval."
)

EPILOG = (
    "The apply hears it within five seconds, on this machine or on one that shares the folder. Exit codes: 0 it is"
    " written; 1 an error, or no apply goes on that could be drained or stopped."
)

DECISIONS: Final[dict[ControlCommand, str]] = {
    "approve": "Approve the wave that waits for it. The apply goes on.",
    "reject": "Reject the wave that waits for approval. The apply starts nothing more, and exits with 4.",
}
"""The commands about a wave, and what `--help` says of each."""

COMMANDS: Final[dict[ControlCommand, str]] = {
    "pause": "Start no new WorkSpaces until resume. What runs goes on; it holds for later applies too.",
    "resume": "Lift a pause.",
    "drain": "Start nothing more in an apply. What runs ends; the apply then exits with 4.",
    "stop": "End an apply at once, with 5. Deployments go on at the service, and a later apply finds them.",
}
"""The commands, and what `--help` says of each."""


RunOption = Annotated[
    str | None,
    typer.Option("--run", metavar="ID", help="A submitted run, in place of a journal.", show_default=False),
]


def register_control(app: typer.Typer) -> None:
    """Add the commands."""
    for command, help_text in COMMANDS.items():
        app.command(command, help=help_text, epilog=EPILOG)(_saying(command))
    for command, help_text in DECISIONS.items():
        app.command(command, help=help_text, epilog=DECISION_EPILOG)(_deciding(command))


def _deciding(command: ControlCommand) -> Callable[..., None]:
    def decide(
        journal: JournalArgument = None,
        wave: WaveOption = None,
        reason: ReasonOption = "",
        debug: DebugOption = False,
    ) -> None:
        del debug
        if journal is None:
            raise UsageError(f"{command} takes a journal")
        _write(journal, command, reason, wave)

    return decide


def _write(journal: str, command: ControlCommand, reason: str, wave: int | None = None) -> None:
    from workspaces_apps.rollout._journal.stores import title_of

    record = run_loop(_written(journal, command, reason, wave))
    about = f" wave {record.wave}" if record.wave is not None else ""
    out().print(f"{harmless(title_of(journal))}:{about} {harmless(str(record))}", soft_wrap=True)


def _saying(command: ControlCommand) -> Callable[..., None]:
    def say(
        journal: JournalArgument = None,
        run: RunOption = None,
        database: DatabaseOption = None,
        reason: ReasonOption = "",
        debug: DebugOption = False,
    ) -> None:
        del debug
        if (journal is None) == (run is None):
            raise UsageError(f"{command} takes a journal, or --run and --database")
        if journal is None:
            run_loop(_said_to_run(database, str(run), command, reason))
            out().print(f"run {harmless(str(run))}: {command}", soft_wrap=True)
            return
        _write(journal, command, reason)

    return say


async def _written(journal: str, command: ControlCommand, reason: str, wave: int | None) -> ControlRecord:
    from workspaces_apps.rollout import JournalError, write_control
    from workspaces_apps.rollout._journal.stores import locate, title_of

    location = locate(journal)
    # A name that is mistyped would hold a pause that nobody hears.
    if await location.store.read(location.name) is None:
        raise JournalError(f"there is no journal {title_of(journal)}")
    return await write_control(journal, command, reason=reason, wave=wave)


async def _said_to_run(database: str | None, run: str, command: ControlCommand, reason: str) -> None:
    from workspaces_apps import distributed

    await distributed.command(named_database(database), run, command, reason=reason)
