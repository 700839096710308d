"""Dagster's instance on Postgres: one engine that nobody replaces, nothing lost or doubled."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.storage.event_log.base import EventLogStorage
from dagster._core.storage.runs.base import RunStorage
from dagster._core.storage.schedules.base import ScheduleStorage
from dagster_postgres.storage import DagsterPostgresStorage
from sqlalchemy.engine import Connection

from medgen_pipeline.runtime import storage as storages
from medgen_pipeline.runtime.engine import ENGINES
from medgen_pipeline.runtime.instance_view import InstanceView
from medgen_pipeline.runtime.instance_yaml import render_instance_yaml
from medgen_pipeline.runtime.ranges import no_place
from medgen_pipeline_tests.postgres_server import PASSWORD, PostgresServer

OPEN = """
import sys, dagster as dg
with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    print(instance.get_runs_count())
"""


@pytest.fixture
def home(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home whose instance is on an empty database."""
    monkeypatch.setenv("MEDGEN_DATABASE_URL", database_url)
    text = render_instance_yaml({"MEDGEN_DATABASE_URL": database_url})
    (tmp_path / "dagster.yaml").write_text(text)
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as opened:
        yield opened
        pooled_of(opened).engine.dispose()


def pooled_of(instance: dg.DagsterInstance) -> Any:  # noqa: ANN401  a private attribute
    return instance.run_storage._pooled  # type: ignore[attr-defined]  # noqa: SLF001


def three(instance: dg.DagsterInstance) -> list[Any]:
    """Return the engines of what keeps runs, events and ticks."""
    kept = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
    return [each._engine for each in kept]  # type: ignore[union-attr]  # noqa: SLF001


def test_runs_events_and_ticks_share_one_engine(instance: dg.DagsterInstance, home: Path) -> None:
    """So does every other instance of the process; the web server asks for its own in vain."""
    engine = pooled_of(instance).engine
    assert three(instance) == [engine] * 3
    with dg.DagsterInstance.from_config(str(home)) as another:
        assert three(another) == [engine] * 3
        another.optimize_for_webserver(15_000, 3_600, 20)
        assert three(another) == [engine] * 3
        assert another.get_runs_count() == 0
    assert instance.get_runs_count() == 0


def test_a_second_instance_opens_no_session(
    instance: dg.DagsterInstance, home: Path, postgres: PostgresServer
) -> None:
    """As a code server makes one for each tick of a sensor."""
    instance.get_runs_count()
    created = pooled_of(instance).figures().created
    for _ in range(5):
        with dg.DagsterInstance.from_config(str(home)) as another:
            another.get_runs_count()
            another.event_log_storage.get_maximum_record_id()
            another.all_instigator_state()
    assert pooled_of(instance).figures().created == created
    assert postgres.process is not None


def test_neither_file_nor_instance_holds_the_password(
    instance: dg.DagsterInstance, home: Path
) -> None:
    """What is handed to other processes names the variable."""
    assert "MEDGEN_DATABASE_URL" in (home / "dagster.yaml").read_text()
    for text in ((home / "dagster.yaml").read_text(), str(instance.get_ref().to_dict())):
        assert PASSWORD not in text
        assert "s3cret" not in text


def test_processes_that_start_at_once_make_the_tables_once(home: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(home)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert (out, process.returncode) == ("0\n", 0), err


def test_tables_of_dagsters_own_storage_are_taken_as_they_are(
    home: Path, database_url: str
) -> None:
    """Who ran on Postgres before keeps runs, events and ticks."""
    stock = DagsterPostgresStorage(database_url)
    stock.event_log_storage.add_dynamic_partitions("kept", ["a"])
    with dg.DagsterInstance.from_config(str(home)) as opened:
        assert opened.get_dynamic_partitions("kept") == ["a"]
        pooled_of(opened).engine.dispose()


def test_what_is_repeated_is_there_in_dagster() -> None:
    """A method that Dagster renames is missed here, not on the day the server dies."""
    pairs = (
        (RunStorage, storages.PooledRunStorage),
        (EventLogStorage, storages.PooledEventLogStorage),
        (ScheduleStorage, storages.PooledScheduleStorage),
    )
    repeated = {
        name
        for base, ours in pairs
        for name in dir(base)
        if hasattr(getattr(ours, name), "__wrapped__")
    }
    assert {"get_runs", "handle_run_event", "get_ticks", "get_event_records"} <= repeated
    # What adds something is not among them: done twice, it would be there twice.
    added = {
        "add_run",
        "add_backfill",
        "create_tick",
        "add_instigator_state",
        "wipe",
        "store_event",
    }
    assert not repeated & added


class Severed:
    """Loses the connection of a statement, before or after the server has executed it."""

    def __init__(self, postgres: PostgresServer, words: str, *, is_done: bool, times: int) -> None:
        self.left = times
        self._postgres = postgres
        self._words = words
        self._is_done = is_done

    def __call__(self, connection: Connection, cursor: Any, statement: str, *_: object) -> None:  # noqa: ANN401
        """Kill the session, once the statement is about to be sent."""
        if self._words not in statement or not self.left:
            return
        self.left -= 1
        driver = connection.connection.driver_connection
        assert driver is not None
        pid = driver.info.backend_pid
        if self._is_done:
            cursor.execute(statement, *_[:1])
        self._postgres.execute(f"select pg_terminate_backend({pid})")
        while (pid,) in self._postgres.execute("select pid from pg_stat_activity"):
            time.sleep(0.01)


@pytest.fixture
def sever(
    instance: dg.DagsterInstance, postgres: PostgresServer
) -> Iterator[Callable[..., Severed]]:
    """Return what makes statements of the instance lose their connection."""
    engine, set_up = pooled_of(instance).engine, []

    def of(words: str, *, is_done: bool, times: int = 1) -> Severed:
        cut = Severed(postgres, words, is_done=is_done, times=times)
        sa.event.listen(engine, "before_cursor_execute", cut)
        set_up.append(cut)
        return cut

    yield of
    for each in set_up:
        sa.event.remove(engine, "before_cursor_execute", each)


@pytest.mark.parametrize("is_done", [False, True])
def test_an_event_is_stored_once_when_its_connection_is_lost(
    instance: dg.DagsterInstance, sever: Callable[..., Severed], *, is_done: bool
) -> None:
    """Whether or not the server had stored it before."""
    cut = sever("INSERT INTO event_logs", is_done=is_done)
    instance.report_runless_asset_event(dg.AssetMaterialization("patients", partition="0001"))
    assert cut.left == 0
    records = instance.fetch_materializations(dg.AssetKey("patients"), limit=10).records
    assert [each.partition_key for each in records] == ["0001"]
    assert instance.get_materialized_partitions(dg.AssetKey("patients")) == {"0001"}
    assert instance.get_latest_materialization_event(dg.AssetKey("patients")) is not None


def test_a_read_is_repeated(instance: dg.DagsterInstance, sever: Callable[..., Severed]) -> None:
    cut = sever("FROM runs", is_done=False, times=3)
    assert instance.get_runs_count() == 0
    assert cut.left == 0


@pytest.mark.parametrize("is_done", [False, True])
def test_the_place_of_a_backfill_is_decided_once_when_its_connection_is_lost(
    instance: dg.DagsterInstance, sever: Callable[..., Severed], *, is_done: bool
) -> None:
    """A second decision would take the first for one of another look, and keep the place."""
    backfill = PartitionBackfill(
        "filling",
        BulkActionStatus.REQUESTED,
        from_failure=False,
        tags={},
        backfill_timestamp=0.0,
    )
    instance.add_backfill(backfill)
    tags = {"dagster/backfill": "filling", "dagster/asset_partition_range_end": "0003|a"}
    instance.add_run(dg.DagsterRun("generation", tags=tags))
    cut = sever("UPDATE bulk_actions", is_done=is_done)
    instance.update_backfill(backfill._replace(last_submitted_partition_name="0003|a"))
    assert cut.left == 0
    stored = instance.get_backfill("filling")
    assert stored is not None
    assert stored.last_submitted_partition_name == no_place("0003|a")


def test_what_never_ends_well_is_not_repeated_for_ever(
    instance: dg.DagsterInstance,
    sever: Callable[..., Severed],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(storages, "TIMES", 2)
    sever("FROM runs", is_done=False, times=100)
    with pytest.raises(sa.exc.OperationalError):
        instance.get_runs_count()


def test_an_error_of_another_kind_is_not_repeated(instance: dg.DagsterInstance) -> None:
    """A statement that is wrong is wrong again."""
    before = pooled_of(instance).figures().errors["other"]
    with (
        pytest.raises(sa.exc.ProgrammingError),
        instance.run_storage.connect() as connection,  # type: ignore[attr-defined]
    ):
        connection.execute(sa.text("select nothing from nowhere"))
    assert pooled_of(instance).figures().errors["other"] == before + 1


def test_a_run_ends_well_whose_server_dies_meanwhile(
    instance: dg.DagsterInstance, postgres: PostgresServer
) -> None:
    """Its events are all there, once each, though the server was away for two seconds."""
    back = threading.Timer(2.0, postgres.start)

    @dg.op
    def kills() -> None:
        postgres.kill()
        back.start()

    @dg.job
    def killing() -> None:
        kills()

    result = killing.execute_in_process(instance=instance)
    back.join()
    assert result.success
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.SUCCESS
    kinds = [each.dagster_event_type for each in instance.all_logs(result.run_id)]
    for kind in (dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.RUN_SUCCESS):
        assert kinds.count(kind) == 1


def test_makers_are_found_as_on_sqlite(instance: dg.DagsterInstance) -> None:
    """The statement is ours, not Dagster's."""

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
    def made() -> None: ...

    calm = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    runs = [
        dg.materialize([made], instance=instance, partition_key=each, run_config=calm).run_id
        for each in ("a", "b", "a")
    ]
    assert InstanceView(instance).makers("made") == {"a": runs[2], "b": runs[1]}


def test_figures_are_those_of_the_process(instance: dg.DagsterInstance) -> None:
    instance.get_runs_count()
    figures = ENGINES.figures()
    assert figures is not None
    assert figures.checkouts >= pooled_of(instance).figures().checkouts > 0
