"""What a dataset holds, scenario by scenario: rows, outcomes and the rates planners compare.

The rates are of battle injuries, as Holcomb et al. define them ("Understanding combat casualty care
statistics", Journal of Trauma 2006): who returned to duty within 72 hours is not counted among the
wounded of %KIA and %DOW, and is counted in the case fatality rate.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import duckdb

from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.damage import readable_tables
from medgen_pipeline.dataset.manifest import Manifest
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
    died_waiting: int  # for a bed, a table or a vehicle
    died_in_transit: int
    turned_away: int  # by a full facility, to the next with room
    bypassed: int  # taken past Role 1 to a surgeon
    hours_over_capacity: float  # of facilities, with more in beds than are established


def summarise(
    connection: duckdb.DuckDBPyConnection, manifests: Iterable[Manifest]
) -> list[ScenarioSummary]:
    """Return a summary of each scenario that has a manifest, by name.

    The connection shows the rows of these manifests. Batches and replicates are counted in them,
    for one without a casualty has no row.
    """
    batches: Counter[str] = Counter()
    replicates: Counter[str] = Counter()
    for manifest in manifests:
        batches[manifest.scenario] += 1
        replicates[manifest.scenario] += manifest.replicates_per_batch
    with readable_tables(connection):
        return _summaries(connection, batches, replicates)


def _summaries(
    connection: duckdb.DuckDBPyConnection, batches: Counter[str], replicates: Counter[str]
) -> list[ScenarioSummary]:
    rows = {table: _counted(connection, table) for table in schema.TABLES}
    casualties, crowding = _casualties(connection), _crowding(connection)
    return [
        _summary(
            scenario,
            batches[scenario],
            replicates[scenario],
            {table: counted.get(scenario, 0) for table, counted in rows.items()},
            casualties.get(scenario, _Casualties()),
            crowding.get(scenario, _Crowding()),
        )
        for scenario in sorted(batches)
    ]


def _summary(
    scenario: str,
    batches: int,
    replicates: int,
    rows: Mapping[str, int],
    casualties: "_Casualties",
    crowding: "_Crowding",
) -> ScenarioSummary:
    outcomes = dict(zip(vocabulary.OUTCOMES, casualties.outcomes, strict=True))
    killed, died = outcomes["KIA"], outcomes["DOW"]
    battle, wounded = casualties.battle, casualties.wounded
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
        **crowding._asdict(),
    )


class _Casualties(NamedTuple):
    """How many casualties of a scenario were hit in battle, wounded, and came to which end."""

    battle: int = 0
    wounded: int = 0  # in battle, and not back within 72 h
    outcomes: Sequence[int] = (0,) * len(vocabulary.OUTCOMES)  # in the order of the vocabulary


def _casualties(connection: duckdb.DuckDBPyConnection) -> dict[str, _Casualties]:
    outcomes = ", ".join(
        f"count(*) filter (outcome = '{outcome}')" for outcome in vocabulary.OUTCOMES
    )
    found = connection.sql(
        f"""
        select scenario, count(*) filter ({BATTLE}),
            count(*) filter ({BATTLE} and outcome <> 'KIA' and not ({BACK_IN_72_HOURS})),
            {outcomes}
        from patients group by scenario
        """
    ).fetchall()
    return {name: _Casualties(battle, wounded, ends) for name, battle, wounded, *ends in found}


class _Crowding(NamedTuple):
    """What too few beds, tables and vehicles did in a scenario."""

    died_waiting: int = 0
    died_in_transit: int = 0
    turned_away: int = 0
    bypassed: int = 0
    hours_over_capacity: float = 0.0


def _crowding(connection: duckdb.DuckDBPyConnection) -> dict[str, _Crowding]:
    found = connection.sql(
        """
        select scenario, sum(died_waiting)::bigint, coalesce(any_value(in_transit), 0),
            sum(turned_away)::bigint, sum(bypassed)::bigint, sum(over_capacity_minutes) / 60.0
        from facility_hours left join (
            select scenario, count(*) as in_transit from timeline
            where event_type = 'died' and role = 'TRANSIT' group by scenario
        ) using (scenario)
        group by scenario
        """
    ).fetchall()
    return {scenario: _Crowding(*counts) for scenario, *counts in found}


def _counted(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, int]:
    found = connection.sql(f"select scenario, count(*) from {table} group by scenario").fetchall()
    return dict(found)


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None
