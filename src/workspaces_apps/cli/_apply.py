"""`workspaces-apps plan` and `apply`: what a manifest would change, and carrying it out."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workspaces_apps._base.system import keep
from workspaces_apps.cli._connection import (
    ConnectionOptions,
    check_targets,
    connecting,
    journal_path,
    load_manifest,
    load_plan,
    on_signals,
)
from workspaces_apps.cli._connection import run as run_loop
from workspaces_apps.cli._console import ExitCode, UsageError, complain, out, print_document, print_output
from workspaces_apps.cli._formats import check_bom, print_csv
from workspaces_apps.cli._options import (
    AllowEmptyOption,
    BomOption,
    DebugOption,
    HookTimeoutOption,
    JournalOption,
    MaybeManifestArgument,
    Output,
    OutputOption,
    TableOutputOption,
    YesOption,
    journal_name,
)
from workspaces_apps.cli._programs import words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workspaces_apps._base.clock import Clock
    from workspaces_apps.cli._live import CallCounter
    from workspaces_apps.cli._progress import Board
    from workspaces_apps.rollout import Apply, Event, Manifest, Plan, Rollout


PLAN_EPILOG = (
    "Exit codes: 0 nothing to do; 2 there are changes, or the manifest names what does not exist; 1 an error,"
    " or a target that could not be read; 64 usage."
)


def register_plan(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=PLAN_EPILOG)(plan)


@connecting
def plan(
    manifest: MaybeManifestArgument = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the plan to this file.", show_default=False, dir_okay=False),
    ] = None,
    show: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Show a saved plan again, without a call.", show_default=False),
    ] = None,
    diff: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Show what is different from this older, saved plan.", show_default=False
        ),
    ] = None,
    allow_empty: AllowEmptyOption = False,
    undo: Annotated[
        str | None,
        typer.Option(
            metavar="JOURNAL-OR-URL",
            help="Plan what takes the roll-out of this journal back; MANIFEST then only says how to reach its targets,"
            " and how carefully to go.",
            show_default=False,
            parser=journal_name,
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="With --undo: take only this run back, by its id or number; last for the last one.",
            show_default=False,
        ),
    ] = None,
    details: Annotated[bool, typer.Option("--details", help="Name every WorkSpace.")] = False,
    journal: JournalOption = None,
    output: TableOutputOption = Output.TEXT,
    bom: BomOption = False,
    *,
    connection: ConnectionOptions,
    debug: DebugOption = False,
) -> int:
    """Show what would be installed and removed where. Only reads."""
    del debug
    check_bom(is_csv=output is Output.CSV, bom=bom)
    if output is Output.CSV and diff is not None:
        raise UsageError("--diff has no table to give as csv")
    if sum(one is not None for one in (manifest if undo is None else undo, show)) != 1:
        raise UsageError("plan takes a manifest, or --show with a saved plan, or --undo with a journal")
    if run is not None and undo is None:
        raise UsageError("--run goes with --undo")
    if undo is not None and journal is not None:
        raise UsageError("--journal does not go with --undo: an undo has a journal of its own")
    older, made = load_plan(diff), load_plan(show)
    wanted = load_manifest(manifest)
    if wanted is not None or undo is not None:
        if undo is not None:
            made = run_loop(take_back(undo, run, wanted, connection))
        elif wanted is not None:
            made = run_loop(make(wanted, connection, journal_path(journal, wanted.name), allow_empty))
    if made is None:
        raise UsageError("there is no plan")
    if save is not None:
        made.save(save)
    if output is Output.CSV:
        from workspaces_apps.cli._formats import plan_as_csv

        print_csv(plan_as_csv(made), bom=bom)
    elif output is Output.JSON:
        from workspaces_apps.cli._formats import of_diff, of_plan

        print_document(of_plan(made) if older is None else of_diff(older.diff(made)))
    else:
        from workspaces_apps.cli._screens import show_diff, show_plan

        if older is None:
            show_plan(out(), made, details=details)
        else:
            show_diff(out(), made, older.diff(made), older)
    return made.exit_code


async def make(manifest: Manifest, connection: ConnectionOptions, journal: str, allow_empty: bool) -> Plan:
    """Read the service, and say what would happen."""
    from workspaces_apps.cli._live import CallCounter, reading

    traffic = CallCounter(connection.clock.monotonic)
    async with connection.rollout(manifest, traffic.hooks) as rollout:
        with reading(traffic):
            return await rollout.plan(manifest, journal=journal, allow_empty=allow_empty)


async def take_back(
    journal: str, run: str | None, manifest: Manifest | None, connection: ConnectionOptions
) -> Plan:
    """Read a journal and the service, and say what would take the roll-out back."""
    from workspaces_apps.cli._live import CallCounter, reading
    from workspaces_apps.cli._reports import events_of

    # Before a client is opened, and with the exit code of a mistake on the command line.
    await events_of(journal, run)
    traffic = CallCounter(connection.clock.monotonic)
    policy = manifest.policy if manifest is not None else None
    async with connection.rollout(manifest, traffic.hooks) as rollout:
        with reading(traffic):
            return await rollout.plan_undo(journal, run=run, policy=policy)


EPILOG = (
    "Exit codes: 0 all changes applied; 2 not all of them; 3 the failure budget is spent; 4 drained (Ctrl-C);"
    " 5 stopped (Ctrl-C twice); 77 credentials were lost; 1 an error, or a target that could not be read; 64 usage."
)


def register_apply(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EPILOG)(apply)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of one apply.

    Attributes:
        journal: Its journal; None for none.
        reports: Where reports go in the end; each in the form of its suffix.
        dry_run: Write nothing.
        assume_direction: Take the wanted direction for the one that failed.
        before_deploy: The program that is run before each deployment, and its arguments; None for none.
        hook_timeout: Seconds that a run of a program may take.
        wave_check: The program that approves waves, and its arguments; None for none.
        yes: Do not ask.
        allow_empty: Selectors may name what does not exist.
        accept_unknown_account: Apply a saved plan although it is not certain that it is for this account.
        output: For whom to write.
    """

    journal: str | Path | None
    reports: tuple[Path, ...] = ()
    dry_run: bool = False
    assume_direction: bool = False
    before_deploy: tuple[str, ...] | None = None
    hook_timeout: float = 60.0
    wave_check: tuple[str, ...] | None = None
    yes: bool = False
    allow_empty: bool = False
    accept_unknown_account: bool = False
    output: Output = Output.TEXT


@connecting
def apply(
    manifest: MaybeManifestArgument = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Carry out this saved plan, not a fresh one; MANIFEST then only says how to reach its targets.",
            show_default=False,
        ),
    ] = None,
    yes: YesOption = False,
    journal: JournalOption = None,
    no_journal: Annotated[
        bool,
        typer.Option(
            "--no-journal",
            help="Keep none. What ends in ERROR then has no direction, and its tries are not counted.",
        ),
    ] = False,
    report: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Write a report in the end: .html, .json, .csv, .xml (JUnit) or .txt; may be repeated.",
            show_default=False,
            dir_okay=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Go through it, and write nothing anywhere.")
    ] = False,
    assume_direction: Annotated[
        bool,
        typer.Option(
            "--assume-direction",
            help="Where an application is in ERROR and nothing tells whether its installation or its removal failed,"
            " take what the manifest wants for it.",
        ),
    ] = False,
    allow_empty: AllowEmptyOption = False,
    accept_unknown_account: Annotated[
        bool,
        typer.Option(
            "--accept-unknown-account",
            help="Apply a saved plan although its account, or the one it would be applied to, is not known.",
        ),
    ] = False,
    before_deploy: Annotated[
        str | None,
        typer.Option(
            "--before-deploy",
            metavar="COMMAND",
            help="Run this before each deployment, the policy's notice ahead, with JSON about it on standard input. Exit"
            " code 0: proceed; 75: postpone by the seconds it prints, else 15 minutes; 69: skip; others: the WorkSpace"
            " is skipped as hook-failed. No shell is used.",
            show_default=False,
        ),
    ] = None,
    wave_check: Annotated[
        str | None,
        typer.Option(
            "--wave-check",
            metavar="COMMAND",
            help="Run this when a wave waits for approval, with JSON about it on standard input. Exit code 0: approve;"
            " 75: ask again after the seconds it prints; others: reject.",
            show_default=False,
        ),
    ] = None,
    hook_timeout: HookTimeoutOption = 60.0,
    output: OutputOption = Output.TEXT,
    *,
    connection: ConnectionOptions,
    debug: DebugOption = False,
) -> int:
    """Install and remove what a manifest wants. A deployment ends its user's session.

    It reads before it acts: applying again goes on where an earlier apply ended, however that was. Ctrl-C (or SIGTERM)
    begins nothing more and lets what runs end; a second one stops at once. With --output json, each event is a line.
    """
    del debug
    from workspaces_apps.cli._reports import check_paths

    if manifest is None and plan is None:
        raise UsageError("apply takes a manifest, or --plan with a saved plan, or both")
    if journal is not None and no_journal:
        raise UsageError("--journal and --no-journal contradict each other")
    wanted, saved = load_manifest(manifest), load_plan(plan)
    name = saved.name if saved is not None else wanted.name if wanted is not None else ""
    if saved is not None:
        check_targets(saved, wanted)
    reports = tuple(report or ())
    check_paths(reports)
    hook = words_of(before_deploy, "--before-deploy") if before_deploy is not None else None
    check = words_of(wave_check, "--wave-check") if wave_check is not None else None
    policies = [one.policy for one in (saved, wanted) if one is not None]
    if check is not None and policies[0].approval == "none":
        raise UsageError('--wave-check needs approval = "canary" or "every-wave" in the policy')
    settings = Settings(
        journal=None if no_journal else journal_path(journal, name),
        reports=reports,
        dry_run=dry_run,
        assume_direction=assume_direction,
        before_deploy=hook,
        hook_timeout=hook_timeout,
        wave_check=check,
        yes=yes,
        allow_empty=allow_empty,
        accept_unknown_account=accept_unknown_account,
        output=output,
    )
    return run_loop(run(wanted, saved, connection, settings))


async def run(
    manifest: Manifest | None, plan: Plan | None, connection: ConnectionOptions, settings: Settings
) -> int:
    """Plan where that is not done yet, ask, and apply."""
    from workspaces_apps.cli._live import CallCounter, reading
    from workspaces_apps.cli._progress import Board
    from workspaces_apps.cli._reports import write_report
    from workspaces_apps.cli._screens import show_end, show_plan
    from workspaces_apps.rollout._journal.files import check_journal
    from workspaces_apps.rollout._journal.stores import parse_url, title_of

    name = plan.name if plan is not None else manifest.name if manifest is not None else ""
    is_url = isinstance(settings.journal, str) and parse_url(settings.journal) is not None
    if settings.journal is not None and not settings.dry_run and not is_url:
        check_journal(settings.journal, of=name)
    if not settings.dry_run:
        check_answerable(settings.yes)
    traffic = CallCounter(connection.clock.monotonic)
    console, for_people = out(), settings.output is Output.TEXT
    async with connection.rollout(manifest, traffic.hooks) as rollout:
        unsure: tuple[str, ...] = ()
        if plan is None:
            if manifest is None:
                raise UsageError("there is neither a manifest nor a plan")
            with reading(traffic):
                plan = await rollout.plan(
                    manifest, journal=settings.journal, allow_empty=settings.allow_empty
                )
        else:
            if settings.allow_empty:
                plan = replace(plan, allow_empty=True)
            unsure = await rollout.check(plan)
        if for_people:
            show_plan(console, plan)
            console.print()
        else:
            for error in plan.errors:
                complain(f"could not be read: {error}")
        check_certain(unsure, settings)
        if plan.pending and not settings.dry_run:
            agreed("Each deployment ends its user's session. Apply this?", settings.yes)
        # The plan stays until the end.
        keep()
        board = Board(plan, connection.clock.now)
        events = await carry_out(rollout, plan, settings, board, traffic, connection.clock)
    if for_people:
        show_end(console, board)
    elif board.result is not None and board.result.ending == "credentials":
        complain(board.result.message)
    for path in settings.reports:
        await write_report(path, settings.journal, events, plan.prices)
        if for_people:
            console.print(f"report: {path}", soft_wrap=True)
    if for_people and settings.journal is not None and not settings.dry_run:
        console.print(f"journal: {title_of(settings.journal)}", soft_wrap=True)
    return ending_code(board, plan)


async def carry_out(
    rollout: Rollout, plan: Plan, settings: Settings, board: Board, traffic: CallCounter, clock: Clock
) -> list[Event]:
    """Apply a plan and show how it goes; gives its events where they are needed and no journal has them."""
    from workspaces_apps.cli._programs import Approver, program_hook
    from workspaces_apps.cli._progress import showing
    from workspaces_apps.rollout._journal.stores import title_of

    hook = settings.before_deploy
    # Windows has no loop that can wait for a line of its console.
    can_ask = sys.platform != "win32" and sys.stdin is not None and sys.stdin.isatty()
    asks = can_ask and settings.output is Output.TEXT
    traffic.begin()
    kept: list[Event] = []
    remember = bool(settings.reports) and (settings.journal is None or settings.dry_run)
    async with rollout.apply(
        plan,
        journal=settings.journal,
        dry_run=settings.dry_run,
        assume_direction=settings.assume_direction,
        before_deploy=program_hook(hook, clock.now) if hook is not None else None,
        hook_timeout=settings.hook_timeout,
    ) as events:
        board.paused = lambda: events.paused
        board.users = lambda: events.waiting_for_users
        board.journal = title_of(settings.journal) if settings.journal is not None else ""
        approver = Approver(
            events,
            board,
            clock,
            check=settings.wave_check,
            check_timeout=settings.hook_timeout,
            asks=asks,
        )
        async with approver:
            with on_signals(*ways_out(events, board)):
                if settings.output is Output.JSON:
                    await follow(events, print_event, board.apply, approver.hear)
                else:
                    with showing(out(), board, traffic) as tell:
                        await follow(events, tell, kept.append if remember else None, approver.hear)
    return kept


async def follow(events: Apply, *followers: Callable[[Event], object] | None) -> None:
    """Hand every event to every follower."""
    async for event in events:
        for follower in followers:
            if follower is not None:
                follower(event)


def ways_out(events: Apply, board: Board) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return the reactions to the first and the second Ctrl-C."""

    def drain() -> None:
        board.draining = True
        events.drain()
        going = (
            f"{board.deploying} WorkSpaces still deploy" if board.deploying else "those in progress finish"
        )
        complain(f"draining: no new deployments start, {going}; Ctrl-C again stops at once")

    def stop() -> None:
        events.stop()
        complain("stopping")

    return drain, stop


def check_answerable(yes: bool) -> None:
    """Find out before the first call whether somebody can answer a question; else it is answered by the command line.

    Raises:
        UsageError: There is nobody to ask.
    """
    # A process may have neither.
    if not yes and not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr)):
        raise UsageError("not interactive: pass --yes")


def check_certain(unsure: Sequence[str], settings: Settings) -> None:
    """Tell that a saved plan may be for another account; where nobody is asked, let the command line decide.

    Raises:
        UsageError: Nobody is asked, and the command line does not say that it is all right.
    """
    for why in unsure:
        complain(f"warning: {why}")
    if unsure and settings.yes and not settings.accept_unknown_account and not settings.dry_run:
        raise UsageError(
            "not applied: make sure that the plan is for this account, and pass --accept-unknown-account"
        )


def agreed(question: str, yes: bool) -> None:
    """Ask on a terminal, unless the command line has said yes.

    Raises:
        Exit: The answer is no.
    """
    if not yes and not typer.confirm(question, err=True):
        complain("nothing was changed")
        raise typer.Exit(ExitCode.FAILED)


def print_event(event: Event) -> None:
    """Print one event as a line of JSON, as the journal has it."""
    from workspaces_apps.rollout._journal.lines import to_line

    print_output(to_line(event))


def ending_code(board: Board, plan: Plan) -> int:
    """Return the exit code of an apply."""
    if board.result is None:
        return ExitCode.FAILED
    from workspaces_apps.rollout import EXIT_CODES

    code = EXIT_CODES[board.result.ending]
    return ExitCode.FAILED if plan.errors and code in (ExitCode.DONE, ExitCode.CHANGES) else code
