"""Waits for WorkSpaces, images and directories: acceptor tables, observers, and one loop over a subscription."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeAlias, TypeVar

from workspaces_apps._associations import Mark
from workspaces_apps._associations.states import TERMINATED, WORKSPACES
from workspaces_apps._base.clock import sleep_or, to_seconds
from workspaces_apps._observe.observer import AssociationObserver
from workspaces_apps._observe.reads import is_spoilt, portions
from workspaces_apps._observe.schedule import TINY, TOLERATED_POLLS
from workspaces_apps._observe.subscription import Feed, FeedSource, polled
from workspaces_apps._reconcile.writes import DEPLOYING_AT_ONCE
from workspaces_apps._telemetry.port import span
from workspaces_apps._waiters.deployment import ErrorT, described, note_unknown
from workspaces_apps._waiters.methods import LAST_READ, schedule_of
from workspaces_apps.errors import (
    ClientStateError,
    ServiceError,
    WaiterError,
    WaiterTimeoutError,
    WorkSpacesError,
)

if TYPE_CHECKING:
    from workspaces_apps._base.clock import Duration
    from workspaces_apps._model.validation import OpenEnum
    from workspaces_apps._observe.schedule import Schedule, Timer
    from workspaces_apps._observe.subscription import PollAudience, Polling
    from workspaces_apps._telemetry.port import Telemetry
    from workspaces_apps._waiters.methods import PollPolicy
    from workspaces_apps.api import Workspace, WorkspaceDirectory, WorkspaceImage, WorkspaceProperties
    from workspaces_apps.api.operations import Operations


ResourceT = TypeVar("ResourceT")
NewsT = TypeVar("NewsT")


@dataclass(frozen=True, slots=True)
class Reading(Generic[ResourceT]):
    """A resource as it was read.

    Attributes:
        resource: The resource; None for absent.
        at: When the read began, in seconds of the clock's `monotonic`.
    """

    resource: ResourceT | None
    at: float


class ResourceObserver(FeedSource[Reading[ResourceT]], Generic[ResourceT]):
    """Polls all resources of one kind that somebody waits for, 25 a call."""

    def __init__(
        self,
        operation: str,
        describe: Callable[[Operations, list[str]], Awaitable[dict[str, ResourceT]]],
        polling: Polling,
    ) -> None:
        """Make an observer that nobody subscribes to.

        Args:
            operation: The operation that describes them.
            describe: Describes up to 25 by id; what is absent is missing in the answer.
            polling: What polls are made with.
        """
        super().__init__(polling)
        self._operation = operation
        self._describe = describe
        self._feeds: dict[str, list[Feed[Reading[ResourceT]]]] = {}
        self._last: dict[str, ResourceT | None] = {}
        self._time_changed: asyncio.Event = asyncio.Event()

    def subscribe(
        self,
        resource_id: str,
        schedule: Schedule,
        *,
        tolerate_failures: int = 0,
        audience: PollAudience | None = None,
    ) -> Feed[Reading[ResourceT]]:
        """Subscribe to a resource, which is read at once.

        Args:
            resource_id: The resource.
            schedule: How often to poll: its delays only.
            tolerate_failures: Polls in a row that may fail before that is raised.
            audience: An object that hears of the attempts which serve this subscription.

        Raises:
            ClientStateError: The client is closed, or somebody subscribes on another event loop.
        """
        self._admit()
        feed = Feed(self, resource_id, schedule, tolerate_failures=tolerate_failures, audience=audience)
        self._feeds.setdefault(resource_id, []).append(feed)
        if not self._tasks:
            self._time_changed = asyncio.Event()
            self._run(self._poll, self._watch_time)
        self.wake()
        return feed

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Have something called at a moment of the clock's `monotonic`, if anybody still subscribes then."""
        self._time_changed.set()
        return self._timers.at(when, callback)

    def wake(self) -> None:
        """Work out anew what is due."""
        self._changed.set()

    def leave(self, feed: Feed[Reading[ResourceT]]) -> None:
        """Forget a subscription; the last one out ends the task."""
        feeds = self._feeds.get(feed.resource_id, [])
        if feed in feeds:
            feeds.remove(feed)
        if not feeds:
            self._feeds.pop(feed.resource_id, None)
            self._last.pop(feed.resource_id, None)
        if not self._feeds:
            self._stop()

    async def _watch_time(self) -> None:
        """Make the calls whose moment has come, whatever a poll does meanwhile."""
        while True:
            now = self.clock.monotonic()
            self._timers.run(now)
            await sleep_or(self.clock, self._timers.soonest - now, self._time_changed)
            self._time_changed.clear()

    async def _poll(self) -> None:
        while True:
            now = self.clock.monotonic()
            due = {one.resource_id: None for one in self._each() if one.at_once or _due(one) <= now + TINY}
            if not due:
                soonest = min(map(_due, self._each()), default=math.inf)
                await sleep_or(self.clock, soonest - now, self._changed)
                self._changed.clear()
                continue
            along = (one for one in self._each() if _due(one) <= now + TINY + one.schedule.along * one.delay)
            due.update((one.resource_id, None) for one in along)
            for one in self._each():
                if one.resource_id in due:
                    one.at_once = False
            chance = self._polling.random()
            for ids in portions(list(due)):
                await self._read(list(ids), now, chance)

    async def _read(self, ids: list[str], round_at: float, chance: float) -> None:
        await self.turn(self._operation)
        at = self.clock.monotonic()
        client = self.view_for(lambda: self._feeds_of(ids))
        try:
            with polled(self._operation, len(ids), self._feeds_of(ids), self.clock):
                found = await self._describe(client, ids)
        except ServiceError as error:
            if len(ids) == 1 or not is_spoilt(error):
                self._failed(ids, error)
                return
            # One bad id must not end the waits for the others.
            for one in ids:
                await self._read([one], round_at, chance)
            return
        except WorkSpacesError as error:
            self._failed(ids, error)
            return
        now = self.clock.monotonic()
        for one in ids:
            if one not in self._feeds:
                continue
            resource = found.get(one)
            changed = one not in self._last or resource != self._last[one]
            self._last[one] = resource
            for feed in list(self._feeds[one]):
                feed.plan_optional(round_at, now, changed=changed, chance=chance)
                feed.deliver(Reading(resource, at))

    def _failed(self, ids: list[str], error: WorkSpacesError) -> None:
        now = self.clock.monotonic()
        for feed in self._feeds_of(ids):
            feed.poll_failed(error, now)

    def _feeds_of(self, ids: list[str]) -> list[Feed[Reading[ResourceT]]]:
        return [feed for one in ids for feed in self._feeds.get(one, ())]

    def _each(self) -> Iterator[Feed[Reading[ResourceT]]]:
        for feeds in self._feeds.values():
            yield from feeds


def _due(feed: Feed[NewsT]) -> float:
    return -math.inf if feed.at_once else feed.optional


ABSENT: Final = "ABSENT"
"""Stands for a resource that the service does not list."""

GONE: Final = "GONE"
"""Stands for a resource that was seen, and that the service has not listed for a minute since."""


class Verdict(Enum):
    """The meaning of a read to a waiter."""

    WAIT = auto()
    SUCCESS = auto()
    FAILURE = auto()


Waiter: TypeAlias = Literal[
    "available",
    "stopped",
    "terminated",
    "modified",
    "modification",
    "image available",
    "directory registered",
    "directory deregistered",
]


@dataclass(frozen=True, slots=True)
class Acceptor:
    """One row: the meaning of a state to a waiter.

    Attributes:
        waiter: The waiter that it is for.
        state: The state, or ABSENT.
        verdict: Its meaning.
        mark: The source.
        why: The fact, in a sentence.
    """

    waiter: Waiter
    state: str
    verdict: Verdict
    mark: Mark
    why: str


_OK, _NO, _WAIT = Verdict.SUCCESS, Verdict.FAILURE, Verdict.WAIT

_GONE_SINCE = "What was there and stays absent has been terminated."
_NOT_YET = "An id just returned by CreateWorkspaces may be absent for a while."
_SAME_AS_BEFORE = "Right after the call nothing may have changed yet."


def _of_workspaces(waiter: Waiter, goal: str | None) -> Iterator[Acceptor]:
    """Derive the rows of a waiter that a WorkSpace's termination or failure ends, and its goal if that is a state."""
    for row in WORKSPACES:
        if row.state is not None:
            verdict = _NO if row.failed or row.state in TERMINATED else _WAIT
            yield Acceptor(waiter, row.state, _OK if row.state == goal else verdict, row.mark, row.why)
    # Absence is what the table of states cannot tell: not yet, or not any more.
    yield Acceptor(waiter, ABSENT, _WAIT, "doc", _NOT_YET)
    yield Acceptor(waiter, GONE, _NO, "assumed", _GONE_SINCE)


ACCEPTORS: Final = (
    *_of_workspaces("available", "AVAILABLE"),
    *_of_workspaces("stopped", "STOPPED"),
    # A change of properties does not show in the state; ModificationStates decides. [field]
    *_of_workspaces("modified", None),
    Acceptor("terminated", "TERMINATED", _OK, "doc", "It is gone."),
    Acceptor("terminated", ABSENT, _OK, "doc", "A terminated WorkSpace is absent."),
    Acceptor("modification", "UPDATE_INITIATED", _WAIT, "doc", "The change is under way."),
    Acceptor("modification", "UPDATE_IN_PROGRESS", _WAIT, "doc", "The change is under way."),
    Acceptor("modification", "UPDATE_FAILED", _NO, "doc", "The change failed."),
    Acceptor("image available", "AVAILABLE", _OK, "doc", "It can be used."),
    Acceptor("image available", "PENDING", _WAIT, "doc", "It is being made."),
    Acceptor("image available", "ERROR", _NO, "doc", "It could not be made."),
    Acceptor("image available", ABSENT, _WAIT, "assumed", "A new image may be absent for a while."),
    Acceptor("image available", GONE, _NO, "assumed", "What was there and stays absent has been deleted."),
    Acceptor("directory registered", "REGISTERED", _OK, "doc", "It can be used."),
    Acceptor("directory registered", "REGISTERING", _WAIT, "doc", "The registration is under way."),
    Acceptor("directory registered", "DEREGISTERED", _WAIT, "assumed", _SAME_AS_BEFORE),
    Acceptor("directory registered", "ERROR", _NO, "doc", "It could not be registered."),
    Acceptor("directory registered", ABSENT, _WAIT, "assumed", _SAME_AS_BEFORE),
    Acceptor("directory deregistered", "DEREGISTERED", _OK, "doc", "It is not registered any more."),
    Acceptor("directory deregistered", "DEREGISTERING", _WAIT, "doc", "The deregistration is under way."),
    Acceptor("directory deregistered", "REGISTERED", _WAIT, "assumed", _SAME_AS_BEFORE),
    Acceptor("directory deregistered", "ERROR", _NO, "doc", "It could not be deregistered."),
    Acceptor("directory deregistered", ABSENT, _OK, "assumed", "What is not listed is not registered."),
)
"""Every row; a state without one means: keep waiting."""

_ACCEPTORS: Final = {(row.waiter, row.state): row.verdict for row in ACCEPTORS}


def verdict_on(waiter: Waiter, state: str | None) -> Verdict:
    """Return the meaning of a state to a waiter; None is absence, and so is GONE where the waiter has no row for it."""
    if state is None or (state == GONE and (waiter, GONE) not in _ACCEPTORS):
        state = ABSENT
    return _ACCEPTORS.get((waiter, state), Verdict.WAIT)


class Hub:
    """The observers of a client and its views.

    Polls are shared, so they go with the client's own options, whichever view asked for the wait; the hooks of every
    view that they serve hear of them.

    Attributes:
        clock: The client's clock.
        deploy_gate: How many WorkSpaces may be between the last read and Deploy.
        observer: Observes associations and the states of WorkSpaces.
        workspaces: Observes WorkSpaces with all their properties.
        images: Observes images.
        directories: Observes directories.
    """

    def __init__(self, client: Operations, polling: Polling) -> None:
        """Make observers that nobody subscribes to.

        Args:
            client: The client's own view.
            polling: What polls are made with.
        """
        self.clock = polling.clock
        self.deploy_gate: asyncio.Semaphore = asyncio.Semaphore(DEPLOYING_AT_ONCE)
        self.observer: AssociationObserver = AssociationObserver(client, polling)

        async def workspaces(view: Operations, ids: list[str]) -> dict[str, Workspace]:
            return {one.workspace_id: one async for one in view.describe_workspaces(workspace_ids=ids)}

        async def images(view: Operations, ids: list[str]) -> dict[str, WorkspaceImage]:
            return {one.image_id: one async for one in view.describe_workspace_images(image_ids=ids)}

        async def directories(view: Operations, ids: list[str]) -> dict[str, WorkspaceDirectory]:
            listing = view.describe_workspace_directories(directory_ids=ids)
            return {one.directory_id: one async for one in listing}

        self.workspaces: ResourceObserver[Workspace] = ResourceObserver(
            "DescribeWorkspaces", workspaces, polling
        )
        self.images: ResourceObserver[WorkspaceImage] = ResourceObserver(
            "DescribeWorkspaceImages", images, polling
        )
        self.directories: ResourceObserver[WorkspaceDirectory] = ResourceObserver(
            "DescribeWorkspaceDirectories", directories, polling
        )

    async def close(self) -> None:
        """End every wait with a ClientStateError, and every task."""
        error = ClientStateError("the client was closed while this wait was under way")
        observers = (self.observer, self.workspaces, self.images, self.directories)
        await asyncio.gather(*(one.close(error) for one in observers))


_GONE_AFTER: Final = 60.0
"""Seconds for which a resource that was seen must be absent until it counts as gone, and not as mislaid."""


class Judge(ABC, Generic[ResourceT]):
    """The meaning of what is read of a resource.

    Attributes:
        waiter: Whose rows of the table it goes by.
    """

    def __init__(self, waiter: Waiter, kind: str) -> None:
        """Judge for a waiter.

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
    """Judges by the resource's state and the acceptor table."""

    def __init__(
        self, waiter: Waiter, state: Callable[[ResourceT], OpenEnum | None], kind: str = "WorkSpace"
    ) -> None:
        """Judge for a waiter.

        Args:
            waiter: Whose rows of the table.
            state: Reads the state of a resource.
            kind: What the resource is, for the log.
        """
        super().__init__(waiter, kind)
        self._state = state

    def judge(self, resource: ResourceT | None, now: float) -> Verdict:
        """Return the table's verdict."""
        return self._absent(now) if resource is None else self._there(self._state(resource))


class ModifiedJudge(Judge["Workspace"]):
    """Goes by ModificationStates, and by the properties once they can be read back.

    A change of the running mode has no entry in ModificationStates, so only reading it back tells. [field] An entry
    in UPDATE_FAILED may be left over from a change before this one. [assumed]
    """

    def __init__(self, properties: WorkspaceProperties | None, began: float, grace: float) -> None:
        """Judge a change of properties.

        Args:
            properties: What must be read back; None, or none set, to go by ModificationStates alone.
            began: When the wait began.
            grace: For how many seconds an entry need not show yet, where nothing is read back, and a failure
                that was there at the first poll may be an old one.
        """
        super().__init__("modified", "WorkSpace")
        self._properties = properties if properties is not None and properties.model_fields_set else None
        self._quiet_until = began + grace
        self._entered = False
        self._old: frozenset[str | None] | None = None

    def judge(self, resource: Workspace | None, now: float) -> Verdict:
        """Tell if the change has failed, is under way, or done."""
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
    clock = observer.clock
    began, seconds = clock.monotonic(), to_seconds(timeout, "timeout")
    deadline = began + seconds
    seen: dict[str, ResourceT | None] = {}
    name = "workspaces_apps.wait_until_" + judge.waiter.replace(" ", "_")
    with (
        span(telemetry, name, {"workspaces_apps.resource_id": resource_id}),
        observer.subscribe(
            resource_id, schedule_of(poll), tolerate_failures=TOLERATED_POLLS, audience=audience
        ) as feed,
    ):

        def told(error: ErrorT) -> ErrorT:
            elapsed = clock.monotonic() - began
            return described(error, resource_id, last=seen, elapsed=elapsed, polls=feed.polls)

        last_poll = feed.call_at(deadline, feed.hurry)
        try:
            while (reading := await feed.next(deadline + LAST_READ)) is not None:
                seen[resource_id] = resource = reading.resource
                verdict = judge.judge(resource, clock.monotonic())
                if verdict is Verdict.SUCCESS:
                    return resource
                if verdict is Verdict.FAILURE:
                    words = _words(resource)
                    raise told(WaiterError(f"{resource_id} cannot become {goal} any more: {words}"))
                if reading.at >= deadline - TINY:
                    break
        except WorkSpacesError as error:
            raise told(error) from error.__cause__
        finally:
            last_poll.cancel()
        words = _words(seen[resource_id]) if seen else "it was never read"
        late = WaiterTimeoutError(f"{resource_id} was not {goal} ({words}) within {seconds:g} s")
        raise told(late) from feed.trouble


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
