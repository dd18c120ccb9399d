"""A subscription to what polls and reads show of one WorkSpace's associations and state."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from workspaces_apps._observe.feed import Feed, Host
from workspaces_apps._observe.snapshot import Snapshot

if TYPE_CHECKING:
    from workspaces_apps._observe.audience import PollAudience
    from workspaces_apps._observe.schedule import Durations, Schedule


class SubscriptionHost(Host, Protocol):
    """The observer as its subscriptions know it."""

    def leave(self, subscription: Subscription) -> None:
        """Forget a subscription."""
        ...


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

    __slots__ = ("_applications", "_leaves", "since", "unread")

    def __init__(
        self,
        host: SubscriptionHost,
        workspace_id: str,
        applications: frozenset[str] | None,
        schedule: Schedule,
        *,
        since: float | None,
        tolerate_failures: int,
        audience: PollAudience | None,
    ) -> None:
        super().__init__(host, workspace_id, schedule, tolerate_failures=tolerate_failures, audience=audience)
        self.unread: bool = since is None
        self.at_once: bool = self.unread
        self.since: float = self.due if since is None else since
        self.due: float = schedule.aligned(self.since + schedule.first)
        self._applications = applications
        self._leaves = host.leave

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
            self._host.wake()

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
        parts: int,
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

    def _leave(self) -> None:
        self._leaves(self)
