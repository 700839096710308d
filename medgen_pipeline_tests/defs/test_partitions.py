"""Partition keys: made from scenario and batch, and taken apart again."""

from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.defs.partitions import BATCHES, batches_by_scenario, partition_key

SLUGS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)


@given(st.sets(st.tuples(SLUGS, st.integers(0, BATCHES - 1)), max_size=20))
def test_keys_give_back_their_scenarios_and_batches(pairs: set[tuple[str, int]]) -> None:
    """Every pair of scenario and batch survives, grouped by scenario, batches ascending."""
    keys = [str(partition_key(*pair)) for pair in pairs]
    grouped = batches_by_scenario(keys)
    assert {(scenario, batch) for scenario, batches in grouped for batch in batches} == pairs
    assert all(batches == sorted(batches) for _, batches in grouped)
    assert len({scenario for scenario, _ in grouped}) == len(grouped)


def test_keys_look_as_dagster_writes_them() -> None:
    """Dagster orders dimensions by name, so the batch comes first."""
    assert str(partition_key("demo", 7)) == "0007|demo"
