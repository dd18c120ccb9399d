"""Journals in numbered segments, on stores that several machines share: the writer, its fence, and the takeover.

A group of events is one segment, written under the number after the last and only if that is still free. The numbering
is the fence: whoever takes a journal over first writes a segment of its own, the *takeover*, at the next number, reads
on and tries the one after where it loses that race, and begins only once it stands. A former writer that slept finds its
number taken and has lost, whatever it believes of its lease. Both numbers alone would let it in: the next number is still
free until the new writer has written.

A segment's first line says its number, the epoch of its lease and its writer; event lines follow. An answer that was lost
is recognised by that line: no two segments of different content have the same one.

The lease lets one writer try at a time, on whatever machine, without a comparison of two machines' clocks. A writer renews
it at a third of its length. A taker waits until it has not seen it change for its whole length, by the taker's own clock;
the writer counts from *before* it asked for the last renewal, by its own clock, and trusts it for nine tenths of the length
only. So the former writer has stopped before the next one begins, as long as the clocks run about equally fast, whatever
time they show. A lease that could not be renewed for a while is suspended, not lost: nothing is begun, and if nobody took
it over it is renewed once the store is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Final, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from workspaces_apps._base.logs import field_logger
from workspaces_apps.errors import ConfigurationError, CredentialsError
from workspaces_apps.rollout._errors import JournalBusyError, JournalError
from workspaces_apps.rollout._journal.lines import GroupCommit, LineReader, to_line
from workspaces_apps.rollout._journal.stores import JournalWriter, check_name
from workspaces_apps.rollout._log.events import Event

LEASE_SECONDS: Final = 15.0
"""Seconds after which a lease that is not renewed may be taken over."""

_RENEWALS: Final = 3
"""Times that a lease is renewed in its length."""

_TRUSTED: Final = 0.9
"""The share of a lease's length for which its holder trusts it, because no two clocks run equally fast."""

RETRY_SECONDS: Final = 0.5
"""Seconds from one attempt to the next while a store does not answer."""

log = field_logger("workspaces_apps.rollout")

Steady: TypeAlias = Callable[[], float]
"""A clock in seconds that never goes back, and that counts the time in which the process or the machine is suspended."""

Sleep: TypeAlias = Callable[[float], Awaitable[None]]
"""Sleeps for so many seconds of real time."""


def steady_seconds() -> float:
    """Return the seconds of a clock that counts suspension where the system has one, and never goes back."""
    boottime: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(boottime) if boottime is not None else time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class RealTime:
    """The time that leases run on: real time, never that of a client's `Clock`.

    Attributes:
        steady: The clock.
        sleep: The sleep.
    """

    steady: Steady = steady_seconds
    sleep: Sleep = asyncio.sleep


class StoreUnavailableError(Exception):
    """A store did not answer, or cannot serve now; whether a request had its effect is unknown."""


class StoreCredentialsError(JournalError, CredentialsError):
    """There are no credentials for a store, or none that it takes."""


class StoreConfigurationError(JournalError, ConfigurationError):
    """A store is set up wrongly: an unknown profile, no Region, an endpoint that is none."""


class Lease(BaseModel, frozen=True):
    """The lease of a journal, as it stands in its store.

    Attributes:
        epoch: How often it was taken: the fencing number.
        owner: The writer's id.
        beat: How often this owner renewed it.
        seconds: Its length.
        released: Whether its owner gave it back.
    """

    epoch: int
    owner: str
    beat: int = 0
    seconds: float
    released: bool = False


class LeaseStore(Protocol):
    """A place for a lease; it is replaced only where it is still as it was read."""

    async def read_lease(self) -> tuple[Lease, str] | None:
        """Return the lease and the token of its version; None if there was none yet.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        ...

    async def write_lease(self, lease: Lease, *, instead_of: str | None) -> str | None:
        """Write it in the place of a version, None for none, and return its token; None if another stands there.

        Raises:
            StoreUnavailableError: The store does not answer, and it may or may not be written.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Held:
    """A lease that was written, its token, and when that was asked for."""

    lease: Lease
    token: str
    since: float


class LeaseKeeper:
    """The lease of one writer, renewed until it is closed or lost.

    Args:
        store: Where it stands.
        held: The lease, once it was taken.
        journal: The journal's name, for messages.
        real_time: The time that it runs on.

    Attributes:
        lost: Why nothing may be begun or written any more; None while it is held or suspended.
        trouble: Why it could not be renewed last; None if it could.
    """

    def __init__(
        self,
        store: LeaseStore,
        held: _Held,
        *,
        journal: str,
        real_time: RealTime,
    ) -> None:
        self.lost: JournalError | None = None
        self.trouble: str | None = None
        self._store = store
        self._held = held
        self._journal = journal
        self._time = real_time
        self._changed = asyncio.Event()
        self._renewing: asyncio.Task[None] | None = None

    @property
    def epoch(self) -> int:
        """The fencing number."""
        return self._held.lease.epoch

    @property
    def owner(self) -> str:
        """The writer's id."""
        return self._held.lease.owner

    @property
    def held(self) -> bool:
        """Tell if something may be begun now."""
        return (
            self.lost is None and self._time.steady() < self._held.since + self._held.lease.seconds * _TRUSTED
        )

    def begin(self) -> None:
        """Renew it from now on."""
        self._renewing = asyncio.create_task(self._keep_renewing())

    async def until_held(self) -> None:
        """Wait while it is suspended.

        Raises:
            JournalError: It is lost.
        """
        while not self.held:
            if self.lost is not None:
                raise self.lost
            self._changed.clear()
            await self._changed.wait()

    async def until_lost(self) -> JournalError:
        """Wait until it is lost, and return why; for ever, if it never is."""
        while self.lost is None:
            self._changed.clear()
            await self._changed.wait()
        return self.lost

    def lose(self, message: str, kind: type[JournalError] = JournalError) -> JournalError:
        """Give it up for lost; the first reason stays."""
        if self.lost is None:
            self.lost = kind(message)
            log.warning("%s", message)
            self._changed.set()
        return self.lost

    def taken_over(self) -> JournalError:
        """Give it up because somebody else writes to the journal now."""
        return self.lose(
            f"the journal {self._journal} was taken over by another apply while this one could not renew its lease;"
            " nothing more is started or written here"
        )

    async def close(self) -> None:
        """Renew it no more, and give it back if it is still there; a store that does not answer is left alone."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        if self.lost is None:
            self.lost = JournalError(f"the journal {self._journal} is closed")
            self._changed.set()
            released = replace_lease(self._held.lease, released=True)
            with contextlib.suppress(StoreUnavailableError, JournalError):
                await self._store.write_lease(released, instead_of=self._held.token)

    async def _keep_renewing(self) -> None:
        while self.lost is None:
            pause = self._held.lease.seconds / _RENEWALS
            await self._time.sleep(RETRY_SECONDS if self.trouble is not None else pause)
            try:
                await self._renew()
            except StoreUnavailableError as error:
                if self.trouble is None:
                    log.warning("waiting for the journal %s: %s", self._journal, error)
                self.trouble = str(error)
            except JournalError as error:
                self.lose(
                    f"the lease of the journal {self._journal} cannot be renewed: {error.message}",
                    type(error),
                )

    async def _renew(self) -> None:
        since = self._time.steady()
        lease = replace_lease(self._held.lease, beat=self._held.lease.beat + 1)
        token = await self._store.write_lease(lease, instead_of=self._held.token)
        if token is not None:
            self._keep(_Held(lease, token, since))
            return
        found = await self._store.read_lease()
        if found is None or (found[0].epoch, found[0].owner) != (lease.epoch, lease.owner):
            self.taken_over()
        else:
            # One's own, whose answer was lost. It counts from when it was asked for, which is not known any more.
            self._held = replace(self._held, lease=found[0], token=found[1])
            await self._renew()

    def _keep(self, held: _Held) -> None:
        if self.trouble is not None:
            log.warning("the journal %s answers again", self._journal)
        self.trouble = None
        self._held = held
        self._changed.set()


def replace_lease(lease: Lease, *, beat: int | None = None, released: bool = False) -> Lease:
    """Return a lease that is renewed or given back."""
    return lease.model_copy(update={"beat": lease.beat + 1 if beat is None else beat, "released": released})


async def take_lease(
    store: LeaseStore, *, owner: str, seconds: float, journal: str, real_time: RealTime
) -> _Held:
    """Take the lease of a journal, after the wait that it needs where its last owner did not give it back.

    Args:
        store: Where it stands.
        owner: The taker's id, which nobody else has.
        seconds: Its length from now on.
        journal: The journal's name, for messages.
        real_time: The time that it runs on.

    Raises:
        JournalBusyError: Its owner renewed it meanwhile, or somebody else was faster.
        StoreUnavailableError: The store does not answer.
    """
    busy = JournalBusyError(
        f"another apply writes to the journal {journal}; wait for it, or give this one a journal of its own"
    )
    found = await store.read_lease()
    if found is not None and not found[0].released:
        first_seen = real_time.steady()
        left = found[0].seconds
        while left > 0:
            await real_time.sleep(min(left, found[0].seconds / (2 * _RENEWALS)))
            again = await store.read_lease()
            if again is None or again[1] != found[1]:
                if again is not None and again[0].released:
                    found = again
                    break
                raise busy
            left = found[0].seconds - (real_time.steady() - first_seen)
    epoch = found[0].epoch + 1 if found is not None else 1
    lease = Lease(epoch=epoch, owner=owner, seconds=seconds)
    since = real_time.steady()
    try:
        token = await store.write_lease(lease, instead_of=found[1] if found is not None else None)
    except StoreUnavailableError:
        token = None
    if token is None:
        # One's own, whose answer was lost; anybody else's has another owner.
        again = await store.read_lease()
        if again is None or again[0] != lease:
            raise busy
        token = again[1]
    return _Held(lease, token, since)


FORMAT: Final = 1
"""The version of segments that this release writes and reads."""

_LONG: Final = 1 << 18
"""Bytes of a journal from which it is replayed in a thread: about a thousand events, and some hundredths of a second."""

LINGER_SECONDS: Final = 1.0
"""Seconds for which events that nobody waits for may stay unwritten, so that they share a segment."""

SLOW_SECONDS: Final = 5.0
"""Seconds after which an event that is waited for and not written yet is shown as trouble with the store."""

_ATTEMPTS: Final = 5
"""Attempts of a call outside a writer's work, such as opening a journal, or reading it for a report."""

T = TypeVar("T")


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
        self._waiting: dict[object, float] = {}
        self._slow = False
        self._commit = GroupCommit(self._begin, self._refusal, lambda: None, delay=LINGER_SECONDS)

    @property
    def held(self) -> bool:
        """Tell if an attempt of a write to the service may leave now."""
        return self._keeper.held

    @property
    def waits_for(self) -> str:
        """The trouble with the store that is waited for; empty if there is none."""
        trouble = self._trouble or self._keeper.trouble
        waited = self._waited()
        if trouble is None and waited >= SLOW_SECONDS:
            trouble = f"its store is slow, a write has taken {waited:.0f} s so far"
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
        if not durable:
            self._commit.add(data)
            return
        key = object()
        self._waiting[key] = self._time.steady()
        try:
            await self._commit.append(data, durable=True)
        finally:
            del self._waiting[key]

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
        return asyncio.ensure_future(self._write_watched(data))

    def _waited(self) -> float:
        """Return for how long the oldest event that is waited for has been so, in seconds."""
        oldest = next(iter(self._waiting.values()), None)
        return self._time.steady() - oldest if oldest is not None else 0.0

    async def _write_watched(self, data: bytes) -> None:
        begun_at = self._time.steady()
        watch = asyncio.create_task(self._log_once_slow())
        try:
            await self._write(data)
        finally:
            watch.cancel()
        if self._slow and self._time.steady() - begun_at < SLOW_SECONDS:
            self._slow = False
            log.warning("the journal %s is written to again without delay", self._name)

    async def _log_once_slow(self) -> None:
        """Log that the store is slow, once, until it is not."""
        while (waited := self._waited()) < SLOW_SECONDS:
            await self._time.sleep(SLOW_SECONDS - waited)
        if not self._slow and self._trouble is None:
            self._slow = True
            log.warning("%s", self.waits_for)

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
            return copy(failure)
        return JournalError(
            f"cannot write to the journal {self._name}: {failure}; no new deployments start, what the service has taken"
            " goes on there, and applying again goes on with it"
        )


class SegmentedStore:
    """Journals in segments; a `JournalStore`.

    Args:
        connect: Opens the place of a journal.
        where: The store's URL without anything secret, for messages.
        before_name: What stands between that URL and the name of a journal.
        lease: The length of a writer's lease, in seconds.
        real_time: The time that leases run on.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        where: str,
        before_name: str = "/",
        lease: float = LEASE_SECONDS,
        real_time: RealTime = RealTime(),
    ) -> None:
        self._connect = connect
        self._where = where
        self._before_name = before_name
        self._lease = lease
        self._time = real_time

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._where!r})"

    async def open(self, name: str, *, of: str | None = None) -> JournalWriter:
        """Take a journal over, or make it. See `JournalStore.open`.

        Where its last writer did not give it back, this takes as long as the lease, and less where the writer lives.
        """
        stack = AsyncExitStack()
        try:
            storage = await stack.enter_async_context(self._connect(name))
            return await self._take(storage, stack, name, of)
        except BaseException as error:
            await stack.aclose()
            if isinstance(error, StoreUnavailableError):
                raise self._unreachable(error) from error
            raise

    async def read(self, name: str) -> Sequence[Event] | None:
        """Return every event of a journal; None if there is none. See `JournalStore.read`."""

        async def read(storage: SegmentStorage) -> Sequence[bytes]:
            return await storage.read(1)

        bodies = await self._with(name, read)
        return (await _replay(self._title(name), bodies)).events if bodies else None

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
        self, storage: SegmentStorage, stack: AsyncExitStack, name: str, of: str | None
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
            past = await _replay(title, await self._some_times(lambda: storage.read(1)))
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
            release=stack.aclose,
        )

    async def _stand(self, storage: SegmentStorage, keeper: LeaseKeeper, past: _Past) -> None:
        """Write the takeover at the first number that is free, and read what was written before it."""
        while True:
            if keeper.lost is not None:
                raise keeper.lost
            if past.epoch > keeper.epoch:
                raise JournalBusyError(f"another apply was faster to take the journal {past.title} over")
            number = past.number + 1
            head = SegmentHeader(segment=number, epoch=keeper.epoch, writer=keeper.owner, takeover=True)
            body = _line(head)
            # Where an answer was lost, asking again tells if it was one's own write that took the number.
            if await self._some_times(partial(stands, storage, number, body, keeper.epoch)):
                past.add(body)
                return
            further = await self._some_times(partial(storage.read, number))
            if not further:
                # The lease has another epoch, although the number is free.
                raise JournalBusyError(f"another apply was faster to take the journal {past.title} over")
            past.extend(further)

    async def _with(self, name: str, act: Callable[[SegmentStorage], Awaitable[T]]) -> T:
        """Do something outside a writer's work, some times over where the store does not answer."""
        try:
            async with self._connect(name) as storage:
                return await self._some_times(lambda: act(storage))
        except StoreUnavailableError as error:
            raise self._unreachable(error) from error

    async def _some_times(self, act: Callable[[], Awaitable[T]]) -> T:
        """Do something that may be done again, until the store answers, but not for ever.

        Raises:
            StoreUnavailableError: It never did.
        """
        for _ in range(_ATTEMPTS - 1):
            with contextlib.suppress(StoreUnavailableError):
                return await act()
            await self._time.sleep(RETRY_SECONDS)
        return await act()

    def _title(self, name: str) -> str:
        return f"{self._where.rstrip('/')}{self._before_name}{name}"

    def _unreachable(self, error: StoreUnavailableError) -> JournalError:
        return JournalError(f"cannot reach the journals of {self._where}: {error}")


class _Past:
    """The events of segments, in their order.

    Attributes:
        title: The journal, for messages.
        number: The number of the last segment; 0 if there is none.
        epoch: The highest epoch.
        events: The events.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.number = 0
        self.epoch = 0
        self.events: list[Event] = []
        self._lines = LineReader(title)

    def extend(self, bodies: Sequence[bytes]) -> None:
        for body in bodies:
            self.add(body)

    def add(self, body: bytes) -> None:
        head = header_of(body, f"{self.title}, segment {self.number + 1}")
        if head.segment != self.number + 1:
            raise JournalError(f"{self.title}: segment {self.number + 1} says that it is {head.segment}")
        self.number = head.segment
        self.epoch = max(self.epoch, head.epoch)
        self.events += self._lines.read(body[body.index(b"\n") + 1 :])


async def _replay(title: str, bodies: Sequence[bytes]) -> _Past:
    past = _Past(title)
    if sum(map(len, bodies)) < _LONG:
        past.extend(bodies)
    else:
        # On the loop, nobody could renew a lease meanwhile.
        await asyncio.to_thread(past.extend, bodies)
    return past


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
