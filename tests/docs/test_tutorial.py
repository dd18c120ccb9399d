"""docs/tutorial: every program and every command runs, and shows what the page says."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import Block, blocks, fits, fleet, run_program
from tests.pytest_plugin.run import run_pytest
from workspaces_apps.cli import main

pytestmark = [pytest.mark.checkout, pytest.mark.campaign]


def titled(page: str, language: str) -> list[tuple[str, str]]:
    """The files that a page asks the reader to write."""
    return [(block.title, block.code) for block in blocks(page) if block.language == language and block.title]


def shown_by(block: Block, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Run the command of a console block; return what it printed and what the page says."""
    command, _, page = block.code.partition("\n")
    program, *arguments = shlex.split(command.removeprefix("$ "))
    assert program == "workspaces-apps"
    capsys.readouterr()
    main(arguments)
    return capsys.readouterr().out, page


def test_commands_print_what_the_page_shows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first roll-out, from the list of WorkSpaces to the plan that has nothing left."""
    page = "docs/tutorial/first-rollout.md"
    for name, text in titled(page, "toml"):
        (tmp_path / name).write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    console = [block for block in blocks(page) if block.language == "console"]

    with fleet(monkeypatch):
        compared = [shown_by(block, capsys) for block in console]

    assert len(compared) == 5
    assert [shown for shown, expected in compared if not fits(shown, expected)] == []
    assert (tmp_path / "report.html").is_file()


def test_programs_do_what_the_page_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reading, installing and rolling out, as they stand."""
    monkeypatch.chdir(tmp_path)
    programs = titled("docs/tutorial/in-python.md", "python")

    with fleet(monkeypatch):
        for _, program in programs:
            run_program(program)
    shown = capsys.readouterr().out

    assert [name for name, _ in programs] == ["look.py", "install.py", "rollout.py"]
    assert "20 WorkSpaces\n" in shown
    assert re.search(r"installed after \d+ seconds", shown)
    assert "ending: complete" in shown


def test_the_function_of_the_lambda_page_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client and its event loop live from one event to the next."""
    ((_, program),) = titled("docs/lambda.md", "python")
    function: dict[str, Any] = {}

    with fleet(monkeypatch, workspaces=2) as sim:
        exec(compile(program, "function.py", "exec"), function)
        answers = [function["handler"]({"workspace_id": one}, None) for one in sim.fleet.workspace_ids]
        function["runner"].run(function["client"].aclose())
        function["runner"].close()

    assert len(answers) == 2
    assert {state for answer in answers for state in answer.values()} <= {"COMPLETED"}


def test_tests_of_the_page_pass(tmp_path: Path) -> None:
    """The function and its tests, as files of the reader's own folder."""
    # The scope is named because warnings are errors here.
    settings = "asyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\npythonpath = .\n"
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{settings}", "utf-8")
    for name, code in titled("docs/tutorial/tests.md", "python"):
        (tmp_path / name).write_text(code, "utf-8")

    done = run_pytest(tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


@pytest.mark.parametrize(
    "shown,page,expected",
    [
        ("a  b\n", "a b\n", True),
        ("12 calls, 3 throttled\n", "… calls, … throttled\n", True),
        ("a\nb\nc\nd\n", "a\n…\nd\n", True),
        ("a\nb\n", "a\n", False),
        ("15 changes\n", "16 changes\n", False),
    ],
)
def test_what_is_printed_is_compared_with_holes(shown: str, page: str, expected: bool) -> None:
    """The comparison itself tells a page that is true from one that is not."""
    assert fits(shown, page) is expected
