"""Waits for WorkSpaces, images and directories: what a read means, and one loop over a subscription."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from workspaces_apps._associations.acceptors import GONE, Verdict, Waiter, verdict_on
from workspaces_apps._base.clock import to_seconds
from workspaces_apps._observe.schedule import TOLERATED_POLLS
from workspaces_apps._observe.timers import TINY
from workspaces_apps._telemetry.port import span
from workspaces_apps._waiters.policy import LAST_READ, schedule_of
from workspaces_apps._waiters.unknown import note_unknown
from workspaces_apps.errors import WaiterError, WaiterTimeoutError, WorkSpacesError

if TYPE_CHECKING:
    from workspaces_apps._base.clock import Duration
    from workspaces_apps._model.values import OpenEnum
    from workspaces_apps._observe.audience import PollAudience
    from workspaces_apps._observe.resources import ResourceObserver
    from workspaces_apps._telemetry.port import Telemetry
    from workspaces_apps._waiters.policy import PollPolicy
    from workspaces_apps.api import Workspace, WorkspaceProperties

ResourceT = TypeVar("ResourceT")
ErrorT = TypeVar("ErrorT", bound=WorkSpacesError)

_GONE_AFTER: Final = 60.0
"""Seconds for which a resource that was seen must be absent until it counts as gone, and not as mislaid."""


class Judge(ABC, Generic[ResourceT]):
    """Says what a look at a resource means.

    Attributes:
        waiter: Whose rows of the table it goes by.
    """

    def __init__(self, waiter: Waiter, kind: str) -> None:
        """For a waiter.

        Args:
            waiter: Whose rows of the table.
            kind: What the resource is, for the log.
        """
        self.waiter: Waiter = waiter
        self._kind = kind
        self._seen = False
        self._missed: float | None = None

    @abstractmethod
    def judge(self, resource: ResourceT | None, now: float) -> Verdict:
        """Return the meaning of a read.

        Args:
            resource: What was seen; None if it is absent.
            now: When, in seconds of the clock's `monotonic`.
        """

    def _there(self, state: OpenEnum | None) -> Verdict:
        """Return the meaning of a state, by the table."""
        note_unknown(self._kind, state)
        self._seen, self._missed = True, None
        return Verdict.WAIT if state is None else verdict_on(self.waiter, state)

    def _absent(self, now: float) -> Verdict:
        """Return the meaning, by the table, of a resource that does not exist, or not any more."""
        if self._missed is None:
            self._missed = now
        gone = self._seen and now - self._missed >= _GONE_AFTER
        return verdict_on(self.waiter, GONE if gone else None)


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


async def wait_for(
    observer: ResourceObserver[ResourceT],
    judge: Judge[ResourceT],
    goal: str,
    resource_id: str,
    *,
    timeout: Duration,
    poll: PollPolicy | None,
    audience: PollAudience | None = None,
    telemetry: Telemetry | None = None,
) -> ResourceT | None:
    """Wait for one resource.

    Args:
        observer: The observer of its kind.
        judge: Says what a read means.
        goal: What is waited for, for messages.
        resource_id: The resource.
        timeout: How long to wait.
        poll: How often to poll.
        audience: The object that hears of the polls.
        telemetry: Gets the span of the wait; None for none.

    Returns:
        The resource as it was read last; None if it is absent.
    """
    name = "workspaces_apps.wait_until_" + judge.waiter.replace(" ", "_")
    with span(telemetry, name, {"workspaces_apps.resource_id": resource_id}):
        return await _wait_for(observer, judge, goal, resource_id, timeout, poll, audience)


async def _wait_for(
    observer: ResourceObserver[ResourceT],
    judge: Judge[ResourceT],
    goal: str,
    resource_id: str,
    timeout: Duration,
    poll: PollPolicy | None,
    audience: PollAudience | None,
) -> ResourceT | None:
    clock = observer.clock
    began, seconds = clock.monotonic(), to_seconds(timeout, "timeout")
    deadline = began + seconds
    seen: ResourceT | None = None
    feed = observer.subscribe(
        resource_id, schedule_of(poll), tolerate_failures=TOLERATED_POLLS, audience=audience
    )

    def told(error: ErrorT) -> ErrorT:
        error.last = {resource_id: seen}
        if isinstance(error, WaiterError):
            error.elapsed = timedelta(seconds=clock.monotonic() - began)
            error.polls, error.resource_id = feed.polls, resource_id
        return error

    with feed:
        feed.call_at(deadline, feed.hurry)
        try:
            while (reading := await feed.next(deadline + LAST_READ)) is not None:
                seen = reading.resource
                verdict = judge.judge(seen, clock.monotonic())
                if verdict is Verdict.SUCCESS:
                    return seen
                if verdict is Verdict.FAILURE:
                    raise told(WaiterError(f"{resource_id} cannot become {goal} any more: {_words(seen)}"))
                if reading.at >= deadline - TINY:
                    break
        except WorkSpacesError as error:
            raise told(error) from error.__cause__
    raise told(WaiterTimeoutError(f"{resource_id} was not {goal} ({_words(seen)}) within {seconds:g} s"))


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
