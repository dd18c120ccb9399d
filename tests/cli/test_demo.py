"""`workspaces-apps demo`: a roll-out that ends with everything COMPLETED that can be."""

import re
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli.process import run_command
from workspaces_apps.cli import main
from workspaces_apps.cli._console import ExitCode, out
from workspaces_apps.cli._demo import Demonstration, live, picture, posing, save_picture
from workspaces_apps.rollout.report import Report
from workspaces_apps.simulator import ManualClock

STORY = (
    r"A simulator listens on http://127\.0\.0\.1:\d+, with 40 WorkSpaces: 36 Windows, ",
    r"\$ workspaces-apps plan fleet\.toml",
    r"operating-system: such as ws-",
    r"\$ workspaces-apps apply fleet\.toml --yes",
    r"wave 1 of \d",
    r"Not all planned changes are applied yet\.",
    r"After fixing the cause",
    r"retry",
    r"All planned changes applied\.",
    r"64 of 64 associations are COMPLETED on 32 WorkSpaces\.",
    r"On 8 WorkSpaces they cannot be; blocked associations: operating-system 12, compute-type 4\.",
    r"Report: .*report\.html",
)


def test_the_command_ends_with_all_that_can_be_completed(tmp_path: Path) -> None:
    """As a process and without a terminal: the story in its order, exit code 0, nothing on stderr, a report."""
    ended = run_command("demo", "--workspaces", "40", "--folder", str(tmp_path / "demo"))

    assert (ended.returncode, ended.stderr) == (0, "")
    rest = ended.stdout
    for step in STORY:
        _, found, rest = (*re.split(f"({step})", rest, maxsplit=1), "", "")[:3]
        assert found, step
    assert "\x1b" not in ended.stdout
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {
        "fleet.toml",
        "Office-2021.journal",
        "report.html",
    }


@pytest.mark.parametrize("count,seed", [(1, 0), (25, 1), (60, 2)])
async def test_any_fleet_ends_well(
    count: int, seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the size and the seed; what failed at first is tried again, with Force or staged anew."""
    code = await Demonstration(out(), tmp_path, live).run(count, seed, ManualClock(autojump=True))
    report = Report.from_journal(tmp_path / "Office-2021.journal")

    assert code == ExitCode.DONE
    assert report.counts["failed"] == 0
    assert bool(sum(change.retries for change in report.changes)) == (count > 25)
    told = re.search(r"^(\d+) of (\d+) associations are COMPLETED", capsys.readouterr().out, re.MULTILINE)
    assert told is not None
    assert told[1] == told[2]


async def test_on_a_terminal_the_panel_goes_when_it_is_over(tmp_path: Path) -> None:
    """The panel drawn during the run is gone at the end; the words about the end stay."""
    import io

    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system=None, width=80, _environ={"TERM": "xterm"})

    await Demonstration(console, tmp_path, live).run(25, 0, ManualClock(autojump=True))
    drawn, _, stays = file.getvalue().rpartition("\x1b[2K")

    assert "wave 1 of " in drawn
    assert "wave" not in stays
    assert "associations are COMPLETED" in stays


async def test_a_picture_of_a_run_fetches_nothing(tmp_path: Path) -> None:
    """The SVG shows the panel in the middle of the run and the end, and names no other address than its namespace."""
    console, svg = picture(), tmp_path / "demo.svg"

    await Demonstration(console, tmp_path, posing).run(40, 0, ManualClock(autojump=True))
    save_picture(console, svg)
    shown = svg.read_text().replace("&#160;", " ")

    assert "last failures" in shown
    assert "associations are COMPLETED" in shown
    assert {url for url in re.findall(r"https?://[^\s\"'<]+", shown) if "127.0.0.1" not in url} <= {
        "http://www.w3.org/2000/svg",
        "https://www.textualize.io",
    }
    assert "@font-face" not in shown


def test_a_folder_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A journal of another roll-out is not gone on with."""
    (tmp_path / "Office-2021.journal").write_text("mine")

    assert main(["demo", "--folder", str(tmp_path)]) == ExitCode.USAGE
    assert "is not empty" in capsys.readouterr().err
