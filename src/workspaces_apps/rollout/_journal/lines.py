"""Lines of a journal: one JSON object per event, the words of earlier formats as they are read today, and group commit.

What is on disk is never renamed. A journal may hold runs of several formats, each with its number in its `Started`:
lines are read by the format of the run that they stand in.

Lines are written in groups: all who wait for a write share the next one, in the order in which they came. Never more than
one group is written at a time. Whoever comes meanwhile waits for the next group, so that a thousand intents cost a handful
of fsyncs, or of requests. Nothing here is a task: a loop that cancels its tasks at the end cannot tear a group apart.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, ValidationError

from workspaces_apps.rollout._errors import JournalError
from workspaces_apps.rollout._log.events import FORMAT, Event, Started

RENAMED_IN_2: Final[Mapping[str, Mapping[str, str]]] = {
    # A member of that name, of any kind: its value in format 1, and the value today.
    "reason": {"clash": "conflict", "not-begun": "not-started"},
    # The empty name stands for the names of members themselves.
    "": {"not_begun": "not_started"},
}
"""The words of format 1 that are called otherwise since format 2."""

_OLD_WORDS: Final = tuple(f'"{word}"'.encode("ascii") for words in RENAMED_IN_2.values() for word in words)

_MEMBERS: Final[TypeAdapter[dict[str, object]]] = TypeAdapter(dict[str, object])

_READER: Final[TypeAdapter[Event]] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


def to_line(event: Event) -> bytes:
    """Return the journal line of an event, with its line break."""
    return event.model_dump_json(exclude_none=True, ensure_ascii=True).encode("ascii") + b"\n"


def from_line(line: bytes, written_in: int = FORMAT) -> Event:
    """Return the event of one journal line.

    Args:
        line: The line.
        written_in: The format of its run.

    Raises:
        pydantic.ValidationError: It holds none, or from format 2 on a key that this release does not know where each
            counts.
    """
    if written_in >= FORMAT:
        return _READER.validate_json(line)
    if any(word in line for word in _OLD_WORDS):
        line = _renamed(line)
    return _READER.validate_json(line, extra="ignore")


def _renamed(line: bytes) -> bytes:
    """Return a line of format 1 in the words of format 2."""
    try:
        members = _MEMBERS.validate_json(line)
    except ValidationError:
        return line
    renamed: dict[str, object] = {}
    for name, value in members.items():
        words = RENAMED_IN_2.get(name, {})
        word = words.get(value, value) if isinstance(value, str) else value
        renamed[RENAMED_IN_2[""].get(name, name)] = word
    return json.dumps(renamed).encode("ascii")


class LineReader:
    """A reader of a journal's lines in their order, portion by portion.

    Args:
        source: The journal's name, for errors.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._lines = 0
        self._format = 0

    def read(self, content: bytes) -> Iterator[Event]:
        """Yield the events of further whole lines.

        Raises:
            JournalError: A line is no event, the journal does not begin with `Started`, or a newer release wrote it.
        """
        for line in content.split(b"\n")[:-1]:
            self._lines += 1
            try:
                # A `Started` is read alike in all formats, so that of the run before does not matter.
                event = from_line(line, self._format)
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                raise JournalError(
                    f"{self._source}, line {self._lines}: not an event of a roll-out's journal ({first['msg']})"
                ) from None
            self._check(event)
            yield event

    def _check(self, event: Event) -> None:
        if isinstance(event, Started):
            if event.format > FORMAT:
                raise JournalError(
                    f"{self._source} is of format {event.format}, which a newer release wrote; this one reads {FORMAT}"
                )
            self._format = event.format
        elif self._lines == 1:
            raise JournalError(
                f"{self._source}, line 1: a journal begins with a started event, not {event.kind}"
            )


@dataclass(slots=True, eq=False)
class _Entry:
    """The bytes of one append, and who waits for them; None: nobody."""

    data: bytes
    durable: bool
    waiter: asyncio.Future[None] | None


class WritingThread:
    """A thread for writes that block.

    Args:
        write: Writes bytes, and syncs them if the second argument says so.
    """

    def __init__(self, write: Callable[[bytes, bool], None]) -> None:
        self._write = write
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="workspaces-apps-journal")

    def __call__(self, data: bytes, durable: bool) -> asyncio.Future[None]:
        """Write in the thread."""
        return asyncio.get_running_loop().run_in_executor(self._pool, self._write, data, durable)

    def end(self) -> None:
        """Let the thread end after what it was given."""
        self._pool.shutdown(wait=False)


class GroupCommit:
    """Writes of many, joined to groups.

    Args:
        write: Begins to write bytes, and to sync them if the second argument says so; one call at a time.
        refusal: Makes the error that everybody hears once a write has failed, or (None) after `close`.
        release: Lets go of the file, once, after the last write.
        delay: Seconds of real time that a group may wait which nobody waits for.
        write_now: Writes bytes that need not be synced, where that takes no time worth a thread; None where it does.
    """

    def __init__(
        self,
        write: Callable[[bytes, bool], asyncio.Future[None]],
        refusal: Callable[[BaseException | None], Exception],
        release: Callable[[], None],
        *,
        delay: float = 0.0,
        write_now: Callable[[bytes], None] | None = None,
    ) -> None:
        self._write = write
        self._write_now = write_now
        self._refusal = refusal
        self._release = release
        self._delay = delay
        self._timer: asyncio.TimerHandle | None = None
        self._queue: list[_Entry] = []
        self._writing: list[_Entry] = []
        self._closing = False
        self._failure: BaseException | None = None
        self._released: asyncio.Event = asyncio.Event()

    def append_now(self, data: bytes) -> bool:
        """Write bytes that need not be synced at once; False if that is not possible, or something stands before them.

        Raises:
            Exception: What `refusal` makes, after a write that failed.
        """
        if self._write_now is None or self._writing or self._queue or self._closing:
            return False
        try:
            self._write_now(data)
        except OSError as error:
            self._fail(error)
            self._let_go()
            raise self._refusal(error) from error
        return True

    async def append(self, data: bytes, *, durable: bool) -> None:
        """Write bytes behind all that were given before; with `durable`, they are on disk when this returns.

        Cancelled, it leaves all of them or none: what the thread has taken is written, the rest is not.

        Raises:
            Exception: What `refusal` makes, after a write that failed, or after `close`.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = _Entry(data, durable, waiter)
        self._add(entry)
        try:
            await waiter
        except asyncio.CancelledError:
            if entry in self._queue:
                self._queue.remove(entry)
            raise

    def add(self, data: bytes) -> None:
        """Write bytes behind all that were given before, with the next group or after the delay; nobody waits for them.

        Raises:
            Exception: As `append`.
        """
        self._add(_Entry(data, False, None))

    def _add(self, entry: _Entry) -> None:
        if self._closing:
            raise self._refusal(self._failure) from self._failure
        self._queue.append(entry)
        self._go_on()

    def _go_on(self) -> None:
        """Begin the next group, now or once it has waited long enough."""
        if self._writing or not self._queue:
            return
        if self._closing or not self._delay or any(entry.waiter is not None for entry in self._queue):
            self._begin()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._delay, self._begin_late)

    def _begin_late(self) -> None:
        self._timer = None
        if self._queue and not self._writing:
            self._begin()

    async def close(self) -> None:
        """Write what is waited for, and let go of the file; may be called again.

        Cancelled, it still lets go of the file once the last group is written.
        """
        self._closing = True
        self._go_on()
        if not self._writing:
            self._let_go()
        await self._released.wait()

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._writing, self._queue = self._queue, []
        data = b"".join(entry.data for entry in self._writing)
        durable = any(entry.durable for entry in self._writing)
        self._write(data, durable).add_done_callback(self._ended)

    def _ended(self, written: asyncio.Future[None]) -> None:
        error = asyncio.CancelledError() if written.cancelled() else written.exception()
        group, self._writing = self._writing, []
        if error is None:
            for entry in group:
                if entry.waiter is not None and not entry.waiter.done():
                    entry.waiter.set_result(None)
        else:
            self._fail(error)
            group, self._queue = group + self._queue, []
            self._refuse(group)
        self._go_on()
        if self._closing and not self._writing:
            self._let_go()

    def _fail(self, error: BaseException) -> None:
        # Half a line may be out: a further line behind it would make the file unreadable.
        self._failure, self._closing = error, True

    def _refuse(self, group: Sequence[_Entry]) -> None:
        for entry in group:
            if entry.waiter is not None and not entry.waiter.done():
                refusal = self._refusal(self._failure)
                refusal.__cause__ = self._failure
                entry.waiter.set_exception(refusal)

    def _let_go(self) -> None:
        if not self._released.is_set():
            self._released.set()
            self._release()
