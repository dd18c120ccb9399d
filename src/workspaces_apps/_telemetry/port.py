"""Reports of calls, polls, waits and roll-outs: the user's hooks, the metrics, and the port to OpenTelemetry.

Without hooks or OpenTelemetry a report costs some tenths of a microsecond.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, TypeVar
from weakref import WeakSet

from workspaces_apps._base.logs import field_logger
from workspaces_apps._base.public import public
from workspaces_apps.errors import ConfigurationError, WorkSpacesError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from contextlib import AbstractContextManager


_log = field_logger("workspaces_apps.hooks")

Outcome: TypeAlias = Literal["success", "throttle", "transient", "in_progress", "fatal"]
"""The end of one attempt: success, or a failure of that kind."""

_Record = TypeVar("_Record")


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One attempt of a call, after it ended."""

    operation: str
    """The API operation."""
    attempt: int
    """Its number, from 1."""
    elapsed: float
    """Seconds from its beginning to its end, waiting for its turn included."""
    outcome: Outcome
    """``success``, or the kind of its failure."""
    error: WorkSpacesError | None = None
    """The error it failed with; None after a success."""
    request_id: str | None = None
    """The service's id of the answer, if one came."""
    http_status: int | None = None
    """The HTTP status of the answer, if one came."""


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRecord:
    """A retry that is about to be waited for."""

    operation: str
    """The API operation."""
    attempt: int
    """The number of the attempt that failed."""
    wait: float
    """Seconds until the next attempt begins."""
    cause: WorkSpacesError
    """The error of the attempt."""
    kind: Outcome
    """The kind of failure."""
    request_id: str | None = None
    """The service's id of the answer, if one came."""


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleRecord:
    """An answer by which the service refused the rate of calls."""

    operation: str
    """The API operation."""
    attempt: int
    """The number of the attempt that was refused."""
    rate: float | None = None
    """The rate learned for this operation, the refusal counted in, in calls a second; None if none is."""
    request_id: str | None = None
    """The service's id of the answer."""


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class PollRecord:
    """A poll that has ended: a read that waits, jobs and roll-outs share."""

    operation: str
    """The API operation."""
    resources: int
    """WorkSpaces, images or directories that it was for, those of others included; 1 or more."""
    elapsed: float
    """Seconds that it took, its attempts and backoff included."""
    error: WorkSpacesError | None = None
    """The error it failed with; None after a success."""


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRecord:
    """Credentials that were loaded or refreshed, or could not be."""

    elapsed: float
    """Seconds that it took."""
    error: WorkSpacesError | None = None
    """The error it failed with; None after a success."""


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Functions to be told of attempts, retries, throttles, polls and refreshes of credentials.

    They run on the event loop, between the steps of a call, so they must be quick. What they raise is logged
    and goes no further: watching a call must not change how it ends.

    Examples:
        >>> from workspaces_apps import ClientConfig, Hooks, RetryRecord
        >>> def on_retry(record: RetryRecord) -> None:
        ...     print(f"{record.operation}: attempt {record.attempt} failed, the next is in {record.wait:.1f} s")
        >>> config = ClientConfig(hooks=Hooks(on_retry=on_retry))
    """

    on_attempt: Callable[[AttemptRecord], None] | None = None
    """After every attempt."""
    on_retry: Callable[[RetryRecord], None] | None = None
    """Before the wait that a retry begins with."""
    on_throttle: Callable[[ThrottleRecord], None] | None = None
    """After every attempt that was throttled."""
    on_poll: Callable[[PollRecord], None] | None = None
    """After every poll that served a wait, a job or a roll-out of the view with these hooks."""
    on_refresh: Callable[[RefreshRecord], None] | None = None
    """After credentials were loaded or refreshed, or could not be: those of the client, so that the hooks of
    its `ClientConfig` are told, and not those of a view. What botocore refreshes by itself, it does not tell."""

    def __post_init__(self) -> None:
        """Refuse what could never be called between the steps of a call.

        Raises:
            ConfigurationError: A hook cannot be called, or is a coroutine function, which nobody would await.
        """
        for name in ("on_attempt", "on_retry", "on_throttle", "on_poll", "on_refresh"):
            hook: object = getattr(self, name)
            if hook is None:
                continue
            if not callable(hook):
                raise ConfigurationError(f"{name} must be a function, not {type(hook).__name__}")
            if inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(type(hook).__call__):
                raise ConfigurationError(
                    f"{name} must be a plain function: hooks are not awaited. An `async def` can be started from one"
                    " with asyncio.create_task()"
                )


def notify(hook: Callable[[_Record], None] | None, record: _Record) -> None:
    """Hand `record` to `hook`, if there is one; an exception of the hook's is logged."""
    if hook is None:
        return
    try:
        returned: object = hook(record)
        if inspect.iscoroutine(returned):
            returned.close()
            _log.warning("a hook gave a coroutine on %s: hooks are not awaited", type(record).__name__)
    except Exception:  # noqa: BLE001 - a hook is a stranger's code and may raise anything
        _log.exception("a hook raised on %s", type(record).__name__)


MetricName: TypeAlias = Literal[
    "rpc.client.call.duration",
    "workspaces_apps.client.attempts",
    "workspaces_apps.client.retries",
    "workspaces_apps.client.throttles",
    "workspaces_apps.client.queue.duration",
    "workspaces_apps.client.rate",
    "workspaces_apps.client.in_flight",
    "workspaces_apps.client.retry_budget",
    "workspaces_apps.client.credentials.refreshes",
    "workspaces_apps.client.polls",
    "workspaces_apps.client.poll.resources",
    "workspaces_apps.rollout.changes",
    "workspaces_apps.rollout.waiting",
    "workspaces_apps.rollout.journal.duration",
]
"""A metric of this package."""

Kind: TypeAlias = Literal["counter", "histogram", "gauge"]

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60)
"""Bounds of histograms of durations: the conventions' own, and two more, because a queue may be long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A row of the table.

    Attributes:
        kind: A counter that only grows, a histogram, or a gauge that is read when metrics are collected.
        unit: Its unit in UCUM, as the conventions want it.
        description: One sentence.
        attributes: The names of its attributes.
        bounds: The bounds of a histogram's buckets.
        merge: The value of a gauge of several clients with equal attributes: the sum or the least.
    """

    kind: Kind
    unit: str
    description: str
    attributes: tuple[str, ...]
    bounds: tuple[float, ...] = SECONDS
    merge: Literal["sum", "least"] = "sum"


_CALL: Final = ("rpc.method", "cloud.region")

METRICS: Final[dict[MetricName, Metric]] = {
    "rpc.client.call.duration": Metric(
        kind="histogram",
        unit="s",
        description="Duration of logical calls, with their queueing, attempts and backoff.",
        attributes=("rpc.system.name", *_CALL, "server.address", "server.port", "error.type"),
    ),
    "workspaces_apps.client.attempts": Metric(
        kind="counter",
        unit="{attempt}",
        description="Requests sent, by how they ended; `renewed` was sent again with other credentials or another date.",
        attributes=(*_CALL, "workspaces_apps.outcome"),
    ),
    "workspaces_apps.client.retries": Metric(
        kind="counter",
        unit="{retry}",
        description="Retries, by the kind of failure before.",
        attributes=(*_CALL, "workspaces_apps.outcome"),
    ),
    "workspaces_apps.client.throttles": Metric(
        kind="counter",
        unit="{throttle}",
        description="Attempts that the service refused for their rate.",
        attributes=_CALL,
    ),
    "workspaces_apps.client.queue.duration": Metric(
        kind="histogram",
        unit="s",
        description="Time of attempts in the rate limiter's queue; none for those whose turn came at once.",
        attributes=_CALL,
    ),
    "workspaces_apps.client.rate": Metric(
        kind="gauge",
        unit="{request}/s",
        description="The rate that the rate limiter sets; the least where accounts share a Region.",
        attributes=_CALL,
        merge="least",
    ),
    "workspaces_apps.client.in_flight": Metric(
        kind="gauge",
        unit="{request}",
        description="Requests under way.",
        attributes=_CALL,
    ),
    "workspaces_apps.client.retry_budget": Metric(
        kind="gauge",
        unit="{token}",
        description="Tokens left in the retry budget; the least of the process's clients.",
        attributes=(),
        merge="least",
    ),
    "workspaces_apps.client.credentials.refreshes": Metric(
        kind="counter",
        unit="{refresh}",
        description="Credentials loaded or refreshed, by outcome.",
        attributes=("workspaces_apps.outcome",),
    ),
    "workspaces_apps.client.polls": Metric(
        kind="counter",
        unit="{poll}",
        description="Calls that poll for waits, jobs and roll-outs.",
        attributes=_CALL,
    ),
    "workspaces_apps.client.poll.resources": Metric(
        kind="histogram",
        unit="{workspace}",
        description="WorkSpaces, images or directories that one poll is for.",
        attributes=_CALL,
        bounds=(1, 2, 5, 10, 25, 50, 100, 250, 1000),
    ),
    "workspaces_apps.rollout.changes": Metric(
        kind="counter",
        unit="{change}",
        description="Changes of roll-outs, by outcome.",
        attributes=("workspaces_apps.outcome", "workspaces_apps.reason"),
    ),
    "workspaces_apps.rollout.waiting": Metric(
        kind="gauge",
        unit="{workspace}",
        description="WorkSpaces of roll-outs that wait, by reason.",
        attributes=("workspaces_apps.reason",),
    ),
    "workspaces_apps.rollout.journal.duration": Metric(
        kind="histogram",
        unit="s",
        description="Duration of appends to the journal.",
        attributes=("workspaces_apps.durable",),
    ),
}
"""By name."""


class Count:
    """A sum that only grows, of one metric with one set of attributes; safe between threads."""

    __slots__ = ("_lock", "attributes", "value")

    def __init__(self, attributes: Attributes, lock: threading.Lock) -> None:
        self.attributes = attributes
        self.value: float = 0
        self._lock = lock

    def add(self, amount: float = 1) -> None:
        """Add to it."""
        with self._lock:
            self.value += amount


class ProcessCounters:
    """The counters of a process, since it began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[MetricName, dict[frozenset[tuple[str, object]], Count]] = {}

    def of(self, metric: MetricName, attributes: Attributes) -> Count:
        """Return the one count of a metric with these attributes."""
        key = frozenset(attributes.items())
        with self._lock:
            counts = self._counts.setdefault(metric, {})
            found = counts.get(key)
            if found is None:
                found = counts[key] = Count(dict(attributes), self._lock)
        return found

    def read(self, metric: MetricName) -> Iterable[tuple[float, Attributes]]:
        """Return what a metric has come to, for each set of attributes."""
        with self._lock:
            return [(one.value, one.attributes) for one in self._counts.get(metric, {}).values()]


class WatchedGauges:
    """The objects whose values are read; safe between threads, because collection has a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sources: WeakSet[Gauges] = WeakSet()

    def add(self, source: Gauges) -> None:
        """Read the object's values from now on, for as long as it lives."""
        with self._lock:
            self._sources.add(source)

    def read(self, name: MetricName) -> Iterable[tuple[float, Attributes]]:
        """Return the values of one gauge, one for each set of attributes, merged as its row says."""
        with self._lock:
            sources = list(self._sources)
        merged: dict[frozenset[tuple[str, object]], tuple[float, Attributes]] = {}
        least = METRICS[name].merge == "least"
        for source in sources:
            for metric, value, attributes in source.gauges():
                if metric == name:
                    key = frozenset(attributes.items())
                    before = merged[key][0] if key in merged else None
                    if before is not None:
                        value = min(before, value) if least else before + value
                    merged[key] = (value, attributes)
        return merged.values()


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
