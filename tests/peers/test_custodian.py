"""Cloud Custodian against the simulator as a process: its workspaces resources, and the tagging API it wants."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import Simulation, simulating
from tests.peers.boto3_client import Call, boto3_of
from tests.peers.conftest import Tried
from tests.peers.tools import FOLDER, needs, run
from tests.pytest_plugin.test_docs import blocks

pytestmark = needs("c7n", "bin", "custodian")
TOOL = Path(FOLDER, "c7n", "bin")


@pytest.fixture(scope="module")
def simulation() -> Iterator[Simulation]:
    """A fleet, half of it encrypted."""
    with simulating("--workspaces", "20", "--encrypted", "0.5", "--no-throttle") as running:
        yield running


@pytest.fixture
def custodian(simulation: Simulation, tmp_path: Path, tried: Tried) -> Any:
    """`custodian("tags", policy)`: the resources that a policy has found."""

    def apply(scenario: str, **policy: object) -> list[dict[str, Any]]:
        named = run(simulation.endpoint, tmp_path, str(TOOL / "custodian"), "version")
        tried(f"Cloud Custodian {named.stdout.strip()}", scenario)
        (tmp_path / "policy.json").write_text(json.dumps({"policies": [{"name": "policy", **policy}]}))
        done = run(
            simulation.endpoint, tmp_path,
            str(TOOL / "custodian"), "run", "-s", "out", "--cache-period", "0", "policy.json",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads((tmp_path / "out/policy/resources.json").read_text())
        return found

    return apply


@pytest.fixture
def call(simulation: Simulation) -> Iterator[Call]:
    """boto3, to see what became of it."""
    endpoint = simulation.endpoint
    with boto3_of(endpoint) as caller:
        yield caller


def test_it_filters_and_tags_workspaces(custodian: Any, call: Call) -> None:
    """By a property; the tag comes over the tagging API and is there."""
    found = custodian(
        "tags",
        resource="aws.workspaces",
        filters=[{"UserVolumeEncryptionEnabled": True}],
        actions=[{"type": "tag", "key": "Encrypted", "value": "yes"}],
    )

    assert 3 < len(found) < 17
    for one in found:
        tags = call("describe_tags", ResourceId=one["WorkspaceId"])["TagList"]
        assert {"Key": "Encrypted", "Value": "yes"} in tags


def test_it_removes_tags(custodian: Any, call: Call) -> None:
    """And filters by them."""
    found = custodian(
        "tags",
        resource="aws.workspaces",
        filters=[{"tag:Ring": "pilot"}],
        actions=[{"type": "remove-tag", "tags": ["Ring"]}],
    )

    assert found
    for one in found:
        tags = call("describe_tags", ResourceId=one["WorkspaceId"])["TagList"]
        assert "Ring" not in [tag["Key"] for tag in tags]


def test_it_asks_who_is_connected(custodian: Any) -> None:
    """A value filter on the connection status."""
    found = custodian(
        "connections",
        resource="aws.workspaces",
        filters=[{"type": "connection-status", "key": "ConnectionState", "value": "CONNECTED"}],
    )

    assert 0 < len(found) < 20


def test_it_terminates(custodian: Any, call: Call) -> None:
    """The WorkSpaces that its own filter chose, and nothing else."""
    (ws,) = call("describe_workspaces", Limit=1)["Workspaces"]

    custodian(
        "batches",
        resource="aws.workspaces",
        filters=[{"WorkspaceId": ws["WorkspaceId"]}],
        actions=["terminate"],
    )

    states = [one["State"] for one in call("describe_workspaces")["Workspaces"]]
    assert states.count("TERMINATING") == 1


def test_it_finds_and_changes_directory_properties(custodian: Any, call: Call) -> None:
    """Properties that were absent once, client properties, and connection aliases."""
    found = custodian(
        "directories",
        resource="aws.workspaces-directory",
        filters=[
            {"WorkspaceCreationProperties.EnableMaintenanceMode": True},
            {"SelfservicePermissions.RestartWorkspace": "ENABLED"},
            {"type": "client-properties", "key": "ReconnectEnabled", "value": "ENABLED"},
            {"type": "connection-aliases", "key": "ConnectionAliases", "value": "empty"},
        ],
        actions=[
            {
                "type": "modify-client-properties",
                "attributes": {"ClientProperties": {"ReconnectEnabled": "DISABLED"}},
            }
        ],
    )
    ids = [one["DirectoryId"] for one in found]
    changed = call("describe_client_properties", ResourceIds=ids)["ClientPropertiesList"]

    assert len(found) == 3
    assert {one["ClientProperties"]["ReconnectEnabled"] for one in changed} == {"DISABLED"}


@pytest.mark.parametrize(
    "resource,filters", [("aws.workspaces-image", [{"type": "cross-account"}]), ("aws.workspaces-bundle", [])]
)
def test_it_reads_images_and_bundles(custodian: Any, resource: str, filters: list[object]) -> None:
    """The account's own; no image is shared with anybody."""
    found = custodian("images and bundles", resource=resource, filters=filters)

    assert len(found) == (0 if "image" in resource else 4)


def test_the_recipe_of_the_docs(simulation: Simulation, tmp_path: Path, call: Call) -> None:
    """The policy of docs/testing.md tags just the desktops that it means."""
    (recipe,) = blocks("yaml").values()
    (tmp_path / "policy.yml").write_text(recipe, "utf-8")

    done = run(
        simulation.endpoint, tmp_path,
        str(TOOL / "custodian"), "run", "-s", "out", "--cache-period", "0", "policy.yml",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    for one in call("describe_workspaces")["Workspaces"]:
        tags = call("describe_tags", ResourceId=one["WorkspaceId"])["TagList"]
        meant = one["WorkspaceProperties"]["RunningMode"] == "AUTO_STOP"
        assert ({"Key": "Reviewed", "Value": "yes"} in tags) is meant
