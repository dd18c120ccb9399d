"""The table of WorkSpaces under observation, and the lanes that poll them side by side, each kind of call for itself."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from workspaces_apps._associations.states import DEPLOYING, ERROR, Phase, same_state, state_info
from workspaces_apps._base.clock import sleep_or
from workspaces_apps._base.logs import field_logger
from workspaces_apps._observe.reads import (
    IDS,
    LASTING,
    AssociationRecord,
    Snapshot,
    list_pages,
    read_states_apart,
    read_workspace,
    state_of,
    surely_absent,
)
from workspaces_apps._observe.schedule import TINY
from workspaces_apps._observe.subscription import polled
from workspaces_apps.api.errors import AccessDeniedException, ResourceNotFoundException
from workspaces_apps.errors import WorkSpacesError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping

    from workspaces_apps._observe.observer import AssociationObserver
    from workspaces_apps._observe.reads import ListingPlace
    from workspaces_apps._observe.schedule import Experience
    from workspaces_apps._observe.subscription import Subscription
    from workspaces_apps.api import WorkspaceState
    from workspaces_apps.api.operations import Operations


class Watched:
    """One WorkSpace that somebody subscribes to.

    Attributes:
        workspace_id: The WorkSpace.
        subscriptions: Its subscriptions.
        state: Its state when it was read last; None if it was not listed.
        state_at: When that read began; None if there was none.
        state_denied: Whether its state may not be read.
        known: The associations as they were read last, by application; None for absent.
        read_at: When its associations were read last; before, when it was subscribed to.
        moving: Whether an association is in flight, as far as is known.
        moving_at: When it was last seen to be under deployment.
        awry: Polls in a row that found an association in flight and the WorkSpace not UPDATING.
        awry_since: When the first of them was.
        changed: Whether this round has shown something new.
        hint_failures: Hints in a row that failed.
        left_out: Answers in a row that left it out although a deployment goes on.
        jobs: Calls queued or under way that will show it.
        round_at: When the round began that these belong to.
        swept: Whether a sweep over the catalogue has shown what it can.
    """

    __slots__ = (
        "_complete_at",
        "_counted",
        "awry",
        "awry_since",
        "changed",
        "hint_failures",
        "jobs",
        "known",
        "left_out",
        "moving",
        "moving_at",
        "read_at",
        "round_at",
        "state",
        "state_at",
        "state_denied",
        "subscriptions",
        "swept",
        "workspace_id",
    )

    def __init__(self, workspace_id: str, now: float) -> None:
        self.workspace_id: str = workspace_id
        self.subscriptions: list[Subscription] = []
        self.state: WorkspaceState | None = None
        self.state_at: float | None = None
        self.state_denied: bool = False
        self.known: dict[str, AssociationRecord | None] = {}
        self.read_at: float = now
        self.moving: bool = False
        self.moving_at: float = now
        self.awry: int = 0
        self.awry_since: float = now
        self.changed: bool = False
        self.hint_failures: int = 0
        self.left_out: int = 0
        self.jobs: int = 0
        self.round_at: float = now
        self.swept: bool = False
        self._complete_at = -math.inf
        self._counted = False

    @property
    def applications(self) -> frozenset[str] | None:
        """The applications that matter to anybody; None for all."""
        if len(self.subscriptions) == 1:
            return self.subscriptions[0].applications
        wanted = frozenset[str]()
        for one in self.subscriptions:
            if one.applications is None:
                return None
            wanted |= one.applications
        return wanted

    @property
    def state_alone(self) -> bool:
        """Tell if nothing matters but its state."""
        return self.applications == frozenset()

    def is_due_for_state_alone(self, now: float) -> bool:
        """Tell if those who are due want its state alone."""
        return not any(
            one.applications != frozenset() for one in self.subscriptions if one.at_once or one.due <= now
        )

    @property
    def hint_is_fine(self) -> bool:
        """Tell if its state is that of a WorkSpace under deployment."""
        return self.state == DEPLOYING

    @property
    def since(self) -> float:
        """The moment at which its deployment began, as far as anybody knows."""
        if len(self.subscriptions) == 1:
            return self.subscriptions[0].since
        return max((one.since for one in self.subscriptions), default=self.read_at)

    @property
    def due(self) -> float:
        """The moment at which it must be polled."""
        # With one subscription, as nearly always, there is nothing to compare: each round asks every WorkSpace.
        if len(self.subscriptions) == 1:
            only = self.subscriptions[0]
            return -math.inf if only.at_once else only.due
        due = math.inf
        for one in self.subscriptions:
            if one.at_once:
                return -math.inf
            due = min(due, one.due)
        return due

    @property
    def optional(self) -> float:
        """The moment from which it may be polled along with others."""
        if len(self.subscriptions) == 1:
            return self.subscriptions[0].optional
        optional = math.inf
        for one in self.subscriptions:
            optional = min(optional, one.optional)
        return optional

    @property
    def along(self) -> float:
        """Seconds by which a poll may come early, to share a call."""
        if len(self.subscriptions) == 1:
            return self.subscriptions[0].schedule.along * self.subscriptions[0].delay
        return max(one.schedule.along * one.delay for one in self.subscriptions)

    def begin(self, since: float, now: float) -> None:
        """Note that a deployment has begun whose associations need not be read at once."""
        self._counted, self.awry = False, 0
        self.moving, self.moving_at, self.read_at = True, since, now

    def see_state(self, state: WorkspaceState | None, at: float) -> None:
        """Take in a read of its state."""
        self.changed |= self.state_at is None or state != self.state
        self.state, self.state_at = state, at
        self.hint_failures = self.left_out = 0
        if state == DEPLOYING:
            self.awry = 0
            if self.moving:
                self.moving_at = at

    def see(self, snapshot: Snapshot, experience: Experience) -> bool:
        """Take in a read of its associations; False if it is older than another one, and tells nothing."""
        if snapshot.at < self._complete_at:
            return False
        self.state_denied = experience.hint_denied
        shown: dict[str, AssociationRecord | None] = dict(snapshot.associations)
        shown.update(dict.fromkeys(snapshot.absent))
        if snapshot.complete:
            shown.update(dict.fromkeys(self.known.keys() - shown.keys()))
            self._complete_at = snapshot.at
        for application, record in shown.items():
            self.changed |= application not in self.known or not same_state(
                state_of(self.known[application]), state_of(record)
            )
            self.known[application] = record
        wanted = self.applications
        self.note_read(complete=snapshot.complete)
        if snapshot.complete or (wanted is not None and wanted <= shown.keys()):
            self.read_at = snapshot.at
        self._judge(snapshot.at, wanted, experience)
        return True

    def take_in(self, snapshot: Snapshot, experience: Experience) -> None:
        """Take in a read of its associations, and hand it on unless it is older than another one."""
        if self.see(snapshot, experience):
            self.deliver(snapshot)

    def note_read(self, *, complete: bool = False) -> None:
        """Note that associations were read, which those who subscribe want no more if that shows all that matters."""
        wanted = self.applications
        if complete or (wanted is not None and wanted <= self.known.keys()):
            for one in self.subscriptions:
                one.unread = False

    def deliver(self, snapshot: Snapshot) -> None:
        """Hand a snapshot to every subscription, with the state as it is known."""
        self._hand_on(
            replace(
                snapshot, workspace_state=self.state, state_at=self.state_at, state_denied=self.state_denied
            )
        )

    def deliver_state(self, at: float) -> None:
        """Hand the state as it is known to every subscription.

        Args:
            at: When the read of it began, or would have.
        """
        self._hand_on(
            Snapshot(
                workspace_id=self.workspace_id,
                at=at,
                workspace_state=self.state,
                state_at=self.state_at,
                state_denied=self.state_denied,
            )
        )

    def _hand_on(self, snapshot: Snapshot) -> None:
        for one in list(self.subscriptions):
            one.deliver(snapshot)

    def _judge(self, at: float, wanted: frozenset[str] | None, experience: Experience) -> None:
        """Note if a deployment goes on, and how long one took that has ended."""
        matter = self.known.keys() if not wanted else wanted & self.known.keys()
        states = [state_of(self.known[one]) for one in matter]
        if any(state_info(state).phase is Phase.IN_FLIGHT for state in states):
            self._counted &= self.moving
            self.moving, self.moving_at = True, at
            return
        if not self.moving or (wanted and not wanted <= self.known.keys()):
            return
        self.moving = False
        if not self._counted and self.subscriptions and ERROR not in states:
            self._counted = True
            since = self.since
            experience.durations.add(self.moving_at - since, at - since)
            if self.state_at is not None and self.state != DEPLOYING:
                lag = (self.moving_at - self.awry_since, at - self.awry_since) if self.awry else (0.0, 0.0)
                experience.lags.add(*lag)


_log = field_logger("workspaces_apps.observer")

UNLISTED: Final = (ResourceNotFoundException, AccessDeniedException)
"""Refusals of a listing although each WorkSpace can be read: the application has left the catalogue, or may not be
listed. [assumed]"""

_GATHER: Final = 5.0
"""Seconds for which WorkSpaces whose state alone is wanted are collected for one call, while more of them may come."""

_LEFT_OUT: Final = 2
"""Answers in a row that may leave out a WorkSpace under deployment before its associations are read."""

_SWEEP_FROM: Final = 50
"""With more first reads than that of everything at once, listing the whole catalogue may be cheaper."""


class Lanes:
    """Queues of what is to be polled, and who makes the calls.

    They hold rows of the observer's table, not ids: a call for a row that was forgotten meanwhile tells nothing to the
    row that has taken its place, whose own calls are counted apart.
    """

    def __init__(
        self, observer: AssociationObserver, watched: Mapping[str, Watched], experience: Experience
    ) -> None:
        """Make lanes with nothing to do.

        Args:
            observer: The observer, which hears when calls have come back.
            watched: Its table.
            experience: What it has learned.
        """
        self._observer = observer
        self._watched = watched
        self._experience = experience
        self._clock = observer.clock
        self._hints: dict[Watched, bool] = {}
        self._gathering_since = 0.0
        self._confirms: dict[Watched, None] = {}
        self._reads: dict[Watched, None] = {}
        self._unplanned = False
        self._listings: dict[str, dict[Watched, bool]] = {}
        self._sweep: dict[Watched, None] = {}
        self._listing_since: float | None = None
        self._hints_changed: asyncio.Event = asyncio.Event()
        self._reads_changed: asyncio.Event = asyncio.Event()
        self._lists_changed: asyncio.Event = asyncio.Event()

    @property
    def lanes(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """The lanes, each to be run as a task."""
        return self._hint_lane, self._read_lane, self._list_lane

    def hint(self, watched: Watched, *, patient: bool) -> None:
        """Queue a read of a WorkSpace's state; a patient one waits a little for others that may come."""
        if not self._hints:
            self._gathering_since = self._clock.monotonic()
        watched.jobs += 1
        self._hints[watched] = patient
        self._hints_changed.set()

    def read(self, watched: Watched, *, confirms: bool) -> None:
        """Queue a read of a WorkSpace's associations.

        Args:
            watched: The WorkSpace.
            confirms: Whether something has shown already that it is worth a call, which then is work and no poll.
        """
        watched.jobs += 1
        (self._confirms if confirms else self._reads)[watched] = None
        self._unplanned = True
        self._reads_changed.set()

    async def _hint_lane(self) -> None:
        while True:
            wait = self._hint_wait()
            if wait > TINY:
                await sleep_or(self._clock, wait, self._hints_changed)
                self._hints_changed.clear()
                continue
            await self._observer.turn("DescribeWorkspaces")
            chosen: list[Watched] = []
            for watched in list(self._hints):
                if not self._is_current(watched):
                    del self._hints[watched]
                    continue
                alone = watched.hint_failures > 1
                if len(chosen) == IDS or (alone and chosen):
                    break
                del self._hints[watched]
                chosen.append(watched)
                if alone:
                    # It may be what the calls for several have failed for.
                    break
            self._gathering_since = self._clock.monotonic()
            if chosen:
                await self._read_states(chosen)

    def _hint_wait(self) -> float:
        """Return the seconds until the next call for states; infinity if nobody wants one."""
        if not self._hints:
            return math.inf
        more_may_come = self._confirms or self._reads or self._listings or self._listing_since is not None
        if len(self._hints) >= IDS or not all(self._hints.values()) or not more_may_come:
            return 0.0
        return self._gathering_since + _GATHER - self._clock.monotonic()

    async def _read_states(self, chosen: list[Watched]) -> None:
        at = self._clock.monotonic()
        try:
            with self._polled("DescribeWorkspaces", chosen):
                client = self._client_for(lambda: chosen)
                states = await read_states_apart(client, [one.workspace_id for one in chosen])
        except WorkSpacesError as error:
            if isinstance(error, AccessDeniedException):
                self._experience.deny_hints(error)
            for watched in chosen:
                if self._is_current(watched):
                    self._without_state(watched, error, at)
            return
        for watched in chosen:
            if self._is_current(watched):
                self._state_read(watched, states.get(watched.workspace_id), at)

    def _without_state(self, watched: Watched, error: WorkSpacesError, at: float) -> None:
        """Go on where no state came: a hint is tried once more before associations are read without."""
        watched.jobs -= 1
        watched.hint_failures += 1
        watched.state_denied = self._experience.hint_denied
        if watched.state_alone and watched.state_denied:
            watched.deliver_state(at)
            self._observer.done(watched)
        elif watched.state_alone:
            self._observer.failed(watched, error)
        elif self._experience.hint_denied or watched.hint_failures > 1:
            self.read(watched, confirms=False)
        else:
            self._observer.retry(watched)

    def _state_read(self, watched: Watched, state: WorkspaceState | None, at: float) -> None:
        watched.jobs -= 1
        may_be_left_out = watched.left_out < _LEFT_OUT and not watched.hint_failures
        if state is None and watched.moving and may_be_left_out and not watched.state_alone:
            # An answer may leave an id out: that is no hint, and the next one costs less than a read.
            watched.left_out += 1
            self._observer.done(watched)
            return
        watched.see_state(state, at)
        if state == DEPLOYING:
            self._experience.hint_seen = True
        elif not watched.state_alone:
            # Whatever it is, it only tells that the associations must be read.
            self.read(watched, confirms=True)
            return
        watched.deliver_state(at)
        self._observer.done(watched)

    async def _read_lane(self) -> None:
        while True:
            self._plan_reads()
            if not self._confirms:
                if not self._reads:
                    self._hints_changed.set()
                    await self._reads_changed.wait()
                    self._reads_changed.clear()
                    continue
                await self._observer.turn("DescribeWorkspaceAssociations")
                # Meanwhile others may have come that are worth more, or that make a listing worth while.
                self._plan_reads()
            queue = self._confirms or self._reads
            if queue:
                watched = next(iter(queue))
                del queue[watched]
                if self._is_current(watched):
                    await self._read_one(watched)

    def _plan_reads(self) -> None:
        """Give to listings what they show for fewer calls, reads that are queued already included."""
        if not self._unplanned:
            return
        self._unplanned = False
        queued = [one for one in (*self._confirms, *self._reads) if self._is_current(one)]
        first = [one for one in queued if one.applications is None and not one.swept]
        if len(first) > _SWEEP_FROM:
            for watched in first:
                self._unqueue(watched)
                self._sweep[watched] = None
        needs = self._experience.needs(queued)
        if len(needs) > 1 or self._experience.reads_denied:
            plan = self._experience.plan(queued)
            singles = set(plan.singles)
            for workspace_id in [one for one in needs if one not in singles] if plan.listings else ():
                watched = self._watched[workspace_id]
                self._queue_listings(watched, needs[workspace_id], confirms=self._unqueue(watched))
        if self._sweep:
            self._lists_changed.set()

    def _unqueue(self, watched: Watched) -> bool:
        """Take a read back; return if it was to confirm something."""
        confirms = watched in self._confirms
        self._confirms.pop(watched, None)
        self._reads.pop(watched, None)
        return confirms

    async def _read_one(self, watched: Watched) -> None:
        client = self._client_for(lambda: [watched])
        try:
            with self._polled("DescribeWorkspaceAssociations", [watched]):
                snapshot = await read_workspace(client, watched.workspace_id, self._clock.monotonic())
        except WorkSpacesError as error:
            if not self._is_current(watched):
                return
            watched.jobs -= 1
            if not isinstance(error, AccessDeniedException) or not self._list_instead(watched, error):
                self._observer.failed(watched, error)
            return
        if not self._is_current(watched):
            return
        watched.jobs -= 1
        watched.take_in(snapshot, self._experience)
        self._observer.done(watched)

    def _list_instead(self, watched: Watched, error: AccessDeniedException) -> bool:
        """Have listings show what may not be read by itself; False if they cannot.

        Nothing else shows everything on a WorkSpace: whoever wants that is told so, and nobody else.
        """
        for one in list(watched.subscriptions):
            if one.applications is None:
                one.fail(error)
        if not watched.subscriptions:
            return True
        needs = self._experience.needs([watched])
        if needs and not self._experience.reads_denied:
            _log.warning(
                "DescribeWorkspaceAssociations is not allowed: associations are listed by application: %s", error,
                extra={"operation": "DescribeWorkspaceAssociations", "request_id": error.request_id},
            )  # fmt: skip
            self._experience.reads_denied = True
        for applications in needs.values():
            watched.jobs += 1
            self._queue_listings(watched, applications, confirms=False)
        return bool(needs)

    def _queue_listings(self, watched: Watched, applications: Iterable[str], *, confirms: bool) -> None:
        """Give to listings what was queued as one read."""
        watched.jobs -= 1
        for application in applications:
            watched.jobs += 1
            self._listings.setdefault(application, {})[watched] = confirms
        self._lists_changed.set()

    async def _list_lane(self) -> None:
        while True:
            if not self._sweep and not self._listings:
                self._listing_since = None
                self._hints_changed.set()
                await self._lists_changed.wait()
                self._lists_changed.clear()
                continue
            self._listing_since = self._clock.monotonic()
            if self._sweep:
                sweep, self._sweep = self._sweep, {}
                await self._sweep_catalogue(sweep)
            else:
                application = min(self._listings)
                await self._list(application, self._listings.pop(application))

    async def _list(self, application: str, sought: dict[Watched, bool]) -> None:
        """List the associations of an application, for as long as that is worth it."""
        self._forget_old(sought)
        counts = self._experience.counts
        pages, complete = 0, False
        found: dict[str, ListingPlace] = {}
        expected = counts.pages(application, len(sought))
        worth = max(expected, len(sought))
        whole = self._experience.reads_denied
        # A listing that takes the place of more reads which would be work is work too.
        is_work = sum(sought.values()) >= expected
        try:
            async with aclosing(list_pages(self._client_for(lambda: sought), application)) as listing:
                while self._forget_old(sought) and (pages < worth or whole) and not complete:
                    if not is_work:
                        await self._observer.turn("DescribeApplicationAssociations")
                    at = self._clock.monotonic()
                    with self._polled("DescribeApplicationAssociations", sought):
                        page = await anext(listing)
                    pages += 1
                    complete = page.next_token is None
                    for row in page.associations:
                        found.setdefault(row.associated_resource_id, (pages, len(found)))
                        self._row_read(
                            application, row.associated_resource_id, AssociationRecord.of(row), at, sought
                        )
        except UNLISTED as error:
            _log.debug(
                "%s cannot be listed, so its WorkSpaces are read one by one: %s", application, error,
                extra={"application_id": application, "request_id": error.request_id},
            )  # fmt: skip
            self._experience.unlisted.add(application)
        except WorkSpacesError as error:
            if whole or isinstance(error, LASTING):
                for watched in list(sought):
                    if self._is_current(watched):
                        watched.jobs -= 1
                        self._observer.failed(watched, error, application)
                return
            # It may be this application's listing alone: what reads of the WorkSpaces say counts.
            _log.debug(
                "a listing of %s failed, so its WorkSpaces are read one by one: %s", application, error,
                extra={"application_id": application, "request_id": error.request_id},
            )  # fmt: skip
            pages = worth
        if complete:
            self._listed(application, sought, found, pages)
            return
        if application not in self._experience.unlisted:
            if sought:
                counts.gave_up(application, pages)
            else:
                counts.took(application, pages)
        for watched in list(sought):
            if self._is_current(watched):
                watched.jobs -= 1
                self._read_unless_queued(watched, confirms=False)

    def _row_read(
        self,
        application: str,
        workspace_id: str,
        row: AssociationRecord,
        at: float,
        sought: dict[Watched, bool],
    ) -> None:
        watched = self._watched.get(workspace_id)
        if watched is None:
            return
        snapshot = Snapshot(workspace_id=workspace_id, at=at, associations={application: row})
        watched.take_in(snapshot, self._experience)
        if watched in sought:
            del sought[watched]
            watched.jobs -= 1
            self._observer.done(watched)
        elif not watched.jobs and watched.applications == frozenset((application,)):
            # It was not due, and has been shown all the same.
            watched.round_at = self._listing_since if self._listing_since is not None else at
            self._observer.done(watched)

    def _listed(
        self, application: str, missing: dict[Watched, bool], found: dict[str, ListingPlace], pages: int
    ) -> None:
        """Take in that a listing was read to its end, and did not show some WorkSpaces."""
        experience = self._experience
        experience.counts.read(application, pages)
        before = experience.rows.get(application, ())
        experience.rows[application] = tuple(found)
        sure = surely_absent(before, found, pages)
        at, applications = self._clock.monotonic(), frozenset({application})
        for watched in list(missing):
            if not self._is_current(watched):
                continue
            watched.jobs -= 1
            one = watched.workspace_id
            if (
                pages == 1
                or one in sure
                or (application in watched.known and watched.known[application] is None)
            ):
                snapshot = Snapshot(workspace_id=one, at=at, absent=applications)
                watched.take_in(snapshot, experience)
                self._observer.done(watched)
            else:
                # It may have slipped from page to page: only a read of the WorkSpace tells, or the next listing.
                watched.deliver(Snapshot(workspace_id=one, at=at, unconfirmed=applications))
                if experience.reads_denied:
                    self._observer.done(watched)
                else:
                    self._read_unless_queued(watched, confirms=True)

    def _read_unless_queued(self, watched: Watched, *, confirms: bool) -> None:
        queued = watched in self._confirms or watched in self._reads
        if self._is_current(watched) and not queued:
            self.read(watched, confirms=confirms)

    async def _sweep_catalogue(self, first: dict[Watched, None]) -> None:
        """List the whole catalogue's associations, if that is cheaper than to read each WorkSpace.

        Only what is in the catalogue can be managed. [doc] What it shows is as old as the sweep is long, and rows may
        slip by, so that it tells what to follow, and never that there is nothing.
        """
        at = self._clock.monotonic()
        found = await self._read_catalogue(first)
        for watched in first:
            if not self._is_current(watched):
                continue
            watched.jobs -= 1
            watched.swept = True
            one = watched.workspace_id
            if one in found:
                snapshot = Snapshot(workspace_id=one, at=at, associations=found[one])
                watched.take_in(snapshot, self._experience)
            if watched.applications is None:
                self._read_unless_queued(watched, confirms=False)
                continue
            watched.note_read()
            self._observer.done(watched)

    async def _read_catalogue(self, first: Mapping[Watched, None]) -> dict[str, dict[str, AssociationRecord]]:
        budget, ids = len(first) // 2, {one.workspace_id for one in first}
        found: dict[str, dict[str, AssociationRecord]] = {}
        client = self._client_for(lambda: first)
        try:
            await self._observer.turn("DescribeApplications")
            with self._polled("DescribeApplications", first):
                applications = [one.application_id async for one in client.describe_applications()]
            for application in applications:
                async with aclosing(list_pages(client, application)) as listing:
                    pages, more = 0, True
                    while more:
                        if budget <= 0:
                            return {}
                        await self._observer.turn("DescribeApplicationAssociations")
                        with self._polled("DescribeApplicationAssociations", first):
                            page = await anext(listing)
                        pages, budget, more = pages + 1, budget - 1, page.next_token is not None
                        for row in page.associations:
                            if row.associated_resource_id in ids:
                                rows = found.setdefault(row.associated_resource_id, {})
                                rows[application] = AssociationRecord.of(row)
                self._experience.counts.read(application, pages)
        except WorkSpacesError as error:
            # It was only meant to save calls: who must do without it will hear of the trouble.
            _log.debug("a sweep over the catalogue failed: %s", error)
            return {}
        return found

    def _is_current(self, watched: Watched) -> bool:
        """Tell if anybody still subscribes to the row, and not to one that has taken its place."""
        return self._watched.get(watched.workspace_id) is watched

    def _forget_old(self, sought: dict[Watched, bool]) -> bool:
        """Drop the rows that nobody subscribes to any more; False if none is left."""
        for one in [one for one in sought if not self._is_current(one)]:
            del sought[one]
        return bool(sought)

    def _client_for(self, rows: Callable[[], Iterable[Watched]]) -> Operations:
        """Return the view for a poll, whose hooks tell the audiences that it serves."""
        return self._observer.view_for(
            lambda: [one for watched in list(rows()) for one in watched.subscriptions]
        )

    @contextmanager
    def _polled(self, operation: str, rows: Iterable[Watched]) -> Generator[None]:
        """Make a block a poll of these WorkSpaces."""
        watched = [one for one in rows if self._is_current(one)]
        feeds = [one for found in watched for one in found.subscriptions]
        with polled(operation, len(watched), feeds, self._clock):
            yield
