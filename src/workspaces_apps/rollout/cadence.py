"""When an apply looks at its deployments, and how many calls a look takes; the estimate of a plan counts the same way."""

from math import ceil
from typing import Final

from workspaces_apps.rollout.reading import PAGE

FIRST_DELAY: Final = 10.0
LAST_DELAY: Final = 60.0
_GROWTH: Final = 1.3
_SECONDS_PER_CALL: Final = 1.25


class Cadence:
    """The pauses of rounds that go on for as long as somebody waits: longer and longer, and the more calls one takes."""

    def __init__(self) -> None:
        self._delay = FIRST_DELAY
        self._before = 0

    def pause(self, waiting: int, calls: int) -> float:
        """Seconds until the next round, which so many wait for, and which takes so many calls."""
        if 2 * waiting <= self._before:
            # They are coming home: the last ones should not wait for a round as long as the first did.
            self._delay = FIRST_DELAY
        self._before = waiting
        seconds = max(self._delay, _SECONDS_PER_CALL * calls)
        self._delay = min(LAST_DELAY, self._delay * _GROWTH)
        return seconds


def calls_by_application(applications: int, rows: int, waiting: int) -> int:
    """The calls of a round that reads all associations of the plan's applications.

    Args:
        applications: How many these are.
        rows: How many associations they had when they were read last.
        waiting: How many WorkSpaces wait, each of which has one at least.
    """
    return max(applications, ceil(max(rows, waiting) / PAGE))
