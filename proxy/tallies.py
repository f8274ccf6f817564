"""
Counters and histograms that a request adds to for the price of an addition.

prometheus_client's own take a lock for each; these belong to the event loop's thread alone, and become its
metric families when somebody scrapes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class Tally(Collector):
    """A counter by labels."""

    kind = "counter"

    def __init__(
        self, name: str, what: str, labels: Sequence[str], registry: CollectorRegistry
    ) -> None:
        self.name = name
        self.what = what
        self.labels = tuple(labels)
        self.counts: defaultdict[tuple[str, ...], float] = defaultdict(float)
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """The family without its samples."""
        return [CounterMetricFamily(self.name, self.what, labels=self.labels)]

    def collect(self) -> Iterable[Metric]:
        """The family as it stands."""
        family = CounterMetricFamily(self.name, self.what, labels=self.labels)
        for labels, count in self.counts.items():
            family.add_metric(labels, count)
        return [family]


class Timings(Collector):
    """A histogram of seconds."""

    kind = "histogram"
    labels: tuple[str, ...] = ()

    def __init__(
        self, name: str, what: str, bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self.name = name
        self.what = what
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, seconds: float) -> None:
        """Add one."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def describe(self) -> Iterable[Metric]:
        """The family without its samples."""
        return [HistogramMetricFamily(self.name, self.what)]

    def collect(self) -> Iterable[Metric]:
        """The family as it stands."""
        family = HistogramMetricFamily(self.name, self.what)
        total, buckets = 0, []
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound == float("inf") else repr(float(bound)), total))
        family.add_metric((), buckets, self._sum)
        return [family]
