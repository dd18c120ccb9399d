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
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from workspaces_apps._associations.states import Readiness, readiness
from workspaces_apps.cli._connection import run as run_loop
from workspaces_apps.cli._console import is_live, out
from workspaces_apps.cli._failures import ExitCode, UsageError
from workspaces_apps.cli._live import Deployments, following, short_duration, table
from workspaces_apps.cli._options import DebugOption
from workspaces_apps.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

    from workspaces_apps._client.client import WorkSpacesClient
    from workspaces_apps._waiters import AssociationChange
    from workspaces_apps.api import Workspace, WorkSpaceApplication
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
    seed: Annotated[int, typer.Option(help="The same seed gives the same fleet.")] = 0,
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
        return run_loop(show.run(workspaces or 300, seed, ManualClock(autojump=True)), fleet=True)
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
        from workspaces_apps._client.client import WorkSpacesClient
        from workspaces_apps.cli._live import CallCounter
        from workspaces_apps.rollout import Rollout
        from workspaces_apps.simulator import Simulator

        began = time.monotonic()
        say = partial(self.console.print, soft_wrap=not self.console.is_terminal)
        manifest, report = self.folder / "fleet.toml", self.folder / "report.html"
        async with (
            Simulator(workspaces=count, seed=seed, clock=clock) as sim,
            WorkSpacesClient(
                region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, clock=clock
            ) as ws,
        ):
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
            completed = len(wanted & await completed_ones(ws))
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


async def completed_ones(ws: WorkSpacesClient) -> set[tuple[str, str]]:
    """Return the applications that the service shows COMPLETED now, by WorkSpace."""
    found: set[tuple[str, str]] = set()
    async for application in ws.describe_applications(owner="AMAZON"):
        if application.name in NAMES:
            async for one in ws.describe_application_associations(
                application_id=application.application_id, associated_resource_types=["WORKSPACE"]
            ):
                if one.state == "COMPLETED":
                    found.add((one.associated_resource_id, application.application_id))
    return found


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
    print(f"A picture of the roll-out: {path}")


async def install_everywhere(count: int, seed: int, clock: SimulatorClock) -> ExitCode:
    """Start a simulator, install, show it, and look whether the service says the same in the end.

    Args:
        count: On how many WorkSpaces.
        seed: That of the fleet.
        clock: The simulator's and the client's.
    """
    from workspaces_apps._client.client import WorkSpacesClient
    from workspaces_apps.simulator import Simulator

    console, began = out(), time.monotonic()
    say = partial(console.print, soft_wrap=True)
    async with (
        # More than half of any twenty WorkSpaces of the sample can take both applications.
        Simulator(workspaces=max(20, 2 * count), seed=seed, clock=clock) as sim,
        WorkSpacesClient(
            region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, clock=clock
        ) as ws,
    ):
        applications = await find_applications(ws)
        chosen = await choose(ws, applications, count)
        deployments = Deployments(
            {workspace.workspace_id: system_of(workspace) for workspace in chosen},
            {application.application_id: application.name or "?" for application in applications},
            clock.now,
        )
        say(f"A simulator listens on {sim.url}.")
        say(f"{len(applications)} applications go on {len(chosen)} of its {len(sim.fleet)} WorkSpaces.\n")
        with following(console, deployments, lambda: f"simulated; {traffic(sim)}"):
            async with asyncio.TaskGroup() as tasks:
                for workspace_id in deployments.desktops:
                    tasks.create_task(install(ws, workspace_id, deployments))
        completed = await count_completed(ws, deployments)
        if not is_live(console):
            say("")
        console.print(table(console, deployments))
        say(f"\n{completed} of {deployments.total} associations are COMPLETED on {len(chosen)} WorkSpaces.")
        took = f"{short_duration(deployments.elapsed)} of simulated time in {time.monotonic() - began:.1f} s"
        say(f"{took}; {traffic(sim)}.")
    return ExitCode.DONE if completed == deployments.total else ExitCode.FAILED


async def find_applications(ws: WorkSpacesClient) -> list[WorkSpaceApplication]:
    """Return the applications of the demonstration, from the catalogue."""
    return [one async for one in ws.describe_applications(owner="AMAZON") if one.name in NAMES]


async def choose(
    ws: WorkSpacesClient, applications: Sequence[WorkSpaceApplication], count: int
) -> list[Workspace]:
    """Return so many WorkSpaces on which all of the applications can be installed, and none is.

    Raises:
        ConfigurationError: There are not so many.
    """
    taken: set[str] = set()
    for application in applications:
        async for association in ws.describe_application_associations(
            application_id=application.application_id, associated_resource_types=["WORKSPACE"]
        ):
            taken.add(association.associated_resource_id)
    found = [
        workspace
        async for workspace in ws.describe_workspaces()
        if workspace.workspace_id not in taken
        and readiness(workspace.state) is Readiness.READY
        and all(runs_on(application, workspace) for application in applications)
    ]
    if len(found) < count:
        raise ConfigurationError(f"only {len(found)} WorkSpaces of this fleet can take the applications")
    return found[:count]


def runs_on(application: WorkSpaceApplication, workspace: Workspace) -> bool:
    """Tell if the catalogue says that the application runs on such a WorkSpace."""
    properties = workspace.workspace_properties
    return (
        properties is not None
        and properties.operating_system_name in application.supported_operating_system_names
        and properties.compute_type_name in application.supported_compute_type_names
    )


def system_of(workspace: Workspace) -> str:
    """Return the operating system, for people: Windows Server 2022."""
    properties = workspace.workspace_properties
    name = properties.operating_system_name if properties is not None else None
    return (name or "?").replace("_", " ").title()


async def install(ws: WorkSpacesClient, workspace_id: str, deployments: Deployments) -> None:
    """Stage every application on one WorkSpace, deploy them together, and follow them to the end."""

    def note(change: AssociationChange) -> None:
        deployments.note(change.workspace_id, change.application_id, change.after)

    for application_id in deployments.applications:
        staged = await ws.associate_workspace_application(
            workspace_id=workspace_id, application_id=application_id
        )
        deployments.note(workspace_id, application_id, staged.association.state)
    deployed = await ws.deploy_workspace_applications(workspace_id=workspace_id)
    for association in deployed.deployment.associations if deployed.deployment else ():
        deployments.note(workspace_id, association.associated_resource_id, association.state)
    await ws.wait_until_deployed(workspace_id, on_change=note)


async def count_completed(ws: WorkSpacesClient, deployments: Deployments) -> int:
    """Count the associations that the service shows COMPLETED now."""
    completed = 0
    for application_id in deployments.applications:
        async for association in ws.describe_application_associations(
            application_id=application_id, associated_resource_types=["WORKSPACE"]
        ):
            deployed = association.associated_resource_id in deployments.desktops
            completed += deployed and association.state == "COMPLETED"
    return completed


def traffic(sim: Simulator) -> str:
    """Return the number of requests, in words."""
    throttled = sim.requests.count(error="ThrottlingException")
    return f"{sim.requests.count()} requests, {throttled} throttled"
