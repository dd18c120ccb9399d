"""Tracers see every call: OpenTelemetry's instrumentation and the X-Ray SDK, alone and together."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Final, TypeAlias

import pytest
from aiobotocore.session import AioSession

from tests.http.conftest import Connect
from tests.http.server import REQUEST_ID, ScriptedServer, fault, ok
from tests.http.ways import WAYS, calls, posts
from workspaces_apps import Credentials, ResourceNotFoundException, WorkSpacesClient
from workspaces_apps.simulator import ManualClock, Simulator

__all__ = ["posts"]

TRACE_HEADER = "x-amzn-trace-id"


@contextmanager
def instrumented() -> Generator[Any]:
    """Instrument aiobotocore by OpenTelemetry; what is returned keeps the spans."""
    reason = "opentelemetry-instrumentation-botocore and opentelemetry-sdk are not installed"
    instrumentation: Any = pytest.importorskip("opentelemetry.instrumentation.botocore", reason=reason)
    export: Any = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter", reason=reason)
    trace: Any = pytest.importorskip("opentelemetry.sdk.trace", reason=reason)
    processor: Any = pytest.importorskip("opentelemetry.sdk.trace.export", reason=reason)
    exporter = export.InMemorySpanExporter()
    provider = trace.TracerProvider()
    provider.add_span_processor(processor.SimpleSpanProcessor(exporter))
    instrumentor = instrumentation.AiobotocoreInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        yield exporter
    finally:
        instrumentor.uninstrument()


@pytest.fixture
def spans() -> Iterator[Any]:
    """The spans of OpenTelemetry's instrumentation of aiobotocore."""
    with instrumented() as exporter:
        yield exporter


@contextmanager
def patched() -> Generator[Any]:
    """Patch aiobotocore by the X-Ray SDK, and send nothing to a daemon; what is returned begins a segment."""
    reason = "aws-xray-sdk is not installed"
    core: Any = pytest.importorskip("aws_xray_sdk.core", reason=reason)
    context: Any = pytest.importorskip("aws_xray_sdk.core.async_context", reason=reason)
    import aiobotocore.client
    import aiobotocore.endpoint

    patcher: Any = pytest.importorskip("aws_xray_sdk.ext.aiobotocore", reason=reason)
    recorder = core.xray_recorder
    # The one to the daemon, which is opened on import and would be left to the garbage collector.
    socket: Any = getattr(recorder.emitter, "_socket", None)
    if socket is not None:
        socket.close()

    class Silent:
        def send_entity(self, entity: object) -> None:
            """Send nothing."""

        def set_daemon_address(self, address: str) -> None:
            """There is none."""

    @asynccontextmanager
    async def in_segment(missing: str = "LOG_ERROR") -> AsyncGenerator[Any]:
        # Only inside the running loop: its context puts a task factory on it, and leaves it there.
        recorder.configure(
            sampling=False, context=context.AsyncContext(), emitter=Silent(), context_missing=missing
        )
        try:
            async with recorder.in_segment_async("test") as segment:
                yield segment
        finally:
            asyncio.get_running_loop().set_task_factory(None)

    # The SDK has no way back: what it wraps is put back by hand, before what was set up earlier is undone.
    with pytest.MonkeyPatch.context() as patch:
        client: Any = aiobotocore.client.AioBaseClient
        endpoint: Any = aiobotocore.endpoint.AioEndpoint
        patch.setattr(client, "_make_api_call", client._make_api_call)
        patch.setattr(endpoint, "prepare_request", endpoint.prepare_request)
        patch.delattr(aiobotocore.client, "_xray_enabled", raising=False)
        patcher.patch()
        yield in_segment
    # Not by `patch`, which would put back what the patcher has left.
    if hasattr(aiobotocore.client, "_xray_enabled"):
        delattr(aiobotocore.client, "_xray_enabled")


@pytest.fixture
def xray() -> Iterator[Any]:
    """The X-Ray SDK with aiobotocore patched."""
    with patched() as in_segment:
        yield in_segment


async def test_opentelemetry_sees_a_call(server: ScriptedServer, ws: WorkSpacesClient, spans: Any) -> None:
    """A span with operation, status and request id; its trace header is on the wire."""
    server.script(ok())

    await ws.describe_account()

    (span,) = spans.get_finished_spans()
    assert span.name == "WorkSpaces.DescribeAccount"
    assert span.attributes["aws.request_id"] == REQUEST_ID
    assert span.attributes["http.status_code"] == 200
    trace_id = f"{span.context.trace_id:032x}"
    assert f"Root=1-{trace_id[:8]}-{trace_id[8:]}" in server.requests[0].headers[TRACE_HEADER]


async def test_opentelemetry_sees_a_failure(server: ScriptedServer, ws: WorkSpacesClient, spans: Any) -> None:
    """The span of a refused call is an error, with status and request id."""
    server.script(fault("ResourceNotFoundException", "gone"))

    with pytest.raises(ResourceNotFoundException):
        await ws.describe_account()

    (span,) = spans.get_finished_spans()
    assert span.status.is_ok is False
    assert (span.attributes["http.status_code"], span.attributes["aws.request_id"]) == (400, REQUEST_ID)


async def test_xray_sees_a_call_and_a_failure(
    server: ScriptedServer, ws: WorkSpacesClient, xray: Any
) -> None:
    """A subsegment each, with operation, status and request id; its trace header is on the wire."""
    server.script(ok(), fault("ResourceNotFoundException", "gone"))

    async with xray() as segment:
        await ws.describe_account()
        with pytest.raises(ResourceNotFoundException):
            await ws.describe_account()

    fine, refused = segment.subsegments
    assert (fine.aws["operation"], fine.aws["request_id"]) == ("DescribeAccount", REQUEST_ID)
    assert (fine.http["response"]["status"], refused.http["response"]["status"]) == (200, 400)
    assert refused.aws["request_id"] == REQUEST_ID
    for request, subsegment in zip(server.requests, (fine, refused), strict=True):
        assert f"Parent={subsegment.id}" in request.headers[TRACE_HEADER]


async def test_xray_sees_a_throttle_as_one(server: ScriptedServer, ws: WorkSpacesClient, xray: Any) -> None:
    """Although its status is 400, which X-Ray takes for a fault of the caller's."""
    server.script(fault("ThrottlingException", "Rate exceeded"), ok())

    async with xray() as segment:
        await ws.describe_account()

    refused, fine = segment.subsegments
    assert (refused.throttle, getattr(fine, "throttle", False)) == (True, False)


async def test_both_together(server: ScriptedServer, ws: WorkSpacesClient, spans: Any, xray: Any) -> None:
    """Neither hides the call from the other."""
    server.script(ok())

    async with xray() as segment:
        await ws.describe_account()

    assert len(spans.get_finished_spans()) == len(segment.subsegments) == 1
    assert TRACE_HEADER in server.requests[0].headers


Operations: TypeAlias = Callable[[], list[str]]
"""Returns the operations that a tracer has seen, in order."""


@asynccontextmanager
async def by_opentelemetry() -> AsyncGenerator[Operations]:
    """Trace calls by OpenTelemetry."""
    with instrumented() as exporter:
        yield lambda: [one.name.rpartition(".")[2] for one in exporter.get_finished_spans()]


@asynccontextmanager
async def by_xray() -> AsyncGenerator[Operations]:
    """Trace calls by the X-Ray SDK."""
    with patched() as in_segment:
        async with in_segment() as segment:
            yield lambda: [one.aws["operation"] for one in segment.subsegments]


Tracer: TypeAlias = Callable[[], AbstractAsyncContextManager[Operations]]
TRACERS: Final[dict[str, Tracer]] = {"OpenTelemetry": by_opentelemetry, "X-Ray": by_xray}
EACH_TRACER = pytest.mark.parametrize("tracer", TRACERS.values(), ids=TRACERS)
EACH_WAY = pytest.mark.parametrize("make", WAYS.values(), ids=WAYS)


@EACH_TRACER
@EACH_WAY
async def test_a_tracer_that_was_there_first_sees_every_call(
    server: ScriptedServer, posts: list[bytes], make: Callable[[str], WorkSpacesClient], tracer: Tracer
) -> None:
    """Not the first call of an operation alone, which aiobotocore always makes."""
    server.respond(lambda _: ok())

    async with tracer() as seen, make(server.url) as ws:
        await calls(ws, 3)
        assert seen() == ["DescribeAccount"] * 3

    assert [TRACE_HEADER in request.headers for request in server.requests] == [True] * 3
    assert posts == []


@EACH_TRACER
@EACH_WAY
async def test_a_tracer_that_comes_while_the_client_is_in_use_sees_every_call_from_then_on(
    server: ScriptedServer, posts: list[bytes], make: Callable[[str], WorkSpacesClient], tracer: Tracer
) -> None:
    """Where calls took the fast path, they leave it, and are back on it when the tracer has gone."""
    server.respond(lambda _: ok())

    async with make(server.url) as ws:
        await calls(ws, 2)
        taken = len(posts)
        async with tracer() as seen:
            await calls(ws, 3)
            assert seen() == ["DescribeAccount"] * 3
        assert len(posts) == taken
        await calls(ws)

    assert [TRACE_HEADER in request.headers for request in server.requests] == [
        *[False] * 2,
        *[True] * 3,
        False,
    ]
    assert (taken, len(posts)) == ((1, 2) if make is WAYS["allowed"] else (0, 0))


class AskingProvider:
    """Credentials that a client of aiobotocore's is asked for, as STS is for those of a role."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    async def get_credentials(self) -> Credentials:
        """Call the server, and give credentials that do not depend on it."""
        # Its overloads name every service of AWS, each typed by a package of its own.
        session: Any = AioSession()
        async with session.create_client(
            "workspaces",
            region_name="eu-west-1",
            endpoint_url=self._server.url,
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="secret",
        ) as other:
            await other.describe_account()
        return Credentials("AKIDEXAMPLE", "secret")


@pytest.mark.parametrize("missing", ["LOG_ERROR", "RUNTIME_ERROR"])
async def test_opening_is_in_no_segment_and_misses_none(
    server: ScriptedServer, connect: Connect, xray: Any, caplog: pytest.LogCaptureFixture, missing: str
) -> None:
    """Requests that open a client are in no caller's trace, and X-Ray complains of nothing."""
    server.script(ok(), ok())
    caplog.set_level(logging.WARNING, "aws_xray_sdk")

    async with xray(missing) as segment:
        await connect(credentials=AskingProvider(server)).describe_account()

    assert len(server.requests) == 2
    assert [one.aws["operation"] for one in segment.subsegments] == ["DescribeAccount"]
    assert caplog.messages == []


@pytest.mark.parametrize("missing", ["LOG_ERROR", "RUNTIME_ERROR"])
async def test_polls_are_in_no_segment_and_miss_none(
    xray: Any, caplog: pytest.LogCaptureFixture, missing: str
) -> None:
    """Polls are for all who wait, and in no caller's trace; the reads and writes of the call itself are in it."""
    caplog.set_level(logging.WARNING, "aws_xray_sdk")
    clock = ManualClock(autojump=True)
    async with Simulator(workspaces=10, clock=clock) as sim:
        application = sim.fleet.application("Microsoft Office LTSC Professional Plus 2021")
        (workspace,) = sim.fleet.compatible(application)
        async with (
            WorkSpacesClient(
                region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, clock=clock
            ) as client,
            xray(missing) as segment,
        ):
            await client.install_applications(workspace, [application])

    assert sim.fleet.associations(workspace)[application] == "COMPLETED"
    asked = [one.aws["operation"] for one in segment.subsegments]
    assert asked.count("DeployWorkspaceApplications") == 1
    assert len(asked) < len(sim.requests)
    assert caplog.messages == []
