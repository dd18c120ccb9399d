"""The AWS SDK for JavaScript v3 against the simulator as a process, in both protocols."""

import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import Simulation, simulating
from tests.peers.conftest import Tried
from tests.peers.tools import FOLDER, answer_of, needs, run
from tests.pytest_plugin.test_docs import blocks

pytestmark = needs("javascript", "node_modules")
SCRIPT = Path(__file__).parent / "javascript" / "scenarios.mjs"


@pytest.fixture(scope="module", params=["json", "cbor"])
def protocol(request: pytest.FixtureRequest) -> str:
    """The protocol that the SDK is given."""
    return str(request.param)


@pytest.fixture(scope="module")
def simulation(protocol: str) -> Iterator[Simulation]:
    """A simulator in which an hour passes in a second, for one of the protocols."""
    assert protocol
    with simulating("--workspaces", "25", "--time-scale", "3600", "--no-throttle") as running:
        yield running


def fault(simulation: Simulation, **members: object) -> None:
    """Make something go wrong, over the control endpoint."""
    request = urllib.request.Request(
        f"{simulation.endpoint.control_url}/faults",
        data=json.dumps(members).encode(),
        headers={"Authorization": f"Bearer {simulation.endpoint.control_token}"},
    )
    urllib.request.urlopen(request).close()


@pytest.fixture
def sdk(protocol: str, simulation: Simulation, tried: Tried) -> Any:
    """`sdk("pages")`: what a scenario has found."""

    def scenario(name: str) -> Any:
        # Node looks for modules beside the script.
        folder = Path(FOLDER) / "javascript"
        shutil.copy(SCRIPT, folder)
        found = answer_of(run(simulation.endpoint, folder, "node", SCRIPT.name, protocol, name))
        tried(f"JavaScript SDK {found['version']} ({protocol.upper()})", name)
        return found["result"]

    return scenario


def test_the_founding_operations(sdk: Any) -> None:
    """All eleven, from the catalogue to an installation, batches with failures included."""
    found = sdk("operations")

    assert (found["staged"], found["last"]) == ("PENDING_INSTALL_DEPLOYMENT", "COMPLETED")
    assert (found["after"], found["deployed"]) == (0, ["PENDING_INSTALL"])
    assert (found["where"], found["brought"]) == (True, [True, True])
    assert found["failed"][-1] == "ResourceNotFound.Directory"


def test_its_paginator(sdk: Any) -> None:
    """Seven at a time, each once."""
    found = sdk("pages")

    assert found["sizes"][:3] == [7, 7, 7]
    assert sum(found["sizes"]) == found["distinct"] >= 25


def test_its_error_classes(sdk: Any) -> None:
    """A class of its own for each modelled error, with its members; the base for the others."""
    missing, linux, invalid, absent = sdk("errors")

    assert (missing["name"], missing["resourceId"]) == ("ResourceNotFoundException", "ws-00000000")
    assert linux["name"] == "OperatingSystemNotCompatibleException"
    assert invalid["name"] == "ValidationException"
    assert absent["name"] == "ResourceNotFoundException"
    assert all(one["isClass"] for one in (missing, linux, absent))
    assert all(
        one["isBase"] and one["status"] == 400 and one["requestId"] for one in (missing, linux, invalid)
    )


def test_its_dates(sdk: Any) -> None:
    """Times are dates of the right century."""
    found = sdk("dates")

    assert found["isDate"]
    assert 2010 < found["year"] < 2100


def test_the_recipe_of_the_docs(tried: Tried) -> None:
    """It adds a fault over the control endpoint, lists through it, and reads what was asked."""
    (recipe,) = blocks("js").values()
    folder = Path(FOLDER) / "javascript"
    (folder / "recipe.mjs").write_text(recipe, "utf-8")
    version = json.loads((folder / "node_modules/@aws-sdk/client-workspaces/package.json").read_text())[
        "version"
    ]
    tried(f"JavaScript SDK {version} (JSON)", "control endpoint")
    with simulating("--workspaces", "30") as simulation:
        done = run(simulation.endpoint, folder, "node", "recipe.mjs")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == ["25", "5"]
    assert "DescribeWorkspaces: 3" in done.stdout


@pytest.mark.parametrize("kind", ["throttle", "internal_error", "unavailable", "reset_before"])
def test_its_retries(sdk: Any, simulation: Simulation, kind: str) -> None:
    """Throttling, server errors and broken connections are tried again."""
    fault(simulation, kind=kind, operation="DescribeWorkspaces", times=1)

    assert sdk("retries") == {"found": 1, "attempts": 2}
