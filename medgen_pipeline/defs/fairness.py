"""Runs that have waited too long go next, so that urgent ones cannot hold up others for ever.

Of all old runs only one of a kind is lifted at a time, the oldest. If all were, a large backfill
would after a while be more urgent than anything.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg
from dagster._core.storage.tags import BACKFILL_ID_TAG

from medgen_pipeline.defs.tags import PRIORITY, TENANT, WORKLOAD

PATIENCE: Final = timedelta(minutes=10)  # our own choice: the longest run allowed by default
LIFTED: Final = "medgen/lifted"  # the id of the run: Dagster hands tags on to one that repeats it
KIND: Final = (TENANT, WORKLOAD, BACKFILL_ID_TAG)  # what the limits of the queue go by
MOST: Final = 2**31 - 1  # of a priority


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def fairness_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Lift the oldest run of each kind that has waited ten minutes above all others."""
    queued = context.instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]), ascending=True
    )
    lifted = to_lift(queued, datetime.now(UTC))
    priority = min(MOST, 1 + max((priority_of(each.dagster_run) for each in queued), default=0))
    for run in lifted:
        context.instance.add_run_tags(run.run_id, {PRIORITY: str(priority), LIFTED: run.run_id})
        context.log.info("run %s has waited long and goes next, priority %d", run.run_id, priority)
    return dg.SkipReason(f"{len(queued)} runs wait, {len(lifted)} lifted")


def to_lift(queued: Iterable[dg.RunRecord], now: datetime) -> list[dg.DagsterRun]:
    """Return the runs to be lifted, of queued ones from the oldest to the newest."""
    found: dict[tuple[str | None, ...], dg.DagsterRun] = {}
    old = [each.dagster_run for each in queued if now - each.create_timestamp > PATIENCE]
    lifted = {kind(run) for run in old if is_lifted(run)}
    for run in old:
        if kind(run) not in lifted:
            found.setdefault(kind(run), run)
    return list(found.values())


def kind(run: dg.DagsterRun) -> tuple[str | None, ...]:
    """Return what the limits of the queue see of a run."""
    return tuple(run.tags.get(tag) for tag in KIND)


def is_lifted(run: dg.DagsterRun) -> bool:
    """Whether a run, and not one that it repeats, was lifted."""
    return run.tags.get(LIFTED) == run.run_id


def priority_of(run: dg.DagsterRun) -> int:
    """Return the priority of a run, 0 for what Dagster cannot read either."""
    try:
        return int(run.tags.get(PRIORITY, "0"))
    except ValueError:
        return 0
