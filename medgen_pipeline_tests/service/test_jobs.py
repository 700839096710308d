"""Jobs are runs of the queue: what Dagster's web server is asked, and what its answers mean."""

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Self

import pytest
from fastapi.testclient import TestClient

from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.errors import SettingError
from medgen_pipeline.service import dagster_runs
from medgen_pipeline.service.app import create_app
from medgen_pipeline.service.dagster_runs import LOADED, VERSION, DagsterRuns
from medgen_pipeline.service.faults import ServiceError
from medgen_pipeline.service.keys import KeyFile
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.service.conftest import PATIENTS, REPLICATES

RUN_ID = "7f2f0f6e-4f0e-4a3e-9a57-5f8d0f3f2a10"
Json = dict[str, Any]
NAMED: Json = {"name": "__repository__"}
LOOPBACK = Path(__file__).parent / "loopback.pem"
PAGE = 1_000  # events, which Dagster hands out at a time


class WebServer:
    """Answers GraphQL as Dagster's web server does; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Json] = []
        self.run: Json | None = None
        self.location: Json = {"name": "here", "locationOrLoadError": {"repositories": [NAMED]}}
        self.failure: Json = {"__typename": "RunFailureEvent", "error": {"message": ""}}
        self.events_before_failure = 1
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = json.dumps({"data": outer.answer(body)}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @contextlib.contextmanager
    def serving(self) -> Iterator[Self]:
        """Serve meanwhile."""
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self.server.shutdown()
            thread.join()
            self.server.server_close()

    def page(self, start: int) -> Json:
        """Return a page of a run's events, of which the last is its failure."""
        events = [*[{"__typename": "LogMessageEvent"}] * self.events_before_failure, self.failure]
        end = start + PAGE
        return {
            "__typename": "EventConnection",
            "cursor": str(min(end, len(events))),
            "hasMore": end < len(events),
            "events": events[start:end],
        }

    def answer(self, body: Json) -> Json:
        """Return the answer to a query."""
        self.asked.append(body)
        query, given = body["query"], body["variables"]
        if query in (VERSION, LOADED):
            workspace = {"locationEntries": [self.location]}
            return {"version": "1.13.27", "workspaceOrError": workspace}
        if "addDynamicPartition" in query:
            return {"addDynamicPartition": {"__typename": "AddDynamicPartitionSuccess"}}
        if "launchRun" in query:
            self.run = run_of(given["params"]["executionMetadata"]["tags"])
            return {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": RUN_ID}}}
        if "terminateRun" in query:
            assert self.run is not None
            self.run["status"] = "CANCELED"
            return {"terminateRun": {"__typename": "TerminateRunSuccess"}}
        if "logsForRun" in query:
            return {"logsForRun": self.page(int(given["cursor"] or 0))}
        found = self.run if given["id"] == RUN_ID else None
        return {"runOrError": found or {"__typename": "RunNotFoundError"}}


def run_of(tags: list[Json], status: str = "QUEUED") -> Json:
    return {
        "__typename": "Run",
        "runId": RUN_ID,
        "jobName": "generation",
        "status": status,
        "creationTime": 1_767_225_600.0,
        "startTime": None,
        "endTime": None,
        "tags": tags,
    }


@pytest.fixture
def dagster() -> Iterator[WebServer]:
    with WebServer().serving() as found:
        yield found


@pytest.fixture
def http(folder: Path, dagster: WebServer) -> TestClient:
    settings = Settings(data_url=str(folder / "data"), scenario_dir=folder / "scenarios")
    return TestClient(create_app(settings, dagster_url=dagster.url), raise_server_exceptions=False)


def launched(dagster: WebServer) -> tuple[Json, dict[str, str]]:
    """Return the config and the tags of the run that was launched."""
    params = next(each for each in dagster.asked if "launchRun" in each["query"])["variables"][
        "params"
    ]
    tags = {tag["key"]: tag["value"] for tag in params["executionMetadata"]["tags"]}
    config: Json = params["runConfigData"]["ops"]["casualty_tables"]["config"]
    return config, tags


def test_one_batch_is_one_partition(http: TestClient, dagster: WebServer) -> None:
    """Its tags are those of a run that the UI launches, with the scenario's priority."""
    answer = http.post("/api/v1/generation", json={"scenario": "small", "first_batch": 7})
    assert answer.status_code == 202
    assert answer.json()["job_id"] == RUN_ID
    config, tags = launched(dagster)
    assert config == {}
    assert tags == {
        "dagster/partition": "0007|small",
        "dagster/partition/batch": "0007",
        "dagster/partition/scenario": "small",
        "dagster/priority": "0",
    }


def test_many_batches_are_one_run(http: TestClient, dagster: WebServer) -> None:
    order = {"scenario": "small", "first_batch": 0, "last_batch": 4, "tenant": "north"}
    http.post("/api/v1/generation", json=order | {"priority": 9, "seed": 3, "patients": 50})
    config, tags = launched(dagster)
    assert config == {"seed": 3, "patients": 50}
    assert tags == {
        "dagster/asset_partition_range_start": "0000|small",
        "dagster/asset_partition_range_end": "0004|small",
        "dagster/priority": "9",
        "medgen/tenant": "north",
    }


def test_dagster_knows_every_word_of_what_it_is_asked() -> None:
    from dagster_graphql.schema import create_schema  # noqa: PLC0415  takes seconds
    from graphql import parse, validate  # noqa: PLC0415

    schema = create_schema().graphql_schema
    queries = [
        value
        for value in vars(dagster_runs).values()
        if isinstance(value, str) and value.lstrip().startswith(("query", "mutation", "{"))
    ]
    assert len(queries) == 8
    for query in queries:
        assert validate(schema, parse(query)) == [], query


def test_the_keys_are_those_of_the_definitions() -> None:
    """The words that are sent stand in the definitions of the deployment."""
    from medgen_pipeline.defs import assets, jobs, partitions, tags  # noqa: PLC0415  imports Dagster

    assert jobs.generation_job.name == dagster_runs.JOB
    assert dagster_runs.TABLES_OP == assets.TABLES_OP
    assert dagster_runs.SCENARIO_DIMENSION == partitions.SCENARIO
    assert dagster_runs.RANGE_TAGS == (partitions.RANGE_START_TAG, partitions.RANGE_END_TAG)
    assert (dagster_runs.TENANT_TAG, dagster_runs.PRIORITY_TAG) == (tags.TENANT, tags.PRIORITY)
    assert str(partitions.partition_key("small", 7)) == dagster_runs.partition("small", 7)


def test_progress_is_what_was_committed(http: TestClient, dagster: WebServer, folder: Path) -> None:
    """Only batches whose manifest names the run count."""
    manifest = Dataset(folder / "data").manifest("small", 1)
    tags = {"dagster/asset_partition_range_start": "0000|small"}
    tags |= {"dagster/asset_partition_range_end": "0003|small"}
    dagster.run = run_of([{"key": k, "value": v} for k, v in tags.items()], "STARTED")
    assert http.get(f"/api/v1/jobs/{RUN_ID}").json()["progress"] == 0
    dagster.run["runId"] = manifest.run.run_id  # the same for all batches: this process
    found = http.get(f"/api/v1/jobs/{RUN_ID}").json()
    assert found["status"] == "running"
    assert found["progress"] == 75
    assert found["patients"] == 3 * PATIENTS * REPLICATES
    assert (found["scenario"], found["first_batch"], found["last_batch"]) == ("small", 0, 3)


def test_a_completed_job_stays_so(http: TestClient, dagster: WebServer, folder: Path) -> None:
    """What was replaced since is missing of its patients, not of its progress."""
    tags = [{"key": "dagster/partition", "value": "0001|small"}]
    dagster.run = run_of(tags, "SUCCESS")  # of another run than the manifest names
    found = http.get(f"/api/v1/jobs/{RUN_ID}").json()
    assert (found["status"], found["progress"], found["patients"]) == ("completed", 100, 0)
    dagster.run["runId"] = Dataset(folder / "data").manifest("small", 1).run.run_id
    found = http.get(f"/api/v1/jobs/{RUN_ID}").json()
    assert (found["progress"], found["patients"]) == (100, PATIENTS * REPLICATES)


@pytest.mark.parametrize("before", [0, 1, PAGE - 1, PAGE, 6 * PAGE])
def test_a_failed_job_says_why(http: TestClient, dagster: WebServer, before: int) -> None:
    """However much it has done before, of which each batch leaves some six events."""
    dagster.events_before_failure = before
    dagster.run = run_of([], "FAILURE")
    dagster.failure = {
        "__typename": "ExecutionStepFailureEvent",
        "failureMetadata": {"description": "max_memory_mb is 512; the run took 600\n  trace"},
        "error": {"message": "DagsterError"},
    }
    found = http.get(f"/api/v1/jobs/{RUN_ID}").json()
    assert (found["status"], found["error"]) == (
        "failed",
        "max_memory_mb is 512; the run took 600",
    )


def test_a_job_is_cancelled_once(http: TestClient) -> None:
    http.post("/api/v1/generation", json={"scenario": "small"})
    assert http.post(f"/api/v1/jobs/{RUN_ID}/cancel").json()["status"] == "cancelled"
    assert http.post(f"/api/v1/jobs/{RUN_ID}/cancel").status_code == 409


def with_key(folder: Path, dagster: WebServer, keys: KeyFile, **rights: int | bool) -> TestClient:
    """Return a client that has a key with the given rights."""
    settings = Settings(
        data_url=str(folder / "data"), scenario_dir=folder / "scenarios", api_keys=keys.path
    )
    _, text = keys.create("ann", **rights)
    return TestClient(create_app(settings, dagster_url=dagster.url), headers={"X-API-Key": text})


def test_who_may_only_read_orders_nothing(folder: Path, dagster: WebServer, tmp_path: Path) -> None:
    """Nor does it stop what others have ordered; how far that is, it may see."""
    reader = with_key(folder, dagster, KeyFile(tmp_path / "keys.json"))
    dagster.run = run_of([], "STARTED")
    answer = reader.post("/api/v1/generation", json={"scenario": "small", "seed": 7})
    assert answer.status_code == 403
    assert "may write" in answer.json()["detail"]
    assert reader.post(f"/api/v1/jobs/{RUN_ID}/cancel").status_code == 403
    assert dagster.asked == []
    assert reader.get(f"/api/v1/jobs/{RUN_ID}").json()["status"] == "running"


def test_who_may_write_orders_within_the_queue_s_limits(
    folder: Path, dagster: WebServer, tmp_path: Path
) -> None:
    """The patients of a key are those of its streams, of which an order takes none."""
    keys = KeyFile(tmp_path / "keys.json")
    writer = with_key(
        folder, dagster, keys, may_write=True, patients_per_request=1, patients_per_day=1
    )
    answer = writer.post("/api/v1/generation", json={"scenario": "small", "patients": 50})
    assert answer.status_code == 202
    assert answer.headers["x-daily-usage"] == "0"
    assert writer.post(f"/api/v1/jobs/{RUN_ID}/cancel").json()["status"] == "cancelled"


def test_refusals_are_declared(http: TestClient) -> None:
    paths = http.app.openapi()["paths"]  # type: ignore[attr-defined]
    for path in ("/api/v1/generation", "/api/v1/jobs/{job_id}/cancel"):
        assert "403" in paths[path]["post"]["responses"], path


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({}, 422),
        ({"scenario": "nothing"}, 404),
        ({"scenario": "../small"}, 422),
        ({"scenario": "small", "first_batch": 5, "last_batch": 4}, 422),
        ({"scenario": "small", "first_batch": 1_000}, 422),
        ({"scenario": "small", "priority": "high"}, 422),
        ({"scenario": "small", "colour": "red"}, 422),
        ([], 422),
    ],
)
def test_an_order_that_cannot_be_met(
    http: TestClient, dagster: WebServer, order: object, status: int
) -> None:
    assert http.post("/api/v1/generation", json=order).status_code == status
    assert dagster.asked == []


def test_a_job_that_is_not_there(http: TestClient) -> None:
    other = RUN_ID.replace("7", "8")
    assert http.get(f"/api/v1/jobs/{other}").status_code == 404
    assert http.post(f"/api/v1/jobs/{other}/cancel").status_code == 404
    assert http.get("/api/v1/jobs/7").status_code == 422


def test_a_web_server_behind_tls(dagster: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is spoken to as its URL says, and has to be who it says it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(LOOPBACK)
    plain = dagster.server.socket
    dagster.server.socket = context.wrap_socket(
        plain, server_side=True, do_handshake_on_connect=False
    )
    runs = DagsterRuns(dagster.url.replace("http:", "https:"))
    with pytest.raises(ServiceError, match="does not answer"):
        runs.version()
    assert dagster.asked == []
    monkeypatch.setenv("SSL_CERT_FILE", str(LOOPBACK))
    assert runs.version() == "1.13.27"


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:3000", "ftp://127.0.0.1", "https://", "http://127.0.0.1:a", "http://["]
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(SettingError, match="must be like http://"):
        DagsterRuns(url)


def test_no_queue(folder: Path) -> None:
    """Without a web server nothing is queued, and the answer says what to look at."""
    settings = Settings(data_url=str(folder / "data"), scenario_dir=folder / "scenarios")
    http = TestClient(create_app(settings, dagster_url="http://127.0.0.1:1"))
    answer = http.post("/api/v1/generation", json={"scenario": "small"})
    assert answer.status_code == 503
    assert "medgen up" in answer.json()["detail"]
