"""procrastinate: the task queue that starts the job of each target, and again where its worker is gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision

from workspaces_apps._base.logs import field_logger
from workspaces_apps.rollout import JournalError
from workspaces_apps.rollout._journal.postgresql import conninfo_of
from workspaces_apps.rollout._journal.segments import StoreUnavailableError, steady_seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from procrastinate.jobs import Job
    from psycopg import AsyncConnection
    from psycopg.rows import TupleRow

    from workspaces_apps.rollout._journal.postgresql import Database
    from workspaces_apps.rollout._journal.stores import JournalUrl

QUEUE: Final = "workspaces-apps"
TASK: Final = "workspaces_apps.apply_target"

HEARTBEAT_SECONDS: Final = 2.0
"""Seconds from one heartbeat of a worker to the next."""

STALLED_SECONDS: Final = 6.0
"""Seconds without a heartbeat after which a worker's jobs are given to others."""

_SUSPECT_SECONDS: Final = 3.0
"""Seconds without a heartbeat after which the leases of a worker's targets are watched: a heartbeat is late by then."""

_UNCHANGED_SECONDS: Final = 3.0
"""Seconds without a renewal after which a target whose worker has no heartbeat is given to others."""

_AT_ONCE: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""The time of a job that is due now by the database's clock, whatever this machine's clock shows."""

_BUSY_SECONDS: Final = 3
_FAULT_SECONDS: Final = 15

FUNCTIONS: Final = (
    "procrastinate_cancel_job_v1",
    "procrastinate_defer_jobs_v1",
    "procrastinate_defer_periodic_job_v2",
    "procrastinate_fetch_job_v2",
    "procrastinate_finish_job_v1",
    "procrastinate_prune_stalled_workers_v1",
    "procrastinate_register_worker_v1",
    "procrastinate_retry_job_v2",
    "procrastinate_unregister_worker_v1",
    "procrastinate_update_heartbeat_v1",
)
"""The functions of its schema that procrastinate calls [its sql/queries.sql]; an older schema lacks some."""

# Any number that nobody else locks.
_LOCK: Final = 7_305_114_621

log = field_logger("workspaces_apps.distributed")


class HandOverError(Exception):
    """The worker ends, and another one shall go on with the target."""


class DatabaseClock:
    """The database's clock, which decides when a job is due; carried on from the last reading by one that never jumps."""

    def __init__(self) -> None:
        self._shown = _AT_ONCE
        self._read_at = steady_seconds()

    async def read(self, database: Database) -> None:
        """Read it."""
        asked_at = steady_seconds()
        rows = await database.rows("SELECT clock_timestamp()")
        self._shown, self._read_at = rows[0][0], asked_at

    def in_seconds(self, seconds: float) -> datetime:
        """Return what it will show then."""
        return self._shown + timedelta(seconds=steady_seconds() - self._read_at + seconds)


class _Again(BaseRetryStrategy):
    """The delays after which a job that did not come to its end is retried.

    Args:
        clock: The database's clock.
    """

    def __init__(self, clock: DatabaseClock) -> None:
        self._clock = clock

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:  # noqa: ARG002
        """Return when. Not by the attempts of the job, which grow with every hand-over too."""
        if isinstance(exception, HandOverError):
            return RetryDecision(retry_at=_AT_ONCE)
        if isinstance(exception, JournalError | StoreUnavailableError):
            # Somebody else has it, or will have it: whoever comes later finds it done, or goes on with it.
            return RetryDecision(retry_at=self._clock.in_seconds(_BUSY_SECONDS))
        return RetryDecision(retry_at=self._clock.in_seconds(_FAULT_SECONDS))


def make_app(
    url: JournalUrl, clock: DatabaseClock, apply_target: Callable[[str, str], Awaitable[None]]
) -> App:
    """Return the app with its one task.

    Args:
        url: The database.
        clock: Its clock, for jobs that are retried.
        apply_target: Carries a target of a run out; gets the run and the target. Where it raises, it is called again.
    """
    connector = PsycopgConnector(conninfo=conninfo_of(url), min_size=1, max_size=4, timeout=5.0)
    app = App(connector=connector)

    @app.task(name=TASK, queue=QUEUE, retry=_Again(clock))
    async def task(*, run: str, target: str) -> None:
        await apply_target(run, target)

    del task
    return app


async def prepare(database: Database, app: App) -> None:
    """Make procrastinate's schema where there is none.

    Raises:
        JournalError: It is there, and of a release that this one cannot work with.
    """
    async with database.connection() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        cursor = await connection.execute(
            "SELECT to_regclass('procrastinate_jobs') IS NOT NULL, to_regclass('procrastinate_workers') IS NOT NULL,"
            " ARRAY(SELECT proname::text FROM pg_proc WHERE proname = ANY(%s) AND pg_function_is_visible(oid))",
            (list(FUNCTIONS),),
        )
        row = await cursor.fetchone()
        tables, functions = (row[:2], set(row[2])) if row is not None else ((), set[str]())
        if tables == (True, True) and functions.issuperset(FUNCTIONS):
            return
        if tables != (False, False) or functions:
            raise JournalError(
                f"procrastinate's schema in {database.shown} is of an older release: migrate it as its documentation says"
            )
        await connection.execute(app.schema_manager.get_schema())


async def defer(app: App, run: str, jobs: Mapping[str, str], connection: AsyncConnection[TupleRow]) -> None:
    """Queue jobs, in the transaction of the connection.

    Args:
        app: The app.
        run: The run.
        jobs: By target, or slice of one, its lock: jobs of one lock are carried out one after the other, in the order in
            which they were queued.
        connection: The connection.
    """
    for target, lock in jobs.items():
        task = app.configure_task(TASK, lock=lock, queueing_lock=f"{run}/{target}", connection=connection)
        await task.defer_async(run=run, target=target)


class Sightings:
    """The leases of targets whose worker seems to be gone, and since when each has not changed.

    A worker that is short of CPU may miss its heartbeats and still renew its leases: its targets stay with it.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}

    def unchanged(self, leases: Mapping[str, tuple[int, int]], now: float) -> set[str]:
        """Take in the leases of today, and return those that have not changed for long enough."""
        before = self._seen
        self._seen = {
            name: before[name] if name in before and before[name][0] == lease else (lease, now)
            for name, lease in leases.items()
        }
        return {name for name, (_, since) in self._seen.items() if now - since >= _UNCHANGED_SECONDS}


async def rescue(database: Database, app: App, sightings: Sightings) -> int:
    """Give the jobs of workers that are gone to others; returns how many."""
    async with database.connection() as connection, connection.transaction():
        # One worker at a time: a job that was given away must not be taken from whoever has begun it since.
        cursor = await connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (_LOCK,))
        if await cursor.fetchone() != (True,):
            return 0
        suspected = await _jobs_without_heartbeat(app, _SUSPECT_SECONDS)
        stalled = await _jobs_without_heartbeat(app, STALLED_SECONDS) if suspected else {}
        rows = await (
            await connection.execute(
                "SELECT name, epoch, beat FROM workspaces_apps.journal WHERE name = ANY(%s) AND NOT released",
                (sorted(suspected),),
            )
        ).fetchall()
        leases = {row[0]: (row[1], row[2]) for row in rows}
        # Watched from the first late heartbeat on, so that both have been silent for long enough at about the same time.
        gone = sightings.unchanged(leases, steady_seconds()) | (stalled.keys() - leases.keys())
        given = sorted(gone & stalled.keys())
        for name in given:
            await app.job_manager.retry_job(stalled[name], retry_at=_AT_ONCE)
    if given:
        log.warning("%d targets of workers that are gone were given to others", len(given))
    return len(given)


async def _jobs_without_heartbeat(app: App, seconds: float) -> dict[str, Job]:
    """Return the jobs whose workers have been silent for so long, by the name of their target's journal."""
    jobs = await app.job_manager.get_stalled_jobs(
        queue=QUEUE, task_name=TASK, seconds_since_heartbeat=seconds
    )
    return {f"{job.task_kwargs['run']}/{job.task_kwargs['target']}": job for job in jobs}
