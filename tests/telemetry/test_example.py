"""examples/traced_service.py, with a stub in the place of a collector, and processes without OpenTelemetry."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import receiving

EXAMPLE = Path(__file__).parents[2] / "examples" / "traced_service.py"

IMPORTS = """
import asyncio, sys
sys.modules.update(dict.fromkeys({hidden!r}))
from workspaces_apps import ClientConfig, WorkSpacesClient
from workspaces_apps.simulator import Simulator

async def main():
    async with Simulator(workspaces=1) as sim:
        async with WorkSpacesClient(
            region=sim.region, endpoint_url=sim.url, credentials=sim.credentials,
            config=ClientConfig(telemetry={telemetry}),
        ) as client:
            await client.describe_workspaces().collect()

asyncio.run(main())
found = [one for one, module in sys.modules.items() if one.startswith("opentelemetry.") and module is not None]
print(*found, "workspaces_apps._telemetry.adapter" in sys.modules)
"""


def test_the_example_exports_spans_and_shows_metrics() -> None:
    """A collector gets one trace of the whole roll-out, and what Prometheus scrapes has the changes."""
    pytest.importorskip(
        "opentelemetry.exporter.prometheus", reason="OpenTelemetry's exporters are not installed"
    )
    service: Any = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    with receiving() as (url, bodies):
        environment = {
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        }
        done = subprocess.run(
            [sys.executable, str(EXAMPLE)],
            capture_output=True,
            text=True,
            env=environment,
            timeout=300,
            check=False,
        )

    assert done.returncode == 0, done.stderr
    assert "complete: " in done.stdout
    assert "workspaces_apps_rollout_changes_total{" in done.stdout
    spans = [
        span
        for body in bodies
        for resource in service.ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    (root,) = [one for one in spans if one.name == "nightly roll-out"]
    names = {one.name for one in spans if one.trace_id == root.trace_id}
    assert {"workspaces_apps.rollout.apply", "workspaces_apps.rollout.wave", "POST"} <= names
    assert sum(one.name == "workspaces_apps.rollout.workspace" for one in spans) == 12


@pytest.mark.parametrize("hidden,telemetry", [((), False), (("opentelemetry",), True)])
def test_nothing_of_opentelemetry_is_imported_unasked(hidden: tuple[str, ...], telemetry: bool) -> None:
    """Not where telemetry is switched off, and not where the API is not installed."""
    script = IMPORTS.format(hidden=hidden, telemetry=telemetry)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.stdout.strip() == "False", done.stderr
