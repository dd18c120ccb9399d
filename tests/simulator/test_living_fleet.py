"""Fleets that live: users who come and go, desktops that start and stop, encrypted ones, and ones like a real fleet."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.peer import peer_of, refusal
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator import ManualClock, Simulator, SimulatorSettings

HOUR = 3600.0
DAY = 24 * HOUR


def history(hours: int, seed: int = 0, **settings: Any) -> list[tuple[Counter[str], int]]:
    """States and connected users of a fleet of 60, hour by hour."""
    clock = ManualClock()
    sim = Simulator(
        workspaces=60, clock=clock, seed=seed, settings=SimulatorSettings(presence="seeded", **settings)
    )
    seen: list[tuple[Counter[str], int]] = []
    for _ in range(hours):
        clock.jump(HOUR)
        workspaces = sim.fleet.store.workspaces.values()
        seen.append((Counter(one.state for one in workspaces), sum(one.connected for one in workspaces)))
    return seen


def test_users_come_and_go_by_the_seed() -> None:
    """The same seed gives the same day, another seed another; there is coming and going in it."""
    day = history(24)

    assert day == history(24)
    assert day != history(24, seed=1)
    assert len({connected for _, connected in day}) > 5
    assert min(connected for _, connected in day) > 0


def test_desktops_start_and_stop_by_themselves() -> None:
    """Only AUTO_STOP ones, half of the fleet: some are stopped at any time, never all, and ALWAYS_ON never."""
    stopped = [states["STOPPED"] for states, _ in history(48)]

    assert 0 < min(stopped[12:]) <= max(stopped) <= 30
    assert len(set(stopped)) > 3


def test_nobody_is_connected_to_what_is_not_available() -> None:
    """A desktop stops when its user has been away for as long as its timeout says, and not before."""
    clock = ManualClock()
    sim = Simulator(workspaces=40, clock=clock, settings=SimulatorSettings(presence="seeded"))
    for _ in range(200):
        clock.jump(600)
        for one in sim.fleet.store.workspaces.values():
            assert one.state == "AVAILABLE" or not one.connected
            if one.state == "STOPPING":
                assert one.running_mode == "AUTO_STOP"
                assert clock.timestamp() - (one.last_connection or 0.0) >= 3600


def test_a_still_fleet_stays_as_it_is() -> None:
    """By default nobody moves, whatever the time."""
    clock = ManualClock()
    sim = Simulator(workspaces=60, clock=clock)
    before = [(one.state, one.connected) for one in sim.fleet.store.workspaces.values()]
    clock.jump(10 * DAY)

    assert [(one.state, one.connected) for one in sim.fleet.store.workspaces.values()] == before


def test_a_share_is_encrypted() -> None:
    """About so many, with a key; none by default, and the rest of the fleet is the same."""
    plain = Simulator(workspaces=400)
    half = Simulator(workspaces=400, settings=SimulatorSettings(encrypted_share=0.5))
    encrypted = [one for one in half.fleet.store.workspaces.values() if one.root_encrypted]

    assert not any(one.volume_key for one in plain.fleet.store.workspaces.values())
    assert 150 < len(encrypted) < 250
    assert all((one.volume_key or "").startswith("arn:aws:kms:") for one in encrypted)
    assert half.fleet.workspace_ids == plain.fleet.workspace_ids


REAL: dict[str, Any] = {
    "Workspaces": [
        {
            "WorkspaceId": "ws-real00001",
            "DirectoryId": "d-9067real01",
            "UserName": "alice.secret",
            "State": "STARTING",
            "BundleId": "wsb-real00001",
            "IpAddress": "172.16.0.9",
            "UserVolumeEncryptionEnabled": True,
            "WorkspaceProperties": {
                "RunningMode": "AUTO_STOP",
                "RunningModeAutoStopTimeoutInMinutes": 120,
                "RootVolumeSizeGib": 175,
                "UserVolumeSizeGib": 100,
                "ComputeTypeName": "POWER",
                "Protocols": ["DCV"],
                "OperatingSystemName": "WINDOWS_11",
            },
        },
        {
            "WorkspaceId": "ws-real00002",
            "DirectoryId": "d-9067real01",
            "UserName": "bob.secret",
            "State": "STOPPED",
            "BundleId": "wsb-real00001",
        },
        {
            "WorkspaceId": "ws-real00003",
            "DirectoryId": "d-9067real02",
            "UserName": "alice.secret",
            "State": "AVAILABLE",
            "BundleId": "wsb-real00002",
        },
        {
            "WorkspaceId": "ws-real00004",
            "DirectoryId": "d-9067real02",
            "UserName": "gone",
            "State": "TERMINATING",
        },
    ]
}


@pytest.mark.parametrize("listing", [REAL, [REAL], REAL["Workspaces"]], ids=["page", "pages", "list"])
def test_a_fleet_like_a_real_one_tells_nothing_of_it(tmp_path: Path, listing: object) -> None:
    """Structure and properties are kept; no id, name or address of the listing comes back."""
    file = tmp_path / "fleet.json"
    file.write_text(json.dumps(listing))
    options: dict[str, Any] = {"clock": ManualClock(), "throttle": None}
    with Simulator.in_thread(fleet_file=file, **options) as sim, peer_of(sim) as call:
        found = call("describe_workspaces")["Workspaces"]
        everything = json.dumps(
            [found, call("describe_workspace_directories"), call("describe_workspace_bundles")], default=str
        )

    first = found[0]
    assert [one["State"] for one in found] == ["AVAILABLE", "STOPPED", "AVAILABLE"]
    assert first["WorkspaceProperties"] == REAL["Workspaces"][0]["WorkspaceProperties"]
    assert first["UserVolumeEncryptionEnabled"] is True
    assert found[0]["DirectoryId"] == found[1]["DirectoryId"] != found[2]["DirectoryId"]
    assert found[0]["BundleId"] == found[1]["BundleId"] != found[2]["BundleId"]
    assert not [word for word in ("real", "secret", "172.16") if word in everything]


@pytest.mark.parametrize(
    "text,names",
    [("", "listing"), ("{}", "Workspaces"), ('{"Workspaces": [{"State": 5}]}', "State"), ("[5]", "listing")],
)
def test_what_is_no_listing_is_refused(tmp_path: Path, text: str, names: str) -> None:
    """With the file and what is wrong in it."""
    file = tmp_path / "fleet.json"
    file.write_text(text)

    with pytest.raises(ConfigurationError) as caught:
        Simulator(fleet_file=file)
    assert str(file) in str(caught.value)
    assert names in str(caught.value)
    with pytest.raises(ConfigurationError, match="cannot read"):
        Simulator(fleet_file=tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    "given,message",
    [
        ({"instal_duration": 5}, "did you mean 'install_duration'"),
        ({"install_duration": "long"}, "a duration in seconds"),
        ({"install_duration": True}, "a duration in seconds"),
        ({"install_duration": [5, 1]}, "a Span goes from"),
        ({"volume_groups": 1}, "volume_groups is true or false"),
        ({"failure_rate": "x"}, "failure_rate is a number"),
        ({"failure_rate": 2}, "a share from 0 to 1"),
        ({"presence": "wild"}, "presence is one of"),
        ({"default_page_size": 2.5}, "default_page_size is a whole number"),
        ({"tags_per_resource": 1.5}, "tags_per_resource is a whole number"),
        ({"volume_cooling_off": -1}, "volume_cooling_off is a number, 0 or more"),
        ({"clock_skew": float("nan")}, "clock_skew is a number, 0 or more"),
        ({"body_timeout": float("inf")}, "body_timeout is a number, 0 or more"),
        ({"snapshot_interval": 0}, "snapshot_interval is above 0"),
        ({"exceptions": []}, "exceptions is a mapping"),
    ],
)
def test_settings_from_a_file_are_held_against_their_types(given: dict[object, object], message: str) -> None:
    """Unknown names and wrong values are refused with what would be right."""
    with pytest.raises(ConfigurationError) as caught:
        SimulatorSettings.of(given)
    assert message in str(caught.value)


def test_settings_from_a_file_are_taken() -> None:
    """Durations as seconds or bounds, flags, numbers, words and mappings."""
    settings = SimulatorSettings.of(
        {
            "install_duration": [60, 120],
            "pending_delay": 5,
            "volume_groups": False,
            "failure_rate": 1,
            "presence": "seeded",
            "exceptions": {"compute type": "X"},
        }
    )

    assert (settings.install_duration.low, settings.install_duration.high) == (60, 120)
    assert settings.pending_delay.low == settings.pending_delay.high == 5
    assert (settings.volume_groups, settings.failure_rate, settings.presence) == (False, 1, "seeded")


def test_an_account_of_its_own_has_a_fleet_of_its_own() -> None:
    """Other credentials, other WorkSpaces, the same Region."""
    with Simulator.in_thread(throttle=None, workspaces=2) as sim:
        other = sim.add_account("210987654321", workspaces=3)
        with peer_of(sim, credentials=other) as call:
            found = call("describe_workspaces")["Workspaces"]
            nobody = refusal(
                lambda: call("deploy_workspace_applications", WorkspaceId=sim.fleet.workspace_ids[0])
            )

        described: Any = sim.describe()
    assert len(found) == 3
    assert nobody["Code"] == "ResourceNotFoundException"
    assert [one["account_id"] for one in described["other_accounts"]] == ["210987654321"]
