"""ddtrace, which patches aiobotocore, sees the calls of this package as it sees plain aiobotocore's."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.process import Endpoint, simulating
from tests.peers.tools import FOLDER, answer_of, needs

pytestmark = needs("ddtrace", "bin", "python")
SCRIPT: Final = Path(__file__).parent / "tracers" / "ddtrace_calls.py"

VARIES: Final = {"aws.requestid", "error.stack", "error.message", "_dd.p.tid"}
"""Tags that differ from call to call: the words of an error tell how often botocore tried."""


def spans_of(caller: str, endpoint: Endpoint) -> list[dict[str, Any]]:
    """The spans of two calls, below the caller's own span; what varies is checked for being there."""
    (packages,) = Path(FOLDER, "ddtrace", "lib").glob("python*/site-packages")
    done = subprocess.run(
        [
            sys.executable,
            str(SCRIPT),
            str(packages),
            caller,
            endpoint.url,
            endpoint.region,
            endpoint.access_key_id,
            endpoint.secret_access_key,
        ],
        env={
            **os.environ,
            "AWS_EC2_METADATA_DISABLED": "true",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    found: list[dict[str, Any]] = answer_of(done)["spans"]
    for one in found:
        present = VARIES & set(one["tags"])
        assert all(one["tags"][name] for name in present)
        one["tags"] = {name: value for name, value in one["tags"].items() if name not in VARIES}
        one["varying"] = sorted(present)
    return found


@pytest.fixture(scope="module")
def endpoint() -> Any:
    """A simulator as a process."""
    with simulating("--workspaces", "3", "--no-throttle") as simulation:
        yield simulation.endpoint


def test_the_spans_are_those_of_plain_aiobotocore(endpoint: Endpoint) -> None:
    """A span each for an answered and a refused call, with equal names, resources, tags and parents."""
    ours, plain = (spans_of(caller, endpoint) for caller in ("ours", "plain"))

    assert ours == plain
    answered, refused = ours
    assert (answered["below"], refused["below"]) == ("parent", "parent")
    assert (answered["error"], refused["error"]) == (0, 1)
    assert answered["resource"] == "workspaces.describeworkspaces"
    assert answered["tags"]["http.status_code"] == "200"
    assert answered["varying"] == ["aws.requestid"]
    assert json.dumps(refused).count("ResourceNotFoundException") == 1
