"""What the daemon watches: scenario files become partitions, new batches get their aggregates."""

import dagster as dg

from medgen_pipeline.defs.engine import Engine
from medgen_pipeline.defs.partitions import SCENARIO, scenario_partitions
from medgen_pipeline.defs.tags import AGGREGATES, WORKLOAD
from medgen_pipeline.exports.aggregates import AGGREGATES as AGGREGATE_TABLES


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def scenario_files_sensor(
    context: dg.SensorEvaluationContext, engine: dg.ResourceParam[Engine]
) -> dg.SensorResult:
    """Add a partition for each scenario of the catalogue and of MEDGEN_SCENARIO_DIR.

    A file that cannot be used is named in the tick, with its faults in the tick's log, and keeps
    nothing else from being added. A partition stays when its file goes: its data is still there.
    """
    entries = engine.catalogue.entries()
    broken = [entry for entry in entries if entry.problem]
    for entry in broken:
        context.log.warning("%s cannot be used: %s", entry.path, entry.problem)
    known = set(context.instance.get_dynamic_partitions(SCENARIO))
    new = [entry.id for entry in entries if not entry.problem and entry.id not in known]
    found = f"added {', '.join(new)}" if new else f"nothing new among {len(entries)} scenarios"
    refused = f"; cannot be used: {', '.join(str(entry.path) for entry in broken)}"
    return dg.SensorResult(
        skip_reason=dg.SkipReason(found + (refused if broken else "")),
        dynamic_partitions_requests=[scenario_partitions.build_add_request(new)] if new else [],
    )


def aggregates_sensor() -> dg.AutomationConditionSensorDefinition:
    """Return the sensor that makes the aggregates of a batch when its tables are new."""
    return dg.AutomationConditionSensorDefinition(
        "aggregates_sensor",
        target=dg.AssetSelection.assets(*AGGREGATE_TABLES),
        run_tags={WORKLOAD: AGGREGATES},
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        description="Makes the aggregates of each batch whose tables are newer.",
    )
