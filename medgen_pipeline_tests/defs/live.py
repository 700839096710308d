"""A real Dagster deployment for a test: web server, daemon, code servers, in folders of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import psutil

from medgen_pipeline.runtime.instance_yaml import render_instance_yaml

TOP: Final = Path(__file__).parents[2]
STARTS_WITHIN_SECONDS: Final = 120  # on two cores that others use too; it takes 15 on its own
STOPS_WITHIN_SECONDS: Final = 30

# Dagster copies the disposition of SIGINT to SIGTERM, so a process that was started with SIGINT
# ignored, as a background job of a script is, could not be stopped: give it back its default.
START: Final = (
    "import signal, runpy, sys;"
    "signal.signal(signal.SIGINT, signal.default_int_handler);"
    "sys.argv = sys.argv[1:];"
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


T = TypeVar("T")


class Deployment:
    """Speaks to a running web server as its UI does."""

    def __init__(self, url: str, home: Path, processes: list[psutil.Process]) -> None:
        self.home = home
        self.processes = processes  # those started here
        self.family = processes  # with all their children, once they are stopped
        self._client = httpx.Client(base_url=url, timeout=30)

    def ask(self, query: str, **variables: object) -> Any:  # noqa: ANN401  JSON
        """Return the answer to a GraphQL query; raise if there is an error in it."""
        answer = self._client.post("/graphql", json={"query": query, "variables": variables}).json()
        if "errors" in answer:
            raise RuntimeError(answer["errors"])
        return answer["data"]

    def is_answering(self) -> bool:
        """Return whether the web server is up."""
        try:
            return self._client.get("/server_info").is_success
        except httpx.TransportError:
            return False

    def logs(self) -> str:
        """Return the end of what the processes wrote."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(encoding='utf-8')[-4000:]}"
            for path in self.home.glob("*.log")
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


@contextlib.contextmanager
def deployment(home: Path, env: Mapping[str, str]) -> Iterator[Deployment]:
    """Start a web server and a daemon with SQLite under `home`; stop every process at the end."""
    home.mkdir(parents=True)
    environ = {**os.environ, **env, "DAGSTER_HOME": str(home)}
    (home / "dagster.yaml").write_text(render_instance_yaml(env), encoding="utf-8")
    _make_storage(environ)
    port = free_port()
    workspace = ["-w", str(TOP / "workspace.yaml")]
    commands = {
        "webserver": ["dagster_webserver", "-h", "127.0.0.1", "-p", str(port), *workspace],
        "daemon": ["dagster._daemon", "run", *workspace],
    }
    started = [_start(name, command, home, environ) for name, command in commands.items()]
    running = Deployment(
        f"http://127.0.0.1:{port}", home, [psutil.Process(process.pid) for process in started]
    )
    try:
        wait_for(running.is_answering, STARTS_WITHIN_SECONDS, running.logs)
        yield running
    finally:
        running.close()
        _stop(running)
        for process in started:
            process.wait()


def _make_storage(environ: Mapping[str, str]) -> None:
    """Make the SQLite files: two processes that begin at once may both try, and one fail."""
    subprocess.run(
        [sys.executable, "-m", "dagster", "instance", "migrate"],
        env=dict(environ),
        check=True,
        capture_output=True,
    )


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for(condition: Callable[[], T | None], seconds: float, otherwise: Callable[[], str]) -> T:
    """Return the first true answer; fail with what `otherwise` says if there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.2)
    raise TimeoutError(f"nothing within {seconds} s\n{otherwise()}")


def _start(
    name: str, command: list[str], home: Path, environ: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    with (home / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", START, *command],
            cwd=TOP,
            env=environ,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _stop(running: Deployment) -> None:
    """Ask the processes to end, then end whatever is left of them and of their children."""
    running.family = [*running.processes]
    for process in running.processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            running.family += process.children(recursive=True)
            process.send_signal(signal.SIGTERM)
    _, left = psutil.wait_procs(running.family, timeout=STOPS_WITHIN_SECONDS)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=STOPS_WITHIN_SECONDS)
