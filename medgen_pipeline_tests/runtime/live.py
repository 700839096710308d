"""A real deployment for a test: `medgen up` with all its processes, spoken to as its UI does."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import dagster as dg
import psutil

from medgen_pipeline.runtime.services import DEFINITIONS
from medgen_pipeline_tests.defs.live import free_port, wait_for

HOSTILE: Final = "medgen_pipeline_tests.runtime.hostile"
TOP: Final = Path(__file__).parents[2]
MEDGEN: Final = Path(sys.executable).with_name("medgen")
STARTS_WITHIN_SECONDS: Final = 180  # on two cores that others use too; it takes 15 on its own
RUNS_WITHIN_SECONDS: Final = 120
STOPS_WITHIN_SECONDS: Final = 90
GRACE_SECONDS: Final = 3
LAUNCH: Final = """
    mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message } ... on RunConfigValidationInvalid { errors { message } } } }
    """
TERMINATE: Final = """
    mutation($id: String!) { terminateRun(runId: $id) { __typename
    ... on TerminateRunFailure { message } ... on PythonError { message } } }
    """

REPOSITORY: Final = {
    "repositoryName": "__repository__",
    "repositoryLocationName": "medgen_pipeline",
}
GENERATION_JOB: Final = {  # as the page of a job names what it backfills
    "partitionSetName": "generation_partition_set",
    "repositorySelector": REPOSITORY,
}
ADD_PARTITION: Final = """
    mutation($where: RepositorySelector!, $key: String!) { addDynamicPartition(
    repositorySelector: $where, partitionsDefName: "scenario", partitionKey: $key) {
    __typename ... on PythonError { message } } }
    """
BACKFILL: Final = """
    mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }
    """

T = TypeVar("T")


class Up:
    """A running `medgen up`."""

    def __init__(
        self, started: "subprocess.Popen[bytes]", home: Path, port: int, output: Path
    ) -> None:
        self.started = started
        self.process = psutil.Process(started.pid)
        self.home = home
        self.port = port
        self.output = output
        self.gate = home / "gate"

    def ask(self, query: str, **variables: object) -> Any:  # noqa: ANN401  JSON
        """Return the answer of the web server to a GraphQL query."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            found = json.load(answer)
        if "errors" in found:
            raise RuntimeError(found["errors"])
        return found["data"]

    def launch(self, job: str, config: object = None, **tags: str) -> str:
        """Launch a job as the UI does; return the id of its run. `max_cpu_seconds` is a tag."""
        selector = {
            "repositoryLocationName": "medgen_pipeline",
            "repositoryName": "__repository__",
            "jobName": job,
        }
        pairs = [{"key": key, "value": value} for key, value in full(tags).items()]
        params = {
            "selector": selector,
            "mode": "default",
            "runConfigData": config or {},
            "executionMetadata": {"tags": pairs},
        }
        answer = self.ask(LAUNCH, params=params)["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise RuntimeError(answer)
        run_id: str = answer["run"]["runId"]
        return run_id

    def add_scenario(self, scenario: str) -> None:
        """Add the partition of a scenario, unless a sensor has added it already."""
        self.ask(ADD_PARTITION, where=REPOSITORY, key=scenario)

    def backfill(self, partitions: list[str], **what: object) -> str:
        """Launch a backfill of a job or of assets as the UI does; return its id."""
        params = {"partitionNames": partitions, **what}
        answer = self.ask(BACKFILL, params=params)["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return str(answer["backfillId"])

    def terminate(self, run_id: str) -> None:
        """Cancel a run as the UI does."""
        answer = self.ask(TERMINATE, id=run_id)["terminateRun"]
        assert answer["__typename"] == "TerminateRunSuccess", answer

    @contextlib.contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Open the deployment's instance."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            yield instance

    def service(self, word: str) -> psutil.Process:
        """Return the process of a service, by a word of its command."""
        for each in self.process.children():
            with contextlib.suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
                line = shlex.join(each.cmdline())
                if word in line and "multiprocessing" not in line:
                    return each
        raise LookupError(f"no process of {word}\n{self.logs()}")

    def until(self, condition: Callable[[], T], seconds: float = RUNS_WITHIN_SECONDS) -> T:
        """Return the first true answer."""
        found: T = wait_for(condition, seconds, self.logs)
        return found

    def family(self) -> list[psutil.Process]:
        """Return all of its processes."""
        return [self.process, *self.process.children(recursive=True)]

    def stop(self, signal_number: int = signal.SIGTERM) -> tuple[int, list[psutil.Process]]:
        """Stop it as an operator does; return its exit code, and who was left and then killed."""
        if self.started.poll() is not None:
            return self.started.returncode, []
        family = self.family()
        self.started.send_signal(signal_number)
        self.started.wait(STOPS_WITHIN_SECONDS)
        left = [each for each in family if each.is_running() and not _is_zombie(each)]
        for each in left:
            each.kill()
        return self.started.returncode, left

    def logs(self) -> str:
        """Return the end of what the processes wrote."""
        paths = [self.output, *self.home.glob("process-logs/*.log")]
        return "\n".join(f"--- {path.name}\n{path.read_text()[-4000:]}" for path in paths)


def full(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags with the prefix that they have: `priority` and `partition` are Dagster's."""
    of_dagster = ("priority", "partition")
    return {
        ("dagster/" if key.startswith(of_dagster) else "medgen/") + key: tags[key] for key in tags
    }


@contextlib.contextmanager
def up(
    home: Path, *, definitions: str = DEFINITIONS, nohup: bool = False, **env: str
) -> Iterator[Up]:
    """Start `medgen up` in a home of its own and yield it once it is ready; end it and all of it.

    With `nohup` it is started as a script starts what is to outlive it, with SIGINT and SIGHUP
    ignored.
    """
    home.mkdir(parents=True, exist_ok=True)
    port, output = free_port(), home / "up.out"
    environ = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "MEDGEN_DATA_URL": str(home / "data"),
        "MEDGEN_TEST_GATE": str(home / "gate"),
        "METRICS_PORT": str(free_port()),  # 9090 is one for the whole machine
        **env,
    }
    command = [str(MEDGEN), "up", "--port", str(port)]
    command += ["--definitions", definitions, "--grace", str(GRACE_SECONDS)]
    with output.open("wb") as log:
        started = subprocess.Popen(
            ["nohup", *command] if nohup else command,
            cwd=TOP,
            env=environ,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=_as_in_background if nohup else None,  # noqa: PLW1509  no threads yet
        )
    running = Up(started, home, port, output)
    try:
        running.until(lambda: "ready" in output.read_text(), STARTS_WITHIN_SECONDS)
        yield running
    finally:
        running.stop()


def _is_zombie(process: psutil.Process) -> bool:
    """Whether a process has ended, and whoever inherited it has not noticed."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def _as_in_background() -> None:
    """Ignore SIGINT, as what a shell starts with `&` does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
