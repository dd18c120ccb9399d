"""`workspaces-apps journal copy`: from one store to another."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from workspaces_apps._base.text import harmless
from workspaces_apps.cli._console import out
from workspaces_apps.cli._options import DebugOption, journal_name
from workspaces_apps.cli._running import run as run_loop

EPILOG: Final = "Exit codes: 0 copied; 1 an error, or one of them is written to, or TO exists; 64 usage."


def register_journal(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Copy journals between files, S3 and PostgreSQL.", no_args_is_help=True)
    # A group of one command would take its name.
    group.callback()(_journals)
    group.command("copy", epilog=EPILOG)(copy)
    app.add_typer(group, name="journal")


def _journals() -> None:
    """Copy journals between files, S3 and PostgreSQL."""


def copy(
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="A journal that nobody writes to now.", parser=journal_name)
    ],
    to: Annotated[
        str, typer.Argument(metavar="TO", help="Where there is no journal yet.", parser=journal_name)
    ],
    debug: DebugOption = False,
) -> None:
    """Copy a journal, so that the roll-out can go on with the copy. Each is a file or a URL."""
    del debug
    from workspaces_apps.rollout import copy_journal
    from workspaces_apps.rollout._journal.stores import title_of

    count = run_loop(copy_journal(source, to))
    said = f"{count:,} events copied from {title_of(source)} to {title_of(to)}"
    out().print(harmless(said), soft_wrap=True)
