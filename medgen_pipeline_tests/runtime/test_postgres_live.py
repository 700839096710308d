"""A real deployment on Postgres: its processes pool connections, and outlive the server's death.

The tests share it, for it takes 15 s to start, and go through it in this order.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

import dagster as dg
import pytest

from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.defs.housekeeping import housekeeping
from medgen_pipeline.exports.aggregates import AGGREGATES
from medgen_pipeline.runtime import storage
from medgen_pipeline.runtime.engine import Engines
from medgen_pipeline.runtime.parts import most_connections
from medgen_pipeline.runtime.pool_figures import PoolFigures
from medgen_pipeline.runtime.pool_files import pool_figures_of_deployment
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.defs.conftest import TINY, settings_in
from medgen_pipeline_tests.postgres_server import PASSWORD, PostgresServer, running
from medgen_pipeline_tests.runtime.live import GENERATION_JOB, Up, up

pytestmark = pytest.mark.xdist_group("live deployment")

BACKFILLED: Final = 4  # in one run, as the assets' policy has it
LAUNCHED: Final = 2  # beside it, each in a run of its own
SERVICES: Final = ("dagster_webserver", "dagster._daemon", "api grpc")
UNPOOLED: Final = 2  # sessions: the look before it starts, and the lock under which tables are made
SECONDS_AWAY: Final = 6  # longer than anybody waits who asks for an answer
STATE: Final = """
    query($id: String!) { partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status } } }
    """
MATERIALIZED: Final = """
    select asset_key, partition, run_id, count(*) from event_logs
    where dagster_event_type = 'ASSET_MATERIALIZATION' and partition is not null group by 1, 2, 3
    """
SESSIONS: Final = "select sessions from pg_stat_database where datname = 'medgen_1'"
NAMES: Final = "select application_name from pg_stat_activity where datname = 'medgen_1'"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Return a server with nobody else on it, so that its figures are ours."""
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def live(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("postgres")
    url = server.new_database()
    started = up(
        folder / "home",
        MEDGEN_DATABASE_URL=url,
        MEDGEN_SCENARIO_DIR=str(settings_in(folder).scenario_dir),
        DB_POOL_SIZE="5",
        MAX_CONCURRENT_JOBS="2",
    )
    with pytest.MonkeyPatch.context() as patch, started as running_up:
        patch.setenv("MEDGEN_DATABASE_URL", url)  # for instances made here
        # The pools of this process count for all databases that its tests have used before.
        patch.setattr(storage, "ENGINES", Engines())
        yield running_up


def key_of(batch: int) -> str:
    return f"{batch:04d}|{TINY}"


def backfill(live: Up, batches: range) -> str:
    """Launch a backfill of all tables as the page of the assets does."""
    tables = [{"path": [table]} for table in schema.TABLES]
    return live.backfill([key_of(batch) for batch in batches], assetSelection=tables)


def launch(live: Up, batch: int) -> str:
    """Launch the run of one batch as the Launchpad does."""
    tags = {
        "partition": key_of(batch),
        "partition/batch": f"{batch:04d}",
        "partition/scenario": TINY,
    }
    return live.launch("generation", **tags)


def fresh(live: Up) -> Mapping[str, PoolFigures]:
    """Return the figures of each part, all younger than this call."""
    now = time.time()

    def found() -> Mapping[str, PoolFigures] | None:
        parts = {each.part: each for each in pool_figures_of_deployment(live.home)}
        alive = [each for each in parts.values() if each.processes]
        return parts if alive and all(each.taken_at > now for each in alive) else None

    figures = live.until(found)
    assert figures is not None
    return figures


def test_every_process_has_a_pool_and_they_count_what_the_server_counts(
    live: Up, server: PostgresServer
) -> None:
    """The server knows the sessions by their part, and has as many as the pools have opened.

    This process is among them, for it opens instances of the deployment.
    """
    live.add_scenario(TINY)
    run_id = launch(live, 100)
    live.until(lambda: state(live, run_id) == "SUCCESS")

    def agree() -> bool:
        [(sessions,)] = server.execute(SESSIONS)
        return bool(sum(each.created for each in fresh(live).values()) + UNPOOLED == sessions)

    live.until(agree)
    parts = fresh(live)
    assert set(parts) == {"api", "code server", "daemon", "web server", "run worker", "command"}
    assert parts["run worker"].created == parts["run worker"].closed > 0  # the run has ended
    names = {name for (name,) in server.execute(NAMES)}
    assert names <= {f"medgen {part}" for part in parts}
    assert {"medgen daemon", "medgen web server"} <= names
    most = most_connections(Settings(db_pool_size=5))
    for part, figures in parts.items():
        assert figures.active + figures.idle <= most[part]
        assert figures.checkouts > figures.created


def state(live: Up, run_id: str) -> str:
    """Return the status of a run."""
    with live.instance() as instance:
        run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status.value


def at_work(live: Up) -> int:
    """Return how many runs are at work."""
    with live.instance() as instance:
        return instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))


def is_done(live: Up, backfill_id: str) -> bool:
    """Whether a backfill has ended."""
    found = live.ask(STATE, id=backfill_id)["partitionBackfillOrError"]["status"]
    assert found in {"REQUESTED", "COMPLETED_SUCCESS"}
    return bool(found == "COMPLETED_SUCCESS")


def test_a_server_killed_in_the_middle_of_a_backfill(live: Up, server: PostgresServer) -> None:
    """Every run ends well, each event is there once, and no process was started anew.

    The tables of a batch are made once. Its aggregates may be made by a second run: Dagster reads
    what has changed and what is under way one after the other, and what ends meanwhile is neither.
    """
    services = {word: live.service(word) for word in SERVICES}
    before = fresh(live)
    launched = [launch(live, BACKFILLED + number) for number in range(LAUNCHED)]
    filling = backfill(live, range(BACKFILLED))
    live.until(lambda: at_work(live) >= 2)
    server.kill()
    with pytest.raises((RuntimeError, OSError)):  # in time, or it would be an error of another kind
        live.ask(STATE, id=filling)
    time.sleep(SECONDS_AWAY)
    server.start()
    live.until(lambda: is_done(live, filling), 300)
    live.until(lambda: {state(live, run_id) for run_id in launched} == {"SUCCESS"})
    with live.instance() as instance:
        ended = Counter(
            run.status.value
            for run in instance.get_runs()
            if run.job_name != housekeeping.name  # which an hour may have begun
        )
    assert set(ended) == {"SUCCESS"}, ended
    found = server.execute(MATERIALIZED, "medgen_1")
    assert {count for *_, count in found} == {1}
    batches = {*range(BACKFILLED + LAUNCHED), 100}
    tables = {dg.AssetKey(table).to_string() for table in schema.TABLES}
    assert Counter((asset, partition) for asset, partition, *_ in found if asset in tables) == {
        (table, key_of(batch)): 1 for table in tables for batch in batches
    }
    data = Dataset(live.home / "data")
    assert {each.batch for each in data.manifests()} == batches
    assert {word: live.service(word) for word in SERVICES} == services
    after = fresh(live)
    for part in ("daemon", "web server", "run worker"):  # a code server may not have asked
        assert after[part].created > before[part].created
        assert after[part].failed_connects > before[part].failed_connects
    assert after["daemon"].errors["disconnect"] > before["daemon"].errors["disconnect"]


def test_a_backfill_from_the_page_of_a_job_makes_every_batch(live: Up) -> None:
    """In one run, with the aggregates; Dagster's own storage would have it make the first only."""
    batches = range(10, 13)
    filling = live.backfill([key_of(batch) for batch in batches], selector=GENERATION_JOB)
    live.until(lambda: is_done(live, filling))
    data = Dataset(live.home / "data")
    made = data.manifests(TINY, batches)
    with live.instance() as instance:
        [run] = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": filling}))
        assert {manifest.run.run_id for manifest in made} == {run.run_id}
        for asset in (*schema.TABLES, *AGGREGATES):
            assert instance.get_materialized_partitions(dg.AssetKey(asset)) >= {
                key_of(batch) for batch in batches
            }


def test_no_password_is_written(live: Up) -> None:
    """Neither the files of the deployment nor its logs hold it."""
    files = [path for path in live.home.rglob("*") if path.is_file() and path.suffix != ".parquet"]
    assert {"dagster.yaml", "daemon.log", "up.out"} <= {path.name for path in files}
    for path in files:
        assert PASSWORD.encode() not in path.read_bytes(), path
        assert b"s3cret" not in path.read_bytes(), path
