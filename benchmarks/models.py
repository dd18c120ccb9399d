"""`python -m benchmarks.models`: imports, models and type checkers, beside the package of an earlier commit.

Both packages take turns, in fresh processes for the import and the checkers, in short turns of two processes for models; a
figure is the median of the turns, and a ratio that of the turns' own ratios. Exits with 1 where a goal is missed.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.packages import ROOT, Package, now, today
from benchmarks.tables import number, put_section, rows_named

HEADING: Final = "Models and types"
NOISE: Final = "today, once more"
TURNS: Final = 10

Rounds = Mapping[str, Mapping[str, Sequence[float]]]
"""Figures by what was measured and package, one for each round."""

USER: Final = '''
"""Code that uses the package."""

from workspaces_apps import ClientConfig, RetryPolicy, WorkSpacesClient
from workspaces_apps.api import DescribeApplicationsRequest, Workspace


async def use() -> list[Workspace]:
    """Make some calls."""
    async with WorkSpacesClient(config=ClientConfig(retry=RetryPolicy(max_attempts=2))) as ws:
        page = await ws.execute(DescribeApplicationsRequest(owner="AMAZON"))
        print(page.applications[0].name, page.meta.request_id)
        await ws.wait_until_deployed("ws-0123456789")
        return [one async for one in ws.describe_workspaces(limit=25)]
'''
SETTINGS: Final = '{"typeCheckingMode": "strict", "pythonVersion": "3.11"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One row.

    Attributes:
        what: For the table.
        scale: By what seconds are multiplied.
        unit: Of the scaled figure.
        goal: The most that the ratio of now to today may be.
    """

    what: str
    scale: float
    unit: str
    goal: float


MODELS: Final[Mapping[str, Measured]] = {
    "import": Measured(what="`import workspaces_apps`", scale=1e3, unit="ms", goal=1.1),
    "workspaces": Measured(what="DescribeWorkspaces × 25, validated", scale=1e6, unit="µs", goal=1.0),
    "associations": Measured(what="associations × 25, validated", scale=1e6, unit="µs", goal=1.0),
    "one id": Measured(what="request: associate an application", scale=1e6, unit="µs", goal=1.0),
    "enums": Measured(what="request: a list of enums as strings", scale=1e6, unit="µs", goal=1.0),
    "25 ids": Measured(what="request: 25 ids", scale=1e6, unit="µs", goal=1.0),
    "nested": Measured(what="request: nested structures", scale=1e6, unit="µs", goal=1.0),
}
CHECKERS: Final[Mapping[str, Measured]] = {
    "mypy": Measured(what="mypy, strict, without a cache", scale=1.0, unit="s", goal=1.0),
    "pyright": Measured(what="pyright, strict", scale=1.0, unit="s", goal=1.0),
}
ROWS: Final = ("models", "checkers")


def packages() -> dict[str, Package]:
    """The packages of a round, in their order."""
    return {"today": today(), "now": now(), NOISE: today()}


def measure_models(rounds: int) -> Rounds:
    """Measure the import and the models."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for name, package in in_turns(rounds):
        found["import"][name].append(number(package.run("models_cost", {}), "import"))
    with ExitStack() as stack:
        running = {name: stack.enter_context(process(package)) for name, package in packages().items()}
        for what in list(MODELS)[1:]:
            # Many short turns: what disturbs the machine for longer than one disturbs all packages alike.
            for name, _ in in_turns(TURNS * rounds):
                found[what][name].append(ask(running[name], what))
    return found


@contextmanager
def process(package: Package) -> Generator["subprocess.Popen[str]"]:
    """A process with a package, that is asked line by line and ends when its input does."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.models_cost"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=package.environment(),
        cwd=ROOT,
    ) as running:
        assert running.stdout is not None
        imported = json.loads(running.stdout.readline())["package"]
        if Path(imported).resolve() != package.sources.resolve():
            raise RuntimeError(f"{imported} was imported instead of {package.sources}")
        yield running
        assert running.stdin is not None
        running.stdin.close()


def ask(running: "subprocess.Popen[str]", what: str) -> float:
    """Return the seconds of CPU that one takes."""
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(f"{what}\n")
    running.stdin.flush()
    return float(running.stdout.readline())


def measure_checkers(rounds: int) -> Rounds:
    """Measure the type checkers over a file that uses the package."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory(prefix="workspaces-apps-") as folder:
        Path(folder, "user.py").write_text(USER, encoding="utf-8")
        Path(folder, "pyrightconfig.json").write_text(SETTINGS, encoding="utf-8")
        commands = {
            "mypy": ["mypy", "--strict", f"--cache-dir={os.devnull}", "user.py"],
            "pyright": ["pyright", "--pythonpath", sys.executable, "user.py"],
        }
        for name, package in in_turns(rounds):
            # Nothing but the package on the path: checkers take what is there for installed.
            variables = package.environment() | {
                "PYTHONPATH": str(package.folder),
                "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
            }
            for what, command in commands.items():
                began = cpu_of_children()
                subprocess.run(
                    [sys.executable, "-m", *command],
                    cwd=folder,
                    env=variables,
                    check=True,
                    stdout=subprocess.PIPE,
                )
                found[what][name].append(cpu_of_children() - began)
    return found


def in_turns(rounds: int) -> list[tuple[str, Package]]:
    """The packages, round after round, in another order every time; the first round is there to warm caches."""
    order = list(packages().items())
    return [
        order[(place + number) % len(order)] for number in range(rounds + 1) for place in range(len(order))
    ]


def cpu_of_children() -> float:
    """The CPU time of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(title: str, measured: Mapping[str, Measured], rounds: Rounds) -> tuple[list[str], int]:
    """Write the rows, and count the goals that are missed."""
    lines = [
        f"| {title}, CPU | today | now | now ÷ today | today ÷ itself | goal |",
        "|---|---:|---:|---:|---:|---|",
    ]
    missed = 0
    for name, row in measured.items():
        figures = {package: values[1:] for package, values in rounds[name].items()}
        ratio, noise = (
            median(one / other for one, other in zip(figures[package], figures["today"], strict=True))
            for package in ("now", NOISE)
        )
        met = ratio <= row.goal
        missed += not met
        cells = [f"{median(figures[package]) * row.scale:.1f} {row.unit}" for package in ("today", "now")]
        lines.append(
            f"| {row.what} | {' | '.join(cells)} | {ratio:.2f} | {noise:.2f} "
            f"| ≤ {row.goal:.1f} {'met' if met else '**missed**'} |"
        )
    return [*lines, ""], missed


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=__doc__)
    parser.add_argument("--rows", type=rows_named(ROWS), default=list(ROWS), help=f"of {', '.join(ROWS)}")
    parser.add_argument("--rounds", type=int, default=15, help="for the models")
    parser.add_argument("--checks", type=int, default=3, help="rounds of the type checkers")
    parser.add_argument("--output", type=Path, help=f"a page whose section {HEADING!r} is written anew")
    given = parser.parse_args()
    lines, missed = ["Written by `python -m benchmarks.models`.", ""], 0
    for name in given.rows:
        if name == "models":
            found, more = table("models", MODELS, measure_models(given.rounds))
        else:
            found, more = table("type checkers", CHECKERS, measure_checkers(given.checks))
        print("\n".join(found), flush=True)
        lines += found
        missed += more
    if given.output is not None:
        put_section(given.output, HEADING, lines)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
