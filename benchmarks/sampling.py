"""Processor time by part of a process in which client, simulator and clock share an event loop.

A timer of the process's own processor time interrupts it every few milliseconds; the stack at that moment says whose
time it was. Its error is that of counting: about 2 % where 20 s were spent.
"""

import signal
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final

INTERVAL: Final = 0.005
PARTS: Final = (("/aiohttp/web", "simulator"), ("/simulator/clock", "clock"), ("/simulator/", "simulator"))
"""What the path of a file on the stack holds, and whose time it is then; the first that fits counts."""


class Spent:
    """Processor seconds, by part.

    Attributes:
        total: All of them.
        samples: How often which part was found at work.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self.samples: Counter[str] = Counter()

    @property
    def client(self) -> float:
        """The seconds of neither the simulator nor the clock."""
        counted = self.samples.total()
        return self.total * self.samples["client"] / counted if counted else self.total


@contextmanager
def sampled() -> Generator[Spent]:
    """Count whose processor time is spent meanwhile; only in the main thread."""
    spent = Spent()

    def look(_: int, frame: FrameType | None) -> None:
        spent.samples[part_of(frame)] += 1

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    began = time.process_time()
    try:
        yield spent
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        spent.total = time.process_time() - began


def part_of(frame: FrameType | None) -> str:
    """The part whose code is on the stack, the client's if no other's is."""
    while frame is not None:
        path = frame.f_code.co_filename
        for mark, part in PARTS:
            if mark in path:
                return part
        frame = frame.f_back
    return "client"
