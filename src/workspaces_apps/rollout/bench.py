"""What the desks of one target share: its client, how it was found, how careful to be, and how many may act at once."""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from workspaces_apps.client import WorkSpacesClient
from workspaces_apps.clock import Clock
from workspaces_apps.rollout.policy import Policy
from workspaces_apps.rollout.reading import States
from workspaces_apps.rollout.sight import Sight

ACTING: Final = 32
"""WorkSpaces of a target that stage or deploy at the same time; the pacing decides how fast they go."""

GATE: Final = 8
"""Those of them that are between the fresh look and Deploy: few, so that a look is seconds old at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """How careful an apply is.

    Attributes:
        policy: The plan's policy.
        fresh_look: Whether to look at a WorkSpace directly before Deploy.
        assume_direction: Whether to take the wanted direction for the one that failed, where it is not known.
    """

    policy: Policy
    fresh_look: bool = True
    assume_direction: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What the desks of one target share.

    Attributes:
        client: The target's client.
        clock: The client's clock.
        care: How careful its desks are.
        sight: Follows deployments.
        found: How the WorkSpaces were before any desk began.
        acting: How many desks may act at the same time; the others wait, or follow their deployment.
        gate: How many may be between the fresh look and Deploy.
    """

    client: WorkSpacesClient
    clock: Clock
    care: Care
    sight: Sight
    found: States
    acting: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, ACTING))
    gate: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, GATE))


class Place:
    """A desk's place among those that act: taken before it begins, and left while it can only wait.

    Args:
        places: How many there are.
    """

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._taken = False

    async def take(self) -> None:
        """Wait until there is one."""
        await self._places.acquire()
        self._taken = True

    def leave(self) -> None:
        """Let another desk act; may be called again."""
        if self._taken:
            self._taken = False
            self._places.release()
