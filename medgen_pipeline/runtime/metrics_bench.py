"""How long a scrape of `/metrics` takes at 1,000 runs and 1,000 partitions, from a real server.

`python -m medgen_pipeline.runtime.metrics_bench` fills an instance of its own with runs of which
each materialized one batch, lets the sensor's tally count them, starts `medgen serve` on it and
scrapes it, each time after what the server keeps has gone stale. The target is the project's.
"""

import argparse
import contextlib
import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.events import StepMaterializationData
from rich.console import Console

from medgen_pipeline.metrics.definitions import COLLECTOR_DURATION
from medgen_pipeline.runtime import kept_figures
from medgen_pipeline.runtime.home import write_instance
from medgen_pipeline.runtime.instance_view import InstanceView
from medgen_pipeline.runtime.run_tally import BYTES, PATIENTS, ROWS, RunTally
from medgen_pipeline.settings import Settings

TARGET_MS: Final = 250.0
SCENARIOS: Final = 10
SECONDS_TO_START: Final = 120.0
STALE_SECONDS: Final = 15.0  # longer than anything is kept


@dg.op
def nothing() -> None:
    """Do nothing."""


@dg.job(tags={"medgen/workload": "generation"})
def generation() -> None:
    """Be a run in the records."""
    nothing()


def fill(home: Path, runs: int) -> float:
    """Record runs of one batch each; return the seconds that counting all of them took."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        scenarios = [f"scenario-{number}" for number in range(SCENARIOS)]
        instance.add_dynamic_partitions("scenario", scenarios)
        for number in range(runs):
            key = f"{number // SCENARIOS:04d}|{scenarios[number % SCENARIOS]}"
            _record(instance, key)
        kept, view = kept_figures.Kept(), InstanceView(instance)
        started = time.perf_counter()
        while RunTally(kept).count_new(
            view, lambda: kept_figures.write(instance, kept_figures.RUNS, kept, time.time())
        ):
            pass
        return time.perf_counter() - started


def _record(instance: dg.DagsterInstance, key: str) -> None:
    """Record a run that wrote one batch."""
    run = instance.create_run_for_job(generation, tags={"dagster/partition": key})
    written = dg.AssetMaterialization(PATIENTS, partition=key, metadata={ROWS: 100, BYTES: 5_000})
    data = StepMaterializationData(written)
    for event in (
        dg.DagsterEvent(dg.DagsterEventType.PIPELINE_START.value, run.job_name),
        dg.DagsterEvent(
            dg.DagsterEventType.ASSET_MATERIALIZATION.value,
            run.job_name,
            event_specific_data=data,
        ),
        dg.DagsterEvent(dg.DagsterEventType.PIPELINE_SUCCESS.value, run.job_name),
    ):
        instance.report_dagster_event(event, run.run_id)


@contextlib.contextmanager
def served(home: Path) -> Iterator[int]:
    """Serve the deployment of a home; yield the port, and stop it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "medgen_pipeline.service", "--port", str(port)]
    environ = {**os.environ, "DAGSTER_HOME": str(home), "MEDGEN_DATA_URL": str(home / "data")}
    with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as process:  # noqa: S603  our own
        try:
            deadline = time.monotonic() + SECONDS_TO_START
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise TimeoutError("the server did not start")
                time.sleep(0.1)
            yield port
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        return _get(port, "/api/v1/health/live")[0] == http.HTTPStatus.OK
    return False


def _get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def scrape(port: int) -> tuple[float, str]:
    """Return the milliseconds that a scrape took, and what it said."""
    started = time.perf_counter()
    _, text = _get(port, "/metrics")
    return 1_000 * (time.perf_counter() - started), text


def durations(text: str) -> Mapping[str, float]:
    """Return the milliseconds that each collector took."""
    lines = [line for line in text.splitlines() if line.startswith(COLLECTOR_DURATION.name + "{")]
    return {line.split('"')[1]: 1_000 * float(line.rsplit(" ", 1)[1]) for line in lines}


def main() -> int:
    """Measure, print, and return 1 when the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m medgen_pipeline.runtime.metrics_bench")
    parser.add_argument("--runs", type=int, default=1_000, help="and as many partitions")
    parser.add_argument("--scrapes", type=int, default=5)
    wanted = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_instance(home, Settings())
        counting = fill(home, wanted.runs)
        console.print(f"the sensor's tally counts {wanted.runs:,} runs in {counting:.1f} s")
        with served(home) as port:
            first, _ = scrape(port)  # opens the instance
            cold = []
            for _ in range(wanted.scrapes):
                time.sleep(STALE_SECONDS)
                took, text = scrape(port)
                cold.append(took)
            warm = [scrape(port)[0] for _ in range(wanted.scrapes)]
    for name, took in durations(text).items():
        console.print(f"  {name}: {took:.0f} ms")
    samples = sum(not line.startswith("#") for line in text.splitlines())
    middle, worst = statistics.median(cold), max(cold)
    console.print(
        f"a scrape at {wanted.runs:,} runs and {wanted.runs:,} partitions, {samples:,} samples: "
        f"{middle:.0f} ms, at worst {worst:.0f} ms, target {TARGET_MS:.0f} ms; "
        f"within what is kept {statistics.median(warm):.0f} ms, the first of a process {first:.0f}"
    )
    return 1 if worst > TARGET_MS else 0


if __name__ == "__main__":
    sys.exit(main())
