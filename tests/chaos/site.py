"""A simulator and a client that live in the same simulated time, and what the client holds while it works."""

import asyncio
import os
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import aiohttp

from workspaces_apps import ClientConfig, Hooks, Pacing, RetryPolicy, WorkSpacesClient
from workspaces_apps._pacing import PacingKey, PacingRegistry, RateLimiter
from workspaces_apps._retry import RetryBudget
from workspaces_apps.simulator import ManualClock, Simulator, SimulatorSettings, Span, Throttle

if TYPE_CHECKING:
    from workspaces_apps._http.connection import Connection

SEED: Final = int(os.environ.get("WORKSPACES_CHAOS_SEED", "20231005"))
"""What every random choice of these tests comes from; `nox -s chaos` draws another."""

SCALE: Final = float(os.environ.get("WORKSPACES_CHAOS_SCALE", "0.25"))
"""How many times as long as usual they run."""

SLOW: Final = 10.0
"""Simulated seconds that a slow answer takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The simulator, the client, and their clock.

    Attributes:
        sim: The simulator.
        client: A client of it.
        clock: The time of both; it goes on by itself when nothing else can happen.
        registry: The client's pacers.
    """

    sim: Simulator
    client: WorkSpacesClient
    clock: ManualClock
    registry: PacingRegistry

    def bring_faults(self) -> None:
        """Make 20 % throttles, 5 % 503, 3 % resets and 2 % slow answers."""
        faults = self.sim.faults
        faults.add("throttle", probability=0.20)
        faults.add("unavailable", probability=0.025)
        faults.add("unavailable_html", probability=0.025)
        faults.add("reset_before", probability=0.015)
        faults.add("reset_after", probability=0.015)
        faults.add("slow", probability=0.01, delay=SLOW)
        faults.add("slow_after", probability=0.01, delay=SLOW)

    def pacer(self, operation: str, pacing: Pacing) -> RateLimiter:
        """The client's pacer of an operation."""
        key = PacingKey(self.sim.url, self.sim.region, self.sim.account_id, operation)
        return self.registry.pacer(key, pacing, self.clock)

    def held(self) -> "Held":
        """The resources that the client holds at the moment."""
        pacers: list[tuple[RateLimiter, object]] = list(attrgetter("_pacers")(self.registry).values())
        slots: asyncio.Semaphore = attrgetter("_shared._transport.slots")(self.client)
        bound: int = attrgetter("_shared.settings.config.max_connections")(self.client)
        free: int = attrgetter("_value")(slots)
        connections: set[object] = attrgetter("connector._acquired")(self.http())
        return Held(
            permits=sum(pacer.in_flight for pacer, _ in pacers),
            in_line=sum(pacer.waiting for pacer, _ in pacers),
            slots=bound - free,
            connections=len(connections),
        )

    def http(self) -> aiohttp.ClientSession:
        """The HTTP session under it all; the client must have been opened."""
        opening: asyncio.Task[tuple[Connection, str]] = attrgetter("_shared._transport._opening")(self.client)
        sessions: dict[str | None, aiohttp.ClientSession] = attrgetter(
            "_client._endpoint.http_session._sessions"
        )(opening.result()[0])
        return sessions[None]

    def budget(self, retry: RetryPolicy) -> RetryBudget:
        """The tokens that the client's calls share under that policy."""
        budgets: dict[object, RetryBudget] = attrgetter("_shared._transport._budgets")(self.client)
        return budgets[retry.budget]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The resources that a client holds.

    Attributes:
        permits: Turns that its pacers gave out.
        in_line: Tasks that wait for a turn.
        slots: Places taken of those in flight at once.
        connections: Connections taken out of aiohttp's pool.
    """

    permits: int = 0
    in_line: int = 0
    slots: int = 0
    connections: int = 0


NOTHING: Final = Held()


@asynccontextmanager
async def site(
    *,
    workspaces: int = 0,
    throttle: Throttle | None = None,
    pacing: Pacing = Pacing.adaptive(),  # noqa: B008 - frozen
    retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
    hooks: Hooks = Hooks(),  # noqa: B008 - frozen
    max_connections: int = 50,
    jitter: Callable[[], float] | None = None,
) -> AsyncGenerator[Site]:
    """A simulator without a throttle of its own, whose deployments take a minute or two, and a client of it."""
    clock = ManualClock(autojump=True)
    registry = PacingRegistry()
    settings = SimulatorSettings(
        pending_delay=Span(1, 5), install_duration=Span(20, 60), uninstall_duration=Span(20, 60)
    )
    config = ClientConfig(
        pacing=pacing,
        retry=retry,
        hooks=hooks,
        max_connections=max_connections,
        pacing_registry=registry,
        random=jitter if jitter is not None else random.Random(SEED).random,
    )
    async with (
        Simulator(workspaces=workspaces, seed=SEED, clock=clock, settings=settings, throttle=throttle) as sim,
        WorkSpacesClient(
            region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, config=config, clock=clock
        ) as client,
    ):
        yield Site(sim=sim, client=client, clock=clock, registry=registry)
