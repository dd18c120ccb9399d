"""`python -m benchmarks.rollout`: what a roll-out costs, against the simulator with its default throttle.

Applies run in simulated time, so that the calls, the throttles and the simulated hours are what is measured. The plan
of the large fleet runs in a process of its own against a simulator without a throttle, for its processor time and
memory. Exits with 1 where a bar is missed; two rows about scripts miss theirs, and `WHY` says why.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import rollout_scripts
from workspaces_apps import ClientConfig, Credentials, WorkSpacesClient
from workspaces_apps.pacing import Pacing, PacingRegistry
from workspaces_apps.rollout import Manifest, Rollout
from workspaces_apps.rollout.events import Succeeded
from workspaces_apps.simulator import ManualClock, Simulator, SimulatorSettings, Span, Throttle

OFFICE: Final = "Microsoft Office LTSC Professional Plus 2021"
SUITE: Final = (OFFICE, "Microsoft Visio LTSC Professional 2021", "Microsoft Project Professional 2021")
DEPLOYMENT: Final = 900.0
RATE: Final = 2.0
BURST: Final = 5
FEWER: Final = 6.0
WHY: Final = (
    "Where the service throttles 1,000 WorkSpaces at 2 calls a second, a script cannot call more often than it is let:"
    " it takes longer and notices later instead. How many calls the same loops need to notice as soon as ours, and how"
    " many they make where nothing holds them back, are rows of their own. The sample does not poll at all."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What our apply cost.

    Attributes:
        calls: For each WorkSpace, the plan's included.
        throttled: The throttled share of them.
        seconds: How long it took, in simulated time.
        delay: Seconds from the end of a deployment until it was noticed, median.
    """

    calls: float
    throttled: float
    seconds: float
    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table.

    Attributes:
        work: What was done, and by whom.
        what: What was measured.
        value: The figure.
        bar: What it must not exceed, or reach where `least`; None where it is only shown.
        least: Whether the bar is a lower bound.
    """

    work: str
    what: str
    value: float
    bar: float | None = None
    least: bool = False

    @property
    def missed(self) -> bool:
        """Whether the bar is missed."""
        if self.bar is None:
            return False
        return self.value < self.bar if self.least else self.value > self.bar


def settings() -> SimulatorSettings:
    """Deployments of a quarter of an hour."""
    return SimulatorSettings(pending_delay=Span(0, 0), install_duration=Span(DEPLOYMENT, DEPLOYMENT))


def manifest(applications: Sequence[str], in_flight: int) -> Manifest:
    """The applications on every WorkSpace, in one wave."""
    rule = {"select": {"everything": True}, "present": list(applications)}
    return Manifest.from_data({"name": "benchmark", "rules": [rule], "policy": {"max_in_flight": in_flight}})


def client_of(sim: Simulator, pacing: Pacing) -> WorkSpacesClient:
    """A client in the simulator's time."""
    keys = sim.credentials
    return WorkSpacesClient(
        region=sim.region,
        endpoint_url=sim.url,
        credentials=Credentials(keys.access_key_id, keys.secret_access_key),
        clock=sim.clock,
        config=ClientConfig(pacing_registry=PacingRegistry(), pacing=pacing),
    )


async def apply(workspaces: int, throttle: Throttle | None) -> Applied:
    """One application on so many WorkSpaces, planned and applied."""
    clock = ManualClock(autojump=True)
    async with Simulator(workspaces=0, clock=clock, settings=settings(), throttle=throttle) as sim:
        sim.fleet.add_workspaces(workspaces)
        async with client_of(sim, Pacing.adaptive()) as client:
            rollout = Rollout(client, clock=clock)
            plan = await rollout.plan(manifest([OFFICE], workspaces))
            began = clock.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                async with rollout.apply(plan, journal=Path(folder) / "journal") as run:
                    done = [event async for event in run if isinstance(event, Succeeded)]
                    result = await run.finished()
            wall = clock.monotonic() - began
        calls, throttled = len(sim.requests), sim.requests.count(error=rollout_scripts.THROTTLING)
        if result.ending != "complete" or sim.requests.count("DeployWorkspaceApplications") < workspaces:
            raise SystemExit(f"the apply did not do its work: {result}")
        delay = statistics.median(
            event.at.timestamp()
            - sim.fleet.workspace(event.workspace_id).associations[event.application_id].updated
            for event in done
        )
    return Applied(calls=calls / workspaces, throttled=throttled / calls, seconds=wall, delay=delay)


def figures_of(applied: Applied, workspaces: int) -> list[Figure]:
    """Ours, against the default throttle."""
    work = f"apply 1 application to {workspaces:,} WorkSpaces"
    # Associate and Deploy have a rate each, and go on in parallel; the last deployment begins with the last write.
    ideal = max(0, workspaces - BURST) / RATE + DEPLOYMENT
    return [
        Figure(work=work, what="calls per WorkSpace, the plan's included", value=applied.calls, bar=4.2),
        Figure(
            work=work,
            what="time ÷ (what the throttle allows + one deployment)",
            value=applied.seconds / ideal,
            bar=1.10,
        ),
        Figure(work=work, what="throttled, % of the requests", value=100 * applied.throttled, bar=2.0),
        Figure(work=work, what="delay in noticing, median, s", value=applied.delay),
    ]


def measure_scripts(workspaces: int, free: int, ours: Applied) -> list[Figure]:
    """The same by hand.

    Args:
        workspaces: The fleet, with the default throttle.
        free: The fleet of the loops without a throttle, where calls per WorkSpace do not depend on it.
        ours: Our apply to the same fleet, with the default throttle.
    """
    figures: list[Figure] = []
    for script in (rollout_scripts.GATHER, rollout_scripts.SAMPLE, rollout_scripts.SAMPLE_ONCE):
        found = rollout_scripts.run(script, workspaces, settings(), Throttle())
        work = f"the same on {workspaces:,} by {script.name}"
        bar = None if script is rollout_scripts.SAMPLE_ONCE else FEWER
        figures += figures_by_hand(work, found, workspaces, ours, bar)
    delay = ours.delay
    calls = rollout_scripts.as_soon_as(delay, DEPLOYMENT)
    work = (
        f"the same by loops that notice as soon as ours, within {delay:.0f} s, two calls a round (computed)"
    )
    figures += [
        Figure(work=work, what="calls per WorkSpace", value=calls),
        Figure(work=work, what="calls ÷ ours", value=calls / ours.calls, bar=FEWER, least=True),
    ]
    unthrottled = asyncio.run(apply(workspaces, None))
    found = rollout_scripts.run(rollout_scripts.GATHER, free, settings(), None)
    work = f"without a throttle, on {free:,} by {rollout_scripts.GATHER.name}; ours on {workspaces:,}"
    return figures + figures_by_hand(work, found, free, unthrottled, FEWER)


def figures_by_hand(
    work: str, found: rollout_scripts.Found, workspaces: int, ours: Applied, bar: float | None
) -> list[Figure]:
    """A script's cost beside ours."""
    calls = found.calls / workspaces
    figures = [
        Figure(work=work, what="calls per WorkSpace", value=calls),
        Figure(work=work, what="throttled, % of the requests", value=100 * found.throttled / found.calls),
        Figure(work=work, what="time ÷ ours", value=found.seconds / ours.seconds),
    ]
    if found.delay is not None:
        figures.append(
            Figure(work=work, what=f"delay in noticing, median, s; ours {ours.delay:.0f}", value=found.delay)
        )
    figures.append(Figure(work=work, what="calls ÷ ours", value=calls / ours.calls, bar=bar, least=True))
    return figures


def measure_plan(workspaces: int) -> list[Figure]:
    """Three applications on so many WorkSpaces, planned by a process of its own."""
    work = f"plan {workspaces:,} WorkSpaces × {len(SUITE)} applications"
    with Simulator.in_thread(workspaces=workspaces, associations_per_workspace=2, throttle=None) as sim:
        keys = sim.credentials
        given = json.dumps([sim.url, sim.region, keys.access_key_id, keys.secret_access_key])
        command = [sys.executable, "-m", "benchmarks.rollout", "--plan-as-child", given]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
        fleet = sim.fleet
        associations = sum(len(fleet.associations(one)) for one in fleet)
        allowed = workspaces / 25 + associations / 25 + len(fleet.application_ids)
        calls = len(sim.requests)
    cpu, memory, planned = json.loads(done.stdout)
    if planned != workspaces:
        raise SystemExit(f"the plan covers {planned} of {workspaces} WorkSpaces")
    return [
        Figure(work=work, what="calls ÷ (pages of 25 + applications)", value=calls / allowed, bar=1.05),
        Figure(work=work, what="processor time of the client, s", value=cpu, bar=5.0),
        Figure(work=work, what="memory of the client, MB", value=memory, bar=200.0),
    ]


async def plan_as_child(given: str) -> None:
    """Plan, and print processor seconds, megabytes, and how many WorkSpaces the plan has."""
    url, region, key, secret = json.loads(given)
    client = WorkSpacesClient(
        region=region,
        endpoint_url=url,
        credentials=Credentials(key, secret),
        config=ClientConfig(pacing=Pacing.off()),
    )
    async with client:
        plan = await Rollout(client).plan(manifest(SUITE, 100))
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, len(plan.workspaces)]))


def table(figures: Sequence[Figure]) -> str:
    """The figures in Markdown."""
    lines = ["| work | measured | figure | bar | |", "|---|---|---|---|---|"]
    for figure in figures:
        sign = "≥" if figure.least else "≤"
        bar = f"{sign} {figure.bar:g}" if figure.bar is not None else ""
        verdict = "" if figure.bar is None else "**missed**" if figure.missed else "met"
        lines.append(f"| {figure.work} | {figure.what} | {figure.value:.3g} | {bar} | {verdict} |")
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollout", description=__doc__)
    parser.add_argument("--workspaces", type=int, default=1000, help="the fleet that is applied to")
    parser.add_argument("--planned", type=int, default=10_000, help="the fleet that is planned")
    parser.add_argument(
        "--free",
        type=int,
        default=200,
        help="the fleet of the loops without a throttle, 0 for no scripts at all",
    )
    parser.add_argument("--plan-as-child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.plan_as_child is not None:
        asyncio.run(plan_as_child(given.plan_as_child))
        return 0
    figures = measure_plan(given.planned)
    applied = asyncio.run(apply(given.workspaces, Throttle()))
    figures += figures_of(applied, given.workspaces)
    if given.free:
        figures += measure_scripts(given.workspaces, given.free, applied)
    print(table(figures))
    if given.free:
        print(f"\n{WHY}")
    return int(any(figure.missed for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
