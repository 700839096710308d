import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medgen_pipeline.dataset import schema, writer
from medgen_pipeline.dataset.encoding import encode
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.dataset.row_group import ROWS, ROWS_OF, RowGroup
from medgen_pipeline.dataset.store import ConflictError
from medgen_pipeline.errors import DatasetError
from medgen_pipeline.simulation.rows import Lists, Rows
from medgen_pipeline_tests.dataset import sample


def files(root: Path) -> dict[str, bytes]:
    """Return every file below a folder by its path."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def with_own_words(rows: Rows) -> Rows:
    """Return rows whose dictionaries are new objects in another order, with words nobody uses."""
    words = {name: (*reversed(sample.PLACES), "unused") for name in rows.dictionaries}
    last = len(sample.PLACES) - 1
    columns = dict(rows.columns)
    for name in words:
        values = columns[name]
        if isinstance(values, np.ndarray):
            columns[name] = np.where(values < 0, values, last - values)
        elif isinstance(values, Lists):
            columns[name] = replace(values, codes=(last - values.codes).astype(np.int16))
    return replace(rows, columns=columns, dictionaries=words)


cuts = st.lists(st.integers(0, 300), max_size=12)


@pytest.mark.parametrize("table", schema.TABLES)
@given(cuts=cuts, renamed=st.sets(st.integers(0, 12)))
@settings(max_examples=12, deadline=None)
def test_row_groups_do_not_depend_on_how_rows_arrive(
    table: str, cuts: list[int], renamed: set[int]
) -> None:
    """Any pieces, with any dictionaries for the same words, make the same row groups."""
    whole = sample.rows(table, 300)
    pieces = sample.cut(whole, cuts)
    group = RowGroup(schema.TABLES[table], capacity=300)
    for number, piece in enumerate(pieces):
        own = with_own_words(piece) if number in renamed else piece
        group.take(own, 0, len(own), 3)
    gathered = group.drain()
    assert gathered.equals(encode(whole, 3))
    for mine, theirs in zip(gathered.columns, encode(whole, 3).columns, strict=True):
        if pa.types.is_dictionary(mine.type):
            assert mine.dictionary.equals(theirs.dictionary)


@given(size=st.integers(500, 40_000))
@settings(max_examples=5, deadline=None)
def test_files_do_not_depend_on_how_rows_arrive(
    tmp_path_factory: pytest.TempPathFactory, size: int
) -> None:
    """Bytes, names and manifest are equal for any size of piece, across row groups."""
    count = ROWS_OF["patients"] + 5_000
    whole = sample.rows("patients", count)
    manifests = []
    for pieces in ([whole], sample.cut(whole, list(range(size, count, size)))):
        root = tmp_path_factory.mktemp("root")
        with sample.writer(root) as opened:
            for piece in pieces:
                opened.write(piece, 1)
            manifests.append(opened.commit(outcomes={"RTD": count}))
    assert manifests[0].comparable() == manifests[1].comparable()
    assert manifests[0].run.commit == manifests[1].run.commit


def test_the_manifest_lists_what_is_there(tmp_path: Path) -> None:
    """Every file is listed with its rows, bytes and digest, and there is nothing else."""
    manifest = sample.write(tmp_path, count=20)
    written = files(tmp_path)
    assert set(written) == {*manifest.paths(), "_manifests/scenario=sample/batch=0000.json"}
    for file in manifest.files:
        data = written[manifest.path(file)]
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.bytes, file.sha256)
        assert pq.read_metadata(tmp_path / manifest.path(file)).num_rows == file.rows == 60
    assert manifest.rows == dict.fromkeys(schema.TABLES, 60)
    assert manifest.rates == {"RTD": 1.0}


def test_the_same_data_has_the_same_names(tmp_path: Path) -> None:
    """Two runs give the same files under the same names; only `run` of the manifest differs."""
    first, second = (sample.write(tmp_path / name) for name in ("a", "b"))
    data = [
        {
            path: bytes_
            for path, bytes_ in files(tmp_path / name).items()
            if "_manifests" not in path
        }
        for name in ("a", "b")
    ]
    assert data[0] == data[1]
    assert first.comparable() == second.comparable()
    assert first.run.created_at < second.run.created_at


def test_a_run_replaces_its_partition_only(tmp_path: Path) -> None:
    sample.write(tmp_path, 0, count=20)
    other = sample.write(tmp_path, 1, count=20)
    new = sample.write(tmp_path, 0, count=10, seed=1)
    assert set(files(tmp_path)) == {
        *new.paths(),
        *other.paths(),
        "_manifests/scenario=sample/batch=0000.json",
        "_manifests/scenario=sample/batch=0001.json",
    }


def test_a_run_with_equal_data_keeps_the_files(tmp_path: Path) -> None:
    sample.write(tmp_path)
    before = {k: v for k, v in files(tmp_path).items() if not k.startswith("_")}
    sample.write(tmp_path)
    assert {k: v for k, v in files(tmp_path).items() if not k.startswith("_")} == before


def interrupted(root: Path) -> None:
    """Begin to write, and be stopped by Ctrl-C."""
    with sample.writer(root) as opened:
        sample.fill(opened, count=5)
        raise KeyboardInterrupt


def test_what_is_not_committed_never_was(tmp_path: Path) -> None:
    """Leaving without a commit, by abort or by an error changes nothing."""
    sample.write(tmp_path)
    before = files(tmp_path)
    with sample.writer(tmp_path) as opened:
        sample.fill(opened, count=5)
    with sample.writer(tmp_path) as opened:
        sample.fill(opened, count=5)
        opened.abort()
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path)
    assert files(tmp_path) == before
    assert list((tmp_path / "_staging").iterdir()) == []


def test_a_table_without_rows_has_a_file(tmp_path: Path) -> None:
    """So that a reader that globs finds every table."""
    with sample.writer(tmp_path) as opened:
        manifest = opened.commit(outcomes={})
    tables = {file.table: pq.read_table(tmp_path / manifest.path(file)) for file in manifest.files}
    assert {name: table.schema for name, table in tables.items()} == {
        name: schema.arrow_schema(name) for name in schema.TABLES
    }
    assert manifest.rates == {}


def test_long_tables_are_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GROUPS_PER_FILE", 2)
    rows = sample.rows("facility_hours", 2 * ROWS + 7)
    with sample.writer(tmp_path) as opened:
        opened.write(rows, 0)
        manifest = opened.commit(outcomes={})
    parts = [(f.part, f.rows) for f in manifest.files if f.table == "facility_hours"]
    assert parts == [(0, 2 * ROWS), (1, 7)]
    read = Dataset(tmp_path).scan("facility_hours", columns=["arrivals"]).read_all()
    assert read["arrivals"].equals(pa.chunked_array([encode(rows, 0).column("arrivals")]))


def test_settings_of_the_format(tmp_path: Path) -> None:
    """Zstd, a dictionary for coded columns only, delta integers, statistics where readers cut."""
    manifest = sample.write(tmp_path)
    (path,) = manifest.paths("patients")
    group = pq.read_metadata(tmp_path / path).row_group(0)
    found = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert {column.compression for column in found.values()} == {"ZSTD"}
    assert {name for name, column in found.items() if column.has_dictionary_page} == {
        "allergy_codes.list.element" if c.type == schema.CODES else c.name
        for c in schema.PATIENTS.columns
        if c.is_coded
    }
    assert "DELTA_BINARY_PACKED" in found["injured_at"].encodings
    assert "DELTA_BINARY_PACKED" in found["age_years"].encodings
    assert {name for name, column in found.items() if column.is_stats_set} == {
        "replicate",
        "subject_id",
        "injured_at",
        "outcome_at",
    }


def test_rows_of_another_batch_are_refused(tmp_path: Path) -> None:
    with sample.writer(tmp_path, 1) as opened:
        assert opened.replicates == range(3, 6)
        with pytest.raises(ValueError, match="replicate 2 is not in scenario=sample/batch=0001"):
            opened.write(sample.rows("patients", 1), 2)
        opened.write(sample.rows("patients", 1), 4)
        with pytest.raises(ValueError, match="patients: replicate 3 after 4"):
            opened.write(sample.rows("patients", 1), 3)


def test_outcomes_must_add_up(tmp_path: Path) -> None:
    with sample.writer(tmp_path) as opened:
        sample.fill(opened, count=2)
        with pytest.raises(ValueError, match="6 patients have 5 outcomes"):
            opened.commit(outcomes={"KIA": 1, "RTD": 4})
    assert files(tmp_path) == {}


def test_the_first_of_two_writers_wins(tmp_path: Path) -> None:
    """The other fails with a clear message and leaves the winner's data alone."""
    with sample.writer(tmp_path) as slow, sample.writer(tmp_path) as fast:
        sample.fill(slow, count=5, seed=1)
        sample.fill(fast, count=6, seed=2)
        winner = fast.commit(outcomes={"RTD": 18})
        with pytest.raises(ConflictError, match=r"batch=0000.json was replaced by another writer"):
            slow.commit(outcomes={"RTD": 15})
    assert set(files(tmp_path)) == {*winner.paths(), "_manifests/scenario=sample/batch=0000.json"}


def test_a_twin_that_loses_leaves_the_winners_files(tmp_path: Path) -> None:
    """Equal data has equal names; the loser must not clear them away."""
    with sample.writer(tmp_path) as slow, sample.writer(tmp_path) as fast:
        sample.fill(slow)
        sample.fill(fast)
        winner = fast.commit(outcomes={"RTD": 60})
        with pytest.raises(ConflictError):
            slow.commit(outcomes={"RTD": 60})
    assert set(files(tmp_path)) == {*winner.paths(), "_manifests/scenario=sample/batch=0000.json"}


def test_a_folder_that_cannot_be_one(tmp_path: Path) -> None:
    """The error names the path and comes before anything is generated."""
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DatasetError, match=r"cannot create .*/taken/_staging/.*: Not a directory"):
        sample.write(tmp_path / "taken")
    with pytest.raises(DatasetError, match="cannot create /proc/nowhere/_staging"):
        sample.write(Path("/proc/nowhere"))


def test_a_full_disk(tmp_path: Path) -> None:
    """Where no more fits, the error says so and nothing is left half-written."""
    sample.write(tmp_path)
    before = files(tmp_path)
    limit = 100_000  # bytes a file may have, in a process of its own
    program = f"""
import resource, signal, sys
from pathlib import Path
from medgen_pipeline.errors import DatasetError
from medgen_pipeline_tests.dataset import sample
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    sample.write(Path({str(tmp_path)!r}), count=4_000)
except DatasetError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stderr == b""
    said = done.stdout.decode()
    assert said.startswith(f"cannot write {tmp_path}/_staging/run-1.")
    assert said.strip().endswith(f"{tmp_path} is full")
    assert files(tmp_path) == before
    assert list((tmp_path / "_staging").iterdir()) == []


def test_a_corrupted_manifest_stops_a_writer(tmp_path: Path) -> None:
    """Before it has generated anything; the message says what to do."""
    sample.write(tmp_path)
    (tmp_path / "_manifests/scenario=sample/batch=0000.json").write_text("{}")
    before = files(tmp_path)
    with pytest.raises(DatasetError, match="remove it and generate the batch again"):
        sample.write(tmp_path)
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["../up", "Sample", "", "a/b"])
def test_a_scenario_id_cannot_leave_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match="must be small letters, digits and hyphens"):
        sample.writer(tmp_path, id=name)
