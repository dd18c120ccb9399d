"""A simulated fleet for the fleet commands: one that a process finds in its environment, and one in simulated time."""

import json
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from workspaces_apps.cli import main
from workspaces_apps.cli._connection import ConnectionOptions
from workspaces_apps.simulator import ManualClock, Simulator, SimulatorSettings, Span

OFFICE = "Microsoft Office LTSC Professional Plus 2021"
VISIO = "Microsoft Visio LTSC Professional 2021"
WORKSPACES = 10


def environment(sim: Simulator) -> Mapping[str, str]:
    """The environment in which an AWS program finds the simulator, and nothing of this machine's own."""
    return {
        "AWS_ENDPOINT_URL_WORKSPACES": sim.url,
        "AWS_ACCESS_KEY_ID": sim.credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": sim.credentials.secret_access_key,
        "AWS_REGION": sim.region,
        "AWS_CONFIG_FILE": "nowhere",
        "AWS_SHARED_CREDENTIALS_FILE": "nowhere",
    }


@contextmanager
def in_environment(monkeypatch: pytest.MonkeyPatch) -> Generator[Simulator]:
    """A simulator in real time without a throttle, which `main` finds in the environment."""
    with Simulator.in_thread(workspaces=WORKSPACES, throttle=None) as sim:
        for name, value in environment(sim).items():
            monkeypatch.setenv(name, value)
        yield sim


@asynccontextmanager
async def in_simulated_time(
    workspaces: int = WORKSPACES,
) -> AsyncGenerator[tuple[Simulator, ConnectionOptions], None]:
    """A simulator whose clock jumps ahead, and how a command gets to it."""
    settings = SimulatorSettings(install_duration=Span(60, 120), uninstall_duration=Span(60, 120))
    clock = ManualClock(autojump=True)
    async with Simulator(workspaces=workspaces, throttle=None, clock=clock, settings=settings) as sim:
        yield (
            sim,
            ConnectionOptions(
                region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, clock=clock
            ),
        )


def write_manifest(folder: Path, *, present: str = OFFICE, name: str = "office", policy: str = "") -> Path:
    """A manifest that wants an application everywhere."""
    path = folder / "fleet.toml"
    path.write_text(
        f'name = {json.dumps(name)}\n[[rules]]\nselect = {{ everything = true }}\npresent = ["{present}"]\n'
        f"[policy]\n{policy}\n",
        encoding="utf-8",
    )
    return path


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a command with `--output json`: its exit code and its document."""
    code = main([*arguments, "--output", "json"])
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.isascii()
    document: dict[str, Any] = json.loads(shown.out)
    return code, document
