"""The pages that say how true the simulator is: made from its tables, and up to date."""

import re
from pathlib import Path

import pytest

from codegen import simulator_truth
from workspaces_apps.simulator import SimulatorSettings
from workspaces_apps.simulator._operations import ACTING, OPERATIONS, STORING
from workspaces_apps.simulator._records import TABLE

pytestmark = pytest.mark.checkout

TESTING = Path(__file__).parent.parent.parent / "docs" / "testing.md"


def test_the_page_is_fresh() -> None:
    """docs/simulator-truth.md is what the tables give; `python -m codegen.simulator_truth` writes it anew."""
    assert simulator_truth.PAGE.read_text("utf-8") == simulator_truth.write()
    assert simulator_truth.main(["--check"]) == 0


def test_a_stale_page_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--check` fails for a page that is missing or old, and passes once it was written."""
    monkeypatch.setattr(simulator_truth, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(simulator_truth, "CONTROL", tmp_path / "control.json")
    missing = simulator_truth.main(["--check"])
    written = simulator_truth.main([]), simulator_truth.main(["--check"])

    assert (missing, written) == (1, (0, 0))
    assert "python -m codegen.simulator_truth" in capsys.readouterr().err


def test_every_setting_and_every_row_is_on_the_page() -> None:
    """No assumption is left out."""
    page = simulator_truth.write()

    assert [name for name in SimulatorSettings.__dataclass_fields__ if f"| `{name}` |" not in page] == []
    assert [row.source for row in TABLE if row.source not in page] == []


def test_every_operation_is_in_one_place() -> None:
    """Each family is said either to act or to store, and none is forgotten."""
    listed = [name for family in (*ACTING.values(), *STORING.values()) for name in family]

    assert sorted(listed) == sorted(OPERATIONS)


def test_the_page_on_testing_lists_exactly_what_the_simulator_does_not_know() -> None:
    """The page names each operation that is answered with UnknownOperationException, and no other."""
    (sentence,) = re.findall(r"answers all operations\s+but\s+(.*?)\s+\(UnknownOperationException\)", TESTING.read_text("utf-8"), re.DOTALL)  # fmt: skip

    assert sorted(re.findall(r"`(\w+)`", sentence)) == simulator_truth.unknown_operations()
