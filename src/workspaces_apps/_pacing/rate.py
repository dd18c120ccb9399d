"""Rate rules: pure arithmetic over time and answers that gives the moment of the next call."""

import math


class RateRule:
    """Decides when calls may go; this one says: always.

    Times are seconds of one monotonic clock. Whoever uses a rule serialises the calls to it.
    """

    __slots__ = ()

    @property
    def rate(self) -> float | None:
        """The calls a second it allows at the moment; None if it sets no rate."""
        return None

    @property
    def proven(self) -> float | None:
        """The same once it has stood the test, None before."""
        return self.rate

    def delay(self, now: float, in_flight: int) -> float:  # noqa: ARG002 - what other rules need
        """Seconds until the next call may go: 0 for now, infinity for not before an answer comes."""
        return 0.0

    def eta(self, now: float, ahead: int) -> float:  # noqa: ARG002
        """Seconds until a call may go that has `ahead` calls waiting before it, at the soonest."""
        return 0.0

    def reserve(self, now: float, in_flight: int) -> None:
        """Count a call as gone, with `in_flight` others on the way."""

    def cancel(self) -> None:
        """Count a call as not gone after all: its task was cancelled in the last moment."""

    def succeeded(self) -> None:
        """Learn from a call that the service did not object to."""

    def throttled(self, now: float, sent_at: float) -> None:
        """Learn from a throttle of a call that went at `sent_at`."""


class FixedRate(RateRule):
    """A rate that is known: a bucket of `burst` calls that refills at `rate` a second."""

    __slots__ = ("_empty_at", "_rate", "_span")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        # The bucket as a point in time: `span` after `empty_at` it is full.
        self._span = burst / rate
        self._empty_at = -math.inf

    @property
    def rate(self) -> float | None:
        """The calls a second it allows."""
        return self._rate

    def delay(self, now: float, in_flight: int) -> float:  # noqa: ARG002
        """Seconds until the bucket holds a call."""
        return max(0.0, self._empty_at + 1.0 / self._rate - now)

    def eta(self, now: float, ahead: int) -> float:
        """Seconds until it has held one call more than `ahead`."""
        # From an empty bucket onwards; while it holds calls, the first few go at once.
        return max(0.0, max(self._empty_at, now - self._span) + (ahead + 1) / self._rate - now)

    def reserve(self, now: float, in_flight: int) -> None:  # noqa: ARG002
        """Take a call out of the bucket."""
        self._empty_at = max(self._empty_at, now - self._span) + 1.0 / self._rate

    def cancel(self) -> None:
        """Put a call back."""
        self._empty_at -= 1.0 / self._rate
