"""Projections: folds of one event stream, against naive ones, against each other, and against the simulator."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hypothesis import example, given
from hypothesis import strategies as st

from tests.rollout.report.strategies import JOURNALS, OF_KIND
from tests.rollout.site import OFFICE, VISIO, last_words, manifest, site
from workspaces_apps._reconcile.decisions import NEVER_STARTED
from workspaces_apps.cli._progress import Board
from workspaces_apps.rollout import (
    Deployed,
    Event,
    Failed,
    Finished,
    Intent,
    Noticed,
    Plan,
    Planned,
    Policy,
    Report,
    Skipped,
    Staged,
    Succeeded,
    WaveBegan,
    Withdrawn,
)
from workspaces_apps.rollout._log.events import AboutWorkspace
from workspaces_apps.rollout._log.projections import Key, RunHistory, RunSummary
from workspaces_apps.rollout._plan.plan import Estimate
from workspaces_apps.simulator import Throttle

BEGAN: Final = datetime(2026, 3, 2, 8, tzinfo=UTC)

EMPTY: Final = Plan(
    name="empty",
    created=BEGAN,
    policy=Policy(),
    targets=(),
    workspaces=(),
    estimate=Estimate(calls=0, seconds=0.0, rate=2.0, rate_is_learned=False, deployment_seconds=900.0),
)


KEY: Final = Key("default", "ws-1", "wsa-1")


def about(kind: type[Event], **members: object) -> Event:
    """An event about one application on one WorkSpace."""
    key = {"target": KEY.target, "workspace_id": KEY.workspace_id, "application_id": KEY.application_id}
    return kind.model_validate({"at": BEGAN, "run": "r1", **key, **members})


def journals_of(*kinds: str) -> st.SearchStrategy[list[Event]]:
    """Journals of a few kinds of events, of one run, about one application and WorkSpace where they are about any."""

    def narrowed(event: Event) -> Event:
        names = {"run": "r1", "workspace_id": KEY.workspace_id, "application_id": KEY.application_id}
        known = {name: value for name, value in names.items() if getattr(event, name, None) is not None}
        return event.model_copy(update={**known, "target": KEY.target})

    return st.lists(st.one_of(*(OF_KIND[kind] for kind in kinds)).map(narrowed), max_size=40)


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
    found = Counter(summary.change(*change).outcome for change in changes)

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
def test_history_summary_display_and_report_agree(events: list[Event]) -> None:
    """For any events in any order: outcomes, reasons, retries, waves and requests are the same numbers everywhere."""
    summary, report, history = summary_of(events), Report.from_events(events), RunHistory(events)
    board = Board(EMPTY, lambda: BEGAN)
    for event in events:
        board.apply(event)
    traffic = summary.traffic()

    assert {outcome: number for outcome, number in report.counts.items() if number} == +summary.counts
    assert (report.calls, report.throttled) == (traffic[:2] if traffic is not None else (None, None))
    told = {(one.outcome, one.reason): one.changes for one in report.reasons if one.changes}
    assert told == dict(+summary.reasons)
    assert {one.reason: one.retried for one in report.reasons if one.retried} == summary.retried
    assert board.summary.counts == summary.counts
    assert (board.summary.reasons, board.summary.retried) == (summary.reasons, summary.retried)
    assert board.done == -summary.unfinished
    for change in report.changes:
        since_in_sync = history.retries(Key(change.target, change.workspace_id, change.application_id or ""))
        assert 0 <= since_in_sync <= change.retries


@given(journals_of("planned", "intent", "withdrawn", "deployed", "failed", "skipped"))
def test_until_something_is_in_sync_the_report_counts_the_retries_of_the_history(events: list[Event]) -> None:
    """A later run may still retry as often as the report says, without what the service refused."""
    history = RunHistory(events)

    for change in Report.from_events(events).changes:
        key = Key(change.target, change.workspace_id, change.application_id or "")
        assert change.retries == history.retries(key)


def test_a_retry_that_the_service_refused_counts_nowhere() -> None:
    """It is an attempt, and leaves the retries that the manifest allows as they were."""
    deploy: dict[str, object] = {
        "operation": "DeployWorkspaceApplications",
        "direction": "install",
        "retry": True,
    }
    refused = about(Failed, reason="OperationInProgressException", final=False, refused=True)
    events = [about(Intent, **deploy), about(Intent, **deploy), refused]
    (change,) = Report.from_events(events).changes

    assert (change.attempts, change.retries, RunHistory(events).retries(KEY)) == (2, 1, 1)


@example(
    [
        about(WaveBegan, wave=1, waves=1, workspaces=1),
        about(Skipped, reason="not-started"),
        about(Skipped, reason="connected"),
    ]
)
@given(journals_of("planned", "wave", "succeeded", "failed", "skipped", "finished"))
def test_a_wave_counts_the_changes_that_end_in_it(events: list[Event]) -> None:
    """Each change as often as it gets a last word while the wave of its run goes on, counted here move by move."""
    summary, going_on = RunSummary(), dict[str, Counter[str]]()
    waves: list[Counter[str]] = []
    for event in events:
        summary.apply(event)
        if isinstance(event, WaveBegan):
            going_on[event.run] = Counter()
            waves.append(going_on[event.run])
        elif isinstance(event, Finished):
            going_on.pop(event.run, None)
        elif not (isinstance(event, Skipped) and event.reason in NEVER_STARTED):
            ended = isinstance(event, Succeeded | Skipped) or (isinstance(event, Failed) and event.final)
            for move in summary.moves if ended else ():
                going_on.get(event.run, Counter[str]())[str(move.after)] += 1

    told = [(one.succeeded, one.failed, one.skipped) for one in Report.from_events(events).waves]
    assert told == [(one["succeeded"], one["failed"], one["skipped"]) for one in waves]


def test_a_failure_of_a_workspace_as_a_whole_counts_for_each_of_its_changes() -> None:
    """There are as many that are retried, and that failed for good, on the screen as in the report."""
    install: dict[str, object] = {"action": "install", "direction": "install"}
    planned = [about(Planned, application_id=one, **install) for one in ("wsa-1", "wsa-2")]
    whole: dict[str, object] = {"application_id": None, "reason": "Code"}
    events = [*planned, about(Failed, **whole, final=False), about(Failed, **whole)]
    summary, report = summary_of(events), Report.from_events(events)

    assert (summary.retried, summary.counts["failed"]) == (Counter(Code=2), 2)
    assert [(one.reason, one.changes, one.retried) for one in report.failures] == [("Code", 2, 2)]


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
    # The order of WorkSpaces is that of their first events.
    told, expected = Report.from_events(more).changes, Report.from_events(events).changes
    assert not events or sorted(told, key=repr) == sorted(expected, key=repr)


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
    assert (words["failed"], board.summary.retried.total() > 0, board.done) == (2, True, board.total)
    taken = Counter(request.operation for request in sent if request.status == 200)
    assert taken["AssociateWorkspaceApplication"] == sum(isinstance(event, Staged) for event in events)
    assert taken["DeployWorkspaceApplications"] == sum(isinstance(event, Deployed) for event in events)
    assert {type(event) for event in events} >= {Succeeded, Failed, Intent}
