"""A simulator in simulated time, and a client that lives by the same clock."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from workspaces_apps import ClientConfig, Hooks, PacingRegistry, RetryPolicy, WorkSpacesClient
from workspaces_apps._observe.observer import AssociationObserver
from workspaces_apps.simulator import ManualClock, Simulator, SimulatorSettings, Throttle
from workspaces_apps.simulator._state import OrderedIndex, Page
from workspaces_apps.simulator._wire import JsonObject

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class World:
    """The simulator and a client of it."""

    sim: Simulator
    ws: WorkSpacesClient

    @property
    def application(self) -> str:
        """An application that every WorkSpace of the world can have."""
        return self.sim.fleet.application("visio standard 2021")

    @property
    def another(self) -> str:
        """Another one, that goes with it."""
        return self.sim.fleet.application("project standard 2021")

    @property
    def observer(self) -> AssociationObserver:
        """The observer of the client."""
        return self.ws._hub().observer  # pyright: ignore[reportPrivateUsage]  # the part under test

    def count(self, operation: str) -> int:
        """Count the calls of an operation."""
        return self.sim.requests.count(operation)

    def ended_at(self, workspace_id: str) -> float:
        """When the last association of a WorkSpace changed, in simulated epoch seconds."""
        return max(one.updated for one in self.sim.fleet.workspace(workspace_id).associations.values())


@asynccontextmanager
async def world(
    count: int = 1,
    *,
    throttle: Throttle | None = None,
    settings: SimulatorSettings | None = None,
    seed: int = 0,
    hooks: Hooks = Hooks(),  # noqa: B008 - frozen
) -> AsyncGenerator[tuple[World, list[str]]]:
    """A world with so many alike WorkSpaces, and their ids."""
    clock = ManualClock(autojump=True)
    async with Simulator(workspaces=0, clock=clock, throttle=None, settings=settings, seed=seed) as sim:
        ids = sim.fleet.add_workspaces(count)
        config = ClientConfig(
            pacing_registry=PacingRegistry(),
            retry=RetryPolicy(max_attempts=2),
            random=lambda: 0.5,
            hooks=hooks,
            # Real seconds, in which nothing happens on a busy machine.
            connect_timeout=60,
        )
        async with WorkSpacesClient(
            region=sim.region,
            endpoint_url=sim.url,
            credentials=sim.credentials,
            config=config,
            clock=clock,
        ) as ws:
            if throttle is not None:
                sim.throttle = throttle
            yield World(sim, ws), ids


async def deploy(world: World, *workspace_ids: str, application: str | None = None) -> None:
    """Begin to install an application."""
    for workspace_id in workspace_ids:
        await world.ws.associate_workspace_application(
            workspace_id=workspace_id, application_id=application or world.application
        )
        await world.ws.deploy_workspace_applications(workspace_id=workspace_id)


def count_pages(
    here: World,
    after_first: Callable[[JsonObject], object] = lambda _: None,
    after_each: Callable[[], object] = lambda: None,
) -> None:
    """Have the simulator find its pages by counting, and something happen after each first page, or after each."""

    def counted(
        operation: str,
        request: JsonObject,
        rolls: list[OrderedIndex[T]],
        limit: int,
        now: float,
        keep: Callable[[T], bool] | None = None,
    ) -> Page[T]:
        del operation, now
        start = int(str(request.get("NextToken", 0)))
        rows = [row for row in chain.from_iterable(rolls) if keep is None or keep(row)]
        page = Page(rows[start : start + limit], str(start + limit) if start + limit < len(rows) else None)
        if not start:
            after_first(request)
        after_each()
        return page

    object.__setattr__(here.sim.fleet.store.pager, "page", counted)
