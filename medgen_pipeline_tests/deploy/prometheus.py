"""A real Prometheus with the configuration that is shipped, scraping a deployment of a test."""

import contextlib
import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from medgen_pipeline_tests.defs.live import free_port, wait_for

SHIPPED: Final = Path(__file__).parents[2] / "deploy/prometheus"
PROGRAM: Final = shutil.which("prometheus")
STARTS_WITHIN_SECONDS: Final = 60
REJECTED: Final = re.compile(
    r"prometheus_target_(?:scrapes_(?:sample_\w+|exceeded_\w+)|scrape_pool_exceeded_\w+)_total"
)


class Prometheus:
    """A running one."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401  JSON
        """Return the data of an answer of its API."""
        parameters = urllib.parse.urlencode(query)
        found = json.loads(self.text(f"/api/v1/{path}?{parameters}"))
        return found["data"]

    def value(self, query: str) -> float | None:
        """Return what a query of one series gives, None when it gives nothing."""
        result = self.get("query", query=query)["result"]
        return float(result[0]["value"][1]) if result else None

    def rejected(self) -> dict[str, float]:
        """Return how many samples it has thrown away, by why."""
        lines = self.text("/metrics").splitlines()
        pairs = [line.split() for line in lines if REJECTED.match(line)]
        return {name: float(count) for name, count in pairs}

    def text(self, path: str) -> str:
        """Return the text of an answer."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:  # noqa: S310
            return str(answer.read(), "utf-8")


@contextlib.contextmanager
def scraping(folder: Path, api_port: int) -> Iterator[Prometheus]:
    """Start it in a folder, its target the API of a test; end it."""
    shutil.copytree(SHIPPED, folder)
    shipped = (folder / "prometheus.yml").read_text(encoding="utf-8")
    assert shipped.count("127.0.0.1:9090") == 1
    ours = shipped.replace("127.0.0.1:9090", f"127.0.0.1:{api_port}")
    (folder / "prometheus.yml").write_text(ours, encoding="utf-8")
    port = free_port()
    command = [
        *(PROGRAM or "", f"--config.file={folder / 'prometheus.yml'}"),
        *(f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"),
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    running = Prometheus(port)
    try:
        wait_for(
            lambda: _is_ready(running),
            STARTS_WITHIN_SECONDS,
            (folder / "prometheus.log").read_text,
        )
        yield running
    finally:
        process.terminate()
        process.wait()


def _is_ready(running: Prometheus) -> bool:
    with contextlib.suppress(OSError):
        return "Ready" in running.text("/-/ready")
    return False
