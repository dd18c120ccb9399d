"""The fixtures that need pytest-asyncio: a client on the test's own event loop, whichever that is."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

import pytest
import pytest_asyncio

from workspaces_apps.pytest_plugin._marker import (
    add_faults,
    isolated_environment,
    read_marker,
    simulator_options,
    told,
)

if TYPE_CHECKING:
    from workspaces_apps import WorkSpacesClient
    from workspaces_apps.simulator import Simulator

LoopScope: TypeAlias = Literal["function", "class", "module", "package", "session"]

_PACKAGE: Final = Path(__file__).parent.parent
_NO_CALLERS: Final = (_PACKAGE / "simulator", _PACKAGE / "pytest_plugin")
"""Modules that run the simulator's side."""

_SETTLING: Final = 10
"""Turns of the loop for tasks that are ending."""


def loop_scope_of(request: pytest.FixtureRequest) -> LoopScope:
    """Tell on which of pytest-asyncio's loops the test runs."""
    marker = request.node.get_closest_marker("asyncio")
    if marker is None:
        # No coroutine test: whoever asks is an asynchronous fixture.
        found: object = request.config.getini("asyncio_default_fixture_loop_scope")
    else:
        found = marker.kwargs.get("loop_scope") or request.config.getini("asyncio_default_test_loop_scope")
    return next((scope for scope in get_args(LoopScope) if scope == found), "function")


def client_fixture(scope: LoopScope) -> str:
    """Return the name of the fixture that is a client on a loop."""
    return f"_workspaces_client_on_{scope}_loop"


def simulator_fixture(scope: LoopScope) -> str:
    """Return the name of the fixture that is a simulator on a loop."""
    return f"_workspaces_simulator_on_{scope}_loop"


@asynccontextmanager
async def _running(request: pytest.FixtureRequest) -> AsyncGenerator[Simulator]:
    # Imported only now: it brings aiohttp and pydantic.
    from workspaces_apps.pytest_plugin._watched import WatchedSimulator

    given = told(lambda: read_marker(request.node))
    failures = request.session.testsfailed
    simulator = told(lambda: WatchedSimulator(**simulator_options(given)))
    told(lambda: add_faults(simulator, given))
    async with simulator:
        with isolated_environment(simulator.connection_info()):
            yield simulator
        leaks = await simulator.leaks_on_loop() if request.session.testsfailed == failures else []
    if leaks:
        pytest.fail("left over at the end of the test: " + "; ".join(leaks), pytrace=False)


@asynccontextmanager
async def _connected(simulator: Simulator) -> AsyncGenerator[WorkSpacesClient]:
    from workspaces_apps import ClientConfig, PacingRegistry, WorkSpacesClient

    async with WorkSpacesClient(
        region=simulator.region,
        endpoint_url=simulator.url,
        credentials=simulator.credentials,
        clock=simulator.clock,
        config=ClientConfig(pacing_registry=PacingRegistry()),
    ) as client:
        yield client
        for _ in range(_SETTLING):
            await asyncio.sleep(0)
        unfinished = unfinished_calls()
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
    if unfinished:
        tasks = "; ".join(f"{task.get_name()} in {where}" for task, where in unfinished.items())
        pytest.fail(
            f"left over at the end of the test: {len(unfinished)} unfinished calls (await or cancel them): {tasks}",
            pytrace=False,
        )


def unfinished_calls() -> dict[asyncio.Task[object], str]:
    """Return the tasks of the running loop that are inside this package, each with the function it is in."""
    return {
        task: where
        for task in asyncio.all_tasks()
        if task is not asyncio.current_task() and (where := _inside(task.get_coro()))
    }


def _inside(running: object) -> str | None:
    """Return the first function of this package that a coroutine is in."""
    while inspect.iscoroutine(running):
        file = Path(running.cr_code.co_filename)
        if file.is_relative_to(_PACKAGE) and not any(map(file.is_relative_to, _NO_CALLERS)):
            return running.cr_code.co_qualname
        running = running.cr_await
    return None


def _register(scope: LoopScope) -> None:
    # Functions for each: pytest-asyncio notes the loop on the function.
    async def client(workspaces_simulator: Simulator) -> AsyncIterator[WorkSpacesClient]:
        async with _connected(workspaces_simulator) as connected:
            yield connected

    async def simulator(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
        async with _running(request) as running:
            yield running

    for name, function in ((client_fixture(scope), client), (simulator_fixture(scope), simulator)):
        globals()[name] = pytest_asyncio.fixture(function, name=name, loop_scope=scope)


for _scope in get_args(LoopScope):
    _register(_scope)
