"""A feed of news that somebody waits for, without a task or a timer of its own."""

from __future__ import annotations

import asyncio
import contextvars
import copy
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from workspaces_apps._observe.schedule import AWRY_FIRST
from workspaces_apps._observe.timers import TINY, Alarm, Timers
from workspaces_apps._telemetry.port import SERVED
from workspaces_apps.errors import ClientStateError, WorkSpacesError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import TracebackType

    from workspaces_apps._base.clock import Clock
    from workspaces_apps._observe.audience import PollAudience
    from workspaces_apps._observe.schedule import Schedule
    from workspaces_apps._observe.timers import Timer

NewsT = TypeVar("NewsT")


class Host(Protocol):
    """The observer as its feeds know it."""

    @property
    def clock(self) -> Clock:
        """The time of moments and delays."""
        ...

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Have something called at a moment."""
        ...

    def wake(self) -> None:
        """Work out anew what is due."""
        ...


class Feed(ABC, Generic[NewsT]):
    """News of one resource, until it is closed.

    Take the news one by one with `next`, or set `on_news` and `on_error`, which are called as it comes, and must be quick.

    Attributes:
        resource_id: The resource.
        schedule: How often it is polled.
        audience: The object that hears of the polls which serve it.
        tolerate_failures: Polls in a row that may fail.
        on_news: Is called with all news, instead of `next`.
        on_error: Is called with the error that ends it, instead of `next`.
        polls: How often there was news.
        span: The context of the span of who waits, for polls to link to; None without one.
        closed: Whether it has ended.
        at_once: Whether it must be polled now. The observer's, as are the next four.
        due: When it must be polled.
        optional: When it may be polled along with others.
        delay: Seconds to the next optional poll.
        failures: Polls that failed in a row.
    """

    __slots__ = (
        "_error",
        "_future",
        "_host",
        "_news",
        "at_once",
        "audience",
        "closed",
        "delay",
        "due",
        "failures",
        "on_error",
        "on_news",
        "optional",
        "polls",
        "resource_id",
        "schedule",
        "span",
        "tolerate_failures",
    )

    def __init__(
        self,
        host: Host,
        resource_id: str,
        schedule: Schedule,
        *,
        tolerate_failures: int,
        audience: PollAudience | None,
    ) -> None:
        self.resource_id: str = resource_id
        self.schedule: Schedule = schedule
        self.audience: PollAudience | None = audience
        self.tolerate_failures: int = tolerate_failures
        self.on_news: Callable[[NewsT], None] | None = None
        self.on_error: Callable[[Exception], None] | None = None
        self.polls: int = 0
        self.span: object = SERVED.get()
        self.closed: bool = False
        self.at_once: bool = True
        self.delay: float = schedule.shortest
        self.due: float = host.clock.monotonic()
        self.optional: float = self.due + self.delay
        self.failures: int = 0
        self._host = host
        self._news: NewsT | None = None
        self._error: Exception | None = None
        self._future: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hear of nothing more; may be called again."""
        if not self.closed:
            self._end(ClientStateError("the subscription is closed"))

    def hurry(self) -> None:
        """Have it polled at once."""
        self.at_once = True
        self._host.wake()

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Have something called at a moment of the clock's `monotonic`."""
        return self._host.call_at(when, callback)

    async def next(self, until: float | None = None) -> NewsT | None:
        """Wait for news: everything since the last `next`, merged.

        Args:
            until: The moment after which not to wait, in seconds of the clock's `monotonic`.

        Returns:
            The news; None once `until` has passed.

        Raises:
            WorkSpacesError: More polls in a row failed than are tolerated, or one in a way that does not pass.
            ClientStateError: The client or the subscription was closed.
        """
        while True:
            if self._news is not None:
                news, self._news = self._news, None
                return news
            if self._error is not None:
                raise self._error
            if until is not None and self._host.clock.monotonic() >= until - TINY:
                return None
            self._future = asyncio.get_running_loop().create_future()
            timer = self._host.call_at(until, self._wake) if until is not None else None
            try:
                await self._future
            finally:
                self._future = None
                if timer is not None:
                    timer.cancel()

    def deliver(self, news: NewsT) -> None:
        """Hand over news."""
        if self.closed:
            return
        self.polls += 1
        self.failures = 0
        if self.on_news is not None:
            self.on_news(news)
            return
        self._news = news if self._news is None else self._merged(self._news, news)
        self._wake()

    def fail(self, error: Exception) -> None:
        """End it with an error, or with a copy of one of ours: each waiter's is told what that one saw."""
        if self.closed:
            return
        if isinstance(error, WorkSpacesError):
            own = copy.copy(error)
            own.__cause__ = error
            error = own
        self._end(error)
        if self.on_error is not None:
            self.on_error(error)

    def retry(self, now: float) -> None:
        """Set when it is polled next after a poll that failed."""
        self.due = self.optional = now + max(AWRY_FIRST, self.delay)
        self.delay = min(self.delay * max(1.5, self.schedule.growth), max(self.delay, self.schedule.tick))

    def plan_optional(self, at: float, now: float, *, changed: bool, chance: float) -> None:
        """Set when it may be polled next: soon after a change, then ever later.

        Args:
            at: When the round began that showed it last.
            now: The moment.
            changed: Whether something was new.
            chance: A number in [0, 1), the same for all in a round, which keeps them together.
        """
        schedule = self.schedule
        if changed:
            self.delay = schedule.shortest
        self.optional = max(now, at + self.delay * (1 - schedule.jitter * chance))
        if not changed:
            self.delay = min(self.delay * schedule.growth, schedule.tick)

    @staticmethod
    @abstractmethod
    def _merged(before: NewsT, after: NewsT) -> NewsT:
        """Return what two pieces of news, in their order, tell together."""

    @abstractmethod
    def _leave(self) -> None:
        """Have the observer forget it."""

    def _end(self, error: Exception) -> None:
        self.closed = True
        self._error = error
        self._leave()
        self._wake()

    def _wake(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)


class FeedSource(ABC, Generic[NewsT]):
    """The part that observers share: who may subscribe, the tasks that run while anybody does, and their end.

    Attributes:
        clock: The time of moments and delays.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock: Clock = clock
        self._timers = Timers()
        self._alarm = Alarm(clock)
        self._tasks: frozenset[asyncio.Task[None]] = frozenset()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """The tasks that it runs; none while nobody subscribes."""
        return self._tasks

    async def close(self, error: WorkSpacesError) -> None:
        """End every subscription with an error, and take no more."""
        self._closed = True
        tasks = self._tasks
        self._break_off(error)
        if tasks:
            await asyncio.wait(tasks)

    @abstractmethod
    def _each(self) -> Iterator[Feed[NewsT]]:
        """Return every feed that is open."""

    def _admit(self) -> None:
        """Let somebody subscribe.

        Raises:
            ClientStateError: The client is closed, or somebody subscribes on another event loop.
        """
        if self._closed:
            raise ClientStateError("the client is closed; make a new one")
        loop = asyncio.get_running_loop()
        if self._loop is not loop and next(self._each(), None) is not None:
            raise ClientStateError(
                "the client waits on another event loop; a client belongs to the loop that first used it"
            )
        self._loop = loop

    def _run(self, *work: Callable[[], Awaitable[None]]) -> None:
        """Begin tasks in contexts of their own: nobody's request, span or log fields, whoever subscribed first."""
        loop = asyncio.get_running_loop()
        self._alarm = Alarm(self.clock)
        self._tasks = frozenset(
            loop.create_task(
                self._guarded(one), name="workspaces-apps observer", context=contextvars.Context()
            )
            for one in work
        )

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = frozenset()

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run a task; an error nobody foresaw ends the subscriptions instead of leaving them for ever."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - it is raised again, by whoever subscribes
            self._break_off(error)

    def _break_off(self, error: Exception) -> None:
        for feed in list(self._each()):
            feed.fail(error)
