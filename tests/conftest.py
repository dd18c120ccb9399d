"""Conditions of every test: no AWS settings of the machine, and Hypothesis that repeats itself."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from workspaces_apps._base import logs

# The tests of the installed wheel run away from the checkout, where there is no generator to test.
collect_ignore_glob = (
    [] if Path(__file__).parent.with_name("codegen").is_dir() else ["codegen/*", "test_codegen*"]
)

# Simulated time decides what is slow here, so a deadline in real time would only measure the machine.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "ci", settings.get_profile("dev"), derandomize=True, print_blob=True, max_examples=30
)
# For the run on the wheel: that nothing is missing in it shows with few examples.
settings.register_profile("few", settings.get_profile("ci"), max_examples=10)
# For `nox -s long`: what each of hundreds of operations and shapes is tried with is another every time, and more.
settings.register_profile("long", settings.get_profile("dev"), print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def aws_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hide the machine's AWS settings, credentials and proxies; the folder returned holds no AWS file yet."""
    for name in list(os.environ):
        if name.upper().startswith("AWS_") or name.upper() in {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}:
            monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("aws")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return folder


@pytest.fixture(autouse=True)
def nothing_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no busy machine add "still waiting for" to what a command prints."""
    monkeypatch.setattr(logs, "LONG", 3600.0)


@pytest.fixture(autouse=True)
def untouched_loggers() -> Iterator[None]:
    """Put back what a command that runs in the process of the tests changes of loggers, `--debug` above all."""
    loggers = [logging.getLogger(name) for name in ("workspaces_apps", logs.WAITING, *logs.BENEATH)]
    before = [(one, list(one.handlers), one.level, one.propagate) for one in loggers]
    yield
    for logger, handlers, level, propagate in before:
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)
