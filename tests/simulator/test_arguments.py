"""Arguments of the wrong kind, or out of range: refused at once, by name, with what would be right."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator import (
    ManualClock,
    Rate,
    ScaledClock,
    Simulator,
    SimulatorSettings,
    Span,
    Throttle,
)

OTHER = "210987654321"


def refused(make: Callable[[], object], message: str) -> None:
    """Hold what is raised against how it begins."""
    with pytest.raises(ConfigurationError, match=re.escape(message)) as caught:
        make()
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    "options,message",
    [
        ({"workspaces": "25"}, "workspaces is a whole number, 0 or more, not '25'"),
        ({"workspaces": 2.5}, "workspaces is a whole number, 0 or more, not 2.5"),
        (
            {"associations_per_workspace": 6},
            "associations_per_workspace is a whole number from 0 to 5, not 6",
        ),
        ({"seed": "x"}, "seed is a whole number, not 'x'"),
        ({"region": None}, "a region is a name such as eu-west-1, unlike None"),
        ({"other_regions": "eu-west-1"}, "other_regions is a list, not 'eu-west-1'"),
        ({"other_regions": [5]}, "each of other_regions is a text, not 5"),
        ({"account_id": 123456789012}, "an account id has 12 digits, unlike 123456789012"),
        ({"clock": "manual"}, "clock is a RealClock, a ScaledClock, a ManualClock, or None, not 'manual'"),
        ({"clock": ManualClock}, "clock is a RealClock, a ScaledClock, a ManualClock, or None, not <class"),
        ({"settings": {"failure_rate": 1}}, "settings is a SimulatorSettings, or None, not {"),
        (
            {"throttle": (2, 5)},
            "throttle is a Throttle, such as Throttle.at(2, burst=5), or None, not (2, 5)",
        ),
        ({"verify_signatures": 0}, "verify_signatures is true or false, not 0"),
        ({"host": None}, "host is a text, not None"),
        ({"port": "80"}, "port is a whole number from 0 to 65535, not '80'"),
        ({"allow_remote": "no"}, "allow_remote is true or false, not 'no'"),
        ({"state_file": 5}, "state_file is a path, or None, not 5"),
        ({"fleet_file": 5}, "fleet_file is a path, or None, not 5"),
        ({"control_token": 5}, "control_token is a text, or None, not 5"),
        ({"host_names": "sim"}, "host_names is a list, not 'sim'"),
    ],
)
def test_an_option_of_the_wrong_kind_is_refused(options: dict[str, Any], message: str) -> None:
    """The constructor says so, whatever a type checker would have said."""
    refused(lambda: Simulator(**options), message)


CALLS: list[tuple[Callable[[Any], object], str]] = [
    (lambda sim: setattr(sim, "throttle", 5), "throttle is a Throttle, such as"),
    (
        lambda sim: sim.add_account(OTHER, workspaces=-3),
        "workspaces is a whole number, 0 or more, not -3",
    ),
    (
        lambda sim: sim.add_account(OTHER, region="Ireland"),
        "'Ireland' is no Region that this simulator serves; there are",
    ),
    (lambda sim: sim.fleet_of("mine", "us-east-1"), "an account id has 12 digits, unlike 'mine'"),
    (lambda sim: sim.temporary_credentials(60, "mine"), "an account id has 12 digits, unlike 'mine'"),
    (
        lambda sim: sim.temporary_credentials(timedelta(hours=1)),
        "lifetime is a number of seconds, not datetime.timedelta",
    ),
    (lambda sim: sim.fleet.add_workspaces(-1), "count is a whole number, 0 or more, not -1"),
    (lambda sim: sim.fleet.add_workspaces(compute=5), "compute is a text, not 5"),
    (lambda sim: sim.fleet.add_workspaces(tags={"a": 5}), "tags['a'] is a text, not 5"),
    (lambda sim: sim.fleet.add_workspaces(directory_id="d-1"), "'d-1' is no directory; there are d-"),
    (lambda sim: sim.fleet.compatible("wsa-1", -1), "count is a whole number, 0 or more, not -1"),
    (lambda sim: sim.fleet.set_state("ws-1", None), "state is a text, not None"),
    (
        lambda sim: sim.faults.add(["throttle"]),
        "['throttle'] is no kind of fault; did you mean 'throttle'?",
    ),
    (lambda sim: sim.faults.add("throttle", operation=5), "operation is an operation, or a list of"),
    (
        lambda sim: sim.faults.add("throttle", operation=[]),
        "operation is an operation, or a list of at least",
    ),
    (lambda sim: sim.faults.add("deployment_error", reason=5), "reason is a text, not 5"),
    (lambda sim: sim.faults.add("throttle", operation=[1]), "each of operation is a text, not 1"),
]
"""Calls of a simulator's methods, and how the refusal of each begins."""


@pytest.mark.parametrize("call,message", CALLS)
def test_what_a_running_test_says_is_checked_too(call: Callable[[Any], object], message: str) -> None:
    """Nothing of it is kept: neither an account, nor a fault."""
    sim = Simulator(workspaces=1)
    refused(lambda: call(sim), message)
    assert len(sim.accounts.stores()) == 1
    assert len(sim.faults) == 0


@pytest.mark.parametrize(
    "given,message",
    [
        (
            {"install_duration": 5},
            "install_duration is a Span of seconds, such as Span(low=480, high=1200), not 5",
        ),
        ({"install_duration": (1, 2)}, "install_duration is a Span of seconds, such as"),
        ({"volume_groups": 1}, "volume_groups is true or false, not 1"),
        ({"exceptions": {"edition or version": 5}}, "exceptions['edition or version'] is a text, not 5"),
    ],
)
def test_a_setting_of_the_wrong_kind_is_refused(given: Mapping[str, Any], message: str) -> None:
    """Not by an InternalFailure in the midst of a deployment; only `SimulatorSettings.of` converts."""
    refused(lambda: SimulatorSettings(**given), message)


@pytest.mark.parametrize(
    "kind,given,message",
    [
        (Throttle, {"default": 5}, "default is a Rate, such as Rate(per_second=2, burst=5), or None, not 5"),
        (Throttle, {"operations": {"DescribeTags": (1, 1)}}, "DescribeTags is a Rate, such as"),
        (Throttle, {"operations": ["DescribeTags"]}, "operations is a mapping from operations to rates"),
        (Rate, {"per_second": "1", "burst": 5}, "per_second is a number, 0 or more, not '1'"),
        (Rate, {"per_second": 1, "burst": 0}, "burst is a number, 1 or more, not 0"),
        (Span, {"low": "1", "high": "2"}, "a Span goes from 0 or more upwards, not from '1' to '2'"),
        (ScaledClock, {"factor": "x"}, "a clock's factor is a number above 0, not 'x'"),
        (ManualClock, {"start": "2026"}, "start is a datetime with a time zone, not '2026'"),
        (ManualClock, {"quiet_checks": 0}, "quiet_checks is a whole number, 1 or more, not 0"),
    ],
)
def test_what_a_simulator_is_made_of_is_checked(
    kind: Callable[..., object], given: dict[str, Any], message: str
) -> None:
    """A rate, a span or a clock that cannot be is refused where it is made."""
    refused(lambda: kind(**given), message)
