"""README.md: short, and pasteable as it stands."""

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks, fleet, run_program
from workspaces_apps.cli import main
from workspaces_apps.cli._console import ExitCode

pytestmark = [pytest.mark.checkout, pytest.mark.campaign]


def test_the_tour_runs_as_it_stands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program, then the manifest: the first plan has changes, and applying makes them."""
    (program,) = (block.code for block in blocks("README.md") if block.language == "python")
    (manifest,) = (block.code for block in blocks("README.md") if block.language == "toml")
    (tmp_path / "fleet.toml").write_text(manifest, "utf-8")
    monkeypatch.chdir(tmp_path)

    with fleet(monkeypatch):
        run_program(program)
        tour = capsys.readouterr().out
        planned = main(["plan", "fleet.toml"])
        applied = main(["apply", "fleet.toml", "--yes"])

    assert "PENDING_INSTALL_DEPLOYMENT" in tour
    assert "COMPLETED" in tour
    assert (planned, applied) == (ExitCode.CHANGES, ExitCode.DONE)


def test_commands_of_the_readme_exist() -> None:
    """Each line of a console block that names the command names a subcommand with options that it has."""
    lines = [
        line
        for block in blocks("README.md")
        if block.language == "console"
        for line in block.code.splitlines()
    ]

    assert "workspaces-apps plan fleet.toml" in lines
    assert "workspaces-apps apply fleet.toml" in lines
    assert any(line.startswith('eval "$(workspaces-apps simulate') for line in lines)


def test_the_readme_is_short() -> None:
    """A page, not a manual: the rest has pages of its own."""
    assert len((ROOT / "README.md").read_text("utf-8")) < 7_000
