"""What a dataset holds, scenario by scenario: rows, outcomes and the rates planners compare.

The rates are of battle injuries, as Holcomb et al. define them ("Understanding combat casualty care
statistics", Journal of Trauma 2006): who returned to duty within 72 hours is not counted among the
wounded of %KIA and %DOW, and is counted in the case fatality rate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import duckdb

from medgen_pipeline.dataset import schema
from medgen_pipeline.reference import vocabulary

BATTLE: Final = "casualty_class = 'battle_injury'"
BACK_IN_72_HOURS: Final = "outcome = 'RTD' and outcome_at <= injured_at + interval 72 hours"


@dataclass(frozen=True, slots=True)
class ScenarioSummary:
    """What there is of one scenario; a rate is null where nothing is counted below the line."""

    scenario: str
    batches: int
    replicates: int
    rows: Mapping[str, int]  # by table
    outcomes: Mapping[str, int]  # casualties by outcome
    battle_casualties: int
    case_fatality_percent: float | None  # (KIA + DOW) / battle casualties
    killed_percent: float | None  # %KIA: KIA / (KIA + wounded not back within 72 h)
    died_of_wounds_percent: float | None  # %DOW: DOW / wounded not back within 72 h


def summarise(connection: duckdb.DuckDBPyConnection) -> list[ScenarioSummary]:
    """Return a summary of each scenario among the views of a connection, by name."""
    rows = {table: _counted(connection, table) for table in schema.TABLES}
    outcomes = ", ".join(
        f"count(*) filter (outcome = '{outcome}')" for outcome in vocabulary.OUTCOMES
    )
    found = connection.sql(
        f"""
        select scenario, count(distinct batch), count(distinct replicate),
            count(*) filter ({BATTLE}),
            count(*) filter ({BATTLE} and outcome <> 'KIA' and not ({BACK_IN_72_HOURS})),
            {outcomes}
        from patients group by scenario order by scenario
        """
    ).fetchall()
    return [
        _summary(
            scenario,
            batches,
            replicates,
            {table: counted.get(scenario, 0) for table, counted in rows.items()},
            dict(zip(vocabulary.OUTCOMES, counts, strict=True)),
            battle,
            wounded,
        )
        for scenario, batches, replicates, battle, wounded, *counts in found
    ]


def _summary(
    scenario: str,
    batches: int,
    replicates: int,
    rows: Mapping[str, int],
    outcomes: Mapping[str, int],
    battle: int,
    wounded: int,
) -> ScenarioSummary:
    killed, died = outcomes["KIA"], outcomes["DOW"]
    return ScenarioSummary(
        scenario=scenario,
        batches=batches,
        replicates=replicates,
        rows=rows,
        outcomes=outcomes,
        battle_casualties=battle,
        case_fatality_percent=_percent(killed + died, battle),
        killed_percent=_percent(killed, killed + wounded),
        died_of_wounds_percent=_percent(died, wounded),
    )


def _counted(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, int]:
    found = connection.sql(f"select scenario, count(*) from {table} group by scenario").fetchall()
    return dict(found)


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None
