"""The garbage collector is out of the way while nothing can be garbage, and left as it was found."""

import gc

import pytest

from workspaces_apps._base.system import RARE, keep, paused
from workspaces_apps.cli._connection import run


@pytest.mark.parametrize("enabled", [True, False])
def test_it_is_paused_and_found_again_as_it_was(enabled: bool) -> None:
    """Also where it was off before."""
    before = gc.isenabled()
    try:
        gc.enable() if enabled else gc.disable()
        with paused():
            assert not gc.isenabled()
        assert gc.isenabled() is enabled
    finally:
        gc.enable() if before else gc.disable()


def test_it_is_rare_for_a_fleet_and_as_ever_afterwards() -> None:
    """A command that holds a fleet raises the thresholds, keeps what it says, and puts back both."""
    before = gc.get_threshold(), gc.get_freeze_count()
    inside: list[object] = []

    async def command() -> int:
        keep()
        inside.extend((gc.isenabled(), gc.get_threshold(), gc.get_freeze_count() > 0))
        return 5

    with paused():
        assert run(command(), fleet=True) == 5
    gc.enable()

    assert inside == [True, RARE, True]
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_a_short_command_leaves_it_alone() -> None:
    """Its thresholds are Python's."""

    async def command() -> tuple[int, int, int]:
        return gc.get_threshold()

    assert run(command()) == gc.get_threshold()
