"""Each request is followed to its end: its route, status, time and bytes, however it ends."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.middleware import Middleware
from starlette.responses import StreamingResponse

from medgen_pipeline.service import layers
from medgen_pipeline.service.app import create_app
from medgen_pipeline.service.keys import KeyFile
from medgen_pipeline.service.tracking import NO_ROUTE, Request, Tracking, Watcher
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.service.serving import STREAM, served, wait_for


class Kept(Watcher):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.going = 0
        self.ones: list[Request] = []

    def began(self, request: Request) -> None:
        """Count one more that goes on; its route is not known yet."""
        assert request.route == NO_ROUTE
        self.going += 1

    def ended(self, request: Request) -> None:
        """Keep it."""
        self.going -= 1
        self.ones.append(request)


def broken() -> Iterator[bytes]:
    yield b"a part"
    raise RuntimeError("the rest is missing")


def app_with(kept: Kept) -> FastAPI:
    """Return a small app whose requests are followed."""
    watched = Middleware(Tracking, watchers=[kept])
    app = FastAPI(middleware=[Middleware(layers.RequestIds), watched])

    @app.get("/things/{name}")
    def thing(name: str) -> str:
        return name

    @app.get("/bug")
    def bug() -> None:
        raise ZeroDivisionError

    @app.get("/stream")
    def stream(parts: int = 0) -> StreamingResponse:
        return StreamingResponse(iter([b"12345"] * parts) if parts else broken())

    return app


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def http(kept: Kept) -> TestClient:
    return TestClient(app_with(kept), raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/things/7f2f0f6e", "/things/{name}", 200),
        ("GET", "/things/x?secret=1", "/things/{name}", 200),
        ("DELETE", "/things/7", "/things/{name}", 405),
        ("GET", "/nowhere/7", NO_ROUTE, 404),
        ("GET", "/bug", "/bug", 500),
    ],
)
def test_a_request_is_told_by_the_template_of_its_path(
    http: TestClient, kept: Kept, method: str, path: str, route: str, status: int
) -> None:
    answer = http.request(method, path)
    (request,) = kept.ones
    assert (request.method, request.route, request.status) == (method, route, status)
    assert request.status == answer.status_code
    assert request.request_id == answer.headers["x-request-id"]
    assert request.bytes == len(answer.content)
    assert request.is_whole
    assert 0 < (request.first_byte_seconds or 0) <= request.seconds
    assert kept.going == 0


def test_an_answer_tells_its_time(http: TestClient) -> None:
    """In milliseconds with two decimals, bugs included."""
    for path in ("/things/a", "/nowhere", "/bug"):
        time = http.get(path).headers["x-response-time"]
        assert re.fullmatch(r"\d+\.\d\d", time)


def test_a_bug_is_answered_in_the_one_shape(
    http: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    """It says nothing of itself; the log has its traceback under the id that the answer has."""
    answer = http.get("/bug")
    assert answer.json().keys() == {"error", "detail", "request_id"}
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "ZeroDivision" not in answer.text
    (record,) = [each for each in caplog.records if each.exc_info]
    assert answer.json()["request_id"] in record.getMessage()


def test_a_stream_is_told_when_it_has_ended(http: TestClient, kept: Kept) -> None:
    """With all of its bytes; one that broke with those that were sent."""
    assert http.get("/stream?parts=3").content == b"12345" * 3
    http.get("/stream")
    whole, cut = kept.ones
    assert (whole.status, whole.bytes, whole.is_whole) == (200, 15, True)
    assert (cut.status, cut.bytes, cut.is_whole) == (200, len(b"a part"), False)


def test_a_client_that_leaves_is_told_too(tmp_path: Path) -> None:
    """A stream that nobody waits for is cut; what had been sent is counted."""
    kept = Kept()
    app = create_app(Settings(data_url=str(tmp_path)), watchers=[kept])
    with served(app) as http:
        with http.stream("GET", STREAM, params={"count": 10_000_000}) as answer:
            assert answer.status_code == 200
            next(answer.iter_bytes())
        wait_for(lambda: bool(kept.ones))
    (request,) = kept.ones
    assert (request.route, request.status, request.is_whole) == (STREAM, 200, False)
    assert request.bytes > 0


def test_who_has_no_key_is_told_without_one(tmp_path: Path) -> None:
    """Who has one, by its public part."""
    keys = KeyFile(tmp_path / "keys.json")
    key, text = keys.create("ann")
    kept = Kept()
    settings = Settings(data_url=str(tmp_path / "data"), api_keys=keys.path)
    http = TestClient(create_app(settings, watchers=[kept]))
    http.get("/api/v1/scenarios")
    http.get("/api/v1/scenarios", headers={"X-API-Key": text})
    refused, admitted = kept.ones
    assert (refused.status, refused.key_id, refused.route) == (401, None, NO_ROUTE)
    assert (admitted.status, admitted.key_id, admitted.route) == (200, key.id, "/api/v1/scenarios")
