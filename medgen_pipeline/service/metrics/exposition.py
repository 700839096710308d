"""Figures as Prometheus reads them."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from medgen_pipeline.metrics.definitions import METRICS, Kind, Metric
from medgen_pipeline.metrics.figures import Figures


def exposed(figures: Sequence[Figures], accept: str) -> tuple[bytes, str]:
    """Return figures in the format that a scraper accepts, and its media type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Given(figures))
    encode, media_type = choose_encoder(accept)
    text: bytes = encode(registry)
    return text, media_type


class _Given(Collector):
    def __init__(self, figures: Sequence[Figures]) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Family]:
        """Return the families in the order of their definitions, those that have a value."""
        families = (_family(metric, self._figures) for metric in METRICS.values())
        return [family for family in families if family.samples]


def _family(metric: Metric, figures: Sequence[Figures]) -> Family:
    if metric.kind is Kind.HISTOGRAM:
        return _histogram(metric, figures)
    made = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family: CounterMetricFamily | GaugeMetricFamily = made(
        metric.name, metric.help, labels=metric.labels
    )
    for each in figures:
        for labels, value in each.numbers(metric).items():
            family.add_metric(labels, float(value))
    return family


def _histogram(metric: Metric, figures: Sequence[Figures]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for each in figures:
        for labels, sizes in each.sizes(metric).items():
            family.add_metric(labels, list(_classes(metric, sizes.counts)), sizes.total)
    return family


def _classes(metric: Metric, counts: Sequence[int]) -> Iterator[tuple[str, float]]:
    """Yield each upper bound, and how many values are not above it."""
    bounds = [*map(floatToGoString, metric.buckets), "+Inf"]
    yield from zip(bounds, map(float, accumulate(counts)), strict=True)
