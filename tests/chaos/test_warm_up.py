"""`warm_up` in a fresh process: what it loads, where, and what it leaves for the first call."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pytest

from workspaces_apps.simulator import Simulator

SCRIPT: Final = Path(__file__).with_name("warm.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The measurements of a process's start.

    Attributes:
        turns: How often the event loop turned during `warm_up`.
        on_loop: What was imported or read in the thread of the event loop meanwhile, by name.
        elsewhere: What was in other threads.
        imported: The modules that the first call imported.
        built: How many validators the first call built.
        applications: How many applications the first call found.
    """

    turns: int
    on_loop: Mapping[str, int]
    elsewhere: Mapping[str, int]
    imported: list[str]
    built: int
    applications: int


def start(kind: Literal["warm", "cold"]) -> Start:
    """Start a process, with or without a `warm_up`, that makes one call."""
    with Simulator.in_thread(workspaces=1) as sim:
        credentials = sim.credentials
        arguments = (sim.url, credentials.access_key_id, credentials.secret_access_key, kind)
        run = subprocess.run(
            [sys.executable, "-W", "error", str(SCRIPT), *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert run.returncode == 0, run.stderr
    return Start(**json.loads(run.stdout))


@pytest.fixture(scope="module")
def warm() -> Start:
    """A start with `warm_up`."""
    return start("warm")


def test_after_warm_up_a_call_loads_nothing(warm: Start) -> None:
    """No module is imported and no validator is built by the first call."""
    assert warm.applications == 5
    assert (warm.imported, warm.built) == ([], 0)


def test_warm_up_keeps_off_the_event_loop(warm: Start) -> None:
    """All imports and all of botocore's data are loaded in another thread, while the loop turns."""
    assert {"aiobotocore", "aiohttp", "pydantic", "service-2", "endpoints.json"} <= warm.elsewhere.keys()
    assert warm.on_loop == {}
    assert warm.turns > 10


def test_without_warm_up_the_first_call_loads_it_all() -> None:
    """The work that the tests above count can be seen: a cold client imports and builds in its first call."""
    cold = start("cold")
    assert cold.applications == 5
    assert {"aiobotocore", "aiohttp", "pydantic"} <= set(cold.imported)
    assert cold.built > 0
