"""Having applications installed or removed: look, do what is missing, wait, and look again."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workspaces_apps import api
from workspaces_apps.errors import (
    ServiceError,
    StagedChangesError,
    WaiterError,
    WorkSpacesError,
)
from workspaces_apps.retry import FailureKind, classify
from workspaces_apps.waiters.acceptors import Phase, association_row
from workspaces_apps.waiters.acts import STAGED, Act, act_for
from workspaces_apps.waiters.deployment_wait import DeploymentWait
from workspaces_apps.waiters.ledger import Ledger
from workspaces_apps.waiters.poller import LAST_LOOK
from workspaces_apps.waiters.resources import StateJudge, wait_for
from workspaces_apps.waiters.watch import DeploymentWatch, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workspaces_apps.api.operations import Operations
    from workspaces_apps.waiters.hub import Hub
    from workspaces_apps.waiters.policy import PollPolicy
    from workspaces_apps.waiters.records import AssociationChange, DeploymentOutcome, OnChange, Target

_log = logging.getLogger("workspaces_apps.waiters")

_TURNS: Final = 12
"""Looks after which something works against it: an application needs four at most, staged, retried and deployed."""


_NOT_RESTATED: Final = frozenset(
    {
        "ResourceAlreadyExistsException",
        "ResourceInUseException",
        "ResourceNotFoundException",
        "OperationNotSupportedException",
        "InvalidParameterValuesException",
    }
)
"""What Associate and Disassociate may say to a record in ERROR, if they do not state its direction anew. [assumed]"""

_OVERTAKEN: Final[Mapping[Target, frozenset[str]]] = {
    "installed": frozenset({"ResourceAlreadyExistsException", "ResourceInUseException"}),
    "removed": frozenset({"ResourceNotFoundException", "ResourceInUseException"}),
}
"""What they say if the record is not any more as it was seen: the next look shows how it is. [assumed]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """How a job is done.

    Attributes:
        include_staged: Deploy even if that commits something else.
        retry_failed: Try again what is in ERROR.
        timeout: Seconds for everything.
        grace: For how many seconds nothing need be under way after Deploy.
        policy: How often to look.
        on_change: Is called with every change.
    """

    include_staged: bool
    retry_failed: bool
    timeout: float
    grace: float
    policy: PollPolicy
    on_change: OnChange | None


class Job:
    """Applications that are to be installed on a WorkSpace, or removed from it.

    It keeps no plan: every turn looks at the service and does the one thing that is due. So it can begin with
    any half-done state, and is not misled by what others do meanwhile.
    """

    def __init__(
        self,
        client: Operations,
        hub: Hub,
        workspace_id: str,
        target: Target,
        applications: tuple[str, ...],
        options: JobOptions,
    ) -> None:
        """A job that has not begun.

        Args:
            client: Whose calls it makes.
            hub: Who looks while it waits.
            workspace_id: The WorkSpace.
            target: Where the applications are wanted.
            applications: Their ids.
            options: How it is done.
        """
        self._client = client
        self._hub = hub
        self._clock = hub.clock
        self._workspace_id = workspace_id
        self._target: Target = target
        self._applications = applications
        self._options = options
        self._ledger = Ledger(
            workspace_id,
            target,
            applications,
            self._clock,
            timeout=options.timeout,
            retried=options.retry_failed,
        )
        self._ready = False
        self._staged: dict[str, None] = {}
        self._unstated: set[str] = set()
        self._retried: set[str] = set()
        self._forced = False
        self._refusals: list[ServiceError] = []

    async def run(self) -> DeploymentOutcome:
        """Do it.

        Returns:
            How it ended.

        Raises:
            WorkSpacesError: As `install_applications` says.
        """
        scope = asyncio.timeout(None)
        alarm = asyncio.create_task(self._end(scope))
        try:
            async with scope:
                try:
                    return await self._steps()
                except (ServiceError, StagedChangesError) as error:
                    if self._staged and classify(error) is FailureKind.FATAL:
                        await self._take_back(error)
                    raise
        except WorkSpacesError as error:
            if error.last is None and self._ledger.polls:
                error.last = {self._workspace_id: self._ledger.statuses()}
            raise
        except TimeoutError:
            if not scope.expired():
                raise
            raise self._ledger.late() from None
        finally:
            alarm.cancel()

    async def _end(self, scope: asyncio.Timeout) -> None:
        """End the job whose last call takes too long: the service may hang, the deadline holds."""
        await self._clock.sleep(self._options.timeout + LAST_LOOK)
        scope.reschedule(asyncio.get_running_loop().time())

    async def _steps(self) -> DeploymentOutcome:
        await self._look()
        for _ in range(_TURNS):
            refused = len(self._refusals)
            if not await self._turn():
                return self._ledger.outcome()
            if 0 < refused < len(self._refusals):
                # Refused again: whatever is in the way takes its time.
                await self._clock.sleep(max(0.0, min(self._options.policy.shortest, self._ledger.left())))
            await self._look()
        raise self._ledger.told(
            WaiterError(
                f"{self._workspace_id} does not come to rest: after {_TURNS} steps its applications are"
                f" {self._ledger.states()}; something else seems to change them"
            )
        ) from (self._refusals[-1] if self._refusals else None)

    async def _turn(self) -> bool:
        """Do the one thing that is due; False if nothing is."""
        acts = {one: act_for(self._ledger.state(one), self._target) for one in self._applications}
        if Act.RETRY in acts.values() and not self._options.retry_failed:
            raise self._ledger.failed()
        if all(act is Act.NOTHING for act in acts.values()):
            return False
        moving = self._moving()
        if moving:
            # Ours or not: meanwhile the service takes no other change. [doc]
            self._ledger.headed.update({one: where for one, where in moving.items() if where is not None})
            await self._wait(moving)
            return True
        if not self._ready:
            await self._wait_until_ready()
        if any(act is Act.STAGE for act in acts.values()):
            await self._stage([one for one, act in acts.items() if act is Act.STAGE])
            return True
        failed = [one for one, act in acts.items() if act is Act.RETRY]
        unstated = [one for one in failed if one not in self._unstated]
        if unstated:
            await self._restate(unstated)
            return True
        if failed and (self._forced or self._retried.issuperset(failed)):
            raise self._ledger.failed()
        await self._deploy(list(acts), force=bool(failed))
        return True

    async def _look(self) -> None:
        self._check_time()
        answer = await self._client.describe_workspace_associations(workspace_id=self._workspace_id)
        self._ledger.saw(answer.associations)

    async def _stage(self, applications: list[str]) -> None:
        """Stage what is missing; it may turn out that somebody was faster."""
        if any(self._ledger.state(one) not in STAGED for one in applications):
            # Taking a staged change back needs no Deploy, and so touches nothing else.
            self._check_others(force=False)
        for application in applications:
            self._check_time()
            try:
                await self._state_direction(application, self._target)
            except ServiceError as error:
                if error.code not in _OVERTAKEN[self._target]:
                    raise
                self._refusals.append(error)
                _log.debug("%s on %s was overtaken: %s", application, self._workspace_id, error)
                self._ready = False
                continue
            self._ledger.done[application] = None
            if self._ledger.state(application) not in STAGED:
                self._staged[application] = None

    async def _take_back(self, error: WorkSpacesError) -> None:
        """Leave nothing staged by a job that was refused: the next Deploy, whoever's, would commit it.

        The opposite call takes a staged change back. [doc] What could not be taken back is told.
        """
        opposite: Target = "removed" if self._target == "installed" else "installed"
        try:
            for application in self._staged:
                await self._state_direction(application, opposite)
            await self._look()
        except WorkSpacesError as trouble:
            _log.debug("on %s, taking back failed: %s", self._workspace_id, trouble)
            error.add_note(
                f"What this call staged on {self._workspace_id} may be staged still, and the next Deploy would commit"
                f" it: {', '.join(self._staged)}"
            )
        else:
            error.add_note(
                f"What this call had staged on {self._workspace_id} was taken back: {', '.join(self._staged)}"
            )

    async def _restate(self, applications: list[str]) -> None:
        """State the direction of failed records anew, where the service takes that; it may not. [assumed]"""
        for application in applications:
            self._unstated.add(application)
            try:
                await self._state_direction(application, self._target)
            except ServiceError as error:
                if error.code not in _NOT_RESTATED:
                    raise
                _log.debug("%s on %s cannot be restated: %s", application, self._workspace_id, error)

    async def _state_direction(self, application: str, target: Target) -> None:
        if target == "installed":
            await self._client.associate_workspace_application(
                workspace_id=self._workspace_id, application_id=application
            )
        else:
            await self._client.disassociate_workspace_application(
                workspace_id=self._workspace_id, application_id=application
            )

    async def _deploy(self, applications: list[str], *, force: bool) -> None:
        """Commit what is staged, and wait until that has ended, well or not: the next look tells."""
        self._check_others(force=force)
        staged = [one for one in applications if self._ledger.state(one) in STAGED]
        failed = [one for one in applications if self._ledger.state(one) == "ERROR"]
        try:
            await self._client.deploy_workspace_applications(
                workspace_id=self._workspace_id, force=True if force else None
            )
        except ServiceError as error:
            if error.code != "ResourceInUseException" and not await self._was_overtaken(error, staged):
                raise
            # Another deployment was faster.
            self._ready = False
            self._refusals.append(error)
            return
        self._staged.clear()
        self._forced = self._forced or force
        self._ledger.done.update(dict.fromkeys([*staged, *failed]))
        self._ledger.headed.update(dict.fromkeys(staged, self._target))
        self._retried.update(self._unstated.intersection(staged))
        wanted: dict[str, Target | None] = dict.fromkeys(staged, self._target)
        # Force repeats whatever failed, perhaps the other way; where it leads shows while it moves.
        wanted.update(dict.fromkeys(failed))
        await self._wait(wanted)

    async def _was_overtaken(self, error: ServiceError, staged: list[str]) -> bool:
        """Whether a Deploy was refused because another has committed everything. [assumed]"""
        if error.code != "OperationNotSupportedException" or not staged:
            return False
        await self._look()
        return not any(self._ledger.state(one) in STAGED for one in staged)

    async def _wait(self, wanted: Mapping[str, Target | None]) -> None:
        """Wait for a deployment; that something failed is for the next look to judge."""
        options = self._options

        def make_wait(changed: Callable[[AssociationChange], None]) -> DeploymentWait:
            return DeploymentWait(
                self._workspace_id,
                wanted=wanted,
                policy=options.policy,
                clock=self._clock,
                timeout=max(0.0, self._ledger.left()),
                grace=options.grace,
                on_change=changed,
            )

        async with DeploymentWatch(self._hub, make_wait) as changes:
            try:
                async for change in changes:
                    if options.on_change is not None:
                        await tell(options.on_change, change)
            except WaiterError as error:
                self._ledger.polls += error.polls
                raise self._ledger.told(error) from error.__cause__
            outcome = changes.outcome
        self._ledger.polls += outcome.polls if outcome is not None else 0
        self._ready = True

    async def _wait_until_ready(self) -> None:
        """Wait until the WorkSpace takes changes: AVAILABLE or STOPPED. [doc]"""
        judge = StateJudge[api.Workspace]("ready", lambda workspace: workspace.state)
        await wait_for(
            self._hub.workspaces,
            judge,
            "AVAILABLE or STOPPED",
            self._workspace_id,
            max(0.0, self._ledger.left()),
            self._options.policy,
        )
        self._ready = True

    def _moving(self) -> dict[str, Target | None]:
        """What is on its way on the WorkSpace, and whereto as far as that shows."""
        moving: dict[str, Target | None] = {}
        for application, record in self._ledger.found.items():
            row = association_row(record.state)
            ours = application in self._applications
            if row.unknown is Phase.MOVING and (ours or record.state.is_known):
                moving[application] = row.shows
        return moving

    def _check_others(self, *, force: bool) -> None:
        """Refuse to commit, or to repeat, what this job is not about."""
        in_the_way = {
            application: str(record.state)
            for application, record in self._ledger.found.items()
            if application not in self._applications
            and (record.state in STAGED or (force and record.state == "ERROR"))
        }
        if in_the_way and not self._options.include_staged:
            listing = ", ".join(f"{application} ({state})" for application, state in in_the_way.items())
            error = StagedChangesError(
                f"Deploy on {self._workspace_id} would also take up {listing}; include_staged=True allows that"
            )
            error.staged = in_the_way
            raise self._ledger.told(error)

    def _check_time(self) -> None:
        if self._ledger.left() <= 0:
            raise self._ledger.late()
