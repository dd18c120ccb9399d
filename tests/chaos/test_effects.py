"""That the readers of the recorder see what they are there to see."""

import pytest

from tests.chaos.effects import applied, repeated_creations, repeated_deployments, repeated_stagings
from tests.chaos.site import Site, site
from workspaces_apps import RetryPolicy, WorkSpacesError
from workspaces_apps.api import WorkspaceRequest


async def test_a_creation_that_is_sent_again_is_seen() -> None:
    """A caller who repeats what may have been carried out is found out, and one who was throttled is not."""
    async with site() as at:
        fleet = at.sim.fleet
        entry = WorkspaceRequest(
            directory_id=fleet.directory_ids[0], user_name="storm", bundle_id=fleet.bundle_ids[0]
        )
        at.sim.faults.add("throttle", times=2)
        at.sim.faults.add("reset_before", times=1, skip=2)
        with pytest.raises(WorkSpacesError, match="outcome is unknown"):
            await at.client.create_workspaces(workspaces=[entry])
        assert repeated_creations(at.sim.requests) == []

        await at.client.create_workspaces(workspaces=[entry])
        assert len(repeated_creations(at.sim.requests)) == 1


async def staged(at: Site) -> tuple[str, str]:
    """A WorkSpace, and an application that is to be installed on it."""
    workspace = at.sim.fleet.add_workspaces()[0]
    application = at.sim.fleet.application("Office LTSC Professional Plus 2021")
    await at.client.associate_workspace_application(workspace_id=workspace, application_id=application)
    return workspace, application


async def test_a_deployment_that_is_sent_again_is_seen() -> None:
    """Twice for one change counts, whatever was heard of the first; once after a second change does not."""
    once = RetryPolicy(max_attempts=1)
    async with site(retry=once) as at:
        workspace, application = await staged(at)
        at.sim.faults.add("reset_after", times=1)
        with pytest.raises(WorkSpacesError):
            await at.client.deploy_workspace_applications(workspace_id=workspace)
        await at.clock.sleep(600)
        await at.client.disassociate_workspace_application(workspace_id=workspace, application_id=application)
        await at.client.deploy_workspace_applications(workspace_id=workspace)
        assert repeated_deployments(at.sim.requests) == []

        await at.clock.sleep(600)
        await at.client.deploy_workspace_applications(workspace_id=workspace)
        assert repeated_deployments(at.sim.requests) == [workspace]


async def test_an_association_that_is_staged_twice_is_seen() -> None:
    """Two in a row count; one that was taken back before the next does not."""
    async with site() as at:
        workspace, application = await staged(at)
        await at.client.disassociate_workspace_application(workspace_id=workspace, application_id=application)
        await at.client.associate_workspace_application(workspace_id=workspace, application_id=application)
        assert repeated_stagings(at.sim.requests) == []

        at.sim.fleet.set_association(workspace, application, None)
        await at.client.associate_workspace_application(workspace_id=workspace, application_id=application)
        assert repeated_stagings(at.sim.requests) == [f"{application} on {workspace} associated twice"]


async def test_what_was_cut_off_afterwards_counts_as_carried_out() -> None:
    """A reset before the operation is none of its effects, and one after it is."""
    async with site(retry=RetryPolicy(max_attempts=1)) as at:
        at.sim.faults.add("reset_before", times=1)
        at.sim.faults.add("reset_after", times=1, skip=1)
        for _ in range(2):
            with pytest.raises(WorkSpacesError):
                await at.client.describe_account()

        assert [applied(record) for record in at.sim.requests] == [False, True]
