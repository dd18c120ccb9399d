"""The simulator as a thing that is started and stopped."""

import asyncio
import dataclasses
import socket
import threading

import pytest

from tests.simulator.peer import peer_of
from workspaces_apps.errors import ClientStateError, ConfigurationError
from workspaces_apps.simulator import ManualClock, Simulator, SimulatorSettings, Span, Throttle


async def test_it_serves_on_the_running_loop() -> None:
    """Started, asked from a thread, stopped; then nobody listens."""
    async with Simulator() as sim:

        def ask() -> int:
            with peer_of(sim) as call:
                return len(call("describe_workspaces")["Workspaces"])

        assert await asyncio.to_thread(ask) == 25
        port = int(sim.url.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=60)
    with pytest.raises(ClientStateError):
        _ = sim.url


def serves(sim: Simulator) -> bool:
    """Tell if it has an address."""
    try:
        return sim.url.startswith("http://127.0.0.1:")
    except ClientStateError:
        return False


async def test_serve_ends_with_its_event() -> None:
    """For a command line that stops on a signal."""
    stop = asyncio.Event()
    sim = Simulator()
    task = asyncio.create_task(sim.serve(stop))
    async with asyncio.timeout(60):
        while not serves(sim):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)
        stop.set()
        await task


async def test_it_stops_although_a_request_waits() -> None:
    """A slow answer on a clock that stands still does not hold it up."""
    clock = ManualClock()
    sim = Simulator(clock=clock, verify_signatures=False)
    sim.faults.add("slow", delay=3600)
    async with sim:
        _, writer = await asyncio.open_connection("127.0.0.1", int(sim.url.rsplit(":", 1)[1]))
        writer.write(
            b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: WorkspacesService.DescribeWorkspaces\r\n"
            b"Content-Length: 2\r\n\r\n{}"
        )
        async with asyncio.timeout(60):
            while not clock.sleeping:  # noqa: ASYNC110 - whoever sleeps tells nobody
                await asyncio.sleep(0.001)
    writer.close()


def test_a_thread_ends_with_its_simulator() -> None:
    """Nothing is left running."""
    before = threading.active_count()
    with Simulator.in_thread() as sim:
        assert threading.active_count() == before + 1
        assert sim.url

    assert threading.active_count() == before


def test_what_fails_in_the_thread_is_raised_outside() -> None:
    """A port that is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match="cannot listen"), Simulator.in_thread(port=port):
            pass


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com"])
def test_others_cannot_reach_it_unless_allowed(host: str) -> None:
    """A clear error, and a way out that has to be chosen."""
    with pytest.raises(ConfigurationError, match="allow_remote"):
        Simulator(host=host)

    assert len(Simulator(host=host, allow_remote=True, workspaces=0).fleet) == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
def test_loopback_has_several_names(host: str) -> None:
    """All of them are this machine."""
    assert len(Simulator(host=host, workspaces=0).fleet) == 0


@pytest.mark.parametrize(
    "options",
    [{"workspaces": -1}, {"associations_per_workspace": 9}, {"account_id": "1"}, {"port": 70_000}],
)
def test_senseless_arguments_are_refused(options: dict[str, object]) -> None:
    """When it is made."""
    with pytest.raises(ConfigurationError):
        Simulator(**options)  # type: ignore[arg-type]  # what must be refused


async def test_it_cannot_be_started_twice() -> None:
    """The second start is an error; the first goes on."""
    async with Simulator(workspaces=0) as sim:
        with pytest.raises(ClientStateError):
            await sim.__aenter__()
        assert sim.url


def test_the_same_seed_gives_the_same_fleet() -> None:
    """Ids, users, states and credentials; another seed gives others."""
    one, same, other = (Simulator(seed=seed, clock=ManualClock()) for seed in (7, 7, 8))

    assert [dataclasses.asdict(w) for w in one.fleet.store.workspaces.values()] == [
        dataclasses.asdict(w) for w in same.fleet.store.workspaces.values()
    ]
    assert one.credentials == same.credentials != other.credentials
    assert not set(one.fleet.workspace_ids) & set(other.fleet.workspace_ids)


def test_the_sample_has_something_of_everything() -> None:
    """Operating systems, states, compute types, directories, tags."""
    workspaces = list(Simulator().fleet.store.workspaces.values())

    assert len({w.operating_system for w in workspaces}) >= 6
    assert len({w.compute for w in workspaces}) >= 3
    assert len({w.directory_id for w in workspaces}) == 3
    assert {w.state for w in workspaces} == {"AVAILABLE", "STOPPED"}
    assert all(w.running_mode == "AUTO_STOP" for w in workspaces if w.state == "STOPPED")
    assert all(w.tags for w in workspaces)


def test_every_assumption_says_what_it_is() -> None:
    """One row per setting, with a mark and a sentence."""
    rows = SimulatorSettings.assumptions()

    assert len(rows) == len(dataclasses.fields(SimulatorSettings))
    assert all(row.mark in {"doc", "seen", "field", "assumed"} and row.note.endswith(".") for row in rows)


def test_settings_are_checked() -> None:
    """Values out of range are refused when the settings are made."""
    with pytest.raises(ConfigurationError):
        SimulatorSettings(failure_rate=2)
    with pytest.raises(ConfigurationError):
        SimulatorSettings(default_page_size=26)
    with pytest.raises(ConfigurationError):
        SimulatorSettings(deploy_nothing="perhaps")  # type: ignore[arg-type]  # what must be refused
    with pytest.raises(ConfigurationError):
        Span(3, 1)
    assert SimulatorSettings.instant().install_duration.high < 1


def test_the_throttle_can_be_changed_while_it_runs() -> None:
    """At once."""
    sim = Simulator(workspaces=0)
    sim.throttle = Throttle.at(100, 50)

    assert sim.throttle.rate("DescribeWorkspaces") == Throttle.at(100, 50).default
