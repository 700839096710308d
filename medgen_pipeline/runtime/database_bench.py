"""How many sessions a deployment opens on Postgres: with Dagster's own storage, and with ours.

`make bench-database` runs a whole deployment with each: first idle, then with runs of one batch,
two at a time. What is told is what the server counted (pg_stat_database), and beside it what our
pools did.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import yaml
from rich.console import Console
from rich.table import Table

from medgen_pipeline.errors import SettingError
from medgen_pipeline.runtime.database import VARIABLE, Address
from medgen_pipeline.runtime.instance_yaml import instance_config
from medgen_pipeline.runtime.parts import COMMAND
from medgen_pipeline.runtime.pool_files import pool_figures_of_deployment
from medgen_pipeline.settings import Settings

OURS: Final = "pooled"
STOCK: Final = "Dagster's own"
SCENARIO: Final = "demo"
PATIENTS: Final = 60
RUNS_AT_ONCE: Final = 2
MOST_UNDER_LOAD: Final = 6.0  # sessions per second that ours may open
SETTLE_SECONDS: Final = 20.0  # after the start: sensors have ticked once, housekeeping is done
START_SECONDS: Final = 180.0
RUN_SECONDS: Final = 60.0  # each, at most
FIGURES_SECONDS: Final = 12.0  # until all processes have left theirs
WHERE: Final = {"repositoryLocationName": "medgen_pipeline", "repositoryName": "__repository__"}
ADD: Final = """
    mutation($where: RepositorySelector!, $key: String!) { addDynamicPartition(
    repositorySelector: $where, partitionsDefName: "scenario", partitionKey: $key) {
    __typename } }
    """
LAUNCH: Final = """
    mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
    ... on PythonError { message } } }
    """
STATES: Final = """
    select count(*) filter (where status in ('SUCCESS', 'FAILURE', 'CANCELED')),
    count(*) filter (where status in ('FAILURE', 'CANCELED'))
    from runs where pipeline_name = 'generation'
    """
SERVER: Final = """
    select sessions, numbackends from pg_stat_database where datname = current_database()
    """


@dataclass(frozen=True, slots=True)
class Figures:
    """What one storage did."""

    name: str
    idle_rate: float  # sessions per second
    load_rate: float
    load_seconds: float
    most: int  # sessions at once, ours that looked among them
    by_server: int  # sessions under load
    by_pools: int | None


class Watch:
    """One session that looks at the others, opened before anything is counted."""

    def __init__(self, address: Address) -> None:
        self.opened = address.connect(COMMAND)
        self.opened.autocommit = True
        self.most = 0

    def row(self, query: str) -> tuple[int, int]:
        """Return the two figures of a query."""
        with self.opened.cursor() as cursor:
            cursor.execute(query)
            first, second = cursor.fetchone()
        return int(first), int(second)

    def sessions(self) -> int:
        """Return how many sessions there have been."""
        sessions, now = self.row(SERVER)
        self.most = max(self.most, now)
        return sessions

    def close(self) -> None:
        """End the session."""
        self.opened.close()


@contextmanager
def database(url: str, name: str) -> Iterator[str]:
    """Make a database beside that of a URL, yield its URL, and drop it."""
    with closing(Address(url).connect(COMMAND)) as opened, opened.cursor() as cursor:
        opened.autocommit = True
        cursor.execute(f"create database {name}")
        try:
            yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        finally:
            cursor.execute(f"drop database {name} with (force)")


@contextmanager
def up(home: Path, url: str, name: str) -> Iterator[int]:
    """Run a deployment in a home; yield the port of its web server."""
    port = _free_port()
    settings = Settings(database_url=url, max_concurrent_jobs=RUNS_AT_ONCE)
    if name == STOCK:  # a file that is not ours stands
        stock = {"storage": {"postgres": {"postgres_url": {"env": VARIABLE}}}}
        text = yaml.safe_dump({**instance_config(settings), **stock})
        (home / "dagster.yaml").write_text(text, encoding="utf-8")
    environ = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "MEDGEN_DATA_URL": str(home / "data"),
        VARIABLE: url,
        "MAX_CONCURRENT_JOBS": str(RUNS_AT_ONCE),
        "METRICS_PORT": str(_free_port()),
    }
    log = home / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  our own command
            [str(Path(sys.executable).with_name("medgen")), "up", "--port", str(port)],
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while "ready" not in log.read_text(encoding="utf-8"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SettingError(log.read_text(encoding="utf-8"))
            time.sleep(0.5)
        yield port
        if process.poll() is not None:
            raise SettingError(log.read_text(encoding="utf-8"))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def measured(url: str, name: str, runs: int, idle_seconds: float) -> Figures:
    """Return what a deployment with one of the storages does on an empty database."""
    with (
        tempfile.TemporaryDirectory(prefix="medgen-bench-") as folder,
        up(Path(folder), url, name) as port,
        closing(Watch(Address(url))) as watch,
    ):
        time.sleep(SETTLE_SECONDS)
        before, started = watch.sessions(), time.monotonic()
        time.sleep(idle_seconds)
        idle_rate = (watch.sessions() - before) / (time.monotonic() - started)
        made = _pools(Path(folder)) if name == OURS else 0
        before, started = watch.sessions(), time.monotonic()
        _ask(port, ADD, where=WHERE, key=SCENARIO)
        for batch in range(runs):
            _launch(port, batch)
        _wait(watch, runs, port)
        seconds = time.monotonic() - started
        by_server = watch.sessions() - before
        by_pools = None
        if name == OURS:
            by_pools, by_server = _pools(Path(folder)) - made, watch.sessions() - before
        return Figures(
            name, idle_rate, by_server / seconds, seconds, watch.most, by_server, by_pools
        )


def _wait(watch: Watch, runs: int, port: int) -> None:
    deadline = time.monotonic() + runs * RUN_SECONDS
    while True:
        ended, failed = watch.row(STATES)
        if failed:
            raise SettingError(f"{failed} runs did not succeed")
        if ended == runs:
            return
        if time.monotonic() > deadline:
            raise SettingError(f"{ended} of {runs} runs have ended in {runs * RUN_SECONDS:g} s")
        if ended % 5 == 0:
            _ask(port, "{ version }")  # raises when the deployment has ended
        watch.sessions()
        time.sleep(0.5)


def _pools(home: Path) -> int:
    """Return how many connections the pools have opened, once every process has told."""
    time.sleep(FIGURES_SECONDS)
    return sum(each.created for each in pool_figures_of_deployment(home))


def _launch(port: int, batch: int) -> None:
    tags = {
        "dagster/partition": f"{batch:04d}|{SCENARIO}",
        "dagster/partition/batch": f"{batch:04d}",
        "dagster/partition/scenario": SCENARIO,
    }
    params = {
        "selector": {**WHERE, "jobName": "generation"},
        "mode": "default",
        "runConfigData": {"ops": {"casualty_tables": {"config": {"patients": PATIENTS}}}},
        "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
    }
    answer = _ask(port, LAUNCH, params=params)
    if answer["launchRun"]["__typename"] != "LaunchRunSuccess":
        raise SettingError(str(answer))


def _ask(port: int, query: str, **variables: object) -> Any:  # noqa: ANN401  JSON
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  our own server
        return json.load(answer)["data"]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def main() -> int:
    """Measure, print, and return 1 when a target is missed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # through every `finally`
    parser = argparse.ArgumentParser(prog="python -m medgen_pipeline.runtime.database_bench")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", choices=("stock", "pooled"), help="one of the storages")
    parser.add_argument("--idle-seconds", type=float, default=30)
    wanted = parser.parse_args()
    url = Settings.from_env(os.environ).database_url
    if url is None:
        sys.stderr.write(f"{VARIABLE} is not set; must lead to a server for two new databases\n")
        return 2
    figures = []
    for short, name in (("stock", STOCK), ("pooled", OURS)):
        if wanted.only in {None, short}:
            with database(url, f"medgen_bench_{short}") as of_its_own:
                figures.append(measured(of_its_own, name, wanted.runs, wanted.idle_seconds))
    _show(figures, wanted.runs)
    return 1 if any(_is_missed(each) for each in figures if each.name == OURS) else 0


def _is_missed(ours: Figures) -> bool:
    return (
        ours.load_rate >= MOST_UNDER_LOAD or ours.idle_rate > 0 or ours.by_pools != ours.by_server
    )


def _show(figures: list[Figures], runs: int) -> None:
    console = Console()
    table = Table(box=None, title=f"{runs} runs of one batch, {RUNS_AT_ONCE} at a time")
    table.add_column("storage")
    for heading in ("idle, new/s", "load, new/s", "load, s", "most at once", "new", "by our pools"):
        table.add_column(heading, justify="right")
    for each in figures:
        pools = "" if each.by_pools is None else str(each.by_pools)
        cells = (f"{each.idle_rate:.2f}", f"{each.load_rate:.2f}", f"{each.load_seconds:.0f}")
        table.add_row(each.name, *cells, str(each.most), str(each.by_server), pools)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
