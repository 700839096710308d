"""What surrounds every request: an id, a bound on its body, one shape of errors."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from medgen_pipeline.service.limits import Limits
from medgen_pipeline_tests.service.serving import STREAM, client

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def http(tmp_path: Path) -> TestClient:
    return client(tmp_path, limits=Limits(body_bytes=10_000))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/../../etc/passwd", 404),
        ("DELETE", "/api/v1/health/live", 405),
        ("GET", f"{STREAM}?count=-1", 422),
        ("POST", STREAM, 415),
    ],
)
def test_every_error_has_one_shape(http: TestClient, method: str, path: str, status: int) -> None:
    answer = http.request(method, path)
    assert answer.status_code == status
    assert answer.json().keys() == {"error", "detail", "request_id"}
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("given", "is_kept"), [("abc-1.2_X", True), ("a b", False), ("x" * 65, False), ("", False)]
)
def test_a_request_keeps_a_plain_id(http: TestClient, given: str, is_kept: bool) -> None:  # noqa: FBT001
    """An id that could not stand in a log line as it is gives way to a new one."""
    found = http.get("/api/v1/health/live", headers={"X-Request-ID": given}).headers["x-request-id"]
    assert (found == given) is is_kept
    assert found


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"x" * 10_001, 413, "at most 10000 bytes"),
        (b"[" * 9_000, 422, "faults"),
        (b'{"id": "a", "id": "b"}', 422, "faults"),
        (b"{", 422, "faults"),
        (b"", 422, "faults"),
        (b"\xff\xfe", 400, "not UTF-8"),
        (b"[1, 2]", 422, "faults"),
        (b"1" * 9_000, 422, "faults"),
        (b"null", 422, "faults"),
    ],
)
def test_a_body_that_is_no_scenario(http: TestClient, body: bytes, status: int, said: str) -> None:
    answer = http.post(STREAM, content=body, headers=JSON)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_a_large_body_in_pieces(http: TestClient) -> None:
    """Without a length that says so, a body is refused when it has grown too large."""
    answer = http.post(STREAM, content=(b"x" * 1_000 for _ in range(100)), headers=JSON)
    assert answer.status_code == 413


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "", "application/jsonx"])
def test_a_body_of_another_type(http: TestClient, kind: str) -> None:
    answer = http.post(STREAM, content=b"{}", headers={"Content-Type": kind})
    assert answer.status_code == 415
