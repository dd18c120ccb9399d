"""A service that shares one client among all of its tasks.

One client per event loop: its tasks then share connections, credentials, polls, and what was learned of the rate
that the service allows. The client is opened when the service starts and closed when it ends.

Run it as it is: `python examples/shared_client_service.py`. It brings its own simulator and needs no AWS account.
"""

import asyncio
from collections import Counter
from datetime import timedelta

from workspaces_apps import ClientConfig, Hooks, ThrottleRecord, WorkSpacesClient, WorkSpacesError
from workspaces_apps.simulator import ScaledClock, Simulator


class Desktops:
    """The calls that a web framework's handlers would make; each runs in a task of its own."""

    def __init__(self, ws: WorkSpacesClient) -> None:
        self._ws = ws
        # A view on the same connections: somebody waits for these answers, so they come soon or not at all.
        self._prompt = ws.with_options(timeout=timedelta(minutes=5))

    async def applications(self, workspace_id: str) -> dict[str, str]:
        """The state of each application on a WorkSpace."""
        found = await self._prompt.describe_workspace_associations(
            workspace_id=workspace_id, associated_resource_types=["APPLICATION"]
        )
        return {one.associated_resource_id: one.state for one in found.associations}

    async def install(self, workspace_id: str, application_id: str) -> str:
        """Install an application, and say in a few words how that went."""
        try:
            await self._ws.associate_workspace_application(
                workspace_id=workspace_id, application_id=application_id
            )
            await self._ws.deploy_workspace_applications(workspace_id=workspace_id)
            outcome = await self._ws.wait_until_deployed(workspace_id)
        except WorkSpacesError as error:
            # One job that fails is no reason to end the others.
            return f"failed: {error}"
        return f"installed after {outcome.elapsed.total_seconds() / 60:.0f} minutes"


async def serve(ws: WorkSpacesClient, workspace_ids: list[str], application_id: str) -> None:
    """Install on every WorkSpace at once, and answer questions meanwhile."""
    desktops = Desktops(ws)
    async with asyncio.TaskGroup() as tasks:
        jobs = {one: tasks.create_task(desktops.install(one, application_id)) for one in workspace_ids}
        await asyncio.sleep(1)
        answers = await asyncio.gather(*map(desktops.applications, workspace_ids))
    states = Counter(state for answer in answers for state in answer.values())
    print("meanwhile:", ", ".join(f"{count} {state}" for state, count in states.items()))
    for workspace_id, job in jobs.items():
        print(f"{workspace_id}: {job.result()}")


async def main() -> None:
    """Do it against a simulator in which ten minutes pass in a second."""
    throttles: list[ThrottleRecord] = []
    async with (
        Simulator(clock=ScaledClock(600)) as sim,
        WorkSpacesClient(
            region=sim.region,
            endpoint_url=sim.url,
            credentials=sim.credentials,
            clock=sim.clock,
            config=ClientConfig(hooks=Hooks(on_throttle=throttles.append)),
        ) as ws,
    ):
        application_id = sim.fleet.application("Office LTSC Professional 2021")
        await serve(ws, sim.fleet.compatible(application_id, 12), application_id)
    print(f"{len(throttles)} requests were throttled; the client slowed down and repeated them")


if __name__ == "__main__":
    asyncio.run(main())
