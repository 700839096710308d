"""Many batches are queued in few runs; what is there is left, what is missing is asked for."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from medgen_pipeline.cli import backfill, main
from medgen_pipeline.cli.backfill import is_open, stretches
from medgen_pipeline.dataset.manifest import scenario_digest
from medgen_pipeline.generation.pool import generate_batches
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.scaling import with_patients
from medgen_pipeline.service.dagster_runs import Run
from medgen_pipeline_tests.service.test_jobs import RUN_ID, WebServer, run_of

Capture = pytest.CaptureFixture[str]
PATIENTS: Final = 20
DEMO: Final = with_patients(Catalogue().get("demo"), PATIENTS)


class Queue(WebServer):
    """A web server that also lists the runs of a backfill, which it says have failed."""

    status = "SUCCESS"
    away = 0  # how often it hangs up on who asks for the runs, as one that is being restarted

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a query."""
        if "runsOrError" not in body["query"]:
            return super().answer(body)
        if self.away:
            self.away -= 1
            raise ConnectionAbortedError
        assert self.run is not None
        return {"runsOrError": {"__typename": "Runs", "results": [{**self.run, **self.listed()}]}}

    def listed(self) -> dict[str, Any]:
        """Return what is said of the run that was launched last."""
        return {"status": self.status, "tags": [{"key": "dagster/will_retry", "value": "false"}]}

    def launched(self) -> list[dict[str, Any]]:
        """Return what runs were launched with: their config and their tags."""
        found = []
        for asked in self.asked:
            if "launchRun" in asked["query"]:
                params = asked["variables"]["params"]
                tags = {tag["key"]: tag["value"] for tag in params["executionMetadata"]["tags"]}
                config = params["runConfigData"]["ops"]["casualty_tables"]["config"]
                found.append({"config": config, "tags": tags})
        return found


@pytest.fixture
def queue() -> Iterator[Queue]:
    with Queue().serving() as found:
        yield found


@pytest.fixture
def call(queue: Queue, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401  a function with keywords
    """Return what runs the command and gives back exit code and document."""
    monkeypatch.setattr(backfill, "SECONDS_BETWEEN_LOOKS", 0.01)

    def run(*arguments: str, patients: int = PATIENTS, code: int = 0) -> dict[str, Any]:
        where = ["--data-url", str(tmp_path), "--dagster-url", queue.url, "--json"]
        given = ["backfill", "demo", "--patients", str(patients), *arguments, *where]
        assert main(given) == code
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    return run


def ranges(queue: Queue) -> list[tuple[str, str]]:
    start, end = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
    single = "dagster/partition"
    return [
        (tags.get(start, tags.get(single)), tags.get(end, tags.get(single)))
        for tags in (each["tags"] for each in queue.launched())
    ]


def test_runs_ask_for_what_is_missing_of_this_very_scenario(
    call: Any,  # noqa: ANN401  a function with keywords
    queue: Queue,
) -> None:
    """Each names the backfill, and the scenario by its hash."""
    shown = call("--batches", "0-4", "--batches-per-run", "2")
    assert shown["runs"] == [[0, 1], [2], [3, 4]]
    assert shown["queued"] == [RUN_ID] * 3
    assert ranges(queue) == [
        ("0000|demo", "0001|demo"),
        ("0002|demo", "0002|demo"),
        ("0003|demo", "0004|demo"),
    ]
    for each in queue.launched():
        assert each["config"] == {
            "patients": PATIENTS,
            "only_missing": True,
            "scenario_sha256": scenario_digest(DEMO.model_dump(mode="json")),
        }
        assert each["tags"]["medgen/backfill"] == shown["backfill"]
        assert each["tags"]["medgen/workload"] == "generation"


def test_what_is_there_is_left_and_measured(
    call: Any,  # noqa: ANN401  a function with keywords
    queue: Queue,
    tmp_path: Path,
) -> None:
    """A run may span it; batches of other patients are not the same."""
    generate_batches(DEMO, [0, 2], tmp_path)
    shown = call("--batches", "0-3")
    assert (shown["there"], shown["runs"], shown["measured_on"]) == (2, [[1, 3]], 2)
    assert ranges(queue) == [("0001|demo", "0003|demo")]
    other = call("--batches", "0-3", "--dry-run", patients=PATIENTS + 1)
    assert (other["there"], other["runs"], other["queued"]) == (0, [[0, 1, 2, 3]], [])
    again = call("--batches", "0-3", "--again")
    assert (again["there"], again["runs"]) == (0, [[0, 1, 2, 3]])
    assert queue.launched()[-1]["config"]["only_missing"] is False


def test_waiting_ends_with_the_runs(
    call: Any,  # noqa: ANN401  a function with keywords
    tmp_path: Path,
) -> None:
    """Exit code 1 says that batches are still missing."""
    call("--batches", "0", "--wait", code=1)
    generate_batches(DEMO, [1], tmp_path)
    call("--batches", "1", "--again", "--wait")


def test_waiting_outlasts_a_restart_of_the_web_server(
    call: Any,  # noqa: ANN401  a function with keywords
    queue: Queue,
) -> None:
    """Exit code 1 still says that batches are missing, not that nobody answered for a moment."""
    queue.away = 3
    call("--batches", "0", "--wait", code=1)
    assert queue.away == 0


def test_waiting_does_not_go_on_for_ever(
    queue: Queue, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was queued goes on without us: the error names it, and where we asked."""
    monkeypatch.setattr(backfill, "SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(backfill, "SECONDS_AWAY", 0.1)
    queue.away = 1_000_000
    where = ["--data-url", str(tmp_path), "--dagster-url", queue.url]
    assert main(["backfill", "demo", "--batches", "0", "--wait", *where]) == 2
    printed = capsys.readouterr()
    assert queue.url in printed.err
    assert printed.out.splitlines()[-1].removeprefix("queued as ") in printed.err
    assert queue.away < 1_000_000 - 1  # it has asked more than once


@pytest.mark.parametrize(
    ("status", "tags", "expected"),
    [
        ("STARTED", {}, True),
        ("QUEUED", {}, True),
        ("SUCCESS", {}, False),
        ("CANCELED", {}, False),
        ("FAILURE", {"dagster/will_retry": "false"}, False),
        ("FAILURE", {}, True),  # nobody has decided yet
        ("FAILURE", {"dagster/will_retry": "true"}, True),
        ("FAILURE", {"dagster/will_retry": "true", "dagster/auto_retry_run_id": RUN_ID}, False),
    ],
)
def test_a_run_is_open_until_it_and_what_repeats_it_are_known(
    status: str,
    tags: dict[str, str],
    expected: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    found = run_of([], status)
    run = Run(
        found["runId"],
        status,
        created_at=datetime.now(UTC),
        started_at=None,
        ended_at=None,
        tags=tags,
    )
    assert is_open(run) is expected


def test_ranges_hold_nothing_that_was_not_asked_for() -> None:
    assert stretches([0, 1, 3], {0, 1, 2, 3}) == [(0, 3)]
    assert stretches([0, 1, 3, 7], {0, 1, 3, 7}) == [(0, 1), (3, 3), (7, 7)]


def test_a_file_is_refused(tmp_path: Path, capsys: Capture) -> None:
    """Other machines would not find it."""
    file = tmp_path / "mine.yaml"
    assert main(["scenarios", "show", "demo"]) == 0
    file.write_text(capsys.readouterr().out)
    assert main(["backfill", str(file)]) == 2
    assert "must be an id of the catalogue" in capsys.readouterr().err


def test_no_queue_is_said(tmp_path: Path, capsys: Capture) -> None:
    where = ["--data-url", str(tmp_path), "--dagster-url", "http://127.0.0.1:9"]
    assert main(["backfill", "demo", *where]) == 2
    assert "the run queue does not answer" in capsys.readouterr().err


def test_it_says_what_it_queues(tmp_path: Path, capsys: Capture) -> None:
    asked = ["--batches", "0-39", "--patients", "500000", "--dry-run", "--data-url", str(tmp_path)]
    assert main(["backfill", "conventional", *asked]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "conventional: 0 there, 40 batches to make"
    assert second == ("10 runs of 4 batches: 16.5 s each (assumed), launches are 6% of that")
