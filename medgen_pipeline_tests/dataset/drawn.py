"""Rows drawn by hypothesis, and what they say in plain Python, decoded the slow way."""

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from medgen_pipeline.dataset import schema
from medgen_pipeline.simulation.rows import Column, Dictionary, Lists, Rows, Strings
from medgen_pipeline_tests.dataset.sample import strings

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)

NUMBERS: Final[dict[pa.DataType, tuple[st.SearchStrategy[Any], type[np.generic]]]] = {
    schema.UINT8: (st.integers(0, 2**8 - 1), np.uint8),
    schema.UINT16: (st.integers(0, 2**16 - 1), np.uint16),
    schema.UINT32: (st.integers(0, 2**32 - 1), np.uint32),
    schema.INT64: (st.integers(-(2**63), 2**63 - 1), np.int64),
    schema.FLOAT: (st.floats(width=32, allow_nan=False), np.float32),
    schema.TIME: (st.integers(-(10**15), 10**16), np.int64),  # 1938 to 2286
    schema.DATE: (st.integers(-10_000, 100_000), np.int32),
}


@st.composite
def some_rows(draw: st.DrawFn, table: str, most: int = 6) -> Rows:
    """Return up to `most` rows with any values a column's type allows, nulls where they may be."""
    count = draw(st.integers(1, most))
    columns: dict[str, Column] = {}
    dictionaries: dict[str, Dictionary] = {}
    for column in schema.TABLES[table].columns[1:]:
        if column.is_coded and column.words is None:
            words = draw(st.lists(TEXT, min_size=1, max_size=4))
            forms: list[Dictionary] = [tuple(words), strings(words)]
            dictionaries[column.name] = draw(st.sampled_from(forms))
        columns[column.name] = draw(_values(column, count, dictionaries.get(column.name)))
    return Rows(table, columns, dictionaries)


def _values(
    column: schema.Column, count: int, words: Dictionary | None
) -> st.SearchStrategy[Column]:
    def many(one: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
        return st.lists(one, min_size=count, max_size=count)

    least = -1 if column.nullable else 0
    last = len(column.words or words or ()) - 1
    if column.type == schema.STRING:
        return many(TEXT).map(strings)
    if column.type == schema.CODES:
        return many(st.lists(st.integers(0, last), max_size=3)).map(_lists)
    if column.type == schema.CODED:
        return many(st.integers(least, last)).map(lambda codes: np.array(codes, np.int16))
    if column.type == schema.BOOL:
        return many(st.integers(least, 1)).map(lambda bools: np.array(bools, np.int8))
    one, dtype = NUMBERS[column.type]
    if column.nullable:
        one = one | st.just(np.nan)
    return many(one).map(lambda values: np.array(values, dtype))


def _lists(lists: list[list[int]]) -> Lists:
    offsets = np.cumsum([0, *map(len, lists)]).astype(np.int32)
    return Lists(offsets, np.array([code for codes in lists for code in codes], np.int16))


def decoded(rows: Rows, replicate: int) -> list[dict[str, Any]]:
    """Return rows as dicts of plain values, as any reader should give them."""
    table = schema.TABLES[rows.table]
    named = {
        column.name: _decoded_column(column, rows.columns[column.name], rows.dictionaries)
        for column in table.columns[1:]
    }
    return [
        {"replicate": replicate} | {name: values[row] for name, values in named.items()}
        for row in range(len(rows))
    ]


def _decoded_column(column: schema.Column, values: Column, words: Any) -> list[Any]:  # noqa: ANN401
    if isinstance(values, Strings):
        return _words(values)
    known = column.words or _words(words.get(column.name, ()))
    if isinstance(values, Lists):
        edges = values.offsets.tolist()
        return [
            [known[code] for code in values.codes[start:stop]]
            for start, stop in itertools.pairwise(edges)
        ]
    return [_decoded_value(column, value, known) for value in values.tolist()]


def _decoded_value(column: schema.Column, value: Any, words: Any) -> Any:  # noqa: ANN401
    if column.type == schema.CODED:
        return None if value < 0 else words[value]
    if column.type == schema.BOOL:
        return None if value < 0 else bool(value)
    if column.type == schema.TIME:
        return EPOCH + timedelta(microseconds=value)
    if column.type == schema.DATE:
        return date(1970, 1, 1) + timedelta(days=value)
    return None if column.nullable and np.isnan(value) else value


def _words(words: Dictionary) -> list[str]:
    if isinstance(words, tuple):
        return list(words)
    edges = words.offsets.tolist()
    return [words.data[start:stop].tobytes().decode() for start, stop in itertools.pairwise(edges)]
