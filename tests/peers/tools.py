"""Other people's tools, each in an environment of its own that `nox -s peers` makes, and a simulator for them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.process import Endpoint

FOLDER: Final = os.environ.get("WORKSPACES_PEERS", "")
"""Where the environments are; empty outside their session."""
PATIENCE: Final = 600.0


def needs(*parts: str) -> pytest.MarkDecorator:
    """Skip a module whose tool is not there."""
    there = bool(FOLDER) and Path(FOLDER, *parts).exists()
    return pytest.mark.skipif(not there, reason="needs its tool: python3 dev.py nox --no-venv -s peers")


def environment(endpoint: Endpoint, home: Path) -> dict[str, str]:
    """Nothing of this machine's AWS settings, the simulator as the endpoint of every service, and its control."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "COV_"))}
    return {
        **kept,
        "HOME": str(home),
        "AWS_ENDPOINT_URL": endpoint.url,
        "AWS_ACCESS_KEY_ID": endpoint.access_key_id,
        "AWS_SECRET_ACCESS_KEY": endpoint.secret_access_key,
        "AWS_DEFAULT_REGION": endpoint.region,
        "AWS_REGION": endpoint.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "WORKSPACES_SIMULATOR_CONTROL_URL": endpoint.control_url,
        "WORKSPACES_SIMULATOR_CONTROL_TOKEN": endpoint.control_token,
        "PYTHONPATH": "",
    }


def run(endpoint: Endpoint, home: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a tool to its end."""
    return subprocess.run(
        command,
        env=environment(endpoint, home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def answer_of(done: "subprocess.CompletedProcess[str]") -> Any:
    """The JSON that a tool has printed on its last line.

    Raises:
        AssertionError: It has failed; its error output is the message.
    """
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.strip().splitlines()[-1])
