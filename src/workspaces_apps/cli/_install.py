"""`workspaces-apps install` and `uninstall`: applications on a few WorkSpaces, without a manifest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

import typer

from workspaces_apps._base.text import harmless
from workspaces_apps.cli._apply import agreed, check_answerable
from workspaces_apps.cli._connection import ConnectionOptions, connecting, meant, on_signals
from workspaces_apps.cli._connection import run as run_loop
from workspaces_apps.cli._console import (
    ExitCode,
    complain,
    exit_code,
    is_live,
    notes,
    out,
    print_document,
    say,
)
from workspaces_apps.cli._live import FAILED, Deployments, count, following, table
from workspaces_apps.cli._options import DebugOption, Output, OutputOption, YesOption, like_workspace_ids
from workspaces_apps.errors import WorkSpacesError

if TYPE_CHECKING:
    from workspaces_apps._client.client import WorkSpacesClient
    from workspaces_apps._waiters import AssociationChange, DeploymentOutcome

Doing: TypeAlias = Literal["install", "uninstall"]

States: TypeAlias = Mapping[str, Mapping[str, str]]
"""By WorkSpace that was looked at, and by application: the state; ``REMOVED`` where there is none."""

ADVICE: Final = "Run the same command to resume; nothing is done twice."

EPILOG = (
    "Exit codes: 0 in sync on every WorkSpace; 1 not on every one; 5 stopped waiting (Ctrl-C); 75 the time ran"
    " out; 64 usage. For more than a few WorkSpaces, or to be able to resume, write a manifest and use apply."
)

_WHAT: Final[Mapping[Doing, str]] = {
    "install": "Install applications on a few WorkSpaces.",
    "uninstall": "Uninstall applications from a few WorkSpaces.",
}

_HOW: Final = """\
It stages, deploys and waits. A deployment ends its user's session.

Ctrl-C (or SIGTERM) stops waiting and tells what is left; deployments go on at the service. A second one ends at
once. Run the same command to resume.
"""

_Applications = Annotated[
    list[str], typer.Argument(metavar="APPLICATION...", help="By id, or by name (some words of it).")
]

_Workspaces = Annotated[
    list[str],
    typer.Option(
        "--workspace",
        "-w",
        metavar="ID",
        help="On this WorkSpace; may be repeated.",
        callback=like_workspace_ids,
    ),
]

_Timeout = Annotated[float, typer.Option(min=1, max=100_000, metavar="MINUTES", help="For each WorkSpace.")]

_Staged = Annotated[
    bool, typer.Option("--include-staged", help="Deploy even if that commits what somebody else has staged.")
]

_Retry = Annotated[bool, typer.Option("--retry-failed", help="Try again what is in ERROR.")]


def register_install(app: typer.Typer) -> None:
    """Add the commands."""
    for doing, what in _WHAT.items():
        app.command(doing, help=f"{what}\n\n{_HOW}", epilog=EPILOG)(_command(doing))


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The task: applications and WorkSpaces.

    Attributes:
        doing: What to do.
        applications: Ids or names.
        workspaces: Ids.
        minutes: The time for each WorkSpace.
        include_staged: Commit what somebody else has staged, too.
        retry_failed: Try again what is in ERROR.
        yes: Do not ask.
        output: For whom to write.
    """

    doing: Doing
    applications: tuple[str, ...]
    workspaces: tuple[str, ...]
    minutes: float
    include_staged: bool
    retry_failed: bool
    yes: bool
    output: Output


@dataclass(slots=True)
class Results:
    """The outcome of each WorkSpace.

    Attributes:
        outcomes: How it ended, by WorkSpace.
        errors: Why it did not end well, by WorkSpace.
        interrupted: Those that were not waited for any longer.
        left: What those of them that were looked at again have.
    """

    outcomes: dict[str, DeploymentOutcome] = field(default_factory=dict["str", "DeploymentOutcome"])
    errors: dict[str, WorkSpacesError] = field(default_factory=dict[str, WorkSpacesError])
    interrupted: tuple[str, ...] = ()
    left: States = field(default_factory=dict[str, dict[str, str]])

    @property
    def code(self) -> int:
        """The exit codes of the command."""
        if self.interrupted:
            return ExitCode.STOPPED
        return max((int(exit_code(error)) for error in self.errors.values()), default=int(ExitCode.DONE))


def _command(doing: Doing) -> Callable[..., int]:
    @connecting
    def command(
        applications: _Applications,
        workspace: _Workspaces,
        timeout: _Timeout = 60.0,
        include_staged: _Staged = False,
        retry_failed: _Retry = False,
        yes: YesOption = False,
        output: OutputOption = Output.TEXT,
        *,
        connection: ConnectionOptions,
        debug: DebugOption = False,
    ) -> int:
        del debug
        task = Task(
            doing=doing,
            applications=tuple(applications),
            workspaces=tuple(dict.fromkeys(workspace)),
            minutes=timeout,
            include_staged=include_staged,
            retry_failed=retry_failed,
            yes=yes,
            output=output,
        )
        return run_loop(run(connection, task))

    return command


async def run(connection: ConnectionOptions, task: Task) -> int:
    """Do it on all WorkSpaces at the same time, and show it."""
    from workspaces_apps.cli._live import CallCounter

    check_answerable(task.yes)
    clock = connection.clock
    traffic, results, console = CallCounter(clock.monotonic), Results(), out()
    for_people = task.output is Output.TEXT
    async with connection.client() as opened:
        ws = opened.with_options(hooks=traffic.hooks)
        names = meant(task.applications, await ws.describe_applications().collect())
        deployments = Deployments(dict.fromkeys(task.workspaces, ""), names, clock.now)
        named = ", ".join(map(harmless, names.values()))
        if for_people:
            console.print(
                f"{task.doing} {named} on {count(len(task.workspaces), 'WorkSpace')}", soft_wrap=True
            )
        agreed("A deployment ends its user's session. Go on?", task.yes)
        shown = (
            following(console, deployments, lambda: f"so far; {traffic.words}")
            if for_people
            else nullcontext()
        )
        interruption = Interruption()
        with on_signals(interruption.stop_waiting, interruption.end):
            with shown:
                async with asyncio.TaskGroup() as tasks:
                    for workspace_id in task.workspaces:
                        interruption.holds(
                            tasks.create_task(do(ws, workspace_id, task, deployments, results))
                        )
            if interruption.asked:
                ended = results.outcomes.keys() | results.errors.keys()
                results.interrupted = tuple(one for one in task.workspaces if one not in ended)
                results.left = await look(ws, results.interrupted, list(names), interruption)
    if for_people:
        for workspace_id, outcome in results.outcomes.items():
            for status in outcome.associations:
                deployments.note(workspace_id, status.application_id, status.state or "REMOVED")
        for workspace_id, left in results.left.items():
            for application_id, state in left.items():
                # Nothing there is how a removal ends, and how an installation begins.
                if state != "REMOVED" or task.doing == "uninstall":
                    deployments.note(workspace_id, application_id, state)
        show(task, deployments, results, traffic.words)
    else:
        from workspaces_apps.cli._formats import of_interrupted, of_outcome

        entries = [
            of_outcome(one, results.outcomes.get(one), results.errors.get(one))
            if one not in results.interrupted
            else of_interrupted(one, results.left.get(one))
            for one in task.workspaces
        ]
        print_document({"format": 1, "doing": task.doing, "applications": names, "workspaces": entries})
    return results.code


async def do(
    ws: WorkSpacesClient, workspace_id: str, task: Task, deployments: Deployments, results: Results
) -> None:
    """Do it on one WorkSpace; an error is its own, and the others go on."""

    def note(change: AssociationChange) -> None:
        deployments.note(change.workspace_id, change.application_id, change.after or "REMOVED")

    call = ws.install_applications if task.doing == "install" else ws.uninstall_applications
    try:
        results.outcomes[workspace_id] = await call(
            workspace_id,
            list(deployments.applications),
            include_staged=task.include_staged,
            retry_failed=task.retry_failed,
            timeout=timedelta(minutes=task.minutes),
            on_change=note,
        )
    except WorkSpacesError as error:
        results.errors[workspace_id] = error
        for one in deployments.applications:
            if deployments.step(workspace_id, one) is None:
                deployments.note(workspace_id, one, FAILED)


def show(task: Task, deployments: Deployments, results: Results, words: str) -> None:
    """Show the outcome."""
    console = out()
    if is_live(console):
        console.print(table(console, deployments))
    done = sum(bool(outcome.done) for outcome in results.outcomes.values())
    already = len(results.outcomes) - done
    verb = f"{task.doing}ed"
    stopped = f", not waited for on {len(results.interrupted)}" if results.interrupted else ""
    say(
        console,
        f"{verb} on {done}, {verb} before on {already}, failed on {len(results.errors)}{stopped}"
        f" of {count(len(task.workspaces), 'WorkSpace')}; {words}",
    )
    for workspace_id, error in results.errors.items():
        say(console, f"{harmless(workspace_id)}: {harmless(error)}", "red")
        for more in notes(error):
            say(console, f"  {harmless(more)}", "red")
    for workspace_id in results.interrupted:
        left = in_words(task.doing, results.left.get(workspace_id), deployments.applications)
        say(console, f"{harmless(workspace_id)}: {left}", "yellow")
    if results.interrupted:
        console.print(ADVICE)


class Interruption:
    """Two ways to end early: asked once, stop waiting and look at what is left; asked twice, end at once."""

    def __init__(self) -> None:
        self.asked: bool = False
        self._tasks: list[asyncio.Task[None]] = []

    def holds(self, task: asyncio.Task[None]) -> None:
        """Watch over a task that is to end when it is asked for."""
        self._tasks.append(task)

    def stop_waiting(self) -> None:
        """Stop waiting, asked once."""
        self.asked = True
        complain("stopped waiting; looking at what is left (Ctrl-C again ends at once)")
        self._cancel()

    def end(self) -> None:
        """End at once, asked twice."""
        complain("ending at once")
        self._cancel()

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()


async def look(
    ws: WorkSpacesClient,
    workspace_ids: Sequence[str],
    applications: Sequence[str],
    interruption: Interruption,
) -> States:
    """Return what is there now; a WorkSpace that cannot be looked at, or not in time, is left out."""
    found: dict[str, dict[str, str]] = {}

    async def one(workspace_id: str) -> None:
        try:
            answer = await ws.describe_workspace_associations(workspace_id=workspace_id)
        except WorkSpacesError as error:
            complain(str(error))
            return
        states = {row.associated_resource_id: str(row.state) for row in answer.associations}
        found[workspace_id] = {each: states.get(each, "REMOVED") for each in applications}

    async with asyncio.TaskGroup() as tasks:
        for workspace_id in workspace_ids:
            interruption.holds(tasks.create_task(one(workspace_id)))
    return found


def in_words(doing: Doing, states: Mapping[str, str] | None, names: Mapping[str, str]) -> str:
    """Describe what is left on a WorkSpace.

    Args:
        doing: What was to be done.
        states: Its applications; None if it was not looked at.
        names: What they are called.
    """
    if states is None:
        return "unknown: it was not looked at again"
    return "; ".join(f"{harmless(names[one])}: {_state(doing, state)}" for one, state in states.items())


def _state(doing: Doing, state: str) -> str:
    from workspaces_apps._associations.states import ERROR, IN_FLIGHT, SETTLED, SETTLED_BY, STAGED

    if state == SETTLED_BY[doing]:
        return f"{doing}ed"
    if state in STAGED:
        return "staged and not deployed: any deployment of this WorkSpace would commit it"
    if state in IN_FLIGHT:
        return "its deployment goes on at the service"
    if state == ERROR:
        return "in ERROR"
    return "not started" if state in SETTLED else harmless(state)
