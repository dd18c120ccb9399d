"""`workspaces-apps plan`: what a manifest would change, shown, saved, shown again, and compared."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workspaces_apps.cli._connection import Connection, journal_path, load_manifest, load_plan
from workspaces_apps.cli._console import out, print_document
from workspaces_apps.cli._failures import UsageError
from workspaces_apps.cli._options import (
    DebugOption,
    EndpointOption,
    InsecureOption,
    JournalOption,
    Output,
    OutputOption,
    ProfileOption,
    RegionOption,
)

if TYPE_CHECKING:
    from workspaces_apps.rollout import Manifest, Plan

EPILOG = "Exit codes: 0 nothing to do; 2 there are changes; 1 an error, or a target that could not be read; 64 usage."


def register(app: typer.Typer) -> None:
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
    details: Annotated[bool, typer.Option("--details", help="Name every WorkSpace.")] = False,
    journal: JournalOption = None,
    output: OutputOption = Output.TEXT,
    profile: ProfileOption = None,
    region: RegionOption = None,
    endpoint_url: EndpointOption = None,
    allow_insecure_endpoint: InsecureOption = False,
    debug: DebugOption = False,
) -> int:
    """Show what would be installed and removed where. Only reads."""
    del debug
    if (manifest is None) == (show is None):
        raise UsageError("plan takes a manifest, or --show with a saved plan")
    older, made = load_plan(diff), load_plan(show)
    wanted = load_manifest(manifest)
    if wanted is not None:
        connection = Connection(
            profile=profile,
            region=region,
            endpoint_url=endpoint_url,
            allow_insecure_endpoint=allow_insecure_endpoint,
        )
        made = asyncio.run(make(wanted, connection, journal_path(journal, wanted.name)))
    if made is None:
        raise UsageError("there is no plan")
    if save is not None:
        made.save(save)
    if output is Output.JSON:
        from workspaces_apps.cli._documents import of_diff, of_plan

        print_document(of_plan(made) if older is None else of_diff(older.diff(made)))
    else:
        from workspaces_apps.cli._screens import show_diff, show_plan

        if older is None:
            show_plan(out(), made, details=details)
        else:
            show_diff(out(), made, older.diff(made))
    return made.exit_code


async def make(manifest: Manifest, connection: Connection, journal: Path) -> Plan:
    """Read the service, and say what would happen."""
    from workspaces_apps.cli._reading import reading
    from workspaces_apps.cli._traffic import Traffic

    traffic = Traffic(connection.clock.monotonic)
    async with connection.rollout(manifest, traffic.hooks) as rollout:
        with reading(traffic):
            return await rollout.plan(manifest, journal=journal)
