"""The client hands out what the service has, and says when it did not get all of it."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from medgen_pipeline.client import BrokenStreamError, Client, RefusedError
from medgen_pipeline.errors import MedgenError
from medgen_pipeline.service.app import create_app
from medgen_pipeline.service.keys import KeyFile
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.service.conftest import BATCHES, PATIENTS, REPLICATES, folder
from medgen_pipeline_tests.service.serving import served, wait_for
from medgen_pipeline_tests.service.test_jobs import RUN_ID, WebServer, dagster
from medgen_pipeline_tests.service.test_sending import broken_after_a_replicate, counts

__all__ = ["dagster", "folder"]  # fixtures


@pytest.fixture
def app(folder: Path, dagster: WebServer, tmp_path: Path) -> FastAPI:
    keys = KeyFile(tmp_path / "keys.json")
    _, text = keys.create("ann", may_write=True)
    settings = Settings(
        data_url=str(folder / "data"), scenario_dir=folder / "scenarios", api_keys=keys.path
    )
    found = create_app(settings, dagster_url=dagster.url)
    found.state.key = text
    return found


@pytest.fixture
def client(app: FastAPI) -> Iterator[Client]:
    with served(app) as http:
        yield Client(str(http.base_url), app.state.key)


def test_patients_as_they_come(client: Client) -> None:
    """Every patient, as a dictionary and as Arrow alike."""
    found = list(client.patients("small", count=50, batch_size=8))
    batches = list(client.batches("small", count=50, batch_size=8))
    assert [each["subject_id"] for each in found] == [
        subject for batch in batches for subject in batch.column("subject_id").to_pylist()
    ]
    assert found[0]["timeline"][0]["event_type"] == "injured"


def test_leaving_early_ends_the_stream(client: Client, app: FastAPI) -> None:
    patients = client.patients("small", count=1_000_000)
    assert len(list(itertools.islice(patients, 3))) == 3
    patients.close()  # type: ignore[attr-defined]
    wait_for(lambda: counts(app)["active"] == 0)


@pytest.mark.parametrize("how", ["patients", "batches"])
def test_a_broken_stream_is_an_error(
    client: Client, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """What came before is handed out; the end is never taken for the last patient."""
    broken_after_a_replicate(monkeypatch)
    with pytest.raises(BrokenStreamError):
        list(getattr(client, how)("small", count=500))


def test_what_is_committed(client: Client) -> None:
    assert client.datasets()[0]["batches"] == BATCHES
    everyone = list(client.committed("small"))
    assert len(everyone) == PATIENTS * REPLICATES * BATCHES
    dead = list(client.committed("small", outcome="KIA"))
    assert {each["outcome"] for each in dead} == {"KIA"}
    one = client.patient("small", dead[0]["subject_id"])
    assert one["family_name"] == dead[0]["family_name"]
    table = client.table("small", "timeline", batch=1, columns="subject_id,event_type")
    assert table.column_names == ["subject_id", "event_type"]


def test_scenarios(client: Client) -> None:
    """One that is shown can be checked, and streamed from where it was changed."""
    shown = client.scenario("small")
    assert client.check(shown)["valid"]
    assert "small" in {each["id"] for each in client.scenarios()}
    changed = shown | {"seed": 77}
    assert len(list(client.patients(changed, count=4))) == 4
    with pytest.raises(RefusedError) as refused:
        client.add(shown)
    assert refused.value.status == 409


def test_jobs(client: Client) -> None:
    job = client.generate("small", 3, last_batch=5, priority=2)
    assert (job.job_id, job.status, job.has_ended) == (RUN_ID, "pending", False)
    assert client.cancel(job.job_id).has_ended


def test_refusals_carry_what_was_said(client: Client) -> None:
    """The status, the sentence, the request id, and every fault of a scenario."""
    with pytest.raises(RefusedError, match="no such scenario") as refused:
        client.scenario("nothing")
    assert refused.value.request_id
    with pytest.raises(RefusedError) as refused:
        list(client.patients({"id": "x", "days": 0}))
    assert "days" in {fault["path"] for fault in refused.value.faults}


def test_a_wrong_key(app: FastAPI) -> None:
    with served(app) as http, pytest.raises(RefusedError, match="401"):
        Client(str(http.base_url), "mg_wrong").scenarios()


@pytest.mark.parametrize("url", ["", "127.0.0.1:9090", "ftp://a", "http://"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(MedgenError, match="must be like"):
        Client(url)
