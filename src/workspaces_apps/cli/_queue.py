"""`workspaces-apps submit`, `worker` and `runs`: roll-outs on several machines."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from workspaces_apps._base.text import harmless
from workspaces_apps.cli._console import complain, err, out, print_document, say
from workspaces_apps.cli._interrupts import on_signals
from workspaces_apps.cli._options import (
    DatabaseOption,
    DebugOption,
    EndpointOption,
    InsecureOption,
    Output,
    OutputOption,
    ProfileOption,
    RegionOption,
    named_database,
)
from workspaces_apps.cli._running import run as run_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workspaces_apps._client.client import WorkSpacesClient
    from workspaces_apps.distributed import RunInfo, RunStatus
    from workspaces_apps.rollout import Manifest, Target

FORMAT: Final = 1
"""The version of the documents of `--output json`."""

_FOLLOW_SECONDS: Final = 2.0

SUBMIT_EPILOG: Final = "Exit codes: 0 submitted; with --follow those of apply, for the gravest of its targets; 1 an error; 64 usage."
WORKER_EPILOG: Final = (
    "SIGTERM or Ctrl-C hands its targets over and ends it. Exit codes: 0 ended so; 1 an error; 64 usage."
)


def register_queue(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=SUBMIT_EPILOG)(submit)
    app.command(epilog=WORKER_EPILOG)(worker)
    app.command()(runs)


def submit(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="A .toml, .yaml or .json file.")],
    database: DatabaseOption = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Wait for its end, and show how it stands.")
    ] = False,
    debug: DebugOption = False,
) -> int:
    """Queue a roll-out for workers. Each target of the manifest is a job. Prints the run's id."""
    del debug
    from workspaces_apps.rollout import Manifest

    return run_loop(_submit(Manifest.load(manifest), named_database(database), follow=follow))


async def _submit(manifest: Manifest, database: str, *, follow: bool) -> int:
    from workspaces_apps import distributed

    run = await distributed.submit(manifest, database=database)
    out().print(run)
    if not follow:
        return 0
    shown = ""
    while True:
        found = await distributed.status(database, run)
        line = summary(found.info)
        if line != shown:
            say(err(), line)
            shown = line
        if found.is_over:
            return found.exit_code
        await asyncio.sleep(_FOLLOW_SECONDS)


def worker(
    database: DatabaseOption = None,
    concurrency: Annotated[
        int, typer.Option(min=1, metavar="N", help="Targets at most that it holds at a time.")
    ] = 50,
    profile: ProfileOption = None,
    region: RegionOption = None,
    endpoint_url: EndpointOption = None,
    allow_insecure_endpoint: InsecureOption = False,
    debug: DebugOption = False,
) -> None:
    """Carry out what was submitted, until asked to end. Start as many as there are machines.

    The options for AWS are for targets of the manifest that name no profile, role or Region of their own.
    """
    del debug
    from workspaces_apps._http.config import ClientConfig
    from workspaces_apps.rollout._manifest.targets import client_for

    config = ClientConfig(allow_insecure_endpoint=allow_insecure_endpoint)

    def client(target: Target) -> WorkSpacesClient:
        return client_for(target, profile=profile, region=region, endpoint_url=endpoint_url, config=config)

    run_loop(_work(named_database(database), concurrency, client))


async def _work(database: str, concurrency: int, client: Callable[[Target], WorkSpacesClient]) -> None:
    from workspaces_apps.distributed import Worker

    working = Worker(database, concurrency=concurrency, clients=client)

    def drain() -> None:
        complain("handing over")
        working.drain()

    with on_signals(drain):
        say(err(), f"worker {working.name}: waiting for targets")
        await working.run()


def runs(
    database: DatabaseOption = None, output: OutputOption = Output.TEXT, debug: DebugOption = False
) -> None:
    """List submitted runs. The latest comes first."""
    del debug
    from workspaces_apps import distributed

    found = run_loop(distributed.runs(named_database(database)))
    if output is Output.JSON:
        print_document({"format": FORMAT, "runs": [of_run(info) for info in found]})
        return
    for info in found:
        out().print(summary(info), soft_wrap=True)
    if not found:
        out().print("no runs", soft_wrap=True)


def show_run(database: str, run: str, output: Output) -> int:
    """Show how a run stands, and return the exit code of it."""
    from workspaces_apps import distributed

    found = run_loop(distributed.status(database, run))
    if output is Output.JSON:
        print_document(of_status(found))
        return found.exit_code
    out().print(summary(found.info), soft_wrap=True)
    for target in found.targets:
        planned = f", {target.planned:,} WorkSpaces to change" if target.planned is not None else ""
        ending = f" ({target.ending})" if target.ending is not None else ""
        worker = f", {target.worker}" if target.worker and target.state == "running" else ""
        message = f": {target.message}" if target.message else ""
        line = f"  {target.target:<24} {target.state}{ending}{planned}{worker}{message}"
        out().print(harmless(line), soft_wrap=True)
    return found.exit_code


def summary(info: RunInfo) -> str:
    """Return a run in one line."""
    counts = ", ".join(f"{count} {state}" for state, count in info.counts.items() if count)
    said = f"; {info.command_by}" if info.command_by else ""
    spent = f"; {info.spent}" if info.spent is not None else ""
    return harmless(
        f"{info.run}  {info.name}  {info.submitted_at:%Y-%m-%d %H:%M %Z}  targets: {counts}{said}{spent}"
    )


def of_run(info: RunInfo) -> Mapping[str, object]:
    """Return a run as a document."""
    return {
        "run": info.run,
        "name": info.name,
        "state": info.state,
        "submitted_at": info.submitted_at.isoformat(),
        "command": info.command,
        "command_by": info.command_by,
        "spent": info.spent,
        "counts": dict(info.counts),
    }


def of_status(status: RunStatus) -> Mapping[str, object]:
    """Return a run and its targets as a document."""
    return {
        "format": FORMAT,
        **of_run(status.info),
        "ending": status.ending,
        "exit_code": status.exit_code,
        "targets": [
            {
                "target": one.target,
                "state": one.state,
                "worker": one.worker,
                "planned": one.planned,
                "ending": one.ending,
                "message": one.message,
                "changed_at": one.changed_at.isoformat(),
            }
            for one in status.targets
        ],
    }
