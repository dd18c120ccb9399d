"""The shared poller: one task that looks for all waits of a kind, and ends with the last of them."""

from __future__ import annotations

import asyncio
import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from workspaces_apps.errors import ClientStateError, WaiterError, WaiterTimeoutError, WorkSpacesError
from workspaces_apps.waiters.policy import TINY

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from workspaces_apps.clock import Clock
    from workspaces_apps.waiters.policy import PollPolicy

ResultT = TypeVar("ResultT")
ErrorT = TypeVar("ErrorT", bound=WorkSpacesError)

_ALONG: Final = 0.2
"""What is due within this share of its delay is looked at along with what is due now."""

LAST_LOOK: Final = 30.0
"""Seconds that the last look, at a wait's deadline, may take; then it ends with what was seen before."""


class Wait(ABC, Generic[ResultT]):
    """One wait: what it is for, when it must be looked at, and how it ends."""

    __slots__ = ("began", "deadline", "delay", "due", "future", "longest", "policy", "polls", "resource_id")

    def __init__(self, resource_id: str, *, policy: PollPolicy, began: float, timeout: float | None) -> None:
        """A wait that must be looked at now.

        Args:
            resource_id: What it is for.
            policy: How often to look.
            began: The moment, in seconds of the clock's `monotonic`.
            timeout: Seconds until it ends without success; None for never.
        """
        self.resource_id: str = resource_id
        self.policy: PollPolicy = policy
        self.began: float = began
        self.deadline: float = math.inf if timeout is None else began + timeout
        self.delay: float = policy.shortest
        self.longest: float = policy.longest
        self.due: float = began
        self.polls: int = 0
        self.future: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()

    def counted(self) -> None:
        """Count one look."""
        self.polls += 1

    @property
    def ended(self) -> bool:
        """Whether it has ended, or nobody waits any more."""
        return self.future.done()

    @abstractmethod
    def last(self) -> Mapping[str, object]:
        """The last observation, by id."""

    @abstractmethod
    def late(self) -> WorkSpacesError:
        """The error for a wait whose time is up."""

    def looked(self, at: float, now: float, *, changed: bool, chance: float) -> None:
        """Plan the next look.

        Args:
            at: When this look's round began.
            now: The moment.
            changed: Whether something was new.
            chance: A number in [0, 1), the same for all in a round, which keeps them together.
        """
        self.counted()
        if changed:
            self.delay = self.policy.shortest
        self.due = max(now, at + self.delay * (1 - self.policy.jitter * chance))
        if not changed:
            self.delay = min(self.delay * self.policy.growth, self.longest)
        if self.deadline < self.due:
            self.due = max(now, self.deadline)

    def succeed(self, result: ResultT) -> None:
        """End it with a result."""
        if not self.future.done():
            self.future.set_result(result)

    def fail(self, error: WorkSpacesError, now: float) -> None:
        """End it with an error, which is told what was seen last."""
        if self.future.done():
            return
        self.future.set_exception(self.told(error, now))

    def told(self, error: ErrorT, now: float) -> ErrorT:
        """The error, with what was seen last and how long it took."""
        error.last = self.last()
        if isinstance(error, WaiterError):
            error.elapsed = timedelta(seconds=now - self.began)
            error.polls = self.polls
            error.resource_id = self.resource_id
        return error

    def fail_as_well(self, error: WorkSpacesError, now: float) -> None:
        """End it with its own copy of an error that ends other waits too."""
        own = copy.copy(error)
        own.__cause__ = error
        self.fail(own, now)


WaitT = TypeVar("WaitT", bound=Wait[Any])


class Alarm:
    """A sleep that can be cut short."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung: asyncio.Event = asyncio.Event()

    def ring(self) -> None:
        """End the sleep, or the next one before it begins."""
        self._rung.set()

    async def sleep(self, seconds: float) -> None:
        """Sleep until the clock has come that far, or `ring`."""
        if not self._rung.is_set():
            sleeper = asyncio.ensure_future(self._clock.sleep(seconds))
            sleeper.add_done_callback(self._over)
            try:
                await self._rung.wait()
            finally:
                sleeper.cancel()
            if sleeper.done() and not sleeper.cancelled():
                sleeper.result()
        self._rung.clear()

    def _over(self, sleeper: asyncio.Future[None]) -> None:
        # One that was cut short ends after the next one has begun, and must not end that too.
        if not sleeper.cancelled():
            self._rung.set()


class Poller(ABC, Generic[WaitT]):
    """Looks for all its waits, in rounds; its task lives while there are any.

    What is due soon is looked at along with what is due now, and all of a round are due again together, so that
    waits which began at different times come to share their rounds.
    """

    def __init__(self, clock: Clock, random: Callable[[], float]) -> None:
        """A poller for which nobody waits.

        Args:
            clock: Where time comes from.
            random: A number in [0, 1), for jitter.
        """
        self.clock = clock
        self._random = random
        self.waits: dict[WaitT, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._alarm = Alarm(clock)
        self._watched = math.inf
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> bool:
        """Whether its task is alive."""
        return self._task is not None and not self._task.done()

    def join(self, wait: WaitT) -> None:
        """Look for this wait too, from now on.

        Raises:
            ClientStateError: The client is closed, or waits on another event loop.
        """
        if self._closed:
            raise ClientStateError("the client is closed; make a new one")
        loop = asyncio.get_running_loop()
        if self.waits and self._loop is not loop:
            raise ClientStateError(
                "the client waits on another event loop; a client belongs to the loop that first used it"
            )
        self._loop = loop
        self.waits[wait] = None
        self.joined(wait)
        if not self.running:
            self._alarm = Alarm(self.clock)
            self._task = self._start(self._run())
        self._alarm.ring()
        if wait.deadline + LAST_LOOK < self._watched:
            if self._watch is not None:
                self._watch.cancel()
            self._watched = wait.deadline + LAST_LOOK
            self._watch = self._start(self._watch_deadlines())

    def _start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def leave(self, wait: WaitT) -> None:
        """Forget a wait; the last one out stops the poller."""
        if wait in self.waits:
            del self.waits[wait]
            self.left(wait)
        if not self.waits:
            self.stop()

    def stop(self) -> None:
        """End the tasks."""
        for task in (self._task, self._watch):
            if task is not None and task is not _current_task():
                task.cancel()
        self._watch, self._watched = None, math.inf
        if self._task is not _current_task():
            self._task = None

    def close(self, error: WorkSpacesError) -> None:
        """End every wait with an error, and take no more."""
        self._closed = True
        now = self.clock.monotonic()
        for wait in list(self.waits):
            wait.fail_as_well(error, now)
            self.leave(wait)
        self.stop()

    @abstractmethod
    async def look(self, due: list[WaitT], at: float, chance: float) -> None:
        """Look for all that are due, once; see that each wait's `looked` is called.

        Args:
            due: The waits.
            at: The moment, in seconds of the clock's `monotonic`.
            chance: A number in [0, 1), for jitter.
        """

    def joined(self, wait: WaitT) -> None:
        """A wait was added."""

    def left(self, wait: WaitT) -> None:
        """A wait has left."""

    def sweep(self) -> None:
        """Let go of the waits that have ended."""
        for wait in [wait for wait in self.waits if wait.future.done()]:
            del self.waits[wait]
            self.left(wait)

    async def _run(self) -> None:
        try:
            while self.waits:
                at = self.clock.monotonic()
                due = [
                    wait
                    for wait in self.waits
                    if wait.due <= at + TINY + _ALONG * wait.delay and not wait.future.done()
                ]
                if any(wait.due <= at + TINY for wait in due):
                    await self.look(due, at, self._random())
                    self._expire(due, at)
                self.sweep()
                if self.waits:
                    soonest = min(wait.due for wait in self.waits)
                    await self._alarm.sleep(max(0.0, soonest - self.clock.monotonic()))
        except Exception as error:  # noqa: BLE001 - it is raised again, in the tasks that wait
            self._break_off(error)
        finally:
            if not self.waits and self._watch is not None:
                self._watch.cancel()
                self._watch, self._watched = None, math.inf

    def _expire(self, due: list[WaitT], at: float) -> None:
        """End the waits that were looked at when their time was up, and still wait."""
        now = self.clock.monotonic()
        for wait in due:
            if wait.deadline <= at + TINY and not wait.future.done():
                wait.fail(wait.late(), now)

    def _break_off(self, error: Exception) -> None:
        """Pass on what is nobody's fault in particular: else the waits would go on for ever."""
        for wait in list(self.waits):
            if not wait.future.done():
                if isinstance(error, WorkSpacesError):
                    wait.fail_as_well(error, self.clock.monotonic())
                else:
                    wait.future.set_exception(error)
            del self.waits[wait]
            self.left(wait)

    async def _watch_deadlines(self) -> None:
        """End the waits whose last look takes too long: the service may hang, the deadline holds."""
        while self._watched < math.inf:
            await self.clock.sleep(max(0.0, self._watched - self.clock.monotonic()))
            now = self.clock.monotonic()
            for wait in [wait for wait in self.waits if wait.deadline + LAST_LOOK <= now + TINY]:
                wait.fail(wait.late(), now)
                # Whoever waits leaves by itself, and the last one stops the poller, whatever it is doing.
            self._watched = min(
                (wait.deadline + LAST_LOOK for wait in self.waits if not wait.future.done()),
                default=math.inf,
            )


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def too_late(what: str, timeout: float) -> WaiterTimeoutError:
    """The error of a wait whose time is up."""
    return WaiterTimeoutError(f"{what} within {timeout:g} s")
