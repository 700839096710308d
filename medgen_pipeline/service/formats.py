"""The formats of a stream of patients: what each batch of them becomes, and how a stream ends.

An ending says how many patients there were. When something goes wrong, the formats that have a
place for it say so, and no stream that failed ends like one that did not.
"""

import enum
import io
from collections.abc import Sized
from typing import Any, Final, Protocol

import orjson
import pyarrow as pa

from medgen_pipeline.service import text
from medgen_pipeline.service.courses import course_schema
from medgen_pipeline.service.patient import patients_of
from medgen_pipeline.service.viewer import viewer_patient
from medgen_pipeline.simulation.rows import Strings

_JSON: Final = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


class Format(enum.StrEnum):
    """What a caller may ask for."""

    JSON = "json"
    NDJSON = "ndjson"
    ARROW = "arrow"
    CSV = "csv"


MEDIA_TYPES: Final = {
    Format.JSON: "application/json",
    Format.NDJSON: "application/x-ndjson",
    Format.ARROW: "application/vnd.apache.arrow.stream",
    Format.CSV: "text/csv; charset=utf-8",
}


class Writer(Protocol):
    """Writes the patients of one stream."""

    def start(self) -> bytes:
        """Return what comes before the first patient."""

    def rows(self, batch: pa.RecordBatch) -> Any:  # noqa: ANN401  a writer's own
        """Return what `patients` wants of a batch; several threads may ask at a time."""

    def patients(self, rows: Any, size: int) -> list[bytes]:  # noqa: ANN401  of `rows`
        """Return the patients of the next batch, `size` at a time."""

    def end(self, patients: int) -> bytes:
        """Return what comes after the last patient."""

    def failure(self, patients: int, detail: str, request_id: str) -> bytes:
        """Return what tells the reader that the stream ends before its time; maybe nothing."""


def writer(kind: Format, *, with_course: bool) -> Writer:
    """Return a writer of a format."""
    if kind is Format.JSON:
        return _Json()
    if kind is Format.NDJSON:
        return _Ndjson()
    if kind is Format.CSV:
        return _Csv()
    return _Arrow(course_schema(with_course=with_course))


def _sizes(batch: Sized, size: int) -> list[tuple[int, int]]:
    return [(first, min(first + size, len(batch))) for first in range(0, len(batch), size)]


def _trailer(patients: int, detail: str, request_id: str) -> bytes:
    return orjson.dumps({"error": detail, "patients_generated": patients, "request_id": request_id})


class _Json:
    """One object, its patients in the predecessor's shape."""

    def __init__(self) -> None:
        self.is_first = True

    def start(self) -> bytes:
        return b'{"patients":[\n'

    def rows(self, batch: pa.RecordBatch) -> list[bytes]:
        return [
            orjson.dumps(viewer_patient(patient), option=_JSON) for patient in patients_of(batch)
        ]

    def patients(self, rows: list[bytes], size: int) -> list[bytes]:
        pieces = []
        for first, last in _sizes(rows, size):
            pieces.append((b"" if self.is_first else b",\n") + b",\n".join(rows[first:last]))
            self.is_first = False
        return pieces

    def end(self, patients: int) -> bytes:
        return b'\n],"total_patients":%d}\n' % patients

    def failure(self, patients: int, detail: str, request_id: str) -> bytes:
        return b"\n]," + _trailer(patients, detail, request_id)[1:] + b"\n"


class _Ndjson:
    """One object a line, of the dataset's columns."""

    def start(self) -> bytes:
        return b""

    def rows(self, batch: pa.RecordBatch) -> Strings:
        return text.json_rows(batch, end="}\n")

    def patients(self, rows: Strings, size: int) -> list[bytes]:
        return [text.sliced(rows, first, last) for first, last in _sizes(rows, size)]

    def end(self, patients: int) -> bytes:
        del patients
        return b""

    def failure(self, patients: int, detail: str, request_id: str) -> bytes:
        return _trailer(patients, detail, request_id) + b"\n"


class _Csv:
    """The columns of `patients` alone: a course of care is no flat table."""

    def start(self) -> bytes:
        return text.csv_header(course_schema(with_course=False).names)

    def rows(self, batch: pa.RecordBatch) -> Strings:
        return text.csv_rows(batch)

    def patients(self, rows: Strings, size: int) -> list[bytes]:
        return [text.sliced(rows, first, last) for first, last in _sizes(rows, size)]

    def end(self, patients: int) -> bytes:
        del patients
        return b""

    def failure(self, patients: int, detail: str, request_id: str) -> bytes:
        del patients, detail, request_id
        return b""


class _Arrow:
    """An Arrow IPC stream; one that failed lacks its end marker."""

    def __init__(self, schema: pa.Schema) -> None:
        self.sink = Sink()
        self.writer = pa.ipc.new_stream(self.sink, schema)

    def start(self) -> bytes:
        return self.sink.taken()

    def rows(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch

    def patients(self, rows: pa.RecordBatch, size: int) -> list[bytes]:
        pieces = []
        for first, last in _sizes(rows, size):
            self.writer.write_batch(rows.slice(first, last - first))
            pieces.append(self.sink.taken())
        return pieces

    def end(self, patients: int) -> bytes:
        del patients
        self.writer.close()
        return self.sink.taken()

    def failure(self, patients: int, detail: str, request_id: str) -> bytes:
        del patients, detail, request_id
        return b""


class Sink(io.RawIOBase):
    """A file that hands out what was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.written = 0

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def tell(self) -> int:
        """Return how many bytes were written in all."""
        return self.written

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Keep some bytes until they are taken."""
        self.pieces.append(bytes(data))
        self.written += len(self.pieces[-1])
        return len(self.pieces[-1])

    def taken(self) -> bytes:
        """Return what was written since this was last asked."""
        pieces, self.pieces = self.pieces, []
        return b"".join(pieces)
