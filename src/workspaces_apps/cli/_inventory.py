"""`workspaces-apps list inventory`: WorkSpaces, users, tags, applications, states and last connections in one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final

import typer

from workspaces_apps.cli._connection import Connection
from workspaces_apps.cli._csv_files import as_csv, check_bom, print_csv
from workspaces_apps.cli._failures import UsageError
from workspaces_apps.cli._options import (
    BomOption,
    DebugOption,
    EndpointOption,
    InsecureOption,
    Output,
    ProfileOption,
    RegionOption,
    TableOutputOption,
    like_directory_ids,
    like_workspace_ids,
)

if TYPE_CHECKING:
    from datetime import datetime

    from workspaces_apps._client.client import WorkSpacesClient
    from workspaces_apps.rollout import WorkspaceFacts

COLUMNS: Final = (
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


def inventory(
    workspace: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID", help="Only these; may be repeated.", show_default=False, callback=like_workspace_ids
        ),
    ] = None,
    directory: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Only those of this directory.",
            show_default=False,
            callback=like_directory_ids,
        ),
    ] = None,
    tags: Annotated[
        bool, typer.Option("--tags/--no-tags", help="Read their tags: a call for each WorkSpace.")
    ] = True,
    connections: Annotated[
        bool,
        typer.Option("--connections/--no-connections", help="Read their last connections: 25 a call."),
    ] = True,
    output: TableOutputOption = Output.TEXT,
    bom: BomOption = False,
    profile: ProfileOption = None,
    region: RegionOption = None,
    endpoint_url: EndpointOption = None,
    allow_insecure_endpoint: InsecureOption = False,
    debug: DebugOption = False,
) -> None:
    """List WorkSpaces with their users, tags, applications, states and last connections.

    As CSV a line for each application on each WorkSpace, and one for a WorkSpace without any.
    """
    del debug
    from workspaces_apps.cli._listing import run

    if workspace and directory:
        raise UsageError("--workspace and --directory are two ways to ask: give one of them")
    check_bom(is_csv=output is Output.CSV, bom=bom)

    async def read(ws: WorkSpacesClient) -> list[Item]:
        return await read_inventory(ws, workspace or (), directory, tags=tags, connections=connections)

    connection = Connection(
        profile=profile,
        region=region,
        endpoint_url=endpoint_url,
        allow_insecure_endpoint=allow_insecure_endpoint,
    )
    found = run(connection, read)
    if output is Output.CSV:
        print_csv(as_csv(COLUMNS, _lines(found)), bom=bom)
    elif output is Output.JSON:
        from workspaces_apps.cli._console import print_document

        print_document({"format": 1, "Inventory": [of_item(one) for one in found]})
    else:
        _show(found)


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
    known_tags = await read_tags(client, ids) if tags else {}
    readings = await read_connections(client, client.clock, ids) if connections else {}
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
                tags=known_tags.get(one.workspace_id) if tags else None,
                applications=sorted(installed, key=lambda each: (each.name or "", each.application_id)),
                connection=str(status.connection_state) if status and status.connection_state else None,
                last_connection=reading.last_connected if reading is not None else None,
            )
        )
    return items


def of_item(item: Item) -> dict[str, object]:
    """Return one WorkSpace as a document."""
    one, last = item.workspace, item.last_connection
    return {
        "workspace_id": one.workspace_id,
        "workspace_state": one.state,
        "user_name": one.user_name,
        "directory_id": one.directory_id,
        "bundle_id": one.bundle_id,
        "operating_system": one.operating_system,
        "compute_type": one.compute_type,
        "running_mode": one.running_mode,
        "tags": item.tags,
        "applications": [
            {
                "application_id": each.application_id,
                "name": each.name,
                "state": each.state,
                "error_code": each.error_code,
            }
            for each in item.applications
        ],
        "connection": item.connection,
        "last_connection": last.isoformat() if last is not None else None,
    }


def _lines(items: Sequence[Item]) -> Iterator[tuple[object, ...]]:
    for item in items:
        one = item.workspace
        facts = (
            one.workspace_id,
            one.state,
            one.user_name,
            one.directory_id,
            one.bundle_id,
            one.operating_system,
            one.compute_type,
            one.running_mode,
            "; ".join(f"{key}={value}" for key, value in sorted((item.tags or {}).items())),
        )
        for each in item.applications or (None,):
            cells = (each.application_id, each.name, each.state, each.error_code) if each else (None,) * 4
            yield (*facts, *cells, item.connection, item.last_connection)


def _show(items: Sequence[Item]) -> None:
    from workspaces_apps.cli._listing import short_system
    from workspaces_apps.cli._tables import show_rows
    from workspaces_apps.cli._words import short_name

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
