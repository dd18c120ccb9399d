"""Journals in PostgreSQL: connections to the database, its schema with its migrations, and segments as its rows.

A segment is written in the same transaction that finds the lease's epoch unchanged. What many journals want of one database
at a time shares statements: a worker holds dozens of them, and each renews its lease every few seconds.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from copy import copy
from typing import TYPE_CHECKING, Final, Generic, LiteralString, TypeVar

from workspaces_apps._base.clock import start_detached
from workspaces_apps._base.logs import relay_warnings
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.rollout._errors import JournalError
from workspaces_apps.rollout._journal.segments import (
    LEASE_SECONDS,
    Lease,
    RealTime,
    SegmentedStore,
    SegmentStorage,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

    from psycopg import AsyncConnection
    from psycopg.rows import TupleRow
    from psycopg_pool import AsyncConnectionPool

    from workspaces_apps.rollout._journal.stores import JournalUrl
    from workspaces_apps.rollout._log.events import Event


MIGRATIONS: Final[tuple[LiteralString, ...]] = (
    """
    CREATE TABLE workspaces_apps.journal (
        name text PRIMARY KEY,
        epoch bigint NOT NULL DEFAULT 0,
        owner text NOT NULL DEFAULT '',
        beat bigint NOT NULL DEFAULT 0,
        seconds double precision NOT NULL DEFAULT 0,
        released boolean NOT NULL DEFAULT true,
        control bytea,
        control_version bigint NOT NULL DEFAULT 0
    );
    CREATE TABLE workspaces_apps.segment (
        journal text NOT NULL,
        number bigint NOT NULL,
        epoch bigint NOT NULL,
        body bytea NOT NULL,
        written_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (journal, number)
    );
    CREATE TABLE workspaces_apps.run (
        id text PRIMARY KEY,
        name text NOT NULL,
        manifest text NOT NULL,
        budget text NOT NULL,
        command text NOT NULL DEFAULT 'run',
        command_by text NOT NULL DEFAULT '',
        spent text,
        submitted_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE TABLE workspaces_apps.run_target (
        run text NOT NULL REFERENCES workspaces_apps.run ON DELETE CASCADE,
        target text NOT NULL,
        position integer NOT NULL,
        state text NOT NULL DEFAULT 'waiting',
        worker text NOT NULL DEFAULT '',
        planned integer,
        ending text,
        message text NOT NULL DEFAULT '',
        changed_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (run, target)
    );
    CREATE TABLE workspaces_apps.run_failure (
        run text NOT NULL REFERENCES workspaces_apps.run ON DELETE CASCADE,
        target text NOT NULL,
        workspace_id text NOT NULL,
        PRIMARY KEY (run, target, workspace_id)
    );
    """,
    # Targets in slices: the row of a slice names the target that it is a part of.
    """
    ALTER TABLE workspaces_apps.run_target
        ADD COLUMN part_of text,
        ADD COLUMN slice integer NOT NULL DEFAULT 1,
        ADD COLUMN slices integer NOT NULL DEFAULT 1;
    """,
    "ALTER TABLE workspaces_apps.run_target ADD COLUMN tries integer NOT NULL DEFAULT 0",
)
"""The steps from an empty schema to today's; each is made in one transaction with its number."""

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "journal": (
        "name",
        "epoch",
        "owner",
        "beat",
        "seconds",
        "released",
        "control",
        "control_version",
    ),
    "segment": ("journal", "number", "epoch", "body", "written_at"),
    "run": ("id", "name", "manifest", "budget", "command", "command_by", "spent", "submitted_at"),
    "run_target": (
        "run",
        "target",
        "position",
        "state",
        "worker",
        "planned",
        "ending",
        "message",
        "changed_at",
        "part_of",
        "slice",
        "slices",
        "tries",
    ),
    "run_failure": ("run", "target", "workspace_id"),
}
"""The columns that the steps lead to, by table; columns that somebody else has added are left alone."""

# Any number that nobody else locks: two processes must not migrate at a time.
_LOCK: Final = 7_305_114_620


async def migrate(connection: AsyncConnection[TupleRow], shown: str) -> None:
    """Make the schema where there is none, and bring an older one up to date.

    Args:
        connection: A connection to the database.
        shown: The database's URL without anything secret.

    Raises:
        JournalError: The schema is of a newer release, or a part of it is missing; it is left as it is.
    """
    import psycopg

    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        version = await _version(connection, shown)
        if version == 0:
            await connection.execute("CREATE SCHEMA workspaces_apps")
            await connection.execute("CREATE TABLE workspaces_apps.schema_version (version integer NOT NULL)")
            await connection.execute("INSERT INTO workspaces_apps.schema_version VALUES (0)")
        for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
            try:
                await connection.execute(step)
            except (
                psycopg.errors.DuplicateColumn,
                psycopg.errors.DuplicateTable,
                psycopg.errors.UndefinedColumn,
                psycopg.errors.UndefinedTable,
            ) as error:
                # What the step needs is missing, or what it makes is there: the version does not tell the truth.
                raise _incomplete(shown, f"step {number} fails, {error_line(error)}") from error
            await connection.execute("UPDATE workspaces_apps.schema_version SET version = %s", (number,))
        await _check_columns(connection, shown)


async def _version(connection: AsyncConnection[TupleRow], shown: str) -> int:
    """Return the version of the schema; 0 if there is none.

    Raises:
        JournalError: It is of a newer release, or says no version.
    """
    known = await connection.execute("SELECT to_regnamespace('workspaces_apps') IS NOT NULL")
    if await known.fetchone() == (False,):
        return 0
    table = await connection.execute("SELECT to_regclass('workspaces_apps.schema_version') IS NOT NULL")
    if await table.fetchone() == (False,):
        raise _incomplete(shown, "schema_version is missing")
    row = await (await connection.execute("SELECT version FROM workspaces_apps.schema_version")).fetchone()
    if row is None:
        raise _incomplete(shown, "schema_version is empty")
    version = int(row[0])
    if version > len(MIGRATIONS):
        raise JournalError(
            f"the schema workspaces_apps of {shown} is of version {version}, which a newer release made; this one knows"
            f" {len(MIGRATIONS)}: use that release, or another database"
        )
    return version


async def _check_columns(connection: AsyncConnection[TupleRow], shown: str) -> None:
    """Refuse a schema without one of our columns.

    Raises:
        JournalError: One is missing.
    """
    rows = await connection.execute(
        "SELECT relname, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
        " WHERE relnamespace = to_regnamespace('workspaces_apps') AND attnum > 0 AND NOT attisdropped"
    )
    found = {(row[0], row[1]) for row in await rows.fetchall()}
    missing = [
        f"{table}.{column}"
        for table, columns in COLUMNS.items()
        for column in columns
        if (table, column) not in found
    ]
    if missing:
        raise _incomplete(shown, f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")


def _incomplete(shown: str, why: str) -> JournalError:
    return JournalError(
        f"the schema workspaces_apps of {shown} is incomplete ({why}): restore it from a backup, or, if it holds nothing"
        " that is needed, drop it, and it is made anew"
    )


def error_line(error: Exception) -> str:
    """Return the first line of a driver's error; libpq names no password in it."""
    return next(iter(str(error).splitlines()), type(error).__name__).strip()


_PARAMETERS: Final[Mapping[str, str | int]] = {
    "application_name": "workspaces-apps",
    "connect_timeout": 5,
    # Seconds and milliseconds: a connection whose other end is gone fails by itself, before the second lease has passed.
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Parameters of connections, where the URL does not say otherwise."""

_CHECKOUT_SECONDS: Final = 5.0


def conninfo_of(url: JournalUrl) -> str:
    """Return the parameters of connections to a database: those of its URL, and ours where it does not say otherwise.

    Raises:
        psycopg.ProgrammingError: It has a parameter that does not exist.
    """
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    asked = conninfo_to_dict(url.place)
    return make_conninfo(
        url.place, **{name: value for name, value in _PARAMETERS.items() if name not in asked}
    )


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
        except (psycopg.Error, UnicodeEncodeError) as error:
            # A word of a command line that is not UTF-8 is no text for a database.
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
    relay_warnings()
    try:
        place = conninfo_of(url)
        # By itself first: a pool tries for ever, and tells nobody why.
        async with await psycopg.AsyncConnection.connect(place) as connection:
            await migrate(connection, url.shown)
    except (psycopg.ProgrammingError, UnicodeError) as error:
        # Of a host that no name can be, the resolver says that it cannot be encoded.
        raise JournalError(f"the database {url.shown} cannot be used: {error_line(error)}") from error
    except psycopg.Error as error:
        raise JournalError(f"cannot reach the database {url.shown}: {error_line(error)}") from error
    pool: AsyncConnectionPool[AsyncConnection[TupleRow]] = AsyncConnectionPool(
        place, min_size=1, max_size=connections, kwargs={"autocommit": True}, open=False
    )
    await pool.open()
    return Database(pool, url.shown)


RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")

_MOST: Final = 200
"""Requests at most that share a statement."""

_MOST_BYTES: Final = 4 << 20
"""Bytes at most that a statement carries, unless a single request has more."""


class StatementBatcher(Generic[RequestT, AnswerT]):
    """Requests of several journals that share statements: one at a time, for all that came during the one before.

    Args:
        execute: Executes the statement for requests, and returns an answer for each, in their order.
        seconds: Seconds for which a request waits for others although nothing is under way.
        size: Returns the bytes that a request carries.
    """

    def __init__(
        self,
        execute: Callable[[Sequence[RequestT]], Awaitable[Sequence[AnswerT]]],
        seconds: float = 0.0,
        size: Callable[[RequestT], int] = lambda _: 0,
    ) -> None:
        self._execute = execute
        self._seconds = seconds
        self._size = size
        self._waiting: list[tuple[RequestT, asyncio.Future[AnswerT]]] = []
        self._serving: asyncio.Task[None] | None = None

    async def ask(self, request: RequestT) -> AnswerT:
        """Return the answer to a request.

        Raises:
            StoreUnavailableError: The statement failed, and may be repeated.
            JournalError: It was refused.
        """
        answer: asyncio.Future[AnswerT] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, answer))
        if self._serving is None or self._serving.done():
            self._serving = start_detached(self._serve, name="workspaces-apps journals")
        return await answer

    async def _serve(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._seconds)
            some = self._batch()
            try:
                await self._answer(some)
            finally:
                for _, answer in some:
                    # Nobody waits for ever, whatever has gone wrong here.
                    answer.cancel()

    def _batch(self) -> list[tuple[RequestT, asyncio.Future[AnswerT]]]:
        # Who was cancelled meanwhile wants nothing any more.
        wanted = [(request, answer) for request, answer in self._waiting if not answer.done()]
        count = size = 0
        for request, _ in wanted[:_MOST]:
            size += self._size(request)
            if count and size > _MOST_BYTES:
                break
            count += 1
        self._waiting = wanted[count:]
        return wanted[:count]

    async def _answer(self, some: Sequence[tuple[RequestT, asyncio.Future[AnswerT]]]) -> None:
        if not some:
            return
        try:
            answers = await self._execute([request for request, _ in some])
        except JournalError as error:
            if len(some) == 1:
                self._refuse(some, error)
            # It may be one of them that the database refuses.
            for one in some if len(some) > 1 else ():
                await self._answer([one])
        except StoreUnavailableError as error:
            self._refuse(some, error)
        else:
            for (_, answer), found in zip(some, answers, strict=True):
                if not answer.done():
                    answer.set_result(found)

    def _refuse(self, some: Sequence[tuple[RequestT, asyncio.Future[AnswerT]]], error: Exception) -> None:
        for _, answer in some:
            if not answer.done():
                own = copy(error)
                own.__cause__ = error
                answer.set_exception(own)


class SharedStatements:
    """The statements that journals of one database share.

    Args:
        database: The database.
        patience: Seconds for which a renewal or a poll of a control record waits for others.
    """

    def __init__(self, database: Database, patience: float = 0.0) -> None:
        self.database = database
        self._renewals = StatementBatcher(self._renew_all, patience)
        self._controls = StatementBatcher(self._read_controls, patience)
        self._segments = StatementBatcher(self._put_all, size=lambda request: len(request[3]))

    async def renew(self, name: str, epoch: int, before: int, beat: int) -> bool:
        """Write the next beat of a lease; False if its epoch or its beat is another."""
        return await self._renewals.ask((name, epoch, before, beat))

    async def read_control(self, name: str) -> tuple[bytes, str] | None:
        """Return a control record, and its version."""
        return await self._controls.ask(name)

    async def put(self, name: str, epoch: int, number: int, body: bytes) -> bool:
        """Write a segment; False if its number is taken, or its lease has another epoch."""
        return await self._segments.ask((name, epoch, number, body))

    async def _renew_all(self, wanted: Sequence[tuple[str, int, int, int]]) -> Sequence[bool]:
        rows = await self.database.rows(
            # Locked in the order of segments, which share rows with renewals: in any other the two could wait for each other.
            "WITH held AS (SELECT known.name, asked.beat"
            " FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[]) AS asked (name, epoch, before, beat)"
            " JOIN workspaces_apps.journal AS known"
            " ON known.name = asked.name AND known.epoch = asked.epoch AND known.beat = asked.before"
            " ORDER BY known.name FOR NO KEY UPDATE OF known)"
            " UPDATE workspaces_apps.journal AS known SET beat = held.beat FROM held WHERE known.name = held.name"
            " RETURNING known.name, known.epoch, known.beat",
            *map(list, zip(*wanted, strict=True)),
        )
        found = set(rows)
        return [(name, epoch, beat) in found for name, epoch, _, beat in wanted]

    async def _read_controls(self, names: Sequence[str]) -> Sequence[tuple[bytes, str] | None]:
        rows = await self.database.rows(
            "SELECT name, control, control_version FROM workspaces_apps.journal"
            " WHERE name = ANY(%s) AND control IS NOT NULL",
            list(names),
        )
        found = {name: (bytes(control), str(version)) for name, control, version in rows}
        return [found.get(name) for name in names]

    async def _put_all(self, wanted: Sequence[tuple[str, int, int, bytes]]) -> Sequence[bool]:
        # A takeover waits for the lock of its lease's row, or this waits for it and finds another epoch.
        rows = await self.database.rows(
            "WITH held AS (SELECT asked.* FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bytea[])"
            " AS asked (name, epoch, number, body) JOIN workspaces_apps.journal AS known"
            " ON known.name = asked.name AND known.epoch = asked.epoch"
            " ORDER BY known.name FOR NO KEY UPDATE OF known)"
            " INSERT INTO workspaces_apps.segment (journal, epoch, number, body) SELECT * FROM held"
            " ON CONFLICT DO NOTHING RETURNING journal, epoch, number",
            *map(list, zip(*wanted, strict=True)),
        )
        found = set(rows)
        return [(name, epoch, number) in found for name, epoch, number, _ in wanted]


class PostgresqlStorage:
    """The rows of one journal; a `SegmentStorage`.

    Args:
        shared: The statements that it shares with other journals.
        name: The journal.
    """

    def __init__(self, shared: SharedStatements, name: str) -> None:
        self._shared = shared
        self._database = shared.database
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
        if lease.epoch == epoch and not lease.released:
            renewed = await self._shared.renew(self._name, epoch, beat, lease.beat)
            return _token(lease) if renewed else None
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
        return await self._shared.put(self._name, epoch, number, body)

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
        return await self._shared.read_control(self._name)

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
    patience: float = 0.0,
) -> SegmentedStore:
    """Return a store over connections that are open and stay open, shared by all of its journals.

    Args:
        database: The database.
        lease: Seconds of a journal's lease.
        real_time: The time that leases run on.
        patience: Seconds for which a renewal or a poll of a control record waits for those of other journals.
    """
    shared = SharedStatements(database, patience)

    @asynccontextmanager
    async def connect(name: str) -> AsyncGenerator[SegmentStorage, None]:
        yield PostgresqlStorage(shared, name)

    return SegmentedStore(
        connect, where=database.shown, before_name="?name=", lease=lease, real_time=real_time
    )


class UnknownRunError(JournalError, ValueError):
    """A database has no such run."""

    def __init__(self, run: str, database: Database) -> None:
        super().__init__(f"there is no run {run!r} in {database.shown}")


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
            raise UnknownRunError(run, opened)
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
            yield PostgresqlStorage(SharedStatements(database), name)
        finally:
            await database.close()

    return SegmentedStore(connect, where=url.shown, before_name="?name=", real_time=real_time)
