"""The benchmark measures the work it says, on the very rows it generated."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from medgen_pipeline import bench
from medgen_pipeline.cli import main
from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.generation.batch import generate_batch
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.scaling import with_patients


def test_the_sample_is_the_rows_as_generated(tmp_path: Path) -> None:
    """Whole row groups from the start, with the types that were handed to the writer."""
    manifest = generate_batch(with_patients(Catalogue().get("demo"), 50), 0, tmp_path).manifest
    for table in schema.TABLES:
        batches = bench.sample(tmp_path, manifest, table, manifest.rows[table])
        assert all(batch.schema.equals(schema.arrow_schema(table)) for batch in batches)
        with Dataset(tmp_path).scan(table, columns=schema.arrow_schema(table).names) as reader:
            assert pa.Table.from_batches(batches).equals(reader.read_all())


def test_writing_again_writes_the_same_bytes(tmp_path: Path) -> None:
    """The yardstick uses the settings of the dataset: a file of one row group is the same."""
    manifest = generate_batch(with_patients(Catalogue().get("demo"), 50), 0, tmp_path).manifest
    batches = bench.sample(tmp_path, manifest, "patients", 1)
    assert bench.write_seconds(tmp_path, "again", "patients", batches) > 0
    (path,) = manifest.paths("patients")
    assert (tmp_path / "again" / "patients").read_bytes() == (tmp_path / path).read_bytes()


def test_each_number_of_processes_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One batch a process, and nothing is left behind."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    arguments = ["bench", "demo", "--patients", "60", "--processes", "1,2", "--repeats", "1"]
    assert main([*arguments, "--json"]) == 0
    one, two = json.loads(capsys.readouterr().out)["measurements"]
    assert (one["processes"], one["patients"]) == (1, 60)
    assert (two["processes"], two["patients"]) == (2, 120)
    for each in (one, two):
        assert each["ratio"] == pytest.approx(each["seconds"] / each["write_seconds"])
        assert each["peak_memory_mb"] > 50
    assert list(tmp_path.iterdir()) == []
