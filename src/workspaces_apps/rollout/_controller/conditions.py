"""The conditions under which a roll-out writes to a WorkSpace: its journal held, not paused, in its hours, its user away."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from workspaces_apps._reconcile.decisions import Reason
from workspaces_apps._reconcile.writes import Refusal
from workspaces_apps.rollout._errors import JournalError

if TYPE_CHECKING:
    from workspaces_apps._base.clock import Clock
    from workspaces_apps.rollout._controller.admission import Admission
    from workspaces_apps.rollout._controller.circuit_breaker import CircuitBreaker
    from workspaces_apps.rollout._journal.stores import FencedWriter
    from workspaces_apps.rollout._log.summary import RunSummary
    from workspaces_apps.rollout._manifest.policy import Policy
    from workspaces_apps.rollout._plan.plan import PlannedWorkspace


_LONG: Final = 3600.0
"""Seconds after which a pause is looked at again, should nobody have ended it."""


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
class RunState:
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
        self, workspace: PlannedWorkspace, run: RunState, admission: Admission | None = None
    ) -> None:
        self._workspace = workspace
        self._run = run
        self._admission = admission

    def holds(self, *, deploy: bool) -> bool:
        """Tell if a write may leave now; a Deploy only within the hours, and with the permission of its user."""
        return self._run_holds(deploy=deploy) and (not deploy or self.is_admitted())

    def is_admitted(self) -> bool:
        """Tell if the user is away, where that matters, and the hook has agreed, where there is one."""
        return self._admission is None or self._admission.given

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
            stopped = run.breaker.reason_for(target)
            if stopped is not None:
                return Refusal(*stopped)
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
