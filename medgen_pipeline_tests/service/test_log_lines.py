"""The API's log: one JSON object a line, whatever a client sends; probes are quiet."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from medgen_pipeline.service.log_lines import ACCESS, FIELDS, JsonLines
from medgen_pipeline_tests.service.serving import STREAM, client


class Lines(logging.Handler):
    """Keeps what would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(self.format(record))

    def read(self) -> list[dict[str, Any]]:
        """Return the lines as whoever reads the file has them."""
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def log() -> Iterator[Lines]:
    logger, kept = logging.getLogger(ACCESS), Lines()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(kept)
    yield kept
    logger.removeHandler(kept)
    logger.setLevel(level)


@pytest.fixture
def http(tmp_path: Path) -> TestClient:
    return client(tmp_path)


def test_a_request_is_one_line(http: TestClient, log: Lines) -> None:
    answer = http.get("/api/v1/scenarios/demo?secret=1", headers={"X-Request-ID": "mine-1"})
    (line,) = log.read()
    assert line | {"time": "", "ms": 0, "first_byte_ms": 0} == {
        "time": "",
        "level": "info",
        "logger": ACCESS,
        "message": "answered",
        "request_id": "mine-1",
        "client": "testclient",
        "key": None,
        "method": "GET",
        "path": "/api/v1/scenarios/demo",
        "route": "/api/v1/scenarios/{scenario_id}",
        "status": 200,
        "bytes": len(answer.content),
        "whole": True,
        "first_byte_ms": 0,
        "ms": 0,
    }
    assert line["time"].endswith("+00:00")
    assert 0 < line["first_byte_ms"] <= line["ms"]


def test_a_stream_is_one_line_with_all_its_bytes(http: TestClient, log: Lines) -> None:
    answer = http.get(f"{STREAM}?count=500&format=ndjson", headers={"Accept-Encoding": "identity"})
    (line,) = log.read()
    assert line["bytes"] == len(answer.content) > 100_000
    assert line["whole"] is True


def test_nothing_that_a_client_sends_makes_a_line_of_its_own(http: TestClient, log: Lines) -> None:
    http.get("/a%0A%7B%22level%22:%22error%22%7D%1B[2J")
    (line,) = log.lines
    assert "\n" not in line
    assert "\x1b" not in line
    assert json.loads(line)["path"] == '/a\n{"level":"error"}\x1b[2J'


def test_a_probe_is_quiet_when_all_is_well(http: TestClient, log: Lines) -> None:
    """What is asked every few seconds would hide all else; when it goes wrong it is told."""
    http.get("/api/v1/health/live")
    assert log.lines == []
    http.delete("/api/v1/health/live")
    (line,) = log.read()
    assert line["status"] == 405


def test_a_traceback_stays_in_its_line() -> None:
    try:
        json.loads("not\nJSON")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "it %s", ("broke",), None)
        record.exc_info = (type(error), error, error.__traceback__)
    setattr(record, FIELDS, {"path": Path("/x")})
    line = JsonLines().format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert (found["message"], found["level"], found["path"]) == ("it broke", "error", "/x")
    assert "json.loads" in found["traceback"]
