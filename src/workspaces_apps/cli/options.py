"""Options that several commands have, and what they leave behind for the end of the run."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from workspaces_apps.cli.console import log_to_stderr


@dataclass(slots=True, kw_only=True)
class Invocation:
    """One run of the command; the object of every typer context.

    Attributes:
        debug: Show tracebacks, and every record of this package's loggers.
    """

    debug: bool = False


def set_debug(context: typer.Context, wanted: bool) -> bool:
    """Note `--debug` wherever it stands, so that it also holds for mistakes in the options after it."""
    if wanted and isinstance(context.obj, Invocation):
        context.obj.debug = True
        log_to_stderr(debug=True)
    return wanted


DebugOption: TypeAlias = Annotated[
    bool,
    typer.Option("--debug", help="Show tracebacks and debug logs.", callback=set_debug, is_eager=True),
]


class Output(StrEnum):
    """For whom a command writes."""

    TEXT = "text"
    """For people."""
    JSON = "json"
    """For programs; docs/cli.md describes each document."""


OutputOption: TypeAlias = Annotated[
    Output, typer.Option("--output", help="text for people, json for programs.", show_default=True)
]
ProfileOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--profile", metavar="NAME", help="Profile of the AWS configuration files.", show_default=False
    ),
]
RegionOption: TypeAlias = Annotated[
    str | None, typer.Option("--region", metavar="REGION", help="AWS Region.", show_default=False)
]
EndpointOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--endpoint-url", metavar="URL", help="Another endpoint than AWS's.", show_default=False),
]
JournalOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--journal",
        metavar="FILE",
        help="The roll-out's journal; NAME.journal if left out, by the manifest's name.",
        show_default=False,
        dir_okay=False,
    ),
]
YesOption: TypeAlias = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask; needed where there is no terminal to ask on.")
]
