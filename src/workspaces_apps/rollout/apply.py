"""Carrying a plan out: waves, ceilings, a failure budget, and two ways to end early."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Final, Self

from workspaces_apps.clock import Clock
from workspaces_apps.errors import ClientStateError, WorkSpacesError
from workspaces_apps.rollout.counting import Tally
from workspaces_apps.rollout.desk import Bench, Care, Desk
from workspaces_apps.rollout.events import (
    Direction,
    Ending,
    Event,
    Finished,
    Planned,
    Skipped,
    Started,
    Succeeded,
    WaveBegan,
)
from workspaces_apps.rollout.journal import Journal
from workspaces_apps.rollout.ledger import EVERYWHERE, Ledger
from workspaces_apps.rollout.memory import Key
from workspaces_apps.rollout.plan import Plan, PlannedWorkspace
from workspaces_apps.rollout.reading import States
from workspaces_apps.rollout.reasons import Reason
from workspaces_apps.rollout.sight import Sight
from workspaces_apps.rollout.waves import cut, wave_sizes

_log = logging.getLogger("workspaces_apps.rollout")

ACTING: Final = 32
"""WorkSpaces of a target that stage or deploy at the same time; the pacing decides how fast they go."""

GATE: Final = 8
"""Those of them that are between the fresh look and Deploy: few, so that a look is seconds old at most."""

PROGRESS_SECONDS: Final = 60.0

EXIT_CODES: Final[Mapping[Ending, int]] = {
    "complete": 0,
    "dry-run": 0,
    "incomplete": 2,
    "budget-spent": 3,
    "drained": 4,
    "stopped": 5,
}
"""What a command that applies a plan should exit with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """What is asked of one apply beyond the plan's policy.

    Attributes:
        dry_run: Write nothing, neither to the service nor to the journal.
        fresh_look: Look at each WorkSpace directly before Deploy. Without it the window in which somebody
            else's staged changes are committed unseen is as long as the plan is old.
        assume_direction: Take the direction that the manifest wants for the one that failed, where an
            association is in ERROR and nothing else tells.
    """

    dry_run: bool = False
    fresh_look: bool = True
    assume_direction: bool = False


class Apply:
    """An apply that is going on: an async iterator of its events, within `async with`.

    Leaving the block early stops it. The iteration ends after the `Finished` event.

    Args:
        plan: What to do.
        tallies: The client of each target of the plan.
        clock: Time for waits, hours and events.
        journal: Where to write; None: nowhere, so that what only a journal knows is forgotten at the end.
        options: What else is asked.
    """

    def __init__(
        self,
        plan: Plan,
        tallies: Mapping[str, Tally],
        clock: Clock,
        journal: Journal | None,
        options: ApplyOptions,
    ) -> None:
        self._plan = plan
        self._tallies = tallies
        self._clock = clock
        self._journal = journal
        self._care = Care(
            policy=plan.policy, fresh_look=options.fresh_look, assume_direction=options.assume_direction
        )
        self._dry_run = options.dry_run
        self._names = {reading.name: reading.names for reading in plan.targets}
        self._ledger = Ledger(clock, journal if not options.dry_run else None, tallies)
        self._slots = asyncio.Semaphore(plan.policy.max_in_flight)
        self._closing = asyncio.Event()
        self._why: tuple[Reason, str] | None = None
        self._halted: dict[str, tuple[Reason, str]] = {}
        self._halts = {name: asyncio.Event() for name in tallies}
        self._budget = plan.policy.failure_budget.of(len(plan.pending))
        self._failures = 0
        self._desks: dict[asyncio.Task[None], Desk] = {}
        self._all_desks: list[Desk] = []
        self._left_out: set[tuple[str, str]] = set()
        self._waiting = 0
        self._benches: dict[str, Bench] = {}
        self._states: dict[str, States] = {}
        self._main: asyncio.Task[None] | None = None
        self._broken: BaseException | None = None
        self.result: Finished | None = None
        """How it ended; None while it goes on."""

    async def __aenter__(self) -> Self:
        self._main = asyncio.create_task(self._go())
        # Let it begin: a task that is cancelled before that runs no line of its own, not even the last words.
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._main is None:
            return
        try:
            if not self._main.done():
                self.stop()
            await asyncio.gather(self._main, return_exceptions=True)
        finally:
            if not self._main.done():
                # Cancelled a second time: there is no time for the last words.
                self._main.cancel()
            if self._journal is not None:
                self._journal.close()
        if kind is None and self.result is None:
            self._main.result()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        main = self._running()
        event = await self._ledger.events.get()
        if event is None:
            # For whoever asks again.
            self._ledger.events.put_nowait(None)
            await asyncio.wait((main,))
            main.result()
            raise StopAsyncIteration
        return event

    def _running(self) -> asyncio.Task[None]:
        if self._main is None:
            raise ClientStateError("an apply begins with `async with rollout.apply(...) as events`")
        return self._main

    async def finished(self) -> Finished:
        """Let it run to its end.

        Raises:
            JournalError: The journal could not be written any more.
            ClientStateError: It was not begun with `async with`.
        """
        await asyncio.shield(self._running())
        if self.result is None:
            raise ClientStateError("the apply ended without a result")
        return self.result

    def drain(self) -> None:
        """Begin no further WorkSpace, and let those that have begun end."""
        self._close(Reason.DRAINED, "asked to begin nothing more")

    def stop(self) -> None:
        """End at once. Deployments that the service has taken go on there; a later apply finds them."""
        self._close(Reason.DRAINED, "asked to stop")
        if self._main is not None:
            self._main.cancel()

    def _halt(self, target: str, message: str) -> None:
        """Begin nothing more in a target: nothing else would work there either. The others go on."""
        if target not in self._halted:
            self._halted[target] = Reason.BUDGET_SPENT, message
            self._halts[target].set()
        if self._halted.keys() >= {workspace.target for workspace in self._plan.pending}:
            self._close(Reason.BUDGET_SPENT, message)

    def _why_not(self, target: str) -> tuple[Reason, str] | None:
        """Why nothing more is begun in a target; None while it is."""
        return self._why or self._halted.get(target)

    def _close(self, reason: Reason, message: str) -> None:
        if self._why is None:
            self._why = reason, message
            self._closing.set()

    async def _go(self) -> None:
        progress = asyncio.create_task(self._report_progress())
        try:
            await self._roll_out()
        except asyncio.CancelledError:
            await self._cancel_desks()
            if self._broken is not None:
                raise self._broken from None
            self._give_up_desks()
            self._finish("stopped", "asked to stop")
        except BaseException:
            await self._cancel_desks()
            raise
        finally:
            progress.cancel()
            await asyncio.gather(progress, return_exceptions=True)
            for bench in self._benches.values():
                await bench.sight.close()
            self._ledger.events.put_nowait(None)

    async def _roll_out(self) -> None:
        self._begin()
        pending = self._plan.pending
        self._waiting = len(pending)
        sizes = wave_sizes(
            len(pending), self._plan.policy.canary, self._plan.policy.growth, self._plan.policy.largest_wave
        )
        if not self._dry_run:
            await self._survey(pending)
        for number, wave in enumerate(cut(pending, sizes), start=1):
            if number > 1 and self._why is None and not self._dry_run:
                await self._rest(self._plan.policy.pause)
            if self._why is None:
                self._ledger.record(
                    self._ledger.event(
                        WaveBegan, EVERYWHERE, wave=number, waves=len(sizes), workspaces=len(wave)
                    )
                )
            if not self._dry_run:
                await self._do_wave(wave)
        self._finish(*self._ending())

    def _begin(self) -> None:
        plan, ledger = self._plan, self._ledger
        events = [
            ledger.event(
                Started,
                EVERYWHERE,
                name=plan.name,
                plan=plan.fingerprint,
                workspaces=len(plan.workspaces),
                changes=sum(len(workspace.pending) for workspace in plan.workspaces),
                resumed=ledger.resumed,
                dry_run=self._dry_run,
            )
        ]
        for workspace in plan.workspaces:
            events += self._planned(workspace)
        unsettled = ledger.memory.unsettled
        ledger.record(*events, durable=True)
        if not self._dry_run:
            self._settle_accounts(unsettled)

    def _settle_accounts(self, unsettled: Mapping[Key, Direction]) -> None:
        """Give the last word on what an earlier run changed and did not live to report."""
        targets = {reading.name for reading in self._plan.targets if reading.error is None}
        planned = {
            Key(workspace.target, workspace.workspace_id, change.application_id): change
            for workspace in self._plan.workspaces
            for change in workspace.changes
        }
        for key, direction in unsettled.items():
            change = planned.get(key)
            about = {"workspace_id": key.workspace_id, "application_id": key.application_id}
            if change is not None and change.action == "nothing" and change.direction == direction:
                self._say(Succeeded, key.target, direction=direction, **about)
            elif change is None and key.target in targets:
                message = "an earlier run planned to change it; now it is not in the plan any more"
                self._say(Skipped, key.target, reason=Reason.VANISHED.value, message=message, **about)

    def _say(self, kind: Callable[..., Event], target: str, **members: object) -> None:
        self._ledger.record(self._ledger.event(kind, target, **members))

    def _planned(self, workspace: PlannedWorkspace) -> list[Event]:
        names = self._names.get(workspace.target, {})
        return [
            self._ledger.event(
                Planned,
                workspace.target,
                workspace_id=workspace.workspace_id,
                application_id=change.application_id,
                application=names.get(change.application_id),
                action=change.action,
                direction=change.direction,
                reason=change.reason,
                message=change.message,
                user_name=workspace.user_name,
                connected=workspace.connected,
            )
            for change in workspace.changes
        ]

    async def _survey(self, pending: Sequence[PlannedWorkspace]) -> None:
        """Look at everything once: the plan may be old, and an earlier run may have gone on since."""

        async def one(target: str) -> None:
            mine = [workspace for workspace in pending if workspace.target == target]
            applications = {change.application_id for workspace in mine for change in workspace.pending}
            tally = self._tallies[target]
            sight = Sight(tally.client, self._clock, applications)
            self._benches[target] = Bench(
                client=tally.client,
                clock=self._clock,
                sight=sight,
                acting=asyncio.Semaphore(ACTING),
                gate=asyncio.Semaphore(GATE),
            )
            try:
                self._states[target] = await sight.survey([workspace.workspace_id for workspace in mine])
            except WorkSpacesError as error:
                for workspace in mine:
                    self._skip(workspace, Reason.UNKNOWN, f"the target cannot be read: {error}")

        await asyncio.gather(*map(one, sorted({workspace.target for workspace in pending})))

    async def _do_wave(self, wave: Sequence[PlannedWorkspace]) -> None:
        targets = dict.fromkeys(workspace.target for workspace in wave if workspace.target in self._states)
        queues = [
            asyncio.ensure_future(self._do_target([one for one in wave if one.target == target]))
            for target in targets
        ]
        try:
            await asyncio.gather(*queues)
            while self._desks:
                await asyncio.wait(self._desks)
            if self._broken is not None:
                raise self._broken
        finally:
            for queue in queues:
                queue.cancel()

    async def _do_target(self, queue: Sequence[PlannedWorkspace]) -> None:
        later: Sequence[PlannedWorkspace] = queue
        while later:
            queue, later = later, []
            for workspace in queue:
                why = self._why_not(workspace.target)
                if why is not None:
                    self._skip(workspace, *why)
                elif not self._is_open(workspace):
                    later.append(workspace)
                else:
                    await self._begin_desk(workspace)
            if later:
                later = await self._outside_hours(later)

    def _is_open(self, workspace: PlannedWorkspace) -> bool:
        hours = self._plan.policy.hours
        if not hours:
            return True
        return workspace.hours is not None and hours[workspace.hours].is_open(self._clock.now())

    async def _outside_hours(self, workspaces: Sequence[PlannedWorkspace]) -> Sequence[PlannedWorkspace]:
        policy, target = self._plan.policy, workspaces[0].target
        why = self._why_not(target)
        if policy.outside_hours == "skip" or why is not None:
            reason, message = why or (Reason.OUTSIDE_HOURS, "outside the hours of the policy")
            for workspace in workspaces:
                self._skip(workspace, reason, message)
            return []
        hopeful = [workspace for workspace in workspaces if workspace.hours is not None]
        for workspace in workspaces:
            if workspace.hours is None:
                self._skip(workspace, Reason.OUTSIDE_HOURS, "no hours of the policy are for this WorkSpace")
        now = self._clock.now()
        openings = [policy.hours[one.hours].next_opening(now) for one in hopeful if one.hours is not None]
        if openings:
            await self._rest((min(openings) - now) / timedelta(seconds=1), self._halts[target])
        return hopeful

    async def _begin_desk(self, workspace: PlannedWorkspace) -> None:
        bench = self._benches[workspace.target]
        await self._slots.acquire()
        try:
            await bench.acting.acquire()
        except BaseException:
            self._slots.release()
            raise
        why = self._why_not(workspace.target)
        if why is not None:
            bench.acting.release()
            self._slots.release()
            self._skip(workspace, *why)
            return
        if not self._is_open(workspace):
            bench.acting.release()
            self._slots.release()
            for again in await self._outside_hours([workspace]):
                await self._begin_desk(again)
            return
        seen = dict(self._states[workspace.target].get(workspace.workspace_id, {}))
        desk = Desk(
            planned=workspace,
            bench=bench,
            care=self._care,
            ledger=self._ledger,
            seen=seen,
            halt=partial(self._halt, workspace.target),
        )
        self._waiting -= 1
        task = asyncio.create_task(desk.run())
        self._desks[task] = desk
        self._all_desks.append(desk)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        desk = self._desks.pop(task)
        self._slots.release()
        if desk.acting:
            desk.bench.acting.release()
        if desk.words.failed:
            self._failures += 1
            if self._failures > self._budget:
                self._close(
                    Reason.BUDGET_SPENT,
                    f"{self._failures} WorkSpaces failed, and the budget is {self._budget}",
                )
        if not task.cancelled() and task.exception() is not None:
            # A fault of the journal, or of this package: nothing may go on unrecorded.
            self._broken = self._broken or task.exception()
            self._close(Reason.STOPPED, "the roll-out itself failed")
            for other in self._desks:
                other.cancel()

    async def _cancel_desks(self) -> None:
        tasks = tuple(self._desks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _give_up_desks(self) -> None:
        begun = {(desk.planned.target, desk.planned.workspace_id) for desk in self._all_desks}
        for desk in self._all_desks:
            desk.give_up(Reason.STOPPED, "the roll-out was stopped")
        for workspace in self._plan.pending:
            if (workspace.target, workspace.workspace_id) not in begun | self._left_out:
                self._skip(workspace, Reason.STOPPED, "the roll-out was stopped before its turn")

    def _skip(self, workspace: PlannedWorkspace, reason: Reason, message: str) -> None:
        self._waiting -= 1
        self._left_out.add((workspace.target, workspace.workspace_id))
        for change in workspace.pending:
            self._say(
                Skipped,
                workspace.target,
                workspace_id=workspace.workspace_id,
                application_id=change.application_id,
                reason=reason.value,
                message=message,
            )

    async def _rest(self, seconds: float, *reasons: asyncio.Event) -> None:
        """Wait, unless there is nothing left to wait for, or one of these events says so too."""
        if seconds <= 0:
            return
        waits = [asyncio.ensure_future(one.wait()) for one in (self._closing, *reasons)]
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait((sleeping, *waits), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in (sleeping, *waits):
                wait.cancel()
            await asyncio.gather(sleeping, *waits, return_exceptions=True)

    def _ending(self) -> tuple[Ending, str]:
        if self._dry_run:
            return "dry-run", ""
        if self._why is not None:
            reason, message = self._why
            return ("budget-spent" if reason is Reason.BUDGET_SPENT else "drained"), message
        left = self._ledger.counts["failed"] + self._ledger.counts["skipped"]
        halted = "; ".join(f"{target}: {message}" for target, (_, message) in sorted(self._halted.items()))
        return ("incomplete" if left else "complete"), halted

    def _finish(self, ending: Ending, message: str) -> None:
        self._report()
        self.result = self._ledger.finish(ending, message)

    async def _report_progress(self) -> None:
        while True:
            await self._clock.sleep(PROGRESS_SECONDS)
            self._report()

    def _report(self) -> None:
        self._ledger.report_progress(in_flight=len(self._desks), waiting=max(0, self._waiting))
