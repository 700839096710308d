"""The definitions of a deployment, put together."""

import warnings
from collections.abc import Sequence

import dagster as dg

from medgen_pipeline.defs.assets import casualty_plan, casualty_tables, planning_tables
from medgen_pipeline.defs.checks import checks, validation
from medgen_pipeline.defs.engine import Engine
from medgen_pipeline.defs.fairness import fairness_sensor
from medgen_pipeline.defs.housekeeping import housekeeping, housekeeping_schedule, janitor_sensor
from medgen_pipeline.defs.jobs import aggregates_job, generation_job, validation_job
from medgen_pipeline.defs.metrics_sensors import pool_metrics_sensor, run_metrics_sensor
from medgen_pipeline.defs.schedules import schedules
from medgen_pipeline.defs.sensors import aggregates_sensor, scenario_files_sensor
from medgen_pipeline.runtime.executor import guarded_executor
from medgen_pipeline.runtime.leftovers import remove_staging
from medgen_pipeline.runtime.limits import Limits
from medgen_pipeline.settings import Settings


def build_defs(settings: Settings, engine: Engine | None = None) -> dg.Definitions:
    """Return fresh definitions for a deployment; a test may hand in another engine."""
    engine = engine or Engine(settings)
    scenarios = [engine.scenario(scenario_id) for scenario_id in engine.catalogue.ids()]
    return dg.Definitions(
        assets=[
            casualty_plan,
            *_in_runs_of(
                settings.batches_per_run, [casualty_tables, planning_tables, validation()]
            ),
        ],
        asset_checks=[checks()],
        jobs=[generation_job, aggregates_job, validation_job, housekeeping],
        schedules=[*schedules(scenarios), housekeeping_schedule],
        sensors=[
            *(scenario_files_sensor, aggregates_sensor(), janitor_sensor, fairness_sensor),
            *(run_metrics_sensor, pool_metrics_sensor),
        ],
        resources={"engine": engine},
        executor=guarded_executor(
            Limits.of(settings), lambda run_id: remove_staging(engine.dataset.store, run_id)
        ),
    )


def _in_runs_of(
    batches: int | None, assets: Sequence[dg.AssetsDefinition]
) -> list[dg.AssetsDefinition]:
    """Return assets of which a backfill makes so many partitions in one run, or all."""
    if batches is None:
        return list(assets)
    with warnings.catch_warnings():
        # The number of partitions of a run is beta in Dagster 1.13; a test counts the runs.
        warnings.simplefilter("ignore", dg.BetaWarning)
        policy = dg.BackfillPolicy.multi_run(max_partitions_per_run=batches)
    return [each.with_attributes(backfill_policy=policy) for each in assets]
