"""The marker's arguments, and its errors for others."""

import pytest

from tests.pytest_plugin.run import INI, plugin_arguments
from workspaces_apps.pytest_plugin._marker import add_faults, simulator_options, told
from workspaces_apps.simulator import (
    ManualClock,
    Rate,
    RealClock,
    ScaledClock,
    Simulator,
    SimulatorSettings,
    Span,
    Throttle,
)

pytest_plugins = ["pytester"]

MARKED = """
    import pytest

    pytestmark = pytest.mark.workspaces(clock="manual", workspaces=4)

    def test_module(workspaces_simulator):
        assert len(workspaces_simulator.fleet) == 4
        assert not workspaces_simulator.clock.autojump

    @pytest.mark.workspaces(workspaces=9, region="eu-west-1", faults=["throttle"])
    def test_nearest(workspaces_simulator):
        assert len(workspaces_simulator.fleet) == 9
        assert workspaces_simulator.region == "eu-west-1"
        assert not workspaces_simulator.clock.autojump
        assert [fault.kind for fault in workspaces_simulator.faults] == ["throttle"]

    @pytest.mark.workspaces(25)
    def test_without_name(workspaces_simulator):
        pass

    @pytest.mark.workspaces(worksapces=25)
    def test_misspelt(workspaces_simulator):
        pass

    @pytest.mark.workspaces(workspaces=-1)
    def test_out_of_range(workspaces_simulator):
        pass

    @pytest.mark.asyncio
    @pytest.mark.workspaces(thread=1)
    async def test_of_the_wrong_kind(workspaces_simulator):
        pass

    @pytest.mark.workspaces(clock="real")
    def test_no_manual_clock(workspaces_clock):
        pass
"""


def test_markers_add_up_and_mistakes_are_told(pytester: pytest.Pytester) -> None:
    """The nearest marker counts, and a mistake is an error of that test, without a traceback."""
    pytester.makeini(INI)
    pytester.makepyfile(MARKED)

    result = pytester.runpytest_subprocess(*plugin_arguments(), "--strict-markers")

    result.assert_outcomes(passed=2, errors=5)
    result.stdout.fnmatch_lines(
        [
            "@pytest.mark.workspaces: every argument needs its name; 25 has none",
            "@pytest.mark.workspaces: 'worksapces' is no argument; did you mean 'workspaces'[?]",
            "@pytest.mark.workspaces: workspaces is a whole number, 0 or more, not -1",
            "@pytest.mark.workspaces: thread is true or false, not 1",
            "workspaces_clock is there for clock=*asks for a RealClock",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    "given,message",
    [
        ({"workspaces": "many"}, "workspaces is a whole number, 0 or more, not 'many'"),
        ({"seed": True}, "seed is a whole number, not True"),
        ({"other_regions": "eu-west-1"}, "other_regions is a list, not 'eu-west-1'"),
        ({"clock": "fast"}, "clock is .*, not 'fast'"),
        ({"clock": True}, "clock is .*, not True"),
        ({"throttle": "low"}, "throttle is .*, not 'low'"),
        (
            {"throttle": {"DescribeWorkspace": 1}},
            "'DescribeWorkspace' is no operation; did you mean 'DescribeWorkspaces'",
        ),
        ({"settings": {"failure": 0.5}}, "'failure' is no setting; .*failure_rate"),
        ({"settings": {"failure_rate": "half"}}, "settings: failure_rate is a number, 0 or more, not 'half'"),
        ({"settings": {"install_duration": "long"}}, "settings: install_duration is a duration in seconds"),
        ({"settings": {"removed_rows_linger": 1}}, "settings: removed_rows_linger is true or false, not 1"),
        ({"settings": "slow"}, "settings is a mapping"),
    ],
)
def test_a_wrong_argument_is_told(given: dict[str, object], message: str) -> None:
    """The message names the argument, what it takes, and what came."""
    with pytest.raises(pytest.fail.Exception, match=f"^@pytest.mark.workspaces: .*{message}"):
        told(lambda: Simulator(**simulator_options(given)))


@pytest.mark.parametrize(
    "fault,message",
    [
        (1, "a fault is a kind, or a mapping"),
        ({"times": 3}, 'a mapping with "kind" in it'),
        ("throtle", "did you mean 'throttle'"),
        ({"kind": "throttle", "time": 3}, "'time' is no argument of a fault; did you mean 'times'"),
        ({"kind": "throttle", "operation": "Deploy"}, "'Deploy' is no operation; there are"),
        ({"kind": "throttle", "operation": ["Deploy"]}, "'Deploy' is no operation; there are"),
        ({"kind": "throttle", "operation": []}, "operation is an operation, or a list of at least one"),
        ({"kind": "throttle", "times": "x"}, "times is a whole number, 1 or more, not 'x'"),
        ({"kind": "throttle", "times": True}, "times is a whole number, 1 or more, not True"),
        ({"kind": "throttle", "times": 0}, "times is a whole number, 1 or more, not 0"),
        ({"kind": "throttle", "skip": -1}, "skip is a whole number, 0 or more, not -1"),
        ({"kind": "throttle", "probability": "x"}, "probability is a number from 0 to 1, not 'x'"),
        ({"kind": "throttle", "probability": float("nan")}, "probability is a number from 0 to 1, not nan"),
        ({"kind": "slow", "delay": float("inf")}, "delay is a number of seconds, 0 or more, not inf"),
        ({"kind": "error", "code": 3}, "code is a text, not 3"),
        ({"kind": "error", "workspace_id": 3}, "workspace_id is a text, not 3"),
    ],
)
def test_a_wrong_fault_is_told(fault: object, message: str) -> None:
    """A fault that could never go off is refused."""
    with Simulator.in_thread(workspaces=0) as sim, pytest.raises(pytest.fail.Exception, match=message):
        told(lambda: add_faults(sim, {"faults": [fault]}))


@pytest.mark.parametrize("given", [{"region": ""}, {"region": "eu west"}, {"other_regions": ["EU-WEST-1"]}])
def test_a_region_is_a_name(given: dict[str, object]) -> None:
    """An empty one would be told by a client, far from the marker."""
    with pytest.raises(pytest.fail.Exception, match="a region is a name such as eu-west-1, unlike"):
        told(lambda: Simulator(**simulator_options(given)))


def test_without_a_marker_time_jumps_and_nothing_is_throttled() -> None:
    """The default suits most tests: no waiting, no limits, what is assumed of the service otherwise."""
    options = simulator_options({})

    clock = options.get("clock")
    assert isinstance(clock, ManualClock)
    assert clock.autojump
    assert options.get("throttle") == Throttle.off()
    assert options.get("settings") == SimulatorSettings()


def test_clocks_have_names_or_a_speed() -> None:
    """Real, manual, or scaled by a number."""
    assert isinstance(simulator_options({"clock": "real"}).get("clock"), RealClock)
    scaled = simulator_options({"clock": 60}).get("clock")
    assert isinstance(scaled, ScaledClock)
    assert scaled.factor == 60


@pytest.mark.parametrize(
    "given,throttle",
    [
        (True, Throttle()),
        (0.5, Throttle(default=Rate(0.5, 1.0))),
        ((2, 5), Throttle.at(2, 5)),
        ({"DescribeWorkspaces": 3}, Throttle(default=None, operations={"DescribeWorkspaces": Rate(3, 3)})),
        (Throttle.at(7), Throttle.at(7)),
    ],
)
def test_throttles_have_short_forms(given: object, throttle: Throttle) -> None:
    """Assumptions about the service: a rate, a rate with its burst, or rates by operation."""
    assert simulator_options({"throttle": given}).get("throttle") == throttle


def test_settings_take_seconds_and_pairs() -> None:
    """A duration is a number of seconds, or a pair of them."""
    settings = simulator_options(
        {"settings": {"install_duration": 60, "pending_delay": (1, 2), "failure_rate": 1}}
    ).get("settings")

    assert settings == SimulatorSettings(
        install_duration=Span(60, 60), pending_delay=Span(1, 2), failure_rate=1
    )
    assert simulator_options({"settings": "instant"}).get("settings") == SimulatorSettings.instant()
