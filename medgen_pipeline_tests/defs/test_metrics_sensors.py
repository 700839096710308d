"""The two sensors that keep figures: of real runs, over restarts, with a summary in the tick."""

import json
from importlib import import_module
from pathlib import Path
from typing import Final

import dagster as dg
import pytest

from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.dataset.schema import TABLES
from medgen_pipeline.defs.build import build_defs
from medgen_pipeline.defs.engine import Engine
from medgen_pipeline.defs.metrics_sensors import pool_metrics_sensor, run_metrics_sensor
from medgen_pipeline.defs.partitions import RANGE_END_TAG, RANGE_START_TAG, partition_key
from medgen_pipeline.exports.aggregates import AGGREGATES
from medgen_pipeline.metrics import definitions as metrics
from medgen_pipeline.metrics.figures import Figures
from medgen_pipeline.runtime import kept_figures
from medgen_pipeline.runtime.instance_view import InstanceView
from medgen_pipeline.runtime.pool_figures import PoolFigures
from medgen_pipeline.runtime.pool_files import leave
from medgen_pipeline.runtime.processes import Worker
from medgen_pipeline_tests.defs.conftest import TINY

CALM: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def generate(
    engine: Engine, instance: dg.DagsterInstance, batches: list[int], seed: int = 1
) -> bool:
    """Generate batches in one run of the job; return whether it succeeded."""
    job = build_defs(engine.settings, engine).resolve_job_def("generation")
    keys = [str(partition_key(TINY, batch)) for batch in batches]
    one = len(keys) == 1
    result = job.execute_in_process(
        instance=instance,
        partition_key=keys[0] if one else None,
        tags={} if one else {RANGE_START_TAG: keys[0], RANGE_END_TAG: keys[-1]},
        run_config={**CALM, "ops": {"casualty_tables": {"config": {"seed": seed}}}},
        raise_on_error=False,
    )
    return result.success


def tick(sensor: dg.SensorDefinition, instance: dg.DagsterInstance) -> str:
    """Return what a tick says."""
    with dg.build_sensor_context(instance=instance) as context:
        skipped = sensor(context)
    assert isinstance(skipped, dg.SkipReason)
    return str(skipped.skip_message)


def kept(instance: dg.DagsterInstance, key: str = kept_figures.RUNS) -> Figures:
    return kept_figures.read(InstanceView(instance), key).figures


def test_runs_that_generated_are_counted_as_the_dataset_says(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    """Rows and bytes of every table are those of the manifests; a second tick adds nothing."""
    assert generate(engine, instance, [0])
    assert generate(engine, instance, [1, 2])
    said = [tick(run_metrics_sensor, instance) for _ in range(2)]
    assert said[0] == "2 runs ended: 2 success; 180 patients; 2 runs counted so far"
    assert said[1] == "0 runs ended; 0 patients; 2 runs counted so far"
    figures = kept(instance)
    labels = ("generation", "generation", TINY)
    assert figures.numbers(metrics.RUNS_FINISHED) == {(*labels, "success"): 2}
    assert figures.numbers(metrics.PATIENTS) == {labels: 180}
    manifests = Dataset(engine.settings.data_url).manifests(TINY, [0, 1, 2])
    rows, sizes = figures.numbers(metrics.ROWS_WRITTEN), figures.numbers(metrics.BYTES_WRITTEN)
    assert set(rows) == {(table, TINY) for table in (*TABLES, *AGGREGATES)}
    for table in TABLES:
        assert rows[table, TINY] == sum(each.rows[table] for each in manifests)
        files = [file for each in manifests for file in each.files if file.table == table]
        assert sizes[table, TINY] == sum(file.bytes for file in files)
    shares = figures.numbers(metrics.OUTCOME_SHARE)
    rates = {(TINY, name): count / 60 for name, count in manifests[-1].outcomes.items()}
    assert shares == pytest.approx(rates)
    assert figures.sizes(metrics.RUN_DURATION)[labels].total > 0


def test_a_run_that_failed_is_counted_with_what_it_had_committed(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    """A scenario that has gone fails a run; what another one wrote stays counted."""
    assert generate(engine, instance, [0])
    scenario = Path(str(engine.settings.scenario_dir), f"{TINY}.yaml")
    text = scenario.read_text(encoding="utf-8")
    scenario.unlink()
    assert not generate(engine, instance, [1])
    scenario.write_text(text, encoding="utf-8")
    assert tick(run_metrics_sensor, instance).startswith("2 runs ended: 1 failure, 1 success; 60")
    outcomes = kept(instance).numbers(metrics.RUNS_FINISHED)
    assert {labels[-1]: number for labels, number in outcomes.items()} == {
        "success": 1,
        "failure": 1,
    }


def test_a_tick_that_dies_before_it_keeps_is_made_up_for(
    engine: Engine, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No run is lost and none is counted twice, whatever was written before."""
    assert generate(engine, instance, [0])
    tick(run_metrics_sensor, instance)
    assert generate(engine, instance, [1])
    module = import_module("medgen_pipeline.runtime.kept_figures")

    def dies(*_: object) -> None:
        raise OSError("the database is gone")

    with monkeypatch.context() as broken:
        broken.setattr(module, "write", dies)
        with pytest.raises(OSError, match="is gone"):
            tick(run_metrics_sensor, instance)
    assert tick(run_metrics_sensor, instance).endswith("60 patients; 2 runs counted so far")


def test_what_the_pools_hold_is_said(instance: dg.DagsterInstance) -> None:
    """Dagster's, and those of connections where a database has any."""
    instance.event_log_storage.set_concurrency_slots("narrow", 3)
    said = tick(pool_metrics_sensor, instance)
    assert said.startswith("pool narrow: 0 of 3 slots taken, 0 wanted, 0 leaked; ")
    figures = PoolFigures(part="daemon", taken_at=0, size=10, max_overflow=5, active=2, idle=3)
    leave(Path(instance.root_directory), Worker.here(), figures)
    assert "daemon: 2 of 5 connections in use, at most 15" in tick(pool_metrics_sensor, instance)
    value = InstanceView(instance).kept(kept_figures.POOLS)[kept_figures.POOLS]
    assert json.loads(value)["at"] > 0


def test_the_sensors_run_by_themselves(engine: Engine) -> None:
    """As soon as there is a deployment."""
    sensors = build_defs(engine.settings, engine).sensors or []
    ours = {each.name: each for each in sensors if isinstance(each, dg.SensorDefinition)}
    for name in ("run_metrics_sensor", "pool_metrics_sensor"):
        assert ours[name].default_status is dg.DefaultSensorStatus.RUNNING
