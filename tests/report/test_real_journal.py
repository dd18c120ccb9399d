"""The report of journals that real applies wrote, against the simulator."""

from pathlib import Path
from xml.etree import ElementTree as ET

from tests.report.reading import read_csv, read_html
from tests.rollout.site import OFFICE, VISIO, last_words, manifest, site
from workspaces_apps.rollout import Report


async def test_the_report_agrees_with_the_apply(tmp_path: Path) -> None:
    """Counts, last words and calls are those of the apply; every form holds every change."""
    path = tmp_path / "journal"
    async with site(workspaces=24, seed=11) as here:
        plan = await here.rollout.plan(manifest([OFFICE, VISIO]), journal=path)
        result, events = await here.carry_out(plan, path)
    report = Report.from_journal(path)

    words = last_words(events)
    found = {
        (change.workspace_id, change.application_id): change.outcome
        for change in report.changes
        if change.outcome in ("succeeded", "failed", "skipped")
    }
    assert found == {key: word.partition(":")[0] for key, word in words.items()}
    assert all(change.state for change in report.changes)
    assert report.counts["blocked"] == plan.counts.get("blocked", 0)
    assert (report.calls, report.throttled) == (result.calls, result.throttled)
    assert (report.ending, report.unfinished) == (result.ending, ())
    assert len(read_csv(report.to_csv())) == report.total
    assert len(ET.fromstring(report.to_junit()).findall(".//testcase")) == report.total
    assert len(read_html(report.to_html()).all("svg")) > 3


async def test_a_second_apply_is_a_second_run(tmp_path: Path) -> None:
    """What the first one did stays done, and the report names both."""
    path = tmp_path / "journal"
    async with site() as here:
        here.sim.fleet.add_workspaces(3)
        for _ in range(2):
            plan = await here.rollout.plan(manifest(), journal=path)
            await here.carry_out(plan, path)
    report = Report.from_journal(path)

    assert [run.ending for run in report.runs] == ["complete", "complete"]
    assert (report.counts["succeeded"], report.total) == (3, 3)
