import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.simulation.choices import Choices, choices

weights = st.dictionaries(
    st.integers(-5, 1000),
    st.one_of(st.just(0.0), st.floats(1e-6, 1e6)),
    min_size=1,
    max_size=20,
).filter(lambda row: any(row.values()))


def _shares(table: Choices, row: int) -> dict[int, float]:
    """Add up who owns how much of the unit interval."""
    start, end = table.starts[row], table.starts[row + 1]
    shares: dict[int, float] = {}
    for cell in range(start, end):
        for code, part in (
            (int(table.codes[cell]), table.kept[cell]),
            (int(table.others[cell]), 1 - table.kept[cell]),
        ):
            shares[code] = shares.get(code, 0.0) + part / (end - start)
    return shares


@given(st.lists(weights, min_size=1, max_size=4))
def test_every_option_owns_its_share_of_the_draws(rows: list[dict[int, float]]) -> None:
    """The cells of a row give each code its weight, and a code of weight 0 nothing."""
    table = choices(rows)
    for row, expected in enumerate(rows):
        total = sum(expected.values())
        shares = _shares(table, row)
        for code, weight in expected.items():
            assert shares.get(code, 0.0) == pytest.approx(weight / total, abs=1e-9)


def test_a_row_may_be_empty() -> None:
    """A row without options takes no cells and shifts none."""
    table = choices([{}, {7: 1.0}])
    assert table.starts.tolist() == [0, 0, 1]
    assert table.codes.tolist() == [7]
    assert table.kept.dtype == np.float64
