"""A roll-out that is seen while it runs: spans and metrics to an OpenTelemetry collector, and metrics for Prometheus.

Run it as it is: `python examples/traced_service.py`. It brings its own simulator and needs no AWS account. Spans go to the
collector at OTEL_EXPORTER_OTLP_ENDPOINT, if that is set; what a Prometheus server would scrape is printed in the end. It
needs `pip install "workspaces-apps[otel,simulator]" opentelemetry-sdk opentelemetry-exporter-otlp-proto-http
opentelemetry-exporter-prometheus`.
"""

import asyncio
import os

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import generate_latest

from workspaces_apps import WorkSpacesClient
from workspaces_apps.rollout import Manifest, Rollout
from workspaces_apps.simulator import ScaledClock, Simulator

MANIFEST = Manifest.from_data(
    {
        "name": "office",
        "rules": [{"select": {"everything": True}, "present": ["Office LTSC Professional Plus 2021"]}],
        "policy": {"canary": 1, "deployment_timeout": "100h"},
    }
)
SHOWN = ("workspaces_apps_client_throttles", "workspaces_apps_rollout_changes")


def provide() -> tuple[TracerProvider, MeterProvider]:
    """Set up OpenTelemetry as an application does once, before it makes a client."""
    about = Resource.create({"service.name": "desktops"})
    tracing = TracerProvider(resource=about)
    if "OTEL_EXPORTER_OTLP_ENDPOINT" in os.environ:
        tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    metering = MeterProvider([PrometheusMetricReader()], resource=about)
    trace.set_tracer_provider(tracing)
    metrics.set_meter_provider(metering)
    return tracing, metering


async def roll_out() -> None:
    """Roll an application out in a simulator in which a quarter of an hour passes in a second."""
    async with (
        Simulator(workspaces=0, clock=ScaledClock(900)) as sim,
        WorkSpacesClient(
            region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, clock=sim.clock
        ) as client,
    ):
        sim.fleet.add_workspaces(12)
        rollout = Rollout(client)
        # A span of the application's own: what belongs to it is below it, in the same trace.
        with trace.get_tracer("desktops").start_as_current_span("nightly roll-out"):
            plan = await rollout.plan(MANIFEST)
            async with rollout.apply(plan) as run:
                print(f"{(await run.finished()).ending}: every call, wave and WorkSpace is a span")


def main() -> None:
    """Roll out, hand over what was recorded, and show some of it."""
    tracing, metering = provide()
    asyncio.run(roll_out())
    for line in generate_latest().decode().splitlines():
        if line.startswith(SHOWN):
            print(line)
    metering.shutdown()
    tracing.shutdown()


if __name__ == "__main__":
    main()
