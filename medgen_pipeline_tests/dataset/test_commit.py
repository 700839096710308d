"""A partition is the old one or the new one, whole, whatever happens while it is replaced."""

import hashlib
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from obstore.store import MemoryStore

from medgen_pipeline.dataset import layout, schema
from medgen_pipeline.dataset.bucket import BucketStore
from medgen_pipeline.dataset.janitor import find_litter, remove
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.dataset.store import Blob, FolderStore, Store
from medgen_pipeline.errors import DatasetError
from medgen_pipeline_tests.dataset import dying, sample


def dead(run: str) -> bool:
    """Say of every run that it is over."""
    del run
    return False


def rows_per_table(store: Store) -> set[int]:
    """Return the number of rows of the tables, after checking every file against its manifest."""
    dataset = Dataset(store)
    (manifest,) = dataset.manifests()
    for file in manifest.files:
        with store.open_input(manifest.path(file)) as opened:
            assert hashlib.sha256(opened.read()).hexdigest() == file.sha256
    return {dataset.scan(table).read_all().num_rows for table in schema.TABLES}


def data_files(store: Store) -> set[str]:
    """Return all files but manifests: those a reader that globs could find, and staging."""
    return {e.path for e in store.entries() if not e.path.startswith(layout.MANIFESTS)}


def check_whole(store: Store, expected: set[int]) -> None:
    """Check that the dataset is one of two states, that the janitor cleans it, that it goes on."""
    seen = rows_per_table(store)
    assert len(seen) == 1
    assert seen <= expected
    remove(store, find_litter(store, is_alive=dead))
    assert rows_per_table(store) == seen
    (manifest,) = Dataset(store).manifests()
    assert data_files(store) == set(manifest.paths())
    dying.commit_new(store)
    assert rows_per_table(store) == {NEW}


OLD = 3 * int(dying.OLD["count"])
NEW = 3 * int(dying.NEW["count"])


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Datasets whose writer was killed, each one step later than the one before."""
    folder = tmp_path_factory.mktemp("killed")
    sample.write(folder / "before", **dying.OLD)
    (folder / "after").mkdir()
    subprocess.run(
        [sys.executable, "-m", dying.__name__, str(folder / "before"), str(folder / "after")],
        check=True,
    )
    return sorted((folder / "after").iterdir())


def test_a_process_killed_at_any_step(killed: list[Path]) -> None:
    """Old or new, whole; the janitor removes the rest; the partition can be written again."""
    states = []
    for folder in killed:
        store = FolderStore(folder)
        states.append(rows_per_table(store))
        for path in folder.glob("*/scenario=*/batch=*/*.parquet"):
            pq.read_table(path)  # whoever globs sees whole files
        check_whole(store, {OLD, NEW})
    assert len(killed) > 6 * 4  # opened, closed, renamed and deleted: each of six tables
    turn = states.index({NEW})
    assert states == [{OLD}] * turn + [{NEW}] * (len(states) - turn)


def steps_of_a_commit(store: Store) -> int:
    """Return how many steps a commit over the old partition has."""
    steps = dying.Steps(10**6, lambda: None)
    dying.commit_new(dying.stepped(again(store), steps))
    return len(steps.names)


def again(store: Store) -> Store:
    """Return another handle of the same store."""
    if isinstance(store, FolderStore):
        return FolderStore(store.root)
    assert isinstance(store, BucketStore)
    return BucketStore(store.store, store.url)


def fresh(kind: str, folder: Path) -> Store:
    """Return a store that holds the old partition."""
    store = FolderStore(folder) if kind == "folder" else BucketStore(MemoryStore(), "memory://")
    sample.write(store, **dying.OLD)
    return store


class PowerCutError(BaseException):
    """Nothing works any more, and no clean-up happens."""


def test_a_bucket_writer_killed_at_any_step(tmp_path: Path) -> None:
    """The same on object storage, where files are uploaded in place."""

    def cut() -> None:
        raise PowerCutError

    states = []
    for die_at in range(steps_of_a_commit(fresh("bucket", tmp_path))):
        store = fresh("bucket", tmp_path)
        with pytest.raises(PowerCutError):
            dying.commit_new(dying.stepped(again(store), dying.Steps(die_at, cut)))
        states.append(rows_per_table(store))
        check_whole(store, {OLD, NEW})
    assert {OLD} in states
    assert {NEW} in states


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_an_error_at_any_step_leaves_no_litter(tmp_path: Path, kind: str) -> None:
    """A writer that fails puts everything back; one that only fails to delete has committed."""
    count = steps_of_a_commit(fresh(kind, tmp_path / "count"))
    for fail_at in range(count):
        store = fresh(kind, tmp_path / str(fail_at))
        steps = dying.Steps(fail_at, lambda: None)

        def fail_once(steps: dying.Steps = steps) -> None:
            steps.left = 10**6
            raise DatasetError("the store says no")

        steps.fault = fail_once
        try:
            dying.commit_new(dying.stepped(again(store), steps))
        except DatasetError:
            assert rows_per_table(store) == {OLD}
            (manifest,) = Dataset(store).manifests()
            assert data_files(store) == set(manifest.paths())
        else:
            assert steps.names[fail_at] == "delete"
            assert rows_per_table(store) == {NEW}
            check_whole(store, {NEW})


def test_a_failed_rewrite_of_equal_data_keeps_it(tmp_path: Path) -> None:
    """The files put in place bear the names of those that are listed; they must stay."""
    store = fresh("folder", tmp_path)
    failing = again(store)

    def refuse(*_: object, **__: object) -> None:
        raise DatasetError("the store says no")

    vars(failing)["replace_if"] = refuse
    with pytest.raises(DatasetError, match="the store says no"):
        sample.write(failing, **dying.OLD)
    check_whole(store, {OLD})


class _Unsure(BucketStore):
    """A bucket whose answer to the last request is lost, as when the network fails."""

    def __init__(self, store: BucketStore, *, stays_away: bool) -> None:
        super().__init__(store.store, store.url)
        self.is_away = False
        self.stays_away = stays_away

    def replace_if(self, path: str, data: bytes, expected: str | None, *, staging: str) -> None:
        super().replace_if(path, data, expected, staging=staging)
        self.is_away = self.stays_away
        raise DatasetError("the server does not answer")

    def read(self, path: str) -> Blob:
        if self.is_away:
            raise DatasetError("the server does not answer")
        return super().read(path)


@pytest.mark.parametrize("stays_away", [False, True])
def test_a_lost_answer_to_the_commit_does_not_lose_its_files(*, stays_away: bool) -> None:
    """Files of a commit that may have happened are never deleted."""
    store = BucketStore(MemoryStore(), "memory://")
    sample.write(store, **dying.OLD)
    with pytest.raises(DatasetError, match="does not answer"):
        dying.commit_new(_Unsure(store, stays_away=stays_away))
    check_whole(store, {NEW})


def test_a_repeated_commit_request_is_no_conflict() -> None:
    """A conditional PUT whose answer was lost is sent again, and must know its own success."""
    store = BucketStore(MemoryStore(), "memory://")
    store.replace_if("manifest", b"one", None, staging="")
    version = store.read("manifest").version
    store.replace_if("manifest", b"two", version, staging="")
    store.replace_if("manifest", b"two", version, staging="")
    with pytest.raises(DatasetError, match="replaced by another writer"):
        store.replace_if("manifest", b"three", version, staging="")


def test_two_writers_in_a_bucket(tmp_path: Path) -> None:
    """One wins, the other fails with a clear message and takes its files away."""
    store = fresh("bucket", tmp_path)
    with sample.writer(store) as slow, sample.writer(store) as fast:
        sample.fill(slow, count=5, seed=3)
        sample.fill(fast, count=6, seed=4)
        fast.commit(outcomes={"RTD": 18})
        with pytest.raises(DatasetError, match="replaced by another writer"):
            slow.commit(outcomes={"RTD": 15})
    (manifest,) = Dataset(store).manifests()
    assert data_files(store) == set(manifest.paths())
    assert rows_per_table(store) == {18}


def test_a_writer_taken_for_dead_cannot_commit(tmp_path: Path) -> None:
    """Its files are gone; a manifest that lists them must not appear."""
    store = fresh("bucket", tmp_path)
    with sample.writer(again(store)) as opened:
        sample.fill(opened, count=5)
        exclusive = opened.store.exclusive

        def swept(folder: str) -> AbstractContextManager[None]:  # just before the manifest
            remove(store, find_litter(store, is_alive=dead))
            return exclusive(folder)

        vars(opened.store)["exclusive"] = swept
        with pytest.raises(DatasetError, match="its run was taken for dead"):
            opened.commit(outcomes={"RTD": 15})
    assert rows_per_table(store) == {OLD}
