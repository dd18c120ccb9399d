"""The package at run time, as tools see it: beartype, typeguard, freezegun, time-machine. `nox -s checkers` has them all."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from workspaces_apps import DescribeApplicationsRequest, api, types
from workspaces_apps.api import OperatingSystemName, OperatingSystemNameLike, Tag
from workspaces_apps.rollout import JournalStore
from workspaces_apps.types import Many, Operation

LIKES = [name for name in api.__all__ if name.endswith("Like")]

FROZEN = """
import asyncio
import sys
from datetime import UTC, datetime

from workspaces_apps import WorkSpacesClient
from workspaces_apps.simulator import Simulator

MOMENT = datetime(2021, 5, 1, tzinfo=UTC)


def frozen():
    if sys.argv[1] == "freezegun":
        import freezegun

        return freezegun.freeze_time(MOMENT, real_asyncio=True)
    import time_machine

    return time_machine.travel(MOMENT, tick=False)


async def ask(ws):
    connections = await ws.describe_workspaces_connection_status().collect()
    assert len(await ws.describe_workspaces().collect()) == len(connections) == 3
    assert len(await ws.describe_applications().collect()) > 10
    times = [one.connection_state_check_timestamp for one in connections]
    assert all(type(one) is type(MOMENT) for one in times if one is not None), times
    for _ in range(8):
        # More than go at once: the rest wait for the pacer, whose time must pass.
        await ws.describe_account()


async def install(ws):
    from workspaces_apps.rollout import Manifest, Plan, Rollout

    rule = {"select": {"everything": True}, "present": ["Office LTSC Professional Plus 2021"]}
    plan = await Rollout(ws).plan(Manifest.from_data({"name": "office", "rules": [rule]}))
    assert Plan.from_json(plan.to_json()) == plan


async def main():
    async with Simulator(workspaces=3) as sim, WorkSpacesClient(
        region=sim.region, endpoint_url=sim.url, credentials=sim.credentials
    ) as ws:
        if sys.argv[2] == "used before":
            await ask(ws)
        if sys.argv[2] == "warm":
            await ws.warm_up()
        with frozen():
            await ask(ws)
            await install(ws)
        await ask(ws)
        await install(ws)


asyncio.run(main())
print("both")
"""


@pytest.mark.parametrize("before", ["first use", "used before", "warm"])
@pytest.mark.parametrize("tool", ["freezegun", "time_machine"])
def test_a_first_use_in_frozen_time_breaks_nothing(tool: str, before: str) -> None:
    """Neither then nor afterwards; in a process of its own, because a first use is only one."""
    pytest.importorskip(tool)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FROZEN, tool, before],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "both\n", done.stderr[-2000:]


def beartype_takes(value: object, hint: object) -> bool:
    """Tell if beartype takes a value for a hint."""
    door = pytest.importorskip("beartype.door")
    return bool(door.is_bearable(value, hint))


def typeguard_takes(value: object, hint: object) -> bool:
    """Tell if typeguard takes a value for a hint."""
    typeguard = pytest.importorskip("typeguard")
    try:
        typeguard.check_type(value, hint)
    except typeguard.TypeCheckError:
        return False
    return True


CHECKS = [beartype_takes, typeguard_takes]


@pytest.mark.parametrize("takes", CHECKS)
def test_a_like_is_members_and_known_strings(takes: Callable[[object, object], bool]) -> None:
    """Each of them takes members, new values of the enum and its known strings, and refuses all else."""
    assert len(LIKES) > 70
    for name in LIKES:
        like, enum = getattr(api, name), getattr(api, name.removesuffix("Like"))
        for value in enum:
            assert takes(value, like)
            assert takes(value.value, like)
        assert takes(enum("NEW"), like)
        assert not takes("no such value", like)
        assert not takes(1, like)


@pytest.mark.parametrize("takes", CHECKS)
def test_parameters_are_checked_by_what_they_mean(takes: Callable[[object, object], bool]) -> None:
    """Lists of anything ordered or not, requests for `execute`, protocols."""
    systems = Many[OperatingSystemNameLike]
    for several in (["WINDOWS_11"], ("WINDOWS_11",), {OperatingSystemName.WINDOWS_10}):
        assert takes(several, systems)
    assert not takes([1], systems)
    assert takes(DescribeApplicationsRequest(), Operation)
    assert not takes(Tag(key="a"), JournalStore)
    assert takes(types.ResponseMeta(), types.ResponseMeta)
