"""The state file: what is saved comes back, what is broken is refused with a clear error."""

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.peer import Call, peer_of
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator import ManualClock, Simulator
from workspaces_apps.simulator._snapshot import stored_state


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the state is kept."""
    return tmp_path / "fleet.json"


def install(sim: Simulator, call: Call) -> tuple[str, str]:
    """Begin an installation; the WorkSpace and the application."""
    app = sim.fleet.application("office ltsc standard 2021")
    (ws,) = sim.fleet.compatible(app)
    call("associate_workspace_application", WorkspaceId=ws, ApplicationId=app)
    call("deploy_workspace_applications", WorkspaceId=ws)
    return ws, app


def test_a_deployment_goes_on_where_it_was(path: Path) -> None:
    """Saved in the middle, loaded, finished; with the same credentials, and no earlier than before."""
    with Simulator.in_thread(clock=ManualClock(), state_file=path) as sim, peer_of(sim) as call:
        ws, app = install(sim, call)
        call("create_ip_group", GroupName="office")
        sim.clock.jump(60)  # type: ignore[attr-defined]  # it is a ManualClock
        saved = sim.clock.timestamp()
        credentials = sim.credentials

    clock = ManualClock()
    with (
        Simulator.in_thread(clock=clock, state_file=path) as sim,
        peer_of(sim, credentials=credentials) as call,
    ):
        assert clock.timestamp() == saved
        assert sim.fleet.associations(ws) == {app: "INSTALLING"}
        assert [group["groupName"] for group in call("describe_ip_groups")["Result"]] == ["office"]
        clock.jump(3600)
        assert sim.fleet.associations(ws) == {app: "COMPLETED"}
        assert sim.fleet.workspace(ws).state == "AVAILABLE"
        assert len(call("describe_workspaces")["Workspaces"]) == 25


def test_what_is_loaded_is_what_was_saved(path: Path) -> None:
    """Every record and everything on the scheduled_events; and nothing new repeats an id."""
    with Simulator.in_thread(clock=ManualClock(), state_file=path) as sim, peer_of(sim) as call:
        install(sim, call)
        call("create_connection_alias", ConnectionString="desk.example.com")
        before = stored_state(sim.accounts, 0.0)
    loaded = Simulator(clock=ManualClock(), state_file=path)

    assert stored_state(loaded.accounts, 0.0) == before
    assert not set(loaded.fleet.workspace_ids) & set(loaded.fleet.add_workspaces(20))


EVENT = {"at": 1, "order": 1, "kind": "explode", "target": "", "epoch": 0}


@pytest.mark.parametrize(
    "place,value,names",
    [
        ("format", 99, "format 99"),
        ("format", 1, "delete it, and let the simulator begin with a new one"),
        ("stores", {}, "stores"),
        ("stores.0.workspaces.0.id", None, "workspaces.0.id"),
        ("stores.0.workspaces.3.directory_id", "d-1", "unknown directory"),
        ("stores.0.workspaces.3.sequence", 1, "same sequence"),
        ("stores.0.applications", [], "unknown application"),
        ("stores.0.scheduled_events", [EVENT], "explode"),
    ],
)
def test_a_broken_file_is_refused(path: Path, place: str, value: object, names: str) -> None:
    """The error names the file and the place."""
    Simulator(state_file=path).save()
    document: Any = json.loads(path.read_text())
    document["stores"][0]["workspaces"][4]["sequence"] = 1 if "sequence" in place else 10**6
    *way, last = place.split(".")
    inner = document
    for step in way:
        inner = inner[int(step)] if step.isdigit() else inner[step]
    inner[last] = value
    path.write_text(json.dumps(document))

    with pytest.raises(ConfigurationError) as caught:
        Simulator(state_file=path)
    assert str(path) in str(caught.value)
    assert names in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", '"x"'])
def test_what_is_no_state_is_refused(path: Path, text: str) -> None:
    """An empty file, half a file, another file."""
    path.write_text(text)

    with pytest.raises(ConfigurationError, match="broken"):
        Simulator(state_file=path)


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Said at saving."""
    with pytest.raises(ConfigurationError, match="cannot write"):
        Simulator(state_file=tmp_path / "no" / "where.json").save()


async def test_it_is_an_error_before_anything_is_simulated(tmp_path: Path) -> None:
    """On an event loop and in a thread: at the end the state would be lost."""
    began: list[Simulator] = []
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "no" / "where.json", tmp_path / "file" / "state.json"):
        with pytest.raises(ConfigurationError, match=f"cannot write the state file {place}"):
            async with Simulator(state_file=place) as sim:
                began.append(sim)
        with (
            pytest.raises(ConfigurationError, match=f"cannot write the state file {place}"),
            Simulator.in_thread(state_file=place) as sim,
        ):
            began.append(sim)
    assert began == []


async def test_nothing_is_written_at_the_start(path: Path) -> None:
    """Neither the file, nor anything beside it."""
    async with Simulator(state_file=path):
        assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("thread", [False, True])
async def test_an_error_at_saving_is_told_beside_that_of_the_test(tmp_path: Path, *, thread: bool) -> None:
    """The test's own exception comes out, with a note; without one the state's loss is the error."""
    place = tmp_path / "there"
    message = f"cannot write the state file {place / 'state.json'}: No such file or directory"

    async def lose(error: Exception | None) -> None:
        place.mkdir()
        async with AsyncExitStack() as stack:
            if thread:
                stack.enter_context(Simulator.in_thread(state_file=place / "state.json"))
            else:
                await stack.enter_async_context(Simulator(state_file=place / "state.json"))
            place.rmdir()
            if error is not None:
                raise error

    with pytest.raises(RuntimeError, match="the test's own") as caught:
        await lose(RuntimeError("the test's own"))
    assert caught.value.__notes__ == [message]
    with pytest.raises(ConfigurationError, match=message):
        await lose(None)


def test_another_account_keeps_its_fleet(path: Path) -> None:
    """Adding it at each start gives its credentials, and no WorkSpaces besides those that were saved."""
    found: list[list[str]] = []
    for workspaces in (3, 3, 5):
        with Simulator.in_thread(workspaces=2, state_file=path) as sim:
            other = sim.add_account("210987654321", workspaces=workspaces)
            with peer_of(sim, credentials=other) as call:
                rows = call("describe_workspaces")["Workspaces"]
                found.append([row["WorkspaceId"] for row in rows])
            with peer_of(sim) as call:
                assert len(call("describe_workspaces")["Workspaces"]) == 2

    assert len(found[0]) == 3
    assert found == [found[0]] * 3


def test_an_account_that_the_file_does_not_have_gets_its_fleet(path: Path) -> None:
    """The file is of a run before the account was asked for, or of another Region of it."""
    regions = {"region": "eu-west-1", "other_regions": ["eu-west-2"]}
    with Simulator.in_thread(**regions, state_file=path) as sim:  # type: ignore[arg-type]  # the two of them
        sim.add_account("210987654321", workspaces=1)

    with Simulator.in_thread(**regions, state_file=path) as sim:  # type: ignore[arg-type]  # the two of them
        for account, region in (("210987654321", "eu-west-2"), ("333333333333", "eu-west-1")):
            sim.add_account(account, workspaces=4, region=region)
            assert len(sim.fleet_of(account, region).workspace_ids) == 4
