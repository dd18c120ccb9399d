"""The cost of waiting, in a process of its own; JSON in, JSON out. `benchmarks.waiters` runs it with either package."""

import asyncio
import gc
import json
import re
import time
import tracemalloc
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

from aiobotocore.session import AioSession

from benchmarks.answers import ACCESS_KEY_ID, APPLICATION_ID, REGION, SECRET_ACCESS_KEY
from benchmarks.files_entered import entered
from benchmarks.fleet import answer, applications_of, client_of, counts_of, ends_of, given, simulator_of
from benchmarks.packages import Json
from benchmarks.tables import number
from benchmarks.virtual import Response, answer_with
from workspaces_apps import (
    ClientConfig,
    Credentials,
    DeploymentOutcome,
    Pacing,
    PacingRegistry,
    PollPolicy,
    WorkSpacesClient,
)
from workspaces_apps.simulator import ManualClock, Throttle

PAGE: Final = 25
ROUND: Final = 30.0
ROUNDS: Final = 10
WARM: Final = 2


async def count_calls(waits: int, applications: int, rate: float, seed: int) -> dict[str, Json]:
    """Wait for so many deployments on a simulator, which all begin together.

    Args:
        waits: How many WorkSpaces, each with a waiter of its own.
        applications: For each, 1 to 3.
        rate: Of the service's throttle while they wait, per second; 0 for none.
        seed: What durations and jitter are drawn from.
    """
    clock = ManualClock(autojump=True)
    sim = simulator_of(waits, clock, seed=seed)
    async with sim, client_of(sim, clock, seed=seed) as ws:
        ids, wanted = sim.fleet.workspace_ids, applications_of(sim, applications)
        for one in ids:
            for application in wanted:
                await ws.associate_workspace_application(workspace_id=one, application_id=application)
            await ws.deploy_workspace_applications(workspace_id=one)
        sim.requests.clear()
        sim.throttle = Throttle.at(rate) if rate else None
        began, noticed = clock.timestamp(), dict[str, float]()

        async def wait(one: str) -> DeploymentOutcome:
            outcome = await ws.wait_until_deployed(one, wanted=dict.fromkeys(wanted, "installed"))
            noticed[one] = clock.timestamp()
            return outcome

        await asyncio.gather(*(wait(one) for one in ids))
        seconds = clock.timestamp() - began
        counts = counts_of(sim)
        refused = sim.requests.count(error="ThrottlingException")
        ended = await ends_of(sim, clock, wanted)
    ends = {one: max(ended[one, application] for application in wanted) for one in ids}
    delays = [noticed[one] - ends[one] for one in ids]
    return {
        "calls": sum(counts.values()),
        "by_operation": dict(counts),
        "usual": usual([end - began for end in ends.values()], median(delays)),
        "refused": refused,
        "seconds": seconds,
        "delays": [*delays],
    }


def usual(lasted: Sequence[float], delay: float) -> int:
    """Calls of a loop for each WorkSpace that asks for associations and state, and notices after `delay` (median).

    Args:
        lasted: How long each deployment took, in seconds.
        delay: In seconds; the loops look every two of them.
    """
    return sum(2 * (1 + int(seconds / (2 * delay))) for seconds in lasted)


class Service:
    """A service in the network's place: one application under way on every WorkSpace, its answers made once."""

    def __init__(self, waits: int) -> None:
        self.ids = [f"ws-{number:09d}" for number in range(waits)]
        self.calls = 0
        self.put("INSTALLING", "UPDATING")

    def put(self, association: str, workspace: str) -> None:
        """From now on every association and every WorkSpace is in these states."""
        row = (
            f'"ApplicationId":"{APPLICATION_ID}","Created":1767600000.5,"LastUpdatedTime":1767600000.5,'
            f'"State":"{association}"'
        )
        of_application = [
            f'{{"AssociatedResourceId":"{one}","AssociatedResourceType":"WORKSPACE",{row}}}'
            for one in self.ids
        ]
        self._of_workspace = (
            f'"AssociatedResourceType":"APPLICATION","AssociatedResourceId":"{APPLICATION_ID}",{row}'
        )
        self._state = workspace
        self._pages = [
            f'{{"Associations":[{",".join(of_application[start : start + PAGE])}]'
            + (f',"NextToken":"{start + PAGE}"}}' if start + PAGE < len(self.ids) else "}")
            for start in range(0, len(self.ids), PAGE)
        ]

    async def answer(self, *, request: Any, **_: object) -> Response:
        """Answer a request, by its operation."""
        self.calls += 1
        asked: dict[str, Json] = json.loads(request.body)
        return Response(200, self._body(str(request.headers["X-Amz-Target"]), asked).encode())

    def _body(self, target: str, asked: Mapping[str, Json]) -> str:
        match re.sub(r"^b'|'$", "", target).rpartition(".")[2]:
            case "DescribeApplicationAssociations":
                return self._pages[int(str(asked.get("NextToken") or 0)) // PAGE]
            case "DescribeWorkspaceAssociations":
                return f'{{"Associations":[{{"WorkspaceId":"{asked["WorkspaceId"]}",{self._of_workspace}}}]}}'
            case "DescribeWorkspaces":
                ids = asked["WorkspaceIds"]
                assert isinstance(ids, list)
                states = ",".join(f'{{"WorkspaceId":"{one}","State":"{self._state}"}}' for one in ids)
                return f'{{"Workspaces":[{states}]}}'
            case other:
                raise AssertionError(f"nobody was to call {other}")


async def _forever() -> None:
    await asyncio.get_running_loop().create_future()


async def count_work(waits: int) -> dict[str, Json]:
    """Let so many waits go on for ten rounds of half a minute: CPU and memory for each, the calls' own included."""
    clock, service, session = ManualClock(autojump=True), Service(waits), AioSession()
    answer_with(session, service.answer)
    client = WorkSpacesClient(
        region=REGION,
        session=session,
        credentials=Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY),
        config=ClientConfig(pacing_registry=PacingRegistry(), pacing=Pacing.off(), random=lambda: 0.5),
        clock=clock,
    )
    async with client:
        await client.describe_application_associations(
            application_id=APPLICATION_ID, associated_resource_types=["WORKSPACE"]
        )
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        bare = [asyncio.create_task(_forever()) for _ in service.ids]
        await asyncio.sleep(0)
        for_a_task = (tracemalloc.get_traced_memory()[0] - before) / waits
        for task in bare:
            task.cancel()
        await asyncio.wait(bare)
        bare.clear()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        tasks = [
            asyncio.create_task(
                client.wait_until_deployed(
                    one,
                    wanted={APPLICATION_ID: "installed"},
                    poll=PollPolicy(min_delay=ROUND, max_delay=ROUND, jitter=0),
                )
            )
            for one in service.ids
        ]
        await clock.sleep(WARM * ROUND + 1)
        gc.collect()
        for_a_wait = (tracemalloc.get_traced_memory()[0] - before) / waits
        tracemalloc.stop()

        calls, cpu = service.calls, time.process_time()
        await clock.sleep(ROUNDS * ROUND)
        cpu = time.process_time() - cpu
        calls = service.calls - calls
        listing = time.process_time()
        for _ in range(ROUNDS):
            async for _row in client.describe_application_associations(
                application_id=APPLICATION_ID, associated_resource_types=["WORKSPACE"]
            ):
                pass
        listing = time.process_time() - listing
        service.put("COMPLETED", "AVAILABLE")
        await asyncio.wait(tasks)
        assert all(task.result().changed for task in tasks)
    return {
        "cpu": cpu / waits / ROUNDS * 1e6,
        "listing": listing / waits / ROUNDS * 1e6,
        "calls": calls / ROUNDS / (waits / PAGE),
        "memory": for_a_wait - for_a_task,
        "with_task": for_a_wait,
    }


async def count_files() -> dict[str, Json]:
    """Install an application twice, and count the files of the package that the second time enters."""
    clock = ManualClock(autojump=True)
    sim = simulator_of(2, clock)
    async with sim, client_of(sim, clock) as client:
        first, second = sim.fleet.workspace_ids
        wanted = applications_of(sim, 1)
        await client.install_applications(first, wanted)
        with entered() as files:
            outcome = await client.install_applications(second, wanted)
        assert outcome.changed
    # The simulator shares the loop, and is no part of a client.
    ours = sorted(file for file in files if not file.startswith("simulator/"))
    return {"files": len(ours), "names": [*ours]}


def main() -> None:
    """Do what was asked, and print the figures."""
    asked = given()
    match asked["what"]:
        case "calls":
            sizes = (int(number(asked, name)) for name in ("waits", "applications", "seed"))
            waits, applications, seed = sizes
            answer(asyncio.run(count_calls(waits, applications, number(asked, "rate"), seed)))
        case "work":
            answer(asyncio.run(count_work(int(number(asked, "waits")))))
        case _:
            answer(asyncio.run(count_files()))


if __name__ == "__main__":
    main()
