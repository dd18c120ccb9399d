"""The table of metrics by OpenTelemetry's conventions, and the values of those that are read when they are collected.

No attribute is an id: each has a bounded number of values. Counters are kept here, because a measurement of the SDK's
costs 20 µs and one of these 0.3; gauges are read from whoever has them, whom nothing here keeps alive.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workspaces_apps._telemetry.port import Attributes, Gauges

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
