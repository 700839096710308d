"""A statistic is its definition, and its interval grows with what makes it uncertain."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.validation import statistics
from medgen_pipeline.validation.statistics import Estimate, FloatArray, IntArray, estimate

VALUES = st.lists(st.integers(-1000, 1000), min_size=1, max_size=60)


def column(values: list[float] | FloatArray) -> FloatArray:
    return np.asarray(values, np.float64).reshape(-1, 1)


def each(count: int) -> IntArray:
    """Return blocks of one row."""
    return np.arange(count)


@given(VALUES, st.sampled_from([0.05, 0.5, 0.95]))
def test_a_quantile_is_the_value_that_its_share_lies_up_to(values: list[int], share: float) -> None:
    found = estimate(column(list(values)), each(len(values)), statistics.quantile(share))
    assert found.value == np.quantile(values, share, method="inverted_cdf")


@given(VALUES)
def test_moments_are_those_of_numpy(values: list[int]) -> None:
    squares = np.array([(1, value, value * value) for value in values], np.float64)
    found = estimate(squares, each(len(values)), statistics.deviation)
    assert found.value == pytest.approx(np.std(values), abs=1e-6)


@given(VALUES, st.integers(1, 7))
def test_the_value_does_not_depend_on_blocks(values: list[int], blocks: int) -> None:
    rows = np.array([(value, 1) for value in values], np.float64)
    found = estimate(rows, each(len(values)) % blocks, statistics.ratio)
    assert found.value == pytest.approx(np.mean(values), abs=1e-9)


def test_the_interval_of_a_share_is_that_of_the_binomial() -> None:
    """With a casualty a block: 1.96 standard errors either way, to a tenth."""
    hits = np.random.default_rng(1).random(2000) < 0.3
    rows = np.column_stack([hits, np.ones(2000)]).astype(np.float64)
    found = estimate(rows, each(2000), statistics.percent)
    share = hits.mean()
    expected = 2 * 1.96 * 100 * math.sqrt(share * (1 - share) / 2000)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(expected, rel=0.1)


def test_casualties_who_share_a_day_make_it_wider() -> None:
    """Ten alike in a block say no more than one: the interval is wider by the root of ten."""
    hits = np.repeat(np.random.default_rng(2).random(200) < 0.3, 10)
    rows = np.column_stack([hits, np.ones(2000)]).astype(np.float64)
    apart = estimate(rows, each(2000), statistics.percent)
    together = estimate(rows, each(2000) // 10, statistics.percent)
    assert width(together) / width(apart) == pytest.approx(math.sqrt(10), rel=0.2)


def width(found: Estimate) -> float:
    assert found.low is not None
    assert found.high is not None
    return found.high - found.low


def test_median_survival_counts_the_treated_until_they_were() -> None:
    """By hand: deaths at 10, 20, 30, one lost at 15; of two at risk at 20, half die: 3/4 * 1/2."""
    rows = np.array([(10, 1), (15, 0), (20, 1), (30, 1)], np.float64)
    found = estimate(rows, each(4), statistics.median_survival)
    assert found.value == 20


def test_there_is_no_median_survival_while_more_than_half_live() -> None:
    rows = np.array([(10, 1), (15, 0), (20, 0)], np.float64)
    assert estimate(rows, each(3), statistics.median_survival) == Estimate()


def test_nothing_to_measure_has_no_value() -> None:
    empty = np.empty((0, 2))
    assert estimate(empty, each(0), statistics.percent) == Estimate()
    assert estimate(np.zeros((3, 2)), each(3), statistics.percent) == Estimate()


def test_the_same_rows_have_the_same_interval() -> None:
    rows = np.random.default_rng(3).random((50, 2))
    first = estimate(rows, each(50), statistics.ratio)
    assert estimate(rows, each(50), statistics.ratio) == first
