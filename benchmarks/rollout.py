"""`python -m benchmarks.rollout`: what a roll-out costs, beside the package of an earlier commit.

Everything runs against the simulator in simulated time, so that the calls, the throttles and the simulated hours are
what is measured; each figure comes from a process of its own (`fleet_rollout`). *Noticed* is from the end of a
deployment (the WorkSpace is back, and its associations have changed for the last time) to its last `Succeeded`. *Wall* is
that of the apply, and its *limit* what nobody can beat: every write as soon as the throttle lets it, every end noticed
at once. Fixed deployments take 900 s, spread ones 480 to 1,200 s. Exits with 1 where a goal is missed.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.false_states import VARIANTS
from benchmarks.fleet import FIXED, SPREAD
from benchmarks.packages import Json, Package, add_choice, chosen
from benchmarks.rollout_by_hand import by_hand
from benchmarks.rollout_plan import measure_plan
from benchmarks.tables import Found, Goal, Row, number, put_section, rows_named

HEADING: Final = "Roll-outs"
DURATIONS: Final = {"fixed": FIXED, "spread": SPREAD}
SHARED: Final = 1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A roll-out to measure, and its goals.

    Attributes:
        workspaces: The fleet.
        applications: For each WorkSpace.
        in_flight: At most at a time; None: all.
        calls: Per WorkSpace at most, with fixed and with spread deployments.
        noticed: Seconds at most, median and 95th percentile; None where there is no goal.
        wall: What the time of the apply may be at most, as a multiple of its limit.
    """

    workspaces: int
    applications: int
    in_flight: int | None
    calls: tuple[float, float]
    noticed: tuple[float | None, float | None]
    wall: float | None = None


CASES: Final[Mapping[str, Case]] = {
    "1000x1": Case(workspaces=1000, applications=1, in_flight=100, calls=(4.1, 4.9), noticed=(25, 45)),
    "1000x1-all": Case(
        workspaces=1000, applications=1, in_flight=None, calls=(4.1, 4.4), noticed=(30, None), wall=1.02
    ),
    "1000x3": Case(workspaces=1000, applications=3, in_flight=100, calls=(6.7, 7.1), noticed=(30, 50)),
    "1000x3-all": Case(workspaces=1000, applications=3, in_flight=None, calls=(6.7, 7.1), noticed=(30, 50)),
    "10000x1": Case(
        workspaces=10_000, applications=1, in_flight=300, calls=(4.5, 4.9), noticed=(30, 50), wall=1.06
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of a measurement.

    Attributes:
        packages: Of which packages.
        seeds: How many draws a figure is the median of.
        scale: What the fleets and their places in flight are multiplied by, for a quick look.
        durations: Which of `DURATIONS` deployments have.
    """

    packages: Sequence[Package]
    seeds: int = 1
    scale: float = 1.0
    durations: Sequence[str] = tuple(DURATIONS)

    def scaled(self, count: int) -> int:
        """A size, as it is measured."""
        return max(1, round(count * self.scale))


def measure_case(name: str, options: Options) -> Found:
    """Measure a roll-out with fixed and with spread deployments."""
    case = CASES[name]
    workspaces = options.scaled(case.workspaces)
    in_flight = workspaces if case.in_flight is None else options.scaled(case.in_flight)
    rows: list[Row] = []
    for index, (kind, (low, high)) in enumerate(DURATIONS.items()):
        if kind not in options.durations:
            continue
        asked: dict[str, Json] = {
            "workspaces": workspaces,
            "applications": case.applications,
            "in_flight": in_flight,
            "low": low,
            "high": high,
        }
        draws = {
            package.name: [
                package.run("fleet_rollout", {**asked, "seed": seed}) for seed in range(options.seeds)
            ]
            for package in options.packages
        }
        rows += rows_of(case, index, kind, draws)
    places = "all" if case.in_flight is None else f"{in_flight:,}"
    return Found.of(
        f"{workspaces:,} × {case.applications} application{'s'[: case.applications - 1]}, {places} in flight",
        rows,
    )


def rows_of(
    case: Case, index: int, kind: str, draws: Mapping[str, Sequence[Mapping[str, Json]]]
) -> list[Row]:
    """The figures of one duration, each the median of its draws.

    Args:
        case: What was measured.
        index: Which of the goals for calls holds.
        kind: What to call the duration.
        draws: By package, what the script answered.
    """

    def row(what: str, figure: Callable[[Mapping[str, Json]], float], goal: float | None, form: str) -> Row:
        values = {name: statistics.median(map(figure, drawn)) for name, drawn in draws.items()}
        return Row(what=f"{kind}: {what}", values=values, goal=goal_of(goal), form=form)

    def of(name: str) -> Callable[[Mapping[str, Json]], float]:
        return lambda figures: number(figures, name)

    rows = [row("calls per WorkSpace, the plan's included", of("calls"), case.calls[index], ".2f")]
    operations = sorted({name for drawn in draws.values() for figures in drawn for name in split(figures)})
    rows += [row(f"– {name}", share_of(name), None, ".2f") for name in operations]
    rows += [
        row("noticed, median, s", of("noticed"), case.noticed[0], ".0f"),
        row("noticed, 95th percentile, s", of("noticed_95"), case.noticed[1], ".0f"),
        row("noticed, latest, s", of("noticed_latest"), None, ".0f"),
        row("wall ÷ limit", lambda found: number(found, "wall") / number(found, "limit"), case.wall, ".3f"),
        row("throttled, % of the requests", lambda found: 100 * number(found, "throttled"), None, ".1f"),
        row("processor time of the client, s", of("cpu"), None, ".1f"),
    ]
    if case.applications > 1:
        # An application may end before its WorkSpace is back: what tells so at once has the smaller figures here.
        rows += [
            row("after the association's own end, median, s", of("own"), None, ".0f"),
            row("after the association's own end, 95th percentile, s", of("own_95"), None, ".0f"),
        ]
    return rows


def share_of(operation: str) -> Callable[[Mapping[str, Json]], float]:
    """The figure that tells the calls of one operation."""
    return lambda figures: split(figures).get(operation, 0.0)


def goal_of(most: float | None) -> Goal | None:
    """A goal, where there is one."""
    return None if most is None else Goal(most=most)


def split(figures: Mapping[str, Json]) -> dict[str, float]:
    """Calls per WorkSpace by operation."""
    found = figures["by_operation"]
    assert isinstance(found, dict)
    return {name: number(found, name) for name in found}


def measure_two_pollers(options: Options) -> Found:
    """Count the describing calls where a wait and an apply follow the same deployments in one client."""
    calls: dict[str, dict[str, float]] = {}
    for ways in (["wait"], ["apply"], ["wait", "apply"]):
        calls[" and ".join(ways)] = {
            package.name: number(package.run("fleet_rollout", {"ways": [*ways]}), "calls")
            for package in options.packages
        }
    both = {
        name: value / max(calls["wait"][name], calls["apply"][name])
        for name, value in calls["wait and apply"].items()
    }
    rows = [
        Row(what=f"describing calls by {ways}", values=values, form=".0f") for ways, values in calls.items()
    ]
    rows.append(Row(what="both ÷ the larger", values=both, goal=Goal(most=SHARED), form=".2f"))
    return Found.of("100 deployments, no throttle", rows)


def measure_hints(options: Options) -> Found:
    """Measure with WorkSpace states that are wrong: what a client concludes from them must not cost a second Deploy."""
    workspaces, rows = options.scaled(300), list[Row]()
    for variant in VARIANTS:
        asked: dict[str, Json] = {
            "workspaces": workspaces,
            "in_flight": options.scaled(100),
            "variant": variant,
        }
        found = {package.name: package.run("fleet_rollout", asked) for package in options.packages}
        calls = {name: number(figures, "calls") for name, figures in found.items()}
        noticed = {name: number(figures, "noticed") for name, figures in found.items()}
        not_once = {name: number(figures, "not_once") for name, figures in found.items()}
        given_up = {name: number(figures, "given_up") for name, figures in found.items()}
        rows += [
            Row(
                what=f"{variant}: calls per WorkSpace",
                values=calls,
                goal=Goal(most=round(SHARED * calls["today"], 2)) if "today" in calls else None,
                form=".2f",
            ),
            Row(
                what="– WorkSpaces not deployed exactly once", values=not_once, goal=Goal(most=0), form=".0f"
            ),
            Row(what="– given up, deployed or not", values=given_up, form=".0f"),
            Row(what="– noticed after the associations' end, median, s", values=noticed, form=".0f"),
        ]
    return Found.of(f"{workspaces:,} × 1 application, fixed, where states are wrong", rows)


def measure_plans(options: Options) -> Found:
    """Measure the plan of a large fleet."""
    workspaces = options.scaled(10_000)
    return Found.of(
        f"plan of {workspaces:,} × 3 applications", measure_plan(list(options.packages), workspaces)
    )


def measure_by_hand(options: Options) -> Found:
    """Measure the scripts beside the working tree's apply."""
    workspaces = options.scaled(1000)
    asked: dict[str, Json] = {"workspaces": workspaces, "in_flight": workspaces}
    package = options.packages[-1]
    ours = package.run("fleet_rollout", asked)
    unthrottled = package.run("fleet_rollout", {**asked, "rate": 0})
    return Found(by_hand(ours, unthrottled, workspaces, options.scaled(200)))


def measure_of(name: str) -> Callable[[Options], Found]:
    """The measurement of a roll-out of `CASES`."""
    return lambda options: measure_case(name, options)


ROWS: Final[Mapping[str, Callable[[Options], Found]]] = {
    "reconcile": measure_two_pollers,
    **{name: measure_of(name) for name in CASES},
    "hints": measure_hints,
    "plan": measure_plans,
    "by-hand": measure_by_hand,
}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollout", description=__doc__)
    parser.add_argument(
        "--rows",
        type=rows_named(ROWS),
        default=list(ROWS),
        help=f"with commas, of {', '.join(ROWS)}; all by default",
    )
    parser.add_argument(
        "--durations",
        type=rows_named(DURATIONS),
        default=list(DURATIONS),
        help="fixed or spread; both by default",
    )
    add_choice(parser)
    parser.add_argument("--seeds", type=int, default=1, help="draws; a figure is their median")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the fleets, for a quick look")
    parser.add_argument("--output", type=Path, help=f"a page whose section {HEADING!r} is written anew")
    given = parser.parse_args()
    options = Options(packages=chosen(given), seeds=given.seeds, scale=given.scale, durations=given.durations)
    lines, missed = (
        [f"Written by `python -m benchmarks.rollout`; {given.seeds} draw{'s'[: given.seeds - 1]}.", ""],
        0,
    )
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
