"""Batches are written as people write them, and a slip is named."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.cli.options import BATCHES, LAST_BATCH


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("3", (3,)),
        ("0-3", (0, 1, 2, 3)),
        ("0,2,5-7", (0, 2, 5, 6, 7)),
        ("5-7,6,0", (0, 5, 6, 7)),
        ("0999", (999,)),
    ],
)
def test_numbers_and_ranges_are_read(text: str, numbers: tuple[int, ...]) -> None:
    assert BATCHES.convert(text, None, None) == numbers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no number or range"),
        ("a", "'a' is no number or range; write 0-9, 3 or 0,2,5-7"),
        ("1,,2", "'' is no number"),
        ("7-5", "counts down; write 5-7"),
        ("1000", "outside 0-999"),
        ("-1", "'-1' is no number"),
        ("3-", "'3-' is no number or range; write 0-9, 3 or 0,2,5-7"),
        ("0-1-2", "is no number or range"),
    ],
)
def test_a_slip_is_named(text: str, said: str) -> None:
    with pytest.raises(click.BadParameter, match=said):
        BATCHES.convert(text, None, None)


@given(st.sets(st.integers(0, LAST_BATCH), min_size=1))
def test_any_set_of_batches_can_be_written(numbers: set[int]) -> None:
    """However it is listed, what is read is the set in order."""
    text = ",".join(str(number) for number in numbers)
    assert BATCHES.convert(text, None, None) == tuple(sorted(numbers))
