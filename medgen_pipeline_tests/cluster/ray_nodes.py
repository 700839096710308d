"""A real Ray of several nodes on loopback: process trees that can be killed like machines.

Each is held to cores of its own, so that a node of one core has the pace of one.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import psutil

from medgen_pipeline.errors import SettingError
from medgen_pipeline.runtime.ray_address import ray_version
from medgen_pipeline_tests.defs.live import free_port, wait_for

BIN: Final = Path(sys.executable).parent
RAY: Final = BIN / "ray"
STARTS_WITHIN_SECONDS: Final = 180
MIB: Final = 2**20
OBJECT_STORE_BYTES: Final = 80 * MIB  # runs keep nothing in it; Ray takes no less than 75
WORKER_PORTS: Final = ("--min-worker-port=0", "--max-worker-port=0")  # whatever is free
# Ray gives a node up after this long without an answer: here three times as fast as it does.
FAST_DETECTION: Final = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "5",
}


class Node:
    """One node: the `ray start` that stays in the foreground, and all below it."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.log = log

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.process.pid)
            family = [root, *root.children(recursive=True)]
            for each in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
            psutil.wait_procs(family, timeout=30)
        self.process.wait()


class Cluster:
    """A head with a dashboard, and nodes that can be added and killed."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.env = {**os.environ, **FAST_DETECTION, **env, "PATH": f"{BIN}:{os.environ['PATH']}"}
        self.port = free_port()
        self.dashboard = free_port()
        # Sockets lie in it, and the path of one has 107 bytes at most.
        self.temporary = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
        self.nodes: list[Node] = []

    @property
    def address(self) -> str:
        """What MEDGEN_RAY_ADDRESS is set to."""
        return f"http://127.0.0.1:{self.dashboard}"

    def start_head(self, *, cpus: int, memory_mb: int) -> Node:
        """Start the head, and wait until its dashboard answers."""
        node = self._start(
            *("--head", f"--port={self.port}", f"--temp-dir={self.temporary}"),
            *("--dashboard-host=127.0.0.1", f"--dashboard-port={self.dashboard}"),
            f"--ray-client-server-port={low_port()}",
            cpus=cpus,
            memory_mb=memory_mb,
        )
        wait_for(self.is_answering, STARTS_WITHIN_SECONDS, lambda: node.log.read_text()[-4000:])
        return node

    def start_node(
        self, *, cpus: int, memory_mb: int, env: Mapping[str, str] | None = None
    ) -> Node:
        """Start one more node."""
        address = f"--address=127.0.0.1:{self.port}"
        return self._start(address, cpus=cpus, memory_mb=memory_mb, env=env or {})

    def is_answering(self) -> bool:
        """Whether the dashboard answers."""
        try:
            return bool(ray_version(self.address))
        except SettingError:
            return False

    def _start(
        self, *options: str, cpus: int, memory_mb: int, env: Mapping[str, str] | None = None
    ) -> Node:
        log = self.folder / f"node-{len(self.nodes)}.log"
        command = [
            *(str(RAY), "start", "--block", "--node-ip-address=127.0.0.1"),
            *("--disable-usage-stats", f"--num-cpus={cpus}", f"--memory={memory_mb * MIB}"),
            f"--object-store-memory={OBJECT_STORE_BYTES}",
            f"--dashboard-agent-listen-port={free_port()}",
            *WORKER_PORTS,
            *options,
        ]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                preexec_fn=partial(  # noqa: PLW1509  no threads that matter
                    os.sched_setaffinity, 0, self._cores(cpus)
                ),
                env={**self.env, **(env or {})},
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.nodes.append(Node(process, log))
        return self.nodes[-1]

    def _cores(self, cpus: int) -> set[int]:
        """Return the cores of the next node: those after the last node's, where there are more."""
        cores = sorted(os.sched_getaffinity(0))
        return {cores[(len(self.nodes) * cpus + each) % len(cores)] for each in range(cpus)}

    def stop(self) -> None:
        """Leave nothing behind."""
        for node in reversed(self.nodes):
            node.kill()
        shutil.rmtree(self.temporary, ignore_errors=True)


def low_port() -> int:
    """Return a free port below 10,002, which Ray wants for clients that nobody needs here."""
    for port in range(9_100, 10_001):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise LookupError("no port below 10,002 is free")


@contextlib.contextmanager
def cluster(folder: Path, env: Mapping[str, str]) -> Iterator[Cluster]:
    """Run a cluster without nodes; those started within end with it."""
    folder.mkdir(parents=True, exist_ok=True)
    running = Cluster(folder, env)
    try:
        yield running
    finally:
        running.stop()
