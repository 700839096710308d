"""A stream goes at the client's pace, stops when it leaves, and never ends as if it were whole."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pyarrow as pa
import pytest
from fastapi import FastAPI

from medgen_pipeline.generation.finished import Finished
from medgen_pipeline.service import courses, generating
from medgen_pipeline.service.app import create_app
from medgen_pipeline.service.keys import KeyFile
from medgen_pipeline.service.limits import Limits
from medgen_pipeline.service.sending import in_order
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.service.serving import STREAM, served, wait_for

ENDLESS: dict[str, int | str] = {"count": 10_000_000, "format": "ndjson"}


def app_of(folder: Path, **limits: float) -> FastAPI:
    return create_app(Settings(data_url=str(folder)), limits=Limits(**limits))  # type: ignore[arg-type]


def counts(app: FastAPI) -> dict[str, int]:
    found = app.state.deployment.streams.counts()
    return {name: getattr(found, name) for name in type(found).__slots__}


def broken_after_a_replicate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the making of patients fail from the second replicate on."""
    whole = courses.batch_of

    def batch_of(finished: Finished, *, with_course: bool) -> pa.RecordBatch:
        if finished.replicate:
            raise RuntimeError("a secret of the server")
        return whole(finished, with_course=with_course)

    monkeypatch.setattr(generating, "batch_of", batch_of)


def test_what_is_made_together_comes_in_order() -> None:
    """The first of each pair waits for the second to be made before it."""
    second_is_made = [threading.Event() for _ in range(10)]

    def make(number: int) -> int:
        place, is_second = divmod(number, 2)
        if is_second:
            second_is_made[place].set()
        else:
            assert second_is_made[place].wait(30)
        return number

    with ThreadPoolExecutor(2) as pool:
        assert list(in_order(pool, make, iter(range(20)))) == list(range(20))


def test_leaving_makes_no_more() -> None:
    """Of an endless supply, no more than the threads can hold is taken for one result."""
    taken: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            taken.append(len(taken))
            yield taken[-1]

    with ThreadPoolExecutor(2) as pool:
        made = in_order(pool, lambda number: number, endless())
        assert next(made) == 0
        made.close()  # type: ignore[attr-defined]
    assert len(taken) <= 4


def test_a_client_that_leaves_stops_the_work(tmp_path: Path) -> None:
    """After its first bytes of ten million patients it goes; so does the stream."""
    app = app_of(tmp_path)
    with served(app) as http:
        with http.stream("GET", STREAM, params=ENDLESS) as answer:
            reading = answer.iter_raw(1_000_000)
            assert next(reading)
            assert counts(app)["active"] == 1
        wait_for(lambda: counts(app)["active"] == 0)
        done = counts(app)
        assert done["abandoned"] == 1
        assert 0 < done["patients"] < 1_000_000


@contextlib.contextmanager
def served_with_key(folder: Path) -> Iterator[tuple[httpx2.Client, FastAPI]]:
    """Serve an app that asks for a key, to a client that has one."""
    keys = KeyFile(folder / "keys.json")
    _, text = keys.create("ann", patients_per_day=10_000_000)
    app = create_app(Settings(data_url=str(folder), api_keys=keys.path))
    with served(app) as http:
        http.headers["X-API-Key"] = text
        yield http, app


def used(http: httpx2.Client) -> int:
    """Return how many patients of the day the client's key has taken."""
    return int(http.get("/api/v1/streaming").headers["x-daily-usage"])


def test_a_client_that_leaves_has_its_patients_back(tmp_path: Path) -> None:
    """Of the ten million of its day it has used what was made for it, and can ask again."""
    with served_with_key(tmp_path) as (http, app):
        with http.stream("GET", STREAM, params=ENDLESS) as answer:
            reading = answer.iter_raw(1_000_000)
            assert next(reading)
            assert used(http) == ENDLESS["count"]
            assert http.get(STREAM, params={"count": 1}).status_code == 429
        wait_for(lambda: counts(app)["active"] == 0)
        assert 0 < used(http) == counts(app)["patients"] < 1_000_000
        assert http.get(STREAM, params={"count": 1}).status_code == 200


def test_a_stream_that_breaks_costs_what_came_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_after_a_replicate(monkeypatch)
    with served_with_key(tmp_path) as (http, app):
        body, is_whole = cut_off(http, {"count": 5_000, "format": "csv"})
        assert not is_whole
        wait_for(lambda: counts(app)["active"] == 0)
        assert used(http) == len(body.splitlines()) - 1 == 1_000


def test_the_pace_is_that_of_the_client(tmp_path: Path) -> None:
    """A client that reads nothing holds the generator, which waits with little in memory."""
    app = app_of(tmp_path)
    with (
        served(app) as http,
        socket.create_connection((http.base_url.host, http.base_url.port)) as slow,
    ):
        slow.sendall(
            f"GET {STREAM}?count=10000000&format=ndjson HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        wait_for(lambda: counts(app)["bytes"] > 0)
        seen = -1
        while counts(app)["bytes"] != seen:  # until the buffers of both ends are full
            seen = counts(app)["bytes"]
            time.sleep(1)
        assert counts(app)["active"] == 1
        assert seen < 100_000_000
        slow.close()
        wait_for(lambda: counts(app)["active"] == 0)


def test_too_many_streams_are_told_to_come_back(tmp_path: Path) -> None:
    """One more than the limit gets 429 at once; when one has ended there is room again."""
    app = app_of(tmp_path, streams=2)
    with served(app) as http:
        first = http.stream("GET", STREAM, params=ENDLESS)
        second = http.stream("GET", STREAM, params=ENDLESS)
        with first as one:
            with second as other:
                reading = one.iter_raw(10), other.iter_raw(10)  # which lets go when it is dropped
                assert all(next(each) for each in reading)
                refused = http.get(STREAM, params=ENDLESS)
                assert refused.status_code == 429
                assert int(refused.headers["retry-after"]) > 0
            wait_for(lambda: counts(app)["active"] == 1)
            assert http.get(STREAM, params={"count": 3}).status_code == 200


def test_streams_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """With as many streams as there may be, each gets its patients and health answers."""
    app = app_of(tmp_path, streams=4)
    with served(app) as http:
        sizes: list[int] = []

        def read() -> None:
            with httpx2.Client(base_url=http.base_url, timeout=60) as own:
                body = own.get(STREAM, params={"count": 300, "format": "ndjson"}).content
                sizes.append(body.count(b"\n"))

        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        assert http.get("/api/v1/health/live").status_code == 200
        for reader in readers:
            reader.join()
        assert sizes == [300] * 4


@pytest.mark.parametrize("kind", ["json", "ndjson", "csv", "arrow"])
def test_a_stream_that_breaks_does_not_end_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The client sees the transfer cut off; JSON and NDJSON say why, and nothing leaks."""
    broken_after_a_replicate(monkeypatch)
    app = app_of(tmp_path)
    with served(app) as http:
        body, is_whole = cut_off(http, {"count": 5_000, "format": kind})
        assert not is_whole
        assert b"secret" not in body
        if kind == "json":
            told = json.loads(body)
            assert told["patients_generated"] == len(told["patients"]) == 1_000
            assert "total_patients" not in told
        if kind == "ndjson":
            *patients, trailer = map(json.loads, body.splitlines())
            assert trailer["patients_generated"] == len(patients) == 1_000
            assert "request id" in trailer["error"]
        assert counts(app)["failed"] == 1
        assert counts(app)["active"] == 0


def cut_off(http: httpx2.Client, query: dict[str, int | str]) -> tuple[bytes, bool]:
    """Return what arrived, and whether the server ended it as a whole."""
    pieces: list[bytes] = []
    with http.stream("GET", STREAM, params=query) as answer:
        try:
            pieces.extend(answer.iter_raw())
        except httpx2.RemoteProtocolError:
            return b"".join(pieces), False
    return b"".join(pieces), True


def test_a_stream_has_its_time(tmp_path: Path) -> None:
    """One that takes longer is ended, and says so."""
    app = app_of(tmp_path, seconds_per_stream=0.5)
    with served(app) as http:
        cut_off(http, {**ENDLESS, "count": 1})  # prepares the scenario, which is not measured here
        body, is_whole = cut_off(http, dict(ENDLESS))
        assert not is_whole
        assert counts(app)["active"] == 0
        assert body


def test_half_a_body_is_not_waited_for(tmp_path: Path) -> None:
    """A client that stops in the middle of its body is told so after a while, and let go."""
    app = app_of(tmp_path, seconds_for_body=0.2)
    with served(app) as http:
        address = (http.base_url.host, http.base_url.port)
        with socket.create_connection(address) as slow:
            slow.sendall(
                f"POST {STREAM} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                "Content-Length: 100\r\n\r\n{".encode()
            )
            assert b" 408 " in b"".join(received(slow)).splitlines()[0]


def received(connection: socket.socket) -> Iterator[bytes]:
    connection.settimeout(30)
    while piece := connection.recv(4_096):
        yield piece
