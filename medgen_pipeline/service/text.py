"""Arrow columns as text: JSON objects and lines of CSV, column by column instead of row by row.

What a value looks like follows from its type, so any table can be written. Each distinct value of a
column becomes a word once, with what stands before it; rows are put together from words by compiled
code. Half the time of Arrow's own joining of strings, and a small part of that of a serialiser that
walks a dictionary for each row.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from medgen_pipeline.simulation.joining import Cell, joined
from medgen_pipeline.simulation.rows import Strings

AnyArray = Any  # of pyarrow, which has no types

SECOND_US: Final = 1_000_000
MINUTE_S: Final = 60
DAY_S: Final = 86_400
FEW: Final = 1_024  # numbers below this are looked up, as nearly all of ours can be
MOST_DAYS: Final = 20_000  # between the first and the last time of a batch, to look dates up
_PLAIN_JSON: Final = r'^[^"\\\x00-\x1f]*$'  # text that JSON takes as it is
_SPECIAL_CSV: Final = r'[",\r\n]'  # in text that CSV does not


@dataclass(frozen=True, slots=True)
class Style:
    """How a format writes what is more than a number."""

    words: Callable[[AnyArray], AnyArray]  # texts as they stand in it
    null: str
    quote: str  # around times and dates
    list_start: str
    list_between: str
    list_end: str


def json_rows(batch: pa.RecordBatch, end: str = "}") -> Strings:
    """Return each row of a batch as a JSON object; it may have lists of rows."""
    cells = [
        cell
        for place, (name, column) in enumerate(zip(batch.schema.names, batch.columns, strict=True))
        for cell in _member("," if place else "{", name, column)
    ]
    return joined([*cells, _same(end, len(batch))], len(batch))


def csv_rows(batch: pa.RecordBatch) -> Strings:
    """Return each row of a batch as a line of CSV, with its line break.

    A null is empty, a list is joined with semicolons.
    """
    cells = [
        cell
        for place, column in enumerate(batch.columns)
        for cell in _cells("," if place else "", column, CSV)
    ]
    return joined([*cells, _same("\r\n", len(batch))], len(batch))


def csv_header(names: list[str]) -> bytes:
    """Return the first line of a CSV file."""
    return (",".join(names) + "\r\n").encode()


def sliced(rows: Strings, start: int, stop: int) -> bytes:
    """Return some rows as one text."""
    return rows.data[rows.offsets[start] : rows.offsets[stop]].tobytes()


def _member(before: str, name: str, column: AnyArray) -> list[Cell]:
    before += orjson.dumps(name).decode() + ":"
    if pa.types.is_list(column.type) and pa.types.is_struct(column.type.value_type):
        return _list_of_rows(before, column)
    return _cells(before, column, JSON)


def _list_of_rows(before: str, column: AnyArray) -> list[Cell]:
    """Return what stands before each list, its rows, and what closes it."""
    rows = column.flatten()
    starts = _starts(column).to_numpy()
    is_empty = np.diff(starts) == 0
    is_first = np.zeros(len(rows), np.int32)
    is_first[starts[:-1][~is_empty]] = 1
    cells: list[Cell] = [(Strings.of(("},{", "{")), is_first)]
    for place, (field, values) in enumerate(zip(rows.type, rows.flatten(), strict=True)):
        cells += _member("," if place else "", field.name, values)
    texts = joined(cells, len(rows))
    lists = Strings(texts.offsets[starts], texts.data)
    closings = Strings.of(("}]", "]")), is_empty.astype(np.int32)
    count = len(column)
    return [_same(f"{before}[", count), (lists, np.arange(count, dtype=np.int32)), closings]


def _same(word: str, count: int) -> Cell:
    return Strings.of((word,)), np.zeros(count, np.int32)


def _starts(column: AnyArray) -> AnyArray:
    return pc.subtract(column.offsets, column.offsets[0])


def _cells(before: str, column: AnyArray, style: Style) -> list[Cell]:
    """Return the text of each value of a column after what stands before it, in a cell or more."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _times(before, column, style)
    if kind == pa.bool_():
        words = _bools(before, style.null)
        return [(words, _codes(column.cast(pa.uint8()), len(words) - 1))]
    if kind in _WHOLE_NUMBERS and not column.null_count:
        numbers = column.to_numpy()
        if not len(numbers) or numbers.max() < FEW:
            return [(_numbers(before), numbers)]
    if pa.types.is_dictionary(kind):
        words = _of_dictionary(before, column.dictionary, style)
        return [(words, _codes(column.indices, len(words) - 1))]
    return [_of_texts(before, _texts(column, style), style)]


_WHOLE_NUMBERS: Final = (pa.uint8(), pa.uint16(), pa.uint32())


_last: Final[dict[tuple[str, str], tuple[AnyArray, Strings]]] = {}


def _of_dictionary(before: str, dictionary: AnyArray, style: Style) -> Strings:
    """Return the words of a dictionary; most columns have the same one batch after batch."""
    known = _last.get((before, style.null))
    if known and known[0].equals(dictionary):
        return known[1]
    words = _words(before, style.words(dictionary), style)
    _last[before, style.null] = dictionary, words
    return words


def _of_texts(before: str, texts: AnyArray, style: Style) -> Cell:
    coded = texts.dictionary_encode()
    words = _words(before, coded.dictionary, style)
    return words, _codes(coded.indices, len(words) - 1)


def _words(before: str, texts: AnyArray, style: Style) -> Strings:
    """Return texts after what stands before them; the last one is that of a null."""
    with_null = pa.concat_arrays([texts, pa.array([style.null])])
    found = pc.binary_join_element_wise(before, with_null, "")
    offsets = np.frombuffer(found.buffers()[1], np.int32)[: len(found) + 1]
    return Strings(offsets, np.frombuffer(found.buffers()[2], np.uint8))


def _codes(codes: AnyArray, null: int) -> AnyArray:
    return (codes.fill_null(null) if codes.null_count else codes).to_numpy()


@functools.cache
def _bools(before: str, null: str) -> Strings:
    return Strings.of(before + word for word in ("false", "true", null))


@functools.cache
def _numbers(before: str) -> Strings:
    return Strings.of(f"{before}{number}" for number in range(FEW))


def _texts(column: AnyArray, style: Style) -> AnyArray:
    """Return values as they stand in the format; what is null stays so."""
    kind = column.type
    if pa.types.is_list(kind):
        return _lists(column, style)
    if pa.types.is_string(kind):
        return style.words(column)
    text = pc.cast(column, pa.string())
    if pa.types.is_date(kind):
        return pc.binary_join_element_wise(style.quote, text, style.quote, "")
    return text


def _lists(column: AnyArray, style: Style) -> AnyArray:
    lists = pa.ListArray.from_arrays(_starts(column), style.words(column.flatten()))
    text = pc.binary_join(lists, style.list_between)
    if style is CSV:
        return style.words(text)
    return pc.binary_join_element_wise(style.list_start, text, style.list_end, "")


def _times(before: str, column: AnyArray, style: Style) -> list[Cell]:
    """Return times as ISO 8601 with Z, in three cells where all are to the second."""
    microseconds = column.cast(pa.int64()).fill_null(0).to_numpy()
    seconds = microseconds // SECOND_US
    days = seconds // DAY_S
    first, last = (int(days.min()), int(days.max())) if len(days) else (0, 0)
    if last - first > MOST_DAYS or (seconds * SECOND_US != microseconds).any():
        return [_exact_times(before, column, style)]
    opening = before + style.quote
    dates = np.datetime_as_string(np.arange(first, last + 1).astype("datetime64[D]")).tolist()
    words = Strings.of([*(opening + date for date in dates), before + style.null])
    minutes, second = np.divmod(seconds - days * DAY_S, MINUTE_S)
    day = days - first
    if column.null_count:
        is_null = column.is_null().to_numpy(zero_copy_only=False)
        day[is_null], minutes[is_null], second[is_null] = len(dates), DAY_S // MINUTE_S, MINUTE_S
    return [(words, day), (_minutes(), minutes), (_seconds(style.quote), second)]


def _exact_times(before: str, column: AnyArray, style: Style) -> Cell:
    naive = column.cast(pa.int64()).cast(pa.timestamp("us")).cast(pa.string())
    text = pc.replace_substring(naive, " ", "T")
    text = pc.binary_join_element_wise(style.quote, text, "Z" + style.quote, "")
    return _of_texts(before, text, style)


@functools.cache
def _minutes() -> Strings:
    """Return `T00:00` and so on, by minute of the day, and nothing for a null."""
    minutes = [f"T{minute // 60:02}:{minute % 60:02}" for minute in range(DAY_S // MINUTE_S)]
    return Strings.of([*minutes, ""])


@functools.cache
def _seconds(closing: str) -> Strings:
    """Return `:00Z` and so on, by second of the minute, and nothing for a null."""
    return Strings.of([*(f":{second:02}Z{closing}" for second in range(MINUTE_S)), ""])


def _json_words(words: AnyArray) -> AnyArray:
    """Return texts in quotes, escaped where JSON wants it."""
    if pc.all(pc.match_substring_regex(words, _PLAIN_JSON), min_count=0).as_py():
        return pc.binary_join_element_wise('"', words, '"', "")
    return pa.array(
        [None if word is None else orjson.dumps(word).decode() for word in words.to_pylist()],
        pa.string(),
    )


def _csv_words(words: AnyArray) -> AnyArray:
    """Return texts, in quotes where a comma, a quote or a line break is in them."""
    is_special = pc.match_substring_regex(words, _SPECIAL_CSV)
    if not pc.any(is_special, min_count=0).as_py():
        return words
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(words, '"', '""'), '"', "")
    return pc.if_else(is_special, quoted, words)


JSON: Final = Style(_json_words, "null", '"', "[", ",", "]")
CSV: Final = Style(_csv_words, "", "", "", ";", "")
