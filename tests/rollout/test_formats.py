"""Journals that were recorded: of format 1, of format 2, and of 1 continued as 2."""

import json
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.rollout.site import last_words
from workspaces_apps.rollout import (
    Failed,
    Finished,
    JournalError,
    Report,
    Started,
    Succeeded,
    Withdrawn,
    open_journal,
    read_journal,
)
from workspaces_apps.rollout._journal.lines import RENAMED_IN_2, from_line, to_line
from workspaces_apps.rollout._log.projections import Key, RunHistory, RunSummary

JOURNALS = Path(__file__).parent / "journals"


def recorded(name: str) -> Path:
    """A journal of that name, which its release wrote."""
    return JOURNALS / f"{name}.journal"


@pytest.mark.parametrize(
    "name,words",
    [
        (
            "format-1-stopped",
            {
                "succeeded": 2,
                "skipped: left-deploying": 2,
                "skipped: left-staged": 2,
                "skipped: not-started": 2,
            },
        ),
        ("format-1-resumed", {"succeeded": 4}),
        ("format-1-killed", {"succeeded": 1}),
        ("format-2-stopped", {"succeeded": 2, "skipped: left-deploying": 4, "skipped: not-started": 2}),
        ("format-1-continued-as-2", {"succeeded": 2}),
    ],
)
def test_a_recorded_journal_is_read_in_the_words_of_today(name: str, words: dict[str, int]) -> None:
    """Its last words, and the counts of the summary and of the report, which agree with them."""
    events = read_journal(recorded(name))
    summary, report = RunSummary(), Report.from_events(events)
    for event in events:
        summary.apply(event)

    found = Counter(last_words(events).values())
    assert found == words
    assert {outcome: number for outcome, number in report.counts.items() if number} == +summary.counts
    for outcome in ("succeeded", "failed", "skipped"):
        assert report.counts[outcome] == sum(
            number for word, number in found.items() if word.startswith(outcome)
        )


def test_the_words_on_disk_are_those_of_its_time() -> None:
    """The record of that time holds every renamed word; the one written since holds none."""
    old = b"".join(path.read_bytes() for path in JOURNALS.glob("format-1-[rsk]*"))
    new = recorded("format-2-stopped").read_bytes()
    for names in RENAMED_IN_2.values():
        for before, after in names.items():
            assert f'"{before}"'.encode() in old
            assert f'"{before}"'.encode() not in new
            assert f'"{after}"'.encode() in new


def test_each_line_of_format_2_is_written_as_it_was_read() -> None:
    """Reading and writing loses nothing and adds nothing, but for keys that the recording is older than."""
    path = recorded("format-2-stopped")

    for event, line in zip(read_journal(path), path.read_bytes().splitlines(), strict=True):
        before, after = json.loads(line), json.loads(to_line(event))
        newer = {key: after.pop(key) for key in after.keys() - before.keys()}
        assert after == before
        for key, value in newer.items():
            default: object = type(event).model_fields[key].default
            assert value == json.loads(json.dumps(default))


def test_each_event_of_format_1_survives_being_written_in_format_2() -> None:
    """Events read from a journal of today are the same once they have been written anew."""
    for path in JOURNALS.glob("format-1-*"):
        events = read_journal(path)
        assert tuple(from_line(to_line(event)) for event in events) == tuple(events)


def test_the_ends_of_both_formats_have_the_same_counts() -> None:
    """`not_begun` of format 1 is `not_started`."""
    ends = [
        event
        for name in ("format-1-stopped", "format-2-stopped")
        for event in read_journal(recorded(name))
        if isinstance(event, Finished)
    ]

    assert [(end.ending, end.not_started) for end in ends] == [("stopped", 2), ("stopped", 2)]


def test_what_was_tried_before_a_crash_counts_in_both_formats() -> None:
    """Two retries were announced before the process was killed; the run that resumed brought it to its end."""
    killed = RunHistory(read_journal(recorded("format-1-killed")))
    ((key, direction),) = killed.unsettled.items()

    assert (killed.retries(key), killed.failed_direction(key), direction) == (2, "install", "install")
    continued = RunHistory(read_journal(recorded("format-1-continued-as-2")))
    assert (continued.retries(key), continued.failed_direction(key), continued.unsettled) == (0, None, {})


def test_a_refusal_of_format_1_keeps_its_meaning() -> None:
    """A retry that the service refused was none; without the refusal it would count."""
    events = read_journal(recorded("format-1-resumed"))
    place = next(number for number, event in enumerate(events) if isinstance(event, Failed) and event.refused)
    refused = events[place]
    assert isinstance(refused, Failed)
    key = Key(refused.target, refused.workspace_id, refused.application_id or "")

    assert RunHistory(events[:place]).retries(key) == RunHistory(events[: place + 1]).retries(key) + 1


def test_what_is_withdrawn_does_not_count() -> None:
    """The recorded journal has a retry that was taken back."""
    events = read_journal(recorded("format-2-stopped"))
    (withdrawn,) = [event for event in events if isinstance(event, Withdrawn)]
    key = Key(withdrawn.target, withdrawn.workspace_id, withdrawn.application_id)

    assert withdrawn.retry
    assert RunHistory(events).retries(key) == 0
    assert RunHistory(event for event in events if event is not withdrawn).retries(key) == 1


def test_a_success_tells_when_the_service_changed_it() -> None:
    """From format 2 on; None in format 1."""
    for name, known in (("format-1-stopped", False), ("format-2-stopped", True)):
        done = [event for event in read_journal(recorded(name)) if isinstance(event, Succeeded)]
        assert [event.updated_at is not None for event in done] == [known] * len(done)


@pytest.mark.parametrize("kind", ["progress", "finished", "withdrawn"])
def test_an_unknown_key_is_refused_from_format_2_on(kind: str, tmp_path: Path) -> None:
    """Where it would count; in a run of format 1 it is skipped as it always was, on the same journal too."""
    numbers = dict.fromkeys(("calls", "throttled", "succeeded", "failed", "skipped"), 0)
    kinds: dict[str, dict[str, object]] = {
        "progress": {**numbers, "in_flight": 0, "waiting": 0},
        "finished": {**numbers, "ending": "complete", "elapsed": 1.0},
        "withdrawn": {
            "workspace_id": "ws-1",
            "application_id": "wsa-1",
            "operation": "DeployWorkspaceApplications",
            "direction": "install",
            "reason": "paused",
        },
    }
    line = {"at": "2026-03-02T08:00:00Z", "run": "r", "kind": kind, **kinds[kind], "undone": 3}
    written = json.dumps(line).encode()

    assert from_line(written, written_in=1).kind == kind
    with pytest.raises(ValidationError):
        from_line(written)
    old = recorded("format-1-stopped").read_bytes()
    (tmp_path / "1").write_bytes(old + written + b"\n")
    (tmp_path / "2").write_bytes(recorded("format-2-stopped").read_bytes() + written + b"\n")
    assert read_journal(tmp_path / "1")[-1].kind == kind
    with pytest.raises(JournalError, match="line 72"):
        read_journal(tmp_path / "2")


async def test_a_later_format_is_refused_wherever_it_begins(tmp_path: Path) -> None:
    """Also as a later run of a journal of today, and before its lines are taken for torn ones."""
    events = read_journal(recorded("format-2-stopped"))
    later = events[0].model_copy(update={"format": 3, "run": "later"})
    assert isinstance(later, Started)
    path = tmp_path / "journal"
    path.write_bytes(recorded("format-2-stopped").read_bytes() + to_line(later) + b'{"kind":"new"}\n')

    with pytest.raises(JournalError, match="of format 3, which a newer release wrote; this one reads 2"):
        read_journal(path)
    with pytest.raises(JournalError, match="newer release"):
        await open_journal(path)
