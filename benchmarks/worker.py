"""A process of its own for one contender: makes calls when told to, and says what they cost."""

import asyncio
import importlib
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import repeat
from typing import TYPE_CHECKING, Any

from benchmarks.answers import PAGE, STAGED, STREAMED_PAGES

if TYPE_CHECKING:
    from collections.abc import Sized

    from benchmarks.contenders import Calls, Contender


async def serve(contender: "Contender", url: str) -> None:
    """Obey one line of standard input after the other: `<work> <calls> <tasks>`, answered with one JSON line."""
    async with contender.connected(url) as calls:
        while line := await asyncio.to_thread(sys.stdin.readline):
            work, count, tasks = line.split()
            report = await (
                stream(calls) if work == "stream" else measure(calls, work, int(count), int(tasks))
            )
            print(json.dumps(report), flush=True)


async def measure(calls: "Calls", work: str, count: int, tasks: int) -> dict[str, float]:
    """CPU and wall seconds of `count` calls, made by `tasks` tasks."""
    call = work_of(calls, work)
    turns = repeat(None, count)

    async def task() -> None:
        for _ in turns:
            await call()

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(task() for _ in range(tasks)))
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def work_of(calls: "Calls", work: str) -> Callable[[], Awaitable[None]]:
    """One call that is checked: a fast wrong answer would win otherwise."""

    async def listed(call: Callable[[], Awaitable["Sized"]]) -> None:
        if len(await call()) != PAGE:
            raise AssertionError(f"{work}: not {PAGE} items")

    async def associate() -> None:
        if await calls.associate() != STAGED:
            raise AssertionError(f"{work}: not {STAGED}")

    if work == "associations":
        return lambda: listed(calls.associations)
    if work == "workspaces":
        return lambda: listed(calls.workspaces)
    return associate


async def stream(calls: "Calls") -> dict[str, float]:
    """Go through the long listing, keeping nothing; how much memory that took at its peak, in MB."""
    assert calls.stream is not None
    await calls.associations()
    before, wall, cpu = resident(), time.perf_counter(), time.process_time()
    count = 0
    async for _ in calls.stream():
        count += 1
    assert count == STREAMED_PAGES * PAGE
    return {
        "growth": peak() - before,
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
    }


def resident() -> float:
    """The memory of this process in MB; its peak where the system does not say."""
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123 - pathlib is not part of what is measured
            return int(file.read().split()[1]) * resource.getpagesize() / 1e6
    except OSError:
        return peak()


def peak() -> float:
    """The largest memory this process has had, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


async def once(contender: "Contender", url: str) -> None:
    """One call and out: the cold start."""
    async with contender.connected(url) as calls:
        assert len(await calls.associations()) == PAGE


if __name__ == "__main__":
    _mode, _name, _url = sys.argv[1:]
    _contender: Any = importlib.import_module(f"benchmarks.contenders.{_name}")
    asyncio.run((once if _mode == "once" else serve)(_contender, _url))
