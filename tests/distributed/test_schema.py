"""Schemas that are older, newer, half-migrated or somebody else's: migrated with their data, or refused and left alone."""

import re
from collections.abc import Callable
from typing import LiteralString

import pytest

from tests.distributed.test_stores import intent, started
from tests.rollout.site import manifest
from workspaces_apps.rollout import JournalError, open_journal, read_events
from workspaces_apps.rollout._journal.lines import to_line
from workspaces_apps.rollout._journal.postgresql import COLUMNS, MIGRATIONS
from workspaces_apps.rollout._journal.segments import SegmentHeader

pytest.importorskip("procrastinate", reason="the extra distributed is not installed")

import psycopg
from procrastinate import App, PsycopgConnector, sql

from workspaces_apps.distributed import Worker, runs, status, submit
from workspaces_apps.distributed._engine import FUNCTIONS


def execute(database: str, *statements: LiteralString) -> None:
    """Execute statements in one transaction, as an administrator would."""
    with psycopg.connect(database) as connection:
        for statement in statements:
            connection.execute(statement)


def rows(database: str, query: LiteralString) -> list[tuple[object, ...]]:
    """Return the rows of a query."""
    with psycopg.connect(database) as connection:
        return connection.execute(query).fetchall()


def make_first_version(database: str) -> None:
    """Make the schema as the first release of it did."""
    execute(
        database,
        "CREATE SCHEMA workspaces_apps",
        "CREATE TABLE workspaces_apps.schema_version (version integer NOT NULL)",
        "INSERT INTO workspaces_apps.schema_version VALUES (1)",
        MIGRATIONS[0],
    )


async def make_todays_version(database: str) -> None:
    """Make the schema as this release does, with a journal in it."""
    journal = await open_journal(f"{database}?name=office")
    await journal.append(started(), durable=True)
    await journal.close()


def columns(database: str) -> dict[str, set[object]]:
    """Return the columns of our tables, as PostgreSQL lists them."""
    found: dict[str, set[object]] = {}
    for table, column in rows(
        database,
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'workspaces_apps'",
    ):
        found.setdefault(str(table), set()).add(column)
    return found


async def test_the_columns_that_are_asked_for_are_those_that_the_steps_make(database: str) -> None:
    """A step that adds a column adds it to the table of columns, or this fails."""
    await make_todays_version(database)

    assert columns(database) == {
        "schema_version": {"version"},
        **{table: set(names) for table, names in COLUMNS.items()},
    }


async def test_a_schema_of_the_first_version_is_migrated_with_its_data(database: str) -> None:
    """Its journal is read and goes on, and the targets of its runs are whole ones."""
    make_first_version(database)
    head = SegmentHeader(segment=1, epoch=4, writer="w", takeover=True)
    body = head.model_dump_json().encode() + b"\n" + to_line(started()) + to_line(intent(1))
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO workspaces_apps.journal (name, epoch, owner) VALUES ('office', 4, 'w')"
        )
        connection.execute("INSERT INTO workspaces_apps.segment VALUES ('office', 1, 4, %s)", (body,))
        connection.execute(
            "INSERT INTO workspaces_apps.run (id, name, manifest, budget) VALUES ('r1', 'office', '{}', '5%')"
        )
        connection.execute(
            "INSERT INTO workspaces_apps.run_target (run, target, position, state, planned, ending)"
            " VALUES ('r1', 'eu', 0, 'done', 7, 'complete')"
        )

    assert list(await read_events(f"{database}?name=office")) == [started(), intent(1)]
    journal = await open_journal(f"{database}?name=office", of="office")
    await journal.append(intent(2), durable=True)
    await journal.close()
    assert list(await read_events(f"{database}?name=office")) == [started(), intent(1), intent(2)]
    (target,) = (await status(database, "r1")).targets
    assert (target.target, target.planned, target.ending) == ("eu", 7, "complete")
    slices = "SELECT part_of, slice, slices FROM workspaces_apps.run_target"
    assert rows(database, slices) == [(None, 1, 1)]
    assert rows(database, "SELECT version FROM workspaces_apps.schema_version") == [(len(MIGRATIONS),)]


@pytest.mark.parametrize(
    "damage,missing",
    [
        ("ALTER TABLE workspaces_apps.run_target DROP COLUMN slices", "run_target.slices is missing"),
        ("ALTER TABLE workspaces_apps.segment DROP COLUMN epoch", "segment.epoch is missing"),
        (
            "DROP TABLE workspaces_apps.run_failure",
            "run_failure.run, run_failure.target, run_failure.workspace_id are missing",
        ),
        ("DELETE FROM workspaces_apps.schema_version", "schema_version is empty"),
        ("DROP TABLE workspaces_apps.schema_version", "schema_version is missing"),
    ],
)
async def test_a_schema_with_a_part_missing_is_refused(
    database: str, damage: LiteralString, missing: str
) -> None:
    """Whoever wants to read, write, submit or work is told what is missing and how to mend it."""
    await make_todays_version(database)
    execute(database, damage)
    before = columns(database)
    wanted = re.escape(f"incomplete ({missing}): restore it from a backup, or, if it holds nothing")

    with pytest.raises(JournalError, match=wanted) as refused:
        await read_events(f"{database}?name=office")
    with pytest.raises(JournalError, match=wanted):
        await open_journal(f"{database}?name=office")
    with pytest.raises(JournalError, match=wanted):
        await submit(manifest(), database=database)
    with pytest.raises(JournalError, match=wanted):
        await Worker(database).run()
    assert "hunter2" not in str(refused.value)
    assert columns(database) == before


@pytest.mark.parametrize(
    "damage,problem",
    [
        (
            "ALTER TABLE workspaces_apps.run_target ADD COLUMN part_of text",
            r'step 2 fails, column "part_of" of relation "run_target" already exists',
        ),
        (
            "DROP TABLE workspaces_apps.run_target",
            r'step 2 fails, relation "workspaces_apps.run_target" does not',
        ),
        ("ALTER TABLE workspaces_apps.journal DROP COLUMN beat", r"journal\.beat is missing"),
    ],
)
async def test_a_schema_that_is_half_way_between_two_versions_is_refused(
    database: str, damage: LiteralString, problem: str
) -> None:
    """It is not migrated any further: what was done to it by hand can still be taken back."""
    make_first_version(database)
    execute(database, damage)
    before = columns(database)

    with pytest.raises(JournalError, match=rf"incomplete \({problem}.*restore it from a backup"):
        await runs(database)
    assert columns(database) == before
    assert rows(database, "SELECT version FROM workspaces_apps.schema_version") == [(1,)]


async def test_a_schema_of_a_newer_release_is_refused(database: str) -> None:
    """With both versions, and left as it is."""
    await make_todays_version(database)
    execute(database, "UPDATE workspaces_apps.schema_version SET version = 9")

    with pytest.raises(JournalError, match=rf"is of version 9, .* knows {len(MIGRATIONS)}: use that release"):
        await read_events(f"{database}?name=office")
    assert rows(database, "SELECT version FROM workspaces_apps.schema_version") == [(9,)]


async def test_a_column_of_somebody_elses_is_no_trouble(database: str) -> None:
    """Neither is a table."""
    await make_todays_version(database)
    execute(
        database,
        "ALTER TABLE workspaces_apps.run ADD COLUMN note text",
        "CREATE TABLE workspaces_apps.backup AS SELECT * FROM workspaces_apps.segment",
    )

    assert list(await read_events(f"{database}?name=office")) == [started()]


def test_the_functions_that_are_asked_for_are_those_that_procrastinate_calls() -> None:
    """Its own statements say so; a release that calls another makes this fail."""
    calls: Callable[[str], list[str]] = re.compile(r"\bprocrastinate_\w+(?=\()").findall

    assert {name for query in sql.queries.values() for name in calls(query)} == set(FUNCTIONS)


async def test_the_schema_of_the_queue_is_made_where_there_is_none(database: str) -> None:
    """And used where there is one."""
    first = await submit(manifest(), database=database)
    second = await submit(manifest(), database=database)

    jobs = rows(database, "SELECT args->>'run' FROM procrastinate_jobs ORDER BY id")
    assert jobs == [(first,), (second,)]


@pytest.mark.parametrize(
    "damage",
    [
        # As releases before 3.1 had it, and those before 3.4.
        "DROP TABLE procrastinate_workers CASCADE",
        "DROP FUNCTION procrastinate_retry_job_v2",
        "DROP TABLE procrastinate_jobs CASCADE",
        "DROP TABLE procrastinate_jobs, procrastinate_workers CASCADE",
    ],
)
async def test_an_old_schema_of_the_queue_is_refused(database: str, damage: LiteralString) -> None:
    """Before anything is queued or taken, and no run is left behind."""
    app = App(connector=PsycopgConnector(conninfo=database))
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
    execute(database, damage)

    with pytest.raises(JournalError, match=r"procrastinate's schema .* is of an older release: migrate it"):
        await submit(manifest(), database=database)
    with pytest.raises(JournalError, match=r"procrastinate's schema .* is of an older release: migrate it"):
        await Worker(database).run()
    assert await runs(database) == ()
