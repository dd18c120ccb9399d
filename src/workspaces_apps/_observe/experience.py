"""The experience of an observer: how long things take and how far the hint can be trusted; and its arithmetic."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Final

from workspaces_apps._base.logs import field_logger
from workspaces_apps._observe.read_plan import PageCounts, Plan, make_plan
from workspaces_apps._observe.reads import IDS
from workspaces_apps._observe.schedule import Durations, awry_delay
from workspaces_apps._observe.timers import TINY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from workspaces_apps._observe.watched import Watched
    from workspaces_apps.errors import WorkSpacesError

_log = field_logger("workspaces_apps.observe")

_NEVER_UPDATING: Final = 8
"""WorkSpaces that were never seen UPDATING during a deployment, after which the hint is not relied on."""

_REST: Final = 1.5
"""Ticks within which a deployment that may end any moment must have been polled to be left out of a round."""

_QUICK: Final = 30.0
"""Seconds within which every deployment has ended where they are quick, as those of a test."""

_WORTH_A_FINE_POLL: Final = 2.0
"""Deployments that will have ended, as far as can be foreseen, by the next poll at a finer grid."""

_YOUNG_REST: Final = 600.0
"""The same in seconds for one that is too young to have ended."""


class Experience:
    """The durations and rates that an observer has learned.

    Attributes:
        durations: How long deployments take.
        lags: How long associations stay in flight after the WorkSpace has ceased to be UPDATING.
        counts: How long the listings are.
        rows: The WorkSpaces of each listing, in its order.
        unlisted: Applications that cannot be listed.
        hint_denied: Whether states may not be read.
        reads_denied: Whether WorkSpaces may not be read one by one.
        hint_seen: Whether any WorkSpace was seen UPDATING.
        never_updating: WorkSpaces that were not, although a deployment was in flight.
    """

    def __init__(self) -> None:
        self.durations: Durations = Durations()
        self.lags: Durations = Durations()
        self.counts: PageCounts = PageCounts()
        self.rows: dict[str, tuple[str, ...]] = {}
        self.unlisted: set[str] = set()
        self.hint_denied: bool = False
        self.reads_denied: bool = False
        self.hint_seen: bool = False
        self.never_updating: set[str] = set()

    def deny_hints(self, error: WorkSpacesError) -> None:
        """Note that states may not be read."""
        if not self.hint_denied:
            _log.warning(
                "DescribeWorkspaces is not allowed: the associations alone tell when a deployment ends: %s", error,
                extra={"operation": "DescribeWorkspaces", "request_id": error.request_id},
            )  # fmt: skip
        self.hint_denied = True

    @property
    def hints_off(self) -> bool:
        """Tell if polls do without the states of WorkSpaces."""
        return self.hint_denied or (not self.hint_seen and len(self.never_updating) >= _NEVER_UPDATING)

    def must_read(self, watched: Watched, now: float) -> bool:
        """Tell if the associations must be read, whatever a hint would say."""
        return (
            any(
                one.unread or one.applications is None or one.schedule.strict for one in watched.subscriptions
            )
            or now - watched.read_at >= self.durations.read_after - TINY
            or watched.hint_failures > 1
        )

    def awry_until(self, watched: Watched, now: float) -> float:
        """Return when a WorkSpace is polled again that is not UPDATING although an association is in flight."""
        until = now + awry_delay(watched.awry - 1)
        lag = self.lags.near
        return until if lag is None else max(until, watched.awry_since + lag)

    def needs(self, reads: Iterable[Watched]) -> dict[str, frozenset[str]]:
        """Return by WorkSpace the applications to be read, where listings can show them."""
        found: dict[str, frozenset[str]] = {}
        for watched in reads:
            applications = watched.applications
            if applications and self.unlisted.isdisjoint(applications):
                found[watched.workspace_id] = applications
        return found

    def plan(self, reads: Iterable[Watched]) -> Plan:
        """Return the cheapest reads; what may not be read by itself is listed."""
        needs = self.needs(reads)
        if self.reads_denied:
            return Plan(listings=frozenset[str]().union(*needs.values()), singles=())
        return make_plan(needs, self.counts)

    def cost(self, reads: Sequence[Watched]) -> int:
        """Return the calls that the cheapest reads are expected to take."""
        needs = self.needs(reads)
        plan = self.plan(reads)
        followers = Counter(one for applications in needs.values() for one in applications)
        listed = sum(self.counts.pages(one, followers[one]) for one in plan.listings)
        return listed + len(plan.singles) + len(reads) - len(needs)

    def chance(self, watched: Watched, now: float) -> float:
        """Return the chance that a deployment has ended since it was last seen to go on."""
        if watched.awry:
            return 1.0
        return self.durations.chance(watched.moving_at - watched.since, now - watched.since)

    def is_fine(self, watched: Collection[Watched], now: float, tick: float) -> bool:
        """Tell if polls at a finer grid tell much: all deployments are quick, or those that are left fit in one call.

        Args:
            watched: Everything that is observed.
            now: The moment.
            tick: Seconds from poll to poll at that grid.
        """
        if self.durations.all_within(_QUICK):
            return True
        # The last of a fleet decide when all is over.
        return (
            len(watched) <= IDS and sum(self.chance(one, now + tick) for one in watched) >= _WORTH_A_FINE_POLL
        )

    def can_wait(self, watched: Watched, now: float) -> bool:
        """Tell if a deployment may be left out of one round: nobody asked for polls at certain intervals."""
        near = self.durations.near
        if near is None or any(one.at_once or one.schedule.bound < math.inf for one in watched.subscriptions):
            return False
        tick = max(one.schedule.tick for one in watched.subscriptions)
        rest = _YOUNG_REST if now - watched.since < near else _REST * tick
        return now - watched.round_at < rest

    def reads_are_cheaper(
        self, hints: Sequence[Watched], states: Sequence[Watched], reads: Sequence[Watched], now: float
    ) -> bool:
        """Weigh a hint, and the reads it leads to, against reading at once and asking for states afterwards.

        Args:
            hints: The WorkSpaces that could do with a hint.
            states: Those whose states are read anyway.
            reads: Those whose associations are.
            now: The moment.
        """
        if len(hints) + len(states) + len(reads) == 1:
            return True
        ended = sum(self.chance(one, now) for one in hints)
        read = self.cost([*hints, *reads]) - self.cost(reads)
        hint = calls_for(len(hints) + len(states)) - calls_for(len(states))
        return read + ended / IDS < hint + min(ended, read)


def calls_for(ids: int) -> int:
    """Return the calls that show the states of so many WorkSpaces."""
    return -(-ids // IDS)
