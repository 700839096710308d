import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from medgen_pipeline.dataset.bucket import BucketStore
from medgen_pipeline.dataset.janitor import GRACE, Litter, find_litter, remove
from medgen_pipeline.dataset.store import FolderStore, Store
from medgen_pipeline_tests.dataset import sample

ORPHAN = "patients/scenario=sample/batch=0000/part-00000-0123456789ab.parquet"
MANIFEST = "_manifests/scenario=sample/batch=0000.json"


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return FolderStore(tmp_path)
    return BucketStore(MemoryStore(), "memory://")


def put(store: Store, path: str, data: bytes = b"left") -> None:
    """Write a file as a writer that dies right after would."""
    sink = store.open_sink(path)
    sink.write(data)
    sink.close()


def paths(store: Store) -> set[str]:
    return {entry.path for entry in store.entries()}


def test_a_clean_dataset_has_no_litter(store: Store) -> None:
    assert find_litter(store) == []
    sample.write(store)
    assert find_litter(store) == []


def test_a_file_that_no_manifest_lists_is_litter(store: Store) -> None:
    manifest = sample.write(store)
    put(store, ORPHAN)
    litter = find_litter(store)
    assert litter == [Litter(ORPHAN, 4, scenario="sample")]
    assert remove(store, litter) == 4
    assert paths(store) == {*manifest.paths(), MANIFEST}


def test_files_that_are_not_ours_are_left_alone(store: Store) -> None:
    put(store, "patients/scenario=sample/batch=0000/notes.txt")
    put(store, "patients/scenario=sample/batch=0000/part-1.parquet")
    put(store, "exports/part-00000-0123456789ab.parquet")
    assert find_litter(store) == []


def test_files_of_a_corrupted_manifest_are_left_alone(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """What it lists cannot be told, so nothing of its partition is deleted."""
    sample.write(store)
    put(store, MANIFEST, b"{}")
    put(store, ORPHAN)
    with caplog.at_level(logging.WARNING):
        assert find_litter(store) == []
    assert "files of scenario=sample/batch=0000 are left alone: manifest" in caplog.text


def test_a_writer_at_work_is_left_alone(store: Store) -> None:
    """Neither its staging nor what it has uploaded is litter, and it can commit."""
    with sample.writer(store) as opened:
        sample.fill(opened)
        assert find_litter(store) == []
        opened.commit(outcomes={"RTD": 60})
    assert find_litter(store) == []


def test_litter_that_comes_to_life_is_kept(store: Store) -> None:
    """What was found is looked at again before it is removed."""
    manifest = sample.write(store)
    (path,) = manifest.paths("patients")
    assert remove(store, [Litter(path, 1, scenario="sample")]) == 0
    assert path in paths(store)


def test_staging_of_a_dead_process_is_litter(tmp_path: Path) -> None:
    """At once, whatever its age: the lock of a process ends with it."""
    program = """
import os, sys
from pathlib import Path
from medgen_pipeline_tests.dataset import sample
writer = sample.writer(Path(sys.argv[1]))
writer.__enter__()
writer._tables["patients"]._open()
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    store = FolderStore(tmp_path)
    (litter,) = find_litter(store)
    assert litter.run == "run-1"
    assert litter.path.startswith("_staging/run-1.")
    remove(store, [litter])
    assert list((tmp_path / "_staging").iterdir()) == []


def test_staging_that_is_held_is_not_removed(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    with sample.writer(store) as opened:
        (folder,) = store.folders("_staging")
        remove(store, [Litter(folder, 0, run="run-1")])
        assert store.folders("_staging") == [folder]
        sample.fill(opened)
        opened.commit(outcomes={"RTD": 60})


def test_in_a_bucket_the_run_decides() -> None:
    """Marker and uploads of a dead run are litter, those of a living one are not."""
    store = BucketStore(MemoryStore(), "memory://")
    folder = "_staging/run-1.0123456789ab"
    put(store, f"{folder}/writing", b"")
    put(store, ORPHAN)
    asked: list[str] = []

    def is_alive(run: str) -> bool:
        asked.append(run)
        return run == "run-1"

    assert find_litter(store, is_alive=is_alive) == []
    assert set(asked) == {"run-1"}
    litter = find_litter(store, is_alive=lambda run: run == "run-2")
    assert [each.path for each in litter] == [ORPHAN, folder]
    remove(store, litter)
    assert paths(store) == set()


def test_in_a_bucket_age_decides_where_runs_are_not_known() -> None:
    store = BucketStore(MemoryStore(), "memory://")
    put(store, "_staging/run-1.0123456789ab/writing", b"")
    put(store, ORPHAN)
    now = datetime.now(UTC)
    assert find_litter(store, now=now + GRACE - timedelta(hours=1)) == []
    assert len(find_litter(store, now=now + GRACE + timedelta(hours=1))) == 2
