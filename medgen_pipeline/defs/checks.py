"""The asset checks: each table against its schema, each batch against the invariants.

A failed check fails the run, and the aggregates of its batches are not made. A later run makes
those of its sound batches, and asks here which are not, for the automation conditions of Dagster
1.13 do not see the checks of a partition. Checks are recorded for each batch, also when a run holds
many; Dagster does so only for evaluations that name the partition, so they are written out here.

The schema is checked on every row. The invariants cost several times what generating does, so the
run that generates looks at the first replicates of each batch. The asset `validation` looks at all:
an asset, because in Dagster 1.13 nobody can launch a check by itself for chosen partitions.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final

import dagster as dg
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.storage.asset_check_execution_record import (
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

from medgen_pipeline.dataset.conformance import misfits
from medgen_pipeline.dataset.invariants import MOST_HELD, InvariantResult, check_invariants
from medgen_pipeline.dataset.layout import Partition
from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.schema import PATIENTS, TABLES
from medgen_pipeline.defs.engine import QUERY_THREADS, Engine
from medgen_pipeline.defs.failures import user_errors
from medgen_pipeline.defs.partitions import batches_by_scenario, partition_key, partitions

SCHEMA: Final = "schema"
INVARIANTS: Final = "invariants"
VALIDATION: Final = "validation"

# Our own choices, from 8 s for the invariants of 100,000 patients and 0.4 s for those of none.
EXAMINED_PATIENTS: Final = 1_000  # of a batch, in whole replicates, at least one
MOST_IN_A_REPLICATE: Final = 20_000  # a larger one is left to `validation`
AT_A_TIME: Final = MOST_HELD  # patients of several batches in one pass of the queries
EVERYTHING: Final = 0


@dataclass(frozen=True, slots=True)
class Examined:
    """The replicates of a batch that the invariants are checked on."""

    manifest: Manifest
    replicates: range
    patients: int  # about


def checks() -> dg.AssetChecksDefinition:
    """Return the checks of the six tables, which run with whatever makes a batch."""
    specs = _specs()

    @dg.multi_asset_check(
        name="table_checks",
        specs=specs,
        can_subset=True,
        description="Checks the committed rows of each batch.",
    )
    def table_checks(
        context: dg.AssetCheckExecutionContext, engine: dg.ResourceParam[Engine]
    ) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
        selected = [spec for spec in specs if spec.key in context.selected_asset_check_keys]
        keys = context.op_execution_context.partition_keys
        with user_errors():
            yield from _evaluations(engine, selected, keys, EXAMINED_PATIENTS)
        for spec in selected:
            yield dg.Output(None, output_name=spec.get_python_identifier())

    return table_checks


def validation() -> dg.AssetsDefinition:
    """Return the asset that is a batch examined in every row."""
    specs = _specs()

    @dg.multi_asset(
        name="every_row",  # not as the job
        specs=[
            dg.AssetSpec(
                VALIDATION,
                deps=[*TABLES],
                partitions_def=partitions,
                group_name="planning",
                kinds={"duckdb"},
                description="One batch examined: every row against the schema and the invariants. "
                "What was found is with the checks of the tables; no data is stored.",
            )
        ],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def every_row(
        context: dg.AssetExecutionContext, engine: dg.ResourceParam[Engine]
    ) -> Iterator[dg.AssetCheckEvaluation | dg.MaterializeResult[None]]:
        with user_errors():
            yield from _evaluations(engine, specs, context.partition_keys, EVERYTHING)
        yield dg.MaterializeResult()

    return every_row


def failed_checks(
    instance: dg.DagsterInstance, manifests: Iterable[Manifest]
) -> dict[Partition, list[str]]:
    """Return the batches that failed a blocking check as they are now, and which checks.

    It takes a query for each check, and one for each check of a batch that has not passed.
    """
    storage = instance.event_log_storage
    by_key = {str(partition_key(each.scenario, each.batch)): each for each in manifests}
    failed: dict[Partition, list[str]] = {}
    for found in storage.get_asset_check_partition_info(
        [spec.key for spec in _specs() if spec.blocking], partition_keys=[*by_key]
    ):
        if found.latest_execution_status is AssetCheckExecutionRecordStatus.SUCCEEDED:
            continue
        # The latest may be one that is only planned.
        records = storage.get_asset_check_execution_history(
            found.check_key,
            limit=1,
            status=COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,
            partition_filter=PartitionKeyFilter(key=found.partition_key),
        )
        manifest = by_key[str(found.partition_key)]
        if any(_has_failed(record, manifest.run.commit) for record in records):
            name = f"{found.check_key.name} of {found.check_key.asset_key.to_user_string()}"
            failed.setdefault(manifest.partition, []).append(name)
    return failed


def _has_failed(record: AssetCheckExecutionRecord, commit: str) -> bool:
    """Whether a check failed on just what is committed, not on what it has replaced."""
    if record.status is not AssetCheckExecutionRecordStatus.FAILED or record.evaluation is None:
        return False
    examined = record.evaluation.metadata.get("commit")
    return examined is not None and examined.value == commit


def _evaluations(
    engine: Engine, specs: Sequence[dg.AssetCheckSpec], keys: Iterable[str], at_most: int
) -> Iterator[dg.AssetCheckEvaluation]:
    """Yield the outcome of each check for each partition that it can look at.

    The schemas are looked at in other threads, while this one goes through the invariants.
    """
    pool = ThreadPoolExecutor(QUERY_THREADS)
    try:
        for scenario_id, batches in batches_by_scenario(keys):
            manifests = engine.dataset.manifests(scenario_id, batches)
            schemas = [
                pool.map(partial(_schema, engine, spec), manifests)
                for spec in specs
                if spec.name == SCHEMA
            ]
            for spec in specs:
                if spec.name == INVARIANTS:
                    yield from _invariants(engine, spec, manifests, at_most)
            yield from chain.from_iterable(schemas)
    finally:
        pool.shutdown(cancel_futures=True)  # who is stopped does not finish looking first


def _specs() -> list[dg.AssetCheckSpec]:
    with warnings.catch_warnings():
        # Partitions of a check are a preview in Dagster 1.13; a test runs them through a backfill.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            *(
                dg.AssetCheckSpec(
                    SCHEMA,
                    asset=table,
                    blocking=True,
                    partitions_def=partitions,
                    description="Types, nulls and allowed values are those of the data dictionary.",
                )
                for table in TABLES
            ),
            dg.AssetCheckSpec(
                INVARIANTS,
                asset=PATIENTS.name,
                additional_deps=[table for table in TABLES if table != PATIENTS.name],
                blocking=True,
                partitions_def=partitions,
                description="No row contradicts another: times, places, deaths, scores, keys.",
            ),
        ]


def _schema(engine: Engine, spec: dg.AssetCheckSpec, manifest: Manifest) -> dg.AssetCheckEvaluation:
    table = TABLES[spec.asset_key.to_user_string()]
    broken = misfits(table, engine.dataset.store, manifest)
    rows = manifest.rows[table.name]
    return _evaluation(spec, manifest, _counted(broken), examined_rows=rows)


def _invariants(
    engine: Engine, spec: dg.AssetCheckSpec, manifests: Sequence[Manifest], at_most: int
) -> Iterator[dg.AssetCheckEvaluation]:
    """Yield an evaluation of each batch of a scenario that is not too large for it."""
    is_whole = at_most == EVERYTHING
    for some in _at_a_time(filter(None, (examined(each, at_most) for each in manifests))):
        together = _results(engine, some, is_whole=is_whole)
        for one in some:
            # Only when something is wrong does it matter in which batch.
            results = (
                together if _all_hold(together) else _results(engine, [one], is_whole=is_whole)
            )
            yield _evaluation(
                spec,
                one.manifest,
                _violations(results),
                examined_patients=one.patients,
                examined_replicates=len(one.replicates),
                rules=len(results),
            )


def examined(manifest: Manifest, at_most: int) -> Examined | None:
    """Return what is examined of a batch; None if even one replicate is too much."""
    replicates = range(manifest.first_replicate, manifest.last_replicate + 1)
    patients = manifest.rows[PATIENTS.name]
    if at_most == EVERYTHING:
        return Examined(manifest, replicates, patients)
    mean = patients / len(replicates)
    if mean > max(at_most, MOST_IN_A_REPLICATE):
        return None
    first = replicates[: max(1, int(at_most / max(mean, 1)))]
    return Examined(manifest, first, round(mean * len(first)))


def _at_a_time(batches: Iterable[Examined]) -> Iterator[list[Examined]]:
    """Yield the batches in groups of bounded size, or alone."""
    group: list[Examined] = []
    for one in batches:
        if group and sum(each.patients for each in group) + one.patients > AT_A_TIME:
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _results(
    engine: Engine, batches: Sequence[Examined], *, is_whole: bool
) -> list[InvariantResult]:
    replicates = [replicate for one in batches for replicate in one.replicates]
    return check_invariants(
        engine.dataset,
        batches[0].manifest.scenario,
        [one.manifest.batch for one in batches],
        None if is_whole else replicates,
    )


def _all_hold(results: Iterable[InvariantResult]) -> bool:
    return not any(result.violations for result in results)


def _evaluation(
    spec: dg.AssetCheckSpec, manifest: Manifest, broken: Sequence[dg.TableRecord], **found: int
) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=not broken,
        blocking=spec.blocking,
        partition=str(partition_key(manifest.scenario, manifest.batch)),
        metadata={
            **found,
            "commit": manifest.run.commit,
            **({"broken": dg.MetadataValue.table(broken)} if broken else {}),
        },
    )


def _counted(broken: Mapping[str, int]) -> list[dg.TableRecord]:
    return [dg.TableRecord({"rule": rule, "rows": rows}) for rule, rows in broken.items()]


def _violations(results: Iterable[InvariantResult]) -> list[dg.TableRecord]:
    return [
        dg.TableRecord(
            {
                "rule": result.name,
                "rows": result.violations,
                "description": result.description,
                "first": "\n".join(result.sample),
            }
        )
        for result in results
        if result.violations
    ]
