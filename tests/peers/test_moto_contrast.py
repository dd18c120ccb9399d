"""moto's server as a contrast: boto3 plays the scenarios of the other peers there and at the simulator."""

import importlib.metadata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final, TypeAlias

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.peers.conftest import Found
from tests.peers.test_moto_parity import Place, at_moto, at_simulator

Scenario: TypeAlias = Callable[[Place], object]
PEER: Final = f"boto3 at moto's server {importlib.metadata.version('moto')}, for contrast"


# What moto does says nothing of us: it fills the table of `nox -s peers`.
@pytest.fixture(scope="module", params=[pytest.param("moto", marks=pytest.mark.long), "simulator"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Either, with a directory and two WorkSpaces."""
    there: AbstractContextManager[Place] = at_moto() if request.param == "moto" else at_simulator()
    with there as found:
        register = {"DirectoryId": found.directory_id, "SubnetIds": found.subnet_ids}
        found.call("register_workspace_directory", **register)
        found.settle()
        create(found, "avery", Tags=[{"Key": "Ring", "Value": "pilot"}])
        create(found, "blake")
        yield found


def create(place: Place, user: str, **members: object) -> str:
    """Make a WorkSpace, wait for it, and return its id."""
    order = {"DirectoryId": place.directory_id, "BundleId": place.bundle_id, "UserName": user, **members}
    made: str = place.call("create_workspaces", Workspaces=[order])["PendingRequests"][0]["WorkspaceId"]
    place.settle()
    return made


def first(place: Place) -> dict[str, Any]:
    """The first WorkSpace, as it is described."""
    found: dict[str, Any] = place.call("describe_workspaces")["Workspaces"][0]
    return found


def batches(place: Place) -> None:
    """One order is met, the other is not."""
    order = {"DirectoryId": "d-ffffffffff", "BundleId": place.bundle_id, "UserName": "casey"}
    answer = place.call("create_workspaces", Workspaces=[order])
    assert answer["PendingRequests"] == []
    assert answer["FailedRequests"][0]["ErrorCode"] == "ResourceNotFound.Directory"


def connections(place: Place) -> None:
    """Users and when they were connected."""
    assert place.call("describe_workspaces_connection_status")["WorkspacesConnectionStatus"]


def dates(place: Place) -> None:
    """A time is one."""
    applications = place.call("describe_applications")["Applications"]
    assert applications[0]["Created"].year > 2010


def directories(place: Place) -> None:
    """A modification of one property leaves the others."""
    change = {"DeviceTypeWeb": "ALLOW"}
    place.call(
        "modify_workspace_access_properties", ResourceId=place.directory_id, WorkspaceAccessProperties=change
    )
    (found,) = place.call("describe_workspace_directories", DirectoryIds=[place.directory_id])["Directories"]
    assert found["WorkspaceAccessProperties"]["DeviceTypeWeb"] == "ALLOW"
    assert found["WorkspaceAccessProperties"]["DeviceTypeLinux"] == "DENY"


def encryption(place: Place) -> None:
    """An encrypted WorkSpace is described so."""
    key = "alias/aws/workspaces"
    made = create(place, "devon", VolumeEncryptionKey=key, RootVolumeEncryptionEnabled=True)
    (found,) = place.call("describe_workspaces", WorkspaceIds=[made])["Workspaces"]
    assert (found["VolumeEncryptionKey"], found["RootVolumeEncryptionEnabled"]) == (key, True)


def errors(place: Place) -> None:
    """A WorkSpace that is not there is a ResourceNotFoundException."""
    with pytest.raises(ClientError) as caught:
        place.call("describe_workspace_associations", WorkspaceId="ws-00000000",
                   AssociatedResourceTypes=["APPLICATION"])  # fmt: skip
    response: Any = caught.value.response
    assert response["Error"]["Code"] == "ResourceNotFoundException"


def images_and_bundles(place: Place) -> None:
    """An image is made of a WorkSpace, and a bundle of that."""
    image = place.call(
        "create_workspace_image", Name="i", Description="i", WorkspaceId=first(place)["WorkspaceId"]
    )["ImageId"]
    for _ in range(2):
        place.settle()
    place.call("create_workspace_bundle", BundleName="b", BundleDescription="b", ImageId=image,
               ComputeType={"Name": "STANDARD"}, UserStorage={"Capacity": "50"})  # fmt: skip


def ip_groups(place: Place) -> None:
    """A group is made and described."""
    group = place.call("create_ip_group", GroupName="office", UserRules=[{"ipRule": "10.0.0.0/8"}])
    (found,) = place.call("describe_ip_groups", GroupIds=[group["GroupId"]])["Result"]
    assert found["userRules"] == [{"ipRule": "10.0.0.0/8"}]


def operations(place: Place) -> None:
    """An application is staged and deployed."""
    made = create(place, "emery")
    applications = place.call("describe_applications", Owner="AMAZON")["Applications"]
    office = next(
        one for one in applications if one["Name"].startswith("Microsoft Office LTSC Standard 2021")
    )
    place.call("associate_workspace_application", WorkspaceId=made, ApplicationId=office["ApplicationId"])
    place.call("deploy_workspace_applications", WorkspaceId=made)


def pages(place: Place) -> None:
    """One to a page, and each once."""
    page = place.call("describe_workspaces", Limit=1)
    other = place.call("describe_workspaces", Limit=1, NextToken=page["NextToken"])
    users = [one["UserName"] for answer in (page, other) for one in answer["Workspaces"]]
    assert users == ["avery", "blake"]


def pools(place: Place) -> None:
    """A pool in a directory of its own."""
    directory = place.call("register_workspace_directory", WorkspaceType="POOLS", WorkspaceDirectoryName="seats",
                           WorkspaceDirectoryDescription="seats", UserIdentityType="CUSTOMER_MANAGED")  # fmt: skip
    place.settle()
    place.call("create_workspaces_pool", PoolName="p", Description="p", BundleId=place.bundle_id,
               DirectoryId=directory["DirectoryId"], Capacity={"DesiredUserSessions": 1})  # fmt: skip


def tags(place: Place) -> None:
    """A WorkSpace ordered with tags has them."""
    found = place.call("describe_tags", ResourceId=first(place)["WorkspaceId"])["TagList"]
    assert found == [{"Key": "Ring", "Value": "pilot"}]


SCENARIOS: Final[dict[str, tuple[Scenario, bool]]] = {
    "IP groups": (ip_groups, False),
    "batches": (batches, True),
    "connections": (connections, False),
    "dates": (dates, False),
    "directories": (directories, False),
    "encryption": (encryption, True),
    "errors": (errors, False),
    "images and bundles": (images_and_bundles, False),
    "operations": (operations, False),
    "pages": (pages, False),
    "pools": (pools, False),
    "tags": (tags, True),
}
"""Each scenario, and whether moto plays it; the day it plays another, this asks for it to be noted."""


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_is_played(
    place: Place, found: Found, scenario: str, request: pytest.FixtureRequest
) -> None:
    """The simulator plays each of them; moto those that the table says."""
    play, by_moto = SCENARIOS[scenario]
    if "simulator" in request.node.name:
        play(place)
        return
    try:
        play(place)
    except (ClientError, BotoCoreError, AssertionError, LookupError, ValueError):
        played = False
    else:
        played = True
    found(PEER, scenario, played)

    assert played is by_moto
