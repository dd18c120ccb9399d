"""An event loop in virtual time, on which real clients run against a service that throttles, without a network."""

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

_START = datetime(2026, 1, 1, tzinfo=UTC)


class _Selector(selectors.DefaultSelector):
    """Where a loop would wait for its next timer, it moves the time."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        found = super().select(0)
        if not found:
            # A timer is due at exactly its time: no loop spins because of a last bit.
            self.now += timeout + 1e-9
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on which sleeping takes no time, and every timer goes off at its time."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._virtual.now


class LoopClock:
    """The running loop's time as a `Clock` of this package, and as botocore's adaptive mode reads its own."""

    def __init__(self, phase: float = 0.0) -> None:
        """A clock that botocore finds `phase` seconds past a whole second when the loop begins."""
        self._phase = phase

    def now(self) -> datetime:
        """The wall time: it begins with the year 2026."""
        return _START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """The loop's time."""
        return asyncio.get_running_loop().time()

    def current_time(self) -> float:
        """The loop's time and the phase, which botocore's measuring of rates depends on."""
        return self.monotonic() + self._phase

    async def sleep(self, seconds: float, /) -> None:
        """Sleep on the loop."""
        await asyncio.sleep(seconds)


class SimulatorLoopClock(LoopClock):
    """The running loop's time for a `Simulator` on that loop; clients talk to it over real sockets."""

    def timestamp(self) -> float:
        """Epoch seconds."""
        return _START.timestamp() + self.monotonic()

    def catch_up(self, timestamp: float) -> None:
        """Nothing to do: there is no saved state."""

    def attach(self, activity: object) -> None:
        """Nothing to do: what was sent over the loopback is there when the loop looks."""

    def detach(self, activity: object) -> None:
        """Nothing to do."""


class Response:
    """An answer, as aiobotocore's HTTP session gives it."""

    raw = None

    def __init__(self, status_code: int, body: bytes) -> None:
        self.status_code = status_code
        self.headers: Mapping[str, str] = {"x-amzn-requestid": "virtual"}
        self._body = body

    @property
    async def content(self) -> bytes:
        """The body."""
        return self._body


def answer_with(session: Any, handler: Any) -> None:
    """Have `handler` answer in the network's place for every client of an aiobotocore session."""
    # Handlers of a longer name run first: as `before-send.workspaces` the service would get a request before the wait
    # that botocore's adaptive mode, a handler of `before-send`, puts in front of it.
    session.get_component("event_emitter").register_last("before-send", handler)


def run_virtual(main: Coroutine[object, object, T]) -> T:
    """Run `main` to its end, in no time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
