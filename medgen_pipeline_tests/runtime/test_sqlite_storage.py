"""Dagster's instance in SQLite files that stay open: the same files, opened a few times at most."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
import sqlalchemy as sa

from medgen_pipeline.runtime import sqlite_storage
from medgen_pipeline.runtime.instance_yaml import render_instance_yaml
from medgen_pipeline.runtime.sqlite_storage import KeptFiles

KEY = dg.AssetKey("patients")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "dagster.yaml").write_text(render_instance_yaml({}))
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as opened:
        yield opened


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that names each file when it is opened."""
    files: list[str] = []
    connect = sqlite3.connect

    def counted(database: str, *args: object, **kwargs: object) -> sqlite3.Connection:
        files.append(Path(database).name)
        return connect(database, *args, **kwargs)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3.dbapi2, "connect", counted)
    return files


def materialise(instance: dg.DagsterInstance, times: int) -> str:
    """Run an asset so many times, and return the id of the last run."""

    @dg.asset(key=KEY)
    def patients() -> None:
        return

    results = [dg.materialize([patients], instance=instance) for _ in range(times)]
    return results[-1].run_id


def url_of(file: Path) -> str:
    return f"sqlite:///{file}"


def count(files: KeptFiles, file: Path) -> int:
    """Add a row to a table of a file, and return how many there are."""
    with files.transaction(url_of(file)) as connection:
        connection.execute(sa.text("create table if not exists t (x int)"))
        connection.execute(sa.text("insert into t values (1)"))
        return int(connection.execute(sa.text("select count(*) from t")).scalar_one())


def test_files_are_not_opened_for_each_event(
    instance: dg.DagsterInstance, opened: list[str]
) -> None:
    """Three runs have some 40 events; what all share is not opened again after the first."""
    materialise(instance, 1)
    del opened[:]
    materialise(instance, 2)
    assert {"index.db", "runs.db"}.isdisjoint(opened)
    assert len(opened) <= 8  # the files of the two runs, with their making


def test_dagsters_own_storage_reads_what_was_stored_and_the_other_way_round(
    instance: dg.DagsterInstance, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run_id = materialise(instance, 1)
    elsewhere = tmp_path_factory.mktemp("config")
    (elsewhere / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    ref = dg._core.instance.InstanceRef.from_dir(str(home), config_dir=str(elsewhere))  # noqa: SLF001
    with dg.DagsterInstance.from_ref(ref) as stock:
        assert type(stock) is dg.DagsterInstance
        assert stock.get_run_by_id(run_id) is not None
        assert len(stock.all_logs(run_id)) == len(instance.all_logs(run_id)) > 5
        later = materialise(stock, 1)
    assert len(instance.all_logs(later)) > 5
    latest = instance.get_latest_materialization_event(KEY)
    assert latest is not None
    assert latest.run_id == later


def test_an_instance_says_where_it_is_to_other_processes(instance: dg.DagsterInstance) -> None:
    """Dagster hands a reference to its code server and to its runs."""
    run_id = materialise(instance, 1)
    assert isinstance(instance, sqlite_storage.SqliteInstance)
    with dg.DagsterInstance.from_ref(instance.get_ref()) as same:
        assert isinstance(same, sqlite_storage.SqliteInstance)
        assert same.get_run_by_id(run_id) is not None


def test_a_home_that_was_moved_is_read_where_it_is(home: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "dagster.yaml").write_text((home / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path / "a")) as before:
        run_id = materialise(before, 1)
    (tmp_path / "a").rename(tmp_path / "b")
    with dg.DagsterInstance.from_config(str(tmp_path / "b")) as after:
        assert after.get_run_by_id(run_id) is not None
    assert not (tmp_path / "a").exists()


def test_another_file_in_the_same_place_is_another_file(tmp_path: Path) -> None:
    """Whoever deletes a home and makes it anew does not write to what was deleted."""
    files, file = KeptFiles(), tmp_path / "x.db"
    assert [count(files, file), count(files, file)] == [1, 2]
    file.unlink()
    assert count(files, file) == 1
    with sqlite3.connect(file) as seen:
        assert seen.execute("select count(*) from t").fetchone() == (1,)


def test_only_the_files_used_last_stay_open(tmp_path: Path) -> None:
    """A daemon looks at a file for each run; they do not add up."""
    files = KeptFiles(most=3)
    for number in range(20):
        assert count(files, tmp_path / f"{number}.db") == 1
    held = {each.path for each in psutil.Process().open_files()}
    names = {Path(each).name for each in held if str(tmp_path) in each}
    assert names == {"17.db", "18.db", "19.db"}


def test_a_forked_process_opens_its_own(tmp_path: Path) -> None:
    """SQLite forbids to carry a connection over a fork; the parent's goes on."""
    files, file = KeptFiles(), tmp_path / "x.db"
    assert count(files, file) == 1
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if count(files, file) == 2 else 1)
        except BaseException:  # noqa: BLE001  a child must not go on with the tests
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert count(files, file) == 3
