"""A real deployment on Postgres: its processes pool connections, and outlive the server's death.

The tests share it, for it takes 15 s to start, and go through it in this order.
"""

import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.defs.partitions import SCENARIO
from medgen_pipeline.runtime.parts import COMMAND, Shape, most_connections
from medgen_pipeline.runtime.pool_figures import PoolFigures
from medgen_pipeline.runtime.pool_files import pool_figures_of_deployment
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.defs.conftest import TINY, settings_in
from medgen_pipeline_tests.postgres_server import PASSWORD, PostgresServer, running
from medgen_pipeline_tests.runtime.live import Up, up

pytestmark = pytest.mark.xdist_group("live deployment")

BATCHES: Final = 6
SERVICES: Final = ("dagster_webserver", "dagster._daemon", "api grpc")
SECONDS_AWAY: Final = 5  # longer than any request waits
BACKFILL: Final = """
    mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }
    """
STATE: Final = """
    query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
    status numPartitions unfinishedRuns { id } } } }
    """


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Return a server with nobody else on it, so that its figures are ours."""
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def live(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("postgres")
    settings = settings_in(folder)
    env = {
        "MEDGEN_DATABASE_URL": server.new_database(),
        "MEDGEN_SCENARIO_DIR": str(settings.scenario_dir),
        "MAX_CONCURRENT_JOBS": "3",  # of which a backfill takes two
    }
    with pytest.MonkeyPatch.context() as patch, up(folder / "home", **env) as started:
        patch.setenv("MEDGEN_DATABASE_URL", env["MEDGEN_DATABASE_URL"])  # for instances made here
        yield started


def backfill(live: Up, batches: int) -> str:
    """Launch a run for each batch, as the page of the job does; return the backfill."""
    location = {
        "repositoryName": "__repository__",
        "repositoryLocationName": "medgen_pipeline",
    }
    params = {
        "selector": {
            "partitionSetName": "generation_partition_set",
            "repositorySelector": location,
        },
        "partitionNames": [f"{batch:04d}|{TINY}" for batch in range(batches)],
        "forceSynchronousSubmission": False,
    }
    answer = live.ask(BACKFILL, params=params)["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer
    return str(answer["backfillId"])


def figures(live: Up) -> Mapping[str, PoolFigures]:
    """Return the figures of each part, as all processes have left them."""
    return {each.part: each for each in pool_figures_of_deployment(live.home)}


def fresh(live: Up) -> Mapping[str, PoolFigures]:
    """Return figures that are all younger than this call."""
    now = time.time()

    def found() -> Mapping[str, PoolFigures] | None:
        by_part = figures(live)
        alive = [each for each in by_part.values() if each.processes]
        return by_part if alive and all(each.taken_at > now for each in alive) else None

    found_at_last = live.until(found)
    assert found_at_last is not None
    return found_at_last


def test_every_process_has_a_pool_and_they_count_what_the_server_counts(
    live: Up, server: PostgresServer
) -> None:
    """The server knows the sessions by their part, and has as many as the pools have opened."""
    by_part = fresh(live)
    print(by_part)
    assert {"daemon", "web server"} <= set(by_part)


def test_a_server_killed_in_the_middle_of_a_backfill(live: Up, server: PostgresServer) -> None:
    live.ask(
        """mutation($where: RepositorySelector!, $key: String!) { addDynamicPartition(
        repositorySelector: $where, partitionsDefName: "scenario", partitionKey: $key) {
        __typename ... on PythonError { message } } }""",
        where={"repositoryName": "__repository__", "repositoryLocationName": "medgen_pipeline"},
        key=TINY,
    )
    before = {word: live.service(word).pid for word in SERVICES}
    t = time.time()
    launched = backfill(live, BATCHES)

    def started() -> bool:
        with live.instance() as instance:
            import dagster as dg

            return (
                len(instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))) >= 2
            )

    live.until(started)
    print("two started", time.time() - t)
    server.kill()
    time.sleep(SECONDS_AWAY)
    server.start()
    print("server back", time.time() - t)

    def done() -> Any:
        try:
            state = live.ask(STATE, id=launched)["partitionBackfillOrError"]
        except Exception as e:
            print(e)
            return None
        return state["status"] not in ("REQUESTED",) and state

    print(live.until(done, 240), time.time() - t)
    with live.instance() as instance:
        for r in instance.get_runs():
            print(r.job_name, r.status, r.tags.get("dagster/partition"))
    assert {word: live.service(word).pid for word in SERVICES} == before
    print(fresh(live))
    print(live.logs())
    assert 0
