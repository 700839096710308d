"""One schedule for each scenario that has a cron line: every tick asks for its next batch."""

from collections.abc import Iterable
from typing import Final

import dagster as dg
from dagster._core.instance.types import CachingDynamicPartitionsLoader

from medgen_pipeline.dataset.schema import TABLES
from medgen_pipeline.defs.engine import Engine
from medgen_pipeline.defs.jobs import generation_job
from medgen_pipeline.defs.partitions import (
    BATCH_TAG,
    BATCHES,
    RANGE_END_TAG,
    RANGE_START_TAG,
    SCENARIO,
    SCENARIO_TAG,
    batches_by_scenario,
    partition_key,
    partitions,
)
from medgen_pipeline.defs.tags import GENERATION, run_tags
from medgen_pipeline.scenario.model import Scenario

UNFINISHED: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def schedules(scenarios: Iterable[Scenario]) -> list[dg.ScheduleDefinition]:
    """Return the schedule of each scenario that has one, stopped until a person starts it."""
    return [schedule(scenario.id, scenario.schedule) for scenario in scenarios if scenario.schedule]


def schedule(scenario_id: str, cron: str) -> dg.ScheduleDefinition:
    """Return the schedule that generates the next batch of a scenario that is not there yet."""

    @dg.schedule(
        name=f"generate_{scenario_id.replace('-', '_')}",
        job=generation_job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"Generates the next missing batch of {scenario_id}.",
    )
    def next_batch(
        context: dg.ScheduleEvaluationContext, engine: dg.ResourceParam[Engine]
    ) -> dg.RunRequest | dg.SkipReason:
        context.instance.add_dynamic_partitions(SCENARIO, [scenario_id])
        # In this order, for what ends between the two is committed.
        taken = under_way(context.instance, scenario_id) | engine.committed_batches(scenario_id)
        batch = next((batch for batch in range(BATCHES) if batch not in taken), None)
        if batch is None:
            return dg.SkipReason(f"all {BATCHES} batches of {scenario_id} are there or under way")
        return dg.RunRequest(
            partition_key=partition_key(scenario_id, batch),
            tags=run_tags(engine.scenario(scenario_id), GENERATION),
        )

    return next_batch


def under_way(instance: dg.DagsterInstance, scenario_id: str) -> set[int]:
    """Return the batches of a scenario that a queued or working run is to generate."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    # Some hundred ranges may wait; each asks the store four times for what does not change.
    with dg.partition_loading_context(
        dynamic_partitions_store=CachingDynamicPartitionsLoader(instance)
    ):
        keys = {key for run in runs if _generates(run) for key in _partitions_of(run)}
    return {*dict(batches_by_scenario(keys)).get(scenario_id, [])}


def _generates(run: dg.DagsterRun) -> bool:
    """Whether tables are among what a run makes, by its job or as a backfill of assets chose."""
    if run.asset_selection is None:
        return run.job_name == generation_job.name
    return not run.asset_selection.isdisjoint(map(dg.AssetKey, TABLES))


def _partitions_of(run: dg.DagsterRun) -> Iterable[str]:
    """Return the keys of a run of one partition or of a range, along each dimension."""
    if RANGE_START_TAG in run.tags:
        ends = dg.PartitionKeyRange(run.tags[RANGE_START_TAG], run.tags[RANGE_END_TAG])
        try:
            return partitions.get_partition_keys_in_range(ends)
        except dg.DagsterInvalidInvocationError:
            return []  # of a scenario that is no partition any more
    if SCENARIO_TAG in run.tags:
        return [partition_key(run.tags[SCENARIO_TAG], int(run.tags[BATCH_TAG]))]
    return []
