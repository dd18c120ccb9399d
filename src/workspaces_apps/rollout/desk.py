"""One WorkSpace in an apply: look, decide, do one step, look again.

Its memory is the service, and the journal for what the service cannot tell. Before each write its intent is on disk.
Deploy is sent directly after a look at that WorkSpace that shows nothing unplanned. What another operator stages in
the moment between that look and the service's taking the Deploy is committed too: the API has no way to prevent it.
"""

from collections.abc import Callable, Mapping

from workspaces_apps.api.errors import ResourceNotFoundException
from workspaces_apps.errors import WorkSpacesError
from workspaces_apps.retry.classification import may_have_arrived
from workspaces_apps.rollout.associations import ERROR, GONE, RESTING, Seen
from workspaces_apps.rollout.belief import Belief
from workspaces_apps.rollout.bench import Bench, Place
from workspaces_apps.rollout.decisions import (
    Decision,
    Deploy,
    Finish,
    Refuse,
    Situation,
    Stage,
    Step,
    Wait,
    decide,
    step_for,
)
from workspaces_apps.rollout.errors import JournalError
from workspaces_apps.rollout.events import Changed, Deployed, Intent, Staged
from workspaces_apps.rollout.last_words import IN_ERROR, LastWords, left_over
from workspaces_apps.rollout.ledger import Ledger
from workspaces_apps.rollout.memory import Key
from workspaces_apps.rollout.patience import BUSY_DELAY, Patience
from workspaces_apps.rollout.plan import PlannedWorkspace
from workspaces_apps.rollout.reading import read_connected, read_one
from workspaces_apps.rollout.reasons import Reason
from workspaces_apps.rollout.refusals import Meaning, meaning_of, word_for
from workspaces_apps.rollout.writing import DEPLOYING, STAGING, deploy, stage


class _Skip(Exception):
    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class _Refused(Exception):
    def __init__(self, error: WorkSpacesError, applications: tuple[str, ...]) -> None:
        super().__init__(str(error))
        self.error = error
        self.applications = applications


class Desk:
    """Brings one WorkSpace to what is planned.

    Args:
        planned: What is planned.
        bench: What it shares.
        place: Its place at the bench, taken; whoever runs it makes sure that it is left at the end.
        ledger: Where it writes to.
        halt: Called with a message when nothing else will work either.

    Attributes:
        words: What was said of it.
    """

    def __init__(
        self,
        *,
        planned: PlannedWorkspace,
        bench: Bench,
        place: Place,
        ledger: Ledger,
        halt: Callable[[str], None],
    ) -> None:
        self.words: LastWords = LastWords(planned, ledger)
        self._planned = planned
        self._bench = bench
        self._place = place
        self._ledger = ledger
        self._halt = halt
        self._belief = Belief(self.words.wanted, bench.found.get(planned.workspace_id, {}), bench.clock)
        self._patience = Patience(bench.clock, bench.care.policy)
        # In ERROR, and staged anew, so that the next Deploy tries them again; or the service would not have that.
        self._restated: set[str] = set()
        self._stubborn: set[str] = set()

    async def run(self) -> None:
        """Go on until every change has its last word."""
        try:
            await self._reconcile()
        except _Skip as skip:
            self.give_up(skip.reason, skip.message)
        except _Refused as refused:
            error = refused.error
            for application in refused.applications:
                # What was staged before the service refused stays so, and somebody should know.
                said = left_over(self._belief.of(application).state, error.message)
                self.words.fail(application, word_for(error), said, request_id=error.request_id)
            self.give_up(Reason.UNKNOWN, f"another change of this WorkSpace was refused: {word_for(error)}")

    def give_up(self, reason: Reason, message: str) -> None:
        """Leave the changes without a last word alone, and say why."""
        self.words.give_up(reason, message, self._belief.seen)

    async def _reconcile(self) -> None:
        if self._planned.connected and self._bench.care.policy.skip_connected:
            await self._check_connected()
        while True:
            decision = self._decide()
            if not isinstance(decision, Wait):
                self._patience.end_wait()
            match decision:
                case Wait():
                    await self._wait()
                case Stage(applications=applications):
                    self._count_act()
                    for application in applications:
                        await self._stage(application, restates=application in decision.restated)
                case Deploy():
                    self._count_act()
                    await self._deploy(decision)
                case Refuse(reason=reason, message=message):
                    raise _Skip(reason, message)
                case Finish():
                    self._finish(decision)
                    return

    def _decide(self) -> Decision:
        memory, target, workspace = self._ledger.memory, self._planned.target, self._planned.workspace_id
        policy, wanted = self._bench.care.policy, self.words.wanted
        keys = {application: Key(target, workspace, application) for application in wanted}
        allowed = self._planned.foreign if policy.allow_foreign_staged else ()
        return decide(
            Situation(
                wanted=wanted,
                seen={application: seen.state for application, seen in self._belief.seen.items()},
                known={application: memory.direction(key) for application, key in keys.items()},
                tries={application: memory.retries(key) for application, key in keys.items()},
                retries=policy.retries,
                stubborn=frozenset(self._stubborn),
                committed=self._belief.committed,
                allowed=frozenset((one.application_id, one.state) for one in allowed),
                assume_direction=self._bench.care.assume_direction,
            )
        )

    def _count_act(self) -> None:
        if self._patience.count_act():
            raise _Skip(Reason.NOT_CONVERGING, "something else keeps changing it back")

    async def _stage(self, application: str, *, restates: bool) -> None:
        direction = self.words.wanted[application]
        self.words.record(
            Intent,
            application_id=application,
            operation=STAGING[direction],
            direction=direction,
            durable=True,
        )
        try:
            answer = await stage(self._bench.client, self._planned.workspace_id, application, direction)
        except WorkSpacesError as error:
            meaning = meaning_of(error)
            if restates and meaning not in (Meaning.AGAIN, Meaning.HALT):
                # The service does not take the direction anew; what is in ERROR stays as it is.
                self._stubborn.add(application)
                return
            await self._cope(error, meaning, (application,))
            return
        self._patience.renew()
        self.words.record(
            Staged, application_id=application, direction=direction, request_id=answer.request_id
        )
        self._belief.restage(application)
        self._see(answer.shown)
        if restates:
            still = answer.shown[application].state == ERROR
            (self._stubborn if still else self._restated).add(application)

    async def _deploy(self, decision: Deploy) -> None:
        try:
            if not self._bench.care.fresh_look:
                await self._commit(decision)
                return
            async with self._bench.gate:
                await self._look_closely()
                again = self._decide()
                if isinstance(again, Deploy):
                    if self._bench.care.policy.skip_connected:
                        await self._check_connected()
                    await self._commit(again)
        except JournalError:
            raise
        except WorkSpacesError as error:
            await self._cope(error, meaning_of(error), decision.applications)

    async def _commit(self, decision: Deploy) -> None:
        force, errors = bool(decision.retried), self._belief.errors
        again = [one for one in decision.applications if one in decision.retried or one in self._restated]
        for application in again:
            error = errors.pop(application, None)
            if error is not None:
                elapsed = self._belief.elapsed(application)
                self.words.fail_in_error(application, error, final=False, elapsed=elapsed)
        intents = [
            self.words.event(
                Intent,
                application_id=application,
                operation=DEPLOYING,
                direction=self.words.wanted[application],
                force=force,
                retry=application in again,
            )
            for application in decision.applications
        ]
        self._ledger.record(*intents, durable=True)
        try:
            answer = await deploy(self._bench.client, self._planned.workspace_id, force=force)
        except WorkSpacesError as error:
            if not may_have_arrived(error):
                # Nothing was begun, so this was none of the tries that are counted.
                for application in again:
                    self.words.fail(application, word_for(error), error.message, final=False, refused=True)
            raise
        self._patience.renew()
        self._belief.commit(decision.applications)
        self._restated.difference_update(decision.applications)
        self._stubborn.difference_update(decision.applications)
        self.words.record(
            Deployed, applications=decision.applications, force=force, request_id=answer.request_id
        )
        self._see(answer.shown)

    async def _wait(self) -> None:
        if self._patience.count_wait():
            await self._time_out()
        self._place.leave()
        try:
            look = await self._bench.sight.next_look(self._planned.workspace_id)
        except WorkSpacesError as error:
            raise _Refused(error, tuple(self.words.open)) from error
        await self._place.take()
        if look is not None:
            await self._take_in(look)

    async def _take_in(self, look: Mapping[str, Seen]) -> None:
        whole = self._belief.whole(look)
        if whole is None:
            await self._look()
            return
        self._see({application: whole.get(application, GONE) for application in self.words.wanted})
        self._settle()
        if self._belief.only_others_move:
            await self._look()

    async def _look(self) -> None:
        """Look at this WorkSpace alone, and cope with what may go wrong."""
        try:
            await self._look_closely()
        except WorkSpacesError as error:
            await self._cope(error, meaning_of(error), tuple(self.words.open))

    async def _look_closely(self) -> None:
        """Look at this WorkSpace alone, at all of its associations."""
        try:
            states = await read_one(self._bench.client, self._planned.workspace_id)
        except ResourceNotFoundException:
            raise _Skip(Reason.VANISHED, "the WorkSpace does not exist any more") from None
        self._see({one: states.get(one, GONE) for one in self._belief.seen | states})
        self._settle()

    def _see(self, look: Mapping[str, Seen]) -> None:
        for application, now in look.items():
            if self._belief.see(application, now):
                self.words.record(Changed, application_id=application, state=now.state)

    def _settle(self) -> None:
        """Give the last word on what is as wanted."""
        for application, direction in list(self.words.open.items()):
            if step_for(direction, self._belief.of(application).state) is Step.DONE:
                self.words.succeed(application, self._belief.elapsed(application))

    def _finish(self, decision: Finish) -> None:
        self._settle()
        belief = self._belief
        for application, reason in decision.given_up.items():
            if application in belief.errors or reason is Reason.RETRIES_EXHAUSTED:
                error, elapsed = belief.of(application), belief.elapsed(application)
                self.words.fail_in_error(application, error, final=True, elapsed=elapsed)
            else:
                self.words.skip(application, reason, IN_ERROR.get(reason, ""))

    async def _time_out(self) -> None:
        await self._look()
        if not isinstance(self._decide(), Wait):
            return
        for application in list(self.words.open):
            state = self._belief.of(application).state
            if state not in RESTING:
                elapsed = self._belief.elapsed(application)
                self.words.fail(application, Reason.TIMEOUT.value, f"still {state}", elapsed=elapsed)
        raise _Skip(Reason.TIMEOUT, "a deployment did not end in time")

    async def _check_connected(self) -> None:
        workspace_id = self._planned.workspace_id
        try:
            connected = await read_connected(self._bench.client, [workspace_id])
        except WorkSpacesError as error:
            raise _Skip(
                Reason.UNKNOWN, f"nobody can tell whether the user is connected: {word_for(error)}"
            ) from error
        if connected.get(workspace_id):
            raise _Skip(Reason.CONNECTED, "the user is connected")

    async def _cope(self, error: WorkSpacesError, meaning: Meaning, applications: tuple[str, ...]) -> None:
        clock, patience, enough = self._bench.clock, self._patience, True
        match meaning:
            case Meaning.LOOK:
                enough = patience.count_fault()
            case Meaning.AGAIN:
                enough = patience.count_fault()
                await clock.sleep(patience.delay)
            case Meaning.BUSY:
                enough, applications = patience.count_busy(), tuple(self.words.open)
                if not enough:
                    self._place.leave()
                    await clock.sleep(BUSY_DELAY)
                    await self._place.take()
            case Meaning.REFUSED:
                pass
            case Meaning.HALT:
                self._halt(str(error))
        if enough:
            raise _Refused(error, applications) from error
        await self._look()
