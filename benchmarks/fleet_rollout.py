"""One roll-out in a process of its own; JSON in, JSON out. `benchmarks.rollout` runs it with either package."""

import asyncio
import contextlib
import heapq
import statistics
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.false_states import VARIANTS, FalseStates
from benchmarks.fleet import (
    BURST,
    FIXED,
    RATE,
    answer,
    applications_of,
    client_of,
    counts_of,
    ends_of,
    given,
    lasting,
    manifest,
    percentile,
    simulator_of,
)
from benchmarks.packages import Json
from benchmarks.sampling import sampled
from workspaces_apps import WorkSpacesClient
from workspaces_apps.rollout import Deployed, Finished, Plan, Rollout, Succeeded
from workspaces_apps.simulator import ManualClock, Throttle

READS = (
    "DescribeApplicationAssociations",
    "DescribeWorkspaceAssociations",
    "DescribeWorkspaces",
    "DescribeApplications",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The roll-out to make.

    Attributes:
        workspaces: The fleet.
        applications: How many applications each gets, 1 to 3.
        in_flight: WorkSpaces at most that are being changed at a time.
        low: The shortest deployment, in seconds.
        high: The longest.
        seed: What durations and jitter are drawn from.
        rate: Of the service's throttle, per second; 0 for none.
        variant: In which way WorkSpace states are wrong, a key of `false_states.VARIANTS`; None: no proxy either.
    """

    workspaces: int
    applications: int
    in_flight: int
    low: float
    high: float
    seed: int
    rate: float
    variant: str | None = None


async def apply(task: Task) -> dict[str, Json]:
    """Plan and apply, with a journal, against the default throttle."""
    clock = ManualClock(autojump=True)
    sim = simulator_of(
        task.workspaces,
        clock,
        settings=lasting(task.low, task.high),
        throttle=Throttle.at(task.rate, BURST) if task.rate else None,
        seed=task.seed,
    )
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(sim)
        front = None
        if task.variant is not None:
            front = await stack.enter_async_context(FalseStates(sim, clock, task.seed))
            VARIANTS[task.variant].before(sim)
        url = front.url if front is not None else None
        client = await stack.enter_async_context(client_of(sim, clock, url=url, seed=task.seed))
        applications = applications_of(sim, task.applications)
        rollout = Rollout(client, clock=clock)
        with tempfile.TemporaryDirectory() as folder, sampled() as spent:
            plan = await rollout.plan(manifest(applications, task.in_flight))
            if front is not None and task.variant is not None:
                front.falsify = VARIANTS[task.variant].falsify
                VARIANTS[task.variant].after(sim)
            zero = over = clock.timestamp()
            deployed: dict[str, float] = {}
            succeeded: dict[tuple[str, str], float] = {}
            async with rollout.apply(plan, journal=Path(folder) / "journal") as run:
                async for event in run:
                    if isinstance(event, Deployed):
                        deployed.setdefault(event.workspace_id, event.at.timestamp())
                    elif isinstance(event, Succeeded):
                        succeeded[event.workspace_id, event.application_id] = event.at.timestamp()
                    elif isinstance(event, Finished):
                        over = event.at.timestamp()
                result = await run.finished()
        counts = counts_of(sim)
        # Where states are wrong, a WorkSpace may rightly be given up; how many were is a figure.
        is_done = result.ending == "complete" and len(succeeded) == task.workspaces * task.applications
        if not is_done and front is None:
            raise SystemExit(f"the apply did not do its work: {result}")
        throttled = sim.requests.count(error="ThrottlingException")
        ends = await ends_of(sim, clock, applications)
    backs: dict[str, float] = {}
    told: dict[str, float] = {}
    for (workspace, application), at in succeeded.items():
        backs[workspace] = max(ends[workspace, application], backs.get(workspace, 0.0))
        told[workspace] = max(at, told.get(workspace, 0.0))
    delays = [at - backs[workspace] for workspace, at in told.items()]
    own = [at - ends[change] for change, at in succeeded.items()]
    begun = sorted(
        (at - zero, backs[workspace] - at) for workspace, at in deployed.items() if workspace in backs
    )
    limit = shortest([lasted for _, lasted in begun], task.in_flight, task.applications)
    calls = sum(counts.values())
    return {
        "calls": calls / task.workspaces,
        "by_operation": {name: count / task.workspaces for name, count in sorted(counts.items())},
        "throttled": throttled / calls,
        "noticed": statistics.median(delays),
        "noticed_95": percentile(delays, 0.95),
        "noticed_latest": max(delays),
        "own": statistics.median(own),
        "own_95": percentile(own, 0.95),
        "wall": over - zero,
        "limit": limit,
        "not_once": None
        if front is None
        else sum(front.deploys[one] != 1 for one in sim.fleet.workspace_ids),
        "given_up": task.workspaces - len(backs),
        "cpu": spent.client,
        "cpu_all": spent.total,
    }


def shortest(durations: Iterable[float], in_flight: int, applications: int) -> float:
    """Seconds that nobody can beat: every write as soon as the throttle lets it, every end noticed at once.

    With everything in flight that is the writes at the throttle's rate and the last deployment; with few in flight
    it is about as many deployments after each other as there are turns.

    Args:
        durations: Of the deployments, in seconds, in the order in which they were begun.
        in_flight: How many may go on at a time.
        applications: Associate takes so many calls for each; Deploy, which has a rate of its own, one.
    """
    places: list[float] = []
    last = 0.0
    for number, lasted in enumerate(durations, 1):
        written = max(0.0, (applications * number - BURST) / RATE)
        free = heapq.heappop(places) if len(places) >= in_flight else 0.0
        end = max(written, free) + lasted
        heapq.heappush(places, end)
        last = max(last, end)
    return last


async def two_pollers(ways: Sequence[str]) -> dict[str, Json]:
    """Count the describing calls of a wait and an apply that follow the same 100 deployments in one client.

    Args:
        ways: `wait`, `apply`, or both.
    """
    clock = ManualClock(autojump=True)
    sim = simulator_of(100, clock, seed=3)
    async with sim, client_of(sim, clock) as client:
        (application,) = applications_of(sim, 1)
        rollout = Rollout(client, clock=clock)
        plan = await rollout.plan(manifest([application], 1000))
        ids = sim.fleet.workspace_ids
        for one in ids:
            await client.associate_workspace_application(workspace_id=one, application_id=application)
            await client.deploy_workspace_applications(workspace_id=one)
        sim.requests.clear()
        began = clock.monotonic()
        follow = {"wait": follow_by_wait(client, ids), "apply": follow_by_apply(rollout, plan)}
        for way in follow.keys() - set(ways):
            follow.pop(way).close()
        await asyncio.gather(*follow.values())
        counts = {name: count for name, count in counts_of(sim).items() if name in READS}
        return {
            "calls": sum(counts.values()),
            "by_operation": dict(counts),
            "seconds": clock.monotonic() - began,
        }


async def follow_by_wait(client: WorkSpacesClient, ids: Sequence[str]) -> None:
    """Wait for all."""
    await client.wait_until_all_deployed(ids)


async def follow_by_apply(rollout: Rollout, plan: Plan) -> None:
    """Apply a plan that was made before anything was begun."""
    async with rollout.apply(plan) as run:
        await run.finished()


def main() -> None:
    """Do what was asked, and print the figures."""
    asked = given()
    ways = asked.pop("ways", None)
    if isinstance(ways, list):
        answer(asyncio.run(two_pollers([str(way) for way in ways])))
        return
    answer(asyncio.run(apply(task_of(asked))))


def task_of(asked: dict[str, Json]) -> Task:
    """The task in JSON, with fixed durations where none are given."""

    def number(name: str, default: float) -> float:
        value = asked.get(name, default)
        assert isinstance(value, int | float), f"{name} is no number"
        return value

    return Task(
        workspaces=int(number("workspaces", 1000)),
        applications=int(number("applications", 1)),
        in_flight=int(number("in_flight", 100)),
        low=number("low", FIXED[0]),
        high=number("high", FIXED[1]),
        seed=int(number("seed", 0)),
        rate=number("rate", RATE),
        variant=str(asked["variant"]) if "variant" in asked else None,
    )


if __name__ == "__main__":
    main()
