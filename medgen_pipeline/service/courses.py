"""Patients with their courses of care as Arrow: one row each, the rows of a course as lists in it.

The columns are those of the dataset, of the same types; a row of a course leaves out `replicate`
and `subject_id`, which its patient has.
"""

import functools
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.encoding import encode
from medgen_pipeline.generation.finished import COURSE, Finished

OF_THE_PATIENT: Final = 2  # columns of a course's row that its patient has: replicate, subject_id


@functools.cache
def course_schema(*, with_course: bool = True) -> pa.Schema:
    """Return the schema of patients, with the four tables of their course or without."""
    patients = schema.arrow_schema("patients")
    if not with_course:
        return patients
    lists = [
        pa.field(table, pa.list_(pa.field("item", row_type(table), nullable=False)), nullable=False)
        for table in COURSE
    ]
    return pa.schema([*patients, *lists], metadata=patients.metadata)


def row_type(table: str) -> pa.StructType:
    """Return the type of a row of a course."""
    return pa.struct(list(schema.arrow_schema(table))[OF_THE_PATIENT:])


def batch_of(finished: Finished, *, with_course: bool = True) -> pa.RecordBatch:
    """Return patients that the simulation is done with."""
    patients = encode(finished.patients(), finished.replicate)
    if not with_course:
        return patients
    course = {table: encode(rows, finished.replicate) for table, rows in finished.course().items()}
    return nested(patients, course, finished.starts)


def nested(
    patients: pa.RecordBatch,
    course: Mapping[str, pa.RecordBatch],
    starts: Mapping[str, npt.NDArray[np.int32]],
) -> pa.RecordBatch:
    """Return patients with the rows of their courses, which are ordered by patient."""
    lists = [
        _list_array(table, course.get(table), starts.get(table), len(patients)) for table in COURSE
    ]
    return pa.RecordBatch.from_arrays([*patients.columns, *lists], schema=course_schema())


def _list_array(
    table: str,
    rows: pa.RecordBatch | None,
    starts: npt.NDArray[np.int32] | None,
    patients: int,
) -> pa.Array:
    kind = row_type(table)
    if rows is None or starts is None:
        items = pa.array([], kind)
        starts = np.zeros(patients + 1, np.int32)
    else:
        items = pa.StructArray.from_arrays(rows.columns[OF_THE_PATIENT:], fields=list(kind))
    offsets = pa.Array.from_buffers(pa.int32(), patients + 1, [None, pa.py_buffer(starts)])
    return pa.ListArray.from_arrays(
        offsets, items, type=pa.list_(pa.field("item", kind, nullable=False))
    )
