"""A rate that is learned from what the service answers."""

import math

from workspaces_apps._pacing.policy import DEFAULT_TUNING, Tuning
from workspaces_apps._pacing.rate import RateRule


class AdaptiveRate(RateRule):
    """Free while the service does not object, then a rate that is found by asking for more and cutting back.

    Free: as many calls in flight as the window, which grows with success. The first throttle sets a low rate,
    which grows fast until the second; that settles it. From then on a throttle cuts, and successes grow the
    rate slowly, faster the longer no cut was needed. Throttles of calls that went before the last cut say
    nothing new, and successes of calls that came slower than they might have say nothing of the limit.
    """

    __slots__ = ("_answers", "_cut_at", "_next_at", "_probing", "_rate", "_settled", "_tuning", "_window")

    def __init__(self, tuning: Tuning = DEFAULT_TUNING) -> None:
        self._tuning = tuning
        self._window = tuning.window
        self._rate: float | None = None
        self._settled = False
        self._answers = 0
        self._cut_at = -math.inf
        self._next_at = -math.inf
        self._probing = False

    @property
    def rate(self) -> float | None:
        """The learned rate in calls a second; None before the first throttle."""
        return self._rate

    @property
    def window(self) -> float:
        """Calls in flight at most while the rate is not learned."""
        return self._window

    @property
    def settled(self) -> bool:
        """Tell if the fast growth after the first throttle is over."""
        return self._settled

    @property
    def proven(self) -> float | None:
        """The learned rate, once enough calls have gone at it without a throttle; None before."""
        return self._rate if self._settled and self._answers >= self._tuning.proof else None

    def delay(self, now: float, in_flight: int) -> float:
        """Seconds until the rate allows a call; without one, 0 while the window is not full."""
        if self._rate is None:
            return 0.0 if in_flight < self._window else math.inf
        return max(0.0, self._next_at - now)

    def eta(self, now: float, ahead: int) -> float:
        """Seconds until a call may go that has `ahead` calls waiting before it, if none is throttled."""
        if self._rate is None:
            return 0.0
        first = max(0.0, self._next_at - now)
        if self._settled:
            return first + ahead / self._rate
        # Each call ahead may succeed and quicken the ones behind it, so the rate grows exponentially.
        return first + math.log1p(self._tuning.ramp * ahead / self._rate) / self._tuning.ramp

    def reserve(self, now: float, in_flight: int) -> None:
        """Move the next turn on by one interval, and note whether what is allowed is made use of."""
        if self._rate is None:
            self._probing = in_flight + 1 >= self._window / 2
            return
        interval = 1.0 / self._rate
        self._probing = now - self._next_at < max(interval, self._tuning.slack)
        late_from = now - min(self._tuning.slack, interval)
        self._next_at = max(self._next_at, late_from) + interval

    def cancel(self) -> None:
        """Move the next turn back by one interval."""
        if self._rate is not None:
            self._next_at -= 1.0 / self._rate

    def succeeded(self) -> None:
        """Grow the window, or the rate."""
        if not self._probing:
            return
        tuning = self._tuning
        self._answers += 1
        if self._rate is None:
            self._window += tuning.window_growth
        elif not self._settled:
            self._rate += tuning.ramp
        else:
            step = (1.0 - tuning.cut) / tuning.recovery
            quicker = 1.0 + (self._answers / tuning.acceleration) ** 2
            bound = tuning.level_bound
            level = min(bound, max(1.0 / bound, tuning.level_rate / self._rate))
            self._rate *= 1.0 + step * quicker * level

    def throttled(self, now: float, sent_at: float) -> None:
        """Set or cut the rate, unless a later cut has answered this throttle already."""
        tuning = self._tuning
        if sent_at <= self._cut_at:
            return
        if self._rate is None:
            self._rate = tuning.start_rate
        elif not self._settled:
            self._rate *= tuning.settle
            self._settled = True
        else:
            self._rate *= tuning.cut
        self._rate = max(self._rate, tuning.floor)
        self._answers = 0
        self._cut_at = now
        self._next_at = max(self._next_at, now + 1.0 / self._rate)
