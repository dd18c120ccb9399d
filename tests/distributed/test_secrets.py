"""Credentials and the database: no table holds a key or a session token, and nothing that is shown a password."""

import contextlib
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg import sql

from tests.cli.fleet import write_manifest
from tests.cli.test_programs import in_quick_time, shell
from tests.rollout.site import OFFICE, Site, connection_to, site
from workspaces_apps import Credentials, WorkSpacesClient
from workspaces_apps.cli import main
from workspaces_apps.cli._apply import Settings
from workspaces_apps.cli._apply import run as apply
from workspaces_apps.cli._console import ExitCode
from workspaces_apps.rollout import JournalError, Manifest, open_journal
from workspaces_apps.rollout._journal.stores import parse_database, parse_url, title_of

pytest.importorskip("procrastinate", reason="the extra distributed is not installed")

import psycopg

from tests.distributed.test_outages import until
from tests.distributed.test_worker import ended, working
from workspaces_apps.distributed import submit

ROLE = "arn:aws:iam::123456789012:role/rollouts"
EXTERNAL_ID = "external-4711"


def content(database: str) -> dict[str, str]:
    """Return the content of every table of every schema but PostgreSQL's own, with bytes as what they say."""
    with psycopg.connect(database) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        found: dict[str, str] = {}
        for schema, table in tables:
            rows = connection.execute(
                sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, table))
            ).fetchall()
            found[table] = "\n".join(text(value) for row in rows for value in row)
        return found


def text(value: object) -> str:
    """Return a value of a row as text."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else json.dumps(value, default=str)


def client_of(here: Site, keys: Credentials) -> WorkSpacesClient:
    """A client with credentials of its own."""
    connection = connection_to(here.sim)
    connection["credentials"] = keys
    return WorkSpacesClient(**connection)


async def test_no_key_and_no_token_goes_into_the_database(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the run, while a worker has it, and after it, with failures in it; profile, role and external id do."""
    async with site(5) as here:
        issued = here.sim.temporary_credentials(10_000_000)
        assert issued.session_token is not None
        keys = Credentials(issued.access_key_id, issued.secret_access_key, issued.session_token)
        config = tmp_path / "config"
        config.write_text(
            f"[profile desk]\naws_access_key_id = {keys.access_key_id}\n"
            f"aws_secret_access_key = {keys.secret_access_key}\naws_session_token = {issued.session_token}\n",
            encoding="utf-8",
        )
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys.access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_access_key)
        monkeypatch.setenv("AWS_SESSION_TOKEN", issued.session_token)
        target = {"name": "eu", "region": here.sim.region, "profile": "desk", "role_arn": ROLE}
        manifest = Manifest.from_data(
            {
                "name": "office",
                "targets": [{**target, "external_id": EXTERNAL_ID}],
                "rules": [{"select": {"everything": True}, "present": [OFFICE]}],
                "policy": {"failure_budget": 5},
            }
        )
        here.sim.faults.add("error", operation="AssociateWorkspaceApplication", code="AccessDeniedException")

        run = await submit(manifest, database=database)
        submitted = content(database)
        async with client_of(here, keys) as client, working(database, {"eu": client}):
            await until(lambda: bool(here.sim.requests.count("AssociateWorkspaceApplication")))
            worked = content(database)
            await ended(database, run)
        done = content(database)

    assert run in submitted["procrastinate_jobs"]
    assert worked["procrastinate_workers"]
    assert '"intent"' in done["segment"]
    assert "AccessDeniedException" in done["segment"]
    for words in (ROLE, EXTERNAL_ID, "desk"):
        assert words in submitted["run"]
    for moment in (submitted, worked, done):
        for table, everything in moment.items():
            for secret in (keys.access_key_id, keys.secret_access_key, issued.session_token):
                assert secret not in everything, table
            assert "hunter2" not in everything, table


PASSWORDS = [
    f"hun{sign}ter2" for sign in ("#", "/", "?", "@", "[", ":", "%", "%zz", "%00", "#/?@[:%", "]", "&", "=")
]
"""Passwords that are not escaped; some of them end the user and the password too early for whoever takes a URL apart."""


def check_hidden(text: str) -> None:
    """See that no piece of a password is shown."""
    assert "hun" not in text
    assert "ter2" not in text


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("where", ["127.0.0.1:1/db", "127.0.0.1:1", ":1/db"])
async def test_a_url_shows_no_piece_of_a_password(password: str, where: str) -> None:
    """As it was typed, and escaped: the URL is refused, or the database cannot be reached."""
    for written in (password, quote(password, safe="")):
        url = f"postgresql://u:{written}@{where}?name=office"
        with contextlib.suppress(JournalError):
            check_hidden(f"{parse_url(url)}{parse_url(url)!r}{title_of(url)}")
        with pytest.raises(JournalError) as refused:
            await open_journal(url)
        check_hidden(f"{refused.value}{refused.value.__cause__}")


@pytest.mark.parametrize("sign", ["#", "/", "?", "@", "%"])
def test_a_password_that_is_not_escaped_is_refused_with_how_it_is_written(sign: str) -> None:
    """For journals and for databases."""
    with pytest.raises(
        JournalError, match=rf"{sign if sign != '?' else '.'} (is written )?{quote(sign, safe='')}"
    ):
        parse_url(f"postgresql://u:hun{sign}ter2@host/db?name=office")
    with pytest.raises(JournalError, match="%23"):
        parse_database(f"postgresql://u:hun{sign}ter2@host/db")


@pytest.mark.parametrize(
    "given", ["key:hun/ter2@bucket", "key:hun?ter2@bucket", "key:hun#ter2@bucket", "hun:ter2"]
)
def test_a_secret_key_in_the_url_of_a_bucket_is_refused_unseen(given: str) -> None:
    """Also where one of its characters ends the bucket."""
    with pytest.raises(JournalError, match=r"has no credentials|cannot be read") as refused:
        parse_url(f"s3://{given}/rollouts/office")
    check_hidden(str(refused.value))


@pytest.mark.parametrize("password", PASSWORDS)
def test_no_command_shows_a_piece_of_a_password(
    password: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of submitted runs, and those of a journal."""
    manifest = str(write_manifest(tmp_path))
    for written in (password, quote(password, safe="")):
        database = f"postgresql://u:{written}@127.0.0.1:1/db"
        for command in (
            ["runs", "--database", database],
            ["status", "--run", "r", "--database", database],
            ["submit", manifest, "--database", database],
            ["report", f"{database}?name=office"],
            ["pause", f"{database}?name=office"],
        ):
            assert main(command) in {ExitCode.FAILED, ExitCode.USAGE}
            shown = capsys.readouterr()
            assert "the database" in shown.err
            check_hidden(shown.out + shown.err)


async def test_a_wait_for_approval_names_the_journal_without_its_password(
    database: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It says what to type, and the password is in none of it."""
    manifest = Manifest.load(write_manifest(tmp_path, policy='canary = 1\napproval = "canary"'))
    url = f"{database}?name=office"
    async with in_quick_time(2) as (_, connection):
        settings = Settings(journal=url, yes=True, wave_check=shell("exit 0"), hook_timeout=60.0)
        assert await apply(manifest, None, connection, settings) == ExitCode.DONE
    shown = capfd.readouterr()
    assert "hunter2" in url
    assert f"waiting for approval: workspaces-apps approve {title_of(url)}" in " ".join(shown.out.split())
    assert "hunter2" not in shown.out + shown.err


def test_an_access_point_of_s3_is_a_bucket() -> None:
    """Its ARN has colons, and no secret behind them."""
    arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint:rollouts"
    url = parse_url(f"s3://{arn}/apps/office")

    assert url is not None
    assert (url.place, url.name) == (f"{arn}/apps", "office")
