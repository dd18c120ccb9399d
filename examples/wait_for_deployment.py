"""Wait for deployments: one followed change by change, several at once, and a job that does it all.

Run it as it is: `python examples/wait_for_deployment.py`. It brings its own simulator, whose clock jumps from one
event to the next, and needs no AWS account.
"""

import asyncio
from datetime import timedelta

from workspaces_apps import PollPolicy, WorkSpacesClient
from workspaces_apps.simulator import ManualClock, Simulator


async def follow(ws: WorkSpacesClient, workspace_id: str) -> None:
    """Print each change of a deployment as it is seen."""
    async with ws.watch_deployment(workspace_id, poll=PollPolicy(min_delay=2, max_delay=10)) as changes:
        async for change in changes:
            print(f"{change.at:%H:%M:%S}  {change.application_id}: {change.before} -> {change.after}")


async def wait_for_all(ws: WorkSpacesClient, workspace_ids: list[str], application_id: str) -> None:
    """Print each outcome as it comes; the waits share their polls."""
    ended = 0
    waits = ws.wait_until_all_deployed(
        workspace_ids, wanted={application_id: "installed"}, timeout=timedelta(hours=2)
    )
    async for outcome in waits:
        ended += 1
        print(
            f"{ended} of {len(workspace_ids)}: {outcome.workspace_id} after {outcome.elapsed}, {outcome.error or 'well'}"
        )


async def main() -> None:
    """Do it against a simulator, with its clock."""
    async with (
        Simulator(clock=ManualClock(autojump=True)) as sim,
        WorkSpacesClient(
            region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, clock=sim.clock
        ) as ws,
    ):
        application_id = sim.fleet.application("Visio Standard 2021")
        workspace_ids = sim.fleet.compatible(application_id, 6)
        for workspace_id in workspace_ids[1:]:
            await ws.associate_workspace_application(workspace_id=workspace_id, application_id=application_id)
            await ws.deploy_workspace_applications(workspace_id=workspace_id)

        await asyncio.gather(
            follow(ws, workspace_ids[1]),
            wait_for_all(ws, workspace_ids[1:], application_id),
        )

        # Staging, deploying and waiting in one; called again, it has nothing to do.
        first = await ws.install_applications(workspace_ids[0], [application_id])
        print(f"done: {first.done}, in {first.elapsed}")
        again = await ws.install_applications(workspace_ids[0], [application_id])
        print(f"already: {again.already}, in {again.elapsed}")


if __name__ == "__main__":
    asyncio.run(main())
