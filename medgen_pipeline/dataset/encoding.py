"""Rows of the simulation as Arrow: codes become words, sentinels become nulls.

Vectorised, and built from buffers only: `pyarrow.array` and `pyarrow.compute` import pandas, which
costs 59 MB in a process that only writes. Numbers and times share memory with the rows they came
from. What cannot be encoded is a bug of the caller, so it raises ValueError, not DatasetError.

In the rows a code of -1, a NaN, or a -1 among the bools is a null; a date is int32 days and a time
int64 microseconds since 1970-01-01 UTC.
"""

import functools
from collections.abc import Mapping
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medgen_pipeline.dataset import schema
from medgen_pipeline.simulation import rows as simulated

AnyArray = npt.NDArray[Any]

# How the values of each Arrow type are held before they are encoded.
HELD_AS: Final[Mapping[pa.DataType, np.dtype[Any]]] = {
    schema.CODED: np.dtype(np.int32),
    schema.TIME: np.dtype(np.int64),
    schema.DATE: np.dtype(np.int32),
    schema.BOOL: np.dtype(np.int8),
    schema.FLOAT: np.dtype(np.float32),
    schema.INT64: np.dtype(np.int64),
    schema.UINT8: np.dtype(np.uint8),
    schema.UINT16: np.dtype(np.uint16),
    schema.UINT32: np.dtype(np.uint32),
}


def encode(rows: simulated.Rows, replicate: int) -> pa.RecordBatch:
    """Return rows as a record batch of their table's schema; the caller must not change them."""
    table = schema.table(rows.table)
    check_columns(table, rows)
    arrays = [
        column_array(column, rows.columns[column.name], rows.dictionaries.get(column.name))
        for column in table.columns[1:]
    ]
    replicates = np.full(len(rows), replicate, np.uint32)
    return pa.RecordBatch.from_arrays(
        [column_array(table.columns[0], replicates, None), *arrays],
        schema=schema.arrow_schema(table.name),
    )


def check_columns(table: schema.Table, rows: simulated.Rows) -> None:
    """Refuse rows that lack a column, bring one too many, or whose columns differ in length."""
    expected = {column.name for column in table.columns[1:]}
    if rows.columns.keys() != expected:
        missing = sorted(expected - rows.columns.keys())
        extra = sorted(rows.columns.keys() - expected)
        raise ValueError(f"rows of {table.name}: missing {missing}, unexpected {extra}")
    lengths = {name: len(values) for name, values in rows.columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of {table.name} differ in length: {lengths}")


def column_array(
    column: schema.Column, values: simulated.Column, words: simulated.Dictionary | None
) -> pa.Array:
    """Return one column as Arrow; `words` are those of a coded column with open words."""
    if isinstance(values, simulated.Strings):
        return string_array(values)
    if isinstance(values, simulated.Lists):
        return _list_array(column, values, words)
    if column.type == schema.CODED:
        return _coded_array(column, held(column, values), words)
    return _plain_array(column, held(column, values))


def held(column: schema.Column, values: AnyArray) -> AnyArray:
    """Return values in the type a column is held as; refuse a number that does not fit."""
    check_fit(column, values)
    return np.ascontiguousarray(values, HELD_AS[column.type])


def check_fit(column: schema.Column, values: AnyArray) -> None:
    """Refuse values that would change in the type a column is held as."""
    wanted = HELD_AS[column.type]
    if not len(values) or not np.issubdtype(wanted, np.integer) or values.dtype == np.bool_:
        return
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"{column.name} is {values.dtype}; must be whole numbers")
    if np.can_cast(values.dtype, wanted, "safe"):
        return
    info = np.iinfo(wanted)
    low, high = int(values.min()), int(values.max())
    if low < info.min or high > info.max:
        raise ValueError(f"{column.name} holds {low} to {high}; {wanted} ends at {info.max}")


def _plain_array(column: schema.Column, values: AnyArray) -> pa.Array:
    is_null = _nulls(column, values)
    data = np.packbits(values > 0, bitorder="little") if column.type == schema.BOOL else values
    return pa.Array.from_buffers(
        column.type, len(values), [_validity(is_null), pa.py_buffer(data)], _count(is_null)
    )


def _nulls(column: schema.Column, values: AnyArray) -> npt.NDArray[np.bool_] | None:
    """Return which values are null; None when none is."""
    if column.type == schema.FLOAT:
        is_null = np.isnan(values)
    elif column.type in (schema.BOOL, schema.CODED):
        is_null = values < 0
    else:
        return None
    if not is_null.any():
        return None
    if not column.nullable:
        raise ValueError(f"{column.name} holds {int(is_null.sum())} nulls; it must have none")
    return cast("npt.NDArray[np.bool_]", is_null)


def _validity(is_null: npt.NDArray[np.bool_] | None) -> pa.Buffer | None:
    return None if is_null is None else pa.py_buffer(np.packbits(~is_null, bitorder="little"))


def _count(is_null: npt.NDArray[np.bool_] | None) -> int:
    return 0 if is_null is None else int(np.count_nonzero(is_null))


def _coded_array(
    column: schema.Column, codes: npt.NDArray[np.int32], words: simulated.Dictionary | None
) -> pa.Array:
    if column.words is not None:
        _check_codes(column, codes, len(column.words))
        return _dictionary_array(column, codes, vocabulary_array(column.words))
    if words is None:
        raise ValueError(f"{column.name} has codes, but no dictionary came with the rows")
    _check_codes(column, codes, len(words))
    if isinstance(words, simulated.Vocabulary) and _uses_most(codes, len(words)):
        return _dictionary_array(column, codes, string_array(words))
    ranks, used = by_first_use(codes)
    return unified([_dictionary_array(column, ranks, string_array(taken(words, used)))])


def _dictionary_array(
    column: schema.Column, codes: npt.NDArray[np.int32], dictionary: pa.Array
) -> pa.Array:
    is_null = _nulls(column, codes)
    indices = pa.Array.from_buffers(
        pa.int32(), len(codes), [_validity(is_null), pa.py_buffer(codes)], _count(is_null)
    )
    return pa.DictionaryArray.from_arrays(indices, dictionary, safe=False)


def _check_codes(column: schema.Column, codes: AnyArray, words: int) -> None:
    if len(codes) and not -1 <= int(codes.min()) <= int(codes.max()) < words:
        raise ValueError(
            f"{column.name} holds codes {int(codes.min())} to {int(codes.max())}; "
            f"its dictionary has {words} words"
        )


def _uses_most(codes: npt.NDArray[np.int32], words: int) -> bool:
    """Return whether half of the words or more are used.

    Then none is left out: to pick 18,000 facilities of 18,184 for each row group took longer than
    everything else that is done to their column.
    """
    is_used = np.zeros(words + 1, np.bool_)
    is_used[codes] = True  # a null counts for the last one, which is no word
    return 2 * int(np.count_nonzero(is_used[:-1])) >= words


def by_first_use(
    codes: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return codes renumbered in the order of first use, and the old code of each new one.

    A code of -1 stays. The order depends on nothing but the rows, so neither on how they were cut
    nor on what else the dictionary holds.
    """
    if not len(codes):
        return codes, np.empty(0, np.int64)
    low, high = int(codes.min()), int(codes.max())
    shifted = codes - np.int32(low)
    first = np.full(high - low + 1, len(codes), np.int32)
    first[shifted[::-1]] = np.arange(len(codes) - 1, -1, -1, dtype=np.int32)  # the last one stays
    if low < 0:
        first[0] = len(codes)
    used = np.flatnonzero(first < len(codes))
    used = used[np.argsort(first[used])]
    ranks = np.full(len(first), -1, np.int32)
    ranks[used] = np.arange(len(used), dtype=np.int32)
    return ranks[shifted], used + low


def unified(arrays: list[pa.Array]) -> pa.Array:
    """Return dictionary arrays as one, each word once, in the order of first use."""
    return pa.concat_arrays([_no_words(), *arrays])


@functools.cache
def _no_words() -> pa.Array:
    """Return an empty dictionary array: beside it, Arrow merges dictionaries word by word."""
    empty = pa.py_buffer(b"")
    indices = pa.Array.from_buffers(pa.int32(), 0, [None, empty])
    return pa.DictionaryArray.from_arrays(indices, string_array(simulated.Strings.of(())))


@functools.cache
def vocabulary_array(words: tuple[str, ...]) -> pa.Array:
    """Return a closed vocabulary as Arrow, made once."""
    return string_array(simulated.Strings.of(words))


def taken(words: simulated.Dictionary, codes: AnyArray) -> simulated.Strings:
    """Return the words of some codes, in the order of the codes."""
    if isinstance(words, tuple):
        return simulated.Strings.of(tuple(words[code] for code in codes.tolist()))
    starts = words.offsets[codes].astype(np.int64)
    lengths = words.offsets[codes + 1] - starts
    offsets = np.zeros(len(codes) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    positions = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    return simulated.Strings(offsets, words.data[positions])


def string_array(strings: simulated.Strings) -> pa.Array:
    """Return strings as Arrow, sharing their memory."""
    offsets = pa.py_buffer(np.ascontiguousarray(strings.offsets, np.int32))
    data = pa.py_buffer(np.ascontiguousarray(strings.data, np.uint8))
    return pa.Array.from_buffers(pa.string(), len(strings), [None, offsets, data], 0)


def _list_array(
    column: schema.Column, lists: simulated.Lists, words: simulated.Dictionary | None
) -> pa.Array:
    if words is None:
        raise ValueError(f"{column.name} has codes, but no dictionary came with the rows")
    start, stop = int(lists.offsets[0]), int(lists.offsets[-1])
    codes = lists.codes[start:stop].astype(np.int32)
    _check_codes(column, codes, len(words))
    if len(codes) and int(codes.min()) < 0:
        raise ValueError(f"{column.name} holds a null within a list")
    offsets = pa.py_buffer(np.ascontiguousarray(lists.offsets - start, np.int32))
    ranks, used = by_first_use(codes)
    values = string_array(taken(taken(words, used), ranks))
    return pa.Array.from_buffers(column.type, len(lists), [None, offsets], 0, children=[values])
