"""A simulator that notices what a test leaves behind: requests, clients, waits on its clock."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, Unpack

from workspaces_apps.simulator import ManualClock, Simulator, SimulatorOptions

if TYPE_CHECKING:
    from aiohttp import web

_PATIENCE: Final = 0.5
"""Real seconds for what is about to end; only a test that leaves something behind waits so long."""
_LOOK_AGAIN: Final = 0.005
_TO_BE_CLOSED: Final = (("workspaces-apps/", "workspaces_apps"), ("aiobotocore/", "aiobotocore"))
"""Clients that must be closed, by the beginning of their User-Agent. boto3 is not here: hardly anybody closes its clients."""


class WatchedSimulator(Simulator):
    """`Simulator`, with an eye on its connections; it takes the same arguments."""

    def __init__(self, **options: Unpack[SimulatorOptions]) -> None:
        super().__init__(**options)
        self._clients: dict[asyncio.Transport, str] = {}
        self._in_flight: dict[asyncio.Transport, str] = {}

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.transport
        if connection is None:
            return await super()._handle(request)
        self._clients[connection] = request.headers.get("User-Agent", "")
        self._in_flight[connection] = request.headers.get("X-Amz-Target", "").rpartition(".")[2] or "request"
        try:
            return await super()._handle(request)
        finally:
            del self._in_flight[connection]

    def leaks(self) -> list[str]:
        """Describe what a test has left over; empty if it tidied up. Waits a moment for what is about to end."""
        give_up = time.monotonic() + _PATIENCE
        while (found := self._left_over()) and time.monotonic() < give_up:
            time.sleep(_LOOK_AGAIN)
        return found

    async def leaks_on_loop(self) -> list[str]:
        """Do the same where the simulator runs on the running loop."""
        give_up = time.monotonic() + _PATIENCE
        # What is awaited is somebody else's tidying up, of which nobody tells.
        while (found := self._left_over()) and time.monotonic() < give_up:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN)
        return found

    def _left_over(self) -> list[str]:
        in_flight = self._in_flight.copy()
        unfinished = Counter(name for connection, name in in_flight.items() if not connection.is_closing())
        if unfinished:
            return [f"{count} × {name} that was not waited for" for name, count in unfinished.items()]
        agents = [agent for connection, agent in self._clients.copy().items() if not connection.is_closing()]
        kinds = {kind for agent in agents for mark, kind in _TO_BE_CLOSED if agent.startswith(mark)}
        found = [f"a client of {kind} that was not closed: use `async with`" for kind in sorted(kinds)]
        if isinstance(self.clock, ManualClock):
            # A request that is slow on purpose sleeps too, even if nobody waits for it any more.
            sleeping = self.clock.sleeping - len(in_flight)
            if sleeping > 0:
                found.append(f"{sleeping} × somebody who still waits for the simulator's clock")
        return found
