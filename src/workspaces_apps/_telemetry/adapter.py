"""OpenTelemetry behind the port: the one module that imports it, only where it is installed and not switched off.

Spans and measurements take real time, whatever the client's clock, because they stand among those of other libraries.
"""

from __future__ import annotations

import sys
import time
from asyncio import CancelledError
from contextlib import contextmanager, nullcontext, suppress
from functools import wraps
from typing import TYPE_CHECKING, Final, ParamSpec, Protocol, cast
from urllib.parse import urlsplit

from opentelemetry import context, metrics, trace
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from workspaces_apps._base import VERSION
from workspaces_apps._base.logs import field_logger, rpc_method
from workspaces_apps._telemetry.port import CURRENT_POLL, METRICS, SERVED, ProcessCounters, WatchedGauges
from workspaces_apps.errors import ServiceError, WorkSpacesError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from contextlib import AbstractContextManager
    from contextvars import Token
    from types import TracebackType

    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, Observation

    from workspaces_apps._telemetry.port import (
        Attributes,
        CallTrace,
        Count,
        Gauges,
        MetricName,
        Outcome,
        Poll,
        RetryRecord,
        ThrottleRecord,
    )

SCOPE: Final = "workspaces_apps"
"""The name of the instrumentation scope."""

SYSTEM: Final = "aws-api"
"""The `rpc.system.name` of calls of AWS services."""

MESSAGE_LIMIT: Final = 500
"""Characters at most of a span's status description, in which the service's words may stand."""

_NOTHING: Final = nullcontext()

_log = field_logger("workspaces_apps.telemetry")

_LABELS_AT_MOST: Final = 2048
"""Sets of labels that are kept: there are as many as operations and endpoints."""


P = ParamSpec("P")


def _harmless(report: Callable[P, None]) -> Callable[P, None]:
    """Log what a report raises: what it tells of has been done, and goes on."""

    @wraps(report)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            report(*args, **kwargs)
        except Exception:  # noqa: BLE001 - samplers, processors and readers are strangers' code and may raise anything
            _log.exception("OpenTelemetry raised in %s", report.__qualname__)

    return guarded


class Labels:
    """The attributes of the calls of one operation at one endpoint.

    Attributes:
        name: The name of the span, which is the method's.
        span: What the span of a call begins with.
        place: What is added once the endpoint is known.
        request: What the span of a request begins with.
        where: What most metrics have.
        call: What the metric of the call's duration has.
    """

    __slots__ = ("_attempts", "_counts", "call", "name", "place", "request", "span", "where")

    def __init__(
        self, counts: ProcessCounters, operation: str, endpoint: str | None, region: str | None
    ) -> None:
        self.name: str = rpc_method(operation)
        self.span: dict[str, str | int] = {"rpc.system.name": SYSTEM, "rpc.method": self.name}
        self.place: dict[str, str | int] = {}
        self.request: dict[str, str | int] = {"http.request.method": "POST"}
        if endpoint is not None and region is not None:
            parts = urlsplit(endpoint)
            server: dict[str, str | int] = {"server.address": parts.hostname or ""}
            if parts.port is not None:
                server["server.port"] = parts.port
            self.place = {"cloud.region": region, **server}
            self.request |= {"url.full": f"{endpoint.rstrip('/')}/", **server}
        self.where: dict[str, str | int] = {"rpc.method": self.name}
        if region is not None:
            self.where["cloud.region"] = region
        self.call: dict[str, str | int] = {**self.span, **self.place}
        self._counts = counts
        self._attempts: dict[str, Count] = {}

    def with_outcome(self, outcome: str) -> dict[str, str | int]:
        """Return `where` with an outcome, of which there are few."""
        return {**self.where, "workspaces_apps.outcome": outcome}

    def attempts(self, outcome: str) -> Count:
        """Return the count of attempts that ended so."""
        found = self._attempts.get(outcome)
        if found is None:
            found = self._counts.of("workspaces_apps.client.attempts", self.with_outcome(outcome))
            self._attempts[outcome] = found
        return found


class _Instrumentor(Protocol):
    """OpenTelemetry's instrumentation of aiobotocore, as far as it is asked."""

    @property
    def is_instrumented_by_opentelemetry(self) -> bool:
        """Tell if it makes spans."""
        ...


class _CreateObservable(Protocol):
    """A meter's way to make an asynchronous instrument."""

    def __call__(
        self,
        name: str,
        callbacks: Sequence[Callable[[CallbackOptions], Iterable[Observation]]],
        unit: str,
        description: str,
        /,
    ) -> object:
        """Make it."""
        ...


class OpenTelemetry:
    """The spans and metrics of this process.

    Attributes:
        tracer: Makes the spans.
        record_duration: Records the duration of a logical call.

    Args:
        tracer_provider: Makes the spans; None for the one that is set for the process, now or later.
        meter_provider: Collects the metrics; None as above.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self.tracer = trace.get_tracer(SCOPE, VERSION, tracer_provider)
        meter = metrics.get_meter(SCOPE, VERSION, meter_provider)
        self._gauges = WatchedGauges()
        self._counts = ProcessCounters()
        self._record: dict[MetricName, Callable[[float, Attributes], None]] = {}
        for name, metric in METRICS.items():
            about = name, metric.unit, metric.description
            if metric.kind == "histogram":
                self._record[name] = meter.create_histogram(
                    *about, explicit_bucket_boundaries_advisory=metric.bounds
                ).record
            elif metric.kind == "counter":
                _observe(meter.create_observable_counter, *about, self._counts.read)
            else:
                _observe(meter.create_observable_gauge, *about, self._gauges.read)
        self.record_duration = self._record["rpc.client.call.duration"]
        self._labels: dict[tuple[str, str | None, str | None], Labels] = {}

    def call(self, operation: str) -> AbstractContextManager[CallTrace]:
        """Make a block a logical call; its span is that of the enclosing code's child, or a poll's own."""
        return _CallSpan(self, operation)

    def begin(self, name: str, attributes: Attributes) -> _Span:
        """Begin a span under the current one."""
        span = _Span()
        span.start(self.tracer, name, attributes)
        return span

    @_harmless
    def measure(self, metric: MetricName, amount: float, attributes: Attributes) -> None:
        """Add to a counter, or record a value of a histogram."""
        record = self._record.get(metric)
        if record is None:
            self._counts.of(metric, attributes).add(amount)
        else:
            record(amount, attributes)

    def watch(self, source: Gauges) -> None:
        """Read these gauges with every collection, for as long as the object lives."""
        self._gauges.add(source)

    def labels(self, operation: str, endpoint: str | None, region: str | None) -> Labels:
        """Return the attributes of the calls of an operation, made once."""
        key = operation, endpoint, region
        found = self._labels.get(key)
        if found is None:
            found = Labels(self._counts, operation, endpoint, region)
            if len(self._labels) < _LABELS_AT_MOST:
                self._labels[key] = found
        return found


def _observe(
    create: _CreateObservable,
    name: MetricName,
    unit: str,
    description: str,
    read: Callable[[MetricName], Iterable[tuple[float, Attributes]]],
) -> None:
    """Make an instrument that is read when metrics are collected."""

    def observe(_: CallbackOptions) -> Iterable[Observation]:
        return [metrics.Observation(value, attributes) for value, attributes in read(name)]

    create(name, [observe], unit, description)


class _Span:
    """A span under way, as the port has it."""

    __slots__ = ("_span",)

    def __init__(self) -> None:
        self._span: trace.Span = trace.INVALID_SPAN

    @_harmless
    def start(self, tracer: trace.Tracer, name: str, attributes: Attributes) -> None:
        """Begin it, under the current one."""
        self._span = tracer.start_span(name, attributes=attributes)

    def use(self) -> AbstractContextManager[object]:
        """Make it current in a block, and what polls link to."""
        return self._use()

    @contextmanager
    def _use(self) -> Generator[None]:
        found = self._span.get_span_context()
        served = SERVED.set(found if found.is_valid else None)
        try:
            with trace.use_span(self._span, record_exception=False, set_status_on_exception=False):
                yield
        finally:
            SERVED.reset(served)

    @_harmless
    def set(self, attributes: Attributes) -> None:
        """Set attributes."""
        self._span.set_attributes(attributes)

    @_harmless
    def fail(self, reason: str, message: str) -> None:
        """Mark it as failed."""
        self._span.set_attribute("error.type", reason)
        self._span.set_status(Status(StatusCode.ERROR, message[:MESSAGE_LIMIT]))

    @_harmless
    def end(self, error: BaseException | None = None) -> None:
        """End it, as failed where there is an error."""
        if error is not None:
            _fail(self._span, error)
        self._span.end()


class _CallSpan:
    """A logical call, from entering to leaving its block.

    Everything here runs once for each call. A call whose span is dropped is spared all but the metrics, and one that is
    recorded hands the SDK its attributes in as few pieces as can be.
    """

    __slots__ = (
        "_answered_at",
        "_attempts",
        "_began",
        "_context",
        "_endpoint",
        "_labels",
        "_makes_attempts",
        "_operation",
        "_poll",
        "_recording",
        "_region",
        "_request_id",
        "_sent_at",
        "_span",
        "_status",
        "_telemetry",
        "_token",
        "_unreported",
    )

    def __init__(self, telemetry: OpenTelemetry, operation: str) -> None:
        self._telemetry = telemetry
        self._operation = operation
        self._endpoint: str | None = None
        self._region: str | None = None
        self._request_id: str | None = None
        self._status: int | None = None
        self._attempts = 0
        self._unreported = False
        self._sent_at: int | None = None
        self._labels = telemetry.labels(operation, None, None)
        self._poll: Poll | None = CURRENT_POLL.get()
        self._span: trace.Span = trace.INVALID_SPAN
        self._recording = self._makes_attempts = False
        self._token: Token[Context] | None = None

    def __enter__(self) -> CallTrace:
        self._begin()
        self._began = time.perf_counter()
        return self

    @_harmless
    def _begin(self) -> None:
        telemetry, labels, poll = self._telemetry, self._labels, self._poll
        links = None if poll is None else _links(poll.links())
        # Asked for once: the tracer, its sampler and the new context would each ask for it.
        around = context.get_current()
        span = telemetry.tracer.start_span(labels.name, around, SpanKind.CLIENT, labels.span, links)
        self._span = span
        recording = self._recording = span.is_recording()
        instrumented = _is_instrumented()
        # OpenTelemetry's own instrumentation makes spans of requests, where it is there.
        self._makes_attempts = recording and not instrumented
        # Where nothing below begins a span, one that is dropped need not be known as its parent.
        if recording or instrumented:
            self._context = trace.set_span_in_context(span, around)
            self._token = context.attach(self._context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_back: TracebackType | None
    ) -> None:
        elapsed = time.perf_counter() - self._began
        # Left in another context only if an event loop closes an abandoned iteration: there is nothing to restore.
        # `context.detach` would log that as an error.
        if self._token is not None:
            with suppress(ValueError):
                self._token.var.reset(self._token)
        self._measure(elapsed, error)
        self._end(error)

    @_harmless
    def _measure(self, elapsed: float, error: BaseException | None) -> None:
        if self._sent_at is not None:
            self._end_attempt()
        labels = self._labels
        if self._unreported:
            labels.attempts("cancelled").add()
        measured: Attributes = labels.call
        if error is not None:
            measured = {**measured, "error.type": error_type(error)}
        self._telemetry.record_duration(elapsed, measured)
        if self._poll is not None:
            self._telemetry.measure("workspaces_apps.client.polls", 1, labels.where)
            self._telemetry.measure(
                "workspaces_apps.client.poll.resources", self._poll.resources, labels.where
            )

    @_harmless
    def _end(self, error: BaseException | None) -> None:
        try:
            if self._recording:
                self._finish(error)
        finally:
            self._span.end()

    def goes_to(self, endpoint: str, region: str) -> None:
        """Note the endpoint and the Region."""
        self._endpoint, self._region = endpoint, region
        self._labels = self._telemetry.labels(self._operation, endpoint, region)

    def queued(self) -> AbstractContextManager[object]:
        """Time a wait for a turn."""
        return _Queued(self)

    @_harmless
    def left_queue(self, seconds: float) -> None:
        """Note a wait for a turn that has ended."""
        self._telemetry.measure("workspaces_apps.client.queue.duration", seconds, self._labels.where)
        if self._recording:
            self._span.add_event("queued", {"workspaces_apps.queue.duration": seconds})

    def attempt(self) -> AbstractContextManager[object]:
        """Count one request, and make a span of it unless the call's is dropped or somebody else makes one."""
        if self._unreported:
            # The request before was answered by a refusal of its signature, which is no attempt of its own.
            self._labels.attempts("renewed").add()
        self._unreported = True
        return _Attempt(self) if self._makes_attempts else _NOTHING

    def begin_attempt(self) -> None:
        """Begin the span of a request."""
        if self._sent_at is not None:
            self._end_attempt()
        self._sent_at = time.time_ns()

    def leave_attempt(self, error: BaseException | None) -> None:
        """Make the span of a request that failed; that of one that was answered waits for its status and id."""
        self._answered_at = time.time_ns()
        if error is not None:
            self._end_attempt(error)

    def on_attempt(
        self, operation: str, number: int, outcome: Outcome, request_id: str | None, status: int | None, /
    ) -> None:
        """Count it, and keep what the answer was known by."""
        self._request_id, self._status = request_id, status
        if self._sent_at is not None:
            self._end_attempt()
        labels = self._labels
        # Reads that settle an unknown outcome are attempts of theirs, below the call that they settle.
        if operation == self._operation:
            self._attempts = number
        else:
            labels = self._telemetry.labels(operation, self._endpoint, self._region)
        if self._unreported:
            self._unreported = False
            labels.attempts(outcome).add()

    @_harmless
    def on_retry(self, record: RetryRecord, /) -> None:
        """Count it, and make it an event."""
        self._telemetry.measure("workspaces_apps.client.retries", 1, self._labels.with_outcome(record.kind))
        if self._recording:
            self._span.add_event(
                "retry",
                {
                    "workspaces_apps.attempt": record.attempt,
                    "workspaces_apps.outcome": record.kind,
                    "workspaces_apps.retry.wait": record.wait,
                    "error.type": error_type(record.cause),
                    **_answer(record.request_id, None),
                },
            )

    @_harmless
    def on_throttle(self, record: ThrottleRecord, /) -> None:
        """Count it, and make it an event."""
        self._telemetry.measure("workspaces_apps.client.throttles", 1, self._labels.where)
        if self._recording:
            learned = {} if record.rate is None else {"workspaces_apps.rate": record.rate}
            self._span.add_event(
                "throttle",
                {"workspaces_apps.attempt": record.attempt, **learned, **_answer(record.request_id, None)},
            )

    @_harmless
    def _end_attempt(self, error: BaseException | None = None) -> None:
        """Make the span of the last request: only now, with all its attributes at once, which is a third cheaper."""
        sent_at, self._sent_at = self._sent_at, None
        if error is None:
            attributes = {**self._labels.request, **_answer(self._request_id, self._status)}
        elif isinstance(error, WorkSpacesError):
            attributes = {**self._labels.request, **_answer(error.request_id, error.http_status)}
        else:
            attributes = {**self._labels.request}
        if self._attempts:
            attributes["http.request.resend_count"] = self._attempts
        span = self._telemetry.tracer.start_span(
            "POST", self._context, SpanKind.CLIENT, attributes, None, sent_at
        )
        if error is not None:
            _fail(span, error)
        span.end(self._answered_at)

    def _finish(self, error: BaseException | None) -> None:
        span = self._span
        answer = _answer(self._request_id, self._status)
        span.set_attributes({**self._labels.place, "workspaces_apps.attempts": self._attempts, **answer})
        if error is not None:
            if isinstance(error, WorkSpacesError) and error.code is not None:
                span.set_attribute("rpc.response.status_code", error.code)
            _fail(span, error)


class _Queued:
    """The time of a call in the limiter's queue."""

    __slots__ = ("_began", "_call")

    def __init__(self, call: _CallSpan) -> None:
        self._call = call

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._call.left_queue(time.perf_counter() - self._began)


class _Attempt:
    """The span of one request."""

    __slots__ = ("_call",)

    def __init__(self, call: _CallSpan) -> None:
        self._call = call

    def __enter__(self) -> None:
        self._call.begin_attempt()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_back: TracebackType | None
    ) -> None:
        self._call.leave_attempt(error)


def _links(served: Iterable[object]) -> list[Link]:
    """Return a link to each span that a poll serves, once for all of its subscriptions."""
    return [
        Link(one) for one in {one.span_id: one for one in served if isinstance(one, SpanContext)}.values()
    ]


def error_type(error: BaseException) -> str:
    """Return the `error.type` of an error: the service's code, else the class."""
    code = error.code if isinstance(error, ServiceError) else None
    return code or type(error).__qualname__


def _fail(span: trace.Span, error: BaseException) -> None:
    span.set_attribute("error.type", error_type(error))
    if isinstance(error, CancelledError | GeneratorExit):
        # Somebody did not want it any more, which is no fault.
        return
    span.set_status(Status(StatusCode.ERROR, str(error)[:MESSAGE_LIMIT]))
    if not isinstance(error, WorkSpacesError):
        span.record_exception(error)


def _answer(request_id: str | None, status: int | None) -> dict[str, str | int]:
    """Return the attributes by which an answer is known, as far as one came."""
    found: dict[str, str | int] = {}
    if request_id is not None:
        found["aws.request_id"] = request_id
    if status is not None:
        found["http.response.status_code"] = status
    return found


def _is_instrumented() -> bool:
    """Tell if OpenTelemetry's instrumentation of aiobotocore makes a span of each request already."""
    module = sys.modules.get("opentelemetry.instrumentation.botocore")
    if module is None:
        return False
    make = cast("Callable[[], _Instrumentor] | None", getattr(module, "AiobotocoreInstrumentor", None))
    # There is one of it in a process, whoever makes it.
    return make is not None and make().is_instrumented_by_opentelemetry
