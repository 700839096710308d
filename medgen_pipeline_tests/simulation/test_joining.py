"""Rows put together by compiled code are the rows that Python would put together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medgen_pipeline.simulation.joining import CHUNK, joined
from medgen_pipeline.simulation.rows import Strings

WORDS = st.lists(st.text(max_size=3 * CHUNK), min_size=1, max_size=5)
ROWS = st.integers(0, 6)


def texts(strings: Strings) -> list[str]:
    bounds = zip(strings.offsets[:-1], strings.offsets[1:], strict=True)
    return [strings.data[first:last].tobytes().decode() for first, last in bounds]


@given(tables=st.lists(WORDS, min_size=1, max_size=5), rows=ROWS, data=st.data())
@settings(deadline=None)
def test_a_row_is_its_words_one_after_another(
    tables: list[list[str]], rows: int, data: st.DataObject
) -> None:
    """For words of any length and any script, empty ones too."""
    picks = [
        data.draw(st.lists(st.integers(0, len(words) - 1), min_size=rows, max_size=rows))
        for words in tables
    ]
    cells = [
        (Strings.of(words), np.array(picked, np.int64))
        for words, picked in zip(tables, picks, strict=True)
    ]
    expected = [
        "".join(words[picked[row]] for words, picked in zip(tables, picks, strict=True))
        for row in range(rows)
    ]
    assert texts(joined(cells, rows)) == expected


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_codes_of_any_width_and_words_that_are_part_of_others(dtype: type[np.integer]) -> None:
    """Words shared between cells count once; a slice of words begins where it begins."""
    many = Strings.of(str(number) for number in range(300))
    some = Strings(many.offsets[100:], many.data)
    codes = np.array([0, 199], dtype)
    assert texts(joined([(many, codes), (some, codes), (many, codes)], 2)) == [
        "01000",
        "199299199",
    ]
