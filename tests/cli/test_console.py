"""The text that may reach a terminal."""

import asyncio
import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli.process import COMMAND, FULL
from workspaces_apps.cli._console import COMPLAINT_LIMIT, complain, drawn_again, is_live, out, say

JOURNALS = Path(__file__).parents[1] / "rollout" / "journals"


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """It does."""
        return True


def test_complaints_go_to_standard_error_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output stays free for what was asked for."""
    complain("one\ntwo")

    assert tuple(capsys.readouterr()) == ("", "workspaces-apps: one two\n")


@pytest.mark.parametrize("width", [20, 60, 120])
def test_a_complaint_on_a_terminal_is_broken_between_words(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id in it can be copied, however narrow the terminal is."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", str(width))
    request_id = "abcdefab-cdef-abcd-efab-cdefabcdefab"
    complain(f"DescribeWorkspaces: AccessDeniedException: no way (HTTP 400, request id {request_id})")
    lines = terminal.getvalue().splitlines()

    assert request_id in terminal.getvalue()
    assert len(lines) > (width < 120)
    assert max(map(len, lines)) <= max(width, 40)


def test_a_complaint_of_any_length_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    """The service's words are in it, however many."""
    complain("m" * 10_000_000)
    said = capsys.readouterr().err

    assert len(said) < COMPLAINT_LIMIT + 100
    assert said.endswith("m…\n")


def test_standard_output_shows_markup_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A name like [red]x[/red] is a name."""
    out().print("[red]x[/red] :smile:")

    assert capsys.readouterr().out == "[red]x[/red] :smile:\n"


@pytest.mark.parametrize(
    "write,told",
    [
        ('out().print("unread")', ""),
        ('err().print("unread")', ""),
        ('complain("unread")', ""),
        ('print_json({"unread": 1})', "output"),
        ('print_document(["unread"])', "output"),
        ('print_output(b"unread")', "output"),
    ],
)
def test_work_goes_on_when_nobody_reads_any_more(write: str, told: str) -> None:
    """A reader that leaves, such as head, ends neither the command nor its exit code, and brings no traceback."""
    stream = 2 if write.startswith(("err", "complain")) else 1
    script = f"""if True:
        import os, sys
        from workspaces_apps.cli._console import *
        reading, writing = os.pipe()
        os.dup2(writing, {stream})
        os.close(writing)
        os.close(reading)
        for _ in range(3):
            {write}
        sys.exit(7)
    """

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    warning = f"workspaces-apps: nobody reads the {told} any more: the rest of it is left out\n"
    assert (ended.returncode, ended.stderr, ended.stdout) == (7, warning if told else "", "")


@pytest.mark.parametrize(
    "terminal,term,live", [(True, "xterm", True), (True, "dumb", False), (False, "xterm", False)]
)
def test_only_a_capable_terminal_is_drawn_on(terminal: bool, term: str, live: bool) -> None:
    """Files, pipes and dumb terminals get plain lines."""
    console = Console(file=io.StringIO(), force_terminal=terminal, _environ={"TERM": term})

    assert is_live(console) is live


async def test_what_is_drawn_is_made_by_the_event_loop() -> None:
    """The event loop changes what is shown, so it is read there; a thread only writes it."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, color_system=None, _environ={"TERM": "xterm"})
    made_in: set[int] = set()
    drawn = asyncio.Event()

    def draw() -> str:
        made_in.add(threading.get_ident())
        if len(written.getvalue()) > 100:
            drawn.set()
        return f"drawn {len(written.getvalue())}"

    with drawn_again(console, draw, 100):
        await asyncio.wait_for(drawn.wait(), 60)

    assert made_in == {threading.get_ident()}
    assert written.getvalue().count("drawn ") > 2


@pytest.mark.parametrize(
    "width, shown",
    [
        (60, ["  blocked  Office 2024 (operating-system: the application", "    does not support it)"]),
        (200, ["  blocked  Office 2024 (operating-system: the application does not support it)"]),
    ],
)
def test_what_is_indented_goes_on_below_itself(width: int, shown: list[str]) -> None:
    """A sentence of a list that takes two lines does not look like two of its entries."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system=None, width=width, markup=False)

    say(console, "  blocked  Office 2024 (operating-system: the application does not support it)")

    assert file.getvalue().splitlines() == shown


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize(
    "arguments",
    [("schema",), ("iam-policy",), ("report", "JOURNAL"), ("report", "JOURNAL", "--output", "csv")],
)
def test_output_that_cannot_be_written_is_told_and_exits_with_1(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    """The line names the stream, and not only the disk."""
    journal = tmp_path / "office.journal"
    journal.write_bytes((JOURNALS / "format-2-stopped.journal").read_bytes())
    line = [str(journal) if one == "JOURNAL" else one for one in arguments]
    with FULL.open("w") as full:
        ended = subprocess.run([*COMMAND, *line], stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert ended.returncode == 1
    assert (
        ended.stderr
        == "workspaces-apps: standard output: No space left on device; the rest of it is left out\n"
    )


@pytest.mark.parametrize("form", ["html", "junit", "json", "csv"])
def test_what_a_report_declares_is_its_encoding(form: str, tmp_path: Path) -> None:
    """UTF-8, also where the terminal, or Windows behind a `>`, has another one."""
    journal = tmp_path / "office.journal"
    lines = (JOURNALS / "format-2-stopped.journal").read_text(encoding="utf-8").splitlines(keepends=True)
    started = json.loads(lines[0]) | {"name": "Büro"}
    journal.write_text("".join([f"{json.dumps(started)}\n", *lines[1:]]), encoding="utf-8")
    ended = subprocess.run(
        [*COMMAND, "report", str(journal), "--output", form],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
    )
    text = ended.stdout.decode("utf-8")

    assert "\\xfc" not in text
    if form in ("html", "junit"):
        assert "Büro" in text
