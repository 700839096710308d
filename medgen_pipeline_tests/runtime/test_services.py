"""Whether a service answers: asked of real sockets."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from medgen_pipeline.runtime import services
from medgen_pipeline.runtime.services import Place, listens


class _Dagster(BaseHTTPRequestHandler):
    """Answers as the web server does."""

    heartbeat: object = 12.5

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/server_info" else 500)
        self.end_headers()

    def do_POST(self) -> None:
        health = {"daemonStatus": {"lastHeartbeatTime": self.heartbeat}}
        self.send_response(200)
        self.end_headers()
        answer = {"data": {"instance": {"daemonHealth": health}}}
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), _Dagster) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_web_server_answers_when_it_says_that_all_is_well(port: int) -> None:
    assert services.answers("127.0.0.1", port, "/server_info")
    assert not services.answers("127.0.0.1", port, "/broken")


def test_the_daemon_is_known_by_its_heartbeat(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert services.last_heartbeat("127.0.0.1", port) == 12.5
    monkeypatch.setattr(_Dagster, "heartbeat", None)
    assert services.last_heartbeat("127.0.0.1", port) == 0
    monkeypatch.setattr(_Dagster, "heartbeat", "soon")
    assert services.last_heartbeat("127.0.0.1", port) == 0


def test_nobody_answers_where_nobody_listens(tmp_path: Path) -> None:
    free = port_of_nobody()
    assert not services.answers("127.0.0.1", free, "/server_info")
    assert services.last_heartbeat("127.0.0.1", free) == 0
    assert not listens(tmp_path / "none.sock")


def port_of_nobody() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        number: int = listener.getsockname()[1]
        return number


def test_a_socket_file_is_answered_while_someone_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        assert not listens(tmp_path / "s")
        listener.listen()
        assert listens(tmp_path / "s")


def test_the_api_is_served_when_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found by its module, and listens where METRICS_PORT says."""
    place = Place(tmp_path, tmp_path / "s", tmp_path / "w", "127.0.0.1", 3000, 9090)
    monkeypatch.setattr(services, "is_importable", lambda _: False)
    without = [each.name for each in services.services(place)]
    assert without == ["code server", "web server", "daemon"]
    monkeypatch.setattr(services, "is_importable", lambda _: True)
    api = services.services(place)[-1]
    assert api.name == "api"
    assert api.port == 9090
    assert "9090" in api.command
