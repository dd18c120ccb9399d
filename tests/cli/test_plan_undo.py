"""`plan --undo` on the command line: a saved plan that takes a roll-out back."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.fleet import OFFICE, in_environment, in_simulated_time, run_json, write_manifest
from workspaces_apps.cli import main
from workspaces_apps.cli._apply import Settings, take_back
from workspaces_apps.cli._apply import run as apply
from workspaces_apps.cli._console import ExitCode
from workspaces_apps.rollout import Manifest, Plan, Started
from workspaces_apps.rollout._journal.lines import to_line


async def test_a_roll_out_is_applied_and_taken_back(tmp_path: Path) -> None:
    """Planned with the policy of the manifest, saved, and applied with a journal of its own."""
    manifest = Manifest.load(write_manifest(tmp_path, policy='canary = "50%"'))
    async with in_simulated_time(0) as (sim, connection):
        (one,) = sim.fleet.add_workspaces(1, operating_system="WINDOWS_11")
        settings = Settings(journal=tmp_path / "j", yes=True)
        codes = [await apply(manifest, None, connection, settings)]
        plan = await take_back(str(tmp_path / "j"), None, manifest, connection)
        plan.save(tmp_path / "undo.json")
        settings = Settings(journal=tmp_path / "undo", yes=True, accept_unknown_account=True)
        codes.append(await apply(None, Plan.load(tmp_path / "undo.json"), connection, settings))
        left = sim.fleet.associations(one)

    assert (codes, plan.exit_code, left) == ([ExitCode.DONE, ExitCode.DONE], ExitCode.CHANGES, {})
    assert (plan.name, str(plan.policy.canary)) == ("undo-office", "50%")


def test_a_journal_without_changes_leaves_nothing_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan is empty, and no manifest is needed for it."""
    begun = Started(at=datetime(2026, 1, 5, tzinfo=UTC), run="r", name="x", plan="p", workspaces=0, changes=0)
    (tmp_path / "x.journal").write_bytes(to_line(begun))
    with in_environment(monkeypatch):
        code, plan = run_json(capsys, "plan", "--undo", str(tmp_path / "x.journal"), "--run", "last")

    assert (code, plan["name"], plan["workspaces"]) == (ExitCode.DONE, "undo-x", [])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--run", "1"],
        ["--undo", "x", "--journal", "y"],
        ["--undo", "x", "--show", "y"],
    ],
)
def test_what_does_not_go_with_an_undo_is_refused(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before any call, in one line."""
    manifest = str(write_manifest(tmp_path, present=OFFICE))

    assert main(["plan", manifest, *arguments]) == ExitCode.USAGE
    assert capsys.readouterr().err.count("\n") == 1
