"""Subscriptions: feeds of news that somebody waits for, their sources, and the audiences of polls."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import math
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from workspaces_apps._base.clock import start_detached
from workspaces_apps._observe.reads import Snapshot, is_lasting
from workspaces_apps._observe.schedule import AWRY_FIRST, TINY, Timers
from workspaces_apps._telemetry.port import CURRENT_POLL, SERVED, Hooks, Poll, PollRecord, notify
from workspaces_apps.errors import ClientStateError, WorkSpacesError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator

    from workspaces_apps._base.clock import Clock
    from workspaces_apps._observe.schedule import Durations, Schedule, Timer
    from workspaces_apps._telemetry.port import AttemptRecord, RetryRecord, ThrottleRecord
    from workspaces_apps.api.operations import Operations


class PollAudience(Protocol):
    """An object that hears of the attempts of polls; `shared` tells that other audiences were served as well."""

    def attempt(self, record: AttemptRecord, *, shared: bool) -> None:
        """Hear of an attempt after it ended."""
        ...

    def retry(self, record: RetryRecord, *, shared: bool) -> None:
        """Hear of a retry before its wait."""
        ...

    def throttle(self, record: ThrottleRecord, *, shared: bool) -> None:
        """Hear of an attempt that was throttled."""
        ...

    def poll(self, record: PollRecord, *, shared: bool) -> None:
        """Hear of a poll after it ended."""
        ...


@dataclass(frozen=True, slots=True)
class HooksAudience:
    """Hooks as an audience; equal hooks are one audience.

    Attributes:
        hooks: The functions that are called.
    """

    hooks: Hooks

    def attempt(self, record: AttemptRecord, *, shared: bool) -> None:  # noqa: ARG002 - hooks do not tell it
        """Call `on_attempt`."""
        notify(self.hooks.on_attempt, record)

    def retry(self, record: RetryRecord, *, shared: bool) -> None:  # noqa: ARG002
        """Call `on_retry`."""
        notify(self.hooks.on_retry, record)

    def throttle(self, record: ThrottleRecord, *, shared: bool) -> None:  # noqa: ARG002
        """Call `on_throttle`."""
        notify(self.hooks.on_throttle, record)

    def poll(self, record: PollRecord, *, shared: bool) -> None:  # noqa: ARG002
        """Call `on_poll`."""
        notify(self.hooks.on_poll, record)


@contextmanager
def polled(operation: str, resources: int, served: Iterable[Feed[NewsT]], clock: Clock) -> Generator[None]:
    """Make a block a poll: its calls link to the spans of who waits, and the audiences hear how it ended.

    A poll that is cancelled, because nobody waits any more, is told to nobody.

    Args:
        operation: The API operation.
        resources: How many WorkSpaces, images or directories it is for.
        served: The subscriptions that it serves.
        clock: The time of the record.
    """
    feeds = tuple(served)
    token = CURRENT_POLL.set(Poll(resources, lambda: (one.span for one in feeds)))
    began, failure = clock.monotonic(), None
    try:
        yield
    except WorkSpacesError as error:
        failure = error
        raise
    except BaseException:
        feeds = ()
        raise
    finally:
        CURRENT_POLL.reset(token)
        audiences = dict.fromkeys(one.audience for one in feeds)
        elapsed = clock.monotonic() - began
        record = PollRecord(operation=operation, resources=resources, elapsed=elapsed, error=failure)
        for audience in audiences:
            if audience is not None:
                audience.poll(record, shared=len(audiences) > 1)


def hooks_for(served: Callable[[], Iterable[PollAudience | None]]) -> Hooks:
    """Return hooks that pass on to each audience once.

    Whoever a poll was sent for may have learned it elsewhere, and left before the answer. It was sent for them all the
    same, so where nobody is served any more, those are told who were served last.

    Args:
        served: Gives the audiences that an attempt served, None for a subscription without one; called per attempt,
            because a listing serves fewer the further it has come.
    """
    last = dict.fromkeys(served())

    def told(tell: Callable[[PollAudience, bool], None]) -> None:
        nonlocal last
        audiences = last = dict.fromkeys(served()) or last
        for audience in audiences:
            if audience is not None:
                tell(audience, len(audiences) > 1)

    return Hooks(
        on_attempt=lambda record: told(lambda one, shared: one.attempt(record, shared=shared)),
        on_retry=lambda record: told(lambda one, shared: one.retry(record, shared=shared)),
        on_throttle=lambda record: told(lambda one, shared: one.throttle(record, shared=shared)),
    )


NewsT = TypeVar("NewsT")


class Feed(Generic[NewsT]):
    """News of one resource, until it is closed; made by the `subscribe` of its source.

    Take the news one by one with `next`, or set `on_news` and `on_error`, which are called as it comes, and must be quick.

    Attributes:
        resource_id: The resource.
        schedule: How often it is polled.
        audience: The object that hears of the polls which serve it.
        tolerate_failures: Polls in a row that may fail.
        is_news: Tells if `next` is to return something; None: it returns all news.
        on_news: Is called with all news, instead of `next`.
        on_error: Is called with the error that ends it, instead of `next`.
        polls: How often something was shown, whether it was news or not.
        span: The context of the span of who waits, for polls to link to; None without one.
        closed: Whether it has ended.
        at_once: Whether it must be polled now. The observer's, as are the next four.
        due: When it must be polled.
        optional: When it may be polled along with others.
        delay: Seconds to the next optional poll.
        failures: Polls that failed in a row.
        trouble: The error of the last of them; None if the last poll was none.
    """

    __slots__ = (
        "_error",
        "_future",
        "_news",
        "_source",
        "at_once",
        "audience",
        "closed",
        "delay",
        "due",
        "failures",
        "is_news",
        "on_error",
        "on_news",
        "optional",
        "polls",
        "resource_id",
        "schedule",
        "span",
        "tolerate_failures",
        "trouble",
    )

    def __init__(
        self,
        source: FeedSource[NewsT],
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
        self.is_news: Callable[[NewsT], bool] | None = None
        self.on_news: Callable[[NewsT], None] | None = None
        self.on_error: Callable[[Exception], None] | None = None
        self.polls: int = 0
        self.span: object = SERVED.get()
        self.closed: bool = False
        self.at_once: bool = True
        self.delay: float = schedule.shortest
        self.due: float = source.clock.monotonic()
        self.optional: float = self.due + self.delay
        self.failures: int = 0
        self.trouble: WorkSpacesError | None = None
        self._source = source
        self._news: NewsT | None = None
        self._error: Exception | None = None
        self._future: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hear of nothing more; may be called again."""
        if not self.closed:
            self._end(None)

    def hurry(self) -> None:
        """Have it polled at once."""
        self.at_once = True
        self._source.wake()

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Have something called at a moment of the clock's `monotonic`."""
        return self._source.call_at(when, callback)

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
            if self.closed:
                raise ClientStateError("the subscription is closed")
            if until is not None and self._source.clock.monotonic() >= until - TINY:
                return None
            self._future = asyncio.get_running_loop().create_future()
            timer = self._source.call_at(until, self._wake) if until is not None else None
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
        self.failures, self.trouble = 0, None
        if self.on_news is not None:
            self.on_news(news)
            return
        if self._news is not None:
            news = self._merged(self._news, news)
        elif self.is_news is not None and not self.is_news(news):
            return
        self._news = news
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

    def poll_failed(self, error: WorkSpacesError, now: float) -> None:
        """Count a poll that failed: the error ends it if it is one too many or does not pass, else there is another poll."""
        self.failures, self.trouble = self.failures + 1, error
        if is_lasting(error) or self.failures > self.tolerate_failures:
            self.fail(error)
        self.retry(now)

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
    def _merged(before: NewsT, after: NewsT) -> NewsT:  # noqa: ARG004 - a subclass adds them up
        """Return what two pieces of news, in their order, tell together: the latter."""
        return after

    def _end(self, error: Exception | None) -> None:
        self.closed = True
        self._error = error
        self._source.leave(self)
        self._wake()

    def _wake(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Polling:
    """The means of polls, which all observers of a client share.

    Attributes:
        view: Returns the client's own view with other hooks, which makes the polls.
        clock: The time of moments and delays.
        random: A number in [0, 1), for jitter.
        delay: Reserves a poll's turn of an operation, and returns the seconds until it comes.
    """

    view: Callable[[Hooks], Operations]
    clock: Clock
    random: Callable[[], float]
    delay: Callable[[str], Awaitable[float]]


class FeedSource(ABC, Generic[NewsT]):
    """The part that observers share: who may subscribe, the tasks that run while anybody does, and their end.

    Args:
        polling: What polls are made with.

    Attributes:
        clock: The time of moments and delays.
    """

    def __init__(self, polling: Polling) -> None:
        self.clock: Clock = polling.clock
        self._polling = polling
        self._timers = Timers()
        self._changed: asyncio.Event = asyncio.Event()
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
    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Have something called at a moment of the clock's `monotonic`, if anybody still subscribes then."""

    @abstractmethod
    def wake(self) -> None:
        """Work out anew what is due."""

    @abstractmethod
    def leave(self, feed: Feed[NewsT]) -> None:
        """Forget a subscription; the last one out ends the tasks."""

    def view_for(self, served: Callable[[], Iterable[Feed[NewsT]]]) -> Operations:
        """Return the view for a poll, whose hooks tell the audiences that it serves at each attempt."""
        return self._polling.view(hooks_for(lambda: [one.audience for one in served()]))

    async def turn(self, operation: str) -> None:
        """Wait until a poll of this operation may go."""
        delay = await self._polling.delay(operation)
        if delay > 0:
            await self.clock.sleep(delay)

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
        self._changed = asyncio.Event()
        self._tasks = frozenset(start_detached(one, name="workspaces-apps observer") for one in work)
        for task in self._tasks:
            task.add_done_callback(self._task_ended, context=contextvars.Context())

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = frozenset()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """End the subscriptions with what has ended a task, instead of leaving them for ever."""
        if task not in self._tasks:
            return
        if task.cancelled():
            self._break_off(
                ClientStateError(
                    "the client's polls were cancelled by other code, such as a loop over asyncio.all_tasks(); wait again"
                )
            )
        elif isinstance(error := task.exception(), Exception):
            self._break_off(error)

    def _break_off(self, error: Exception) -> None:
        for feed in list(self._each()):
            feed.fail(error)


def merged(before: Snapshot, after: Snapshot) -> Snapshot:
    """Return what two snapshots of a WorkSpace, in their order, show together."""
    if after.complete:
        return after
    shown = after.associations.keys()
    associations = {one: row for one, row in before.associations.items() if one not in after.absent}
    return replace(
        after,
        at=before.at,
        associations=associations | dict(after.associations),
        complete=before.complete,
        absent=(before.absent - shown) | after.absent,
        unconfirmed=(before.unconfirmed - shown - after.absent) | after.unconfirmed,
        refusal=None if shown else before.refusal,
    )


class Subscription(Feed[Snapshot]):
    """News of one WorkSpace; made by `AssociationObserver.subscribe`.

    Example:
        with observer.subscribe("ws-1", {"wsa-1"}, DEPLOYMENT_SCHEDULE, since=deployed_at) as subscription:
            while (snapshot := await subscription.next(until=deadline)) is not None:
                ...

    Attributes:
        since: When its deployment began, in seconds of the clock's `monotonic`.
        unread: Whether its associations must be read, whatever else is known. The observer's.
    """

    __slots__ = ("_applications", "since", "unread")

    def __init__(
        self,
        source: FeedSource[Snapshot],
        workspace_id: str,
        applications: frozenset[str] | None,
        schedule: Schedule,
        *,
        since: float | None,
        tolerate_failures: int,
        audience: PollAudience | None,
    ) -> None:
        super().__init__(
            source, workspace_id, schedule, tolerate_failures=tolerate_failures, audience=audience
        )
        self.unread: bool = since is None
        self.at_once: bool = self.unread
        self.since: float = self.due if since is None else since
        self.due: float = schedule.aligned(self.since + schedule.first)
        self._applications = applications

    @property
    def workspace_id(self) -> str:
        """The WorkSpace."""
        return self.resource_id

    @property
    def applications(self) -> frozenset[str] | None:
        """The applications that matter; None for all, none for the state of the WorkSpace alone. May be changed."""
        return self._applications

    @applications.setter
    def applications(self, applications: frozenset[str] | None) -> None:
        if applications == self._applications:
            return
        before, self._applications = self._applications, applications
        narrowed = before is None or (applications is not None and applications < before)
        if not applications or not narrowed:
            self.at_once = True
            self._source.wake()

    def hurry(self) -> None:
        """Have it polled at once, associations included."""
        self.unread = True
        super().hurry()

    def plan(
        self,
        at: float,
        now: float,
        *,
        changed: bool,
        chance: float,
        tick: float,
        parts: float,
        durations: Durations,
    ) -> None:
        """Set when it is polled next.

        Args:
            at: When the round began that showed it last.
            now: The moment.
            changed: Whether something was new.
            chance: A number in [0, 1), for jitter.
            tick: Seconds from one required poll to the next when the end is near.
            parts: How many parts each step of the grid has.
            durations: What is known of how long deployments take.
        """
        schedule = self.schedule
        self.plan_optional(at, now, changed=changed, chance=chance)
        if schedule.strict or not self._applications:
            # For the state alone, all who wait share their calls.
            self.due = self.optional if schedule.strict else schedule.aligned(self.optional, parts)
            return
        near = durations.near
        age = at - self.since
        if near is not None and age >= near:
            due = at + tick
        else:
            next_age = schedule.next_age(age, known=near is not None)
            due = self.since + (next_age if near is None else min(next_age, near))
        # Never at the same moment again, however the ages round.
        soonest = max(now, at + min(tick, schedule.shortest))
        self.due = schedule.aligned(max(soonest, min(due, at + schedule.bound)), parts)
        if near is not None and (age >= near or not schedule.eager):
            # What is required of all at the same moment is not to be split by a few that come before.
            self.optional: float = math.inf

    @staticmethod
    def _merged(before: Snapshot, after: Snapshot) -> Snapshot:
        return merged(before, after)
