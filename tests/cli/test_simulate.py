"""`workspaces-apps simulate` as a process: what it prints, how it ends."""

import json
import logging
import signal
import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.process import PATIENCE, Simulation, run_command, simulating
from workspaces_apps import Credentials, WorkSpacesClient
from workspaces_apps.cli import main
from workspaces_apps.cli.console import log_to_stderr

SIGNALS = [
    pytest.param(
        number,
        marks=pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it"),
        id=number.name,
    )
    for number in (signal.SIGINT, signal.SIGTERM)
]


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """A small simulator in a process of its own."""
    with simulating("--workspaces", "3", "--region", "eu-central-1", "--account", "210987654321") as running:
        yield running


def client_of(simulation: Simulation) -> WorkSpacesClient:
    """Our client, connected with nothing but what the process printed."""
    endpoint = simulation.endpoint
    return WorkSpacesClient(
        region=endpoint.region,
        endpoint_url=endpoint.url,
        credentials=Credentials(endpoint.access_key_id, endpoint.secret_access_key),
    )


async def test_the_printed_line_is_all_a_client_needs(simulation: Simulation) -> None:
    """URL, Region and credentials of the line reach the fleet that was asked for."""
    async with client_of(simulation) as ws:
        workspaces = await ws.describe_workspaces().collect()

    assert len(workspaces) == 3
    assert simulation.endpoint.region == "eu-central-1"


def test_the_control_endpoint_takes_the_printed_token(simulation: Simulation) -> None:
    """The control URL and token of the line open the control endpoint."""
    request = urllib.request.Request(
        f"{simulation.endpoint.control_url}/requests",
        headers={"Authorization": f"Bearer {simulation.endpoint.control_token}"},
    )

    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        assert json.load(answer)["total"] == 0


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_it_cleanly(simulation: Simulation, number: signal.Signals) -> None:
    """Asked to end, it exits with 0, prints nothing more, and its logs are on standard error."""
    simulation.process.send_signal(number)
    out, err = simulation.process.communicate(timeout=PATIENCE)

    assert (simulation.process.returncode, out) == (0, "")
    assert f"listening on {simulation.endpoint.url}" in err
    assert "Traceback" not in err


async def test_a_signal_ends_it_with_a_client_connected(simulation: Simulation) -> None:
    """A connection that a client keeps open does not hold it up."""
    async with client_of(simulation) as ws:
        await ws.describe_workspaces()
        simulation.process.terminate()
        simulation.process.communicate(timeout=PATIENCE)

    assert simulation.process.returncode == (1 if sys.platform == "win32" else 0)


def test_a_port_in_use_is_told_in_one_line() -> None:
    """Where the port is taken it prints no JSON, names the port, and fails without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_command("simulate", "--port", str(port))

    assert (ended.returncode, ended.stdout) == (64, "")
    assert ended.stderr.startswith(f"workspaces-apps: cannot listen on 127.0.0.1:{port}")
    assert ended.stderr.count("\n") == 1


def test_the_port_is_the_one_asked_for() -> None:
    """`--port` is where it listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with simulating("--port", str(port)) as simulation:
        assert simulation.endpoint.port == port


async def test_the_state_survives_a_restart(tmp_path: Path) -> None:
    """With --state the fleet of the second process is the first one's, whatever the other options say."""
    state = str(tmp_path / "fleet.json")
    with simulating("--workspaces", "3", "--state", state) as first:
        first.process.terminate()
        first.process.communicate(timeout=PATIENCE)

    with simulating("--workspaces", "9", "--seed", "5", "--state", state) as second:
        async with client_of(second) as ws:
            workspaces = await ws.describe_workspaces().collect()

    assert len(workspaces) == 3


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 99}'])
def test_a_broken_state_file_is_told_in_one_line(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is served from a file that is none, and the file stays as it is."""
    state = tmp_path / "fleet.json"
    state.write_text(content)

    code = main(["simulate", "--state", str(state)])
    shown = capsys.readouterr()

    assert (code, shown.out, shown.err.count("\n")) == (64, "", 1)
    assert str(state) in shown.err
    assert state.read_text() == content


def test_a_state_file_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    """Not only at the end, when what happened would be lost."""
    ended = run_command("simulate", "--workspaces", "1", "--state", str(tmp_path / "nowhere" / "fleet.json"))

    assert (ended.returncode, ended.stdout) == (64, "")
    assert "cannot write the state file" in ended.stderr


def test_logging_is_set_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked twice, as with --debug in two places, each record is still written once."""
    logger = logging.getLogger("workspaces_apps")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "level", logging.NOTSET)

    log_to_stderr(debug=True)
    log_to_stderr()

    assert len(logger.handlers) == 1
    assert logger.level == logging.DEBUG
