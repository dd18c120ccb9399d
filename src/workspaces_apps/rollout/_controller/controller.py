"""The controller of an apply: wave by wave, within the hours, the limits and the failure budget of its policy."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Final, TypeAlias

from workspaces_apps._associations.states import NextAction, Readiness, next_action, readiness
from workspaces_apps._base.logs import field_logger
from workspaces_apps._observe.reads import portions
from workspaces_apps._observe.schedule import DEPLOYMENT_SCHEDULE
from workspaces_apps._reconcile.decisions import Reason
from workspaces_apps._reconcile.observed_state import left_as, left_over
from workspaces_apps._reconcile.reconciler import RECENT, Reconciler, ReconcileResult
from workspaces_apps._reconcile.writes import LogFailed, ReconcilePolicy, Slot, TargetContext
from workspaces_apps.errors import WorkSpacesError, lost_credentials, told
from workspaces_apps.rollout._controller.admission import (
    Admission,
    AdmissionContext,
    CircuitBreaker,
    Pause,
    RunConditions,
)
from workspaces_apps.rollout._controller.users import ConnectionWatch, Notifier
from workspaces_apps.rollout._log.event_log import EventLog, JournaledLog
from workspaces_apps.rollout._log.events import (
    EVERYWHERE,
    ApprovalRequested,
    Approved,
    Ending,
    Event,
    Planned,
    Rejected,
    Skipped,
    Started,
    Succeeded,
    WaveBegan,
)
from workspaces_apps.rollout._log.projections import EndedWave, Key, digest_of
from workspaces_apps.rollout._manifest.policy import Amount, cut, grown, wave_sizes
from workspaces_apps.rollout._manifest.selectors import in_words
from workspaces_apps.rollout._plan.plan import Plan, PlannedChange, PlannedWorkspace
from workspaces_apps.rollout._plan.reading import STOPPED

if TYPE_CHECKING:
    from workspaces_apps._associations import Direction
    from workspaces_apps._base.clock import Clock
    from workspaces_apps._observe.reads import Snapshot
    from workspaces_apps._reconcile.reconciler import ReconcileResult
    from workspaces_apps.api import WorkspaceState
    from workspaces_apps.rollout._controller.admission import CircuitBreaker
    from workspaces_apps.rollout._controller.control import ApprovalGate
    from workspaces_apps.rollout._controller.users import Notifier
    from workspaces_apps.rollout._journal.stores import FencedWriter
    from workspaces_apps.rollout._run_telemetry import CallMetrics

FailureCounter: TypeAlias = "Callable[[str, str], Awaitable[str | None]]"
"""Counts a failure by target and WorkSpace; returns how the budget is spent, in words, or None."""

_log = field_logger("workspaces_apps.rollout")

_Turns: TypeAlias = deque[tuple[int, PlannedWorkspace]]
"""WorkSpaces of the same hours that have not begun, in order, each with its place in the order of all."""

PROGRESS_SECONDS: Final = 60.0

_AT_FIRST: Final = 100
"""WorkSpaces whose states are read before the first of them begins, and then at a time while others do."""

ACTING: Final = 32
"""WorkSpaces of a target that stage or deploy at the same time; the pacing decides how fast they go."""


@dataclass(slots=True)
class _Target:
    """A target that could be read.

    Attributes:
        context: What its reconcilers share.
        watch: Reads who is connected.
        found: Its WorkSpaces as they were before their reconcilers began, but for those that could not be read.
        unread: Those whose states were not read yet.
        came: Set when states have come.
        acting: The permits to stage or deploy.
    """

    context: TargetContext
    watch: ConnectionWatch
    found: dict[str, Snapshot]
    unread: set[str]
    came: asyncio.Event = field(default_factory=asyncio.Event)
    acting: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, ACTING))

    def take_states(self, ids: Iterable[str], states: Mapping[str, WorkspaceState | None], at: float) -> None:
        """Take in the states of some WorkSpaces; those that are missing could not be read."""
        for one in ids:
            snapshot = self.found.get(one)
            if snapshot is not None and one in states:
                self.found[one] = replace(snapshot, workspace_state=states[one], state_at=at)
            self.unread.discard(one)
        self.came.set()

    def deny_states(self) -> None:
        """Note that states may not be read."""
        self.found = {one: replace(snapshot, state_denied=True) for one, snapshot in self.found.items()}
        self.unread.clear()
        self.came.set()


@dataclass(slots=True, eq=False)
class _Run:
    """A reconciler that runs.

    Attributes:
        workspace: Its WorkSpace.
        reconciler: The reconciler.
        slots: Its permits.
        parked: Whether it waits without a permit, so that the next wave need not wait for it.
    """

    workspace: PlannedWorkspace
    reconciler: Reconciler
    slots: tuple[Slot, Slot]
    parked: bool = False


class RolloutController:
    """Gives each WorkSpace of a plan a reconciler when its turn comes, and each change of the others its result.

    Args:
        plan: What to do.
        metrics: The client of each target, with its counts.
        clock: Time for waits and hours.
        log: Where everything is recorded.
        breaker: Keeps it from starting more.
        pause: Keeps it from writing for a while.
        gate: Waits for approvals.
        notifier: Calls the hook before deployments; None where there is none.
        fence: The journal, where another machine may take it over.
        count_elsewhere: Counts a WorkSpace that failed against a budget that other applies share.
        assume_direction: Take the direction that is desired for the one that failed, where it is not known.
        dry_run: Only tell what would be done.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        metrics: Mapping[str, CallMetrics],
        clock: Clock,
        log: EventLog,
        breaker: CircuitBreaker,
        pause: Pause,
        gate: ApprovalGate,
        notifier: Notifier | None,
        fence: FencedWriter | None = None,
        count_elsewhere: FailureCounter | None = None,
        assume_direction: bool,
        dry_run: bool,
    ) -> None:
        self._plan = plan
        self._metrics = metrics
        self._clock = clock
        self._log = log
        self._breaker = breaker
        self._pause = pause
        self._gate = gate
        self._notifier = notifier
        self._admission_context = AdmissionContext(
            policy=plan.policy, clock=clock, breaker=breaker, pause=pause, summary=log.summary, fence=fence
        )
        self._count_elsewhere = count_elsewhere
        self._counting: set[asyncio.Task[None]] = set()
        self._assume_direction = assume_direction
        self._dry_run = dry_run
        self._slots = asyncio.Semaphore(plan.policy.max_in_flight)
        self._targets: dict[str, _Target] = {}
        self._reading: set[asyncio.Task[None]] = set()
        self._waiting = {(one.target, one.workspace_id): one for one in plan.pending}
        self._running: dict[asyncio.Task[ReconcileResult], _Run] = {}
        self._moved = asyncio.Event()
        self._ended_early: list[_Run] = []
        self._broken: BaseException | None = None

    @property
    def waiting_for_users(self) -> int:
        """WorkSpaces whose users are waited for."""
        return sum(target.watch.following for target in self._targets.values())

    async def run(self) -> None:
        """Go to the end; cancelled, give the results that are missing, and end.

        Raises:
            JournalError: The journal could not be written any more.
        """
        self._log.telemetry.waiting = self._count_waiting
        progress = asyncio.create_task(self._report_progress())
        try:
            await self._roll_out()
        except asyncio.CancelledError:
            await self._cancel_reconcilers()
            if self._broken is not None:
                raise self._broken from None
            await self._end_reading()
            await self._stop()
            await self._finish("stopped", "asked to stop")
        except BaseException:
            await self._cancel_reconcilers()
            raise
        finally:
            progress.cancel()
            for target in self._targets.values():
                await target.watch.close()
            for counting in self._counting:
                counting.cancel()
            # Before anything that may be cancelled: whoever waits for events must not wait for ever.
            self._log.events.put_nowait(None)
            await asyncio.gather(progress, return_exceptions=True)
            await self._end_reading()

    async def _roll_out(self) -> None:
        await open_run(self._plan, self._log, dry_run=self._dry_run)
        policy, pending = self._plan.policy, self._plan.pending
        past = self._log.history.approvals
        if not self._dry_run:
            ended = past.unapproved
            if ended is not None and pending and policy.approval != "none":
                await self._await_approval(ended)
            await self._survey(pending)
        # After an approved canary an earlier run went on, or would have: the waves grow on from there.
        approved = past.approved_for(
            (change.application_id, change.direction)
            for workspace in pending
            for change in workspace.pending
            if change.direction is not None
        )
        continues = approved is not None
        first = policy.canary if approved is None else Amount(grown(approved, policy.growth))
        sizes = wave_sizes(len(pending), first, policy.growth, policy.largest_wave)
        for number, wave in enumerate(cut(pending, sizes), start=1):
            is_canary = number == 1 and policy.canary is not None and not continues
            # After the last wave there is nothing that could wait for an approval.
            asks = number < len(sizes) and (
                policy.approval == "every-wave" or (policy.approval == "canary" and is_canary)
            )
            if number > 1 and self._breaker.reason is None and not self._dry_run:
                await self._breaker.rest(policy.pause)
            digest = digest_of((one.target, one.workspace_id) for one in wave)
            if self._breaker.reason is None:
                began = self._log.event(
                    WaveBegan,
                    EVERYWHERE,
                    wave=number,
                    waves=len(sizes),
                    workspaces=len(wave),
                    digest=digest,
                    approval=asks,
                )
                await self._log.record(began)
            if self._dry_run:
                continue
            with self._log.telemetry.wave(number, len(wave)):
                await self._do_wave(wave, whole=is_canary or asks)
            if asks and self._breaker.reason is None:
                await self._await_approval(EndedWave(self._log.run, number, digest, len(wave)))
        while self._running:
            await self._next_move()
        while self._counting:
            await asyncio.wait(self._counting)
        self._check_unbroken()
        await self._end_reading()
        await self._finish(*self._ending())

    async def _await_approval(self, wave: EndedWave) -> None:
        """Wait until somebody approves a wave that has ended; start no new ones if nobody does."""
        log, history = self._log, self._log.history.approvals
        about = {"wave": wave.wave, "digest": wave.digest}
        request = log.event(ApprovalRequested, EVERYWHERE, workspaces=wave.workspaces, **about)
        # Before it is recorded: whoever hears of it may answer at once.
        self._gate.open(request, history.consumed)
        try:
            await log.record(request, durable=True)
            await self._breaker.rest(self._plan.policy.approval_timeout, None, self._gate.decided)
            if self._gate.look is not None and not self._gate.decided.is_set():
                # It is read every few seconds of real time: what was said since still counts.
                await self._gate.look()
        finally:
            decision = self._gate.close()
        if decision is None:
            hours = self._plan.policy.approval_timeout / 3600
            self._breaker.trip(Reason.DRAINED, f"nobody approved wave {wave.wave} within {hours:g} hours")
            return
        # On record before it acts: after a crash it counts still.
        kind = Approved if decision.approve else Rejected
        by = {"who": decision.who, "reason": decision.reason, "sequence": decision.sequence}
        await log.record(log.event(kind, EVERYWHERE, **about, **by), durable=True)
        if not decision.approve:
            because = f": {decision.reason}" if decision.reason else ""
            self._breaker.trip(Reason.DRAINED, f"wave {wave.wave} was rejected by {decision.who}{because}")

    async def _survey(self, pending: Sequence[PlannedWorkspace]) -> None:
        """Read everything once: the plan may be old, and an earlier run may have gone on since.

        States are read 25 a call, which takes minutes where there are thousands: those whose turn comes later are read while
        the first ones begin.
        """
        by_target: defaultdict[str, list[PlannedWorkspace]] = defaultdict(list)
        for workspace in pending:
            by_target[workspace.target].append(workspace)

        async def one(target: str, workspaces: list[PlannedWorkspace]) -> None:
            metrics = self._metrics[target]
            # The package's own, and no part of the client's surface.
            context = metrics.client._reconcile_context(  # pyright: ignore[reportPrivateUsage]
                DEPLOYMENT_SCHEDULE, metrics
            )
            applications = {change.application_id for one in workspaces for change in one.pending}
            ids = [workspace.workspace_id for workspace in workspaces]
            try:
                found = await context.observer.read_many(
                    ids, applications, states_of=ids[:_AT_FIRST], via=context.client
                )
            except WorkSpacesError as error:
                reason = Reason.UNKNOWN
                if lost_credentials(error):
                    reason = Reason.CREDENTIALS
                    self._breaker.lose_credentials(target, error)
                for workspace in workspaces:
                    await self._skip(workspace, reason, f"the target cannot be read: {told(error)}")
            else:
                stopped = frozenset(one.workspace_id for one in workspaces if one.state == STOPPED)
                read_states = partial(context.observer.read_states, via=context.client)
                watch = ConnectionWatch(metrics.client, self._clock, read_states, stopped)
                later = [] if any(one.state_denied for one in found.values()) else ids[_AT_FIRST:]
                known = _Target(context, watch, dict(found), set(later))
                self._targets[target] = known
                if later:
                    reading = asyncio.create_task(self._read_states(target, known, later))
                    reading.add_done_callback(partial(self._was_read, known))
                    self._reading.add(reading)

        await asyncio.gather(*(one(target, by_target[target]) for target in sorted(by_target)))

    async def _read_states(self, name: str, target: _Target, ids: Sequence[str]) -> None:
        """Read the states of the WorkSpaces of a target whose turn does not come at once, in that order."""
        observer, client = target.context.observer, target.context.client
        for some in portions(ids, _AT_FIRST):
            stopped = self._breaker.reason_for(name)
            if stopped is not None:
                # Of those that do not begin any more, only the states of those are wanted that may be as desired.
                lost = stopped[0] is Reason.CREDENTIALS
                some = [one for one in some if not lost and self._may_be_done(name, target, one)]
            if not some:
                continue
            at = self._clock.monotonic()
            states: Mapping[str, WorkspaceState | None] | None = {}
            try:
                states = await observer.read_states_if_allowed(some, client)
            except WorkSpacesError as error:
                # Their reconcilers find out for themselves what is wrong, and whether it still is.
                _log.debug(
                    "the states of %d WorkSpaces cannot be read: %s", len(some), error,
                    extra={"operation": error.operation, "request_id": error.request_id},
                )  # fmt: skip
            if states is None:
                target.deny_states()
                return
            target.take_states(some, states, at)

    def _may_be_done(self, name: str, target: _Target, workspace_id: str) -> bool:
        """Tell if nothing is to do on a WorkSpace that waits, as far as its associations say."""
        workspace, found = self._waiting.get((name, workspace_id)), target.found.get(workspace_id)
        if workspace is None or found is None:
            return False
        states = {one: record.state for one, record in found.associations.items()}
        return any(
            next_action(states.get(change.application_id), change.direction) is NextAction.NOTHING
            for change in workspace.pending
        )

    def _was_read(self, target: _Target, reading: asyncio.Task[None]) -> None:
        """Note that no more states come, unless this run has ended their reading itself."""
        if reading not in self._reading:
            return
        self._reading.discard(reading)
        target.take_states(list(target.unread), {}, 0.0)
        error = None if reading.cancelled() else reading.exception()
        if error is not None:
            self.abort(error)

    async def _end_reading(self) -> None:
        """Read no more states; those that are missing stay unread."""
        reading, self._reading = self._reading, set()
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    async def _do_wave(self, wave: Sequence[PlannedWorkspace], *, whole: bool) -> None:
        """Carry a wave out.

        Args:
            wave: Its WorkSpaces.
            whole: Whether also what is parked keeps the next wave waiting: so with a canary, and before an approval.
        """
        by_target: defaultdict[str, list[PlannedWorkspace]] = defaultdict(list)
        for workspace in wave:
            if workspace.target in self._targets:
                by_target[workspace.target].append(workspace)
        queues = [asyncio.ensure_future(self._do_target(queue)) for queue in by_target.values()]
        mine = {(one.target, one.workspace_id) for one in wave}
        try:
            await asyncio.gather(*queues)
            while self._is_busy(mine, whole=whole):
                await self._next_move()
        finally:
            for queue in queues:
                queue.cancel()

    def _is_busy(self, wave: Collection[tuple[str, str]], *, whole: bool) -> bool:
        return any(
            (whole or not run.parked) and (run.workspace.target, run.workspace.workspace_id) in wave
            for run in self._running.values()
        )

    async def _next_move(self) -> None:
        """Wait until a reconciler ends, is parked, or goes on.

        Raises:
            JournalError: The journal could not be written any more.
        """
        self._moved.clear()
        if self._broken is None:
            await self._moved.wait()
        self._check_unbroken()

    def _check_unbroken(self) -> None:
        if self._broken is not None:
            raise self._broken

    async def _do_target(self, workspaces: Sequence[PlannedWorkspace]) -> None:
        """Begin all WorkSpaces of a target; a permit is for the first of those whose hours are open when it comes."""
        target = workspaces[0].target
        by_hours: defaultdict[int | None, _Turns] = defaultdict(deque)
        for position, workspace in enumerate(workspaces):
            by_hours[workspace.hours].append((position, workspace))
        queues: Sequence[_Turns] = list(by_hours.values())
        while queues := [queue for queue in queues if queue]:
            stopped = self._breaker.reason_for(target)
            if stopped is not None:
                for _, workspace in sorted(chain.from_iterable(queues)):
                    await self._skip(workspace, *stopped)
                return
            first = self._first_open(queues)
            if first is None:
                queues = await self._outside_hours(queues)
                continue
            known = self._targets[target]
            if first[0][1].workspace_id in known.unread:
                known.came.clear()
                await self._breaker.rest(PROGRESS_SECONDS, target, known.came)
                continue
            slots = await self._acquire_permits(workspaces[0])
            first = self._first_open(queues)
            if first is None or self._breaker.reason_for(target) is not None:
                # It came late: all hours have closed, or nothing more starts.
                for slot in slots:
                    slot.release()
            else:
                _, workspace = first.popleft()
                self._start(workspace, self._targets[target], slots)

    def _first_open(self, queues: Iterable[_Turns]) -> _Turns | None:
        """Return the queue whose hours are open and whose first is the first of all such; None if all are closed."""
        is_open = (queue for queue in queues if self._conditions(queue[0][1]).is_open())
        return min(is_open, key=itemgetter(0), default=None)

    def _conditions(self, workspace: PlannedWorkspace) -> RunConditions:
        return RunConditions(workspace, self._admission_context)

    async def _outside_hours(self, queues: Iterable[_Turns]) -> Sequence[_Turns]:
        """Wait for the first of their hours; skip those that never come, or are not waited for. Return the others."""
        hopeful: list[_Turns] = []
        openings: list[datetime] = []
        for queue in queues:
            _, first = queue[0]
            opening = self._conditions(first).next_opening()
            if opening is None or self._plan.policy.outside_hours == "skip":
                refusal = self._conditions(first).closed()
                for _, workspace in queue:
                    await self._skip(workspace, refusal.reason, refusal.message)
            else:
                hopeful.append(queue)
                openings.append(opening)
        if openings:
            seconds = (min(openings) - self._clock.now()) / timedelta(seconds=1)
            await self._breaker.rest(seconds, hopeful[0][0][1].target)
        return hopeful

    async def _acquire_permits(self, workspace: PlannedWorkspace) -> tuple[Slot, Slot]:
        """Acquire the permits for the next WorkSpace of a target, whichever that is, while the run may write to it."""
        in_flight, acting = Slot(self._slots), Slot(self._targets[workspace.target].acting)
        try:
            await in_flight.acquire()
            await acting.acquire()
            while self._counting:
                # It may have been the last that the budget allows.
                await asyncio.wait(self._counting)
            conditions = self._conditions(workspace)
            while not conditions.holds(deploy=False) and self._breaker.reason_for(workspace.target) is None:
                await conditions.until_they_hold(deploy=False)
        except BaseException:
            in_flight.release()
            acting.release()
            raise
        return in_flight, acting

    def _start(self, workspace: PlannedWorkspace, target: _Target, slots: tuple[Slot, Slot]) -> None:
        self._no_longer_waits(workspace)

        def park(parked: bool) -> None:
            run.parked = parked
            self._moved.set()

        conditions = self._conditions(workspace)
        admission = Admission(
            workspace,
            self._plan.policy,
            self._clock,
            self._breaker,
            target.watch,
            self._notifier,
            conditions.next_opening,
        )

        reconciler = Reconciler(
            workspace.workspace_id,
            {one.application_id: one.direction for one in workspace.pending if one.direction is not None},
            context=target.context,
            policy=self._policy_for(workspace),
            log=JournaledLog(self._log, workspace.target, workspace.workspace_id),
            conditions=RunConditions(workspace, self._admission_context, admission),
            in_flight=slots[0],
            acting=slots[1],
            stop_target=partial(self._stop_target, workspace.target),
            park=park,
            initial=target.found.get(workspace.workspace_id),
        )
        run = _Run(workspace, reconciler, slots)
        reconcile = self._log.telemetry.workspace(workspace.target, workspace.workspace_id, reconciler.run)
        task = asyncio.create_task(reconcile)
        self._running[task] = run
        task.add_done_callback(self._ended)

    def _stop_target(self, target: str, error: WorkSpacesError) -> None:
        if lost_credentials(error):
            self._breaker.lose_credentials(target, error)
        else:
            self._breaker.trip_target(target, str(error))

    def _policy_for(self, workspace: PlannedWorkspace) -> ReconcilePolicy:
        policy = self._plan.policy
        foreign = workspace.foreign if policy.allow_foreign_staged else ()
        return ReconcilePolicy(
            retries=policy.retries,
            allowed=frozenset((one.application_id, one.state) for one in foreign),
            assume_direction=self._assume_direction,
            deployment_timeout=policy.deployment_timeout,
            ready_timeout=policy.ready_timeout,
        )

    def _ended(self, task: asyncio.Task[ReconcileResult]) -> None:
        run = self._running.pop(task)
        for slot in run.slots:
            slot.release()
        self._moved.set()
        if run.reconciler.results.failed:
            self._breaker.count_failure()
            if self._count_elsewhere is not None:
                counting = asyncio.create_task(self._count(self._count_elsewhere, run.workspace))
                self._counting.add(counting)
                counting.add_done_callback(self._counted)
        if task.cancelled():
            self._ended_early.append(run)
            return
        error = task.exception()
        if error is not None:
            # A fault of the journal, or of this package: nothing may go on unrecorded.
            self.abort(error.__cause__ or error if isinstance(error, LogFailed) else error)

    def abort(self, error: BaseException) -> None:
        """End with an error, and without last words: nothing may go on unrecorded, or recorded by two."""
        self._broken = self._broken or error
        self._breaker.trip(Reason.STOPPED, "the roll-out itself failed")
        for other in self._running:
            other.cancel()
        self._moved.set()

    async def _count(self, count: FailureCounter, workspace: PlannedWorkspace) -> None:
        spent = await count(workspace.target, workspace.workspace_id)
        if spent is not None:
            self._breaker.trip(Reason.BUDGET_SPENT, spent)

    def _counted(self, counting: asyncio.Task[None]) -> None:
        self._counting.discard(counting)
        error = None if counting.cancelled() else counting.exception()
        if error is not None:
            # It may have been one too many.
            self._breaker.trip(
                Reason.BUDGET_SPENT, f"a failure could not be counted ({type(error).__name__}: {told(error)})"
            )

    async def _cancel_reconcilers(self) -> None:
        tasks = tuple(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _stop(self) -> None:
        # What was being recorded stands before the last words, the plan above all.
        await self._log.catch_up()
        for run in self._ended_early:
            await run.reconciler.results.give_up(Reason.STOPPED, "the roll-out was stopped")
        for workspace in tuple(self._waiting.values()):
            await self._give_up(workspace, Reason.STOPPED, "the roll-out was stopped before its turn")

    async def _skip(self, workspace: PlannedWorkspace, reason: str, message: str) -> None:
        """Give a WorkSpace that does not begin its last words, once it is known what it is like."""
        target = self._targets.get(workspace.target)
        while (
            target is not None
            and workspace.workspace_id in target.unread
            and self._may_be_done(workspace.target, target, workspace.workspace_id)
        ):
            target.came.clear()
            await target.came.wait()
        await self._give_up(workspace, reason, message)

    async def _give_up(self, workspace: PlannedWorkspace, reason: str, message: str) -> None:
        self._no_longer_waits(workspace)
        events = [self._last_word(workspace, change, reason, message) for change in workspace.pending]
        await self._log.record(*events)

    def _last_word(
        self, workspace: PlannedWorkspace, change: PlannedChange, reason: str, message: str
    ) -> Event:
        """Return the last word on a change whose turn does not come: an earlier run may have begun it, or made it."""
        about = {"workspace_id": workspace.workspace_id, "application_id": change.application_id}
        # As it was when the apply began; as far as is known, when it was planned.
        state: str | None = change.state
        direction = change.direction
        target = self._targets.get(workspace.target)
        found = target.found.get(workspace.workspace_id) if target is not None else None
        if target is not None and found is not None:
            record = found.associations.get(change.application_id)
            state = record.state if record is not None else None
            if next_action(state, direction) is NextAction.NOTHING:
                unread = workspace.workspace_id in target.unread
                if unread or self._clock.monotonic() - found.at > RECENT:
                    # Nobody knows if it is there still: another run will tell.
                    return self._log.event(Skipped, workspace.target, reason=reason, message=message, **about)
                if found.state_at is None or readiness(found.workspace_state) is Readiness.READY:
                    times = (
                        {} if record is None else {"updated_at": record.updated, "created_at": record.created}
                    )
                    return self._log.event(Succeeded, workspace.target, direction=direction, **about, **times)
        left = str(left_as(state, reason, direction))
        return self._log.event(
            Skipped, workspace.target, reason=left, message=left_over(state, message, left), **about
        )

    def _no_longer_waits(self, workspace: PlannedWorkspace) -> None:
        self._waiting.pop((workspace.target, workspace.workspace_id), None)

    def _ending(self) -> tuple[Ending, str]:
        if self._dry_run:
            return "dry-run", ""
        if self._breaker.lost:
            return (
                "credentials",
                f"{self._breaker.lost}. Then run the same command to resume",
            )
        if self._breaker.reason is not None:
            reason, message = self._breaker.reason
            return ("budget-spent" if reason is Reason.BUDGET_SPENT else "drained"), message
        counts, plan = self._log.summary.counts, self._plan
        left = counts["failed"] + counts["skipped"] + len(plan.not_found) + len(plan.need_somebody)
        message = "; ".join(filter(None, (self._breaker.stopped, *plan.not_found, *plan.need_somebody)))
        return ("incomplete" if left else "complete"), message

    async def _finish(self, ending: Ending, message: str) -> None:
        await self._report()
        await self._log.finish(ending, message)

    async def _report_progress(self) -> None:
        while True:
            await self._clock.sleep(PROGRESS_SECONDS)
            await self._report()

    def _count_waiting(self) -> Mapping[str, int]:
        """Return how many WorkSpaces wait: for their turn, for users, or until they are ready or may be written to."""
        users = self.waiting_for_users
        parked = max(0, sum(run.parked for run in list(self._running.values())) - users)
        return {"turn": len(self._waiting), "user": users, "pause" if self._pause.on else "parked": parked}

    async def _report(self) -> None:
        in_flight = sum(run.slots[0].held for run in self._running.values())
        for_users = self.waiting_for_users
        # Those that have given their permit back for other reasons wait as well: for their hours, or to be ready.
        parked = max(0, len(self._running) - in_flight - for_users)
        await self._log.report_progress(
            in_flight=in_flight, waiting=len(self._waiting) + parked, waiting_for_users=for_users
        )


async def open_run(plan: Plan, log: EventLog, *, dry_run: bool) -> None:
    """Take down that an apply begins, and settle what is left of the runs before it.

    Args:
        plan: What it will do.
        log: Its record.
        dry_run: Whether it will write nothing; then nothing is settled either.

    Raises:
        JournalError: It could not be written.
    """
    # What earlier runs left, without what this plan adds.
    unsettled = log.history.unsettled
    started = log.event(
        Started,
        EVERYWHERE,
        name=plan.name,
        plan=plan.fingerprint,
        workspaces=len(plan.workspaces),
        changes=sum(len(workspace.pending) for workspace in plan.workspaces),
        resumed=log.resumed,
        dry_run=dry_run,
        unmatched=in_words(plan.unmatched),
    )
    await log.record_many(chain([started], _planned(plan, log)))
    if not dry_run:
        await log.record_many(_settled(plan, log, unsettled))


def _settled(plan: Plan, log: EventLog, unsettled: Mapping[Key, Direction]) -> Iterator[Event]:
    """Yield how the changes that earlier runs planned have ended meanwhile, if they have."""
    readable = {reading.name for reading in plan.targets if reading.error is None}
    changes = {
        Key(workspace.target, workspace.workspace_id, change.application_id): change
        for workspace in plan.workspaces
        for change in workspace.changes
    }
    for key, direction in unsettled.items():
        change = changes.get(key)
        about = {"workspace_id": key.workspace_id, "application_id": key.application_id}
        if change is not None and change.action == "nothing" and change.direction == direction:
            yield log.event(Succeeded, key.target, direction=direction, **about)
        elif change is None and key.target in readable:
            message = "an earlier run planned to change it; now it is not in the plan any more"
            yield log.event(Skipped, key.target, reason=Reason.VANISHED.value, message=message, **about)


def _planned(plan: Plan, log: EventLog) -> Iterator[Event]:
    catalogues = {one.name: one for one in plan.targets}
    for workspace in plan.workspaces:
        # An undo has WorkSpaces of targets that are not in it, which it does not touch.
        catalogue = catalogues.get(workspace.target)
        for change in workspace.changes:
            yield log.event(
                Planned,
                workspace.target,
                workspace_id=workspace.workspace_id,
                application_id=change.application_id,
                application=catalogue.names.get(change.application_id) if catalogue is not None else None,
                owner=catalogue.owners.get(change.application_id) if catalogue is not None else None,
                action=change.action,
                state=change.state,
                direction=change.direction,
                reason=change.reason,
                message=change.message,
                user_name=workspace.user_name,
                connected=workspace.connected,
            )
