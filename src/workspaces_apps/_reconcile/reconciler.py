"""The level-triggered loop for one WorkSpace: read, decide, do one step, read again.

Its memory is the service, and the log for what the service cannot tell. Before each write its intent is on record.
Deploy leaves only if everything on the WorkSpace was read a moment before and shows nothing foreign. What another
operator stages in the moment between that read and the service's taking the Deploy is committed too: the API has no way
to prevent it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workspaces_apps._associations import OPPOSITE
from workspaces_apps._associations.states import DEPLOYING as DEPLOYING_STATE
from workspaces_apps._associations.states import ERROR, SETTLED, STAGED, NextAction, Readiness, next_action
from workspaces_apps._base.clock import sleep_or
from workspaces_apps._base.logs import field_logger
from workspaces_apps._observe.reads import Snapshot
from workspaces_apps._observe.schedule import TOLERATED_POLLS
from workspaces_apps._reconcile.decisions import (
    BUSY_DELAY,
    RETRY_ONCE,
    AwaitReady,
    Decision,
    Deploy,
    ErrorAction,
    Finish,
    Limits,
    Reason,
    ReconcileInput,
    Refuse,
    Stage,
    Wait,
    action_for,
    code_of,
    decide,
)
from workspaces_apps._reconcile.observed_state import (
    IN_ERROR,
    ChangeResult,
    ObservedState,
    ResultRecorder,
    left_over,
)
from workspaces_apps._reconcile.writes import (
    DEPLOYING,
    STAGING,
    Answer,
    AttemptGuard,
    Conditions,
    GuardClosed,
    IntentLog,
    WriteIntent,
    answered,
    deploy,
    stage,
)
from workspaces_apps._retry import FailureKind, classify, may_have_arrived
from workspaces_apps.errors import ServiceError, WorkSpacesError, lost_credentials, told

if TYPE_CHECKING:
    from workspaces_apps._associations import Direction
    from workspaces_apps._observe.subscription import Subscription
    from workspaces_apps._reconcile.writes import ReconcilePolicy, Slot, TargetContext

_log = field_logger("workspaces_apps.reconcile")

RECENT: Final = 60.0
"""Seconds for which what was read before a reconciler began need not be read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileResult:
    """The outcome of a WorkSpace.

    Attributes:
        workspace_id: The WorkSpace.
        changes: How each change ended.
        foreign: What somebody else has staged, or has in ERROR, that was in the way, with its state.
        acted: The applications that were staged or deployed.
        taken_back: Those whose staged change was taken back.
        left_staged: Those whose staged change could not be.
        reads: How often the WorkSpace was read, polls included.
    """

    workspace_id: str
    changes: Mapping[str, ChangeResult]
    foreign: Mapping[str, str]
    acted: tuple[str, ...]
    taken_back: tuple[str, ...]
    left_staged: tuple[str, ...]
    reads: int


class DeadlinePassed(Exception):
    """The deadline of a reconciler has passed."""


def _ignore(_: object) -> None:
    """Do nothing."""


class _GiveUp(Exception):
    def __init__(self, reason: str, message: str, *, take_back: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.take_back = take_back


class _Refused(Exception):
    def __init__(self, error: WorkSpacesError, applications: tuple[str, ...]) -> None:
        super().__init__(str(error))
        self.error = error
        self.applications = applications


class Reconciler:
    """Brings one WorkSpace to its desired state.

    Args:
        workspace_id: The WorkSpace.
        desired: The direction of each application that is to be changed.
        context: What it shares with others.
        policy: How careful it is.
        log: What it remembers, and where it tells.
        conditions: The conditions under which it may write.
        acting: Its permit to stage or deploy, held when it begins.
        in_flight: Its permit to have changes under way, held when it begins.
        stop_target: Called with the error when nothing else will work either.
        park: Called with True when it begins to wait without a permit, for the WorkSpace to be ready or for the
            conditions to hold, and with False when it goes on.
        initial: What was read of the WorkSpace before; None to read it first.
        deadline: When it must end, in seconds of the clock's `monotonic`; None for never.

    Attributes:
        observed: The WorkSpace, as it was read.
        results: How its changes end.
        refusal: The last error of a call since the service took a write; None if there was none.
    """

    __slots__ = (
        "_acted",
        "_acting",
        "_asked",
        "_cannot_restage",
        "_conditions",
        "_context",
        "_deadline",
        "_deployed",
        "_desired",
        "_foreign",
        "_in_flight",
        "_initial",
        "_initial_at",
        "_is_initial",
        "_limits",
        "_log",
        "_park",
        "_policy",
        "_read_since_write",
        "_reads",
        "_refusals",
        "_restaged",
        "_staged",
        "_started",
        "_stop_target",
        "_subscription",
        "_taken_back",
        "_tried_again",
        "_was_read",
        "_workspace_id",
        "observed",
        "refusal",
        "results",
    )

    def __init__(
        self,
        workspace_id: str,
        desired: Mapping[str, Direction],
        *,
        context: TargetContext,
        policy: ReconcilePolicy,
        log: IntentLog,
        conditions: Conditions,
        acting: Slot,
        in_flight: Slot,
        stop_target: Callable[[WorkSpacesError], None] = _ignore,
        park: Callable[[bool], None] = _ignore,
        initial: Snapshot | None = None,
        deadline: float | None = None,
    ) -> None:
        self.observed: ObservedState = ObservedState(desired, context.clock, policy.grace)
        self.results: ResultRecorder = ResultRecorder(desired, self.observed, log)
        self._workspace_id = workspace_id
        self._desired = dict(desired)
        self._context = context
        self._policy = policy
        self._log = log
        self._conditions = conditions
        self._acting = acting
        self._in_flight = in_flight
        self._stop_target = stop_target
        self._park = park
        self._initial = initial
        self._deadline = deadline
        self._limits = Limits(context.clock, policy)
        self._subscription: Subscription | None = None
        self._reads = 0
        self._initial_at = initial.at if initial is not None else None
        self._is_initial = self._was_read = initial is not None
        self._read_since_write = False
        self._refusals = 0
        self._asked = False
        # Whether the service has taken a write, and nothing but our own deployment was waited for since.
        self._started = False
        self._deployed = False
        self._acted: dict[str, None] = {}
        # Staged here and not deployed, and so to be taken back if the WorkSpace is left alone; and whether an answer or a
        # read has told since what came of it.
        self._staged: dict[str, bool] = {}
        self._taken_back: dict[str, None] = {}
        self._foreign: Mapping[str, str] = {}
        # In ERROR, and staged anew, so that the next Deploy retries them; or the service would not have that.
        self._restaged: set[str] = set()
        self._cannot_restage: set[str] = set()
        self._tried_again: set[tuple[str, str]] = set()
        self.refusal: WorkSpacesError | None = None

    async def run(self) -> ReconcileResult:
        """Go on until every change has ended.

        Raises:
            DeadlinePassed: The deadline has passed.
            WorkSpacesError: The log could not be written.
        """
        try:
            await self._reconcile()
        except _GiveUp as end:
            await self._give_up(end)
        except _Refused as refused:
            await self._give_up_refused(refused)
        finally:
            self._close_subscription()
        return self.result()

    def result(self) -> ReconcileResult:
        """Return how it ended, or stands."""
        return ReconcileResult(
            workspace_id=self._workspace_id,
            changes=dict(self.results.results),
            foreign=self._foreign,
            acted=tuple(self._acted),
            taken_back=tuple(self._taken_back),
            left_staged=tuple(self._left_staged()),
            reads=self._reads + (self._subscription.polls if self._subscription is not None else 0),
        )

    def failed_direction(self, application: str) -> Direction | None:
        """Return the direction that failed, for what is in ERROR, as it was seen or is on record; None if neither."""
        return self.observed.headed.get(application) or self._log.failed_direction(application)

    async def _reconcile(self) -> None:
        if self._initial is None:
            await self._read_patiently()
        else:
            self.observed.update(self._initial)
            self._initial = None
        while True:
            self._check_deadline()
            decision = self._decide()
            if isinstance(decision, Refuse | Finish) and self._is_out_of_date():
                await self._read_patiently(with_state=True)
                continue
            if self._leads_to_write(decision):
                self._check_may_start()
            if isinstance(decision, Stage | Deploy) and await self._was_held_up():
                continue
            if not isinstance(decision, Wait):
                self._limits.end_wait()
            if not isinstance(decision, AwaitReady):
                self._limits.end_unready()
            match decision:
                case Wait():
                    await self._wait(decision)
                case AwaitReady():
                    await self._await_ready()
                case Stage(applications=applications):
                    self._begin_write()
                    for application in applications:
                        if not await self._stage(application, restages=application in decision.restaged):
                            break
                case Deploy():
                    self._begin_write()
                    await self._deploy(decision)
                case Refuse(reason=reason, message=message, foreign=foreign):
                    self._foreign = foreign
                    raise _GiveUp(reason, self._explain(reason, message), take_back=True)
                case Finish():
                    await self._finish(decision)
                    return

    def _is_out_of_date(self) -> bool:
        """Tell if all that is known was read before this began, and too long ago to be the last word."""
        at = self._initial_at
        return self._is_initial and at is not None and self._context.clock.monotonic() - at > RECENT

    def _decide(self) -> Decision:
        observed, policy, desired = self.observed, self._policy, self._desired
        return decide(
            ReconcileInput(
                desired=desired,
                states={one: str(record.state) for one, record in observed.records.items()},
                readiness=observed.readiness,
                known={one: self.failed_direction(one) for one in desired},
                tries={one: self._log.retries(one) for one in desired},
                retries=policy.retries,
                cannot_restage=frozenset(self._cannot_restage),
                committed=observed.committed,
                allowed=policy.allowed,
                allow_foreign_errors=policy.allow_foreign_errors,
                assume_direction=policy.assume_direction,
            )
        )

    def _leads_to_write(self, decision: Decision) -> bool:
        """Tell if a decision is a write, or a wait for one."""
        match decision:
            case Wait(for_others=for_others):
                return for_others
            case AwaitReady():
                return not self._is_settled()
            case _:
                return isinstance(decision, Stage | Deploy)

    def _check_may_start(self) -> None:
        """Give up where nothing more starts, unless this has started."""
        stopped = None if self._started else self._conditions.stopped()
        if stopped is not None:
            raise _GiveUp(stopped.reason, stopped.message, take_back=True)

    def _begin_write(self) -> None:
        self._close_subscription()
        if self._limits.count_write():
            raise _GiveUp(Reason.NOT_CONVERGING, "something else keeps changing it back", take_back=True)

    async def _stage(self, application: str, *, restages: bool) -> bool:
        """Stage a change; False if what follows must be decided anew."""
        direction = self._desired[application]
        if not restages and self.observed.state(application) not in STAGED:
            self._staged[application] = False
        guard = AttemptGuard(self._conditions, None, self._context.clock, starts=not self._started)
        try:
            await self._send_staging(application, direction, guard)
        except GuardClosed as closed:
            if not guard.arrived:
                self._staged.pop(application, None)
            await self._until_guard_opens(closed, deploy=False)
            return False
        except asyncio.CancelledError:
            if not guard.passed:
                self._staged.pop(application, None)
            raise
        except WorkSpacesError as error:
            if not guard.may_have_arrived(error):
                self._staged.pop(application, None)
            action = action_for(error, direction)
            if restages and action not in (ErrorAction.BACK_OFF, ErrorAction.STOP_TARGET):
                # The service does not take the direction anew; what is in ERROR stays as it is.
                self._cannot_restage.add(application)
                return True
            await self._cope(error, action, (application,))
            return False
        self._acted[application] = None
        if application in self._staged:
            self._staged[application] = True
        self._started = True
        self._limits.reset()
        self.refusal = None
        if restages:
            still = self.observed.state(application) == ERROR
            (self._cannot_restage if still else self._restaged).add(application)
        return True

    async def _send_staging(self, application: str, direction: Direction, guard: AttemptGuard) -> None:
        intent = WriteIntent(application_id=application, operation=STAGING[direction], direction=direction)
        client = self._context.guarded(guard, once=False)

        async def take_in(answer: Answer) -> None:
            self.observed.mark_staged(application)
            await self._log.staged(application, direction, answer.request_id)
            await self._take_in_answer(answer)

        await self._write(
            (intent,), guard, lambda: stage(client, self._workspace_id, application, direction), take_in
        )

    async def _write(
        self,
        intents: Sequence[WriteIntent],
        guard: AttemptGuard,
        call: Callable[[], Awaitable[Answer]],
        take_in: Callable[[Answer], Awaitable[None]],
    ) -> None:
        """Have the intents on record, make the call, take its answer in; withdraw the intents if nothing was begun."""
        await self._log.intend(intents)
        begun = False
        reason = "cancelled"
        try:
            await answered(call, take_in, guard, self._context.clock)
            begun = True
        except GuardClosed:
            begun, reason = guard.arrived, "guard"
            raise
        except WorkSpacesError as error:
            begun, reason = guard.may_have_arrived(error), code_of(error)
            raise
        finally:
            self._read_since_write = False
            if not begun and not (reason == "cancelled" and guard.passed):
                await self._log.withdraw(intents, reason)

    async def _deploy(self, decision: Deploy) -> None:
        try:
            async with self._context.deploy_gate:
                if not self._is_read_since_write():
                    await self._read()
                    again = self._decide()
                    if not isinstance(again, Deploy):
                        return
                    decision = again
                await self._check_allowed(deploy=True)
                if not self._conditions.is_admitted():
                    # The user has come: nothing is announced that would be taken back at once.
                    raise GuardClosed(conditions_hold=False)
                await self._commit(decision)
        except GuardClosed as closed:
            await self._until_guard_opens(closed, deploy=True)
        except WorkSpacesError as error:
            await self._cope(error, action_for(error), decision.applications)

    async def _check_allowed(self, *, deploy: bool) -> None:
        refusal = await self._conditions.refusal(deploy=deploy)
        if refusal is not None:
            raise _GiveUp(refusal.reason, refusal.message, take_back=True)

    async def _was_held_up(self) -> bool:
        """Wait, before anything is staged, until the user is away; True if what was read is too old by then."""
        if not self._asked:
            self._asked = True
            await self._check_allowed(deploy=False)
        if self._conditions.is_admitted():
            return False
        await self._until_conditions_hold(deploy=True)
        return True

    def _is_read_since_write(self) -> bool:
        guard = AttemptGuard(self._conditions, self.observed, self._context.clock, self._refusals)
        return self._read_since_write and guard.is_recent(self.observed)

    async def _commit(self, decision: Deploy) -> None:
        force, errors = bool(decision.retried), self.observed.errors
        again = [one for one in decision.applications if one in decision.retried or one in self._restaged]
        for application in again:
            if application in errors:
                await self.results.fail_in_error(application, errors.pop(application), final=False)
        intents = [
            WriteIntent(
                application_id=application,
                operation=DEPLOYING,
                direction=self._desired[application],
                force=force,
                retry=application in again,
            )
            for application in decision.applications
        ]
        guard = AttemptGuard(
            self._conditions, self.observed, self._context.clock, self._refusals, starts=not self._started
        )
        client = self._context.guarded(guard, once=True)

        async def take_in(answer: Answer) -> None:
            self._started = self._deployed = True
            self._conditions.deployed()
            self._refusals = 0
            self._staged.clear()
            self.observed.mark_deployed(decision.applications)
            await self._log.deployed(decision.applications, answer.request_id, force=force)
            await self._take_in_answer(answer)

        await self._write(intents, guard, lambda: deploy(client, self._workspace_id, force=force), take_in)
        self._limits.reset()
        self.refusal = None
        self._acted.update(dict.fromkeys(decision.applications))
        self._restaged.difference_update(decision.applications)
        self._cannot_restage.difference_update(decision.applications)

    async def _take_in_answer(self, answer: Answer) -> None:
        for application, record in answer.shown.items():
            changes = self.observed.fill_in(application, record)
            if changes:
                await self._log.changed(changes)

    async def _wait(self, decision: Wait) -> None:
        until = self._limits.wait_until()
        # A deployment that does not show within the grace is no longer taken for one.
        deployed_at = self.observed.deployed_at
        soonest = until
        if self.observed.committed and deployed_at is not None:
            soonest = min(until, deployed_at + self._policy.grace + 1.0)
        self._acting.release()
        if decision.for_others and not self._deployed:
            self._started = False
        applications = None if decision.for_others else frozenset(self.results.open)
        snapshot = await self._next(applications, soonest, before_write=decision.for_others)
        await self._acting.acquire()
        if snapshot is not None:
            await self._take_in(snapshot)
        elif self._context.clock.monotonic() >= until:
            await self._time_out()
        else:
            self.observed.committed = frozenset()

    async def _await_ready(self) -> None:
        """Wait until the WorkSpace is ready, or nothing more starts; before a deployment of ours this holds no permit."""
        until = self._limits.ready_until()
        self._acting.release()
        was_away = self.observed.readiness is not None
        was_listed = self.observed.workspace_state is not None
        holds_permit = self._deployed or not was_away
        if not holds_permit:
            self._leave()
        in_time = await self._until_read(until)
        if not holds_permit:
            # The queue for a permit is not the WorkSpace's time.
            self._limits.end_unready()
            await self._come_back()
        await self._acting.acquire()
        if not in_time:
            self._check_may_start()
            minutes = self._policy.ready_timeout / 60
            state = self.observed.workspace_state or "unknown"
            raise _GiveUp(
                Reason.WORKSPACE_STATE,
                f"the WorkSpace is still {state} after {minutes:g} minutes",
                take_back=True,
            )
        if not was_away and self.observed.workspace_state == DEPLOYING_STATE:
            # Somebody's deployment, which may take longer than a WorkSpace needs to become ready.
            await self._read_patiently()
        elif (
            was_listed and was_away and self.observed.readiness is Readiness.READY and not self._is_settled()
        ):
            # It was away, and so may be its associations.
            await self._read_patiently()

    async def _until_read(self, until: float) -> bool:
        """Wait for news of the WorkSpace's state, and while it is on its way for the next; False if the time is up."""
        was_away = self.observed.readiness is not None
        while True:
            snapshot = await self._next(frozenset(), until, before_write=not self._is_settled())
            if snapshot is None:
                return False
            await self._take_in(snapshot)
            if self.observed.is_absence_unproven:
                await self._read_patiently()
            elif not was_away or self.observed.readiness is not Readiness.ON_ITS_WAY:
                return True

    def _is_settled(self) -> bool:
        return all(
            next_action(self.observed.state(one), direction) is NextAction.NOTHING
            for one, direction in self._desired.items()
        )

    async def _next(
        self, applications: frozenset[str] | None, until: float, *, before_write: bool
    ) -> Snapshot | None:
        """Wait for the next news of the WorkSpace; None if there was none until then.

        Args:
            applications: The applications that matter; None for all of them.
            until: The moment after which not to wait.
            before_write: Whether it is waited for in order to write: then it ends when nothing more starts.
        """
        limit = until if self._deadline is None else min(until, self._deadline)
        news = self._subscribed(applications).next(limit)
        try:
            if before_write and not self._started:
                snapshot = await self._unless_stopped(news)
            else:
                snapshot = await news
        except WorkSpacesError as error:
            raise _Refused(error, tuple(self.results.open)) from error
        deadline = self._deadline
        if snapshot is None and deadline is not None and self._context.clock.monotonic() >= deadline:
            # What ended just then has ended in time.
            try:
                await self._read(with_state=True)
            except WorkSpacesError as error:
                raise DeadlinePassed from error
            if not isinstance(self._decide(), Finish):
                raise DeadlinePassed
            self._deadline = None
        return snapshot

    async def _unless_stopped(self, news: Coroutine[None, None, Snapshot | None]) -> Snapshot | None:
        """Wait for news; None when nothing more starts."""
        waiting = asyncio.ensure_future(news)
        try:
            await sleep_or(self._context.clock, None, waiting, *self._conditions.stops)
            return waiting.result() if waiting.done() else None
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    def _subscribed(self, applications: frozenset[str] | None) -> Subscription:
        """Return the subscription, made if there is none, to these applications."""
        if self._subscription is None:
            self._subscription = self._context.observer.subscribe(
                self._workspace_id,
                applications,
                self._context.schedule,
                since=self._followed_since() if applications else None,
                tolerate_failures=TOLERATED_POLLS,
                audience=self._context.audience,
            )
            self._subscription.is_news = self.observed.is_news
        self._subscription.applications = applications
        return self._subscription

    def _followed_since(self) -> float | None:
        """Return when the deployment began, or was read a moment ago to go on; None where it must be read at once."""
        deployed_at, read_at = self.observed.deployed_at, self._initial_at
        if deployed_at is not None or read_at is None:
            return deployed_at
        return read_at if self._context.clock.monotonic() - read_at <= RECENT else None

    def _close_subscription(self) -> None:
        if self._subscription is not None:
            self._reads += self._subscription.polls
            self.refusal = self._subscription.trouble or self.refusal
            self._subscription.close()
            self._subscription = None

    async def _take_in(self, snapshot: Snapshot) -> None:
        """Take a snapshot in, tell what has changed, and end what is done."""
        changes = self.observed.update(snapshot)
        if not self.observed.exists:
            raise _GiveUp(Reason.VANISHED, "the WorkSpace does not exist any more")
        # What the first read shows is how it was found, and no change.
        if changes and self._was_read:
            await self._log.changed(changes)
        self._is_initial, self._was_read = False, True
        await self._settle()

    async def _read(self, *, with_state: bool = False) -> None:
        """Read everything on the WorkSpace, and its own state where that is asked for."""
        context = self._context
        if with_state:
            self.observed.update(await context.observer.read_state(self._workspace_id, via=context.client))
        snapshot = await context.observer.read(self._workspace_id, via=context.client)
        self._reads += 1
        self._read_since_write = True
        self._staged = dict.fromkeys(self._staged, True)
        self.observed.answered_at = context.clock.monotonic()
        await self._take_in(snapshot)

    async def _settle(self) -> None:
        """End what is where it should be, on a WorkSpace that is back."""
        if self.observed.readiness is not Readiness.READY:
            return
        for application, direction in list(self.results.open.items()):
            if next_action(self.observed.state(application), direction) is NextAction.NOTHING:
                await self.results.succeed(application)

    async def _finish(self, decision: Finish) -> None:
        await self._settle()
        observed = self.observed
        self._foreign = {
            one: ERROR
            for one, record in observed.records.items()
            if one not in self._desired
            and record.state == ERROR
            and Reason.FOREIGN_ERROR in decision.given_up.values()
        }
        for application, reason in decision.given_up.items():
            if application in observed.errors or reason is Reason.RETRIES_EXHAUSTED:
                await self.results.fail_in_error(application, observed.records.get(application), final=True)
            else:
                await self.results.skip(application, reason, IN_ERROR.get(reason, ""))

    async def _time_out(self) -> None:
        """Read once more after the time for a deployment, and give it up if it still goes on."""
        await self._read_patiently(with_state=True)
        if not isinstance(self._decide(), Wait):
            return
        needs_somebody = self.observed.readiness is Readiness.NEEDS_SOMEBODY
        reason = Reason.WORKSPACE_STATE if needs_somebody else Reason.TIMEOUT
        for application in list(self.results.open):
            state = self.observed.state(application)
            if (state or "REMOVED") not in SETTLED:
                await self.results.fail(application, reason.value, f"still {state}")
        raise _GiveUp(reason, "a deployment did not end in time")

    async def _until_guard_opens(self, closed: GuardClosed, *, deploy: bool) -> None:
        """Wait until the conditions hold, without a permit; then what was read is too old to act on."""
        self._limits.discount_write()
        self.observed.answered_at = None
        if closed.conditions_hold:
            self._refusals += 1
            return
        await self._until_conditions_hold(deploy=deploy)

    def _leave(self) -> None:
        """Give the permit back while there is nothing to do but wait: whoever comes back may find that nothing more starts."""
        self._in_flight.release()
        self._started = False
        self._park(True)

    async def _come_back(self) -> None:
        self._park(False)
        await self._in_flight.acquire()

    async def _until_conditions_hold(self, *, deploy: bool) -> None:
        self._check_may_start()
        self._close_subscription()
        self._acting.release()
        self._leave()
        refusal = await self._conditions.until_they_hold(deploy=deploy)
        await self._come_back()
        await self._acting.acquire()
        if refusal is not None:
            raise _GiveUp(refusal.reason, refusal.message, take_back=True)
        await self._read_patiently()

    async def _cope(self, error: WorkSpacesError, action: ErrorAction, applications: tuple[str, ...]) -> None:
        clock, limits, enough = self._context.clock, self._limits, True
        look_delay = self._context.look_delay
        self.refusal = error
        match action:
            case ErrorAction.RECHECK:
                enough = limits.count_fault()
            case ErrorAction.CONFIRM:
                enough = await self._is_refused(error, applications)
                if not enough:
                    return
            case ErrorAction.BACK_OFF:
                enough = limits.count_fault()
                unknown = may_have_arrived(error) and error.operation == DEPLOYING
                await clock.sleep(max(limits.delay, look_delay) if unknown else limits.delay)
                if unknown and not enough:
                    # Two reads must agree before a Deploy is sent again: one may see the state from before.
                    await self._read_patiently()
                    if isinstance(self._decide(), Deploy):
                        await clock.sleep(look_delay)
            case ErrorAction.WAIT:
                enough, applications = limits.count_busy(), tuple(self.results.open)
                if not enough:
                    self._acting.release()
                    await self._sleep(BUSY_DELAY)
                    await self._acting.acquire()
            case ErrorAction.GIVE_UP:
                pass
            case ErrorAction.STOP_TARGET:
                self._stop_target(error)
        if enough:
            raise _Refused(error, applications) from error
        await self._read_patiently(with_state=action is ErrorAction.WAIT)

    async def _is_refused(self, error: WorkSpacesError, applications: tuple[str, ...]) -> bool:
        """Read everything after a refusal that depends on a state; False if that has changed, or may have."""
        before = {one: self.observed.state(one) for one in applications}
        await self._read_patiently(with_state=True)
        same = before == {one: self.observed.state(one) for one in applications}
        if not same or self.observed.readiness is not Readiness.READY:
            return False
        again = (error.operation or "", ",".join(applications))
        if error.code in RETRY_ONCE and again not in self._tried_again:
            # It may have become ready between the refusal and the read.
            self._tried_again.add(again)
            return False
        return True

    async def _read_patiently(self, *, with_state: bool = False) -> None:
        """Read, and cope with what may go wrong."""
        try:
            await self._read(with_state=with_state)
        except WorkSpacesError as error:
            await self._cope(error, action_for(error), tuple(self.results.open))

    async def _sleep(self, seconds: float) -> None:
        """Sleep, until the deadline at most."""
        clock = self._context.clock
        left = seconds if self._deadline is None else self._deadline - clock.monotonic()
        await clock.sleep(max(0.0, min(seconds, left)))

    def _check_deadline(self) -> None:
        if self._deadline is not None and self._context.clock.monotonic() >= self._deadline:
            raise DeadlinePassed

    def _explain(self, reason: Reason, message: str) -> str:
        if reason is Reason.WORKSPACE_STATE and self.observed.workspace_state is not None:
            return f"the WorkSpace is {self.observed.workspace_state} and needs manual attention"
        return message

    async def _give_up(self, end: _GiveUp) -> None:
        if end.take_back:
            await self._take_back()
        if end.reason == Reason.WORKSPACE_STATE and self._deployed:
            # Our own deployment is what left it so.
            for application in list(self.results.open):
                await self.results.fail(application, str(end.reason), end.message)
        await self.results.give_up(end.reason, end.message)

    async def _give_up_refused(self, refused: _Refused) -> None:
        error = refused.error
        if lost_credentials(error):
            # A poll may have told, too. Nothing can be taken back, and what is deploying goes on without us.
            self._stop_target(error)
            await self.results.give_up(Reason.CREDENTIALS, told(error), error=error)
            return
        # Else a Deploy whose answer was lost may still arrive, and what ends it here, an outage or throttles that do not
        # end, would meet the calls that take back as well. The next run goes on from there.
        if isinstance(error, ServiceError) and classify(error) is FailureKind.FATAL:
            await self._take_back()
        for application in refused.applications:
            # What was staged before the service refused may stay so, and somebody should know.
            message = left_over(self.observed.state(application), error.message)
            await self.results.fail(application, code_of(error), message, error=error)
        await self.results.give_up(
            Reason.UNKNOWN, f"another change of this WorkSpace was refused: {code_of(error)}"
        )

    def _left_staged(self) -> list[str]:
        """Return what was staged here and may be so still."""
        return [
            one
            for one, is_known in self._staged.items()
            if not is_known or self.observed.state(one) in STAGED
        ]

    async def _take_back(self) -> None:
        """Leave nothing staged that is not going to be deployed: the next Deploy, whoever's, would commit it.

        The opposite call takes a staged change back. [doc]
        """
        if any(self.observed.state(one) not in STAGED for one in self._staged):
            # An attempt may have arrived whose answer nobody has heard.
            with suppress(WorkSpacesError, _GiveUp):
                await self._read()
        for application in [one for one in self._staged if self.observed.state(one) in STAGED]:
            guard = AttemptGuard(self._conditions, None, self._context.clock)
            try:
                await self._send_staging(application, OPPOSITE[self._desired[application]], guard)
            except (WorkSpacesError, GuardClosed) as trouble:
                _log.debug(
                    "%s on %s could not be taken back: %s", application, self._workspace_id, trouble,
                    extra={"workspace_id": self._workspace_id, "application_id": application},
                )  # fmt: skip
            else:
                self._taken_back[application] = None
                del self._staged[application]
