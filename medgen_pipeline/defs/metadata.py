"""What Dagster shows of a table, of a plan and of a batch: columns, rows, rates, cost, pictures."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import numpy as np

from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.defs import plots
from medgen_pipeline.reference.vocabulary import OUTCOMES
from medgen_pipeline.scenario.catalogue import to_yaml
from medgen_pipeline.scenario.doubts import doubts
from medgen_pipeline.scenario.model import FacilityGroup, Scenario
from medgen_pipeline.scenario.scaling import fingerprint
from medgen_pipeline.scenario.totals import expected_patients, strength

if TYPE_CHECKING:
    import duckdb

    from medgen_pipeline.generation.batch import BatchResult

Metadata = dict[str, Any]

# Hours since the start, in whole numbers: with `datediff` it takes thrice as long.
CASUALTIES_PER_HOUR: Final = """
    select front as name,
        (epoch_us(injured_at) - epoch_us($start::timestamptz)) // 3_600_000_000 as hour,
        count(*) as number
    from patients group by all order by all
    """
OCCUPANCY: Final = """
    select role as name,
        (epoch_us(hour) - epoch_us($start::timestamptz)) // 3_600_000_000 as hour,
        sum(in_beds) as number
    from facility_hours group by all having max(beds) > 0 order by all
    """


def of_table(table: schema.Table) -> Metadata:
    """Return what is true of every batch of a table."""
    columns = [
        dg.TableColumn(
            column.name,
            column.type,
            column.description,
            dg.TableColumnConstraints(nullable=column.nullable),
        )
        for column in schema.described(table)
    ]
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/table_name": table.name,
    }


def of_plan(scenario: Scenario) -> Metadata:
    """Return what a planner checks before generating."""
    return {
        "title": scenario.title,
        "expected_patients": round(expected_patients(scenario)),
        "strength": strength(scenario),
        "days": scenario.days,
        "follow_up_days": scenario.follow_up_days,
        "start": dg.MetadataValue.timestamp(scenario.start),
        "seed": dg.MetadataValue.text(str(scenario.seed)),  # up to 2**63: no number in JavaScript
        "replicates_per_batch": scenario.replicates_per_batch,
        "fronts": _fronts(scenario),
        "facilities": _facilities(scenario),
        "warnings": _warnings(scenario),
        "scenario": dg.MetadataValue.md(f"```yaml\n{to_yaml(scenario)}```"),
        "scenario_sha256": fingerprint(scenario),
    }


def _warnings(scenario: Scenario) -> dg.MetadataValue[Any]:
    found = [f"- {doubt}" for doubt in doubts(scenario)]
    return dg.MetadataValue.md("\n".join(found) or "none")


def _fronts(scenario: Scenario) -> dg.MetadataValue[Any]:
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "front": front.id,
                    "share": front.share,
                    "strength": front.strength,
                    "nations": ", ".join(f"{n} {share:.0%}" for n, share in front.nations.items()),
                }
            )
            for front in scenario.fronts
        ]
    )


def _facilities(scenario: Scenario) -> dg.MetadataValue[Any]:
    """Return one record for each group of facilities: of each front, then shared."""
    chain = scenario.facilities
    groups: list[tuple[str, str, FacilityGroup]] = [
        (front.id, role, getattr(front.chain(chain), role))
        for front in scenario.fronts
        for role in ("role1", "role2")
    ]
    groups.append(("all", "role3", chain.role3))
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "front": front,
                    "role": role,
                    "units": group.units,
                    "beds": group.units * group.beds,
                    "operating_tables": group.units * group.operating_tables,
                }
            )
            for front, role, group in groups
        ]
    )


def of_batch(table: str, manifest: Manifest, url: str) -> Metadata:
    """Return what is true of one batch of one of the six tables."""
    files = [file for file in manifest.files if file.table == table]
    return {
        "dagster/partition_row_count": manifest.rows[table],
        "dagster/uri": f"{url}/{table}/{manifest.partition}",
        "bytes": sum(file.bytes for file in files),
        "files": len(files),
        "commit": manifest.run.commit,
    }


def of_generation(result: "BatchResult") -> Metadata:
    """Return outcomes and cost of a batch; numbers, which the UI plots over the batches."""
    manifest = result.manifest
    patients = manifest.rows["patients"]
    outcomes = {outcome: manifest.outcomes.get(outcome, 0) for outcome in OUTCOMES}
    return {
        "replicates": manifest.last_replicate - manifest.first_replicate + 1,
        "seed": dg.MetadataValue.text(str(manifest.seed)),
        "scenario_sha256": manifest.scenario_sha256,
        **outcomes,
        **{f"{name}_percent": percent(count, patients) for name, count in outcomes.items()},
        "patients_per_second": round(patients / max(result.wall_seconds, 1e-9)),
        "wall_seconds": round(result.wall_seconds, 3),
        "cpu_seconds": round(result.cpu_seconds, 3),
        "peak_memory_mb": round(result.peak_memory_mb, 1),
    }


def percent(part: int, whole: int) -> float:
    """Return a share in percent, 0 of nothing."""
    return round(100 * part / whole, 3) if whole else 0.0


def pictures(manifest: Manifest, connection: "duckdb.DuckDBPyConnection") -> dict[str, Metadata]:
    """Return the plots of a batch by the table they belong to."""
    start = datetime.fromisoformat(manifest.resolved_scenario["start"])
    replicates = manifest.last_replicate - manifest.first_replicate + 1

    def series(query: str) -> plots.HourlySeries:
        rows = connection.sql(query, params={"start": start}).fetchall()
        return hourly(rows, replicates)

    return {
        "patients": {
            "casualties_per_hour": dg.MetadataValue.md(
                plots.casualties_per_hour(series(CASUALTIES_PER_HOUR))
            ),
            "outcomes": dg.MetadataValue.md(plots.outcomes(manifest.outcomes)),
        },
        "facility_hours": {"occupancy": dg.MetadataValue.md(plots.occupancy(series(OCCUPANCY)))},
    }


def hourly(rows: Iterable[tuple[str, int, int]], replicates: int) -> plots.HourlySeries:
    """Return rows of name, hour and number as series without gaps, as means over replicates."""
    found = list(rows)
    length = 1 + max((hour for _, hour, _ in found), default=-1)
    values: Mapping[str, plots.FloatArray] = {name: np.zeros(length) for name, _, _ in found}
    for name, hour, number in found:
        values[name][hour] = number / replicates
    return plots.HourlySeries(np.arange(length, dtype=float), values)
