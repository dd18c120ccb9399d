"""That the type checkers agree with what this folder says, and would notice if they were told something wrong."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parent.parent.parent
READ_ONLY = sorted(
    path for path in Path(__file__).parent.glob("*.py") if not path.name.startswith(("test_", "_"))
)

CHECKERS = {
    "mypy": ["mypy", "--config-file", str(ROOT / "pyproject.toml")],
    "pyright": ["pyright", "--project", str(ROOT / "pyproject.toml"), "--pythonpath", sys.executable],
}

WRONG = '''
from typing import assert_type
from workspaces_apps import DescribeApplicationsResult, WorkSpacesClient

async def use(ws: WorkSpacesClient) -> None:
    """The first page is no string."""
    assert_type(await ws.describe_applications(), {type})
    page: {type} = await ws.describe_applications()
    print(page)
'''


def run(checker: str, *files: Path) -> subprocess.CompletedProcess[str]:
    """A type checker over some files, as the project is configured."""
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed")
    return subprocess.run(
        [sys.executable, "-m", *CHECKERS[checker], *map(str, files)],
        cwd=ROOT,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize("checker", CHECKERS)
def test_what_is_written_here_is_so(checker: str) -> None:
    """Every `assert_type` holds, and every line that must be refused is refused."""
    finished = run(checker, *READ_ONLY)

    assert READ_ONLY
    assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_wrong_result_type_is_noticed(checker: str, tmp_path: Path) -> None:
    """A file that takes a result for something else fails; the same file with the right type does not."""
    right, wrong = tmp_path / "right_type.py", tmp_path / "wrong_type.py"
    right.write_text(WRONG.replace("{type}", "DescribeApplicationsResult"), encoding="utf-8")
    wrong.write_text(WRONG.replace("{type}", "str"), encoding="utf-8")

    passed, failed = run(checker, right), run(checker, wrong)

    assert passed.returncode == 0, passed.stdout
    assert failed.returncode == 1
    assert "wrong_type.py:7" in failed.stdout
    assert "wrong_type.py:8" in failed.stdout


DOWNSTREAM = Path(__file__).with_name("downstream.txt")


@pytest.mark.parametrize("checker", CHECKERS)
def test_exactly_the_wrong_lines_of_a_code_base_are_refused(checker: str, tmp_path: Path) -> None:
    """Constructors, attributes and calls are typed as they behave."""
    code = DOWNSTREAM.read_text(encoding="utf-8")
    copy = tmp_path / "downstream.py"
    copy.write_text(code, encoding="utf-8")
    wrong = {number for number, line in enumerate(code.splitlines(), 1) if line.endswith("# wrong")}

    finished = run(checker, copy)

    refused = {int(number) for number in re.findall(r"downstream\.py:(\d+)(?=.*error)", finished.stdout)}
    assert (refused, len(wrong)) == (wrong, 20), finished.stdout
