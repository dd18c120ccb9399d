"""The journal of a roll-out: append-only JSON lines, one event of `events` each.

It is the only memory of what the service cannot tell: the direction of an association in ERROR, and how often
Force was tried. So an intent is on disk before the write it announces is sent. Everything else is written for
people, and flushed to the operating system at once, so that it can be read while it grows.

A line counts once its line break is there: a torn last line was never acted on, and whoever opens the journal next
cuts it off. Any other line that cannot be read is an error, because a forgotten direction is worse than none.
"""

import codecs
import contextlib
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pydantic import ValidationError

from workspaces_apps.rollout.errors import JournalBusyError, JournalError
from workspaces_apps.rollout.events import Event, Started, bounded, from_line, to_line

FORMAT: Final = 1
"""The version of the format that this release writes and reads."""

_BEGINNING: Final = b'{"at":"'
"""How every line begins; a file of a single line that does not is somebody else's."""

_FLAGS: Final[int] = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_BINARY", "O_NONBLOCK"))
"""How files are opened: as bytes, for this process only, and without waiting for the other end of a pipe."""

if sys.platform == "win32":  # pragma: no cover - the checks run on POSIX
    import msvcrt

    _FAR: Final = 0x7FFF_0000

    def _lock(descriptor: int) -> None:
        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, position, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Journal:
    """A journal that is written to; only one process (and one `Journal` in it) can have it open.

    Use it as a context manager, or call `close()`. The lock goes with the process, however it ends.

    Args:
        path: The file; it is made, readable by its owner only, if there is none.
        of: The name of the roll-out that it must be of; None: of any.

    Attributes:
        path: The file.
        past: The events it held when it was opened, oldest first.

    Raises:
        JournalBusyError: Another apply writes to it.
        JournalError: It is no journal, or that of another roll-out, or cannot be opened.
    """

    def __init__(self, path: str | Path, *, of: str | None = None) -> None:
        self.path: Path = Path(path)
        try:
            self._descriptor = _open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        except OSError as error:
            raise JournalError(f"cannot open the journal {path}: {error.strerror}") from error
        try:
            _claim(self._descriptor, self.path)
            content = _read_all(self._descriptor)
            whole = content.rfind(b"\n") + 1
            self.past: tuple[Event, ...] = tuple(_parse(content[:whole], self.path))
            _check_format(self.past, self.path)
            _check_name(self.past, self.path, of)
            if not whole and not content.startswith(_BEGINNING[: len(content)]):
                raise JournalError(f"{self.path} is no journal of a roll-out; it is left as it is")
            if whole < len(content):
                os.ftruncate(self._descriptor, whole)
                os.fsync(self._descriptor)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def append(self, *events: Event, durable: bool = False) -> None:
        """Write events; with `durable`, return only once they are on disk.

        Blocks the event loop for about a millisecond when durable: nothing may come between an intent and its
        write.

        Raises:
            JournalError: They could not be written; the write they announce must not be sent.
        """
        if self._closed:
            raise JournalError(f"the journal {self.path} is closed")
        data = b"".join(map(to_line, events))
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
            if durable:
                os.fsync(self._descriptor)
        except OSError as error:
            # Half a line may be out; a further line behind it would make the file unreadable.
            self.close()
            raise JournalError(
                f"cannot write to the journal {self.path}: {error.strerror}; nothing more is begun, what the service has"
                " taken goes on there, and applying again goes on with it"
            ) from error

    def close(self) -> None:
        """Close the file and let go of the lock; may be called again."""
        if not self._closed:
            self._closed = True
            os.close(self._descriptor)


class JournalReader:
    """Reads a journal, also while somebody writes to it.

    Args:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        self._offset = 0
        self._lines = 0

    def read(self) -> Sequence[Event]:
        """The events that were added since the last call; a line still being written is left for the next.

        Raises:
            JournalError: The file cannot be read, or is no journal.
        """
        try:
            with os.fdopen(_open(self.path, os.O_RDONLY), "rb") as file:
                file.seek(self._offset)
                content = file.read()
        except OSError as error:
            raise JournalError(f"cannot read the journal {self.path}: {error.strerror}") from error
        whole = content.rfind(b"\n") + 1
        events = tuple(_parse(content[:whole], self.path, self._lines))
        if self._offset == 0:
            _check_format(events, self.path)
        self._offset += whole
        self._lines += len(events)
        return events


def read_journal(path: str | Path) -> Sequence[Event]:
    """Every event of a journal, oldest first; a torn last line is left out.

    Raises:
        JournalError: The file cannot be read, or is no journal.
    """
    return JournalReader(path).read()


def past_of(path: str | Path | None, name: str) -> Sequence[Event]:
    """Every event of a roll-out's journal; none where there is no journal yet.

    Args:
        path: The file; None for no journal.
        name: The roll-out.

    Raises:
        JournalError: The file cannot be read, or is no journal, or that of another roll-out.
    """
    if path is None or not Path(path).exists():
        return ()
    events = read_journal(path)
    _check_name(events, Path(path), name)
    return events


def check_journal(path: str | Path, *, of: str) -> None:
    """Find out before anything is done whether a journal can be written to. Makes no file.

    Args:
        path: The file.
        of: The roll-out.

    Raises:
        JournalBusyError: Another apply writes to it.
        JournalError: It cannot be opened or made, or is no journal, or that of another roll-out.
    """
    path = Path(path)
    if path.exists():
        Journal(path, of=of).close()
    elif not path.parent.is_dir():
        raise JournalError(f"cannot open the journal {path}: there is no folder {path.parent}")
    elif not os.access(path.parent, os.W_OK):
        raise JournalError(f"cannot open the journal {path}: the folder {path.parent} cannot be written to")


def _open(path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | _FLAGS, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        # Of folders, pipes and devices some never end.
        os.close(descriptor)
        raise JournalError(f"the journal {path} is not a regular file")
    return descriptor


def _claim(descriptor: int, path: Path) -> None:
    try:
        _lock(descriptor)
    except OSError as error:
        raise JournalBusyError(
            f"another apply writes to the journal {path}; wait for it, or give this one a journal of its own"
        ) from error
    if sys.platform != "win32":
        os.fchmod(descriptor, 0o600)
        # A new file is only there after a power cut if its folder knows of it; not every file system can tell.
        with contextlib.suppress(OSError):
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _read_all(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    parts: list[bytes] = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _parse(content: bytes, path: Path, before: int = 0) -> Iterator[Event]:
    if not before:
        # An editor's mark at the beginning is no reason to forget everything.
        content = content.removeprefix(codecs.BOM_UTF8)
    for number, line in enumerate(content.split(b"\n")[:-1], start=before + 1):
        try:
            yield from_line(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise JournalError(
                f"{path}, line {number}: not an event of a roll-out's journal ({first['msg']})"
            ) from None


def _check_format(events: Sequence[Event], path: Path) -> None:
    if not events:
        return
    first = events[0]
    if not isinstance(first, Started):
        raise JournalError(f"{path}, line 1: a journal begins with a started event, not {first.kind}")
    newer = [event.format for event in events if isinstance(event, Started) and event.format > FORMAT]
    if newer:
        raise JournalError(
            f"{path} is of format {max(newer)}, which a newer release wrote; this one reads {FORMAT}"
        )


def _check_name(events: Sequence[Event], path: Path, name: str | None) -> None:
    """Refuse what another roll-out remembers: its changes would count as this one's."""
    names = [event.name for event in events if isinstance(event, Started)]
    if name is not None and names and names[-1] != bounded(name):
        raise JournalError(
            f"{path} is the journal of the roll-out {names[-1]!r}, not of {name!r}: give this one a journal of its own,"
            " or, if it was renamed, its former name"
        )
