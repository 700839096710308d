"""Housekeeping of a deployment: what its runs have made is told from what is gone."""

from datetime import timedelta
from typing import Final

import dagster as dg

from medgen_pipeline.dataset.retention import remove_partition
from medgen_pipeline.defs.assets import PLAN
from medgen_pipeline.defs.build import build_defs
from medgen_pipeline.defs.checks import VALIDATION
from medgen_pipeline.defs.engine import Engine
from medgen_pipeline.defs.housekeeping import house
from medgen_pipeline.defs.partitions import partition_key
from medgen_pipeline.exports.aggregates import AGGREGATES
from medgen_pipeline_tests.defs.conftest import TINY
from medgen_pipeline_tests.defs.test_assets import QUIET, generation

LONG: Final = timedelta(days=1_000)


def old_runs(engine: Engine, instance: dg.DagsterInstance) -> set[str]:
    """Return the runs that would go if all had ended long ago."""
    kept = house(engine, instance)
    kept.now += LONG
    return {each.name for each in kept.findings() if each.kind == "run"}


def test_the_history_of_what_is_there_stays(engine: Engine, instance: dg.DagsterInstance) -> None:
    """Tables, aggregates and validations as long as their batch is there; plans of scenarios."""
    defs = build_defs(engine.settings, engine)

    def made(job: str, key: str, *assets: str) -> str:
        found = defs.resolve_job_def(job) if job else defs.resolve_implicit_global_asset_job_def()
        done = found.execute_in_process(
            instance=instance,
            partition_key=key,
            asset_selection=[dg.AssetKey(each) for each in assets] or None,
            run_config=QUIET,
        )
        return done.run_id

    batch = str(partition_key(TINY, 0))
    plans = [made("", TINY, PLAN) for _ in range(2)]
    generated = generation(engine, instance, [0]).run_id
    aggregates = [made("aggregates", batch) for _ in range(2)]
    validations = [made("validation", batch) for _ in range(2)]
    assert old_runs(engine, instance) == {plans[0], aggregates[0], validations[0]}

    for asset in (*AGGREGATES, VALIDATION, PLAN):
        assert instance.get_materialized_partitions(dg.AssetKey(asset)), "all were made"
    remove_partition(engine.dataset.store, engine.dataset.manifest(TINY, 0))
    ended = {*plans, generated, *aggregates, *validations}
    assert old_runs(engine, instance) == ended - {plans[1]}
