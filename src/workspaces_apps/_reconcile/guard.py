"""The guard: what must hold at the moment that an attempt of a write leaves.

The limiter's queue and the backoffs of retries lie between a decision and the request that carries it out. So the client
asks the guard after the permit and before *every* attempt; what the guard refuses is not sent, and the reconciler reads
and decides anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from workspaces_apps._base.clock import Clock
    from workspaces_apps._reconcile.observed_state import ObservedState

READ_AGE: Final = 10.0
"""Seconds that the read of everything on a WorkSpace may lie back when a Deploy leaves."""

_PATIENCE: Final = 3
"""Times in a row that a read may be too old before the bound doubles, each time again.

Where calls wait for minutes, or a simulated clock runs faster than the network, no read would ever be recent enough.
"""


def longest_age(refusals: int) -> float:
    """Return the age that a read may have after so many refusals in a row, in seconds."""
    return READ_AGE * 2.0 ** max(0, refusals - _PATIENCE)


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
    """The conditions of a run under which it may write: its journal's fence, pauses, hours."""

    def holds(self, *, deploy: bool) -> bool:
        """Tell if a write may leave now; a Deploy needs more than Associate and Disassociate."""
        ...

    def is_admitted(self) -> bool:
        """Tell if the WorkSpace's user is away, and whoever is asked before a deployment has agreed."""
        ...

    def is_recent(self, longest_age: float) -> bool:
        """Tell if what they know of the WorkSpace's user was read so many seconds ago at most."""
        ...

    async def until_they_hold(self, *, deploy: bool) -> Refusal | None:
        """Wait until they hold again; a `Refusal` if they will not."""
        ...

    async def refusal(self, *, deploy: bool) -> Refusal | None:
        """Ask, before anything is staged and directly before a Deploy, what forbids it: a user who is connected.

        Where that only delays it, `is_admitted` and with it the conditions for a Deploy do not hold any more.
        """
        ...

    def deployed(self) -> None:
        """Note that a Deploy was taken."""
        ...


class Unconditional:
    """The conditions of a call that is nobody's run: none."""

    def holds(self, *, deploy: bool) -> bool:  # noqa: ARG002 - what a run depends on
        """Tell that a write may leave."""
        return True

    def is_admitted(self) -> bool:
        """Tell that nobody is asked."""
        return True

    def is_recent(self, longest_age: float) -> bool:  # noqa: ARG002
        """Tell that nobody's user matters."""
        return True

    async def until_they_hold(self, *, deploy: bool) -> Refusal | None:  # noqa: ARG002
        """Return at once."""
        return None

    async def refusal(self, *, deploy: bool) -> Refusal | None:  # noqa: ARG002
        """Return at once."""
        return None

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

    Attributes:
        passed: Whether an attempt was let through: the service may have got it.
    """

    def __init__(
        self, conditions: Conditions, observed: ObservedState | None, clock: Clock, refusals: int = 0
    ) -> None:
        self.passed: bool = False
        self._longest_age = longest_age(refusals)
        self._conditions = conditions
        self._observed = observed
        self._clock = clock

    def __call__(self) -> None:
        """Let an attempt through.

        Raises:
            GuardClosed: It must not be sent.
        """
        if not self._conditions.holds(deploy=self._observed is not None):
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
