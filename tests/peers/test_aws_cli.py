"""The AWS CLI, which shares no line with our client, against the simulator as a process.

It brings a botocore of its own and so lives in an environment of its own, which `nox -s aws_cli` makes.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.cli.process import Endpoint, simulating
from tests.peers.conftest import Tried
from tests.peers.tools import PATIENCE

PYTHON: Final = os.environ.get("WORKSPACES_AWS_CLI_PYTHON", "")
"""The Python that has the AWS CLI."""

pytestmark = pytest.mark.skipif(
    not PYTHON, reason="needs the AWS CLI: python3 dev.py nox --no-venv -s aws_cli"
)

OFFICE: Final = "Microsoft Office LTSC Professional Plus 2021"


@dataclass(frozen=True, slots=True)
class AwsCli:
    """`aws workspaces`, connected to a simulator."""

    endpoint: Endpoint

    def __call__(self, command: str, *arguments: str) -> dict[str, Any]:
        """The answer of one command; of one that fails, its error as `{"error": ...}`."""
        done = subprocess.run(
            [PYTHON, "-m", "awscli", "workspaces", command, "--output", "json", *arguments],
            env={
                **os.environ,
                "AWS_ENDPOINT_URL_WORKSPACES": self.endpoint.url,
                "AWS_ACCESS_KEY_ID": self.endpoint.access_key_id,
                "AWS_SECRET_ACCESS_KEY": self.endpoint.secret_access_key,
                "AWS_DEFAULT_REGION": self.endpoint.region,
                "AWS_MAX_ATTEMPTS": "1",
                "PYTHONPATH": "",
            },
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode != 0:
            return {"error": done.stderr.strip()}
        answer: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
        return answer

    @property
    def name(self) -> str:
        """The name that it gives itself, such as ``AWS CLI 1.46.3``."""
        said = subprocess.run(
            [PYTHON, "-m", "awscli", "--version"], capture_output=True, text=True, check=True
        ).stdout
        return f"AWS CLI {said.partition('/')[2].partition(' ')[0]}"

    def pages(self, command: str, size: int, *arguments: str) -> list[dict[str, Any]]:
        """Every page of a listing, of at most `size` items, each asked for with the token of the one before."""
        found: list[dict[str, Any]] = []
        token: list[str] = []
        while True:
            found.append(self(command, "--max-results", str(size), *token, *arguments))
            if "NextToken" not in found[-1]:
                return found
            token = ["--next-token", found[-1]["NextToken"]]

    def association(self, workspace_id: str, application_id: str) -> dict[str, Any] | None:
        """The service's record of an application on a WorkSpace; None if there is none."""
        answer = self(
            "describe-workspace-associations",
            "--workspace-id", workspace_id,
            "--associated-resource-types", "APPLICATION",
        )  # fmt: skip
        found = [one for one in answer["Associations"] if one["AssociatedResourceId"] == application_id]
        return found[0] if found else None

    def states_until(self, workspace_id: str, application_id: str, last: str) -> list[str]:
        """The states that an association shows until it is in the one that is waited for."""
        seen: list[str] = []
        give_up = time.monotonic() + PATIENCE
        while last not in seen and time.monotonic() < give_up:
            association = self.association(workspace_id, application_id)
            seen.append(association["State"] if association else "absent")
        return seen


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsCli]:
    """The AWS CLI at a simulator with a fleet on which much is installed, where an hour passes in a second."""
    options = ("--workspaces", "20", "--installed", "2", "--time-scale", "3600", "--no-throttle")
    with simulating(*options) as simulation:
        yield AwsCli(simulation.endpoint)


@pytest.fixture(scope="module")
def office(aws: AwsCli) -> str:
    """The id of an application, found page by page."""
    pages = aws.pages("describe-applications", 12, "--owner", "AMAZON")
    found = [one for page in pages for one in page["Applications"]]

    assert len(pages) > 1
    assert all(len(page["Applications"]) == 12 for page in pages[:-1])
    assert len({one["ApplicationId"] for one in found}) == len(found)
    ids: list[str] = [one["ApplicationId"] for one in found if one["Name"] == OFFICE]
    return ids[0]


def test_the_cli_pages_through_the_workspaces_of_an_application(
    aws: AwsCli, office: str, tried: Tried
) -> None:
    """describe-application-associations by `--max-results` and `--next-token` shows each WorkSpace once."""
    tried(aws.name, "pages")
    pages = aws.pages(
        "describe-application-associations", 6,
        "--application-id", office, "--associated-resource-types", "WORKSPACE",
    )  # fmt: skip
    found = [one["AssociatedResourceId"] for page in pages for one in page["Associations"]]

    assert len(pages) > 1
    assert [len(page["Associations"]) for page in pages[:-1]] == [6] * (len(pages) - 1)
    assert len(set(found)) == len(found)
    assert all(one["ApplicationId"] == office for page in pages for one in page["Associations"])


def test_the_cli_sees_what_bundles_and_images_bring(aws: AwsCli, office: str, tried: Tried) -> None:
    """describe-bundle-associations and describe-image-associations name the application of the bundle."""
    tried(aws.name, "images and bundles")
    bundles = aws("describe-workspace-bundles")["Bundles"]
    bundle = next(one for one in bundles if one["Name"].startswith("Office 2021"))
    application = ("--associated-resource-types", "APPLICATION")

    of_bundle = aws("describe-bundle-associations", "--bundle-id", bundle["BundleId"], *application)
    of_image = aws("describe-image-associations", "--image-id", bundle["ImageId"], *application)

    assert [one["AssociatedResourceId"] for one in of_bundle["Associations"]] == [office]
    assert [one["AssociatedResourceId"] for one in of_image["Associations"]] == [office]


def test_the_cli_removes_and_installs(aws: AwsCli, office: str, tried: Tried) -> None:
    """Disassociate and deploy end in the application's absence, associate and deploy in COMPLETED."""
    tried(aws.name, "operations")
    listing = aws(
        "describe-application-associations",
        "--application-id", office, "--associated-resource-types", "WORKSPACE", "--max-results", "1",
    )  # fmt: skip
    workspace_id = listing["Associations"][0]["AssociatedResourceId"]
    both = ("--workspace-id", workspace_id, "--application-id", office)

    removal = aws("disassociate-workspace-application", *both)
    aws("deploy-workspace-applications", "--workspace-id", workspace_id)
    removing = aws.states_until(workspace_id, office, "absent")
    staged = aws("associate-workspace-application", *both)
    again = aws("associate-workspace-application", *both)
    deployed = aws("deploy-workspace-applications", "--workspace-id", workspace_id)
    installing = aws.states_until(workspace_id, office, "COMPLETED")

    assert removal["Association"]["State"] == "PENDING_UNINSTALL_DEPLOYMENT"
    assert set(removing[:-1]) <= {"PENDING_UNINSTALL", "UNINSTALLING"}
    assert staged["Association"]["State"] == "PENDING_INSTALL_DEPLOYMENT"
    assert "ResourceAlreadyExistsException" in again["error"]
    assert [one["State"] for one in deployed["Deployment"]["Associations"]] == ["PENDING_INSTALL"]
    assert set(installing) <= {"PENDING_INSTALL", "INSTALLING", "COMPLETED"}
    assert (removing[-1], installing[-1]) == ("absent", "COMPLETED")
