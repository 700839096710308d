"""Runs of a range of partitions, and the backfills of a job that are made of such runs.

Two faults of Dagster's backfill of a job (1.13.27) are mended where it stores what it does.

It tags a run of many partitions with the dimensions of the first as well. A step then makes that
one, and the backfill says that all are made.

It queues 25 ranges at a time, then goes on after the last of them in its list of partitions. Ranges
go along one dimension and the list along the other, so what stands before is taken for queued, and
a backfill of several scenarios loses batches. It looks for what its runs have anyway, so it is told
of no place in the list and goes on with what is left. A backfill of one partition a run keeps its
place: without one it would begin anew for ever.
"""

import dagster as dg
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.storage.runs import SqlRunStorage
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    MULTIDIMENSIONAL_PARTITION_PREFIX,
)


class WholeRanges(SqlRunStorage):
    """Stores a run of a range as that, and a backfill so that it queues all of its ranges."""

    def add_run(self, dagster_run: dg.DagsterRun) -> dg.DagsterRun:
        """Store a new run, without the dimensions of one partition where it is to make a range."""
        return super().add_run(of_its_range(dagster_run))

    def update_backfill(self, partition_backfill: PartitionBackfill) -> None:
        """Store a backfill, without its place in the list where that is the end of a range.

        A place that comes twice is kept, for nothing was queued in between: a deployment that came
        to make one partition a run would not get past those that are there.
        """
        last = partition_backfill.last_submitted_partition_name
        if last and self._is_new_end_of_range(partition_backfill.backfill_id, last):
            partition_backfill = partition_backfill._replace(
                last_submitted_partition_name=no_place(last)
            )
        self.store_backfill(partition_backfill)

    def store_backfill(self, backfill: PartitionBackfill) -> None:
        """Store a backfill as it is, which may be said twice where `update_backfill` may not."""
        super().update_backfill(backfill)

    def _is_new_end_of_range(self, backfill_id: str, key: str) -> bool:
        """Whether a run of a backfill makes a range up to a key that was not its place before."""
        stored = self.get_backfill(backfill_id)
        if stored is None or stored.last_submitted_partition_name in {key, no_place(key)}:
            return False
        of_it = dg.DagsterRun.tags_for_backfill_id(backfill_id)
        tags = {**of_it, ASSET_PARTITION_RANGE_END_TAG: key}
        return bool(self.get_run_ids(dg.RunsFilter(tags=tags), limit=1))


def no_place(key: str) -> str:
    """Return what to store for the end of a range: no partition, so Dagster looks for all."""
    return f"the range to {key}"


def of_its_range(run: dg.DagsterRun) -> dg.DagsterRun:
    """Return a run of a range without the dimensions of one partition; any other as it is."""
    if ASSET_PARTITION_RANGE_START_TAG not in run.tags:
        return run
    return run.with_tags(
        {
            name: value
            for name, value in run.tags.items()
            if not name.startswith(MULTIDIMENSIONAL_PARTITION_PREFIX)
        }
    )
