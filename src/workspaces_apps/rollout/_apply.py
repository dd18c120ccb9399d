"""An apply in the hands of whoever began it: its events, its result, and two ways to end it early."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Self

from workspaces_apps._base.clock import Clock
from workspaces_apps._base.logs import field_logger
from workspaces_apps._base.public import public
from workspaces_apps._reconcile.decisions import Reason
from workspaces_apps._telemetry.port import Telemetry
from workspaces_apps.errors import ClientStateError
from workspaces_apps.rollout._controller.admission import CircuitBreaker, Pause
from workspaces_apps.rollout._controller.control import (
    POLL_SECONDS,
    ApprovalDecision,
    ApprovalGate,
    ControlReader,
    whoever,
)
from workspaces_apps.rollout._controller.controller import RolloutController
from workspaces_apps.rollout._controller.users import BeforeDeploy, Notifier
from workspaces_apps.rollout._errors import RolloutError
from workspaces_apps.rollout._journal.stores import FencedWriter, JournalLocation, JournalWriter
from workspaces_apps.rollout._log.event_log import EventLog
from workspaces_apps.rollout._log.events import Ending, Event, Finished
from workspaces_apps.rollout._plan.plan import Plan
from workspaces_apps.rollout._run_telemetry import CallMetrics

_log = field_logger("workspaces_apps.rollout")

_OUTAGE_SECONDS: Final = 15
"""Seconds for which an apply that ends waits for a store that does not answer; closing the journal may take as long."""

_NOT_BEGUN: Final = "an apply begins with `async with rollout.apply(...) as events`"

EXIT_CODES: Final[Mapping[Ending, int]] = {
    "complete": 0,
    "dry-run": 0,
    "incomplete": 2,
    "budget-spent": 3,
    "drained": 4,
    "stopped": 5,
    "credentials": 77,
}
"""Exit codes for a command that applies a plan."""


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """The options of one apply beyond the plan's policy.

    Examples:
        >>> from workspaces_apps.rollout import ApplyOptions
        >>> options = ApplyOptions(dry_run=True, hook_timeout=120)
        >>> options.assume_direction
        False
    """

    dry_run: bool = False
    """Write nothing, neither to the service nor to the journal."""
    assume_direction: bool = False
    """Take the direction that the manifest wants for the one that failed, where an
    association is in ERROR and nothing else tells."""
    before_deploy: BeforeDeploy | None = None
    """Called before each deployment; None for nobody."""
    hook_timeout: float = 60.0
    """Seconds that a call of it may take."""


@public("workspaces_apps.rollout")
class Apply:
    """An apply that is going on: an async iterator of its events, within `async with`.

    Leaving the block early stops it. The iteration ends after the `Finished` event. Entering it opens the journal, and
    raises JournalBusyError where another apply writes to it, and JournalError where it cannot be used.

    Args:
        plan: What to do.
        metrics: The client of each target of the plan.
        clock: Time for waits, hours and events.
        journal: Where to write; None: nowhere, so that what only a journal knows is forgotten at the end.
        options: What else is asked.
        check: Refuses a plan that is for other targets than the clients; None: nobody does.
        real_sleep: Sleeps for so many seconds of real time, between two readings of the control record.
        telemetry: Gets its spans and metrics; None for none.
    """

    def __init__(
        self,
        plan: Plan,
        metrics: Mapping[str, CallMetrics],
        clock: Clock,
        journal: JournalLocation | None,
        options: ApplyOptions,
        *,
        check: Callable[[Plan], Awaitable[None]] | None = None,
        real_sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        telemetry: Telemetry | None = None,
    ) -> None:
        pending = plan.pending
        self._plan = plan
        self._metrics = metrics
        self._clock = clock
        self._location = journal if not options.dry_run else None
        self._options = options
        self._check = check
        self._real_sleep = real_sleep
        self._telemetry = telemetry
        self._pause = Pause()
        self._gate = ApprovalGate()
        self._controller: RolloutController | None = None
        self._breaker = CircuitBreaker(
            clock,
            {workspace.target for workspace in pending},
            plan.policy.failure_budget.of(len(pending)),
        )
        self._journal: JournalWriter | None = None
        self._log: EventLog | None = None
        self._main: asyncio.Task[None] | None = None
        self._control: asyncio.Task[None] | None = None
        self._fence: asyncio.Task[None] | None = None
        self._stops = False
        self._paused = ""
        self._held_back = ""
        self._count_failure: Callable[[str, str], Awaitable[str | None]] | None = None

    @property
    def result(self) -> Finished | None:
        """The end of it; None while it goes on."""
        return self._log.summary.finished if self._log is not None else None

    @property
    def paused(self) -> str:
        """The pause that is in force (who, when and why), or the store that it waits for; empty while nothing keeps it from starting more."""
        waits = self._journal.waits_for if isinstance(self._journal, FencedWriter) else ""
        return waits or self._held_back or self._paused

    @property
    def waiting_for_users(self) -> int:
        """WorkSpaces whose users are waited for now."""
        return self._controller.waiting_for_users if self._controller is not None else 0

    @property
    def waiting_for_approval(self) -> int | None:
        """The number of the wave that has ended and waits for `approve` or `reject`; None while none does."""
        return self._gate.wave

    async def __aenter__(self) -> Self:
        location = self._location
        # Before the journal is made: a plan for somebody else leaves no trace.
        if self._check is not None:
            await self._check(self._plan)
        if location is not None:
            self._journal = await location.store.open(location.name, of=self._plan.name)
        try:
            await self._begin(location)
        except BaseException:
            # Nobody leaves a block that was not entered.
            await self.__aexit__(RolloutError, None, None)
            raise
        return self

    async def _begin(self, location: JournalLocation | None) -> None:
        if self._journal is not None and self._journal.past:
            # A long past takes seconds to go through.
            self._log = await asyncio.to_thread(
                EventLog, self._clock, self._journal, self._metrics, self._telemetry
            )
        else:
            self._log = EventLog(self._clock, self._journal, self._metrics, self._telemetry)
        if location is not None:
            past = self._journal.past if self._journal is not None else ()
            reader = ControlReader(location, run=self._log.run, earlier={event.run for event in past})
            # Before anything is begun: a pause that was left holds from the first moment.
            await self._obey(reader)
            self._gate.look = partial(self._obey, reader)
            self._control = asyncio.create_task(self._follow(reader))
        options = self._options
        notifier: Notifier | None = None
        if options.before_deploy is not None:
            notifier = Notifier(
                options.before_deploy, options.hook_timeout, self._plan, self._clock, self._log
            )
        fence = self._journal if isinstance(self._journal, FencedWriter) else None
        self._controller = controller = RolloutController(
            plan=self._plan,
            metrics=self._metrics,
            clock=self._clock,
            log=self._log,
            breaker=self._breaker,
            pause=self._pause,
            fence=fence,
            count_elsewhere=self._count_failure,
            gate=self._gate,
            notifier=notifier,
            assume_direction=options.assume_direction,
            dry_run=options.dry_run,
        )
        self._main = asyncio.create_task(self._log.telemetry.run(controller.run))
        if fence is not None:
            self._fence = asyncio.create_task(_abort_once_lost(fence, controller))
        # Let it begin: a task that is cancelled before that runs no line of its own, not even the last words.
        await asyncio.sleep(0)
        if self._stops:
            self.stop()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._main is not None:
                if not self._main.done():
                    self.stop()
                await self._until_ended(self._main)
        finally:
            for task in (self._main, self._control, self._fence):
                # The first, where this was cancelled a second time: there is no time for the last words.
                if task is not None and not task.done():
                    task.cancel()
            if self._log is not None:
                self._log.telemetry.close(_error_of(self._main))
            if self._journal is not None:
                await self._journal.close()
        if kind is None and self.result is None and self._main is not None:
            self._main.result()

    async def _until_ended(self, main: asyncio.Task[None]) -> None:
        """Wait for the last words, but not for ever for a store that does not answer."""
        fence = self._journal if isinstance(self._journal, FencedWriter) else None
        patience = None if fence is None else asyncio.create_task(self._give_up_on(fence))
        try:
            await asyncio.gather(main, return_exceptions=True)
        finally:
            if patience is not None:
                patience.cancel()
                # What closing failed with is raised by whoever closes it last.
                await asyncio.gather(patience, return_exceptions=True)

    async def _give_up_on(self, fence: FencedWriter) -> None:
        """Close a journal whose store has not answered for a while: who waits for it hears of its error then."""
        silent = 0
        while silent < _OUTAGE_SECONDS:
            await self._real_sleep(1.0)
            silent = silent + 1 if fence.waits_for else 0
        await fence.close()

    async def _follow(self, reader: ControlReader) -> None:
        while True:
            await self._real_sleep(POLL_SECONDS)
            await self._obey(reader)

    async def _obey(self, reader: ControlReader) -> None:
        state = await reader.poll()
        if state.why != self._paused:
            self._paused = state.why
            _log.warning(
                "the roll-out %s is %s",
                self._plan.name,
                f"paused{state.why.removeprefix('pause')}" if state.why else "resumed",
                extra={"run": self._recorded().run},
            )
            self._pause.set(on=bool(state.paused or self._held_back))
        self._gate.take(state.decisions)
        for request in state.requests:
            _log.warning(
                "the roll-out %s was asked to %s",
                self._plan.name,
                request,
                extra={"run": self._recorded().run},
            )
            if request.command == "stop":
                self.stop()
            else:
                self.drain()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        main = self._running()
        events = self._recorded().events
        event = await events.get()
        if event is None:
            # For whoever asks again.
            events.put_nowait(None)
            await asyncio.wait((main,))
            main.result()
            raise StopAsyncIteration
        return event

    def _recorded(self) -> EventLog:
        if self._log is None:
            raise ClientStateError(_NOT_BEGUN)
        return self._log

    def _running(self) -> asyncio.Task[None]:
        if self._main is None:
            raise ClientStateError(_NOT_BEGUN)
        return self._main

    async def finished(self) -> Finished:
        """Let it run to its end.

        Raises:
            JournalError: The journal could not be written any more.
            ClientStateError: It was not entered with `async with`.
        """
        await asyncio.shield(self._running())
        if self.result is None:
            raise ClientStateError("the apply ended without a result")
        return self.result

    def approve(self, wave: int | None = None, *, reason: str = "") -> None:
        """Let begin what comes after the wave that has ended and waits for approval.

        Args:
            wave: The number of the wave that is meant, from 1; None for the one that waits.
            reason: Why, in words, for the record.

        Raises:
            RolloutError: No wave waits for approval, or another one.
        """
        self._gate.decide(ApprovalDecision(approve=True, who=whoever(), reason=reason), wave)

    def reject(self, reason: str = "") -> None:
        """Begin nothing more after the wave that has ended and waits for approval: the run ends as drained.

        Args:
            reason: Why, in words, for the record.

        Raises:
            RolloutError: No wave waits for approval.
        """
        self._gate.decide(ApprovalDecision(approve=False, who=whoever(), reason=reason))

    def drain(self) -> None:
        """Begin no further WorkSpace, and let those that have begun end."""
        self._breaker.trip(Reason.DRAINED, "asked to start no new deployments")

    def pause(self, reason: str) -> None:
        """Start no new WorkSpaces until `resume`; what runs goes on.

        Args:
            reason: Who pauses it, and why; shown to whoever follows it.
        """
        self._held_back = reason or "paused"
        self._pause.set(on=True)

    def resume(self) -> None:
        """Lift what `pause` did. A pause in the control record is lifted there."""
        self._held_back = ""
        self._pause.set(on=bool(self._paused))

    def share_budget(self, count: Callable[[str, str], Awaitable[str | None]]) -> None:
        """Count failures also against a budget that other applies share; to be called before `async with`.

        Nothing more is started while a failure is being counted.

        Args:
            count: Counts a WorkSpace, by target and id, once however often it is told; returns how the budget is spent,
                in words, or None while it is not.
        """
        self._count_failure = count

    def exhaust_budget(self, message: str) -> None:
        """Start nothing more, because too much failed elsewhere: in another part of the same roll-out.

        Args:
            message: How much failed, in words.
        """
        self._breaker.trip(Reason.BUDGET_SPENT, message)

    def stop(self) -> None:
        """End at once. Deployments that the service has taken go on there; a later apply finds them."""
        self._stops = True
        self._breaker.trip(Reason.DRAINED, "asked to stop")
        if self._main is not None and self.result is None and not self._main.cancelling():
            # Once: a second time would cost the last words.
            self._main.cancel()


async def _abort_once_lost(fence: FencedWriter, controller: RolloutController) -> None:
    """End an apply whose journal another one has taken over."""
    controller.abort(await fence.until_lost())


def _error_of(main: asyncio.Task[None] | None) -> BaseException | None:
    """Return what the work failed with, for its span; None where it ended, or was cancelled."""
    if main is None or not main.done() or main.cancelled():
        return None
    return main.exception()
