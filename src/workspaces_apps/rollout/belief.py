"""What a desk believes of its WorkSpace, from looks that may be late, incomplete or shifted. Nothing here calls."""

from collections.abc import Collection, Mapping
from typing import Final

from workspaces_apps.clock import Clock
from workspaces_apps.rollout.associations import ABSENT, ERROR, GONE, IN_FLIGHT, STAGED, Seen
from workspaces_apps.rollout.events import Direction

GRACE: Final = 60.0
"""Seconds for which a deployment that was taken need not show yet [assumed]."""


class Belief:
    """The associations of one WorkSpace.

    Args:
        wanted: The applications that are to be changed, and where to.
        found: How it was found.
        clock: Tells how old a deployment is.

    Attributes:
        seen: Each association as it was last seen; what is not here was never there.
        committed: Applications that a Deploy was just taken for, and that have not shown it yet.
        errors: Those whose deployment was seen to end in ERROR, until the next Deploy is taken for them, or the failure
            is told.
    """

    def __init__(self, wanted: Mapping[str, Direction], found: Mapping[str, Seen], clock: Clock) -> None:
        self.seen: dict[str, Seen] = dict(found)
        self.committed: frozenset[str] = frozenset()
        self.errors: dict[str, Seen] = {}
        self._wanted = wanted
        self._clock = clock
        self._deployed_at: float | None = None
        self._before_deploy: dict[str, Seen] = {}
        self._absences = 0

    def of(self, application: str) -> Seen:
        """An association as it was last seen."""
        return self.seen.get(application, GONE)

    def see(self, application: str, now: Seen) -> bool:
        """Believe a look at an association, unless it is late; whether one that is wanted changed its state."""
        if self._is_late(application, now):
            return False
        before = self.of(application)
        self.seen[application] = now
        self.committed -= {application}
        if application not in self._wanted:
            return False
        is_new = now.state == ERROR and (before.state != ERROR or before.updated != now.updated)
        if is_new and (before.state in IN_FLIGHT or application in self._before_deploy):
            self.errors[application] = now
        return before.state != now.state

    def whole(self, look: Mapping[str, Seen]) -> Mapping[str, Seen] | None:
        """What to believe of a round's look: an absence may be a page's shift. None: only a look at it alone tells."""
        missing = [one for one in self._wanted if self.of(one).state != ABSENT and one not in look]
        if not missing:
            self._absences = 0
            return look
        self._absences += 1
        if self._absences < 2:
            return {**look, **{one: self.seen[one] for one in missing}}
        if any(self._wanted[one] == "install" for one in missing):
            self._absences = 0
            return None
        return look

    def restage(self, application: str) -> None:
        """It was staged: what is seen from now on is not what an earlier deployment left."""
        self._before_deploy.pop(application, None)

    def commit(self, applications: Collection[str]) -> None:
        """A Deploy was taken for these."""
        self._deployed_at = self._clock.monotonic()
        self._before_deploy = {one: self.of(one) for one in applications}
        self.committed = frozenset(applications)
        self.errors = {one: error for one, error in self.errors.items() if one not in self.committed}

    def elapsed(self, application: str) -> float | None:
        """Seconds since a Deploy was taken for it; None if none was."""
        if self._deployed_at is None or application not in self._before_deploy:
            return None
        return self._clock.monotonic() - self._deployed_at

    @property
    def only_others_move(self) -> bool:
        """Whether a deployment goes on, and none of what is wanted: rounds do not tell when that ends."""
        moving = {application for application, seen in self.seen.items() if seen.state in IN_FLIGHT}
        return bool(moving) and moving.isdisjoint(self._wanted)

    def _is_late(self, application: str, now: Seen) -> bool:
        """Whether a look shows what was there before a deployment that the service has taken since."""
        before = self._before_deploy.get(application)
        if before is None or self._out_of_grace() or (now.state not in STAGED and now.state != ERROR):
            return False
        if now.updated is None or before.updated is None:
            return now.state == before.state
        return now.updated <= before.updated

    def _out_of_grace(self) -> bool:
        began = self._deployed_at
        return began is None or self._clock.monotonic() - began > GRACE
