"""`install` and `uninstall` that are asked to end: what they do, and what they say of what is left; in real time."""

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
from rich.console import Console

from tests.cli.fleet import OFFICE
from tests.cli.test_install import task
from workspaces_apps.cli._connection import ConnectionOptions
from workspaces_apps.cli._console import ExitCode
from workspaces_apps.cli._install import in_words, run
from workspaces_apps.cli._options import Output
from workspaces_apps.simulator import Simulator, SimulatorSettings, Span

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")

ASSOCIATE, DEPLOY = "AssociateWorkspaceApplication", "DeployWorkspaceApplications"
LOOK = "DescribeWorkspaceAssociations"


@asynccontextmanager
async def slow_site() -> AsyncGenerator[tuple[Simulator, ConnectionOptions, str], None]:
    """A simulator in real time whose deployments outlast every test, and a WorkSpace that can have Office."""
    settings = SimulatorSettings(pending_delay=Span(0, 0), install_duration=Span(600, 600))
    async with Simulator(workspaces=10, throttle=None, settings=settings) as sim:
        connection = ConnectionOptions(region=sim.region, endpoint_url=sim.url, credentials=sim.credentials)
        (workspace_id,) = sim.fleet.compatible(sim.fleet.application(OFFICE))
        yield sim, connection, workspace_id


async def once(condition: Callable[[], bool]) -> None:
    """Wait until it holds; the test ends before this does, if it never does."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the simulator tells nobody
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_asked_to_end_it_tells_what_goes_on(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    """It stops waiting at once, says what the service still does and how to go on, and has an exit code of its own."""
    async with slow_site() as (sim, connection, workspace_id):
        running = asyncio.create_task(run(connection, task(workspace_id)))
        await once(lambda: "INSTALLING" in sim.fleet.associations(workspace_id).values())
        os.kill(os.getpid(), number)
        code = await asyncio.wait_for(running, 60)
    shown = capsys.readouterr()

    assert code == ExitCode.STOPPED
    assert "stopped waiting; looking at what is left" in shown.err
    assert f"{workspace_id}: {OFFICE}: its deployment goes on at the service" in shown.out
    assert "failed on 0, not waited for on 1 of 1 WorkSpace" in shown.out
    assert "Run the same command to resume" in shown.out
    assert sim.requests.count(operation=DEPLOY) == 1


async def test_what_was_only_staged_is_told_to_programs_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A document with the state of each application; standard error has the words."""
    async with slow_site() as (sim, connection, workspace_id):
        sim.faults.add("slow", operation=DEPLOY, delay=600)
        running = asyncio.create_task(run(connection, task(workspace_id, output=Output.JSON)))
        await once(lambda: "PENDING_INSTALL_DEPLOYMENT" in sim.fleet.associations(workspace_id).values())
        os.kill(os.getpid(), signal.SIGINT)
        code = await asyncio.wait_for(running, 60)
        office = sim.fleet.application(OFFICE)
    (entry,) = json.loads(capsys.readouterr().out)["workspaces"]

    assert code == ExitCode.STOPPED
    assert (entry["outcome"], entry["error"]) == ("interrupted", None)
    assert entry["left"] == {office: "PENDING_INSTALL_DEPLOYMENT"}


async def test_asked_again_it_does_not_even_look(capsys: pytest.CaptureFixture[str]) -> None:
    """A service that does not answer holds nobody up; what is not known is said to be so."""
    async with slow_site() as (sim, connection, workspace_id):
        running = asyncio.create_task(run(connection, task(workspace_id)))
        await once(lambda: "INSTALLING" in sim.fleet.associations(workspace_id).values())
        slow = sim.faults.add("slow", operation=LOOK, delay=600)
        os.kill(os.getpid(), signal.SIGINT)
        await once(lambda: slow.hits > 0)
        os.kill(os.getpid(), signal.SIGINT)
        code = await asyncio.wait_for(running, 60)
    shown = capsys.readouterr()

    assert code == ExitCode.STOPPED
    assert "ending at once" in shown.err
    assert f"{workspace_id}: unknown: it was not looked at again" in shown.out


async def test_a_terminal_sees_what_was_found_on_the_last_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of the end says where each WorkSpace stands, also where nothing was seen before."""
    file = io.StringIO()
    console = Console(
        file=file, force_terminal=True, color_system=None, width=100, _environ={"TERM": "xterm"}
    )
    monkeypatch.setattr("workspaces_apps.cli._install.out", lambda: console)
    async with slow_site() as (sim, connection, workspace_id):
        blocked = sim.faults.add("slow", operation=LOOK, delay=600, times=1)
        running = asyncio.create_task(run(connection, task(workspace_id)))
        await once(lambda: blocked.hits > 0)
        sim.fleet.set_association(workspace_id, sim.fleet.application(OFFICE), "PENDING_INSTALL_DEPLOYMENT")
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.wait_for(running, 60)
    end = file.getvalue().rpartition("─\n")[2]

    assert end.splitlines()[0].split() == [workspace_id, "○", "staged"]


@pytest.mark.parametrize(
    "state,words",
    [
        ("COMPLETED", "installed"),
        ("PENDING_INSTALL_DEPLOYMENT", "staged and not deployed"),
        ("INSTALLING", "goes on at the service"),
        ("ERROR", "in ERROR"),
        ("REMOVED", "not started"),
        ("NEW\x1b[2J", "NEW [2J"),
    ],
)
def test_each_state_has_its_words(state: str, words: str) -> None:
    """Also one that this release does not know, and none of them steers the terminal."""
    said = in_words("install", {"wsa-1": state}, {"wsa-1": "Office"})

    assert said.startswith("Office: ")
    assert words in said
    assert "\x1b" not in said
