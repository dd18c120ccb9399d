"""Numbers, lengths of time and names, in words for people."""

from __future__ import annotations

from datetime import timedelta

from workspaces_apps._base.text import harmless
from workspaces_apps.cli._deployments import short_duration


def count(number: int, one: str) -> str:
    """A number with its noun."""
    return f"{number:,} {one}" if number == 1 else f"{number:,} {one}s"


def about(duration: timedelta) -> str:
    """A length of time as roughly as it is known: 40s, 12m, 1h05m."""
    step = 60 if duration > timedelta(minutes=10) else 10
    rounded = timedelta(seconds=max(step, round(duration.total_seconds() / step) * step))
    return short_duration(rounded).removesuffix("00s")


def short_name(application: str) -> str:
    """An application's name without what is on all of them."""
    return harmless(application).removeprefix("Microsoft ")


def explained(reason: str, message: str) -> str:
    """A reason with its words, where it has any."""
    return f"{reason}: {message}" if message and message != reason else reason
