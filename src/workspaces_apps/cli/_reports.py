"""`workspaces-apps report` and `journal copy`: what came of a roll-out, from its journal, and journals elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from workspaces_apps._base.system import replace_file
from workspaces_apps._base.text import harmless
from workspaces_apps.cli._connection import run as run_loop
from workspaces_apps.cli._console import UsageError, out, print_output
from workspaces_apps.cli._formats import BOM, check_bom, print_csv
from workspaces_apps.cli._options import BomOption, DatabaseOption, DebugOption, journal_name, named_database

if TYPE_CHECKING:
    from workspaces_apps.rollout import Event, Price
    from workspaces_apps.rollout.report import Report


class ReportForm(StrEnum):
    """The forms of a report."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    JUNIT = "junit"
    HTML = "html"


SUFFIXES: Final[Mapping[str, ReportForm]] = {
    ".txt": ReportForm.TEXT,
    ".json": ReportForm.JSON,
    ".csv": ReportForm.CSV,
    ".xml": ReportForm.JUNIT,
    ".html": ReportForm.HTML,
    ".htm": ReportForm.HTML,
}
"""The form that a file's suffix means."""


def register_report(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(report)


def report(
    journals: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="JOURNAL...",
            help="The journal of a roll-out, also one that grows, or its URL; several are told of as one.",
            show_default=False,
            parser=journal_name,
        ),
    ] = None,
    output: Annotated[
        ReportForm | None,
        typer.Option("--output", help="Its form; text, or what the suffix of --to says.", show_default=False),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where it goes; standard output if left out.",
            show_default=False,
            dir_okay=False,
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Only this run of the journal; last for the last one. With --database: the run's id.",
            show_default=False,
        ),
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A TOML file with the monthly prices of applications, as a manifest's prices: the licences that came"
            " or went are told with what they cost.",
            show_default=False,
        ),
    ] = None,
    bom: BomOption = False,
    database: DatabaseOption = None,
    debug: DebugOption = False,
) -> None:
    """Summarize a roll-out, from its journal. Makes no call."""
    del debug
    from workspaces_apps.rollout._journal.stores import parse_url

    form = output if output is not None else form_of(to) if to is not None else ReportForm.TEXT
    check_bom(is_csv=form is ReportForm.CSV, bom=bom)
    if to is not None:
        check_folder(to)
    for journal in journals or ():
        if parse_url(journal) is None and not Path(journal).is_file():
            raise UsageError(f"there is no journal {journal}")
    known = prices_of(prices) if prices is not None else None
    found = run_loop(loaded(journals or [], run, database))
    if known is not None:
        found = found.priced(known)
    if to is not None:
        write(to, f"{BOM if bom else ''}{rendered(found, form)}")
    elif form is ReportForm.CSV:
        print_csv(rendered(found, form), bom=bom)
    elif form is ReportForm.TEXT and out().is_terminal:
        out().print(found.to_rich())
    else:
        # The page and the XML say that they are UTF-8, whatever the terminal's encoding is.
        text = rendered(found, form)
        print_output(text if form is ReportForm.TEXT else text.encode())


def prices_of(path: Path) -> Mapping[str, Price]:
    """Return the prices of a file.

    Raises:
        UsageError: It cannot be read, or one is no price.
    """
    from pydantic import TypeAdapter, ValidationError

    from workspaces_apps.rollout import Price
    from workspaces_apps.rollout._licences import UnreadableError, read_prices

    try:
        return TypeAdapter(dict[str, Price]).validate_python(read_prices(path))
    except UnreadableError as error:
        raise UsageError(f"{path} {error}") from None
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise UsageError(f"{path}: {where}: {error.errors()[0]['msg']}") from None


async def events_of(journal: str, run: str | None) -> Sequence[Event]:
    """Return the events of a journal that has the run that is asked for.

    Raises:
        JournalError: It cannot be read.
        UsageError: It has no such run.
    """
    from workspaces_apps.rollout import JournalError, read_events
    from workspaces_apps.rollout.report._report import number_of

    events = await read_events(journal)
    if run is not None:
        try:
            number_of(run, tuple(dict.fromkeys(event.run for event in events)))
        except JournalError as error:
            raise UsageError(str(error)) from error
    return events


async def loaded(journals: Sequence[str], run: str | None, database: str | None) -> Report:
    """Return the report of one journal, of several, or of a run that was submitted.

    Raises:
        UsageError: Neither or both are named; or a run of several journals, or one that is in none.
        JournalError: One cannot be read.
    """
    from workspaces_apps.rollout.report import Report

    # The database may come from the environment, and a journal is named on purpose.
    if database is not None and not journals:
        if run is None:
            raise UsageError("with --database, report takes the --run that submit has printed")
        return await Report.load(named_database(database), run=run)
    if not journals:
        raise UsageError("report takes a journal, or --database and --run")
    if len(journals) == 1:
        return Report.from_events(await events_of(journals[0], run), run=run)
    if run is not None:
        raise UsageError("--run is for one journal")
    return await Report.load(*journals)


def rendered(report: Report, form: ReportForm) -> str:
    """Return the report in a form."""
    renderers: Mapping[ReportForm, Callable[[], str]] = {
        ReportForm.TEXT: report.to_text,
        ReportForm.JSON: report.to_json,
        ReportForm.CSV: report.to_csv,
        ReportForm.JUNIT: report.to_junit,
        ReportForm.HTML: report.to_html,
    }
    return renderers[form]()


def form_of(path: Path) -> ReportForm:
    """Return the form that a file's suffix means.

    Raises:
        UsageError: It means none.
    """
    form = SUFFIXES.get(path.suffix.lower())
    if form is None:
        raise UsageError(f"{path}: a report's file ends in {', '.join(SUFFIXES)}")
    return form


def check_paths(paths: Sequence[Path]) -> None:
    """Find out before anything is done what would fail in the end.

    Raises:
        UsageError: A report cannot go there.
    """
    for path in paths:
        form_of(path)
        check_folder(path)


def check_folder(path: Path) -> None:
    """Find out whether a file can be there.

    Raises:
        UsageError: It cannot.
    """
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}")
    if path.is_dir():
        raise UsageError(f"{path} is a folder, and a report is a file")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"{path}: the folder {path.parent} cannot be written to")


async def write_report(
    path: Path, journal: str | Path | None, events: Sequence[Event], prices: Mapping[str, Price] | None = None
) -> None:
    """Write a report in the form of the file's suffix.

    Args:
        path: Where it goes.
        journal: What it tells of.
        events: What it tells of instead, where there are any.
        prices: By application, where there are any.
    """
    from workspaces_apps.rollout.report import Report

    found = Report.from_events(events) if events or journal is None else await Report.load(journal)
    write(path, rendered(found.priced(prices or {}), form_of(path)))


def write(path: Path, text: str) -> None:
    """Write a file as it is, whatever the system does with line ends.

    It is replaced once all of it is there: what stood there before outlives a full disk.

    Raises:
        OSError: It cannot be written; the file that was there is as it was.
    """
    replace_file(path, text.encode())


COPY_EPILOG: Final = "Exit codes: 0 copied; 1 an error, or one of them is written to, or TO exists; 64 usage."


def register_journal(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Copy journals between files, S3 and PostgreSQL.", no_args_is_help=True)
    # A group of one command would take its name.
    group.callback()(_journals)
    group.command("copy", epilog=COPY_EPILOG)(copy)
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
