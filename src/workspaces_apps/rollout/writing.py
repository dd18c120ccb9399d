"""The writes of a roll-out, Associate, Disassociate and Deploy, and what their answers show."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from workspaces_apps.client import WorkSpacesClient
from workspaces_apps.retry import RetryPolicy
from workspaces_apps.rollout.associations import GONE, Seen
from workspaces_apps.rollout.events import Direction

STAGING: Final[Mapping[Direction, str]] = {
    "install": "AssociateWorkspaceApplication",
    "uninstall": "DisassociateWorkspaceApplication",
}
"""The operations that stage a change."""

DEPLOYING: Final = "DeployWorkspaceApplications"


@dataclass(frozen=True, slots=True)
class Answer:
    """The service took a write.

    Attributes:
        shown: The associations it is about, as the service then shows them.
        request_id: The service's id of the answer.
    """

    shown: Mapping[str, Seen]
    request_id: str | None


async def stage(
    client: WorkSpacesClient, workspace_id: str, application_id: str, direction: Direction
) -> Answer:
    """Associate or Disassociate.

    Raises:
        WorkSpacesError: The call failed.
    """
    if direction == "install":
        associated = await client.associate_workspace_application(
            workspace_id=workspace_id, application_id=application_id
        )
        return Answer({application_id: Seen.of(associated.association)}, associated.meta.request_id)
    removed = await client.disassociate_workspace_application(
        workspace_id=workspace_id, application_id=application_id
    )
    row = removed.association
    return Answer({application_id: Seen.of(row) if row is not None else GONE}, removed.meta.request_id)


async def deploy(client: WorkSpacesClient, workspace_id: str, *, force: bool) -> Answer:
    """Deploy, in one request: what became of it, a look must tell before another is sent.

    Raises:
        WorkSpacesError: The request failed.
    """
    once = client.with_options(retry=RetryPolicy(max_attempts=1))
    done = await once.deploy_workspace_applications(workspace_id=workspace_id, force=True if force else None)
    rows = done.deployment.associations if done.deployment is not None else ()
    return Answer({row.associated_resource_id: Seen.of(row) for row in rows}, done.meta.request_id)
