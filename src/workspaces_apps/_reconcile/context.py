"""The dependencies that the reconcilers of one client share, and their options."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from workspaces_apps._base.clock import Clock
    from workspaces_apps._observe.audience import PollAudience
    from workspaces_apps._observe.observer import AssociationObserver
    from workspaces_apps._observe.schedule import Schedule
    from workspaces_apps._reconcile.guard import AttemptGuard
    from workspaces_apps.api.operations import Operations

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
