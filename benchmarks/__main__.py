"""`python -m benchmarks`: every contender in rounds that take turns, and the tables that come of it."""

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks import (
    models,
    packages,
    rollout,
    scale,
    simulator,
    start,
    telemetry,
    throttling,
    waiters,
    week,
)
from benchmarks.contenders import NAMES
from benchmarks.tables import put_page

ROOT: Final = Path(__file__).resolve().parent.parent
OUTPUT: Final = ROOT / "docs" / "benchmarks.md"
WORKS: Final = {
    "associations": "DescribeApplicationAssociations, page of 25",
    "workspaces": "DescribeWorkspaces, page of 25",
    "associate": "AssociateWorkspaceApplication",
}
BARS: Final = {
    "raw": {"associations": 0.22, "workspaces": 0.32, "associate": 0.30, "cold": 1.05},
    "capo": {"associations": 0.50, "workspaces": 0.50, "associate": 0.50},
    "floor": {"associations": 0.85, "workspaces": 0.90, "associate": 0.70},
    "floor_validated": {"associations": 1.05, "workspaces": 1.05, "associate": 1.05},
}
"""What ours ÷ the contender must not exceed."""

TREE_HEADING: Final = "Where a call's microseconds go"
"""The section of `benchmarks.call_tree`."""

MEMORY_BAR: Final = 20.0
STALL_BAR: Final = 0.05
FURTHER_BAR: Final = 1.0


@dataclass(slots=True)
class Figures:
    """Measurements: seconds per call, by work and contender, one figure per round."""

    cpu: defaultdict[str, defaultdict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    wall: defaultdict[str, defaultdict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    stream: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    warm_up: list[dict[str, float]] = field(default_factory=list[dict[str, float]])

    def ratios(self, work: str, other: str) -> list[float]:
        """Ours ÷ the other's in each round: what disturbs a round disturbs both."""
        pairs = zip(self.cpu[work]["ours"], self.cpu[work][other], strict=True)
        return [ours / theirs for ours, theirs in pairs]


def environment() -> dict[str, str]:
    """This one, with the sources to be found, compiled once, and no AWS settings of the machine's."""
    left_out = ("AWS_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return kept | {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        # What an installed package has beside it, and a checkout should not be littered with.
        "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "workspaces-apps-benchmarks"),
    }


def command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of this package."""
    return [sys.executable, "-m", f"benchmarks.{module}", *arguments]


def environment_of(name: str) -> dict[str, str]:
    """The one of a contender: that of the earlier commit has its package from its wheel."""
    return packages.today().environment() if name == "before" else environment()


@contextmanager
def process(*line: str, name: str = "ours") -> Generator["subprocess.Popen[str]"]:
    """A process that is talked to line by line and ends when its input does."""
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment_of(name), cwd=ROOT
    ) as running:
        try:
            yield running
        finally:
            assert running.stdin is not None
            running.stdin.close()
            running.wait(30)


def ask(running: "subprocess.Popen[str]", question: str) -> dict[str, float]:
    """Send a line and read the answer."""
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(question + "\n")
    running.stdin.flush()
    answer = running.stdout.readline()
    if not answer:
        raise RuntimeError(f"{running.args!r} has died")
    figures: dict[str, float] = json.loads(answer)
    return figures


def measure_calls(
    figures: Figures, url: str, names: Sequence[str], *, rounds: int, calls: int, tasks: int
) -> None:
    """Fill in the costs per call; the order of the contenders changes from round to round."""
    rng = random.Random(0)
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(process(*command("worker", "serve", name, url), name=name))
            for name in names
        }
        for worker in running.values():
            for work in WORKS:
                ask(worker, f"{work} 50 {tasks}")
        for _ in range(rounds):
            for work in WORKS:
                for name in rng.sample(list(names), len(names)):
                    spent = ask(running[name], f"{work} {calls} {tasks}")
                    figures.cpu[work][name].append(spent["cpu"] / calls)
                    figures.wall[work][name].append(spent["wall"] / calls)


def measure_cold_starts(figures: Figures, url: str, names: Sequence[str], rounds: int) -> None:
    """Fill in the costs of a whole process with one call; the first round is left out."""
    rng = random.Random(0)
    for number in range(rounds + 1):
        for name in rng.sample(list(names), len(names)):
            used, began = _children(), time.perf_counter()
            subprocess.run(
                command("worker", "once", name, url), check=True, env=environment_of(name), cwd=ROOT
            )
            if number:
                figures.wall["cold"][name].append(time.perf_counter() - began)
                figures.cpu["cold"][name].append(_children() - used)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure_streams(figures: Figures, url: str) -> None:
    """Fill in what the long listing takes, each in a process of its own."""
    for name in ("ours", "raw", "capo"):
        with process(*command("worker", "serve", name, url)) as worker:
            figures.stream[name] = ask(worker, "stream 0 0")


def measure_warm_up(figures: Figures, url: str, rounds: int) -> None:
    """Fill in what `warm_up` does to the event loop."""
    for _ in range(rounds):
        found, frozen = (
            subprocess.run(
                command("warm_up", url, *options),
                check=True,
                env=environment(),
                cwd=ROOT,
                stdout=subprocess.PIPE,
            )
            for options in ((), ("freeze",))
        )
        stall = json.loads(frozen.stdout)["further_stall"]
        figures.warm_up.append({**json.loads(found.stdout), "frozen_stall": stall})


def spread(values: Sequence[float]) -> str:
    """The middle half of the values."""
    low, _, high = statistics.quantiles(values, n=4)
    return f"{low:.2f}–{high:.2f}"


def verdict(value: float, bar: float | None) -> str:
    """The bar, and whether it is met."""
    if bar is None:
        return "–"
    return f"≤ {bar:.2f} {'met' if value <= bar else '**missed**'}"


def calls_table(figures: Figures, names: Sequence[str]) -> Iterator[str]:
    """The table of the cost of a call."""
    for work, title in WORKS.items():
        yield f"### {title}"
        yield ""
        yield "| contender | CPU per call | wall per call | ours ÷ it | middle half | bar |"
        yield "|---|---:|---:|---:|---|---|"
        for name in names:
            cpu = statistics.median(figures.cpu[work][name])
            wall = statistics.median(figures.wall[work][name])
            row = f"| {NAMES[name]} | {cpu * 1e6:.0f} µs | {wall * 1e6:.0f} µs |"
            if name == "ours":
                yield f"{row} 1 | | |"
                continue
            ratios = figures.ratios(work, name)
            middle = statistics.median(ratios)
            bar = verdict(middle, BARS.get(name, {}).get(work))
            yield f"{row} {middle:.2f} | {spread(ratios)} | {bar} |"
        yield ""


def cold_table(figures: Figures, names: Sequence[str]) -> Iterator[str]:
    """The table of the cost of the first answer."""
    yield "## Cold start: the whole process to the first answer"
    yield ""
    yield "| contender | wall | CPU | ours ÷ it, wall | middle half | ours ÷ it, CPU | bar |"
    yield "|---|---:|---:|---:|---|---:|---|"
    for name in names:
        wall, cpu = figures.wall["cold"], figures.cpu["cold"]
        row = (
            f"| {NAMES[name]} | {statistics.median(wall[name]) * 1e3:.0f} ms"
            f" | {statistics.median(cpu[name]) * 1e3:.0f} ms |"
        )
        if name == "ours":
            yield f"{row} 1 | | 1 | |"
            continue
        ratios = [ours / theirs for ours, theirs in zip(wall["ours"], wall[name], strict=True)]
        middle = statistics.median(ratios)
        bar = verdict(middle, BARS.get(name, {}).get("cold"))
        of_cpu = statistics.median(figures.ratios("cold", name))
        yield f"{row} {middle:.2f} | {spread(ratios)} | {of_cpu:.2f} | {bar} |"
    yield ""


def other_tables(figures: Figures) -> Iterator[str]:
    """Memory and warm-up."""
    yield "## 100,000 associations, one by one"
    yield ""
    yield "| contender | growth of memory at its peak | wall | CPU | bar |"
    yield "|---|---:|---:|---:|---|"
    for name, found in figures.stream.items():
        bar = "–"
        if name == "ours":
            bar = f"≤ {MEMORY_BAR:.0f} MB {'met' if found['growth'] <= MEMORY_BAR else '**missed**'}"
        yield (
            f"| {NAMES[name]} | {found['growth']:.1f} MB | {found['wall']:.1f} s | {found['cpu']:.1f} s | {bar} |"
        )
    yield ""
    if not figures.warm_up:
        return
    yield "## `warm_up()` of the first client, and further clients"
    yield ""
    yield "| | median | worst | bar |"
    yield "|---|---:|---:|---|"

    def row(what: str, name: str, unit: str, scale: float, bar: float | None) -> str:
        values = [found[name] * scale for found in figures.warm_up]
        middle = statistics.median(values)
        wanted = "–" if bar is None else f"≤ {bar:g} {unit} {'met' if middle <= bar else '**missed**'}"
        return f"| {what} | {middle:.1f} {unit} | {max(values):.1f} {unit} | {wanted} |"

    yield row("warm_up() takes", "took", "ms", 1e3, None)
    yield row("longest stall of the loop meanwhile", "stall", "ms", 1e3, STALL_BAR * 1e3)
    yield row("longest stall in the first call after it", "first_call_stall", "ms", 1e3, STALL_BAR * 1e3)
    further = "longest stall while 20 further clients open and call"
    yield row(f"{further}, with gc.freeze() after warm_up()", "frozen_stall", "ms", 1e3, STALL_BAR * 1e3)
    # Not this package's: with as many objects as botocore and all models are, a full collection takes that long.
    yield row(f"{further}, one full garbage collection included", "further_stall", "ms", 1e3, None)
    yield row("memory per further client, opened and used", "further_megabytes", "MB", 1.0, FURTHER_BAR)
    yield ""


def page(figures: Figures, names: Sequence[str], *, rounds: int, calls: int, tasks: int) -> str:
    """The whole page."""
    distributions = ("aiobotocore", "aiohttp", "boto3", "botocore", "capo-workspaces", "pydantic")
    versions = ", ".join(f"{package} {version(package)}" for package in distributions)
    machine = (
        f"{platform.python_implementation()} {platform.python_version()} on {platform.system()}"
        f" {platform.machine()}, {os.cpu_count()} CPUs, {time.strftime('%Y-%m-%d')}; {versions}."
    )
    how = (
        f"{rounds} rounds of {calls} calls from {tasks} {'task' if tasks == 1 else 'tasks'}. Medians; a ratio is"
        " the median of the rounds' own ratios, and its middle half is that of the rounds. The row *once more*"
        " is raw aiobotocore a second time: how far its cost is from the first's is what the machine adds."
    )
    lines = [
        "# Benchmarks",
        "",
        "Written by `nox -s bench`; how it measures, and what it does not show, is in `benchmarks/README.md`.",
        "",
        machine,
        how,
        "",
        "## One call",
        "",
        *calls_table(figures, names),
    ]
    if "cold" in figures.cpu:
        lines += cold_table(figures, [name for name in names if name in figures.cpu["cold"]])
    if figures.stream:
        lines += other_tables(figures)
    return "\n".join(lines)


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="rounds; every contender has a turn in each")
    parser.add_argument("--calls", type=int, default=200, help="calls of one turn")
    parser.add_argument("--tasks", type=int, default=1, help="tasks that make them")
    parser.add_argument("--only", nargs="+", choices=list(NAMES), default=list(NAMES), help="contenders")
    parser.add_argument("--calls-only", action="store_true", help="leave everything else out")
    parser.add_argument("--seeds", type=int, default=3, help="runs against each throttling service")
    parser.add_argument("--cold-only", action="store_true", help="cold starts and nothing else")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where the tables go; - for nowhere else")
    arguments = parser.parse_args()
    names: list[str] = [name for name in NAMES if name in arguments.only or name == "ours"]
    figures = Figures()
    cold = [name for name in names if name != "raw_again"]
    with process(*command("server")) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        if arguments.cold_only:
            measure_cold_starts(figures, url, cold, arguments.rounds)
            print("\n".join(cold_table(figures, cold)))
            return 0
        measure_calls(
            figures, url, names, rounds=arguments.rounds, calls=arguments.calls, tasks=arguments.tasks
        )
        if not arguments.calls_only:
            measure_cold_starts(figures, url, cold, arguments.rounds)
            measure_streams(figures, url)
            measure_warm_up(figures, url, 5)
    text = page(figures, names, rounds=arguments.rounds, calls=arguments.calls, tasks=arguments.tasks)
    if not arguments.calls_only:
        text += "\n" + "\n".join(throttling.table(throttling.measure(arguments.seeds), arguments.seeds))
    print(text)
    if str(arguments.output) != "-":
        parts = (start, rollout, waiters, scale, models, simulator, telemetry, week)
        put_page(arguments.output, text, kept=[TREE_HEADING, *(part.HEADING for part in parts)])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
