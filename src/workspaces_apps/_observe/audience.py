"""The audience of polls: whoever subscribed hears of each attempt that served it, and if it served others too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from workspaces_apps._base.hooks import Hooks, notify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from workspaces_apps._base.hooks import AttemptRecord, RetryRecord, ThrottleRecord


class PollAudience(Protocol):
    """An object that hears of the attempts of polls; `shared` tells that other audiences were served as well."""

    def attempt(self, record: AttemptRecord, *, shared: bool) -> None:
        """Hear of an attempt after it ended."""
        ...

    def retry(self, record: RetryRecord, *, shared: bool) -> None:
        """Hear of a retry before its wait."""
        ...

    def throttle(self, record: ThrottleRecord, *, shared: bool) -> None:
        """Hear of an attempt that was throttled."""
        ...


@dataclass(frozen=True, slots=True)
class HooksAudience:
    """Hooks as an audience; equal hooks are one audience.

    Attributes:
        hooks: The functions that are called.
    """

    hooks: Hooks

    def attempt(self, record: AttemptRecord, *, shared: bool) -> None:  # noqa: ARG002 - hooks do not tell it
        """Call `on_attempt`."""
        notify(self.hooks.on_attempt, record)

    def retry(self, record: RetryRecord, *, shared: bool) -> None:  # noqa: ARG002
        """Call `on_retry`."""
        notify(self.hooks.on_retry, record)

    def throttle(self, record: ThrottleRecord, *, shared: bool) -> None:  # noqa: ARG002
        """Call `on_throttle`."""
        notify(self.hooks.on_throttle, record)


def hooks_for(served: Callable[[], Iterable[PollAudience | None]]) -> Hooks:
    """Return hooks that pass on to each audience once.

    Whoever a poll was sent for may have learned it elsewhere, and left before the answer. It was sent for them all the
    same, so where nobody is served any more, those are told who were served last.

    Args:
        served: Gives the audiences that an attempt served, None for a subscription without one; called per attempt,
            because a listing serves fewer the further it has come.
    """
    last = dict.fromkeys(served())

    def told(tell: Callable[[PollAudience, bool], None]) -> None:
        nonlocal last
        audiences = last = dict.fromkeys(served()) or last
        for audience in audiences:
            if audience is not None:
                tell(audience, len(audiences) > 1)

    return Hooks(
        on_attempt=lambda record: told(lambda one, shared: one.attempt(record, shared=shared)),
        on_retry=lambda record: told(lambda one, shared: one.retry(record, shared=shared)),
        on_throttle=lambda record: told(lambda one, shared: one.throttle(record, shared=shared)),
    )
