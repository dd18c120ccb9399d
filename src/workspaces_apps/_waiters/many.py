"""Waiting for many deployments at once: outcomes as they come, or all together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from typing import Any

from workspaces_apps import types
from workspaces_apps._base.public import public
from workspaces_apps._waiters.records import AssociationChange, DeploymentOutcome, OnChange
from workspaces_apps._waiters.watch import tell
from workspaces_apps.errors import PartialFailureError, WaiterError, WorkSpacesError


@public("workspaces_apps.types")
class AllDeployed(Awaitable["tuple[DeploymentOutcome, ...]"]):
    """Many deployments that are waited for.

    `async for` gives each outcome when it is there; one that did not end well has its `error`. Awaiting gives all
    of them, in the order of the WorkSpaces, and raises PartialFailureError, after all have ended, if any did not
    end well. Either begins to wait when it is used.
    """

    def __init__(
        self,
        make_wait: Callable[[str, Callable[[AssociationChange], None] | None], types.DeploymentWait],
        workspace_ids: Sequence[str],
        *,
        fail_fast: bool,
        on_change: OnChange | None,
    ) -> None:
        """Nothing is waited for yet.

        Args:
            make_wait: Makes the wait for one WorkSpace, given what is called with every change.
            workspace_ids: The WorkSpaces, each once.
            fail_fast: Whether the first error ends all.
            on_change: Is called with every change.
        """
        self._make_wait = make_wait
        self._workspace_ids = tuple(workspace_ids)
        self._fail_fast = fail_fast
        self._on_change = on_change

    def __await__(self) -> Generator[Any, None, tuple[DeploymentOutcome, ...]]:
        return self._all().__await__()

    def __aiter__(self) -> AsyncIterator[DeploymentOutcome]:
        return self._as_they_come()

    async def _all(self) -> tuple[DeploymentOutcome, ...]:
        found = {outcome.workspace_id: outcome async for outcome in self._as_they_come()}
        outcomes = tuple(found[one] for one in self._workspace_ids)
        failed = [outcome for outcome in outcomes if outcome.error is not None]
        if failed:
            raise PartialFailureError(
                f"{len(failed)} of {len(outcomes)} deployments did not end well; the first: {failed[0].error}",
                failed=failed,
                succeeded=[outcome for outcome in outcomes if outcome.error is None],
            )
        return outcomes

    async def _as_they_come(self) -> AsyncIterator[DeploymentOutcome]:
        news: asyncio.Queue[types.DeploymentWait | AssociationChange] = asyncio.Queue()
        waits: dict[types.DeploymentWait, None] = {}
        try:
            for workspace_id in self._workspace_ids:
                wait = self._make_wait(workspace_id, news.put_nowait if self._on_change is not None else None)
                wait.future.add_done_callback(_putting(news, wait))
                waits[wait] = None
                wait.begin()
            while waits:
                item = await news.get()
                if isinstance(item, AssociationChange):
                    if self._on_change is not None:
                        await tell(self._on_change, item)
                    continue
                del waits[item]
                item.end()
                yield self._outcome(item)
        finally:
            for wait in waits:
                wait.future.cancel()
                wait.end()

    def _outcome(self, wait: types.DeploymentWait) -> DeploymentOutcome:
        error = wait.future.exception()
        if error is None:
            return wait.future.result()
        if self._fail_fast or not isinstance(error, WorkSpacesError):
            raise error
        return wait.outcome(error, elapsed=error.elapsed if isinstance(error, WaiterError) else None)


def _putting(
    news: asyncio.Queue[types.DeploymentWait | AssociationChange], wait: types.DeploymentWait
) -> Callable[[asyncio.Future[DeploymentOutcome]], None]:
    return lambda _: news.put_nowait(wait)
