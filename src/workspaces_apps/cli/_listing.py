"""`workspaces-apps list`: the catalogue, the WorkSpaces, what is on them, and all of it in one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from workspaces_apps.cli._connection import ConnectionOptions, connecting, meant
from workspaces_apps.cli._connection import run as run_loop
from workspaces_apps.cli._console import ExitCode, UsageError, complain
from workspaces_apps.cli._formats import as_csv, check_bom, print_csv, show
from workspaces_apps.cli._options import (
    BomOption,
    DebugOption,
    Output,
    TableOutputOption,
    like_bundle_ids,
    like_directory_ids,
    like_workspace_ids,
)

if TYPE_CHECKING:
    from datetime import datetime

    from workspaces_apps._client.client import WorkSpacesClient
    from workspaces_apps.api import (
        ApplicationResourceAssociation,
        Workspace,
        WorkSpaceApplication,
        WorkspaceResourceAssociation,
    )
    from workspaces_apps.rollout import WorkspaceFacts

    Association = ApplicationResourceAssociation | WorkspaceResourceAssociation

_T = TypeVar("_T")

_WorkspacesOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ID", help="Only these; may be repeated.", show_default=False, callback=like_workspace_ids
    ),
]

_DirectoryOption = Annotated[
    str | None,
    typer.Option(
        metavar="ID", help="Only those of this directory.", show_default=False, callback=like_directory_ids
    ),
]


def register_list(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="List applications, WorkSpaces, or associations.", no_args_is_help=False)
    group.command()(applications)
    group.command()(workspaces)
    group.command()(associations)
    group.command()(inventory)
    app.add_typer(group, name="list")


@connecting
def applications(
    owner: Annotated[
        str | None, typer.Option(metavar="OWNER", help="AMAZON, or an account id.", show_default=False)
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="Only those whose name has these words.", show_default=False),
    ] = None,
    output: TableOutputOption = Output.TEXT,
    bom: BomOption = False,
    *,
    connection: ConnectionOptions,
    debug: DebugOption = False,
) -> None:
    """List the application catalogue."""
    del debug
    check_bom(is_csv=output is Output.CSV, bom=bom)
    words = (name or "").lower().split()

    async def read(ws: WorkSpacesClient) -> list[WorkSpaceApplication]:
        found = await ws.describe_applications(owner=owner).collect()
        return [one for one in found if all(word in (one.name or "").lower() for word in words)]

    found = run(connection, read)
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
        columns=("application_id", "name", "state", "owner", "operating_systems"),
        bom=bom,
    )


@connecting
def workspaces(
    workspace: _WorkspacesOption = None,
    directory: _DirectoryOption = None,
    user: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only this user's; goes with --directory.", show_default=False),
    ] = None,
    bundle: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Only those of this bundle.",
            show_default=False,
            callback=like_bundle_ids,
        ),
    ] = None,
    output: TableOutputOption = Output.TEXT,
    bom: BomOption = False,
    *,
    connection: ConnectionOptions,
    debug: DebugOption = False,
) -> int:
    """List WorkSpaces; of those named with --workspace that do not exist, it says so and exits with 1."""
    del debug
    check_bom(is_csv=output is Output.CSV, bom=bom)
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

    found = run(connection, read)
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
    columns = (
        "workspace_id",
        "state",
        "user_name",
        "operating_system",
        "compute_type",
        "running_mode",
        "directory_id",
    )
    spare = ("directory", "mode", "compute")
    show(output, "Workspaces", found, head, rows, spare, columns=columns, bom=bom)
    return _missed(workspace or (), (one.workspace_id for one in found))


def _missed(asked: Sequence[str], found: Iterable[str | None]) -> int:
    """Tell of WorkSpaces that were asked for and are not there, and return the exit code."""
    missing = sorted({*asked} - {*found})
    if not missing:
        return ExitCode.DONE
    from workspaces_apps.rollout._plan.plan import some

    complain(f"there is no WorkSpace {some(missing)}")
    return ExitCode.FAILED


def known_states() -> list[str]:
    """Return the states that an association can be in, as the service spells them."""
    # Imported only now: it brings the models, which no other command needs for its help.
    from workspaces_apps.api import AssociationState

    return [str(state) for state in AssociationState]


def states_from(incomplete: str) -> list[str]:
    """Return the states that begin so, for the shell."""
    return [state for state in known_states() if state.startswith(incomplete.upper())]


def in_capitals(given: list[str] | None) -> list[str] | None:
    """Return states as the service spells them; one that there is not would be a listing of nothing, a false all-clear."""
    wanted = [state.upper() for state in given or ()]
    known = known_states() if wanted else []
    for state in wanted:
        if state not in known:
            raise typer.BadParameter(f"there is no state {state}, but {', '.join(known)}")
    return wanted


@connecting
def associations(
    workspace: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="Of these WorkSpaces; may be repeated.",
            show_default=False,
            callback=like_workspace_ids,
        ),
    ] = None,
    application: Annotated[
        list[str] | None,
        typer.Option(
            metavar="APPLICATION",
            help="Of this application, by id or by name (some words of it); may be repeated.",
            show_default=False,
        ),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATE",
            help="Only those in this state, such as ERROR; may be repeated.",
            show_default=False,
            callback=in_capitals,
            autocompletion=states_from,
        ),
    ] = None,
    output: TableOutputOption = Output.TEXT,
    bom: BomOption = False,
    *,
    connection: ConnectionOptions,
    debug: DebugOption = False,
) -> None:
    """List which application is on which WorkSpace, of all applications if nothing else is said."""
    del debug
    check_bom(is_csv=output is Output.CSV, bom=bom)
    if workspace and application:
        raise UsageError("--workspace and --application are two ways to ask: give one of them")

    async def read(ws: WorkSpacesClient) -> tuple[list[Association], dict[str, str]]:
        offered = await ws.describe_applications().collect()
        names = {one.application_id: one.name or "" for one in offered}
        if workspace:
            return await of_workspaces(ws, workspace), names
        return await of_applications(ws, list(meant(application, offered) if application else names)), names

    found, names = run(connection, read)
    shown = [one for one in found if not state or one.state in state]
    rows: list[tuple[object, ...]] = []
    for one in shown:
        workspace_id, application_id = ends(one)
        reason = one.state_reason
        why = f"{reason.error_code or ''} {reason.error_message or ''}" if reason is not None else ""
        rows.append((workspace_id, one.state, names.get(application_id) or application_id, why))
    head = ("WorkSpace", "state", "application", "reason")
    columns = ("workspace_id", "state", "application", "reason")
    show(output, "Associations", shown, head, rows, columns=columns, bom=bom)


INVENTORY_COLUMNS: Final = (
    "workspace_id",
    "workspace_state",
    "user_name",
    "directory_id",
    "bundle_id",
    "operating_system",
    "compute_type",
    "running_mode",
    "tags",
    "application_id",
    "application",
    "state",
    "error_code",
    "connection",
    "last_connection",
)
"""The columns of the CSV, in order. New ones are added at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One application on a WorkSpace.

    Attributes:
        application_id: The application.
        name: Its name, where the catalogue has one.
        state: The association's state.
        error_code: The service's code, where that is ERROR.
    """

    application_id: str
    name: str | None
    state: str
    error_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One WorkSpace with all that is known of it.

    Attributes:
        workspace: What DescribeWorkspaces tells.
        tags: Its tags; None where they were not read.
        applications: What is on it, by name.
        connection: Whether its user is connected, as the service calls it; None where that is not known.
        last_connection: When its user was connected last; None where that is not known, or never.
    """

    workspace: WorkspaceFacts
    tags: dict[str, str] | None = None
    applications: Sequence[Installed] = field(default_factory=tuple[Installed, ...])
    connection: str | None = None
    last_connection: datetime | None = None

    @property
    def facts(self) -> tuple[object, ...]:
        """The facts that fill the first columns of the inventory."""
        one = self.workspace
        return (
            one.workspace_id,
            one.state,
            one.user_name,
            one.directory_id,
            one.bundle_id,
            one.operating_system,
            one.compute_type,
            one.running_mode,
        )


@connecting
def inventory(
    workspace: _WorkspacesOption = None,
    directory: _DirectoryOption = None,
    tags: Annotated[
        bool, typer.Option("--tags/--no-tags", help="Read their tags: a call for each WorkSpace.")
    ] = True,
    connections: Annotated[
        bool,
        typer.Option("--connections/--no-connections", help="Read their last connections: 25 a call."),
    ] = True,
    output: TableOutputOption = Output.TEXT,
    bom: BomOption = False,
    *,
    connection: ConnectionOptions,
    debug: DebugOption = False,
) -> int:
    """List WorkSpaces with their users, tags, applications, states and last connections.

    As CSV a line for each application on each WorkSpace, and one for a WorkSpace without any.
    """
    del debug

    if workspace and directory:
        raise UsageError("--workspace and --directory are two ways to ask: give one of them")
    check_bom(is_csv=output is Output.CSV, bom=bom)

    async def read(ws: WorkSpacesClient) -> list[Item]:
        return await read_inventory(ws, workspace or (), directory, tags=tags, connections=connections)

    found = run(connection, read)
    if output is Output.CSV:
        print_csv(as_csv(INVENTORY_COLUMNS, _lines(found)), bom=bom)
    elif output is Output.JSON:
        from workspaces_apps.cli._console import print_document

        print_document({"format": 1, "Inventory": [of_item(one) for one in found]})
    else:
        _show(found)
    return _missed(workspace or (), (item.workspace.workspace_id for item in found))


async def read_inventory(
    client: WorkSpacesClient,
    workspace_ids: Sequence[str] = (),
    directory_id: str | None = None,
    *,
    tags: bool = True,
    connections: bool = True,
) -> list[Item]:
    """Read everything about WorkSpaces, in as few calls as the service allows.

    Args:
        client: The client.
        workspace_ids: The only ones; empty for all.
        directory_id: The only directory; None for all.
        tags: Read tags: a call for each WorkSpace.
        connections: Read connections: 25 a call.

    Raises:
        WorkSpacesError: A call failed.
    """
    from workspaces_apps.rollout._manifest.selectors import Scope
    from workspaces_apps.rollout._plan.reading import read_connections, read_fleet, read_tags

    scope = Scope(
        everything=not workspace_ids and directory_id is None,
        workspace_ids=frozenset(workspace_ids),
        directory_ids=frozenset({directory_id} if directory_id is not None else ()),
    )
    fleet = await read_fleet(client, scope)
    ids = list(fleet.workspaces)
    known_tags = await read_tags(client, ids if tags else [])
    readings = await read_connections(client, client.clock, ids) if connections else {}
    unread = [read.error for read in readings.values() if read.error is not None]
    for error in (*fleet.unread.values(), *known_tags.errors.values(), *unread):
        raise error
    items: list[Item] = []
    for one in fleet.workspaces.values():
        installed = [
            Installed(
                application_id=application,
                name=fleet.catalogue.name(application),
                state=str(record.state),
                error_code=record.code,
            )
            for application, record in fleet.states.get(one.workspace_id, {}).items()
        ]
        reading = readings.get(one.workspace_id)
        status = reading.status if reading is not None else None
        items.append(
            Item(
                workspace=one,
                tags=known_tags.found.get(one.workspace_id) if tags else None,
                applications=sorted(installed, key=lambda each: (each.name or "", each.application_id)),
                connection=str(status.connection_state) if status and status.connection_state else None,
                last_connection=reading.last_connected if reading is not None else None,
            )
        )
    return items


def of_item(item: Item) -> dict[str, object]:
    """Return one WorkSpace as a document."""
    last = item.last_connection
    return {
        **dict(zip(INVENTORY_COLUMNS, item.facts, strict=False)),
        "tags": item.tags,
        "applications": [asdict(each) for each in item.applications],
        "connection": item.connection,
        "last_connection": last.isoformat() if last is not None else None,
    }


def _lines(items: Sequence[Item]) -> Iterator[tuple[object, ...]]:
    for item in items:
        tags = "; ".join(f"{key}={value}" for key, value in sorted((item.tags or {}).items()))
        for each in item.applications or (None,):
            cells = (each.application_id, each.name, each.state, each.error_code) if each else (None,) * 4
            yield (*item.facts, tags, *cells, item.connection, item.last_connection)


def _show(items: Sequence[Item]) -> None:
    from workspaces_apps.cli._formats import show_rows
    from workspaces_apps.cli._live import short_name

    rows: list[tuple[object, ...]] = []
    for item in items:
        one, last = item.workspace, item.last_connection
        on = ", ".join(
            short_name(each.name or each.application_id)
            + ("" if each.state == "COMPLETED" else f" ({each.state})")
            for each in item.applications
        )
        rows.append(
            (
                one.workspace_id,
                one.state,
                one.user_name,
                f"{last:%Y-%m-%d}" if last is not None else "",
                short_system(one.operating_system or ""),
                " ".join(f"{key}={value}" for key, value in sorted((item.tags or {}).items())),
                on,
            )
        )
    head = ("id", "state", "user", "last seen", "system", "tags", "applications")
    show_rows(head, rows, "WorkSpace", spare=("system", "tags", "last seen"))


async def of_workspaces(ws: WorkSpacesClient, workspace_ids: Sequence[str]) -> list[Association]:
    """List the associations of these WorkSpaces."""
    results = [
        await ws.describe_workspace_associations(workspace_id=one, associated_resource_types=["APPLICATION"])
        for one in workspace_ids
    ]
    return [association for result in results for association in result.associations]


async def of_applications(ws: WorkSpacesClient, application_ids: Sequence[str]) -> list[Association]:
    """List the associations of these applications."""
    found: list[Association] = []
    for application_id in application_ids:
        found += await ws.describe_application_associations(
            application_id=application_id, associated_resource_types=["WORKSPACE"]
        ).collect()
    return found


def ends(association: Association) -> tuple[str, str]:
    """Return the WorkSpace and the application of an association, whichever way it was listed."""
    workspace_id: str | None = getattr(association, "workspace_id", None)
    if workspace_id is not None:
        return workspace_id, association.associated_resource_id
    return association.associated_resource_id, str(getattr(association, "application_id", ""))


def run(connection: ConnectionOptions, read: Callable[[WorkSpacesClient], Awaitable[_T]]) -> _T:
    """Open a client and read, and show how far that has come."""
    from workspaces_apps.cli._live import CallCounter, reading

    async def do() -> _T:
        traffic = CallCounter(connection.clock.monotonic)
        async with connection.client() as ws:
            with reading(traffic):
                return await read(ws.with_options(hooks=traffic.hooks))

    return run_loop(do())


def short_system(name: str) -> str:
    """Return an operating system in a word: server-2022."""
    return name.replace("WINDOWS_SERVER", "SERVER").replace("_", "-").lower()
