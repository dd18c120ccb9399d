"""`workspaces-apps simulate` as a process: what it prints, how it ends."""

import json
import logging
import os
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import boto3.session
import botocore.session
import pytest

from tests.cli.process import COMMAND, PATIENCE, Simulation, run_command, simulating
from workspaces_apps import Credentials, WorkSpacesClient
from workspaces_apps.cli import main
from workspaces_apps.cli._console import log_to_stderr
from workspaces_apps.cli._simulate import settings_of, shell_lines
from workspaces_apps.simulator import SimulatorSettings, Span

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


def test_another_account_survives_a_restart_as_it_is(tmp_path: Path) -> None:
    """With --other-account at each start, the state has its WorkSpaces once."""
    state = tmp_path / "fleet.json"
    for _ in range(2):
        with simulating(
            "--workspaces", "1", "--state", str(state), "--other-account", "210987654321:2"
        ) as one:
            one.process.terminate()
            one.process.communicate(timeout=PATIENCE)

    stores = json.loads(state.read_text(encoding="utf-8"))["stores"]
    assert {one["account_id"]: len(one["workspaces"]) for one in stores} == {
        "123456789012": 1,
        "210987654321": 2,
    }


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


def exported(text: str) -> dict[str, str]:
    """The variables that a POSIX shell has after evaluating lines."""
    printed = subprocess.run(
        ["sh", "-euc", f"{text}\nenv -0"],
        capture_output=True,
        check=True,
        env={"PATH": os.defpath, "AWS_PROFILE": "x"},
    ).stdout.decode()
    return dict(pair.split("=", 1) for pair in printed.split("\0") if pair)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_a_shell_evaluates_what_env_prints_while_the_simulator_runs() -> None:
    """`eval "$(... --env &)"` returns at once; boto3 finds the simulator with nothing else; the pid ends it."""
    line = shlex.join([*COMMAND, "simulate", "--workspaces", "4", "--env"])
    ask = "import boto3; print(len(boto3.client('workspaces').describe_workspaces()['Workspaces']))"
    script = f'eval "$({line} 2>/dev/null &)"; {sys.executable} -c "{ask}"; kill "$WORKSPACES_SIMULATOR_PID"'

    in_the_way = {
        "AWS_DEFAULT_PROFILE": "of-ours",
        "AWS_SECURITY_TOKEN": "old",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_USE_FIPS_ENDPOINT": "true",
    }
    done = subprocess.run(
        ["sh", "-euc", script],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, **in_the_way},
    )

    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_the_lines_for_a_shell_survive_it() -> None:
    """Values with quotes and dollars come out as they went in; what would go before them is unset."""
    described = {
        "url": "http://127.0.0.1:1",
        "region": "eu-west-1",
        "access_key_id": "AKIA",
        "secret_access_key": "a'b\"c$d`e/+",
        "control_url": "http://127.0.0.1:1/_control",
        "control_token": "t o k",
    }

    found = exported("\n".join(shell_lines(described, "sh")))

    assert found["AWS_SECRET_ACCESS_KEY"] == described["secret_access_key"]
    assert found["WORKSPACES_SIMULATOR_CONTROL_TOKEN"] == "t o k"
    assert found["AWS_ENDPOINT_URL_WORKSPACES"] == found["AWS_ENDPOINT_URL_STS"] == described["url"]
    assert "AWS_PROFILE" not in found
    assert "$Env:AWS_SECRET_ACCESS_KEY = 'a''b\"c$d`e/+'" in shell_lines(described, "powershell")


def test_a_profile_is_written_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each account, beside what the file has; afterwards the file is as it was."""
    config = tmp_path / "aws" / "config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    config.parent.mkdir()
    before = "[default]\nregion = eu-central-1\n\n[profile simulators]\nregion = us-west-2\n"
    config.write_text(before)
    options = ("--write-profile", "sim", "--workspaces", "1", "--other-account", "210987654321:2")
    with simulating(*options) as running:
        names = ["sim", "sim-210987654321"]
        found = [
            len(new_profile(config, name).client("workspaces").describe_workspaces()["Workspaces"])
            for name in names
        ]
        mode = config.stat().st_mode & 0o777
        running.process.terminate()
        running.process.wait(PATIENCE)

    assert found == [1, 2]
    assert mode == 0o600 or sys.platform == "win32"
    assert config.read_text() == before


def new_profile(config: Path, name: str) -> Any:
    """boto3 with nothing but a profile."""
    inner: Any = botocore.session.Session(profile=name)
    inner.set_config_variable("config_file", str(config))
    return boto3.session.Session(botocore_session=inner)


def test_a_profile_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    """It is refused before anything is written."""
    config = tmp_path / "config"
    config.write_text("[profile sim]\nregion = eu-central-1\n")

    done = run_command("simulate", "--write-profile", "sim", AWS_CONFIG_FILE=str(config))

    assert done.returncode == 64
    assert "has not written" in done.stderr
    assert config.read_text() == "[profile sim]\nregion = eu-central-1\n"


def test_settings_come_from_a_file_and_from_the_command_line(tmp_path: Path) -> None:
    """The command line goes first; a Region and a fleet besides."""
    file = tmp_path / "settings.toml"
    file.write_text('install_duration = [60, 120]\nerror_record = "keep"\n')

    settings = settings_of(
        file, ["error_record=refuse", "pending_delay=5", "volume_groups=false"], encrypted=0.5, presence=True
    )

    assert (settings.install_duration.high, settings.pending_delay.low) == (120, 5)
    assert (settings.error_record, settings.volume_groups) == ("refuse", False)
    assert (settings.encrypted_share, settings.presence) == (0.5, "seeded")


CHANGED: Final = {
    "deploy_nothing": '"refuse"',
    "error_record": '"keep"',
    "presence": '"seeded"',
    "exceptions": '{"compute type" = "X"}',
}
"""Values that cannot be worked out from a setting's default, as TOML writes them."""


@pytest.mark.parametrize("name", [item.name for item in SimulatorSettings.assumptions()])
def test_every_setting_can_be_given_in_either_way(name: str, tmp_path: Path) -> None:
    """Another value than the default, in a file and on the command line: both give the same settings."""
    match default := getattr(SimulatorSettings(), name):
        case bool():
            value = "false" if default else "true"
        case int():
            value = "7"
        case float():
            value = "0.5"
        case Span():
            value = "[1, 2.5]"
        case _:
            value = CHANGED[name]
    file = tmp_path / "settings.toml"
    file.write_text(f"{name} = {value}\n")

    by_file = settings_of(file, [], encrypted=0, presence=False)

    assert by_file == settings_of(None, [f"{name}={value}"], encrypted=0, presence=False)
    assert getattr(by_file, name) != default


@pytest.mark.parametrize(
    "options,names",
    [
        (("--set", "nonsense=5"), "nonsense"),
        (("--set", "install_duration"), "NAME=VALUE"),
        (("--env=fish",), "sh or powershell"),
        (("--other-account", "12"), "210987654321"),
        (("--other-region", "mars"), "us-east-1"),
        (("--write-profile", "a b"), "profile"),
        (("--manual-clock", "--time-scale", "2"), "--time-scale"),
        (("--encrypted", "2"), "--encrypted"),
    ],
)
def test_what_makes_no_sense_is_refused_before_it_listens(
    options: tuple[str, ...], names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 64, and one line that says what would be right."""
    assert main(["simulate", *options]) == 64
    assert names in capsys.readouterr().err
