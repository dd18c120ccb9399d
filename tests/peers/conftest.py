"""Findings of peers: each test says its peer and its scenario, and a session writes the outcomes down."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

import pytest

RESULTS: Final = os.environ.get("WORKSPACES_PEERS_RESULTS", "")
"""The file to write outcomes to; none are written if empty."""
Tried: TypeAlias = Callable[[str, str], None]
Found: TypeAlias = Callable[[str, str, bool], None]
_found: Final[dict[str, dict[str, str]]] = {}


@pytest.fixture
def tried(record_property: Callable[[str, object], None]) -> Tried:
    """`tried("boto3 1.43 (JSON)", "pages")`: the outcome of this test counts for a peer and a scenario."""

    def say(peer: str, scenario: str) -> None:
        record_property("peer", peer)
        record_property("scenario", scenario)

    return say


@pytest.fixture
def found(record_property: Callable[[str, object], None]) -> Found:
    """`found("moto's server 5.1, for contrast", "pages", False)`: a finding of a test that passes either way."""

    def say(peer: str, scenario: str, good: bool) -> None:
        record_property("peer", peer)
        record_property("scenario" if good else "missing", scenario)

    return say


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect outcomes; a scenario of several tests is good if all are."""
    peer = dict(report.user_properties).get("peer")
    if report.when != "call" or peer is None:
        return
    outcomes = _found.setdefault(str(peer), {})
    for name, scenario in report.user_properties:
        if name == "scenario":
            good = report.passed and outcomes.get(str(scenario), "yes") == "yes"
            outcomes[str(scenario)] = "yes" if good else "no"
        if name == "missing":
            outcomes[str(scenario)] = "no"


def pytest_sessionfinish() -> None:
    """Write the outcomes, beside those that are there already."""
    if RESULTS and _found:
        path = Path(RESULTS)
        known: dict[str, dict[str, str]] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        path.write_text(json.dumps({**known, **_found}), "utf-8")
