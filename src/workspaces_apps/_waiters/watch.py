"""Following a deployment change by change."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from workspaces_apps import types
from workspaces_apps._base.logs import field_logger
from workspaces_apps._base.public import public
from workspaces_apps._waiters.records import AssociationChange, DeploymentOutcome, OnChange
from workspaces_apps.errors import ClientStateError, DeploymentFailedError

_log = field_logger("workspaces_apps.waiters")


@public("workspaces_apps.types")
class DeploymentWatch(AsyncIterator[AssociationChange]):
    """The changes of a deployment, as they are seen; use it with `async with`.

    The iteration ends when the deployment ends; leaving the block early ends the polling. A failed association
    is a change like another, with the reason; `outcome` tells how it all ended.
    """

    def __init__(
        self, make_wait: Callable[[Callable[[AssociationChange], None]], types.DeploymentWait]
    ) -> None:
        """A watch that has not begun.

        Args:
            make_wait: Makes the wait, given what is called with every change.
        """
        self._make_wait = make_wait
        self._wait: types.DeploymentWait | None = None
        self._changes: deque[AssociationChange] = deque()
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        wait = self._make_wait(self._changed)
        wait.future.add_done_callback(lambda _: self._news.set())
        wait.begin()
        self._wait = wait
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._wait is not None:
            self._wait.end()
            # Retrieved, so that an error nobody iterated up to is not reported as lost.
            if not self._wait.future.cancel():
                self._wait.future.exception()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AssociationChange:
        wait = self._begun()
        while not self._changes:
            if wait.ended:
                error = wait.future.exception()
                if error is None or isinstance(error, DeploymentFailedError):
                    raise StopAsyncIteration
                raise error
            self._news.clear()
            await self._news.wait()
        return self._changes.popleft()

    @property
    def outcome(self) -> DeploymentOutcome | None:
        """The outcome, failed associations included; None while it goes on."""
        wait = self._begun()
        if not wait.ended or wait.future.cancelled():
            return None
        error = wait.future.exception()
        if error is None:
            return wait.future.result()
        if not isinstance(error, DeploymentFailedError) or error.elapsed is None:
            return None
        return wait.outcome(elapsed=error.elapsed)

    def result(self) -> DeploymentOutcome:
        """The outcome.

        Raises:
            WaiterError: As `wait_until_deployed` does.
        """
        return self._begun().future.result()

    def _begun(self) -> types.DeploymentWait:
        if self._wait is None:
            raise ClientStateError("the watch has not begun: use it with `async with`")
        return self._wait

    def _changed(self, change: AssociationChange) -> None:
        self._changes.append(change)
        self._news.set()


async def tell(hook: OnChange, change: AssociationChange) -> None:
    """Call a hook, and await it if that is asked for; what it raises is logged and goes no further."""
    try:
        answer = hook(change)
        if inspect.isawaitable(answer):
            await answer
    except Exception:  # noqa: BLE001 - a hook is a stranger's code and may raise anything
        _log.exception(
            "on_change raised on a change of %s", change.application_id,
            extra={"workspace_id": change.workspace_id, "application_id": change.application_id},
        )  # fmt: skip
