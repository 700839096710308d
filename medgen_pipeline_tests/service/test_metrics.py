"""`GET /metrics`: what a scraper can read, whatever fails behind it."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import dagster as dg
import pytest
from fastapi.testclient import TestClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from medgen_pipeline.metrics import definitions as metrics
from medgen_pipeline.metrics.figures import Figures
from medgen_pipeline.runtime import kept_figures
from medgen_pipeline.runtime.home import write_instance
from medgen_pipeline.runtime.kept_figures import Kept
from medgen_pipeline.runtime.pool_figures import PoolFigures
from medgen_pipeline.runtime.pool_files import leave
from medgen_pipeline.runtime.processes import Worker
from medgen_pipeline.service.app import create_app
from medgen_pipeline.service.metrics.collectors import Collector
from medgen_pipeline.service.metrics.exporter import Exporter
from medgen_pipeline.service.metrics.exposition import exposed
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.runtime.test_coordinator import QUEUED, STARTED, add
from medgen_pipeline_tests.service.serving import STREAM, client, served, wait_for

PLAIN: Final = "text/plain"
OPEN: Final = "application/openmetrics-text; version=1.0.0"
TELLS: Final = metrics.BACKFILLS

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    """Return every sample by its name and labels; fail if one comes twice."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


def scraped(app: TestClient) -> Callable[..., float]:
    """Return what looks up a sample of one scrape; no such sample is an error."""
    answer = app.get("/metrics")
    assert answer.status_code == 200
    found = samples(answer.text)
    return lambda name, **labels: found[name, frozenset(labels.items())]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the home of a deployment with three slots."""
    folder = tmp_path / "home"
    folder.mkdir()
    write_instance(folder, Settings(max_concurrent_jobs=3))
    return folder


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as opened:
        assert opened.schedule_storage
        yield opened


def app_of(home: Path, **settings: object) -> TestClient:
    given = Settings(data_url=str(home / "data"), dagster_home=home, **settings)  # type: ignore[arg-type]
    return TestClient(create_app(given), raise_server_exceptions=False)


def test_an_instance_is_told_as_it_is(home: Path, instance: dg.DagsterInstance) -> None:
    """Runs, the queue by kind with its empty places, slots, limits, partitions, daemons."""
    add(instance, QUEUED, {"medgen/workload": "generation", "dagster/priority": "-5"})
    add(instance, QUEUED, {"medgen/workload": "whatever"})
    add(instance, STARTED)
    instance.add_dynamic_partitions("scenario", ["demo"])
    value = scraped(app_of(home))
    assert value("medgen_runs", status="queued") == 2
    assert value("medgen_runs", status="failure") == 0
    assert value("medgen_queue_runs", workload="generation", priority="low") == 1
    assert value("medgen_queue_runs", workload="other", priority="normal") == 1
    assert value("medgen_queue_runs", workload="validation", priority="high") == 0
    assert value("medgen_queue_oldest_age_seconds", workload="generation", priority="low") > 0
    assert value("medgen_run_slots", state="configured") == 3
    assert value("medgen_run_slots", state="busy") == 1
    assert value("medgen_run_limit", limit="max_memory_mb") == 512
    assert value("medgen_tag_concurrency_limit", tag="medgen/tenant", value="*") == 2
    assert value("medgen_partitions", scenario="demo", state="missing") == 1_000
    assert value("medgen_host_cpus") >= 1
    assert value("medgen_data_disk_bytes", state="total") > 0
    assert value("medgen_process_resident_memory_bytes", process="api") > 1e6


def test_what_sensors_keep_is_told_with_its_age(home: Path, instance: dg.DagsterInstance) -> None:
    kept = Kept()
    labels = ("generation", "generation", "demo")
    kept.figures.add(metrics.RUNS_FINISHED, *labels, "success", amount=7)
    kept.figures.observe(metrics.RUN_DURATION, *labels, value=30.0)
    kept_figures.write(instance, kept_figures.RUNS, kept, time.time() - 100)
    value = scraped(app_of(home))
    run = {"job_name": "generation", "workload": "generation", "scenario": "demo"}
    assert value("medgen_runs_finished_total", **run, outcome="success") == 7
    assert value("medgen_run_duration_seconds_bucket", **run, le="20.0") == 0
    assert value("medgen_run_duration_seconds_bucket", **run, le="40.0") == 1
    assert value("medgen_run_duration_seconds_bucket", **run, le="+Inf") == 1
    assert value("medgen_run_duration_seconds_sum", **run) == 30
    assert value("medgen_exporter_sensor_age_seconds", sensor="run_metrics_sensor") > 99


def test_pools_of_connections_are_told_by_process(home: Path) -> None:
    figures = PoolFigures(
        part="web server", taken_at=0, size=10, max_overflow=5, active=3, created=9, waiting=1
    )
    leave(home, Worker.here(), figures)
    value = scraped(app_of(home))
    of = {"process": "web_server"}
    assert value("medgen_db_pool_connections", **of, state="active") == 3
    assert value("medgen_db_pool_limit", **of) == 15
    assert value("medgen_db_pool_waiting", **of) == 1
    assert value("medgen_db_connection_events_total", **of, event="created") == 9
    assert value("medgen_db_query_duration_seconds_count", **of, statement="select") == 0


def test_an_api_without_a_deployment_tells_of_itself(tmp_path: Path) -> None:
    """Nobody has served from this home: there is nothing to fail, and nothing is made in it."""
    home = tmp_path / "home"
    home.mkdir()
    app = app_of(home)
    value = scraped(app)
    assert value("medgen_exporter_collector_up", collector="runs") == 1
    assert value("medgen_streams_active") == 0
    assert "medgen_runs{" not in app.get("/metrics").text
    assert list(home.iterdir()) == []


def test_it_can_be_switched_off(home: Path) -> None:
    assert app_of(home, prometheus_enabled=False).get("/metrics").status_code == 404


def test_no_key_is_needed_and_nothing_is_kept_on_the_way(folder: Path, tmp_path: Path) -> None:
    app = client(folder, api_keys=tmp_path / "keys")
    assert app.get("/api/v1/scenarios").status_code == 401
    answer = app.get("/metrics")
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]


def test_requests_are_counted_by_route_and_never_by_path(folder: Path) -> None:
    """However many paths are tried: what matches no route is one series."""
    app = client(folder, scenario_dir=folder / "scenarios")
    assert app.get(f"{STREAM}?scenario=small&count=10").status_code == 200
    for n in range(30):
        app.get(f"/nowhere/{n}")
        app.get(f"/api/v1/scenarios/none-{n}")
        app.request(f"METHOD{n}", "/metrics")
    value = scraped(app)
    assert value("medgen_http_requests_total", method="GET", route=STREAM, code="200") == 1
    assert value("medgen_http_requests_total", method="GET", route="unmatched", code="404") == 30
    assert value("medgen_http_requests_total", method="other", route="/metrics", code="405") == 30
    assert value("medgen_http_request_duration_seconds_count", method="GET", route=STREAM) == 1
    assert value("medgen_http_requests_in_flight", route="/metrics") == 1
    assert value("medgen_http_requests_in_flight", route=STREAM) == 0
    routes = {
        dict(labels)["route"]
        for name, labels in samples(app.get("/metrics").text)
        if name == "medgen_http_requests_total"
    }
    assert len(routes) == 4


def test_a_stream_is_seen_while_it_runs_and_when_its_client_has_left(folder: Path) -> None:
    """Of ten million patients some hundreds were made when it left: then its thread is gone."""
    settings = Settings(data_url=str(folder / "data"), scenario_dir=folder / "scenarios")
    with served(create_app(settings)) as reader:

        def value(name: str, **labels: str) -> float:
            found = samples(reader.get("/metrics").text)
            return found[name, frozenset(labels.items())]

        asked = f"{STREAM}?scenario=small&count=10000000&format=ndjson&batch_size=100"
        with reader.stream("GET", asked) as answer:
            pieces = answer.iter_bytes()  # when it is gone, so is the client
            next(pieces)
            assert value("medgen_streams_active") == 1
            assert value("medgen_http_requests_in_flight", route=STREAM) == 1
            wait_for(lambda: value("medgen_stream_patients_sent_total") > 0)
        wait_for(lambda: value("medgen_streams_active") == 0)
        assert value("medgen_streams_ended_total", cause="abandoned") == 1
        assert value("medgen_http_requests_in_flight", route=STREAM) == 0
        patients = value("medgen_stream_patients_sent_total")
        assert patients < 1e6
        assert value("medgen_stream_bytes_sent_total") > 0
        assert value("medgen_stream_patients_sent_total") == patients


class Broken:
    """A source that can be made to fail or to hang, and gives a new number each time."""

    def __init__(self) -> None:
        self.number = 0
        self.error: Exception | None = None
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.calls = 0

    def collect(self) -> Figures:
        """Return the next number."""
        self.calls += 1
        self.may_answer.wait(60)
        if self.error is not None:
            raise self.error
        self.number += 1
        found = Figures()
        found.set(TELLS, "requested", value=self.number)
        return found


def exporter(source: Broken, *, kept: float = 0.0, deadline: float = 0.05) -> Callable[[], Samples]:
    """Return what scrapes an exporter of one source."""
    collector = Collector("some", source.collect, kept)
    exported = Exporter([collector], [], deadline_seconds=deadline)
    return lambda: samples(exposed(exported.figures(), PLAIN)[0].decode())


def of(found: Samples, metric: metrics.Metric, **labels: str) -> float | None:
    return found.get((metric.name, frozenset(labels.items())))


def test_figures_are_kept_for_some_seconds() -> None:
    """So that two scrapers cost as much as one."""
    source = Broken()
    scrape = exporter(source, kept=100, deadline=60)
    for _ in range(3):
        assert of(scrape(), TELLS, status="requested") == 1
    assert source.calls == 1


def test_a_source_that_fails_leaves_its_last_figures(caplog: pytest.LogCaptureFixture) -> None:
    """They say how old they are; the reason is logged once."""
    source = Broken()
    scrape = exporter(source, deadline=60)
    scrape()
    source.error = OSError("the database is gone")
    for errors in (1, 2, 3):
        found = scrape()
        assert of(found, TELLS, status="requested") == 1
        assert of(found, metrics.COLLECTOR_UP, collector="some") == 0
        assert of(found, metrics.COLLECTOR_ERRORS, collector="some") == errors
        assert of(found, metrics.COLLECTOR_STALENESS, collector="some")
    assert caplog.text.count("the database is gone") >= 1
    assert caplog.text.count("cannot be collected") == 1
    source.error = None
    found = scrape()
    assert of(found, TELLS, status="requested") == 2
    assert of(found, metrics.COLLECTOR_UP, collector="some") == 1
    assert "collected again" in caplog.text


def test_a_source_that_hangs_is_not_waited_for_and_not_asked_twice() -> None:
    """What it answers at last is taken."""
    source = Broken()
    source.may_answer.clear()
    scrape = exporter(source)
    for _ in range(3):
        found = scrape()
        assert of(found, TELLS, status="requested") is None
        assert of(found, metrics.COLLECTOR_UP, collector="some") == 0
        assert of(found, metrics.COLLECTOR_STALENESS, collector="some") is None
        assert of(found, metrics.COLLECTOR_ERRORS, collector="some") == 1
    assert source.calls == 1
    source.may_answer.set()
    wait_for(lambda: of(scrape(), TELLS, status="requested") is not None)


def test_the_exporter_tells_of_itself() -> None:
    """The duration is that of the answer before."""
    scrape = exporter(Broken(), deadline=60)
    assert of(scrape(), metrics.SCRAPE_DURATION) is None
    found = scrape()
    assert (of(found, metrics.SCRAPES), bool(of(found, metrics.SCRAPE_DURATION))) == (2, True)
    assert of(found, metrics.COLLECTOR_DURATION, collector="some") is not None


@pytest.mark.parametrize("accept", [PLAIN, OPEN, "", "*/*"])
def test_both_formats_can_be_read(accept: str) -> None:
    """With a value of every metric, labels that need escaping among them."""
    figures = Figures()
    for metric in metrics.METRICS.values():
        labels = [f'{name} "quoted"\\\n' for name in metric.labels]
        if metric.kind is metrics.Kind.HISTOGRAM:
            figures.observe(metric, *labels, value=1.0)
        else:
            figures.set(metric, *labels, value=1.0)
    text, media_type = exposed([figures], accept)
    assert media_type.startswith("application/openmetrics-text" if accept == OPEN else PLAIN)
    parse = open_metrics if accept == OPEN else text_string_to_metric_families
    families = {each.name: each for each in parse(text.decode())}
    for metric in metrics.METRICS.values():
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind.value, metric.help)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)
