"""Blocks of a page, and a simulated fleet in whose time the commands and programs of a page run."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest

from tests.cli.fleet import environment
from workspaces_apps import SystemClock
from workspaces_apps.cli._simulate import variables
from workspaces_apps.simulator import ManualClock, Simulator

ROOT: Final = Path(__file__).parent.parent.parent
BLOCK: Final = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block of code.

    Attributes:
        language: What follows the backticks.
        title: The name of the file that it is.
        code: What is in it.
    """

    language: str
    title: str | None
    code: str


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page, in order."""
    text = (ROOT / page).read_text("utf-8")
    return [Block(language=one[1], title=one[2], code=one[3]) for one in BLOCK.finditer(text)]


@contextmanager
def fleet(monkeypatch: pytest.MonkeyPatch, *, workspaces: int = 20) -> Generator[Simulator]:
    """Start what `simulate --workspaces 20 --env` starts, in simulated time: the clock jumps for clients of this process.

    The programs of a page are to run as they stand, so that they cannot be given a clock: the system's is the fleet's.
    """
    clock = ManualClock(autojump=True)

    def now(self: SystemClock) -> datetime:
        del self
        return clock.now()

    def monotonic(self: SystemClock) -> float:
        del self
        return clock.monotonic()

    async def sleep(self: SystemClock, seconds: float, /) -> None:
        del self
        await clock.sleep(seconds)

    with Simulator.in_thread(workspaces=workspaces, clock=clock) as sim:
        # What `--env` sets, STS among it; nothing of this machine's own.
        for name, value in {**environment(sim), **variables(sim.describe())}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(SystemClock, "now", now)
        monkeypatch.setattr(SystemClock, "monotonic", monotonic)
        monkeypatch.setattr(SystemClock, "sleep", sleep)
        yield sim


def run_program(code: str) -> None:
    """Run a program that ends in `asyncio.run(main())`, as it stands."""
    assert "asyncio.run(main())" in code
    exec(compile(code, "page", "exec"), {"__name__": "__main__"})


def fits(shown: str, page: str) -> bool:
    """Tell whether what a command printed is what the page shows, where `…` stands for anything within a line.

    A line of nothing but `…` stands for any number of lines. Runs of blanks count as one.
    """
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "…" else f"{line_pattern(line)}\n"
        for line in page.strip().splitlines()
    )
    plain = "".join(" ".join(line.split()) + "\n" for line in shown.strip().splitlines())
    return re.fullmatch(pattern, plain) is not None


def line_pattern(line: str) -> str:
    """Return the pattern of one line."""
    return ".*".join(re.escape(part) for part in " ".join(line.split()).split("…"))
