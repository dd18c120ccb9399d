"""The pytest plugin: a simulator and a client for each test that asks for them, and nothing for any other test.

Fixtures:

- ``workspaces_simulator``: a running simulator, for coroutine tests and for ordinary ones;
- ``workspaces_client``: our client, connected to it (needs pytest-asyncio);
- ``workspaces_clock``: the simulator's clock, typed as the manual one.

``@pytest.mark.workspaces(...)`` says what kind of simulator; `marker` lists what it takes. This module imports
nothing but pytest, so that a test run which uses none of this does not pay for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from workspaces_apps.pytest_plugin import _types as types
from workspaces_apps.pytest_plugin._marker import (
    MARKER,
    add_faults,
    isolated_environment,
    read_marker,
    simulator_options,
    told,
)

_ON_LOOP = "workspaces_apps_on_loop"
_NEEDS_ASYNCIO = (
    "workspaces_client needs the plugin pytest-asyncio 1.0 or newer, which is not installed or switched off: "
    'pip install "pytest-asyncio>=1". workspaces_simulator works without it'
)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the fixtures that need pytest-asyncio where it is active."""
    config.addinivalue_line("markers", MARKER)
    if _has_asyncio(config.pluginmanager):
        from workspaces_apps.pytest_plugin import _on_loop as on_loop

        config.pluginmanager.register(on_loop, _ON_LOOP)


def _has_asyncio(plugins: pytest.PytestPluginManager) -> bool:
    """Tell if a pytest-asyncio is active that lets a fixture choose its loop; looked up, not imported."""
    plugin = sys.modules.get("pytest_asyncio.plugin")
    version: str = getattr(sys.modules.get("pytest_asyncio"), "__version__", "0")
    return plugin is not None and plugins.is_registered(plugin) and int(version.partition(".")[0]) >= 1


@pytest.fixture
def workspaces_simulator(request: pytest.FixtureRequest) -> types.Simulator:
    """Run a simulator: on the event loop of a coroutine test of pytest-asyncio's, in a thread for any other test.

    While the test runs, the AWS settings of the machine are hidden, and the environment names the simulator as the
    endpoint of WorkSpaces, with its credentials and Region: ``boto3.client("workspaces")`` finds it by itself.
    The test fails at its end if a request, a client or a wait on the simulator's clock is left over.
    """
    fixture = None
    in_thread = told(lambda: read_marker(request.node)).get("thread", False)
    if not in_thread and request.config.pluginmanager.hasplugin(_ON_LOOP):
        from workspaces_apps.pytest_plugin._on_loop import simulator_fixture

        fixture = simulator_fixture(request)
    simulator: types.Simulator = request.getfixturevalue(fixture or "_workspaces_simulator_in_thread")
    return simulator


@pytest.fixture
def _workspaces_simulator_in_thread(request: pytest.FixtureRequest) -> Iterator[types.Simulator]:
    # Imported only now: it brings aiohttp and pydantic.
    from workspaces_apps.pytest_plugin._watched import WatchedSimulator

    given = told(lambda: read_marker(request.node))
    failures = request.session.testsfailed
    with ExitStack() as stack:
        simulator = told(lambda: stack.enter_context(WatchedSimulator.in_thread(**simulator_options(given))))
        told(lambda: add_faults(simulator, given))
        stack.enter_context(isolated_environment(simulator.connection_info()))
        yield simulator
        # A test that failed was cut short; what it left behind would hide why.
        leaks = simulator.leaks() if request.session.testsfailed == failures else []
    if leaks:
        pytest.fail("left over at the end of the test: " + "; ".join(leaks), pytrace=False)


@pytest.fixture
def workspaces_clock(workspaces_simulator: types.Simulator) -> types.ManualClock:
    """Return the simulator's clock: ``await workspaces_clock.advance(minutes=5)``, or `jump` in a blocking test."""
    from workspaces_apps.simulator import ManualClock

    clock = workspaces_simulator.clock
    if not isinstance(clock, ManualClock):
        pytest.fail(
            'workspaces_clock is there for clock="autojump" and clock="manual"; '
            f"this test's marker asks for a {type(clock).__name__}",
            pytrace=False,
        )
    return clock


@pytest.fixture
def workspaces_client(request: pytest.FixtureRequest) -> types.WorkSpacesClient:
    """Give our client, connected to ``workspaces_simulator``, living by its clock, with a pacing registry of its own.

    It belongs to the event loop of the test, whatever its ``loop_scope``, and is closed at the end.
    """
    if not request.config.pluginmanager.hasplugin(_ON_LOOP):
        pytest.fail(_NEEDS_ASYNCIO, pytrace=False)
    from workspaces_apps.pytest_plugin._on_loop import client_fixture

    client: types.WorkSpacesClient = request.getfixturevalue(client_fixture(request))
    return client
