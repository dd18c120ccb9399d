"""Lease of a journal: one writer at a time, on whatever machine, without a comparison of two machines' clocks.

A writer renews its lease at a third of its length. A taker waits until it has not seen it change for its whole length,
by the taker's own clock; the writer counts from *before* it asked for the last renewal, by its own clock, and trusts it
for nine tenths of the length only. So the former writer has stopped before the next one begins, as long as the clocks
run about equally fast, whatever time they show.

A lease that could not be renewed for a while is suspended, not lost: nothing is begun, and if nobody took it over it is
renewed once the store is back. The lease decides who may try; that nobody writes who has lost it, the journal's own
numbering ensures (see `segments`).
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias

from pydantic import BaseModel

from workspaces_apps._base.logs import field_logger
from workspaces_apps.rollout._errors import JournalBusyError, JournalError

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
        held: "_Held",
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

    def lose(self, message: str) -> JournalError:
        """Give it up for lost; the first reason stays."""
        if self.lost is None:
            self.lost = JournalError(message)
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
                self.lose(f"the lease of the journal {self._journal} cannot be renewed: {error.message}")

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

    def _keep(self, held: "_Held") -> None:
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
) -> "_Held":
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
