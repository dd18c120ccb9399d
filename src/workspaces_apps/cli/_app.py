"""The program: its global options, its commands by name, and how a run of it ends."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from workspaces_apps._base import VERSION
from workspaces_apps.cli._console import ExitCode, LogFormat, guarded, tell_warnings, write_anything
from workspaces_apps.cli._options import DebugOption, Invocation, LogFormatOption

if TYPE_CHECKING:
    from collections.abc import Sequence


class HelpRow(NamedTuple):
    """A row of `--help`.

    Attributes:
        registered_by: The function that adds it to an app, as ``module:name`` below `workspaces_apps`.
        help: The first sentence of its own help; a test holds that it is.
    """

    registered_by: str
    help: str

    def register(self, app: typer.Typer) -> None:
        """Import its module, and add it to an app, with the commands beside it."""
        module, _, name = self.registered_by.partition(":")
        getattr(importlib.import_module(f"workspaces_apps.{module}"), name)(app)


COMMANDS: Final = {
    "plan": HelpRow("cli._apply:register_plan", "Show what would be installed and removed where."),
    "apply": HelpRow("cli._apply:register_apply", "Install and remove what a manifest wants."),
    "status": HelpRow("cli._status:register_status", "Compare a manifest with the fleet."),
    "watch": HelpRow("cli._status:register_status", "Compare again and again, until Ctrl-C."),
    "approve": HelpRow("cli._runs:register_control", "Approve the wave that waits for it."),
    "reject": HelpRow("cli._runs:register_control", "Reject the wave that waits for approval."),
    "pause": HelpRow("cli._runs:register_control", "Start no new WorkSpaces until resume."),
    "resume": HelpRow("cli._runs:register_control", "Lift a pause."),
    "drain": HelpRow("cli._runs:register_control", "Start nothing more in an apply."),
    "stop": HelpRow("cli._runs:register_control", "End an apply at once, with 5."),
    "report": HelpRow("cli._reports:register_report", "Summarize a roll-out, from its journal."),
    "submit": HelpRow("cli._runs:register_queue", "Queue a roll-out for workers."),
    "worker": HelpRow("cli._runs:register_queue", "Carry out what was submitted, until asked to end."),
    "runs": HelpRow("cli._runs:register_queue", "List submitted runs."),
    "journal": HelpRow("cli._reports:register_journal", "Copy journals between files, S3 and PostgreSQL."),
    "install": HelpRow("cli._install:register_install", "Install applications on a few WorkSpaces."),
    "uninstall": HelpRow("cli._install:register_install", "Uninstall applications from a few WorkSpaces."),
    "list": HelpRow("cli._listing:register_list", "List applications, WorkSpaces, or associations."),
    "validate": HelpRow("cli._offline:register_offline", "Check a manifest, and the lists that it names."),
    "schema": HelpRow("cli._offline:register_offline", "Print the JSON Schema of manifests, for editors."),
    "iam-policy": HelpRow("cli._offline:register_offline", "Print the IAM policy that commands need."),
    "simulate": HelpRow("cli._simulate:register_simulate", "Run the simulator until Ctrl-C or SIGTERM."),
    "demo": HelpRow("cli._demo:register_demo", "Roll two applications out over 300 simulated WorkSpaces."),
}
"""By name, in the order of `--help`."""


def new_app() -> typer.Typer:
    """Return an app without commands."""
    # Errors are told in `failures`, so typer's own way with exceptions is off.
    return typer.Typer(
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


class _Loaded(MutableMapping[str, Any]):
    """Commands by name, each imported when it is looked up: all of them take longer than most take to run."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._found:
            app = new_app()
            app.callback()(_nothing)
            COMMANDS[name].register(app)
            self._found.update(get_group(app).commands)
        return self._found[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._found[name] = command

    def __delitem__(self, name: str) -> None:
        del self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _nothing() -> None:
    """Make a group of an app, also of one with a single command."""


class CommandGroup(TyperGroup):
    """The group of all commands."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _Loaded()

    def format_commands(self, ctx: object, formatter: Any) -> None:
        """Write the commands by the table, so that `--help` imports none of them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in COMMANDS.items()])


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
    """Return the app with all of its commands."""
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
