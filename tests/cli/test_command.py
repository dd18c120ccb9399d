"""The command as a whole: what it is without its extra, without arguments, and with wrong ones."""

import re
import subprocess
import sys

import pytest

from tests.cli.process import run_command
from workspaces_apps.cli import main
from workspaces_apps.cli.failures import ExitCode
from workspaces_apps.version import VERSION

HEAVY = {"aiohttp", "aiobotocore", "botocore", "pydantic", "rich", "workspaces_apps.client"}


def test_without_the_extra_it_says_how_to_get_it() -> None:
    """Where typer is missing, one line names the extra, and the exit code is that of wrong usage."""
    script = (
        "import sys; sys.modules['typer'] = None; from workspaces_apps.cli import main; sys.exit(main([]))"
    )

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert ended.returncode == 64
    assert ended.stdout == ""
    assert ended.stderr.splitlines() == [
        'workspaces-apps: the command line needs an extra: pip install "workspaces-apps[cli]"'
    ]


def test_a_broken_installation_is_not_taken_for_a_missing_extra() -> None:
    """A module that is missing for another reason is told as what it is."""
    script = (
        "import sys; sys.modules['workspaces_apps.cli.failures'] = None\n"
        "from workspaces_apps.cli import main; sys.exit(main([]))"
    )

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert "workspaces_apps.cli.failures" in ended.stderr


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints name and version, and nothing else."""
    code = main(["--version"])

    assert (code, capsys.readouterr().out) == (0, f"workspaces-apps {VERSION}\n")


def test_help_names_every_command_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` succeeds, lists the commands and documents what the process returns."""
    code = main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())

    assert code == 0
    commands = (
        "plan",
        "apply",
        "status",
        "watch",
        "report",
        "install",
        "uninstall",
        "list",
        "demo",
        "simulate",
    )
    assert [name for name in commands if f" {name} " not in shown] == []
    assert [code.value for code in ExitCode if not re.search(rf"\b{code.value} [a-z]", shown)] == []


def test_without_a_command_it_shows_the_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """A script that forgot the command does not go on as if something had been done."""
    code = main([])

    assert code == 64
    assert capsys.readouterr().out.startswith("Usage: workspaces-apps")


@pytest.mark.parametrize(
    "arguments,named",
    [
        (["simlate"], "simlate"),
        (["simulate", "--port", "99999"], "--port"),
        (["simulate", "--port", "http"], "--port"),
        (["simulate", "--time-scale", "0"], "--time-scale"),
        (["simulate", "--account", "12"], "12 digits"),
        (["simulate", "--host", "0.0.0.0"], "loopback"),
        (["simulate", "--nonsense"], "--nonsense"),
        (["demo", "--workspaces", "0"], "--workspaces"),
        (["demo", "--quick", "--folder", "somewhere"], "--quick"),
        (["plan"], "--show"),
        (["plan", "a.toml", "--show", "b.json"], "--show"),
        (["plan", "nowhere.toml"], "nowhere.toml"),
        (["plan", "--show", "nowhere.json"], "nowhere.json"),
        (["apply"], "--plan"),
        (["apply", "a.toml", "--journal", "a", "--no-journal"], "--no-journal"),
        (["status"], "MANIFEST"),
        (["watch", "a.toml", "--interval", "0"], "--interval"),
        (["install", "office"], "--workspace"),
        (["list"], "command"),
        (["list", "workspaces", "--user", "avery"], "--directory"),
        (["list", "workspaces", "--directory", "d-1", "--bundle", "wsb-1"], "only one"),
        (["list", "associations", "--workspace", "ws-1", "--application", "wsa-1"], "one of them"),
        (["report", "some.journal", "--to", "report.pdf"], "report.pdf"),
    ],
)
def test_wrong_arguments_end_in_one_line(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake on the command line is told in one line that names it, with exit code 64 and no traceback."""
    code = main(arguments)
    shown = capsys.readouterr()

    assert (code, shown.out) == (64, "")
    assert shown.err.startswith("workspaces-apps: ")
    assert named in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["--debug", "simulate", "--account", "12"], ["simulate", "--account", "12", "--debug"]]
)
def test_debug_shows_the_traceback(arguments: list[str]) -> None:
    """`--debug`, before the command or after it, adds the traceback above the line."""
    ended = run_command(*arguments)

    assert ended.returncode == 64
    assert "Traceback" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("workspaces-apps: an account id has 12 digits")


def test_help_loads_nothing_heavy() -> None:
    """Saying what the commands are loads no HTTP stack, no models and no rich."""
    script = (
        "from workspaces_apps.cli import main; import sys; main(['--help'])\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert set(ended.stderr.split()) & HEAVY == set()


@pytest.mark.parametrize("command", ["plan", "apply", "status", "watch", "install", "uninstall"])
@pytest.mark.parametrize("option", ["--profile", "--region", "--endpoint-url", "--output", "--debug"])
def test_every_command_that_calls_takes_the_standard_options(
    command: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Profile, Region, endpoint, output and debug are asked for in the same way everywhere."""
    assert main([command, "--help"]) == 0
    assert option in capsys.readouterr().out


@pytest.mark.parametrize(
    "words,place,offered",
    [
        ("workspaces-apps wat", 1, "watch"),
        ("workspaces-apps list asso", 2, "associations"),
        ("workspaces-apps plan --ou", 2, "--output"),
    ],
)
def test_the_shell_completes_commands_and_options(words: str, place: int, offered: str) -> None:
    """What a completion script asks for is answered with what fits."""
    asked = {"_WORKSPACES_APPS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(place)}

    ended = run_command(**asked)

    assert (ended.returncode, ended.stdout.split()) == (0, [offered])
