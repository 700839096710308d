"""Patients of one scenario as they are committed: found by their number, or by what they are.

DuckDB reads of a batch only the row groups and the columns that a condition needs, in one thread,
so that rows keep the order of the file.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.errors import DatasetError
from medgen_pipeline.generation.finished import COURSE
from medgen_pipeline.service.courses import nested
from medgen_pipeline.service.faults import ServiceError
from medgen_pipeline.simulation.engine import SUBJECTS_PER_REPLICATE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

QUERY_MEMORY_MB: Final = 256  # of one request; what needs more is refused by DuckDB


class Committed:
    """The committed batches of one scenario."""

    def __init__(self, dataset: Dataset, scenario: str, batches: Sequence[int]) -> None:
        self.dataset = dataset
        self.scenario = scenario
        self.batches = batches

    def manifest(self, batch: int) -> Manifest:
        """Return the manifest of a batch; one that is not there is not found."""
        try:
            if batch in self.batches:
                return self.dataset.manifest(self.scenario, batch)
        except DatasetError:
            if self.dataset.partitions(self.scenario):
                raise
        raise ServiceError(404, f"there is no batch {batch} of {self.scenario}")

    def page(
        self, conditions: Mapping[str, str | int], batch: int | None, after: int, limit: int
    ) -> pa.RecordBatch:
        """Return the next patients after one that meet every condition, in order."""
        found: list[pa.RecordBatch] = []
        left = limit
        if batch is not None:
            self.manifest(batch)
        for each in [batch] if batch is not None else self._from(after):
            asked = " ".join(f"and {name} = ?" for name in conditions)
            rows = self._rows(
                each,
                "patients",
                f"where subject_id > ? {asked} order by subject_id limit {left}",
                [after, *conditions.values()],
            )
            found.append(rows)
            left -= len(rows)
            if left == 0:
                break
        if not found:
            return _batch(schema.arrow_schema("patients").empty_table())
        return _batch(pa.Table.from_batches(found))

    def patient(self, subject_id: int) -> pa.RecordBatch | None:
        """Return one patient with the course of care, None when there is no such patient."""
        replicate = (subject_id - 1) // SUBJECTS_PER_REPLICATE
        batch = next(iter(self._from(subject_id - 1)), None)
        if batch is None:
            return None
        where = "where replicate = ? and subject_id = ?"
        key = [replicate, subject_id]
        patients = self._rows(batch, "patients", where, key)
        if not len(patients):
            return None
        course = {table: self._rows(batch, table, where, key) for table in COURSE}
        starts = {table: np.array([0, len(rows)], np.int32) for table, rows in course.items()}
        return nested(patients, course, starts)

    def _from(self, subject: int) -> Sequence[int]:
        """Return the batches that hold patients after a subject: replicates rise with batches."""
        replicate = subject // SUBJECTS_PER_REPLICATE
        first = bisect_left(
            self.batches, replicate, key=lambda batch: self.manifest(batch).last_replicate
        )
        return self.batches[first:]

    def _rows(self, batch: int, table: str, conditions: str, values: list[Any]) -> pa.RecordBatch:
        wanted = schema.arrow_schema(table)
        with self._connection(batch) as connection:
            query = f"select {', '.join(wanted.names)} from {table} {conditions}"  # noqa: S608  own words
            found: pa.Table = connection.sql(query, params=values).to_arrow_table()
        return _batch(found.cast(wanted))

    def _connection(self, batch: int) -> "DuckDBPyConnection":
        connection = self.dataset.duckdb(scenario=self.scenario, batches=[batch])
        connection.execute(f"set memory_limit = '{QUERY_MEMORY_MB}MB'")
        connection.execute("set threads = 1")
        return connection


def _batch(table: pa.Table) -> pa.RecordBatch:
    """Return a table as one batch."""
    whole = table.unify_dictionaries().combine_chunks().to_batches()
    return whole[0] if whole else pa.RecordBatch.from_pylist([], schema=table.schema)
