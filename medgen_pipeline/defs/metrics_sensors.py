"""Two sensors that count what `/metrics` must not forget: runs that have ended, pools and ticks.

They launch nothing; what they found is the reason that their tick says.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import dagster as dg

from medgen_pipeline.metrics import definitions as metrics
from medgen_pipeline.runtime import kept_figures, pool_tally
from medgen_pipeline.runtime.instance_view import InstanceView, Pool
from medgen_pipeline.runtime.pool_files import pool_figures_of_deployment
from medgen_pipeline.runtime.run_tally import RunTally

SECONDS_BETWEEN_TICKS: Final = 15


@dg.sensor(
    minimum_interval_seconds=SECONDS_BETWEEN_TICKS, default_status=dg.DefaultSensorStatus.RUNNING
)
def run_metrics_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Count each run that has ended, once: outcome, times, cost, limit breached, what it wrote."""
    view = InstanceView(context.instance)
    kept = kept_figures.read(view, kept_figures.RUNS)
    tally = RunTally(kept)
    before = _patients(tally)
    new = tally.count_new(
        view,
        lambda: kept_figures.write(context.instance, kept_figures.RUNS, kept, time.time()),
    )
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(new.items()))
    number = round(sum(tally.figures.numbers(metrics.RUNS_FINISHED).values()))
    return dg.SkipReason(
        f"{new.total()} runs ended{': ' + told if told else ''}; "
        f"{_patients(tally) - before:,} patients; {number:,} runs counted so far"
    )


@dg.sensor(
    minimum_interval_seconds=SECONDS_BETWEEN_TICKS, default_status=dg.DefaultSensorStatus.RUNNING
)
def pool_metrics_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Count how long slots of pools are taken, slots that leak, ticks of sensors and schedules."""
    view = InstanceView(context.instance)
    kept = kept_figures.read(view, kept_figures.POOLS)
    now = time.time()
    found = pool_tally.look(view, kept, now)
    kept_figures.write(context.instance, kept_figures.POOLS, kept, now)
    lines = [*_of_pools(found.pools), *_of_connections(context.instance)]
    new = f"{found.ticks} ticks, {found.leaks} new leaks"
    return dg.SkipReason("; ".join([*lines, new]))


def _patients(tally: RunTally) -> int:
    return round(sum(tally.figures.numbers(metrics.PATIENTS).values()))


def _of_pools(pools: Sequence[Pool]) -> Iterator[str]:
    for pool in pools:
        yield (
            f"pool {pool.name}: {pool.claimed} of {pool.slots} slots taken, "
            f"{pool.pending} wanted, {len(pool.leaked)} leaked"
        )


def _of_connections(instance: dg.DagsterInstance) -> Iterator[str]:
    """Yield what each part's pool of database connections holds; nothing with SQLite."""
    for part in pool_figures_of_deployment(Path(instance.root_directory)):
        open_ = part.active + part.idle
        most = part.size + part.max_overflow
        yield f"{part.part}: {part.active} of {open_} connections in use, at most {most}"
