"""Columns written as text read back as the values they were."""

import csv
import io
import json
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from medgen_pipeline.dataset.encoding import encode
from medgen_pipeline.dataset.schema import TABLES
from medgen_pipeline.service import text
from medgen_pipeline_tests.dataset import sample

AWKWARD = ['quote " here', "back\\slash", "line\nbreak", "tab\t", "é ß 漢 \N{SNOWMAN}", "", "a,b"]


def lines(batch: pa.RecordBatch) -> list[Any]:
    rows = text.json_rows(batch)
    return [json.loads(text.sliced(rows, at, at + 1)) for at in range(len(batch))]


def as_json(value: object, kind: pa.DataType) -> object:
    """Return a value of Arrow's as JSON has it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and kind == pa.float32():
        return float(str(np.float32(value)))
    return value


@pytest.mark.parametrize("table", TABLES)
def test_every_table_as_json(table: str) -> None:
    """Each value of each type is the same, nulls included; a float is as short as it can be."""
    batch = encode(sample.rows(table, 50), 3)
    kinds = {field.name: field.type for field in batch.schema}
    for found, row in zip(lines(batch), batch.to_pylist(), strict=True):
        assert list(found) == batch.schema.names
        for name, value in row.items():
            assert found[name] == as_json(value, kinds[name]), name


@pytest.mark.parametrize("table", TABLES)
def test_every_table_as_csv(table: str) -> None:
    """A reader of CSV finds the texts that JSON has, an empty one for a null."""
    batch = encode(sample.rows(table, 50), 3)
    rows = text.csv_rows(batch)
    body = text.csv_header(batch.schema.names) + text.sliced(rows, 0, len(rows))
    found = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    for line, row in zip(found, lines(batch), strict=True):
        assert line == {name: in_csv(value) for name, value in row.items()}


def in_csv(value: object) -> str:
    if isinstance(value, list):
        return ";".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.9g}" if abs(value) >= 1e-4 else str(value)
    return "" if value is None else str(value)


@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int32(), pa.string())])
def test_awkward_words(kind: pa.DataType) -> None:
    """Quotes, control characters, line breaks and any script come back as they were."""
    batch = pa.record_batch({"word": pa.array([*AWKWARD, None]).cast(kind)})
    assert [row["word"] for row in lines(batch)] == [*AWKWARD, None]
    rows = text.csv_rows(batch)
    back = csv.reader(io.StringIO(text.sliced(rows, 0, len(rows)).decode(), newline=""))
    assert [line[0] if line else "" for line in back] == [*AWKWARD, ""]


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(2199, 2, 28, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 1, 1, 12, 30, 1, 250_000, tzinfo=UTC),
    ],
)
def test_times_of_any_age(moment: datetime) -> None:
    """A time is ISO 8601 in UTC, before 1970 too, with a fraction where there is one."""
    batch = pa.record_batch(
        {"at": pa.array([moment, None, datetime(2026, 1, 1, tzinfo=UTC)], sample_time())}
    )
    assert [row["at"] and datetime.fromisoformat(row["at"]) for row in lines(batch)] == [
        moment,
        None,
        datetime(2026, 1, 1, tzinfo=UTC),
    ]


def sample_time() -> pa.DataType:
    return pa.timestamp("us", tz="UTC")


def test_large_numbers() -> None:
    """Numbers beyond the table of small ones are written as well."""
    numbers = [0, 1_023, 1_024, 65_535]
    batch = pa.record_batch({"n": pa.array(numbers, pa.uint16())})
    assert [row["n"] for row in lines(batch)] == numbers


def test_lists_of_rows_that_are_a_slice() -> None:
    """A slice of a batch is written as its own rows, wherever it begins."""
    lists = pa.array([[{"a": 1}], [], [{"a": 2}, {"a": None}]])
    batch = pa.record_batch({"rows": lists}).slice(1, 2)
    assert lines(batch) == [{"rows": []}, {"rows": [{"a": 2}, {"a": None}]}]


def test_no_rows() -> None:
    assert lines(encode(sample.rows("patients", 5), 0).slice(0, 0)) == []
