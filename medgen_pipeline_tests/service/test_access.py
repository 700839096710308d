"""Who is let in, and how much each may ask for."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from medgen_pipeline.errors import SettingError
from medgen_pipeline.service.access import DAY_S, MINUTE_S, Gate
from medgen_pipeline.service.faults import ServiceError
from medgen_pipeline.service.keys import KeyFile
from medgen_pipeline.service.reach import expect_reachable
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.service.serving import STREAM, client


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1_000_000 * DAY_S

    def __call__(self) -> float:
        """Return the time it was set to."""
        return self.now


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


def protected(http: TestClient) -> list[tuple[str, str]]:
    """Return method and path of every route that OpenAPI lists and that needs a key."""
    paths = http.app.openapi()["paths"]  # type: ignore[attr-defined]
    return [
        (method.upper(), path.replace("{", "").replace("}", ""))
        for path, operations in paths.items()
        for method in operations
        if not path.startswith("/api/v1/health")
    ]


def test_every_route_but_health_needs_a_key(tmp_path: Path, keys: KeyFile) -> None:
    """Without one, with a wrong one or a revoked one the answer is 401, and says nothing else."""
    key, text = keys.create("gone")
    keys.revoke(key.id)
    http = client(tmp_path, api_keys=keys.path)
    routes = protected(http)
    assert len(routes) > 2
    for method, path in [*routes, ("GET", "/docs"), ("GET", "/openapi.json"), ("GET", "/nowhere")]:
        for given in (None, "mg_wrong", text, text[:-1] + "0"):
            headers = {} if given is None else {"X-API-Key": given}
            answer = http.request(method, path, headers=headers)
            assert answer.status_code == 401, (method, path)
            assert answer.json().keys() == {"error", "detail", "request_id"}
    assert http.get("/api/v1/health/live").json() == {"status": "alive"}


def test_a_key_opens(tmp_path: Path, keys: KeyFile) -> None:
    """Its limits are told with each answer."""
    _, text = keys.create("ann", requests_per_minute=5)
    http = client(tmp_path, api_keys=keys.path)
    answer = http.get("/api/v1/streaming", headers={"X-API-Key": text})
    assert answer.status_code == 200
    assert answer.headers["x-ratelimit-limit"] == "5"
    assert answer.headers["x-ratelimit-remaining"] == "4"


def test_requests_of_a_minute(keys: KeyFile) -> None:
    """The limit holds for each key alone, and for a minute."""
    clock = Clock()
    gate = Gate(keys, clock)
    _, ann = keys.create("ann", requests_per_minute=2)
    _, bob = keys.create("bob", requests_per_minute=2)
    gate.admit(ann)
    gate.admit(ann)
    with pytest.raises(ServiceError) as refused:
        gate.admit(ann)
    assert refused.value.status == 429
    assert 0 < int(refused.value.headers["Retry-After"]) <= MINUTE_S + 1
    gate.admit(bob)
    clock.now += MINUTE_S
    gate.admit(ann)


def test_patients_of_a_request_and_a_day(keys: KeyFile) -> None:
    """Patients that were not made are given back, to the day that they were taken of."""
    clock = Clock()
    _, text = keys.create("ann", patients_per_request=60, patients_per_day=100)
    caller = Gate(keys, clock).admit(text)
    with pytest.raises(ServiceError) as refused:
        caller.take_patients(61)
    assert refused.value.status == 403
    caller.take_patients(60)
    with pytest.raises(ServiceError) as refused:
        caller.take_patients(50)
    assert refused.value.status == 429
    today = int(clock.now // DAY_S)
    caller.give_back(20, today)
    assert caller.take_patients(50) == today
    clock.now += DAY_S
    assert caller.take_patients(60) == today + 1
    caller.give_back(50, today)
    with pytest.raises(ServiceError):
        caller.take_patients(50)


def test_the_limit_of_patients_holds_for_a_stream(tmp_path: Path, keys: KeyFile) -> None:
    """A stream counts what it was asked for; one that is too large never starts."""
    _, text = keys.create("ann", patients_per_request=50, patients_per_day=70)
    http = client(tmp_path, api_keys=keys.path)
    given = {"X-API-Key": text}
    assert http.get(STREAM, params={"count": 51}, headers=given).status_code == 403
    assert http.get(STREAM, params={"count": 50}, headers=given).status_code == 200
    answer = http.get(STREAM, params={"count": 50}, headers=given)
    assert answer.status_code == 429
    assert answer.headers["x-daily-usage"] == "50"
    assert http.get("/api/v1/streaming", headers=given).json()["active"] == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104  to see it refused
def test_strangers_need_keys(keys: KeyFile, host: str) -> None:
    """Beyond loopback a file with a key that holds is wanted; on loopback nothing is."""
    with pytest.raises(SettingError, match="MEDGEN_API_KEYS"):
        expect_reachable(Settings(), host)
    settings = Settings(api_keys=keys.path)
    with pytest.raises(SettingError, match="holds no key"):
        expect_reachable(settings, host)
    key, _ = keys.create("ann")
    expect_reachable(settings, host)
    keys.revoke(key.id)
    with pytest.raises(SettingError, match="holds no key"):
        expect_reachable(settings, host)
    expect_reachable(Settings(), "127.0.0.1")
    expect_reachable(Settings(), "localhost")
