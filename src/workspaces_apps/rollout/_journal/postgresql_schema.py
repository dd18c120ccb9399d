"""Schema of the database: made and migrated by the library, and refused where a part of it is missing.

Everything happens in one transaction, so that a migration that fails leaves the schema as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

from workspaces_apps.rollout._errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import AsyncConnection
    from psycopg.rows import TupleRow

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
