"""Logical calls as spans, their attempts below them, and what becomes an event."""

import asyncio
from collections.abc import Iterator, Sequence
from contextvars import copy_context
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.instrumentation import botocore as instrumentation
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, StatusCode, TraceState, get_current_span
from opentelemetry.util.types import Attributes

from tests.http.conftest import Connect
from tests.http.server import REQUEST_ID, ScriptedServer, fault, ok
from tests.telemetry.recording import Recording, attributes_of, recording
from workspaces_apps import (
    DeadlineExceededError,
    Hooks,
    Pacing,
    ResourceNotFoundException,
    WorkSpacesClient,
)
from workspaces_apps._telemetry.port import load

NAME = "WorkSpaces/DescribeAccount"


async def test_a_call_is_a_span_with_its_attempt_below_it(
    server: ScriptedServer, ws: WorkSpacesClient, record: Recording
) -> None:
    """It follows the conventions for RPC and the AWS SDKs, with Region, endpoint, request id and number of attempts."""
    server.script(ok())

    await ws.describe_account()

    (call,) = record.named(NAME)
    (attempt,) = record.children(call)
    assert call.kind is attempt.kind is SpanKind.CLIENT
    assert (call.status.status_code, call.parent) == (StatusCode.UNSET, None)
    host, port = server.url.removeprefix("http://").split(":")
    place = {"cloud.region": "eu-west-1", "server.address": host, "server.port": int(port)}
    answer = {"aws.request_id": REQUEST_ID, "http.response.status_code": 200}
    assert attributes_of(call) == {
        "rpc.system.name": "aws-api",
        "rpc.method": NAME,
        "workspaces_apps.attempts": 1,
        **place,
        **answer,
    }
    assert attempt.name == "POST"
    assert attributes_of(attempt) == {
        "http.request.method": "POST",
        "url.full": f"{server.url}/",
        "server.address": host,
        "server.port": int(port),
        **answer,
    }


def test_a_call_that_is_abandoned_ends_its_span_in_whatever_context(
    record: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    """The event loop may close an abandoned iteration elsewhere: nothing is restored there, and nothing logged."""
    telemetry = load(enabled=True)
    assert telemetry is not None

    def abandoned() -> Iterator[None]:
        with telemetry.call("DescribeAccount"):
            yield

    call = abandoned()
    copy_context().run(next, call)
    del call

    assert len(record.named(NAME)) == 1
    assert caplog.records == []


async def test_retries_and_throttles_are_events_and_attempts_are_spans(
    server: ScriptedServer, ws: WorkSpacesClient, record: Recording
) -> None:
    """A call that was throttled, failed and then answered has two retries, one throttle and three attempts."""
    server.script(fault("ThrottlingException", "Rate exceeded"), fault("InternalFailure", status=500), ok())

    await ws.describe_account()

    (call,) = record.named(NAME)
    attempts = record.children(call)
    assert [attributes_of(one).get("http.request.resend_count") for one in attempts] == [None, 1, 2]
    assert [attributes_of(one).get("error.type") for one in attempts] == [
        "ThrottlingException",
        "InternalFailure",
        None,
    ]
    assert [event.name for event in call.events if event.name != "queued"] == ["throttle", "retry", "retry"]
    assert call.status.status_code is StatusCode.UNSET
    outcomes = {
        one: record.total("workspaces_apps.client.attempts", {"workspaces_apps.outcome": one})
        for one in ("success", "throttle", "transient")
    }
    assert outcomes == {"success": 1, "throttle": 1, "transient": 1}
    assert record.total("workspaces_apps.client.retries") == 2
    assert record.total("workspaces_apps.client.throttles") == 1
    assert record.total("rpc.client.call.duration") == 1


class Dropping(Sampler):
    """A sampler that drops all, and keeps the names that it was asked about."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Drop it."""
        self.names.append(name)
        return ALWAYS_OFF.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Name it."""
        return "Dropping"


async def test_a_dropped_call_has_no_spans_below_it_and_all_its_metrics(
    server: ScriptedServer, connect: Connect
) -> None:
    """The sampler is asked once for each call; hooks are told and metrics are counted as of a recorded one."""
    sampler, told = Dropping(), list[object]()
    hooks = Hooks(on_attempt=told.append, on_retry=told.append, on_throttle=told.append)
    with recording(sampler=sampler) as record:
        async with connect(hooks=hooks) as ws:
            server.script(fault("ThrottlingException", "Rate exceeded"), ok())
            await ws.describe_account()

        assert sampler.names == [NAME]
        assert record.spans == []
        assert record.total("workspaces_apps.client.attempts", {"workspaces_apps.outcome": "success"}) == 1
        assert record.total("workspaces_apps.client.attempts", {"workspaces_apps.outcome": "throttle"}) == 1
        assert record.total("workspaces_apps.client.retries") == 1
        assert record.total("workspaces_apps.client.throttles") == 1
        assert record.total("rpc.client.call.duration") == 1
    assert [type(one).__name__ for one in told] == [
        "AttemptRecord",
        "ThrottleRecord",
        "RetryRecord",
        "AttemptRecord",
    ]


async def test_prometheus_shows_what_a_reader_in_memory_does(
    server: ScriptedServer, connect: Connect
) -> None:
    """Counters that are read when metrics are collected have the same sums for each who reads them, more than once."""
    exporter: Any = pytest.importorskip(
        "opentelemetry.exporter.prometheus", reason="OpenTelemetry's exporters are not installed"
    )
    registry: Any = pytest.importorskip("prometheus_client").REGISTRY
    with recording(readers=[exporter.PrometheusMetricReader()]) as record:
        async with connect() as ws:
            for calls in (1, 2):
                server.script(fault("ThrottlingException", "Rate exceeded"), ok())
                await ws.describe_account()
                for name in ("attempts", "retries", "throttles"):
                    samples = [
                        sample
                        for family in registry.collect()
                        for sample in family.samples
                        if sample.name == f"workspaces_apps_client_{name}_total"
                    ]
                    total = record.total(f"workspaces_apps.client.{name}")
                    assert (
                        sum(sample.value for sample in samples) == total == calls * (1 + (name == "attempts"))
                    )
                    assert {sample.labels["rpc_method"] for sample in samples} == {NAME}


async def test_a_call_is_the_parent_of_what_begins_within_it_only_where_it_is_recorded(
    server: ScriptedServer, connect: Connect
) -> None:
    """A hook runs within the call's span; the code around the call has its own back afterwards."""
    seen: list[bool] = []
    hooks = Hooks(on_attempt=lambda _: seen.append(get_current_span().is_recording()))
    for sampler in (None, ALWAYS_OFF):
        with recording() if sampler is None else recording(sampler=sampler):
            async with connect(hooks=hooks) as ws:
                server.script(ok())
                await ws.describe_account()
        assert not get_current_span().is_recording()

    assert seen == [True, False]


async def test_a_refused_call_is_an_error_of_the_services_code(
    server: ScriptedServer, ws: WorkSpacesClient, record: Recording
) -> None:
    """With `error.type`, status code and words, on the call and on its attempt."""
    server.script(fault("ResourceNotFoundException", "gone"))

    with pytest.raises(ResourceNotFoundException):
        await ws.describe_account()

    for span in record.spans:
        assert span.status.status_code is StatusCode.ERROR
        assert attributes_of(span)["error.type"] == "ResourceNotFoundException"
        assert attributes_of(span)["aws.request_id"] == REQUEST_ID
    (call,) = record.named(NAME)
    assert attributes_of(call)["rpc.response.status_code"] == "ResourceNotFoundException"


async def test_a_call_cut_by_its_deadline_is_an_error(
    server: ScriptedServer, connect: Connect, record: Recording
) -> None:
    """The span ends with the call, and its type is that of the deadline, whatever failed before."""
    server.script(*[fault("ThrottlingException", "Rate exceeded")] * 9)

    with pytest.raises(DeadlineExceededError):
        await connect(timeout=0.2).describe_account()

    (call,) = record.named(NAME)
    assert call.status.status_code is StatusCode.ERROR
    assert attributes_of(call)["error.type"] == "DeadlineExceededError"


async def test_a_cancelled_call_is_no_error(ws: WorkSpacesClient, record: Recording) -> None:
    """Somebody did not want it any more: the span says so and has no status."""
    call = asyncio.ensure_future(ws.describe_account())
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    (span,) = record.named(NAME)
    assert span.status.status_code is StatusCode.UNSET
    assert attributes_of(span)["error.type"] == "CancelledError"


async def test_time_in_the_limiters_queue_is_an_event(
    server: ScriptedServer, connect: Connect, record: Recording
) -> None:
    """Each call that did not go at once tells for how long, in its span and in a histogram."""
    server.script(ok(), ok(), ok())
    client = connect(pacing=Pacing.fixed(5, burst=1))

    await asyncio.gather(*(client.describe_account() for _ in range(3)))

    waits = [event for call in record.named(NAME) for event in call.events if event.name == "queued"]
    assert len(waits) == 2
    assert all("workspaces_apps.queue.duration" in (event.attributes or {}) for event in waits)
    assert record.total("workspaces_apps.client.queue.duration") == 2
    assert record.gauge("workspaces_apps.client.rate", {"rpc.method": NAME}) == [5]


async def test_the_instrumentation_of_aiobotocore_takes_the_place_of_our_attempts(
    server: ScriptedServer, connect: Connect, record: Recording
) -> None:
    """Its spans are below the logical call, and there is none of ours."""
    instrumentor: Any = instrumentation.AiobotocoreInstrumentor()  # type: ignore[no-untyped-call]  # it has no annotations
    instrumentor.instrument(tracer_provider=record.provider)
    try:
        server.script(fault("ThrottlingException", "Rate exceeded"), ok())
        await connect().describe_account()
    finally:
        instrumentor.uninstrument()

    (call,) = record.named(NAME)
    assert [one.name for one in record.children(call)] == ["WorkSpaces.DescribeAccount"] * 2
    assert len(record.spans) == 3


async def test_it_can_be_switched_off(server: ScriptedServer, connect: Connect, record: Recording) -> None:
    """`telemetry=False`: neither spans nor metrics."""
    server.script(ok())

    await connect(telemetry=False).describe_account()

    assert record.spans == []
    assert record.total("rpc.client.call.duration") == 0
