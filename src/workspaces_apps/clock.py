"""Time as a parameter: every wait, backoff, deadline and pace in this package goes through a `Clock`."""

import asyncio
import math
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeAlias, runtime_checkable

from workspaces_apps.errors import ConfigurationError

Duration: TypeAlias = timedelta | float
"""A length of time: a `timedelta`, or a number of seconds."""


@runtime_checkable
class Clock(Protocol):
    """Where the package gets its time from.

    `now` is wall time with a time zone, for what people read; `monotonic` is in seconds, never goes back,
    and is what every deadline is computed with; `sleep` waits for that many seconds of the same clock.
    """

    def now(self) -> datetime:
        """The wall time, with a time zone."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never decreases."""
        ...

    async def sleep(self, seconds: float, /) -> None:
        """Return once `seconds` (0 or more) have passed on this clock."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """The wall time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds of the system's monotonic clock."""
        return time.monotonic()

    async def sleep(self, seconds: float, /) -> None:
        """Sleep on the running event loop."""
        await asyncio.sleep(seconds)


def to_seconds(value: Duration, name: str, *, positive: bool = False) -> float:
    """The duration in seconds.

    Args:
        value: A `timedelta`, or seconds as an int or float.
        name: What the caller called it, for the message.
        positive: Refuse zero too.

    Raises:
        ConfigurationError: It is not a duration, not finite, or negative.
    """
    seconds = _number_of_seconds(value, name)
    if not math.isfinite(seconds) or seconds < 0 or (positive and seconds == 0):
        bound = "more than 0" if positive else "0 or more"
        raise ConfigurationError(f"{name} must be a finite number of seconds, {bound}, not {seconds:g}")
    return seconds


def _number_of_seconds(value: object, name: str) -> float:
    """The seconds of what should be a duration, but may be anything if nobody checked types."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ConfigurationError(f"{name} must be a timedelta or a number of seconds, not {type(value).__name__}")
