"""Arrow columns as text: JSON objects and lines of CSV, column by column instead of row by row.

What a value looks like follows from its type, so any table can be written. The texts of a column
are made in one go, from a table of words where its values are few, and joined across columns in one
go, both in Arrow: several times as fast as a serialiser that walks a dictionary for each row.
"""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

AnyArray = Any  # of pyarrow, which has no types

SECOND_US: Final = 1_000_000
DAY_S: Final = 86_400
FEW: Final = (
    1_024  # numbers below this are looked up; nearly all of ours are, and the table is small
)
MOST_DAYS: Final = 20_000  # between the first and the last time of a batch, to look dates up
_PLAIN_JSON: Final = r'^[^"\\\x00-\x1f]*$'  # text that JSON takes as it is
_PLAIN_CSV: Final = re.compile(r'[^",\r\n]*')  # text that CSV takes as it is


@dataclass(frozen=True, slots=True)
class Style:
    """How a format writes what is more than a number."""

    words: Callable[[AnyArray], AnyArray]  # texts as they stand in it
    null: str
    quote: str  # around times
    list_start: str
    list_between: str
    list_end: str


def json_rows(batch: pa.RecordBatch, end: str = "}") -> AnyArray:
    """Return each row of a batch as a JSON object: an array of strings."""
    return _object(batch.schema.names, batch.columns, end)


def csv_rows(batch: pa.RecordBatch) -> AnyArray:
    """Return each row of a batch as a line of CSV, with its line break: an array of strings.

    A null is empty, a list is joined with semicolons.
    """
    pieces = [
        _pieces("," if place else "", column, CSV) for place, column in enumerate(batch.columns)
    ]
    return pc.binary_join_element_wise(*pieces, "\r\n", "")


def csv_header(names: list[str]) -> bytes:
    """Return the first line of a CSV file."""
    return (",".join(names) + "\r\n").encode()


def sliced(rows: AnyArray, start: int, stop: int) -> bytes:
    """Return some rows of an array of strings as one text."""
    offsets = np.frombuffer(rows.buffers()[1], np.int32)[rows.offset :]
    first, last = int(offsets[start]), int(offsets[stop])
    data: bytes = rows.buffers()[2].slice(first, last - first).to_pybytes()
    return data


def _object(names: list[str], columns: list[AnyArray], end: str = "}") -> AnyArray:
    pieces = [
        _pieces(f"{',' if place else '{'}{orjson.dumps(name).decode()}:", column, JSON)
        for place, (name, column) in enumerate(zip(names, columns, strict=True))
    ]
    return pc.binary_join_element_wise(*pieces, end, "")


def _pieces(prefix: str, column: AnyArray, style: Style) -> AnyArray:
    """Return the text of each value after a prefix; a null is written as the style has it."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        words = pc.binary_join_element_wise(prefix, style.words(column.dictionary), "")
        found = pc.take(words, column.indices)
    elif kind in _LOOKED_UP and (not len(column) or (pc.max(column).as_py() or 0) < FEW):
        found = pc.take(_numbers(prefix, kind == pa.bool_()), column.cast(pa.uint16()))
    else:
        found = pc.binary_join_element_wise(prefix, _texts(column, style), "")
    return pc.fill_null(found, prefix + style.null) if found.null_count else found


_LOOKED_UP: Final = (pa.bool_(), pa.uint8(), pa.uint16(), pa.uint32())


@functools.cache
def _numbers(prefix: str, is_bool: bool) -> AnyArray:  # noqa: FBT001  one of two tables
    words = ["false", "true"] if is_bool else [str(number) for number in range(FEW)]
    return pa.array([prefix + word for word in words])


def _texts(column: AnyArray, style: Style) -> AnyArray:
    """Return the texts of a column whose values are many; what is null stays so."""
    kind = column.type
    if pa.types.is_struct(kind):
        return _object([field.name for field in kind], column.flatten())
    if pa.types.is_list(kind):
        return _lists(column, style)
    if pa.types.is_string(kind):
        return style.words(column)
    if pa.types.is_date(kind):
        text = pc.cast(column, pa.string())
    elif pa.types.is_timestamp(kind):
        text = _times(column)
    else:
        return pc.cast(column, pa.string())
    return pc.binary_join_element_wise(style.quote, text, style.quote, "") if style.quote else text


def _lists(column: AnyArray, style: Style) -> AnyArray:
    offsets = pc.subtract(column.offsets, column.offsets[0])
    lists = pa.ListArray.from_arrays(offsets, _pieces("", column.flatten(), style))
    text = pc.binary_join(lists, style.list_between)
    if style is CSV:
        return style.words(text)
    return pc.binary_join_element_wise(style.list_start, text, style.list_end, "")


def _times(column: AnyArray) -> AnyArray:
    """Return times as ISO 8601 with Z, to the second where all are whole."""
    microseconds = column.cast(pa.int64()).fill_null(0).to_numpy()
    seconds = microseconds // SECOND_US
    days = seconds // DAY_S
    first, last = (int(days.min()), int(days.max())) if len(days) else (0, 0)
    if last - first > MOST_DAYS or (seconds * SECOND_US != microseconds).any():
        naive = column.cast(pa.int64()).cast(pa.timestamp("us"))
        text = pc.replace_substring(pc.cast(naive, pa.string()), " ", "T")
        return pc.binary_join_element_wise(text, "Z", "")
    dates = np.arange(first, last + 1).astype("datetime64[D]").astype("S10")
    letters = np.empty(len(seconds), np.dtype([("date", "S10"), ("T", "S1"), ("time", "S9")]))
    letters["date"] = dates[days - first]
    letters["T"] = b"T"
    letters["time"] = _times_of_day()[seconds - days * DAY_S]
    width = letters.dtype.itemsize
    offsets = np.arange(0, width * (len(letters) + 1), width, dtype=np.int32)
    buffers = [column.is_valid().buffers()[1], pa.py_buffer(offsets), pa.py_buffer(letters)]
    return pa.Array.from_buffers(pa.string(), len(letters), buffers)


@functools.cache
def _times_of_day() -> npt.NDArray[np.bytes_]:
    """Return `00:00:00Z` and so on, by second of the day."""
    seconds = np.arange(DAY_S).astype("datetime64[s]").astype("S19")
    return np.array([text[11:] + b"Z" for text in seconds.tolist()], "S9")


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
    if pc.any(pc.match_substring_regex(words, r'[",\r\n]'), min_count=0).as_py():
        return pa.array([_csv_quoted(word) for word in words.to_pylist()], pa.string())
    return words


def _csv_quoted(word: str | None) -> str | None:
    if word is None or _PLAIN_CSV.fullmatch(word):
        return word
    return '"' + word.replace('"', '""') + '"'


JSON: Final = Style(_json_words, "null", '"', "[", ",", "]")
CSV: Final = Style(_csv_words, "", "", "", ";", "")
