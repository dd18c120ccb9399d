"""The clients that share a pacer, and the settings that a policy may have."""

import math
import os
import subprocess
import sys
import threading
from typing import Final

import pytest

from workspaces_apps._base.clock import SystemClock
from workspaces_apps._pacing import Pacing, PacingKey, PacingRegistry, RateLimiter
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator import ManualClock

KEY = PacingKey(
    "https://workspaces.eu-west-1.amazonaws.com", "eu-west-1", "123456789012", "DescribeWorkspaces"
)


def test_what_the_service_counts_together_shares_a_pacer() -> None:
    """Same key, same policy, the system's time: one pacer, whichever clock object tells it."""
    registry = PacingRegistry()
    pacer = registry.pacer(KEY, Pacing.adaptive(), SystemClock())
    assert registry.pacer(KEY, Pacing.adaptive(), SystemClock()) is pacer


@pytest.mark.parametrize("field", ["endpoint", "region", "account", "operation"])
def test_each_part_of_the_key_makes_a_pacer_of_its_own(field: str) -> None:
    """Another endpoint, Region, account or operation has another limit."""
    registry = PacingRegistry()
    parts = {name: getattr(KEY, name) for name in ("endpoint", "region", "account", "operation")}
    other = PacingKey(**{**parts, field: "other"})
    clock = SystemClock()
    assert registry.pacer(KEY, Pacing.adaptive(), clock) is not registry.pacer(
        other, Pacing.adaptive(), clock
    )


def test_another_policy_or_another_time_makes_a_pacer_of_its_own() -> None:
    """A rate learned with one means nothing to the other."""
    registry = PacingRegistry()
    clock = SystemClock()
    pacers = {
        registry.pacer(KEY, Pacing.adaptive(), clock),
        registry.pacer(KEY, Pacing.fixed(2.0), clock),
        registry.pacer(KEY, Pacing.adaptive(), ManualClock()),
    }
    assert len(pacers) == 3


def test_idle_pacers_are_dropped_past_the_limit() -> None:
    """Those not asked for the longest go first, and those in use stay."""
    registry = PacingRegistry(limit=2)
    clock = SystemClock()
    keys = [PacingKey("https://e", "r", "a", f"Operation{number}") for number in range(4)]
    busy = registry.pacer(keys[0], Pacing.adaptive(), clock)
    assert busy.try_acquire() is not None
    for key in keys[1:]:
        registry.pacer(key, Pacing.adaptive(), clock)
    assert len(registry) == 2
    assert registry.pacer(keys[0], Pacing.adaptive(), clock) is busy


def test_threads_get_the_same_pacer() -> None:
    """However many ask for it first at the same time."""
    registry = PacingRegistry()
    clock = SystemClock()
    barrier = threading.Barrier(8)
    found: list[RateLimiter] = []

    def ask() -> None:
        barrier.wait()
        found.append(registry.pacer(KEY, Pacing.adaptive(), clock))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


_FORK: Final = """
import os
from workspaces_apps._base.clock import SystemClock
from workspaces_apps._pacing import DEFAULT_REGISTRY, Pacing, PacingKey

def pacer():
    return DEFAULT_REGISTRY.pacer(PacingKey("", "", "", ""), Pacing.adaptive(), SystemClock())

held = [pacer().try_acquire() for _ in range(8)]
assert pacer().try_acquire() is None
with DEFAULT_REGISTRY._lock:
    child = os.fork()
    if not child:
        os._exit(0 if pacer().try_acquire() else 1)
    assert os.waitpid(child, 0)[1] == 0
assert pacer().try_acquire() is None
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_does_not_wait_for_calls_of_its_parent() -> None:
    """Their slots are given back in the parent; so the child begins anew, whoever held a lock at that moment."""
    subprocess.run([sys.executable, "-c", _FORK], check=True, timeout=60)


@pytest.mark.parametrize("rate", [0, -1.0, math.inf, math.nan, True])
def test_a_rate_must_be_positive_and_finite(rate: float) -> None:
    """The message names the field."""
    with pytest.raises(ConfigurationError, match=r"Pacing\.rate must be"):
        Pacing.fixed(rate)


@pytest.mark.parametrize("burst", [0, -1, True])
def test_a_burst_must_be_a_positive_integer(burst: int) -> None:
    """The message names the field."""
    with pytest.raises(ConfigurationError, match=r"Pacing\.burst must be"):
        Pacing.fixed(1.0, burst)


def test_a_rate_without_fixed_is_a_contradiction() -> None:
    """Adaptive pacing finds its own."""
    with pytest.raises(ConfigurationError, match="belong to"):
        Pacing("adaptive", 3.0)


def test_policies_are_values() -> None:
    """Equal and hashable by what they say."""
    assert Pacing.fixed(2.0, 3) == Pacing.fixed(2.0, 3)
    assert len({Pacing.adaptive(), Pacing.adaptive(), Pacing.off()}) == 2
