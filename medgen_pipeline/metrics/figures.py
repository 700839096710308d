"""Values of metrics: what is counted, what is measured, and how both are kept as JSON."""

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from medgen_pipeline.metrics.definitions import METRICS, Kind, Metric

Labels = tuple[str, ...]  # values, in the order of the metric's labels

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many values of a histogram fell into each of its classes, and their sum."""

    counts: tuple[int, ...]  # of each class alone; the last has no upper bound
    total: float

    @classmethod
    def none(cls, metric: Metric) -> "Sizes":
        """Return what a histogram is before its first value."""
        return cls((0,) * (len(metric.buckets) + 1), 0.0)

    def with_one(self, bounds: tuple[float, ...], value: float) -> "Sizes":
        """Return it with one more value."""
        counts = list(self.counts)
        counts[bisect_left(bounds, value)] += 1
        return Sizes(tuple(counts), self.total + value)


class Figures:
    """Values by metric and labels. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[str, dict[Labels, float]] = {}
        self._sizes: dict[str, dict[Labels, Sizes]] = {}

    def add(self, metric: Metric, *labels: str, amount: float = 1.0) -> None:
        """Add to a counter, or to a gauge."""
        with self._lock:
            values = self._numbers.setdefault(metric.name, {})
            values[labels] = values.get(labels, 0.0) + amount

    def set(self, metric: Metric, *labels: str, value: float) -> None:
        """Replace a value."""
        with self._lock:
            self._numbers.setdefault(metric.name, {})[labels] = value

    def observe(self, metric: Metric, *labels: str, value: float) -> None:
        """Count a value into a histogram."""
        with self._lock:
            values = self._sizes.setdefault(metric.name, {})
            before = values.get(labels) or Sizes.none(metric)
            values[labels] = before.with_one(metric.buckets, value)

    def put(self, metric: Metric, *labels: str, sizes: Sizes) -> None:
        """Replace a histogram that was counted elsewhere, in the same classes."""
        with self._lock:
            self._sizes.setdefault(metric.name, {})[labels] = sizes

    def update(self, other: "Figures") -> None:
        """Take over the values of others."""
        numbers, sizes = other.snapshot()
        with self._lock:
            for name, values in numbers.items():
                self._numbers.setdefault(name, {}).update(values)
            for name, each in sizes.items():
                self._sizes.setdefault(name, {}).update(each)

    def snapshot(self) -> tuple[dict[str, dict[Labels, float]], dict[str, dict[Labels, Sizes]]]:
        """Return all values, as no other thread will change them."""
        with self._lock:
            return (
                {name: dict(values) for name, values in self._numbers.items()},
                {name: dict(values) for name, values in self._sizes.items()},
            )

    def numbers(self, metric: Metric) -> dict[Labels, float]:
        """Return the values of a counter or gauge."""
        with self._lock:
            return dict(self._numbers.get(metric.name, {}))

    def sizes(self, metric: Metric) -> dict[Labels, Sizes]:
        """Return the values of a histogram."""
        with self._lock:
            return dict(self._sizes.get(metric.name, {}))

    def number(self, metric: Metric, *labels: str) -> float:
        """Return one value, 0 when there is none."""
        return self.numbers(metric).get(labels, 0.0)

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        numbers, sizes = self.snapshot()
        return {
            "format": FORMAT,
            "numbers": {
                name: [[list(labels), value] for labels, value in values.items()]
                for name, values in numbers.items()
            },
            "sizes": {
                name: [[list(labels), each.counts, each.total] for labels, each in values.items()]
                for name, values in sizes.items()
            },
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Figures":
        """Return what `as_dict` was made of, without what has other labels or classes today."""
        figures = cls()
        for metric, (labels, value) in _known(found.get("numbers", {})):
            if metric.kind is not Kind.HISTOGRAM and len(labels) == len(metric.labels):
                figures.set(metric, *labels, value=float(value))
        for metric, (labels, counts, total) in _known(found.get("sizes", {})):
            fits = len(counts) == len(metric.buckets) + 1 and len(labels) == len(metric.labels)
            if metric.kind is Kind.HISTOGRAM and fits:
                figures.put(metric, *labels, sizes=Sizes(tuple(counts), float(total)))
        return figures


def _known(found: Mapping[str, Any]) -> Iterator[tuple[Metric, Any]]:
    """Yield the entries of metrics that there are today."""
    for name, entries in found.items():
        if name in METRICS:
            yield from ((METRICS[name], entry) for entry in entries)
