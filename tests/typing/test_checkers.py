"""Type checkers refuse what is wrong in code that uses the package, and nothing else.

The other files of this folder hold what they must accept: the project's own check reads them.
"""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parent.parent.parent
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


DOWNSTREAM = Path(__file__).with_name("downstream.txt")


@pytest.fixture(scope="module", params=CHECKERS)
def findings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, set[int]]:
    """The lines that a checker refuses, by file; one run for all, because its start takes longest."""
    folder = tmp_path_factory.mktemp("checked")
    files = {
        "right_type.py": WRONG.replace("{type}", "DescribeApplicationsResult"),
        "wrong_type.py": WRONG.replace("{type}", "str"),
        "downstream.py": DOWNSTREAM.read_text(encoding="utf-8"),
    }
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    finished = run(request.param, *(folder / name for name in files))
    assert finished.returncode == 1, finished.stdout
    return {
        name: {int(line) for line in re.findall(rf"{name}:(\d+)(?=.*error)", finished.stdout)}
        for name in files
    }


def test_a_wrong_result_type_is_noticed(findings: Mapping[str, set[int]]) -> None:
    """A file that takes a result for something else fails; the same file with the right type does not."""
    assert findings["right_type.py"] == set()
    assert findings["wrong_type.py"] >= {7, 8}


def test_exactly_the_wrong_lines_of_a_code_base_are_refused(findings: Mapping[str, set[int]]) -> None:
    """Constructors, attributes and calls are typed as they behave."""
    lines = DOWNSTREAM.read_text(encoding="utf-8").splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}

    assert (findings["downstream.py"], len(wrong)) == (wrong, 28)
