"""The lanes of polls: states, single reads and listings go side by side, each kind one call after the other."""

from __future__ import annotations

import math
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from workspaces_apps._associations.workspaces import DEPLOYING
from workspaces_apps._base.log_fields import field_logger
from workspaces_apps._observe.absence import surely_absent
from workspaces_apps._observe.audience import hooks_for, polled
from workspaces_apps._observe.reads import IDS, LASTING, list_pages, read_states_apart, read_workspace
from workspaces_apps._observe.snapshot import AssociationRecord, Snapshot
from workspaces_apps._observe.timers import TINY, Alarm
from workspaces_apps.api.errors import AccessDeniedException, ResourceNotFoundException
from workspaces_apps.errors import WorkSpacesError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping

    from workspaces_apps._base.clock import Clock
    from workspaces_apps._base.hooks import Hooks
    from workspaces_apps._observe.absence import Place
    from workspaces_apps._observe.audience import PollAudience
    from workspaces_apps._observe.experience import Experience
    from workspaces_apps._observe.watched import Watched
    from workspaces_apps.api import WorkspaceState
    from workspaces_apps.api.operations import Operations

_log = field_logger("workspaces_apps.observer")

UNLISTED: Final = (ResourceNotFoundException, AccessDeniedException)
"""Refusals of a listing although each WorkSpace can be read: the application has left the catalogue, or may not be
listed. [assumed]"""

_GATHER: Final = 5.0
"""Seconds for which WorkSpaces whose state alone is wanted are collected for one call, while more of them may come."""

_SWEEP_FROM: Final = 50
"""With more first reads than that of everything at once, listing the whole catalogue may be cheaper."""


class Results(Protocol):
    """The observer as its lanes know it."""

    def done(self, watched: Watched) -> None:
        """Plan the next poll, if no call is left that will show the WorkSpace."""
        ...

    def failed(self, watched: Watched, error: WorkSpacesError, application: str | None = None) -> None:
        """Count a poll that failed, with those who wanted to know of the application if it was for one alone."""
        ...

    def retry(self, watched: Watched) -> None:
        """Poll again soon, without counting a failure."""
        ...


class Lanes:
    """Queues of what is to be polled, and who makes the calls."""

    def __init__(
        self,
        results: Results,
        watched: Mapping[str, Watched],
        experience: Experience,
        *,
        clock: Clock,
        polling: Callable[[Hooks], Operations],
        poll_delay: Callable[[str], Awaitable[float]],
    ) -> None:
        """Lanes with nothing to do.

        Args:
            results: The observer, which hears when calls have come back.
            watched: Its table.
            experience: What it has learned.
            clock: The time of moments and delays.
            polling: Returns a view with other hooks.
            poll_delay: Reserves a poll's turn of an operation, and returns the seconds until it comes.
        """
        self._results = results
        self._watched = watched
        self._experience = experience
        self._clock = clock
        self._polling = polling
        self._poll_delay = poll_delay
        self._hints: dict[str, bool] = {}
        self._gathering_since = 0.0
        self._confirms: dict[str, None] = {}
        self._reads: dict[str, None] = {}
        self._unplanned = False
        self._listings: dict[str, dict[str, bool]] = {}
        self._sweep: dict[str, None] = {}
        self._listing_since: float | None = None
        self._hint_alarm = Alarm(clock)
        self._read_alarm = Alarm(clock)
        self._list_alarm = Alarm(clock)

    @property
    def lanes(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """The lanes, each to be run as a task."""
        return self._hint_lane, self._read_lane, self._list_lane

    def hint(self, watched: Watched, *, patient: bool) -> None:
        """Queue a read of a WorkSpace's state; a patient one waits a little for others that may come."""
        if not self._hints:
            self._gathering_since = self._clock.monotonic()
        watched.jobs += 1
        self._hints[watched.workspace_id] = patient
        self._hint_alarm.ring()

    def read(self, watched: Watched, *, confirms: bool) -> None:
        """Queue a read of a WorkSpace's associations.

        Args:
            watched: The WorkSpace.
            confirms: Whether something has shown already that it is worth a call, which then is work and no poll.
        """
        watched.jobs += 1
        (self._confirms if confirms else self._reads)[watched.workspace_id] = None
        self._unplanned = True
        self._read_alarm.ring()

    async def _hint_lane(self) -> None:
        while True:
            wait = self._hint_wait()
            if wait > TINY:
                await self._hint_alarm.sleep(wait)
                continue
            await self._turn("DescribeWorkspaces")
            ids: list[str] = []
            for one in list(self._hints):
                watched = self._watched.get(one)
                alone = watched is not None and watched.hint_failures > 1
                if len(ids) == IDS or (alone and ids):
                    break
                del self._hints[one]
                if watched is not None:
                    ids.append(one)
                if alone:
                    # It may be what the calls for several have failed for.
                    break
            self._gathering_since = self._clock.monotonic()
            if ids:
                await self._read_states(ids)

    def _hint_wait(self) -> float:
        """Return the seconds until the next call for states; infinity if nobody wants one."""
        if not self._hints:
            return math.inf
        more_may_come = self._confirms or self._reads or self._listings or self._listing_since is not None
        if len(self._hints) >= IDS or not all(self._hints.values()) or not more_may_come:
            return 0.0
        return self._gathering_since + _GATHER - self._clock.monotonic()

    async def _read_states(self, ids: list[str]) -> None:
        at = self._clock.monotonic()
        try:
            with self._polled("DescribeWorkspaces", ids):
                states = await read_states_apart(self._client_for(lambda: ids), ids)
        except WorkSpacesError as error:
            if isinstance(error, AccessDeniedException):
                self._experience.deny_hints(error)
            for one in ids:
                self._without_state(one, error, at)
            return
        for one in ids:
            self._state_read(one, states.get(one), at)

    def _without_state(self, workspace_id: str, error: WorkSpacesError, at: float) -> None:
        """Go on where no state came: a hint is tried once more before associations are read without."""
        watched = self._watched.get(workspace_id)
        if watched is None:
            return
        watched.jobs -= 1
        watched.hint_failures += 1
        watched.state_denied = self._experience.hint_denied
        if watched.state_alone and watched.state_denied:
            watched.deliver(Snapshot(workspace_id=workspace_id, at=at))
            self._results.done(watched)
        elif watched.state_alone:
            self._results.failed(watched, error)
        elif self._experience.hint_denied or watched.hint_failures > 1:
            self.read(watched, confirms=False)
        else:
            self._results.retry(watched)

    def _state_read(self, workspace_id: str, state: WorkspaceState | None, at: float) -> None:
        watched = self._watched.get(workspace_id)
        if watched is None:
            return
        watched.jobs -= 1
        if state is None and watched.moving and not watched.hint_failures and not watched.state_alone:
            # One answer may leave an id out: that is no hint, and a second one costs less than a read.
            watched.hint_failures += 1
            self._results.retry(watched)
            return
        watched.see_state(state, at)
        if state == DEPLOYING:
            self._experience.hint_seen = True
        elif not watched.state_alone:
            # Whatever it is, it only tells that the associations must be read.
            self.read(watched, confirms=True)
            return
        watched.deliver(Snapshot(workspace_id=workspace_id, at=at))
        self._results.done(watched)

    async def _read_lane(self) -> None:
        while True:
            self._plan_reads()
            if not self._confirms:
                if not self._reads:
                    self._hint_alarm.ring()
                    await self._read_alarm.sleep(math.inf)
                    continue
                await self._turn("DescribeWorkspaceAssociations")
                # Meanwhile others may have come that are worth more, or that make a listing worth while.
                self._plan_reads()
            queue = self._confirms or self._reads
            if queue:
                workspace_id = next(iter(queue))
                del queue[workspace_id]
                watched = self._watched.get(workspace_id)
                if watched is not None:
                    await self._read_one(watched)

    def _plan_reads(self) -> None:
        """Give to listings what they show for fewer calls, reads that are queued already included."""
        if not self._unplanned:
            return
        self._unplanned = False
        queued = [self._watched[one] for one in (*self._confirms, *self._reads) if one in self._watched]
        first = [one for one in queued if one.applications is None and not one.swept]
        if len(first) > _SWEEP_FROM:
            for watched in first:
                self._unqueue(watched.workspace_id)
                self._sweep[watched.workspace_id] = None
        needs = self._experience.needs(queued)
        if len(needs) > 1 or self._experience.reads_denied:
            plan = self._experience.plan(queued)
            singles = set(plan.singles)
            for workspace_id in [one for one in needs if one not in singles] if plan.listings else ():
                confirms = self._unqueue(workspace_id)
                self._queue_listings(self._watched[workspace_id], needs[workspace_id], confirms=confirms)
        if self._sweep:
            self._list_alarm.ring()

    def _unqueue(self, workspace_id: str) -> bool:
        """Take a read back; return if it was to confirm something."""
        confirms = workspace_id in self._confirms
        self._confirms.pop(workspace_id, None)
        self._reads.pop(workspace_id, None)
        return confirms

    async def _read_one(self, watched: Watched) -> None:
        client = self._client_for(lambda: [watched.workspace_id])
        try:
            with self._polled("DescribeWorkspaceAssociations", [watched.workspace_id]):
                snapshot = await read_workspace(client, watched.workspace_id, self._clock.monotonic())
        except WorkSpacesError as error:
            watched.jobs -= 1
            if not isinstance(error, AccessDeniedException) or not self._list_instead(watched, error):
                self._results.failed(watched, error)
            return
        watched.jobs -= 1
        if watched.see(snapshot, self._experience):
            watched.deliver(snapshot)
        self._results.done(watched)

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
            self._listings.setdefault(application, {})[watched.workspace_id] = confirms
        self._list_alarm.ring()

    async def _list_lane(self) -> None:
        while True:
            if not self._sweep and not self._listings:
                self._listing_since = None
                self._hint_alarm.ring()
                await self._list_alarm.sleep(math.inf)
                continue
            self._listing_since = self._clock.monotonic()
            if self._sweep:
                sweep, self._sweep = self._sweep, {}
                await self._sweep_catalogue(sweep)
            else:
                application = min(self._listings)
                await self._list(application, self._listings.pop(application))

    async def _list(self, application: str, sought: dict[str, bool]) -> None:
        """List the associations of an application, for as long as that is worth it."""
        for one in [one for one in sought if one not in self._watched]:
            del sought[one]
        counts = self._experience.counts
        pages, complete = 0, False
        found: dict[str, Place] = {}
        expected = counts.pages(application, len(sought))
        worth = max(expected, len(sought))
        whole = self._experience.reads_denied
        # A listing that takes the place of more reads which would be work is work too.
        is_work = sum(sought.values()) >= expected
        try:
            async with aclosing(list_pages(self._client_for(lambda: sought), application)) as listing:
                while sought and (pages < worth or whole) and not complete:
                    if not is_work:
                        await self._turn("DescribeApplicationAssociations")
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
                for one in list(sought):
                    watched = self._watched.get(one)
                    if watched is not None:
                        watched.jobs -= 1
                        self._results.failed(watched, error, application)
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
        if sought and application not in self._experience.unlisted:
            counts.gave_up(application, pages)
        for one in list(sought):
            watched = self._watched.get(one)
            if watched is not None:
                watched.jobs -= 1
                self._read_unless_queued(watched, confirms=False)

    def _row_read(
        self, application: str, workspace_id: str, row: AssociationRecord, at: float, sought: dict[str, bool]
    ) -> None:
        watched = self._watched.get(workspace_id)
        if watched is None:
            return
        snapshot = Snapshot(workspace_id=workspace_id, at=at, associations={application: row})
        if watched.see(snapshot, self._experience):
            watched.deliver(snapshot)
        if workspace_id in sought:
            del sought[workspace_id]
            watched.jobs -= 1
            self._results.done(watched)
        elif not watched.jobs and watched.applications == frozenset((application,)):
            # It was not due, and has been shown all the same.
            watched.round_at = self._listing_since if self._listing_since is not None else at
            self._results.done(watched)

    def _listed(
        self, application: str, missing: dict[str, bool], found: dict[str, Place], pages: int
    ) -> None:
        """Take in that a listing was read to its end, and did not show some WorkSpaces."""
        experience = self._experience
        experience.counts.read(application, pages)
        before = experience.rows.get(application, ())
        experience.rows[application] = tuple(found)
        sure = missing.keys() if pages == 1 else surely_absent(before, found, pages)
        at, applications = self._clock.monotonic(), frozenset({application})
        for one in list(missing):
            watched = self._watched.get(one)
            if watched is None:
                continue
            watched.jobs -= 1
            if one in sure or (application in watched.known and watched.known[application] is None):
                snapshot = Snapshot(workspace_id=one, at=at, absent=applications)
                if watched.see(snapshot, experience):
                    watched.deliver(snapshot)
                self._results.done(watched)
            else:
                # It may have slipped from page to page: only a read of the WorkSpace tells, or the next listing.
                watched.deliver(Snapshot(workspace_id=one, at=at, unconfirmed=applications))
                if experience.reads_denied:
                    self._results.done(watched)
                else:
                    self._read_unless_queued(watched, confirms=True)

    def _read_unless_queued(self, watched: Watched, *, confirms: bool) -> None:
        one = watched.workspace_id
        if one in self._watched and one not in self._confirms and one not in self._reads:
            self.read(watched, confirms=confirms)

    async def _sweep_catalogue(self, first: dict[str, None]) -> None:
        """List the whole catalogue's associations, if that is cheaper than to read each WorkSpace.

        Only what is in the catalogue can be managed. [doc] What it shows is as old as the sweep is long, and rows may
        slip by, so that it tells what to follow, and never that there is nothing.
        """
        at = self._clock.monotonic()
        found = await self._read_catalogue(first)
        for one in first:
            watched = self._watched.get(one)
            if watched is None:
                continue
            watched.jobs -= 1
            watched.swept = True
            if one in found:
                snapshot = Snapshot(workspace_id=one, at=at, associations=found[one])
                if watched.see(snapshot, self._experience):
                    watched.deliver(snapshot)
            if watched.applications is None:
                self._read_unless_queued(watched, confirms=False)
                continue
            watched.note_read()
            self._results.done(watched)

    async def _read_catalogue(self, first: Mapping[str, None]) -> dict[str, dict[str, AssociationRecord]]:
        budget = len(first) // 2
        found: dict[str, dict[str, AssociationRecord]] = {}
        client = self._client_for(lambda: first)
        try:
            await self._turn("DescribeApplications")
            with self._polled("DescribeApplications", first):
                applications = [one.application_id async for one in client.describe_applications()]
            for application in applications:
                async with aclosing(list_pages(client, application)) as listing:
                    pages, more = 0, True
                    while more:
                        if budget <= 0:
                            return {}
                        await self._turn("DescribeApplicationAssociations")
                        with self._polled("DescribeApplicationAssociations", first):
                            page = await anext(listing)
                        pages, budget, more = pages + 1, budget - 1, page.next_token is not None
                        for row in page.associations:
                            if row.associated_resource_id in first:
                                rows = found.setdefault(row.associated_resource_id, {})
                                rows[application] = AssociationRecord.of(row)
                self._experience.counts.read(application, pages)
        except WorkSpacesError as error:
            # It was only meant to save calls: who must do without it will hear of the trouble.
            _log.debug("a sweep over the catalogue failed: %s", error)
            return {}
        return found

    def _client_for(self, ids: Callable[[], Iterable[str]]) -> Operations:
        """Return the view for a poll, whose hooks tell the audiences that it serves."""

        def served() -> Iterable[PollAudience | None]:
            for one in list(ids()):
                watched = self._watched.get(one)
                if watched is not None:
                    for subscription in watched.subscriptions:
                        yield subscription.audience

        return self._polling(hooks_for(served))

    @contextmanager
    def _polled(self, operation: str, ids: Iterable[str]) -> Generator[None]:
        """Make a block a poll of these WorkSpaces."""
        watched = [self._watched[one] for one in ids if one in self._watched]
        feeds = [one for found in watched for one in found.subscriptions]
        with polled(operation, len(watched), feeds, self._clock):
            yield

    async def _turn(self, operation: str) -> None:
        """Wait until a poll of this operation may go."""
        delay = await self._poll_delay(operation)
        if delay > 0:
            await self._clock.sleep(delay)
