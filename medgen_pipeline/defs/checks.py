"""The asset checks: each table against its schema, each batch against the invariants.

A failed check fails the run, and the aggregates of its batches are not made. Checks are recorded
for each batch, also when a run holds many; Dagster 1.13 does so only for evaluations that name the
partition, so they are written out here.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import dagster as dg

from medgen_pipeline.dataset.conformance import misfits
from medgen_pipeline.dataset.invariants import InvariantResult, check_invariants
from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.schema import PATIENTS, TABLES
from medgen_pipeline.defs.engine import Engine
from medgen_pipeline.defs.partitions import batches_by_scenario, partition_key, partitions

SCHEMA: Final = "schema"
INVARIANTS: Final = "invariants"


def checks() -> dg.AssetChecksDefinition:
    """Return the checks of the six tables, run together: they share what they read."""
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
        op_context = context.op_execution_context
        selected = [spec for spec in specs if spec.key in context.selected_asset_check_keys]
        for scenario_id, batches in batches_by_scenario(op_context.partition_keys):
            for batch in batches:
                yield from _evaluations(engine, selected, scenario_id, batch)
        for spec in selected:
            yield dg.Output(None, output_name=spec.get_python_identifier())

    return table_checks


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


def _evaluations(
    engine: Engine, selected: Sequence[dg.AssetCheckSpec], scenario_id: str, batch: int
) -> Iterator[dg.AssetCheckEvaluation]:
    """Yield the outcome of each selected check on one batch."""
    dataset = engine.dataset
    manifest = dataset.manifest(scenario_id, batch)
    with dataset.duckdb(scenario=scenario_id, batches=[batch]) as connection:
        for spec in selected:
            if spec.name == SCHEMA:
                table = TABLES[spec.asset_key.to_user_string()]
                broken = misfits(table, dataset.store, manifest, connection)
                yield _evaluation(spec, manifest, _counted(broken), rows=manifest.rows[table.name])
    for spec in selected:
        if spec.name == INVARIANTS:
            results = check_invariants(dataset, scenario_id, [batch])
            yield _evaluation(spec, manifest, _violations(results), rules=len(results))


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
