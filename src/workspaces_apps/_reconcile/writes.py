"""The writes of a reconciler: the policy and the context that they go by, their intents, their guard, the calls.

The limiter's queue and the backoffs of retries lie between a decision and the request that carries it out. So the client
asks the guard after the permit and before *every* attempt; what the guard refuses is not sent, and the reconciler reads
and decides anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from workspaces_apps._base.clock import timeout
from workspaces_apps._observe.reads import AssociationRecord
from workspaces_apps._retry import may_have_arrived
from workspaces_apps.errors import ClientStateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workspaces_apps._associations import Direction
    from workspaces_apps._base.clock import Clock, Signal
    from workspaces_apps._observe.observer import AssociationObserver
    from workspaces_apps._observe.schedule import Schedule
    from workspaces_apps._observe.subscription import PollAudience
    from workspaces_apps._reconcile.observed_state import ObservedState, StateChange
    from workspaces_apps.api.operations import Operations
    from workspaces_apps.errors import WorkSpacesError


GRACE: Final = 60.0
"""Seconds for which a deployment that was taken need not show yet. [assumed]"""

DEPLOYING_AT_ONCE: Final = 8
"""WorkSpaces of a client that are between the last read and Deploy: few, so that the read is seconds old at most."""


class GuardedClient(Protocol):
    """Gives views of a client whose every attempt a guard lets through, or does not."""

    def __call__(self, guard: AttemptGuard, *, once: bool) -> Operations:
        """Return a view; with `once`, of a single attempt a call."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcilePolicy:
    """The limits of a reconciler.

    Attributes:
        retries: How often a change in ERROR is retried.
        allowed: What others may have staged: pairs of application and state; None for anything.
        allow_foreign_errors: Let Force retry also what others have in ERROR.
        assume_direction: Take the direction that is desired for the one that failed, where it is not known.
        deployment_timeout: Seconds after which a deployment that does not end has failed.
        ready_timeout: Seconds after which a WorkSpace that does not become ready is left alone.
        grace: Seconds for which a deployment that was taken need not show yet.
    """

    retries: int
    allowed: frozenset[tuple[str, str]] | None = frozenset()
    allow_foreign_errors: bool = False
    assume_direction: bool = False
    deployment_timeout: float
    ready_timeout: float
    grace: float = GRACE


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetContext:
    """The dependencies that the reconcilers of one client share.

    Attributes:
        client: The view whose reads are theirs.
        guarded: Gives the views that write.
        observer: The client's observer.
        clock: The client's clock.
        schedule: How often deployments are polled.
        look_delay: Seconds after a Deploy of unknown outcome until a read tells; the client's `RetryPolicy.look_delay`.
        audience: Who hears of polls that serve them.
        deploy_gate: How many may be between the last read and Deploy.
    """

    client: Operations
    guarded: GuardedClient
    observer: AssociationObserver
    clock: Clock
    schedule: Schedule
    look_delay: float
    audience: PollAudience | None = None
    deploy_gate: asyncio.Semaphore


class Slot:
    """A permit of a semaphore, held while its holder acts, and released while it can only wait.

    Args:
        semaphore: How many there are; None for no limit.
    """

    __slots__ = (
        "_held",
        "_semaphore",
    )

    def __init__(self, semaphore: asyncio.Semaphore | None) -> None:
        self._semaphore = semaphore
        self._held = False

    @property
    def held(self) -> bool:
        """Tell if a permit is held; never, where there is no limit."""
        return self._held

    async def acquire(self) -> None:
        """Wait for a permit, unless it is held."""
        if self._semaphore is not None and not self._held:
            await self._semaphore.acquire()
            self._held = True

    def release(self) -> None:
        """Give the permit back; may be called again."""
        if self._semaphore is not None and self._held:
            self._held = False
            self._semaphore.release()


WriteOperation: TypeAlias = Literal[
    "AssociateWorkspaceApplication", "DisassociateWorkspaceApplication", "DeployWorkspaceApplications"
]
"""The operations that a reconciler writes with."""


class LogFailed(Exception):
    """Something could not be recorded; the cause says why. No error of the service's, and nothing may go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteIntent:
    """A write that is about to be sent, for one application.

    Attributes:
        application_id: The application.
        operation: The API operation.
        direction: The direction of the change.
        force: Whether it is a Deploy with Force.
        retry: Whether it retries what had ended in ERROR; such intents are what `retries` counts.
    """

    application_id: str
    operation: WriteOperation
    direction: Direction
    force: bool = False
    retry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A change that failed.

    Attributes:
        application_id: The application.
        direction: The direction that was desired.
        reason: The service's code, or the class of error, or a `Reason`.
        message: The service's words.
        request_id: The service's id of the answer, for a call that was refused.
        final: Whether it is not retried any more.
        elapsed: Seconds since Deploy was taken; None without one.
    """

    application_id: str
    direction: Direction
    reason: str
    message: str = ""
    request_id: str | None = None
    final: bool = True
    elapsed: float | None = None


class IntentLog(Protocol):
    """The log of one reconciler, and its memory over restarts.

    Everything told may have to be written to a disk, or over a network, before it returns. What cannot be written
    raises `LogFailed`, and the write that it announces is not sent.
    """

    def failed_direction(self, application_id: str) -> Direction | None:
        """Return the direction of the last deployment, while it has not ended well; None where nobody knows."""
        ...

    def retries(self, application_id: str) -> int:
        """Return how often it was retried, over all runs, since it was last where it should be."""
        ...

    async def intend(self, intents: Sequence[WriteIntent]) -> None:
        """Have intents on record, for good, before the write that they announce."""
        ...

    async def withdraw(self, intents: Sequence[WriteIntent], reason: str) -> None:
        """Take intents back: the write was not started."""
        ...

    async def staged(self, application_id: str, direction: Direction, request_id: str | None) -> None:
        """Record that the service took an Associate or Disassociate."""
        ...

    async def deployed(self, application_ids: Sequence[str], request_id: str | None, *, force: bool) -> None:
        """Record that the service took a Deploy."""
        ...

    async def changed(self, changes: Sequence[StateChange]) -> None:
        """Record that associations were read in another state than before."""
        ...

    async def succeeded(
        self,
        application_id: str,
        direction: Direction,
        record: AssociationRecord | None,
        elapsed: float | None,
    ) -> None:
        """Record that a change is made, as the service shows it."""
        ...

    async def failed(self, failure: Failure) -> None:
        """Record that a change failed."""
        ...

    async def skipped(self, application_id: str, reason: str, message: str) -> None:
        """Record that a change is left alone."""
        ...


@dataclass(slots=True)
class Tries:
    """The deployments that were announced for one application.

    Attributes:
        direction: That of the last one, while it has not ended well.
        retries: Retries since it was last in sync.
        attempts: Deployments over all runs.
        retried: How many of those were retries.
    """

    direction: Direction | None = None
    retries: int = 0
    attempts: int = 0
    retried: int = 0
    # The last intent was a retry, and nothing has been heard of it.
    _announced: bool = False
    # What the last intent replaced, until something else tells of the direction.
    _before: tuple[Direction | None, bool] | None = None

    def intend(self, direction: Direction, *, retry: bool) -> None:
        """Take in that a deployment was announced."""
        self._before = self.direction, self._announced
        self.direction, self._announced = direction, retry
        self.attempts += 1
        self._count_retry(retry)

    def withdraw(self) -> None:
        """Take back the last announcement: it was not sent."""
        self.attempts = max(0, self.attempts - 1)
        # One that the service refused is not counted any more.
        self._count_retry(-self._announced)
        self.direction, self._announced = self._before or (self.direction, False)
        self._before = None

    def refuse(self) -> None:
        """Take in that the service refused the last one and began nothing: as a retry it does not count."""
        self._count_retry(-self._announced)
        self._announced = False

    def begin(self, direction: Direction) -> None:
        """Take in that the association was seen on its way."""
        self.direction, self._before = direction, None

    def settle(self) -> None:
        """Take in that it came to rest."""
        self.direction, self.retries, self._before = None, 0, None

    def _count_retry(self, number: int) -> None:
        self.retries, self.retried = max(0, self.retries + number), max(0, self.retried + number)


READ_AGE: Final = 10.0
"""Seconds that the read of everything on a WorkSpace may lie back when a Deploy leaves."""

_PATIENCE: Final = 3
"""Times in a row that a read may be too old before the bound doubles, each time again.

Where calls wait for minutes, or a simulated clock runs faster than the network, no read would ever be recent enough.
"""

MOST_READ_AGE: Final = 600.0
"""Seconds that the bound doubles to at most: what was staged longer ago than that is never committed unread."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason to leave a WorkSpace alone for good.

    Attributes:
        reason: The reason: a `Reason`, or the word of a hook.
        message: The reason in words.
    """

    reason: str
    message: str


class Conditions(Protocol):
    """The conditions of a run under which it may write: its journal's fence, pauses, hours.

    Who is nobody's run inherits what is said here: there are none.
    """

    @property
    def stops(self) -> tuple[Signal, ...]:
        """The signals that come when nothing more starts."""
        return ()

    def stopped(self) -> Refusal | None:
        """Return why nothing more starts; None while something may. What has started goes on."""
        return None

    def holds(self, *, deploy: bool) -> bool:  # noqa: ARG002 - what a run depends on
        """Tell if a write may leave now; a Deploy needs more than Associate and Disassociate."""
        return True

    def is_admitted(self) -> bool:
        """Tell if the hours are open, the WorkSpace's user is away, and whoever is asked before a deployment has agreed."""
        return True

    def is_recent(self, longest_age: float) -> bool:  # noqa: ARG002
        """Tell if what they know of the WorkSpace's user was read so many seconds ago at most."""
        return True

    async def until_they_hold(self, *, deploy: bool) -> Refusal | None:  # noqa: ARG002
        """Wait until they hold again; a `Refusal` if they will not."""
        return None

    async def refusal(self, *, deploy: bool) -> Refusal | None:  # noqa: ARG002
        """Ask, before anything is staged and directly before a Deploy, what forbids it: a user who is connected.

        Where that only delays it, `is_admitted` and with it the conditions for a Deploy do not hold any more.
        """
        return None

    def deployed(self) -> None:
        """Note that a Deploy was taken."""


class Unconditional(Conditions):
    """The conditions of a call that is nobody's run: none."""

    def deployed(self) -> None:
        """Do nothing."""


class GuardClosed(Exception):
    """An attempt was not sent.

    Attributes:
        conditions_hold: Whether only the read of the WorkSpace is too old.
    """

    def __init__(self, *, conditions_hold: bool) -> None:
        super().__init__("the guard is closed")
        self.conditions_hold: bool = conditions_hold


class AttemptGuard:
    """Asked before each attempt of one write.

    Args:
        conditions: The conditions of the run.
        observed: The WorkSpace, as it was read; None for Associate and Disassociate, which need no recent read.
        clock: The time of reads.
        refusals: How often in a row the read was too old.
        starts: Whether the write would start something: then it is not sent either once nothing more starts.

    Attributes:
        passed: Whether an attempt was let through: the service may have got it.
        arrived: Whether an attempt before the last one may have arrived.
    """

    __slots__ = (
        "_clock",
        "_conditions",
        "_longest_age",
        "_observed",
        "_starts",
        "arrived",
        "passed",
    )

    def __init__(
        self,
        conditions: Conditions,
        observed: ObservedState | None,
        clock: Clock,
        refusals: int = 0,
        *,
        starts: bool = False,
    ) -> None:
        self.passed: bool = False
        self.arrived: bool = False
        self._starts = starts
        doublings = max(0, min(refusals - _PATIENCE, 10))
        self._longest_age = min(READ_AGE * 2.0**doublings, MOST_READ_AGE)
        self._conditions = conditions
        self._observed = observed
        self._clock = clock

    def may_have_arrived(self, error: WorkSpacesError) -> bool:
        """Tell if an attempt of the call that failed with `error` may have arrived."""
        # A client that was closed says nothing of the attempt that it broke off.
        broken_off = isinstance(error, ClientStateError) and self.passed
        return self.arrived or broken_off or may_have_arrived(error)

    def __call__(self, arrived: bool) -> None:
        """Let an attempt through.

        Args:
            arrived: Whether an earlier one may have arrived.

        Raises:
            GuardClosed: It must not be sent.
        """
        self.arrived = arrived
        stopped = self._conditions.stopped() if self._starts else None
        if stopped is not None or not self._conditions.holds(deploy=self._observed is not None):
            raise GuardClosed(conditions_hold=False)
        if self._observed is not None and not self.is_recent(self._observed):
            raise GuardClosed(conditions_hold=True)
        self.passed = True

    def is_recent(self, observed: ObservedState) -> bool:
        """Tell if everything on the WorkSpace was read a moment ago, and its user's connection where that matters."""
        # From its answer: a read may wait for its own turn longer than that.
        at = observed.answered_at
        return (
            at is not None
            and self._clock.monotonic() - at <= self._longest_age
            and self._conditions.is_recent(self._longest_age)
        )


STAGING: Final[Mapping[Direction, WriteOperation]] = {
    "install": "AssociateWorkspaceApplication",
    "uninstall": "DisassociateWorkspaceApplication",
}
"""The operation that stages a change in each direction."""

DEPLOYING: Final[WriteOperation] = "DeployWorkspaceApplications"

LAST_ANSWER: Final = 10.0
"""Seconds to wait, when a run is stopped, for the answer to a request that has left."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The service took a write.

    Attributes:
        shown: The associations that it is about, as the service then shows them; None for no association.
        request_id: The service's id of the answer.
    """

    shown: Mapping[str, AssociationRecord | None]
    request_id: str | None


async def stage(client: Operations, workspace_id: str, application_id: str, direction: Direction) -> Answer:
    """Send Associate or Disassociate.

    Raises:
        WorkSpacesError: The call failed.
    """
    if direction == "install":
        associated = await client.associate_workspace_application(
            workspace_id=workspace_id, application_id=application_id
        )
        return Answer(
            {application_id: AssociationRecord.of(associated.association)}, associated.meta.request_id
        )
    removed = await client.disassociate_workspace_application(
        workspace_id=workspace_id, application_id=application_id
    )
    row = removed.association
    shown = AssociationRecord.of(row) if row is not None else None
    return Answer({application_id: shown}, removed.meta.request_id)


async def deploy(client: Operations, workspace_id: str, *, force: bool) -> Answer:
    """Send Deploy.

    Raises:
        WorkSpacesError: The call failed.
    """
    done = await client.deploy_workspace_applications(
        workspace_id=workspace_id, force=True if force else None
    )
    rows = done.deployment.associations if done.deployment is not None else ()
    shown = {row.associated_resource_id: AssociationRecord.of(row) for row in rows}
    return Answer(shown, done.meta.request_id)


async def answered(
    call: Callable[[], Awaitable[Answer]],
    take_in: Callable[[Answer], Awaitable[None]],
    guard: AttemptGuard,
    clock: Clock,
) -> None:
    """Make a call and take its answer in, so that a cancellation does not come between the two.

    A cancellation before an attempt has left ends the call at once. After that the answer is waited for, some seconds
    at most, and taken in, before the cancellation goes on.
    """

    async def both() -> None:
        await take_in(await call())

    work = asyncio.ensure_future(both())
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        if guard.passed:
            try:
                async with timeout(clock, LAST_ANSWER):
                    await asyncio.wait((work,))
            except TimeoutError:
                pass
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        raise
