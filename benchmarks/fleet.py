"""A fleet in a simulator and a client of it, in simulated time, for scripts that run with either package.

Only public names that both have are used here.
"""

import json
import random
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import workspaces_apps
from benchmarks.packages import Figures, Json
from workspaces_apps import ClientConfig, Credentials, Pacing, PacingRegistry, WorkSpacesClient
from workspaces_apps.rollout import Manifest
from workspaces_apps.simulator import ManualClock, Simulator, SimulatorSettings, Span, Throttle

SUITE: Final = (
    "Microsoft Office LTSC Professional Plus 2021",
    "Microsoft Visio LTSC Professional 2021",
    "Microsoft Project Professional 2021",
)
RATE: Final = 2.0
BURST: Final = 5
FIXED: Final = (900.0, 900.0)
SPREAD: Final = (480.0, 1200.0)


def lasting(low: float, high: float) -> SimulatorSettings:
    """Deployments that begin at once and take a time between two bounds, in seconds."""
    return SimulatorSettings(pending_delay=Span(0, 0), install_duration=Span(low, high))


def simulator_of(
    workspaces: int,
    clock: ManualClock,
    *,
    settings: SimulatorSettings | None = None,
    throttle: Throttle | None = None,
    seed: int = 0,
) -> Simulator:
    """A simulator, not running yet, whose WorkSpaces take every application.

    Args:
        workspaces: How many there are.
        clock: Its time.
        settings: The service's; None: those of the simulator, with deployments of 480 to 1,200 s.
        throttle: The service's; None: no limit.
        seed: What durations and faults are drawn from.
    """
    sim = Simulator(
        workspaces=0, clock=clock, settings=settings, throttle=throttle, seed=seed, verify_signatures=False
    )
    sim.fleet.add_workspaces(workspaces)
    return sim


@asynccontextmanager
async def client_of(
    sim: Simulator,
    clock: ManualClock,
    *,
    url: str | None = None,
    seed: int = 0,
    pacing: Pacing | None = None,
    credentials: Credentials | None = None,
) -> AsyncGenerator[WorkSpacesClient]:
    """A client in the simulator's time that has learned nothing yet.

    Args:
        sim: The simulator, running.
        clock: Its clock.
        url: What stands in front of it; None: itself.
        seed: What the client's jitter is drawn from.
        pacing: The client's; None: the default.
        credentials: Whose calls these are; None: those of the simulator's first account.
    """
    config = ClientConfig(
        pacing_registry=PacingRegistry(),
        pacing=pacing or Pacing.adaptive(),
        random=random.Random(seed).random,
    )
    async with WorkSpacesClient(
        region=sim.region,
        endpoint_url=url or sim.url,
        credentials=credentials or sim.credentials,
        clock=clock,
        config=config,
    ) as client:
        yield client


def applications_of(sim: Simulator, count: int) -> list[str]:
    """So many applications that fit together on a WorkSpace."""
    return [sim.fleet.application(name) for name in SUITE[:count]]


def manifest(applications: Sequence[str], in_flight: int) -> Manifest:
    """The applications on every WorkSpace, in one wave."""
    rule = {"select": {"everything": True}, "present": list(applications)}
    return Manifest.from_data({"name": "benchmark", "rules": [rule], "policy": {"max_in_flight": in_flight}})


async def ends_of(
    sim: Simulator, clock: ManualClock, applications: Sequence[str]
) -> dict[tuple[str, str], float]:
    """When each association changed for the last time, in epoch seconds, by WorkSpace and application.

    A WorkSpace is back when the last of its associations has ended.
    """
    ends: dict[tuple[str, str], float] = {}
    sim.faults.clear()
    sim.throttle = None
    async with client_of(sim, clock, pacing=Pacing.off()) as client:
        for application in applications:
            async for row in client.describe_application_associations(
                application_id=application, associated_resource_types=["WORKSPACE"]
            ):
                if row.last_updated_time is not None:
                    ends[row.associated_resource_id, application] = row.last_updated_time.timestamp()
    return ends


def counts_of(sim: Simulator) -> dict[str, int]:
    """The requests so far, by operation."""
    counts: dict[str, int] = {}
    for record in sim.requests:
        counts[record.operation or "?"] = counts.get(record.operation or "?", 0) + 1
    return counts


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def given() -> dict[str, Json]:
    """The arguments that the parent gives."""
    asked: dict[str, Json] = json.loads(sys.argv[1])
    return asked


def answer(figures: Figures) -> None:
    """Tell the parent the figures, and which package they are of."""
    print(json.dumps({**figures, "package": str(Path(workspaces_apps.__file__).resolve().parent)}))
