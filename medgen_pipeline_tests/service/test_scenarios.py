"""Scenarios are listed, shown and checked by anyone, and added by who may write."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from medgen_pipeline.scenario import catalogue
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.service.keys import KeyFile
from medgen_pipeline_tests.scenario.examples import SHIPPED_IDS, smallest
from medgen_pipeline_tests.service.serving import STREAM, client

SCENARIOS = "/api/v1/scenarios"


@pytest.fixture
def http(tmp_path: Path) -> TestClient:
    """Return a client that may write."""
    keys = KeyFile(tmp_path / "keys.json")
    _, text = keys.create("ann", may_write=True)
    (tmp_path / "own").mkdir()
    found = client(tmp_path, scenario_dir=tmp_path / "own", api_keys=keys.path)
    found.headers["X-API-Key"] = text
    return found


def own(**changes: object) -> dict[str, Any]:
    return smallest() | {"id": "own"} | changes


def test_the_shipped_ones_are_listed(http: TestClient) -> None:
    assert {each["id"] for each in http.get(SCENARIOS).json()} == set(SHIPPED_IDS)


def test_one_is_shown_in_full(http: TestClient) -> None:
    """As JSON and as YAML it is the scenario, every default written out."""
    expected = Catalogue().get("demo").model_dump(mode="json", exclude_none=True)
    assert http.get(f"{SCENARIOS}/demo").json() == expected
    answer = http.get(f"{SCENARIOS}/demo", headers={"Accept": "application/yaml"})
    assert yaml.safe_load(answer.text)["id"] == "demo"
    assert http.post(f"{SCENARIOS}/check", json=expected).json()["valid"]


@pytest.mark.parametrize("name", ["nothing", "demo.yaml", "..%2Fdemo", "%2Fetc%2Fpasswd"])
def test_one_that_is_not_there(http: TestClient, name: str) -> None:
    assert http.get(f"{SCENARIOS}/{name}").status_code in {404, 422}


def test_a_check_finds_every_fault(http: TestClient) -> None:
    found = http.post(f"{SCENARIOS}/check", json=own(days=0, patients=-1)).json()
    assert not found["valid"]
    assert {"days", "patients"} <= {fault["path"] for fault in found["faults"]}


def test_an_added_one_can_be_used(http: TestClient) -> None:
    """It is listed, shown and streamed; a second of its id needs to say that it replaces."""
    assert http.post(SCENARIOS, json=own()).status_code == 201
    assert http.get(f"{SCENARIOS}/own").json()["id"] == "own"
    query: dict[str, str | int] = {"scenario": "own", "count": 3}
    assert http.get(STREAM, params=query).status_code == 200
    assert http.post(SCENARIOS, json=own()).status_code == 409
    changed = http.post(SCENARIOS, params={"replace": "true"}, json=own(title="another"))
    assert changed.status_code == 201
    assert http.get(f"{SCENARIOS}/own").json()["title"] == "another"


@pytest.mark.parametrize("replace", ["false", "true"])
def test_a_full_disk_is_no_conflict(
    http: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    replace: str,
) -> None:
    """It is ours to mend: the log has the path and the reason, the answer neither."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(catalogue, "_write_whole", full)
    answer = http.post(SCENARIOS, params={"replace": replace}, json=own())
    assert answer.status_code == 503
    assert str(tmp_path) not in answer.text
    assert str(tmp_path / "own" / "own.json") in caplog.text
    assert "No space left" in caplog.text
    assert answer.json()["request_id"] in caplog.text
    declared = http.get("/openapi.json").json()["paths"][SCENARIOS]["post"]["responses"]
    assert "503" in declared


def test_a_folder_that_is_none_is_no_conflict(http: TestClient, tmp_path: Path) -> None:
    (tmp_path / "own").rmdir()
    (tmp_path / "own").touch()
    assert http.post(SCENARIOS, json=own()).status_code == 503


def test_a_bad_one_is_not_added(http: TestClient, tmp_path: Path) -> None:
    assert http.post(SCENARIOS, json=own(days=0)).status_code == 422
    assert list((tmp_path / "own").iterdir()) == []


def test_only_who_may_write_adds(tmp_path: Path) -> None:
    """Neither a key that may read nor nobody's, which loopback has, is enough."""
    keys = KeyFile(tmp_path / "keys.json")
    _, text = keys.create("bob")
    (tmp_path / "own").mkdir()
    reader = client(tmp_path, scenario_dir=tmp_path / "own", api_keys=keys.path)
    assert reader.post(SCENARIOS, json=own(), headers={"X-API-Key": text}).status_code == 403
    nobody = client(tmp_path, scenario_dir=tmp_path / "own")
    assert nobody.post(SCENARIOS, json=own()).status_code == 403
    assert list((tmp_path / "own").iterdir()) == []


def test_a_deployment_without_a_folder(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    _, text = keys.create("ann", may_write=True)
    answer = client(tmp_path, api_keys=keys.path).post(
        SCENARIOS, json=own(), headers={"X-API-Key": text}
    )
    assert answer.status_code == 409
