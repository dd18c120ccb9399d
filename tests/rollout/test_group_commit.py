"""Group commit: who waits together is written together, in order, whole or not at all."""

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from workspaces_apps.rollout import JournalError
from workspaces_apps.rollout._journal.lines import GroupCommit, WritingThread

T = TypeVar("T")


class Disk:
    """A disk whose writes end when they are told to.

    Attributes:
        content: What was written.
        synced: How much of it is there after a power cut.
        syncs: How often it was synced.
        released: How often the file was let go of.
    """

    def __init__(self) -> None:
        self.content = b""
        self.synced = 0
        self.syncs = 0
        self.released = 0
        self._held = threading.Event()
        self._held.set()
        self._failure: OSError | None = None
        self._kept = 0

    def write(self, data: bytes, durable: bool) -> None:
        """Write, once it may."""
        self._held.wait(60)
        if self._failure is not None:
            self.content += data[: self._kept]
            raise self._failure
        self.content += data
        if durable:
            self.syncs += 1
            self.synced = len(self.content)

    def hold(self) -> None:
        """Let writes wait."""
        self._held.clear()

    def go_on(self) -> None:
        """Let writes end."""
        self._held.set()

    def fill_up(self, kept: int) -> None:
        """Fail from now on, with that many bytes of the next write still written."""
        self._failure = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._kept = kept

    def release(self) -> None:
        """Count that it was let go of."""
        self.released += 1


def refusal(failure: BaseException | None) -> JournalError:
    """The error of a journal."""
    return JournalError("closed" if failure is None else f"cannot write: {failure}")


def commit_to(disk: Disk) -> GroupCommit:
    """A group commit onto that disk."""
    thread = WritingThread(disk.write)

    def release() -> None:
        thread.end()
        disk.release()

    return GroupCommit(thread, refusal, release)


async def turns(number: int = 5) -> None:
    """Let other tasks run."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_all_who_wait_share_a_write_and_a_sync() -> None:
    """The first goes alone; those that come while it is written go together, in the order in which they came."""
    disk = Disk()
    commit = commit_to(disk)
    disk.hold()
    appends = [asyncio.create_task(commit.append(b"%d\n" % number, durable=True)) for number in range(100)]
    await turns()
    assert not any(task.done() for task in appends)
    disk.go_on()
    await asyncio.gather(*appends)
    await commit.close()

    assert disk.content == b"".join(b"%d\n" % number for number in range(100))
    assert (disk.syncs, disk.synced, disk.released) == (2, len(disk.content), 1)


async def test_what_is_not_durable_waits_for_no_sync() -> None:
    """Only a group with a durable append in it is synced."""
    disk = Disk()
    commit = commit_to(disk)
    await commit.append(b"a", durable=False)
    assert (disk.content, disk.syncs) == (b"a", 0)
    await commit.append(b"b", durable=True)
    assert (disk.content, disk.synced) == (b"ab", 2)
    await commit.close()


async def test_a_cancelled_append_is_whole_or_absent() -> None:
    """An event being written stays, one that waits is taken out, and the others hear nothing of it."""
    disk = Disk()
    commit = commit_to(disk)
    disk.hold()
    written, waiting, other = (
        asyncio.create_task(commit.append(data, durable=True)) for data in (b"aaa", b"bbb", b"ccc")
    )
    await turns()
    written.cancel()
    waiting.cancel()
    await turns()
    assert (written.cancelled(), waiting.cancelled()) == (True, True)
    disk.go_on()
    await other
    await commit.close()

    assert disk.content == b"aaaccc"


async def test_everybody_hears_why_it_cannot_be_written() -> None:
    """Each caller, whether its event is being written, waits or comes later, gets the cause, and the file is let go of once."""
    disk = Disk()
    commit = commit_to(disk)
    disk.hold()
    disk.fill_up(2)
    appends = [asyncio.create_task(commit.append(b"line\n", durable=True)) for _ in range(3)]
    await turns()
    disk.go_on()
    errors = await asyncio.gather(*appends, return_exceptions=True)
    with pytest.raises(JournalError, match="No space left") as later:
        await commit.append(b"more\n", durable=False)
    await commit.close()

    assert [str(error) for error in errors] == [
        f"cannot write: [Errno {errno.ENOSPC}] No space left on device"
    ] * 3
    assert len({id(error) for error in [*errors, later.value]}) == 4
    assert isinstance(later.value.__cause__, OSError)
    assert (disk.content, disk.released) == (b"li", 1)


async def test_closing_writes_what_is_waited_for() -> None:
    """Also where the closing itself is cancelled; afterwards it is refused as closed."""
    disk = Disk()
    commit = commit_to(disk)
    disk.hold()
    appends = [asyncio.create_task(commit.append(b"x", durable=False)) for _ in range(3)]
    await turns()
    closing = asyncio.create_task(commit.close())
    await turns()
    closing.cancel()
    await turns()
    with pytest.raises(JournalError, match="closed"):
        await commit.append(b"y", durable=False)
    disk.go_on()
    await asyncio.gather(*appends)
    await commit.close()

    assert (disk.content, disk.released) == (b"xxx", 1)


class Commits(RuleBasedStateMachine):
    """Any order of appends, cancellations, slow writes, a full disk and closing, against a list."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._disk = Disk()
        self._commit = commit_to(self._disk)
        self._number = 0
        self._tasks: dict[bytes, tuple[asyncio.Task[None], bool]] = {}
        self._holding = False
        self._full = False
        self._closing: asyncio.Task[None] | None = None

    def _run(self, work: Callable[[], T]) -> T:
        async def within() -> T:
            found = work()
            await turns()
            return found

        return self._loop.run_until_complete(within())

    def _settle(self) -> None:
        async def all_ended() -> None:
            tasks: Sequence[asyncio.Task[None]] = [task for task, _ in self._tasks.values()]
            await asyncio.gather(*tasks, return_exceptions=True)

        if not self._holding:
            self._loop.run_until_complete(all_ended())

    @rule(durable=st.booleans(), lines=st.integers(1, 3))
    def append(self, durable: bool, lines: int) -> None:
        """Somebody appends."""
        self._number += 1
        data = b"".join(b"%d.%d\n" % (self._number, line) for line in range(lines))

        def begin() -> asyncio.Task[None]:
            return asyncio.get_running_loop().create_task(self._commit.append(data, durable=durable))

        self._tasks[data] = self._run(begin), durable

    @rule(chosen=st.integers(0, 99))
    def cancel(self, chosen: int) -> None:
        """Somebody who waits is cancelled; how many there are depends on a thread, and so nothing is drawn for it."""
        waiting = [task for task, _ in self._tasks.values() if not task.done()]
        if waiting:
            self._run(waiting[chosen % len(waiting)].cancel)

    @rule()
    def hold(self) -> None:
        """The disk becomes slow."""
        self._holding = True
        self._disk.hold()

    @rule()
    def go_on(self) -> None:
        """The disk is fast again."""
        self._holding = False
        self._disk.go_on()
        self._settle()

    @precondition(lambda self: not self._full)
    @rule(kept=st.integers(0, 8))
    def fill_up(self, kept: int) -> None:
        """The disk is full."""
        self._full = True
        self._disk.fill_up(kept)

    @rule()
    def close(self) -> None:
        """It is closed."""
        if self._closing is None:
            self._closing = self._run(lambda: asyncio.get_running_loop().create_task(self._commit.close()))

    @invariant()
    def order_holds(self) -> None:
        """Whole appends, in the order of their calls; torn at most at the end, on a full disk."""
        content, position = self._disk.content, 0
        for data in self._tasks:
            if content[position:].startswith(data):
                position += len(data)
        rest = content[position:]
        assert not rest or (self._full and any(data.startswith(rest[:1]) for data in self._tasks))

    @invariant()
    def what_returned_stands(self) -> None:
        """A caller without an error finds its events on disk, synced if that was asked for; one that was refused was told why."""
        for data, (task, durable) in self._tasks.items():
            if task.done() and not task.cancelled():
                error = task.exception()
                if error is None:
                    end = self._disk.content.index(data) + len(data)
                    assert not durable or end <= self._disk.synced
                else:
                    assert isinstance(error, JournalError)
                    assert self._full or self._closing is not None

    def teardown(self) -> None:
        """Everybody comes to an end, and the file is let go of once."""
        self.go_on()
        self.close()
        assert self._closing is not None
        self._loop.run_until_complete(asyncio.wait_for(self._closing, 60))
        self._settle()
        assert all(task.done() for task, _ in self._tasks.values())
        assert self._disk.released == 1
        self._loop.close()


TestCommits = Commits.TestCase
