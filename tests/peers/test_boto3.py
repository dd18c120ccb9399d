"""boto3, which shares no line with our client, against the simulator as a process."""

import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.cli.process import PATIENCE, simulating
from tests.peers.boto3_client import Call, boto3_client
from tests.peers.conftest import Tried


@pytest.fixture
def workspaces() -> Iterator[Call]:
    """boto3 connected to a `workspaces-apps simulate` in which an hour passes in two seconds."""
    with (
        simulating("--workspaces", "20", "--time-scale", "1800") as simulation,
        boto3_client(
            "workspaces",
            url=simulation.endpoint.url,
            region=simulation.endpoint.region,
            access_key_id=simulation.endpoint.access_key_id,
            secret_access_key=simulation.endpoint.secret_access_key,
        ) as call,
    ):
        yield call


def find_application(workspaces: Call, name: str) -> dict[str, Any]:
    """The application of that name, whichever page it is on."""
    token: dict[str, str] = {}
    while True:
        page = workspaces("describe_applications", MaxResults=5, **token)
        for application in page["Applications"]:
            if application["Name"] == name:
                return dict(application)
        token = {"NextToken": page["NextToken"]}


def find_workspace(workspaces: Call, application: dict[str, Any]) -> str:
    """A WorkSpace on which the application can be installed."""
    found: Iterator[str] = (
        workspace["WorkspaceId"]
        for workspace in workspaces("describe_workspaces")["Workspaces"]
        if workspace["State"] == "AVAILABLE"
        and workspace["WorkspaceProperties"]["ComputeTypeName"] in application["SupportedComputeTypeNames"]
        and workspace["WorkspaceProperties"]["OperatingSystemName"]
        in application["SupportedOperatingSystemNames"]
    )
    return next(found)


def states_until_terminal(workspaces: Call, workspace_id: str) -> list[str]:
    """Every state that the WorkSpace's one association shows, in order, until it ends."""
    seen: list[str] = []
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        (association,) = workspaces(
            "describe_workspace_associations",
            WorkspaceId=workspace_id,
            AssociatedResourceTypes=["APPLICATION"],
        )["Associations"]
        if association["State"] not in seen[-1:]:
            seen.append(association["State"])
        if seen[-1] in {"COMPLETED", "ERROR"}:
            return seen
        # The clock that decides is in another process.
        time.sleep(0.02)
    raise AssertionError(f"still {seen[-1:]} after {PATIENCE:g} s")


def test_boto3_carries_an_install_to_completed(workspaces: Call, tried: Tried) -> None:
    """Associate stages, deploy commits, and describe shows the association on its way to COMPLETED."""
    tried(f"boto3 {boto3.__version__} (installed)", "operations")
    application = find_application(workspaces, "Microsoft Office LTSC Professional Plus 2021")
    application_id = application["ApplicationId"]
    workspace_id = find_workspace(workspaces, application)

    staged = workspaces(
        "associate_workspace_application", WorkspaceId=workspace_id, ApplicationId=application_id
    )
    deployed = workspaces("deploy_workspace_applications", WorkspaceId=workspace_id)
    states = states_until_terminal(workspaces, workspace_id)

    assert staged["Association"]["State"] == "PENDING_INSTALL_DEPLOYMENT"
    assert [one["AssociatedResourceId"] for one in deployed["Deployment"]["Associations"]] == [application_id]
    assert set(states) <= {"PENDING_INSTALL", "INSTALLING", "COMPLETED"}
    assert states[-2:] == ["INSTALLING", "COMPLETED"]
