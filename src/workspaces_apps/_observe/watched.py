"""The table row of one WorkSpace under observation: who subscribes, what was read last, and what that means."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from workspaces_apps._associations.states import ERROR, Phase, same_state, state_info
from workspaces_apps._associations.workspaces import DEPLOYING

if TYPE_CHECKING:
    from workspaces_apps._observe.experience import Experience
    from workspaces_apps._observe.snapshot import AssociationRecord, Snapshot
    from workspaces_apps._observe.subscription import Subscription
    from workspaces_apps.api import WorkspaceState


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
        return max((one.since for one in self.subscriptions), default=self.read_at)

    @property
    def due(self) -> float:
        """The moment at which it must be polled."""
        return min(-math.inf if one.at_once else one.due for one in self.subscriptions)

    @property
    def optional(self) -> float:
        """The moment from which it may be polled along with others."""
        return min(one.optional for one in self.subscriptions)

    @property
    def along(self) -> float:
        """Seconds by which a poll may come early, to share a call."""
        return max(one.schedule.along * one.delay for one in self.subscriptions)

    def begin(self, since: float, now: float) -> None:
        """Note that a deployment has begun whose associations need not be read at once."""
        self._counted, self.awry = False, 0
        self.moving, self.moving_at, self.read_at = True, since, now

    def see_state(self, state: WorkspaceState | None, at: float) -> None:
        """Take in a read of its state."""
        self.changed |= self.state_at is None or state != self.state
        self.state, self.state_at = state, at
        self.hint_failures = 0
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
                _state(self.known[application]), _state(record)
            )
            self.known[application] = record
        wanted = self.applications
        self.note_read(complete=snapshot.complete)
        if snapshot.complete or (wanted is not None and wanted <= shown.keys()):
            self.read_at = snapshot.at
        self._judge(snapshot.at, wanted, experience)
        return True

    def note_read(self, *, complete: bool = False) -> None:
        """Note that associations were read, which those who subscribe want no more if that shows all that matters."""
        wanted = self.applications
        if complete or (wanted is not None and wanted <= self.known.keys()):
            for one in self.subscriptions:
                one.unread = False

    def deliver(self, snapshot: Snapshot) -> None:
        """Hand a snapshot to every subscription, with the state as it is known."""
        snapshot = replace(
            snapshot, workspace_state=self.state, state_at=self.state_at, state_denied=self.state_denied
        )
        for one in list(self.subscriptions):
            one.deliver(snapshot)

    def _judge(self, at: float, wanted: frozenset[str] | None, experience: Experience) -> None:
        """Note if a deployment goes on, and how long one took that has ended."""
        matter = self.known.keys() if not wanted else wanted & self.known.keys()
        states = [_state(self.known[one]) for one in matter]
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


def _state(record: AssociationRecord | None) -> str | None:
    return record.state if record is not None else None
