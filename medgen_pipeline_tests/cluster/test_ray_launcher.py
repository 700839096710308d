"""The launcher alone: what it asks Ray for, and what Ray's answers mean for a run."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pytest
from dagster._core.launcher import LaunchRunContext, WorkerStatus
from ray.job_submission import JobDetails, JobStatus, JobType

from medgen_pipeline.runtime import ray_launcher
from medgen_pipeline.runtime.fingerprint import fingerprint
from medgen_pipeline.runtime.instance_yaml import render_instance_yaml
from medgen_pipeline.runtime.limits import Limits
from medgen_pipeline.runtime.processes import Worker
from medgen_pipeline.runtime.ray_launcher import GuardedRayRunLauncher, NoRayError, meaning
from medgen_pipeline.runtime.tags import Assignment, assignment_tags, in_process_tags

pytestmark = pytest.mark.cluster

ADDRESS: Final = "http://127.0.0.1:9"
STARTED: Final = dg.DagsterRunStatus.STARTED
STARTING: Final = dg.DagsterRunStatus.STARTING


@dg.op
def nothing() -> None:
    """Do nothing."""


@dg.job
def idle() -> None:
    """Be launched."""
    nothing()


class Ray:
    """Answers as the client of Ray's jobs does."""

    def __init__(self, answer: JobDetails | Exception | None = None) -> None:
        self.answer = answer
        self.submitted: dict[str, Any] = {}

    def submit_job(self, **what: Any) -> None:  # noqa: ANN401  as Ray's
        """Keep what was asked for."""
        self.submitted = what

    def get_job_info(self, _: str) -> JobDetails:
        """Return the answer, or raise it."""
        if not isinstance(self.answer, JobDetails):
            raise self.answer or RuntimeError("Request failed with status code 404: no such job")
        return self.answer


def job(status: JobStatus, message: str = "") -> JobDetails:
    return JobDetails(type=JobType.SUBMISSION, status=status, entrypoint="", message=message)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    env = {"MEDGEN_RAY_ADDRESS": ADDRESS, "JOB_MAX_MEMORY_MB": "700"}
    (tmp_path / "dagster.yaml").write_text(render_instance_yaml(env))
    with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
        yield opened


@pytest.fixture
def launcher(instance: dg.DagsterInstance) -> GuardedRayRunLauncher:
    found = instance.run_launcher
    assert isinstance(found, GuardedRayRunLauncher)
    return found


def add(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, **tags: str) -> dg.DagsterRun:
    """Return a run of a job that can be found in this file."""
    origin = dg.reconstructable(idle).get_python_origin()
    return instance.create_run_for_job(idle, status=status, tags=tags, job_code_origin=origin)


def answers(launcher: GuardedRayRunLauncher, answer: JobDetails | Exception | None = None) -> Ray:
    """Return the Ray that a launcher is made to speak to."""
    found = Ray(answer)
    launcher.__dict__["client"] = found
    return found


def test_a_run_asks_for_a_core_and_for_the_memory_of_its_limit(
    instance: dg.DagsterInstance,
    launcher: GuardedRayRunLauncher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The deployment's or its own; and it is checked on the node against these very versions."""
    monkeypatch.setenv("MEDGEN_DATA_URL", "s3://bucket/data")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "words")
    for tags, megabytes in (({}, 700), ({"medgen/max_memory_mb": "300.5"}, 301)):
        ray = answers(launcher)
        launcher.launch_run(LaunchRunContext(add(instance, STARTING, **tags), workspace=None))
        asked = ray.submitted
        assert asked["entrypoint_memory"] == megabytes * 2**20
        assert asked["entrypoint_num_cpus"] == 1
        python, module, versions, run = shlex.split(asked["entrypoint"].replace("exec ", ""))[-4:]
        assert (python, module) == ("-m", "medgen_pipeline.runtime.ray_worker")
        assert json.loads(versions) == dict(fingerprint())
        assert asked["metadata"]["dagster/run-id"] in run
        environment = asked["runtime_env"]["env_vars"]
        assert environment["MEDGEN_DATA_URL"] == "s3://bucket/data"
        assert "AWS_SECRET_ACCESS_KEY" not in environment


def test_a_ray_that_does_not_answer_leaves_the_run_in_the_queue(
    instance: dg.DagsterInstance, launcher: GuardedRayRunLauncher
) -> None:
    """Dagster queues it again for this kind of error, and says why."""
    run = add(instance, STARTING)
    with pytest.raises(NoRayError, match=rf"no Ray at {ADDRESS} \(MEDGEN_RAY_ADDRESS\)"):
        launcher.launch_run(LaunchRunContext(run, workspace=None))
    assert launcher.terminate(run.run_id) is False


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (job(JobStatus.PENDING), WorkerStatus.RUNNING, None),
        (job(JobStatus.RUNNING), WorkerStatus.RUNNING, None),
        (job(JobStatus.FAILED, "Job supervisor actor died: x"), WorkerStatus.FAILED, "died: x"),
        (job(JobStatus.SUCCEEDED), WorkerStatus.FAILED, "has succeeded and the run has not ended"),
        (job(JobStatus.STOPPED), WorkerStatus.FAILED, "has stopped and the run has not ended"),
    ],
)
def test_a_run_is_as_well_as_its_job(
    answer: JobDetails,
    status: WorkerStatus,
    said: str | None,
    instance: dg.DagsterInstance,
    launcher: GuardedRayRunLauncher,
) -> None:
    answers(launcher, answer)
    found = launcher.check_run_worker_health(add(instance, STARTED))
    assert found.status is status
    assert said is None or said in (found.msg or "")


def test_a_job_that_ray_does_not_know_is_being_submitted_or_lost(
    instance: dg.DagsterInstance, launcher: GuardedRayRunLauncher
) -> None:
    """A run that has begun had one."""
    answers(launcher)
    run = add(instance, STARTING)
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    limits = Limits(max_memory_mb=1, max_cpu_seconds=1, max_runtime_seconds=1)
    begun = run.with_tags(assignment_tags(run, Assignment(Worker("elsewhere", 1, 1.0), limits)))
    found = launcher.check_run_worker_health(begun)
    assert found.status is WorkerStatus.FAILED
    assert "started anew and lost the run" in (found.msg or "")


@pytest.mark.parametrize("answer", [OSError("refused"), RuntimeError("status code 500: busy")])
def test_a_head_may_be_away_for_two_minutes(
    answer: Exception,
    instance: dg.DagsterInstance,
    launcher: GuardedRayRunLauncher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its nodes work on meanwhile, and give up in that time as well."""
    answers(launcher, answer)
    run = add(instance, STARTED)
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    monkeypatch.setattr(ray_launcher, "SECONDS_WITHOUT_HEAD", -1.0)
    assert launcher.check_run_worker_health(run).status is WorkerStatus.FAILED


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("x\nmedgen: node b: this node and the deployment differ: y\n", "node b: this node and"),
        ("/usr/bin/python: No module named medgen_pipeline", "a node has no medgen_pipeline, or"),
        ("ModuleNotFoundError: No module named 'medgen_pipeline.runtime.ray_worker'", "too old"),
        ("/bin/sh: 1: exec: python: not found", "a node has no such Python; install the same"),
        ("one\ntwo", "one; two"),
    ],
)
def test_a_job_that_failed_is_put_in_a_sentence(message: str, sentence: str) -> None:
    assert sentence in meaning(message)


def test_a_run_of_a_command_is_not_asked_of_ray(
    instance: dg.DagsterInstance, launcher: GuardedRayRunLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on without a head, and is over when its process is, which no job tells."""
    monkeypatch.setattr(ray_launcher, "SECONDS_WITHOUT_HEAD", -1.0)
    answers(launcher, OSError("refused"))
    lives, dead = Worker.here(), Worker(Worker.here().host, Worker.here().pid, created=1.0)
    for command, status in ((lives, WorkerStatus.RUNNING), (dead, WorkerStatus.FAILED)):
        run = add(instance, STARTED)
        instance.add_run_tags(run.run_id, in_process_tags(run.run_id, command))
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert launcher.check_run_worker_health(found).status is status
