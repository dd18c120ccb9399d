"""An event loop in virtual time: where it would wait it moves a `ManualClock` instead, and every run is the same."""

import asyncio
import selectors
import threading
import time
from collections.abc import Coroutine
from typing import Final, TypeVar

from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator._clocks import ManualClock, executors_work

T = TypeVar("T")

_TICK: Final = 1e-9
"""Seconds by which a timer of the loop is late, so that time passes however short it is: botocore's adaptive mode
sleeps for the last bit of a float over and over."""

_PATIENCE: Final = 10.0
"""Real seconds to wait for sockets and threads when nobody waits for the clock."""

_JOB_PATIENCE: Final = 1.0
"""Real seconds for which executors at work keep the clock from moving."""

_JOB_INTERVAL: Final = 0.001


class DeadlockError(AssertionError):
    """The end of a run in which every task waits, and none of them for the clock."""


class _Selector(selectors.DefaultSelector):
    """A selector that never waits while somebody waits for the clock."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock
        self._busy_since: float | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; if nothing is, move the clock to the next sleeper or timer of the loop."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        ready = self._after_jobs()
        if ready:
            return ready
        if self._clock.jump_to_next(None if timeout is None else timeout + _TICK):
            return ready
        # The loop has one socket of its own, through which other threads wake it.
        if len(self.get_map()) > 1 or threading.active_count() > 1:
            ready = super().select(_PATIENCE)
        if not ready:
            raise DeadlockError("every task waits, and none of them for the clock")
        return ready

    def _after_jobs(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for what executors do, such as botocore's loading of data: in virtual time it takes none."""
        while threading.active_count() > 1 and executors_work():
            if self._busy_since is None:
                self._busy_since = time.monotonic()
            if time.monotonic() - self._busy_since >= _JOB_PATIENCE:
                # It may wait for the clock itself, and would otherwise cost as much at every move of it.
                return []
            ready = super().select(_JOB_INTERVAL)
            if ready:
                return ready
        self._busy_since = None
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers go by a `ManualClock`, as `asyncio.sleep` does on it.

    The clock moves exactly when the loop has nothing left to run and no socket has anything to read: what was sent
    over the loopback is there when the loop looks. The jobs of executors are waited for, for a second of real time at
    most; other threads are not.
    """

    def __init__(self, clock: ManualClock) -> None:
        """Make a loop that moves this clock, which must not move by itself."""
        self._clock = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        """Return the clock's `monotonic`."""
        return self._clock.monotonic()


def run_virtual(main: Coroutine[object, object, T], clock: ManualClock) -> T:
    """Run a coroutine to its end on a `VirtualLoop`, in no time.

    Args:
        main: What to run.
        clock: The clock that the loop moves; for whatever `main` waits with.

    Raises:
        ConfigurationError: The clock moves by itself.
        DeadlockError: Every task waits, and none of them for the clock.
    """
    if clock.autojump:
        main.close()
        raise ConfigurationError("a virtual loop moves its clock: autojump must be False")
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        return runner.run(main)
