"""The one way of the commands into an event loop."""

from __future__ import annotations

import asyncio
import gc
from contextlib import nullcontext
from typing import TYPE_CHECKING, TypeVar

from workspaces_apps._base.system import rare

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


def run(main: Coroutine[object, object, T], *, fleet: bool = False) -> T:
    """Run a command's coroutine.

    Args:
        main: It.
        fleet: Whether it holds a whole fleet, so that the garbage collector should run rarely.
    """
    # Off since the program began, while it imported what it needs.
    gc.enable()
    with rare() if fleet else nullcontext():
        return asyncio.run(main)
