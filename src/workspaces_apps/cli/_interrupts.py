"""Two ways to end early: asked once, a command drains; asked twice, it stops."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

# SIGBREAK is how Windows asks a process with a console of its own to end.
STOP_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)
"""The signals by which a process is asked to end."""


@contextmanager
def on_signals(*actions: Callable[[], object]) -> Generator[None]:
    """Call the next action, on the running loop, each time the process is asked to end.

    After the last one the signals have their former effect again. `loop.add_signal_handler` does not exist on Windows;
    `signal.signal` and a call into the loop work everywhere.

    Args:
        actions: What to do the first time, the second time, and so on.
    """
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    left: Sequence[Callable[[], object]] = actions

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal left
        action, *left = left
        if not left:
            restore()
        loop.call_soon_threadsafe(action)

    for number in STOP_SIGNALS:
        signal.signal(number, ask)
    try:
        yield
    finally:
        restore()
