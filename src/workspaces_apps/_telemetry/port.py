"""The port through which calls, polls, waits and roll-outs are reported; without OpenTelemetry nothing is behind it.

Everything here costs some tenths of a microsecond while there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from contextlib import AbstractContextManager

    from workspaces_apps._base.hooks import Outcome, RetryRecord, ThrottleRecord
    from workspaces_apps._telemetry.metrics import MetricName

Attributes: TypeAlias = Mapping[str, str | int | float | bool]
"""Attributes of a span, an event or a measurement, by OpenTelemetry's rules for their names."""


class TraceSpan(Protocol):
    """A span that has begun; `end` it exactly once."""

    def use(self) -> AbstractContextManager[object]:
        """Make it the current span of a block, and so the parent of what begins there; it does not end with the block."""
        ...

    def set(self, attributes: Attributes) -> None:
        """Set attributes, known only by now."""
        ...

    def fail(self, reason: str, message: str) -> None:
        """Mark it as failed although nothing is raised; `reason` is a word of few."""
        ...

    def end(self, error: BaseException | None = None) -> None:
        """End it, as failed where there is an error; a cancellation is none."""
        ...


class CallTrace(Protocol):
    """A logical call as the steps below it report to it. None of them fails because a report does."""

    def goes_to(self, endpoint: str, region: str) -> None:
        """Note where the call goes, once that is resolved."""
        ...

    def queued(self) -> AbstractContextManager[object]:
        """Time a block that waits for the rate limiter."""
        ...

    def attempt(self) -> AbstractContextManager[object]:
        """Make a span of a block that sends one request, unless somebody else's instrumentation does."""
        ...

    def on_attempt(
        self, operation: str, number: int, outcome: Outcome, request_id: str | None, status: int | None, /
    ) -> None:
        """Note how an attempt ended; no record of it, because one would be made for each call."""
        ...

    def on_retry(self, record: RetryRecord, /) -> None:
        """Note that a retry will be waited for."""
        ...

    def on_throttle(self, record: ThrottleRecord, /) -> None:
        """Note that the service refused the rate."""
        ...


class Gauges(Protocol):
    """An object whose present values are read whenever metrics are collected. It may be forgotten at any time."""

    def gauges(self) -> Iterable[tuple[MetricName, float, Attributes]]:
        """Return the values of this moment."""
        ...


class Telemetry(Protocol):
    """The spans and metrics of a process."""

    def call(self, operation: str) -> AbstractContextManager[CallTrace]:
        """Make a block a logical call of an API operation, whose steps are reported to what the block is given."""
        ...

    def begin(self, name: str, attributes: Attributes) -> TraceSpan:
        """Begin a span under the current one."""
        ...

    def measure(self, metric: MetricName, amount: float, attributes: Attributes) -> None:
        """Add to a counter, or record a value of a histogram."""
        ...

    def watch(self, source: Gauges) -> None:
        """Read these gauges with every collection, for as long as the object lives."""
        ...


def load(*, enabled: bool) -> Telemetry | None:
    """Return the telemetry of this process; None where it is switched off or OpenTelemetry is not installed.

    Args:
        enabled: `ClientConfig.telemetry`.
    """
    return of_process() if enabled else None


@cache
def of_process() -> Telemetry | None:
    """Return the telemetry of this process, by the providers that are set for it; None without OpenTelemetry."""
    # The names below `opentelemetry` are of several distributions: the API is there if these two are.
    try:
        found = (
            find_spec("opentelemetry.trace") is not None and find_spec("opentelemetry.metrics") is not None
        )
    except ModuleNotFoundError:
        found = False
    if not found:
        return None
    from workspaces_apps._telemetry.adapter import OpenTelemetry

    return OpenTelemetry()


SERVED: Final[ContextVar[object]] = ContextVar("workspaces_apps_served", default=None)
"""The context of the span of a wait, a job or a WorkSpace of a roll-out, for the polls that serve it to link to.

No argument: between the block of the span and the subscriptions made in it lie the reconciler and what a user writes, as
they do for OpenTelemetry's own current span.
"""


@dataclass(frozen=True, slots=True)
class Poll:
    """The poll that this code makes.

    Attributes:
        resources: How many WorkSpaces, images or directories it is for.
        links: Returns the contexts of the spans that it serves, as `SERVED` had them.
    """

    resources: int
    links: Callable[[], Iterable[object]]


CURRENT_POLL: Final[ContextVar[Poll | None]] = ContextVar("workspaces_apps_poll", default=None)
"""The poll whose calls are made here; None for work, which is what is no poll.

No argument: polls call the operations that users call, by the same generated methods.
"""


_NOTHING: Final = nullcontext()


class _Off:
    """The span of nobody."""

    def use(self) -> AbstractContextManager[object]:
        return _NOTHING

    def set(self, attributes: Attributes) -> None:
        pass

    def fail(self, reason: str, message: str) -> None:
        pass

    def end(self, error: BaseException | None = None) -> None:
        pass


_OFF: Final = _Off()


def begin(telemetry: Telemetry | None, name: str, attributes: Attributes) -> TraceSpan:
    """Begin a span that somebody else ends; nobody's where there is no telemetry."""
    return _OFF if telemetry is None else telemetry.begin(name, attributes)


@contextmanager
def span(telemetry: Telemetry | None, name: str, attributes: Attributes) -> Generator[TraceSpan]:
    """Make a block a span, current in it, and ended with it."""
    found = begin(telemetry, name, attributes)
    try:
        with found.use():
            yield found
    except BaseException as error:
        found.end(error)
        raise
    found.end()
