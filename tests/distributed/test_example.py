"""The example with a compose file, started without containers: the same commands, as processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.distributed.places import free_port

pytest.importorskip("procrastinate", reason="the extra distributed is not installed")
yaml = pytest.importorskip("yaml", reason="the extra yaml is not installed")

EXAMPLE = Path(__file__).parents[2] / "examples" / "distributed"
PATIENCE = 240


@pytest.mark.checkout
@pytest.mark.long
def test_the_example_rolls_out_although_a_worker_is_killed(database: str, tmp_path: Path) -> None:
    """Two simulators, two workers, one of them killed; the run is complete, and its exit code says so."""
    services = yaml.safe_load((EXAMPLE / "compose.yaml").read_text("utf-8"))["services"]
    config = (EXAMPLE / "aws-config").read_text(encoding="utf-8")
    running: list[subprocess.Popen[bytes]] = []
    try:
        for name in ("simulator-eu", "simulator-us"):
            port = str(free_port())
            config = config.replace(f"{name}:4566", f"127.0.0.1:{port}")
            command = ["simulate", "--port", port, *services[name]["command"]]
            simulator = subprocess.Popen(_line(command), stdout=subprocess.PIPE)
            running.append(simulator)
            assert simulator.stdout is not None
            assert b"url" in simulator.stdout.readline()
        (tmp_path / "aws-config").write_text(config, encoding="utf-8")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "WORKSPACES_APPS_DATABASE": database,
            "AWS_CONFIG_FILE": str(tmp_path / "aws-config"),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        workers = [
            subprocess.Popen(_line(services[name]["command"]), env=environment)
            for name in ("worker-1", "worker-2")
        ]
        running += workers
        command = [part.replace("/example", str(EXAMPLE)) for part in services["submit"]["command"]]
        submitted = subprocess.Popen(
            _line(command), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        running.append(submitted)
        assert submitted.stderr is not None
        while b"2 running" not in submitted.stderr.readline():
            assert submitted.poll() is None
        workers[0].kill()
        said = submitted.communicate(timeout=PATIENCE)[1].decode()
    finally:
        for process in running:
            process.kill()
            process.communicate()

    assert submitted.returncode == 0, said
    assert "2 done" in said


def _line(command: list[str]) -> list[str]:
    return [sys.executable, "-m", "workspaces_apps", *command]
