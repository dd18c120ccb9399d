"""The observer of a client: reads on demand, and polls that all who subscribe share."""

from __future__ import annotations

import asyncio
import contextvars
import math
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

from workspaces_apps._base.clock import sleep_or
from workspaces_apps._base.logs import field_logger
from workspaces_apps._observe.lanes import UNLISTED, Lanes, Watched
from workspaces_apps._observe.reads import (
    IDS,
    AssociationRecord,
    Snapshot,
    list_pages,
    read_in_portions,
    read_states,
    read_workspace,
    side_by_side,
)
from workspaces_apps._observe.schedule import DEPLOYMENT_SCHEDULE, TINY, Experience, calls_for
from workspaces_apps._observe.subscription import Feed, FeedSource, Subscription
from workspaces_apps.api.errors import AccessDeniedException

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from workspaces_apps._observe.schedule import Schedule, Timer
    from workspaces_apps._observe.subscription import PollAudience, Polling
    from workspaces_apps.api import WorkspaceState
    from workspaces_apps.api.operations import Operations
    from workspaces_apps.errors import WorkSpacesError

_log = field_logger("workspaces_apps.observer")

_AWRY_PARTS: Final = 3
"""Moments of the grid, for each of the usual ones, at which WorkSpaces are polled whose state contradicts."""

_OPTIONAL_SHARE: Final = 0.8
"""The share of a delay for which optional polls rest after each other: they have one call at a time for all."""

_FIRST: Final = 5.0
"""Seconds after which deployments are first polled, one call for all, while it is not known how long they take: a test's
may be quick."""

_FINE_PARTS: Final = 4
"""Moments of the grid for each of the usual ones where such polls tell much: see `Experience.is_fine`."""

_ALIKE_PARTS: Final = 4 / 3
"""The same where deployments take about as long as each other, so that each is polled but a few times: every third of those
moments, which shares calls with the finer ones."""

_WORTH_A_CALL: Final = 0.8
"""Deployments that have ended, as far as can be foreseen, which one more call for states must show."""


class AssociationObserver(FeedSource[Snapshot]):
    """Reads and polls the WorkSpaces of a client; one for the client and all of its views.

    Three kinds of calls show how deployments come on: the states of 25 WorkSpaces (a hint: UPDATING only postpones a
    read), a page of one application's associations, and one WorkSpace's associations. Polls take whichever is cheapest,
    and at most half of the proven rate of each operation.

    Example:
        snapshot = await observer.read("ws-1")
        with observer.subscribe("ws-1", {"wsa-1"}, DEPLOYMENT_SCHEDULE, since=deployed_at) as subscription:
            news = await subscription.next(until=deadline)
    """

    def __init__(self, client: Operations, polling: Polling) -> None:
        """Make an observer that nobody subscribes to.

        Args:
            client: The client's own view, which reads where no other is given.
            polling: What polls are made with.
        """
        super().__init__(polling)
        self._client = client
        self._watched: dict[str, Watched] = {}
        self._experience = Experience()
        self._round_calls = 0
        self._optional_from = -math.inf
        self._due_from = math.inf
        self._begun_at = -math.inf
        self._sleeps_until = -math.inf
        self._lanes: Lanes | None = None
        self._context = contextvars.Context()

    async def read(self, workspace_id: str, *, via: Operations | None = None) -> Snapshot:
        """Read the associations of one WorkSpace: work, not a poll, that begins now and is joined to no other read.

        Args:
            workspace_id: The WorkSpace.
            via: The view whose call it is; None for the client itself.

        Returns:
            What it showed, which subscribers of the WorkSpace hear of too; `exists` is False after a
            ResourceNotFoundException.

        Raises:
            WorkSpacesError: The call failed.
        """
        client = via if via is not None else self._client
        return self._publish(await read_workspace(client, workspace_id, self.clock.monotonic()))

    async def read_many(
        self,
        workspace_ids: Collection[str],
        applications: Collection[str],
        *,
        states_of: Collection[str] | None = None,
        via: Operations | None = None,
    ) -> Mapping[str, Snapshot]:
        """Read many WorkSpaces, their states included, in as few calls as the service allows.

        Args:
            workspace_ids: The WorkSpaces.
            applications: The applications that matter; what else is associated may be left out.
            states_of: Those whose states are read; None for all.
            via: The view whose calls they are; None for the client itself.

        Returns:
            A snapshot for each WorkSpace, but for those whose associations could not be read where others' could; its
            `unconfirmed` has the applications that a listing of several pages did not show.

        Raises:
            WorkSpacesError: A call failed that was for all, or the calls for all of them.
        """
        client = via if via is not None else self._client
        ids = list(dict.fromkeys(workspace_ids))
        at = self.clock.monotonic()
        reading = asyncio.ensure_future(self._read_associations(client, ids, sorted(set(applications))))
        stated = ids if states_of is None else list(dict.fromkeys(states_of))
        states = asyncio.ensure_future(self.read_states_if_allowed(stated, client))
        try:
            snapshots, found = await asyncio.gather(reading, states)
        finally:
            reading.cancel()
            states.cancel()
            await asyncio.gather(reading, states, return_exceptions=True)
        return {
            one: self._publish(
                replace(snapshot, state_denied=True)
                if found is None
                else replace(snapshot, workspace_state=found[one], state_at=at)
                if one in found
                else snapshot
            )
            for one, snapshot in snapshots.items()
        }

    async def read_state(self, workspace_id: str, *, via: Operations | None = None) -> Snapshot:
        """Read the state of one WorkSpace, and nothing else.

        Args:
            workspace_id: The WorkSpace.
            via: The view whose call it is; None for the client itself.

        Raises:
            WorkSpacesError: The call failed.
        """
        client = via if via is not None else self._client
        at = self.clock.monotonic()
        states = await self.read_states_if_allowed([workspace_id], client)
        if states is None:
            return Snapshot(workspace_id=workspace_id, at=at, state_denied=True)
        return Snapshot(
            workspace_id=workspace_id, at=at, workspace_state=states.get(workspace_id), state_at=at
        )

    async def read_states(
        self, workspace_ids: Collection[str], *, via: Operations | None = None
    ) -> Mapping[str, WorkspaceState | None]:
        """Read the states of WorkSpaces, 25 a call; None for one that the service does not list.

        Args:
            workspace_ids: The WorkSpaces; those are left out whose states could not be read where others' could.
            via: The view whose calls they are; None for the client itself.

        Raises:
            WorkSpacesError: No state could be read.
        """
        client = via if via is not None else self._client
        ids = list(dict.fromkeys(workspace_ids))
        readings = await read_in_portions(partial(read_states, client), ids)
        if not readings.found:
            readings.check()
        return readings.found

    async def read_states_if_allowed(
        self, ids: Sequence[str], client: Operations
    ) -> Mapping[str, WorkspaceState | None] | None:
        """Read the states of WorkSpaces, as `read_states`; None where that is not allowed, which then is not asked for again."""
        if self._experience.hint_denied:
            return None
        try:
            return await self.read_states(ids, via=client)
        except AccessDeniedException as error:
            self._experience.deny_hints(error)
            return None

    def subscribe(
        self,
        workspace_id: str,
        applications: Iterable[str] | None,
        schedule: Schedule,
        *,
        since: float | None = None,
        tolerate_failures: int = 0,
        audience: PollAudience | None = None,
    ) -> Subscription:
        """Subscribe to what polls and reads show of a WorkSpace, until the subscription is closed.

        Args:
            workspace_id: The WorkSpace.
            applications: The applications that matter; None for all, none for the state of the WorkSpace alone.
            schedule: How often to poll.
            since: When a deployment began whose associations are known, in seconds of the clock's `monotonic`; None:
                now, and they are read at once.
            tolerate_failures: Polls in a row that may fail before that is raised.
            audience: An object that hears of the attempts which serve this subscription.

        Raises:
            ClientStateError: The client is closed, or somebody subscribes on another event loop.
        """
        self._admit()
        subscription = Subscription(
            self,
            workspace_id,
            None if applications is None else frozenset(applications),
            schedule,
            since=since,
            tolerate_failures=tolerate_failures,
            audience=audience,
        )
        now = self.clock.monotonic()
        if since is not None and not schedule.eager:
            near = self._experience.durations.near
            if near is None:
                subscription.optional = min(subscription.optional, now + _FIRST)
            else:
                # Nothing is polled before its time any more, as in every later round.
                subscription.optional = math.inf
                soonest = schedule.aligned(since + max(near, _FIRST), self._parts(now))
                subscription.due = min(subscription.due, soonest)
        watched = self._watched.get(workspace_id)
        if watched is None:
            watched = self._watched[workspace_id] = Watched(workspace_id, now)
        if since is not None:
            watched.begin(since, now)
            self._begun_at = max(self._begun_at, since)
        watched.subscriptions.append(subscription)
        if not self._tasks:
            self._start()
        self._wake_for(watched)
        return subscription

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Have something called at a moment of the clock's `monotonic`, if anybody still subscribes then."""
        timer = self._timers.at(when, callback)
        self._ring_by(when)
        return timer

    def wake(self) -> None:
        """Work out anew what is due."""
        self._wake_by(-math.inf)

    def leave(self, feed: Feed[Snapshot]) -> None:
        """Forget a subscription; the last one out ends the tasks."""
        watched = self._watched.get(feed.resource_id)
        if watched is None or feed not in watched.subscriptions:
            return
        watched.subscriptions = [one for one in watched.subscriptions if one is not feed]
        if watched.subscriptions:
            return
        del self._watched[feed.resource_id]
        self._experience.never_updating.discard(feed.resource_id)
        if not self._watched:
            self._experience.rows.clear()
            self._stop()
        elif len(self._watched) == IDS:
            # Those that are left now fit in one call, which may be worth making more often.
            for one in self._watched.values():
                if not (one.jobs or any(sub.failures for sub in one.subscriptions)):
                    self._hasten(one)

    def done(self, watched: Watched) -> None:
        """Plan the next poll of a WorkSpace once every call of this one has come back."""
        if watched.jobs or watched.workspace_id not in self._watched:
            return
        now = self.clock.monotonic()
        experience = self._experience
        self._plan(watched, watched.round_at, now)
        hinted = watched.state_at is not None and watched.state_at >= watched.round_at
        if not hinted or not watched.moving or watched.hint_is_fine:
            return
        if not watched.awry:
            watched.awry_since = now
        watched.awry += 1
        if not experience.hint_seen:
            experience.never_updating.add(watched.workspace_id)
        if not experience.hints_off:
            until = experience.awry_until(watched, now)
            for one in watched.subscriptions:
                one.due = (
                    min(one.due, until) if one.schedule.strict else one.schedule.aligned(until, _AWRY_PARTS)
                )
                one.optional = max(one.optional, one.due)
            self._wake_by(until)

    def failed(self, watched: Watched, error: WorkSpacesError, application: str | None = None) -> None:
        """Count a poll that failed, with those who wanted to know of the application if it was for one alone."""
        _log.debug(
            "a poll of %s failed: %s", watched.workspace_id, error,
            extra={
                "workspace_id": watched.workspace_id,
                "application_id": application,
                "operation": error.operation,
                "request_id": error.request_id,
            },
        )  # fmt: skip
        now = self.clock.monotonic()
        for one in list(watched.subscriptions):
            if application is None or one.applications is None or application in one.applications:
                one.poll_failed(error, now)
            else:
                one.retry(now)
        self._wake_for(watched)

    def retry(self, watched: Watched) -> None:
        """Poll a WorkSpace again soon, without counting a failure."""
        now = self.clock.monotonic()
        for one in watched.subscriptions:
            one.retry(now)
        self._wake_for(watched)

    def _each(self) -> Iterator[Subscription]:
        for watched in self._watched.values():
            yield from watched.subscriptions

    def _start(self) -> None:
        self._optional_from = -math.inf
        self._due_from = math.inf
        self._lanes = lanes = Lanes(self, self._watched, self._experience)
        self._context = contextvars.Context()
        self._run(*lanes.lanes, self._schedule)

    async def _schedule(self) -> None:
        while True:
            now = self.clock.monotonic()
            # Nobody rings for what happens meanwhile: it is seen at the end.
            self._sleeps_until = -math.inf
            self._timers.run(now)
            if self._due_from <= now + TINY:
                self._begin_round(now)
                self._due_from = self._next_due()
            self._sleeps_until = min(self._timers.soonest, self._due_from)
            await sleep_or(self.clock, self._sleeps_until - self.clock.monotonic(), self._changed)
            self._changed.clear()

    def _next_due(self) -> float:
        """Return when the next round is due, as far as can be told before any call under way has come back."""
        due = optional = math.inf
        for watched in self._watched.values():
            if not watched.jobs:
                due = min(due, watched.due)
                optional = min(optional, watched.optional)
        return min(due, max(optional, self._optional_from))

    def _wake_for(self, watched: Watched) -> None:
        """Have a round begin when a WorkSpace is due, unless a call is under way that will show it."""
        if watched.subscriptions and not watched.jobs:
            self._wake_by(min(watched.due, max(watched.optional, self._optional_from)))

    def _wake_by(self, moment: float) -> None:
        """Have a round begin at a moment, if none begins before."""
        self._due_from = min(self._due_from, moment)
        self._ring_by(moment)

    def _ring_by(self, moment: float) -> None:
        if moment < self._sleeps_until:
            self._sleeps_until = -math.inf
            self._changed.set()

    def _parts(self, now: float) -> float:
        """Return how many moments the grid has for each of its usual ones."""
        experience, tick = self._experience, DEPLOYMENT_SCHEDULE.tick
        if experience.is_fine(self._watched.values(), now, tick / _FINE_PARTS):
            return _FINE_PARTS
        # Only where those that end within a tick fit in one call, whose places cost nothing.
        if not experience.durations.are_alike(len(self._watched) * tick / IDS):
            return 1
        # Where one begins as soon as another has ended, whoever notices late keeps the next one waiting.
        follow = now - self._begun_at <= tick and experience.is_worth_it(
            len(self._watched), tick / _FINE_PARTS
        )
        return _FINE_PARTS if follow else _ALIKE_PARTS

    def _begin_round(self, now: float) -> None:
        """Queue what is due, by the cheapest kind of call."""
        idle = [one for one in self._watched.values() if not one.jobs]
        due = [one for one in idle if one.due <= now + TINY]
        # Who wants associations but is not due, perhaps because it has still to take the last news in, gets them if the
        # state that the others are due for says so.
        states = [one for one in due if one.is_due_for_state_alone(now + TINY)]
        alone = {one.workspace_id for one in states}
        required = [one for one in due if one.workspace_id not in alone]
        if required:
            required += [
                one for one in idle if now + TINY < one.due <= now + TINY + one.along and not one.state_alone
            ]
        must = [one for one in required if self._experience.must_read(one, now)]
        read = {one.workspace_id for one in must}
        hints = self._in_full_calls(
            [one for one in required if one.workspace_id not in read], len(states), now
        )
        if hints:
            places = -(len(hints) + len(states)) % IDS
            taken = {one.workspace_id for one in required}
            others = [one for one in idle if one.workspace_id not in taken and self._may_hint(one, now)]
            hints += sorted(others, key=lambda one: one.due)[:places]
        elif not required and now >= self._optional_from - TINY:
            hints = self._take_optional(idle, now)
        if hints and (
            self._experience.hints_off or self._experience.reads_are_cheaper(hints, states, must, now)
        ):
            must += hints
            hints = []
        if hints or must:
            self._round_calls = calls_for(len(hints)) + self._experience.cost(must)
        lanes = self._lanes
        assert lanes is not None
        for watched in (*states, *hints, *must):
            watched.round_at = now
            for one in watched.subscriptions:
                one.at_once = False
        for watched in states:
            lanes.hint(watched, patient=True)
        for watched in hints:
            lanes.hint(watched, patient=False)
        for watched in must:
            lanes.read(watched, confirms=False)

    def _in_full_calls(self, hints: list[Watched], states: int, now: float) -> list[Watched]:
        """Put off what would take one more call than the others do, where that one is unlikely to tell anything."""
        more = (len(hints) + states) % IDS
        if not more or len(hints) + states < IDS or more > len(hints):
            return hints
        likely = sorted(hints, key=lambda one: (self._experience.chance(one, now), -one.round_at))
        put_off = likely[:more]
        chance = sum(self._experience.chance(one, now) for one in put_off)
        if chance > _WORTH_A_CALL or not all(self._experience.can_wait(one, now) for one in put_off):
            return hints
        # To the next step of the usual grid, or of the finer one while others wait for their places.
        parts = _FINE_PARTS if self._parts(now) == _FINE_PARTS else 1
        for watched in put_off:
            for one in watched.subscriptions:
                step = parts if one.schedule.grid else 1
                one.due = one.schedule.aligned(now + one.schedule.tick / step, step)
        left = {one.workspace_id for one in put_off}
        return [one for one in hints if one.workspace_id not in left]

    def _may_hint(self, watched: Watched, now: float) -> bool:
        return not watched.state_alone and not watched.awry and not self._experience.must_read(watched, now)

    def _take_optional(self, idle: list[Watched], now: float) -> list[Watched]:
        """Choose those that are polled although they need not be: the oldest deployments, which may end first."""
        if all(one.optional > now + TINY for one in idle):
            return []
        soon = [one for one in idle if one.optional <= now + TINY + one.along]
        may = [one for one in soon if self._may_hint(one, now)]
        chosen = nsmallest(1 if self._experience.hints_off else IDS, may, key=lambda one: one.since)
        taken, able = {one.workspace_id for one in chosen}, {one.workspace_id for one in may}
        for watched in soon:
            if watched.workspace_id in able:
                if watched.workspace_id not in taken:
                    self._pass_over(watched, now)
            elif watched.optional <= now + TINY:
                self._plan_earlier(watched, now)
        self._optional_from = now + _OPTIONAL_SHARE * min(
            (sub.delay for one in chosen for sub in one.subscriptions), default=0.0
        )
        return chosen

    def _pass_over(self, watched: Watched, now: float) -> None:
        """Set when a WorkSpace may be polled next whose turn older ones have taken."""
        if self._experience.durations.near is not None:
            self._plan_earlier(watched, now)
            return
        # What is required of it can only have moved on, which it must not: it was not polled.
        changed, watched.changed = watched.changed, False
        chance = self._chance(watched)
        for one in watched.subscriptions:
            one.plan_optional(now, now, changed=changed, chance=chance)

    def _plan_earlier(self, watched: Watched, now: float) -> None:
        """Set when a WorkSpace is polled next that was not polled now, no later than was planned."""
        due = [one.due for one in watched.subscriptions]
        self._plan(watched, now, now)
        for one, moment in zip(watched.subscriptions, due, strict=True):
            one.due = min(one.due, moment)

    def _hasten(self, watched: Watched) -> None:
        """Have a WorkSpace polled sooner if it would be planned so now; nothing else about it changes."""
        before = [(one.due, one.optional, one.delay) for one in watched.subscriptions]
        changed = watched.changed
        self._plan(watched, watched.round_at, self.clock.monotonic())
        watched.changed = changed
        for one, (due, optional, delay) in zip(watched.subscriptions, before, strict=True):
            one.due, one.optional, one.delay = min(one.due, due), optional, delay

    def _chance(self, watched: Watched) -> float:
        return self._polling.random() if any(one.schedule.jitter for one in watched.subscriptions) else 0.0

    def _plan(self, watched: Watched, at: float, now: float) -> None:
        """Set when a WorkSpace is polled next, counted from the moment `at`."""
        changed, watched.changed = watched.changed, False
        chance = self._chance(watched)
        durations = self._experience.durations
        fine = self._parts(now)
        for one in watched.subscriptions:
            parts = fine if one.schedule.grid else 1
            tick = max(one.schedule.tick / parts, one.schedule.spacing * self._round_calls)
            one.plan(at, now, changed=changed, chance=chance, tick=tick, parts=parts, durations=durations)
            if one.applications != frozenset():
                one.due = min(one.due, max(now, watched.read_at + durations.read_after))
        self._wake_for(watched)

    async def _read_associations(
        self, client: Operations, ids: list[str], applications: list[str]
    ) -> dict[str, Snapshot]:
        """Read by application or by WorkSpace, whichever is fewer calls."""
        if sum(self._experience.counts.pages(one, len(ids)) for one in applications) < len(ids):
            try:
                return await self._read_listings(client, ids, applications)
            except UNLISTED as error:
                _log.warning("associations cannot be listed, so WorkSpaces are read one by one: %s", error)

        async def read(portion: Sequence[str]) -> dict[str, Snapshot]:
            at = self.clock.monotonic()
            return {one: await read_workspace(client, one, at) for one in portion}

        readings = await read_in_portions(read, ids, 1)
        for workspace_id, reason in readings.errors.items():
            _log.warning("the associations of %s cannot be read: %s", workspace_id, reason)
        return readings.found

    async def _read_listings(
        self, client: Operations, ids: list[str], applications: list[str]
    ) -> dict[str, Snapshot]:
        at = self.clock.monotonic()
        rows: dict[str, dict[str, AssociationRecord]] = {one: {} for one in ids}
        several: set[str] = set()

        async def one(application: str) -> None:
            pages = 0
            async with aclosing(list_pages(client, application)) as listing:
                async for page in listing:
                    pages += 1
                    for row in page.associations:
                        if row.associated_resource_id in rows:
                            rows[row.associated_resource_id][application] = AssociationRecord.of(row)
            self._experience.counts.read(application, pages)
            if pages > 1:
                several.add(application)

        await side_by_side(one, applications)
        wanted = frozenset(applications)
        return {
            workspace_id: Snapshot(
                workspace_id=workspace_id,
                at=at,
                associations=found,
                absent=wanted - found.keys() - several,
                unconfirmed=(wanted - found.keys()) & several,
            )
            for workspace_id, found in rows.items()
        }

    def _publish(self, snapshot: Snapshot) -> Snapshot:
        """Give what a read showed to the subscribers of the WorkSpace as well."""
        watched = self._watched.get(snapshot.workspace_id)
        if watched is None or asyncio.get_running_loop() is not self._loop:
            return snapshot
        if snapshot.state_at is not None and (
            watched.state_at is None or watched.state_at < snapshot.state_at
        ):
            watched.see_state(snapshot.workspace_state, snapshot.state_at)

        self._context.run(watched.take_in, snapshot, self._experience)
        return replace(
            snapshot,
            workspace_state=watched.state,
            state_at=watched.state_at,
            state_denied=self._experience.hint_denied,
        )
