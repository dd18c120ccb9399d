"""`python -m benchmarks.waiters`: what waiting costs, beside the package of an earlier commit.

The calls are counted by the simulator, in simulated time: a thousand waiters begin together, and a deployment takes
480 to 1,200 s. Their share is that of the calls which a loop for each WorkSpace would make that asks for associations
and state and notices as soon (median). CPU and memory are measured without a network: the answers are made once and
handed to the client in its place, so that what is counted is the waiting, the calls and the reading of the answers.
Exits with 1 where a goal is missed.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.code_lines import REPLACED, REPLACING, count
from benchmarks.fleet import percentile
from benchmarks.packages import Json, Package, add_choice, chosen
from benchmarks.tables import Found, Goal, Row, number, put_section, rows_named

HEADING: Final = "Waiters"
LINES: Final = 0.78
FILES: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Waiters to measure, and their goals.

    Attributes:
        applications: For each WorkSpace.
        rate: Of the service's throttle, per second; 0 for none.
        draws: How many seeds: in which part of a round a deployment ends is chance, and the median of a thousand
            scatters by half a second.
        share: Of the loops' calls, in percent, at most.
        latest: Seconds within which every end is noticed; None for no goal.
    """

    applications: int
    rate: float
    draws: int
    share: float
    latest: float | None = None

    @property
    def title(self) -> str:
        """The name in a table."""
        some = "1 application" if self.applications == 1 else f"{self.applications} applications"
        return f"{some}, {f'{self.rate:g} calls a second' if self.rate else 'no throttle'}"


CASES: Final[Mapping[str, Case]] = {
    "1000x1": Case(applications=1, rate=0, draws=5, share=2.5),
    "1000x1-throttled": Case(applications=1, rate=2, draws=5, share=3.5),
    "1000x3": Case(applications=3, rate=0, draws=2, share=5, latest=90),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of a measurement.

    Attributes:
        packages: Of which packages.
        waits: How many waiters; CPU and memory take ten times as many.
        draws: Seeds at most.
    """

    packages: Sequence[Package]
    waits: int = 1000
    draws: int = 5


def measure_case(name: str, options: Options) -> Found:
    """Measure the calls of one case."""
    case = CASES[name]
    figures = {package.name: drawn(case, package, options) for package in options.packages}

    def row(what: str, name: str, goal: float | None = None, form: str = ".0f") -> Row:
        values = {package: number(found, name) for package, found in figures.items()}
        return Row(what=what, values=values, goal=None if goal is None else Goal(most=goal), form=form)

    operations = sorted({key for found in figures.values() for key in found if key.startswith("Describe")})
    for found in figures.values():
        for operation in operations:
            found.setdefault(operation, 0)
    rows = [
        row("share of the loops' calls, %", "share", case.share, ".1f"),
        row("calls", "calls"),
        *(row(f"– {operation}", operation) for operation in operations),
        row("noticed, median, s", "noticed", form=".1f"),
        row("noticed, 95th percentile, s", "noticed_95"),
        row("noticed, latest, s", "latest", case.latest),
        row("requests refused", "refused"),
    ]
    return Found.of(f"{options.waits:,} waiters × {case.title}", rows)


def drawn(case: Case, package: Package, options: Options) -> dict[str, Json]:
    """The figures of all draws together."""
    calls: dict[str, float] = {}
    delays: list[float] = []
    loops = refused = 0.0
    draws = min(case.draws, options.draws)
    for seed in range(draws):
        found = package.run(
            "fleet_waiters",
            {
                "what": "calls",
                "waits": options.waits,
                "applications": case.applications,
                "rate": case.rate,
                "seed": seed,
            },
        )
        by_operation, late = found["by_operation"], found["delays"]
        assert isinstance(by_operation, dict)
        assert isinstance(late, list)
        for name in by_operation:
            calls[name] = calls.get(name, 0.0) + number(by_operation, name) / draws
        delays += [float(delay) for delay in late if isinstance(delay, int | float)]
        loops += number(found, "usual") / draws
        refused += number(found, "refused") / draws
    return {
        **calls,
        "calls": sum(calls.values()),
        "share": 100 * sum(calls.values()) / loops,
        "noticed": median(delays),
        "noticed_95": percentile(delays, 0.95),
        "latest": max(delays),
        "refused": refused,
    }


def measure_work(options: Options) -> Found:
    """Measure CPU and memory."""
    waits = 10 * options.waits
    figures = {
        package.name: package.run("fleet_waiters", {"what": "work", "waits": waits})
        for package in options.packages
    }

    def row(what: str, name: str, form: str = ".0f") -> Row:
        return Row(what=what, values={key: number(found, name) for key, found in figures.items()}, form=form)

    return Found.of(
        f"{waits:,} waiters, for each",
        [
            row("CPU in a round of 30 s, its share of the calls included, µs", "cpu"),
            row("CPU of reading the whole listing as often, µs", "listing"),
            row("calls in a round ÷ pages of the listing", "calls", ".2f"),
            row("memory beside its task, bytes", "memory"),
            row("memory with its task, bytes", "with_task"),
        ],
    )


def measure_size(options: Options) -> Found:
    """Count the code that one observer and one reconciler replace, and the files that an installation enters."""
    files: dict[str, float] = {}
    lines: dict[str, float] = {}
    for package in options.packages:
        files[package.name] = number(package.run("fleet_waiters", {"what": "files"}), "files")
        parts = REPLACED if package.name == "today" else REPLACING
        lines[package.name] = sum(count(package.sources, parts).values())
    rows = [
        Row(
            what="files that a warm `install_applications` enters",
            values=files,
            goal=Goal(most=FILES),
            form=".0f",
        ),
        Row(
            what="lines of code: waiters, roll-out without report, looks, and what replaces them",
            values=lines,
            goal=Goal(most=int(LINES * lines["today"])) if "today" in lines else None,
            form=".0f",
        ),
    ]
    return Found.of("size", rows)


def measure_of(name: str) -> Callable[[Options], Found]:
    """The measurement of a case of `CASES`."""
    return lambda options: measure_case(name, options)


ROWS: Final[Mapping[str, Callable[[Options], Found]]] = {
    **{name: measure_of(name) for name in CASES},
    "work": measure_work,
    "size": measure_size,
}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiters", description=__doc__)
    parser.add_argument(
        "--rows",
        type=rows_named(ROWS),
        default=list(ROWS),
        help=f"with commas, of {', '.join(ROWS)}; all by default",
    )
    add_choice(parser)
    parser.add_argument(
        "--waits", type=int, default=1000, help="waiters; CPU and memory take ten times as many"
    )
    parser.add_argument("--draws", type=int, default=5, help="seeds at most")
    parser.add_argument("--output", type=Path, help=f"a page whose section {HEADING!r} is written anew")
    given = parser.parse_args()
    options = Options(packages=chosen(given), waits=given.waits, draws=given.draws)
    lines, missed = ["Written by `python -m benchmarks.waiters`.", ""], 0
    for name in given.rows:
        found = ROWS[name](options)
        print("\n".join(found.lines), flush=True)
        lines += found.lines
        missed += found.missed
    if given.output is not None:
        put_section(given.output, HEADING, lines)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
