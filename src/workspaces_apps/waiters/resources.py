"""Waiting for WorkSpaces, images and directories: one resource each, described 25 at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from workspaces_apps.clock import to_seconds
from workspaces_apps.errors import ServiceError, ThrottlingException, WaiterError, WorkSpacesError
from workspaces_apps.waiters.acceptors import GONE, Verdict, Waiter, verdict_on
from workspaces_apps.waiters.policy import DEFAULT_POLL
from workspaces_apps.waiters.poller import Poller, Wait, too_late
from workspaces_apps.waiters.unknown import note_unknown

if TYPE_CHECKING:
    from workspaces_apps.api import Workspace, WorkspaceProperties
    from workspaces_apps.clock import Clock, Duration
    from workspaces_apps.open_enum import OpenEnum
    from workspaces_apps.waiters.policy import PollPolicy
    from workspaces_apps.waiters.share import RateShare

ResourceT = TypeVar("ResourceT")

_IDS: Final = 25
"""Ids that one Describe call takes. [doc]"""

_GONE_AFTER: Final = 60.0
"""Seconds for which a resource that was seen must be absent until it counts as gone, and not as mislaid."""


class Judge(ABC, Generic[ResourceT]):
    """Says what a look at a resource means."""

    def __init__(self, waiter: Waiter, kind: str) -> None:
        """For a waiter.

        Args:
            waiter: Whose rows of the table.
            kind: What the resource is, for the log.
        """
        self._waiter: Waiter = waiter
        self._kind = kind
        self._seen = False
        self._missed: float | None = None

    @abstractmethod
    def judge(self, resource: ResourceT | None, now: float) -> Verdict:
        """What a look means.

        Args:
            resource: What was seen; None if it is absent.
            now: When, in seconds of the clock's `monotonic`.
        """

    def _there(self, state: OpenEnum | None) -> Verdict:
        """What a state means, by the table."""
        note_unknown(self._kind, state)
        self._seen, self._missed = True, None
        return Verdict.WAIT if state is None else verdict_on(self._waiter, state)

    def _absent(self, now: float) -> Verdict:
        """What it means, by the table, that there is no such resource, or none any more."""
        if self._missed is None:
            self._missed = now
        gone = self._seen and now - self._missed >= _GONE_AFTER
        return verdict_on(self._waiter, GONE if gone else None)


class StateJudge(Judge[ResourceT]):
    """Goes by the resource's state and the acceptor table."""

    def __init__(
        self, waiter: Waiter, state: Callable[[ResourceT], OpenEnum | None], kind: str = "WorkSpace"
    ) -> None:
        """For a waiter.

        Args:
            waiter: Whose rows of the table.
            state: Reads the state of a resource.
            kind: What the resource is, for the log.
        """
        super().__init__(waiter, kind)
        self._state = state

    def judge(self, resource: ResourceT | None, now: float) -> Verdict:
        """The table's verdict."""
        return self._absent(now) if resource is None else self._there(self._state(resource))


class ModifiedJudge(Judge["Workspace"]):
    """Goes by ModificationStates, and by the properties once they can be read back.

    A change of the running mode has no entry in ModificationStates, so only reading it back tells. [field] An entry
    in UPDATE_FAILED may be left over from a change before this one. [assumed]
    """

    def __init__(self, properties: WorkspaceProperties | None, began: float, grace: float) -> None:
        """For a change of properties.

        Args:
            properties: What must be read back; None to go by ModificationStates alone.
            began: When the wait began.
            grace: For how many seconds an entry need not show yet, where nothing is read back, and a failure
                that was there at the first look may be an old one.
        """
        super().__init__("modified", "WorkSpace")
        self._properties = properties
        self._quiet_until = began + grace
        self._entered = False
        self._old: frozenset[str | None] | None = None

    def judge(self, resource: Workspace | None, now: float) -> Verdict:
        """Failed, under way, or done."""
        if resource is None:
            return self._absent(now)
        if self._there(resource.state) is Verdict.FAILURE:
            return Verdict.FAILURE
        failed: set[str | None] = set()
        moving = False
        for entry in resource.modification_states:
            note_unknown("modification", entry.state)
            if entry.state is not None and verdict_on("modification", entry.state) is Verdict.FAILURE:
                failed.add(entry.resource)
            else:
                moving = True
        self._old = frozenset(failed if self._old is None else self._old & failed)
        self._entered = self._entered or moving
        if failed - self._old:
            return Verdict.FAILURE
        if moving:
            return Verdict.WAIT
        if self._properties is not None and _reads_back(self._properties, resource):
            return Verdict.SUCCESS
        if failed and not self._entered and now >= self._quiet_until:
            return Verdict.FAILURE
        if self._properties is not None:
            return Verdict.WAIT
        return Verdict.SUCCESS if self._entered or now >= self._quiet_until else Verdict.WAIT


def _reads_back(wanted: WorkspaceProperties, workspace: Workspace) -> bool:
    found = workspace.workspace_properties
    return found is not None and all(
        getattr(found, name) == getattr(wanted, name) for name in wanted.model_fields_set
    )


class ResourceWait(Wait["ResourceT | None"], Generic[ResourceT]):
    """A wait for one resource."""

    __slots__ = ("_goal", "_judge", "_seen", "_timeout")

    def __init__(
        self,
        resource_id: str,
        *,
        goal: str,
        judge: Judge[ResourceT],
        policy: PollPolicy,
        began: float,
        timeout: float,
    ) -> None:
        """A wait that begins now.

        Args:
            resource_id: The resource.
            goal: What is waited for, for messages.
            judge: Says what a look means.
            policy: How often to look.
            began: The moment.
            timeout: Seconds until it ends without success.
        """
        super().__init__(resource_id, policy=policy, began=began, timeout=timeout)
        self._goal = goal
        self._judge = judge
        self._seen: ResourceT | None = None
        self._timeout = timeout

    def last(self) -> Mapping[str, object]:
        """The resource as it was seen last, by its id."""
        return {self.resource_id: self._seen}

    def late(self) -> WorkSpacesError:
        """The error for too late."""
        return too_late(f"{self.resource_id} was not {self._goal} ({_words(self._seen)})", self._timeout)

    def saw(self, resource: ResourceT | None, at: float, now: float, chance: float) -> None:
        """Take in a look."""
        changed = resource != self._seen
        self._seen = resource
        self.looked(at, now, changed=changed, chance=chance)
        verdict = self._judge.judge(resource, now)
        if verdict is Verdict.SUCCESS:
            self.succeed(resource)
        elif verdict is Verdict.FAILURE:
            self.fail(
                WaiterError(f"{self.resource_id} cannot become {self._goal} any more: {_words(resource)}"),
                now,
            )


def _words(resource: object) -> str:
    if resource is None:
        return "it is absent"
    parts = [f"it is {getattr(resource, 'state', None)}"]
    parts += [
        f"{entry.resource} {entry.state}" for entry in getattr(resource, "modification_states", ()) or ()
    ]
    parts += [
        str(text) for name in ("error_code", "error_message") if (text := getattr(resource, name, None))
    ]
    return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[ResourceT]):
    """A kind of resource that can be waited for.

    Attributes:
        operation: The operation that describes it.
        describe: Describes up to 25 by id; what is absent is missing in the answer.
    """

    operation: str
    describe: Callable[[list[str]], Awaitable[dict[str, ResourceT]]]


class ResourcePoller(Poller["ResourceWait[ResourceT]"], Generic[ResourceT]):
    """Looks for all resources of one kind that a client waits for."""

    def __init__(
        self, kind: Kind[ResourceT], share: RateShare, clock: Clock, random: Callable[[], float]
    ) -> None:
        """A poller for which nobody waits.

        Args:
            kind: How to look.
            share: When it may call.
            clock: Where time comes from.
            random: A number in [0, 1), for jitter.
        """
        super().__init__(clock, random)
        self._kind = kind
        self._share = share

    async def look(self, due: list[ResourceWait[ResourceT]], at: float, chance: float) -> None:
        """One round."""
        waits: dict[str, list[ResourceWait[ResourceT]]] = {}
        for wait in due:
            waits.setdefault(wait.resource_id, []).append(wait)
        ids = list(waits)
        for start in range(0, len(ids), _IDS):
            await self._describe(ids[start : start + _IDS], waits, at, chance)

    async def _describe(
        self, ids: list[str], waits: dict[str, list[ResourceWait[ResourceT]]], at: float, chance: float
    ) -> None:
        try:
            await self._share.turn(self._kind.operation)
            found = await self._kind.describe(ids)
        except ServiceError as error:
            if len(ids) == 1 or isinstance(error, ThrottlingException):
                self._fail(ids, waits, error)
                return
            # One bad id must not end the waits for the others.
            for one in ids:
                await self._describe([one], waits, at, chance)
            return
        except WorkSpacesError as error:
            self._fail(ids, waits, error)
            return
        now = self.clock.monotonic()
        for one in ids:
            for wait in waits[one]:
                if not wait.ended:
                    wait.saw(found.get(one), at, now, chance)

    def _fail(
        self, ids: list[str], waits: dict[str, list[ResourceWait[ResourceT]]], error: WorkSpacesError
    ) -> None:
        now = self.clock.monotonic()
        for one in ids:
            for wait in waits[one]:
                wait.fail_as_well(error, now)


async def wait_for(
    poller: ResourcePoller[ResourceT],
    judge: Judge[ResourceT],
    goal: str,
    resource_id: str,
    timeout: Duration,
    poll: PollPolicy | None,
) -> ResourceT | None:
    """Wait for one resource.

    Args:
        poller: Who looks.
        judge: Says what a look means.
        goal: What is waited for, for messages.
        resource_id: The resource.
        timeout: How long to wait.
        poll: How often to look.

    Returns:
        The resource as it was seen last; None if it is absent.
    """
    wait = ResourceWait(
        resource_id,
        goal=goal,
        judge=judge,
        policy=poll if poll is not None else DEFAULT_POLL,
        began=poller.clock.monotonic(),
        timeout=to_seconds(timeout, "timeout"),
    )
    poller.join(wait)
    try:
        return await wait.future
    finally:
        poller.leave(wait)
