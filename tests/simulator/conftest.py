"""A simulator in a thread, with time that stands still, and boto3 in front of it, in each of the two protocols."""

from collections.abc import Iterator

import pytest

from tests.peers.boto3_client import Speaks
from tests.simulator.conformance import check_recorded
from tests.simulator.peer import Call, peer_of
from workspaces_apps.simulator import ManualClock, Simulator


@pytest.fixture
def clock() -> ManualClock:
    """The simulator's time, moved by the test."""
    return ManualClock()


@pytest.fixture
def sim(clock: ManualClock) -> Iterator[Simulator]:
    """A simulator of two Regions without throttling; at the end every answer must conform to the model."""
    with Simulator.in_thread(clock=clock, throttle=None, other_regions=["eu-west-1"]) as simulator:
        yield simulator
    check_recorded(simulator.requests)


@pytest.fixture(params=["json", "cbor"])
def speaks(request: pytest.FixtureRequest) -> Speaks:
    """The protocol of a test: every scenario is run in both."""
    protocol: Speaks = request.param
    return protocol


@pytest.fixture
def call(sim: Simulator, speaks: Speaks) -> Iterator[Call]:
    """boto3, as the simulator's first account, in its first Region."""
    with peer_of(sim, speaks=speaks) as caller:
        yield caller
