"""The assets: a scenario's plan, the six tables of its batches, and what is derived from them.

A body reads the partition, calls the engine and returns what there is to show; paths and bytes are
the dataset's, numbers the simulation's.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Final

import dagster as dg
from dagster._core.storage.tags import RETRY_NUMBER_TAG

from medgen_pipeline.dataset.derived import DerivedFile, write_derived
from medgen_pipeline.dataset.layout import Partition
from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.schema import PATIENTS, TABLES
from medgen_pipeline.defs import metadata
from medgen_pipeline.defs.checks import failed_checks
from medgen_pipeline.defs.config import GenerationConfig
from medgen_pipeline.defs.engine import QUERY_THREADS, BoundedDataset, Engine
from medgen_pipeline.defs.failures import user_errors
from medgen_pipeline.defs.partitions import (
    batches_by_scenario,
    partition_key,
    partitions,
    scenario_partitions,
)
from medgen_pipeline.errors import DatasetError, MedgenError
from medgen_pipeline.exports.aggregates import AGGREGATES, Aggregate, computed
from medgen_pipeline.generation.version import generator_version
from medgen_pipeline.scenario.model import Scenario

if TYPE_CHECKING:
    from medgen_pipeline.generation.batch import BatchResult, Progress
    from medgen_pipeline.generation.pool import Report

PLAN: Final = "casualty_plan"
TABLES_OP: Final = "casualty_tables"
GENERATION_POOL: Final = "generation"
# With 1,000,000 patients as fast as with twice as much, which such a run does not have: measured.
AGGREGATE_MEMORY_MB: Final = 64
MOST_BESIDE_ANOTHER: Final = 200_000  # patients of a batch that is added up beside another
MOST_NAMED: Final = 20  # batches in a message; a run may hold a thousand
SECONDS_BETWEEN_REPORTS: Final = 5.0  # a line in the event log costs 10 ms and stays for ever
# As `eager`, but without looking for batches that are missing: each of 17,000 is, and to list them
# took the daemon 11 s of a core at its start and again with every change.
WHEN_TABLES_CHANGE: Final = (
    dg.AutomationCondition.any_deps_updated().since_last_handled()
    & ~dg.AutomationCondition.any_deps_missing()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
)
# One run may hold many batches: a run costs 4 s to start, a batch of a small scenario less.
ONE_RUN: Final = dg.BackfillPolicy.single_run()


@dg.asset(
    name=PLAN,
    partitions_def=scenario_partitions,
    group_name="planning",
    kinds={"yaml"},
    description="One scenario, validated and resolved: what generating it will take and assume. "
    "The metadata is the plan; no data is stored.",
)
def casualty_plan(
    context: dg.AssetExecutionContext, config: GenerationConfig, engine: dg.ResourceParam[Engine]
) -> dg.MaterializeResult[None]:
    """Show a scenario with the changes of this run."""
    with user_errors():
        scenario = config.applied_to(engine.scenario(context.partition_key))
    return dg.MaterializeResult(metadata=metadata.of_plan(scenario))


@dg.multi_asset(
    name=TABLES_OP,
    specs=[
        dg.AssetSpec(
            table.name,
            deps=[PLAN],
            partitions_def=partitions,
            group_name="casualties",
            kinds={"parquet"},
            description=f"One row is {table.row}. Ordered by {table.order}.",
            metadata=metadata.of_table(table),
        )
        for table in TABLES.values()
    ],
    partitions_def=partitions,
    backfill_policy=ONE_RUN,
    pool=GENERATION_POOL,
    description="Simulates the casualties of each batch and commits its six tables together.",
)
def casualty_tables(
    context: dg.AssetExecutionContext, config: GenerationConfig, engine: dg.ResourceParam[Engine]
) -> Iterator[dg.MaterializeResult[None] | dg.AssetMaterialization]:
    """Generate the batches of a run, and show what came of them."""
    by_scenario = batches_by_scenario(context.partition_keys)
    run_id = context.run.run_id
    try:
        with user_errors():
            for scenario_id, batches in by_scenario:
                scenario = config.applied_to(engine.scenario(scenario_id))
                there = _there(context, config, engine.dataset, scenario, batches)
                for manifest in there:
                    _show(context, engine.dataset, manifest, {})
                results = engine.generate(
                    scenario,
                    sorted({*batches} - {manifest.batch for manifest in there}),
                    engine.settings.data_url,
                    run_id=run_id,
                    progress=_reporter(context, scenario_id),
                )
                for result in results:
                    # The batches look alike, and pictures cost 0.3 s and 30 KB a batch.
                    more = _of_new(engine.dataset, result, pictured=result is results[0])
                    _show(context, engine.dataset, result.manifest, more)
    except BaseException:
        # What is committed is there, whatever stopped the rest.
        yield from _committed(engine.dataset, by_scenario, run_id)
        raise
    for table in TABLES:
        yield dg.MaterializeResult(asset_key=table)


@dg.multi_asset(
    name="planning_tables",
    specs=[
        dg.AssetSpec(
            aggregate.name,
            deps=[*TABLES],
            partitions_def=partitions,
            automation_condition=WHEN_TABLES_CHANGE,
            group_name="planning",
            kinds={"parquet", "duckdb"},
            description=f"One row is {aggregate.table.row}. Ordered by {aggregate.table.order}.",
            metadata=metadata.of_table(aggregate.table),
        )
        for aggregate in AGGREGATES.values()
    ],
    partitions_def=partitions,
    backfill_policy=ONE_RUN,
    can_subset=True,
    description="Adds up the committed tables of each batch that failed no check.",
)
def planning_tables(
    context: dg.AssetExecutionContext, engine: dg.ResourceParam[Engine]
) -> Iterator[dg.MaterializeResult[None] | dg.AssetMaterialization]:
    """Make the selected aggregates of the batches of a run."""
    selected = [AGGREGATES[key.to_user_string()] for key in context.selected_asset_keys]
    made: list[dg.AssetMaterialization] = []
    broken: dict[Partition, list[str]] = {}
    try:
        with user_errors():
            for scenario_id, batches in batches_by_scenario(context.partition_keys):
                manifests = engine.dataset.manifests(scenario_id, batches)
                failed = failed_checks(context.instance, manifests)
                sound = [each for each in manifests if each.partition not in failed]
                for manifest, files in _added_up(
                    engine.dataset, selected, sound, context.run.run_id
                ):
                    made += [_derived(manifest, file) for file in files]
                broken |= failed
            _refuse(broken)
    except BaseException:
        yield from made
        raise
    for each in made:
        context.add_asset_metadata(
            each.metadata, asset_key=each.asset_key, partition_key=each.partition
        )
    for aggregate in selected:
        yield dg.MaterializeResult(asset_key=aggregate.name)


def _there(
    context: dg.AssetExecutionContext,
    config: GenerationConfig,
    dataset: BoundedDataset,
    scenario: Scenario,
    batches: Sequence[int],
) -> list[Manifest]:
    """Return what a run may leave as it is: asked to, or because it repeats a run that crashed."""
    if not config.only_missing and RETRY_NUMBER_TAG not in context.run.tags:
        return []
    return dataset.made_from(
        scenario.id, scenario.model_dump(mode="json"), generator_version(), batches
    )


def _show(
    context: dg.AssetExecutionContext,
    dataset: BoundedDataset,
    manifest: Manifest,
    more: dict[str, metadata.Metadata],
) -> None:
    """Add what there is to show of a batch, and more by table, to its materialisations."""
    for table in TABLES:
        context.add_asset_metadata(
            {**metadata.of_batch(table, manifest, dataset.store.url), **more.get(table, {})},
            asset_key=table,
            partition_key=str(partition_key(manifest.scenario, manifest.batch)),
        )


def _of_new(
    dataset: BoundedDataset, result: "BatchResult", *, pictured: bool
) -> dict[str, metadata.Metadata]:
    """Return what only a batch just generated has to show, by table."""
    more = _pictures(dataset, result.manifest) if pictured else {}
    return more | {
        PATIENTS.name: metadata.of_generation(result) | more.get(PATIENTS.name, {}),
    }


def _pictures(dataset: BoundedDataset, manifest: Manifest) -> dict[str, metadata.Metadata]:
    with dataset.duckdb(scenario=manifest.scenario, batches=[manifest.batch]) as connection:
        return metadata.pictures(manifest, connection)


def _committed(
    dataset: BoundedDataset, by_scenario: list[tuple[str, list[int]]], run_id: str
) -> Iterator[dg.AssetMaterialization]:
    """Yield the materialisations of the batches that a run committed before it failed."""
    with contextlib.suppress(MedgenError):  # the one that ended the run is the one to report
        for scenario_id, batches in by_scenario:
            there = {partition.batch for partition in dataset.partitions(scenario_id)}
            for batch in there.intersection(batches):
                manifest = dataset.manifest(scenario_id, batch)
                if manifest.run.run_id == run_id:
                    yield from _materialisations(dataset, manifest)


def _materialisations(
    dataset: BoundedDataset, manifest: Manifest
) -> Iterator[dg.AssetMaterialization]:
    for table in TABLES:
        yield dg.AssetMaterialization(
            table,
            partition=str(partition_key(manifest.scenario, manifest.batch)),
            metadata=metadata.of_batch(table, manifest, dataset.store.url),
        )


def _reporter(context: dg.AssetExecutionContext, scenario_id: str) -> "Report":
    """Return what writes progress to the event log, not too often."""
    last = time.monotonic()

    def report(batch: int, progress: "Progress") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN_REPORTS:
            return
        last = now
        context.log.info(
            "%s batch %d: %d of %d patients, in replicate %d; %s",
            scenario_id,
            batch,
            progress.patients_done,
            progress.patients_expected,
            progress.replicate,
            ", ".join(f"{name} {count}" for name, count in progress.outcome_counts.items()),
        )

    return report


def _added_up(
    dataset: BoundedDataset,
    aggregates: Sequence[Aggregate],
    manifests: Sequence[Manifest],
    run_id: str,
) -> Iterator[tuple[Manifest, list[DerivedFile]]]:
    """Make and store aggregates of batches, small ones two at a time, and yield what was stored."""
    largest = max((manifest.rows[PATIENTS.name] for manifest in manifests), default=0)
    at_once = QUERY_THREADS if len(manifests) > 1 and largest <= MOST_BESIDE_ANOTHER else 1

    def add_up(manifest: Manifest) -> list[DerivedFile]:
        start = datetime.fromisoformat(manifest.resolved_scenario["start"])
        with dataset.duckdb(scenario=manifest.scenario, batches=[manifest.batch]) as connection:
            connection.execute(f"set memory_limit = '{AGGREGATE_MEMORY_MB}MB'")
            connection.execute(f"set threads = {QUERY_THREADS // at_once}")
            return [
                write_derived(
                    dataset.store,
                    aggregate.table,
                    manifest.partition,
                    computed(aggregate, connection, start),
                    run_id=run_id,
                )
                for aggregate in aggregates
            ]

    with ThreadPoolExecutor(at_once) as pool:
        yield from zip(manifests, pool.map(add_up, manifests), strict=True)


def _derived(manifest: Manifest, file: DerivedFile) -> dg.AssetMaterialization:
    """Return what there is to show of an aggregate of one batch."""
    return dg.AssetMaterialization(
        file.table,
        partition=str(partition_key(manifest.scenario, manifest.batch)),
        metadata={
            "dagster/partition_row_count": file.rows,
            "dagster/uri": file.url,
            "bytes": file.bytes,
            "commit": manifest.run.commit,
        },
    )


def _refuse(broken: Mapping[Partition, Sequence[str]]) -> None:
    """Raise DatasetError, which names batches and the checks they failed, if there are any."""
    if not broken:
        return
    named = [
        f"{each.scenario} batch {each.batch} ({', '.join(checks)})"
        for each, checks in islice(broken.items(), MOST_NAMED)
    ]
    more = f" and {len(broken) - MOST_NAMED} more" if len(broken) > MOST_NAMED else ""
    raise DatasetError(
        f"no aggregates of {', '.join(named)}{more}: their tables failed these checks; "
        "generate the batches again, or run the job `validation` if they are sound by now"
    )
