"""`workspaces-apps list`: the catalogue, the WorkSpaces, and what is on them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from workspaces_apps.cli.connection import Connection
from workspaces_apps.cli.console import harmless, out, print_document
from workspaces_apps.cli.deployments import look_of
from workspaces_apps.cli.failures import UsageError
from workspaces_apps.cli.options import (
    DebugOption,
    EndpointOption,
    Output,
    OutputOption,
    ProfileOption,
    RegionOption,
)
from workspaces_apps.cli.words import count

if TYPE_CHECKING:
    from rich.text import Text

    from workspaces_apps.api import (
        ApplicationResourceAssociation,
        Workspace,
        WorkSpaceApplication,
        WorkspaceResourceAssociation,
    )
    from workspaces_apps.client import WorkSpacesClient
    from workspaces_apps.models import Model

    Association = ApplicationResourceAssociation | WorkspaceResourceAssociation

_T = TypeVar("_T")

_GAP: Final = 2
"""Spaces between two columns."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="List applications, WorkSpaces, or associations.", no_args_is_help=False)
    group.command()(applications)
    group.command()(workspaces)
    group.command()(associations)
    app.add_typer(group, name="list")


def applications(
    owner: Annotated[
        str | None, typer.Option(metavar="OWNER", help="AMAZON, or an account id.", show_default=False)
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="Only those whose name has these words.", show_default=False),
    ] = None,
    output: OutputOption = Output.TEXT,
    profile: ProfileOption = None,
    region: RegionOption = None,
    endpoint_url: EndpointOption = None,
    debug: DebugOption = False,
) -> None:
    """List the application catalogue."""
    del debug
    words = (name or "").lower().split()

    async def read(ws: WorkSpacesClient) -> list[WorkSpaceApplication]:
        found = await ws.describe_applications(owner=owner).collect()
        return [one for one in found if all(word in (one.name or "").lower() for word in words)]

    found = run(Connection(profile=profile, region=region, endpoint_url=endpoint_url), read)
    show(
        output,
        "Applications",
        found,
        ("id", "name", "state", "owner", "runs on"),
        [
            (
                one.application_id,
                one.name,
                one.state,
                one.owner,
                " ".join(sorted(map(short_system, one.supported_operating_system_names))),
            )
            for one in found
        ],
        spare=("runs on", "owner"),
    )


def workspaces(
    workspace: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only these; may be repeated.", show_default=False)
    ] = None,
    directory: Annotated[
        str | None, typer.Option(metavar="ID", help="Only those of this directory.", show_default=False)
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only this user's; goes with --directory.", show_default=False),
    ] = None,
    bundle: Annotated[
        str | None, typer.Option(metavar="ID", help="Only those of this bundle.", show_default=False)
    ] = None,
    output: OutputOption = Output.TEXT,
    profile: ProfileOption = None,
    region: RegionOption = None,
    endpoint_url: EndpointOption = None,
    debug: DebugOption = False,
) -> None:
    """List WorkSpaces."""
    del debug
    if sum(given is not None for given in (workspace or None, directory, bundle)) > 1:
        raise UsageError("the service takes only one of --workspace, --directory and --bundle")
    if user is not None and directory is None:
        raise UsageError("--user goes with --directory")

    async def read(ws: WorkSpacesClient) -> list[Workspace]:
        if not workspace:
            return await ws.describe_workspaces(
                directory_id=directory, user_name=user, bundle_id=bundle
            ).collect()
        batches = [workspace[start : start + 25] for start in range(0, len(workspace), 25)]
        return [
            one for batch in batches for one in await ws.describe_workspaces(workspace_ids=batch).collect()
        ]

    found = run(Connection(profile=profile, region=region, endpoint_url=endpoint_url), read)
    rows: list[tuple[object, ...]] = []
    for one in found:
        properties = one.workspace_properties
        rows.append(
            (
                one.workspace_id,
                one.state,
                one.user_name,
                short_system(properties.operating_system_name or "") if properties else "",
                properties.compute_type_name if properties else "",
                properties.running_mode if properties else "",
                one.directory_id,
            )
        )
    head = ("id", "state", "user", "system", "compute", "mode", "directory")
    show(output, "Workspaces", found, head, rows, spare=("directory", "mode", "compute"))


def associations(
    workspace: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Of these WorkSpaces; may be repeated.", show_default=False),
    ] = None,
    application: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Of these applications; may be repeated.", show_default=False),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="STATE", help="Only those in these states, such as ERROR.", show_default=False),
    ] = None,
    output: OutputOption = Output.TEXT,
    profile: ProfileOption = None,
    region: RegionOption = None,
    endpoint_url: EndpointOption = None,
    debug: DebugOption = False,
) -> None:
    """List which application is on which WorkSpace, of all applications if nothing else is said."""
    del debug
    if workspace and application:
        raise UsageError("--workspace and --application are two ways to ask: give one of them")

    async def read(ws: WorkSpacesClient) -> tuple[list[Association], dict[str, str]]:
        names = {one.application_id: one.name or "" async for one in ws.describe_applications()}
        if workspace:
            return await of_workspaces(ws, workspace), names
        return await of_applications(ws, application or list(names)), names

    found, names = run(Connection(profile=profile, region=region, endpoint_url=endpoint_url), read)
    shown = [one for one in found if not state or one.state in state]
    rows: list[tuple[object, ...]] = []
    for one in shown:
        workspace_id, application_id = ends(one)
        reason = one.state_reason
        why = f"{reason.error_code or ''} {reason.error_message or ''}" if reason is not None else ""
        rows.append((workspace_id, one.state, names.get(application_id) or application_id, why))
    show(output, "Associations", shown, ("WorkSpace", "state", "application", "reason"), rows)


async def of_workspaces(ws: WorkSpacesClient, workspace_ids: Sequence[str]) -> list[Association]:
    """What is on these WorkSpaces."""
    results = [
        await ws.describe_workspace_associations(workspace_id=one, associated_resource_types=["APPLICATION"])
        for one in workspace_ids
    ]
    return [association for result in results for association in result.associations]


async def of_applications(ws: WorkSpacesClient, application_ids: Sequence[str]) -> list[Association]:
    """Where these applications are."""
    found: list[Association] = []
    for application_id in application_ids:
        found += await ws.describe_application_associations(
            application_id=application_id, associated_resource_types=["WORKSPACE"]
        ).collect()
    return found


def ends(association: Association) -> tuple[str, str]:
    """The WorkSpace and the application of an association, whichever way it was listed."""
    workspace_id: str | None = getattr(association, "workspace_id", None)
    if workspace_id is not None:
        return workspace_id, association.associated_resource_id
    return association.associated_resource_id, str(getattr(association, "application_id", ""))


def run(connection: Connection, read: Callable[[WorkSpacesClient], Awaitable[_T]]) -> _T:
    """Open a client and read."""

    async def do() -> _T:
        async with connection.client() as ws:
            return await read(ws)

    return asyncio.run(do())


def show(
    output: Output,
    name: str,
    items: Sequence[Model],
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    spare: Sequence[str] = (),
) -> None:
    """Print a listing for people or for programs.

    Args:
        output: For whom.
        name: What it lists, as the API calls it.
        items: What programs get.
        head: The titles of the columns.
        rows: What people get.
        spare: The columns that are left out where a terminal is too narrow, the first one first.
    """
    if output is Output.JSON:
        from workspaces_apps.cli.documents import of_listing

        print_document(of_listing(name, items))
        return
    from rich.cells import cell_len
    from rich.text import Text

    console = out()
    cells = [[harmless("" if cell is None else cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(head, *cells, strict=True)]
    shown = list(range(len(head)))
    if console.is_terminal:
        for title in spare:
            if sum(widths[number] + _GAP for number in shown) - _GAP > console.width:
                shown.remove(head.index(title))
    for number, row in enumerate([list(head), *cells]):
        line = Text(
            (" " * _GAP).join(row[one] + " " * (widths[one] - cell_len(row[one])) for one in shown).rstrip(),
            no_wrap=True,
        )
        if number == 0:
            line.stylize("bold")
        else:
            colour(line, [row[one] for one in shown])
        if console.is_terminal:
            line.truncate(console.width, overflow="ellipsis")
        # What reads a pipe wants all of it.
        console.print(line, soft_wrap=True)
    what = {"Workspaces": "WorkSpace"}.get(name, name.lower().removesuffix("s"))
    console.print(count(len(rows), what), style="dim")


def colour(line: Text, cells: Sequence[str]) -> None:
    """Give a state its colour."""
    for cell in cells:
        style = style_of(cell)
        if style:
            start = line.plain.index(cell)
            line.stylize(style, start, start + len(cell))


def style_of(cell: str) -> str:
    """The colour of a cell: that of a state of an association, if it is one."""
    look = look_of(cell)
    return look.style if look.symbol != "?" else ""


def short_system(name: str) -> str:
    """An operating system in a word: server-2022."""
    return name.replace("WINDOWS_SERVER", "SERVER").replace("_", "-").lower()
