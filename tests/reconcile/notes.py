"""An intent log that keeps everything, and a reconciler on a simulated WorkSpace."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.waiters.world import World, world
from workspaces_apps._associations import Direction
from workspaces_apps._observe.reads import AssociationRecord
from workspaces_apps._observe.schedule import DEPLOYMENT_SCHEDULE
from workspaces_apps._reconcile.observed_state import StateChange
from workspaces_apps._reconcile.reconciler import Reconciler
from workspaces_apps._reconcile.writes import (
    Conditions,
    Failure,
    ReconcilePolicy,
    Slot,
    Unconditional,
    WriteIntent,
)
from workspaces_apps.errors import WorkSpacesError
from workspaces_apps.simulator import SimulatorSettings


@dataclass(slots=True)
class Notes:
    """An intent log.

    Attributes:
        kept: What was told, in order: the kind, and what it is about.
        directions: What an earlier run knows of what is in ERROR.
        tries: How often an earlier run retried.
    """

    kept: list[tuple[object, ...]] = field(default_factory=list[tuple[object, ...]])
    directions: dict[str, Direction] = field(default_factory=dict[str, Direction])
    tries: dict[str, int] = field(default_factory=dict[str, int])
    changes: list[StateChange] = field(default_factory=list[StateChange])

    @property
    def kinds(self) -> list[str]:
        """The kinds of what was told, but for intents and changes."""
        return [str(kind) for kind, *_ in self.kept if kind not in ("intent", "withdrawn")]

    def failed_direction(self, application_id: str) -> Direction | None:
        """The direction of the last deployment."""
        return self.directions.get(application_id)

    def retries(self, application_id: str) -> int:
        """The number of retries."""
        return self.tries.get(application_id, 0)

    async def intend(self, intents: Sequence[WriteIntent]) -> None:
        """Keep them, and what they say of later failures."""
        for intent in intents:
            self.kept.append(("intent", intent.operation, intent.application_id))
            if intent.operation == "DeployWorkspaceApplications":
                self.directions[intent.application_id] = intent.direction
                self.tries[intent.application_id] = self.retries(intent.application_id) + intent.retry

    async def withdraw(self, intents: Sequence[WriteIntent], reason: str) -> None:
        """Keep them, and take the retries back."""
        for intent in intents:
            self.kept.append(("withdrawn", intent.operation, reason))
            if intent.operation == "DeployWorkspaceApplications":
                self.tries[intent.application_id] -= intent.retry

    async def staged(self, application_id: str, direction: Direction, request_id: str | None) -> None:
        """Keep it."""
        self.kept.append(("staged", application_id, direction, request_id))

    async def deployed(self, application_ids: Sequence[str], request_id: str | None, *, force: bool) -> None:
        """Keep it."""
        self.kept.append(("deployed", tuple(application_ids), force, request_id))

    async def changed(self, changes: Sequence[StateChange]) -> None:
        """Keep them."""
        self.changes += changes

    async def succeeded(
        self,
        application_id: str,
        direction: Direction,
        record: AssociationRecord | None,
        elapsed: float | None,
    ) -> None:
        """Keep it."""
        self.kept.append(("succeeded", application_id, direction, record, elapsed))

    async def failed(self, failure: Failure) -> None:
        """Keep it."""
        self.kept.append(("failed", failure.application_id, failure.reason, failure.final))

    async def skipped(self, application_id: str, reason: str, message: str) -> None:
        """Keep it."""
        self.kept.append(("skipped", application_id, str(reason), message))


def _unheard(_: bool) -> None:
    """Nobody wants to know."""


@dataclass(slots=True)
class Bench:
    """A simulated WorkSpace, and what reconcilers of it tell.

    Attributes:
        here: The simulator and a client.
        workspace_id: The WorkSpace.
        notes: The log.
    """

    here: World
    workspace_id: str
    notes: Notes = field(default_factory=Notes)
    stopped: list[WorkSpacesError] = field(default_factory=list[WorkSpacesError])

    def reconciler(
        self,
        desired: Mapping[str, Direction],
        *,
        retries: int = 1,
        conditions: Conditions | None = None,
        allow: bool = False,
        deadline: float | None = None,
        ready_timeout: float = 1800.0,
        park: Callable[[bool], None] = _unheard,
    ) -> Reconciler:
        """A reconciler that reads first."""
        semaphores = asyncio.Semaphore(1), asyncio.Semaphore(1)
        return Reconciler(
            self.workspace_id,
            desired,
            context=self.here.ws._reconcile_context(  # pyright: ignore[reportPrivateUsage]  # the part under test
                DEPLOYMENT_SCHEDULE, None
            ),
            policy=ReconcilePolicy(
                retries=retries,
                allowed=None if allow else frozenset(),
                deployment_timeout=7200.0,
                ready_timeout=ready_timeout,
            ),
            log=self.notes,
            conditions=conditions if conditions is not None else Unconditional(),
            acting=Slot(semaphores[0]),
            in_flight=Slot(semaphores[1]),
            stop_target=self.stopped.append,
            park=park,
            deadline=deadline,
        )


@asynccontextmanager
async def bench(settings: SimulatorSettings | None = None) -> AsyncGenerator[Bench]:
    """A WorkSpace on a simulator in simulated time."""
    async with world(settings=settings) as (here, [workspace_id]):
        yield Bench(here, workspace_id)
