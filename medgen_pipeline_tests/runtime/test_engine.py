"""The pool of a process counts what happens to its connections, and outlives the server."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from medgen_pipeline.errors import DatabaseError
from medgen_pipeline.runtime import engine as engines
from medgen_pipeline.runtime import parts
from medgen_pipeline.runtime.database import Address
from medgen_pipeline.runtime.engine import Engines, PooledEngine, new_engine, pauses_seconds
from medgen_pipeline.runtime.parts import Shape
from medgen_pipeline.runtime.pool_figures import SLOW_QUERY_SECONDS, PoolFigures
from medgen_pipeline.runtime.pool_files import pool_figures_of_deployment
from medgen_pipeline_tests.postgres_server import PostgresServer

SHAPE = Shape(size=2, max_overflow=1, timeout_seconds=1, recycle_seconds=3_600)
ONE = sa.text("select 1")


@pytest.fixture
def make(database_url: str) -> Iterator[Callable[[Shape], PooledEngine]]:
    """Return what makes engines on an empty database."""
    made: list[PooledEngine] = []

    def of(shape: Shape = SHAPE) -> PooledEngine:
        made.append(new_engine(Address(database_url), shape, "daemon"))
        return made[-1]

    yield of
    for each in made:
        each.engine.dispose()


@pytest.fixture
def pooled(make: Callable[[Shape], PooledEngine]) -> PooledEngine:
    return make(SHAPE)


def ask(pooled: PooledEngine, query: sa.TextClause = ONE) -> None:
    with pooled.connection() as connection:
        connection.execute(query)


def state(figures: PoolFigures) -> tuple[int, int, int]:
    return figures.active, figures.idle, figures.overflow


def test_a_connection_is_opened_once_and_used_often(
    pooled: PooledEngine, postgres: PostgresServer
) -> None:
    """Ten statements, one session; the server knows its part."""
    for _ in range(10):
        ask(pooled)
    figures = pooled.figures()
    assert (figures.created, figures.checkouts, figures.closed) == (1, 10, 0)
    assert state(figures) == (0, 1, 0)
    assert figures.wait_seconds.count == 10
    found = postgres.execute("select application_name from pg_stat_activity")
    assert ("medgen daemon",) in found


def test_gauges_follow_what_is_in_use(pooled: PooledEngine) -> None:
    """Beyond the size a connection is overflow, and it is closed when it is given back."""
    with pooled.connection(), pooled.connection(), pooled.connection():
        assert state(pooled.figures()) == (3, 0, 1)
    figures = pooled.figures()
    assert state(figures) == (0, 2, 0)
    assert (figures.created, figures.closed, figures.recycled) == (3, 1, 0)


def test_who_finds_no_connection_free_is_told_what_to_raise(pooled: PooledEngine) -> None:
    with pooled.connection(), pooled.connection(), pooled.connection():
        waits = threading.Thread(target=_suppressed, args=(pooled,))
        waits.start()
        while not pooled.figures().waiting:
            time.sleep(0.01)
        waits.join()
        with pytest.raises(DatabaseError, match=r"within 1 s: the daemon has 3 in use; raise DB_P"):
            ask(pooled)
    figures = pooled.figures()
    assert figures.checkout_timeouts == figures.errors["pool_timeout"] == 2
    assert (figures.checkouts, figures.waiting) == (3, 0)


def _suppressed(pooled: PooledEngine) -> None:
    with pytest.raises(DatabaseError):
        ask(pooled)


def test_a_connection_that_is_old_is_replaced(make: Callable[[Shape], PooledEngine]) -> None:
    pooled = make(Shape(size=2, max_overflow=1, timeout_seconds=1, recycle_seconds=1))
    ask(pooled)
    time.sleep(1.1)
    ask(pooled)
    figures = pooled.figures()
    assert (figures.created, figures.closed, figures.recycled, figures.invalidated) == (2, 1, 1, 0)


def test_dead_connections_are_found_before_they_are_used(
    pooled: PooledEngine, postgres: PostgresServer
) -> None:
    """The first is tried, and found dead; then the other is not trusted either."""
    with pooled.connection(), pooled.connection():
        pass
    postgres.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where application_name like 'medgen %'"
    )
    with pooled.connection() as one, pooled.connection() as other:
        one.execute(ONE)
        other.execute(ONE)
    figures = pooled.figures()
    assert figures.failed_validations == figures.errors["disconnect"] == 1
    assert (figures.created, figures.closed, figures.invalidated) == (4, 2, 2)
    assert state(figures) == (0, 2, 0)


def test_statements_are_timed_by_their_kind(pooled: PooledEngine) -> None:
    before = pooled.figures().query_seconds
    with pooled.connection() as connection:
        for text in (
            "create table t (n int primary key)",
            "insert into t values (1)",
            "  UPDATE t set n = 2",
            "with x as (select 1) select * from x",
            "delete from t",
        ):
            connection.execute(sa.text(text))
    after = pooled.figures().query_seconds
    new = {kind: after[kind].count - before[kind].count for kind in after}
    assert {kind: new[kind] for kind in ("insert", "update", "delete")} == {
        "insert": 1,
        "update": 1,
        "delete": 1,
    }
    assert new["select"] >= 1  # and those that the engine asks when it first connects
    assert new["other"] >= 1


def test_slow_statements_and_errors_are_counted(make: Callable[[Shape], PooledEngine]) -> None:
    pooled = make(SHAPE)
    with pooled.connection() as connection:
        connection.execute(sa.text(f"select pg_sleep({SLOW_QUERY_SECONDS * 1.1})"))
        connection.execute(sa.text("create table t (n int primary key); insert into t values (1)"))
        with pytest.raises(IntegrityError):
            connection.execute(sa.text("insert into t values (1)"))
        with pytest.raises(DBAPIError):
            connection.execute(sa.text("select nothing from nowhere"))
        connection.execute(sa.text("set statement_timeout = 50"))
        with pytest.raises(OperationalError):
            connection.execute(sa.text("select pg_sleep(10)"))
    figures = pooled.figures()
    assert figures.slow_queries == 1
    kinds = ("conflict", "other", "statement_timeout")
    assert {kind: figures.errors[kind] for kind in kinds} == dict.fromkeys(kinds, 1)
    assert figures.query_seconds["select"].total_seconds > SLOW_QUERY_SECONDS


def test_a_server_that_comes_back_is_waited_for(
    pooled: PooledEngine, postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A thread that works goes on where it was; what it says is two lines, however long it was."""
    ask(pooled)
    postgres.kill()
    back = threading.Timer(1.0, postgres.start)
    back.start()
    ask(pooled)
    back.join()
    figures = pooled.figures()
    assert figures.created == 2
    assert figures.failed_connects == figures.errors["connect"] >= 2
    said = [record.message for record in caplog.records]
    assert len(said) == 2
    assert "waiting for the database: MEDGEN_DATABASE_URL: medgen@127.0.0.1" in said[0]


def test_who_asks_for_an_answer_is_told_that_there_is_none(
    database_url: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "FOR_ONE_WHO_ASKS_SECONDS", 0.5)
    pooled = new_engine(Address(database_url), SHAPE, "web server")
    postgres.kill()
    with pytest.raises(DatabaseError, match="nobody who listens"):
        ask(pooled)


def test_pauses_grow_and_are_never_in_step() -> None:
    """Half a pause is left to chance, and none is longer than two seconds."""
    pauses = pauses_seconds()
    first = [next(pauses) for _ in range(12)]
    assert 0.05 <= first[0] <= 0.1
    assert all(1.0 <= pause <= engines.LONGEST_PAUSE_SECONDS for pause in first[6:])
    assert len(set(first)) == 12


def test_a_process_has_one_engine_for_a_database(database_url: str) -> None:
    """However many instances it makes; another database has another."""
    process = Engines()
    first = process.get(Address(database_url), SHAPE)
    assert process.get(Address(database_url), SHAPE) is first
    assert process.get(Address(f"{database_url}?connect_timeout=3"), SHAPE) is not first
    ask(first)
    figures = process.figures()
    assert figures is not None
    assert (figures.part, figures.processes, figures.created) == ("command", 1, 1)
    first.engine.dispose()


def test_a_process_without_an_engine_has_no_figures() -> None:
    assert Engines().figures() is None


def test_an_engine_shows_no_password(pooled: PooledEngine) -> None:
    ask(pooled)
    shown = f"{pooled} {pooled.engine} {pooled.engine.url} {pooled.engine.pool} {pooled.address!r}"
    assert "s3cret" not in shown


def test_figures_are_kept_while_the_home_is_there(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are in the home soon after they change, and the thread ends with the home."""
    monkeypatch.setattr(engines, "SECONDS_BETWEEN_FIGURES", 0.05)
    process, home = Engines(), tmp_path / "home"
    home.mkdir()
    pooled = process.get(Address(database_url), SHAPE)
    process.keep_figures(home)
    process.keep_figures(home)
    keepers = [each for each in threading.enumerate() if each.name == "medgen-pool-figures"]
    ask(pooled)
    deadline = time.monotonic() + 30
    while not any(each.created for each in pool_figures_of_deployment(home)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    home.rename(tmp_path / "gone")
    keepers[-1].join(30)
    assert not keepers[-1].is_alive()
    pooled.engine.dispose()
