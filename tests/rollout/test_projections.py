"""Projections: folds of one event stream, against naive ones, against each other, and against the simulator."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.rollout.report.strategies import JOURNALS
from tests.rollout.site import OFFICE, VISIO, last_words, manifest, site
from workspaces_apps.cli._progress import Board
from workspaces_apps.rollout import (
    Deployed,
    Event,
    Failed,
    Intent,
    Noticed,
    Report,
    Staged,
    Succeeded,
    Withdrawn,
)
from workspaces_apps.rollout._log.events import AboutWorkspace
from workspaces_apps.rollout._log.projections import Key, RunHistory, RunSummary
from workspaces_apps.simulator import Throttle


def summary_of(events: Sequence[Event]) -> RunSummary:
    """The summary of events."""
    summary = RunSummary()
    for event in events:
        summary.apply(event)
    return summary


@given(JOURNALS)
def test_the_counts_are_those_of_the_last_outcomes(events: list[Event]) -> None:
    """Counted again at the end from each change's outcome; no count is negative, and reasons add up."""
    summary = summary_of(events)
    changes = {
        ((event.target, event.workspace_id), application)
        for event in events
        if isinstance(event, AboutWorkspace)
        for application in _applications(event)
    }
    found = Counter(summary.outcome(*change) for change in changes)

    del found[None]
    assert +summary.counts == found
    assert min(summary.counts.values(), default=0) >= 0
    for outcome in ("failed", "skipped", "blocked"):
        assert found[outcome] == sum(
            number for (kind, _), number in summary.reasons.items() if kind == outcome
        )
    assert summary.unfinished == found["waiting"] + found["in-progress"]


def _applications(event: AboutWorkspace) -> list[str | None]:
    if isinstance(event, Deployed):
        return list(event.applications)
    if isinstance(event, Noticed):
        return []
    return [event.application_id, None]


@given(JOURNALS)
def test_the_report_counts_as_the_summary_does(events: list[Event]) -> None:
    """For any events in any order: outcomes, requests, and the reasons of what failed, was skipped or is blocked."""
    summary, report = summary_of(events), Report.from_events(events)
    traffic = summary.traffic()

    assert {outcome: number for outcome, number in report.counts.items() if number} == +summary.counts
    assert (report.calls, report.throttled) == (traffic[:2] if traffic is not None else (None, None))
    told = {(one.outcome, one.reason): one.changes for one in report.reasons if one.changes}
    assert told == dict(+summary.reasons)


@given(JOURNALS, st.data())
def test_an_intent_that_is_withdrawn_never_was(events: list[Event], data: st.DataObject) -> None:
    """Wherever it stands: directions, retries, outcomes and the report's changes are those without it."""
    place = data.draw(st.integers(0, len(events)))
    before = events[place - 1] if place else None
    intent = Intent.model_validate(
        {
            "at": before.at if before is not None else "2026-03-02T00:00:00Z",
            "run": before.run if before is not None else "r1",
            "target": data.draw(st.sampled_from(["default", "*"])),
            "workspace_id": data.draw(st.sampled_from(["ws-1", "ws-2"])),
            "application_id": data.draw(st.sampled_from(["wsa-1", "wsa-2"])),
            "operation": data.draw(
                st.sampled_from(["AssociateWorkspaceApplication", "DeployWorkspaceApplications"])
            ),
            "direction": data.draw(st.sampled_from(["install", "uninstall"])),
            "retry": data.draw(st.booleans()),
        }
    )
    members = intent.model_dump(exclude={"kind", "force"})
    withdrawn = Withdrawn.model_validate({**members, "reason": "paused"})
    more = [*events[:place], intent, withdrawn, *events[place:]]

    with_it, without = RunHistory(more), RunHistory(events)
    assert with_it.unsettled == without.unsettled
    for key in {*with_it.unsettled, Key(intent.target, intent.workspace_id, intent.application_id)}:
        assert with_it.retries(key) == without.retries(key)
        assert with_it.failed_direction(key) == without.failed_direction(key)
    one, other = summary_of(more), summary_of(events)
    assert (+one.counts, +one.reasons, one.waiting, one.deploying) == (
        +other.counts,
        +other.reasons,
        other.waiting,
        other.deploying,
    )
    if events:
        assert Report.from_events(more).changes == Report.from_events(events).changes


@given(JOURNALS, st.integers(0, 40))
def test_resuming_is_going_on(events: list[Event], cut: int) -> None:
    """The history of a journal's past, applied on, is the history of the whole."""
    resumed = RunHistory(events[:cut])
    for event in events[cut:]:
        resumed.apply(event)
    whole = RunHistory(events)

    assert resumed.unsettled == whole.unsettled
    for key in whole.unsettled:
        assert (resumed.retries(key), resumed.failed_direction(key)) == (
            whole.retries(key),
            whole.failed_direction(key),
        )


async def test_all_counts_agree_with_what_the_simulator_recorded(tmp_path: Path) -> None:
    """Failures, retries and throttles: the end, the live display, the report and the service tell the same numbers."""
    path = tmp_path / "journal"
    async with site(seed=3, throttle=Throttle()) as here:
        ids = here.sim.fleet.add_workspaces(9)
        here.sim.faults.add("deployment_error", workspace_id=ids[0], times=1)
        here.sim.faults.add("deployment_error", workspace_id=ids[1], times=5)
        plan = await here.rollout.plan(manifest([OFFICE, VISIO], failure_budget="100%"), journal=path)
        before = len(here.sim.requests)
        board = Board(plan, here.clock.now)
        result, events = await here.carry_out(plan, path)
        sent = list(here.sim.requests)[before:]
    for event in events:
        board.apply(event)
    report, summary = Report.from_journal(path), summary_of(events)
    words = Counter(word.partition(":")[0] for word in last_words(events).values())
    throttled = sum(request.status == 400 and request.error == "ThrottlingException" for request in sent)

    # A poll on its way when the last WorkSpace has ended is broken off, and has served nobody.
    assert 0 <= len(sent) - result.calls <= 1
    assert result.throttled == throttled
    assert (report.calls, report.throttled) == (result.calls, result.throttled)
    assert summary.traffic() == (result.calls, result.throttled, 0)
    assert result.throttled > 0
    for outcome in ("succeeded", "failed", "skipped"):
        numbers = {
            words[outcome],
            getattr(result, outcome),
            summary.counts[outcome],
            board.summary.counts[outcome],
            report.counts[outcome],
        }
        assert len(numbers) == 1, (outcome, numbers)
    assert (words["failed"], board.summary.retried > 0, board.done) == (2, True, board.total)
    taken = Counter(request.operation for request in sent if request.status == 200)
    assert taken["AssociateWorkspaceApplication"] == sum(isinstance(event, Staged) for event in events)
    assert taken["DeployWorkspaceApplications"] == sum(isinstance(event, Deployed) for event in events)
    assert {type(event) for event in events} >= {Succeeded, Failed, Intent}
