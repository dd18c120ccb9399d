"""The garbage collector is out of the way while nothing can be garbage, and left as it was found."""

import gc
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import ModuleType

import pytest

from workspaces_apps._base.system import RARE, keep, paused, rare
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


@contextmanager
def importing() -> Generator[None]:
    """A pause in which a module is imported that was not."""
    sys.modules.pop("this_is_imported", None)
    with paused():
        yield
        sys.modules["this_is_imported"] = ModuleType("this_is_imported")


def test_imports_are_passed_over_only_where_it_is_rare() -> None:
    """Elsewhere the collector is the user's, who may have set it just so, and nothing is taken from it."""
    before, thresholds = gc.get_freeze_count(), gc.get_threshold()
    gc.set_threshold(*RARE)
    try:
        with importing():
            kept = [[object()] for _ in range(1000)]
    finally:
        gc.set_threshold(*thresholds)
    assert gc.get_freeze_count() == before
    with rare():
        with paused():
            kept.extend([object()] for _ in range(1000))
        assert gc.get_freeze_count() == before
        with importing():
            kept.extend([object()] for _ in range(1000))
        assert gc.get_freeze_count() >= before + 3000

    assert gc.get_freeze_count() == before


def test_a_command_has_it_run_rarely_and_left_as_it_was() -> None:
    """The imported is passed over, and later all that the command keeps; both end with it."""
    before = gc.get_threshold(), gc.get_freeze_count()
    inside: list[object] = []

    async def command() -> int:
        imported = gc.get_freeze_count()
        made = [[object()] for _ in range(1000)]
        keep()
        inside.extend((gc.isenabled(), gc.get_threshold(), imported > 0, gc.get_freeze_count() - imported))
        return len(made)

    with paused():
        assert run(command()) == 1000
    gc.enable()

    assert inside[:3] == [True, RARE, True]
    assert isinstance(inside[3], int)
    assert inside[3] >= 1000
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_a_command_ends_without_a_last_search_for_garbage() -> None:
    """Its process does; whoever calls `main` with arguments of its own goes on, and keeps its collector."""
    # What is registered first runs last.
    program = (
        "import atexit, gc, sys; atexit.register(lambda: print(gc.get_freeze_count()));"
        "from workspaces_apps.cli import main; sys.argv[1:] = ['--version']; sys.exit(main({}))"
    )
    frozen = [
        int(
            subprocess.run(
                [sys.executable, "-c", program.format(given)], capture_output=True, text=True, check=True
            ).stdout.splitlines()[-1]
        )
        for given in ("", "['--version']")
    ]

    assert frozen[0] > 10_000
    assert frozen[1] == 0
