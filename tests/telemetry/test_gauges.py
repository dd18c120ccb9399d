"""Gauges: what is under way, what is left, and who waits, at the moment at which metrics are collected."""

import asyncio
from dataclasses import replace

from tests.http.conftest import Connect
from tests.http.server import ScriptedServer, fault, ok
from tests.rollout.site import manifest, site
from tests.telemetry.recording import Recording
from workspaces_apps import Pacing
from workspaces_apps.rollout import Progress

NAME = "WorkSpaces/DescribeAccount"


async def test_what_is_left_of_the_retry_budget(
    server: ScriptedServer, connect: Connect, record: Recording
) -> None:
    """A failure takes from it what its retry costs, until that succeeds."""
    server.script(ok(), fault("InternalFailure", status=500), fault("InternalFailure", status=500), ok())
    client = connect(pacing=Pacing.off())
    found: list[float] = []
    for _ in range(2):
        await client.describe_account()
        found += record.gauge("workspaces_apps.client.retry_budget")

    assert len(found) == 2
    assert 0 < found[1] < found[0]


async def test_who_waits_by_reason(record: Recording) -> None:
    """For a turn, and for users; after the apply nobody does."""
    found: dict[str, list[float]] = {}
    async with site() as here:
        for one in here.sim.fleet.add_workspaces(3):
            here.sim.fleet.workspace(one).connected = True
        here.sim.fleet.add_workspaces(2)
        asked = manifest(when_connected="wait", connected_timeout="20m", canary=1)
        plan = await here.rollout.plan(asked)
        async with here.rollout.apply(plan) as run:
            async for event in run:
                if isinstance(event, Progress):
                    for reason in ("turn", "user", "parked", "pause"):
                        about = {"workspaces_apps.reason": reason}
                        found.setdefault(reason, []).extend(
                            record.gauge("workspaces_apps.rollout.waiting", about)
                        )

    # The canary is of a connected user; after it, all others are waited for at once.
    assert (max(found["turn"]), found["user"][0]) == (4, 1)
    assert max(found["user"]) == 4
    assert found["pause"] == []
    assert max(found["parked"], default=0) == 0
    assert record.gauge("workspaces_apps.rollout.waiting") == []


async def test_what_is_under_way(server: ScriptedServer, connect: Connect, record: Recording) -> None:
    """As many requests as tasks, while the answers are awaited."""
    gate = asyncio.Event()
    server.script(*(replace(ok(), after=gate) for _ in range(3)))
    client = connect(pacing=Pacing.adaptive())
    calls = [asyncio.create_task(client.describe_account()) for _ in range(3)]
    await server.arrived(3)
    under_way = record.gauge("workspaces_apps.client.in_flight", {"rpc.method": NAME})
    gate.set()
    await asyncio.gather(*calls)

    assert under_way == [3]
    assert record.gauge("workspaces_apps.client.in_flight", {"rpc.method": NAME}) == [0]
