"""The waiters, as methods of the client; what they stand on is imported when they are first called."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from workspaces_apps import api, types
from workspaces_apps._associations import Direction
from workspaces_apps._base.clock import Duration, to_float, to_seconds
from workspaces_apps._base.logs import FIELDS, log_scope
from workspaces_apps._base.public import public
from workspaces_apps._model.operations import Many
from workspaces_apps._telemetry.port import Attributes, span
from workspaces_apps.api.operations import Operations
from workspaces_apps.errors import ConfigurationError, Problem, RequestValidationError

if TYPE_CHECKING:
    from workspaces_apps._model.models import Request
    from workspaces_apps._observe.schedule import Schedule
    from workspaces_apps._observe.subscription import PollAudience
    from workspaces_apps._reconcile.writes import TargetContext
    from workspaces_apps._telemetry.port import Telemetry
    from workspaces_apps._waiters.deployment_wait import DeploymentWait
    from workspaces_apps._waiters.resources import Hub, Judge, ResourceObserver, Waiter


def _require_between(value: object, name: str, low: float, high: float) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        # As a float also in the message: an int may have more digits than can be written.
        value = to_float(value)
        if math.isfinite(value) and low <= value <= high:
            return
    bounds = f"{low:g} or more" if high == math.inf else f"from {low:g} to {high:g}"
    raise ConfigurationError(f"{name} must be a finite number, {bounds}, not {value!r}")


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """The intervals of a waiter's polls: short at first and after every change, then growing.

    Examples:
        >>> import asyncio
        >>> from workspaces_apps import PollPolicy, WorkSpacesClient
        >>> async def main(workspace_id: str) -> None:
        ...     async with WorkSpacesClient() as client:
        ...         patient = PollPolicy(min_delay=10, max_delay=120)
        ...         outcome = await client.wait_until_deployed(workspace_id, poll=patient)
        ...         print(outcome.changed)
        >>> asyncio.run(main(workspace_ids[0]))
        ()
    """

    min_delay: Duration = 5.0
    """The delay between polls at the beginning and after a change; more than 0. Durations are
    timedeltas or seconds."""
    max_delay: Duration = 30.0
    """The longest delay between polls; not below `min_delay`."""
    growth: float = 1.5
    """The factor by which the delay grows after a poll that found nothing new; 1 or more."""
    jitter: float = 0.25
    """The share of each delay that is left to chance, from 0 to 1: a delay is drawn between
    ``(1 - jitter) × delay`` and ``delay``."""

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ConfigurationError: A field breaks its rule; the message names both.
        """
        shortest = to_seconds(self.min_delay, "PollPolicy.min_delay", positive=True)
        longest = to_seconds(self.max_delay, "PollPolicy.max_delay", positive=True)
        if longest < shortest:
            raise ConfigurationError(
                f"PollPolicy.max_delay must not be below min_delay: {longest:g} s is less than {shortest:g} s"
            )
        _require_between(self.growth, "PollPolicy.growth", 1, math.inf)
        _require_between(self.jitter, "PollPolicy.jitter", 0, 1)

    @property
    def shortest(self) -> float:
        """`min_delay` in seconds."""
        return to_seconds(self.min_delay, "PollPolicy.min_delay")

    @property
    def longest(self) -> float:
        """`max_delay` in seconds."""
        return to_seconds(self.max_delay, "PollPolicy.max_delay")


LAST_READ: Final = 30.0
"""Seconds for which a call may go on after its deadline, so that the last read, which the service may keep waiting, counts."""

_TICK: Final = 24.0
"""Seconds from poll to poll when the end of a deployment is near, where a call says nothing: tuned by simulation, so that
half of the ends are noticed within 15 s at 2.5 % of the calls of loops that notice as soon."""

_BOUND: Final = 60.0
"""Seconds between the polls of a deployment at most, where a call says nothing: installations take minutes. [assumed]"""


def schedule_of(poll: PollPolicy | None, *, strict: bool = False) -> Schedule:
    """Return the schedule that a policy asks for.

    Args:
        poll: The policy; None for one that polls the more rarely the more there is to poll, until the end is near.
        strict: Whether every change is wanted, so that hints will not do.
    """
    from workspaces_apps._observe.schedule import Schedule

    policy = poll if poll is not None else PollPolicy()
    return Schedule(
        shortest=policy.shortest,
        tick=policy.longest if poll is not None else _TICK,
        growth=policy.growth,
        jitter=policy.jitter,
        bound=policy.longest if poll is not None else _BOUND,
        strict=strict,
    )


ResourceT = TypeVar("ResourceT")

HOUR: Final = timedelta(hours=1)
HALF_HOUR: Final = timedelta(minutes=30)
MINUTE: Final = timedelta(seconds=60)

_TARGETS: Final = ("installed", "removed")


def invalid(member: str, rule: str, got: str) -> RequestValidationError:
    """Return the error for an argument that breaks a rule of ours."""
    problem = Problem(member=member, rule=rule, got=got)
    return RequestValidationError(f"{problem}. Nothing was sent.", problems=[problem])


def unique(ids: Iterable[str], member: str) -> list[str]:
    """Return the ids, each once, in their order.

    Raises:
        RequestValidationError: They are one string, or not several of anything.
    """
    if isinstance(ids, str):
        raise invalid(member, "must be several ids", "one string")
    try:
        return list(dict.fromkeys(ids))
    except TypeError as error:
        raise invalid(member, "must be several ids", type(ids).__name__) from error


def check_options(
    *, poll: object, on_change: object = None, properties: object = None, **switches: object
) -> None:
    """Refuse options of a wait or a job that are of the wrong kind.

    Args:
        poll: What must be a policy, or None.
        on_change: What must be something to call, or None.
        properties: What must be the properties of a WorkSpace, or None.
        switches: What must be True or False, by name.

    Raises:
        ConfigurationError: One of them is not.
        RequestValidationError: The properties are none.
    """
    if poll is not None and not isinstance(poll, PollPolicy):
        raise ConfigurationError(f"poll must be a PollPolicy or None, not {type(poll).__name__}")
    if on_change is not None and not callable(on_change):
        raise ConfigurationError(
            f"on_change must be a function, a coroutine function or None, not {type(on_change).__name__}"
        )
    for name, switch in switches.items():
        if not isinstance(switch, bool):
            raise ConfigurationError(f"{name} must be True or False, not {type(switch).__name__}")
    if properties is not None and not isinstance(properties, api.WorkspaceProperties):
        raise invalid("properties", "must be a WorkspaceProperties", type(properties).__name__)


class Waiters(Operations):
    """The methods of the client that take longer than a call."""

    @abstractmethod
    def _hub(self) -> Hub:
        """Return the observers that this client and its views share."""

    @abstractmethod
    def _telemetry(self) -> Telemetry | None:
        """Return what spans and metrics go to; None for nothing."""

    @abstractmethod
    def _audience(self) -> PollAudience | None:
        """Return the audience of the polls that serve this view; None for nobody."""

    @abstractmethod
    def _reconcile_context(self, schedule: Schedule, audience: PollAudience | None) -> TargetContext:
        """Return what the reconcilers of this client share, with reads and writes by this view."""

    @abstractmethod
    def _checked(self, request: object) -> Request:
        """Return the request, if it breaks no rule."""

    def _check_workspace(self, workspace_id: str) -> None:
        self._checked(api.DescribeWorkspaceAssociationsRequest(workspace_id=workspace_id))

    def _check_wanted(self, wanted: object, member: str) -> None:
        from workspaces_apps._model.validation import is_mapping

        if not is_mapping(wanted):
            raise invalid(member, "must be a mapping from application ids", type(wanted).__name__)
        if not wanted:
            raise invalid(member, "must name at least one application", "none")
        for application_id, target in wanted.items():
            if target not in _TARGETS:
                raise invalid(member, 'must say "installed" or "removed" for each', type(target).__name__)
            if not isinstance(application_id, str):
                raise invalid(member, "must have application ids for keys", type(application_id).__name__)
            self._checked(
                api.DescribeApplicationAssociationsRequest(
                    application_id=application_id, associated_resource_types=("WORKSPACE",)
                )
            )

    async def wait_until_deployed(
        self,
        workspace_id: str,
        *,
        wanted: Mapping[str, types.WantedState] | None = None,
        timeout: Duration = HOUR,
        start_grace: Duration = MINUTE,
        ready_timeout: Duration = HALF_HOUR,
        poll: PollPolicy | None = None,
        on_change: types.OnChange | None = None,
    ) -> types.DeploymentOutcome:
        """Wait until a deployment on a WorkSpace has ended, and the WorkSpace is back.

        It has ended when every association followed is terminal and the WorkSpace is AVAILABLE or STOPPED. [doc] A record in REMOVED and no record mean the same. [assumed] States that this package does
        not know count as under way. All waits of a client share their polls.

        Args:
            workspace_id: The WorkSpace.
            wanted: By application id, how it is to end: `"installed"` or `"removed"`. None: what is staged or
                under way at the first poll, in the direction it shows; if that is nothing, it returns at once.
            timeout: How long to wait, as a timedelta or in seconds; there is one last poll at the end.
            start_grace: How long nothing need be under way after Deploy, as a timedelta or in seconds.
            ready_timeout: How long the WorkSpace may be on its way, such as rebooting, once nothing else is.
            poll: How often to poll.
            on_change: A function or coroutine function that is called with every change. What it raises is logged.

        Returns:
            How it ended; `changed` is empty if nothing was pending.

        Raises:
            DeploymentFailedError: Everything is terminal, and something is in ERROR.
            WaiterTimeoutError: It has not ended in time.
            WorkspaceNotReadyInTimeError: The WorkSpace was not ready within `ready_timeout`.
            WorkspaceNotReadyError: Everything is terminal, and somebody must see to the WorkSpace.
            WaiterError: What was wanted is still not under way after `start_grace`, such as when Deploy is
                missing; or the WorkSpace is gone.
            ClientStateError: The client was closed meanwhile.
            RequestValidationError: A parameter breaks a rule; nothing was sent.
            WorkSpacesError: Polls failed, ten in a row, or one in a way that does not pass; its `last` is what was seen
                before.

        Source: docs/service-facts.md, "The life of an association".
        """
        check_options(poll=poll, on_change=on_change)
        make_wait = self._deployment_waits(wanted, timeout, start_grace, ready_timeout, poll)
        if on_change is not None:
            from workspaces_apps._waiters.deployment_wait import DeploymentWatch, tell

            self._check_workspace(workspace_id)
            async with DeploymentWatch(lambda changed: make_wait(workspace_id, changed)) as changes:
                async for change in changes:
                    await tell(on_change, change)
                return changes.result()
        self._check_workspace(workspace_id)
        wait = make_wait(workspace_id, None)
        wait.begin()
        try:
            return await wait.future
        finally:
            wait.end()

    def wait_until_all_deployed(
        self,
        workspace_ids: Many[str],
        *,
        wanted: Mapping[str, types.WantedState] | None = None,
        timeout: Duration = HOUR,
        start_grace: Duration = MINUTE,
        ready_timeout: Duration = HALF_HOUR,
        poll: PollPolicy | None = None,
        on_change: types.OnChange | None = None,
        fail_fast: bool = False,
    ) -> types.AllDeployed:
        """Wait for deployments on many WorkSpaces.

        `async for` over what is returned gives each DeploymentOutcome as it comes, with its `error` if it did not
        end well; awaiting it gives all of them in order, or raises PartialFailureError after all have ended.

        Args:
            workspace_ids: The WorkSpaces, as many as you like; one that comes twice is waited for once.
            wanted: As for `wait_until_deployed`, for each WorkSpace.
            timeout: How long to wait for each.
            start_grace: As for `wait_until_deployed`.
            ready_timeout: As for `wait_until_deployed`.
            poll: How often to poll.
            on_change: Is called with every change on any of them.
            fail_fast: Raise the first error as it is, and wait no longer for the others.

        Raises:
            RequestValidationError: A parameter breaks a rule; nothing was sent.
        """
        from workspaces_apps._waiters.deployment_wait import AllDeployed

        check_options(poll=poll, on_change=on_change, fail_fast=fail_fast)
        once = unique(workspace_ids, "workspace_ids")
        for workspace_id in once:
            self._check_workspace(workspace_id)
        return AllDeployed(
            self._deployment_waits(wanted, timeout, start_grace, ready_timeout, poll),
            once,
            fail_fast=fail_fast,
            on_change=on_change,
        )

    def watch_deployment(
        self,
        workspace_id: str,
        *,
        wanted: Mapping[str, types.WantedState] | None = None,
        timeout: Duration = HOUR,
        start_grace: Duration = MINUTE,
        ready_timeout: Duration = HALF_HOUR,
        poll: PollPolicy | None = None,
    ) -> types.DeploymentWatch:
        """Follow a deployment change by change: `async with ws.watch_deployment(…) as changes`.

        The iteration over `changes` gives an AssociationChange for each change and ends when the deployment ends,
        also if something failed: that is a change to ERROR, with the reason, and `changes.outcome` tells. Leaving
        the block early ends the polling.

        Args:
            workspace_id: The WorkSpace.
            wanted: As for `wait_until_deployed`.
            timeout: How long to follow it; then the iteration raises WaiterTimeoutError.
            start_grace: As for `wait_until_deployed`.
            ready_timeout: As for `wait_until_deployed`.
            poll: How often to poll.

        Raises:
            RequestValidationError: A parameter breaks a rule; nothing was sent.
        """
        from workspaces_apps._waiters.deployment_wait import DeploymentWatch

        check_options(poll=poll)
        self._check_workspace(workspace_id)
        make_wait = self._deployment_waits(wanted, timeout, start_grace, ready_timeout, poll)
        return DeploymentWatch(lambda changed: make_wait(workspace_id, changed))

    def _deployment_waits(
        self,
        wanted: Mapping[str, types.WantedState] | None,
        timeout: Duration,
        start_grace: Duration,
        ready_timeout: Duration,
        poll: PollPolicy | None,
    ) -> Callable[[str, Callable[[types.AssociationChange], None] | None], DeploymentWait]:
        """Check the arguments, and return what makes the wait for a WorkSpace."""
        from workspaces_apps._waiters.deployment_wait import DeploymentWait

        if wanted is not None:
            self._check_wanted(wanted, "wanted")
        seconds, grace = to_seconds(timeout, "timeout"), to_seconds(start_grace, "start_grace")
        ready = to_seconds(ready_timeout, "ready_timeout")
        observer, audience, telemetry = self._hub().observer, self._audience(), self._telemetry()

        def make_wait(
            workspace_id: str, on_change: Callable[[types.AssociationChange], None] | None
        ) -> DeploymentWait:
            return DeploymentWait(
                observer,
                workspace_id,
                wanted=wanted,
                schedule=schedule_of(poll, strict=on_change is not None),
                timeout=seconds,
                grace=grace,
                ready_timeout=ready,
                audience=audience,
                on_change=on_change,
                telemetry=telemetry,
            )

        return make_wait

    async def install_applications(
        self,
        workspace_id: str,
        application_ids: Many[str],
        *,
        include_staged: bool = False,
        retry_failed: bool = False,
        timeout: Duration = HOUR,
        start_grace: Duration = MINUTE,
        ready_timeout: Duration = HALF_HOUR,
        poll: PollPolicy | None = None,
        on_change: types.OnChange | None = None,
    ) -> types.DeploymentOutcome:
        """Install applications on a WorkSpace: stage what is missing, deploy, wait.

        It reads before it acts, does nothing that is done already, and may be called again after a crash at any
        point. Deploying ends the user's session, and commits everything staged on the WorkSpace. [doc] So it
        refuses where something else is staged; what somebody stages between its last read and Deploy is committed
        all the same. Where the service refuses a step, it takes back what it has staged; a note on the error tells.

        Args:
            workspace_id: The WorkSpace.
            application_ids: The applications.
            include_staged: Deploy even if that commits, or with `retry_failed` repeats, something else.
            retry_failed: Try again what is in ERROR: first by stating the direction anew, and where the service
                does not take that, by Force, which repeats whatever it was that failed.
            timeout: The time for everything, as a timedelta or in seconds.
            start_grace: As for `wait_until_deployed`.
            ready_timeout: How long to wait for a WorkSpace that is on its way, as one that reboots, within `timeout`.
            poll: How often to poll.
            on_change: As for `wait_until_deployed`.

        Returns:
            How it ended: `done` names what this call staged or deployed, `already` what was installed before.

        Raises:
            WorkspaceNotReadyError: The WorkSpace is in a state that somebody must see to.
            StagedChangesError: Something else is staged on the WorkSpace; nothing was deployed.
            DeploymentFailedError: An application is in ERROR: before, without `retry_failed`, or after.
            WaiterTimeoutError: It has not ended in time.
            WorkspaceNotReadyInTimeError: The WorkSpace was not ready within `ready_timeout`.
            RequestValidationError: A parameter breaks a rule; nothing was sent.
            WorkSpacesError: The service refused a step.

        Source: docs/service-facts.md, "The life of an association".
        """
        return await self._reconcile(
            "install",
            workspace_id,
            application_ids,
            include_staged=include_staged,
            retry_failed=retry_failed,
            timeout=timeout,
            start_grace=start_grace,
            ready_timeout=ready_timeout,
            poll=poll,
            on_change=on_change,
        )

    async def uninstall_applications(
        self,
        workspace_id: str,
        application_ids: Many[str],
        *,
        include_staged: bool = False,
        retry_failed: bool = False,
        timeout: Duration = HOUR,
        start_grace: Duration = MINUTE,
        ready_timeout: Duration = HALF_HOUR,
        poll: PollPolicy | None = None,
        on_change: types.OnChange | None = None,
    ) -> types.DeploymentOutcome:
        """Uninstall applications from a WorkSpace: stage what is there, deploy, wait.

        The counterpart of `install_applications`, with the same arguments, results and errors.

        Args:
            workspace_id: The WorkSpace.
            application_ids: The applications.
            include_staged: Deploy even if that commits, or with `retry_failed` repeats, something else.
            retry_failed: Try again what is in ERROR; see `install_applications`.
            timeout: The time for everything, as a timedelta or in seconds.
            start_grace: As for `wait_until_deployed`.
            ready_timeout: How long to wait for a WorkSpace that is on its way, as one that reboots, within `timeout`.
            poll: How often to poll.
            on_change: As for `wait_until_deployed`.

        Returns:
            How it ended: `done` names what this call staged or deployed, `already` what was absent before.

        Raises:
            WorkspaceNotReadyError: The WorkSpace is in a state that somebody must see to.
            StagedChangesError: Something else is staged on the WorkSpace; nothing was deployed.
            DeploymentFailedError: An application is in ERROR: before, without `retry_failed`, or after.
            WaiterTimeoutError: It has not ended in time.
            WorkspaceNotReadyInTimeError: The WorkSpace was not ready within `ready_timeout`.
            RequestValidationError: A parameter breaks a rule; nothing was sent.
            WorkSpacesError: The service refused a step.
        """
        return await self._reconcile(
            "uninstall",
            workspace_id,
            application_ids,
            include_staged=include_staged,
            retry_failed=retry_failed,
            timeout=timeout,
            start_grace=start_grace,
            ready_timeout=ready_timeout,
            poll=poll,
            on_change=on_change,
        )

    async def _reconcile(
        self,
        direction: Direction,
        workspace_id: str,
        application_ids: Many[str],
        *,
        include_staged: bool,
        retry_failed: bool,
        timeout: Duration,
        start_grace: Duration,
        ready_timeout: Duration,
        poll: PollPolicy | None,
        on_change: types.OnChange | None,
    ) -> types.DeploymentOutcome:
        from workspaces_apps._reconcile.writes import ReconcilePolicy
        from workspaces_apps._waiters.deployment import WANTED_STATES
        from workspaces_apps._waiters.jobs import Job

        check_options(
            poll=poll, on_change=on_change, include_staged=include_staged, retry_failed=retry_failed
        )
        applications = unique(application_ids, "application_ids")
        self._check_workspace(workspace_id)
        self._check_wanted(dict.fromkeys(applications, WANTED_STATES[direction]), "application_ids")
        # What is in ERROR is retried once, in the direction that is desired.
        policy = ReconcilePolicy(
            retries=int(retry_failed),
            allowed=None if include_staged else frozenset(),
            allow_foreign_errors=include_staged,
            assume_direction=True,
            deployment_timeout=to_seconds(timeout, "timeout"),
            grace=to_seconds(start_grace, "start_grace"),
            ready_timeout=to_seconds(ready_timeout, "ready_timeout"),
        )
        context = self._reconcile_context(schedule_of(poll, strict=on_change is not None), self._audience())
        about: Attributes = {FIELDS["workspace_id"]: workspace_id}
        with (
            span(self._telemetry(), f"workspaces_apps.{direction}_applications", about),
            log_scope(workspace_id=workspace_id),
        ):
            return await Job(context, workspace_id, direction, tuple(applications), policy, on_change).run()

    async def wait_until_available(
        self, workspace_id: str, *, timeout: Duration = HOUR, poll: PollPolicy | None = None
    ) -> api.Workspace:
        """Wait until a WorkSpace is AVAILABLE; absent means "not yet", as right after CreateWorkspaces. [doc]

        Args:
            workspace_id: The WorkSpace.
            timeout: How long to wait, as a timedelta or in seconds; there is one last poll at the end.
            poll: How often to poll.

        Raises:
            WaiterTimeoutError: It is not in time.
            WaiterError: It is in ERROR, or is being terminated, or was there and has been absent for a minute.
            WorkSpacesError: Polls failed, ten in a row, or one in a way that does not pass.
        """
        return _there(await self._wait_for_workspace("available", "AVAILABLE", workspace_id, timeout, poll))

    async def wait_until_stopped(
        self, workspace_id: str, *, timeout: Duration = HOUR, poll: PollPolicy | None = None
    ) -> api.Workspace:
        """Wait until a WorkSpace is STOPPED.

        Args:
            workspace_id: The WorkSpace.
            timeout: How long to wait, as a timedelta or in seconds; there is one last poll at the end.
            poll: How often to poll.

        Raises:
            WaiterTimeoutError: It is not in time.
            WaiterError: It is in ERROR, or is being terminated, or was there and has been absent for a minute.
            WorkSpacesError: Polls failed, ten in a row, or one in a way that does not pass.
        """
        return _there(await self._wait_for_workspace("stopped", "STOPPED", workspace_id, timeout, poll))

    async def wait_until_terminated(
        self, workspace_id: str, *, timeout: Duration = HOUR, poll: PollPolicy | None = None
    ) -> None:
        """Wait until a WorkSpace is TERMINATED, or absent, which means the same here. [doc]

        Args:
            workspace_id: The WorkSpace.
            timeout: How long to wait, as a timedelta or in seconds; there is one last poll at the end.
            poll: How often to poll.

        Raises:
            WaiterTimeoutError: It is not in time.
            WorkSpacesError: Polls failed, ten in a row, or one in a way that does not pass.
        """
        await self._wait_for_workspace("terminated", "TERMINATED", workspace_id, timeout, poll)

    async def wait_until_modified(
        self,
        workspace_id: str,
        *,
        properties: api.WorkspaceProperties | None = None,
        timeout: Duration = HOUR,
        start_grace: Duration = MINUTE,
        poll: PollPolicy | None = None,
    ) -> api.Workspace:
        """Wait until a change of a WorkSpace's properties is through.

        The state of the WorkSpace does not show it; ModificationStates does, except for the running mode, which
        must be read back. [field]

        Args:
            workspace_id: The WorkSpace.
            properties: What was asked for: every property set here must be read back. None, or none set: until there
                is no entry in ModificationStates, which does not see a change of the running mode.
            timeout: How long to wait, as a timedelta or in seconds; there is one last poll at the end.
            start_grace: How long an entry may take to show up, without `properties`; and for how long an entry in
                UPDATE_FAILED that was there at the first poll may be left over from a change before.
            poll: How often to poll.

        Raises:
            WaiterTimeoutError: It is not in time.
            WaiterError: The change failed, or the WorkSpace did.
            WorkSpacesError: Polls failed, ten in a row, or one in a way that does not pass.
        """
        from workspaces_apps._waiters.resources import ModifiedJudge

        check_options(poll=poll, properties=properties)
        began = self._hub().clock.monotonic()
        judge = ModifiedJudge(properties, began, to_seconds(start_grace, "start_grace"))
        self._check_workspace(workspace_id)
        workspaces = self._hub().workspaces
        found = await self._wait_for(workspaces, judge, "modified", workspace_id, timeout, poll)
        return _there(found)

    async def wait_until_image_available(
        self, image_id: str, *, timeout: Duration = timedelta(hours=4), poll: PollPolicy | None = None
    ) -> api.WorkspaceImage:
        """Wait until an image is AVAILABLE; absent means "not yet". [assumed]

        Args:
            image_id: The image.
            timeout: How long to wait, as a timedelta or in seconds; there is one last poll at the end.
            poll: How often to poll.

        Raises:
            WaiterTimeoutError: It is not in time.
            WaiterError: It could not be made.
            WorkSpacesError: Polls failed, ten in a row, or one in a way that does not pass.
        """
        from workspaces_apps._waiters.resources import StateJudge

        self._checked(api.DescribeWorkspaceImagesRequest(image_ids=[image_id]))
        judge = StateJudge[api.WorkspaceImage]("image available", lambda image: image.state, "image")
        images = self._hub().images
        found = await self._wait_for(images, judge, "AVAILABLE", image_id, timeout, poll)
        return _there(found)

    async def wait_until_directory_registered(
        self, directory_id: str, *, timeout: Duration = HOUR, poll: PollPolicy | None = None
    ) -> api.WorkspaceDirectory:
        """Wait until a directory is REGISTERED.

        Args:
            directory_id: The directory.
            timeout: How long to wait, as a timedelta or in seconds; there is one last poll at the end.
            poll: How often to poll.

        Raises:
            WaiterTimeoutError: It is not in time.
            WaiterError: It is in ERROR.
            WorkSpacesError: Polls failed, ten in a row, or one in a way that does not pass.
        """
        return _there(
            await self._wait_for_directory("directory registered", "REGISTERED", directory_id, timeout, poll)
        )

    async def wait_until_directory_deregistered(
        self, directory_id: str, *, timeout: Duration = HOUR, poll: PollPolicy | None = None
    ) -> None:
        """Wait until a directory is DEREGISTERED, or absent, which means the same here. [assumed]

        Args:
            directory_id: The directory.
            timeout: How long to wait, as a timedelta or in seconds; there is one last poll at the end.
            poll: How often to poll.

        Raises:
            WaiterTimeoutError: It is not in time.
            WaiterError: It is in ERROR.
            WorkSpacesError: Polls failed, ten in a row, or one in a way that does not pass.
        """
        await self._wait_for_directory("directory deregistered", "DEREGISTERED", directory_id, timeout, poll)

    async def _wait_for(
        self,
        observer: ResourceObserver[ResourceT],
        judge: Judge[ResourceT],
        goal: str,
        resource_id: str,
        timeout: Duration,
        poll: PollPolicy | None,
    ) -> ResourceT | None:
        from workspaces_apps._waiters.resources import wait_for

        check_options(poll=poll)
        return await wait_for(
            observer,
            judge,
            goal,
            resource_id,
            timeout=timeout,
            poll=poll,
            audience=self._audience(),
            telemetry=self._telemetry(),
        )

    async def _wait_for_workspace(
        self, waiter: Waiter, goal: str, workspace_id: str, timeout: Duration, poll: PollPolicy | None
    ) -> api.Workspace | None:
        from workspaces_apps._waiters.resources import StateJudge

        self._check_workspace(workspace_id)
        judge = StateJudge[api.Workspace](waiter, lambda workspace: workspace.state)
        workspaces = self._hub().workspaces
        return await self._wait_for(workspaces, judge, goal, workspace_id, timeout, poll)

    async def _wait_for_directory(
        self, waiter: Waiter, goal: str, directory_id: str, timeout: Duration, poll: PollPolicy | None
    ) -> api.WorkspaceDirectory | None:
        from workspaces_apps._waiters.resources import StateJudge

        self._checked(api.DescribeWorkspaceDirectoriesRequest(directory_ids=[directory_id]))
        judge = StateJudge[api.WorkspaceDirectory](waiter, lambda directory: directory.state, "directory")
        directories = self._hub().directories
        return await self._wait_for(directories, judge, goal, directory_id, timeout, poll)


def _there(found: ResourceT | None) -> ResourceT:
    """Return what was found; none of the acceptors takes absence for success where this is used."""
    assert found is not None
    return found
