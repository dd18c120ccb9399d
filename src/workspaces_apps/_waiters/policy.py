"""The intervals of a waiter's polls."""

import math
from dataclasses import dataclass
from typing import Final

from workspaces_apps._base.clock import Duration, to_seconds
from workspaces_apps._base.public import public
from workspaces_apps._observe.schedule import Schedule
from workspaces_apps.errors import ConfigurationError


def _require_between(value: object, name: str, low: float, high: float) -> None:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not math.isfinite(number) or not low <= number <= high:
        bounds = f"{low:g} or more" if high == math.inf else f"from {low:g} to {high:g}"
        raise ConfigurationError(f"{name} must be a finite number, {bounds}, not {value!r}")


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """The intervals of a waiter's polls: short at first and after every change, then growing.

    Attributes:
        min_delay: From one look to the next at the beginning and after a change; more than 0. Durations are
            timedeltas or seconds.
        max_delay: The longest from one look to the next; not below `min_delay`.
        growth: What the delay is multiplied by after a look that found nothing new; 1 or more.
        jitter: The share of each delay that is left to chance, from 0 to 1: a delay is drawn between
            ``(1 - jitter) × delay`` and ``delay``.
    """

    min_delay: Duration = 5.0
    max_delay: Duration = 30.0
    growth: float = 1.5
    jitter: float = 0.25

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ConfigurationError: A field breaks its rule; the message names both.
        """
        shortest = to_seconds(self.min_delay, "PollPolicy.min_delay", positive=True)
        longest = to_seconds(self.max_delay, "PollPolicy.max_delay", positive=True)
        if longest < shortest:
            raise ConfigurationError(
                f"PollPolicy.max_delay must not be below min_delay: {longest:g} s is less than {shortest:g} s"
            )
        _require_between(self.growth, "PollPolicy.growth", 1, math.inf)
        _require_between(self.jitter, "PollPolicy.jitter", 0, 1)

    @property
    def shortest(self) -> float:
        """`min_delay` in seconds."""
        return to_seconds(self.min_delay, "PollPolicy.min_delay")

    @property
    def longest(self) -> float:
        """`max_delay` in seconds."""
        return to_seconds(self.max_delay, "PollPolicy.max_delay")


LAST_READ: Final = 30.0
"""Seconds for which a call may go on after its deadline, so that the last read, which the service may keep waiting, counts."""

DEFAULT_POLL: Final = PollPolicy()
"""The policy of resource waiters where a call says nothing."""

_TICK: Final = 24.0
"""Seconds from poll to poll when the end of a deployment is near, where a call says nothing: tuned by simulation, so that
half of the ends are noticed within 15 s at 2.5 % of the calls of loops that notice as soon."""

_BOUND: Final = 60.0
"""Seconds between the polls of a deployment at most, where a call says nothing: installations take minutes. [assumed]"""


def schedule_of(poll: PollPolicy | None, *, strict: bool = False) -> Schedule:
    """Return the schedule that a policy asks for.

    Args:
        poll: The policy; None for one that polls the more rarely the more there is to poll, until the end is near.
        strict: Whether every change is wanted, so that hints will not do.
    """
    policy = poll if poll is not None else DEFAULT_POLL
    return Schedule(
        shortest=policy.shortest,
        tick=policy.longest if poll is not None else _TICK,
        growth=policy.growth,
        jitter=policy.jitter,
        bound=policy.longest if poll is not None else _BOUND,
        strict=strict,
    )
