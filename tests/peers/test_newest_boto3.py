"""The newest boto3, which cannot be installed beside this package, against the simulator, in both protocols."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import Simulation, simulating
from tests.peers.conftest import Tried
from tests.peers.test_javascript import fault
from tests.peers.tools import FOLDER, answer_of, needs, run

pytestmark = needs("newest", "bin", "python")
PYTHON = Path(FOLDER, "newest", "bin", "python")
SCRIPT = Path(__file__).parent / "newest" / "scenarios.py"


@pytest.fixture(params=["json", "cbor"])
def protocol(request: pytest.FixtureRequest) -> str:
    """The protocol of the model."""
    return str(request.param)


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """A fleet of 20."""
    with simulating("--workspaces", "20", "--no-throttle") as running:
        yield running


@pytest.fixture
def boto3(protocol: str, simulation: Simulation, tried: Tried, tmp_path: Path) -> Any:
    """`boto3("pages")`: what a scenario has found."""

    def scenario(name: str) -> Any:
        found = answer_of(run(simulation.endpoint, tmp_path, str(PYTHON), str(SCRIPT), protocol, name))
        tried(f"boto3 {found['version']} ({protocol.upper()})", name)
        return found["result"]

    return scenario


def test_its_scenarios(boto3: Any) -> None:
    """Operations, pages and dates."""
    assert 2010 < boto3("dates") < 2100
    assert boto3("pages") == [7, 7, 6]
    assert boto3("operations") == ["PENDING_INSTALL_DEPLOYMENT", "PENDING_INSTALL"]


def test_its_errors(boto3: Any) -> None:
    """Modelled ones have their class and members, others their code."""
    missing, invalid = boto3("errors")

    assert (missing["class"], missing["resource"]) == ("ResourceNotFoundException", "ws-00000000")
    assert (invalid["class"], invalid["code"]) == ("ValidationException", "ValidationException")


def test_its_retries(boto3: Any, simulation: Simulation) -> None:
    """A throttle and an outage are tried again."""
    fault(simulation, kind="throttle", operation="DescribeWorkspaces", times=1)
    fault(simulation, kind="unavailable", operation="DescribeWorkspaces", skip=1, times=1)

    assert boto3("retries") == 2
