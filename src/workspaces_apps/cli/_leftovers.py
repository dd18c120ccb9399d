"""Leftovers of `install` and `uninstall` that are asked to end early, WorkSpace by WorkSpace."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from workspaces_apps._base.text import harmless
from workspaces_apps.cli._console import complain
from workspaces_apps.errors import WorkSpacesError

if TYPE_CHECKING:
    from workspaces_apps._client.client import WorkSpacesClient

Doing: TypeAlias = Literal["install", "uninstall"]

States: TypeAlias = Mapping[str, Mapping[str, str]]
"""By WorkSpace that was looked at, and by application: the state; ``REMOVED`` where there is none."""

AS_WANTED: Final = {"install": "COMPLETED", "uninstall": "REMOVED"}

ADVICE: Final = "Run the same command to resume; nothing is done twice."


class Interruption:
    """Two ways to end early: asked once, stop waiting and look at what is left; asked twice, end at once."""

    def __init__(self) -> None:
        self.asked: bool = False
        self._tasks: list[asyncio.Task[None]] = []

    def holds(self, task: asyncio.Task[None]) -> None:
        """A task that is to end when it is asked for."""
        self._tasks.append(task)

    def stop_waiting(self) -> None:
        """Asked once."""
        self.asked = True
        complain("stopped waiting; looking at what is left (Ctrl-C again ends at once)")
        self._cancel()

    def end(self) -> None:
        """Asked twice."""
        complain("ending at once")
        self._cancel()

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()


async def look(
    ws: WorkSpacesClient,
    workspace_ids: Sequence[str],
    applications: Sequence[str],
    interruption: Interruption,
) -> States:
    """Return what is there now; a WorkSpace that cannot be looked at, or not in time, is left out."""
    found: dict[str, dict[str, str]] = {}

    async def one(workspace_id: str) -> None:
        try:
            answer = await ws.describe_workspace_associations(workspace_id=workspace_id)
        except WorkSpacesError as error:
            complain(str(error))
            return
        states = {row.associated_resource_id: str(row.state) for row in answer.associations}
        found[workspace_id] = {each: states.get(each, "REMOVED") for each in applications}

    async with asyncio.TaskGroup() as tasks:
        for workspace_id in workspace_ids:
            interruption.holds(tasks.create_task(one(workspace_id)))
    return found


def in_words(doing: Doing, states: Mapping[str, str] | None, names: Mapping[str, str]) -> str:
    """Describe what is left on a WorkSpace.

    Args:
        doing: What was to be done.
        states: Its applications; None if it was not looked at.
        names: What they are called.
    """
    if states is None:
        return "unknown: it was not looked at again"
    return "; ".join(f"{harmless(names[one])}: {_state(doing, state)}" for one, state in states.items())


def _state(doing: Doing, state: str) -> str:
    from workspaces_apps._associations.states import ERROR, IN_FLIGHT, SETTLED, STAGED

    if state == AS_WANTED[doing]:
        return f"{doing}ed"
    if state in STAGED:
        return "staged and not deployed: any deployment of this WorkSpace would commit it"
    if state in IN_FLIGHT:
        return "its deployment goes on at the service"
    if state == ERROR:
        return "in ERROR"
    return "not started" if state in SETTLED else harmless(state)
