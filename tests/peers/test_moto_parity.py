"""moto's server and our simulator, asked the same by boto3: where their answers differ, the table says why.

moto was written by other people from other sources. It implements 16 operations; all of them are asked here.
"""

import ipaddress
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer
from moto.workspaces.responses import WorkSpacesResponse

from tests.peers.boto3_client import Call, boto3_client
from tests.peers.json_values import is_list, is_object
from workspaces_apps.simulator import ManualClock, Simulator

REGION: Final = "us-east-1"
IDS: Final = re.compile(r"(ws|wsb|wsi|d|sg|subnet|vpc)-[0-9a-z]+")


@dataclass(slots=True)
class Place:
    """A service that can be asked.

    Attributes:
        call: boto3.
        directory_id: A directory that is not registered.
        subnet_ids: Its subnets.
        bundle_id: A bundle.
        settle: Let pass what takes time.
    """

    call: Call
    directory_id: str
    subnet_ids: list[str]
    bundle_id: str
    settle: Callable[[], None]
    answers: dict[str, dict[str, object]] = field(default_factory=dict[str, dict[str, object]])

    def ask(self, step: str, operation: str, **members: object) -> dict[str, Any]:
        """Ask, note what is comparable of the answer, and return the answer."""
        try:
            answer = self.call(operation, **members)
        except ClientError as error:
            response: Any = error.response
            answer = {"Error": dict(response["Error"])}
        answer.pop("ResponseMetadata", None)
        self.answers[step] = dict(flatten(answer))
        return answer


def flatten(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Each scalar with its path; what is different each time is replaced by what kind of thing it is."""
    if is_object(value):
        for name, item in value.items():
            yield from flatten(item, f"{path}.{name}" if path else str(name))
    elif is_list(value):
        yield f"{path}[]", len(value)
        for number, item in enumerate(value):
            yield from flatten(item, f"{path}[{number}]")
    else:
        yield path, kind_of(value)


def kind_of(value: object) -> object:
    """The value, or what kind of made-up value it is."""
    if isinstance(value, datetime):
        return "a time"
    if not isinstance(value, str):
        return value
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return IDS.sub(lambda found: f"{found[1]}-…", value)
    return "an address"


@contextmanager
def at_moto() -> Generator[Place]:
    """A moto server with a directory."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    connect = partial(
        boto3_client,
        url=f"http://{host}:{port}",
        region=REGION,
        access_key_id="AKIAIOSFODNN7EXAMPLE",
        secret_access_key="testing",
    )
    try:
        with connect("ec2") as ec2, connect("ds") as directories, connect("workspaces") as call:
            vpc_id = ec2("create_vpc", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
            subnet_ids = [
                ec2("create_subnet", VpcId=vpc_id, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"{REGION}{zone}")
                ["Subnet"]["SubnetId"]
                for number, zone in enumerate("ab")
            ]  # fmt: skip
            directory = directories(
                "create_directory",
                Name="corp.example.com",
                Password="Password-1",
                Size="Small",
                VpcSettings={"VpcId": vpc_id, "SubnetIds": subnet_ids},
            )
            yield Place(call, directory["DirectoryId"], subnet_ids, "wsb-gk1wpk43z", lambda: None)
    finally:
        server.stop()


@contextmanager
def at_simulator() -> Generator[Place]:
    """Our simulator, without a fleet, whose time is moved by hand."""
    clock = ManualClock()
    with (
        Simulator.in_thread(workspaces=0, region=REGION, clock=clock, throttle=None) as sim,
        boto3_client(
            "workspaces",
            url=sim.url,
            region=REGION,
            access_key_id=sim.credentials.access_key_id,
            secret_access_key=sim.credentials.secret_access_key,
        ) as call,
    ):
        subnet_ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
        bundle_id = sim.fleet.bundle_ids[0]
        yield Place(call, "d-0123456789", subnet_ids, bundle_id, lambda: clock.jump(timedelta(hours=1)))


def play(place: Place) -> None:
    """Ask all 16 operations, each at least once."""
    directory_id, bundle_id = place.directory_id, place.bundle_id
    place.ask("register", "register_workspace_directory", DirectoryId=directory_id, SubnetIds=place.subnet_ids,
              Tags=[{"Key": "Team", "Value": "desktops"}])  # fmt: skip
    place.settle()
    place.ask("directory", "describe_workspace_directories", DirectoryIds=[directory_id])
    place.ask("directory unknown", "describe_workspace_directories", DirectoryIds=["d-ffffffffff"])
    place.ask("creation properties", "modify_workspace_creation_properties", ResourceId=directory_id,
              WorkspaceCreationProperties={"EnableInternetAccess": True, "EnableMaintenanceMode": False})  # fmt: skip
    place.ask("creation properties unknown", "modify_workspace_creation_properties", ResourceId="d-ffffffffff",
              WorkspaceCreationProperties={"EnableInternetAccess": True})  # fmt: skip
    place.ask("selfservice", "modify_selfservice_permissions", ResourceId=directory_id,
              SelfservicePermissions={"RestartWorkspace": "DISABLED", "RebuildWorkspace": "ENABLED"})  # fmt: skip
    place.ask("directory changed", "describe_workspace_directories", DirectoryIds=[directory_id])
    place.ask("client properties", "modify_client_properties", ResourceId=directory_id,
              ClientProperties={"ReconnectEnabled": "DISABLED", "LogUploadEnabled": "DISABLED"})  # fmt: skip
    place.ask("client properties changed", "describe_client_properties", ResourceIds=[directory_id])
    order = {"DirectoryId": directory_id, "BundleId": bundle_id, "Tags": [{"Key": "Ring", "Value": "pilot"}]}
    properties = {"RunningMode": "AUTO_STOP", "RunningModeAutoStopTimeoutInMinutes": 60}
    created = place.ask("create", "create_workspaces", Workspaces=[
        {**order, "UserName": "avery"},
        {**order, "UserName": "blake", "WorkspaceProperties": properties},
        {**order, "UserName": "casey", "DirectoryId": "d-ffffffffff"},
    ])  # fmt: skip
    place.settle()
    first, second = (one["WorkspaceId"] for one in created["PendingRequests"])
    place.ask("workspaces", "describe_workspaces", DirectoryId=directory_id)
    place.ask("workspaces by id", "describe_workspaces", WorkspaceIds=[second])
    place.ask("workspaces unknown", "describe_workspaces", WorkspaceIds=["ws-000000000"])
    place.ask("workspaces two filters", "describe_workspaces", WorkspaceIds=[first], DirectoryId=directory_id)
    place.ask("create tags", "create_tags", ResourceId=first, Tags=[{"Key": "Floor", "Value": "3"}])
    place.ask("tags", "describe_tags", ResourceId=first)
    place.ask("tags of the directory", "describe_tags", ResourceId=directory_id)
    image = place.ask(
        "image", "create_workspace_image", Name="golden", Description="As it should be", WorkspaceId=first
    )
    place.settle()
    place.ask("image twice", "create_workspace_image", Name="golden", Description="Again", WorkspaceId=first)
    place.ask(
        "image of nothing", "create_workspace_image", Name="none", Description="x", WorkspaceId="ws-000000000"
    )
    place.ask("images", "describe_workspace_images", ImageIds=[image["ImageId"]])
    for step, allow in (("share", True), ("unshare", False)):
        place.ask(step, "update_workspace_image_permission", ImageId=image["ImageId"], AllowCopyImage=allow,
                  SharedAccountId="210987654321")  # fmt: skip
        place.ask(f"{step}d", "describe_workspace_image_permissions", ImageId=image["ImageId"])
    place.ask("terminate", "terminate_workspaces", TerminateWorkspaceRequests=[
        {"WorkspaceId": first}, {"WorkspaceId": second}, {"WorkspaceId": "ws-000000000"},
    ])  # fmt: skip
    place.settle()
    place.ask("terminated", "describe_workspaces", WorkspaceIds=[first, second])
    place.ask("deregister", "deregister_workspace_directory", DirectoryId=directory_id)
    place.settle()
    place.ask("deregistered", "describe_workspace_directories", DirectoryIds=[directory_id])


def differences(ours: Mapping[str, object], theirs: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """By path: what the simulator answers, and what moto does."""
    missing = "nothing"
    paths = ours.keys() | theirs.keys()
    pairs = {path: (ours.get(path, missing), theirs.get(path, missing)) for path in paths}
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


@dataclass(frozen=True, slots=True)
class Difference:
    """Paths at which the two may differ, and why."""

    steps: str
    path: str
    reason: str

    def covers(self, step: str, path: str) -> bool:
        """Tell if this is one of them."""
        return bool(re.fullmatch(self.steps, step) and re.fullmatch(self.path, path))


TABLE: Final = (
    Difference(".*", r"(.*\.)?(ErrorMessage|Error\.Message)",
        "Wording: neither knows the service's own."),
    Difference("register", "DirectoryId|State",
        "moto answers with nothing; the model has both, and registering takes a while."),
    Difference("directory.*", r".*\.(DirectoryName|RegistrationCode)",
        "Made up: moto takes the name from Directory Service, which the simulator has not got."),
    Difference("directory changed", r".*\.(SelfservicePermissions|WorkspaceCreationProperties)\..*",
        "A modification of some leaves the others [field]; moto replaces all of them."),
    Difference("directory.*", r".*\.(UserIdentityType|WorkspaceType|ipGroupIds\[\])",
        "Newer than moto's directories, or left out by moto when empty."),
    Difference("directory.*", r".*\.(SamlProperties|CertificateBasedAuthProperties|WorkspaceAccessProperties)\..*",
        "moto knows defaults; the simulator stores what is set, and assumes nothing."),
    Difference("directory", r".*\.(SelfservicePermissions|WorkspaceCreationProperties)\..*",
        "The same: before they are set. Once set, both agree."),
    Difference("creation properties unknown", r"Error\.Code",
        "ResourceNotFoundException is what the model has for a directory that is not there."),
    Difference("create", r"PendingRequests\[\d\]\.State",
        "moto's WorkSpaces are there at once; the service's, and the simulator's, are PENDING."),
    Difference("create", r".*\.WorkspaceProperties\..*",
        "moto gives back properties in the answer, and adds some to the request that failed."),
    Difference("workspaces.*", r"Workspaces\[\d\]\.(ComputerName|IpAddress|SubnetId|ModificationStates\[\])",
        "moto's WorkSpaces have no machine."),
    Difference("workspaces.*", r".*\.WorkspaceProperties\."
        r"(ComputeTypeName|OperatingSystemName|Protocols\[\d?\]|RootVolumeSizeGib|UserVolumeSizeGib)",
        "The simulator takes these from the bundle; moto has no bundles."),
    Difference("image", "State",
        "moto's images are AVAILABLE at once; the service's, and the simulator's, are PENDING."),
    Difference("images?", r".*OperatingSystem\.Type",
        "The simulator knows of which WorkSpace the image was made; moto keeps no operating system."),
    Difference("images", r"Images\[0\]\.(ErrorCode|ErrorDetails\[\]|Updates\..*)",
        "moto writes out empty ones; the simulator leaves them out."),
    Difference("terminate", r"FailedRequests\[0\]\.ErrorCode",
        "400 is a status, not a code; the simulator's code is of the same make as the others."),
)  # fmt: skip
"""Every difference there is."""


@pytest.fixture(scope="module")
def places() -> Iterator[tuple[Place, Place]]:
    """The simulator and moto, after the same scenario."""
    with ExitStack() as stack:
        both = stack.enter_context(at_simulator()), stack.enter_context(at_moto())
        for place in both:
            play(place)
        yield both


@pytest.fixture(scope="module")
def found(places: tuple[Place, Place]) -> dict[tuple[str, str], tuple[object, object]]:
    """Every difference: by step and path, what the simulator says and what moto says."""
    ours, theirs = (place.answers for place in places)
    return {
        (step, path): pair
        for step, answer in ours.items()
        for path, pair in differences(answer, theirs[step]).items()
    }


def test_the_same_steps_succeed_and_fail(places: tuple[Place, Place]) -> None:
    """A step that one refuses the other refuses, with the same code but for those the table names."""
    ours, theirs = (
        {step: answer.get("Error.Code") for step, answer in place.answers.items()} for place in places
    )

    assert {step for step, code in ours.items() if code} == {step for step, code in theirs.items() if code}
    assert set(ours) == set(theirs)


def test_every_difference_has_its_reason(found: dict[tuple[str, str], tuple[object, object]]) -> None:
    """Nothing differs that the table does not explain."""
    unexplained = {key: pair for key, pair in found.items() if not any(row.covers(*key) for row in TABLE)}

    assert unexplained == {}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.steps}-{row.path}")
def test_every_reason_has_its_difference(
    found: dict[tuple[str, str], tuple[object, object]], row: Difference
) -> None:
    """A row that explains nothing any more goes."""
    assert any(row.covers(*key) for key in found)


def test_every_operation_of_moto_is_asked() -> None:
    """The day moto implements a seventeenth, this asks for it to be added."""
    implemented = {
        name
        for name, member in vars(WorkSpacesResponse).items()
        if callable(member) and not name.startswith("_")
    }
    asked: set[str] = set()

    def note(operation: str, **_: object) -> dict[str, Any]:
        asked.add(operation)
        return {"PendingRequests": [{"WorkspaceId": "ws-1"}, {"WorkspaceId": "ws-2"}], "ImageId": "wsi-1"}

    play(Place(note, "d-1", [], "wsb-1", lambda: None))

    assert len(asked) == 16
    assert implemented == asked
