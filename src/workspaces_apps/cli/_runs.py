"""Commands for applies elsewhere: `pause` to `stop` beside a journal; `submit`, `worker` and `runs` on a database."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Final

import typer

from workspaces_apps._base.text import harmless
from workspaces_apps.cli._connection import ConnectionOptions, connecting, on_signals
from workspaces_apps.cli._connection import run as run_loop
from workspaces_apps.cli._console import UsageError, err, note, out, print_document, say
from workspaces_apps.cli._options import (
    DatabaseOption,
    DebugOption,
    ManifestArgument,
    Output,
    OutputOption,
    journal_name,
    named_database,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workspaces_apps._client.client import WorkSpacesClient
    from workspaces_apps.distributed import RunInfo, RunStatus, TargetStatus
    from workspaces_apps.rollout import ControlCommand, ControlRecord, Manifest, Target


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
        run: RunOption = None,
        database: DatabaseOption = None,
        reason: ReasonOption = "",
        debug: DebugOption = False,
    ) -> None:
        del debug
        _say(command, journal, run, database, reason, wave)

    return decide


def _write(journal: str, command: ControlCommand, reason: str, wave: int | None) -> None:
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
        _say(command, journal, run, database, reason)

    return say


def _say(
    command: ControlCommand,
    journal: str | None,
    run: str | None,
    database: str | None,
    reason: str,
    wave: int | None = None,
) -> None:
    if (journal is None) == (run is None):
        raise UsageError(f"{command} takes a journal, or --run and --database")
    if journal is not None:
        _write(journal, command, reason, wave)
        return
    run_loop(_said_to_run(database, str(run), command, reason, wave))
    about = f" wave {wave}" if wave is not None else ""
    out().print(f"run {harmless(str(run))}: {command}{about}", soft_wrap=True)


async def _written(journal: str, command: ControlCommand, reason: str, wave: int | None) -> ControlRecord:
    from workspaces_apps.rollout import write_control
    from workspaces_apps.rollout._errors import NoJournalError
    from workspaces_apps.rollout._journal.stores import locate, title_of

    location = locate(journal)
    # A name that is mistyped would hold a pause that nobody hears.
    if await location.store.read(location.name) is None:
        raise NoJournalError(f"there is no journal {title_of(journal)}")
    return await write_control(journal, command, reason=reason, wave=wave)


async def _said_to_run(
    database: str | None, run: str, command: ControlCommand, reason: str, wave: int | None
) -> None:
    from workspaces_apps import distributed

    await distributed.command(named_database(database), run, command, reason=reason, wave=wave)


FORMAT: Final = 1
"""The version of the documents of `--output json`."""

_NAMED: Final = 20
"""Targets at most that `--follow` names at the end."""

_MOST_SLICES: Final = 10_000
"""Slices at most of a target; each is a job."""

SUBMIT_EPILOG: Final = "Exit codes: 0 submitted; with --follow those of apply, for the gravest of its targets; 1 an error; 64 usage."
WORKER_EPILOG: Final = (
    "SIGTERM or Ctrl-C hands its targets over and ends it. Exit codes: 0 ended so; 1 an error; 64 usage."
)


def register_queue(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=SUBMIT_EPILOG)(submit)
    app.command(epilog=WORKER_EPILOG)(worker)
    app.command()(runs)


def submit(
    manifest: ManifestArgument,
    database: DatabaseOption = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Wait for its end, and show how it stands.")
    ] = False,
    slices: Annotated[
        list[str] | None,
        typer.Option(
            "--slices",
            metavar="TARGET=N",
            help="Cut a very large target into N jobs, carried out one after the other. Repeatable.",
        ),
    ] = None,
    debug: DebugOption = False,
) -> int:
    """Queue a roll-out for workers. Each target of the manifest is a job. Prints the run's id."""
    del debug
    from workspaces_apps.rollout import Manifest

    wanted = _slices(slices or ())
    return run_loop(submitted(Manifest.load(manifest), named_database(database), wanted, follow=follow))


def _slices(values: Sequence[str]) -> dict[str, int]:
    """Read ``TARGET=N``."""
    found: dict[str, int] = {}
    for value in values:
        target, _, number = value.rpartition("=")
        # Python reads no number of thousands of digits.
        if not target or not number.isdecimal() or len(number) > 9 or not 1 <= int(number) <= _MOST_SLICES:
            raise typer.BadParameter(
                f"--slices is TARGET=N, with N of 1 or more, {_MOST_SLICES:,} at most, not {value[:80]!r}"
            )
        found[target] = int(number)
    return found


async def submitted(manifest: Manifest, database: str, slices: Mapping[str, int], *, follow: bool) -> int:
    """Submit a run, print its id, and return the exit code: with `follow`, that of the run."""
    from workspaces_apps import distributed

    run = await distributed.submit(manifest, database=database, slices=slices)
    out().print(run)
    return await followed(database, run) if follow else 0


async def followed(database: str, run: str, **options: float) -> int:
    """Show how a run stands until it is over, and return its exit code."""
    from workspaces_apps.distributed._runs import follow
    from workspaces_apps.rollout import JournalError

    code, shown = 1, ""
    unhappy: Sequence[TargetStatus] = ()
    try:
        async with aclosing(follow(database, run, **options)) as statuses:
            async for found in statuses:
                if (line := summary(found.info)) != shown:
                    say(err(), line)
                    shown = line
                code = found.exit_code
                unhappy = [one for one in found.targets if one.state == "failed" or one.ending != "complete"]
    except JournalError as error:
        error.add_note(f"the run {run} goes on without anybody who follows it: status --run {run} shows it")
        raise
    for target in unhappy[:_NAMED]:
        say(err(), of_target(target))
    if len(unhappy) > _NAMED:
        say(err(), f"  and {len(unhappy) - _NAMED:,} more: status --run {run} shows them")
    return code


@connecting
def worker(
    database: DatabaseOption = None,
    concurrency: Annotated[
        int, typer.Option(min=1, metavar="N", help="Targets at most that it holds at a time.")
    ] = 50,
    *,
    connection: ConnectionOptions,
    debug: DebugOption = False,
) -> None:
    """Carry out what was submitted, until asked to end. Start as many as there are machines.

    The options for AWS are for targets of the manifest that name no profile, role or Region of their own.
    """
    del debug
    from workspaces_apps.rollout._targets import client_for

    config = connection.config()

    def client(target: Target) -> WorkSpacesClient:
        return client_for(
            target,
            profile=connection.profile,
            region=connection.region,
            endpoint_url=connection.endpoint_url,
            config=config,
        )

    run_loop(_work(named_database(database), concurrency, client))


async def _work(database: str, concurrency: int, client: Callable[[Target], WorkSpacesClient]) -> None:
    from workspaces_apps.distributed import Worker

    working = Worker(database, concurrency=concurrency, clients=client)

    def drain() -> None:
        note("handing over")
        working.drain()

    with on_signals(drain):
        note(f"worker {working.name}: waiting for targets")
        await working.run()


def runs(
    database: DatabaseOption = None, output: OutputOption = Output.TEXT, debug: DebugOption = False
) -> None:
    """List submitted runs. The latest comes first."""
    del debug
    from workspaces_apps import distributed

    found = run_loop(distributed.runs(named_database(database)))
    if output is Output.JSON:
        print_document({"format": FORMAT, "runs": [of_run(info) for info in found]})
        return
    for info in found:
        out().print(summary(info), soft_wrap=True)
    if not found:
        out().print("no runs", soft_wrap=True)


def show_run(database: str, run: str, output: Output) -> int:
    """Show how a run stands, and return the exit code of it."""
    from workspaces_apps import distributed

    found = run_loop(distributed.status(database, run))
    if output is Output.JSON:
        print_document(of_status(found))
        return found.exit_code
    out().print(summary(found.info), soft_wrap=True)
    for target in found.targets:
        out().print(of_target(target), soft_wrap=True)
    return found.exit_code


def of_target(target: TargetStatus) -> str:
    """Return a target of a run in one line."""
    planned = f", {target.planned:,} WorkSpaces to change" if target.planned is not None else ""
    ending = f" ({target.ending})" if target.ending is not None else ""
    worker = f", {target.worker}" if target.worker and target.state == "running" else ""
    message = f": {target.message}" if target.message else ""
    return harmless(f"  {target.target:<24} {target.state}{ending}{planned}{worker}{message}")


def summary(info: RunInfo) -> str:
    """Return a run in one line."""
    counts = ", ".join(f"{count} {state}" for state, count in info.counts.items() if count)
    said = f"; {info.command_by}" if info.command_by else ""
    spent = f"; {info.spent}" if info.spent is not None else ""
    return harmless(
        f"{info.run}  {info.name}  {info.submitted_at:%Y-%m-%d %H:%M %Z}  targets: {counts}{said}{spent}"
    )


def of_run(info: RunInfo) -> Mapping[str, object]:
    """Return a run as a document."""
    return {
        "run": info.run,
        "name": info.name,
        "state": info.state,
        "submitted_at": info.submitted_at.isoformat(),
        "command": info.command,
        "command_by": info.command_by,
        "spent": info.spent,
        "counts": dict(info.counts),
    }


def of_status(status: RunStatus) -> Mapping[str, object]:
    """Return a run and its targets as a document."""
    return {
        "format": FORMAT,
        **of_run(status.info),
        "ending": status.ending,
        "exit_code": status.exit_code,
        "targets": [
            {
                "target": one.target,
                "state": one.state,
                "worker": one.worker,
                "planned": one.planned,
                "ending": one.ending,
                "message": one.message,
                "changed_at": one.changed_at.isoformat(),
            }
            for one in status.targets
        ],
    }
