"""Our client against moto's server: another reading of the service than our simulator's, over real HTTP."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from moto.server import ThreadedMotoServer

from tests.peers.boto3_client import boto3_client
from workspaces_apps import Credentials, WorkSpacesClient
from workspaces_apps.api import Tag, WorkspaceRequest

REGION = "eu-west-1"
CREDENTIALS = Credentials("AKIAIOSFODNN7EXAMPLE", "testing")
BUNDLE = "wsb-gk1wpk43z"


@dataclass(frozen=True, slots=True)
class Moto:
    """A running moto server with a directory in which WorkSpaces can be created."""

    url: str
    directory_id: str


def register_directory(url: str) -> str:
    """Make a directory and register it with WorkSpaces, which takes the clients of three services."""
    connect = partial(
        boto3_client,
        url=url,
        region=REGION,
        access_key_id=CREDENTIALS.access_key_id,
        secret_access_key=CREDENTIALS.secret_access_key,
    )
    with connect("ec2") as ec2, connect("ds") as directories, connect("workspaces") as workspaces:
        vpc_id = ec2("create_vpc", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet_ids = [
            ec2(
                "create_subnet",
                VpcId=vpc_id,
                CidrBlock=f"10.0.{number}.0/24",
                AvailabilityZone=f"{REGION}{zone}",
            )["Subnet"]["SubnetId"]
            for number, zone in enumerate("ab")
        ]
        directory = directories(
            "create_directory",
            Name="corp.example.com",
            Password="Password-1",
            Size="Small",
            VpcSettings={"VpcId": vpc_id, "SubnetIds": subnet_ids},
        )
        directory_id: str = directory["DirectoryId"]
        workspaces("register_workspace_directory", DirectoryId=directory_id, SubnetIds=subnet_ids)
    return directory_id


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    """A moto server on a free port of this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        yield Moto(url, register_directory(url))
    finally:
        server.stop()


@pytest.fixture
async def client(moto: Moto) -> AsyncIterator[WorkSpacesClient]:
    """Our client, connected to it."""
    async with WorkSpacesClient(region=REGION, endpoint_url=moto.url, credentials=CREDENTIALS) as ws:
        yield ws


def order(directory_id: str, user_name: str) -> WorkspaceRequest:
    """The order for one WorkSpace."""
    return WorkspaceRequest(
        directory_id=directory_id,
        user_name=user_name,
        bundle_id=BUNDLE,
        tags=[Tag(key="Ring", value="pilot")],
    )


async def test_created_workspaces_are_described(moto: Moto, client: WorkSpacesClient) -> None:
    """WorkSpaces that create_workspaces reports as pending are found by describe_workspaces."""
    created = await client.create_workspaces(
        workspaces=[order(moto.directory_id, "avery"), order(moto.directory_id, "blake")]
    )
    pending = created.raise_for_failures().pending_requests
    ids = [workspace.workspace_id for workspace in pending]
    found = await client.describe_workspaces(workspace_ids=ids).collect()

    assert len(ids) == 2
    assert {workspace.user_name: workspace.workspace_id for workspace in found} == dict(
        zip(("avery", "blake"), ids, strict=True)
    )
    assert {workspace.directory_id for workspace in found} == {moto.directory_id}
    assert {workspace.bundle_id for workspace in found} == {BUNDLE}


async def test_a_refused_workspace_is_a_failure_and_no_exception(
    moto: Moto, client: WorkSpacesClient
) -> None:
    """One order of a batch that cannot be met comes back in `.failures`, the other goes through."""
    created = await client.create_workspaces(
        workspaces=[order(moto.directory_id, "casey"), order("d-0123456789", "devon")]
    )

    (failure,) = created.failures
    assert failure.error_code == "ResourceNotFound.Directory"
    assert failure.workspace_request is not None
    assert failure.workspace_request.user_name == "devon"
    assert [workspace.user_name for workspace in created.pending_requests] == ["casey"]


async def test_created_tags_are_described(moto: Moto, client: WorkSpacesClient) -> None:
    """create_tags adds to the tags that a WorkSpace was created with, and describe_tags lists them all."""
    created = await client.create_workspaces(workspaces=[order(moto.directory_id, "emery")])
    workspace_id = created.pending_requests[0].workspace_id

    await client.create_tags(resource_id=workspace_id, tags=[Tag(key="Department", value="Größe & Co")])
    tags = (await client.describe_tags(resource_id=workspace_id)).tag_list

    assert {tag.key: tag.value for tag in tags} == {"Ring": "pilot", "Department": "Größe & Co"}
