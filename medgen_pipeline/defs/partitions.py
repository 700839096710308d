"""What a partition is: a batch of a scenario, or a whole scenario for its plan.

Scenarios are dynamic, added by the sensor that watches scenario files or by whoever launches one;
batches are fixed. What a batch holds is in DESIGN section 2.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Final

import dagster as dg

SCENARIO: Final = "scenario"
BATCH: Final = "batch"
SCENARIO_TAG: Final = f"dagster/partition/{SCENARIO}"  # of a run of one partition
BATCH_TAG: Final = f"dagster/partition/{BATCH}"
RANGE_START_TAG: Final = "dagster/asset_partition_range_start"  # of a run of many
RANGE_END_TAG: Final = "dagster/asset_partition_range_end"
BATCHES: Final = 1_000  # Dagster keeps up to 100,000 partitions of an asset fluent in its UI

scenario_partitions: Final = dg.DynamicPartitionsDefinition(name=SCENARIO)
batch_partitions: Final = dg.StaticPartitionsDefinition([f"{b:04d}" for b in range(BATCHES)])
partitions: Final = dg.MultiPartitionsDefinition(
    {SCENARIO: scenario_partitions, BATCH: batch_partitions}
)


def partition_key(scenario_id: str, batch: int) -> dg.MultiPartitionKey:
    """Return the key of a batch of a scenario."""
    return dg.MultiPartitionKey({SCENARIO: scenario_id, BATCH: f"{batch:04d}"})


def batches_by_scenario(keys: Iterable[str]) -> list[tuple[str, list[int]]]:
    """Return, for each scenario among partition keys, its batches in ascending order."""
    pairs = sorted(_scenario_and_batch(key) for key in keys)
    return [
        (scenario_id, [batch for _, batch in group])
        for scenario_id, group in groupby(pairs, key=lambda pair: pair[0])
    ]


def _scenario_and_batch(key: str) -> tuple[str, int]:
    dimensions = partitions.get_partition_key_from_str(key).keys_by_dimension
    return dimensions[SCENARIO], int(dimensions[BATCH])
