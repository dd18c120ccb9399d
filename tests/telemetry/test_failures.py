"""Telemetry that fails: samplers, processors and instruments that raise, of whom no call must know."""

from __future__ import annotations

import logging
from operator import attrgetter
from typing import TYPE_CHECKING, Literal

import pytest
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult

from tests.http.server import ScriptedServer, fault, ok
from tests.telemetry.recording import Recording, recording
from workspaces_apps import AccessDeniedException, Pacing, RetryPolicy
from workspaces_apps._telemetry import port
from workspaces_apps._telemetry.adapter import OpenTelemetry
from workspaces_apps.simulator import ManualClock

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from tests.http.conftest import Connect

Moment = Literal["start", "end", "start of a request", "end of a request"]
MOMENTS: tuple[Moment, ...] = ("start", "end", "start of a request", "end of a request")


class Failing(SpanProcessor):
    """A processor that raises at one moment of each span, or of those of requests."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self.raised = 0

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - the SDK gives it
        """Raise, if this is the moment."""
        self._at("start", span)

    def on_end(self, span: ReadableSpan) -> None:
        """Raise, if this is the moment."""
        self._at("end", span)

    def _at(self, moment: str, span: ReadableSpan) -> None:
        if self._moment == moment or (self._moment == f"{moment} of a request" and span.name == "POST"):
            self.raised += 1
            raise RuntimeError("a defect of the exporter")


@pytest.fixture(params=MOMENTS)
def failing(request: pytest.FixtureRequest, record: Recording) -> Failing:
    """A processor of the recording that raises."""
    processor = Failing(request.param)
    record.provider.add_span_processor(processor)
    return processor


async def test_a_write_keeps_its_result(
    server: ScriptedServer, connect: Connect, failing: Failing, caplog: pytest.LogCaptureFixture
) -> None:
    """It was carried out, once, and its id is told; the defect is in the log."""
    server.script(ok({"GroupId": "wsipg-123456789"}), ok({"GroupId": "wsipg-123456789"}))
    ws = connect()

    with caplog.at_level(logging.ERROR, "workspaces_apps.telemetry"):
        for _ in range(2):
            assert (await ws.create_ip_group(group_name="office")).group_id == "wsipg-123456789"

    assert failing.raised >= 2
    assert len(server.requests) == 2
    assert "OpenTelemetry raised" in caplog.text


@pytest.mark.usefixtures("failing")
async def test_a_call_that_fails_keeps_its_error(server: ScriptedServer, connect: Connect) -> None:
    """After a retry, too, and after a wait for its turn."""
    server.script(
        fault(None, status=503), fault("AccessDeniedException", "no"), fault("AccessDeniedException")
    )
    ws = connect(retry=RetryPolicy(max_attempts=2), pacing=Pacing.fixed(1.0))

    for _ in range(2):
        with pytest.raises(AccessDeniedException):
            await ws.describe_account()

    assert len(server.requests) == 3


@pytest.mark.usefixtures("failing")
async def test_a_listing_and_a_wait_keep_what_they_found(server: ScriptedServer, connect: Connect) -> None:
    """Their spans are others than those of calls, and guarded alike."""
    one = {"WorkspaceId": "ws-123456789", "State": "AVAILABLE"}
    server.respond(lambda _: ok({"Workspaces": [one]}))
    ws = connect(clock=ManualClock())

    assert len(await ws.describe_workspaces().collect()) == 1
    await ws.wait_until_available("ws-123456789")


@pytest.mark.parametrize(
    "status,code", [(503, None), (400, "ThrottlingException")], ids=["retry", "throttle"]
)
@pytest.mark.usefixtures("record")
async def test_a_span_that_takes_no_events_harms_nobody(
    server: ScriptedServer,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str | None,
) -> None:
    """A provider's own spans may raise too: the call is retried, and gives its result."""
    refused: list[str] = []

    def refuse(_: Span, name: str, *__: object, **___: object) -> None:
        refused.append(name)
        raise RuntimeError("a defect of the provider")

    monkeypatch.setattr(Span, "add_event", refuse)
    server.script(fault(code, status=status), ok())
    await connect(clock=ManualClock(autojump=True), retry=RetryPolicy(max_attempts=2)).describe_account()

    assert len(server.requests) == 2
    assert {"retry"} | ({"throttle"} if code else set()) <= set(refused)


async def test_a_sampler_that_raises_harms_nobody(server: ScriptedServer, connect: Connect) -> None:
    """Without a span the call is made all the same."""

    class Broken(Sampler):
        def should_sample(self, *_: object, **__: object) -> SamplingResult:
            raise RuntimeError("a defect of the sampler")

        def get_description(self) -> str:
            return "broken"

    server.respond(lambda _: ok())
    with recording(sampler=Broken()):
        await connect().describe_account()

    assert len(server.requests) == 1


def test_an_instrument_that_raises_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a measurement by itself nor the one at the end of a call, whose span ends too."""

    def broken(_: float, __: object) -> None:
        raise RuntimeError("a defect of the reader")

    with recording() as record:
        telemetry = port.of_process()
        assert isinstance(telemetry, OpenTelemetry)
        monkeypatch.setattr(telemetry, "record_duration", broken)
        records: dict[str, object] = attrgetter("_record")(telemetry)
        monkeypatch.setitem(records, "workspaces_apps.client.queue.duration", broken)
        telemetry.measure("workspaces_apps.client.queue.duration", 1.0, {})

        with telemetry.call("DescribeAccount"):
            pass

        assert [span.name for span in record.spans] == ["WorkSpaces/DescribeAccount"]
