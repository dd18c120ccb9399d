"""The poller of deployments: associations by whichever listing is cheaper, WorkSpace states only where they decide."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeAlias

from workspaces_apps.api.errors import AccessDeniedException, ResourceNotFoundException
from workspaces_apps.errors import ServiceError, ThrottlingException, WorkSpacesError
from workspaces_apps.waiters.absence import surely_absent
from workspaces_apps.waiters.deployment import ENDS, AssociationRecord, Step
from workspaces_apps.waiters.deployment_wait import DeploymentWait
from workspaces_apps.waiters.plan import ROWS, PageCounts, make_plan
from workspaces_apps.waiters.poller import Poller

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from workspaces_apps.api.operations import Operations
    from workspaces_apps.clock import Clock
    from workspaces_apps.waiters.absence import Place
    from workspaces_apps.waiters.share import RateShare

_IDS: Final = 25
"""Ids that one DescribeWorkspaces takes. [doc]"""

_NEWCOMERS: Final = 5
"""So many waits that begin during a round are looked at at once; more of them wait for the next round's plan."""

_FLUSH_SHARE: Final = 0.03
"""WorkSpaces whose associations are terminal are collected for one call, for this share of their longest delay."""

_SWEEP_FROM: Final = 50
"""With more first looks than that at once, listing the whole catalogue may be cheaper."""

_UNLISTED: Final = (ResourceNotFoundException, AccessDeniedException)
"""What a listing may say although each WorkSpace can be asked: the application has left the catalogue, or may not be
listed. [assumed]"""

Records: TypeAlias = "dict[str, dict[str, AssociationRecord]]"
"""By WorkSpace and application: its associations, as they were seen."""

_log = logging.getLogger("workspaces_apps.waiters")


class DeploymentPoller(Poller[DeploymentWait]):
    """Looks for all deployments that a client waits for."""

    def __init__(
        self, client: Operations, share: RateShare, clock: Clock, random: Callable[[], float]
    ) -> None:
        """A poller for which nobody waits.

        Args:
            client: Whose calls it makes.
            share: When it may call.
            clock: Where time comes from.
            random: A number in [0, 1), for jitter.
        """
        super().__init__(clock, random)
        self._client = client
        self._share = share
        self._counts = PageCounts()
        self._rows: dict[str, tuple[str, ...]] = {}
        self._by_workspace: dict[str, list[DeploymentWait]] = {}
        self._ready: dict[DeploymentWait, float] = {}
        self._confirm: dict[str, None] = {}
        self._changed: set[DeploymentWait] = set()
        self._along: set[DeploymentWait] = set()
        self._new: dict[DeploymentWait, None] = {}
        self._passed = 0.0
        self._pace = 0.0

    def joined(self, wait: DeploymentWait) -> None:
        """Index the wait by its WorkSpace."""
        self._new[wait] = None
        self._by_workspace.setdefault(wait.resource_id, []).append(wait)

    def left(self, wait: DeploymentWait) -> None:
        """Forget the wait."""
        others = self._by_workspace[wait.resource_id]
        others.remove(wait)
        if not others:
            del self._by_workspace[wait.resource_id]
        if not self._by_workspace:
            self._rows.clear()
        self._ready.pop(wait, None)
        self._new.pop(wait, None)

    async def look(self, due: list[DeploymentWait], at: float, chance: float) -> None:
        """One round."""
        self._changed.clear()
        self._along.clear()
        self._new.clear()
        self._passed = at
        needs: dict[str, list[str]] = {}
        first: dict[str, None] = {}
        for wait in due:
            deployment = wait.deployment
            step = deployment.step(at)
            if deployment.followed is None:
                first[wait.resource_id] = None
            elif step is Step.WORKSPACE:
                self._ready.setdefault(wait, at)
            elif step is Step.CONFIRM:
                self._confirm[wait.resource_id] = None
            else:
                needs[wait.resource_id] = [*needs.get(wait.resource_id, ()), *deployment.pending(at)]
        if len(first) > _SWEEP_FROM:
            self._add_needs(needs, first, await self._sweep(first, chance), at)
        for workspace_id in first:
            needs.pop(workspace_id, None)
        plan = make_plan(needs, self._counts)
        for workspace_id in [*first, *plan.singles]:
            await self._ask(workspace_id)
            await self._between(chance)
        for application in sorted(plan.listings):
            sought = {workspace for workspace, wanted in needs.items() if application in wanted}
            await self._list(application, sought, chance)
        confirm, self._confirm = self._confirm, {}
        for workspace_id in confirm:
            await self._ask(workspace_id)
            await self._between(chance)
        await self._states(everything=True)
        now = self.clock.monotonic()
        for wait in due:
            self._along.discard(wait)
            if not wait.ended:
                self._plan(wait, at, now, chance)
        for wait in self._along:
            # It was not due yet, and has been looked at all the same.
            if (
                not wait.ended
                and wait.due < at + wait.delay
                and plan.listings.issuperset(wait.deployment.pending(now))
            ):
                wait.due = min(wait.deadline, at + wait.delay * (1 - wait.policy.jitter * chance))

    def _add_needs(
        self, needs: dict[str, list[str]], first: dict[str, None], found: Records, at: float
    ) -> None:
        """Give waits their first look from a sweep, and have them looked at again like the others.

        What was seen is as old as the sweep is long, so that nothing is concluded from it but what to follow.
        Where it shows nothing, a look at the WorkSpace itself decides.
        """
        for workspace_id in list(first):
            for wait in self._by_workspace.get(workspace_id, ()):
                deployment = wait.deployment
                if deployment.followed is None and deployment.begin(found.get(workspace_id, {})):
                    first.pop(workspace_id, None)
                    needs[workspace_id] = [*needs.get(workspace_id, ()), *deployment.pending(at)]

    async def _sweep(self, first: dict[str, None], chance: float) -> Records:
        """List the whole catalogue's associations, if that is cheaper than to ask each WorkSpace.

        Only what is in the catalogue can be managed. [doc]
        """
        found: Records = {}
        budget = len(first) // 2
        try:
            await self._share.turn("DescribeApplications")
            applications = [one.application_id async for one in self._client.describe_applications()]
            for application in applications:
                listing = self._client.describe_application_associations(
                    application_id=application, associated_resource_types=("WORKSPACE",), max_results=ROWS
                ).pages()
                pages, more = 0, True
                while more:
                    if budget <= 0:
                        return {}
                    await self._share.turn("DescribeApplicationAssociations")
                    page = await anext(listing)
                    pages, budget, more = pages + 1, budget - 1, page.next_token is not None
                    for record in page.associations:
                        if record.associated_resource_id in first:
                            found.setdefault(record.associated_resource_id, {})[application] = record
                    await self._between(chance)
                self._counts.read(application, pages)
        except WorkSpacesError as error:
            # It was only meant to save calls: who must do without it will hear of the trouble.
            _log.debug("a sweep over the catalogue failed: %s", error)
            return {}
        return found

    async def _between(self, chance: float) -> None:
        """Between two calls of a round: what should not wait for its end."""
        now = self.clock.monotonic()
        self._pace, self._passed = now - self._passed, now
        await self._states(everything=False)
        if len(self._new) > _NEWCOMERS:
            return
        while self._new:
            wait = next(iter(self._new))
            del self._new[wait]
            at = self.clock.monotonic()
            await self._ask(wait.resource_id)
            await self._states(everything=False)
            if not wait.ended:
                self._plan(wait, at, self.clock.monotonic(), chance)

    def _plan(self, wait: DeploymentWait, at: float, now: float, chance: float) -> None:
        wait.looked(at, now, changed=wait in self._changed, chance=chance)
        grace_ends = wait.deployment.quiet_until(now)
        if grace_ends is not None and grace_ends < wait.due:
            wait.due = grace_ends

    async def _ask(self, workspace_id: str) -> None:
        """Look at one WorkSpace by itself."""
        waits = self._by_workspace.get(workspace_id)
        if not waits:
            return
        try:
            await self._share.turn("DescribeWorkspaceAssociations")
            answer = await self._client.describe_workspace_associations(workspace_id=workspace_id)
        except WorkSpacesError as error:
            self._fail(list(waits), error)
            return
        now = self.clock.monotonic()
        records = {record.associated_resource_id: record for record in answer.associations}
        for wait in list(waits):
            self._saw(wait, changed=wait.deployment.see_all(records, now), now=now)

    async def _list(self, application: str, sought: set[str], chance: float) -> None:
        """List the associations of an application, for as long as that is worth it."""
        pages = 0
        worth = max(self._counts.pages(application, len(sought)), len(sought))
        listing = self._client.describe_application_associations(
            application_id=application, associated_resource_types=("WORKSPACE",), max_results=ROWS
        ).pages()
        found: dict[str, Place] = {}
        complete = False
        try:
            while sought and pages < worth:
                await self._share.turn("DescribeApplicationAssociations")
                page = await anext(listing)
                pages += 1
                now = self.clock.monotonic()
                for record in page.associations:
                    found.setdefault(record.associated_resource_id, (pages, len(found)))
                    for wait in list(self._by_workspace.get(record.associated_resource_id, ())):
                        changed = wait.deployment.see(application, record, now, sure=True)
                        self._saw(wait, changed=changed, now=now)
                        self._along.add(wait)
                    sought.discard(record.associated_resource_id)
                if page.next_token is None:
                    complete = True
                    break
                await self._between(chance)
        except _UNLISTED as error:
            _log.debug("%s cannot be listed, so its WorkSpaces are asked: %s", application, error)
            pages = worth
        except WorkSpacesError as error:
            self._fail(
                [
                    wait
                    for one in sought
                    for wait in self._by_workspace.get(one, ())
                    if wait.deployment.follows(application)
                ],
                error,
            )
            return
        if complete:
            self._counts.read(application, pages)
            before = self._rows.get(application, ())
            self._absent(
                application, sought, sure=sought if pages == 1 else surely_absent(before, found, pages)
            )
            self._rows[application] = tuple(found)
        elif sought:
            self._counts.gave_up(application, pages)
            for workspace_id in sorted(sought):
                await self._ask(workspace_id)
                await self._between(chance)

    def _absent(self, application: str, missing: Iterable[str], *, sure: Container[str]) -> None:
        """Take in that a listing did not show some WorkSpaces; that the sure ones are absent is certain."""
        now = self.clock.monotonic()
        for workspace_id in missing:
            for wait in list(self._by_workspace.get(workspace_id, ())):
                changed = wait.deployment.see(application, None, now, sure=workspace_id in sure)
                self._saw(wait, changed=changed, now=now)

    async def _states(self, *, everything: bool) -> None:
        """Ask for the states of the WorkSpaces whose associations are terminal, 25 in a call."""
        while self._ready:
            now = self.clock.monotonic()
            if not everything and len({wait.resource_id for wait in self._ready}) < _IDS:
                wait, since = next(iter(self._ready.items()))
                if now - since + self._pace < _FLUSH_SHARE * wait.longest:
                    return
            waits: list[DeploymentWait] = []
            ids: dict[str, None] = {}
            for wait in self._ready:
                if len(ids) == _IDS and wait.resource_id not in ids:
                    break
                ids[wait.resource_id] = None
                waits.append(wait)
            for wait in waits:
                del self._ready[wait]
            await self._ask_states(waits, list(ids))

    async def _ask_states(self, waits: list[DeploymentWait], ids: list[str]) -> None:
        try:
            await self._share.turn("DescribeWorkspaces")
            workspaces = await self._client.describe_workspaces(workspace_ids=ids).collect()
        except ThrottlingException as error:
            self._fail(waits, error)
            return
        except ServiceError as error:
            if len(ids) == 1:
                self._fail(waits, error)
                return
            # One bad id must not end the waits for the others.
            for one in ids:
                await self._ask_states([wait for wait in waits if wait.resource_id == one], [one])
            return
        except WorkSpacesError as error:
            self._fail(waits, error)
            return
        now = self.clock.monotonic()
        states = {workspace.workspace_id: workspace.state for workspace in workspaces}
        for wait in waits:
            if wait.deployment.see_workspace(states.get(wait.resource_id)):
                self._changed.add(wait)
            step = wait.deployment.step(now)
            if step in ENDS:
                wait.settle(step, now)

    def _saw(self, wait: DeploymentWait, *, changed: bool, now: float) -> None:
        """See what a look at associations means to a wait."""
        if wait.ended:
            return
        if changed:
            self._changed.add(wait)
        step = wait.deployment.step(now)
        if step in ENDS:
            wait.settle(step, now)
        elif step is Step.WORKSPACE:
            self._ready.setdefault(wait, now)
        elif step is Step.CONFIRM:
            self._confirm[wait.resource_id] = None
        else:
            self._ready.pop(wait, None)

    def _fail(self, waits: Iterable[DeploymentWait], error: WorkSpacesError) -> None:
        now = self.clock.monotonic()
        for wait in waits:
            wait.fail_as_well(error, now)
