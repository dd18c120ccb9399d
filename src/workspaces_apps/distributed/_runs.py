"""Runs in the database, and their records: submitted, listed, told what to do, and counted against one failure budget."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from workspaces_apps._base.logs import field_logger
from workspaces_apps._base.public import Datetime, public
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.rollout import EXIT_CODES, ControlCommand, Ending, JournalError, Manifest, Target
from workspaces_apps.rollout._controller.control import NothingToDecideError, whoever, write_control
from workspaces_apps.rollout._journal.postgresql import Database, UnknownRunError, open_database, store_in
from workspaces_apps.rollout._journal.segments import StoreUnavailableError, steady_seconds
from workspaces_apps.rollout._journal.stores import parse_database
from workspaces_apps.rollout._log.events import GRAVEST_ENDINGS, bounded
from workspaces_apps.rollout._manifest.policy import Amount

RunState: TypeAlias = Literal["waiting", "running", "done", "failed"]
"""The state of a run, or of one of its targets.

``waiting``: no worker has it, not yet or not any more; ``running``: one has; ``done``: it came to an end; ``failed``: it
could not be planned or applied, and is not retried.
"""

RunCommand: TypeAlias = Literal["run", "pause", "drain", "stop"]
"""The desired state of a run: that it goes on, or the command that was given."""

STATES: Final[tuple[RunState, ...]] = get_args(RunState)

PATIENCE_SECONDS: Final = 300.0
"""Seconds for which a database that a run is followed in may be away."""

_FOLLOW_SECONDS: Final = 2.0

TRIES: Final = 4
"""Times that a target which cannot be read is tried."""


@public("workspaces_apps.distributed")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """A run that was submitted."""

    run: str
    """Its id."""
    name: str
    """The manifest's name."""
    submitted_at: Datetime
    """The time of the submission, by the database's clock."""
    command: RunCommand
    """The command that holds for it."""
    command_by: str
    """The user who gave the command, and the reason; empty if nobody did."""
    spent: str | None
    """The way the failure budget was spent, in words; None while it is not."""
    counts: Mapping[RunState, int]
    """The number of its targets in each state."""

    @property
    def state(self) -> RunState:
        """The state of the run as a whole: ``failed`` once all have ended and one has failed."""
        if self.counts["running"]:
            return "running"
        if self.counts["waiting"]:
            return "waiting"
        return "failed" if self.counts["failed"] else "done"


@public("workspaces_apps.distributed")
@dataclass(frozen=True, slots=True, kw_only=True)
class TargetStatus:
    """One target of a run."""

    target: str
    """Its name."""
    state: RunState
    """Its state."""
    worker: str
    """The worker that has it, or had it last; empty if none had."""
    planned: int | None
    """WorkSpaces that its plan changes; None before it was planned."""
    ending: Ending | None
    """The ending of its apply; None before."""
    message: str
    """More in words."""
    changed_at: Datetime
    """The time its state changed, by the database's clock."""


@public("workspaces_apps.distributed")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """A run with its targets."""

    info: RunInfo
    """The run."""
    targets: tuple[TargetStatus, ...]
    """Its targets, in the order of the manifest."""

    @property
    def is_over(self) -> bool:
        """Tell if nothing more will happen to it."""
        return self.info.state in ("done", "failed")

    @property
    def ending(self) -> Ending | None:
        """The gravest of its targets' endings; None if none has ended."""
        endings = {target.ending for target in self.targets}
        return next((ending for ending in GRAVEST_ENDINGS if ending in endings), None)

    @property
    def exit_code(self) -> int:
        """The exit code of a command that waits for it: 1 where a target failed or it is not over."""
        if self.info.state != "done" or self.ending is None:
            return 1
        return EXIT_CODES[self.ending]


log = field_logger("workspaces_apps.distributed")

_COMMANDS: Final[Mapping[ControlCommand, RunCommand]] = {
    "pause": "pause",
    "resume": "run",
    "drain": "drain",
    "stop": "stop",
}
"""The state of a run's row that each command leads to; approvals go to the journals of its targets."""

_INFO: Final = (
    "SELECT run.id, run.name, run.submitted_at, run.command, run.command_by, run.spent, part.state, count(part.target)"
    " FROM workspaces_apps.run JOIN workspaces_apps.run_target part ON part.run = run.id"
)


@asynccontextmanager
async def _connected(database: str) -> AsyncGenerator[Database, None]:
    opened = await open_database(parse_database(database))
    try:
        yield opened
    except StoreUnavailableError as error:
        raise JournalError(f"cannot reach the database: {error}") from error
    finally:
        await opened.close()


async def submit(manifest: Manifest, *, database: str, slices: Mapping[str, int] | None = None) -> str:
    """Queue a roll-out: a job for each target of the manifest, for whatever workers there are, now or later.

    Credentials never go into the database: of a target it holds the profile, the role and the external id, and each
    worker finds the credentials itself.

    Args:
        manifest: What is wanted.
        database: The database's URL, ``postgresql://user@host/database``.
        slices: By target, how many jobs it is cut into, for very large ones; 1 where none is named. The slices of a target
            share its rate: one is carried out after the other, after those of earlier runs too, each with a journal of its
            own and waves of its own.

    Returns:
        The id of the run.

    Raises:
        ConfigurationError: The extra ``distributed`` is not installed, or `slices` names no target of the manifest, or less
            than one slice.
        JournalError: The database cannot be reached, or its schema is of another release.
    """
    run = secrets.token_hex(6)
    parts = _parts(manifest.target_names, slices or {})
    async with _connected(database) as opened:
        from workspaces_apps.distributed import _engine

        app = _engine.make_app(parse_database(database), _engine.DatabaseClock(), _nobody)
        await _engine.prepare(opened, app)
        # A run without its jobs would wait for ever.
        async with opened.connection() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO workspaces_apps.run (id, name, manifest, budget) VALUES (%s, %s, %s, %s)",
                (run, manifest.name, manifest.model_dump_json(), str(manifest.policy.failure_budget)),
            )
            async with connection.cursor() as cursor:
                await cursor.executemany(
                    "INSERT INTO workspaces_apps.run_target (run, target, position, part_of, slice, slices)"
                    " VALUES (%s, %s, %s, %s, %s, %s)",
                    [
                        (run, name, position, part.target, part.number, part.slices)
                        for position, (name, part) in enumerate(parts.items())
                    ],
                )
            by_name = {target.name: target for target in manifest.targets}
            locks = {name: _lock(run, part, by_name.get(part.target)) for name, part in parts.items()}
            await _engine.defer(app, run, locks, connection)
    return run


class JobPart(NamedTuple):
    """The work of one job: a target, or a slice of one.

    Attributes:
        target: The target.
        number: The number of the slice, from 1.
        slices: How many slices the target has; 1 for the target as a whole.
        tries: How often it failed to be carried out since it last got on.
    """

    target: str
    number: int
    slices: int
    tries: int = 0


def _parts(targets: Sequence[str], slices: Mapping[str, int]) -> dict[str, JobPart]:
    """Return by its name what each job carries out.

    Raises:
        ConfigurationError: There is no such target, or less than one slice of it.
    """
    for name, count in slices.items():
        if name not in targets:
            raise ConfigurationError(
                f"slices of {name}: the manifest has no such target; there are {', '.join(targets)}"
            )
        if count < 1:
            raise ConfigurationError(f"a target has at least one slice, not {count} as {name}")
    parts: dict[str, JobPart] = {}
    for target in targets:
        count = slices.get(target, 1)
        for number in range(1, count + 1):
            name = target if count == 1 else f"{target}.{number}of{count}"
            if name in parts or (count > 1 and name in targets):
                raise ConfigurationError(f"slices of {target}: a target is called {name} already")
            parts[name] = JobPart(target, number, count)
    return parts


def _lock(run: str, part: JobPart, target: Target | None) -> str:
    """Return the lock of a job, which no other job holds while it is carried out.

    A target as a whole has one of its own: two runs may be about the same one, as two commands may. Slices wait for each
    other, those of other runs included, because each is to have the whole rate of its account and Region.
    """
    if part.slices == 1:
        return f"{run}/{part.target}"
    if target is None:
        return f"slices/{part.target}"
    region = target.region or ""
    if target.role_arn is not None:
        return f"slices/{target.role_arn.split(':')[4]}/{region}"
    # The account of a profile is what each worker's configuration says; its name is all that the queue knows.
    return f"slices/{target.name}/{target.profile or ''}/{region}"


async def _nobody(_run: str, _target: str) -> None:
    raise AssertionError


async def runs(database: str) -> Sequence[RunInfo]:
    """Return the runs of a database, the latest first.

    Args:
        database: The database's URL.

    Raises:
        JournalError: It cannot be reached, or its schema is of another release.
    """
    async with _connected(database) as opened:
        rows = await opened.rows(
            f"{_INFO} GROUP BY run.id, part.state ORDER BY run.submitted_at DESC, run.id"
        )
    found: dict[str, list[tuple[object, ...]]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(row)
    return tuple(_info(part) for part in found.values())


async def status(database: str, run: str) -> RunStatus:
    """Return how the targets of a run stand.

    Args:
        database: The database's URL.
        run: The run's id.

    Raises:
        JournalError: There is no such run, or the database cannot be reached.
    """
    async with _connected(database) as opened:
        return await _status(opened, run)


async def follow(
    database: str, run: str, *, patience: float = PATIENCE_SECONDS
) -> AsyncGenerator[RunStatus, None]:
    """Yield how a run stands every two seconds, until it is over; a database that is away is told of once, and waited for.

    Args:
        database: The database's URL.
        run: The run's id.
        patience: Seconds for which a database may be away.

    Raises:
        JournalError: There is no such run, or the database cannot be reached at first or is away for longer.
    """
    away_since: float | None = None
    async with _connected(database) as opened:
        while True:
            try:
                found = await _status(opened, run)
            except StoreUnavailableError as error:
                if away_since is None:
                    away_since = steady_seconds()
                    log.warning("waiting for the database: %s", error)
                elif steady_seconds() - away_since >= patience:
                    raise
            else:
                away_since = None
                yield found
                if found.is_over:
                    return
            await asyncio.sleep(_FOLLOW_SECONDS)


async def _status(opened: Database, run: str) -> RunStatus:
    rows = await opened.rows(f"{_INFO} WHERE run.id = %s GROUP BY run.id, part.state", run)
    if not rows:
        raise UnknownRunError(run, opened)
    targets = await opened.rows(
        "SELECT target, state, worker, planned, ending, message, changed_at FROM workspaces_apps.run_target"
        " WHERE run = %s ORDER BY position",
        run,
    )
    return RunStatus(
        info=_info(rows),
        targets=tuple(
            TargetStatus(
                target=row[0],
                state=row[1],
                worker=row[2],
                planned=row[3],
                ending=row[4],
                message=row[5],
                changed_at=row[6],
            )
            for row in targets
        ),
    )


async def command(
    database: str,
    run: str,
    word: ControlCommand,
    *,
    wave: int | None = None,
    reason: str = "",
    who: str | None = None,
) -> None:
    """Say something to a run; its workers hear it within five seconds, and targets that begin later too.

    ``approve`` and ``reject`` are about the waves that wait for approval just then, in whichever targets.

    Args:
        database: The database's URL.
        run: The run's id.
        word: ``pause``, ``resume``, ``approve``, ``reject``, ``drain`` or ``stop``. What is drained or stopped is not
            resumed: submit it again.
        wave: For approve and reject: the wave that is meant, from 1; None for whichever waits in each target.
        reason: Why, in words.
        who: Who says it; None: this user on this host.

    Raises:
        ValueError: The command is none of these, or a wave is given with one that has none.
        JournalError: There is no such run, or it was drained or stopped, or is over, or the database cannot be reached; or
            no wave of it waits for approval.
    """
    if word not in get_args(ControlCommand):
        raise ValueError(f"unknown command {word!r}: there are {', '.join(get_args(ControlCommand))}")
    if word not in _COMMANDS:
        await _decide(database, run, word, wave, reason, who)
        return
    if wave is not None:
        raise ValueError(f"{word} takes no wave")
    said = bounded(f"{word}, by {who if who is not None else whoever()}{f': {reason}' if reason else ''}")
    async with _connected(database) as opened:
        changed = await opened.rows(
            "UPDATE workspaces_apps.run SET command = %s, command_by = %s"
            " WHERE id = %s AND (command IN ('run', 'pause') OR %s = 'stop') AND EXISTS (SELECT FROM"
            " workspaces_apps.run_target WHERE run = run.id AND state IN ('waiting', 'running')) RETURNING id",
            _COMMANDS[word],
            said if word != "resume" else "",
            run,
            word,
        )
        if not changed:
            known = await opened.rows(
                "SELECT command, command_by FROM workspaces_apps.run WHERE id = %s", run
            )
            if not known:
                raise UnknownRunError(run, opened)
            held, by = known[0]
            if held in ("drain", "stop") and word != "stop":
                raise JournalError(f"the run {run} cannot {word} any more: {by}")
            raise JournalError(f"there is nothing to {word}: every target of the run {run} has ended")


async def _decide(
    database: str, run: str, word: ControlCommand, wave: int | None, reason: str, who: str | None
) -> None:
    """Approve or reject the waves that wait, each in the control record of its target's journal."""
    async with _connected(database) as opened:
        rows = await opened.rows(
            "SELECT target FROM workspaces_apps.run_target WHERE run = %s ORDER BY position", run
        )
        if not rows:
            raise UnknownRunError(run, opened)
        store, count = store_in(opened), 0
        for (target,) in rows:
            with suppress(NothingToDecideError):
                await write_control(store, word, wave=wave, reason=reason, who=who, rollout=f"{run}/{target}")
                count += 1
    if not count:
        meant = "wave" if wave is None else f"wave {wave}"
        raise JournalError(f"there is nothing to {word}: no {meant} of the run {run} waits for approval")


async def begin(opened: Database, run: str, target: str, worker: str) -> None:
    """Note that a worker has a target."""
    await opened.rows(
        "UPDATE workspaces_apps.run_target SET state = 'running', worker = %s, message = '', changed_at = now()"
        " WHERE run = %s AND target = %s",
        worker,
        run,
        target,
    )


async def leave(
    opened: Database, run: str, target: str, state: RunState, ending: Ending | None, message: str
) -> None:
    """Note that a target has come to its end, or waits for another worker."""
    await opened.rows(
        "UPDATE workspaces_apps.run_target SET state = %s, ending = %s, message = %s, changed_at = now()"
        " WHERE run = %s AND target = %s",
        state,
        ending,
        message[:1000],
        run,
        target,
    )


async def count_try(opened: Database, run: str, target: str, message: str, most: int) -> RunState:
    """Count a try that failed, and return the state of the target: it waits, or has failed after so many.

    Only such tries count, not those that were handed over or found the journal busy.
    """
    rows = await opened.rows(
        "UPDATE workspaces_apps.run_target SET tries = tries + 1, ending = NULL, message = %s, changed_at = now(),"
        " state = CASE WHEN tries + 1 >= %s THEN 'failed' ELSE 'waiting' END"
        " WHERE run = %s AND target = %s RETURNING state",
        message[:1000],
        most,
        run,
        target,
    )
    return rows[0][0] if rows else "failed"


async def forget_tries(opened: Database, run: str, target: str) -> None:
    """Note that a target gets on."""
    await opened.rows(
        "UPDATE workspaces_apps.run_target SET tries = 0 WHERE run = %s AND target = %s", run, target
    )


async def note_planned(opened: Database, run: str, target: str, workspaces: int) -> None:
    """Note how many WorkSpaces the plan of a target changes; a later plan of the run changes fewer."""
    await opened.rows(
        "UPDATE workspaces_apps.run_target SET planned = greatest(planned, %s) WHERE run = %s AND target = %s",
        workspaces,
        run,
        target,
    )


async def count_failure(opened: Database, run: str, target: str, workspace_id: str) -> str | None:
    """Count a WorkSpace that failed, once, against the budget of the whole run; returns how that is spent, if it is.

    All of it is one transaction that holds the run's row, so that two failures are never both the last that is allowed.
    A budget that is a share is one of the WorkSpaces planned so far.
    """
    async with opened.connection() as connection, connection.transaction():
        cursor = await connection.execute(
            "SELECT budget, spent FROM workspaces_apps.run WHERE id = %s FOR UPDATE", (run,)
        )
        row = await cursor.fetchone()
        if row is None:
            return None
        budget, spent = row
        await connection.execute(
            "INSERT INTO workspaces_apps.run_failure VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (run, target, workspace_id),
        )
        if spent is not None:
            return str(spent)
        cursor = await connection.execute(
            "SELECT (SELECT count(*) FROM workspaces_apps.run_failure WHERE run = %s),"
            " (SELECT coalesce(sum(planned), 0) FROM workspaces_apps.run_target WHERE run = %s)",
            (run, run),
        )
        counts = await cursor.fetchone()
        failures, planned = (int(counts[0]), int(counts[1])) if counts is not None else (0, 0)
        share = str(budget)
        allowed = Amount.parse(share if share.endswith("%") else int(share)).of(planned)
        if failures <= allowed:
            return None
        message = f"{failures} WorkSpaces failed in all targets, and the budget is {allowed}"
        await connection.execute("UPDATE workspaces_apps.run SET spent = %s WHERE id = %s", (message, run))
        return message


def _info(rows: Sequence[Sequence[object]]) -> RunInfo:
    """Return the record of a run from its rows, one for each state of its targets."""
    from pydantic import TypeAdapter

    head = rows[0]
    counts = dict.fromkeys(STATES, 0) | {row[6]: row[7] for row in rows}
    return TypeAdapter(RunInfo).validate_python(
        {
            "run": head[0],
            "name": head[1],
            "submitted_at": head[2],
            "command": head[3],
            "command_by": head[4],
            "spent": head[5],
            "counts": counts,
        }
    )
