"""Journals in numbered segments, on stores that several machines share: the writer, its fence, and the takeover.

A group of events is one segment, written under the number after the last and only if that is still free. The numbering
is the fence: whoever takes a journal over first writes a segment of its own, the *takeover*, at the next number, reads
on and tries the one after where it loses that race, and begins only once it stands. A former writer that slept finds its
number taken and has lost, whatever it believes of its lease. Both numbers alone would let it in: the next number is still
free until the new writer has written.

A segment's first line says its number, the epoch of its lease and its writer; event lines follow. An answer that was lost
is recognised by that line: no two segments of different content have the same one.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Final, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from workspaces_apps._base.logs import field_logger
from workspaces_apps.rollout._errors import JournalBusyError, JournalError
from workspaces_apps.rollout._journal.group_commit import GroupCommit
from workspaces_apps.rollout._journal.lease import (
    LEASE_SECONDS,
    RETRY_SECONDS,
    LeaseKeeper,
    LeaseStore,
    RealTime,
    StoreUnavailableError,
    take_lease,
)
from workspaces_apps.rollout._journal.lines import LineReader, to_line
from workspaces_apps.rollout._journal.stores import JournalWriter, check_name
from workspaces_apps.rollout._log.events import Event

T = TypeVar("T")

FORMAT: Final = 1
"""The version of segments that this release writes and reads."""

LINGER_SECONDS: Final = 1.0
"""Seconds for which events that nobody waits for may stay unwritten, so that they share a segment."""

_ATTEMPTS: Final = 5
"""Attempts of a call outside a writer's work, such as reading for a report."""

log = field_logger("workspaces_apps.rollout")


class SegmentHeader(BaseModel, frozen=True):
    """The first line of a segment.

    Attributes:
        segment: The segment's number, from 1.
        format: The version of segments.
        epoch: The epoch of its writer's lease.
        writer: The writer's id.
        takeover: Whether it begins its writer's work.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    segment: int
    format: int = FORMAT
    epoch: int
    writer: str
    takeover: bool = False


class SegmentStorage(LeaseStore, Protocol):
    """A place for the segments of one journal, its lease, and the control record beside it."""

    async def put(self, number: int, body: bytes, *, epoch: int) -> bool:
        """Write a segment under a number that is free; False if it is not, or if the lease has another epoch.

        Raises:
            StoreUnavailableError: The store does not answer, and it may or may not be written.
            JournalError: It never will be written.
        """
        ...

    async def get(self, number: int) -> bytes | None:
        """Return a segment; None if there is none.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        ...

    async def read(self, first: int) -> Sequence[bytes]:
        """Return the segments from a number on, in order.

        Raises:
            StoreUnavailableError: The store does not answer.
            JournalError: One is missing.
        """
        ...

    async def read_control(self) -> tuple[bytes, str] | None:
        """Return the control record and the token of its version; None if there is none.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        ...

    async def write_control(self, content: bytes, *, instead_of: str | None) -> bool:
        """Write the control record in the place of a version; False if another stands there.

        Raises:
            StoreUnavailableError: The store does not answer, and it may or may not be written.
        """
        ...


Connect: TypeAlias = Callable[[str], AbstractAsyncContextManager[SegmentStorage]]
"""Opens the place of a journal by its name."""


class SegmentJournal:
    """A journal that is written in segments, held by a lease; a `FencedWriter`.

    Attributes:
        past: The events it held when it was opened, oldest first.
        segments: Segments that this writer has written, its takeover included.
    """

    def __init__(
        self,
        storage: SegmentStorage,
        keeper: LeaseKeeper,
        past: Sequence[Event],
        number: int,
        *,
        name: str,
        real_time: RealTime,
        release: Callable[[], Awaitable[None]],
    ) -> None:
        self.past: Sequence[Event] = past
        self.segments: int = 1
        self._storage = storage
        self._keeper = keeper
        self._number = number
        self._name = name
        self._time = real_time
        self._release = release
        self._closing = False
        self._closed: asyncio.Task[None] | None = None
        self._trouble: str | None = None
        self._commit = GroupCommit(self._begin, self._refusal, lambda: None, delay=LINGER_SECONDS)

    @property
    def held(self) -> bool:
        """Tell if an attempt of a write to the service may leave now."""
        return self._keeper.held

    @property
    def waits_for(self) -> str:
        """The trouble with the store that is waited for; empty if there is none."""
        trouble = self._trouble or self._keeper.trouble
        return f"waiting for the journal {self._name}: {trouble}" if trouble is not None else ""

    async def until_held(self) -> None:
        """Wait while the lease is suspended; see `FencedWriter.until_held`."""
        await self._keeper.until_held()

    async def until_lost(self) -> JournalError:
        """Wait until the journal is lost to another writer; see `FencedWriter.until_lost`."""
        return await self._keeper.until_lost()

    async def append(self, *events: Event, durable: bool = False) -> None:
        """Write events; see `JournalWriter.append`. While the store does not answer, this waits."""
        data = b"".join(map(to_line, events))
        if durable:
            await self._commit.append(data, durable=True)
        else:
            self._commit.add(data)

    async def close(self) -> None:
        """Write what is left, and give the lease back; may be called again.

        A store that does not answer is waited for as long as the lease is.
        """
        self._closing = True
        if self._closed is None:
            self._closed = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closed)

    async def _close(self) -> None:
        try:
            await self._commit.close()
            await self._keeper.close()
        finally:
            await self._release()

    def _begin(self, data: bytes, _durable: bool) -> asyncio.Future[None]:
        return asyncio.ensure_future(self._write(data))

    async def _write(self, data: bytes) -> None:
        if self._keeper.lost is not None:
            raise self._keeper.lost
        number = self._number + 1
        head = SegmentHeader(segment=number, epoch=self._keeper.epoch, writer=self._keeper.owner)
        body = _line(head) + data
        give_up_at: float | None = None
        while True:
            try:
                if not await stands(self._storage, number, body, self._keeper.epoch):
                    raise self._keeper.taken_over()
                break
            except StoreUnavailableError as error:
                if self._trouble is None:
                    log.warning("waiting for the journal %s: %s", self._name, error)
                self._trouble = str(error)
                now = self._time.steady()
                if self._closing and give_up_at is None:
                    give_up_at = now + LEASE_SECONDS
                if give_up_at is not None and now > give_up_at:
                    raise
            await self._time.sleep(RETRY_SECONDS)
            if self._keeper.lost is not None:
                raise self._keeper.lost
        self._trouble = None
        self._number = number
        self.segments += 1

    def _refusal(self, failure: BaseException | None) -> JournalError:
        if failure is None:
            return JournalError(f"the journal {self._name} is closed")
        if isinstance(failure, JournalError):
            return JournalError(failure.message)
        return JournalError(
            f"cannot write to the journal {self._name}: {failure}; no new deployments start, what the service has taken"
            " goes on there, and applying again goes on with it"
        )


class SegmentedStore:
    """Journals in segments; a `JournalStore`.

    Args:
        connect: Opens the place of a journal.
        where: The store's URL without anything secret, for messages.
        lease: The length of a writer's lease, in seconds.
        real_time: The time that leases run on.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        where: str,
        lease: float = LEASE_SECONDS,
        real_time: RealTime = RealTime(),  # noqa: B008 - frozen
    ) -> None:
        self._connect = connect
        self._where = where
        self._lease = lease
        self._time = real_time

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._where!r})"

    async def open(self, name: str, *, of: str | None = None) -> JournalWriter:
        """Take a journal over, or make it. See `JournalStore.open`.

        Where its last writer did not give it back, this takes as long as the lease, and less where the writer lives.
        """
        opened = _Opened(self._connect(name))
        storage = await opened.enter(self._where)
        try:
            return await self._take(storage, opened, name, of)
        except BaseException as error:
            await opened.leave()
            if isinstance(error, StoreUnavailableError):
                raise self._unreachable(error) from error
            raise

    async def read(self, name: str) -> Sequence[Event] | None:
        """Return every event of a journal; None if there is none. See `JournalStore.read`."""

        async def read(storage: SegmentStorage) -> Sequence[bytes]:
            return await storage.read(1)

        bodies = await self._with(name, read)
        return _Past(self._title(name), bodies).events if bodies else None

    async def read_control(self, name: str) -> bytes | None:
        """Return the control record of a journal; None if there is none."""

        async def read(storage: SegmentStorage) -> tuple[bytes, str] | None:
            return await storage.read_control()

        found = await self._with(name, read)
        return found[0] if found is not None else None

    async def update_control(self, name: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace the control record of a journal. See `JournalStore.update_control`."""

        async def update(storage: SegmentStorage) -> None:
            while True:
                found = await storage.read_control()
                content = change(found[0] if found is not None else None)
                if found is not None and found[0] == content:
                    return
                if await storage.write_control(content, instead_of=found[1] if found is not None else None):
                    return

        await self._with(name, update)

    async def _take(
        self, storage: SegmentStorage, opened: "_Opened", name: str, of: str | None
    ) -> SegmentJournal:
        title = self._title(name)
        owner = secrets.token_hex(8)
        held = await take_lease(
            storage, owner=owner, seconds=self._lease, journal=title, real_time=self._time
        )
        keeper = LeaseKeeper(storage, held, journal=title, real_time=self._time)
        # Replaying a long journal may take longer than the lease.
        keeper.begin()
        try:
            past = _Past(title, await storage.read(1))
            check_name(past.events, title, of)
            await self._stand(storage, keeper, past)
        except BaseException:
            await keeper.close()
            raise
        return SegmentJournal(
            storage,
            keeper,
            past.events,
            past.number,
            name=title,
            real_time=self._time,
            release=opened.leave,
        )

    async def _stand(self, storage: SegmentStorage, keeper: LeaseKeeper, past: "_Past") -> None:
        """Write the takeover at the first number that is free, and read what was written before it."""
        while True:
            if keeper.lost is not None:
                raise keeper.lost
            if past.epoch > keeper.epoch:
                raise JournalBusyError(f"another apply was faster to take the journal {past.title} over")
            number = past.number + 1
            head = SegmentHeader(segment=number, epoch=keeper.epoch, writer=keeper.owner, takeover=True)
            body = _line(head)
            if await stands(storage, number, body, keeper.epoch):
                past.add(body)
                return
            further = await storage.read(number)
            if not further:
                # The lease has another epoch, although the number is free.
                raise JournalBusyError(f"another apply was faster to take the journal {past.title} over")
            for body in further:
                past.add(body)

    async def _with(self, name: str, act: Callable[[SegmentStorage], Awaitable[T]]) -> T:
        """Do something outside a writer's work, some times over where the store does not answer."""
        opened = _Opened(self._connect(name))
        storage = await opened.enter(self._where)
        try:
            for attempt in range(_ATTEMPTS):
                try:
                    return await act(storage)
                except StoreUnavailableError as error:
                    if attempt == _ATTEMPTS - 1:
                        raise self._unreachable(error) from error
                await self._time.sleep(RETRY_SECONDS)
            raise AssertionError
        finally:
            await opened.leave()

    def _title(self, name: str) -> str:
        return f"{self._where.rstrip('/')}/{name}"

    def _unreachable(self, error: StoreUnavailableError) -> JournalError:
        return JournalError(f"cannot reach the journals of {self._where}: {error}")


class _Opened:
    """A storage that is open until it is left."""

    def __init__(self, connection: AbstractAsyncContextManager[SegmentStorage]) -> None:
        self._connection = connection
        self._left = False

    async def enter(self, where: str) -> SegmentStorage:
        try:
            return await self._connection.__aenter__()
        except StoreUnavailableError as error:
            raise JournalError(f"cannot reach the journals of {where}: {error}") from error

    async def leave(self) -> None:
        if not self._left:
            self._left = True
            await self._connection.__aexit__(None, None, None)


class _Past:
    """The events of segments, in their order.

    Attributes:
        title: The journal, for messages.
        number: The number of the last segment; 0 if there is none.
        epoch: The highest epoch.
        events: The events.
    """

    def __init__(self, title: str, bodies: Sequence[bytes]) -> None:
        self.title = title
        self.number = 0
        self.epoch = 0
        self.events: list[Event] = []
        self._lines = LineReader(title)
        for body in bodies:
            self.add(body)

    def add(self, body: bytes) -> None:
        head = header_of(body, f"{self.title}, segment {self.number + 1}")
        if head.segment != self.number + 1:
            raise JournalError(f"{self.title}: segment {self.number + 1} says that it is {head.segment}")
        self.number = head.segment
        self.epoch = max(self.epoch, head.epoch)
        self.events += self._lines.read(body[body.index(b"\n") + 1 :])


async def stands(storage: SegmentStorage, number: int, body: bytes, epoch: int) -> bool:
    """Write a segment, and tell if it stands, by this call or by an earlier one whose answer was lost."""
    return await storage.put(number, body, epoch=epoch) or await storage.get(number) == body


def header_of(body: bytes, title: str) -> SegmentHeader:
    """Return the header of a segment.

    Raises:
        JournalError: It has none, or a newer release wrote it.
    """
    try:
        head = SegmentHeader.model_validate_json(body.partition(b"\n")[0])
    except ValidationError:
        raise JournalError(f"{title} is no part of a journal of this release's format") from None
    if head.format != FORMAT:
        raise JournalError(f"{title} is of format {head.format}; this release reads {FORMAT}")
    return head


def _line(head: SegmentHeader) -> bytes:
    return head.model_dump_json().encode("ascii") + b"\n"
