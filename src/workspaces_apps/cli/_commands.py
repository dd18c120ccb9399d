"""The table of commands, and a group that imports the module of a command when it is wanted."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from typing import Any, Final, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_group


class Command(NamedTuple):
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
    "plan": Command("cli._plan:register_plan", "Show what would be installed and removed where."),
    "apply": Command("cli._apply:register_apply", "Install and remove what a manifest wants."),
    "status": Command("cli._status:register_status", "Compare a manifest with the fleet."),
    "watch": Command("cli._status:register_status", "Compare again and again, until Ctrl-C."),
    "approve": Command("cli._control:register_control", "Approve the wave that waits for it."),
    "reject": Command("cli._control:register_control", "Reject the wave that waits for approval."),
    "pause": Command("cli._control:register_control", "Start no new WorkSpaces until resume."),
    "resume": Command("cli._control:register_control", "Lift a pause."),
    "drain": Command("cli._control:register_control", "Start nothing more in an apply."),
    "stop": Command("cli._control:register_control", "End an apply at once, with 5."),
    "report": Command("cli._reports:register_report", "Summarize a roll-out, from its journal."),
    "submit": Command("cli._queue:register_queue", "Queue a roll-out for workers."),
    "worker": Command("cli._queue:register_queue", "Carry out what was submitted, until asked to end."),
    "runs": Command("cli._queue:register_queue", "List submitted runs."),
    "journal": Command("cli._journals:register_journal", "Copy journals between files, S3 and PostgreSQL."),
    "install": Command("cli._install:register_install", "Install applications on a few WorkSpaces."),
    "uninstall": Command("cli._install:register_install", "Uninstall applications from a few WorkSpaces."),
    "list": Command("cli._listing:register_list", "List applications, WorkSpaces, or associations."),
    "validate": Command("cli._offline:register_offline", "Check a manifest, and the lists that it names."),
    "schema": Command("cli._offline:register_offline", "Print the JSON Schema of manifests, for editors."),
    "iam-policy": Command("cli._offline:register_offline", "Print the IAM policy that commands need."),
    "simulate": Command("cli._simulate:register_simulate", "Run the simulator until Ctrl-C or SIGTERM."),
    "demo": Command("cli._demo:register_demo", "Roll two applications out over 300 simulated WorkSpaces."),
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
