"""The program: its global options, and how a run of it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from typer.main import get_command

from workspaces_apps._base import VERSION
from workspaces_apps.cli._commands import CommandGroup, new_app
from workspaces_apps.cli._console import LogFormat, tell_warnings, write_anything
from workspaces_apps.cli._failures import ExitCode, guarded
from workspaces_apps.cli._options import DebugOption, Invocation, LogFormatOption

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "workspaces-apps"
EPILOG = (
    "Exit codes: 0 done, or nothing to do; 1 it failed; 2 there are changes (plan), or the fleet is out of sync (status,"
    " apply); 3 the failure budget is spent; 4 drained; 5 stopped; 64 the command line, the configuration or the manifest"
    " is wrong; 70 a fault in this program; 75 the time ran out; 77 credentials are missing or no longer valid; 130"
    " interrupted."
)


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        typer.echo(f"{PROGRAM} {VERSION}")
        raise typer.Exit


def begin(
    context: typer.Context,
    debug: DebugOption = False,
    log_format: LogFormatOption = LogFormat.TEXT,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=show_version, is_eager=True),
    ] = False,
) -> None:
    """Application management on Amazon WorkSpaces, and a simulator of the service."""
    del debug, log_format, version
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


def build() -> typer.Typer:
    """The app with all of its commands."""
    app = new_app()
    app.callback(cls=CommandGroup, invoke_without_command=True, epilog=EPILOG)(begin)
    return app


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    write_anything()
    tell_warnings()
    invocation = Invocation()
    command = get_command(build())
    return guarded(
        lambda: command.main(
            args=None if arguments is None else list(arguments),
            prog_name=PROGRAM,
            standalone_mode=False,
            obj=invocation,
        ),
        invocation,
    )
