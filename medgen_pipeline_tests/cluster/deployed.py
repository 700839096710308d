"""A deployment on several machines: Postgres, an S3 server, Ray nodes, and `medgen up` before them.

All are real, on loopback, in a folder of their own, and end with the context.
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dagster as dg
import httpx
import pytest
from ray.job_submission import JobDetails, JobSubmissionClient

from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline_tests import postgres_server
from medgen_pipeline_tests.cluster.ray_nodes import Cluster, Node, cluster
from medgen_pipeline_tests.dataset.s3_server import BUCKET, S3Server
from medgen_pipeline_tests.dataset.s3_server import running as s3_running
from medgen_pipeline_tests.runtime.live import MEDGEN, Up, up

# For one run at a time, as for one core. Uploads take up to 60 MB beside what a run has here.
NODE_MEMORY_MB: Final = 900
RUN_MEMORY_MB: Final = 768
WORDS: Final = {"COLUMNS": "200", "NO_COLOR": "1"}
COMMAND_SECONDS: Final = 540


@dataclass(frozen=True)
class Deployed:
    """What a test works with."""

    running: Up
    ray: Cluster
    s3: S3Server
    environ: Mapping[str, str]
    nodes: list[Node]
    node_memory_mb: int

    @property
    def url(self) -> str:
        """The dataset."""
        return self.environ["MEDGEN_DATA_URL"]

    @property
    def dataset(self) -> Dataset:
        """What is committed."""
        return Dataset(self.url)

    @property
    def jobs(self) -> JobSubmissionClient:
        """Ray's own view of the runs."""
        return JobSubmissionClient(self.ray.address)

    def job(self, run_id: str) -> JobDetails:
        """Return Ray's word on a run."""
        return self.jobs.get_job_info(f"dagster-run-{run_id}")

    def medgen(
        self, *arguments: str, seconds: float = COMMAND_SECONDS, **env: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command as an operator of this deployment does."""
        return subprocess.run(
            [str(MEDGEN), *arguments],
            env={**os.environ, **WORDS, **self.environ, **env},
            cwd=self.running.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )

    def backfill(self, *arguments: str, seconds: float = COMMAND_SECONDS) -> dict[str, Any]:
        """Queue batches; return what was queued, once they have ended with `--wait`."""
        where = ["--dagster-url", f"http://127.0.0.1:{self.running.port}", "--json"]
        done = self.medgen("backfill", *arguments, *where, seconds=seconds)
        assert done.returncode == 0, done.stdout + done.stderr + self.running.logs()
        queued: dict[str, Any] = json.loads(done.stdout)
        return queued

    @contextlib.contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Open the deployment's instance, whose database is named by the environment."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MEDGEN_DATABASE_URL", self.environ["MEDGEN_DATABASE_URL"])
            with self.running.instance() as opened:
                yield opened

    def add_node(self) -> Node:
        """Start a node of one core."""
        self.nodes.append(self.ray.start_node(cpus=1, memory_mb=self.node_memory_mb))
        return self.nodes[-1]

    def alive(self) -> int:
        """Return how many nodes Ray knows and takes for alive."""
        answer = httpx.get(f"{self.ray.address}/nodes?view=summary").json()
        found = answer["data"]["summary"]
        return sum(node["raylet"].get("state") == "ALIVE" for node in found)


@contextlib.contextmanager
def deployed(
    folder: Path, *, node_memory_mb: int = NODE_MEMORY_MB, **settings: str
) -> Iterator[Deployed]:
    """Start everything, with a head of one core that executes runs as well; end everything."""
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(postgres_server.running())
        (folder / "s3").mkdir()
        s3 = stack.enter_context(s3_running(folder / "s3"))
        environ = {
            **s3.environment,
            "MEDGEN_DATABASE_URL": postgres.new_database(),
            "MEDGEN_DATA_URL": f"s3://{BUCKET}/data",
            "JOB_MAX_MEMORY_MB": str(RUN_MEMORY_MB),
            **settings,
        }
        ray = stack.enter_context(cluster(folder / "ray", environ))
        head = ray.start_head(cpus=1, memory_mb=node_memory_mb)
        environ["MEDGEN_RAY_ADDRESS"] = ray.address
        running = stack.enter_context(up(folder / "home", **environ))  # type: ignore[arg-type]
        yield Deployed(running, ray, s3, environ, [head], node_memory_mb)
