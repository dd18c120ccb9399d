"""`workspaces-apps plan`: what a manifest would change, shown, saved, shown again, and compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workspaces_apps.cli._connection import Connection, journal_path, load_manifest, load_plan
from workspaces_apps.cli._console import out, print_document
from workspaces_apps.cli._csv_files import check_bom, print_csv
from workspaces_apps.cli._failures import UsageError
from workspaces_apps.cli._options import (
    AllowEmptyOption,
    BomOption,
    DebugOption,
    EndpointOption,
    InsecureOption,
    JournalOption,
    Output,
    ProfileOption,
    RegionOption,
    TableOutputOption,
    journal_name,
)
from workspaces_apps.cli._running import run as run_loop

if TYPE_CHECKING:
    from workspaces_apps.rollout import Manifest, Plan

EPILOG = (
    "Exit codes: 0 nothing to do; 2 there are changes, or the manifest names what does not exist; 1 an error,"
    " or a target that could not be read; 64 usage."
)


def register_plan(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EPILOG)(plan)


def plan(
    manifest: Annotated[
        Path | None,
        typer.Argument(metavar="MANIFEST", help="A .toml, .yaml or .json file.", show_default=False),
    ] = None,
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
    profile: ProfileOption = None,
    region: RegionOption = None,
    endpoint_url: EndpointOption = None,
    allow_insecure_endpoint: InsecureOption = False,
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
        connection = Connection(
            profile=profile,
            region=region,
            endpoint_url=endpoint_url,
            allow_insecure_endpoint=allow_insecure_endpoint,
        )
        if undo is not None:
            made = run_loop(take_back(undo, run, wanted, connection), fleet=True)
        elif wanted is not None:
            made = run_loop(
                make(wanted, connection, journal_path(journal, wanted.name), allow_empty), fleet=True
            )
    if made is None:
        raise UsageError("there is no plan")
    if save is not None:
        made.save(save)
    if output is Output.CSV:
        from workspaces_apps.cli._sheets import plan_as_csv

        print_csv(plan_as_csv(made), bom=bom)
    elif output is Output.JSON:
        from workspaces_apps.cli._documents import of_diff, of_plan

        print_document(of_plan(made) if older is None else of_diff(older.diff(made)))
    else:
        from workspaces_apps.cli._screens import show_diff, show_plan

        if older is None:
            show_plan(out(), made, details=details)
        else:
            show_diff(out(), made, older.diff(made), older)
    return made.exit_code


async def make(manifest: Manifest, connection: Connection, journal: str, allow_empty: bool) -> Plan:
    """Read the service, and say what would happen."""
    from workspaces_apps.cli._reading import reading
    from workspaces_apps.cli._traffic import Traffic

    traffic = Traffic(connection.clock.monotonic)
    async with connection.rollout(manifest, traffic.hooks) as rollout:
        with reading(traffic):
            return await rollout.plan(manifest, journal=journal, allow_empty=allow_empty)


async def take_back(journal: str, run: str | None, manifest: Manifest | None, connection: Connection) -> Plan:
    """Read a journal and the service, and say what would take the roll-out back."""
    from workspaces_apps.cli._reading import reading
    from workspaces_apps.cli._reports import events_of
    from workspaces_apps.cli._traffic import Traffic

    # Before a client is opened, and with the exit code of a mistake on the command line.
    await events_of(journal, run)
    traffic = Traffic(connection.clock.monotonic)
    policy = manifest.policy if manifest is not None else None
    async with connection.rollout(manifest, traffic.hooks) as rollout:
        with reading(traffic):
            return await rollout.plan_undo(journal, run=run, policy=policy)
