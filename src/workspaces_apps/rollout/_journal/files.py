"""Journals in files: append-only JSON lines, one event each.

The journal is the only memory of what the service cannot tell: the direction of an association in ERROR, and how often
Force was tried. So an intent is on disk before the write it announces is sent. Everything else is written for people,
and given to the operating system at once, so that it can be read while it grows.

A line counts once its line break is there: a torn last line was never acted on, and whoever opens the journal next
cuts it off. Any other line that cannot be read is an error, because a forgotten direction is worse than none.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from workspaces_apps._base.public import public
from workspaces_apps._base.system import replace_file
from workspaces_apps.rollout._errors import JournalBusyError, JournalError, NoJournalError
from workspaces_apps.rollout._journal.lines import GroupCommit, LineReader, WritingThread, to_line
from workspaces_apps.rollout._journal.stores import JournalWriter, check_beginning, check_name, path_of
from workspaces_apps.rollout._log.events import Event

_BEGINNING: Final = b'{"at":"'
"""The beginning of every line; a file of a single line that begins otherwise is somebody else's."""

_PART: Final = 1 << 20
"""Bytes to read at a time."""

_FLAGS: Final[int] = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_BINARY", "O_NONBLOCK"))
"""The flags of every open file: bytes, for this process only, and no waiting for the other end of a pipe."""


class FileJournal:
    """A journal in a file, locked as long as it is open; a `PromptWriter`.

    Attributes:
        path: The file.
        past: The events it held when it was opened, oldest first.
    """

    def __init__(self, path: Path, descriptor: int, past: Sequence[Event]) -> None:
        self.path = path
        self.past: Sequence[Event] = past
        self._descriptor = descriptor
        self._thread = WritingThread(self._write)
        self._commit = GroupCommit(self._thread, self._refusal, self._release, write_now=self._write)

    def append_now(self, *events: Event) -> bool:
        """Write events that need not be durable at once. See `PromptWriter.append_now`."""
        return self._commit.append_now(b"".join(map(to_line, events)))

    async def append(self, *events: Event, durable: bool = False) -> None:
        """Write events; with `durable`, they are on disk when this returns. See `JournalWriter.append`."""
        await self._commit.append(b"".join(map(to_line, events)), durable=durable)

    async def close(self) -> None:
        """Keep what is being written, close the file and let go of the lock; may be called again."""
        await self._commit.close()

    def _write(self, data: bytes, durable: bool = False) -> None:
        while data:
            data = data[os.write(self._descriptor, data) :]
        if durable:
            os.fsync(self._descriptor)

    def _refusal(self, failure: BaseException | None) -> JournalError:
        if failure is None:
            return JournalError(f"the journal {self.path} is closed")
        cause = failure.strerror if isinstance(failure, OSError) else failure
        return JournalError(
            f"cannot write to the journal {self.path}: {cause}; no new deployments start, what the"
            " service has taken goes on there, and applying again goes on with it"
        )

    def _release(self) -> None:
        self._thread.end()
        # What counted was synced; nobody is left to hear of an error now.
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


@public("workspaces_apps.rollout")
class FileJournalStore:
    """A folder of journals; a `JournalStore`.

    Args:
        folder: The folder; the name of a journal is that of its file.

    Examples:
        >>> import asyncio
        >>> from workspaces_apps.rollout import FileJournalStore
        >>> store = FileJournalStore("journals")
        >>> asyncio.run(store.read("office.journal")) is None  # nothing was written yet
        True
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder: Path = path_of(folder)

    async def open(self, name: str, *, of: str | None = None) -> JournalWriter:
        """Open a journal in a thread, because reading a long one takes seconds. See `JournalStore.open`."""
        path = self._path(name)
        claiming = asyncio.ensure_future(asyncio.to_thread(_claim, path, of))
        try:
            claim = await asyncio.shield(claiming)
        except asyncio.CancelledError:
            # The thread goes on, and would keep the lock for the life of the process.
            claiming.add_done_callback(_abandon)
            raise
        return FileJournal(path, claim.descriptor, claim.past)

    async def read(self, name: str) -> Sequence[Event] | None:
        """Return every event of a journal; None if there is none. See `JournalStore.read`."""
        return await asyncio.to_thread(_read_if_there, self._path(name))

    async def read_control(self, name: str) -> bytes | None:
        """Return the control record beside a journal; None if there is none."""
        return await asyncio.to_thread(_read_control, self._control(name))

    async def update_control(self, name: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace the control record beside a journal. See `JournalStore.update_control`."""
        await asyncio.to_thread(_update_control, self._control(name), change)

    async def is_open(self, name: str) -> bool:
        """Tell if somebody writes to a journal just now, on this machine or on one that shares its folder's locks."""
        return await asyncio.to_thread(_is_locked, self._path(name))

    def _path(self, name: str) -> Path:
        # A separator, or "..": what a store calls a roll-out must not lead out of the folder.
        if name in {"", ".", ".."} or Path(name).name != name:
            raise JournalError(f"{name!r} cannot be the name of a file: give the path of the journal instead")
        return self.folder / name

    def _control(self, name: str) -> Path:
        return self._path(f"{name}.control")


@public("workspaces_apps.rollout")
class JournalReader:
    """A reader of a journal's file, also while somebody writes to it.

    Args:
        path: The file.

    Examples:
        >>> from pathlib import Path
        >>> from workspaces_apps.rollout import JournalReader
        >>> Path("office.journal").touch()
        >>> list(JournalReader("office.journal").read())
        []
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path = path_of(path)
        self._offset = 0
        self._lines = LineReader(str(self.path))

    def read(self) -> Sequence[Event]:
        """Return the events that were added since the last call; a line still being written is left for the next.

        Raises:
            JournalError: The file cannot be read, or is no journal.
        """
        return tuple(self.stream())

    def stream(self) -> Iterator[Event]:
        """Yield what `read` returns, one event after the other: of a large journal only a part is in memory.

        Go through it to the end, because what is left of a part is yielded again by the next call.

        Raises:
            JournalError: The file cannot be read, or is no journal.
        """
        try:
            with os.fdopen(_open(self.path, os.O_RDONLY), "rb") as file:
                file.seek(self._offset)
                rest = b""
                while part := file.read(_PART):
                    lines, rest = _whole_lines(rest + part)
                    if not self._offset and not lines:
                        _check_beginning_of(rest, self.path)
                    yield from self._lines.read(_without_mark(lines, self._offset))
                    self._offset += len(lines)
        except FileNotFoundError as error:
            raise NoJournalError(f"there is no journal {self.path}") from error
        except OSError as error:
            raise JournalError(f"cannot read the journal {self.path}: {error.strerror}") from error


def _check_beginning_of(content: bytes, path: Path) -> None:
    """Refuse a file without a line break that is no line of a journal still being written.

    Raises:
        JournalError: It is another file.
    """
    content = _without_mark(content)
    if not content.startswith(_BEGINNING[: len(content)]):
        raise JournalError(f"{path} is no journal of a roll-out; it is left as it is")


def _whole_lines(content: bytes) -> tuple[bytes, bytes]:
    """Part what has its line break from what is still being written."""
    whole = content.rfind(b"\n") + 1
    return content[:whole], content[whole:]


def read_journal(path: str | Path) -> Sequence[Event]:
    """Return every event of a journal's file, oldest first; a torn last line is left out.

    Raises:
        JournalError: The file cannot be read, or is no journal.
    """
    return JournalReader(path).read()


async def copy_to_file(path: Path, events: Sequence[Event]) -> None:
    """Make a journal's file of events, all of them or none: killed meanwhile, it holds what it held before.

    Args:
        path: The file.
        events: The events.

    Raises:
        JournalBusyError: An apply writes to it.
        JournalError: It holds others, or cannot be written.
    """
    made = not await asyncio.to_thread(path.exists)
    held = await FileJournalStore(path.parent).open(path.name)
    try:
        check_beginning(held.past, events, str(path))
        if sys.platform == "win32":  # pragma: no cover - the checks run on POSIX
            # No open file is replaced there.
            await held.close()
        await asyncio.to_thread(lambda: replace_file(path, b"".join(map(to_line, events))))
        _sync_folder(path.parent)
    except OSError as error:
        if made:
            # An empty journal would pass for a copy of one.
            await asyncio.to_thread(path.unlink, missing_ok=True)
        raise JournalError(f"cannot write to the journal {path}: {error.strerror}") from error
    finally:
        await held.close()


def check_journal(path: str | Path, *, of: str) -> None:
    """Find out before anything is done whether a journal can be written to. Makes no file.

    Args:
        path: The file.
        of: The roll-out.

    Raises:
        JournalBusyError: Another apply writes to it.
        JournalError: It cannot be opened or made, or is no journal, or that of another roll-out.
    """
    path = path_of(path)
    if path.exists():
        os.close(_claim(path, of).descriptor)
    elif not path.parent.is_dir():
        raise JournalError(f"cannot open the journal {path}: there is no folder {path.parent}")
    elif not os.access(path.parent, os.W_OK):
        raise JournalError(f"cannot open the journal {path}: the folder {path.parent} cannot be written to")


class _Claim(NamedTuple):
    """An open and locked journal."""

    descriptor: int
    past: tuple[Event, ...]


def _claim(path: Path, of: str | None) -> _Claim:
    """Open, lock and read a journal, and cut off what a crash left of its last line."""
    try:
        descriptor = _open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    except OSError as error:
        raise JournalError(f"cannot open the journal {path}: {error.strerror}") from error
    try:
        _lock(descriptor, path)
        content = _read_all(descriptor)
        lines, torn = _whole_lines(content)
        past = tuple(LineReader(str(path)).read(_without_mark(lines)))
        check_name(past, str(path), of)
        if not lines:
            _check_beginning_of(content, path)
        if torn:
            os.ftruncate(descriptor, len(lines))
            os.fsync(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return _Claim(descriptor, past)


def _abandon(claiming: asyncio.Future[_Claim]) -> None:
    if not claiming.cancelled() and claiming.exception() is None:
        os.close(claiming.result().descriptor)


def _open(path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | _FLAGS, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        # Of folders, pipes and devices some never end.
        os.close(descriptor)
        raise JournalError(f"the journal {path} is not a regular file")
    return descriptor


def _lock(descriptor: int, path: Path) -> None:
    busy = f"another apply writes to the journal {path}; wait for it, or give this one a journal of its own"
    try:
        lock(descriptor)
        # A copy may have taken the place of the file that was opened.
        if not os.path.samestat(os.fstat(descriptor), path.stat()):
            raise JournalBusyError(busy)
    except OSError as error:
        raise JournalBusyError(busy) from error
    if sys.platform != "win32":
        os.fchmod(descriptor, 0o600)
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Let a new file survive a power cut: it does only if its folder knows of it; not every file system can tell."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _read_all(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    parts: list[bytes] = []
    while part := os.read(descriptor, _PART):
        parts.append(part)
    return b"".join(parts)


def _without_mark(content: bytes, offset: int = 0) -> bytes:
    # An editor's mark at the beginning is no reason to forget everything.
    return content if offset else content.removeprefix(codecs.BOM_UTF8)


def _is_locked(path: Path) -> bool:
    try:
        descriptor = _open(path, os.O_RDWR)
    except OSError:
        # Nothing is known of it.
        return path.exists()
    try:
        lock(descriptor)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _read_if_there(path: Path) -> Sequence[Event] | None:
    return read_journal(path) if path.exists() else None


def _read_control(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalError(f"cannot read the control record {path}: {error.strerror}") from error


def _update_control(path: Path, change: Callable[[bytes | None], bytes]) -> None:
    try:
        # A file of its own to lock: the record itself is another file after each replacement.
        guard = _open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT)
        try:
            lock(guard, wait=True)
            _replace(path, change(_read_control(path)))
        finally:
            os.close(guard)
    except OSError as error:
        raise JournalError(f"cannot write the control record {path}: {error.strerror}") from error


def _replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another at once: a reader sees the old one or the new one, whole."""
    descriptor, made = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(made).replace(path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


if sys.platform == "win32":  # pragma: no cover - the checks run on POSIX
    import msvcrt

    # Beyond every byte that is ever written: a lock of Windows keeps others from reading what it covers.
    _FAR = 0x7FFF_0000

    def lock(descriptor: int, *, wait: bool = False) -> None:
        """Lock an open file for this descriptor alone.

        Args:
            descriptor: The file.
            wait: Wait for whoever holds the lock; on Windows ten seconds at most.

        Raises:
            OSError: Somebody else holds it.
        """
        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, position, os.SEEK_SET)

else:
    import fcntl

    def lock(descriptor: int, *, wait: bool = False) -> None:
        """Lock an open file for this descriptor alone.

        Args:
            descriptor: The file.
            wait: Wait for whoever holds the lock; on Windows ten seconds at most.

        Raises:
            OSError: Somebody else holds it.
        """
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
