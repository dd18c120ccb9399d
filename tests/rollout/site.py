"""A simulated fleet in simulated time, and a roll-out over it."""

from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

from workspaces_apps import ClientConfig, Credentials, WorkSpacesClient
from workspaces_apps._base.clock import Clock
from workspaces_apps._pacing import PacingRegistry
from workspaces_apps.rollout import (
    BeforeDeploy,
    Event,
    Failed,
    Finished,
    Manifest,
    Plan,
    Rollout,
    Skipped,
    Succeeded,
)
from workspaces_apps.simulator import ManualClock, Simulator, SimulatorSettings, Span, Throttle

OFFICE = "Microsoft Office LTSC Professional Plus 2021"
VISIO = "Microsoft Visio LTSC Professional 2021"
OTHER_EDITION = "Microsoft Visio LTSC Standard 2021"
LARGE = "Microsoft Visual Studio Professional 2022"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A simulator, a client of it, and a roll-out with that client."""

    sim: Simulator
    client: WorkSpacesClient
    rollout: Rollout
    clock: ManualClock

    def states(self, application: str, workspace_ids: Sequence[str]) -> Counter[str]:
        """Count the WorkSpaces that have the application in each state."""
        wanted = self.sim.fleet.application(application)
        return Counter(str(self.sim.fleet.associations(one).get(wanted)) for one in workspace_ids)

    def deployments(self) -> Counter[str]:
        """Count the deployments that the service took and that committed something, by WorkSpace."""
        found: Counter[str] = Counter()
        for request in self.sim.requests:
            if request.operation == "DeployWorkspaceApplications" and request.status == 200:
                answer, parameters = request.answer or {}, request.parameters or {}
                deployment = answer.get("Deployment")
                if isinstance(deployment, dict) and deployment.get("Associations"):
                    found[str(parameters["WorkspaceId"])] += 1
        return found

    async def carry_out(
        self,
        plan: Plan,
        journal: Path | None = None,
        *,
        dry_run: bool = False,
        assume_direction: bool = False,
        before_deploy: BeforeDeploy | None = None,
    ) -> tuple[Finished, list[Event]]:
        """Apply a plan to its end."""
        async with self.rollout.apply(
            plan,
            journal=journal,
            dry_run=dry_run,
            assume_direction=assume_direction,
            before_deploy=before_deploy,
        ) as run:
            events = [event async for event in run]
        assert run.result is not None
        return run.result, events


@asynccontextmanager
async def site(
    workspaces: int = 0,
    *,
    throttle: Throttle | None = None,
    settings: SimulatorSettings | None = None,
    seed: int = 7,
    associations_per_workspace: int = 0,
    error_record: Literal["restate", "keep", "refuse"] = "restate",
    other_regions: Sequence[str] = (),
) -> AsyncGenerator[Site, None]:
    """A fleet without a throttle, whose deployments take a minute or two."""
    clock = ManualClock(autojump=True)
    quick = SimulatorSettings(
        pending_delay=Span(1, 5),
        install_duration=Span(60, 120),
        uninstall_duration=Span(60, 120),
        error_record=error_record,
    )
    async with (
        Simulator(
            workspaces=workspaces,
            seed=seed,
            clock=clock,
            settings=settings or quick,
            throttle=throttle,
            associations_per_workspace=associations_per_workspace,
            other_regions=other_regions,
        ) as sim,
        WorkSpacesClient(**connection_to(sim)) as client,
    ):
        yield Site(sim=sim, client=client, rollout=Rollout(client, clock=clock), clock=clock)


class Connection(TypedDict):
    """The way of a client to a simulator."""

    region: str
    endpoint_url: str
    credentials: Credentials
    clock: Clock
    config: ClientConfig


def connection_to(sim: Simulator) -> Connection:
    """The way of a client to a simulator, with a pacing registry of its own."""
    keys = sim.credentials
    return Connection(
        region=sim.region,
        endpoint_url=sim.url,
        credentials=Credentials(keys.access_key_id, keys.secret_access_key),
        clock=sim.clock,
        # Its timeout is of real seconds, in which nothing happens on a busy machine.
        config=ClientConfig(pacing_registry=PacingRegistry(), connect_timeout=60),
    )


def manifest(
    present: Sequence[Any] = (OFFICE,),
    absent: Sequence[Any] = (),
    select: Mapping[str, object] | None = None,
    **policy: Any,
) -> Manifest:
    """A manifest of one rule."""
    rule = {"select": dict(select or {"everything": True}), "present": list(present), "absent": list(absent)}
    return Manifest.from_data({"name": "test", "rules": [rule], "policy": policy})


def last_words(events: Sequence[Event]) -> dict[tuple[str, str], str]:
    """By WorkSpace and application: the kind of the last word, and its reason."""
    words: dict[tuple[str, str], str] = {}
    for event in events:
        match event:
            case Succeeded():
                words[event.workspace_id, event.application_id] = "succeeded"
            case Failed(final=True, application_id=str(application)):
                words[event.workspace_id, application] = f"failed: {event.reason}"
            case Skipped(application_id=str(application)):
                words[event.workspace_id, application] = f"skipped: {event.reason}"
            case _:
                pass
    return words
