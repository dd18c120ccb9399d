"""The parts that real clients need to run in virtual time against a service that answers without a network."""

import asyncio
from collections.abc import Mapping
from typing import Any


class BotocoreClock:
    """The running loop's time, as botocore's adaptive mode reads it."""

    def __init__(self, phase: float) -> None:
        """A clock that is `phase` seconds past a whole second when the loop begins."""
        self._phase = phase

    def current_time(self) -> float:
        """The loop's time and the phase, which botocore's measuring of rates depends on."""
        return asyncio.get_running_loop().time() + self._phase

    async def sleep(self, seconds: float, /) -> None:
        """Sleep on the loop."""
        await asyncio.sleep(seconds)


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
