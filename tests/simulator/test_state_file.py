"""The state file: what is saved comes back, what is broken is refused with a clear error."""

import json
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
