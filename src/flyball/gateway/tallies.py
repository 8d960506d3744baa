"""Counters of the hot path: a list of numbers that a scrape turns into families. Used from the event loop only, so without locks."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

Labels = tuple[str, ...]


class Distribution:
    """One histogram's numbers."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def cumulated(self) -> list[tuple[str, float]]:
        """(upper bound, observations up to it), as Prometheus wants them."""
        found, so_far = [], 0
        for bound, count in zip((*self._bounds, float("inf")), self.counts, strict=True):
            so_far += count
            found.append((floatToGoString(bound), float(so_far)))  # type: ignore[no-untyped-call]  # the library has no types here
        return found


class Distributions(Collector):
    """A histogram with labels."""

    def __init__(self, registry: CollectorRegistry, name: str, words: str, labels: Labels, bounds: Sequence[float]) -> None:
        self._describe: Callable[[], HistogramMetricFamily] = lambda: HistogramMetricFamily(name, words, labels=labels)
        self._bounds = bounds
        self._children: dict[Labels, Distribution] = {}
        registry.register(self)

    def of(self, labels: Labels) -> Distribution:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = Distribution(self._bounds)
        return child

    def keep(self, wanted: Callable[[Labels], bool]) -> None:
        """Drop every other series."""
        self._children = {labels: child for labels, child in self._children.items() if wanted(labels)}

    def collect(self) -> Iterable[Metric]:
        family = self._describe()
        for labels, child in self._children.items():
            family.add_metric(labels, child.cumulated(), child.total)
        return [family]


class Counts(Collector):
    """A counter with labels; the exposition appends `_total`."""

    def __init__(self, name: str, words: str, labels: Labels, registry: CollectorRegistry) -> None:
        self._describe: Callable[[], CounterMetricFamily] = lambda: CounterMetricFamily(name, words, labels=labels)
        self._values: dict[Labels, float] = {}
        registry.register(self)

    def add(self, n: float, labels: Labels) -> None:
        self._values[labels] = self._values.get(labels, 0.0) + n

    def keep(self, wanted: Callable[[Labels], bool]) -> None:
        """Drop every other series."""
        self._values = {labels: value for labels, value in self._values.items() if wanted(labels)}

    def collect(self) -> Iterable[Metric]:
        family = self._describe()
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        return [family]
