"""The audience of polls: whoever subscribed hears of each attempt that served it, and if it served others too."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from workspaces_apps._base.hooks import Hooks, PollRecord, notify
from workspaces_apps._telemetry.port import CURRENT_POLL, Poll
from workspaces_apps.errors import WorkSpacesError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from workspaces_apps._base.clock import Clock
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

    def poll(self, record: PollRecord, *, shared: bool) -> None:
        """Hear of a poll after it ended."""
        ...


class Served(Protocol):
    """A subscription that a poll serves."""

    @property
    def audience(self) -> PollAudience | None:
        """The object that hears of it."""
        ...

    @property
    def span(self) -> object:
        """The context of the span of who waits; None without one."""
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

    def poll(self, record: PollRecord, *, shared: bool) -> None:  # noqa: ARG002
        """Call `on_poll`."""
        notify(self.hooks.on_poll, record)


@contextmanager
def polled(operation: str, resources: int, served: Iterable[Served], clock: Clock) -> Generator[None]:
    """Make a block a poll: its calls link to the spans of who waits, and the audiences hear how it ended.

    A poll that is cancelled, because nobody waits any more, is told to nobody.

    Args:
        operation: The API operation.
        resources: How many WorkSpaces, images or directories it is for.
        served: The subscriptions that it serves.
        clock: The time of the record.
    """
    feeds = tuple(served)
    token = CURRENT_POLL.set(Poll(resources, lambda: (one.span for one in feeds)))
    began, failure = clock.monotonic(), None
    try:
        yield
    except WorkSpacesError as error:
        failure = error
        raise
    except BaseException:
        feeds = ()
        raise
    finally:
        CURRENT_POLL.reset(token)
        audiences = dict.fromkeys(one.audience for one in feeds)
        elapsed = clock.monotonic() - began
        record = PollRecord(operation=operation, resources=resources, elapsed=elapsed, error=failure)
        for audience in audiences:
            if audience is not None:
                audience.poll(record, shared=len(audiences) > 1)


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
