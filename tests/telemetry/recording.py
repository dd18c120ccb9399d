"""The spans and metrics of a test, as OpenTelemetry's SDK hands them to an exporter."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    Gauge,
    HistogramDataPoint,
    InMemoryMetricReader,
    MetricReader,
    NumberDataPoint,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from workspaces_apps._telemetry import port
from workspaces_apps._telemetry.adapter import OpenTelemetry


def _sums(reader: InMemoryMetricReader) -> tuple[dict[Sample, float], dict[Sample, float]]:
    """Return the sums of counters (of histograms the counts), and the values of gauges."""
    data = reader.get_metrics_data()
    sums: dict[Sample, float] = {}
    gauges: dict[Sample, float] = {}
    for resource in data.resource_metrics if data is not None else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    sample = Sample(metric.name, frozenset((point.attributes or {}).items()))
                    if isinstance(point, HistogramDataPoint):
                        sums[sample] = point.count
                        sums[Sample(f"{metric.name}.sum", sample.attributes)] = point.sum
                    elif isinstance(point, NumberDataPoint):
                        (gauges if isinstance(metric.data, Gauge) else sums)[sample] = point.value
    return sums, gauges


@dataclass(frozen=True, slots=True)
class Sample:
    """A metric with its attributes."""

    name: str
    attributes: frozenset[tuple[str, object]]

    def matches(self, name: str, wanted: Mapping[str, object]) -> bool:
        """Tell if it is of that name, with these attributes among its own."""
        return self.name == name and wanted.items() <= dict(self.attributes).items()


@dataclass(slots=True)
class Recording:
    """The spans and measurements recorded since it began.

    Attributes:
        provider: Makes the spans.
    """

    provider: TracerProvider
    _exporter: InMemorySpanExporter
    _reader: InMemoryMetricReader

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in the order of their beginnings."""
        return sorted(self._exporter.get_finished_spans(), key=lambda one: one.start_time or 0)

    def named(self, name: str) -> list[ReadableSpan]:
        """Return the spans of a name."""
        return [one for one in self.spans if one.name == name]

    def children(self, parent: ReadableSpan) -> list[ReadableSpan]:
        """Return the spans right below another."""
        return [one for one in self.spans if one.parent is not None and one.parent.span_id == id_of(parent)]

    def total(self, name: str, attributes: Mapping[str, object] | None = None) -> float:
        """Return how much a counter has grown, over all other attributes; of a histogram, the count."""
        now, _ = _sums(self._reader)
        return sum(value for sample, value in now.items() if sample.matches(name, attributes or {}))

    def gauge(self, name: str, attributes: Mapping[str, object] | None = None) -> list[float]:
        """Return the present values of a gauge."""
        _, gauges = _sums(self._reader)
        return [value for sample, value in gauges.items() if sample.matches(name, attributes or {})]

    def attribute_names(self) -> dict[str, set[str]]:
        """Return the names of the attributes that each metric was given."""
        sums, gauges = _sums(self._reader)
        found: dict[str, set[str]] = {}
        for sample in (*sums, *gauges):
            if not sample.name.endswith(".sum"):
                found.setdefault(sample.name, set()).update(name for name, _ in sample.attributes)
        return found


def id_of(span: ReadableSpan) -> int:
    """Return the id of a span."""
    found = span.get_span_context()
    assert found is not None
    return found.span_id


def attributes_of(span: ReadableSpan) -> dict[str, object]:
    """Return the attributes of a span."""
    return dict(span.attributes or {})


@contextmanager
def recording(*, sampler: Sampler = ALWAYS_ON, readers: Sequence[MetricReader] = ()) -> Generator[Recording]:
    """Record what clients do that are made in a block.

    Providers of its own take the place of the process's, which can be set only once.

    Args:
        sampler: Decides which spans are recorded.
        readers: Further readers of the metrics.
    """
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracing, metering = TracerProvider(sampler), MeterProvider([reader, *readers])
    tracing.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry = OpenTelemetry(tracing, metering)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(port, "of_process", lambda: telemetry)
        yield Recording(tracing, exporter, reader)
    metering.shutdown()
    tracing.shutdown()
