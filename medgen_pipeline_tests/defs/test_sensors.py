"""The sensor that turns scenario files into partitions."""

import dagster as dg
import pytest

from medgen_pipeline.dataset.schema import TABLES
from medgen_pipeline.defs.build import build_defs
from medgen_pipeline.defs.engine import Engine
from medgen_pipeline.defs.partitions import SCENARIO, partition_key
from medgen_pipeline.defs.sensors import aggregates_sensor, scenario_files_sensor
from medgen_pipeline.exports.aggregates import AGGREGATES
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline_tests.defs.conftest import TINY, add_scenario, tiny


def tick(engine: Engine, instance: dg.DagsterInstance) -> dg.SensorResult:
    context = dg.build_sensor_context(instance=instance, resources={"engine": engine})
    result = scenario_files_sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def added(result: dg.SensorResult) -> set[str]:
    return {
        key
        for request in result.dynamic_partitions_requests or ()
        for key in request.partition_keys
    }


def reason(result: dg.SensorResult) -> str:
    assert isinstance(result.skip_reason, dg.SkipReason)
    return str(result.skip_reason.skip_message)


def test_every_scenario_becomes_a_partition_once(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    """Shipped ones and those of the folder are added, those that are there are not."""
    result = tick(engine, instance)
    assert added(result) == set(Catalogue().ids())  # tiny is there from the start
    instance.add_dynamic_partitions(SCENARIO, sorted(added(result)))
    again = tick(engine, instance)
    assert added(again) == set()
    assert reason(again).startswith("nothing new among")


def test_a_new_file_is_found(engine: Engine, instance: dg.DagsterInstance) -> None:
    """A file that appears in the folder is in the next tick."""
    assert engine.settings.scenario_dir is not None
    add_scenario(engine.settings.scenario_dir, tiny(id="later"))
    result = tick(engine, instance)
    assert "later" in added(result)
    assert "later" in reason(result)


def test_a_broken_file_is_named_and_keeps_nothing_back(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    """The tick names the file; every other scenario is added all the same."""
    assert engine.settings.scenario_dir is not None
    broken = engine.settings.scenario_dir / "broken.yaml"
    broken.write_text("id: broken\ndays: -1\n", encoding="utf-8")
    result = tick(engine, instance)
    assert "broken" not in added(result)
    assert "demo" in added(result)
    assert reason(result).endswith(f"cannot be used: {broken}")


def test_a_partition_outlives_its_file(engine: Engine, instance: dg.DagsterInstance) -> None:
    """Data that was generated stays reachable when the file is gone."""
    assert engine.settings.scenario_dir is not None
    (engine.settings.scenario_dir / f"{TINY}.yaml").unlink()
    tick(engine, instance)
    assert instance.has_dynamic_partition(SCENARIO, TINY)


@pytest.mark.parametrize("sensor", [scenario_files_sensor, aggregates_sensor()])
def test_sensors_run_from_the_start(sensor: dg.SensorDefinition) -> None:
    """Nobody has to switch them on, and they look twice a minute."""
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 30


def test_new_tables_ask_for_their_aggregates_once(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    """Tables of two batches lead to both aggregates of both, and a second look to nothing."""
    defs = build_defs(engine.settings, engine)
    selection = dg.AssetSelection.assets(*AGGREGATES)
    start = dg.evaluate_automation_conditions(defs, instance, selection)
    for table in TABLES:
        for batch in (0, 1):
            partition = str(partition_key(TINY, batch))
            instance.report_runless_asset_event(dg.AssetMaterialization(table, partition=partition))
    asked = dg.evaluate_automation_conditions(defs, instance, selection, cursor=start.cursor)
    again = dg.evaluate_automation_conditions(defs, instance, selection, cursor=asked.cursor)
    assert start.total_requested == 0
    assert asked.total_requested == 2 * len(AGGREGATES)
    assert again.total_requested == 0
