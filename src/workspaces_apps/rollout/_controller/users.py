"""Users of WorkSpaces that are about to be deployed: notices to them, and polls of who is connected.

A call of the hook `before_deploy` is recorded before it is made, and bounded in time and number. The connection polls of a
target are shared by all WorkSpaces whose users are waited for: 25 a call.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from workspaces_apps._base.clock import Clock, sleep_or, start_detached, timeout
from workspaces_apps._base.logs import field_logger
from workspaces_apps._base.public import Datetime, public
from workspaces_apps._observe.subscription import polled
from workspaces_apps.errors import ConfigurationError, WorkSpacesError
from workspaces_apps.rollout._log.events import Direction, Noticed
from workspaces_apps.rollout._plan.reading import PAGE, STOPPED, ConnectionReading, Presence, read_connections

if TYPE_CHECKING:
    from workspaces_apps._client.client import WorkSpacesClient
    from workspaces_apps.rollout._log.event_log import EventLog
    from workspaces_apps.rollout._plan.plan import Plan, PlannedWorkspace


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True, kw_only=True)
class DeployNotice:
    """A deployment that is about to begin, and that will end the session of its user."""

    target: str
    """The name of the manifest's target."""
    workspace_id: str
    """The WorkSpace."""
    user_name: str | None
    """Its user; None where the service does not say."""
    directions: Mapping[str, Direction]
    """The direction of each application, by its id."""
    application_names: Mapping[str, str]
    """The name of each of them in the catalogue, by its id; the id where it has no name."""
    planned_at: Datetime
    """The earliest time at which Deploy will be sent; in UTC."""
    attempt: int
    """The number of times the hook was called for this deployment, this time included, over all runs on the journal."""
    run: str
    """The run."""


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True)
class Proceed:
    """The deployment may begin as planned.

    Examples:
        >>> from workspaces_apps.rollout import DeployNotice, Proceed
        >>> async def before_deploy(notice: DeployNotice) -> Proceed:
        ...     print(f"{notice.user_name}: {', '.join(notice.application_names)} from {notice.planned_at:%H:%M}")
        ...     return Proceed()
    """


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True)
class Postpone:
    """The deployment must not begin before a moment; then the hook is called again.

    Examples:
        >>> from datetime import timedelta
        >>> from workspaces_apps.rollout import DeployNotice, Postpone
        >>> async def before_deploy(notice: DeployNotice) -> Postpone:
        ...     return Postpone(notice.planned_at + timedelta(hours=1))
    """

    until: Datetime
    """That moment, with a time zone; a minute from now where it has passed, and at most when the policy's `connected_timeout` is up."""

    def __post_init__(self) -> None:
        """Refuse a time without a zone.

        Raises:
            ConfigurationError: It has none.
        """
        if self.until.tzinfo is None:
            raise ConfigurationError("Postpone(until=...) takes a time with a time zone")


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True)
class Skip:
    """The WorkSpace is left alone in this run.

    Examples:
        >>> from workspaces_apps.rollout import DeployNotice, Proceed, Skip
        >>> async def before_deploy(notice: DeployNotice) -> Proceed | Skip:
        ...     return Skip("executive") if notice.user_name == "ceo" else Proceed()
    """

    reason: str
    """The reason, in a word or a sentence; it becomes the reason of the `Skipped` event."""


NoticeAnswer: TypeAlias = Proceed | Postpone | Skip
"""The answer of a hook."""

BeforeDeploy: TypeAlias = Callable[[DeployNotice], Awaitable[NoticeAnswer]]
"""A hook that is called before each deployment of an apply.

    async def tell_the_user(notice: DeployNotice) -> NoticeAnswer:
        await send_mail(notice.user_name, f"Your desktop will restart at {notice.planned_at:%H:%M} UTC.")
        return Proceed()
"""

_AT_ONCE: Final = 16
"""Calls of the hook that go on at the same time: each may be a process."""

_log = field_logger("workspaces_apps.rollout")


class HookFailed(Exception):
    """The hook gave no answer that counts; the text says why."""


class NoticeSchedule:
    """The planned times of deployments: as many at once as there are permits, then as those can be expected to come back.

    A notice of a time at which no permit comes would be of no use to anybody, and would have to be given again.

    Args:
        permits: WorkSpaces that may be changed at the same time.
        deployment: Returns the seconds that a deployment is expected to take.
    """

    def __init__(self, permits: int, deployment: Callable[[], float]) -> None:
        self._permits = permits
        self._deployment = deployment
        # The last planned times, one for each permit at most.
        self._planned: deque[datetime] = deque()
        self._turns: deque[asyncio.Future[None]] = deque()

    @contextmanager
    def turn(self) -> Generator[asyncio.Future[None]]:
        """Queue for the next planned time: the future is done when the turn has come; leaving the block ends it."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            self._call_first()
            yield turn
        finally:
            self._turns.remove(turn)
            self._call_first()

    def _call_first(self) -> None:
        if self._turns and not self._turns[0].done():
            self._turns[0].set_result(None)

    def earliest(self, moment: datetime) -> datetime:
        """Return when, from that moment on, the next permit can be expected."""
        if len(self._planned) < self._permits:
            return moment
        return max(moment, self._planned[0] + timedelta(seconds=self._deployment()))

    def plan(self, moment: datetime) -> None:
        """Note that a deployment is planned for that moment."""
        if len(self._planned) == self._permits:
            self._planned.popleft()
        self._planned.append(moment)

    def cancel(self, moment: datetime) -> None:
        """Note that one that was planned for that moment does not come."""
        if moment in self._planned:
            self._planned.remove(moment)


class Notifier:
    """Calls the hook of one apply.

    Args:
        hook: The hook.
        hook_timeout: Seconds that a call may take.
        plan: Whose names it tells.
        clock: The time of the limit.
        log: Where each call is recorded before it is made.

    Attributes:
        schedules: The planned times of WorkSpaces, by their hours: None for those without.
    """

    def __init__(
        self, hook: BeforeDeploy, hook_timeout: float, plan: Plan, clock: Clock, log: EventLog
    ) -> None:
        self._hook = hook
        self._timeout = hook_timeout
        self._plan = plan
        self._clock = clock
        self._log = log
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self.schedules: defaultdict[int | None, NoticeSchedule] = defaultdict(
            lambda: NoticeSchedule(plan.policy.max_in_flight, self._expected_deployment)
        )

    def _expected_deployment(self) -> float:
        return self._log.summary.mean_deployment or self._plan.policy.expected_deployment

    async def call(
        self, workspace: PlannedWorkspace, planned_time: Callable[[], datetime | None]
    ) -> NoticeAnswer | None:
        """Call the hook for one deployment.

        Args:
            workspace: Its WorkSpace.
            planned_time: Returns its time, when the call's own turn has come; None if it is not to be made any more.

        Raises:
            HookFailed: It raised, took too long, or answered something else.
            JournalError: The call could not be recorded, and was not made.
        """
        target, workspace_id = workspace.target, workspace.workspace_id
        async with self._slots:
            planned_at = planned_time()
            if planned_at is None:
                return None
            notice = DeployNotice(
                target=target,
                workspace_id=workspace_id,
                user_name=workspace.user_name,
                directions={
                    one.application_id: one.direction
                    for one in workspace.pending
                    if one.direction is not None
                },
                application_names={
                    one.application_id: self._plan.application_name(target, one.application_id)
                    or one.application_id
                    for one in workspace.pending
                },
                planned_at=planned_at,
                attempt=self._log.history.notices(target, workspace_id) + 1,
                run=self._log.run,
            )
            # After a crash nobody knows whether the user was told: so it counts, and is told again.
            await self._log.record(
                self._log.event(
                    Noticed,
                    target,
                    workspace_id=workspace_id,
                    planned_at=planned_at,
                    attempt=notice.attempt,
                ),
                durable=True,
            )
            return await self._answer(notice)

    async def _answer(self, notice: DeployNotice) -> NoticeAnswer:
        limit = timeout(self._clock, self._timeout)
        try:
            async with limit:
                answer = await self._hook(notice)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise HookFailed("before_deploy was cancelled") from error
        except Exception as error:
            if limit.expired():
                raise HookFailed(f"before_deploy did not answer within {self._timeout:g} s") from error
            # Somebody else's code: whatever it raises, the WorkSpace is left alone and the others go on.
            _log.warning("before_deploy failed for %s", notice.workspace_id, exc_info=error)
            raise HookFailed(f"before_deploy raised {type(error).__name__}: {error}") from error
        return _checked(answer)


def _checked(answer: object) -> NoticeAnswer:
    # Whoever wrote the hook need not have a type checker.
    if not isinstance(answer, Proceed | Postpone | Skip):
        raise HookFailed(f"before_deploy answered {type(answer).__name__}, not Proceed, Postpone or Skip")
    return answer


POLL_SECONDS: Final = 60.0
"""Seconds from the beginning of one round of polls to that of the next, at least."""

_GATHER: Final = 1.0
"""Seconds for which a newcomer waits for others, to share its first call with them."""

States = Callable[[Sequence[str]], Awaitable[Mapping[str, object]]]
"""Reads the states of WorkSpaces; None for one that is not listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A user's presence, as it was read.

    Attributes:
        presence: Whether the user is there.
        at: When the answer came, in wall time.
        read_at: The same, in seconds of the clock's `monotonic`.
        last_connected: When the user was last connected, as far as the service knows.
        stopped: Whether the WorkSpace is STOPPED, so that nobody can have been at work for a moment.
        error: Why it could not be read; None if it could.
    """

    presence: Presence
    at: datetime
    read_at: float
    last_connected: datetime | None = None
    stopped: bool = False
    error: WorkSpacesError | None = None


class Follower:
    """Somebody who follows a WorkSpace's user.

    Attributes:
        workspace_id: The WorkSpace.
        seen: What was read last; None before the first poll.
        news: Set when something was read; whoever waits for it clears it.
    """

    def __init__(self, workspace_id: str) -> None:
        self.workspace_id: str = workspace_id
        self.seen: Seen | None = None
        self.news: asyncio.Event = asyncio.Event()


class ConnectionWatch:
    """Reads who is connected, for all who ask in one target.

    Args:
        client: Whose calls they are.
        clock: The time of polls.
        read_states: Reads the states of WorkSpaces whose connection alone does not tell.
        stopped: WorkSpaces that were STOPPED when they were planned: there a status CONNECTED is not believed.
    """

    def __init__(
        self, client: WorkSpacesClient, clock: Clock, read_states: States, stopped: frozenset[str]
    ) -> None:
        self._client = client
        self._clock = clock
        self._read_states = read_states
        self._stopped = stopped
        self._followers: dict[Follower, None] = {}
        self._joined = asyncio.Event()
        self._polling: asyncio.Task[None] | None = None
        self._wanted: defaultdict[str, list[asyncio.Future[Seen]]] = defaultdict(list)
        self._reading: asyncio.Task[None] | None = None

    @property
    def following(self) -> int:
        """The number of users that are waited for."""
        return len(self._followers)

    @contextmanager
    def follow(self, workspace_id: str) -> Generator[Follower]:
        """Follow a WorkSpace's user while the block runs: the first poll comes soon, then one in each round."""
        follower = Follower(workspace_id)
        self._followers[follower] = None
        self._joined.set()
        if self._polling is None or self._polling.done():
            self._polling = start_detached(self._poll, name="workspaces-apps connections")
        try:
            yield follower
        finally:
            del self._followers[follower]
            self._joined.set()

    async def read(self, workspace_id: str) -> Seen:
        """Read one connection now; those who ask meanwhile share the next call. A call that fails is told in `error`."""
        answer: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        self._wanted[workspace_id].append(answer)
        if self._reading is None or self._reading.done():
            self._reading = start_detached(self._read_wanted, name="workspaces-apps connections")
        return await answer

    async def close(self) -> None:
        """End what still polls."""
        tasks = [task for task in (self._polling, self._reading) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll(self) -> None:
        clock = self._clock
        next_round = clock.monotonic() + POLL_SECONDS
        while self._followers:
            self._joined.clear()
            left = next_round - clock.monotonic()
            new = [one for one in self._followers if one.seen is None]
            if left <= 0:
                next_round = clock.monotonic() + POLL_SECONDS
                await self._tell(list(self._followers))
            elif len(new) >= PAGE:
                await self._tell(new[: len(new) // PAGE * PAGE])
            elif new:
                await sleep_or(clock, min(_GATHER, left), self._joined)
                if not self._joined.is_set():
                    # Nobody else has come for a while.
                    await self._tell([one for one in new if one in self._followers])
            else:
                await sleep_or(clock, left, self._joined)

    async def _tell(self, followers: Sequence[Follower]) -> None:
        ids = [one.workspace_id for one in followers]
        with polled("DescribeWorkspacesConnectionStatus", len(ids), (), self._clock):
            seen = await self._look(ids)
        for one in followers:
            one.seen = seen[one.workspace_id]
            one.news.set()

    async def _read_wanted(self) -> None:
        while self._wanted:
            # Whoever asks in the same turn of the loop comes along.
            await asyncio.sleep(0)
            answers = {one: self._wanted.pop(one) for one in list(self._wanted)[:PAGE]}
            seen = await self._look(list(answers))
            for workspace_id, waiting in answers.items():
                for answer in waiting:
                    if not answer.done():
                        answer.set_result(seen[workspace_id])

    async def _look(self, ids: Sequence[str]) -> dict[str, Seen]:
        """Read connections, and the states of WorkSpaces where a connection alone does not tell."""
        clock = self._clock
        try:
            readings = await read_connections(self._client, clock, ids)
        except WorkSpacesError as error:
            failed = Seen(presence=Presence.UNKNOWN, at=clock.now(), read_at=clock.monotonic(), error=error)
            return dict.fromkeys(ids, failed)
        errors = {one: reading.error for one, reading in readings.items() if reading.error is not None}
        states: Mapping[str, object] = {}
        unsure = [
            one for one, reading in readings.items() if one not in errors and self._is_unsure(one, reading)
        ]
        if unsure:
            try:
                states = await self._read_states(unsure)
            except WorkSpacesError as error:
                errors |= dict.fromkeys(unsure, error)
        read_at = clock.monotonic()
        found: dict[str, Seen] = {}
        for one, reading in readings.items():
            state = states.get(one)
            found[one] = Seen(
                presence=reading.presence(None if state is None else str(state)),
                at=reading.at,
                read_at=read_at,
                last_connected=reading.last_connected,
                stopped=state == STOPPED,
                error=errors.get(one),
            )
        return found

    def _is_unsure(self, workspace_id: str, reading: ConnectionReading) -> bool:
        presence = reading.presence()
        return presence is Presence.UNKNOWN or (
            presence is Presence.CONNECTED and workspace_id in self._stopped
        )
