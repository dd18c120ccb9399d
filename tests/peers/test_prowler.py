"""Prowler's WorkSpaces check against the simulator as a process."""

import json
from pathlib import Path
from typing import Any

from tests.cli.process import simulating
from tests.peers.boto3_client import boto3_of
from tests.peers.conftest import Tried
from tests.peers.tools import FOLDER, needs, run

pytestmark = needs("prowler", "bin", "prowler")
TOOL = Path(FOLDER, "prowler", "bin", "prowler")
CHECK = "workspaces_volume_encryption_enabled"


def test_it_tells_encrypted_volumes_from_others(tmp_path: Path, tried: Tried) -> None:
    """One finding for each WorkSpace, and FAIL for just those that DescribeWorkspaces shows without encryption."""
    with simulating("--workspaces", "12", "--encrypted", "0.5", "--no-throttle") as simulation:
        endpoint = simulation.endpoint
        version = run(endpoint, tmp_path, str(TOOL), "--version").stdout.split()
        number = next(word for word in version if word[0].isdigit())
        tried(f"Prowler {number}", "encryption")
        done = run(
            endpoint, tmp_path,
            str(TOOL), "aws", "-c", CHECK, "-f", endpoint.region, "-M", "json-ocsf", "-o", "out", "--no-banner",
        )  # fmt: skip
        with boto3_of(endpoint) as call:
            workspaces = call("describe_workspaces")["Workspaces"]

    reports = list((tmp_path / "out").glob("*.ocsf.json"))
    assert len(reports) == 1, done.stdout + done.stderr
    findings: list[dict[str, Any]] = json.loads(reports[0].read_text())
    failed = {
        one["resources"][0]["uid"].rpartition("/")[2] for one in findings if one["status_code"] == "FAIL"
    }
    plain = {one["WorkspaceId"] for one in workspaces if not one.get("UserVolumeEncryptionEnabled")}
    assert len(findings) == len(workspaces) == 12
    assert failed == plain
    assert 0 < len(plain) < 12
