"""The types that parameters and constructors take: read by type checkers, never run.

A line with an ignore must be refused: an ignore that is not needed is an error itself.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true
# mypy: disable-error-code="unused-awaitable"

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, assert_type

from workspaces_apps import (
    Compute,
    CreateWorkspacesRequest,
    DescribeApplicationsRequest,
    DescribeWorkspaceAssociationsRequest,
    OperatingSystemName,
    OperatingSystemNameLike,
    Tag,
    WorkSpaceApplication,
    WorkspaceRequest,
    WorkSpacesClient,
)
from workspaces_apps.api import (
    Protocol,
    RunningMode,
    WorkspaceConnectionStatus,
    WorkspaceProperties,
)

NOW = datetime.now(UTC)
WANTED = WorkspaceRequest(directory_id="d-12345678", user_name="ann", bundle_id="wsb-12345678")


def enums(ws: WorkSpacesClient, text: str, texts: list[str], literal: Literal["WINDOWS_10"]) -> None:
    """An enum parameter takes members, known strings and new values, and no other strings."""
    ws.describe_applications(license_type="LICENSED")
    ws.describe_applications(operating_system_names=["WINDOWS_11"])
    ws.describe_applications(operating_system_names=("WINDOWS_11", "WINDOWS_10"))
    ws.describe_applications(operating_system_names=[OperatingSystemName.WINDOWS_11])
    ws.describe_applications(operating_system_names=[OperatingSystemName("NEW"), "WINDOWS_10", literal])
    ws.describe_applications(operating_system_names=(OperatingSystemName("NEW"), "WINDOWS_10", literal))
    ws.describe_applications(operating_system_names=list(OperatingSystemName))
    ws.describe_applications(operating_system_names=deque[OperatingSystemNameLike](["WINDOWS_11"]))
    ws.describe_applications(operating_system_names={"WINDOWS_11", OperatingSystemName.WINDOWS_10})
    mixed: list[OperatingSystemNameLike] = ["WINDOWS_11", OperatingSystemName.WINDOWS_10]
    ws.describe_applications(operating_system_names=mixed, compute_type_names=())
    ws.describe_applications(operating_system_names=None)
    ws.describe_applications(operating_system_names="WINDOWS_11")  # type: ignore[arg-type]
    ws.describe_applications(operating_system_names=["WINDWOS_11"])  # type: ignore[list-item]
    ws.describe_applications(operating_system_names=("WINDWOS_11",))  # type: ignore[arg-type]
    ws.describe_applications(operating_system_names=texts)  # type: ignore[arg-type]
    ws.describe_applications(operating_system_names=[text])  # type: ignore[list-item]
    ws.describe_applications(operating_system_names=[Compute.VALUE])  # type: ignore[list-item]
    ws.describe_applications(license_type="LICENCED")  # type: ignore[arg-type]
    ws.describe_applications(license_type=text)  # type: ignore[arg-type]


def several(ws: WorkSpacesClient, ids: Sequence[str], numbers: list[int]) -> None:
    """A list parameter takes any sequence, but not the string that lacks its brackets, nor a mapping."""
    ws.describe_applications(application_ids=ids)
    ws.describe_applications(application_ids=["wsa-1"])
    ws.describe_applications(application_ids=("wsa-1",))
    ws.describe_applications(application_ids=deque(["wsa-1"]))
    ws.describe_applications(application_ids="wsa-1")  # type: ignore[arg-type]
    ws.describe_applications(application_ids=numbers)  # type: ignore[arg-type]
    ws.describe_applications(application_ids={"wsa-1": "wsa-1"})  # type: ignore[arg-type]
    ws.describe_applications(application_ids=1)  # type: ignore[arg-type]


def constructors(text: str) -> None:
    """Request models take what the methods take, by the same names, and no positional arguments."""
    DescribeApplicationsRequest(owner="AMAZON", operating_system_names=["WINDOWS_11"], max_results=5)
    DescribeApplicationsRequest(license_type="UNLICENSED", application_ids=("wsa-1",))
    CreateWorkspacesRequest(workspaces=[WANTED])
    WorkspaceProperties(running_mode="AUTO_STOP", protocols={"PCOIP"})
    WorkspaceConnectionStatus(
        workspace_id="ws-1", connection_state="CONNECTED", connection_state_check_timestamp=NOW
    )
    WorkspaceProperties(running_mode="AUTOSTOP")  # type: ignore[arg-type]
    WorkspaceProperties(protocols="PCOIP")  # type: ignore[arg-type]
    WorkspaceConnectionStatus(workspace_id="ws-1", connection_state_check_timestamp=1)  # type: ignore[arg-type]
    Tag(kye="a")  # type: ignore[call-arg]
    Tag(key="a", valeu="b")  # type: ignore[call-arg]
    DescribeWorkspaceAssociationsRequest(workspace_id="ws-1")
    DescribeApplicationsRequest(Owner="AMAZON")  # type: ignore[call-arg]
    DescribeApplicationsRequest(license_type=text)  # type: ignore[arg-type]
    DescribeApplicationsRequest(application_ids="wsa-1")  # type: ignore[arg-type]
    DescribeWorkspaceAssociationsRequest()  # type: ignore[call-arg]
    CreateWorkspacesRequest(workspaces=[{"user_name": "ann"}])  # type: ignore[list-item]
    CreateWorkspacesRequest(workspaces=WANTED)  # type: ignore[arg-type]
    Tag("key")  # type: ignore[call-arg]


def models(application: WorkSpaceApplication, tag: Tag) -> None:
    """Models are frozen and hashable, and reading the wire gives the class that was asked."""
    assert_type(WorkSpaceApplication.from_wire(b"{}"), WorkSpaceApplication)
    assert_type({application}, set[WorkSpaceApplication])
    assert_type(application.supported_operating_system_names, tuple[OperatingSystemName, ...])
    assert_type(application.name, str | None)
    assert_type(application.created, datetime | None)
    assert_type(WorkspaceProperties().protocols, tuple[Protocol, ...])
    assert_type(WorkspaceProperties().running_mode, RunningMode | None)
    tag.key = "other"  # type: ignore[misc]
    application.no_such_attribute  # type: ignore[attr-defined]
