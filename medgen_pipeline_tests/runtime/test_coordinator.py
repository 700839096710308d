"""The queue: what it lets go, judged by Dagster's own loop on an instance like a deployment's."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import dagster as dg
import pytest
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.tags import PRIORITY_TAG
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)

from medgen_pipeline.runtime import coordinator
from medgen_pipeline.runtime.instance_yaml import render_instance_yaml
from medgen_pipeline.runtime.launcher import GuardedRunLauncher
from medgen_pipeline.runtime.limits import Limits
from medgen_pipeline.runtime.processes import Worker
from medgen_pipeline.runtime.tags import Assignment, assignment_tags

LIMITS: Final = Limits(max_memory_mb=512, max_cpu_seconds=300, max_runtime_seconds=600)
QUEUED: Final = dg.DagsterRunStatus.QUEUED
STARTED: Final = dg.DagsterRunStatus.STARTED
ORIGIN: Final = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__"), "idle"
)

Free = Callable[[float], None]


@dg.op
def nothing() -> None:
    """Do nothing."""


@dg.job
def idle() -> None:
    """Be queued."""
    nothing()


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    home = tmp_path_factory.mktemp("home")
    text = render_instance_yaml({"MAX_CONCURRENT_JOBS": "4"})
    (home / "dagster.yaml").write_text(text, encoding="utf-8")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@pytest.fixture
def instance(opened: dg.DagsterInstance) -> dg.DagsterInstance:
    """Return an instance without runs."""
    opened.wipe()
    return opened


@pytest.fixture(autouse=True)
def free(monkeypatch: pytest.MonkeyPatch) -> Free:
    """Return what sets the free memory of the host in MB; at first there is plenty."""

    def has(megabytes: float) -> None:
        monkeypatch.setattr(coordinator, "available_mb", lambda: megabytes)

    has(1e6)
    return has


def add(
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus = QUEUED,
    tags: Mapping[str, str] | None = None,
) -> dg.DagsterRun:
    return instance.create_run_for_job(idle, status=status, tags=tags, remote_job_origin=ORIGIN)


def let_go(instance: dg.DagsterInstance) -> list[str]:
    """Return the runs that Dagster's loop would launch now, in its order."""
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
    config = instance.get_concurrency_config()
    runs = daemon._get_runs_to_dequeue(instance, config, fixed_iteration_time=None)  # noqa: SLF001
    return [run.run_id for run in runs]


def test_as_many_runs_go_as_there_are_slots(instance: dg.DagsterInstance) -> None:
    runs = [add(instance).run_id for _ in range(6)]
    assert let_go(instance) == runs[:4]


def test_the_queue_waits_for_memory(
    instance: dg.DagsterInstance, free: Free, caplog: pytest.LogCaptureFixture
) -> None:
    """With room for two runs two go; with room for none, none; and the log says why."""
    runs = [add(instance).run_id for _ in range(4)]
    free(2.5 * 512)
    assert let_go(instance) == runs[:2]
    free(500)
    assert let_go(instance) == []
    assert "the queue waits for memory: 1280 MB are free" in caplog.text
    assert "JOB_MAX_MEMORY_MB" in caplog.text
    free(4 * 512)
    assert let_go(instance) == runs


def test_memory_that_running_ones_may_still_take_is_not_given_away(
    instance: dg.DagsterInstance, free: Free
) -> None:
    """A run that has just started counts with its whole limit, one at work with the rest of it."""
    add(instance, STARTED)
    waiting = add(instance)
    free(1000)
    assert let_go(instance) == []
    at_work = add(instance, STARTED)
    here = Assignment(Worker.here(), Limits(**{**LIMITS.as_dict(), "max_memory_mb": 1.0}))
    instance.add_run_tags(at_work.run_id, assignment_tags(at_work, here))
    free(1025)
    assert let_go(instance) == [waiting.run_id]


@pytest.mark.parametrize(
    ("tag", "limit"),
    [("medgen/tenant", 3), ("dagster/backfill", 3), ("medgen/workload", 1)],
)
def test_one_kind_of_run_cannot_take_every_slot(
    tag: str, limit: int, instance: dg.DagsterInstance
) -> None:
    """A tenant, all backfills together and housekeeping leave room for a run that came last."""
    runs = [add(instance, tags={tag: "housekeeping"}).run_id for _ in range(6)]
    last = add(instance).run_id
    assert let_go(instance) == [*runs[:limit], last]


def test_the_urgent_go_first_and_equals_in_their_order(instance: dg.DagsterInstance) -> None:
    priorities = ["0", "0", "10", "-5", "5"]
    runs = [add(instance, tags={PRIORITY_TAG: each}).run_id for each in priorities]
    assert let_go(instance) == [runs[i] for i in (2, 4, 0, 1)]


class _Elsewhere(GuardedRunLauncher):
    """Runs go to machines of which one cannot execute them."""

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        if "odd" in run.tags:
            return CheckRunHealthResult(WorkerStatus.FAILED, "node x: has no package")
        return CheckRunHealthResult(WorkerStatus.RUNNING)


def test_where_runs_go_elsewhere_this_host_has_no_say_and_lost_launches_fail(
    tmp_path: Path, free: Free, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All slots are given away without memory here; a launch that came to nothing says why."""
    env = {"MEDGEN_RAY_ADDRESS": "http://127.0.0.1:9", "MAX_CONCURRENT_JOBS": "4"}
    (tmp_path / "dagster.yaml").write_text(render_instance_yaml(env), encoding="utf-8")
    free(0)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        launcher = _Elsewhere()
        launcher.register_instance(instance)
        monkeypatch.setattr(dg.DagsterInstance, "run_launcher", launcher)
        starting = dg.DagsterRunStatus.STARTING
        odd, fine = add(instance, starting, {"odd": "yes"}), add(instance, starting)
        waiting = [add(instance).run_id for _ in range(4)]
        assert let_go(instance) == waiting[:3]
        found = {run.run_id: run.status for run in instance.get_runs()}
        assert found[odd.run_id] is dg.DagsterRunStatus.FAILURE
        assert found[fine.run_id] is starting
        said = [entry.message for entry in instance.all_logs(odd.run_id)]
        assert any("node x: has no package" in message for message in said)
