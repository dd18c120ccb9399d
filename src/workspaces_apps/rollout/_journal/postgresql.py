"""Journals in PostgreSQL: a segment is a row, written in the same transaction that finds the lease's epoch unchanged."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from workspaces_apps.rollout._errors import JournalError
from workspaces_apps.rollout._journal.lease import (
    LEASE_SECONDS,
    Lease,
    RealTime,
    StoreUnavailableError,
)
from workspaces_apps.rollout._journal.segments import SegmentedStore, SegmentStorage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from workspaces_apps.rollout._journal.database import Database
    from workspaces_apps.rollout._journal.urls import JournalUrl
    from workspaces_apps.rollout._log.events import Event


class PostgresqlStorage:
    """The rows of one journal; a `SegmentStorage`.

    Args:
        database: The database.
        name: The journal.
    """

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name

    async def read_lease(self) -> tuple[Lease, str] | None:
        """Return the lease, and its epoch and beat."""
        rows = await self._database.rows(
            "SELECT epoch, owner, beat, seconds, released FROM workspaces_apps.journal"
            " WHERE name = %s AND epoch > 0",
            self._name,
        )
        for epoch, owner, beat, seconds, released in rows:
            lease = Lease(epoch=epoch, owner=owner, beat=beat, seconds=seconds, released=released)
            return lease, _token(lease)
        return None

    async def write_lease(self, lease: Lease, *, instead_of: str | None) -> str | None:
        """Write the lease in the place of the one with that epoch and beat."""
        epoch, beat = map(int, instead_of.split(".")) if instead_of is not None else (0, 0)
        members = (lease.epoch, lease.owner, lease.beat, lease.seconds, lease.released)
        rows = await self._database.rows(
            "INSERT INTO workspaces_apps.journal AS known (name, epoch, owner, beat, seconds, released)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (name) DO UPDATE SET epoch = EXCLUDED.epoch,"
            " owner = EXCLUDED.owner, beat = EXCLUDED.beat, seconds = EXCLUDED.seconds, released = EXCLUDED.released"
            " WHERE known.epoch = %s AND known.beat = %s RETURNING true",
            self._name,
            *members,
            epoch,
            beat,
        )
        return _token(lease) if rows else None

    async def put(self, number: int, body: bytes, *, epoch: int) -> bool:
        """Write a segment where there is none, if the lease has this epoch; a takeover waits for it, or it for that."""
        rows = await self._database.rows(
            "WITH held AS (SELECT name FROM workspaces_apps.journal WHERE name = %s AND epoch = %s FOR NO KEY UPDATE)"
            " INSERT INTO workspaces_apps.segment (journal, number, epoch, body) SELECT name, %s, %s, %s FROM held"
            " ON CONFLICT DO NOTHING RETURNING true",
            self._name,
            epoch,
            number,
            epoch,
            body,
        )
        return bool(rows)

    async def get(self, number: int) -> bytes | None:
        """Return a segment."""
        rows = await self._database.rows(
            "SELECT body FROM workspaces_apps.segment WHERE journal = %s AND number = %s", self._name, number
        )
        return bytes(rows[0][0]) if rows else None

    async def read(self, first: int) -> Sequence[bytes]:
        """Return the segments from a number on."""
        rows = await self._database.rows(
            "SELECT body FROM workspaces_apps.segment WHERE journal = %s AND number >= %s ORDER BY number",
            self._name,
            first,
        )
        return [bytes(row[0]) for row in rows]

    async def read_control(self) -> tuple[bytes, str] | None:
        """Return the control record, and its version."""
        rows = await self._database.rows(
            "SELECT control, control_version FROM workspaces_apps.journal WHERE name = %s AND control IS NOT NULL",
            self._name,
        )
        return (bytes(rows[0][0]), str(rows[0][1])) if rows else None

    async def write_control(self, content: bytes, *, instead_of: str | None) -> bool:
        """Write the control record in the place of that version."""
        rows = await self._database.rows(
            "INSERT INTO workspaces_apps.journal AS known (name, control, control_version) VALUES (%s, %s, 1)"
            " ON CONFLICT (name) DO UPDATE SET control = EXCLUDED.control, control_version = known.control_version + 1"
            " WHERE known.control_version = %s RETURNING true",
            self._name,
            content,
            int(instead_of or 0),
        )
        return bool(rows)


def _token(lease: Lease) -> str:
    return f"{lease.epoch}.{lease.beat}"


def store_in(
    database: Database,
    *,
    lease: float = LEASE_SECONDS,
    real_time: RealTime = RealTime(),  # noqa: B008 - frozen
) -> SegmentedStore:
    """Return a store over connections that are open and stay open, shared by all of its journals."""

    @asynccontextmanager
    async def connect(name: str) -> AsyncGenerator[SegmentStorage, None]:
        yield PostgresqlStorage(database, name)

    return SegmentedStore(connect, where=database.shown, lease=lease, real_time=real_time)


async def read_run(database: str, run: str) -> Sequence[Sequence[Event]]:
    """Return the events of each target of a submitted run; of those that have begun.

    Args:
        database: The database's URL.
        run: The run's id.

    Raises:
        JournalError: There is no such run, or the database cannot be reached.
    """
    from workspaces_apps.rollout._journal.database import open_database
    from workspaces_apps.rollout._journal.urls import parse_database

    opened = await open_database(parse_database(database))
    try:
        rows = await opened.rows(
            "SELECT target FROM workspaces_apps.run_target WHERE run = %s ORDER BY position", run
        )
        if not rows:
            raise JournalError(f"there is no run {run!r} in {opened.shown}")
        store = store_in(opened)
        parts = [await store.read(f"{run}/{target}") for (target,) in rows]
    except StoreUnavailableError as error:
        raise JournalError(f"cannot reach the database: {error}") from error
    finally:
        await opened.close()
    return [events for events in parts if events is not None]


def postgresql_store(url: JournalUrl, *, real_time: RealTime = RealTime()) -> SegmentedStore:  # noqa: B008 - frozen
    """Return the store of a PostgreSQL URL; each open journal has connections of its own."""

    @asynccontextmanager
    async def connect(name: str) -> AsyncGenerator[SegmentStorage, None]:
        from workspaces_apps.rollout._journal.database import open_database

        database = await open_database(url)
        try:
            yield PostgresqlStorage(database, name)
        finally:
            await database.close()

    return SegmentedStore(connect, where=url.shown, real_time=real_time)
