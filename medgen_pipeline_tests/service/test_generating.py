"""A stream holds the patients of the dataset, in every format, however it is asked for."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.generation.finished import COURSE
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.service.formats import MEDIA_TYPES, Format
from medgen_pipeline.service.limits import Limits
from medgen_pipeline_tests.service.conftest import PATIENTS
from medgen_pipeline_tests.service.serving import STREAM, client

Json = dict[str, Any]


@pytest.fixture(scope="module")
def http(folder: Path) -> TestClient:
    return client(folder, scenario_dir=folder / "scenarios")


def committed(folder: Path, table: str) -> pa.Table:
    with Dataset(folder / "data").scan(table, scenario="small", batches=[0]) as reader:
        return reader.read_all().drop_columns(["scenario", "batch"])


def stream(http: TestClient, kind: str, count: int = 2 * PATIENTS, **query: int) -> bytes:
    asked: dict[str, int | str] = {"scenario": "small", "count": count, "format": kind, **query}
    answer = http.get(STREAM, params=asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-patient-count"] == str(count)
    content: bytes = answer.content
    return content


def arrow(body: bytes) -> pa.Table:
    return pa.ipc.open_stream(body).read_all()


def test_arrow_equals_the_dataset(http: TestClient, folder: Path) -> None:
    """Columns and types of patients are those of the files, and so is every value."""
    found, expected = arrow(stream(http, "arrow")), committed(folder, "patients")
    assert found.schema.field("injured_at").type == expected.schema.field("injured_at").type
    assert found.select(expected.schema.names).to_pylist() == expected.to_pylist()


@pytest.mark.parametrize("table", COURSE)
def test_courses_equal_the_dataset(http: TestClient, folder: Path, table: str) -> None:
    """Each patient has its rows of each table of the course, in their order."""
    by_patient: dict[int, list[Json]] = {}
    for row in committed(folder, table).to_pylist():
        del row["replicate"]
        by_patient.setdefault(row.pop("subject_id"), []).append(row)
    found = arrow(stream(http, "arrow", batch_size=7))
    for subject, rows in zip(
        found["subject_id"].to_pylist(), found[table].to_pylist(), strict=True
    ):
        assert rows == by_patient.get(subject, [])


def test_ndjson_holds_what_arrow_holds(http: TestClient) -> None:
    """Every line is a patient with the same keys, words and numbers."""
    lines = stream(http, "ndjson", batch_size=3).splitlines()
    rows = arrow(stream(http, "arrow")).to_pylist()
    assert len(lines) == len(rows) == 2 * PATIENTS
    for line, row in zip(map(json.loads, lines), rows, strict=True):
        assert list(line) == list(row)
        for name in ("subject_id", "outcome", "allergy_codes", "environment", "family_name"):
            assert line[name] == row[name]
        assert np.float32(line["rts"]) == np.float32(row["rts"])
        assert [each["ais"] for each in line["injuries"]] == [e["ais"] for e in row["injuries"]]


def test_csv_holds_what_ndjson_holds(http: TestClient) -> None:
    """A line for each patient, with the columns of the patients' table."""
    lines = list(csv.DictReader(io.StringIO(stream(http, "csv").decode(), newline="")))
    rows = [json.loads(line) for line in stream(http, "ndjson").splitlines()]
    assert list(lines[0]) == [name for name in rows[0] if name not in COURSE]
    for line, row in zip(lines, rows, strict=True):
        assert int(line["subject_id"]) == row["subject_id"]
        assert line["injured_at"] == row["injured_at"]
        assert line["death_cause"] == (row["death_cause"] or "")


def test_json_holds_what_ndjson_holds(http: TestClient) -> None:
    """One object, in the predecessor's shape, with the same facts under its names."""
    body = json.loads(stream(http, "json", batch_size=9))
    rows = [json.loads(line) for line in stream(http, "ndjson").splitlines()]
    assert body["total_patients"] == len(body["patients"]) == len(rows)
    for patient, row in zip(body["patients"], rows, strict=True):
        assert patient["id"] == row["subject_id"]
        assert patient["triage_category"] == row["triage_assigned"]
        assert patient["injury_time"] == row["injured_at"]
        assert patient["demographics"]["birthdate"] == row["birth_date"]
        assert patient.get("rts") == row["rts"]
        events = patient["movement_timeline"] + patient.get("care_timeline", [])
        assert sorted(event["event_number"] for event in events) == list(
            range(1, len(row["timeline"]) + 1)
        )


def test_a_stream_ends_where_it_was_asked_to(http: TestClient) -> None:
    """The last replicate is cut, and what came before is the same."""
    short = stream(http, "ndjson", count=PATIENTS + 3).splitlines()
    assert short == stream(http, "ndjson").splitlines()[: PATIENTS + 3]


def test_a_stream_begins_with_any_replicate(http: TestClient) -> None:
    """The second replicate is the same whether the first was sent before it or not."""
    later = stream(http, "ndjson", count=PATIENTS, replicate=1).splitlines()
    assert later == stream(http, "ndjson").splitlines()[PATIENTS:]


def test_batches_do_not_reach_the_patients(http: TestClient) -> None:
    assert stream(http, "ndjson", batch_size=1) == stream(http, "ndjson", batch_size=100_000)
    batches = pa.ipc.open_stream(stream(http, "arrow", batch_size=16))
    assert [len(batch) for batch in batches] == [16, 16, 8, 16, 16, 8]


def test_another_seed_is_another_stream(http: TestClient) -> None:
    assert stream(http, "ndjson", seed=1) != stream(http, "ndjson", seed=2)
    assert stream(http, "ndjson", seed=1) == stream(http, "ndjson", seed=1)


def test_without_the_course(http: TestClient, folder: Path) -> None:
    """Patients alone are the table of patients."""
    found = arrow(stream(http, "arrow", course=False))
    assert found.schema.equals(committed(folder, "patients").schema)


def test_the_count_is_that_of_the_scenario(http: TestClient) -> None:
    answer = http.get(STREAM, params={"scenario": "small", "format": "ndjson"})
    assert answer.headers["x-patient-count"] == str(PATIENTS)
    assert len(answer.content.splitlines()) == PATIENTS


@pytest.mark.parametrize("kind", Format)
def test_the_format_that_is_accepted(http: TestClient, kind: Format) -> None:
    """`Accept` chooses the format, the best liked first; headers forbid to guess or to keep it."""
    accept = f"text/html, {MEDIA_TYPES[kind].partition(';')[0]};q=0.9, */*;q=0.1"
    query = {"scenario": "small", "count": "1"}
    answer = http.get(STREAM, params=query, headers={"Accept": accept})
    assert answer.headers["content-type"] == MEDIA_TYPES[kind]
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_that_is_accepted(http: TestClient) -> None:
    answer = http.get(STREAM, headers={"Accept": "image/png"})
    assert answer.status_code == 406


@pytest.mark.parametrize("kind", Format)
def test_compressed_when_asked(http: TestClient, kind: Format) -> None:
    """The same bytes, in gzip, whole to its check sum."""
    query = {"scenario": "small", "count": str(PATIENTS), "format": kind.value}
    with http.stream("GET", STREAM, params=query, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        body = b"".join(answer.iter_raw())
    assert gzip.decompress(body) == stream(http, kind.value, count=PATIENTS)


def test_a_scenario_in_the_body(http: TestClient, folder: Path) -> None:
    """As JSON or as YAML, the patients are those of the scenario's file."""
    path = folder / "scenarios" / "small.yaml"
    scenario = Catalogue(path.parent).get("small").model_dump(mode="json", exclude_none=True)
    query = {"count": "20", "format": "ndjson"}
    expected = stream(http, "ndjson", count=20)
    assert http.post(STREAM, params=query, json=scenario).content == expected
    as_yaml = {"Content-Type": "application/yaml"}
    assert http.post(STREAM, params=query, content=path.read_bytes(), headers=as_yaml).content == (
        expected
    )


def test_a_bad_scenario_is_refused_with_every_fault(http: TestClient) -> None:
    answer = http.post(STREAM, json={"id": "Bad Id", "days": 0})
    assert answer.status_code == 422
    paths = {fault["path"] for fault in answer.json()["faults"]}
    assert {"id", "days", "fronts", "start"} <= paths


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"scenario": "nowhere"}, 404),
        ({"scenario": "../../etc/passwd"}, 422),
        ({"scenario": "x.yaml"}, 422),
        ({"count": "0"}, 422),
        ({"count": "99999999999999999999999"}, 422),
        ({"count": "20000000"}, 422),
        ({"batch_size": "0"}, 422),
        ({"batch_size": "100001"}, 422),
        ({"format": "xml"}, 422),
        ({"replicate": "-1"}, 422),
        ({"seed": str(2**63)}, 422),
        ({"colour": "red"}, 422),
    ],
)
def test_what_cannot_be_asked_for(http: TestClient, query: Json, status: int) -> None:
    """It is refused before anything is generated, in the one shape of errors."""
    answer = http.get(STREAM, params=query)
    assert answer.status_code == status
    assert answer.json().keys() >= {"error", "detail", "request_id"}
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert http.get("/api/v1/streaming").json()["active"] == 0


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"count": "0"}, "query.count is '0': Input should be greater than or equal to 1"),
        ({"count": "many"}, "query.count is 'many': Input should be a valid integer"),
        ({"colour": "red"}, "query.colour is 'red': "),
        ({"count": "9" * 5_000}, f"query.count is '{'9' * 59}...: "),
    ],
)
def test_what_was_got_is_said(http: TestClient, query: Json, said: str) -> None:
    """A value as it was sent, but no more of it than can be read."""
    assert http.get(STREAM, params=query).json()["detail"].startswith(said)


def test_a_replicate_too_large_to_hold(folder: Path) -> None:
    http = client(folder, limits=Limits(patients_per_replicate=500))
    answer = http.get(STREAM, params={"scenario": "demo"})
    assert answer.status_code == 422
    assert "a stream may hold 500" in answer.json()["detail"]
