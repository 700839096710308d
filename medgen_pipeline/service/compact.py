"""Patients held in memory by the hundred thousand: the same columns, each as narrow as it can be.

Nothing is lost and `widened` gives back the very batch. Codes of words take one byte where the
words are few; a time is whole seconds since the injury of its patient; the number of a row in a
course is its place in the list. The tables of a dataset keep wider types, which Parquet packs.
"""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medgen_pipeline.generation.finished import COURSE
from medgen_pipeline.service.courses import course_schema, row_type

AnyArray = Any  # of pyarrow, which has no types

SECOND_US: Final = 1_000_000
ORIGIN: Final = "injured_at"  # which stays a time; all others are seconds from it
NUMBERS: Final = ("injury_number", "event_number", "treatment_number")
_NARROW: Final = ((2**7, pa.int8()), (2**15, pa.int16()), (2**31, pa.int32()))


def compact(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch of `courses.batch_of`, with the course or without, as narrow columns."""
    origin = batch.column(ORIGIN).cast(pa.int64()).to_numpy()
    columns = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if name in COURSE:
            columns[name] = _list_of(column, _narrow_rows(column, origin))
        else:
            columns[name] = column if name == ORIGIN else _narrow(column, origin)
    return pa.record_batch(columns)


def widened(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return what `compact` was given."""
    wanted = course_schema(with_course=batch.num_columns > len(course_schema(with_course=False)))
    origin = batch.column(ORIGIN).cast(pa.int64()).to_numpy()
    columns = [
        _list_of(batch.column(field.name), _wide_rows(field.name, batch, origin))
        if field.name in COURSE
        else _wide(batch.column(field.name), field.type, origin)
        for field in wanted
    ]
    return pa.RecordBatch.from_arrays(columns, schema=wanted)


def _narrow(column: AnyArray, origin: AnyArray) -> AnyArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        words = len(column.dictionary)
        codes = next(narrow for most, narrow in _NARROW if words < most)
        return pa.DictionaryArray.from_arrays(column.indices.cast(codes), column.dictionary)
    if pa.types.is_timestamp(kind):
        seconds = (column.cast(pa.int64()).to_numpy() - origin) // SECOND_US
        return pa.array(seconds, pa.int32())
    return column


def _wide(column: AnyArray, kind: pa.DataType, origin: AnyArray) -> AnyArray:
    if pa.types.is_dictionary(kind):
        codes = column.indices.cast(kind.index_type)
        return pa.DictionaryArray.from_arrays(codes, column.dictionary)
    if pa.types.is_timestamp(kind) and not pa.types.is_timestamp(column.type):
        microseconds = column.to_numpy().astype(np.int64) * SECOND_US + origin
        return pa.array(microseconds, pa.int64()).cast(kind)
    return column


def _narrow_rows(column: AnyArray, origin: AnyArray) -> AnyArray:
    rows = column.flatten()
    origins = np.repeat(origin, _lengths(column))
    kept = [
        (field.name, _narrow(values, origins))
        for field, values in zip(rows.type, rows.flatten(), strict=True)
        if field.name not in NUMBERS
    ]
    return pa.StructArray.from_arrays([values for _, values in kept], [name for name, _ in kept])


def _wide_rows(table: str, batch: pa.RecordBatch, origin: AnyArray) -> AnyArray:
    column = batch.column(table)
    rows, lengths = column.flatten(), _lengths(column)
    origins = np.repeat(origin, lengths)
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    places = np.arange(len(rows)) - starts + 1
    wanted = row_type(table)
    values = [
        pa.array(places, field.type)
        if field.name in NUMBERS
        else _wide(rows.field(field.name), field.type, origins)
        for field in wanted
    ]
    return pa.StructArray.from_arrays(values, fields=list(wanted))


def _list_of(column: AnyArray, rows: AnyArray) -> AnyArray:
    offsets = pc.subtract(column.offsets, column.offsets[0])
    kind = pa.list_(pa.field("item", rows.type, nullable=False))
    return pa.ListArray.from_arrays(offsets, rows, type=kind)


def _lengths(column: AnyArray) -> AnyArray:
    return np.diff(column.offsets.to_numpy())
