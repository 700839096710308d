"""Batches past their time: found by the scenario that keeps them, removed with all of theirs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from medgen_pipeline.dataset.derived import FOLDER
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.dataset.retention import expired, remove_partition
from medgen_pipeline.dataset.store import FolderStore
from medgen_pipeline_tests.dataset import sample

NOW = datetime.now(UTC)


def test_only_batches_older_than_their_scenario_keeps_them_expire(tmp_path: Path) -> None:
    manifest = sample.write(tmp_path)
    later = manifest.run.created_at + timedelta(days=7)
    kept = {manifest.scenario: timedelta(days=7)}
    assert expired([manifest], kept, later) == []
    assert expired([manifest], kept, later + timedelta(seconds=1)) == [manifest]
    assert expired([manifest], {}, later + timedelta(days=10_000)) == []
    assert expired([manifest], {"another": timedelta(days=1)}, later + timedelta(days=9)) == []


def test_a_batch_is_removed_with_its_files_and_what_was_derived(tmp_path: Path) -> None:
    """Its neighbours stay whole, and it can be generated again."""
    gone, stays = sample.write(tmp_path, 0), sample.write(tmp_path, 1)
    derived = [
        tmp_path / FOLDER / "daily" / str(manifest.partition) / "part-00000.parquet"
        for manifest in (gone, stays)
    ]
    for path in derived:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"1234567")
    freed = remove_partition(FolderStore(tmp_path), gone)
    assert freed == sum(file.bytes for file in gone.files) + 7
    assert Dataset(tmp_path).partitions() == [stays.partition]
    parquet = [path for path in tmp_path.rglob("*.parquet") if "batch=0000" in str(path)]
    assert parquet == []
    assert all((tmp_path / path).exists() for path in stays.paths())
    assert derived[1].exists()
    assert sample.write(tmp_path, 0).files == gone.files


def test_a_batch_that_is_newer_now_or_gone_is_left_alone(tmp_path: Path) -> None:
    old = sample.write(tmp_path, seed=1)
    new = sample.write(tmp_path, seed=2)
    store = FolderStore(tmp_path)
    assert remove_partition(store, old) == 0
    assert Dataset(tmp_path).partitions() == [new.partition]
    assert remove_partition(store, new) > 0
    assert remove_partition(store, new) == 0
