"""The reference of the command line, made from the commands themselves."""

import re
from collections.abc import Iterator
from typing import Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from workspaces_apps.cli._app import PROGRAM, build

ALIKE: Final = ("--install-completion", "--show-completion", "--help")
"""Options of every command, or of the shell, that the tables leave out."""


def escaped(text: str) -> str:
    """Return text as a cell of a Markdown table shows it."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def commands() -> Iterator[tuple[str, typer.Context]]:
    """Give each command by its whole name, groups aside, in the order of `--help`."""

    def below(group: TyperGroup, name: str) -> Iterator[tuple[str, typer.Context]]:
        for short, command in group.commands.items():
            whole = f"{name} {short}"
            if isinstance(command, TyperGroup):
                yield from below(command, whole)
            else:
                yield whole, typer.Context(command, info_name=whole)

    root = get_command(build())
    assert isinstance(root, TyperGroup)
    yield from below(root, PROGRAM)


def section(name: str, context: typer.Context) -> str:
    """Return the section of one command: its usage, its help, and a row for each argument and option."""
    command = context.command
    usage = " ".join((name, *command.collect_usage_pieces(context)))
    about = re.sub(r"[\b\f]", "", command.help or "").strip()
    rows: list[str] = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and not any(option in ALIKE for option in parameter.opts):
            rows.append(f"| `{escaped(record[0])}` | {escaped(record[1])} |")
    table = "\n".join(("| argument or option | meaning |", "| --- | --- |", *rows))
    epilog = f"\n{command.epilog}\n" if command.epilog else ""
    short = name.removeprefix(f"{PROGRAM} ")
    return f"## {short}\n\n```text\n{usage}\n```\n\n{about}\n\n{table}\n{epilog}"


def pages() -> dict[str, str]:
    """Return the page of the command line by its path."""
    blocks = (section(name, context) for name, context in commands())
    text = (
        "# Commands and options\n\nEach command with everything that its `--help` says."
        " [The command line](../cli.md) has recipes, [exit codes](exit-codes.md) their table. `--debug` and `--version`"
        " may stand before any command.\n\n"
    )
    return {"reference/command-line.md": text + "\n".join(blocks)}
