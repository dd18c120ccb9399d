"""Python's garbage collector, kept out of the way where there is nothing for it to find."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator

RARE: Final = (50_000, 20, 100)
"""Thresholds for a process that holds a fleet: its objects live as long as the run, and few are in cycles."""


@contextmanager
def paused() -> Generator[None]:
    """Collect nothing meanwhile: importing makes tens of thousands of objects that stay, and no garbage.

    Only around code that does not await, so that nobody else's garbage waits for long.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def rare() -> Generator[None]:
    """Collect rarely meanwhile, and never again what is there when `keep` is called.

    For a process of one's own: the collector is the whole process's.
    """
    before = gc.get_threshold()
    gc.set_threshold(*RARE)
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def keep() -> None:
    """Leave out of every later collection what there is now; until the end of `rare`."""
    gc.freeze()
