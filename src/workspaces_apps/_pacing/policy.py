"""The policy of pacing, and the numbers that the learned rate is tuned with."""

import math
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from workspaces_apps._base.public import public
from workspaces_apps.errors import ConfigurationError

Mode: TypeAlias = Literal["adaptive", "fixed", "off"]


@public("workspaces_apps")
@dataclass(frozen=True, slots=True)
class Pacing:
    """The rate at which the calls of one operation may follow each other; made by `adaptive`, `fixed` or `off`.

    Examples:
        >>> from workspaces_apps import ClientConfig, Pacing
        >>> config = ClientConfig(pacing=Pacing.fixed(rate=2, burst=5))
        >>> config.pacing
        Pacing(mode='fixed', rate=2, burst=5)
    """

    mode: Mode = "adaptive"
    """``adaptive``, ``fixed`` or ``off``."""
    rate: float | None = None
    """Calls a second, where they are fixed."""
    burst: int = 1
    """The number of calls that may go at once after a pause, where the rate is fixed."""

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ConfigurationError: A field breaks its rule; the message names both.
        """
        if self.mode not in ("adaptive", "fixed", "off"):
            raise ConfigurationError(f"Pacing.mode must be adaptive, fixed or off, not {self.mode!r}")
        _require_burst(self.burst)
        if self.mode != "fixed":
            if self.rate is not None or self.burst != 1:
                raise ConfigurationError("Pacing.rate and Pacing.burst belong to Pacing.fixed only")
            return
        if (
            isinstance(self.rate, bool)
            or not isinstance(self.rate, int | float)
            or not math.isfinite(self.rate)
            or self.rate <= 0
        ):
            raise ConfigurationError(
                f"Pacing.rate must be a finite number of calls a second, more than 0, not {self.rate!r}"
            )

    @classmethod
    def adaptive(cls) -> "Pacing":
        """Free until the service throttles, with a window that grows with success; then a learned rate."""
        return cls("adaptive")

    @classmethod
    def fixed(cls, rate: float, burst: int = 1) -> "Pacing":
        """Keep to a rate that is known, whatever the service answers.

        Args:
            rate: Calls a second.
            burst: How many calls may go at once after a pause.

        Raises:
            ConfigurationError: The rate is not a positive finite number, or the burst not a positive integer.
        """
        return cls("fixed", rate, burst)

    @classmethod
    def off(cls) -> "Pacing":
        """Return a policy without pacing."""
        return cls("off")


def _require_burst(burst: object) -> None:
    if isinstance(burst, bool) or not isinstance(burst, int) or burst < 1:
        raise ConfigurationError(f"Pacing.burst must be an integer, 1 or more, not {burst!r}")


class Tuning(NamedTuple):
    """The numbers of `AdaptiveRate`, found by simulation; `tests/pacing/test_bars.py` holds what they achieve.

    Growth is counted in answers and not in seconds: then a fraction of the answers, the same at any rate, is
    throttled in the search for the limit.

    Attributes:
        window: Calls in flight at most before the first throttle.
        window_growth: What each success adds to the window.
        start_rate: Calls a second after the first throttle.
        ramp: What each success adds to the rate until the next throttle.
        settle: What the rate is multiplied by at that throttle.
        cut: What the rate is multiplied by at every later one.
        recovery: Answers in which growth makes good for a cut, acceleration aside.
        acceleration: Answers since the last cut after which growth has doubled; it goes on quadratically.
        level_rate: Calls a second below which the rate grows faster than that, and above which slower. With
            growth in proportion, of two processes on one bucket the slower would stay slow.
        level_bound: How much faster or slower at most.
        slack: Seconds that a call may be late without loss of rate: timers are never punctual.
        proof: Answers at the full rate since the last cut after which the rate is proven. The throttle before the
            cut told that nothing was left over, so that a rate which lasts for so many calls is at most a
            twentieth too high.
        floor: The lowest rate in calls a second; below it, learning that more is possible would take minutes.
    """

    window: float = 8.0
    window_growth: float = 0.5
    start_rate: float = 2.0
    ramp: float = 0.7
    settle: float = 0.6
    cut: float = 0.8
    recovery: float = 120.0
    acceleration: float = 120.0
    level_rate: float = 8.0
    level_bound: float = 2.0
    slack: float = 0.05
    proof: int = 20
    floor: float = 0.1


DEFAULT_TUNING: Final = Tuning()
