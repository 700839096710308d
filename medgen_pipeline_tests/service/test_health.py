"""The health routes: one status for all, 503 when work is not done, and nothing that hangs them."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from medgen_pipeline.runtime.instance_yaml import render_instance_yaml
from medgen_pipeline.runtime.pool_figures import GAUGES
from medgen_pipeline.service.app import create_app
from medgen_pipeline.service.findings import Finding, Pools, Status, overall
from medgen_pipeline.service.probes import Probe
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.postgres_server import PASSWORD, PostgresServer
from medgen_pipeline_tests.service.serving import wait_for

HEALTH = "/api/v1/health"
PARTS = {
    *("api", "database", "data_root", "disk_space", "memory"),
    *("daemon", "web_server", "code_location", "queue", "job_worker"),
}


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    """Return the app of an API that runs alone."""
    return create_app(
        Settings(data_url=str(tmp_path / "data"), dagster_home=tmp_path / "home"),
        dagster_url="http://127.0.0.1:1",
    )


@pytest.fixture
def http(app: FastAPI) -> TestClient:
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def hangs() -> Iterator[threading.Event]:
    """Yield what lets a look go that hangs."""
    go = threading.Event()
    yield go
    go.set()


def probes_of(app: FastAPI) -> dict[str, Probe]:
    return dict(app.state.deployment.health.parts)


def set_status(app: FastAPI, part: str, status: Status) -> None:
    probes_of(app)[part].look = lambda: Finding(status=status)


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ([], Status.HEALTHY),
        ([Status.HEALTHY, Status.WARNING], Status.WARNING),
        ([Status.WARNING, Status.ERROR], Status.ERROR),
        ([Status.ERROR, Status.HEALTHY, Status.UNHEALTHY], Status.UNHEALTHY),
    ],
)
def test_a_whole_is_as_its_worst_part(found: list[Status], status: Status) -> None:
    assert overall(found) is status


def test_the_report_has_every_part(http: TestClient, tmp_path: Path) -> None:
    """It is read without a key, so it names no path of the deployment."""
    answer = http.get(HEALTH)
    assert answer.status_code == 200
    report = answer.json()
    assert report.keys() == {"status", "timestamp", "checks"}
    assert report["checks"].keys() == PARTS
    assert report["status"] == "warning"  # it runs alone
    assert {"status", "version", "python_version"} <= report["checks"]["api"].keys()
    assert {"total_gb", "used_gb", "free_gb", "percent_used"} <= (
        report["checks"]["disk_space"].keys()
    )
    assert str(tmp_path) not in answer.text


@pytest.mark.parametrize(
    ("status", "code"),
    [("healthy", 200), ("warning", 200), ("unhealthy", 503), ("error", 503)],
)
def test_the_code_says_whether_work_is_done(
    app: FastAPI, http: TestClient, status: str, code: int
) -> None:
    for part in PARTS:
        set_status(app, part, Status.HEALTHY)
    set_status(app, "queue", Status(status))
    answer = http.get(HEALTH)
    assert (answer.status_code, answer.json()["status"]) == (code, status)


def test_a_part_that_hangs_holds_up_nobody(
    app: FastAPI, http: TestClient, hangs: threading.Event
) -> None:
    """The others are told as they are; that the process lives is told at once."""

    def look() -> Finding:
        hangs.wait(60)
        return Finding(status=Status.HEALTHY)

    probe = probes_of(app)["data_root"]
    probe.look, probe.deadline_seconds = look, 0.2
    answer = http.get(HEALTH)
    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert checks["data_root"]["status"] == "error"
    assert "no answer" in checks["data_root"]["detail"]
    assert checks["api"]["status"] == "healthy"
    assert http.get(f"{HEALTH}/live").status_code == 200
    assert http.get(f"{HEALTH}/ready").status_code == 503


@pytest.mark.parametrize("part", ["database", "data_root"])
def test_who_cannot_read_is_not_ready(app: FastAPI, http: TestClient, part: str) -> None:
    """A daemon that is down keeps no request from being served."""
    set_status(app, "daemon", Status.UNHEALTHY)
    answer = http.get(f"{HEALTH}/ready")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    probe = probes_of(app)[part]
    probe.look, probe.fresh_seconds = lambda: Finding(status=Status.UNHEALTHY), 0.0
    answer = http.get(f"{HEALTH}/ready")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert answer.json()["checks"].keys() == {"database", "data_root"}


def test_the_database_is_told_with_its_pools(app: FastAPI, http: TestClient) -> None:
    zeros = dict.fromkeys(GAUGES, 0)
    pools = Pools(status=Status.HEALTHY, pool={"api": zeros}, metrics={"api": {"checkouts": 3}})
    app.state.deployment.health.pools.look = lambda: pools
    set_status(app, "database", Status.HEALTHY)
    answer = http.get(f"{HEALTH}/database")
    assert answer.status_code == 200
    told = answer.json()
    assert told.keys() == {"status", "timestamp", "database", "pool", "metrics", "config"}
    assert told["pool"] == {"api": zeros}
    assert told["metrics"]["api"]["checkouts"] == 3
    assert told["config"] == {
        "db_pool_size": 10,
        "db_max_overflow": 5,
        "db_pool_timeout": 30,
        "db_pool_recycle": 3600,
    }


def test_a_database_that_does_not_answer_is_503(app: FastAPI, http: TestClient) -> None:
    def look() -> Finding:
        raise ConnectionError("could not connect as medgen with hunter2")

    probes_of(app)["database"].look = look
    answer = http.get(f"{HEALTH}/database")
    assert (answer.status_code, answer.json()["status"]) == (503, "error")
    assert "hunter2" not in answer.text


def test_a_database_that_goes_and_comes_back_is_told_of(
    postgres: PostgresServer, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real server, killed and started again; the API is not. Its pool counts the attempts."""
    monkeypatch.setenv("MEDGEN_DATABASE_URL", database_url)
    text = render_instance_yaml({"MEDGEN_DATABASE_URL": database_url})
    (tmp_path / "dagster.yaml").write_text(text, encoding="utf-8")
    settings = Settings(
        data_url=str(tmp_path / "data"), dagster_home=tmp_path, database_url=database_url
    )
    http = TestClient(create_app(settings, dagster_url="http://127.0.0.1:1"))

    def code() -> int:
        return http.get(f"{HEALTH}/database").status_code

    found = http.get(f"{HEALTH}/database").json()
    assert (found["status"], found["database"]["kind"]) == ("healthy", "postgresql")
    assert int(found["database"]["version"].split(".")[0]) >= 12
    postgres.kill()
    wait_for(lambda: code() == 503)
    answer = http.get(f"{HEALTH}/ready")
    assert (answer.status_code, answer.json()["checks"]["data_root"]["status"]) == (503, "healthy")
    assert PASSWORD not in answer.text
    assert http.get(f"{HEALTH}/live").status_code == 200
    postgres.start()
    wait_for(lambda: code() == 200)
