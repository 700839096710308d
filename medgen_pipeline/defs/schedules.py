"""One schedule for each scenario that has a cron line: every tick asks for its next batch."""

from collections.abc import Iterable
from typing import Final

import dagster as dg

from medgen_pipeline.defs.engine import Engine
from medgen_pipeline.defs.jobs import generation_job
from medgen_pipeline.defs.partitions import (
    BATCH_TAG,
    BATCHES,
    SCENARIO,
    SCENARIO_TAG,
    partition_key,
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
        taken = engine.committed_batches(scenario_id) | under_way(context.instance, scenario_id)
        batch = next((batch for batch in range(BATCHES) if batch not in taken), None)
        if batch is None:
            return dg.SkipReason(f"all {BATCHES} batches of {scenario_id} are there or under way")
        context.instance.add_dynamic_partitions(SCENARIO, [scenario_id])
        return dg.RunRequest(
            partition_key=partition_key(scenario_id, batch),
            tags=run_tags(engine.scenario(scenario_id), GENERATION),
        )

    return next_batch


def under_way(instance: dg.DagsterInstance, scenario_id: str) -> set[int]:
    """Return the batches of a scenario for which a run of one batch is queued or at work."""
    waiting = dg.RunsFilter(statuses=UNFINISHED, tags={SCENARIO_TAG: scenario_id})
    return {int(run.tags[BATCH_TAG]) for run in instance.get_runs(waiting)}
