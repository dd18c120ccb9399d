"""How long a desk goes on with its WorkSpace: steps that do not last, faults in a row, and waits without end."""

from typing import Final

from workspaces_apps.clock import Clock
from workspaces_apps.rollout.policy import Policy

BUSY_DELAY: Final = 30.0
"""Seconds to wait for what else goes on on a WorkSpace."""

_FAULTS: Final = 6
"""Faults of the moment in a row after which a WorkSpace counts as failed."""

_ACTS: Final = 4
"""Times that a change may be staged or deployed beyond its retries, before somebody must be undoing it."""


class Patience:
    """What one WorkSpace has asked of it. Each count says whether that is enough.

    Args:
        clock: The time of waits.
        policy: How many retries, and how long a deployment, are to be expected.
    """

    def __init__(self, clock: Clock, policy: Policy) -> None:
        self._clock = clock
        self._policy = policy
        self._acts = 0
        self._faults = 0
        self._busy_since: float | None = None
        self._waiting_since: float | None = None

    def count_act(self) -> bool:
        """One more step that stages or deploys."""
        self._acts += 1
        return self._acts > 2 * (_ACTS + self._policy.retries)

    def count_fault(self) -> bool:
        """One more fault of the moment."""
        self._faults += 1
        return self._faults > _FAULTS

    @property
    def delay(self) -> float:
        """Seconds after which a fault of the moment may be over."""
        return min(30.0, 0.5 * 2.0**self._faults)

    def count_busy(self) -> bool:
        """Something else goes on there; the step that met it was none."""
        now = self._clock.monotonic()
        if self._busy_since is None:
            self._busy_since = now
        self._acts = max(0, self._acts - 1)
        return now - self._busy_since > self._policy.deployment_timeout

    def count_wait(self) -> bool:
        """One more wait for the deployment."""
        now = self._clock.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
        return now - self._waiting_since > self._policy.deployment_timeout

    def end_wait(self) -> None:
        """There is something to do, or nothing left to do."""
        self._waiting_since = None

    def renew(self) -> None:
        """The service took a step."""
        self._faults = 0
        self._busy_since = None
