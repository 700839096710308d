"""What is committed is read back as it was generated, in pages and slices of bounded size."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.dataset.schema import TABLES
from medgen_pipeline_tests.service.conftest import BATCHES, PATIENTS, REPLICATES
from medgen_pipeline_tests.service.serving import STREAM, client

SMALL = "/api/v1/datasets/small"
TOTAL = PATIENTS * REPLICATES * BATCHES
Json = dict[str, Any]


@pytest.fixture(scope="module")
def http(folder: Path) -> TestClient:
    return client(folder, scenario_dir=folder / "scenarios")


@pytest.fixture(scope="module")
def streamed(http: TestClient) -> list[Json]:
    """Return every patient of the dataset as a stream has it."""
    query: dict[str, str | int] = {"scenario": "small", "count": TOTAL, "format": "ndjson"}
    return [json.loads(line) for line in http.get(STREAM, params=query).content.splitlines()]


def test_what_there_is(http: TestClient) -> None:
    assert http.get("/api/v1/datasets").json() == [
        {"scenario": "small", "batches": BATCHES, "first_batch": 0, "last_batch": BATCHES - 1}
    ]


def test_partitions_come_in_pages(http: TestClient) -> None:
    first = http.get(f"{SMALL}/partitions", params={"limit": 2}).json()
    assert [each["batch"] for each in first["partitions"]] == [0, 1]
    assert first["partitions"][0]["rows"]["patients"] == PATIENTS * REPLICATES
    rest = http.get(f"{SMALL}/partitions", params={"from_batch": first["next_batch"]}).json()
    assert [each["batch"] for each in rest["partitions"]] == [2]
    assert rest["next_batch"] is None


def test_a_manifest(http: TestClient, folder: Path) -> None:
    """It is the commit record, files and digests included."""
    found = http.get(f"{SMALL}/partitions/1").json()
    expected = Dataset(folder / "data").manifest("small", 1)
    assert found == expected.model_dump(mode="json")


def test_a_patient_is_as_it_was_streamed(http: TestClient, streamed: list[Json]) -> None:
    """In every replicate: all columns, and the course of care in its order."""
    for expected in (streamed[0], streamed[PATIENTS], streamed[-1]):
        found = http.get(f"{SMALL}/patients/{expected['subject_id']}")
        assert found.json() == expected


@pytest.mark.parametrize("subject", [PATIENTS + 1, 100_000_000 * 7 + 1, 10**15])
def test_a_patient_that_is_not_there(http: TestClient, subject: int) -> None:
    assert http.get(f"{SMALL}/patients/{subject}").status_code == 404


def pages(http: TestClient, **query: str | int) -> list[Json]:
    """Return all patients of a query, page by page."""
    found: list[Json] = []
    after: int | None = 0
    while after is not None:
        page = http.get(f"{SMALL}/patients", params={**query, "after": after}).json()
        found += page["patients"]
        after = page["next"]
    return found


@pytest.mark.parametrize("limit", [7, PATIENTS, 1_000])
def test_pages_hold_every_patient_once(http: TestClient, streamed: list[Json], limit: int) -> None:
    """Whatever the size of a page, in the order of the stream."""
    found = pages(http, limit=limit)
    assert [each["subject_id"] for each in found] == [each["subject_id"] for each in streamed]
    assert found[5] == {name: streamed[5][name] for name in found[5]}


@pytest.mark.parametrize(
    "column", ["front", "nationality", "triage_assigned", "outcome", "casualty_class", "day"]
)
def test_patients_of_a_kind(http: TestClient, streamed: list[Json], column: str) -> None:
    """A condition lets through exactly those that meet it."""
    value = streamed[3][column]
    found = pages(http, limit=11, **{column: value})
    expected = [each["subject_id"] for each in streamed if each[column] == value]
    assert [each["subject_id"] for each in found] == expected


def test_conditions_hold_together(http: TestClient, streamed: list[Json]) -> None:
    found = pages(http, outcome="RTD", casualty_class="disease", batch=1, limit=5)
    batch = range(REPLICATES, 2 * REPLICATES)
    assert [each["subject_id"] for each in found] == [
        each["subject_id"]
        for each in streamed
        if each["outcome"] == "RTD"
        and each["casualty_class"] == "disease"
        and each["replicate"] in batch
    ]


def slice_of(http: TestClient, table: str, **query: str | int) -> bytes:
    answer = http.get(f"{SMALL}/tables/{table}", params=query)
    assert answer.status_code == 200
    content: bytes = answer.content
    return content


@pytest.mark.parametrize("table", TABLES)
def test_a_slice_is_the_table(http: TestClient, folder: Path, table: str) -> None:
    """As Arrow and as Parquet it is the very table, types and order included."""
    with Dataset(folder / "data").scan(table, scenario="small", batches=[1]) as reader:
        expected = reader.read_all().drop_columns(["scenario", "batch"]).unify_dictionaries()
    found = pa.ipc.open_stream(slice_of(http, table, batch=1)).read_all()
    assert found.unify_dictionaries().to_pylist() == expected.to_pylist()
    file = pq.read_table(io.BytesIO(slice_of(http, table, batch=1, format="parquet")))
    assert file.to_pylist() == expected.to_pylist()


def test_a_slice_as_text(http: TestClient) -> None:
    """NDJSON and CSV have the columns that were asked for, in that order."""
    query: dict[str, str | int] = {"columns": "outcome,subject_id", "limit": 10}
    lines = slice_of(http, "patients", format="ndjson", **query).splitlines()
    rows = list(
        csv.DictReader(io.StringIO(slice_of(http, "patients", format="csv", **query).decode()))
    )
    assert len(lines) == len(rows) == 10
    for line, row in zip(map(json.loads, lines), rows, strict=True):
        assert list(line) == list(row) == ["outcome", "subject_id"]
        assert (line["outcome"], str(line["subject_id"])) == (row["outcome"], row["subject_id"])


def test_a_slice_of_a_replicate(http: TestClient) -> None:
    found = pa.ipc.open_stream(slice_of(http, "patients", batch=1, replicate=3)).read_all()
    assert set(found["replicate"].to_pylist()) == {3}
    assert len(found) == PATIENTS


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/datasets/nothing/partitions", 404),
        ("/api/v1/datasets/nothing/patients", 404),
        (f"{SMALL}/partitions/77", 404),
        (f"{SMALL}/patients?batch=77", 404),
        (f"{SMALL}/tables/patients?batch=77", 404),
        (f"{SMALL}/tables/nothing", 422),
        (f"{SMALL}/tables/..%2F..%2Fetc", 404),
        (f"{SMALL}/tables/patients?columns=nothing", 422),
        (f"{SMALL}/tables/patients?columns=1;drop", 422),
        (f"{SMALL}/tables/patients?limit=1000001", 422),
        (f"{SMALL}/patients?limit=0", 422),
        (f"{SMALL}/patients?outcome=dead", 422),
        (f"{SMALL}/patients?front=%27%20or%201=1", 422),
        ("/api/v1/datasets/..%2F/patients", 404),
    ],
)
def test_what_is_not_there(http: TestClient, path: str, status: int) -> None:
    answer = http.get(path)
    assert answer.status_code == status, answer.text
    assert answer.json().keys() == {"error", "detail", "request_id"}


def test_a_dataset_that_cannot_be_read(tmp_path: Path) -> None:
    """A broken manifest is 503; what is wrong with it stays in the log."""
    manifest = tmp_path / "data" / "_manifests" / "scenario=small" / "batch=0000.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{")
    answer = client(tmp_path).get(f"{SMALL}/partitions")
    assert answer.status_code == 503
    assert str(tmp_path) not in answer.text
