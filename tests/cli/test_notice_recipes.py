"""The programs of docs/recipes.md that tell users before a deployment, each run as `--before-deploy` runs it."""

import json
import re
import sys
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import receiving
from tests.peers.boto3_client import boto3_client
from workspaces_apps.cli._programs import ProgramFailed, program_hook
from workspaces_apps.rollout import DeployNotice, NoticeAnswer, Postpone, Proceed

DOCUMENT = Path(__file__).parents[2] / "docs" / "recipes.md"
PROGRAMS = dict(
    re.findall(r"<!-- program: (\S+) -->\n```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
)
REGION = "eu-west-1"
NOW = datetime(2026, 1, 5, 20, 15, tzinfo=UTC)
NOTICE = DeployNotice(
    target="default",
    workspace_id="ws-123456789",
    user_name="zoe",
    directions={"wsa-1": "install"},
    application_names={"wsa-1": "Office"},
    planned_at=NOW + timedelta(minutes=15),
    attempt=1,
    run="a1b2c3",
)


async def told(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> NoticeAnswer:
    """Run a program of the page with a notice, as the command does."""
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    (folder / name).write_text(PROGRAMS[name], encoding="utf-8")
    return await program_hook((sys.executable, str(folder / name)), lambda: NOW)(NOTICE)


@pytest.fixture(scope="module")
def aws() -> Generator[dict[str, str]]:
    """moto's server, as the environment that leads there."""
    moto: Any = pytest.importorskip("moto.server", reason="moto is not installed")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
    }
    server.stop()


def asked(aws: dict[str, str], service: str, operation: str, **parameters: Any) -> Any:
    """Ask moto's server with boto3."""
    with boto3_client(
        service,
        url=aws["AWS_ENDPOINT_URL"],
        region=REGION,
        access_key_id=aws["AWS_ACCESS_KEY_ID"],
        secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
    ) as call:
        return call(operation, **parameters)


async def test_on_the_screen(aws: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command for the node that is tagged with the WorkSpace's id, with the time in its words."""
    assert await told("tell_on_screen.py", tmp_path, monkeypatch, **aws) == Proceed()

    (command,) = asked(aws, "ssm", "list_commands")["Commands"]
    assert command["DocumentName"] == "AWS-RunPowerShellScript"
    assert command["Targets"] == [{"Key": "tag:WorkspaceId", "Values": ["ws-123456789"]}]
    (script,) = command["Parameters"]["commands"]
    assert script.startswith("msg * /TIME:900 ")
    assert "at 20:30 UTC" in script


async def test_by_mail(aws: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent where the sender is verified; where it is not, the desktop is left alone."""
    sender = {"NOTICE_FROM": "it@example.org", "NOTICE_DOMAIN": "example.org"}
    with pytest.raises(ProgramFailed, match="exit code 1"):
        await told("tell_by_mail.py", tmp_path, monkeypatch, **aws, **sender)
    asked(aws, "sesv2", "create_email_identity", EmailIdentity="it@example.org")

    assert await told("tell_by_mail.py", tmp_path, monkeypatch, **aws, **sender) == Proceed()
    assert asked(aws, "ses", "get_send_quota")["SentLast24Hours"] == 1


@pytest.mark.parametrize("status, answer", [(200, Proceed()), (503, Postpone(NOW + timedelta(minutes=10)))])
async def test_in_a_chat(
    status: int, answer: NoticeAnswer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Posted as text; where the webhook is down, the desktop comes later."""
    with receiving(status) as (url, bodies):
        assert await told("tell_in_chat.py", tmp_path, monkeypatch, NOTICE_WEBHOOK=url) == answer

    assert [json.loads(body) for body in bodies] == [
        {"text": "zoe: your desktop restarts at 20:30 UTC for Office."}
    ]


async def test_a_chat_that_refuses_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A webhook that was removed: nobody was told, so the desktop is left alone."""
    with receiving(404) as (url, _), pytest.raises(ProgramFailed, match="exit code 1"):
        await told("tell_in_chat.py", tmp_path, monkeypatch, NOTICE_WEBHOOK=url)


def test_every_program_has_a_test() -> None:
    """A recipe that nobody runs may be wrong."""
    source = Path(__file__).read_text("utf-8")

    assert len(PROGRAMS) == 3
    assert all(f'"{name}"' in source for name in PROGRAMS)
