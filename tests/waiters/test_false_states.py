"""Waits and jobs over a service whose WorkSpace states are wrong: none ends early, and nobody pays with a second Deploy."""

import asyncio
from typing import Literal

import pytest

from benchmarks.false_states import VARIANTS, FalseStates
from benchmarks.fleet import FIXED, applications_of, client_of, lasting, simulator_of
from workspaces_apps import WorkSpacesClient, WorkSpacesError
from workspaces_apps.errors import WorkspaceNotReadyInTimeError
from workspaces_apps.simulator import ManualClock, Simulator, Throttle

WORKSPACES = 20
TIMEOUT = 4 * 3600.0


class Ending:
    """Conclusions that waits and jobs came to too early, and the errors that ended them."""

    def __init__(self, sim: Simulator, application: str) -> None:
        self._sim = sim
        self._application = application
        self.early: list[str] = []
        self.errors: dict[str, WorkSpacesError] = {}

    def note(self, workspace_id: str, error: WorkSpacesError | None) -> None:
        """Compare what was concluded with what is."""
        if error is not None:
            self.errors[workspace_id] = error
            return
        row = self._sim.fleet.workspace(workspace_id)
        state = self._sim.fleet.associations(workspace_id).get(self._application)
        if state != "COMPLETED" or row.state not in ("AVAILABLE", "STOPPED"):
            self.early.append(f"{workspace_id}: {state}, {row.state}")


async def wait(client: WorkSpacesClient, application: str, ids: list[str], ending: Ending) -> None:
    """Begin every deployment, and wait for all of them together."""

    async def deploy(workspace_id: str) -> None:
        await client.associate_workspace_application(workspace_id=workspace_id, application_id=application)
        await client.deploy_workspace_applications(workspace_id=workspace_id)

    await asyncio.gather(*map(deploy, ids))
    async for outcome in client.wait_until_all_deployed(
        ids, wanted={application: "installed"}, timeout=TIMEOUT
    ):
        ending.note(outcome.workspace_id, outcome.error)


async def install(client: WorkSpacesClient, application: str, ids: list[str], ending: Ending) -> None:
    """Have a job for each WorkSpace."""

    async def job(workspace_id: str) -> None:
        try:
            await client.install_applications(workspace_id, [application], timeout=TIMEOUT)
        except WorkSpacesError as error:
            ending.note(workspace_id, error)
        else:
            ending.note(workspace_id, None)

    await asyncio.gather(*map(job, ids))


@pytest.mark.checkout
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("way", ["wait", "install"])
async def test_nothing_ends_early_and_nothing_is_deployed_twice(
    way: Literal["wait", "install"], variant: str
) -> None:
    """Whatever the states show, each ends when its deployment has, but for a WorkSpace that somebody else holds."""
    clock = ManualClock(autojump=True)
    sim = simulator_of(WORKSPACES, clock, settings=lasting(*FIXED), throttle=Throttle.at(2, 5))
    async with sim, FalseStates(sim, clock) as front:
        (application,) = applications_of(sim, 1)
        ids = list(sim.fleet.workspace_ids)
        VARIANTS[variant].before(sim)
        async with client_of(sim, clock, url=front.url) as client:
            front.falsify = VARIANTS[variant].falsify
            VARIANTS[variant].after(sim)
            ending = Ending(sim, application)
            await (wait if way == "wait" else install)(client, application, ids, ending)

    held = {one for one in ids if "held" in variant and sum(one.encode()) % 10 == 0}
    assert front.deploys == dict.fromkeys(ids, 1)
    assert ending.early == []
    assert ending.errors.keys() == held
    assert {type(error) for error in ending.errors.values()} <= {WorkspaceNotReadyInTimeError}
