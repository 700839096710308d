"""What keeps a deployment from sending its runs to Ray is said before it starts."""

import importlib.metadata
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from medgen_pipeline.runtime.ray_address import ray_hindrances
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.defs.live import free_port

FINE = Settings(database_url="postgresql://u@h/d", data_url="s3://bucket/data")
VERSIONS = {"ray": "2.60.0", "dagster-ray": "0.4.8"}


class _Dashboard(BaseHTTPRequestHandler):
    """Answers as Ray's does."""

    answer: object = {"ray_version": "2.60.0"}

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/version" else 404)
        self.end_headers()
        self.wfile.write(json.dumps(self.answer).encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Dashboard) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the versions that are taken for installed, whether Ray is or not."""
    versions = dict(VERSIONS)

    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    return versions


def test_nothing_is_in_the_way(address: str) -> None:
    assert list(ray_hindrances(FINE, address)) == []


def test_what_nodes_cannot_share(address: str) -> None:
    """SQLite, and a folder that is another one on each machine."""
    assert list(ray_hindrances(Settings(), address)) == [
        "MEDGEN_RAY_ADDRESS needs MEDGEN_DATABASE_URL: nodes cannot share an SQLite file",
        (
            "MEDGEN_RAY_ADDRESS needs MEDGEN_DATA_URL that all nodes reach: s3://bucket/prefix, or "
            "the full path of a shared folder; it is 'data'"
        ),
    ]


def test_no_ray_at_the_address() -> None:
    port = free_port()
    (said,) = ray_hindrances(FINE, f"http://127.0.0.1:{port}")
    assert said.startswith(f"no Ray at http://127.0.0.1:{port} (MEDGEN_RAY_ADDRESS): [Errno 111]")


def test_something_else_at_the_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Dashboard, "answer", ["hello"])
    (said,) = ray_hindrances(FINE, address)
    assert said == f"what answers at {address} (MEDGEN_RAY_ADDRESS) is no dashboard of Ray"


def test_another_version_or_none_at_all(address: str, installed: dict[str, str]) -> None:
    installed["ray"] = "2.58.0"
    (said,) = ray_hindrances(FINE, address)
    assert said == f"Ray at {address} is 2.60.0, here is 2.58.0; install the same on both"
    del installed["dagster-ray"]
    (said,) = ray_hindrances(FINE, address)
    assert said == "dagster-ray is not installed; pip install 'medgen_pipeline[ray]'"
