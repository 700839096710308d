"""A run of a range of partitions is stored as that, in either database."""

from pathlib import Path

import dagster as dg
import pytest

from medgen_pipeline.runtime.instance_yaml import render_instance_yaml
from medgen_pipeline.runtime.ranges import of_its_range

ONE = {"dagster/partition/batch": "0000", "dagster/partition/scenario": "demo"}
RANGE = {
    "dagster/asset_partition_range_start": "0000|demo",
    "dagster/asset_partition_range_end": "0003|demo",
}
OTHER = {"medgen/workload": "generation"}


@pytest.mark.parametrize(
    ("tags", "kept"),
    [
        (ONE | RANGE | OTHER, RANGE | OTHER),
        (ONE | OTHER, ONE | OTHER),
        (RANGE | OTHER, RANGE | OTHER),
        (OTHER, OTHER),
    ],
)
def test_a_run_of_a_range_is_not_one_of_its_first_partition(
    tags: dict[str, str], kept: dict[str, str]
) -> None:
    assert of_its_range(dg.DagsterRun(job_name="generation", tags=tags)).tags == kept


def test_it_is_stored_so(tmp_path: Path) -> None:
    """As the files of a home have it; Postgres is asked with a real backfill."""
    (tmp_path / "dagster.yaml").write_text(render_instance_yaml({}))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        added = instance.add_run(dg.DagsterRun(job_name="generation", tags=ONE | RANGE))
        stored = instance.get_run_by_id(added.run_id)
        assert stored is not None
        assert stored.tags == RANGE
        assert not instance.get_runs(dg.RunsFilter(tags=ONE))  # nor is it found by them
