"""Gauges that are read when metrics are collected: nothing is counted meanwhile, and nobody is kept alive."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import WeakSet

from workspaces_apps._telemetry.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workspaces_apps._telemetry.metrics import MetricName
    from workspaces_apps._telemetry.port import Attributes, Gauges


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
