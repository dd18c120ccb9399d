"""The container's steps without a container engine: the same install, the same command, the same health check."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.peers.boto3_client import boto3_client

pytestmark = [
    pytest.mark.checkout,
    pytest.mark.skipif(sys.platform == "win32", reason="the image is one of Linux"),
]

ROOT: Final = Path(__file__).parent.parent.parent
IMAGE: Final = os.environ.get("WORKSPACES_CONTAINER_IMAGE", "")
"""An image that the session has built; empty where there is no engine."""
STEPS: Final = os.environ.get("WORKSPACES_CONTAINER_STEPS", "") == "1"
PATIENCE: Final = 300.0
TOKEN: Final = "the-tests-own"


def instructions() -> dict[str, list[str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text("utf-8"))
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        if name.isupper():
            found.setdefault(name, []).append(rest.strip())
    return found


def command(port: int) -> list[str]:
    """The command of the image, on another port."""
    words: list[str] = json.loads(instructions()["ENTRYPOINT"][0])
    return [str(port) if word == "4566" else word for word in words]


def health_check(port: int) -> list[str]:
    """The engine's health check, on another port."""
    words: list[str] = json.loads(instructions()["HEALTHCHECK"][0].partition("CMD ")[2])
    return [word.replace(":4566", f":{port}") for word in words]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def started(path: str, port: int) -> Generator[None]:
    """The image's command, until it is healthy by the image's check; asked to end as an engine asks."""
    environment = {**os.environ, "PATH": path, "WORKSPACES_SIMULATOR_CONTROL_TOKEN": TOKEN}
    with subprocess.Popen(command(port), stdout=subprocess.DEVNULL, env=environment) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while not is_healthy(health_check(port), environment):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
        assert process.wait(PATIENCE) == 0


def is_healthy(check: Sequence[str], environment: dict[str, str]) -> bool:
    """Tell if the health check passes."""
    return subprocess.run(check, env=environment, capture_output=True, check=False).returncode == 0


def connection_of(port: int) -> Any:
    """The answer of the control endpoint to a caller that knows the token."""
    import urllib.request

    request = urllib.request.Request(
        f"http://localhost:{port}/_control/connection", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def count_workspaces(port: int) -> int:
    """As a test in another container would: the connection from the control endpoint, then an AWS client."""
    told = connection_of(port)
    with boto3_client(
        "workspaces",
        url=f"http://localhost:{port}",
        region=told["region"],
        access_key_id=told["access_key_id"],
        secret_access_key=told["secret_access_key"],
    ) as call:
        return len(call("describe_workspaces")["Workspaces"])


def test_the_image_is_slim_and_not_root() -> None:
    """Its base, its user, and a health check on the control endpoint."""
    found = instructions()

    assert found["FROM"][0].endswith("-slim")
    assert found["USER"] == ["simulator"]
    assert "/_control/health" in found["HEALTHCHECK"][0]


def test_its_command_and_health_check_work() -> None:
    """Run as they stand, with this environment's package; unhealthy before it listens and after it ended."""
    port = free_port()
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))

    before = is_healthy(health_check(port), {"PATH": path})
    with started(path, port):
        found = count_workspaces(port)
    after = is_healthy(health_check(port), {"PATH": path})

    assert (before, found, after) == (False, 25, False)


@pytest.mark.skipif(not STEPS, reason="installs anew: python3 dev.py nox --no-venv -s container")
def test_its_install_works(tmp_path: Path) -> None:
    """The build's copies and commands, in an empty environment; then the same command and check."""
    found = instructions()
    for line in found["COPY"]:
        *sources, target = shlex.split(line)
        for source in sources:
            # Of a folder the engine copies what is in it.
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, tmp_path / target, dirs_exist_ok=True)
            else:
                shutil.copy(ROOT / source, tmp_path / target)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    path = os.pathsep.join((str(tmp_path / "venv" / "bin"), os.environ["PATH"]))
    (install, *_) = (line for line in found["RUN"] if "pip install" in line)
    subprocess.run(["sh", "-euc", install], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True)
    port = free_port()

    with started(path, port):
        assert count_workspaces(port) == 25


@pytest.mark.skipif(not IMAGE, reason="needs a container engine: python3 dev.py nox --no-venv -s container")
def test_the_image_works() -> None:
    """Built by the session: started, healthy by the engine's own word, asked through a mapped port."""
    port = free_port()
    run = ["docker", "run", "--rm", "--detach", "--publish", f"127.0.0.1:{port}:4566"]
    name = subprocess.run(
        [*run, "--env", f"WORKSPACES_SIMULATOR_CONTROL_TOKEN={TOKEN}", IMAGE],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    try:
        deadline = time.monotonic() + PATIENCE
        while health_of(name) != "healthy":
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert count_workspaces(port) == 25
    finally:
        subprocess.run(["docker", "stop", name], capture_output=True, check=True)


def health_of(name: str) -> str:
    """The engine's word on a container."""
    said = ["docker", "inspect", "--format", "{{.State.Health.Status}}", name]
    return subprocess.run(said, capture_output=True, text=True, check=True).stdout.strip()
