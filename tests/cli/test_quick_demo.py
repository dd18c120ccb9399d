"""`workspaces-apps demo --quick`: real client, real HTTP, every association COMPLETED in the end."""

import io
import re

import pytest
from rich.console import Console

from tests.cli.process import run_command
from workspaces_apps.cli import main
from workspaces_apps.cli._console import ExitCode
from workspaces_apps.cli._demo import NAMES, install_everywhere
from workspaces_apps.simulator import ManualClock


def states(written: str) -> dict[tuple[str, str], list[str]]:
    """The states that the lines of a run without a terminal tell, by WorkSpace and application."""
    told: dict[tuple[str, str], list[str]] = {}
    for match in re.finditer(r"^ *\w+  (ws-\w+)  (\w+) +(Microsoft .+)$", written, re.MULTILINE):
        told.setdefault((match[1], match[3]), []).append(match[2])
    return told


def test_the_command_ends_with_every_association_completed() -> None:
    """As a process and without a terminal: exit code 0, plain lines, a summary, no colours, nothing on stderr."""
    ended = run_command("demo", "--quick", "--workspaces", "2")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "\x1b" not in ended.stdout
    assert "\n4 of 4 associations are COMPLETED on 2 WorkSpaces.\n" in ended.stdout
    assert all(told[-1] == "COMPLETED" for told in states(ended.stdout).values())
    assert len(states(ended.stdout)) == 4


@pytest.mark.parametrize("seed", range(3))
async def test_any_fleet_can_take_the_applications(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the seed, enough WorkSpaces are found, and each goes through the states in their order."""
    code = await install_everywhere(10, seed, ManualClock(autojump=True))
    told = states(capsys.readouterr().out)

    assert code == ExitCode.DONE
    assert len(told) == 10 * len(NAMES)
    order = ["PENDING_INSTALL_DEPLOYMENT", "PENDING_INSTALL", "INSTALLING", "COMPLETED"]
    assert all(seen == [state for state in order if state in seen] for seen in told.values())
    assert all(seen[0] == order[0] and seen[-1] == order[-1] for seen in told.values())


@pytest.mark.parametrize("count", ["0", "1001", "many"])
def test_a_number_that_makes_no_sense_is_refused(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is started for it."""
    assert main(["demo", "--workspaces", count]) == ExitCode.USAGE
    assert "--workspaces" in capsys.readouterr().err


async def test_on_a_terminal_only_the_last_table_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is drawn while it changes, and once more, for good, when all is done."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system=None, width=80, _environ={"TERM": "xterm"})
    monkeypatch.setattr("workspaces_apps.cli._demo.out", lambda: console)

    code = await install_everywhere(2, 0, ManualClock(autojump=True))
    drawn, _, stays = file.getvalue().rpartition("\x1b[2K")

    assert code == ExitCode.DONE
    assert "simulated; " in drawn
    assert "simulated; " not in stays
    assert stays.count("COMPLETED") == 2 * len(NAMES) + 1
