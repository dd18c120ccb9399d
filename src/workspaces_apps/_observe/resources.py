"""The observer of single resources, such as WorkSpaces with all their properties, images and directories."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from workspaces_apps._base.clock import sleep_or
from workspaces_apps._observe.reads import is_lasting, is_spoilt, portions
from workspaces_apps._observe.schedule import TINY
from workspaces_apps._observe.subscription import Feed, FeedSource, polled
from workspaces_apps.errors import ServiceError, WorkSpacesError

if TYPE_CHECKING:
    from workspaces_apps._observe.schedule import Schedule, Timer
    from workspaces_apps._observe.subscription import PollAudience, Polling
    from workspaces_apps.api.operations import Operations

ResourceT = TypeVar("ResourceT")
NewsT = TypeVar("NewsT")


@dataclass(frozen=True, slots=True)
class Reading(Generic[ResourceT]):
    """A resource as it was read.

    Attributes:
        resource: The resource; None for absent.
        at: When the read began, in seconds of the clock's `monotonic`.
    """

    resource: ResourceT | None
    at: float


class ResourceObserver(FeedSource[Reading[ResourceT]], Generic[ResourceT]):
    """Polls all resources of one kind that somebody waits for, 25 a call."""

    def __init__(
        self,
        operation: str,
        describe: Callable[[Operations, list[str]], Awaitable[dict[str, ResourceT]]],
        polling: Polling,
    ) -> None:
        """Make an observer that nobody subscribes to.

        Args:
            operation: The operation that describes them.
            describe: Describes up to 25 by id; what is absent is missing in the answer.
            polling: What polls are made with.
        """
        super().__init__(polling)
        self._operation = operation
        self._describe = describe
        self._feeds: dict[str, list[Feed[Reading[ResourceT]]]] = {}
        self._last: dict[str, ResourceT | None] = {}
        self._time_changed: asyncio.Event = asyncio.Event()

    def subscribe(
        self,
        resource_id: str,
        schedule: Schedule,
        *,
        tolerate_failures: int = 0,
        audience: PollAudience | None = None,
    ) -> Feed[Reading[ResourceT]]:
        """Subscribe to a resource, which is read at once.

        Args:
            resource_id: The resource.
            schedule: How often to poll: its delays only.
            tolerate_failures: Polls in a row that may fail before that is raised.
            audience: An object that hears of the attempts which serve this subscription.

        Raises:
            ClientStateError: The client is closed, or somebody subscribes on another event loop.
        """
        self._admit()
        feed = Feed(self, resource_id, schedule, tolerate_failures=tolerate_failures, audience=audience)
        self._feeds.setdefault(resource_id, []).append(feed)
        if not self._tasks:
            self._time_changed = asyncio.Event()
            self._run(self._poll, self._watch_time)
        self.wake()
        return feed

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Have something called at a moment of the clock's `monotonic`, if anybody still subscribes then."""
        self._time_changed.set()
        return self._timers.at(when, callback)

    def wake(self) -> None:
        """Work out anew what is due."""
        self._changed.set()

    def leave(self, feed: Feed[Reading[ResourceT]]) -> None:
        """Forget a subscription; the last one out ends the task."""
        feeds = self._feeds.get(feed.resource_id, [])
        if feed in feeds:
            feeds.remove(feed)
        if not feeds:
            self._feeds.pop(feed.resource_id, None)
            self._last.pop(feed.resource_id, None)
        if not self._feeds:
            self._stop()

    async def _watch_time(self) -> None:
        """Make the calls whose moment has come, whatever a poll does meanwhile."""
        while True:
            now = self.clock.monotonic()
            self._timers.run(now)
            await sleep_or(self.clock, self._timers.soonest - now, self._time_changed)
            self._time_changed.clear()

    async def _poll(self) -> None:
        while True:
            now = self.clock.monotonic()
            due = {one.resource_id: None for one in self._each() if one.at_once or _due(one) <= now + TINY}
            if not due:
                soonest = min(map(_due, self._each()), default=math.inf)
                await sleep_or(self.clock, soonest - now, self._changed)
                self._changed.clear()
                continue
            along = (one for one in self._each() if _due(one) <= now + TINY + one.schedule.along * one.delay)
            due.update((one.resource_id, None) for one in along)
            for one in self._each():
                if one.resource_id in due:
                    one.at_once = False
            chance = self._polling.random()
            for ids in portions(list(due)):
                await self._read(list(ids), now, chance)

    async def _read(self, ids: list[str], round_at: float, chance: float) -> None:
        await self.turn(self._operation)
        at = self.clock.monotonic()
        client = self.view_for(lambda: self._feeds_of(ids))
        try:
            with polled(self._operation, len(ids), self._feeds_of(ids), self.clock):
                found = await self._describe(client, ids)
        except ServiceError as error:
            if len(ids) == 1 or not is_spoilt(error):
                self._failed(ids, error)
                return
            # One bad id must not end the waits for the others.
            for one in ids:
                await self._read([one], round_at, chance)
            return
        except WorkSpacesError as error:
            self._failed(ids, error)
            return
        now = self.clock.monotonic()
        for one in ids:
            if one not in self._feeds:
                continue
            resource = found.get(one)
            changed = one not in self._last or resource != self._last[one]
            self._last[one] = resource
            for feed in list(self._feeds[one]):
                feed.plan_optional(round_at, now, changed=changed, chance=chance)
                feed.deliver(Reading(resource, at))

    def _failed(self, ids: list[str], error: WorkSpacesError) -> None:
        now = self.clock.monotonic()
        for feed in self._feeds_of(ids):
            feed.failures += 1
            if is_lasting(error) or feed.failures > feed.tolerate_failures:
                feed.fail(error)
            else:
                feed.retry(now)

    def _feeds_of(self, ids: list[str]) -> list[Feed[Reading[ResourceT]]]:
        return [feed for one in ids for feed in self._feeds.get(one, ())]

    def _each(self) -> Iterator[Feed[Reading[ResourceT]]]:
        for feeds in self._feeds.values():
            yield from feeds


def _due(feed: Feed[NewsT]) -> float:
    return -math.inf if feed.at_once else feed.optional
