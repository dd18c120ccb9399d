"""The command as a whole: what it is without its extra, without arguments, and with wrong ones."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import workspaces_apps
from tests.cli.process import run_command
from workspaces_apps._base import VERSION
from workspaces_apps.cli import main
from workspaces_apps.cli._app import COMMANDS, CommandGroup, build, new_app
from workspaces_apps.cli._console import OPTIONS, ExitCode

HEAVY = {"aiohttp", "aiobotocore", "botocore", "pydantic", "rich", "workspaces_apps._client.client"}


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
        "import sys; sys.modules['workspaces_apps.cli._console'] = None\n"
        "from workspaces_apps.cli import main; sys.exit(main([]))"
    )

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert "workspaces_apps.cli._console" in ended.stderr


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints name and version, and nothing else."""
    code = main(["--version"])

    assert (code, capsys.readouterr().out) == (0, f"workspaces-apps {VERSION}\n")


def test_help_names_every_command_and_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--help` succeeds, lists the commands in whole sentences, and documents what the process returns."""
    monkeypatch.setenv("COLUMNS", "80")
    code = main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())

    assert code == 0
    commands = (
        "plan",
        "apply",
        "status",
        "watch",
        "pause",
        "resume",
        "approve",
        "reject",
        "drain",
        "stop",
        "report",
        "install",
        "uninstall",
        "list",
        "demo",
        "simulate",
    )
    assert [name for name in commands if f" {name} " not in shown] == []
    assert "..." not in shown.partition("Commands:")[2]
    assert [code.value for code in ExitCode if not re.search(rf"\b{code.value} [a-z]", shown)] == []


def test_the_table_of_commands_is_what_their_modules_say() -> None:
    """Each row of `--help` is the first sentence of the command's own help, and what registers it registers no other one."""
    group = get_command(build())
    assert isinstance(group, CommandGroup)

    assert {name: group.commands[name].get_short_help_str(200) for name in COMMANDS} == {
        name: command.help.removesuffix(".") + "." for name, command in COMMANDS.items()
    }
    for one in {command.registered_by: command for command in COMMANDS.values()}.values():
        app = new_app()
        one.register(app)
        names = {found.name or getattr(found.callback, "__name__", "") for found in app.registered_commands}
        names |= {str(found.name) for found in app.registered_groups}
        assert names == {
            name for name, command in COMMANDS.items() if command.registered_by == one.registered_by
        }


def test_help_imports_no_command_and_no_sdk() -> None:
    """Neither asyncio nor a command is loaded for `--help`, which shows a table."""
    script = (
        "import sys; from workspaces_apps.cli import main; code = main(['--help']);"
        "print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    loaded = set(ended.stderr.split())

    assert ended.returncode == 0
    assert loaded & (HEAVY | {"asyncio"}) == set()
    assert {name for name in loaded if name.startswith("workspaces_apps.")} <= {
        "workspaces_apps._base",
        *(f"workspaces_apps._base.{name}" for name in ("logs", "system", "text")),
        "workspaces_apps.api",
        "workspaces_apps.api.founding",
        "workspaces_apps.errors",
        "workspaces_apps.cli",
        *(f"workspaces_apps.cli.{name}" for name in ("_app", "_console", "_failures", "_options")),
    }


@pytest.mark.parametrize("command", [[], ["apply"], ["list", "associations"]])
def test_help_has_a_short_name(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """`-h` is what `--help` is, on every command."""
    codes = [main([*command, option]) for option in ("-h", "--help")]
    shown = capsys.readouterr().out

    assert codes == [0, 0]
    assert shown[: len(shown) // 2] == shown[len(shown) // 2 :]


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
        (["simulate", "--region", "nope"], "'nope' is no Region such as us-east-1"),
        (["simulate", "--host", "0.0.0.0"], "; --allow-remote opens"),
        (["list", "applications", "--endpoint-url", "http://192.0.2.1"], "or pass --allow-insecure-endpoint"),
        (["list", "applications", "--endpoint-url", "192.0.2.1"], "the endpoint URL must be"),
        (["list", "workspaces", "--workspace", "nope"], "'nope' is not a valid id, such as ws-"),
        (["list", "workspaces", "--directory", "nope"], "'nope' is not a valid id, such as d-"),
        (["list", "workspaces", "--bundle", "nope"], "'nope' is not a valid id, such as wsb-"),
        (["list", "associations", "--workspace", "nope"], "'nope' is not a valid id, such as ws-"),
        (["install", "office", "--workspace", "nope"], "'nope' is not a valid id, such as ws-"),
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
        (["list", "workspaces", "--directory", "d-0123456789", "--bundle", "wsb-0123456789"], "only one"),
        (["list", "associations", "--workspace", "ws-0123456789", "--application", "wsa-1"], "one of them"),
        (["list", "associations", "--state", "EROR"], "ERROR"),
        (["plan", "--show", "nowhere.json"], ": cannot read the plan nowhere.json"),
        (["apply", "--plan", __file__, "--yes"], f": {__file__}: not a saved plan"),
        (["report", __file__, "--output", "yaml"], "Invalid value for '--output': 'yaml' is not one of"),
        (["report", "nowhere.journal"], "nowhere.journal"),
        (["report", __file__, "--to", "nowhere/report.html"], "there is no folder nowhere"),
        (["report", __file__, "--to", "report.pdf"], "report.pdf"),
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
    "environment,code,told",
    [
        ({}, ExitCode.USAGE, "no AWS Region: pass --region eu-west-1, or set AWS_DEFAULT_REGION"),
        ({"AWS_REGION": "eu-west-1"}, ExitCode.CREDENTIALS, "`aws sso login`, or pass --profile NAME"),
        ({"AWS_PROFILE": "nowhere"}, ExitCode.USAGE, "Check --profile, AWS_PROFILE"),
    ],
)
def test_advice_is_given_in_options(
    environment: dict[str, str],
    code: ExitCode,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Advice that names arguments in the library names options on the command line."""
    nothing = {"AWS_CONFIG_FILE": "nowhere", "AWS_SHARED_CREDENTIALS_FILE": "nowhere"}
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**nothing, "AWS_EC2_METADATA_DISABLED": "true", **environment}.items():
        monkeypatch.setenv(name, value)

    assert main(["list", "applications"]) == code
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("said", [said for said, _ in OPTIONS])
def test_what_is_put_in_options_is_what_the_library_says(said: str) -> None:
    """A row whose words the library has changed since would do nothing."""
    root = Path(workspaces_apps.__file__).parent
    sources = " ".join(
        re.sub(r'"\n\s*f?"', "", path.read_text(encoding="utf-8"))
        for path in root.rglob("*.py")
        if path.parent.name != "cli"
    )

    assert said.removeprefix("; ") in sources


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
@pytest.mark.parametrize(
    "option", ["--profile", "--region", "--endpoint-url", "--allow-insecure-endpoint", "--output", "--debug"]
)
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
        ("workspaces-apps list associations --state ER", 4, "ERROR"),
    ],
)
def test_the_shell_completes_commands_and_options(words: str, place: int, offered: str) -> None:
    """A completion script gets the words that fit."""
    asked = {"_WORKSPACES_APPS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(place)}

    ended = run_command(**asked)

    assert (ended.returncode, ended.stdout.split()) == (0, [offered])
