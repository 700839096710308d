"""Runs of a range of partitions, kept apart from runs of one.

Dagster's backfill of a job (1.13.27) tags a run of many partitions with the dimensions of the first
as well. A step then makes that one, and the backfill says that all are made.
"""

import dagster as dg
from dagster._core.storage.runs import SqlRunStorage
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_START_TAG,
    MULTIDIMENSIONAL_PARTITION_PREFIX,
)


class WholeRanges(SqlRunStorage):
    """Stores a run of a range as that, however it was tagged."""

    def add_run(self, dagster_run: dg.DagsterRun) -> dg.DagsterRun:
        """Store a new run, without the dimensions of one partition where it is to make a range."""
        return super().add_run(of_its_range(dagster_run))


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
