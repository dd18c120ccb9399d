"""docs/testing.md: every block of Python and of shell is run, as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.pytest_plugin.run import PATIENCE, python_path, run_pytest

pytestmark = pytest.mark.checkout

PAGE: Final = Path(__file__).parent.parent.parent / "docs" / "testing.md"
AWS_CLI: Final = os.environ.get("WORKSPACES_AWS_CLI_PYTHON", "")
needs_aws_cli = pytest.mark.skipif(
    not AWS_CLI, reason="needs the AWS CLI: python3 dev.py nox --no-venv -s aws_cli"
)
INI: Final = "[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\n"


def blocks(language: str) -> dict[str, str]:
    """The blocks of a language, by the heading that they are under."""
    found: dict[str, str] = {}
    for section in re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        heading = re.sub(r"\W+", "_", section.partition("\n")[0].lower()).strip("_")
        for code in re.findall(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE):
            assert heading not in found, "one block for each heading"
            found[heading] = code
    return found


def with_aws_cli(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Put `aws`, from its own environment, and `workspaces-apps`, from this one, on the path."""
    commands = {
        "aws": f'PYTHONPATH= exec "{AWS_CLI}" -m awscli "$@"',
        "workspaces-apps": f'PYTHONPATH="{python_path()}" exec "{sys.executable}" -m workspaces_apps "$@"',
    }
    for name, line in commands.items():
        script = folder / name
        script.write_text(f"#!/bin/sh\n{line}\n", "utf-8")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join((str(folder), os.environ["PATH"])))


def test_the_recipes_work(tmp_path: Path) -> None:
    """Every block of Python is a test module that passes; only the AWS CLI's is left to its own session."""
    (tmp_path / "pytest.ini").write_text(INI.format(mode="strict"), "utf-8")
    recipes = {heading: code for heading, code in blocks("python").items() if "aws_cli" not in heading}
    for heading, code in recipes.items():
        (tmp_path / f"test_{heading}.py").write_text(code, "utf-8")

    # boto3 leaves its connections to the garbage collector.
    done = run_pytest(tmp_path, "-W", "ignore::ResourceWarning", "--durations=3")

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(recipes) >= 7
    assert len(re.findall(r"^test_\w+\.py \.+", done.stdout, re.MULTILINE)) == len(recipes)


@needs_aws_cli
def test_the_recipe_of_the_aws_cli_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block of Python that calls `aws` passes, with the AWS CLI from its own environment."""
    (recipe,) = (code for heading, code in blocks("python").items() if "aws_cli" in heading)
    (tmp_path / "pytest.ini").write_text(INI.format(mode="strict"), "utf-8")
    (tmp_path / "test_recipe.py").write_text(recipe, "utf-8")
    with_aws_cli(monkeypatch, tmp_path)

    done = run_pytest(tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


@needs_aws_cli
@pytest.mark.skipif(sys.platform == "win32", reason="a recipe for a POSIX shell")
def test_the_recipe_for_the_prompt_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block of shell starts a simulator and lists its fleet with `aws`."""
    (script,) = blocks("sh").values()
    with_aws_cli(monkeypatch, tmp_path)

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^ws-\w+\t(?:AVAILABLE|STOPPED)$", done.stdout, re.MULTILINE)) == 20
