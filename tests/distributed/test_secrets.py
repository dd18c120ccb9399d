"""Credentials and the database: every text of every table is read, and none holds a key or a session token."""

import json
from pathlib import Path

import pytest
from psycopg import sql

from tests.rollout.site import OFFICE, Site, connection_to, site
from workspaces_apps import Credentials, WorkSpacesClient
from workspaces_apps.rollout import Manifest

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
