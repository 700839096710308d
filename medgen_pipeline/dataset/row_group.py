"""Rows of one table, gathered until a row group is full.

Row groups hold a fixed number of rows, so a file does not depend on how its rows arrived. Rows are
copied in, once, as the simulation hands them out; they become Arrow when the group is full.
"""

from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.encoding import HELD_AS, check_fit, column_array, unified
from medgen_pipeline.simulation import rows as simulated

AnyArray = npt.NDArray[Any]

# Rows of a row group, a constant of the format. Measured with this many for each of the six tables:
# 44 MB above what the process held before; twice as many cost 76 MB, half as many 29 MB; neither
# changes the speed or the bytes by more than 5 %. Patients are three times as wide as the others.
# Timeline and treatments list thousands of facilities in each group: in larger ones, half as often.
ROWS: Final = 65_536
ROWS_OF: Final = {"patients": 32_768, "timeline": 131_072, "treatments": 131_072}


class RowGroup:
    """Rows of one table, at most `capacity`, in one piece of memory that is used again."""

    def __init__(self, table: schema.Table, capacity: int | None = None) -> None:
        self.table = table
        self.capacity = capacity or ROWS_OF.get(table.name, ROWS)
        self.rows = 0
        self._replicates = np.empty(self.capacity, HELD_AS[table.columns[0].type])
        self._gathered = {
            column.name: _gathered(column, self.capacity) for column in table.columns[1:]
        }

    @property
    def room(self) -> int:
        """How many more rows fit."""
        return self.capacity - self.rows

    def take(self, rows: simulated.Rows, start: int, stop: int, replicate: int) -> None:
        """Copy rows `start` to `stop` in; there must be room for them."""
        end = self.rows + stop - start
        self._replicates[self.rows : end] = replicate
        for name, gathered in self._gathered.items():
            gathered.take(rows.columns[name], start, stop, self.rows, rows.dictionaries.get(name))
        self.rows = end

    def drain(self) -> pa.RecordBatch:
        """Return the rows as Arrow and forget them; use the batch before the next `take`."""
        count, self.rows = self.rows, 0
        replicates = column_array(self.table.columns[0], self._replicates[:count], None)
        arrays = [gathered.drain(count) for gathered in self._gathered.values()]
        return pa.RecordBatch.from_arrays(
            [replicates, *arrays], schema=schema.arrow_schema(self.table.name)
        )


class _Gathered(Protocol):
    """The values of one column so far."""

    def take(
        self,
        values: Any,  # noqa: ANN401  a Column of the kind that the schema says
        start: int,
        stop: int,
        at: int,
        words: simulated.Dictionary | None,
    ) -> None:
        """Copy values `start` to `stop` to row `at` and on."""

    def drain(self, count: int) -> pa.Array:
        """Return the first `count` values as Arrow."""


def _gathered(column: schema.Column, capacity: int) -> _Gathered:
    if column.type == schema.STRING:
        return _Text(column, capacity)
    if column.type == schema.CODES:
        return _CodeLists(column, capacity)
    return _Values(column, capacity)


class _Values:
    """Numbers, times, bools or codes."""

    def __init__(self, column: schema.Column, capacity: int) -> None:
        self.column = column
        self.values = np.empty(capacity, HELD_AS[column.type])
        self.words = _Words()

    def take(
        self,
        values: AnyArray,
        start: int,
        stop: int,
        at: int,
        words: simulated.Dictionary | None,
    ) -> None:
        piece = values[start:stop]
        check_fit(self.column, piece)
        self.values[at : at + stop - start] = piece
        self.words.extend(at + stop - start, words)

    def drain(self, count: int) -> pa.Array:
        values = self.values[:count]
        arrays = [
            column_array(self.column, values[start:stop], words)
            for start, stop, words in self.words.drain(count)
        ]
        return arrays[0] if len(arrays) == 1 else unified(arrays)


class _Words:
    """Which dictionary the codes of which rows refer to."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, simulated.Dictionary | None]] = []

    def extend(self, stop: int, words: simulated.Dictionary | None) -> None:
        if self.pieces and self.pieces[-1][1] is words:
            self.pieces[-1] = (stop, words)
        else:
            self.pieces.append((stop, words))

    def drain(self, count: int) -> list[tuple[int, int, simulated.Dictionary | None]]:
        pieces, self.pieces = self.pieces or [(count, None)], []
        starts = [0, *(stop for stop, _ in pieces)]
        return [(start, stop, words) for start, (stop, words) in zip(starts, pieces, strict=False)]


class _Ragged:
    """Runs of elements of any length, one a row."""

    def __init__(self, capacity: int, dtype: Any) -> None:  # noqa: ANN401  numpy's own word
        self.offsets = np.zeros(capacity + 1, np.int32)
        self.data: AnyArray = np.empty(0, dtype)

    def take(self, offsets: npt.NDArray[np.int32], data: AnyArray, at: int) -> None:
        base = int(self.offsets[at])
        first, last = int(offsets[0]), int(offsets[-1])
        end = base + last - first
        if end > len(self.data):
            room = np.empty(max(end, 2 * len(self.data)) - base, self.data.dtype)
            self.data = np.concatenate([self.data[:base], room])
        self.data[base:end] = data[first:last]
        self.offsets[at + 1 : at + len(offsets)] = offsets[1:] + np.int32(base - first)


class _Text:
    """Strings that hardly repeat."""

    def __init__(self, column: schema.Column, capacity: int) -> None:
        self.column = column
        self.ragged = _Ragged(capacity, np.uint8)

    def take(
        self,
        values: simulated.Strings,
        start: int,
        stop: int,
        at: int,
        words: simulated.Dictionary | None,  # noqa: ARG002  text has no dictionary
    ) -> None:
        self.ragged.take(values.offsets[start : stop + 1], values.data, at)

    def drain(self, count: int) -> pa.Array:
        strings = simulated.Strings(self.ragged.offsets[: count + 1], self.ragged.data)
        return column_array(self.column, strings, None)


class _CodeLists:
    """Lists of codes."""

    def __init__(self, column: schema.Column, capacity: int) -> None:
        self.column = column
        self.ragged = _Ragged(capacity, np.int16)
        self.words = _Words()

    def take(
        self,
        values: simulated.Lists,
        start: int,
        stop: int,
        at: int,
        words: simulated.Dictionary | None,
    ) -> None:
        self.ragged.take(values.offsets[start : stop + 1], values.codes, at)
        self.words.extend(at + stop - start, words)

    def drain(self, count: int) -> pa.Array:
        return pa.concat_arrays(
            [
                column_array(
                    self.column,
                    simulated.Lists(self.ragged.offsets[start : stop + 1], self.ragged.data),
                    words,
                )
                for start, stop, words in self.words.drain(count)
            ]
        )
