"""The report as text, JSON, CSV and JUnit XML: whole, readable by others, and harmless."""

import io
import json
import re
from typing import Final
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from pydantic import TypeAdapter
from rich.console import Console

from tests.rollout.report.journals import HOSTILE, Script, hostile, rolled_out
from tests.rollout.report.reading import read_csv
from tests.rollout.report.strategies import JOURNALS
from workspaces_apps.rollout._log.events import Event, Finished, Planned, Skipped, Started, Succeeded
from workspaces_apps.rollout.report import Report
from workspaces_apps.rollout.report._forms import COLUMNS, Document
from workspaces_apps.rollout.report._text import columns_of, csv_cell, fitted, length, one_line

UNSEEN: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


NONE: Final = {"succeeded": 0, "failed": 0, "skipped": 0}


def small() -> Report:
    """A roll-out that was killed and resumed."""
    return Report.from_events(rolled_out(20))


@given(JOURNALS)
@settings(max_examples=60)
def test_json_says_everything(events: list[Event]) -> None:
    """Read back, the document is the report."""
    report = Report.from_events(events)

    document = TypeAdapter(Document).validate_json(report.to_json())
    assert {name: getattr(document, name) for name in Report.__dataclass_fields__} == vars(report)


def test_json_keeps_to_its_schema() -> None:
    """Every member is described, and the document says what it is and of which format."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = Report.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for report in (small(), Report.from_events(hostile()), Report.from_events([])):
        document = json.loads(report.to_json())
        jsonschema.validate(document, schema)
        assert (document["document"], document["format"]) == ("workspaces-apps rollout report", 1)


def test_the_json_format_is_what_scripts_rely_on() -> None:
    """These members are there; one that goes away, or is called otherwise, needs a new format."""
    document = json.loads(small().to_json())

    assert " ".join(document) == (
        "document format name began ended seconds ending total counts workspace_counts calls throttled runs waves "
        "reasons applications workspaces progress traffic unmatched"
    )
    assert {"target", "workspace_id", "outcome", "changes", "timeline"} <= document["workspaces"][0].keys()
    assert {"application_id", "outcome", "reason", "message"} <= document["workspaces"][0]["changes"][
        0
    ].keys()
    assert document["began"] == "2026-03-02T08:00:00Z"


@given(JOURNALS)
@settings(max_examples=60)
def test_csv_has_a_line_for_each_change_and_no_formula(events: list[Event]) -> None:
    """Whatever the texts, no cell begins as a formula does."""
    report = Report.from_events(events)

    rows = read_csv(report.to_csv())
    assert [row["outcome"] for row in rows] == [change.outcome for change in report.changes]
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@\t\r\n"))]
    assert not [cell for cell in cells if cell.lstrip().startswith(tuple("=+-@"))]
    report.to_csv().encode()


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\rx", "\nx", " =1", "\x00=1", "＝1"])
def test_a_formula_becomes_text(text: str) -> None:
    """A spreadsheet shows what begins with an apostrophe as it is."""
    assert csv_cell(text).startswith("'")


def test_csv_leaves_other_texts_alone() -> None:
    """Quotes, commas and line breaks come back as they were."""
    made = Script("r1")
    text = 'a "quoted", text\nwith = signs - and so on'
    made.add(Planned, workspace_id="ws-1", application_id="wsa-1", action="blocked", reason=text)
    (row,) = read_csv(Report.from_events(made.events).to_csv())

    assert (row["reason"], row["workspace_id"], tuple(row)) == (text, "ws-1", COLUMNS)


@given(JOURNALS)
@settings(max_examples=60)
def test_junit_counts_what_it_holds(events: list[Event]) -> None:
    """It is XML, has a test case for each change, and its attributes are true."""
    report = Report.from_events(events)
    root = ET.fromstring(report.to_junit().encode())

    assert len(root.findall(".//testcase")) == int(root.get("tests", "")) == report.total
    assert len(root.findall(".//failure")) == int(root.get("failures", "")) == report.counts["failed"]
    assert len(root.findall(".//error")) == int(root.get("errors", ""))
    assert len(root.findall(".//skipped")) == int(root.get("skipped", ""))
    assert sum(int(suite.get("tests", "")) for suite in root) == report.total
    assert not UNSEEN.search("".join(root.itertext()))
    assert not [value for one in root.iter() for value in one.attrib.values() if UNSEEN.search(value)]


def test_junit_says_what_failed_and_why() -> None:
    """A failure has its reason as type; what has no last word is an error."""
    report = Report.from_events(rolled_out(60, killed=False, finished=False)[:-200])
    root = ET.fromstring(report.to_junit())

    assert {one.get("type") for one in root.findall(".//error")} <= {"in-progress", "waiting"}
    assert len(root.findall(".//error")) == len(report.unfinished) > 0
    case = root.find(".//testcase")
    assert case is not None
    assert case.get("classname") == f"default.{report.workspaces[0].workspace_id}"
    assert case.get("name") == "Microsoft Office LTSC Professional Plus 2021 (wsa-office21)"


def test_junit_of_a_dry_run_is_not_red() -> None:
    """A change that a dry run did not make is skipped."""
    made = Script("r1")
    made.add(Started, name="n", plan="p", workspaces=1, changes=1, dry_run=True)
    made.add(Planned, workspace_id="ws-1", application_id="wsa-1", action="install", direction="install")
    root = ET.fromstring(Report.from_events(made.events).to_junit())

    assert (root.get("errors"), root.get("failures"), root.get("skipped")) == ("0", "0", "1")


@given(JOURNALS)
@settings(max_examples=60)
def test_text_fits_and_cannot_steer_a_terminal(events: list[Event]) -> None:
    """No line is wider than asked for, and none holds a control character or turns the text around."""
    report = Report.from_events(events)

    for width in (40, 100):
        text = report.to_text(width=width)
        assert not UNSEEN.search(text)
        assert max(columns_of(line) for line in text.split("\n")) <= width
        text.encode()


@given(JOURNALS)
@settings(max_examples=30)
def test_rich_tables_hold_no_markup_from_elsewhere(events: list[Event]) -> None:
    """Drawn on no terminal, the tables hold no escape sequence either."""
    console = Console(file=io.StringIO(), width=100)
    with console.capture() as drawn:
        console.print(Report.from_events(events).to_rich())

    assert not UNSEEN.search(drawn.get())


def test_rich_shows_markup_as_it_is() -> None:
    """Square brackets in a name are no style."""
    console = Console(file=io.StringIO(), width=400)
    with console.capture() as drawn:
        console.print(Report.from_events(hostile()).to_rich())

    assert "[bold red]markup[/] :smile:" in drawn.get()


def test_text_names_what_matters() -> None:
    """It names the ending, the counts, the reasons, and what is out of sync."""
    text = small().to_text()

    assert text.startswith("Roll-out office-2021\nIncomplete: ")
    for words in (
        "Outcomes",
        "Not in sync",
        "Slowest WorkSpaces",
        "Waves",
        "Runs",
        "compute-type",
        "killed",
    ):
        assert words in text


@pytest.mark.parametrize("blocked, look", [(0, "is-good"), (2, "is-fair")])
def test_complete_says_what_cannot_be(blocked: int, look: str) -> None:
    """Nothing is left to do, and yet not everything is in sync: the headline says how much, and is not green."""
    made = Script("r1")
    made.started(3, 1)
    made.add(Planned, workspace_id="ws-1", application_id="wsa-1", action="nothing", direction="install")
    for place in range(blocked):
        made.add(
            Planned, workspace_id=f"ws-b{place}", application_id="wsa-1", action="blocked", reason="conflict"
        )
    made.add(Finished, target="*", ending="complete", elapsed=1, calls=0, throttled=0, **NONE)
    report = Report.from_events(made.events)
    whole = "Complete: all planned changes applied"
    said = f"Complete, but {blocked} cannot be (conflict): all other changes applied" if blocked else whole

    assert report.to_text().splitlines()[1] == said
    assert f'class="headline {look}"' in report.to_html()


def test_every_form_for_people_shows_the_ids_of_the_runs() -> None:
    """They are what a single run is asked for by; also where there is only one."""
    for killed in (True, False):
        report = Report.from_events(rolled_out(10, killed=killed))
        for text in (report.to_text(), report.to_html()):
            assert all(run.run in text for run in report.runs)


def test_text_without_a_width_cuts_nothing() -> None:
    """In a file or a pipe a line may be as long as it is."""
    made = Script("r1")
    made.started(1, 1)
    message = "all of it, " * 20 + "to the end"
    made.add(Skipped, workspace_id="ws-1", application_id="wsa-1", reason="drained", message=message)
    report = Report.from_events(made.events)

    assert report.to_text().count(message) == 2
    assert "…" not in report.to_text()
    assert "…" in report.to_text(width=100)


def test_a_change_is_what_was_to_change() -> None:
    """Associations that are as they should be, or cannot be, are counted beside the changes, and so are their WorkSpaces."""
    made = Script("r1")
    made.started(2, 2)
    for place, name in enumerate(("ws-1", "ws-2")):
        for application, action in (("wsa-1", "install"), ("wsa-2", "nothing"), ("wsa-3", "blocked")):
            made.add(
                Planned, workspace_id=name, application_id=application, action=action, direction="install"
            )
        if place:
            made.add(Succeeded, workspace_id=name, application_id="wsa-1", direction="install")
    text = Report.from_events(made.events).to_text()
    rows = [line.split()[:3] for line in text.splitlines()]

    assert "2 WorkSpaces · 2 changes · 2 unchanged · 2 blocked · " in text
    assert ["Unchanged", "2", "2"] in rows
    assert ["Succeeded", "1", "1"] in rows


def test_a_drained_rollout_says_so_once() -> None:
    """The question is on record once, and the number that was not begun."""
    made = Script("r1")
    made.started(1, 1)
    made.add(Skipped, workspace_id="ws-1", application_id="wsa-1", reason="drained", message="asked")
    made.add(Finished, target="*", ending="drained", elapsed=1, calls=0, throttled=0, message="asked", **NONE)

    headline = Report.from_events(made.events).to_text().splitlines()[1]
    assert headline == "Drained (asked): 1 not started"


def test_an_empty_journal_has_every_form() -> None:
    """Nothing happened yet, and every form says so."""
    report = Report.from_events([])

    assert "no events yet" in report.to_text()
    assert read_csv(report.to_csv()) == []
    assert ET.fromstring(report.to_junit()).get("tests") == "0"
    assert json.loads(report.to_json())["total"] == 0
    assert "no events yet" in report.to_html()


@pytest.mark.parametrize("text", HOSTILE)
def test_one_line_is_one_harmless_line(text: str) -> None:
    """No line break, no control or format character; the limit holds."""
    line = one_line(text, 50)

    assert not UNSEEN.search(line)
    assert "\n" not in line
    assert len(line) <= 50
    assert one_line(line) == line


def test_fitting_counts_columns() -> None:
    """A wide character takes two columns, a combining one none."""
    assert fitted("名前名前", 5) == "名前…"
    assert columns_of("e\u0301") == 1
    assert fitted("abc", 3) == "abc"


@pytest.mark.parametrize(
    "seconds,words",
    [
        (None, ""),
        (0.0, "0 s"),
        (0.04, "0.0 s"),
        (42, "42 s"),
        (185, "3 min 05 s"),
        (7620, "2 h 07 min"),
        (273600, "3 d 04 h"),
    ],
)
def test_lengths_of_time(seconds: float | None, words: str) -> None:
    """The two largest units are told."""
    assert length(seconds) == words
