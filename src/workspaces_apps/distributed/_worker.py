"""Worker: carries out the targets that are queued, many at a time on one loop, until it is drained."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from workspaces_apps._base.logs import field_logger
from workspaces_apps._base.public import public
from workspaces_apps._client.client import WorkSpacesClient
from workspaces_apps.distributed import _runs
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.rollout import (
    Apply,
    Event,
    Finished,
    JournalError,
    JournalStore,
    JournalWriter,
    Manifest,
    ManifestError,
    Rollout,
    Succeeded,
    Target,
    open_targets,
)
from workspaces_apps.rollout._journal.postgresql import Database, open_database, store_in
from workspaces_apps.rollout._journal.segments import StoreUnavailableError
from workspaces_apps.rollout._journal.stores import parse_database
from workspaces_apps.rollout._manifest.manifest import DEFAULT_TARGET
from workspaces_apps.rollout._manifest.policy import Amount
from workspaces_apps.rollout._plan.plan import slice_of

if TYPE_CHECKING:
    from procrastinate import App

    from workspaces_apps.distributed._engine import DatabaseClock
    from workspaces_apps.distributed._runs import RunCommand

T = TypeVar("T")

Clients: TypeAlias = Mapping[str, WorkSpacesClient] | Callable[[Target], WorkSpacesClient]
"""The clients of targets: by name, which stay open; or what makes one for a target, which the worker closes."""

LEASE_SECONDS: Final = 6.0
"""The length of the lease on a target's journal: short, because others shall take over soon."""

_PATIENCE_SECONDS: Final = 0.3
"""Seconds for which a renewal waits for those of other targets, whose statement it shares."""

_POLL_SECONDS: Final = 2.0
"""Seconds from one look at what is wanted of the runs, and for workers that are gone, to the next."""

_RETRY_SECONDS: Final = 0.5

_CONNECTIONS: Final = 8
"""Connections to the database that all targets share."""

log = field_logger("workspaces_apps.distributed")


@public("workspaces_apps.distributed")
class Worker:
    """A process that carries out targets of submitted runs.

    Args:
        database: The database's URL.
        concurrency: Targets at most that it holds at a time, 1 or more.
        clients: Where the clients of targets come from; None: from each target's Region, profile and role, as AWS's
            standard resolution finds their credentials.

    Raises:
        ConfigurationError: `concurrency` is less than 1.
        JournalError: `database` is no URL of a database.

    Attributes:
        name: What it is called in `status`: its host, its process, and some letters.

    Examples:
        >>> import asyncio
        >>> import signal
        >>> from workspaces_apps.distributed import Worker
        >>> worker = Worker("postgresql://rollouts@db/rollouts", concurrency=20)
        >>> async def main() -> None:
        ...     asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.drain)
        ...     await worker.run()
    """

    def __init__(self, database: str, *, concurrency: int = 50, clients: Clients | None = None) -> None:
        if concurrency < 1:
            raise ConfigurationError(f"a worker holds at least one target, not {concurrency}")
        self.name: str = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(2)}"
        self._url = parse_database(database)
        self._concurrency = concurrency
        self._clients = clients
        self._draining = asyncio.Event()
        self._targets: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._applies: dict[tuple[str, str], Apply] = {}

    def drain(self) -> None:
        """Take no further targets, and hand over those that it has; `run` returns once that is done.

        Deployments that the service has taken go on there; whoever takes a target over finds them.
        """
        self._draining.set()
        for events in tuple(self._applies.values()):
            events.stop()

    async def run(self) -> None:
        """Carry out what is queued, until `drain`. A database that goes away is waited for.

        Raises:
            ConfigurationError: The extra ``distributed`` is not installed.
            JournalError: The database cannot be reached at the beginning, or its schema is of another release.
        """
        database = await open_database(self._url, connections=_CONNECTIONS)
        try:
            await self._run(database)
        finally:
            self.drain()
            await asyncio.gather(*self._targets.values(), return_exceptions=True)
            await database.close()

    async def _run(self, database: Database) -> None:
        from procrastinate.exceptions import ConnectorException

        from workspaces_apps.distributed import _engine

        store = store_in(database, lease=LEASE_SECONDS, patience=_PATIENCE_SECONDS)

        async def apply_target(run: str, target: str) -> None:
            await self._hold(database, store, run, target)

        clock = _engine.DatabaseClock()
        app = _engine.make_app(self._url, clock, apply_target)
        await _engine.prepare(database, app)
        while not self._draining.is_set():
            try:
                await self._follow_queue(database, app, clock)
            except (ConnectorException, StoreUnavailableError) as error:
                # The targets go on meanwhile: their journals wait for the database by themselves.
                log.warning("waiting for the queue: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _follow_queue(self, database: Database, app: App, clock: DatabaseClock) -> None:
        """Take jobs until drained, or until the database is gone."""
        from workspaces_apps.distributed import _engine

        # Before any job can fail.
        await clock.read(database)
        async with app.open_async():
            queue = asyncio.create_task(
                app.run_worker_async(
                    queues=[_engine.QUEUE],
                    name=self.name,
                    concurrency=self._concurrency,
                    install_signal_handlers=False,
                    fetch_job_polling_interval=_POLL_SECONDS,
                    update_heartbeat_interval=_engine.HEARTBEAT_SECONDS,
                    stalled_worker_timeout=_engine.STALLED_SECONDS,
                    delete_jobs="successful",
                )
            )
            upkeep = asyncio.create_task(self._keep_up(database, app, clock))
            draining = asyncio.create_task(self._draining.wait())
            try:
                await asyncio.wait((queue, upkeep, draining), return_when=asyncio.FIRST_COMPLETED)
                for task in (upkeep, queue):
                    if task.done():
                        task.result()
            finally:
                # The queue ends once its jobs have, which hand over what they hold.
                for one in (draining, upkeep, queue):
                    one.cancel()
                await asyncio.gather(draining, upkeep, queue, return_exceptions=True)

    async def _keep_up(self, database: Database, app: App, clock: DatabaseClock) -> None:
        """Pass on what is wanted of the runs, and take over from workers that are gone."""
        from workspaces_apps.distributed import _engine

        sightings = _engine.Sightings()
        while True:
            await clock.read(database)
            await self._obey(database)
            await _engine.rescue(database, app, sightings)
            await asyncio.sleep(_POLL_SECONDS)

    async def _obey(self, database: Database) -> None:
        held = sorted({run for run, _ in self._applies})
        if not held:
            return
        rows = await database.rows(
            "SELECT id, command, command_by, spent FROM workspaces_apps.run WHERE id = ANY(%s)", held
        )
        wanted = {row[0]: row[1:] for row in rows}
        for (run, _), events in tuple(self._applies.items()):
            if run in wanted:
                _pass_on(events, *wanted[run])

    async def _hold(self, database: Database, store: JournalStore, run: str, target: str) -> None:
        """Carry a target out, whatever becomes of the queue meanwhile."""
        key = run, target
        task = self._targets.get(key)
        if task is None:
            task = self._targets[key] = asyncio.create_task(self._carry_out(database, store, run, target))
            task.add_done_callback(lambda _: self._targets.pop(key, None))
        await asyncio.shield(task)

    async def _carry_out(self, database: Database, store: JournalStore, run: str, target: str) -> None:
        from workspaces_apps.distributed._engine import HandOverError

        rows = await database.rows(
            "SELECT run.manifest, run.command, run.command_by, run.spent, part.state,"
            " coalesce(part.part_of, part.target), part.slice, part.slices, part.tries FROM workspaces_apps.run"
            " JOIN workspaces_apps.run_target part ON part.run = run.id WHERE run.id = %s AND part.target = %s",
            run,
            target,
        )
        if not rows or rows[0][4] in ("done", "failed"):
            # Its last worker ended it, and was gone before it could say so to the queue.
            return
        if self._draining.is_set():
            raise HandOverError
        text, said, by, spent, _, *described = rows[0]
        wanted, part = (said, by, spent), _runs.JobPart(*described)
        writer: JournalWriter | None = None
        try:
            whole = Manifest.model_validate_json(text)
            if not whole.rules_for(part.target):
                await _patiently(lambda: _runs.note_planned(database, run, target, 0))
                await _patiently(
                    lambda: _runs.leave(database, run, target, "done", "complete", "no rule is for it")
                )
                return
            manifest = whole.only(part.target)
            writer = await store.open(f"{run}/{target}", of=manifest.name)
            await _patiently(lambda: _runs.begin(database, run, target, self.name))
            result = await self._apply(database, _Opened(store, writer), run, target, part, manifest, wanted)
        except (JournalError, StoreUnavailableError):
            raise
        except Exception as error:
            # Also a fault of our own, or a manifest that this release cannot read: whoever follows the run must hear of it.
            message = str(error)
            log.warning("%s of the run %s: %s", target, run, message)
            # What is wrong with a manifest is wrong the next time too.
            most = 1 if isinstance(error, ManifestError) else _runs.TRIES
            if await _patiently(lambda: _runs.count_try(database, run, target, message, most)) == "waiting":
                raise
            return
        finally:
            if writer is not None:
                await writer.close()
        if result.ending == "stopped" and self._draining.is_set():
            await _patiently(lambda: _runs.leave(database, run, target, "waiting", None, "handed over"))
            raise HandOverError
        await _patiently(lambda: _runs.leave(database, run, target, "done", result.ending, result.message))

    async def _apply(
        self,
        database: Database,
        journal: _Opened,
        run: str,
        target: str,
        part: _runs.JobPart,
        manifest: Manifest,
        wanted: tuple[RunCommand, str, str | None],
    ) -> Finished:
        # The budget is one for all targets, and counted in the database.
        policy = manifest.policy.model_copy(update={"failure_budget": Amount(100, percent=True)})
        manifest = manifest.model_copy(update={"policy": policy})

        async def count(name: str, workspace_id: str) -> str | None:
            return await _patiently(lambda: _runs.count_failure(database, run, name, workspace_id))

        async with self._clients_for(manifest, part.target) as clients:
            rollout = Rollout(clients)
            plan = slice_of(await rollout.plan(manifest, journal=journal), part.number, part.slices)
            await _patiently(lambda: _runs.note_planned(database, run, target, len(plan.pending)))
            events = rollout.apply(plan, journal=journal)
            events.share_budget(count)
            _pass_on(events, *wanted)
            async with events:
                self._applies[run, target] = events
                try:
                    if self._draining.is_set():
                        events.stop()
                    # Also where nobody asks: its events would be kept for whoever might follow it.
                    async for event in events:
                        if part.tries and isinstance(event, Succeeded):
                            part = part._replace(tries=0)
                            await _patiently(lambda: _runs.forget_tries(database, run, target))
                    return await events.finished()
                finally:
                    del self._applies[run, target]

    @asynccontextmanager
    async def _clients_for(
        self, manifest: Manifest, target: str
    ) -> AsyncGenerator[Mapping[str, WorkSpacesClient], None]:
        given = self._clients
        if given is None:
            async with open_targets(manifest) as clients:
                yield clients
        elif callable(given):
            async with AsyncExitStack() as stack:
                one = (manifest.targets or (Target(name=DEFAULT_TARGET),))[0]
                yield {target: await stack.enter_async_context(given(one))}
        elif target in given:
            yield {target: given[target]}
        else:
            raise ConfigurationError(f"the worker has no client for the target {target}")


class _Opened:
    """A store of one journal that is open already, for whoever plans and applies with it; a `JournalStore`.

    It is opened before the plan is made: while a lease that somebody left runs out, nothing else is to be done, and
    whoever finds the journal busy has read nothing in vain.
    """

    def __init__(self, store: JournalStore, writer: JournalWriter) -> None:
        self._store = store
        self._writer = writer

    async def open(self, name: str, *, of: str | None = None) -> JournalWriter:  # noqa: ARG002 - there is one
        """Return the writer."""
        return self._writer

    async def read(self, name: str) -> Sequence[Event] | None:  # noqa: ARG002
        """Return what it held when it was opened: nobody else writes."""
        return self._writer.past

    async def read_control(self, name: str) -> bytes | None:
        """Return the control record."""
        return await self._store.read_control(name)

    async def update_control(self, name: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace the control record."""
        await self._store.update_control(name, change)


def _pass_on(events: Apply, command: RunCommand, by: str, spent: str | None) -> None:
    """Let an apply do what is wanted of its run."""
    match command:
        case "pause":
            events.pause(by)
        case "drain":
            events.drain()
        case "stop":
            events.stop()
        case _:
            events.resume()
    if spent is not None:
        events.exhaust_budget(spent)


async def _patiently(act: Callable[[], Awaitable[T]]) -> T:
    """Do something once the database is there."""
    while True:
        with contextlib.suppress(StoreUnavailableError):
            return await act()
        await asyncio.sleep(_RETRY_SECONDS)
