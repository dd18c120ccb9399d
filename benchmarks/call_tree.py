"""`python -m benchmarks.call_tree`: where a warm call's microseconds go, function by function.

A timer of the process's own processor time interrupts it, and the stack at that moment says what it was at; the server is
a process of its own, as for the other figures of a call. What the loop does outside of any call is under `the event loop`.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

from benchmarks.__main__ import TREE_HEADING, command, process
from benchmarks.contenders import ours
from benchmarks.tables import put_section

INTERVAL: Final = 0.001
LEAST: Final = 0.02


@dataclass(slots=True)
class Node:
    """A function below the functions that called it.

    Attributes:
        times: How often it was on the stack.
        below: What it called.
    """

    times: int = 0
    below: "dict[str, Node]" = field(default_factory=dict[str, "Node"])


@contextmanager
def sampled(root: Node) -> Generator[None]:
    """Count the stacks meanwhile; only in the main thread."""

    def look(_: int, frame: FrameType | None) -> None:
        stack: list[str] = []
        while frame is not None:
            code = frame.f_code
            stack.append(f"{code.co_qualname} ({place_of(code.co_filename)})")
            frame = frame.f_back
        stack.reverse()
        first = next((at for at, name in enumerate(stack) if "(workspaces_apps/" in name), None)
        node = root
        node.times += 1
        for name in ["the event loop"] if first is None else stack[first:]:
            node = node.below.setdefault(name, Node())
            node.times += 1

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def place_of(path: str) -> str:
    """The package and module of a file."""
    parts = Path(path).with_suffix("").parts
    for package in ("workspaces_apps", "aiohttp", "aiobotocore", "botocore", "pydantic"):
        if package in parts:
            return "/".join(parts[parts.index(package) :])
    return parts[-1]


def lines_of(node: Node, unit: float, least: float, depth: int = 0) -> Iterator[str]:
    """The tree below a node.

    Args:
        node: The node.
        unit: Microseconds of a call for each sample.
        least: Samples below which a function is left out.
        depth: How deep it is.
    """
    for name, one in sorted(node.below.items(), key=lambda found: -found[1].times):
        if one.times >= least:
            yield f"{one.times * unit:7.0f}  {'  ' * depth}{name}"
            yield from lines_of(one, unit, least, depth + 1)


async def measure(url: str, calls: int) -> list[str]:
    """Make the calls and return the tree in Markdown."""
    async with ours.connected(url) as ways:
        for _ in range(200):
            await ways.associations()
        root = Node()
        began = time.process_time()
        with sampled(root):
            for _ in range(calls):
                await ways.associations()
        spent = time.process_time() - began
    each = spent / calls * 1e6
    return [
        f"Written by `python -m benchmarks.call_tree` on {time.strftime('%Y-%m-%d')}: DescribeApplicationAssociations, page of 25,",
        f"{calls:,} calls, {each:.0f} µs each, the timer included. What takes less than {LEAST:.0%} is left out.",
        "",
        "```text",
        *lines_of(root, each / root.times, LEAST * root.times),
        "```",
    ]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.call_tree", description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000, help="how many calls")
    parser.add_argument("--page", type=Path, help="the page whose section to write anew; none to print only")
    asked = parser.parse_args()
    with process(*command("server")) as server:
        assert server.stdout is not None
        lines = asyncio.run(measure(f"http://127.0.0.1:{server.stdout.readline().strip()}", asked.calls))
    print("\n".join(lines))
    if asked.page is not None:
        put_section(asked.page, TREE_HEADING, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
