"""The command line as people meet it: narrow terminals, files that survive, one code for one kind of mistake."""

import errno
import io
from pathlib import Path

import pytest
from rich.console import Console

from tests.rollout.report.journals import rolled_out, write
from workspaces_apps.cli import _formats as tables
from workspaces_apps.cli import main
from workspaces_apps.cli._console import ExitCode, UsageError
from workspaces_apps.cli._reports import check_paths
from workspaces_apps.cli._reports import write as write_file


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_long_name_hides_no_state(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The widest column gives way until the others are whole; no line is wider than the terminal."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr(tables, "out", lambda: console)
    head = ("id", "name", "state", "owner", "runs on")
    name = "Microsoft Office LTSC Professional Plus 2021 and more words"
    row = ("wsa-0123456789", name, "AVAILABLE", "AMAZON", "windows-10 windows-11 server-2022")
    with console.capture() as captured:
        tables.show_rows(head, [row], "application", spare=("runs on", "owner"))
    lines = captured.get().splitlines()

    assert all(len(line) <= width for line in lines)
    assert all("AVAILABLE" in line or "state" in line for line in lines[:2])
    assert ("AMAZON" in lines[1]) == (width == 140)


def test_a_report_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: the error names the file that was meant, and nothing is left beside it."""
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(descriptor: int) -> None:
        del descriptor
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"No space left on device.*report\.html"):
        write_file(path, "new")

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_report_paths_are_checked_before_anything_is_done(tmp_path: Path) -> None:
    """A folder in the place of a file, a folder that is not there, and a suffix that means nothing."""
    (tmp_path / "x.html").mkdir()
    for path in (tmp_path / "x.html", tmp_path / "absent" / "x.html", tmp_path / "x.doc"):
        with pytest.raises(UsageError):
            check_paths([path])


@pytest.mark.parametrize(
    "arguments", [["report", "{}", "--run", "9"], ["plan", "--undo", "{}", "--run", "9"]]
)
def test_a_run_that_there_is_not_is_a_mistake_of_the_command_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a plan file that is none is; the line names the runs there are."""
    journal = write(tmp_path / "j", rolled_out(3))

    assert main([part.format(journal) for part in arguments]) == ExitCode.USAGE
    assert "has no run 9: it has 1 (" in capsys.readouterr().err
