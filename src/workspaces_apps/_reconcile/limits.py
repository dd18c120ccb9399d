"""The limits of one reconciler: steps that do not last, faults in a row, and waits without an end."""

from typing import Final

from workspaces_apps._base.clock import Clock

BUSY_DELAY: Final = 30.0
"""Seconds to wait for what else goes on on a WorkSpace."""

_FAULTS: Final = 6
"""Faults of the moment in a row after which a WorkSpace counts as failed."""

_WRITES: Final = 4
"""Times that a change may be staged or deployed beyond its retries, before somebody must be undoing it."""

_LONGEST_DELAY: Final = 30.0


class Limits:
    """Counts and times of one WorkSpace. Each count tells if that is enough.

    Args:
        clock: The time of waits.
        retries: How often a change in ERROR may be retried.
        deployment_timeout: Seconds after which a deployment that does not end has failed.
        ready_timeout: Seconds after which a WorkSpace that does not become ready is left alone.
    """

    def __init__(
        self, clock: Clock, *, retries: int, deployment_timeout: float, ready_timeout: float
    ) -> None:
        self._clock = clock
        self._retries = retries
        self._deployment_timeout = deployment_timeout
        self._ready_timeout = ready_timeout
        self._writes = 0
        self._faults = 0
        self._busy_since: float | None = None
        self._waiting_since: float | None = None
        self._unready_since: float | None = None

    def count_write(self) -> bool:
        """Count a step that stages or deploys."""
        self._writes += 1
        return self._writes > 2 * (_WRITES + self._retries)

    def discount_write(self) -> None:
        """Take the last count of a step back: nothing was sent."""
        self._writes = max(0, self._writes - 1)

    def count_fault(self) -> bool:
        """Count a fault of the moment."""
        self._faults += 1
        return self._faults > _FAULTS

    @property
    def delay(self) -> float:
        """Seconds after which a fault of the moment may be over."""
        return min(_LONGEST_DELAY, 0.5 * 2.0**self._faults)

    def count_busy(self) -> bool:
        """Count a write that met something else going on; it was no step."""
        now = self._clock.monotonic()
        if self._busy_since is None:
            self._busy_since = now
        self.discount_write()
        return now - self._busy_since > self._deployment_timeout

    def wait_until(self) -> float:
        """Return the moment until which to wait for the deployment; the first call begins the wait."""
        if self._waiting_since is None:
            self._waiting_since = self._clock.monotonic()
        return self._waiting_since + self._deployment_timeout

    def ready_until(self) -> float:
        """Return the moment until which to wait for the WorkSpace to be ready; the first call begins the wait."""
        if self._unready_since is None:
            self._unready_since = self._clock.monotonic()
        return self._unready_since + self._ready_timeout

    def end_wait(self) -> None:
        """Note that no deployment is waited for any more."""
        self._waiting_since = None

    def end_unready(self) -> None:
        """Note that the WorkSpace is ready, or deploying."""
        self._unready_since = None

    def reset(self) -> None:
        """Note that the service took a step."""
        self._faults = 0
        self._busy_since = None
