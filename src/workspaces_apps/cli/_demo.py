"""`workspaces-apps demo`: a roll-out over 300 simulated WorkSpaces, or a few state by state, over real HTTP.

Some WorkSpaces cannot have the applications, and some deployments fail. The first apply says so, the second one tries
again what failed; in the end everything that can be is COMPLETED.
"""

from __future__ import annotations

import asyncio
import io
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from workspaces_apps.cli._connection import run as run_loop
from workspaces_apps.cli._console import ExitCode, UsageError, is_live, out, print_output
from workspaces_apps.cli._live import Deployments, following, short_duration, table
from workspaces_apps.cli._options import DebugOption, SeedOption

if TYPE_CHECKING:
    from rich.console import Console

    from workspaces_apps._client.client import WorkSpacesClient
    from workspaces_apps._waiters import AssociationChange
    from workspaces_apps.cli._live import CallCounter
    from workspaces_apps.cli._progress import Board
    from workspaces_apps.rollout import Event, Plan, Rollout
    from workspaces_apps.simulator import Simulator, SimulatorClock


NAMES: Final = ("Microsoft Office LTSC Professional Plus 2021", "Microsoft Visio LTSC Professional 2021")
"""The applications that are rolled out: of one edition and one version, as Office and Visio must be on one WorkSpace. [doc]"""

MANIFEST: Final = """\
name = "Office 2021"

[[rules]]
select = {{ everything = true }}
present = ["{first}", "{second}"]

[policy]
{waves}max_in_flight = 300
failure_budget = "20%"
retries = {retries}
"""

REASONS: Final = (
    ("DeploymentError.WorkspaceUnreachable", "The WorkSpace did not answer."),
    ("DeploymentError.InternalServerError", "Internal server error."),
    ("ValidationError.InsufficientDiskSpace", "There is not enough room on the root volume."),
)
"""Reasons for deployments to fail, with the words for each."""

FAILING: Final = 20
"""One WorkSpace of so many fails at first."""

QUICK_SCALE: Final = 300.0
"""The speed of the simulator's clock, as a multiple of time's, where a reader follows each state."""

WAVES: Final = 'canary = "5%"\ngrowth = 4\n'

PICTURE_WIDTH: Final = 110

_FONT_FACE: Final = re.compile(r"@font-face \{[^}]*\}\s*")
"""The address that a picture of rich's would fetch its font from."""


def register_demo(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    workspaces: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, help="On how many WorkSpaces. [300; 8 with --quick]", show_default=False
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="No roll-out: a few WorkSpaces, state by state.")
    ] = False,
    seed: SeedOption = 0,
    folder: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where manifest, journal and report go; a new temporary folder if left out.",
            show_default=False,
            file_okay=False,
        ),
    ] = None,
    svg: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a picture of the run to this file.", show_default=False),
    ] = None,
    debug: DebugOption = False,
) -> int:
    """Roll two applications out over 300 simulated WorkSpaces.

    It takes some seconds and needs no AWS account. Plan, apply, apply again what failed, and a report. Each WorkSpace that can have the applications ends with both of
    them COMPLETED.
    """
    del debug
    # Imported only now: it brings aiohttp, which --help does not need.
    from workspaces_apps.simulator import ManualClock, ScaledClock

    if quick:
        if folder is not None or svg is not None:
            raise UsageError("--quick writes no files")
        return run_loop(install_everywhere(workspaces or 8, seed, ScaledClock(QUICK_SCALE)))
    where = folder or Path(tempfile.mkdtemp(prefix="workspaces-apps-demo-"))
    where.mkdir(parents=True, exist_ok=True)
    if any(where.iterdir()):
        raise UsageError(f"{where} is not empty: the demo goes on with no roll-out but its own")
    if svg is None:
        show = Demonstration(out(), where, live)
        return run_loop(show.run(workspaces or 300, seed, ManualClock(autojump=True)))
    console = picture()
    code = run_loop(
        Demonstration(console, where, posing).run(workspaces or 300, seed, ManualClock(autojump=True))
    )
    save_picture(console, svg)
    return code


@dataclass(frozen=True, slots=True)
class Demonstration:
    """The roll-out, told step by step.

    Attributes:
        console: Where it is told.
        folder: Where its files go.
        following: What shows an apply while it runs.
    """

    console: Console
    folder: Path
    following: Callable[[Console, Board, CallCounter], Generator[Callable[[Event], None]]]

    async def run(self, count: int, seed: int, clock: SimulatorClock) -> ExitCode:
        """Start a simulator, roll out, and look whether the service says the same in the end.

        Args:
            count: How many WorkSpaces there are.
            seed: That of the fleet.
            clock: The simulator's and the client's.
        """
        from workspaces_apps.cli._live import CallCounter
        from workspaces_apps.rollout import Rollout

        began = time.monotonic()
        say = partial(self.console.print, soft_wrap=not self.console.is_terminal)
        manifest, report = self.folder / "fleet.toml", self.folder / "report.html"
        async with simulated(count, seed, clock) as (sim, ws):
            say(f"A simulator listens on {sim.url}, with {count} WorkSpaces: {systems(sim)}.")
            say("Its clock jumps ahead whenever everybody waits.\n")
            traffic = CallCounter(clock.monotonic)
            rollout = Rollout(ws, hooks=traffic.hooks, clock=clock)
            self.write_manifest(manifest, WAVES, retries=0)
            plan = await self.plan(rollout, manifest)
            break_some(sim, plan, seed)
            if await self.apply(rollout, plan, clock, traffic) == "incomplete":
                say("\nAfter fixing the cause, allow another try, in one wave: retries = 1.\n")
                sim.faults.clear()
                self.write_manifest(manifest, "", retries=1)
                await self.apply(rollout, await self.plan(rollout, manifest), clock, traffic)
            wanted = {
                (workspace.workspace_id, change.application_id)
                for workspace in plan.workspaces
                for change in workspace.changes
                if change.action != "blocked"
            }
            completed = await count_completed(ws, wanted)
            desktops = len({workspace_id for workspace_id, _ in wanted})
            say(
                f"\n{completed} of {len(wanted)} associations are COMPLETED on {desktops} WorkSpaces.",
                style="bold",
            )
            say(f"On {count - desktops} WorkSpaces they cannot be; blocked associations: {blocked(plan)}.")
            say(f"All of it in {time.monotonic() - began:.1f} s and {sim.requests.count():,} requests.")
        await self.write_report(report)
        say(f"Report: {report}")
        return ExitCode.DONE if completed == len(wanted) else ExitCode.FAILED

    async def plan(self, rollout: Rollout, manifest: Path) -> Plan:
        """Do what `workspaces-apps plan` does."""
        from workspaces_apps.cli._screens import show_plan
        from workspaces_apps.rollout import Manifest

        self.prompt(f"plan {manifest.name}")
        plan = await rollout.plan(Manifest.load(manifest), journal=self.journal)
        show_plan(self.console, plan)
        return plan

    async def apply(
        self, rollout: Rollout, plan: Plan, clock: SimulatorClock, traffic: CallCounter
    ) -> str | None:
        """Do what `workspaces-apps apply` does, in the simulator's time; return how it ended."""
        from workspaces_apps.cli._apply import follow
        from workspaces_apps.cli._progress import Board
        from workspaces_apps.cli._screens import show_end

        self.console.print()
        self.prompt("apply fleet.toml --yes")
        board = Board(plan, clock.now)
        traffic.begin()
        async with rollout.apply(plan, journal=self.journal) as events:
            with contextmanager(self.following)(self.console, board, traffic) as tell:
                await follow(events, tell)
        show_end(self.console, board)
        return board.result.ending if board.result is not None else None

    @property
    def journal(self) -> Path:
        """Return the path that the command would write to, by the manifest's name."""
        return self.folder / "Office-2021.journal"

    def prompt(self, command: str) -> None:
        """Show the command that would do the same."""
        self.console.print(f"$ workspaces-apps {command}", style="bold cyan", soft_wrap=True)

    def write_manifest(self, path: Path, waves: str, *, retries: int) -> None:
        """Write what is wanted."""
        first, second = NAMES
        path.write_text(
            MANIFEST.format(first=first, second=second, waves=waves, retries=retries), encoding="utf-8"
        )

    async def write_report(self, path: Path) -> None:
        """Write what came of it."""
        from workspaces_apps.cli._reports import write_report

        await write_report(path, self.journal, ())


def live(console: Console, board: Board, traffic: CallCounter) -> Generator[Callable[[Event], None]]:
    """Show an apply as the command does."""
    from workspaces_apps.cli._progress import showing

    with showing(console, board, traffic) as tell:
        yield tell


def posing(console: Console, board: Board, traffic: CallCounter) -> Generator[Callable[[Event], None]]:
    """Show an apply as it stands when half of it is done: a picture does not move."""
    from workspaces_apps.cli._progress import panel

    shown = False

    def tell(event: Event) -> None:
        nonlocal shown
        board.apply(event)
        if not shown and 2 * board.done >= board.total:
            shown = True
            console.print(panel(board, traffic, console.width), "")

    yield tell


def break_some(sim: Simulator, plan: Plan, seed: int) -> None:
    """Let the deployments of some WorkSpaces fail."""
    able = [workspace.workspace_id for workspace in plan.pending]
    for number, workspace_id in enumerate(random.Random(seed).sample(able, len(able) // FAILING)):
        reason, message = REASONS[number % len(REASONS)]
        sim.faults.add("deployment_error", workspace_id=workspace_id, reason=reason, message=message)


def blocked(plan: Plan) -> str:
    """Describe the reasons for which WorkSpaces cannot have an application."""
    found = Counter(
        change.reason for one in plan.workspaces for change in one.changes if change.action == "blocked"
    )
    return ", ".join(f"{reason} {number}" for reason, number in found.most_common()) or "none"


def systems(sim: Simulator) -> str:
    """Count the WorkSpaces by operating system, in words."""
    found = Counter(sim.fleet.workspace(one).operating_system.partition("_")[0].title() for one in sim.fleet)
    return ", ".join(f"{number} {system}" for system, number in found.most_common())


async def count_completed(ws: WorkSpacesClient, wanted: Collection[tuple[str, str]]) -> int:
    """Count those of these associations, by WorkSpace and application, that the service shows COMPLETED now."""
    found: set[tuple[str, str]] = set()
    for application_id in {application_id for _, application_id in wanted}:
        async for one in ws.describe_application_associations(
            application_id=application_id, associated_resource_types=["WORKSPACE"]
        ):
            if one.state == "COMPLETED":
                found.add((one.associated_resource_id, application_id))
    return len(found.intersection(wanted))


@asynccontextmanager
async def simulated(
    count: int, seed: int, clock: SimulatorClock
) -> AsyncGenerator[tuple[Simulator, WorkSpacesClient], None]:
    """Start a simulator, and open a client of it."""
    from workspaces_apps._client.client import WorkSpacesClient
    from workspaces_apps.simulator import Simulator

    async with (
        Simulator(workspaces=count, seed=seed, clock=clock) as sim,
        WorkSpacesClient(
            region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, clock=clock
        ) as ws,
    ):
        yield sim, ws


def picture() -> Console:
    """Make a console that keeps what is written to it, and writes it nowhere."""
    from rich.console import Console

    return Console(
        file=io.StringIO(),
        record=True,
        width=PICTURE_WIDTH,
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
        _environ={},
    )


def save_picture(console: Console, path: Path) -> None:
    """Write what a console kept as an SVG that fetches nothing."""
    svg = console.export_svg(title="workspaces-apps demo", unique_id="demo")
    path.write_text(_FONT_FACE.sub("", svg), encoding="utf-8")
    print_output(f"A picture of the roll-out: {path}\n")


async def install_everywhere(count: int, seed: int, clock: SimulatorClock) -> ExitCode:
    """Start a simulator, install, show it, and look whether the service says the same in the end.

    Args:
        count: On how many WorkSpaces.
        seed: That of the fleet.
        clock: The simulator's and the client's.
    """
    from workspaces_apps.rollout import Manifest, Rollout

    console, began = out(), time.monotonic()
    say = partial(console.print, soft_wrap=True)
    # More than half of any twenty WorkSpaces of the sample can take both applications.
    async with simulated(max(20, 2 * count), seed, clock) as (sim, ws):
        rule = {"select": {"everything": True}, "present": list(NAMES)}
        plan = await Rollout(ws, clock=clock).plan(
            Manifest.from_data({"name": "Office 2021", "rules": [rule]})
        )
        chosen = free(plan)[:count]
        deployments = Deployments(
            {one: title(sim.fleet.workspace(one).operating_system) for one in chosen},
            dict(sorted(plan.targets[0].names.items(), key=lambda item: NAMES.index(item[1]))),
            clock.now,
        )
        names = list(deployments.applications)
        say(f"A simulator listens on {sim.url}.")
        say(f"{len(names)} applications go on {len(chosen)} of its {len(sim.fleet)} WorkSpaces.\n")

        def note(change: AssociationChange) -> None:
            deployments.note(change.workspace_id, change.application_id, change.after)

        with following(console, deployments, lambda: f"simulated; {traffic(sim)}"):
            async with asyncio.TaskGroup() as tasks:
                for workspace_id in chosen:
                    tasks.create_task(ws.install_applications(workspace_id, names, on_change=note))
        completed = await count_completed(ws, list(product(chosen, names)))
        if not is_live(console):
            say("")
        console.print(table(console, deployments))
        say(f"\n{completed} of {deployments.total} associations are COMPLETED on {len(chosen)} WorkSpaces.")
        took = f"{short_duration(deployments.elapsed)} of simulated time in {time.monotonic() - began:.1f} s"
        say(f"{took}; {traffic(sim)}.")
    return ExitCode.DONE if completed == deployments.total else ExitCode.FAILED


def free(plan: Plan) -> list[str]:
    """Return the WorkSpaces that are AVAILABLE, and on which all applications can be installed, and none is."""
    return [
        one.workspace_id
        for one in plan.workspaces
        if one.state == "AVAILABLE"
        and all((change.action, change.state) == ("install", "REMOVED") for change in one.changes)
    ]


def title(operating_system: str) -> str:
    """Return the operating system, for people: Windows Server 2022."""
    return operating_system.replace("_", " ").title()


def traffic(sim: Simulator) -> str:
    """Return the number of requests, in words."""
    throttled = sim.requests.count(error="ThrottlingException")
    return f"{sim.requests.count()} requests, {throttled} throttled"
