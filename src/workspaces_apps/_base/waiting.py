"""Messages about what is waited for, once it takes long."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from workspaces_apps._base.log_fields import field_logger
from workspaces_apps._base.logs import WAITING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

LONG: Final = 2.0
"""Seconds of real time after which it is said."""

_log = field_logger(WAITING)


@contextmanager
def told_when_long(what: Callable[[], str]) -> Generator[None]:
    """Log, at INFO, what the block waits for if it takes longer than two seconds.

    Args:
        what: Says what it is by then; empty for nothing.
    """
    # Whoever waits has imported it; others only log.
    import asyncio

    def tell() -> None:
        waited_for = what()
        if waited_for:
            _log.info("still waiting for %s", waited_for)

    handle = asyncio.get_running_loop().call_later(LONG, tell)
    try:
        yield
    finally:
        handle.cancel()
