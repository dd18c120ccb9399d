"""The leave to send one request, and how it ended."""

from collections.abc import Callable
from typing import Literal, Self, TypeAlias

Outcome: TypeAlias = Literal["succeeded", "throttled", "failed", "unused"]
"""How a request ended, as far as its rate is concerned."""


class Permit:
    """The leave to send one request; say exactly once how it ended.

    The first of `succeeded`, `throttled`, `failed`, `cancelled`, `unused` and `close` counts; what follows does nothing.

    Attributes:
        sent_at: When the turn came, in seconds of the pacer's clock.
    """

    __slots__ = ("_on_release", "sent_at")

    def __init__(self, sent_at: float, on_release: Callable[[Outcome, float], None]) -> None:
        self.sent_at: float = sent_at
        self._on_release: Callable[[Outcome, float], None] | None = on_release

    def release(self, outcome: Outcome) -> None:
        """Give the slot back, and say how the request ended."""
        on_release, self._on_release = self._on_release, None
        if on_release is not None:
            on_release(outcome, self.sent_at)

    def succeeded(self) -> None:
        """The service did not object to the rate: it did what was asked, or refused for another reason."""
        self.release("succeeded")

    def throttled(self) -> None:
        """The service objected to the rate."""
        self.release("throttled")

    def failed(self) -> None:
        """It ended in a way that says nothing of the rate."""
        self.release("failed")

    def unused(self) -> None:
        """Give the turn back: no request was sent with it."""
        self.release("unused")

    def close(self) -> None:
        """Give the slot back if nothing else has."""
        self.release("failed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
