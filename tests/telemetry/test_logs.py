"""Log records: the same fields on each, and JSON lines of the command."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

import workspaces_apps
from tests.http.server import REQUEST_ID, ScriptedServer, fault, ok
from tests.rollout.site import manifest, site
from workspaces_apps import WorkSpacesClient
from workspaces_apps._base.logs import FIELDS, field_logger, log_scope
from workspaces_apps.cli._console import JsonLines


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return the fields of a record that have a value; all are there."""
    return {name: found for name in FIELDS.values() if (found := vars(record)[name]) is not None}


async def test_records_of_a_call_tell_operation_attempt_and_request_id(
    server: ScriptedServer, ws: WorkSpacesClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Each record has all fields, None where one does not apply."""
    caplog.set_level(logging.DEBUG, "workspaces_apps.retry")
    server.script(fault("ThrottlingException", "Rate exceeded"), ok())

    await ws.describe_account()

    about = {"rpc.method": "WorkSpaces/DescribeAccount", "aws.request_id": REQUEST_ID}
    assert [fields_of(one) for one in caplog.records if one.name == "workspaces_apps.retry"] == [
        *[about | {"workspaces_apps.attempt": 1}] * 3,
        about | {"workspaces_apps.attempt": 2},
    ]


async def test_records_of_a_roll_out_tell_run_wave_target_and_workspace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A write that is retried is logged with the WorkSpace that it was for."""
    caplog.set_level(logging.INFO, "workspaces_apps.retry")
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        here.sim.faults.add("throttle", operation="DeployWorkspaceApplications", times=1)
        here.sim.faults.add("throttle", operation="AssociateWorkspaceApplication", times=1)
        await here.carry_out(await here.rollout.plan(manifest()), tmp_path / "journal")

    records = [fields_of(record) for record in caplog.records if record.name == "workspaces_apps.retry"]
    assert records
    for found in records:
        assert found["workspaces_apps.workspace_id"] == one
        assert found["workspaces_apps.target"] == "default"
        assert found["workspaces_apps.wave"] == 1
        assert len(str(found["workspaces_apps.run"])) == 12


def test_an_applications_own_record_attributes_are_no_conflict(caplog: pytest.LogCaptureFixture) -> None:
    """A record factory that sets `request_id`, `target` or `run` raises nothing."""
    plain = logging.getLogRecordFactory()

    def factory(*arguments: object, **named: object) -> logging.LogRecord:
        record = plain(*arguments, **named)
        vars(record).update(request_id="theirs", target="theirs", run="theirs", operation="theirs")
        return record

    logging.setLogRecordFactory(factory)
    try:
        with log_scope(run="ours"):
            field_logger("workspaces_apps.test").warning("said", extra={"request_id": "ours"})
    finally:
        logging.setLogRecordFactory(plain)

    (record,) = caplog.records
    assert (vars(record)["request_id"], vars(record)["aws.request_id"]) == ("theirs", "ours")


def test_every_logger_of_the_package_has_the_fields() -> None:
    """Nobody but those that show logs, and the simulator, which is another process, takes a plain logger."""
    folder = Path(workspaces_apps.__file__).parent
    plain = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if "logging.getLogger(" in path.read_text(encoding="utf-8")
    }

    assert {one for one in plain if not one.startswith("simulator/")} == {
        "_base/logs.py",
        "cli/_console.py",
        "cli/_simulate.py",
    }


def test_a_json_line_has_the_fields_that_are_known() -> None:
    """With the trace id of OpenTelemetry's logging instrumentation, where there is one."""
    record = logging.LogRecord("workspaces_apps.retry", logging.INFO, __file__, 1, "said %s", ("it",), None)
    vars(record).update(
        {"rpc.method": "WorkSpaces/DescribeAccount", "aws.request_id": None, "otelTraceID": "1f"}
    )

    line = json.loads(JsonLines().format(record))

    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "workspaces_apps.retry",
        "message": "said it",
        "rpc.method": "WorkSpaces/DescribeAccount",
        "otelTraceID": "1f",
    }


def test_the_command_logs_json_lines(tmp_path: Path) -> None:
    """`--log-format json` before the command: standard error is JSON lines, and the error's own line."""
    command = [
        sys.executable,
        "-m",
        "workspaces_apps",
        "--debug",
        "--log-format",
        "json",
        "list",
        "applications",
    ]
    where = ["--region", "eu-west-1", "--endpoint-url", "http://127.0.0.1:9"]
    keys = {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "PYTHONPATH": ":".join(sys.path),
    }
    done = subprocess.run(
        [*command, *where], capture_output=True, text=True, cwd=tmp_path, env=keys, check=False
    )

    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert done.returncode != 0
    assert any(one.get("rpc.method") == "WorkSpaces/DescribeApplications" for one in lines), done.stderr
