"""`workspaces-apps status` and `watch`: how far a fleet is from a manifest, once or again and again, with alarms."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from workspaces_apps._base.clock import SystemClock, timeout
from workspaces_apps._base.system import replace_file
from workspaces_apps._base.text import harmless
from workspaces_apps.cli._connection import ConnectionOptions, connecting, journal_path, load_manifest
from workspaces_apps.cli._connection import run as run_loop
from workspaces_apps.cli._console import (
    ExitCode,
    UsageError,
    complain,
    is_live,
    out,
    print_document,
    print_json,
    say,
)
from workspaces_apps.cli._formats import check_bom, print_csv
from workspaces_apps.cli._options import (
    AllowEmptyOption,
    BomOption,
    DatabaseOption,
    DebugOption,
    HookTimeoutOption,
    JournalOption,
    ManifestArgument,
    MaybeManifestArgument,
    Output,
    OutputOption,
    TableOutputOption,
    named_database,
)
from workspaces_apps.cli._programs import run_program, words_of

if TYPE_CHECKING:
    from workspaces_apps._model.validation import JsonObject
    from workspaces_apps.rollout import Manifest, Status

EPILOG = "Exit codes: 0 in sync; 2 out of sync; 1 an error, or a target that could not be read; 64 usage."

WATCH_EPILOG = (
    "Exit codes: with --until-in-sync or --count those of status, for the last poll; 130 Ctrl-C; 64 usage."
)


def register_status(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=EPILOG)(status)
    app.command(epilog=WATCH_EPILOG)(watch)


@connecting
def status(
    manifest: MaybeManifestArgument = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Name every WorkSpace that is out of sync, however many.")
    ] = False,
    bundles: Annotated[
        bool,
        typer.Option(
            "--bundles",
            help="Compare also the bundles that the WorkSpaces were made from: which bring other applications than"
            " the rules want. A call for each.",
        ),
    ] = False,
    allow_empty: AllowEmptyOption = False,
    journal: JournalOption = None,
    output: TableOutputOption = Output.TEXT,
    bom: BomOption = False,
    *,
    connection: ConnectionOptions,
    database: DatabaseOption = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run", metavar="ID", help="Show how a submitted run stands instead.", show_default=False
        ),
    ] = None,
    debug: DebugOption = False,
) -> int:
    """Compare a manifest with the fleet. With --run, show how a submitted run stands. Only reads."""
    del debug
    check_bom(is_csv=output is Output.CSV, bom=bom)
    if (manifest is None) == (run is None):
        raise UsageError("status takes a MANIFEST, or --run and --database")
    if manifest is None:
        if output is Output.CSV:
            raise UsageError("status --run has no table to give as csv; --output json has all of it")
        if everything or bundles or allow_empty or journal is not None:
            raise UsageError(
                "--all, --bundles, --allow-empty and --journal are for a MANIFEST, and not for --run"
            )
        from workspaces_apps.cli._runs import show_run

        return show_run(named_database(database), str(run), output)
    wanted = loaded(manifest)
    journal_name = journal_path(journal, wanted.name)
    found = run_loop(look_once(wanted, connection, journal_name, allow_empty, bundles=bundles))
    if output is Output.CSV:
        from workspaces_apps.cli._formats import status_as_csv

        print_csv(status_as_csv(found), bom=bom)
    elif output is Output.JSON:
        from workspaces_apps.cli._formats import of_status

        print_document(of_status(found))
    else:
        from workspaces_apps.cli._screens import SHOWN, show_status

        show_status(out(), found, None if everything else SHOWN)
    return found.exit_code


@connecting
def watch(
    manifest: ManifestArgument,
    interval: Annotated[
        float, typer.Option(min=1, max=86400, metavar="SECONDS", help="Seconds between polls.")
    ] = 60.0,
    until_in_sync: Annotated[
        bool, typer.Option("--until-in-sync", help="End once everything is in sync.")
    ] = False,
    polls: Annotated[
        int | None,
        typer.Option("--count", min=1, metavar="N", help="End after so many polls.", show_default=False),
    ] = None,
    on_change: Annotated[
        str | None,
        typer.Option(
            "--on-change",
            metavar="COMMAND",
            help="Run this when something has changed, with JSON about only that on standard input; at the first poll,"
            " about all that is out of sync. No shell is used; what it exits with is told, and changes nothing.",
            show_default=False,
        ),
    ] = None,
    hook_timeout: HookTimeoutOption = 60.0,
    metrics: Annotated[
        Path | None,
        typer.Option(
            "--metrics",
            metavar="FILE",
            help="Write OpenMetrics to this file after each poll, such as one that ends in .prom for the textfile"
            " collector of node exporter.",
            show_default=False,
            dir_okay=False,
        ),
    ] = None,
    allow_empty: AllowEmptyOption = False,
    journal: JournalOption = None,
    output: OutputOption = Output.TEXT,
    *,
    connection: ConnectionOptions,
    debug: DebugOption = False,
) -> int:
    """Compare again and again, until Ctrl-C.

    In a pipe, a poll is reported where something has changed since the one before, with the WorkSpaces that have. With
    --output json, each poll is a line.
    """
    del debug
    if metrics is not None:
        check_metrics_file(metrics)
    wanted = loaded(manifest)
    alarms = Alarms(
        on_change=words_of(on_change, "--on-change") if on_change is not None else None,
        hook_timeout=hook_timeout,
        metrics=metrics,
    )
    where = journal_path(journal, wanted.name)
    watching = Watching(
        wanted, connection, where, interval, until_in_sync, polls, output, alarms, allow_empty
    )
    return run_loop(watching.run())


def loaded(path: Path) -> Manifest:
    """Return the manifest."""
    found = load_manifest(path)
    if found is None:
        raise UsageError("there is no manifest")
    return found


async def look_once(
    manifest: Manifest,
    connection: ConnectionOptions,
    journal: str,
    allow_empty: bool,
    *,
    bundles: bool = False,
) -> Status:
    """Compare once."""
    from workspaces_apps.cli._live import CallCounter, reading

    traffic = CallCounter(connection.clock.monotonic)
    async with connection.rollout(manifest, traffic.hooks) as rollout:
        with reading(traffic):
            return await rollout.status(manifest, journal=journal, allow_empty=allow_empty, bundles=bundles)


@dataclass(slots=True)
class Watching:
    """Polls again and again; one that fails is reported, and the next one is made.

    Attributes:
        manifest: What is wanted.
        connection: Whom it asks.
        journal: The journal of the roll-out.
        interval: Seconds between polls.
        until_in_sync: End once everything is in sync.
        polls: End after so many polls; None for never.
        output: For whom to write.
        alarms: Whoever is told beside the screen.
        allow_empty: Selectors may name what does not exist.
    """

    manifest: Manifest
    connection: ConnectionOptions
    journal: str
    interval: float
    until_in_sync: bool
    polls: int | None
    output: Output
    alarms: Alarms
    allow_empty: bool = False
    _last: str = field(default="", init=False)
    _drifted: dict[str, str] = field(default_factory=dict[str, str], init=False)

    async def run(self) -> int:
        """Poll until there is a reason to end; the exit code is that of the last poll."""
        from workspaces_apps.cli._live import CallCounter, reading
        from workspaces_apps.errors import ServiceError, TransportError, lost_credentials

        code, made = int(ExitCode.FAILED), 0
        traffic = CallCounter(self.connection.clock.monotonic)
        async with self.connection.rollout(self.manifest, traffic.hooks) as rollout:
            while True:
                try:
                    with reading(traffic):
                        found = await rollout.status(
                            self.manifest, journal=self.journal, allow_empty=self.allow_empty
                        )
                except (TransportError, ServiceError) as error:
                    # What fails at the first poll is most likely a mistake of whoever asked; and without
                    # credentials no later poll will be better.
                    if not made or lost_credentials(error):
                        raise
                    complain(f"{error}; polling again in {self.interval:g} s")
                    code = ExitCode.FAILED
                    self.alarms.unanswered(self.manifest.name, self.connection.clock.now())
                else:
                    self._show(found)
                    code = found.exit_code
                    await self.alarms.tell(found)
                made += 1
                if made == self.polls or (self.until_in_sync and code == ExitCode.DONE):
                    return code
                await self.connection.clock.sleep(self.interval)

    def _show(self, found: Status) -> None:
        if self.output is Output.JSON:
            from workspaces_apps.cli._formats import of_status

            print_json(of_status(found))
            return
        console = out()
        if is_live(console):
            from workspaces_apps.cli._screens import show_status

            console.clear()
            # A WorkSpace takes two or three lines; the table and what is around it a dozen.
            show_status(console, found, max(1, (console.height - 12) // 3))
            console.print(
                f"{found.plan.created:%H:%M:%S} UTC; polls every {self.interval:g} s, Ctrl-C ends it",
                style="dim",
            )
            return
        counts = ", ".join(f"{number} {standing}" for standing, number in sorted(found.counts.items()))
        plan = found.plan
        unread = (f"could not be read: {error}" for error in plan.errors)
        said = "; ".join(filter(None, (counts, *plan.not_found, *unread)))
        from workspaces_apps.cli._screens import SHOWN, drifts

        drifted = drifts(found)
        there = {one.workspace_id for one in found.plan.workspaces}
        back = {
            one: "in sync" if one in there else "no longer seen" for one in self._drifted.keys() - drifted
        }
        news = [item for item in {**drifted, **back}.items() if self._drifted.get(item[0]) != item[1]]
        # What has not changed is told once.
        if said != self._last or news:
            say(console, f"{found.plan.created:%Y-%m-%d %H:%M:%S} UTC  {harmless(said)}")
        for workspace_id, how in news[:SHOWN]:
            say(console, f"  {harmless(workspace_id)}  {how}")
        if len(news) > SHOWN:
            say(console, f"  and {len(news) - SHOWN:,} more; status --all names them")
        self._last, self._drifted = said, drifted


class Alarms:
    """Whoever is told of a poll beside the screen. What fails here is told, and the watch goes on.

    Args:
        on_change: The program and its arguments; None for none.
        hook_timeout: Seconds of real time that it may take; then it is killed with all that it has started.
        metrics: The file of metrics; None for none.
    """

    def __init__(
        self,
        *,
        on_change: tuple[str, ...] | None = None,
        hook_timeout: float = 60.0,
        metrics: Path | None = None,
    ) -> None:
        self._on_change = on_change
        self._hook_timeout = hook_timeout
        self._metrics = metrics
        self._known: Standings | None = None
        self._status: Status | None = None

    async def tell(self, status: Status) -> None:
        """Tell of a poll that was answered."""
        self._status = status
        self._write(status.plan.name, status.plan.created, answered=True)
        if self._on_change is None:
            return

        changed, self._known = news(self._known, status)
        if not changed:
            return
        try:
            async with timeout(SystemClock(), self._hook_timeout):
                ended = await run_program(self._on_change, document(status, changed))
        except TimeoutError:
            complain(f"--on-change: killed, because it took longer than {self._hook_timeout:g} s")
        except OSError as error:
            complain(f"--on-change: cannot be run: {error.strerror or error}")
        else:
            if ended.code:
                complain(f"--on-change: {ended.failure}")

    def unanswered(self, name: str, at: datetime) -> None:
        """Tell of a poll that was not answered: the metrics keep what was known, and say so."""
        self._write(name, at, answered=False)

    def _write(self, name: str, at: datetime, *, answered: bool) -> None:
        if self._metrics is None:
            return
        try:
            text = rendered(name, self._status, at=at, answered=answered)
            # At once: who reads it sees the old metrics or the new ones, never a part.
            replace_file(self._metrics, text.encode("utf-8", "replace"))
        except OSError as error:
            complain(f"--metrics: cannot write {self._metrics}: {error.strerror or error}")


FORMAT: Final = 1
"""The version of the document."""

Key = tuple[str, str, str]
"""Target, WorkSpace and application."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """The states at one poll.

    Attributes:
        by_key: The word for each application on each WorkSpace.
        unread: The targets that could not be read: nothing is known of them.
    """

    by_key: Mapping[Key, str]
    unread: frozenset[str] = frozenset()

    @classmethod
    def of(cls, status: Status) -> Standings:
        """Return how everything stands."""
        from workspaces_apps.rollout._status import drift_of

        plan = status.plan
        return cls(
            by_key={
                (workspace.target, workspace.workspace_id, change.application_id): drift_of(change)
                for workspace in plan.workspaces
                for change in workspace.changes
            },
            unread=frozenset(target.name for target in plan.targets if target.error is not None),
        )


def news(before: Standings | None, status: Status) -> tuple[list[JsonObject], Standings]:
    """Return what has changed since the poll before, and how everything stands now.

    At the first poll, everything that is out of sync counts as changed. A target that could not be read keeps what was
    known of it.

    Args:
        before: How everything stood; None before the first poll.
        status: How it stands.
    """
    from workspaces_apps.rollout._status import IN_SYNC

    now = Standings.of(status)
    old: Mapping[Key, str] = before.by_key if before is not None else dict[Key, str]()
    kept = {key: standing for key, standing in old.items() if key[0] in now.unread}
    current = {**now.by_key, **kept}
    plan = status.plan
    users = {(one.target, one.workspace_id): one.user_name for one in plan.workspaces}
    changed: list[JsonObject] = []
    for key in dict.fromkeys((*current, *old)):
        was, standing = old.get(key), current.get(key)
        if was == standing or (was is None and standing == IN_SYNC):
            continue
        target, workspace_id, application_id = key
        changed.append(
            {
                "target": target,
                "workspace_id": workspace_id,
                "user_name": users.get((target, workspace_id)),
                "application_id": application_id,
                "application": plan.application_name(target, application_id),
                "before": was,
                # None: it is no longer there, or no rule names it any more.
                "standing": standing,
            }
        )
    return changed, Standings(by_key=current, unread=now.unread)


def document(status: Status, changed: Sequence[JsonObject]) -> JsonObject:
    """Return what a program is told."""
    plan = status.plan
    return {
        "format": FORMAT,
        "name": plan.name,
        "at": plan.created.isoformat(),
        "exit_code": status.exit_code,
        "errors": list(plan.errors),
        "changed": list(changed),
    }


_FAMILIES: Final[Mapping[str, str]] = {
    "workspaces_apps_changes": "Applications on WorkSpaces that the manifest names, by how they stand.",
    "workspaces_apps_workspaces": "WorkSpaces that the manifest selects.",
    "workspaces_apps_workspaces_out_of_sync": "WorkSpaces that are not as the manifest wants them.",
    "workspaces_apps_unmatched": "Values of selectors that match nothing.",
    "workspaces_apps_target_read": "Whether the target could be read by the last poll that was answered.",
    "workspaces_apps_poll_success": "Whether the last poll was answered.",
    "workspaces_apps_poll_timestamp_seconds": "When the last poll was made.",
}
"""Every family, all gauges, with what it is."""


def check_metrics_file(path: Path) -> None:
    """Find out before the first call whether a file can be there.

    Raises:
        UsageError: It cannot.
    """
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(f"--metrics: {path.parent} is no folder that can be written to")
    if path.is_dir():
        raise UsageError(f"--metrics: {path} is a folder")


def rendered(name: str, status: Status | None, *, at: datetime, answered: bool) -> str:
    """Return the metrics as OpenMetrics text.

    Args:
        name: The manifest's name.
        status: How the fleet stood when a poll was answered last; None before any was.
        at: When the last poll was made.
        answered: Whether it was answered.
    """
    samples: dict[str, list[tuple[dict[str, str], float]]] = {family: [] for family in _FAMILIES}
    base = {"rollout": name}
    if status is not None:
        _count(status, samples, base)
    samples["workspaces_apps_poll_success"] = [(base, float(answered))]
    samples["workspaces_apps_poll_timestamp_seconds"] = [(base, at.timestamp())]
    lines: list[str] = []
    for family, text in _FAMILIES.items():
        if samples[family]:
            lines += [f"# TYPE {family} gauge", f"# HELP {family} {text}"]
            # Counts are whole, and times need their digits.
            form = ".3f" if family.endswith("_seconds") else ".0f"
            lines += [f"{family}{_labels(labels)} {value:{form}}" for labels, value in samples[family]]
    return "\n".join([*lines, "# EOF", ""])


def _count(
    status: Status, samples: Mapping[str, list[tuple[dict[str, str], float]]], base: Mapping[str, str]
) -> None:
    from workspaces_apps.rollout._status import drift_of

    plan = status.plan
    standings: Counter[tuple[str, str, str]] = Counter()
    selected: Counter[str] = Counter()
    for workspace in plan.workspaces:
        selected[workspace.target] += 1
        for change in workspace.changes:
            application = plan.application_name(workspace.target, change.application_id)
            key = workspace.target, application or change.application_id, drift_of(change)
            standings[key] += 1
    drifted = Counter(workspace.target for workspace in status.drifted)
    for (target, application, standing), number in sorted(standings.items()):
        labels = {**base, "target": target, "application": application, "standing": standing}
        samples["workspaces_apps_changes"].append((labels, number))
    for reading in plan.targets:
        labels = {**base, "target": reading.name}
        samples["workspaces_apps_workspaces"].append((labels, selected[reading.name]))
        samples["workspaces_apps_workspaces_out_of_sync"].append((labels, drifted[reading.name]))
        samples["workspaces_apps_target_read"].append((labels, float(reading.error is None)))
    samples["workspaces_apps_unmatched"].append(({**base}, len(plan.unmatched)))


def _labels(labels: Mapping[str, str]) -> str:
    def escaped(value: str) -> str:
        return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")

    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items()) + "}"
