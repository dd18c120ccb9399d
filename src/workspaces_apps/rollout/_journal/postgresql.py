"""Journals in PostgreSQL: connections to the database, and segments as its rows.

A segment is written in the same transaction that finds the lease's epoch unchanged.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, LiteralString

from workspaces_apps.errors import ConfigurationError
from workspaces_apps.rollout._errors import JournalError
from workspaces_apps.rollout._journal.postgresql_schema import error_line, migrate
from workspaces_apps.rollout._journal.segments import (
    LEASE_SECONDS,
    Lease,
    RealTime,
    SegmentedStore,
    SegmentStorage,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from psycopg import AsyncConnection
    from psycopg.rows import TupleRow
    from psycopg_pool import AsyncConnectionPool

    from workspaces_apps.rollout._journal.stores import JournalUrl
    from workspaces_apps.rollout._log.events import Event

_APPLICATION: Final = "workspaces-apps"
_CONNECT_SECONDS: Final = 5
_CHECKOUT_SECONDS: Final = 5.0


class Database:
    """Connections to one database; close it with `close`.

    Args:
        pool: The pool of connections.
        shown: The database's URL without anything secret.
    """

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[TupleRow]], shown: str) -> None:
        self.shown: str = shown
        self._pool = pool

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[AsyncConnection[TupleRow], None]:
        """Lend a connection that commits each statement by itself.

        Raises:
            StoreUnavailableError: The database cannot be reached, or cannot take anything now.
            JournalError: It refuses what is asked for.
        """
        import psycopg
        from psycopg_pool import PoolClosed, PoolTimeout

        try:
            async with self._pool.connection(_CHECKOUT_SECONDS) as connection:
                yield connection
        except PoolTimeout as error:
            raise StoreUnavailableError(f"no connection to the database {self.shown}") from error
        except PoolClosed as error:
            raise JournalError(f"the connections to {self.shown} are closed") from error
        except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.InternalError_) as error:
            # A restart, a full disk, too many connections, a deadlock: each passes.
            raise StoreUnavailableError(f"the database {self.shown}: {error_line(error)}") from error
        except psycopg.Error as error:
            raise JournalError(f"the database {self.shown} refuses: {error_line(error)}") from error

    async def rows(self, query: LiteralString, *parameters: object) -> Sequence[TupleRow]:
        """Execute one statement, and return its rows.

        Raises:
            StoreUnavailableError: As for `connection`.
            JournalError: As for `connection`.
        """
        async with self.connection() as connection:
            cursor = await connection.execute(query, parameters)
            return await cursor.fetchall() if cursor.description is not None else ()

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close(timeout=2.0)


async def open_database(url: JournalUrl, *, connections: int = 2) -> Database:
    """Connect to a database, and bring its schema up to date.

    Args:
        url: The database.
        connections: Connections at most.

    Raises:
        ConfigurationError: The extra ``distributed`` is not installed.
        JournalError: The database cannot be reached, or its schema is of a newer release or incomplete.
    """
    try:
        import psycopg
        from psycopg_pool import AsyncConnectionPool
    except ImportError as error:
        raise ConfigurationError(
            'journals in PostgreSQL need the extra distributed: pip install "workspaces-apps[distributed]"'
        ) from error
    try:
        # By itself first: a pool tries for ever, and tells nobody why.
        connecting = psycopg.AsyncConnection.connect(
            url.place, connect_timeout=_CONNECT_SECONDS, application_name=_APPLICATION
        )
        async with await connecting as connection:
            await migrate(connection, url.shown)
    except psycopg.ProgrammingError as error:
        raise JournalError(f"the database {url.shown} cannot be used: {error_line(error)}") from error
    except psycopg.Error as error:
        raise JournalError(f"cannot reach the database {url.shown}: {error_line(error)}") from error
    pool: AsyncConnectionPool[AsyncConnection[TupleRow]] = AsyncConnectionPool(
        url.place,
        min_size=1,
        max_size=connections,
        kwargs={
            "connect_timeout": _CONNECT_SECONDS,
            "application_name": _APPLICATION,
            "autocommit": True,
        },
        open=False,
    )
    await pool.open()
    return Database(pool, url.shown)


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
    from workspaces_apps.rollout._journal.stores import parse_database

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

        database = await open_database(url)
        try:
            yield PostgresqlStorage(database, name)
        finally:
            await database.close()

    return SegmentedStore(connect, where=url.shown, real_time=real_time)
