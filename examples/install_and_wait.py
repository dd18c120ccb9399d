"""Install an application on one WorkSpace: stage it, deploy it, and wait until it is installed.

Run it as it is: `python examples/install_and_wait.py`. It brings its own simulator and needs no AWS account.
"""

import asyncio
from datetime import timedelta

from workspaces_apps import AssociationChange, WorkSpacesClient
from workspaces_apps.simulator import ScaledClock, Simulator


async def install(ws: WorkSpacesClient, workspace_id: str, application_id: str) -> None:
    """Install one application on one WorkSpace.

    Raises:
        DeploymentFailedError: The installation ended in ERROR; `.failed` says why.
        WaiterTimeoutError: It did not end within an hour.
    """
    # Associating only stages ...
    staged = await ws.associate_workspace_application(
        workspace_id=workspace_id, application_id=application_id
    )
    print(f"staged: {staged.association.state}")

    # ... and deploying commits everything staged on that WorkSpace. It ends the user's session.
    await ws.deploy_workspace_applications(workspace_id=workspace_id)

    outcome = await ws.wait_until_deployed(
        workspace_id,
        wanted={application_id: "installed"},
        timeout=timedelta(hours=1),
        on_change=show,
    )
    minutes = outcome.elapsed.total_seconds() / 60
    print(f"installed after {minutes:.0f} minutes and {outcome.polls} looks")


def show(change: AssociationChange) -> None:
    """Print a change as it is seen."""
    print(f"{change.at:%H:%M:%S}  {change.application_id}: {change.before} -> {change.after}")


async def main() -> None:
    """Do it against a simulator in which ten minutes pass in a second, for the client too: it has its clock."""
    async with (
        Simulator(clock=ScaledClock(600)) as sim,
        WorkSpacesClient(
            region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, clock=sim.clock
        ) as ws,
    ):
        application_id = sim.fleet.application("Office LTSC Professional 2021")
        (workspace_id,) = sim.fleet.compatible(application_id)
        await install(ws, workspace_id, application_id)


if __name__ == "__main__":
    asyncio.run(main())
