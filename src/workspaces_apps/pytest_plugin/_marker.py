"""The arguments of ``@pytest.mark.workspaces``, checked before a simulator is made of them.

- ``workspaces``, ``associations_per_workspace``, ``seed``, ``region``, ``other_regions``, ``account_id``,
  ``verify_signatures``: as for `Simulator`.
- ``clock``: ``"autojump"`` (the default), ``"manual"``, ``"real"``, or how many times as fast as time it runs.
- ``throttle``: False (the default) for none, True for what is assumed of the service, a rate per second, a pair
  ``(rate, burst)``, or a mapping from operations to one of these.
- ``faults``: a list of kinds, or of mappings with the arguments of `Faults.add`.
- ``settings``: a mapping from the names of `SimulatorSettings` to values, where a duration is a number of seconds or
  a pair ``(shortest, longest)``; or ``"instant"``; or a `SimulatorSettings`.
- ``thread``: True runs the simulator of a coroutine test in a thread too, for code that blocks the loop.

Markers on function, class and module add up; of one argument the nearest counts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol, TypedDict, TypeVar, runtime_checkable

import pytest
from typing_extensions import TypeIs

from workspaces_apps._base.text import advice

if TYPE_CHECKING:
    from workspaces_apps.simulator import (
        FaultKind,
        Rate,
        Simulator,
        SimulatorClock,
        SimulatorOptions,
        SimulatorSettings,
        Throttle,
    )


_AS_THEY_ARE: Final = (
    "workspaces",
    "associations_per_workspace",
    "seed",
    "region",
    "other_regions",
    "account_id",
    "verify_signatures",
)
"""Those that `Simulator` takes as they are, and checks."""
ARGUMENTS: Final = (*_AS_THEY_ARE, "clock", "throttle", "faults", "settings", "thread")
MARKER: Final = f"workspaces({', '.join(ARGUMENTS)}): what the fixture workspaces_simulator is like"

T = TypeVar("T")


class FaultOptions(TypedDict, total=False):
    """The arguments of `Faults.add`."""

    kind: FaultKind
    operation: str | Iterable[str] | None
    workspace_id: str | None
    application_id: str | None
    times: int | None
    skip: int
    probability: float | None
    delay: float
    code: str
    message: str
    reason: str


class MarkerError(ValueError):
    """The marker says something that cannot be."""

    def __init__(self, message: str) -> None:
        super().__init__(f"@pytest.mark.workspaces: {message}")


def told(make: Callable[[], T]) -> T:
    """Return what `make` returns; if the marker is wrong, fail the test with nothing but a message."""
    from workspaces_apps.errors import ConfigurationError

    try:
        return make()
    except MarkerError as error:
        message = str(error)
    except (ConfigurationError, TypeError) as error:
        message = str(MarkerError(str(error)))
    return pytest.fail(message, pytrace=False)


def add_faults(simulator: Simulator, given: Mapping[str, object]) -> None:
    """Add the faults to a simulator."""
    for fault in fault_options(given):
        simulator.faults.add(**fault)


def read_marker(node: pytest.Item) -> dict[str, object]:
    """Return the arguments of all markers that hold for a test.

    Raises:
        MarkerError: One is unknown, or has no name.
    """
    given: dict[str, object] = {}
    for mark in node.iter_markers("workspaces"):
        if mark.args:
            raise MarkerError(f"every argument needs its name; {mark.args[0]!r} has none")
        for name, value in mark.kwargs.items():
            _check_name(name, ARGUMENTS, "argument")
            given.setdefault(name, value)
    if not isinstance(given.get("thread", False), bool):
        raise MarkerError(f"thread is true or false, not {given['thread']!r}")
    return given


def simulator_options(given: Mapping[str, object]) -> SimulatorOptions:
    """Return the options that the simulator is made with.

    Raises:
        MarkerError: An argument of the marker's own is of the wrong kind.
    """
    options: SimulatorOptions = {
        **{name: given[name] for name in _AS_THEY_ARE if name in given},  # type: ignore[typeddict-item]  # Simulator checks
        "clock": _clock(given.get("clock", "autojump")),
        "throttle": _throttle(given.get("throttle", False)),
        "settings": _settings(given.get("settings", {})),
    }
    return options


def fault_options(given: Mapping[str, object]) -> list[FaultOptions]:
    """Return the faults to add, in their order.

    Raises:
        MarkerError: One is no fault.
    """
    return [_fault(one) for one in _listed(given.get("faults", []), "faults")]


def _fault(value: object) -> FaultOptions:
    described = {"kind": value} if isinstance(value, str) else value
    if not _is_mapping(described) or "kind" not in described:
        raise MarkerError(f'a fault is a kind, or a mapping with "kind" in it, not {value!r}')
    for name in described:
        _check_name(name, FaultOptions.__annotations__, "argument of a fault")
    fault: FaultOptions = {**described}  # type: ignore[typeddict-item]  # Faults.add checks the values
    return fault


def _clock(value: object) -> SimulatorClock:
    from workspaces_apps.simulator import ManualClock, RealClock, ScaledClock

    match value:
        case "autojump":
            return ManualClock(autojump=True)
        case "manual":
            return ManualClock()
        case "real":
            return RealClock()
        case bool():
            pass
        case int() | float():
            return ScaledClock(value)
        case _:
            pass
    raise MarkerError(f'clock is "autojump", "manual", "real", or a number of times as fast, not {value!r}')


def _throttle(value: object) -> Throttle:
    from workspaces_apps.simulator import Throttle

    if isinstance(value, Throttle):
        return value
    if _is_mapping(value):
        return Throttle(default=None, operations={str(name): _rate(rate) for name, rate in value.items()})
    return Throttle(default=_rate(value))


def _rate(value: object) -> Rate | None:
    from workspaces_apps.simulator import Rate, Throttle

    match value:
        case False | None:
            return None
        case True:
            return Throttle().default
        case int() | float():
            return Rate(value, max(value, 1.0))
        case (int() | float() as per_second, int() | float() as burst):
            return Rate(per_second, burst)
        case _:
            raise MarkerError(
                "throttle is False, True, a rate per second, (rate, burst), or a mapping from operations to these,"
                f" not {value!r}"
            )


def _settings(value: object) -> SimulatorSettings:
    from workspaces_apps.errors import ConfigurationError
    from workspaces_apps.simulator import SimulatorSettings

    if isinstance(value, SimulatorSettings):
        return value
    if value == "instant":
        return SimulatorSettings.instant()
    if not _is_mapping(value):
        raise MarkerError(
            f'settings is a mapping from names to values, "instant" or a SimulatorSettings, not {value!r}'
        )
    try:
        return SimulatorSettings.of(value)
    except ConfigurationError as error:
        raise MarkerError(f"settings: {error.message}") from error


def _check_name(name: object, known: Iterable[str], what: str) -> None:
    known = list(known)
    if name not in known:
        raise MarkerError(f"{name!r} is no {what}; {advice(name, known)}")


def _listed(value: object, name: str) -> list[object]:
    if not _is_list(value):
        raise MarkerError(f"{name} is a list, not {value!r}")
    return [*value]


def _is_list(value: object) -> TypeIs[list[object] | tuple[object, ...]]:
    return isinstance(value, list | tuple)


def _is_mapping(value: object) -> TypeIs[Mapping[object, object]]:
    return isinstance(value, Mapping)


_LOOPBACK = "127.0.0.1,localhost,::1"


@runtime_checkable
class _Boto3(Protocol):
    """The one thing that boto3 keeps for the whole process."""

    DEFAULT_SESSION: object


@contextmanager
def isolated_environment(connection: Mapping[str, str]) -> Generator[None]:
    """Hide every AWS setting of the machine, and name the simulator in their place.

    Args:
        connection: What `Simulator.connection_info` gives.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.upper().startswith("AWS_"):
                patch.delenv(name)
        # Both files exist for botocore, and are empty.
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_ENDPOINT_URL_WORKSPACES", connection["url"])
        patch.setenv("AWS_ACCESS_KEY_ID", connection["access_key_id"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", connection["secret_access_key"])
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            patch.setenv(name, connection["region"])
        for name in ("NO_PROXY", "no_proxy"):
            # A proxy of the machine's cannot reach this machine's loopback.
            patch.setenv(name, ",".join(filter(None, (os.environ.get(name), _LOOPBACK))))
        with _fresh_default_session():
            yield


@contextmanager
def _fresh_default_session() -> Generator[None]:
    """Let boto3's default session, which keeps the first credentials it finds, not outlive the test."""
    boto3 = _boto3()
    before = boto3.DEFAULT_SESSION if boto3 is not None else None
    if boto3 is not None:
        boto3.DEFAULT_SESSION = None
    try:
        yield
    finally:
        # The test may have been the first to import it.
        boto3 = _boto3()
        if boto3 is not None:
            boto3.DEFAULT_SESSION = before


def _boto3() -> _Boto3 | None:
    module: object = sys.modules.get("boto3")
    return module if isinstance(module, _Boto3) else None
