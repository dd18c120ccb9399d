"""`python -m benchmarks.scale`: large fleets in one process, beside the package of an earlier commit.

One application everywhere, in simulated time: 2 calls a second of each operation with a burst of 5, every deployment takes
900 s, 300 in flight for each target. The simulator shares process and loop: processor time is the client's share of the
samples, while memory, the longest turn of the loop and the collector's part hold the simulator's as well. The working tree
collects as the command line does, the earlier commit as it did. Exits with 1 where a goal is missed.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import group_commit
from benchmarks.packages import Figures, Package, add_choice, chosen
from benchmarks.tables import Found, Goal, Row, number, put_section, rows_named

HEADING: Final = "Scale"
SMALL: Final = 1000
INTENTS: Final = 10_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """A fleet to roll out over.

    Attributes:
        targets: Accounts.
        each: WorkSpaces of each.
        earlier: Measure the earlier commit as well.
    """

    targets: int
    each: int
    earlier: bool = False

    def run(self, package: Package) -> Figures:
        """Roll out over it."""
        rare = package.name == "now"
        return package.run("fleet_scale", {"targets": self.targets, "each": self.each, "rare": rare})


def rows_of(fleet: Fleet, packages: Sequence[Package]) -> tuple[list[Row], dict[str, Figures]]:
    """Measure a fleet, and return what is shown of every one."""
    figures = {one.name: fleet.run(one) for one in packages if fleet.earlier or one.name == "now"}

    def row(what: str, name: str, form: str, factor: float = 1.0) -> Row:
        values = {one: factor * number(found, name) for one, found in figures.items() if name in found}
        return Row(what=what, values=values, form=form)

    rows = [
        row("client CPU of the apply for each WorkSpace, ms", "cpu", ".1f", 1000),
        row("of all CPU meanwhile in the collector, %", "collected", ".1f", 100),
        row("longest stop of the collector, ms", "longest", ".0f", 1000),
        row("longest turn of the loop, ms", "stall", ".0f", 1000),
        row("client CPU of the plan, s", "plan_cpu", ".1f"),
        row("CPU of the report from the journal, s", "report_cpu", ".1f"),
        row("peak memory, MB", "memory", ".0f"),
        ratio("wall ÷ limit", figures, "wall", "limit"),
    ]
    return rows, figures


def ratio(what: str, figures: Mapping[str, Figures], name: str, by: str, most: float | None = None) -> Row:
    """One figure of a package by another."""
    values = {one: number(found, name) / number(found, by) for one, found in figures.items()}
    return Row(what=what, values=values, goal=None if most is None else Goal(most=most), form=".3f")


def bounded(rows: Sequence[Row], goals: Mapping[str, float]) -> list[Row]:
    """Give rows their goals, by what they are."""
    return [
        Row(what=row.what, values=row.values, goal=Goal(most=goals[row.what]), form=row.form)
        if row.what in goals
        else row
        for row in rows
    ]


def measure_8000(packages: Sequence[Package]) -> Found:
    """Measure the fleet that both packages apply to."""
    rows, figures = rows_of(Fleet(targets=1, each=8000, earlier=True), packages)
    if "today" in figures and "now" in figures:
        share = number(figures["now"], "cpu") / number(figures["today"], "cpu")
        rows.insert(1, Row(what="– ÷ today's", values={"now": share}, goal=Goal(most=0.5), form=".2f"))
    return Found.of("one target × 8,000", bounded(rows, {"longest turn of the loop, ms": 150}))


def measure_50000(packages: Sequence[Package]) -> Found:
    """Measure if what a WorkSpace costs grows with their number."""
    small = {one.name: Fleet(targets=1, each=SMALL).run(one) for one in packages if one.name == "now"}
    rows, figures = rows_of(Fleet(targets=1, each=50_000), packages)
    if "now" in figures:
        growth = number(figures["now"], "cpu") / number(small["now"], "cpu")
        goal = Goal(most=1.05)
        rows.insert(1, Row(what=f"– ÷ that at {SMALL:,}", values={"now": growth}, goal=goal, form=".2f"))
    return Found.of("one target × 50,000", bounded(rows, {"wall ÷ limit": 1.02}))


def measure_100000(packages: Sequence[Package]) -> Found:
    """Measure the largest fleet."""
    rows, _ = rows_of(Fleet(targets=1, each=100_000), packages)
    goals = {
        "client CPU of the plan, s": 12.0,
        "CPU of the report from the journal, s": 25.0,
        "peak memory, MB": 700.0,
    }
    return Found.of("one target × 100,000", bounded(rows, goals))


def measure_300x200(packages: Sequence[Package]) -> Found:
    """Measure many targets in one process."""
    rows, _ = rows_of(Fleet(targets=300, each=200), packages)
    goals = {"client CPU of the apply for each WorkSpace, ms": 2.2}
    return Found.of("300 targets × 200", bounded(rows, goals))


def measure_intents(_: Sequence[Package]) -> Found:
    """Measure the group commit of a journal."""
    rate, _cpu = asyncio.run(group_commit.measure(300, 50, 0.001))
    took = Row(
        what=f"seconds for {INTENTS:,.0f} durable intents of 300 targets at 1 ms per sync",
        values={"now": INTENTS / rate},
        goal=Goal(most=1.0),
        form=".2f",
    )
    return Found.of("journal", [took])


ROWS: Final[Mapping[str, Callable[[Sequence[Package]], Found]]] = {
    "8000": measure_8000,
    "50000": measure_50000,
    "100000": measure_100000,
    "300x200": measure_300x200,
    "intents": measure_intents,
}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rows", type=rows_named(ROWS), default=list(ROWS), help=f"of {', '.join(ROWS)}, with commas"
    )
    parser.add_argument("--page", type=Path, help="the page whose section to write anew; none to print only")
    add_choice(parser)
    asked = parser.parse_args()
    packages = chosen(asked)
    lines = [
        "Written by `python -m benchmarks.scale`: one application everywhere, in simulated time, the simulator in the same",
        "process and on the same loop. *Today* is the package of commit 4930816.",
        "",
    ]
    missed = 0
    for name in asked.rows:
        found = ROWS[name](packages)
        missed += found.missed
        lines += found.lines
        print("\n".join(found.lines), flush=True)
    if asked.page is not None:
        put_section(asked.page, HEADING, lines)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
