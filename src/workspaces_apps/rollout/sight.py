"""How an apply follows deployments: rounds of looks that all waiting WorkSpaces share.

A round reads either the associations of the plan's applications, 25 a call, or the waiting WorkSpaces one by one,
whichever is fewer calls. Rounds are further apart the more calls they take, so that looking never takes much of the
rate away from doing.
"""

import asyncio
import logging
from collections.abc import Collection
from typing import Final

from workspaces_apps.api.errors import AccessDeniedException
from workspaces_apps.client import WorkSpacesClient
from workspaces_apps.clock import Clock
from workspaces_apps.errors import WorkSpacesError
from workspaces_apps.rollout.associations import Seen
from workspaces_apps.rollout.cadence import Cadence, calls_by_application
from workspaces_apps.rollout.reading import States, read_applications, read_each

_log = logging.getLogger("workspaces_apps.rollout")

_PATIENCE: Final = 10


class Sight:
    """The looks of one target.

    Args:
        client: The target's client.
        clock: The client's clock.
        applications: The applications of the plan.
    """

    def __init__(self, client: WorkSpacesClient, clock: Clock, applications: Collection[str]) -> None:
        self._client = client
        self._clock = clock
        self._applications = tuple(sorted(applications))
        self._waiting: dict[str, asyncio.Future[dict[str, Seen] | None]] = {}
        self._rows = 0
        self._round: asyncio.Task[None] | None = None
        self._by_application = True

    async def survey(self, workspace_ids: Collection[str]) -> States:
        """How all these WorkSpaces are now, as far as the plan's applications go.

        Raises:
            WorkSpacesError: A call failed.
        """
        return await self._read(workspace_ids)

    async def next_look(self, workspace_id: str) -> dict[str, Seen] | None:
        """What the next round sees of a WorkSpace, of the plan's applications only; None if it could not be read.

        Raises:
            WorkSpacesError: Rounds have failed for so long that there is no point in waiting.
        """
        future = self._waiting.get(workspace_id)
        if future is None:
            future = self._waiting[workspace_id] = asyncio.get_running_loop().create_future()
        if self._round is None or self._round.done():
            self._round = asyncio.create_task(self._rounds())
        return await future

    async def close(self) -> None:
        """Look no more."""
        if self._round is not None:
            self._round.cancel()
            await asyncio.gather(self._round, return_exceptions=True)
        for future in self._waiting.values():
            future.cancel()
        self._waiting.clear()

    async def _rounds(self) -> None:
        failures, cadence = 0, Cadence()
        while self._waiting:
            calls = min(self._cost_by_application, len(self._waiting))
            await self._clock.sleep(cadence.pause(len(self._waiting), calls))
            waiting, self._waiting = self._waiting, {}
            # Whoever gave up in the meantime has cancelled its future.
            waiting = {one: future for one, future in waiting.items() if not future.done()}
            try:
                states = await self._read(waiting)
            except WorkSpacesError as error:
                failures += 1
                _log.warning("a look at %d WorkSpaces failed: %s", len(waiting), error)
                for future in waiting.values():
                    if failures > _PATIENCE and not future.done():
                        future.set_exception(error)
                    elif not future.done():
                        future.set_result(None)
            except Exception as error:  # noqa: BLE001 - it is raised again, where the look is waited for
                for future in waiting.values():
                    if not future.done():
                        future.set_exception(error)
            except BaseException:
                for future in waiting.values():
                    future.cancel()
                raise
            else:
                failures = 0
                for workspace_id, future in waiting.items():
                    if not future.done():
                        future.set_result(states.get(workspace_id, {}))
            # Those that go on waiting must have said so before the next pause is worked out.
            await asyncio.sleep(0)

    @property
    def _cost_by_application(self) -> int:
        return calls_by_application(len(self._applications), self._rows, len(self._waiting))

    async def _read(self, workspace_ids: Collection[str]) -> States:
        if self._by_application and self._cost_by_application < len(workspace_ids):
            try:
                states = await read_applications(self._client, self._applications)
            except AccessDeniedException:
                _log.warning("DescribeApplicationAssociations is not allowed: looking WorkSpace by WorkSpace")
                self._by_application = False
            else:
                self._rows = sum(map(len, states.values()))
                return states
        states = await read_each(self._client, workspace_ids)
        chosen = set(self._applications)
        return {
            workspace_id: {one: seen for one, seen in rows.items() if one in chosen}
            for workspace_id, rows in states.items()
        }
