"""The report of journals that real applies wrote, against the simulator."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from tests.rollout.report.reading import read_csv, read_html
from tests.rollout.site import OFFICE, VISIO, last_words, manifest, site
from workspaces_apps.rollout import Report
from workspaces_apps.rollout.report._model import UnitedTime


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
    """The results of the first stay, and the report names both."""
    path = tmp_path / "journal"
    async with site() as here:
        here.sim.fleet.add_workspaces(3)
        for _ in range(2):
            plan = await here.rollout.plan(manifest(), journal=path)
            await here.carry_out(plan, path)
    report = Report.from_journal(path)

    assert [run.ending for run in report.runs] == ["complete", "complete"]
    assert (report.counts["succeeded"], report.total) == (3, 3)


async def test_several_journals_are_one_report(tmp_path: Path) -> None:
    """Applies side by side: what each did adds up, and the time is that in which any of them went on."""
    paths = [tmp_path / "one.journal", tmp_path / "two.journal"]
    async with site(seed=5) as here:
        halves = here.sim.fleet.add_workspaces(3), here.sim.fleet.add_workspaces(2)
        plans = [await here.rollout.plan(manifest(select={"workspace_ids": list(half)})) for half in halves]
        both = (here.carry_out(plan, path) for plan, path in zip(plans, paths, strict=True))
        ends = [result for result, _ in await asyncio.gather(*both)]
    merged, alone = await Report.load(*paths), [Report.from_journal(path) for path in paths]

    assert (merged.ending, merged.counts["succeeded"], merged.total) == ("complete", 5, 5)
    assert merged.calls == sum(end.calls for end in ends)
    assert max(one.seconds for one in alone) <= merged.seconds < sum(one.seconds for one in alone)
    assert [run.interrupted for run in merged.runs] == [False, False]
    assert (await Report.load(paths[0])).seconds == alone[0].seconds


async def test_journals_of_several_rollouts_are_named_by_all_of_them(tmp_path: Path) -> None:
    """Nobody takes the changes of one for those of another."""
    paths = [tmp_path / f"{name}.journal" for name in ("office", "tools")]
    async with site(1) as here:
        for path in paths:
            wanted = manifest().model_copy(update={"name": path.stem})
            await here.carry_out(await here.rollout.plan(wanted, journal=path), path)

    assert (await Report.load(*paths)).name == "office, tools"
    assert (await Report.load(paths[1])).name == "tools"


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6))
def test_time_side_by_side_is_the_union_of_the_spans(spans: list[tuple[int, int]]) -> None:
    """Counted second by second; never the sum of what overlaps, nor less than the longest."""
    begin = datetime(2026, 3, 2, tzinfo=UTC)
    moments = [(begin + timedelta(seconds=min(span)), begin + timedelta(seconds=max(span))) for span in spans]
    time = UnitedTime(moments)
    naive = {second for span in spans for second in range(min(span), max(span))}

    for second in range(51):
        assert time.note("r", begin + timedelta(seconds=second)) == len(
            [one for one in naive if one < second]
        )
    assert time.seconds == len(naive)
