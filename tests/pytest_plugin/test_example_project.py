"""The example project's tests pass, by its own configuration."""

import re
import shutil
from pathlib import Path

from tests.pytest_plugin.run import run_pytest

PROJECT = Path(__file__).parent.parent.parent / "examples" / "tested_project"


def test_the_example_project_passes(tmp_path: Path) -> None:
    """A project of its own, away from this one, tests a fleet with nothing but the plugin."""
    project = shutil.copytree(PROJECT, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__"))

    done = run_pytest(project)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^=+ 4 passed in", done.stdout, re.MULTILINE)
