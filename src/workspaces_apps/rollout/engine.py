"""Going through a plan: wave by wave, within the hours, the ceilings and the failure budget of its policy."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from workspaces_apps.clock import Clock
from workspaces_apps.errors import WorkSpacesError
from workspaces_apps.rollout.accounts import open_accounts
from workspaces_apps.rollout.associations import GONE
from workspaces_apps.rollout.bench import Bench, Care, Place
from workspaces_apps.rollout.brake import Brake
from workspaces_apps.rollout.counting import Tally
from workspaces_apps.rollout.desk import Desk
from workspaces_apps.rollout.events import Ending, Finished, Skipped, WaveBegan
from workspaces_apps.rollout.last_words import left_as, left_over
from workspaces_apps.rollout.ledger import EVERYWHERE, Ledger
from workspaces_apps.rollout.plan import Plan, PlannedChange, PlannedWorkspace
from workspaces_apps.rollout.reasons import Reason
from workspaces_apps.rollout.sight import Sight
from workspaces_apps.rollout.waves import cut, wave_sizes

PROGRESS_SECONDS: Final = 60.0


class Engine:
    """Gives each WorkSpace of a plan a desk when its turn comes, and each change of the others its last word.

    Args:
        plan: What to do.
        tallies: The client of each target.
        clock: Time for waits and hours.
        ledger: Where it writes to.
        brake: Keeps it from beginning more.
        care: How careful the desks are.
        dry_run: Only tell what would be done.

    Attributes:
        result: How it ended; None until it has.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        tallies: Mapping[str, Tally],
        clock: Clock,
        ledger: Ledger,
        brake: Brake,
        care: Care,
        dry_run: bool,
    ) -> None:
        self.result: Finished | None = None
        self._plan = plan
        self._tallies = tallies
        self._clock = clock
        self._ledger = ledger
        self._brake = brake
        self._care = care
        self._dry_run = dry_run
        self._slots = asyncio.Semaphore(plan.policy.max_in_flight)
        self._benches: dict[str, Bench] = {}
        self._waiting = {(one.target, one.workspace_id): one for one in plan.pending}
        self._running: dict[asyncio.Task[None], Desk] = {}
        self._desks: list[Desk] = []
        self._broken: BaseException | None = None

    async def run(self) -> None:
        """Go to the end; cancelled, give the last words that are missing, and end.

        Raises:
            JournalError: The journal could not be written any more.
        """
        progress = asyncio.create_task(self._report_progress())
        try:
            await self._roll_out()
        except asyncio.CancelledError:
            await self._cancel_desks()
            if self._broken is not None:
                raise self._broken from None
            self._give_up()
            self._finish("stopped", "asked to stop")
        except BaseException:
            await self._cancel_desks()
            raise
        finally:
            progress.cancel()
            # Before anything that may be cancelled: whoever waits for events must not wait for ever.
            self._ledger.events.put_nowait(None)
            await asyncio.gather(progress, return_exceptions=True)
            for bench in self._benches.values():
                await bench.sight.close()

    async def _roll_out(self) -> None:
        open_accounts(self._plan, self._ledger, dry_run=self._dry_run)
        policy, pending = self._plan.policy, self._plan.pending
        sizes = wave_sizes(len(pending), policy.canary, policy.growth, policy.largest_wave)
        if not self._dry_run:
            await self._survey(pending)
        for number, wave in enumerate(cut(pending, sizes), start=1):
            if number > 1 and self._brake.why is None and not self._dry_run:
                await self._brake.rest(policy.pause)
            if self._brake.why is None:
                began = self._ledger.event(
                    WaveBegan, EVERYWHERE, wave=number, waves=len(sizes), workspaces=len(wave)
                )
                self._ledger.record(began)
            if not self._dry_run:
                await self._do_wave(wave)
        self._finish(*self._ending())

    async def _survey(self, pending: Sequence[PlannedWorkspace]) -> None:
        """Look at everything once: the plan may be old, and an earlier run may have gone on since."""

        async def one(target: str) -> None:
            mine = [workspace for workspace in pending if workspace.target == target]
            applications = {change.application_id for workspace in mine for change in workspace.pending}
            client = self._tallies[target].client
            sight = Sight(client, self._clock, applications)
            try:
                found = await sight.survey([workspace.workspace_id for workspace in mine])
            except WorkSpacesError as error:
                for workspace in mine:
                    self._skip(workspace, Reason.UNKNOWN, f"the target cannot be read: {error}")
            else:
                self._benches[target] = Bench(
                    client=client, clock=self._clock, care=self._care, sight=sight, found=found
                )

        await asyncio.gather(*map(one, sorted({workspace.target for workspace in pending})))

    async def _do_wave(self, wave: Sequence[PlannedWorkspace]) -> None:
        targets = dict.fromkeys(workspace.target for workspace in wave if workspace.target in self._benches)
        queues = [
            asyncio.ensure_future(self._do_target([one for one in wave if one.target == target]))
            for target in targets
        ]
        try:
            await asyncio.gather(*queues)
            while self._running:
                await asyncio.wait(self._running)
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
                why = self._brake.why_not(workspace.target)
                if why is not None:
                    self._skip(workspace, *why)
                elif not self._is_open(workspace):
                    later.append(workspace)
                else:
                    await self._begin(workspace)
            if later:
                later = await self._outside_hours(later)

    def _is_open(self, workspace: PlannedWorkspace) -> bool:
        hours = self._plan.policy.hours
        if not hours:
            return True
        return workspace.hours is not None and hours[workspace.hours].is_open(self._clock.now())

    async def _outside_hours(self, workspaces: Sequence[PlannedWorkspace]) -> Sequence[PlannedWorkspace]:
        """Wait for the first of their hours, or skip them; those whose turn may come yet."""
        policy, target = self._plan.policy, workspaces[0].target
        why = self._brake.why_not(target)
        if policy.outside_hours == "skip" or why is not None:
            reason, message = why or (Reason.OUTSIDE_HOURS, "outside the hours of the policy")
            for workspace in workspaces:
                self._skip(workspace, reason, message)
            return []
        now = self._clock.now()
        hopeful: list[PlannedWorkspace] = []
        openings: list[datetime] = []
        for workspace in workspaces:
            if workspace.hours is None:
                self._skip(workspace, Reason.OUTSIDE_HOURS, "no hours of the policy are for this WorkSpace")
            else:
                hopeful.append(workspace)
                openings.append(policy.hours[workspace.hours].next_opening(now))
        if openings:
            await self._brake.rest((min(openings) - now) / timedelta(seconds=1), target)
        return hopeful

    async def _begin(self, workspace: PlannedWorkspace) -> None:
        """Give it a desk once there is a place, unless it must not begin any more by then."""
        bench = self._benches[workspace.target]
        place = Place(bench.acting)
        await self._slots.acquire()
        try:
            await place.take()
        except BaseException:
            self._slots.release()
            raise
        why = self._brake.why_not(workspace.target)
        if why is None and self._is_open(workspace):
            self._start(workspace, bench, place)
            return
        place.leave()
        self._slots.release()
        if why is not None:
            self._skip(workspace, *why)
            return
        for again in await self._outside_hours([workspace]):
            await self._begin(again)

    def _start(self, workspace: PlannedWorkspace, bench: Bench, place: Place) -> None:
        halt = partial(self._brake.halt, workspace.target)
        desk = Desk(planned=workspace, bench=bench, place=place, ledger=self._ledger, halt=halt)
        self._no_longer_waits(workspace)
        task = asyncio.create_task(desk.run())
        self._running[task] = desk
        self._desks.append(desk)
        task.add_done_callback(partial(self._ended, place))

    def _ended(self, place: Place, task: asyncio.Task[None]) -> None:
        desk = self._running.pop(task)
        self._slots.release()
        place.leave()
        if desk.words.failed:
            self._brake.count_failure()
        if not task.cancelled() and task.exception() is not None:
            # A fault of the journal, or of this package: nothing may go on unrecorded.
            self._broken = self._broken or task.exception()
            self._brake.pull(Reason.STOPPED, "the roll-out itself failed")
            for other in self._running:
                other.cancel()

    async def _cancel_desks(self) -> None:
        tasks = tuple(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _give_up(self) -> None:
        for desk in self._desks:
            desk.give_up(Reason.STOPPED, "the roll-out was stopped")
        for workspace in tuple(self._waiting.values()):
            self._skip(workspace, Reason.STOPPED, "the roll-out was stopped before its turn")

    def _skip(self, workspace: PlannedWorkspace, reason: Reason, message: str) -> None:
        self._no_longer_waits(workspace)
        for change in workspace.pending:
            # An earlier run may have begun it.
            state = self._state_of(workspace, change)
            self._ledger.record(
                self._ledger.event(
                    Skipped,
                    workspace.target,
                    workspace_id=workspace.workspace_id,
                    application_id=change.application_id,
                    reason=left_as(state, reason).value,
                    message=left_over(state, message),
                )
            )

    def _state_of(self, workspace: PlannedWorkspace, change: PlannedChange) -> str:
        """How a change was when the apply began; as far as is known, before."""
        bench = self._benches.get(workspace.target)
        if bench is None:
            return change.state
        return bench.found.get(workspace.workspace_id, {}).get(change.application_id, GONE).state

    def _no_longer_waits(self, workspace: PlannedWorkspace) -> None:
        self._waiting.pop((workspace.target, workspace.workspace_id), None)

    def _ending(self) -> tuple[Ending, str]:
        if self._dry_run:
            return "dry-run", ""
        if self._brake.why is not None:
            reason, message = self._brake.why
            return ("budget-spent" if reason is Reason.BUDGET_SPENT else "drained"), message
        left = self._ledger.counts["failed"] + self._ledger.counts["skipped"] + len(self._plan.not_found)
        said = "; ".join(filter(None, (self._brake.halted, *self._plan.not_found)))
        return ("incomplete" if left else "complete"), said

    def _finish(self, ending: Ending, message: str) -> None:
        self._report()
        self.result = self._ledger.finish(ending, message)

    async def _report_progress(self) -> None:
        while True:
            await self._clock.sleep(PROGRESS_SECONDS)
            self._report()

    def _report(self) -> None:
        self._ledger.report_progress(in_flight=len(self._running), waiting=len(self._waiting))
