"""The founding operations: a call of each, and a right answer to it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from workspaces_apps import (
    CreateWorkspacesRequest,
    ModifyWorkspacePropertiesRequest,
    Result,
    WorkspaceProperties,
    WorkspaceRequest,
    WorkSpacesClient,
)

WS, APP, BUNDLE, IMAGE = "ws-123456789", "wsa-123456789", "wsb-123456789", "wsi-123456789"

CALLS: Final[Mapping[str, Callable[[WorkSpacesClient], Awaitable[Result]]]] = {
    "AssociateWorkspaceApplication": lambda ws: ws.associate_workspace_application(
        workspace_id=WS, application_id=APP
    ),
    "CreateWorkspaces": lambda ws: ws.execute(
        CreateWorkspacesRequest(
            workspaces=[WorkspaceRequest(directory_id="d-1234567890", user_name="ada", bundle_id=BUNDLE)]
        )
    ),
    "DeployWorkspaceApplications": lambda ws: ws.deploy_workspace_applications(workspace_id=WS),
    "DescribeApplicationAssociations": lambda ws: ws.describe_application_associations(
        application_id=APP, associated_resource_types=["WORKSPACE"]
    ).first_page(),
    "DescribeApplications": lambda ws: ws.describe_applications().first_page(),
    "DescribeBundleAssociations": lambda ws: ws.describe_bundle_associations(bundle_id=BUNDLE),
    "DescribeImageAssociations": lambda ws: ws.describe_image_associations(image_id=IMAGE),
    "DescribeWorkspaceAssociations": lambda ws: ws.describe_workspace_associations(workspace_id=WS),
    "DescribeWorkspaces": lambda ws: ws.describe_workspaces().first_page(),
    "DisassociateWorkspaceApplication": lambda ws: ws.disassociate_workspace_application(
        workspace_id=WS, application_id=APP
    ),
    "ModifyWorkspaceProperties": lambda ws: ws.execute(
        ModifyWorkspacePropertiesRequest(
            workspace_id=WS, workspace_properties=WorkspaceProperties(running_mode="AUTO_STOP")
        )
    ),
}
"""By operation: a call of it."""

_STAGED: Final = {"WorkspaceId": WS, "AssociatedResourceId": APP, "State": "PENDING_INSTALL_DEPLOYMENT"}

ANSWERS: Final[Mapping[str, Mapping[str, object]]] = {
    "AssociateWorkspaceApplication": {"Association": _STAGED},
    "CreateWorkspaces": {"PendingRequests": [{"WorkspaceId": WS, "State": "PENDING"}], "FailedRequests": []},
    "DeployWorkspaceApplications": {
        "Deployment": {"Associations": [{**_STAGED, "State": "PENDING_INSTALL"}]}
    },
    "DescribeApplicationAssociations": {"Associations": []},
    "DescribeApplications": {"Applications": [{"ApplicationId": APP, "Name": "Office"}]},
    "DescribeBundleAssociations": {"Associations": []},
    "DescribeImageAssociations": {"Associations": []},
    "DescribeWorkspaceAssociations": {"Associations": [_STAGED]},
    "DescribeWorkspaces": {"Workspaces": [{"WorkspaceId": WS, "State": "AVAILABLE"}]},
    "DisassociateWorkspaceApplication": {"Association": {**_STAGED, "State": "PENDING_UNINSTALL_DEPLOYMENT"}},
    "ModifyWorkspaceProperties": {},
}
"""By operation: a right answer."""
