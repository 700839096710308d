"""Figures for the UI."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.defs.metadata import hourly, percent

ROWS = st.dictionaries(
    st.tuples(st.sampled_from(["north", "south"]), st.integers(0, 99)),
    st.integers(0, 1_000),
    max_size=40,
)


@given(ROWS, st.integers(1, 50))
def test_hourly_series_have_no_gaps_and_lose_nothing(
    rows: dict[tuple[str, int], int], replicates: int
) -> None:
    """Each name has a value for each hour, 0 where there was no row, as a mean over replicates."""
    series = hourly(((name, hour, n) for (name, hour), n in rows.items()), replicates)
    assert set(series.values) == {name for name, _ in rows}
    assert len(series.hours) == 1 + max((hour for _, hour in rows), default=-1)
    for name, values in series.values.items():
        total = sum(number for (each, _), number in rows.items() if each == name)
        assert len(values) == len(series.hours)
        assert values.sum() * replicates == pytest.approx(total)


@pytest.mark.parametrize(("part", "whole", "shown"), [(1, 3, 33.333), (0, 5, 0), (0, 0, 0)])
def test_percent(part: int, whole: int, shown: float) -> None:
    """Shares are in percent with three decimals, and nothing of nothing is 0."""
    assert percent(part, whole) == shown
