import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from medgen_pipeline.dataset import reader, schema
from medgen_pipeline.dataset.bucket import BucketStore
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.dataset.store import FolderStore, Store
from medgen_pipeline.errors import DatasetError
from medgen_pipeline.reference import vocabulary
from medgen_pipeline_tests.dataset import sample
from medgen_pipeline_tests.dataset.drawn import decoded, some_rows

Records = list[dict[str, Any]]


def new_store(kind: str, folder: Path) -> Store:
    """Return an empty store."""
    return FolderStore(folder) if kind == "folder" else BucketStore(MemoryStore(), "memory://")


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return new_store(request.param, tmp_path)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two batches of three replicates, 20 rows of each."""
    root = tmp_path_factory.mktemp("dataset")
    sample.write(root, 0, seed=1)
    sample.write(root, 1, seed=2)
    return Dataset(root)


def by_arrow(data: Dataset, table: str) -> Records:
    records: Records = data.scan(table).read_all().to_pylist()
    return records


def by_duckdb(data: Dataset, table: str) -> Records:
    with data.duckdb() as connection:
        found = connection.table(table)
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def by_pandas(data: Dataset, table: str) -> Records:
    frame = data.to_pandas(table)
    return [
        {name: plain(value) for name, value in zip(frame.columns, row, strict=True)}
        for row in frame.astype(object).itertuples(index=False)
    ]


def plain(value: Any) -> Any:  # noqa: ANN401
    """Return pandas' own scalars as Python's."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if value is None or pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime() if value.tzinfo else value.date()
    return value.item() if isinstance(value, np.generic) else value


@pytest.mark.parametrize("kind", ["folder", "bucket"])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_every_value_comes_back(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    """Through Parquet, as Arrow, by DuckDB and in pandas, from a folder and from a bucket."""
    rows = data.draw(st.sampled_from(sorted(schema.TABLES)).flatmap(some_rows))
    store = new_store(kind, tmp_path_factory.mktemp("root"))
    with sample.writer(store, 1) as opened:
        opened.write(rows, 4)
        patients = len(rows) if rows.table == "patients" else 0
        opened.commit(outcomes={"RTD": patients})
    expected = [{"scenario": "sample", "batch": 1} | row for row in decoded(rows, 4)]
    assert by_arrow(Dataset(store), rows.table) == expected
    assert by_duckdb(Dataset(store), rows.table) == expected
    assert by_pandas(Dataset(store), rows.table) == expected


def test_what_there_is(dataset: Dataset) -> None:
    assert dataset.scenarios() == ["sample"]
    assert dataset.batches("sample") == [0, 1]
    assert [manifest.batch for manifest in dataset.manifests()] == [0, 1]
    assert dataset.manifest("sample", 1).first_replicate == 3


def test_a_scan_is_in_order_and_of_the_stated_schema(dataset: Dataset) -> None:
    with dataset.scan("timeline") as scanned:
        table = scanned.read_all()
    assert table.schema.equals(
        pa.schema([*reader.PARTITION_FIELDS, *schema.arrow_schema("timeline")])
    )
    assert table["replicate"].to_pylist() == [r for r in range(6) for _ in range(20)]
    assert table["batch"].to_pylist() == [0] * 60 + [1] * 60


def test_columns_come_as_asked(dataset: Dataset) -> None:
    table = dataset.scan("patients", columns=["outcome", "batch", "iss"]).read_all()
    assert table.schema.names == ["outcome", "batch", "iss"]
    assert dataset.scan("patients", columns=["scenario"]).read_all().num_rows == 120


@pytest.mark.parametrize(
    ("chosen", "replicates"),
    [
        ({"batches": [1]}, [3, 4, 5]),
        ({"replicates": [1, 5]}, [1, 5]),
        ({"replicates": range(2, 4)}, [2, 3]),
        ({"batches": [0], "replicates": [0, 4]}, [0]),
        ({"replicates": [99]}, []),
        ({"scenario": "sample", "replicates": []}, []),
        ({"filter": pc.field("replicate") == 4, "columns": ["replicate", "scenario"]}, [4]),
        ({"filter": pc.field("batch") == 1, "columns": ["replicate"]}, [3, 4, 5]),
    ],
)
def test_parts_of_a_dataset(
    dataset: Dataset, chosen: dict[str, Any], replicates: list[int]
) -> None:
    """Batches, replicates and a filter cut rows, whether or not their columns are asked for."""
    table = dataset.scan("injuries", **({"columns": ["replicate", "ais"]} | chosen)).read_all()
    assert table["replicate"].to_pylist() == [r for r in replicates for _ in range(20)]
    without = dataset.scan("injuries", **(chosen | {"columns": ["ais"]})).read_all()
    assert without.num_rows == table.num_rows
    counted = dataset.scan("injuries", **(chosen | {"columns": []})).read_all()
    assert counted.num_rows == table.num_rows
    if not chosen.keys() & {"filter", "replicates"}:
        with dataset.duckdb(**chosen) as connection:
            assert connection.table("injuries").shape[0] == len(table)


def test_only_row_groups_that_may_hold_a_replicate_are_read(tmp_path: Path) -> None:
    """A thousand replicates in a batch cost no more than one to whoever wants one."""
    count = 70_000  # more than a row group
    with sample.writer(tmp_path) as opened:
        for replicate in opened.replicates:
            opened.write(sample.rows("facility_hours", count), replicate)
        (path,) = opened.commit(outcomes={}).paths("facility_hours")
    file = pq.ParquetFile(tmp_path / path)
    groups = [
        reader._groups(file, np.array([replicate], np.uint32))  # noqa: SLF001
        for replicate in range(4)
    ]
    assert groups == [[0, 1], [1, 2], [2, 3], []]
    for replicate in range(3):
        scanned = Dataset(tmp_path).scan("facility_hours", replicates=[replicate])
        assert sum(len(batch) for batch in scanned) == count


def test_pandas_has_the_right_types(dataset: Dataset) -> None:
    """They follow from the schema, not from the values that happen to be there."""
    frame = dataset.to_pandas("patients")
    types = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    assert types["injured_at"] == "datetime64[us, UTC]"
    assert types["birth_date"].startswith("datetime64[")
    assert types["front"] == types["scenario"] == types["outcome"] == "category"
    assert types["is_potentially_survivable"] == "boolean"
    assert types["is_mass_casualty"] == "bool"
    assert types["age_years"] == "uint8"
    assert types["rts"] == "float32"
    assert list(frame["outcome"].cat.categories) == list(vocabulary.OUTCOMES)
    empty = dataset.to_pandas("patients", replicates=[])
    assert list(empty["outcome"].cat.categories) == list(vocabulary.OUTCOMES)
    assert dataset.to_pandas("timeline", columns=["role"])["role"].dtype == "category"


def test_duckdb_agrees_with_the_manifests(store: Store) -> None:
    """One view a table; counts, scenario and batch are those of the manifests."""
    manifests = [sample.write(store, batch, count=7) for batch in range(2)]
    with Dataset(store).duckdb() as connection:
        for name in schema.TABLES:
            found = (
                connection.table(name)
                .aggregate("scenario, batch, count(*)")
                .order("batch")
                .fetchall()
            )
            assert found == [("sample", m.batch, m.rows[name]) for m in manifests]


def test_duckdb_reads_times_as_utc(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    query = "select min(date_trunc('hour', hour)) from facility_hours"
    with dataset.duckdb() as connection:
        ((first,),) = connection.execute(query).fetchall()
    assert first.utcoffset() == dt.timedelta(0)


def test_an_empty_dataset_has_empty_tables(store: Store) -> None:
    """With all their columns and types, so that queries need no special case."""
    data = Dataset(store)
    assert data.scenarios() == []
    assert data.manifests() == []
    assert data.scan("patients").read_all().num_rows == 0
    filled = Dataset(new_store("bucket", Path()))
    sample.write(filled.store)
    for table in schema.TABLES:
        with data.duckdb() as empty, filled.duckdb() as full:
            described = [c.execute(f"describe {table}").fetchall() for c in (empty, full)]
        assert described[0] == described[1]
        assert len(data.to_pandas(table)) == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda data: data.scan("patient"), "unknown table 'patient'; did you mean patients"),
        (lambda data: data.to_pandas("timelin"), "unknown table 'timelin'; did you mean timeline"),
        (
            lambda data: data.scan("patients", columns=["is_s"]),
            "unknown column 'is_s' in table patients; did you mean iss",
        ),
        (
            lambda data: data.scan("patients", scenario="sampel"),
            "unknown scenario 'sampel' in .*; did you mean sample?",
        ),
        (lambda data: data.batches("nothing-like-it"), "known: sample"),
        (
            lambda data: data.scan("patients", scenario="sample", batches=[0, 7]),
            "no batch 7 of sam",
        ),
        (lambda data: data.duckdb(batches=[7]), "no batch 7 of sample"),
        (lambda data: data.manifest("sample", 7), "no batch 7 of sample"),
        (lambda data: data.manifest("samples", 0), "unknown scenario 'samples'"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_one(
    dataset: Dataset,
    wrong: Any,  # noqa: ANN401
    message: str,
) -> None:
    with pytest.raises(DatasetError, match=message):
        wrong(dataset)


@pytest.mark.parametrize("damage", ["missing", "cut short"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    manifest = sample.write(tmp_path)
    (path,) = manifest.paths("injuries")
    if damage == "missing":
        (tmp_path / path).unlink()
    else:
        (tmp_path / path).write_bytes(b"PAR1")
    with pytest.raises(DatasetError, match=f"{path} cannot be read"):
        Dataset(tmp_path).scan("injuries").read_all()


def test_whoever_globs_sees_the_same(dataset: Dataset) -> None:
    """Files need neither manifest nor this package: the path says scenario and batch."""
    found = duckdb.execute(
        "select scenario, batch::int as batch, count(*) "
        "from read_parquet(?, hive_partitioning = true) group by all order by batch",
        [f"{dataset.store.url}/patients/**/*.parquet"],
    ).fetchall()
    assert found == [("sample", 0, 60), ("sample", 1, 60)]


@pytest.mark.parametrize("url", ["gs://bucket/x", "s3://", "http://host/x"])
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(DatasetError, match="must be a local folder or s3://bucket/prefix"):
        Dataset(url)
