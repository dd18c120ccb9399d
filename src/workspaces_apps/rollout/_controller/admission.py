"""Admission: why nothing more starts, when a WorkSpace may be written to, and the permission for its next deployment.

A WorkSpace is written to while the run's journal is held, nothing is paused, and, for a Deploy, its hours are open, its
user is away long enough and the hook agrees. Whoever asks for the permission of user and hook holds no slot, and comes
back to ask again once the run's own conditions hold.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from workspaces_apps._base.clock import Clock, Signal, sleep_or
from workspaces_apps._observe.schedule import TINY
from workspaces_apps._reconcile.decisions import ErrorAction, Reason, action_for, code_of
from workspaces_apps._reconcile.writes import LogFailed, Refusal
from workspaces_apps.errors import WorkSpacesError, lost_credentials, told
from workspaces_apps.rollout._controller.users import (
    POLL_SECONDS,
    ConnectionWatch,
    HookFailed,
    Notifier,
    Postpone,
    Seen,
    Skip,
)
from workspaces_apps.rollout._errors import JournalError
from workspaces_apps.rollout._plan.reading import Presence

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from workspaces_apps.rollout._journal.stores import FencedWriter
    from workspaces_apps.rollout._log.projections import RunSummary
    from workspaces_apps.rollout._manifest.policy import Policy
    from workspaces_apps.rollout._plan.plan import PlannedWorkspace


class CircuitBreaker:
    """Keeps what has not started from starting; what has started goes on. Nothing resets it.

    Args:
        clock: The time of rests.
        targets: Those that have something to do.
        budget: How many WorkSpaces may fail.

    Attributes:
        reason: Why nothing more starts anywhere; None while something may. The first reason stays.
    """

    def __init__(self, clock: Clock, targets: Iterable[str], budget: int) -> None:
        self.reason: tuple[Reason, str] | None = None
        self._clock = clock
        self._budget = budget
        self._failures = 0
        self._tripped = asyncio.Event()
        self._stops = {target: asyncio.Event() for target in targets}
        self._stopped: dict[str, tuple[Reason, str]] = {}

    def trip(self, reason: Reason, message: str) -> None:
        """Start nothing more anywhere."""
        if self.reason is None:
            self.reason = reason, message
            self._tripped.set()

    def trip_target(self, target: str, message: str, reason: Reason = Reason.BUDGET_SPENT) -> None:
        """Start nothing more in a target: nothing else would work there either. The others go on."""
        self._stopped.setdefault(target, (reason, message))
        self._stops[target].set()
        if self._stopped.keys() >= self._stops.keys():
            self.trip(reason, message)

    def lose_credentials(self, target: str, error: WorkSpacesError) -> None:
        """Start nothing more in a target whose credentials are lost."""
        self.trip_target(target, told(error), Reason.CREDENTIALS)

    @property
    def lost(self) -> str:
        """The targets that have lost their credentials, and how; empty if none has."""
        return self._told(Reason.CREDENTIALS)

    def count_failure(self) -> None:
        """Count a WorkSpace that failed."""
        self._failures += 1
        if self._failures > self._budget:
            self.trip(
                Reason.BUDGET_SPENT, f"{self._failures} WorkSpaces failed, and the budget is {self._budget}"
            )

    def reason_for(self, target: str) -> tuple[Reason, str] | None:
        """Return why nothing more starts in a target; None while something may."""
        lost = self._stopped.get(target)
        if lost is not None and (self.reason is None or lost[0] is Reason.CREDENTIALS):
            return lost
        return self.reason

    @property
    def stopped(self) -> str:
        """The targets that were stopped, and why; empty if none was."""
        return self._told(*Reason)

    def _told(self, *reasons: Reason) -> str:
        return "; ".join(
            f"{target}: {message}"
            for target, (reason, message) in sorted(self._stopped.items())
            if reason in reasons
        )

    def stops(self, target: str | None = None) -> tuple[Signal, ...]:
        """Return the signals that come when nothing more starts: in the target, where one is named, or anywhere."""
        return (self._tripped,) if target is None else (self._tripped, self._stops[target])

    async def rest(self, seconds: float, target: str | None = None, *others: Signal) -> None:
        """Sleep, until nothing more starts: in the target, where one is named, or anywhere; or another signal comes."""
        if seconds > 0:
            await sleep_or(self._clock, seconds, *self.stops(target), *others)


class Pause:
    """A pause of the whole run.

    Attributes:
        on: Whether the run is paused.
        over: Set while it is not.
    """

    def __init__(self) -> None:
        self.on: bool = False
        self.over: asyncio.Event = asyncio.Event()
        self.over.set()

    def set(self, *, on: bool) -> None:
        """Pause, or go on."""
        self.on = on
        (self.over.clear if on else self.over.set)()


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionContext:
    """The dependencies of the conditions of all WorkSpaces of a run.

    Attributes:
        policy: The plan's policy.
        clock: The time of hours.
        breaker: Tells when nothing more starts.
        pause: The pause of the run.
        summary: The run's counts, for how long its deployments take.
        fence: The journal, where another machine may take it over.
    """

    policy: Policy
    clock: Clock
    breaker: CircuitBreaker
    pause: Pause
    summary: RunSummary
    fence: FencedWriter | None = None


class RunConditions:
    """The conditions of a roll-out for one WorkSpace.

    Args:
        workspace: The WorkSpace.
        run: The run.
        admission: The permission of its user and of the hook; None where only the run itself matters.
    """

    def __init__(
        self, workspace: PlannedWorkspace, run: AdmissionContext, admission: Admission | None = None
    ) -> None:
        self._workspace = workspace
        self._run = run
        self._admission = admission

    def holds(self, *, deploy: bool) -> bool:
        """Tell if a write may leave now; a Deploy only within the hours, and with the permission of its user."""
        return self._run_holds(deploy=False) and (not deploy or self.is_admitted())

    @property
    def stops(self) -> tuple[Signal, ...]:
        """The signals that come when nothing more starts in the target."""
        return self._run.breaker.stops(self._workspace.target)

    def stopped(self) -> Refusal | None:
        """Return why nothing more starts in the target; None while something may."""
        stopped = self._run.breaker.reason_for(self._workspace.target)
        return Refusal(*stopped) if stopped is not None else None

    def is_admitted(self) -> bool:
        """Tell if the hours are open, the user is away, where that matters, and the hook has agreed, where there is one."""
        return self.is_open() and (self._admission is None or self._admission.holds())

    def is_recent(self, longest_age: float) -> bool:
        """Tell if the user's connection was read so many seconds ago at most, where users matter."""
        if self._admission is None or not self._run.policy.minds_users:
            return True
        read_at = self._admission.read_at
        return read_at is not None and self._run.clock.monotonic() - read_at <= longest_age

    def is_open(self) -> bool:
        """Tell if the hours of the policy allow a deployment now."""
        hours, entry = self._run.policy.hours, self._workspace.hours
        if not hours:
            return True
        return entry is not None and hours[entry].is_open(self._run.clock.now(), self._needs)

    def next_opening(self, moment: datetime | None = None) -> datetime | None:
        """Return when, from now or that moment on, the hours allow a deployment; None if they never do."""
        hours, entry = self._run.policy.hours, self._workspace.hours
        since = moment if moment is not None else self._run.clock.now()
        if not hours:
            return since
        return hours[entry].next_opening(since, self._needs) if entry is not None else None

    async def until_they_hold(self, *, deploy: bool) -> Refusal | None:
        """Wait for the journal's store, for the end of a pause, and for a Deploy, for the hours and for the user."""
        run, target = self._run, self._workspace.target
        while not self.holds(deploy=deploy):
            stopped = self.stopped()
            if stopped is not None:
                return stopped
            if run.fence is not None and not run.fence.held:
                refusal = await self._until_held(run.fence)
                if refusal is not None:
                    return refusal
            elif run.pause.on:
                await run.breaker.rest(_LONG, target, run.pause.over)
            elif not self.is_open():
                refusal = await self._until_open()
                if refusal is not None:
                    return refusal
            elif self._admission is not None:
                refusal = await self._admission.obtain(lambda: self._run_holds(deploy=True))
                if refusal is not None:
                    return refusal
        return None

    async def _until_held(self, fence: FencedWriter) -> Refusal | None:
        """Wait until nobody else can be writing to the journal, or nothing more starts; a `Refusal` if somebody is."""
        held = asyncio.ensure_future(fence.until_held())
        try:
            await self._run.breaker.rest(_LONG, self._workspace.target, held)
            if held.done():
                held.result()
        except JournalError as error:
            return Refusal(Reason.STOPPED, error.message)
        finally:
            held.cancel()
        return None

    async def refusal(self, *, deploy: bool) -> Refusal | None:
        """Ask if the user is connected, where such WorkSpaces are left alone: a deployment ends the session [doc]."""
        return await self._admission.check(deploy=deploy) if self._admission is not None else None

    def deployed(self) -> None:
        """Note that a Deploy was taken."""
        if self._admission is not None:
            self._admission.use()

    def closed(self) -> Refusal:
        """Return why a WorkSpace whose hours never come, or that does not wait for them, is left alone."""
        if self._admission is not None and (refusal := self._admission.closed()) is not None:
            return refusal
        if self._workspace.hours is None:
            message = "no hours of the policy are for this WorkSpace"
        elif self.next_opening() is None:
            message = (
                f"no hours of the policy are long enough for a deployment of {self._needs / 60:.0f} minutes"
            )
        else:
            message = "outside the hours of the policy"
        return Refusal(Reason.OUTSIDE_HOURS, message)

    @property
    def _needs(self) -> float:
        return self._run.policy.needs_of_hours(self._run.summary.usual_deployment)

    def _run_holds(self, *, deploy: bool) -> bool:
        held = self._run.fence is None or self._run.fence.held
        return held and not self._run.pause.on and (not deploy or self.is_open())

    async def _until_open(self) -> Refusal | None:
        run, opening = self._run, self.next_opening()
        if opening is None or run.policy.outside_hours == "skip":
            return self.closed()
        await run.breaker.rest((opening - run.clock.now()) / timedelta(seconds=1), self._workspace.target)
        return None


NOTICE_HOLDS: Final = timedelta(hours=1)
"""Time after the planned one at which a deployment may still begin without another notice."""

SHORTEST_POSTPONEMENT: Final = timedelta(seconds=1)

POSTPONED_TO_THE_PAST: Final = timedelta(minutes=1)
"""Time after which a hook is called again that postponed by less than `SHORTEST_POSTPONEMENT`."""

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
        given: Whether the user and the hook have let a Deploy leave; a notice holds for a while only.
        read_at: When the connection was last read for this WorkSpace alone, in seconds of the clock's `monotonic`.
    """

    __slots__ = (
        "_breaker",
        "_clock",
        "_error",
        "_idle_since",
        "_left",
        "_limit",
        "_lost",
        "_next_opening",
        "_notifier",
        "_planned",
        "_policy",
        "_postponed",
        "_presence",
        "_watch",
        "_workspace",
        "given",
        "read_at",
    )

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
        waits = policy.when_connected == "wait" or notifier is not None
        self._limit = policy.connected_timeout if waits else policy.ready_timeout
        # The seconds for which the user, or a hook that postpones, is still waited for.
        self._left = self._limit
        self._planned: datetime | None = None
        self._postponed: datetime | None = None

    def holds(self) -> bool:
        """Tell if a Deploy may leave, as far as the user and the hook are concerned."""
        return self.given and not self._is_past()

    def _is_past(self) -> bool:
        """Tell if the planned time of the notice lies back too far."""
        return self._planned is not None and self._clock.now() > self._planned + NOTICE_HOLDS

    def use(self) -> None:
        """Note that a Deploy was taken: the next one needs a permission of its own."""
        self.given = self._policy.when_connected != "wait" and self._notifier is None
        self._planned = self._postponed = None
        self._left = self._limit

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
        if self._postponed is not None and self._clock.now() < self._postponed:
            with self._counted():
                await self._rest_postponed(self._postponed)
            return None
        if self._policy.minds_users:
            with self._counted():
                refusal = await self._until_away(goes_on)
            if refusal is not None or not self._is_idle():
                return refusal
        if self._notifier is not None:
            return await self._until_noticed(self._notifier, goes_on)
        self.given = True
        return None

    def closed(self) -> Refusal | None:
        """Return why the WorkSpace is left alone when its hours end; None where that is not because of its user."""
        waited = self._left < self._limit and self._policy.minds_users
        return self._refusal() if waited and self._presence is not Presence.AWAY else None

    @contextmanager
    def _counted(self) -> Generator[None]:
        """Count a block as time for which the user, or a hook that postpones, is waited for."""
        began = self._clock.monotonic()
        try:
            yield
        finally:
            self._left -= self._clock.monotonic() - began

    async def _until_away(self, goes_on: Callable[[], bool]) -> Refusal | None:
        target, deadline = self._workspace.target, self._clock.monotonic() + self._left
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
                late = self._clock.monotonic() >= deadline
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

    async def _until_noticed(self, notifier: Notifier, goes_on: Callable[[], bool]) -> Refusal | None:
        if self._is_past():
            self._planned = None
        if self._planned is None:
            refusal = await self._notify(notifier, goes_on)
            if refusal is not None or self._planned is None:
                return refusal
        if self._clock.now() < self._planned:
            # Until then the user may come, and the hours may end; whoever has come is waited for anew.
            await self._rest_until(self._planned)
            self._left = self._limit
            return None
        self.given = True
        return None

    async def _notify(self, notifier: Notifier, goes_on: Callable[[], bool]) -> Refusal | None:
        """Call the hook, once the time for which a permit can be expected is no further away than the notice."""
        schedule, began = notifier.schedules[self._workspace.hours], self._clock.monotonic()
        with schedule.turn() as turn:
            await self._breaker.rest(math.inf, self._workspace.target, turn)
            planned = self._next_opening_after(schedule.earliest(self._after_notice))
            while planned > self._after_notice and not self._is_stopped:
                # No longer than this: deployments may turn out to be shorter than was expected.
                rest = min(planned - self._after_notice, timedelta(seconds=POLL_SECONDS))
                await self._rest_until(self._clock.now() + rest)
                planned = self._next_opening_after(schedule.earliest(self._after_notice))
            if self._policy.minds_users and self._clock.monotonic() - began > POLL_SECONDS:
                # The user may have come meanwhile.
                self._take(await self._watch.read(self._workspace.workspace_id))
                if not self._is_idle():
                    return None
            if self._is_stopped or not goes_on():
                return None
            schedule.plan(planned)
        late = self._left < TINY

        def planned_time() -> datetime | None:
            # Hooks take their time, and the notice begins when this one is called.
            soonest = max(planned, self._next_opening_after(self._after_notice))
            self._planned = None if self._is_stopped else soonest
            return self._planned

        try:
            answer = await notifier.call(self._workspace, planned_time)
        except HookFailed as error:
            schedule.cancel(planned)
            return Refusal(Reason.HOOK_FAILED, str(error))
        except JournalError as error:
            raise LogFailed from error
        match answer:
            case Skip(reason=reason):
                schedule.cancel(planned)
                return Refusal(reason or Reason.HOOK_SKIPPED, f"before_deploy: {reason or 'skip'}")
            case Postpone(until=until):
                schedule.cancel(planned)
                if late:
                    return Refusal(Reason.POSTPONED, "before_deploy postponed it until its time was up")
                # A moment that has passed would have the hook called again and again.
                now = self._clock.now()
                self._postponed = (
                    until if until >= now + SHORTEST_POSTPONEMENT else now + POSTPONED_TO_THE_PAST
                )
                self._planned = None
            case _:
                pass
        return None

    @property
    def _is_stopped(self) -> bool:
        return self._breaker.reason_for(self._workspace.target) is not None

    @property
    def _after_notice(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._policy.notice)

    def _next_opening_after(self, moment: datetime) -> datetime:
        return self._next_opening(moment) or moment

    async def _rest_postponed(self, until: datetime) -> None:
        end = self._clock.now() + timedelta(seconds=self._left)
        if end < until:
            # Asked once more when the time is up.
            self._postponed = None
        await self._rest_until(min(until, end))

    async def _rest_until(self, moment: datetime) -> None:
        """Rest until a moment, or until nothing more starts."""
        await self._breaker.rest((moment - self._clock.now()).total_seconds(), self._workspace.target)
