"""`python -m benchmarks.start`: how long the command takes to begin, beside a script, and what importing it takes.

The service is the simulator, in a process of its own. Commands and script take turns, each a process from `exec` to exit;
figures are processor time, medians of the rounds, and ratios the medians of the rounds' own ratios. Exits with 1 where a
goal is missed.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.packages import Package, add_choice, chosen
from benchmarks.tables import Found, Goal, Row, put_section
from workspaces_apps.simulator import Simulator

HEADING: Final = "Start of the command"
DEEPEST: Final = 2
LEAST: Final = 5.0

SCRIPT: Final = """
import asyncio
from aiobotocore.session import get_session

async def main():
    async with get_session().create_client("workspaces") as client:
        token = {}
        while token is not None:
            page = await client.describe_applications(**token)
            for one in page["Applications"]:
                print(one["ApplicationId"], one["Name"])
            token = {"NextToken": page["NextToken"]} if "NextToken" in page else None

asyncio.run(main())
"""
"""The same call by a script with aiobotocore."""

BY_HAND: Final = """
import asyncio
from typing import Annotated

import typer
from aiobotocore.session import get_session
from pydantic import BaseModel, Field
from rich.console import Console
from rich.table import Table

class Application(BaseModel):
    application_id: str = Field(alias="ApplicationId")
    name: str = Field(alias="Name")

class Page(BaseModel):
    applications: list[Application] = Field(alias="Applications")
    next_token: str | None = Field(alias="NextToken", default=None)

async def listed(profile):
    async with get_session().create_client("workspaces") as client:
        token = {}
        while True:
            page = Page.model_validate(await client.describe_applications(**token))
            for one in page.applications:
                yield one
            if page.next_token is None:
                return
            token = {"NextToken": page.next_token}

async def show(profile):
    table = Table("Application", "Name")
    async for one in listed(profile):
        table.add_row(one.application_id, one.name)
    Console().print(table)

app = typer.Typer()

@app.command()
def applications(profile: Annotated[str | None, typer.Option(help="Profile to use.")] = None):
    asyncio.run(show(profile))

app()
"""
"""The same by a small command of one's own: a model of each item, options, and a table."""

COMMAND: Final = "import sys; from workspaces_apps.cli import main; sys.exit(main())"
IMPORTS: Final = "from workspaces_apps import WorkSpacesClient"


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A module that was imported.

    Attributes:
        depth: How many modules were being imported meanwhile.
        name: The module.
        milliseconds: What it took, with what it imported.
    """

    depth: int
    name: str
    milliseconds: float


def environment_for(package: Package, sim: Simulator) -> dict[str, str]:
    """The variables of a process that speaks to the simulator."""
    return package.environment() | {
        "AWS_ACCESS_KEY_ID": sim.credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": sim.credentials.secret_access_key,
        "AWS_REGION": sim.region,
        "AWS_DEFAULT_REGION": sim.region,
        "AWS_ENDPOINT_URL": sim.url,
    }


def processor_time(line: Sequence[str], environment: Mapping[str, str]) -> float:
    """Processor seconds of a process that does its work.

    Raises:
        CalledProcessError: It failed.
    """
    before = os.times()
    subprocess.run(line, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def measure(packages: Sequence[Package], sim: Simulator, rounds: int) -> list[Row]:
    """Measure script and commands."""
    environments = {one.name: environment_for(one, sim) for one in packages}
    lines = {"list": (*_python(COMMAND), "list", "applications"), "help": (*_python(COMMAND), "--help")}
    took: dict[tuple[str, str], list[float]] = {}
    scripts = {"script": SCRIPT, "by hand": BY_HAND}
    bases: dict[str, list[float]] = {name: [] for name in scripts}
    for number in range(rounds + 1):
        found_scripts = {
            name: processor_time(_python(script), next(iter(environments.values())))
            for name, script in scripts.items()
        }
        found = {
            (what, name): processor_time(line, environment)
            for what, line in lines.items()
            for name, environment in environments.items()
        }
        if number:
            # The first one compiles what the others find compiled.
            for name, seconds in found_scripts.items():
                bases[name].append(seconds)
            for key, seconds in found.items():
                took.setdefault(key, []).append(seconds)

    def row(what: str, key: str, form: str, goal: float | None = None, by: str | None = None) -> Row:
        values: dict[str, float] = {}
        for name in environments:
            mine = took[key, name]
            other = [0.001] * len(mine) if by is None else bases.get(by) or took[by, name]
            values[name] = statistics.median(one / base for one, base in zip(mine, other, strict=True))
        return Row(what=what, values=values, goal=None if goal is None else Goal(most=goal), form=form)

    return [
        row("`list applications`, ms", "list", ".0f"),
        row("– ÷ the same call by a script with aiobotocore", "list", ".2f", 1.15, "script"),
        row(
            "– ÷ the same by a command of one's own with pydantic, typer and rich",
            "list",
            ".2f",
            None,
            "by hand",
        ),
        row("`--help`, ms", "help", ".0f"),
        row("– ÷ `list applications`", "help", ".2f", 0.4, "list"),
    ]


def _python(program: str) -> tuple[str, ...]:
    return sys.executable, "-c", program


def imports(package: Package) -> Iterator[Imported]:
    """Import the client in a process of its own, and tell what that took, the outermost modules first."""
    line = (sys.executable, "-X", "importtime", "-c", IMPORTS)
    environment = package.environment()
    # Once for the compiled files.
    subprocess.run(line, env=environment, check=True, capture_output=True)
    done = subprocess.run(line, env=environment, check=True, capture_output=True, text=True)
    found = [
        Imported(depth=len(match[2]) // 2, name=match[3], milliseconds=int(match[1]) / 1000)
        for match in re.finditer(r"^import time:\s+\d+ \|\s+(\d+) \| ( *)(\S+)$", done.stderr, re.MULTILINE)
    ]
    # A module is told after what it has imported.
    yield from reversed(found)


def tree(package: Package) -> list[str]:
    """The modules whose import takes longest, in Markdown."""
    lines = [f"`{IMPORTS}` (`-X importtime`, ms; what takes less than {LEAST:g} is left out):", "", "```text"]
    lines += [
        f"{one.milliseconds:7.1f}  {'  ' * one.depth}{one.name}"
        for one in imports(package)
        if one.depth <= DEEPEST and one.milliseconds >= LEAST
    ]
    return [*lines, "```", ""]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="rounds; each contender has a turn in each")
    parser.add_argument("--page", type=Path, help="the page whose section to write anew; none to print only")
    add_choice(parser)
    asked = parser.parse_args()
    packages = chosen(asked)
    with Simulator.in_thread(workspaces=5) as sim:
        found = Found.of("processor time", measure(packages, sim, asked.rounds))
    lines = [
        f"Written by `python -m benchmarks.start` on {time.strftime('%Y-%m-%d')}; {asked.rounds} rounds. *Today* is the",
        "package of commit 4930816.",
        "",
        *found.lines,
        *tree(packages[-1]),
    ]
    print("\n".join(lines))
    if asked.page is not None:
        put_section(asked.page, HEADING, lines)
    return 1 if found.missed else 0


if __name__ == "__main__":
    sys.exit(main())
