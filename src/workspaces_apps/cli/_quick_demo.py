"""`workspaces-apps demo --quick`: two applications on a few simulated WorkSpaces, state by state, without a roll-out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from workspaces_apps.cli._console import is_live, out
from workspaces_apps.cli._deployments import Deployments, following, short_duration, table
from workspaces_apps.cli._failures import ExitCode
from workspaces_apps.errors import ConfigurationError

if TYPE_CHECKING:
    from workspaces_apps._client.client import WorkSpacesClient
    from workspaces_apps._waiters import AssociationChange
    from workspaces_apps.api import Workspace, WorkSpaceApplication
    from workspaces_apps.simulator import Simulator, SimulatorClock

NAMES: Final = ("Microsoft Office LTSC Professional Plus 2021", "Microsoft Visio LTSC Professional 2021")
"""What is installed: of one edition and one version, as Office and Visio must be on one WorkSpace. [doc]"""


async def install_everywhere(count: int, seed: int, clock: SimulatorClock) -> ExitCode:
    """Start a simulator, install, show it, and look whether the service says the same in the end.

    Args:
        count: On how many WorkSpaces.
        seed: That of the fleet.
        clock: The simulator's and the client's.
    """
    from workspaces_apps._client.client import WorkSpacesClient
    from workspaces_apps.simulator import Simulator

    console, began = out(), time.monotonic()
    say = partial(console.print, soft_wrap=True)
    async with (
        # More than half of any twenty WorkSpaces of the sample can take both applications.
        Simulator(workspaces=max(20, 2 * count), seed=seed, clock=clock) as sim,
        WorkSpacesClient(
            region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, clock=clock
        ) as ws,
    ):
        applications = await find_applications(ws)
        chosen = await choose(ws, applications, count)
        deployments = Deployments(
            {workspace.workspace_id: system_of(workspace) for workspace in chosen},
            {application.application_id: application.name or "?" for application in applications},
            clock.now,
        )
        say(f"A simulator listens on {sim.url}.")
        say(f"{len(applications)} applications go on {len(chosen)} of its {len(sim.fleet)} WorkSpaces.\n")
        with following(console, deployments, lambda: f"simulated; {traffic(sim)}"):
            async with asyncio.TaskGroup() as tasks:
                for workspace_id in deployments.desktops:
                    tasks.create_task(install(ws, workspace_id, deployments))
        completed = await count_completed(ws, deployments)
        if not is_live(console):
            say("")
        console.print(table(console, deployments))
        say(f"\n{completed} of {deployments.total} associations are COMPLETED on {len(chosen)} WorkSpaces.")
        took = f"{short_duration(deployments.elapsed)} of simulated time in {time.monotonic() - began:.1f} s"
        say(f"{took}; {traffic(sim)}.")
    return ExitCode.DONE if completed == deployments.total else ExitCode.FAILED


async def find_applications(ws: WorkSpacesClient) -> list[WorkSpaceApplication]:
    """The applications of the demonstration, from the catalogue."""
    return [one async for one in ws.describe_applications(owner="AMAZON") if one.name in NAMES]


async def choose(
    ws: WorkSpacesClient, applications: Sequence[WorkSpaceApplication], count: int
) -> list[Workspace]:
    """So many WorkSpaces on which all of the applications can be installed, and none is.

    Raises:
        ConfigurationError: There are not so many.
    """
    taken: set[str] = set()
    for application in applications:
        async for association in ws.describe_application_associations(
            application_id=application.application_id, associated_resource_types=["WORKSPACE"]
        ):
            taken.add(association.associated_resource_id)
    found = [
        workspace
        async for workspace in ws.describe_workspaces()
        if workspace.workspace_id not in taken
        and workspace.state in ("AVAILABLE", "STOPPED")
        and all(runs_on(application, workspace) for application in applications)
    ]
    if len(found) < count:
        raise ConfigurationError(f"only {len(found)} WorkSpaces of this fleet can take the applications")
    return found[:count]


def runs_on(application: WorkSpaceApplication, workspace: Workspace) -> bool:
    """Tell if the catalogue says that the application runs on such a WorkSpace."""
    properties = workspace.workspace_properties
    return (
        properties is not None
        and properties.operating_system_name in application.supported_operating_system_names
        and properties.compute_type_name in application.supported_compute_type_names
    )


def system_of(workspace: Workspace) -> str:
    """The operating system, for people: Windows Server 2022."""
    properties = workspace.workspace_properties
    name = properties.operating_system_name if properties is not None else None
    return (name or "?").replace("_", " ").title()


async def install(ws: WorkSpacesClient, workspace_id: str, deployments: Deployments) -> None:
    """Stage every application on one WorkSpace, deploy them together, and follow them to the end."""

    def note(change: AssociationChange) -> None:
        deployments.note(change.workspace_id, change.application_id, change.after)

    for application_id in deployments.applications:
        staged = await ws.associate_workspace_application(
            workspace_id=workspace_id, application_id=application_id
        )
        deployments.note(workspace_id, application_id, staged.association.state)
    deployed = await ws.deploy_workspace_applications(workspace_id=workspace_id)
    for association in deployed.deployment.associations if deployed.deployment else ():
        deployments.note(workspace_id, association.associated_resource_id, association.state)
    await ws.wait_until_deployed(workspace_id, on_change=note)


async def count_completed(ws: WorkSpacesClient, deployments: Deployments) -> int:
    """Count the associations that the service shows COMPLETED now."""
    completed = 0
    for application_id in deployments.applications:
        async for association in ws.describe_application_associations(
            application_id=application_id, associated_resource_types=["WORKSPACE"]
        ):
            deployed = association.associated_resource_id in deployments.desktops
            completed += deployed and association.state == "COMPLETED"
    return completed


def traffic(sim: Simulator) -> str:
    """Return the number of requests, in words."""
    throttled = sim.requests.count(error="ThrottlingException")
    return f"{sim.requests.count()} requests, {throttled} throttled"
