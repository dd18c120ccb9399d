"""One WorkSpace in an apply: look, decide, do one step, look again.

Its memory is the service, and the journal for what the service cannot tell. Before each write its intent is on disk.
Deploy is sent directly after a look at that WorkSpace that shows nothing unplanned. What another operator stages in
the moment between that look and the service's taking the Deploy is committed too: the API has no way to prevent it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from workspaces_apps.api.errors import ResourceNotFoundException
from workspaces_apps.client import WorkSpacesClient
from workspaces_apps.clock import Clock
from workspaces_apps.errors import WorkSpacesError
from workspaces_apps.retry import RetryPolicy
from workspaces_apps.retry.classification import may_have_arrived
from workspaces_apps.rollout.associations import ABSENT, ERROR, GONE, IN_FLIGHT, RESTING, STAGED, Seen
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
from workspaces_apps.rollout.events import Changed, Deployed, Direction, Intent, Staged
from workspaces_apps.rollout.last_words import IN_ERROR, LastWords, left_over
from workspaces_apps.rollout.ledger import Ledger
from workspaces_apps.rollout.memory import Key
from workspaces_apps.rollout.plan import PlannedWorkspace
from workspaces_apps.rollout.policy import Policy
from workspaces_apps.rollout.reading import read_connected, read_one
from workspaces_apps.rollout.reasons import Reason
from workspaces_apps.rollout.refusals import Meaning, meaning_of, word_for
from workspaces_apps.rollout.sight import Sight

GRACE: Final = 60.0
"""Seconds for which a deployment that was taken need not show yet [assumed]."""

_FAULTS: Final = 6
"""Faults of the moment in a row after which a WorkSpace counts as failed."""

_BUSY_DELAY: Final = 30.0
"""Seconds to wait for what else goes on on a WorkSpace."""

_ACTS: Final = 4
"""Times that a change may be staged or deployed beyond its retries, before somebody must be undoing it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What the desks of one target share.

    Attributes:
        client: The target's client.
        clock: The client's clock.
        sight: Follows deployments.
        acting: How many desks may act at the same time; the others wait, or follow their deployment.
        gate: How many may be between the fresh look and Deploy: few, so that the look is fresh.
    """

    client: WorkSpacesClient
    clock: Clock
    sight: Sight
    acting: asyncio.Semaphore
    gate: asyncio.Semaphore


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """How careful an apply is.

    Attributes:
        policy: The plan's policy.
        fresh_look: Whether to look at a WorkSpace directly before Deploy.
        assume_direction: Whether to take the wanted direction for the one that failed, where it is not known.
    """

    policy: Policy
    fresh_look: bool = True
    assume_direction: bool = False


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


@dataclass(slots=True)
class Desk:
    """Brings one WorkSpace to what is planned.

    Args:
        planned: What is planned.
        bench: What it shares.
        care: How careful it is.
        ledger: Where it writes to.
        seen: What is known of the WorkSpace's associations.
        halt: Called with a message when nothing else will work either.

    Attributes:
        words: What was said of it.
        acting: Whether it holds a place in `bench.acting`, which whoever runs it gave it, and takes back.
    """

    planned: PlannedWorkspace
    bench: Bench
    care: Care
    ledger: Ledger
    seen: dict[str, Seen]
    halt: Callable[[str], None]
    words: LastWords = field(init=False)
    acting: bool = True
    _deployed_at: float | None = None
    _before_deploy: dict[str, Seen] = field(default_factory=dict[str, Seen])
    _committed: set[str] = field(default_factory=set[str])
    _restated: set[str] = field(default_factory=set[str])
    _stubborn: set[str] = field(default_factory=set[str])
    _errors: dict[str, Seen] = field(default_factory=dict[str, Seen])
    _absences: int = 0
    _faults: int = 0
    _acts: int = 0
    _waiting_since: float | None = None
    _busy_since: float | None = None

    def __post_init__(self) -> None:
        self.words = LastWords(self.planned, self.ledger)

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
                said = left_over(self.seen.get(application, GONE).state, error.message)
                self.words.fail(application, word_for(error), said, request_id=error.request_id)
            self.give_up(Reason.UNKNOWN, f"another change of this WorkSpace was refused: {word_for(error)}")

    def give_up(self, reason: Reason, message: str) -> None:
        """Leave the changes without a last word alone, and say why."""
        self.words.give_up(reason, message, self.seen)

    async def _reconcile(self) -> None:
        if self.planned.connected and self.care.policy.skip_connected:
            await self._check_connected()
        while True:
            decision = self._decide()
            if not isinstance(decision, Wait):
                self._waiting_since = None
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
        memory, target, workspace = self.ledger.memory, self.planned.target, self.planned.workspace_id
        keys = {application: Key(target, workspace, application) for application in self.words.wanted}
        allowed = self.planned.foreign if self.care.policy.allow_foreign_staged else ()
        return decide(
            Situation(
                wanted=self.words.wanted,
                seen={application: seen.state for application, seen in self.seen.items()},
                known={application: memory.direction(key) for application, key in keys.items()},
                tries={application: memory.retries(key) for application, key in keys.items()},
                retries=self.care.policy.retries,
                stubborn=frozenset(self._stubborn),
                committed=frozenset(self._committed),
                allowed=frozenset((one.application_id, one.state) for one in allowed),
                assume_direction=self.care.assume_direction,
            )
        )

    async def _stage(self, application: str, *, restates: bool) -> None:
        direction = self.words.wanted[application]
        installs = direction == "install"
        self.words.record(
            Intent,
            application_id=application,
            operation="AssociateWorkspaceApplication" if installs else "DisassociateWorkspaceApplication",
            direction=direction,
            durable=True,
        )
        try:
            now, request_id = await self._send(application, direction)
        except WorkSpacesError as error:
            meaning = meaning_of(error)
            if restates and meaning not in (Meaning.AGAIN, Meaning.HALT):
                # The service does not take the direction anew; what is in ERROR stays as it is.
                self._stubborn.add(application)
                return
            await self._cope(error, meaning, (application,))
            return
        self._faults = 0
        self._busy_since = None
        self.words.record(Staged, application_id=application, direction=direction, request_id=request_id)
        # What is seen from now on is not what an earlier deployment left.
        self._before_deploy.pop(application, None)
        self._see(application, now)
        if restates:
            (self._stubborn if now.state == ERROR else self._restated).add(application)

    async def _send(self, application: str, direction: Direction) -> tuple[Seen, str | None]:
        """Associate or Disassociate; the association as the service then shows it, and the request id."""
        client, workspace_id = self.bench.client, self.planned.workspace_id
        if direction == "install":
            associated = await client.associate_workspace_application(
                workspace_id=workspace_id, application_id=application
            )
            return Seen.of(associated.association), associated.meta.request_id
        removed = await client.disassociate_workspace_application(
            workspace_id=workspace_id, application_id=application
        )
        row = removed.association
        return Seen.of(row) if row is not None else GONE, removed.meta.request_id

    async def _deploy(self, decision: Deploy) -> None:
        try:
            if not self.care.fresh_look:
                await self._commit(decision)
                return
            async with self.bench.gate:
                await self._look_closely()
                again = self._decide()
                if isinstance(again, Deploy):
                    if self.care.policy.skip_connected:
                        await self._check_connected()
                    await self._commit(again)
        except JournalError:
            raise
        except WorkSpacesError as error:
            await self._cope(error, meaning_of(error), decision.applications)

    async def _commit(self, decision: Deploy) -> None:
        force = bool(decision.retried)
        again = {one for one in decision.applications if one in decision.retried or one in self._restated}
        for application in again & self._errors.keys():
            error = self._errors.pop(application)
            self.words.fail_in_error(application, error, final=False, elapsed=self._elapsed(application))
        intents = [
            self.words.event(
                Intent,
                application_id=application,
                operation="DeployWorkspaceApplications",
                direction=self.words.wanted[application],
                force=force,
                retry=application in again,
            )
            for application in decision.applications
        ]
        self.ledger.record(*intents, durable=True)
        # One request: what became of it, and what is there now, a new look must tell before another is sent.
        client = self.bench.client.with_options(retry=RetryPolicy(max_attempts=1))
        try:
            answer = await client.deploy_workspace_applications(
                workspace_id=self.planned.workspace_id, force=True if force else None
            )
        except WorkSpacesError as error:
            if not may_have_arrived(error):
                # Nothing was begun, so this was none of the tries that are counted.
                for application in again:
                    self.words.fail(application, word_for(error), error.message, final=False, refused=True)
            raise
        self._busy_since = None
        self._faults = 0
        self._deployed_at = self.bench.clock.monotonic()
        self._before_deploy = {one: self.seen.get(one, GONE) for one in decision.applications}
        self._committed = set(decision.applications)
        self._restated -= self._committed
        self._stubborn -= self._committed
        self._errors = {one: seen for one, seen in self._errors.items() if one not in self._committed}
        self.words.record(
            Deployed,
            applications=decision.applications,
            force=force,
            request_id=answer.meta.request_id,
        )
        for row in answer.deployment.associations if answer.deployment is not None else ():
            self._see(row.associated_resource_id, Seen.of(row))

    async def _wait(self) -> None:
        clock = self.bench.clock
        if self._waiting_since is None:
            self._waiting_since = clock.monotonic()
        waited = clock.monotonic() - self._waiting_since
        if waited > self.care.policy.deployment_timeout:
            await self._time_out()
        self._leave()
        try:
            states = await self.bench.sight.next_look(self.planned.workspace_id)
        except WorkSpacesError as error:
            raise _Refused(error, tuple(self.words.open)) from error
        await self._enter()
        if states is not None:
            await self._take_in(states)

    def _leave(self) -> None:
        """Let another desk act."""
        self.acting = False
        self.bench.acting.release()

    async def _enter(self) -> None:
        """Wait for a place to act."""
        await self.bench.acting.acquire()
        self.acting = True

    async def _take_in(self, states: dict[str, Seen]) -> None:
        """Believe a round's look, except for an absence that may be a page's shift."""
        expected = [one for one in self.words.wanted if self.seen.get(one, GONE).state != ABSENT]
        if any(one not in states for one in expected):
            self._absences += 1
            if self._absences < 2:
                states = {**{one: self.seen[one] for one in expected}, **states}
            elif any(self.words.wanted[one] == "install" for one in expected if one not in states):
                self._absences = 0
                await self._look()
                return
        else:
            self._absences = 0
        for application in self.words.wanted:
            self._see(application, states.get(application, GONE))
        self._settle()
        foreign = [one for one in self.seen if one not in self.words.wanted]
        if any(self.seen[one].state in IN_FLIGHT for one in foreign) and not self._moving():
            await self._look()

    def _moving(self) -> bool:
        return any(self.seen.get(one, GONE).state in IN_FLIGHT for one in self.words.wanted)

    async def _look(self) -> None:
        """Look at this WorkSpace alone, and cope with what may go wrong."""
        try:
            await self._look_closely()
        except WorkSpacesError as error:
            await self._cope(error, meaning_of(error), tuple(self.words.open))

    async def _look_closely(self) -> None:
        """Look at this WorkSpace alone, at all of its associations."""
        try:
            states = await read_one(self.bench.client, self.planned.workspace_id)
        except ResourceNotFoundException:
            raise _Skip(Reason.VANISHED, "the WorkSpace does not exist any more") from None
        for application in {*self.seen, *states}:
            self._see(application, states.get(application, GONE))
        self._settle()

    def _see(self, application: str, now: Seen) -> None:
        if self._is_late(application, now):
            return
        before = self.seen.get(application, GONE)
        self.seen[application] = now
        self._committed.discard(application)
        if application not in self.words.wanted:
            return
        if before.state != now.state:
            self.words.record(Changed, application_id=application, state=now.state)
        is_new = now.state == ERROR and (before.state != ERROR or before.updated != now.updated)
        if is_new and (before.state in IN_FLIGHT or application in self._before_deploy):
            self._errors[application] = now

    def _is_late(self, application: str, now: Seen) -> bool:
        """Whether a look shows what was there before a deployment that the service has taken since."""
        before = self._before_deploy.get(application)
        if before is None or self._out_of_grace() or (now.state not in STAGED and now.state != ERROR):
            return False
        if now.updated is None or before.updated is None:
            return now.state == before.state
        return now.updated <= before.updated

    def _out_of_grace(self) -> bool:
        began = self._deployed_at
        return began is None or self.bench.clock.monotonic() - began > GRACE

    def _settle(self) -> None:
        """Give the last word on what is as wanted."""
        for application, direction in list(self.words.open.items()):
            if step_for(direction, self.seen.get(application, GONE).state) is Step.DONE:
                self.words.succeed(application, self._elapsed(application))

    def _elapsed(self, application: str) -> float | None:
        if self._deployed_at is None or application not in self._before_deploy:
            return None
        return self.bench.clock.monotonic() - self._deployed_at

    def _finish(self, decision: Finish) -> None:
        self._settle()
        for application, reason in decision.given_up.items():
            if application in self._errors or reason is Reason.RETRIES_EXHAUSTED:
                now, elapsed = self.seen.get(application, GONE), self._elapsed(application)
                self.words.fail_in_error(application, now, final=True, elapsed=elapsed)
            else:
                self.words.skip(application, reason, IN_ERROR.get(reason, ""))

    async def _time_out(self) -> None:
        await self._look()
        if not isinstance(self._decide(), Wait):
            return
        for application in list(self.words.open):
            state = self.seen.get(application, GONE).state
            if state not in RESTING:
                elapsed = self._elapsed(application)
                self.words.fail(application, Reason.TIMEOUT.value, f"still {state}", elapsed=elapsed)
        raise _Skip(Reason.TIMEOUT, "a deployment did not end in time")

    async def _check_connected(self) -> None:
        workspace_id = self.planned.workspace_id
        try:
            connected = await read_connected(self.bench.client, [workspace_id])
        except WorkSpacesError as error:
            raise _Skip(
                Reason.UNKNOWN, f"nobody can tell whether the user is connected: {word_for(error)}"
            ) from error
        if connected.get(workspace_id):
            raise _Skip(Reason.CONNECTED, "the user is connected")

    async def _cope(self, error: WorkSpacesError, meaning: Meaning, applications: tuple[str, ...]) -> None:
        match meaning:
            case Meaning.LOOK:
                self._faults += 1
            case Meaning.BUSY:
                await self._be_patient(error)
            case Meaning.AGAIN:
                self._faults += 1
                await self.bench.clock.sleep(min(30.0, 0.5 * 2**self._faults))
            case Meaning.REFUSED:
                raise _Refused(error, applications) from error
            case Meaning.HALT:
                self.halt(str(error))
                raise _Refused(error, applications) from error
        if self._faults > _FAULTS:
            raise _Refused(error, applications) from error
        await self._look()

    async def _be_patient(self, error: WorkSpacesError) -> None:
        """Something else goes on there: let others act meanwhile."""
        clock = self.bench.clock
        if self._busy_since is None:
            self._busy_since = clock.monotonic()
        if clock.monotonic() - self._busy_since > self.care.policy.deployment_timeout:
            raise _Refused(error, tuple(self.words.open)) from error
        self._acts = max(0, self._acts - 1)
        self._leave()
        await clock.sleep(_BUSY_DELAY)
        await self._enter()

    def _count_act(self) -> None:
        self._acts += 1
        if self._acts > 2 * (_ACTS + self.care.policy.retries):
            raise _Skip(Reason.NOT_CONVERGING, "something else keeps changing it back")
