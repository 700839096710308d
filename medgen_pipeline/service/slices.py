"""A slice of a committed table as a stream of bytes."""

import enum
from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.service import text
from medgen_pipeline.service.formats import Sink
from medgen_pipeline.service.sending import Pieces


class SliceFormat(enum.StrEnum):
    """What a caller may ask for."""

    ARROW = "arrow"
    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"


MEDIA_TYPES: Final = {
    SliceFormat.ARROW: "application/vnd.apache.arrow.stream",
    SliceFormat.NDJSON: "application/x-ndjson",
    SliceFormat.CSV: "text/csv; charset=utf-8",
    SliceFormat.PARQUET: "application/vnd.apache.parquet",
}
ROWS_AT_ONCE: Final = 8_192  # some MB as JSON


class Slice(Pieces):
    """The first rows of a batch of a table, or of one replicate in it."""

    def __init__(
        self,
        dataset: Dataset,
        scenario: str,
        table: str,
        columns: Sequence[str],
        batch: int,
        replicate: int | None,
        limit: int,
        kind: SliceFormat,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.limit = limit
        self._open = lambda: dataset.scan(
            table,
            scenario=scenario,
            batches=[batch],
            replicates=None if replicate is None else [replicate],
            columns=columns,
            batch_rows=ROWS_AT_ONCE,
        )

    def __iter__(self) -> Iterator[bytes]:
        """Yield the slice from its first byte to its last."""
        with self._open() as reader:  # type: ignore[no-untyped-call]
            batches = self._cut(reader)
            if self.kind in {SliceFormat.ARROW, SliceFormat.PARQUET}:
                yield from _binary(reader.schema, batches, self.kind)
                return
            if self.kind is SliceFormat.CSV:
                yield text.csv_header(reader.schema.names)
            for batch in batches:
                rows = (
                    text.csv_rows(batch)
                    if self.kind is SliceFormat.CSV
                    else text.json_rows(batch, end="}\n")
                )
                yield text.sliced(rows, 0, len(rows))

    def _cut(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        left = self.limit
        for batch in reader:
            if left:
                yield batch.slice(0, left)
            left -= min(left, len(batch))
            if not left:
                return


def _binary(
    schema: pa.Schema, batches: Iterator[pa.RecordBatch], kind: SliceFormat
) -> Iterator[bytes]:
    sink = Sink()
    if kind is SliceFormat.ARROW:
        writer = pa.ipc.new_stream(sink, schema)
    else:
        writer = pq.ParquetWriter(sink, schema, compression="zstd", compression_level=1)
    for batch in batches:
        writer.write_batch(batch)
        yield sink.taken()
    writer.close()
    yield sink.taken()
