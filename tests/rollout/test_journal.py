"""Journals in files: what is on disk when, who may write, and how it is read back."""

import asyncio
import errno
import os
import signal
import stat
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.process import PATIENCE, PYTHON_WITHIN_LIMITS
from workspaces_apps.rollout import (
    Event,
    Failed,
    Intent,
    JournalBusyError,
    JournalError,
    JournalReader,
    JournalWriter,
    Report,
    Started,
    Succeeded,
    copy_journal,
    open_journal,
    read_events,
    read_journal,
)
from workspaces_apps.rollout._journal import files
from workspaces_apps.rollout._journal.files import check_journal
from workspaces_apps.rollout._journal.lines import from_line, to_line
from workspaces_apps.rollout._journal.stores import locate
from workspaces_apps.rollout._log.events import TEXT_LIMIT, bounded

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


@asynccontextmanager
async def opened(path: Path, of: str | None = None) -> AsyncGenerator[JournalWriter, None]:
    """A journal that is closed at the end."""
    journal = await open_journal(path, of=of)
    try:
        yield journal
    finally:
        await journal.close()


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

        async def go_on() -> None:
            async with opened(path) as journal:
                assert list(journal.past) == [STARTED, *written]
                await journal.append(INTENT)

        asyncio.run(go_on())
        assert list(read_journal(path)) == [STARTED, *written, INTENT]


@given(st.lists(events, min_size=1, max_size=4), st.integers(1, 200))
def test_its_size_does_not_matter(written: list[Event], part: int) -> None:
    """Read piece by piece, wherever a piece ends, and with a torn line behind."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patching:
        patching.setattr(files, "_PART", part)
        path = Path(folder) / "journal"
        path.write_bytes(b"".join(map(to_line, [STARTED, *written])) + to_line(INTENT)[:-1])

        assert list(JournalReader(path).stream()) == [STARTED, *written]


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


async def test_a_line_in_the_middle_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A forgotten direction is worse than none: the message names the line."""
    path = tmp_path / "journal"
    path.write_bytes(to_line(STARTED) + b'{"kind":"nonsense"}\n' + to_line(INTENT))

    with pytest.raises(JournalError, match="line 2"):
        read_journal(path)
    with pytest.raises(JournalError, match="line 2"):
        await open_journal(path)


@pytest.mark.parametrize(
    "content,message",
    [
        (b"hello\n", "line 1"),
        (to_line(INTENT), "begins with a started event"),
        (to_line(STARTED.model_copy(update={"format": 3})), "newer release"),
        (b"\xff\xfe\n", "line 1"),
    ],
)
async def test_another_file_is_refused_and_left_as_it_is(
    tmp_path: Path, content: bytes, message: str
) -> None:
    """A file that is no journal gets an error, and no byte of it changes."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)

    with pytest.raises(JournalError, match=message):
        await open_journal(path)
    assert path.read_bytes() == content


async def test_a_text_without_a_line_break_is_not_taken_for_a_torn_journal(tmp_path: Path) -> None:
    """Only what begins like a journal's line may be cut off."""
    path = tmp_path / "notes.txt"
    path.write_bytes(b"my only notes")

    with pytest.raises(JournalError, match="no journal"):
        await open_journal(path)
    with pytest.raises(JournalError, match="no journal"):
        await read_events(path)
    assert path.read_bytes() == b"my only notes"


@pytest.mark.parametrize(
    "begun", [b"", b'{"at', to_line(STARTED)[:-1], b"\xef\xbb\xbf" + to_line(STARTED)[:30]]
)
async def test_a_journal_whose_first_line_is_being_written_holds_nothing_yet(
    begun: bytes, tmp_path: Path
) -> None:
    """It is no other file, and whoever opens it begins anew."""
    path = tmp_path / "journal"
    path.write_bytes(begun)
    assert list(await read_events(path)) == []
    async with opened(path) as journal:
        assert list(journal.past) == []


async def test_only_one_can_write(tmp_path: Path) -> None:
    """A second writer is refused until the first has closed; readers are not."""
    path = tmp_path / "journal"
    async with opened(path) as journal:
        await journal.append(STARTED)
        with pytest.raises(JournalBusyError):
            await open_journal(path)
        assert list(await read_events(path)) == [STARTED]
    async with opened(path) as again:
        assert list(again.past) == [STARTED]


async def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    """Mode 0600, also where the file was there with a wider one."""
    path = tmp_path / "journal"
    path.touch(0o644)
    await (await open_journal(path)).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_what_is_durable_was_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`append(durable=True)` returns after fsync; otherwise nothing waits for the disk."""
    synced: list[int] = []
    real = os.fsync

    def fsync(number: int) -> None:
        synced.append(number)
        real(number)

    async with opened(tmp_path / "journal") as journal:
        monkeypatch.setattr(os, "fsync", fsync)
        await journal.append(STARTED)
        before = len(synced)
        await journal.append(INTENT, durable=True)

    assert (before, len(synced)) == (0, 1)


async def test_a_disk_that_fails_is_told_to_every_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by what need not be durable, which is written at once; nothing is written behind half a line."""

    def write(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with opened(tmp_path / "journal") as journal:
        await journal.append(STARTED)
        with monkeypatch.context() as failing:
            failing.setattr(os, "write", write)
            with pytest.raises(JournalError, match="No space left on device"):
                await journal.append(INTENT)
        for durable in (False, True):
            with pytest.raises(JournalError, match="No space left on device"):
                await journal.append(INTENT, durable=durable)

    assert list(read_journal(tmp_path / "journal")) == [STARTED]


async def test_a_folder_is_no_journal(tmp_path: Path) -> None:
    """A path that cannot be opened is named in one line."""
    with pytest.raises(JournalError, match="cannot open"):
        await open_journal(tmp_path)
    with pytest.raises(JournalError, match="there is no journal"):
        read_journal(tmp_path / "absent")
    with pytest.raises(JournalError, match="there is no journal"):
        await read_events(tmp_path / "absent")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no such device here")
async def test_what_never_ends_is_no_journal() -> None:
    """A device is refused before anything of it is read, also by who only reads."""
    endless = Path("/dev/zero")
    for use in (read_events(endless), open_journal(endless), locate(endless).past_of("test")):
        with pytest.raises(JournalError, match="not a regular file"):
            await use


async def test_the_journal_of_another_rollout_is_refused(tmp_path: Path) -> None:
    """By plan and by apply; the message names both, and the last name counts."""
    path = tmp_path / "journal"
    async with opened(path, of="test") as journal:
        await journal.append(STARTED)
    for use in (locate(path).past_of("other"), open_journal(path, of="other")):
        with pytest.raises(JournalError, match="roll-out 'test', not of 'other'"):
            await use

    assert await locate(path).past_of("test") == (STARTED,)
    async with opened(path, of="test"):
        pass


async def test_whether_a_journal_can_be_written_is_known_before(tmp_path: Path) -> None:
    """No folder, another's, in use: told; one that could be made is not made."""
    check_journal(tmp_path / "new", of="test")
    async with opened(tmp_path / "used", of="test") as journal:
        await journal.append(STARTED)
        with pytest.raises(JournalBusyError):
            check_journal(tmp_path / "used", of="test")
    with pytest.raises(JournalError, match="there is no folder"):
        check_journal(tmp_path / "absent" / "journal", of="test")
    with pytest.raises(JournalError, match="not of 'other'"):
        check_journal(tmp_path / "used", of="other")
    check_journal(tmp_path / "used", of="test")

    assert not (tmp_path / "new").exists()


async def test_what_an_editor_does_to_a_journal_is_read(tmp_path: Path) -> None:
    """A mark at the beginning, and line ends of another system."""
    path = tmp_path / "journal"
    path.write_bytes(b"\xef\xbb\xbf" + b"".join([to_line(STARTED), to_line(INTENT)]).replace(b"\n", b"\r\n"))

    assert read_journal(path) == (STARTED, INTENT)
    async with opened(path) as journal:
        assert journal.past == (STARTED, INTENT)


@pytest.mark.parametrize(
    "text", ["m" * 10_000_000, "\U0001f4a5" * 10_000_000, "\ud83d\ude00" * 10_000], ids=len
)
def test_texts_of_the_service_are_cut(text: str) -> None:
    """Of ten million characters a bounded part is written, in every member, with an ellipsis, and can be read back."""
    event = Failed(
        at=NOW, run="r", workspace_id=text, application_id=text, reason=text, message=text, request_id=text
    )
    line = to_line(event)
    back = from_line(line)

    assert {len(one) for one in (event.message, event.reason, event.workspace_id)} <= {
        TEXT_LIMIT,
        TEXT_LIMIT // 2 + 1,
    }
    assert event.message.endswith("…")
    assert len(line) < 5 * 12 * TEXT_LIMIT + 1000
    assert back == event


def test_a_text_that_just_fits_is_whole() -> None:
    """Nothing is put in the place of its last character."""
    assert bounded("m" * TEXT_LIMIT) == "m" * TEXT_LIMIT
    assert bounded("m" * (TEXT_LIMIT + 1)) == "m" * (TEXT_LIMIT - 1) + "…"


@given(st.text(st.characters(), max_size=3 * TEXT_LIMIT).map(lambda text: text * 3))
def test_whatever_the_service_says_can_be_written(text: str) -> None:
    """Also halves of characters, as JSON can carry them; what could be written before is kept as it is."""
    cut = bounded(text)

    assert len(cut) <= TEXT_LIMIT
    assert cut.encode().decode() == cut
    assert bounded(cut) == cut


def test_half_a_character_of_the_service_does_not_end_a_rollout() -> None:
    """It becomes the sign for what cannot be shown; two halves become their character."""
    event = Failed(at=NOW, run="r", workspace_id="ws-1", reason="x\ud800y", message="\ud83d\ude00")

    assert (event.reason, event.message) == ("x\ufffdy", "\U0001f600")
    assert from_line(to_line(event)) == event


@pytest.mark.parametrize("url", ["gopher://bucket/secret", "mysql://user:secret@host/db", " FTP://secret"])
async def test_a_url_never_becomes_a_path(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown kind is refused by whoever takes a journal, naming what is known and not what may be secret."""
    monkeypatch.chdir(tmp_path)
    for use in (open_journal(url), read_events(url), Report.load(url)):
        with pytest.raises(JournalError, match="the path of a file") as refused:
            await use
        assert "secret" not in str(refused.value)
    with pytest.raises(JournalError, match="the path of a file"):
        Report.from_journal(url)

    assert await asyncio.to_thread(lambda: [*tmp_path.iterdir()]) == []


async def test_a_cancelled_opening_lets_go_of_the_lock(tmp_path: Path) -> None:
    """The thread that opens it goes on; what it opened is closed."""
    path = tmp_path / "journal"
    path.write_bytes(b"".join([to_line(STARTED), *[to_line(INTENT)] * 2000]))
    opening = asyncio.create_task(open_journal(path))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    async with asyncio.timeout(60):
        # The thread is not simulated: what is awaited is real.
        while not await free_again(path):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def free_again(path: Path) -> bool:
    """Tell if it can be opened."""
    try:
        async with opened(path):
            return True
    except JournalBusyError:
        return False


KILLED = """
import asyncio, resource, signal, sys
from workspaces_apps.rollout import copy_journal
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
asyncio.run(copy_journal(sys.argv[1], sys.argv[2]))
"""
"""A copy that the system kills once it has written so many bytes of a file."""


@pytest.mark.skipif(os.name == "nt", reason="Windows limits no file's size")
async def test_a_copy_that_was_killed_passes_for_no_journal(tmp_path: Path) -> None:
    """The file holds nothing until it holds everything, and the second copy completes it, readable by its owner only."""
    source, copy = tmp_path / "source.journal", tmp_path / "copy.journal"
    async with opened(source) as journal:
        await journal.append(STARTED, *[INTENT] * 2500, durable=True)
    half = str(source.stat().st_size // 2)
    command = [*PYTHON_WITHIN_LIMITS, "-c", KILLED, str(source), str(copy), half]
    killed = await asyncio.to_thread(subprocess.run, command, check=False, timeout=PATIENCE)
    assert killed.returncode == -signal.SIGXFSZ
    assert not copy.exists() or list(await read_events(copy)) == []

    assert await copy_journal(source, copy) == 2501
    assert list(await read_events(copy)) == list(await read_events(source))
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with pytest.raises(JournalError, match="is a journal already, with 2,501 events"):
        await copy_journal(source, copy)


async def test_the_beginning_of_a_copy_is_replaced_by_the_whole(tmp_path: Path) -> None:
    """An earlier release may have left it; a link to it stays one."""
    source, copy, link = tmp_path / "source.journal", tmp_path / "copy.journal", tmp_path / "link.journal"
    async with opened(source) as journal:
        await journal.append(STARTED, INTENT, INTENT, durable=True)
    async with opened(copy) as journal:
        await journal.append(STARTED, INTENT, durable=True)
        with pytest.raises(JournalBusyError):
            await copy_journal(source, copy)
    link.symlink_to(copy)

    assert await copy_journal(source, link) == 3
    assert link.is_symlink()
    assert list(await read_events(copy)) == [STARTED, INTENT, INTENT]


async def test_a_file_whose_place_a_copy_has_taken_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another apply that has opened it before, and locks it afterwards, would write to a file that nobody reads."""
    path, other = tmp_path / "journal", tmp_path / "other"
    other.write_bytes(to_line(STARTED))
    lock = files.lock

    def lock_late(descriptor: int) -> None:
        other.replace(path)
        lock(descriptor)

    monkeypatch.setattr(files, "lock", lock_late)
    with pytest.raises(JournalBusyError):
        await open_journal(path)
    assert path.read_bytes() == to_line(STARTED)
