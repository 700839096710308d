"""Housekeeping: everything that is over is found, nothing that goes on is, and it is removed."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import dagster as dg
import psutil
import pytest

from medgen_pipeline.dataset.layout import manifest_path, staging_folder
from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.dataset.store import FolderStore
from medgen_pipeline.runtime import housekeeping
from medgen_pipeline.runtime.housekeeping import Finding, House, Keeping
from medgen_pipeline.runtime.limits import Limits
from medgen_pipeline.runtime.processes import Worker
from medgen_pipeline.runtime.tags import Assignment, assignment_tags
from medgen_pipeline_tests.dataset import sample
from medgen_pipeline_tests.runtime.test_coordinator import STARTED, add

LIMITS: Final = Limits(max_memory_mb=512, max_cpu_seconds=300, max_runtime_seconds=600)
SUCCESS: Final = dg.DagsterRunStatus.SUCCESS
NOTHING: Final = Keeping(batches={}, runs=timedelta(days=36_500))
AN_HOUR: Final = timedelta(hours=1)
CALM: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as opened:
        yield opened


@pytest.fixture
def process() -> Iterator[psutil.Process]:
    """Yield a process that leads a group, as the worker of a run does."""
    program = "import os, time; os.setpgid(0, 0); print(flush=True); time.sleep(100)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        started.stdout.readline()
        yield psutil.Process(started.pid)
        started.kill()


def house(
    root: Path,
    instance: dg.DagsterInstance,
    keeping: Keeping = NOTHING,
    later: timedelta = AN_HOUR,
) -> House:
    return House(FolderStore(root), instance, keeping, datetime.now(UTC) + later)


def kinds(found: list[Finding]) -> list[str]:
    return [finding.kind for finding in found]


def executed_by(
    instance: dg.DagsterInstance, process: psutil.Process, status: dg.DagsterRunStatus
) -> dg.DagsterRun:
    """Return a run that a process executes, or has executed."""
    run = add(instance, STARTED)
    here = dataclasses.replace(Worker.here(), pid=process.pid, created=process.create_time())
    instance.add_run_tags(run.run_id, assignment_tags(run, Assignment(here, LIMITS)))
    if status is SUCCESS:
        event = dg.DagsterEvent(dg.DagsterEventType.PIPELINE_SUCCESS.value, run.job_name)
        instance.report_dagster_event(event, run.run_id)
    return run


def made_by(run_id: str, batch: Manifest, root: Path) -> None:
    """Let the manifest of a batch say that a run made it."""
    path = root / manifest_path(batch.partition)
    path.write_text(path.read_text().replace(batch.run.run_id, run_id))


@dg.asset(partitions_def=dg.DynamicPartitionsDefinition(name="any"))
def added_up() -> None:
    """Be made."""


def materialized(instance: dg.DagsterInstance, partition: str) -> str:
    """Return a run that has made a partition of `added_up`."""
    instance.add_dynamic_partitions("any", [partition])
    made = dg.materialize([added_up], instance=instance, partition_key=partition, run_config=CALM)
    return made.run_id


def test_a_house_in_order_has_nothing_to_remove(
    tmp_path: Path, instance: dg.DagsterInstance, process: psutil.Process
) -> None:
    """A committed batch, a writer at work and a run that goes on stay."""
    sample.write(tmp_path)
    executed_by(instance, process, STARTED)
    with FolderStore(tmp_path).claim(staging_folder("run", "0123456789ab")):
        assert list(house(tmp_path, instance).findings()) == []


def test_a_process_that_outlives_its_run_is_ended(
    tmp_path: Path, instance: dg.DagsterInstance, process: psutil.Process
) -> None:
    """Once the run has had time to unwind."""
    executed_by(instance, process, SUCCESS)
    assert list(house(tmp_path, instance, later=timedelta(0)).findings()) == []
    kept = house(tmp_path, instance)
    found = list(kept.findings())
    assert kinds(found) == ["process"]
    assert found[0].name == str(process.pid)
    kept.remove(found)
    assert psutil.wait_procs([process], timeout=10)[1] == []


def test_slots_of_dead_runs_are_freed(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """Of runs that have ended and of those that nobody knows; a run at work keeps its own."""
    storage = instance.event_log_storage
    storage.set_concurrency_slots("pool", 3)
    ended, at_work = add(instance, STARTED), add(instance, STARTED)
    for run_id in (ended.run_id, at_work.run_id, "deleted"):
        storage.claim_concurrency_slot("pool", run_id, "step")
    instance.report_run_failed(ended)
    kept = house(tmp_path, instance)
    found = list(kept.findings())
    assert {finding.name for finding in found} == {ended.run_id, "deleted"}
    kept.remove(found)
    assert storage.get_concurrency_run_ids() == {at_work.run_id}


def test_batches_go_when_their_scenario_keeps_them_no_longer(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    manifest = sample.write(tmp_path)
    keeping = dataclasses.replace(NOTHING, batches={manifest.scenario: timedelta(days=1)})
    assert list(house(tmp_path, instance, keeping).findings()) == []
    kept = house(tmp_path, instance, keeping, later=timedelta(days=2))
    found = list(kept.findings())
    assert kinds(found) == ["batch"]
    assert "kept for 1 days" in found[0].why
    kept.remove(found)
    assert Dataset(tmp_path).partitions() == []
    assert list(tmp_path.rglob("*.parquet")) == []


def test_leftovers_of_killed_writers_go(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """A staging folder that nobody holds, and a file that no manifest lists."""
    manifest = sample.write(tmp_path)
    staged = tmp_path / staging_folder("run", "0123456789ab") / "part"
    unlisted = (tmp_path / manifest.paths()[0]).with_name("part-00000-0123456789ab.parquet")
    for path in (staged, unlisted):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    kept = house(tmp_path, instance)
    found = list(kept.findings())
    assert sorted(kinds(found)) == ["file", "staging"]
    assert [finding.bytes for finding in found] == [5, 5]
    assert kinds(list(kept.of_runs())) == ["staging"], "which is quick to find"
    kept.remove(found)
    assert not staged.parent.exists()
    assert not unlisted.exists()
    assert Dataset(tmp_path).partitions() == [manifest.partition]


def test_old_runs_go_unless_their_batch_is_still_there(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """Dagster shows what a batch is by the events of the run that made it.

    What a run has printed goes with it.
    """
    runs = [add(instance, STARTED) for _ in range(3)]
    kept_logs = Path(instance.storage_directory())
    for run in runs:
        (kept_logs / run.run_id / "compute_logs").mkdir(parents=True)
    for run in runs[:2]:
        instance.report_run_failed(run)
    made_by(runs[0].run_id, sample.write(tmp_path), tmp_path)
    keeping = dataclasses.replace(NOTHING, runs=timedelta(days=1))
    kept = house(tmp_path, instance, keeping, later=timedelta(days=2))
    found = list(kept.findings())
    assert [finding.name for finding in found] == [runs[1].run_id]
    kept.remove(found)
    assert {run.run_id for run in instance.get_runs()} == {runs[0].run_id, runs[2].run_id}
    assert {path.name for path in kept_logs.iterdir()} == {runs[0].run_id, runs[2].run_id}


def test_old_runs_that_made_what_dagster_shows_of_a_batch_stay(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """Of what no manifest names: the last maker, as long as the batch is there."""
    there = str(sample.write(tmp_path).partition)
    replaced, last, of_no_batch = (
        materialized(instance, each) for each in (there, there, "scenario=gone/batch=0000")
    )
    keeping = dataclasses.replace(
        NOTHING,
        runs=timedelta(days=1),
        history={"added_up": lambda batches: {str(each) for each in batches}},
    )
    kept = house(tmp_path, instance, keeping, later=timedelta(days=2))
    found = list(kept.findings())
    assert [finding.name for finding in found] == [replaced, of_no_batch]
    kept.remove(found)
    assert [run.run_id for run in instance.get_runs()] == [last]
    assert instance.get_materialized_partitions(added_up.key) == {there}


def test_old_runs_behind_many_that_are_kept_go_as_well(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass removes so many, however many older ones it has to look at and keep."""
    monkeypatch.setattr(housekeeping, "MOST_RUNS", 2)
    monkeypatch.setattr(housekeeping, "RUNS_AT_A_TIME", 2)
    runs = [add(instance, STARTED) for _ in range(8)]
    for run in runs:
        instance.report_run_failed(run)
    for batch, run in enumerate(runs[:5]):
        made_by(run.run_id, sample.write(tmp_path, batch), tmp_path)
    keeping = dataclasses.replace(NOTHING, runs=timedelta(days=1))
    for expected in (runs[5:7], runs[7:], []):
        kept = house(tmp_path, instance, keeping, later=timedelta(days=2))
        found = list(kept.findings())
        assert [finding.name for finding in found] == [run.run_id for run in expected]
        kept.remove(found)


def test_a_manifest_that_cannot_be_read_stops_nothing(
    tmp_path: Path, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    """Its batch is left alone, with a warning, and the rest is found."""
    sample.write(tmp_path)
    (broken,) = (tmp_path / "_manifests").rglob("*.json")
    broken.write_text("{")
    (tmp_path / staging_folder("run", "0123456789ab")).mkdir(parents=True)
    assert kinds(list(house(tmp_path, instance).findings())) == ["staging"]
    assert "left alone" in caplog.text
