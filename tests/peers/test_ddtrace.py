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


def spans_of(caller: str, endpoint: Endpoint) -> tuple[list[dict[str, Any]], list[int]]:
    """Return the spans below the caller's own, and the requests on the fast path before ddtrace comes and after.

    What varies in the spans is checked for being there.
    """
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
    answer = answer_of(done)
    found: list[dict[str, Any]] = answer["spans"]
    for one in found:
        present = VARIES & set(one["tags"])
        assert all(one["tags"][name] for name in present)
        one["tags"] = {name: value for name, value in one["tags"].items() if name not in VARIES}
        one["varying"] = sorted(present)
    short: list[int] = answer["short"]
    return found, short


@pytest.fixture(scope="module")
def endpoint() -> Any:
    """A simulator as a process."""
    with simulating("--workspaces", "3", "--no-throttle") as simulation:
        yield simulation.endpoint


@pytest.mark.parametrize("caller,before", [("ours", 0), ("forbidden", 0), ("midway", 1)])
def test_the_spans_are_those_of_plain_aiobotocore(endpoint: Endpoint, caller: str, before: int) -> None:
    """A span each for answered and refused calls, as plain aiobotocore's, also where ddtrace comes midway."""
    ours, short = spans_of(caller, endpoint)
    plain, _ = spans_of("plain", endpoint)

    assert ours == plain
    assert short == [before, 0]
    *answered, refused = ours
    assert [one["resource"] for one in answered] == ["workspaces.describeworkspaces"] * 3
    assert {one["below"] for one in ours} == {"parent"}
    assert [one["error"] for one in ours] == [0, 0, 0, 1]
    assert {one["tags"]["http.status_code"] for one in answered} == {"200"}
    assert answered[0]["varying"] == ["aws.requestid"]
    assert json.dumps(refused).count("ResourceNotFoundException") == 1
