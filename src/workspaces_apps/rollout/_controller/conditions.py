"""The conditions under which a roll-out writes to a WorkSpace: not paused, and within its hours."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from workspaces_apps._reconcile.error_action import code_of
from workspaces_apps._reconcile.guard import Refusal
from workspaces_apps._reconcile.reasons import Reason
from workspaces_apps.errors import WorkSpacesError, lost_credentials, told
from workspaces_apps.rollout._plan.reading import read_connected

if TYPE_CHECKING:
    from workspaces_apps._base.clock import Clock
    from workspaces_apps._client.client import WorkSpacesClient
    from workspaces_apps.rollout._controller.circuit_breaker import CircuitBreaker
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


class RunConditions:
    """The conditions of a roll-out for one WorkSpace.

    Args:
        workspace: The WorkSpace.
        policy: The plan's policy.
        clock: The time of hours.
        breaker: Tells when nothing more starts.
        pause: The pause of the run.
        client: Whose call it is to ask if the user is connected.
    """

    def __init__(
        self,
        workspace: PlannedWorkspace,
        policy: Policy,
        clock: Clock,
        breaker: CircuitBreaker,
        pause: Pause,
        client: WorkSpacesClient | None = None,
    ) -> None:
        self._workspace = workspace
        self._policy = policy
        self._clock = clock
        self._breaker = breaker
        self._pause = pause
        self._client = client

    def holds(self, *, deploy: bool) -> bool:
        """Tell if a write may leave now; a Deploy only within the hours."""
        return not self._pause.on and (not deploy or self.is_open())

    def is_open(self) -> bool:
        """Tell if the hours of the policy allow a deployment now."""
        hours, entry = self._policy.hours, self._workspace.hours
        if not hours:
            return True
        return entry is not None and hours[entry].is_open(self._clock.now())

    def next_opening(self) -> datetime | None:
        """Return when the hours allow a deployment; None if no entry is for this WorkSpace."""
        hours, entry = self._policy.hours, self._workspace.hours
        now = self._clock.now()
        if not hours:
            return now
        return hours[entry].next_opening(now) if entry is not None else None

    async def until_they_hold(self, *, deploy: bool) -> Refusal | None:
        """Wait for the end of a pause, and for a Deploy, for the hours."""
        target = self._workspace.target
        while not self.holds(deploy=deploy):
            stopped = self._breaker.reason_for(target)
            if stopped is not None:
                return Refusal(*stopped)
            if self._pause.on:
                await self._breaker.rest(_LONG, target, self._pause.over)
                continue
            opening = self.next_opening()
            if opening is None or self._policy.outside_hours == "skip":
                return Refusal(Reason.OUTSIDE_HOURS, "outside the hours of the policy")
            await self._breaker.rest((opening - self._clock.now()) / timedelta(seconds=1), target)
        return None

    async def refusal(self, *, deploy: bool) -> Refusal | None:
        """Ask if the user is connected, where such WorkSpaces are to be left alone: a deployment ends the session [doc].

        Before anything is staged, only a user who was connected when the plan was made is asked for.
        """
        if not self._policy.skip_connected or self._client is None:
            return None
        if not deploy and not self._workspace.connected:
            return None
        workspace_id = self._workspace.workspace_id
        try:
            connected = await read_connected(self._client, [workspace_id])
        except WorkSpacesError as error:
            if lost_credentials(error):
                self._breaker.lose_credentials(self._workspace.target, error)
                return Refusal(Reason.CREDENTIALS, told(error))
            message = f"nobody can tell whether the user is connected: {code_of(error)}"
            return Refusal(Reason.UNKNOWN, message)
        if connected.get(workspace_id):
            return Refusal(Reason.CONNECTED, "the user is connected")
        return None
