"""The permission for the next deployment of one WorkSpace: its user is away long enough, and the hook agrees.

Whoever asks for it holds no slot, and comes back to ask again once the run's own conditions hold.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from workspaces_apps._reconcile.decisions import ErrorAction, Reason, action_for, code_of
from workspaces_apps._reconcile.writes import LogFailed, Refusal
from workspaces_apps.errors import lost_credentials, told
from workspaces_apps.rollout._connections import Presence
from workspaces_apps.rollout._controller.notices import HookFailed
from workspaces_apps.rollout._errors import JournalError
from workspaces_apps.rollout._notice import Postpone, Skip

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from workspaces_apps._base.clock import Clock
    from workspaces_apps.rollout._controller.circuit_breaker import CircuitBreaker
    from workspaces_apps.rollout._controller.connection_watch import ConnectionWatch, Seen
    from workspaces_apps.rollout._controller.notices import Notifier
    from workspaces_apps.rollout._manifest.policy import Policy
    from workspaces_apps.rollout._plan.plan import PlannedWorkspace

NOTICE_HOLDS: Final = timedelta(hours=1)
"""Time after the planned one at which a deployment may still begin without another notice."""

_PERMANENT: Final = frozenset({ErrorAction.STOP_TARGET, ErrorAction.GIVE_UP})
"""The reactions to errors after which the connection will not be read either."""

_LONG: Final = 3600.0
"""Seconds after which a wait is looked at again."""


class Admission:
    """The permission for the next deployment of one WorkSpace.

    Args:
        workspace: The WorkSpace.
        policy: The plan's policy.
        clock: The time of waits.
        breaker: Ends waits when nothing more starts.
        watch: Reads who is connected.
        notifier: Calls the hook; None where there is none.
        next_opening: Returns the first moment, from the one given, at which the hours allow a deployment.

    Attributes:
        given: Whether a Deploy may leave, as far as the user and the hook are concerned.
        read_at: When the connection was last read for this WorkSpace alone, in seconds of the clock's `monotonic`.
    """

    def __init__(
        self,
        workspace: PlannedWorkspace,
        policy: Policy,
        clock: Clock,
        breaker: CircuitBreaker,
        watch: ConnectionWatch,
        notifier: Notifier | None,
        next_opening: Callable[[datetime], datetime | None],
    ) -> None:
        self.given: bool = policy.when_connected != "wait" and notifier is None
        self.read_at: float | None = None
        self._workspace = workspace
        self._policy = policy
        self._clock = clock
        self._breaker = breaker
        self._watch = watch
        self._notifier = notifier
        self._next_opening = next_opening
        self._presence = Presence.UNKNOWN
        self._error: str | None = None
        self._lost: str | None = None
        self._idle_since: datetime | None = None
        self._deadline: float | None = None
        self._planned: datetime | None = None
        self._postponed: datetime | None = None

    def use(self) -> None:
        """Note that a Deploy was taken: the next one needs a permission of its own."""
        self.given = self._policy.when_connected != "wait" and self._notifier is None
        self._planned = self._postponed = self._deadline = None

    async def check(self, *, deploy: bool) -> Refusal | None:
        """Read directly whether the user is connected; the permission is withdrawn where that is not certain.

        Before anything is staged, only a user who was connected when the plan was made is asked for: with ``wait``
        everybody is, by polls.

        Args:
            deploy: Whether a Deploy is about to be sent.
        """
        if not self._policy.minds_users:
            return None
        skips = self._policy.when_connected == "skip"
        if not deploy and not (skips and self._workspace.connected):
            return None
        self._take(await self._watch.read(self._workspace.workspace_id))
        if self._lost is not None or self._error is not None:
            return self._refusal()
        if skips and self._presence is Presence.CONNECTED:
            return self._refusal()
        if deploy or self._presence is Presence.UNKNOWN:
            self.given = self.given and self._is_idle()
        return None

    async def obtain(self, goes_on: Callable[[], bool]) -> Refusal | None:
        """Wait until the permission is given; a `Refusal` if it will not be.

        It returns early, with nothing given, where `goes_on` does not hold any more, or a moment has come at which
        everything must be asked anew.

        Args:
            goes_on: Tells whether the run's own conditions hold still.
        """
        if self._deadline is None:
            waits = self._policy.when_connected == "wait" or self._notifier is not None
            limit = self._policy.connected_timeout if waits else self._policy.ready_timeout
            self._deadline = self._clock.monotonic() + limit
        if self._postponed is not None and self._clock.now() < self._postponed:
            await self._rest_until(self._postponed)
            return None
        if self._policy.minds_users:
            refusal = await self._until_away(goes_on)
            if refusal is not None or not self._is_idle():
                return refusal
        if self._notifier is not None:
            return await self._until_noticed(self._notifier)
        self.given = True
        return None

    def closed(self) -> Refusal | None:
        """Return why the WorkSpace is left alone when its hours end; None where that is not because of its user."""
        waited = self._deadline is not None and self._policy.minds_users
        return self._refusal() if waited and self._presence is not Presence.AWAY else None

    async def _until_away(self, goes_on: Callable[[], bool]) -> Refusal | None:
        target = self._workspace.target
        with self._watch.follow(self._workspace.workspace_id) as follower:
            while goes_on() and self._breaker.reason_for(target) is None:
                await self._breaker.rest(self._until_idle(), target, follower.news)
                if follower.news.is_set() and follower.seen is not None:
                    follower.news.clear()
                    self._take(follower.seen)
                    if self._lost is not None or self._error is not None:
                        return self._refusal()
                if follower.seen is None:
                    continue
                if self._is_idle():
                    return None
                # Whoever has left just before the time was up is given the time to stay away.
                late = self._clock.monotonic() >= (self._deadline or 0.0)
                skips = self._policy.when_connected == "skip" and self._presence is Presence.CONNECTED
                if skips or (late and self._presence is not Presence.AWAY):
                    return self._refusal()
        return None

    def _until_idle(self) -> float:
        if self._idle_since is None:
            return _LONG
        idle_at = self._idle_since + timedelta(seconds=self._idle_for)
        return max(0.001, (idle_at - self._clock.now()).total_seconds())

    @property
    def _idle_for(self) -> float:
        return self._policy.idle_for if self._policy.when_connected == "wait" else 0.0

    def _is_idle(self) -> bool:
        if self._idle_since is None:
            return False
        return self._clock.now() - self._idle_since >= timedelta(seconds=self._idle_for)

    def _take(self, seen: Seen) -> None:
        """Take in what was read of the user."""
        self.read_at = seen.read_at
        self._presence = seen.presence
        if seen.error is not None and lost_credentials(seen.error):
            self._breaker.lose_credentials(self._workspace.target, seen.error)
            self._lost = told(seen.error)
        elif seen.error is not None and action_for(seen.error) in _PERMANENT:
            self._error = code_of(seen.error)
        if seen.presence is not Presence.AWAY:
            self._idle_since = None
        elif seen.stopped:
            # Nobody can have been at work on it for a moment.
            self._idle_since = seen.at - timedelta(seconds=self._idle_for)
        else:
            since = self._idle_since or seen.at
            # A user may have come and gone between two reads.
            self._idle_since = max(since, seen.last_connected or since)

    def _refusal(self) -> Refusal:
        if self._lost is not None:
            return Refusal(Reason.CREDENTIALS, self._lost)
        if self._error is not None:
            return Refusal(Reason.CONNECTION_UNKNOWN, f"the user's connection cannot be read: {self._error}")
        if self._presence is Presence.CONNECTED:
            return Refusal(Reason.CONNECTED, "the user is connected")
        return Refusal(Reason.CONNECTION_UNKNOWN, "the service does not tell whether the user is connected")

    async def _until_noticed(self, notifier: Notifier) -> Refusal | None:
        if self._planned is not None and self._clock.now() > self._planned + NOTICE_HOLDS:
            self._planned = None
        if self._planned is None:
            refusal = await self._notify(notifier)
            if refusal is not None or self._planned is None:
                return refusal
        if self._clock.now() < self._planned:
            # Until then the user may come, and the hours may end.
            await self._rest_until(self._planned)
            return None
        self.given = True
        return None

    async def _notify(self, notifier: Notifier) -> Refusal | None:
        now, notice = self._clock.now(), timedelta(seconds=self._policy.notice)
        planned = self._next_opening(now + notice) or now + notice
        if planned - notice > now:
            await self._rest_until(planned - notice)
            return None
        late = self._clock.monotonic() >= (self._deadline or 0.0)
        try:
            answer = await notifier.call(self._workspace, planned)
        except HookFailed as error:
            return Refusal(Reason.HOOK_FAILED, str(error))
        except JournalError as error:
            raise LogFailed from error
        match answer:
            case Skip(reason=reason):
                return Refusal(reason or Reason.HOOK_SKIPPED, f"before_deploy: {reason or 'skip'}")
            case Postpone(until=until):
                if late:
                    return Refusal(Reason.POSTPONED, "before_deploy postponed it until its time was up")
                self._postponed = until
            case _:
                self._planned = planned
        return None

    async def _rest_until(self, moment: datetime) -> None:
        """Rest until a moment, and until the time is up at most."""
        seconds = (moment - self._clock.now()).total_seconds()
        left = (self._deadline or 0.0) - self._clock.monotonic()
        if left < seconds and moment == self._postponed:
            # Asked once more when the time is up.
            self._postponed, seconds = None, left
        await self._breaker.rest(seconds, self._workspace.target)
