"""A real deployment, watched by a real Prometheus while a browser uses it and its daemon dies.

The tests share it and go through it in this order. Prometheus and Chromium are programs that no
wheel carries: where they are not installed the tests that want them are skipped and say so.
"""

import contextlib
import json
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline_tests.defs.conftest import TINY, settings_in
from medgen_pipeline_tests.defs.live import free_port, wait_for
from medgen_pipeline_tests.deploy import prometheus
from medgen_pipeline_tests.deploy.prometheus import Prometheus
from medgen_pipeline_tests.deploy.test_monitoring import queries, rules
from medgen_pipeline_tests.runtime.live import Up, up
from medgen_pipeline_tests.ui.browser import BROWSER, DRIVER, Browser, browser

pytestmark = pytest.mark.xdist_group("live deployment")

PICTURES: Final = Path(__file__).parents[2] / "build/screenshots"  # kept after the test
BATCH: Final = 3
PATIENTS: Final = 60
SCRAPES: Final = 5  # 15 s apart: a minute
needs_browser: Final = pytest.mark.skipif(
    DRIVER is None or BROWSER is None,
    reason="Chromium and its driver are not there: as root, .ci/system-packages installs them",
)
needs_prometheus: Final = pytest.mark.skipif(
    prometheus.PROGRAM is None,
    reason="Prometheus is not there: as root, .ci/system-packages installs it",
)


class Live:
    """A deployment and where its API answers."""

    def __init__(self, running: Up, port: int) -> None:
        self.up = running
        self.port = port

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of an answer of the API; 0 while it does not answer."""
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return answer.status, str(answer.read(), "utf-8")
        except urllib.error.HTTPError as error:
            return error.code, str(error.read(), "utf-8")
        except OSError:
            return 0, ""

    def health(self) -> dict[str, Any]:
        """Return the report, with its HTTP status."""
        status, body = self.get("/api/v1/health")
        return {"http": status, **json.loads(body or "{}")}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("watched")
    settings = settings_in(folder)
    port = free_port()
    with up(
        folder / "home",
        METRICS_PORT=str(port),
        MEDGEN_DATA_URL=settings.data_url,
        MEDGEN_SCENARIO_DIR=str(settings.scenario_dir),
    ) as running:
        yield Live(running, port)


@pytest.fixture(scope="module", autouse=True)
def watching(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus | None]:
    """Let Prometheus scrape from the first test on, so that its minute is theirs."""
    if prometheus.PROGRAM is None:
        yield None
        return
    with prometheus.scraping(tmp_path_factory.mktemp("prometheus") / "own", live.port) as found:
        yield found


def test_a_deployment_that_works_is_healthy(live: Live) -> None:
    """Every part of it, as soon as all is started; nothing is left to a warning."""

    def told() -> bool:
        return live.health().get("status") == "healthy"

    with contextlib.suppress(TimeoutError):
        live.up.until(told)
    found = live.health()
    parts = {name: each for name, each in found["checks"].items() if each["status"] != "healthy"}
    assert parts == {}
    assert found["http"] == 200
    assert found["checks"]["queue"]["slots"] == 2


@needs_browser
def test_a_partition_is_launched_by_clicking_and_seen_to_finish(live: Live, tmp_path: Path) -> None:
    """As a planner does it: pick scenario and batch, launch, and look at what was generated."""
    url = f"http://127.0.0.1:{live.up.port}"
    with browser(tmp_path) as window:
        window.open(f"{url}/locations/medgen_pipeline/jobs/generation")
        pick(window, TINY, f"{BATCH:04d}")
        window.screenshot(PICTURES / "launch.png")
        window.click("Launch 1 run", tag="button")
        run_id = live.up.until(lambda: newest_run(live))
        window.open(f"{url}/runs/{run_id}")
        window.until(lambda: "Success" in window.text() or "Failure" in window.text(), "its end")
        window.screenshot(PICTURES / "run.png")
        assert "Success" in window.text()
        window.open(f"{url}/assets/patients?view=partitions&partition={BATCH:04d}%7C{TINY}")
        window.see("Materialized", "KIA_percent", "seed")
        window.screenshot(PICTURES / "partition.png")
        window.click("[Show Markdown]")
        drawn = "return [...document.images].some(i => i.src.startsWith('data:') && i.width > 200)"
        window.until(lambda: window.run(drawn), "a plot")
        window.screenshot(PICTURES / "plot.png")
        window.open(f"{url}/assets/patients?view=overview")
        window.see("Columns", "subject_id", "One row is one casualty")
        window.screenshot(PICTURES / "patients.png")
    manifest = Dataset(live.up.home.parent / "data").manifest(TINY, BATCH)
    assert (manifest.rows["patients"], manifest.run.run_id) == (PATIENTS, run_id)
    assert all(path.stat().st_size > 10_000 for path in PICTURES.glob("*.png"))


def test_a_daemon_that_does_nothing_is_told_by_its_heartbeat(live: Live) -> None:
    """Stopped, so that nobody starts it again; requests are served meanwhile, and then all is well.

    Dagster goes on calling it healthy. It is found out within a minute, which beats and threshold
    add up to; a busy machine may take longer to say so.
    """
    daemon = live.up.service("dagster._daemon")
    daemon.send_signal(signal.SIGSTOP)
    try:
        live.up.until(lambda: live.health()["http"] == 503)
        found = live.health()
        assert found["status"] == "unhealthy"
        assert found["checks"]["daemon"]["status"] == "unhealthy"
        assert "queued_run_coordinator" in found["checks"]["daemon"]["detail"]
        assert live.get("/api/v1/health/live")[0] == 200
        assert live.get("/api/v1/health/ready")[0] == 200
        with live.up.instance() as instance:
            assert instance.get_daemon_statuses()["QUEUED_RUN_COORDINATOR"].healthy
    finally:
        daemon.send_signal(signal.SIGCONT)
    live.up.until(lambda: live.health()["http"] == 200)


@pytest.mark.slow
@needs_prometheus
def test_prometheus_takes_every_sample(live: Live, watching: Prometheus) -> None:
    """After a minute: the target is up, the rules are loaded and asked, nothing was rejected."""
    scraped = f'count_over_time(up{{job="medgen"}}[1h]) >= {SCRAPES}'
    live.up.until(lambda: watching.value(scraped) is not None)
    (target,) = watching.get("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    assert watching.value('min_over_time(up{job="medgen"}[1h])') == 1
    loaded = [rule for group in watching.get("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in loaded} == set(rules())
    assert {(rule["health"], rule.get("lastError", "")) for rule in loaded} == {("ok", "")}
    rejected = watching.rejected()
    assert len(rejected) >= 4
    assert set(rejected.values()) == {0.0}
    assert watching.value("medgen_exporter_scrapes_total") or SCRAPES <= 0


@pytest.mark.slow
@needs_prometheus
def test_what_the_dashboard_asks_is_answered(live: Live, watching: Prometheus) -> None:
    """Each query can be evaluated; those on what every deployment has, give something."""
    status, text = live.get("/metrics")
    assert status == 200
    assert text.endswith(("# EOF\n", "\n"))
    answered = {
        name: bool(watching.get("query", query=query)["result"])
        for name, query in queries().items()
    }
    for panel in ("Up", "Runs going on", "Queued", "Oldest heartbeat", "Memory of processes"):
        assert answered[f"{panel} A"], panel


def test_the_log_of_the_api_is_one_object_a_line(live: Live) -> None:
    """What the server itself says included; a request that found nothing is among them."""
    assert live.get("/nowhere")[0] == 404
    log = live.up.home / "process-logs/api.log"
    live.up.until(lambda: '"/nowhere"' in log.read_text(encoding="utf-8"))  # after the last byte
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert {"time", "level", "logger", "message"} <= set.intersection(*map(set, lines))
    (missed,) = [line for line in lines if line.get("path") == "/nowhere"]
    assert (missed["status"], missed["route"]) == (404, "unmatched")


def pick(window: Browser, *partitions: str) -> None:
    """Open the dialog that launches, and pick a partition of each dimension, the last one first."""
    window.click("Materialize all…")
    window.until(lambda: {"Confirm", "Cancel"} & set(window.text().splitlines()), "the dialog")
    if "Confirm" in window.text():  # the plan, which nothing needs, is not materialised
        window.click("Confirm", tag="button")
    window.see("Partition selection")
    for partition in partitions:
        window.until(partial(is_picked, window, partition), f"{partition} to be picked")
        window.press_escape()
        window.until(lambda: "Select all" not in window.text(), "the list to close")
    window.see("Launch 1 run")


def is_picked(window: Browser, partition: str) -> bool:
    """Click a partition in the list, which closes again when the page gets its data meanwhile."""
    if "Select all" not in window.text():
        window.click("Select a partition or create one")
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: "Select all" in window.text(), 5, lambda: "the list is closed")
    return window.clicked(partition)


def newest_run(live: Live) -> str | None:
    """Return the run of the job that was launched last."""
    with live.up.instance() as instance:
        found = instance.get_runs(limit=10)
    return next((run.run_id for run in found if run.job_name == "generation"), None)
