"""Narrow columns hold what the wide ones held."""

import pytest

from medgen_pipeline.generation.finished import COURSE
from medgen_pipeline.service.compact import compact, widened
from medgen_pipeline_tests.service.drawn import patients


@pytest.mark.parametrize("left_out", [(), COURSE])
def test_nothing_is_lost(left_out: tuple[str, ...]) -> None:
    """Made narrow and wide again, a batch is the same to the type of its last column."""
    batch = patients().drop_columns(list(left_out))
    again = widened(compact(batch))
    assert again.schema.equals(batch.schema)
    assert again.to_pylist() == batch.to_pylist()


def test_a_slice_is_its_own_rows() -> None:
    batch = patients().slice(17, 20)
    assert widened(compact(batch)).to_pylist() == batch.to_pylist()


def test_it_is_smaller() -> None:
    assert compact(patients()).nbytes < 0.6 * patients().nbytes
