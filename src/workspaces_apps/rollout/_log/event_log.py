"""The event log of an apply: the journal first, then projections, then whoever follows; and the log of one WorkSpace in it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from workspaces_apps._associations.states import NO_ASSOCIATION
from workspaces_apps._base.clock import Clock
from workspaces_apps._reconcile.writes import Failure, LogFailed, WriteIntent
from workspaces_apps._telemetry.port import Telemetry
from workspaces_apps.rollout._errors import JournalError
from workspaces_apps.rollout._journal.stores import JournalWriter, PromptWriter
from workspaces_apps.rollout._log.events import (
    EVERYWHERE,
    Changed,
    Deployed,
    Ending,
    Event,
    Failed,
    Finished,
    Intent,
    Progress,
    Skipped,
    Staged,
    Succeeded,
    Withdrawn,
)
from workspaces_apps.rollout._log.projections import Key, RunHistory, RunSummary
from workspaces_apps.rollout._run_telemetry import RunTelemetry

if TYPE_CHECKING:
    from workspaces_apps._associations import Direction
    from workspaces_apps._observe.reads import AssociationRecord
    from workspaces_apps._reconcile.observed_state import StateChange

EventT = TypeVar("EventT", bound=Event)

_PORTION: Final = 250
"""Events to record in one turn of the loop, where there are many."""


class RequestCounter(Protocol):
    """The counts of the requests of one target; they only grow."""

    @property
    def calls(self) -> int:
        """Requests that were sent, attempt by attempt."""
        ...

    @property
    def throttled(self) -> int:
        """The number of them that the service throttled."""
        ...

    @property
    def shared_calls(self) -> int:
        """The number of them that also served somebody else of the same client."""
        ...

    @property
    def silent_seconds(self) -> float:
        """Seconds for which no attempt was answered; 0 if the last one was."""
        ...


class EventLog:
    """The record of one apply.

    Args:
        clock: The time of events.
        journal: Where to write; None: nowhere.
        counters: Whose requests are counted, by target.
        telemetry: Where spans and metrics go; None for nowhere.

    Attributes:
        run: The id of this apply.
        history: What must not be forgotten, the journal's past included.
        summary: The counts of this run.
        events: The events for whoever follows the apply; None ends them.
        resumed: Whether the journal held an earlier run.
        telemetry: The spans and metrics of this run.
    """

    def __init__(
        self,
        clock: Clock,
        journal: JournalWriter | None,
        counters: Mapping[str, RequestCounter],
        telemetry: Telemetry | None = None,
    ) -> None:
        past = journal.past if journal is not None else ()
        self.run: str = secrets.token_hex(6)
        self.history: RunHistory = RunHistory(past)
        self.summary: RunSummary = RunSummary()
        self.telemetry: RunTelemetry = RunTelemetry(telemetry, self.run)
        self.events: asyncio.Queue[Event | None] = asyncio.Queue()
        self.resumed: bool = bool(past)
        self._clock = clock
        self._journal = journal
        self._append_now = journal.append_now if isinstance(journal, PromptWriter) else None
        # Appends that are not reported yet: nothing is reported before what stands before it.
        self._appending = 0
        self._unyielded = 0
        self._counters = counters
        self._before = {name: _numbers(counter) for name, counter in counters.items()}
        self._began = clock.monotonic()
        # Appends whose callers were cancelled, and what takes back the intents among them.
        self._abandoned: set[asyncio.Task[None]] = set()
        self._finishing: asyncio.Task[Finished] | None = None

    def event(self, kind: Callable[..., EventT], target: str, **members: object) -> EventT:
        """Make an event of this moment."""
        return kind(at=self._clock.now(), run=self.run, target=target, **members)

    async def record(self, *events: Event, durable: bool = False) -> None:
        """Append events to the journal, and once they stand, tell everybody in the same order.

        Cancelled, it lets the append go on and withdraws the intents in it: nobody will act on them.

        Args:
            events: What happened.
            durable: Return only once no crash can take them back.

        Raises:
            JournalError: They could not be written; what they announce must not be done.
        """
        if self._journal is None or not events or (not durable and self._is_appended_now(events)):
            self._tell(*events)
            self._unyielded += len(events)
            if self._unyielded >= _PORTION:
                # Whoever records one after the other must not keep everybody else from running.
                self._unyielded = 0
                await asyncio.sleep(0)
            return
        self._appending += 1
        # A task of its own, so that nobody's cancellation parts what is on disk from what is counted.
        appending = asyncio.ensure_future(self._append(self._journal, events, durable))
        try:
            await asyncio.shield(appending)
        except asyncio.CancelledError:
            self._abandon(self._take_back(appending, events))
            raise

    def _abandon(self, work: Coroutine[object, object, None]) -> None:
        """Have something done that nobody waits for but the end of the run."""
        task = asyncio.ensure_future(work)
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)

    async def record_many(self, events: Iterable[Event]) -> None:
        """Record any number of events, durably, in portions between which the loop goes on.

        Cancelled, it goes on: half of a plan would be half of a report.

        Raises:
            JournalError: They could not be written.
        """
        recording = asyncio.ensure_future(self._record_in_portions(events))
        try:
            await asyncio.shield(recording)
        except asyncio.CancelledError:
            self._abandon(self._ended(recording))
            raise

    async def _record_in_portions(self, events: Iterable[Event]) -> None:
        portion: list[Event] = []
        for event in events:
            if len(portion) == _PORTION:
                await self.record(*portion)
                portion.clear()
            portion.append(event)
        await self.record(*portion, durable=True)

    async def catch_up(self) -> None:
        """Wait until what cancelled callers were recording is recorded, or could not be."""
        while self._abandoned:
            await asyncio.wait(self._abandoned)

    async def withdraw(self, *intents: Intent, reason: str) -> None:
        """Take back intents whose write was not started; they are on disk when this returns.

        Raises:
            JournalError: They could not be written; the intents count on.
        """
        await self.record(*(self._withdrawn(intent, reason) for intent in intents), durable=True)

    async def report_progress(self, *, in_flight: int, waiting: int, waiting_for_users: int = 0) -> None:
        """Record how far the apply is.

        Args:
            in_flight: WorkSpaces whose deployment goes on.
            waiting: WorkSpaces that have not started.
            waiting_for_users: WorkSpaces whose users are waited for.

        Raises:
            JournalError: It could not be written.
        """
        if self._finishing is not None:
            # Nothing comes after the end.
            return
        silent = max((counter.silent_seconds for counter in self._counters.values()), default=0.0)
        await self.record(
            self.event(
                Progress,
                EVERYWHERE,
                in_flight=in_flight,
                waiting=waiting,
                waiting_for_users=waiting_for_users,
                silent_seconds=round(silent, 1),
                **self._counts(),
            )
        )

    async def finish(self, ending: Ending, message: str) -> Finished:
        """Record how the apply ended, behind everything else; only the first call says how.

        Cancelled, it goes on: an apply ends once.

        Raises:
            JournalError: It could not be written.
        """
        if self._finishing is None:
            self._finishing = asyncio.ensure_future(self._finish(ending, message))
        return await asyncio.shield(self._finishing)

    async def _finish(self, ending: Ending, message: str) -> Finished:
        await self.catch_up()
        ended = self.event(
            Finished,
            EVERYWHERE,
            ending=ending,
            elapsed=self._clock.monotonic() - self._began,
            message=message,
            left_deploying=self.summary.left_deploying,
            left_staged=self.summary.left_staged,
            not_started=self.summary.not_started,
            **self._counts(),
        )
        await self.record(ended, durable=True)
        return ended

    def _is_appended_now(self, events: tuple[Event, ...]) -> bool:
        """Append events that need not be durable without a task; False if that is not possible."""
        if self._append_now is None or self._appending:
            return False
        began = time.perf_counter()
        if not self._append_now(*events):
            return False
        self.telemetry.appended(began, durable=False)
        return True

    async def _append(self, journal: JournalWriter, events: tuple[Event, ...], durable: bool) -> None:
        began = time.perf_counter()
        try:
            await journal.append(*events, durable=durable)
            self.telemetry.appended(began, durable=durable)
            self._tell(*events)
        finally:
            self._appending -= 1

    def _tell(self, *events: Event) -> None:
        for event in events:
            self.history.apply(event)
            self.summary.apply(event)
            self.telemetry.apply(event, changes=len(self.summary.moves))
            self.events.put_nowait(event)

    async def _ended(self, recording: asyncio.Future[None]) -> None:
        # Whoever writes next hears of it too.
        with contextlib.suppress(JournalError):
            await recording

    async def _take_back(self, appending: asyncio.Future[None], events: tuple[Event, ...]) -> None:
        intents = [event for event in events if isinstance(event, Intent)]
        # Whoever writes next hears of it too.
        with contextlib.suppress(JournalError):
            await appending
            if intents:
                await self.withdraw(*intents, reason="cancelled before its write")

    def _withdrawn(self, intent: Intent, reason: str) -> Event:
        return self.event(
            Withdrawn,
            intent.target,
            workspace_id=intent.workspace_id,
            application_id=intent.application_id,
            operation=intent.operation,
            direction=intent.direction,
            retry=intent.retry,
            reason=reason,
        )

    def _counts(self) -> dict[str, int]:
        now = [
            [after - before for after, before in zip(_numbers(counter), self._before[name], strict=True)]
            for name, counter in self._counters.items()
        ]
        calls, throttled, shared = map(sum, zip(*now, strict=True)) if now else (0, 0, 0)
        return {
            "calls": calls,
            "throttled": throttled,
            "shared_calls": shared,
            "succeeded": self.summary.counts["succeeded"],
            "failed": self.summary.counts["failed"],
            "skipped": self.summary.counts["skipped"],
        }


def _numbers(counter: RequestCounter) -> tuple[int, int, int]:
    return counter.calls, counter.throttled, counter.shared_calls


class JournaledLog:
    """Tells what happens to one WorkSpace in events, and remembers by the journal's history.

    Args:
        log: The event log.
        target: The target.
        workspace_id: The WorkSpace.
    """

    __slots__ = (
        "_log",
        "_target",
        "_workspace_id",
    )

    def __init__(self, log: EventLog, target: str, workspace_id: str) -> None:
        self._log = log
        self._target = target
        self._workspace_id = workspace_id

    def failed_direction(self, application_id: str) -> Direction | None:
        """Return the direction of the last deployment, while it has not ended well."""
        return self._log.history.failed_direction(self._key(application_id))

    def retries(self, application_id: str) -> int:
        """Return how often it was retried, over all runs on this journal."""
        return self._log.history.retries(self._key(application_id))

    async def intend(self, intents: Sequence[WriteIntent]) -> None:
        """Have intents on disk before the write that they announce."""
        await self._record(*map(self._intent, intents), durable=True)

    async def withdraw(self, intents: Sequence[WriteIntent], reason: str) -> None:
        """Take intents back."""
        try:
            await self._log.withdraw(*map(self._intent, intents), reason=reason)
        except JournalError as error:
            raise LogFailed from error

    async def staged(self, application_id: str, direction: Direction, request_id: str | None) -> None:
        """Record that the service took an Associate or Disassociate."""
        await self._record(
            self._event(Staged, application_id=application_id, direction=direction, request_id=request_id)
        )

    async def deployed(self, application_ids: Sequence[str], request_id: str | None, *, force: bool) -> None:
        """Record that the service took a Deploy."""
        await self._record(
            self._event(Deployed, applications=tuple(application_ids), force=force, request_id=request_id)
        )

    async def changed(self, changes: Sequence[StateChange]) -> None:
        """Record that associations were read in another state than before."""
        await self._record(
            *(
                self._event(
                    Changed,
                    application_id=change.application_id,
                    state=str(change.after.state) if change.after is not None else NO_ASSOCIATION,
                )
                for change in changes
            )
        )

    async def succeeded(
        self,
        application_id: str,
        direction: Direction,
        record: AssociationRecord | None,
        elapsed: float | None,
    ) -> None:
        """Record that a change is made."""
        await self._record(
            self._event(
                Succeeded,
                application_id=application_id,
                direction=direction,
                elapsed=elapsed,
                updated_at=record.updated if record is not None else None,
                created_at=record.created if record is not None else None,
            )
        )

    async def failed(self, failure: Failure) -> None:
        """Record that a change failed."""
        await self._record(
            self._event(
                Failed,
                application_id=failure.application_id,
                direction=failure.direction,
                reason=failure.reason,
                message=failure.message,
                request_id=failure.request_id,
                final=failure.final,
                elapsed=failure.elapsed,
            )
        )

    async def skipped(self, application_id: str, reason: str, message: str) -> None:
        """Record that a change is left alone."""
        await self._record(
            self._event(Skipped, application_id=application_id, reason=str(reason), message=message)
        )

    def _key(self, application_id: str) -> Key:
        return Key(self._target, self._workspace_id, application_id)

    def _event(self, kind: Callable[..., Event], **members: object) -> Event:
        return self._log.event(kind, self._target, workspace_id=self._workspace_id, **members)

    def _intent(self, intent: WriteIntent) -> Intent:
        event = self._event(
            Intent,
            application_id=intent.application_id,
            operation=intent.operation,
            direction=intent.direction,
            force=intent.force,
            retry=intent.retry,
        )
        assert isinstance(event, Intent)
        return event

    async def _record(self, *events: Event, durable: bool = False) -> None:
        try:
            await self._log.record(*events, durable=durable)
        except JournalError as error:
            raise LogFailed from error
