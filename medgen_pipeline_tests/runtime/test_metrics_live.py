"""`/metrics` of a real deployment on Postgres: fed by what it does, and not forgotten.

Ten runs of known outcome, a backfill, streams, a leaked slot, a database that is busy and then
killed; then every process is stopped and started again.
"""

import contextlib
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import dagster as dg
import orjson
import pytest
import sqlalchemy as sa
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo
from prometheus_client.parser import text_string_to_metric_families

from medgen_pipeline.metrics import definitions as metrics
from medgen_pipeline.metrics.definitions import METRICS, Metric
from medgen_pipeline_tests.defs.conftest import TINY, settings_in
from medgen_pipeline_tests.defs.live import free_port, wait_for
from medgen_pipeline_tests.postgres_server import PostgresServer, running
from medgen_pipeline_tests.runtime.live import GENERATION_JOB, LAUNCH, REPOSITORY, Up, up

pytestmark = pytest.mark.xdist_group("live deployment")

GHOST: Final = "ghost"  # a scenario that no file describes
ORDERED: Final = 6  # good runs, queued through the API; the seventh is that of a backfill
OUTCOMES: Final = {"success": 7, "failure": 2, "breached": 1}
SECONDS_FOR_ALL: Final = 300  # on cores that others use too; it takes 90 on its own
FED_BY_A_LOSS: Final = {metrics.COLLECTOR_ERRORS.name, metrics.DB_ERRORS.name}
STREAM: Final = "/api/v1/streaming/generate"
SECONDS_BUSY: Final = 7  # longer than the figures of a pool stay unwritten

Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass(slots=True)
class Api:
    """The API of a deployment."""

    url: str
    fed: set[str] = field(default_factory=set)  # metrics that had a value other than 0

    def ask(self, path: str, body: object = None) -> bytes:
        """Return the answer to a request; raises when it is an error."""
        request = urllib.request.Request(  # noqa: S310
            self.url + path,
            None if body is None else orjson.dumps(body),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            found: bytes = answer.read()
        return found

    def scrape(self) -> Samples:
        """Return the samples by name and labels, and note which metrics are fed."""
        found = {}
        for family in text_string_to_metric_families(self.ask("/metrics").decode()):
            for sample in family.samples:
                found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
                if sample.value:
                    name = family.name + "_total" * (family.type == "counter")
                    self.fed.add(name)
        return found

    def total(self, metric: Metric, **labels: str) -> float:
        """Return the sum of the values of a metric with some labels."""
        return sum(
            value
            for (name, found), value in self.scrape().items()
            if name == metric.name and labels.items() <= dict(found).items()
        )

    def outcomes(self) -> dict[str, float]:
        """Return how many runs of the generation job ended in which way."""
        found: Counter[str] = Counter()
        for (name, labels), value in self.scrape().items():
            told = dict(labels)
            if name == metrics.RUNS_FINISHED.name and told["job_name"] == "generation":
                found[told["outcome"]] += round(value)
        return dict(found)


@dataclass(frozen=True, slots=True)
class Story:
    """What was seen from the first start to the second."""

    fed: set[str]
    outcomes: Mapping[str, float]
    patients: float
    partitions: Mapping[str, float] | None
    summaries: list[str]  # of ticks of the sensor
    stale_seconds: float  # while the database was away
    outcomes_again: Sequence[Mapping[str, float]]  # after the restart, before and after a tick
    patients_again: float


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def story(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Go through all of it."""
    folder = tmp_path_factory.mktemp("metrics")
    port = free_port()
    env: dict[str, Any] = {
        "MEDGEN_DATABASE_URL": server.new_database(),
        "MEDGEN_SCENARIO_DIR": str(settings_in(folder).scenario_dir),
        "METRICS_PORT": str(port),
        "MAX_CONCURRENT_JOBS": "2",
        "DB_POOL_SIZE": "4",
    }
    api = Api(f"http://127.0.0.1:{port}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDGEN_DATABASE_URL", env["MEDGEN_DATABASE_URL"])  # for instances made here
        with up(folder / "home", **env) as live:
            work(live, api)
            outcomes, patients = api.outcomes(), api.total(metrics.PATIENTS)
            partitions = live.until(lambda: settled(api))
            summaries = said(live, "run_metrics_sensor")
            stale = without(server, live, api)
        with up(folder / "home", **env) as live:
            started = time.time()
            again = [api.outcomes()]
            live.until(lambda: ticked(api, started))
            again.append(api.outcomes())
            patients_again = api.total(metrics.PATIENTS)
    return Story(api.fed, outcomes, patients, partitions, summaries, stale, again, patients_again)


def work(live: Up, api: Api) -> None:
    """Have the deployment do everything, and scrape until all of it is counted."""
    for scenario in (TINY, GHOST):
        live.add_scenario(scenario)
    for batch in range(ORDERED):
        api.ask("/api/v1/generation", {"scenario": TINY, "first_batch": batch})
    backfill(live, ORDERED)
    for batch in range(2):
        launch(live, GHOST, batch)
    launch(live, TINY, 900, patients=1_000_000, max_cpu_seconds=2)
    api.ask(f"{STREAM}?count=50")
    with urllib.request.urlopen(f"{api.url}{STREAM}?count=10000000") as stream:  # noqa: S310
        stream.read(1)
        assert api.total(metrics.STREAMS_ACTIVE) == 1
    with contextlib.suppress(urllib.error.HTTPError):
        api.ask("/nowhere")
    with live.instance() as instance, busy(instance):
        wait_for(lambda: all_done(instance, api), SECONDS_FOR_ALL, lambda: missing(live, api))


def all_done(instance: dg.DagsterInstance, api: Api) -> bool:
    """Keep a slot leaked and a daemon in error; return whether all is counted and fed."""
    leak(instance)
    error = SerializableErrorInfo("something went wrong", [], None)
    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "ASSET", "test", [error]))
    is_counted = api.outcomes() == OUTCOMES
    return is_counted and set(METRICS) - api.fed <= FED_BY_A_LOSS


def settled(api: Api) -> Mapping[str, float] | None:
    """Return how many batches are there and how many failed, once all have been tried."""
    found = {
        state: api.total(metrics.PARTITIONS, state=state) for state in ("materialized", "failed")
    }
    return found if sum(found.values()) == sum(OUTCOMES.values()) else None


def missing(live: Up, api: Api) -> str:
    return f"{api.outcomes()}; not fed: {sorted(set(METRICS) - api.fed)}\n{live.logs()}"


def launch(live: Up, scenario: str, batch: int, **limits: int) -> None:
    """Launch generation as the Launchpad does; `patients` is config, the rest are tags."""
    config = {"patients": limits.pop("patients")} if "patients" in limits else {}
    key = f"{batch:04d}"
    tags = {
        "dagster/partition": f"{key}|{scenario}",
        "dagster/partition/batch": key,
        "dagster/partition/scenario": scenario,
        **{f"medgen/{name}": str(value) for name, value in limits.items()},
    }
    params = {
        "selector": {**REPOSITORY, "jobName": "generation"},
        "mode": "default",
        "runConfigData": {"ops": {"casualty_tables": {"config": config}}},
        "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
    }
    answer = live.ask(LAUNCH, params=params)["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer


def backfill(live: Up, batch: int) -> None:
    """Launch a backfill of one batch as the page of the job does."""
    live.backfill([f"{batch:04d}|{TINY}"], selector=GENERATION_JOB)


def leak(instance: dg.DagsterInstance) -> None:
    """Have a slot held by a run that is gone, until the deployment finds it; then again."""
    storage = instance.event_log_storage
    storage.set_concurrency_slots("narrow", 1)
    if "gone" not in storage.get_concurrency_run_ids():
        storage.claim_concurrency_slot("narrow", "gone", "step")


@contextlib.contextmanager
def busy(instance: dg.DagsterInstance) -> Iterator[None]:
    """Have more threads of this process work with the database than it may have connections."""
    storage = instance.run_storage
    assert isinstance(storage, SqlRunStorage)

    def sleep() -> None:
        with storage.connect() as connection:
            connection.execute(sa.text(f"select pg_sleep({SECONDS_BUSY})"))

    threads = [threading.Thread(target=sleep) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()


def said(live: Up, sensor: str) -> list[str]:
    """Return what the last ticks of a sensor said."""
    with live.instance() as instance:
        state = next(each for each in instance.all_instigator_state() if each.name == sensor)
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=50)
        return [str(tick.tick_data.skip_reason) for tick in ticks]


def without(server: PostgresServer, live: Up, api: Api) -> float:
    """Kill the database; return how old the figures became that were served all the while."""
    before = api.outcomes()
    server.kill()

    def stale() -> float:
        return api.total(metrics.COLLECTOR_STALENESS, collector="sensors")

    def is_failing() -> bool:
        assert api.outcomes() == before
        return api.total(metrics.COLLECTOR_ERRORS) > 0 and stale() > 5

    live.until(is_failing)
    seconds = stale()
    server.start()
    live.until(
        lambda: (
            api.total(metrics.COLLECTOR_UP, collector="sensors") == 1 and api.fed >= FED_BY_A_LOSS
        )
    )
    return seconds


def ticked(api: Api, since: float) -> bool:
    """Whether the sensor has kept its figures since a time."""
    age = api.total(metrics.SENSOR_AGE, sensor="run_metrics_sensor")
    return age < time.time() - since


def test_ten_runs_are_counted_exactly(story: Story) -> None:
    """Seven good, two failed, one ended by its limit; and what they generated."""
    assert story.outcomes == OUTCOMES
    assert story.patients == 7 * 60
    assert story.partitions == {"materialized": 7, "failed": 3}


def test_a_restart_of_every_process_forgets_and_repeats_none(story: Story) -> None:
    assert story.outcomes_again == [OUTCOMES, OUTCOMES]
    assert story.patients_again == story.patients


def test_every_metric_is_fed(story: Story) -> None:
    """None that is documented is absent or always zero."""
    assert set(METRICS) - story.fed == set()
    assert story.fed - set(METRICS) == set()


def test_figures_are_served_while_the_database_is_away(story: Story) -> None:
    assert story.stale_seconds > 5


def test_a_tick_says_what_it_counted(story: Story) -> None:
    """For whoever looks at the sensor in the UI."""
    assert any("1 breached" in said for said in story.summaries)
    assert any(said.startswith("0 runs ended; 0 patients") for said in story.summaries)
