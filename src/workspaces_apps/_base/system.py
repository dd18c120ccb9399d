"""Files that are read and replaced whole, and the garbage collector's pace."""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import os
import stat
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator


_READ: Final = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)
_WRITE: Final = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)


def read_file(path: str | Path, limit: int) -> bytes:
    """Read a file.

    Args:
        path: The file. Folders, pipes and devices are refused: some of them never end.
        limit: Bytes at most.

    Raises:
        OSError: It cannot be read, is no file, or has more bytes; `strerror` says which.
    """
    # Without waiting: a pipe that nobody writes to would not even open.
    descriptor = os.open(path, _READ)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit} bytes", str(path))
    return content


def replace_file(path: str | Path, content: bytes) -> None:
    """Write a file beside the old one and move it there: there is always the one or the other, and whole.

    Args:
        path: The file; a link stays a link, and what is no file, such as /dev/stdout, is written to.
        content: What goes into it.

    Raises:
        OSError: It cannot be written, with the cause and the path; the old file is as it was.
    """
    target = Path(os.path.realpath(path))
    mode: int | None = None
    with contextlib.suppress(FileNotFoundError):
        found = target.stat()
        mode = stat.S_IMODE(found.st_mode)
        if not stat.S_ISREG(found.st_mode):
            target.write_bytes(content)
            return
    with _part_of(target, path) as part:
        with os.fdopen(os.open(part, _WRITE, 0o666 if mode is None else mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)


def try_to_replace(path: str | Path) -> None:
    """Find out if `replace_file` could write beside a file; the file stays as it is, and nothing is left.

    Raises:
        OSError: It could not, with the cause and the path.
    """
    with _part_of(Path(os.path.realpath(path)), path) as part:
        os.close(os.open(part, _WRITE, 0o600))
        part.unlink()


@contextmanager
def _part_of(target: Path, path: str | Path) -> Generator[Path]:
    part = target.with_name(f".{target.name[:100]}.{os.getpid()}.part")
    try:
        part.unlink(missing_ok=True)
        yield part
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


RARE: Final = (50_000, 1_000, 1_000)
"""Thresholds for a process that holds a fleet: its objects live as long as the run, and few are in cycles.

What survives a collection is practically never scanned again, which with 300 targets takes three seconds at a stretch.
Cycles that become garbage after they have survived one stay: a few for each 50,000 objects.
"""


class _Process:
    """Facts about the process: whether its collector is this package's to use."""

    is_own = False


@contextmanager
def paused() -> Generator[None]:
    """Collect nothing meanwhile: importing makes tens of thousands of objects that stay, and no garbage.

    Only around code that does not await, so that nobody else's garbage waits for long. Within `rare`, later
    collections pass over what was made where modules were imported.
    """
    if not gc.isenabled():
        yield
        return
    known = len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if _Process.is_own and len(sys.modules) > known:
            keep()
        gc.enable()


@contextmanager
def rare() -> Generator[None]:
    """Collect rarely meanwhile, and never again what is there when `keep` is called.

    For a process of one's own: the collector is the whole process's.
    """
    before = gc.get_threshold()
    gc.set_threshold(*RARE)
    _Process.is_own = True
    try:
        yield
    finally:
        _Process.is_own = False
        gc.unfreeze()
        gc.set_threshold(*before)


def keep() -> None:
    """Leave out of every later collection what there is now; until the end of `rare`."""
    gc.freeze()


def end_quickly() -> None:
    """Have the process leave its memory to the system when it ends, without a last collection.

    That one takes a sixth of a short command's time.
    """
    atexit.register(gc.freeze)
