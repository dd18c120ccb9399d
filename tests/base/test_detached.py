"""Tasks that work for many callers see nothing of the one that needed them first."""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any

import pytest

from workspaces_apps import (
    ClientConfig,
    Credentials,
    Pacing,
    PacingRegistry,
    WorkSpacesClient,
    WorkSpacesError,
)
from workspaces_apps._base.clock import start_detached
from workspaces_apps._pacing.rate_limiter import RateLimiter
from workspaces_apps.simulator import ManualClock
from workspaces_apps.simulator._clocks import run_virtual

REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="nobody")


class NotingClock(ManualClock):
    """A clock that notes for whom it is slept on."""

    def __init__(self) -> None:
        super().__init__()
        self.callers: list[str] = []

    async def sleep(self, seconds: float, /) -> None:
        """Sleep."""
        self.callers.append(REQUEST.get())
        await super().sleep(seconds)


async def test_the_task_has_a_context_of_its_own() -> None:
    """It sees no variable of the caller's, and what it sets nobody else sees."""
    REQUEST.set("caller")

    async def work() -> str:
        seen = REQUEST.get()
        REQUEST.set("task")
        return seen

    assert await start_detached(work, name="test") == "nobody"
    assert REQUEST.get() == "caller"


async def test_the_loops_task_factory_is_passed_by() -> None:
    """Nothing of the work runs before the caller lets the loop go on, whatever tasks the loop makes."""
    began: list[bool] = []
    loop = asyncio.get_running_loop()

    def refuse(*_: object, **__: object) -> "asyncio.Future[Any]":
        raise AssertionError("the factory was asked")

    async def work() -> None:
        began.append(True)

    loop.set_task_factory(refuse)
    try:
        task = start_detached(work, name="test")
        assert not began
        await task
    finally:
        loop.set_task_factory(None)
    assert began


async def test_a_task_that_is_cancelled_before_it_began_leaves_nothing() -> None:
    """The work is not even called, so that no coroutine is left that nobody awaits."""

    async def work() -> None:
        """Do nothing."""

    def call() -> Coroutine[object, object, None]:
        began.append(True)
        return work()

    began: list[bool] = []
    task = start_detached(call, name="test")
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert not began


async def test_opening_a_client_sees_nothing_of_the_first_call() -> None:
    """A provider is asked in no caller's context while the client opens."""
    seen: list[str] = []

    class Provider:
        async def get_credentials(self) -> Credentials:
            """Note for whom, and end the opening here."""
            seen.append(REQUEST.get())
            raise OSError

    REQUEST.set("first call")
    ws = WorkSpacesClient(
        region="eu-west-1",
        credentials=Provider(),
        config=ClientConfig(pacing_registry=PacingRegistry()),
    )
    with pytest.raises(WorkSpacesError):
        await ws.describe_account()
    await ws.aclose()
    assert set(seen) == {"nobody"}


def test_the_pacers_timer_sees_nothing_of_who_waits() -> None:
    """The timer is one for all who wait, and sleeps in the context of none."""
    clock = NotingClock()
    pacer = RateLimiter(Pacing.fixed(1.0), clock)

    async def caller(name: str) -> None:
        REQUEST.set(name)
        (await pacer.acquire(clock=clock)).close()

    async def main() -> None:
        await asyncio.gather(*(caller(f"caller {number}") for number in range(4)))

    run_virtual(main(), clock)
    assert len(clock.callers) >= 3
    assert set(clock.callers) == {"nobody"}
