"""Housekeeping as Dagster sees it: a job every hour and at each start, and a look at dead runs."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

from medgen_pipeline.dataset.layout import Partition
from medgen_pipeline.defs.assets import PLAN
from medgen_pipeline.defs.checks import VALIDATION
from medgen_pipeline.defs.engine import Engine
from medgen_pipeline.defs.partitions import SCENARIO, partition_key
from medgen_pipeline.defs.tags import HOUSEKEEPING, WORKLOAD
from medgen_pipeline.exports.aggregates import AGGREGATES
from medgen_pipeline.runtime.housekeeping import Finding, House, Keeping, There
from medgen_pipeline.runtime.processes import Worker

MOST_SHOWN: Final = 100  # of what was removed, in the event log


def house(engine: Engine, instance: dg.DagsterInstance) -> House:
    """Return a deployment as it is to be kept: batches as their scenarios say."""
    catalogue = engine.catalogue
    kept = {entry.id: catalogue.get(entry.id) for entry in catalogue.entries() if not entry.problem}
    return House(
        engine.dataset.store,
        instance,
        Keeping(
            batches={
                scenario.id: timedelta(days=scenario.retention_days)
                for scenario in kept.values()
                if scenario.retention_days is not None
            },
            runs=timedelta(days=engine.settings.run_retention_days),
            history=_history(instance),
        ),
        datetime.now(UTC),
    )


def _history(instance: dg.DagsterInstance) -> dict[str, There]:
    """Return the assets that runs of their own make, of batches or of scenarios that are there."""
    plans: dict[str, There] = {PLAN: lambda _: {*instance.get_dynamic_partitions(SCENARIO)}}
    return plans | dict.fromkeys((*AGGREGATES, VALIDATION), _keys)


def _keys(batches: Collection[Partition]) -> set[str]:
    return {str(partition_key(each.scenario, each.batch)) for each in batches}


@dg.op
def keep_house(context: dg.OpExecutionContext, engine: dg.ResourceParam[Engine]) -> None:
    """Remove what a deployment should be rid of: `medgen janitor --dry-run` lists it."""
    found_in = house(engine, context.instance)
    found = list(found_in.findings())
    found_in.remove(found)
    shown = [_record(each) for each in found[:MOST_SHOWN]]
    context.add_output_metadata(
        {
            "removed": len(found),
            "bytes": sum(finding.bytes for finding in found),
            **({"first": dg.MetadataValue.table(shown)} if shown else {}),
        }
    )


def _record(finding: Finding) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "kind": finding.kind,
            "name": finding.name,
            "why": finding.why,
            "bytes": finding.bytes,
        }
    )


@dg.job(tags={WORKLOAD: HOUSEKEEPING})
def housekeeping() -> None:
    """Remove leftovers of dead runs, batches past their time and old runs."""
    keep_house()


housekeeping_schedule: Final = dg.ScheduleDefinition(
    name="housekeeping_schedule",
    job=housekeeping,
    cron_schedule="17 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)


@dg.sensor(
    job_name=housekeeping.name,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def janitor_sensor(
    context: dg.SensorEvaluationContext, engine: dg.ResourceParam[Engine]
) -> dg.RunRequest | dg.SkipReason:
    """Remove what runs that are over have left; ask for housekeeping at each start."""
    found_in = house(engine, context.instance)
    found = list(found_in.of_runs())
    found_in.remove(found)
    for finding in found:
        context.log.info("removed %s %s: %s", finding.kind, finding.name, finding.why)
    server = Worker.here()
    started = f"{server.host}/{server.pid}/{server.created:.0f}"
    if context.cursor != started:
        context.update_cursor(started)
        return dg.RunRequest(run_key=started)
    return dg.SkipReason(f"{len(found)} leftovers of dead runs")
