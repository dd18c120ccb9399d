"""The fixtures that need pytest-asyncio: a client on the test's own event loop, whichever that is."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
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

_CLIENT_WITHIN_TEST: Final = "_workspaces_client_within_test"

_SETTLING: Final = 10
"""Turns of the loop for tasks that are ending."""


def simulator_fixture(request: pytest.FixtureRequest) -> str | None:
    """Return the name of the fixture that is a simulator on the loop of the test; None if it cannot be on that loop."""
    if not pytest_asyncio.is_async_test(request.node) or _anyio_runs_fixtures(request):
        return None
    return _simulator_on(_loop_scope_of(request))


def client_fixture(request: pytest.FixtureRequest) -> str:
    """Return the name of the fixture that is a client on the loop of the test, or of the fixture that asks."""
    if pytest_asyncio.is_async_test(request.node) and _anyio_runs_fixtures(request):
        return _CLIENT_WITHIN_TEST
    return _client_on(_loop_scope_of(request))


def _anyio_runs_fixtures(request: pytest.FixtureRequest) -> bool:
    """Tell if anyio runs the asynchronous fixtures of a test, as it does wherever its mark is, on a loop of its own."""
    return "anyio_backend" in request.fixturenames


def _loop_scope_of(request: pytest.FixtureRequest) -> LoopScope:
    marker = request.node.get_closest_marker("asyncio")
    if marker is None or not pytest_asyncio.is_async_test(request.node):
        # No coroutine test, though its module may be marked: whoever asks is an asynchronous fixture.
        found: object = request.config.getini("asyncio_default_fixture_loop_scope")
    else:
        found = marker.kwargs.get("loop_scope") or request.config.getini("asyncio_default_test_loop_scope")
    return next((scope for scope in get_args(LoopScope) if scope == found), "function")


def _client_on(scope: LoopScope) -> str:
    return f"_workspaces_client_on_{scope}_loop"


def _simulator_on(scope: LoopScope) -> str:
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


def _client_of(simulator: Simulator) -> WorkSpacesClient:
    from workspaces_apps import ClientConfig, PacingRegistry, WorkSpacesClient

    return WorkSpacesClient(
        region=simulator.region,
        endpoint_url=simulator.url,
        credentials=simulator.credentials,
        clock=simulator.clock,
        config=ClientConfig(pacing_registry=PacingRegistry()),
    )


@asynccontextmanager
async def _opened(client: WorkSpacesClient) -> AsyncGenerator[WorkSpacesClient]:
    async with client:
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


@pytest.fixture(name=_CLIENT_WITHIN_TEST)
def _workspaces_client_within_test(
    request: pytest.FixtureRequest, workspaces_simulator: Simulator
) -> Iterator[WorkSpacesClient]:
    """Give a client that the test opens: no asynchronous fixture would be on its loop."""
    client, item = _client_of(workspaces_simulator), request.node
    test: Callable[..., Coroutine[None, None, None]] = item.obj

    @functools.wraps(test)
    async def with_client(*arguments: object, **fixtures: object) -> None:
        async with _opened(client):
            await test(*arguments, **fixtures)

    item.obj = with_client
    yield client
    item.obj = test


def _register(scope: LoopScope) -> None:
    # Functions for each: pytest-asyncio notes the loop on the function.
    async def client(workspaces_simulator: Simulator) -> AsyncIterator[WorkSpacesClient]:
        async with _opened(_client_of(workspaces_simulator)) as opened:
            yield opened

    async def simulator(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
        async with _running(request) as running:
            yield running

    for name, function in ((_client_on(scope), client), (_simulator_on(scope), simulator)):
        globals()[name] = pytest_asyncio.fixture(function, name=name, loop_scope=scope)


for _scope in get_args(LoopScope):
    _register(_scope)
