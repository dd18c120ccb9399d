"""`submit --follow`: it waits for a database that is away, as the run does."""

import asyncio

import pytest

from tests.distributed.places import postgresql
from tests.rollout.site import manifest
from workspaces_apps.rollout import JournalError

pytest.importorskip("procrastinate", reason="the extra distributed is not installed")

import psycopg

from workspaces_apps.cli._runs import followed, submitted
from workspaces_apps.distributed import submit


async def told(caplog: pytest.LogCaptureFixture) -> None:
    """Wait until it is told that the database is away."""
    for _ in range(1200):
        if "waiting for the database" in caplog.text:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(caplog.text)


async def begun(capsys: pytest.CaptureFixture[str]) -> str:
    """Wait until a run is followed, and return its id."""
    out = ""
    for _ in range(1200):
        shown = capsys.readouterr()
        out += shown.out
        if "targets: 1 waiting" in shown.err:
            return out.strip()
        await asyncio.sleep(0.1)
    raise AssertionError(out)


async def test_a_followed_run_ends_with_its_own_exit_code_although_the_database_restarts(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """The outage is told once."""
    with postgresql() as server:
        database = server.make("roll")
        following = asyncio.create_task(submitted(manifest(), database, {}, follow=True))
        run = await begun(capsys)
        await asyncio.to_thread(server.stop)
        await told(caplog)
        assert not following.done()
        await asyncio.to_thread(server.start)
        with psycopg.connect(database) as connection:
            connection.execute("UPDATE workspaces_apps.run_target SET state = 'done', ending = 'drained'")

        assert await following == 4
    assert f"{run} test" in capsys.readouterr().err
    assert caplog.text.count("waiting for the database") == 1


async def test_a_database_that_stays_away_is_given_up_with_the_way_back_to_the_run(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run goes on without whoever followed it."""
    with postgresql() as server:
        database = server.make("roll")
        run = await submit(manifest(), database=database)
        following = asyncio.create_task(followed(database, run, patience=0.0))
        await begun(capsys)
        await asyncio.to_thread(server.stop)
        with pytest.raises(JournalError, match="cannot reach the database") as given_up:
            await following
    assert "waiting for the database" in caplog.text
    (note,) = given_up.value.__notes__
    assert note.endswith(f"status --run {run} shows it")


async def test_a_followed_run_that_fails_says_why(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As `apply` does at once: the targets, and what was wrong with each."""
    following = asyncio.create_task(submitted(manifest(), database, {}, follow=True))
    await begun(capsys)
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE workspaces_apps.run_target SET state = 'failed', message = 'no such application'"
        )

    assert await following == 1
    last = capsys.readouterr().err.splitlines()[-1].split()
    assert last == ["default", "failed:", "no", "such", "application"]
