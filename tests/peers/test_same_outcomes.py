"""The same scenarios by boto3 and by our client, each at a simulator of its own: the same outcomes.

The two simulators are made from the same seed and their time is moved alike, so whatever is different comes from the
clients. Members are named as on the wire here; our client gets them as its request models.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, TypeAlias

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from tests.peers.json_values import is_list, is_object
from tests.simulator.peer import peer_of
from workspaces_apps import (
    ClientConfig,
    Pacing,
    PacingRegistry,
    Request,
    RetryPolicy,
    ServiceError,
    WorkSpacesClient,
    api,
)
from workspaces_apps.simulator import FaultKind, ManualClock, Simulator

Outcome: TypeAlias = dict[str, Any]
Ask: TypeAlias = Callable[..., Awaitable[Outcome]]
"""`await ask("DescribeTags", ResourceId="ws-…")`: the answer, or `{"Error": code, …}`."""

HOUR: Final = 3600.0


def as_on_the_wire(value: object) -> object:
    """The answer of boto3, with times as the numbers they were."""
    if is_object(value):
        return {name: as_on_the_wire(item) for name, item in value.items() if name != "ResponseMetadata"}
    if is_list(value):
        return [as_on_the_wire(item) for item in value]
    return value.timestamp() if isinstance(value, datetime) else value


@asynccontextmanager
async def boto3_at(sim: Simulator) -> AsyncGenerator[Ask]:
    """boto3, without retries."""
    with peer_of(sim) as call:

        async def ask(operation: str, **members: object) -> Outcome:
            try:
                answer = call(xform_name(operation), **members)
            except ClientError as error:
                response: Any = error.response
                return {
                    "Error": response["Error"]["Code"],
                    "Message": response["Error"].get("Message") or "",
                    "ResourceId": response.get("ResourceId"),
                    "Status": response["ResponseMetadata"]["HTTPStatusCode"],
                }
            return {name: as_on_the_wire(item) for name, item in answer.items() if name != "ResponseMetadata"}

        yield ask


@asynccontextmanager
async def ours_at(sim: Simulator) -> AsyncGenerator[Ask]:
    """Our client, without retries, asked by request models, answering by result models."""
    config = ClientConfig(
        retry=RetryPolicy(max_attempts=1), pacing=Pacing.off(), pacing_registry=PacingRegistry()
    )
    async with WorkSpacesClient(
        region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, config=config, clock=sim.clock
    ) as client:

        async def ask(operation: str, **members: object) -> Outcome:
            kind: type[Request] = getattr(api, f"{operation}Request")
            request: Any = kind.from_wire(members)
            try:
                result = await client.execute(request)
            except ServiceError as error:
                return {
                    "Error": error.code,
                    "Message": error.message,
                    "ResourceId": error.resource_id,
                    "Status": error.http_status,
                }
            answer: Outcome = result.to_wire()
            return answer

        yield ask


async def install_and_remove(ask: Ask, sim: Simulator, clock: ManualClock) -> None:
    """The life of an association, from nothing to nothing."""
    office = sim.fleet.application("office 2021 professional")
    (desktop,) = sim.fleet.compatible(office)
    both = {"WorkspaceId": desktop, "ApplicationId": office}

    async def follow() -> None:
        for _ in range(6):
            await ask(
                "DescribeWorkspaceAssociations", WorkspaceId=desktop, AssociatedResourceTypes=["APPLICATION"]
            )
            await ask("DescribeWorkspaces", WorkspaceIds=[desktop])
            clock.jump(HOUR / 10)

    for stage in ("AssociateWorkspaceApplication", "DisassociateWorkspaceApplication"):
        await ask(stage, **both)
        await ask("DeployWorkspaceApplications", WorkspaceId=desktop)
        await follow()


async def fail_and_force(ask: Ask, sim: Simulator, clock: ManualClock) -> None:
    """An installation that ends in ERROR, is skipped by a plain deployment, and repeated by Force."""
    visio = sim.fleet.application("visio 2021 professional")
    (desktop,) = sim.fleet.compatible(visio)
    sim.faults.add("deployment_error", reason="ValidationError.InsufficientDiskSpace", times=1)
    await ask("AssociateWorkspaceApplication", WorkspaceId=desktop, ApplicationId=visio)
    for force in (False, False, True):
        await ask("DeployWorkspaceApplications", WorkspaceId=desktop, Force=force)
        clock.jump(HOUR)
        await ask(
            "DescribeWorkspaceAssociations", WorkspaceId=desktop, AssociatedResourceTypes=["APPLICATION"]
        )


async def be_refused(ask: Ask, sim: Simulator, _: ManualClock) -> None:
    """Everything that a staging call can be refused for."""
    fleet = sim.fleet
    office = fleet.application("office 2021 professional")
    (desktop,) = fleet.compatible(office)
    (linux,) = fleet.add_workspaces(operating_system="AMAZON_LINUX_2")
    (small,) = fleet.add_workspaces(compute="VALUE")
    (stopping,) = fleet.add_workspaces(state="STOPPING")
    (updating,) = fleet.add_workspaces(state="UPDATING")
    fleet.set_association(desktop, office, "COMPLETED")
    for workspace_id in (desktop, linux, small, stopping, updating, "ws-000000000"):
        await ask("AssociateWorkspaceApplication", WorkspaceId=workspace_id, ApplicationId=office)
    other = fleet.application("office 2021 standard")
    await ask("AssociateWorkspaceApplication", WorkspaceId=desktop, ApplicationId=other)
    await ask("DisassociateWorkspaceApplication", WorkspaceId=small, ApplicationId=office)
    await ask("DeployWorkspaceApplications", WorkspaceId=updating)


async def be_disturbed(ask: Ask, sim: Simulator, _: ManualClock) -> None:
    """Throttles, outages and errors. Of a load balancer's page botocore makes a code "503", we make None."""
    kinds: tuple[FaultKind, ...] = ("throttle", "internal_error", "unavailable", "no_request_id")
    for kind in kinds:
        sim.faults.add(kind, times=1)
        await ask("DescribeWorkspaceDirectories")
    sim.faults.add("error", code="AccessDeniedException", message="Not you.", times=1)
    await ask("DescribeWorkspaceDirectories")


async def fail_in_part(ask: Ask, sim: Simulator, clock: ManualClock) -> None:
    """Batches in which some entries fail, with HTTP 200."""
    fleet = sim.fleet
    (running,) = fleet.add_workspaces()
    (stopped,) = fleet.add_workspaces(state="STOPPED")
    for operation, member in (
        ("StartWorkspaces", "StartWorkspaceRequests"),
        ("StopWorkspaces", "StopWorkspaceRequests"),
        ("RebootWorkspaces", "RebootWorkspaceRequests"),
        ("TerminateWorkspaces", "TerminateWorkspaceRequests"),
    ):
        entries = [{"WorkspaceId": one} for one in (running, stopped, "ws-000000000")]
        await ask(operation, **{member: entries})
        clock.jump(HOUR)
        await ask("DescribeWorkspaces", WorkspaceIds=[running, stopped])


async def create_and_tag(ask: Ask, sim: Simulator, clock: ManualClock) -> None:
    """WorkSpaces from their order to their tags, with one order that cannot be met."""
    fleet = sim.fleet
    order = {"DirectoryId": fleet.directory_ids[0], "BundleId": fleet.bundle_ids[0]}
    created = await ask(
        "CreateWorkspaces",
        Workspaces=[
            {**order, "UserName": "new", "Tags": [{"Key": "Größe", "Value": "L & XL"}]},
            {**order, "UserName": "lost", "DirectoryId": "d-ffffffffff"},
        ],
    )
    workspace_id = created["PendingRequests"][0]["WorkspaceId"]
    for _ in range(3):
        await ask("DescribeWorkspaces", WorkspaceIds=[workspace_id])
        clock.jump(HOUR / 2)
    await ask("CreateTags", ResourceId=workspace_id, Tags=[{"Key": "Floor", "Value": ""}])
    await ask("DescribeTags", ResourceId=workspace_id)
    await ask("DeleteTags", ResourceId=workspace_id, TagKeys=["Floor"])
    await ask("DescribeTags", ResourceId=workspace_id)


async def turn_pages(ask: Ask, sim: Simulator, _: ManualClock) -> None:
    """Listings page by page, to their ends."""
    office = sim.fleet.application("office 2021 professional")
    for workspace_id in sim.fleet.compatible(office, 5):
        sim.fleet.set_association(workspace_id, office, "COMPLETED")
    of_one: dict[str, object] = {"ApplicationId": office, "AssociatedResourceTypes": ["WORKSPACE"]}
    listings: list[tuple[str, dict[str, object]]] = [
        ("DescribeApplications", {"MaxResults": 7}),
        ("DescribeApplicationAssociations", {"MaxResults": 2, **of_one}),
        ("DescribeWorkspaces", {"Limit": 6}),
        ("DescribeWorkspacesConnectionStatus", {}),
    ]
    for operation, members in listings:
        page = await ask(operation, **members)
        while "NextToken" in page:
            page = await ask(operation, NextToken=page["NextToken"], **members)


SCENARIOS: Final = (
    install_and_remove,
    fail_and_force,
    be_refused,
    be_disturbed,
    fail_in_part,
    create_and_tag,
    turn_pages,
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_both_clients_see_the_same(
    scenario: Callable[[Ask, Simulator, ManualClock], Awaitable[None]],
) -> None:
    """Every answer and every refusal is the same, member by member."""
    journals: list[list[tuple[str, Outcome]]] = []
    for client_at in (boto3_at, ours_at):
        clock = ManualClock()
        journal: list[tuple[str, Outcome]] = []
        with Simulator.in_thread(clock=clock, throttle=None, seed=3) as sim:
            async with client_at(sim) as client:

                async def ask(operation: str, **members: object) -> Outcome:
                    outcome = await client(operation, **members)
                    journal.append((operation, outcome))  # noqa: B023 - called in this turn only
                    return outcome

                await scenario(ask, sim, clock)
        journals.append(journal)

    theirs, ours = journals
    assert len(ours) > 3
    for (operation, expected), (_, outcome) in zip(theirs, ours, strict=True):
        assert (operation, outcome) == (operation, expected)
