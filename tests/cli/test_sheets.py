"""CSV: one line end, nothing that a spreadsheet would run, and an inventory of everything."""

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.fleet import OFFICE, in_environment, run_json, write_manifest
from tests.rollout.report.journals import rolled_out, write
from workspaces_apps.cli import main
from workspaces_apps.cli._console import ExitCode
from workspaces_apps.cli._formats import PLAN_COLUMNS, STATUS_COLUMNS, as_csv
from workspaces_apps.cli._listing import INVENTORY_COLUMNS
from workspaces_apps.simulator import Simulator


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Simulator]:
    """A fleet in whose first WorkSpace somebody has an evil name, tags, and an application in ERROR."""
    monkeypatch.chdir(tmp_path)
    with in_environment(monkeypatch) as simulator:
        first = simulator.fleet.workspace_ids[0]
        simulator.fleet.workspace(first).user_name = '=cmd|"calc"'
        simulator.fleet.workspace(first).tags["Ring"] = "1"
        simulator.fleet.set_association(first, simulator.fleet.application(OFFICE), "ERROR")
        yield simulator


def rows_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[bytes, list[list[str]]]:
    """Return the rows that a command writes where the stream turns line breaks into those of Windows."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8", newline="\r\n")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        main([*arguments, "--output", "csv"])
        stream.flush()
    data = raw.getvalue()
    return data, list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize(
    "arguments,columns",
    [
        (["plan", "fleet.toml"], PLAN_COLUMNS),
        (["status", "fleet.toml"], STATUS_COLUMNS),
        (["list", "inventory"], INVENTORY_COLUMNS),
        (["list", "workspaces"], None),
        (["list", "applications"], None),
        (["list", "associations"], None),
    ],
)
def test_every_table_can_be_had_as_csv(
    arguments: list[str],
    columns: tuple[str, ...] | None,
    sim: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one line end everywhere, the mark where it is asked for, and no formula."""
    write_manifest(tmp_path)
    data, rows = rows_of(monkeypatch, *arguments)
    marked, _ = rows_of(monkeypatch, *arguments, "--bom")

    assert data.count(b"\r\n") == data.count(b"\n") == data.count(b"\r") == len(rows)
    assert marked == b"\xef\xbb\xbf" + data
    assert columns is None or tuple(rows[0]) == columns
    assert len({len(row) for row in rows}) == 1
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)


def test_a_report_has_one_line_end_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written to standard output where the stream translates."""
    journal = write(tmp_path / "j", rolled_out())
    data, rows = rows_of(monkeypatch, "report", str(journal))

    assert data.count(b"\r\n") == data.count(b"\r") == len(rows)


def test_an_inventory_joins_all_that_is_known(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """User, tags, applications with their states, and the last connection; each WorkSpace once."""
    first = sim.fleet.workspace_ids[0]
    code, document = run_json(capsys, "list", "inventory")
    items = {item["workspace_id"]: item for item in document["Inventory"]}
    office = next(one for one in items[first]["applications"] if one["name"] == OFFICE)

    assert (code, list(items)) == (ExitCode.DONE, sim.fleet.workspace_ids)
    assert (items[first]["tags"]["Ring"], office["state"]) == ("1", "ERROR")
    assert {item["connection"] for item in items.values()} <= {"CONNECTED", "DISCONNECTED", "UNKNOWN"}
    assert sim.requests.count(operation="DescribeWorkspacesConnectionStatus") == 1


@pytest.mark.parametrize("listing", ["workspaces", "inventory"])
def test_a_workspace_that_is_not_there_is_told(
    listing: str, sim: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typo in a night job is no empty table: the rest is listed, and the exit code is 1."""
    (first, *_) = sim.fleet.workspace_ids
    code = main(["list", listing, "--workspace", first, "--workspace", "ws-000000000", "--output", "csv"])
    shown = capsys.readouterr()

    assert code == ExitCode.FAILED
    assert first in shown.out
    assert shown.err == "workspaces-apps: there is no WorkSpace ws-000000000\n"
    assert main(["list", listing, "--workspace", first]) == ExitCode.DONE


@pytest.mark.parametrize(
    "arguments",
    [["plan", "m.toml", "--bom"], ["install", "x", "--workspace", "ws-12345678", "--output", "csv"]],
)
def test_what_is_no_table_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Before any call, in one line."""
    assert main(arguments) == ExitCode.USAGE
    assert capsys.readouterr().err.count("\n") == 1


def test_cells_hold_what_csv_can_hold() -> None:
    """Quotes, line breaks, nothing, and a moment."""
    text = as_csv(("a", "b"), [('say "hi"', None), ("two\r\nlines", True)])

    assert text == 'a,b\r\n"say ""hi""",\r\n"two\r\nlines",true\r\n'
