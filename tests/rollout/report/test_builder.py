"""The report of a journal's events."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from tests.rollout.report.journals import BEGIN, Script, rolled_out, write
from tests.rollout.report.strategies import JOURNALS
from workspaces_apps.rollout._errors import JournalError
from workspaces_apps.rollout._log.events import (
    Changed,
    Deployed,
    Event,
    Failed,
    Finished,
    Intent,
    Planned,
    Progress,
    Skipped,
    Succeeded,
    WaveBegan,
)
from workspaces_apps.rollout.report import OUTCOMES, Change, Report

HERE: dict[str, Any] = {"workspace_id": "ws-1", "application_id": "wsa-1"}
END: dict[str, Any] = {"elapsed": 1, "succeeded": 0, "failed": 0, "skipped": 0}


def script(run: str = "r1", at: float = 0.0) -> Script:
    """A run that plans one installation."""
    made = Script(run, at)
    made.started(1, 1)
    made.add(Planned, **HERE, action="install", direction="install", application="Office", user_name="ann")
    return made


def deploy(made: Script, **more: Any) -> None:
    """Announce and send a deployment."""
    made.add(Intent, **HERE, operation="DeployWorkspaceApplications", direction="install", **more)
    made.add(Deployed, workspace_id="ws-1", applications=("wsa-1",))


def only(events: Sequence[Event]) -> Change:
    """The only change of a report."""
    (change,) = Report.from_events(events).changes
    return change


def test_what_is_planned_waits_until_it_is_begun() -> None:
    """A change goes from waiting over in progress to its last word."""
    made = script()
    outcomes = [only(made.events).outcome]
    deploy(made)
    outcomes.append(only(made.events).outcome)
    made.add(Succeeded, **HERE, direction="install", elapsed=12.5)

    assert [*outcomes, only(made.events).outcome] == ["waiting", "in-progress", "succeeded"]
    assert only(made.events).seconds == 12.5
    assert only(made.events).ended == BEGIN


def test_a_failure_that_is_tried_again_is_a_retried() -> None:
    """It counts under its reason, and not as a failed change once another try went well."""
    made = script()
    deploy(made)
    made.add(Failed, **HERE, reason="DeploymentError.X", message="no", final=False)
    assert only(made.events).outcome == "in-progress"
    deploy(made, force=True, retry=True)
    made.add(Succeeded, **HERE, direction="install")

    (reason,) = Report.from_events(made.events).reasons
    assert (reason.outcome, reason.reason, reason.changes, reason.retried) == (
        "failed",
        "DeploymentError.X",
        0,
        1,
    )
    change = only(made.events)
    assert (change.outcome, change.reason, change.attempts, change.retries) == ("succeeded", None, 2, 1)


def test_the_last_run_has_the_last_word() -> None:
    """A change that failed in one run and went well in the next has succeeded; its failure stays in the timeline."""
    first, second = script(), script("r2", 3600)
    first.add(Failed, **HERE, reason="DeploymentError.X")
    second.add(Succeeded, **HERE, direction="install")
    report = Report.from_events([*first.events, *second.events])

    assert report.counts["succeeded"] == report.total == 1
    assert [moment.kind for moment in report.workspaces[0].timeline] == [
        "planned",
        "failed",
        "planned",
        "succeeded",
    ]


def test_a_success_of_an_earlier_run_stays_one() -> None:
    """A later plan that finds nothing to do does not turn it into unchanged."""
    first, second = script(), Script("r2", 60)
    first.add(Succeeded, **HERE, direction="install")
    second.started(1, 0)
    second.add(Planned, **HERE, action="nothing", direction="install")

    assert only([*first.events, *second.events]).outcome == "succeeded"
    assert only(second.events).outcome == "unchanged"


@pytest.mark.parametrize("action", ["nothing", "install"])
def test_the_state_is_never_older_than_the_outcome(action: str) -> None:
    """Begun by a run that was stopped, and found done by the next or by its plan: the state is that of its end."""
    first, second = script(), Script("r2", 60)
    first.add(Changed, **HERE, state="PENDING_INSTALL")
    first.add(Skipped, **HERE, reason="left-deploying")
    second.started(1, 0)
    second.add(Planned, **HERE, action=action, direction="install")
    second.add(Succeeded, **HERE, direction="install")

    found = only([*first.events, *second.events])
    assert (found.outcome, found.state) == ("succeeded", "COMPLETED")


@pytest.mark.parametrize("action, state", [("nothing", "REMOVED"), ("blocked", "ERROR"), ("retry", "ERROR")])
def test_what_is_not_changed_has_the_state_of_the_plan(action: str, state: str) -> None:
    """Nobody looks at it again, so the plan's look is the last."""
    made = Script("r1")
    made.started(1, 0)
    made.add(Planned, **HERE, action=action, direction="uninstall", state=state, reason="x")

    assert only(made.events).state == state


def test_a_journal_of_an_earlier_release_tells_the_state_of_what_was_in_sync() -> None:
    """Its plans named no state; what is in sync is in the state that is wanted, and nothing is made up."""
    made = Script("r1")
    made.started(1, 0)
    made.add(Planned, **HERE, action="nothing", direction="install")
    made.add(Planned, workspace_id="ws-1", application_id="wsa-2", action="blocked", reason="disk")

    states = [change.state for change in Report.from_events(made.events).changes]
    assert states == ["COMPLETED", None]


def test_a_word_on_the_workspace_is_one_on_all_that_is_open() -> None:
    """Skipped without an application means every change without a last word, and no other."""
    made = script()
    made.add(Planned, workspace_id="ws-1", application_id="wsa-2", action="install", direction="install")
    made.add(Succeeded, **HERE, direction="install")
    made.add(Skipped, workspace_id="ws-1", reason="connected")

    outcomes = {change.application_id: change.outcome for change in Report.from_events(made.events).changes}
    assert outcomes == {"wsa-1": "succeeded", "wsa-2": "skipped"}


def test_a_resumed_run_finds_what_goes_on() -> None:
    """A state in flight that no intent of this run announced is in progress, not waiting."""
    made = script()
    made.add(Changed, **HERE, state="INSTALLING")

    assert only(made.events).outcome == "in-progress"


def test_a_run_without_an_end_was_killed_if_another_began() -> None:
    """Of the last run nobody can tell whether it goes on."""
    report = Report.from_events([*script().events, *script("r2", 60).events])

    assert [(run.ending, run.interrupted) for run in report.runs] == [(None, True), (None, False)]
    assert report.ending is None


def test_calls_add_up_over_runs() -> None:
    """The last figures of each run count: those of its end, or of its last minute if it was killed."""
    first, second = script(), script("r2", 600)
    for calls in (10, 40):
        first.at += 60
        first.add(
            Progress,
            target="*",
            calls=calls,
            throttled=1,
            in_flight=0,
            waiting=0,
            succeeded=0,
            failed=0,
            skipped=0,
        )
    second.at += 60
    second.add(Finished, target="*", ending="complete", calls=5, throttled=0, **END)
    report = Report.from_events([*first.events, *second.events])

    assert (report.calls, report.throttled) == (45, 1)
    assert [run.calls for run in report.runs] == [40, 5]
    assert (report.traffic[-1].calls, report.seconds) == (45, 180)


def test_waves_count_what_ended_in_them() -> None:
    """A last word belongs to the wave that goes on; a wave ends when the next one begins."""
    made = script()
    made.add(WaveBegan, target="*", wave=1, waves=2, workspaces=1)
    deploy(made)
    made.at = 100
    made.add(Succeeded, **HERE, direction="install")
    made.add(WaveBegan, target="*", wave=2, waves=2, workspaces=0)
    waves = Report.from_events(made.events).waves

    assert [(wave.wave, wave.succeeded, wave.seconds) for wave in waves] == [(1, 1, 100), (2, 0, 0)]
    assert (waves[0].ended is None, waves[1].ended is None) == (False, True)
    assert only(made.events).wave == 1


def test_what_was_never_begun_is_in_no_wave() -> None:
    """Stopped in a wave of one, the changes of all later waves are not that wave's."""
    made = script()
    made.add(WaveBegan, target="*", wave=1, waves=2, workspaces=1)
    made.add(Skipped, **HERE, reason="left-deploying")
    made.add(Skipped, workspace_id="ws-2", application_id="wsa-1", reason="not-started")
    report = Report.from_events(made.events)

    assert (report.waves[0].skipped, report.counts["skipped"]) == (1, 2)


def test_the_slowest_come_first() -> None:
    """Changes that still go on count with the time they took so far."""
    made = Script("r1")
    for place, elapsed in enumerate((10.0, 30.0)):
        made.add(
            Succeeded,
            workspace_id=f"ws-{place}",
            application_id="wsa-1",
            direction="install",
            elapsed=elapsed,
        )
    made.add(Deployed, workspace_id="ws-9", applications=("wsa-1",))
    made.at = 20
    made.add(
        Progress, target="*", calls=1, throttled=0, in_flight=1, waiting=0, succeeded=2, failed=0, skipped=0
    )

    slowest = Report.from_events(made.events).slowest(3)
    assert [(one.workspace_id, one.seconds) for one in slowest] == [("ws-1", 30), ("ws-9", 20), ("ws-0", 10)]


def test_one_run_alone() -> None:
    """A report on one run knows nothing of the others; one that is not there is refused."""
    events = [*script().events, *script("r2", 60).events]

    assert [run.run for run in Report.from_events(events, run="r1").runs] == ["r1"]
    assert [run.run for run in Report.from_events(events, run="last").runs] == ["r2"]
    with pytest.raises(JournalError, match="no run r3"):
        Report.from_events(events, run="r3")


def test_a_run_is_named_by_its_number_too() -> None:
    """Alone in a report it keeps the number that it has in the journal; what is no run is told with those there are."""
    events = [*script("1").events, *script("r2", 60).events, *script("r3", 120).events]

    (second,) = Report.from_events(events, run="2").runs
    assert (second.run, second.number) == ("r2", 2)
    assert [run.number for run in Report.from_events(events).runs] == [1, 2, 3]
    for strange in ("0", "4", "", "\u00b2", "9" * 5000):
        with pytest.raises(JournalError, match=r"it has 1 \(1\), 2 \(r2\), 3 \(r3\)"):
            Report.from_events(events, run=strange)
    with pytest.raises(JournalError, match="holds no events"):
        Report.from_events([], run="last")


def test_an_id_goes_before_a_number() -> None:
    """An id may consist of digits."""
    events = [*script("r1").events, *script("1", 60).events]

    assert [run.number for run in Report.from_events(events, run="1").runs] == [2]


def test_of_many_runs_an_error_names_the_last() -> None:
    """There may be one every night."""
    events = [event for number in range(40) for event in script(f"r{number}", 60 * number).events]

    with pytest.raises(JournalError, match=r"no run x: it has 30 earlier ones, 31 \(r30\), .*, 40 \(r39\)$"):
        Report.from_events(events, run="x")


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    """A journal that is being written to gives the report of its whole lines."""
    events = rolled_out(4, killed=False)
    torn = write(tmp_path / "torn", events, b'{"kind":"succeeded","at":"2026')

    assert Report.from_journal(torn) == Report.from_events(events)


def test_every_length_of_a_journal_gives_a_report(tmp_path: Path) -> None:
    """Read at any moment of its growth, it is a report whose totals add up, and the plan never shrinks."""
    path = write(tmp_path / "journal", rolled_out(3, killed=False))
    content = path.read_bytes()
    totals: list[int] = []
    for length in range(0, len(content), 997):
        path.write_bytes(content[:length])
        report = Report.from_journal(path)
        assert sum(report.counts.values()) == report.total
        totals.append(report.total)

    assert totals == sorted(totals)


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    """A line in the middle that is no event is an error, and a missing file too."""
    path = tmp_path / "journal"
    path.write_bytes(b"hello\n")

    with pytest.raises(JournalError, match="line 1"):
        Report.from_journal(path)
    with pytest.raises(JournalError, match="there is no journal"):
        Report.from_journal(tmp_path / "none")


@given(JOURNALS)
def test_totals_add_up(events: list[Event]) -> None:
    """Whatever the events say and in whatever order, every change is counted once, in every place it is counted."""
    report = Report.from_events(events)

    outcomes = Counter(change.outcome for change in report.changes)
    assert report.total == len(report.changes) == sum(report.counts.values())
    assert list(report.counts) == list(OUTCOMES)
    assert dict(outcomes) == {one: number for one, number in report.counts.items() if number}
    assert sum(report.workspace_counts.values()) == len(report.workspaces)
    for outcome in OUTCOMES:
        assert sum(one.counts[outcome] for one in report.applications) == report.counts[outcome]
    for outcome in ("failed", "skipped", "blocked"):
        assert sum(one.changes for one in report.reasons if one.outcome == outcome) == report.counts[outcome]
    assert sum(one.retried for one in report.reasons) == sum(one.retried for one in report.changes)
    assert len(report.unfinished) == report.counts["in-progress"] + report.counts["waiting"]
    assert (report.calls or 0) == sum(run.calls or 0 for run in report.runs)


@given(JOURNALS)
def test_series_end_where_the_report_does(events: list[Event]) -> None:
    """Time and counters never go back, no count is negative, and the last point is how things stand."""
    report = Report.from_events(events)

    assert report.progress[-1].counts == report.counts
    assert report.progress[-1].seconds == report.seconds
    assert all(before.seconds < after.seconds for before, after in pairwise(report.progress))
    assert all(number >= 0 for point in report.progress for number in point.counts.values())
    for before, after in pairwise(report.traffic):
        assert (before.seconds, before.calls) <= (after.seconds, after.calls)
        assert before.throttled <= after.throttled <= after.calls


def test_a_rolled_out_fleet_reads_as_it_was_made() -> None:
    """A roll-out that was killed and resumed: one row for each WorkSpace and application, two runs, six waves."""
    report = Report.from_events(rolled_out(60))

    assert (len(report.workspaces), report.total, len(report.runs), len(report.waves)) == (60, 180, 2, 6)
    assert report.runs[0].interrupted
    assert report.ending == "incomplete"
    assert not report.unfinished
