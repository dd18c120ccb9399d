"""Every program in examples/ runs as it is, and shows what it says it shows."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
PATIENCE = 300.0

# What each example must print, so that one which ends early or does nothing fails.
SHOWS = {
    "handle_errors.py": (
        "RequestValidationError: ",
        "ConfigurationError: ",
        "ClientStateError: ",
        "CredentialsError: ",
        "ThrottlingException: ",
        "ResourceNotFoundException: ",
        "ServiceError: ",
        "DeadlineExceededError: ",
        "TransportError: ",
        "MalformedResponseError: ",
        "PaginationError: ",
        "PartialFailureError: ",
        "DeploymentFailedError: ",
        "WaiterTimeoutError: ",
        "WaiterError: ",
    ),
    "install_and_wait.py": ("staged: PENDING_INSTALL_DEPLOYMENT", "-> COMPLETED", "installed after"),
    "list_catalogue.py": ("The first page has 5 applications", "Microsoft Office", "AVAILABLE"),
    "wait_for_deployment.py": ("-> INSTALLING", "-> COMPLETED", "5 of 5", "already"),
    "rollout_batch.py": ("wave 1 of 4", "trying again", "complete after", " 0 failed", "126 nothing"),
    "rollout_sso.py": (
        "after 5 changes the SSO session ends",
        "credentials: ",
        "run `aws sso login --profile fleet`",
        "exit code 77",
        "complete: ",
        "exit code 0",
    ),
    "models_in_fastapi.py": (
        "applications: 200",
        "tags: 200\ntags: 200\ntags: 422",
        "installed: 200 COMPLETED",
    ),
    "shared_client_service.py": ("meanwhile: ", "installed after", "were throttled"),
}
# What goes on until it is told to end, and so has tests of its own: tests/test_service_example.py.
SERVES = {"rollout_service.py"}
# What needs a collector and OpenTelemetry's exporters: tests/telemetry/test_example.py.
TRACED = {"traced_service.py"}


@cache
def run_example(name: str) -> "subprocess.CompletedProcess[str]":
    """Run an example as its docstring says, with every warning an error; once, however many tests ask."""
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )


def test_every_example_is_known_here() -> None:
    """A new program in examples/ is run here too, or this fails."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SHOWS) | SERVES | TRACED


@pytest.mark.parametrize("name", sorted(SHOWS))
def test_example_runs_and_shows_what_it_says(name: str) -> None:
    """The program ends with success, writes nothing to standard error, and prints what it is about."""
    ended = run_example(name)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert [text for text in SHOWS[name] if text not in ended.stdout] == []


def test_no_example_leaves_an_installation_unfinished() -> None:
    """Each of the service's jobs ends with the application installed, none with an error."""
    lines = [
        line for line in run_example("shared_client_service.py").stdout.splitlines() if line[:3] == "ws-"
    ]

    assert len(lines) == 12
    assert [line for line in lines if "installed after" not in line] == []
