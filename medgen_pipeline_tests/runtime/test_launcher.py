"""The second line: the launcher finds dead processes, and kills those no guard stops."""

import dataclasses
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import dagster as dg
import psutil
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from medgen_pipeline.runtime import launcher as module
from medgen_pipeline.runtime.guard import with_margin
from medgen_pipeline.runtime.instance_yaml import render_instance_yaml
from medgen_pipeline.runtime.launcher import GuardedRunLauncher
from medgen_pipeline.runtime.limits import Limits
from medgen_pipeline.runtime.processes import Worker
from medgen_pipeline.runtime.tags import (
    LIMIT_BREACHED,
    Assignment,
    assignment_tags,
    in_process_tags,
)
from medgen_pipeline_tests.runtime.test_coordinator import STARTED, add

ROOMY: Final = Limits(max_memory_mb=10_000, max_cpu_seconds=1_000, max_runtime_seconds=1_000)
# One call into C that lets no other thread of its process run; it says that it is there.
HOLDS_THE_LOCK: Final = "print(flush=True); sum(range(10**12))"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    home = tmp_path_factory.mktemp("home")
    (home / "dagster.yaml").write_text(render_instance_yaml({}), encoding="utf-8")
    with dg.DagsterInstance.from_config(str(home)) as opened:
        yield opened


@pytest.fixture
def launcher(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> GuardedRunLauncher:
    monkeypatch.setattr(module, "SECONDS_FOR_THE_CODE_SERVER", 0)
    monkeypatch.setattr(module, "SECONDS_FOR_THE_GUARD", 0.5)
    found = instance.run_launcher
    assert isinstance(found, GuardedRunLauncher)
    assert found.supports_check_run_worker_health
    return found


@pytest.fixture
def process() -> Iterator[psutil.Process]:
    """Yield a process that takes a core and does not let itself be interrupted."""
    command = [sys.executable, "-c", f"import os; os.setpgid(0, 0); {HOLDS_THE_LOCK}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        started.stdout.readline()
        yield psutil.Process(started.pid)
        started.kill()


def assigned(
    instance: dg.DagsterInstance, process: psutil.Process, limits: Limits, host: str | None = None
) -> dg.DagsterRun:
    """Return a run that a process executes."""
    run = add(instance, STARTED)
    here = Worker.here()
    worker = Worker(host or here.host, process.pid, process.create_time())
    instance.add_run_tags(run.run_id, assignment_tags(run, Assignment(worker, limits)))
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found


def test_a_run_within_its_limits_is_left_alone(
    launcher: GuardedRunLauncher, instance: dg.DagsterInstance, process: psutil.Process
) -> None:
    run = assigned(instance, process, ROOMY)
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    assert process.is_running()


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("max_memory_mb", 0.5),
        ("max_cpu_seconds", -1_000_000.0),
        ("max_runtime_seconds", -1_000_000.0),
    ],
)
def test_a_run_whose_guard_is_stuck_is_killed_and_not_repeated(
    limit: str,
    value: float,
    launcher: GuardedRunLauncher,
    instance: dg.DagsterInstance,
    process: psutil.Process,
) -> None:
    """The daemon then fails it, with the message of the breach."""
    run = assigned(instance, process, dataclasses.replace(ROOMY, **{limit: value}))
    result = launcher.check_run_worker_health(run)
    assert result.status is WorkerStatus.FAILED
    assert f"{limit} exceeded" in (result.msg or "")
    assert psutil.wait_procs([process], timeout=10)[1] == []
    instance.report_run_failed(run, str(result))
    failed = instance.get_run_by_id(run.run_id)
    assert failed is not None
    assert failed.tags[LIMIT_BREACHED] == limit
    assert failed.tags["dagster/will_retry"] == "false"


def test_a_guard_that_works_has_time_to_do_so() -> None:
    """The launcher looks for more than what a run can take until its guard has killed it."""
    assert with_margin(100) > 100 + 3
    assert with_margin(100, cores=64) > 100 + 64 * 3


def test_a_run_whose_process_is_gone_has_failed(
    launcher: GuardedRunLauncher, instance: dg.DagsterInstance, process: psutil.Process
) -> None:
    run = assigned(instance, process, ROOMY)
    process.kill()
    process.wait()
    result = launcher.check_run_worker_health(run)
    assert result.status is WorkerStatus.FAILED
    assert str(process.pid) in (result.msg or "")


def test_a_run_of_a_command_goes_on_as_long_as_the_command(
    launcher: GuardedRunLauncher, instance: dg.DagsterInstance, process: psutil.Process
) -> None:
    """Nothing else tells of its end, for nobody starts the command again."""
    command = Worker(Worker.here().host, process.pid, process.create_time())
    new = add(instance, STARTED)
    instance.add_run_tags(new.run_id, in_process_tags(new.run_id, command))
    run = instance.get_run_by_id(new.run_id)
    assert run is not None
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    process.kill()
    process.wait()
    result = launcher.check_run_worker_health(run)
    assert result.status is WorkerStatus.FAILED
    assert str(process.pid) in (result.msg or "")


def test_a_guard_at_work_is_left_to_end_its_process(
    launcher: GuardedRunLauncher,
    instance: dg.DagsterInstance,
    process: psutil.Process,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has failed the step by then, which the launcher cannot."""
    monkeypatch.setattr(module, "SECONDS_FOR_THE_GUARD", 60.0)
    run = assigned(instance, process, dataclasses.replace(ROOMY, max_memory_mb=0.5))
    ending = threading.Timer(0.5, process.kill)
    ending.start()
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    assert not ending.is_alive()
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert LIMIT_BREACHED not in found.tags


def test_a_dead_run_is_told_of_when_a_code_server_can_repeat_it(
    launcher: GuardedRunLauncher,
    instance: dg.DagsterInstance,
    process: psutil.Process,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Dagster tries that once, as soon as it knows; but it is not kept waiting for ever."""
    run = assigned(instance, process, ROOMY)
    instance.add_run_tags(
        run.run_id, {GRPC_INFO_TAG: json.dumps({"socket": str(tmp_path / "nobody"), "host": "x"})}
    )
    process.kill()
    process.wait()
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    monkeypatch.setattr(module, "SECONDS_FOR_A_NEW_CODE_SERVER", 0)
    assert launcher.check_run_worker_health(run).status is WorkerStatus.FAILED


def test_what_cannot_be_seen_from_here_is_taken_to_live(
    launcher: GuardedRunLauncher, instance: dg.DagsterInstance, process: psutil.Process
) -> None:
    """A run that has not begun, one on another host, and one that repeats another's tags."""
    assert launcher.check_run_worker_health(add(instance, STARTED)).status is WorkerStatus.RUNNING
    elsewhere = assigned(instance, process, ROOMY, host="elsewhere")
    first = assigned(instance, process, dataclasses.replace(ROOMY, max_memory_mb=0.5))
    repeats = add(instance, STARTED, tags=dict(first.tags))
    for run in (elsewhere, repeats):
        assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    assert process.is_running()


def test_a_run_that_repeats_another_says_nothing_of_its_breach(
    instance: dg.DagsterInstance,
) -> None:
    """Dagster hands tags on; once the new run begins, they tell of itself."""
    tags = {LIMIT_BREACHED: "max_memory_mb", "medgen/peak_memory_mb": "512"}
    run = add(instance, STARTED, tags=tags)
    begun = assignment_tags(run, Assignment(Worker.here(), ROOMY))
    assert begun[LIMIT_BREACHED] == "none"
    assert begun["medgen/peak_memory_mb"] == "0"
    assert json.loads(begun[".dagster/medgen_worker"])["run_id"] == run.run_id
