"""The journal: what is on disk when, who may write, and how it is read back."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces_apps.rollout import (
    Event,
    Failed,
    Intent,
    Journal,
    JournalBusyError,
    JournalError,
    Started,
    Succeeded,
)
from workspaces_apps.rollout.events import TEXT_LIMIT, to_line
from workspaces_apps.rollout.journal import JournalReader, read_journal

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
STARTED = Started(at=NOW, run="r", name="test", plan="0", workspaces=1, changes=1)
INTENT = Intent(
    at=NOW,
    run="r",
    workspace_id="ws-1",
    application_id="wsa-1",
    operation="DeployWorkspaceApplications",
    direction="install",
)

events = st.one_of(
    st.builds(
        Failed,
        at=st.just(NOW),
        run=st.text(max_size=5),
        workspace_id=st.text(max_size=5),
        reason=st.text(max_size=20),
        message=st.text(max_size=50),
    ),
    st.builds(
        Succeeded,
        at=st.just(NOW),
        run=st.just("r"),
        workspace_id=st.text(max_size=5),
        application_id=st.text(max_size=5),
        direction=st.sampled_from(["install", "uninstall"]),
        elapsed=st.none() | st.floats(0, 1e6),
    ),
    st.just(INTENT),
)


@given(st.lists(events, max_size=6), st.integers(0, 200))
def test_a_torn_last_line_is_left_out(written: list[Event], torn: int) -> None:
    """Cut anywhere in its last line, a journal gives every event before it, whatever text is in them."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        lines = [to_line(event) for event in [STARTED, *written, INTENT]]
        cut = min(torn, len(lines[-1]) - 1)
        path.write_bytes(b"".join(lines[:-1]) + lines[-1][:cut])

        assert list(read_journal(path)) == [STARTED, *written]
        with Journal(path) as journal:
            assert list(journal.past) == [STARTED, *written]
            journal.append(INTENT)
        assert list(read_journal(path)) == [STARTED, *written, INTENT]


@given(st.lists(events, max_size=4), st.data())
def test_it_can_be_read_while_it_grows(written: list[Event], data: st.DataObject) -> None:
    """Whatever portions arrive in, each event is read once and in order."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        content = b"".join(map(to_line, [STARTED, *written]))
        found: list[Event] = []
        path.touch()
        reader = JournalReader(path)
        while content:
            size = data.draw(st.integers(1, len(content)))
            with path.open("ab") as file:
                file.write(content[:size])
            content = content[size:]
            found += reader.read()

        assert found == [STARTED, *written]


def test_a_line_in_the_middle_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A forgotten direction is worse than none: the message names the line."""
    path = tmp_path / "journal"
    path.write_bytes(to_line(STARTED) + b'{"kind":"nonsense"}\n' + to_line(INTENT))

    with pytest.raises(JournalError, match="line 2"):
        read_journal(path)
    with pytest.raises(JournalError, match="line 2"):
        Journal(path)


@pytest.mark.parametrize(
    "content,message",
    [
        (b"hello\n", "line 1"),
        (to_line(INTENT), "begins with a started event"),
        (to_line(STARTED.model_copy(update={"format": 2})), "newer release"),
        (b"\xff\xfe\n", "line 1"),
    ],
)
def test_another_file_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes, message: str) -> None:
    """A file that is no journal gets an error, and no byte of it changes."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)

    with pytest.raises(JournalError, match=message):
        Journal(path)
    assert path.read_bytes() == content


def test_a_text_without_a_line_break_is_not_taken_for_a_torn_journal(tmp_path: Path) -> None:
    """Only what begins like a journal's line may be cut off."""
    path = tmp_path / "notes.txt"
    path.write_bytes(b"my only notes")

    with pytest.raises(JournalError, match="no journal"):
        Journal(path)
    assert path.read_bytes() == b"my only notes"


def test_only_one_can_write(tmp_path: Path) -> None:
    """A second writer is refused until the first has closed; readers are not."""
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.append(STARTED)
        with pytest.raises(JournalBusyError):
            Journal(path)
        assert list(read_journal(path)) == [STARTED]
    with Journal(path) as again:
        assert list(again.past) == [STARTED]


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    """Mode 0600, also where the file was there with a wider one."""
    path = tmp_path / "journal"
    path.touch(0o644)
    Journal(path).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_durable_was_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`append(durable=True)` returns after fsync; otherwise nothing waits for the disk."""
    synced: list[int] = []
    real = os.fsync

    def fsync(number: int) -> None:
        synced.append(number)
        real(number)

    with Journal(tmp_path / "journal") as journal:
        monkeypatch.setattr(os, "fsync", fsync)
        journal.append(STARTED)
        before = len(synced)
        journal.append(INTENT, durable=True)

    assert (before, len(synced)) == (0, 1)


def test_a_folder_is_no_journal(tmp_path: Path) -> None:
    """What cannot be opened is named in one line."""
    with pytest.raises(JournalError, match="cannot open"):
        Journal(tmp_path)
    with pytest.raises(JournalError, match="cannot read"):
        read_journal(tmp_path / "absent")


def test_texts_of_the_service_are_cut() -> None:
    """A message of any length takes a bounded part of a line."""
    event = Failed(at=NOW, run="r", workspace_id="ws-1", reason="x", message="m" * 100_000)

    assert len(event.message) == TEXT_LIMIT
