"""Names and labels keep to Prometheus's conventions, and the page is made of the definitions."""

import re
from pathlib import Path
from typing import Final

import pytest

from medgen_pipeline.metrics import definitions
from medgen_pipeline.metrics.definitions import LABELS, METRICS, SECTIONS, Kind, Metric

ROOT: Final = Path(__file__).parents[2]
EACH: Final = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
# Prometheus adds these to every sample, and would rename ours; the last two are the formats' own.
TAKEN: Final = {"job", "instance", "le", "quantile"}
UNITS: Final = {"milliseconds", "ms", "minutes", "mb", "mib", "kilobytes", "percent"}


def test_the_page_is_up_to_date() -> None:
    """docs/metrics.md is what the definitions say today."""
    written = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert definitions.page() == written


def test_every_metric_is_in_one_section() -> None:
    named = [metric.name for section in SECTIONS for metric in section.metrics]
    stated = {v.name for v in vars(definitions).values() if isinstance(v, Metric)}
    assert len(named) == len(set(named))
    assert set(named) == stated


@EACH
def test_a_name_says_what_grows_and_in_which_unit(metric: Metric) -> None:
    """`_total` is for counters alone; units are base units."""
    assert re.fullmatch(r"medgen(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert not UNITS & set(metric.name.split("_"))
    assert not metric.name.endswith(("_count", "_sum", "_bucket", "_created"))


@EACH
def test_a_label_is_described_and_is_not_taken(metric: Metric) -> None:
    assert set(metric.labels) <= set(LABELS)
    assert not set(metric.labels) & TAKEN
    assert len(set(metric.labels)) == len(metric.labels)


@EACH
def test_buckets_rise_and_only_histograms_have_them(metric: Metric) -> None:
    assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
    assert list(metric.buckets) == sorted(set(metric.buckets))


@EACH
def test_help_and_blind_spot_are_sentences(metric: Metric) -> None:
    """A reference to another metric is to one that there is."""
    for said in (metric.help, metric.blind_spot):
        assert said.endswith(".")
    mentioned = set(re.findall(r"medgen_[a-z_]+", f"{metric.help} {metric.blind_spot}"))
    assert mentioned <= set(METRICS)


def test_every_label_that_is_described_is_used() -> None:
    used = {label for metric in METRICS.values() for label in metric.labels}
    assert set(LABELS) == used
