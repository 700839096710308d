"""What a deployment consists of: each process, how it is started, and when it can be used."""

import contextlib
import http.client
import importlib.util
import json
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from medgen_pipeline.runtime.home import LOCATION

DEFINITIONS: Final = "medgen_pipeline.definitions"
API: Final = "medgen_pipeline.service"  # started when it can be: python -m
SECONDS_TO_ANSWER: Final = 5.0
HEARTBEAT: Final = """
    { instance { daemonHealth { daemonStatus(daemonType: "QUEUED_RUN_COORDINATOR")
    { lastHeartbeatTime } } } }
    """


@dataclass(frozen=True, slots=True)
class Place:
    """Where a deployment lives and listens."""

    home: Path
    socket: Path
    workspace: Path
    host: str
    port: int
    api_port: int
    definitions: str = DEFINITIONS

    @property
    def url(self) -> str:
        """The web server."""
        return self.url_of(self.port)

    def url_of(self, port: int) -> str:
        """Return where a port is in a browser, in which IPv6 has brackets."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{port}"


@dataclass(frozen=True, slots=True)
class Service:
    """One process: its command, and whether it answers, given when it was started."""

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[float], bool]
    where: str
    needs: str | None = None  # the service that has to answer before this one is started
    package: str | None = None  # what has to be installed
    port: int | None = None  # what has to be free
    setting: str = ""  # what sets the port

    @property
    def is_installed(self) -> bool:
        """Whether the package that it runs is there."""
        return self.package is None or is_importable(self.package)


def services(place: Place) -> list[Service]:
    """Return the services of a deployment, in the order in which they are started."""
    python = (sys.executable, "-m")
    workspace = ("-w", str(place.workspace))
    at = ("--host", place.host, "--port")
    found = [
        Service(
            "code server",
            # Without a heartbeat: a parent that is slow under load is no reason to die.
            (
                *(*python, "dagster", "api", "grpc", "--socket", str(place.socket)),
                *("--module-name", place.definitions, "--location-name", LOCATION),
            ),
            lambda _started: listens(place.socket),
            str(place.socket),
        ),
        Service(
            "web server",
            (*python, "dagster_webserver", *at, str(place.port), *workspace),
            lambda _started: answers(place.host, place.port, "/server_info"),
            place.url,
            needs="code server",
            package="dagster_webserver",
            port=place.port,
            setting="--port",
        ),
        Service(
            "daemon",
            (*python, "dagster._daemon", "run", *workspace),
            lambda started: last_heartbeat(place.host, place.port) >= started,
            "the run queue, schedules and sensors",
            needs="web server",  # which has made Dagster's tables by then: two at once collide
        ),
    ]
    if is_importable(f"{API}.__main__"):
        found.append(
            Service(
                "api",
                (*python, API, *at, str(place.api_port), "--dagster-url", place.url),
                lambda _started: answers(place.host, place.api_port, "/api/v1/health/live"),
                place.url_of(place.api_port),
                needs="web server",  # which makes the storage that this one opens
                port=place.api_port,
                setting="METRICS_PORT",
            )
        )
    return found


def is_importable(module: str) -> bool:
    """Whether a module is there, without importing it."""
    with contextlib.suppress(ModuleNotFoundError):
        return importlib.util.find_spec(module) is not None
    return False


def listens(path: Path) -> bool:
    """Whether someone accepts connections at a socket file."""
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
        client.settimeout(SECONDS_TO_ANSWER)
        client.connect(str(path))
        return True
    return False


def answers(host: str, port: int, path: str) -> bool:
    """Whether an HTTP server says that all is well."""
    return _request(host, port, "GET", path) is not None


def last_heartbeat(host: str, port: int) -> float:
    """Return when the run queue last was looked at, as the web server says; 0 when it cannot."""
    body = json.dumps({"query": HEARTBEAT})
    found = _request(host, port, "POST", "/graphql", body)
    with contextlib.suppress(TypeError, KeyError, ValueError):
        health = json.loads(found or "")["data"]["instance"]["daemonHealth"]
        return float(health["daemonStatus"]["lastHeartbeatTime"] or 0)
    return 0.0


def _request(host: str, port: int, method: str, path: str, body: str = "") -> bytes | None:
    """Return the body of a successful answer; no proxy is asked."""
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS_TO_ANSWER)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request(method, path, body or None, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        return text if answer.status == http.HTTPStatus.OK else None
    return None
