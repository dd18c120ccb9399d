"""A recording, and the scripted server of the client's tests."""

from collections.abc import Iterator

import pytest

from tests.http.conftest import connect, no_stubs_of_moto, server, ws
from tests.telemetry.recording import Recording, recording

__all__ = ["connect", "no_stubs_of_moto", "server", "ws"]


@pytest.fixture
def record() -> Iterator[Recording]:
    """The spans and metrics of the test."""
    with recording() as found:
        yield found
