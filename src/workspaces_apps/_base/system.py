"""Files that are read and replaced whole, the garbage collector's pace, and tasks in a context of their own."""

from __future__ import annotations

import contextlib
import contextvars
import errno
import gc
import os
import stat
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Generator


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
    part = target.with_name(f".{target.name[:100]}.{os.getpid()}.part")
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, _WRITE, 0o666 if mode is None else mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


RARE: Final = (50_000, 20, 100)
"""Thresholds for a process that holds a fleet: its objects live as long as the run, and few are in cycles."""


@contextmanager
def paused() -> Generator[None]:
    """Collect nothing meanwhile: importing makes tens of thousands of objects that stay, and no garbage.

    Only around code that does not await, so that nobody else's garbage waits for long.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def rare() -> Generator[None]:
    """Collect rarely meanwhile, and never again what is there when `keep` is called.

    For a process of one's own: the collector is the whole process's.
    """
    before = gc.get_threshold()
    gc.set_threshold(*RARE)
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def keep() -> None:
    """Leave out of every later collection what there is now; until the end of `rare`."""
    gc.freeze()


T = TypeVar("T")


def start_detached(work: Callable[[], Awaitable[T]], *, name: str) -> asyncio.Task[T]:
    """Start a task without the context of whoever happens to need it first.

    It sees no context variable of the caller's, and so no span, request id or tenant of it, and no segment of
    X-Ray's. The event loop's task factory is passed by: X-Ray's would hand on the caller's segment, and an eager
    one would run the beginning of the work here and now, maybe under a lock.

    Args:
        work: Called and awaited in the task.
        name: The task's.
    """
    # Whoever starts a task has imported it; others use this module without an event loop.
    import asyncio

    loop = asyncio.get_running_loop()
    return asyncio.Task(_run(work), loop=loop, name=name, context=contextvars.Context())


async def _run(work: Callable[[], Awaitable[T]]) -> T:
    _leave_xray()
    return await work()


def _leave_xray() -> None:
    """Give this task a segment of X-Ray's that is never sent.

    Without one X-Ray logs an error, or raises, at each call of a client of aiobotocore's that it has patched.
    """
    # Where it was not imported nothing is patched. Nothing of it is typed.
    core: Any = sys.modules.get("aws_xray_sdk.core")
    contexts: Any = sys.modules.get("aws_xray_sdk.core.async_context")
    if core is None or contexts is None:
        return
    recorder = core.xray_recorder
    # Its other context is one for the whole thread, and what is put there others would see.
    if isinstance(recorder.context, contexts.AsyncContext):
        from aws_xray_sdk.core.models.dummy_entities import DummySegment

        recorder.set_trace_entity(DummySegment("workspaces-apps"))
