"""The run launcher of a deployment on Ray: each run is a Ray job, on whichever node has room.

`dagster_ray.RayRunLauncher` submits, stops and asks. Here is what it leaves open: a run asks for
the memory it may take, a node is checked before it executes one, and what goes wrong is told in a
sentence.

A node that dies takes its runs with it. Ray finds that within 65 s (`deploy/ray/README.md`), the
daemon asks every 5 s, and Dagster repeats the run wherever there is room.
"""

import json
import math
import re
import shlex
import time
from typing import Any, Final

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs
from dagster_ray.configs import USER_DEFINED_RAY_KEY
from dagster_ray.core.run_launcher import RayRunLauncher, get_job_submission_id_from_run_id
from ray.job_submission import JobDetails, JobStatus

from medgen_pipeline.runtime.coordinator import BoundedRunCoordinator
from medgen_pipeline.runtime.fingerprint import fingerprint
from medgen_pipeline.runtime.launcher import ALIVE, health_of_command
from medgen_pipeline.runtime.processes import RAY_WORKER
from medgen_pipeline.runtime.ray_worker import told
from medgen_pipeline.runtime.tags import assignment_of

MIB: Final = 2**20
# Without the head nothing can be asked; after this long its nodes have given up as well.
SECONDS_WITHOUT_HEAD: Final = 120.0
LAST_LINES: Final = 5  # of a job's log, when nothing in it is meant for the user
NO_SUCH_JOB: Final = "status code 404"

# What a shell or Python says where the package is not, and what it means.
MISSING: Final = (
    (r"No module named '?medgen_pipeline", "has no medgen_pipeline, or one too old for Ray"),
    (r"exec: .*not found", "has no such Python"),
)
REMEDY: Final = "install the same version on every node, or name its Python in MEDGEN_PYTHON there"


class NoRayError(DagsterUserCodeUnreachableError):
    """Ray does not answer. Dagster keeps the run queued, as when a code server is away."""


class GuardedRayRunLauncher(RayRunLauncher):
    """Launches each run as a Ray job that the node checks itself before it begins."""

    def __init__(self, **config: Any) -> None:  # noqa: ANN401  as dagster-ray's own
        super().__init__(**config)
        self._answered = time.monotonic()

    @property
    def supports_resume_run(self) -> bool:
        """A run that lost its process is repeated, not gone on with."""
        return False

    def launch_run(self, context: LaunchRunContext) -> None:
        """Submit a run, which asks for the memory of its limit."""
        run = context.dagster_run
        coordinator = self._instance.run_coordinator
        if isinstance(coordinator, BoundedRunCoordinator):
            limits = coordinator.limits.of_run(run.run_config, run.tags)
            run = run.with_tags(asking_for(run, math.ceil(limits.max_memory_mb) * MIB))
        try:
            self._launch_ray_job(
                get_job_submission_id_from_run_id(run.run_id), self._command(run), run
            )
        except OSError as error:
            raise NoRayError(f"no Ray at {self.address} (MEDGEN_RAY_ADDRESS): {error}") from error

    def _command(self, run: dg.DagsterRun) -> str:
        """Return what the shell of a node executes; it becomes the run's process."""
        origin = run.job_code_origin
        if origin is None:
            raise ValueError(f"run {run.run_id} does not say where its code is")
        *_, arguments = ExecuteRunArgs(
            job_origin=origin,
            run_id=run.run_id,
            instance_ref=self._instance.get_ref(),
            set_exit_code_on_failure=True,
        ).get_command_args()
        words = shlex.join([RAY_WORKER, json.dumps(dict(fingerprint())), arguments])
        return f'exec "${{MEDGEN_PYTHON:-python}}" -m {words}'

    def terminate(self, run_id: str) -> bool:
        """Ask the process of a run to end; what does not answer is canceled by the daemon."""
        try:
            stopped: bool = super().terminate(run_id)
        except OSError:
            return False
        return stopped

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return whether the job of a run goes on."""
        of_command = health_of_command(run)  # of which Ray knows nothing
        if of_command is not None:
            return of_command
        try:
            job = self.client.get_job_info(get_job_submission_id_from_run_id(run.run_id))
        except OSError as error:
            return self._without_head(f"no Ray at {self.address}: {error}")
        except RuntimeError as error:
            if NO_SUCH_JOB not in str(error):
                return self._without_head(str(error))
            self._answered = time.monotonic()
            return unknown(run)
        self._answered = time.monotonic()
        return health(run, job)

    def _without_head(self, why: str) -> CheckRunHealthResult:
        if time.monotonic() - self._answered < SECONDS_WITHOUT_HEAD:
            return ALIVE
        return CheckRunHealthResult(WorkerStatus.FAILED, why)


def asking_for(run: dg.DagsterRun, memory: int) -> dict[str, str]:
    """Return the tag that lets a run ask Ray for memory, in bytes, beside what it asks itself."""
    asked = json.loads(run.tags.get(USER_DEFINED_RAY_KEY, "{}"))
    return {USER_DEFINED_RAY_KEY: json.dumps({"memory": memory, **asked})}


def unknown(run: dg.DagsterRun) -> CheckRunHealthResult:
    """Return the health of a run that Ray has no job of: it is being submitted, or Ray is new."""
    if assignment_of(run) is None:
        return ALIVE
    return CheckRunHealthResult(WorkerStatus.FAILED, "Ray has been started anew and lost the run")


def health(run: dg.DagsterRun, job: JobDetails) -> CheckRunHealthResult:
    """Return the health of a run from what Ray says of its job."""
    if not job.status.is_terminal():
        return ALIVE
    if job.status is JobStatus.FAILED:
        return CheckRunHealthResult(WorkerStatus.FAILED, meaning(job.message or ""))
    if run.is_finished:
        return CheckRunHealthResult(WorkerStatus.SUCCESS)
    return CheckRunHealthResult(
        WorkerStatus.FAILED, f"its Ray job has {job.status.lower()} and the run has not ended"
    )


def meaning(message: str) -> str:
    """Return in a sentence why a job failed, from Ray's message with the end of its log."""
    for line in told(message):
        return line
    for pattern, words in MISSING:
        if re.search(pattern, message):
            return f"a node {words}; {REMEDY}"
    return "; ".join(message.strip().splitlines()[-LAST_LINES:])
