"""Options that several commands have, and what they leave behind for the end of the run."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from workspaces_apps.cli._console import LogFormat, log_to_stderr

_Given: TypeAlias = str | list[str] | None
"""The values of an option, given once or several times."""

_Check: TypeAlias = Callable[[_Given], _Given]


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


def set_log_format(wanted: LogFormat) -> LogFormat:
    """Have JSON lines logged, from INFO, or with `--debug` everything."""
    if wanted is LogFormat.JSON:
        log_to_stderr(form=wanted)
    return wanted


LogFormatOption: TypeAlias = Annotated[
    LogFormat,
    typer.Option(
        "--log-format",
        help="json: log to standard error, one JSON object a line, with stable fields; see docs/telemetry.md.",
        callback=set_log_format,
        is_eager=True,
    ),
]


class Output(StrEnum):
    """For whom a command writes."""

    TEXT = "text"
    """For people."""
    JSON = "json"
    """For programs; docs/cli.md describes each document."""
    CSV = "csv"
    """For spreadsheets, where a command has a table to give."""


def not_csv(given: Output) -> Output:
    """Refuse CSV where there is no table."""
    if given is Output.CSV:
        raise typer.BadParameter("there is no table to give as csv, but text and json")
    return given


OutputOption: TypeAlias = Annotated[
    Output,
    typer.Option(
        "--output",
        metavar="[text|json]",
        help="text for people, json for programs.",
        show_default=True,
        callback=not_csv,
    ),
]
TableOutputOption: TypeAlias = Annotated[
    Output,
    typer.Option(
        "--output", help="text for people, json for programs, csv for spreadsheets.", show_default=True
    ),
]
BomOption: TypeAlias = Annotated[
    bool,
    typer.Option("--bom", help="Begin CSV with the mark by which Excel knows that it is UTF-8."),
]


def journal_name(given: str) -> str:
    """Return what was given for a journal, if it can be one.

    Raises:
        UsageError: It is a URL of an unknown kind, or a folder.
    """
    from workspaces_apps.cli._console import UsageError
    from workspaces_apps.rollout import JournalError
    from workspaces_apps.rollout._journal.stores import parse_url

    try:
        is_url = parse_url(given) is not None
    except JournalError as error:
        raise UsageError(str(error)) from error
    if not is_url and Path(given).is_dir():
        raise UsageError(f"{given} is a folder, and a journal is a file")
    return given


JournalOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--journal",
        metavar="FILE-OR-URL",
        help="The roll-out's journal: a file, s3://bucket/prefix/name or postgresql://…/database?name=…;"
        " NAME.journal if left out, by the manifest's name.",
        show_default=False,
        parser=journal_name,
    ),
]


DatabaseOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        envvar="WORKSPACES_APPS_DATABASE",
        show_envvar=False,
        help="The database of submitted runs: postgresql://…/database; or the variable WORKSPACES_APPS_DATABASE.",
        show_default=False,
    ),
]


def named_database(given: str | None) -> str:
    """Return the database that was named.

    Raises:
        UsageError: None was, or what was given is no URL of one.
    """
    from workspaces_apps.cli._console import UsageError
    from workspaces_apps.rollout import JournalError
    from workspaces_apps.rollout._journal.stores import parse_database

    if given is None:
        raise UsageError("pass --database postgresql://…/database, or set WORKSPACES_APPS_DATABASE")
    try:
        parse_database(given)
    except JournalError as error:
        raise UsageError(str(error)) from error
    return given


def id_like(member: str, example: str) -> _Check:
    """Return the callback of an option for ids, which refuses what cannot be one, and says what was given.

    Args:
        member: Where such an id stands in DescribeWorkspaces, whose rules say what it is like.
        example: Such an id.
    """

    def check(given: _Given) -> _Given:
        # Imported only now: it brings the models, which --help does not need.
        from workspaces_apps.api import DescribeWorkspacesRequest

        pattern = DescribeWorkspacesRequest.rules[member].pattern or ""
        for one in [given] if isinstance(given, str) else given or ():
            if not re.fullmatch(pattern, one, re.ASCII):
                raise typer.BadParameter(f"'{one}' is not a valid id, such as {example}")
        return given

    return check


like_workspace_ids: _Check = id_like("workspace_ids", "ws-0123456789")
like_directory_ids: _Check = id_like("directory_id", "d-0123456789")
like_bundle_ids: _Check = id_like("bundle_id", "wsb-0123456789")


AllowEmptyOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-empty",
        help="Selectors may name what does not exist, such as users who have left: it is told, and changes no exit code.",
    ),
]

ManifestArgument: TypeAlias = Annotated[
    Path, typer.Argument(metavar="MANIFEST", help="A .toml, .yaml or .json file.")
]

MaybeManifestArgument: TypeAlias = Annotated[
    Path | None, typer.Argument(metavar="MANIFEST", help="A .toml, .yaml or .json file.", show_default=False)
]

HookTimeoutOption: TypeAlias = Annotated[
    float,
    typer.Option(
        "--hook-timeout", metavar="SECONDS", min=0.1, help="After so long such a command is killed."
    ),
]

SeedOption: TypeAlias = Annotated[int, typer.Option(help="The same seed gives the same fleet.")]

YesOption: TypeAlias = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask; needed where it is not interactive.")
]
